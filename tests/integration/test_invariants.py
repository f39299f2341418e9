"""The core against a machine that does everything at the wrong moment: whatever order it thinks of, the books are
in balance after every step, and nobody is rung twice, at night, or against a DND list."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis
from sqlalchemy import Engine
from world import ALWAYS, ENDINGS, World, number, repeating

from dialer.errors import Conflict
from dialer.pace.breaker import Breaker
from dialer.providers.contract import Outcome, Refusal
from dialer.store import tables as t
from dialer.store.contacts import NewContact

ZONES = [None, "Asia/Kolkata", "Europe/Stockholm", "America/New_York", "Australia/Lord_Howe"]
OUTCOMES = [
    (Outcome.PLACED, {}),
    (Outcome.PLACED, {}),
    (Outcome.UNKNOWN, {"detail": "reset after send"}),
    (Outcome.NOT_SENT, {"detail": "refused"}),
    (Outcome.NOT_PROCESSED, {"retry_after": 7.0}),
    (Outcome.REFUSED, {"refusal": Refusal.BAD_NUMBER}),
    (Outcome.REFUSED, {"refusal": Refusal.BAD_REQUEST}),
    (Outcome.REFUSED, {"refusal": Refusal.PROVIDER, "detail": "no funds"}),
]


#: What is chosen among things with random ids is chosen by such a seed: Hypothesis wants the same draws each time.
seeds = st.integers(0, 65535).map(random.Random)


def some(chance: random.Random, items: list[Any], most: int) -> list[Any]:
    """From one to `most` of them, each once."""
    return chance.sample(items, min(len(items), chance.randint(1, most))) if items else []


class Nemesis(RuleBasedStateMachine):
    """Every rule is a step that some process may take at any time; `check` runs after each."""

    redis_url: ClassVar[str]
    start_anew: ClassVar[Callable[[], Engine]]

    @initialize()
    def begin(self) -> None:
        Redis.from_url(self.redis_url).flushall()
        self.world = World(type(self).start_anew(), self.redis_url)
        self.contacts = 0
        self.forbidden: dict[str, Any] = {}
        self.lists: list[str] = []
        self.campaigns: list[str] = []
        self.released: list[str] = []
        self.in_flight: list[str] = []  # claimed; no reply yet
        self.attempts: list[str] = []
        self.sent: list[str] = []  # went out to the provider
        self.rests = 0

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.check()
            self.world.close()

    def check(self) -> None:
        self.world.check()
        assert len(self.sent) == len(set(self.sent)), "an attempt was sent twice"
        for row in self.world.rows(t.attempt):
            assert row.e164 not in self.forbidden or row.submitted_at < self.forbidden[row.e164]

    # --- people and campaigns -------------------------------------------------------------------------------

    @rule(count=st.integers(1, 12), zone=st.sampled_from(ZONES), repeats=st.integers(0, 2), chance=seeds)
    def start_a_campaign(self, count: int, zone: str | None, repeats: int, chance: random.Random) -> None:
        if len(self.campaigns) >= 4:
            return
        self.lists.append(self.world.contact_list(self._people(count, zone)))
        self.campaigns.append(
            self.world.campaign(
                self.lists[-1],
                repeat_policy=repeating(repeats, delay=20) if repeats else {},
                calling_window=chance.choice([None, ALWAYS, {"start": "22:00", "end": "03:00"}]),
                max_concurrent=chance.choice([None, 1, 3]),
                end_at=self.world.clock.now + timedelta(hours=chance.choice([1, 30, 300])),
            )
        )
        self.check()

    def _people(self, count: int, zone: str | None) -> list[NewContact]:
        self.contacts += count
        return [
            NewContact(number(one), name="Ann", time_zone=zone)
            for one in range(self.contacts - count, self.contacts)
        ]

    @rule(count=st.integers(1, 5), zone=st.sampled_from(ZONES), chance=seeds)
    def add_contacts(self, count: int, zone: str | None, chance: random.Random) -> None:
        if self.lists:
            self.world.append(chance.choice(self.lists), self._people(count, zone))

    @rule(chance=seeds)
    def add_to_dnd(self, chance: random.Random) -> None:
        e164 = number(chance.randrange(self.contacts + 1))
        self.world.clock.forward(0.001)
        self.world.forbid(e164)
        self.forbidden.setdefault(e164, self.world.clock.now)
        self.world.clock.forward(0.001)

    @rule(what=st.sampled_from(["pause", "resume", "resume", "stop"]), chance=seeds)
    def control(self, what: str, chance: random.Random) -> None:
        if not self.campaigns:
            return
        campaign = chance.choice(self.campaigns)
        try:
            getattr(self.world, what)(campaign)
        except Conflict:
            return
        if what != "resume":
            released = [row.id for row in self.world.rows(t.call, campaign_id=campaign, state="RELEASED")]
            assert self.world.claim(released).placements == ()
        self.check()

    # --- the engine -------------------------------------------------------------------------------------------

    @rule()
    def tick(self) -> None:
        for _ in range(4):
            visit = self.world.visit()
            if visit is None:
                break
            self.released += visit.released
        self.check()

    @rule()
    def ring_again(self) -> None:
        self.released += [row.id for row in self.world.rows(t.call, state="RELEASED")]

    @rule(chance=seeds)
    def claim(self, chance: random.Random) -> None:
        ids = some(chance, self.released, 12)
        for placement in self.world.claim([*ids, *ids[:2]]).placements:
            attempt_id = placement.submission.attempt_id
            assert attempt_id not in self.attempts
            self.attempts.append(attempt_id)
            self.in_flight.append(attempt_id)
        self.check()

    @rule(outcome=st.sampled_from(OUTCOMES), crash=st.booleans(), chance=seeds)
    def reply(self, outcome: tuple[Outcome, dict[str, Any]], crash: bool, chance: random.Random) -> None:
        replied = some(chance, self.in_flight, 6)
        for attempt_id in replied:
            self.in_flight.remove(attempt_id)
            if outcome[0] in (Outcome.PLACED, Outcome.UNKNOWN):
                self.sent.append(attempt_id)
        if not crash:  # else: the worker dies between the reply and its write
            self.world.answer(replied, outcome[0], **outcome[1])
            self.check()

    @rule()
    def die_before_sending(self) -> None:
        self.in_flight.clear()

    @rule(told=st.lists(st.sampled_from(["ringing", *ENDINGS]), min_size=1, max_size=3), chance=seeds)
    def callback(self, told: list[str], chance: random.Random) -> None:
        for attempt_id in some(chance, self.attempts, 3):
            for what in told * chance.randint(1, 2):
                self.world.tell(attempt_id, what)

    @rule()
    def consume(self) -> None:
        self.world.consume()
        assert all(row.state in ("CONSUMED", "UNMATCHED") for row in self.world.rows(t.event))
        self.check()

    @rule()
    def reap_and_settle(self) -> None:
        self.world.reap()
        self.check()
        self.world.settle()
        self.check()

    @rule(seconds=st.sampled_from([0.5, 21, 40, 1800, 6 * 3600]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.forward(seconds)

    @rule()
    def the_provider_is_mended(self) -> None:
        self.world.set_provider(paused_reason=None)

    @rule()
    def redis_is_flushed(self) -> None:
        self.world.redis.flushall()

    @precondition(lambda self: self.rests < 2)  # it takes as long as fifty other steps
    @rule()
    def in_the_end_everything_has_an_end(self) -> None:
        """When the nemesis rests, all campaigns come to their end within bounded time."""
        self.rests += 1
        self.in_flight.clear()
        self.world.set_provider(paused_reason=None, held_until=None, **Breaker().columns())
        for _ in range(60):
            if self._is_over():
                break
            self.world.consume()
            self.world.reap()
            self.world.settle()
            attempts = self.world.dial(self.world.release(1000))
            self.attempts += attempts
            self.sent += attempts
            self.world.end(attempts)
            self.world.clock.forward(6 * 3600)
        self.world.release(1000)
        self.check()
        for row in self.world.rows(t.campaign):
            assert row.state in ("FINISHED", "STOPPED") or row.state == "PAUSED"
            if row.state != "PAUSED":
                assert row.wake_at is None
        assert not self._in_hand()

    def _is_over(self) -> bool:
        campaigns = self.world.rows(t.campaign)
        over = all(row.state in ("FINISHED", "STOPPED") and row.wake_at is None for row in campaigns)
        return over and not self._in_hand()

    def _in_hand(self) -> bool:
        return any(row.state in ("RELEASED", "DIALLING", "IN_PROGRESS") for row in self.world.rows(t.call))


@pytest.fixture
def nemesis(redis_server: str, start_anew: Callable[[], Engine]) -> type[Nemesis]:
    Nemesis.redis_url, Nemesis.start_anew = redis_server, staticmethod(start_anew)
    return Nemesis


@pytest.mark.timeout(600)
def test_the_books_are_in_balance_whatever_happens_in_whatever_order(nemesis: type[Nemesis]) -> None:
    run_state_machine_as_test(
        nemesis,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
