"""The scheduler's rounds: fair turns, one campaign's trouble is not the others', nothing rung for is forgotten."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from world import NOON, World, people, repeating

from dialer import ids
from dialer.campaigns.release import visit_next
from dialer.db import looking, writing
from dialer.pace.limiter import Pace, Stage
from dialer.providers.contract import Outcome
from dialer.store import dnd_mirrors, due, webhooks
from dialer.store import tables as t
from workers import scheduler as module
from workers.scheduler import Scheduler


class Bell:
    """Notes what is rung for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.events = 0
        self.imports: list[str] = []
        self.lookups: list[str] = []
        self.cdrs: list[str] = []
        self.mirrors: list[str] = []
        self.webhooks = 0
        self.uploads = 0

    def place_calls(self, ids: Sequence[str]) -> None:
        self.calls.extend(ids)

    def consume_events(self) -> None:
        self.events += 1

    def deliver_webhooks(self) -> None:
        self.webhooks += 1

    def tidy_uploads(self) -> None:
        self.uploads += 1

    def run_import(self, import_id: str) -> None:
        self.imports.append(import_id)

    def look_up(self, attempt_ids: Sequence[str]) -> None:
        self.lookups.extend(attempt_ids)

    def read_cdrs(self, provider_id: str) -> None:
        self.cdrs.append(provider_id)

    def mirror_dnd(self, provider_id: str) -> None:
        self.mirrors.append(provider_id)


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.clock.now = datetime.now(UTC)
    yield made
    made.close()


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def scheduler(world: World, bell: Bell) -> Scheduler:
    return Scheduler(world.engine, world.limiter, bell, 0.01)  # type: ignore[arg-type]


def test_a_round_rings_for_everything_that_it_releases(
    world: World, bell: Bell, scheduler: Scheduler
) -> None:
    for one in range(3):
        world.campaign(world.contact_list(people(120, start=1000 * one)))
    scheduler.visit_all()
    assert sorted(bell.calls) == sorted(row.id for row in world.rows(t.call, state="RELEASED"))
    assert len(bell.calls) == 360


def test_a_campaign_that_cannot_be_visited_is_postponed_and_the_others_go_on(
    world: World, bell: Bell, scheduler: Scheduler
) -> None:
    odd = world.campaign(
        world.contact_list(people(3)),
        calling_window={"start": "never"},
        served_at=world.clock.now - timedelta(days=1),
    )
    world.campaign(world.contact_list(people(3, start=100)))
    scheduler.visit_all()
    assert len(bell.calls) == 3
    assert world.campaign_row(odd).wake_at > world.clock.now + timedelta(seconds=25)


def test_a_doorbell_that_nobody_answered_is_rung_again_and_not_at_once(
    world: World, bell: Bell, scheduler: Scheduler
) -> None:
    world.campaign(world.contact_list(people(5)))
    scheduler.visit_all()
    taken = world.dial(bell.calls[:2])
    assert len(taken) == 2
    scheduler.upkeep()
    assert len(bell.calls) == 5
    with writing(world.engine) as connection:
        connection.execute(t.call.update().values(rung_at=world.clock.now - timedelta(minutes=1)))
    scheduler.upkeep()
    assert Counter(bell.calls).most_common(3) == [(one, 2) for one in bell.calls[5:]]
    assert len(bell.calls) == 8
    scheduler.upkeep()
    assert len(bell.calls) == 8


def test_an_event_whose_doorbell_was_lost_is_rung_for(world: World, bell: Bell, scheduler: Scheduler) -> None:
    scheduler.upkeep()
    assert bell.events == 0
    world.clock.now -= timedelta(minutes=1)
    world.tell_raw("type=whatever")
    scheduler.upkeep()
    assert bell.events == 1
    world.consume()
    scheduler.upkeep()
    assert bell.events == 1


def test_upkeep_gives_up_lost_workers_and_settles_what_nobody_speaks_of(
    world: World, scheduler: Scheduler
) -> None:
    campaign = world.campaign(world.contact_list(people(2)))
    lost, silent = (one.submission.attempt_id for one in world.claim(world.release()).placements)
    world.answer([silent], Outcome.PLACED)
    long_ago = world.clock.now - timedelta(days=1)
    with writing(world.engine) as connection:
        connection.execute(t.attempt.update().values(deadline_at=long_ago))
        connection.execute(t.attempt.update().where(t.attempt.c.id == silent).values(settle_at=long_ago))
    scheduler.upkeep()
    assert world.attempt(lost).state == world.attempt(silent).state == "UNKNOWN"
    assert world.states(campaign) == {"IN_PROGRESS": 1, "UNKNOWN": 1}
    world.check()


def test_upkeep_has_providers_asked_that_can_be_and_their_cdrs_read(
    world: World, bell: Bell, scheduler: Scheduler
) -> None:
    world.campaign(world.contact_list(people(1)))
    (attempt_id,) = world.dial(world.release())
    world.set_provider(kind="cpaas")
    with writing(world.engine) as connection:
        connection.execute(t.attempt.update().values(settle_at=world.clock.now - timedelta(seconds=1)))
    for _ in range(2):
        scheduler.upkeep()
        assert (bell.lookups, bell.cdrs) == ([attempt_id], [world.provider_id]), "once each"
    assert world.attempt(attempt_id).state == "PLACED"


def test_upkeep_rings_for_a_black_list_that_may_be_out_of_step(
    world: World, bell: Bell, scheduler: Scheduler
) -> None:
    south = world.provider(kind="mtt-callback", account_id=world.account_id)
    with writing(world.engine) as connection:
        dnd_mirrors.start(connection, south, world.clock.now - timedelta(minutes=1))
    scheduler.upkeep()
    assert bell.mirrors == [south]
    scheduler.upkeep()
    assert bell.mirrors == [south], "not each second"


def test_upkeep_rings_for_messages_to_apps_that_are_due(
    world: World, bell: Bell, scheduler: Scheduler
) -> None:
    now = world.clock.now
    endpoint = {"id": "WH1", "account_id": world.account_id, "url": "", "events": [], "description": "",
                "enabled": True, "secrets": "", "failures": 0, "created_at": now}  # fmt: skip
    (delivery_id,) = ids.delivery_ids(1, now)
    delivery = {"id": delivery_id, "account_id": world.account_id, "endpoint_id": "WH1", "event": "call.ended",
                "subject": "c", "body": "", "state": "PENDING", "tries": 0, "due_at": now,
                "created_at": now}  # fmt: skip
    with writing(world.engine) as connection:
        webhooks.add(connection, endpoint)
    scheduler.upkeep()
    assert bell.webhooks == 0
    with writing(world.engine) as connection:
        webhooks.add_deliveries(connection, [delivery])
    scheduler.upkeep()
    scheduler.upkeep()
    assert bell.webhooks == 2, "until it is taken"
    for values in ({"enabled": False}, {"enabled": True, "rest_until": now + timedelta(hours=1)}):
        with writing(world.engine) as connection:
            webhooks.update(connection, world.account_id, "WH1", **values)
        scheduler.upkeep()
    assert bell.webhooks == 2


def test_one_kind_of_upkeep_that_fails_keeps_no_other_from_its_turn(
    world: World, bell: Bell, scheduler: Scheduler
) -> None:
    world.campaign(world.contact_list(people(1)), repeat_policy=repeating(1))
    (placement,) = world.claim(world.release()).placements
    with writing(world.engine) as connection:
        connection.execute(t.attempt.update().values(deadline_at=world.clock.now - timedelta(days=1)))
    bell.consume_events = None  # type: ignore[assignment]  # ringing for events breaks
    world.clock.now -= timedelta(minutes=1)
    world.tell_raw("type=whatever")
    scheduler.upkeep()
    assert world.attempt(placement.submission.attempt_id).state == "UNKNOWN"


def test_a_scheduler_waits_for_a_database_that_is_away_and_goes_on(
    world: World, bell: Bell, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.05)
    world.campaign(world.contact_list(people(3)))
    with writing(world.engine) as connection:
        connection.execute(sa.text("ALTER TABLE campaign RENAME TO campaign_away"))
    running = threading.Thread(target=scheduler.run)
    running.start()
    try:
        with writing(world.engine) as connection:
            connection.execute(sa.text("ALTER TABLE campaign_away RENAME TO campaign"))
        deadline = threading.Event()
        for _ in range(2000):
            if len(bell.calls) == 3:
                break
            deadline.wait(0.01)
    finally:
        scheduler.stopping.set()
        running.join(30)
    assert len(bell.calls) == 3
    assert not running.is_alive()


def test_two_campaigns_without_a_pace_of_their_own_share_their_provider_evenly(world: World) -> None:
    world.set_provider(calls_per_minute=60 * 100)
    world.limiter.take(Stage.RELEASE, world.provider_id, [Pace("provider", world.provider_id, 6000)], 1000)
    both = [world.campaign(world.contact_list(people(400, start=1000 * one))) for one in range(2)]
    served: Counter[str] = Counter()
    largest = 0

    def now(_: Connection) -> datetime:
        return datetime.now(UTC)

    while served.total() < 400:  # long enough that one batch more or less does not tell
        visit = visit_next(world.engine, world.limiter, now)
        if visit is not None and visit.released:
            served[visit.campaign_id] += len(visit.released)
            largest = max(largest, len(visit.released))
            with writing(world.engine) as connection:  # a worker takes them
                connection.execute(
                    t.call.update().where(t.call.c.id.in_(visit.released)).values(state="IN_PROGRESS")
                )
    # A batch is what has come since the last one: large after a pause of the machine.
    one, other = (served[campaign] for campaign in both)
    assert abs(one - other) <= max(0.1 * served.total(), 2 * largest), served


def test_campaigns_whose_provider_has_enough_for_all_reach_each_its_own_pace(world: World) -> None:
    world.set_provider(calls_per_minute=60 * 100)
    for one in range(4):
        world.campaign(world.contact_list(people(40, start=1000 * one)), calls_per_minute=600)
    visits = [visit_next(world.engine, world.limiter, world.clock) for _ in range(8)]  # begun, and released
    assert [len(visit.released) for visit in visits if visit is not None and visit.released] == [20] * 4
    assert visit_next(world.engine, world.limiter, world.clock) is None, "each waits for its own pace"


def test_campaigns_with_a_pace_and_without_share_their_provider(world: World) -> None:
    world.set_provider(calls_per_minute=60 * 100)
    slow = world.campaign(world.contact_list(people(100)), calls_per_minute=60 * 20)
    fast = world.campaign(world.contact_list(people(400, start=1000)))
    served: Counter[str] = Counter()
    world.redis.flushall()
    while served.total() < 300:
        visit = visit_next(world.engine, world.limiter)
        if visit is not None and visit.released:
            served[visit.campaign_id] += len(visit.released)
            with writing(world.engine) as connection:
                connection.execute(
                    t.call.update().where(t.call.c.id.in_(visit.released)).values(state="IN_PROGRESS")
                )
    assert served[slow] >= 20
    assert served[fast] >= 150


def test_a_round_is_cut_short_so_that_upkeep_has_its_turn(
    world: World, scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "VISITS", 2)
    world.campaign(world.contact_list(people(500)))
    assert scheduler.visit_all() is True
    assert world.clock.now > NOON


def test_a_replica_sees_at_one_look_whether_anything_is_due(world: World) -> None:
    def is_due() -> bool:
        with looking(world.engine) as connection:
            return due.is_anything_due(connection)

    def set_all(table: sa.Table, **values: Any) -> None:
        with writing(world.engine) as connection:
            connection.execute(table.update().values(**values))

    soon, past = datetime.now(UTC) + timedelta(hours=1), datetime.now(UTC) - timedelta(seconds=1)
    assert not is_due()
    world.campaign(world.contact_list(people(1)))
    set_all(t.campaign, wake_at=past)
    assert is_due()
    set_all(t.campaign, wake_at=soon)
    assert not is_due()
    set_all(t.campaign, wake_at=None)
    world.otp("+46701112233")
    assert not is_due(), "it is released already"
    set_all(t.call, state="WAITING", due_at=soon)
    assert not is_due()
    set_all(t.call, due_at=past)
    assert is_due()
