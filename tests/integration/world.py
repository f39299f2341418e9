"""A small world for tests of the engine's core: an account, a provider, lists and campaigns in a real database, with
a clock that the test holds, and a checker of everything that must hold after every step."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from redis import Redis
from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.calls import single
from dialer.calls.click_to_call import NewClickToCall
from dialer.calls.otp import NewOtp
from dialer.calls.repeats import RepeatPolicy, used_from_json
from dialer.calls.window import DEFAULT_WINDOW, CallingWindow, is_open
from dialer.campaigns import control
from dialer.campaigns.release import Visit, visit_next
from dialer.db import reading, writing
from dialer.lifecycle import (
    ATTEMPT_TRANSITIONS,
    CALL_ENDS,
    CALL_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    VERIFICATION_TRANSITIONS,
    AttemptState,
    CallKind,
    CallState,
    CampaignState,
    VerificationState,
)
from dialer.pace.breaker import Tally
from dialer.pace.limiter import Limiter
from dialer.providers.contract import Outcome, SubmitResult
from dialer.secrets import SecretBox
from dialer.store import announce_templates, campaigns, contacts, dnd, events, singles
from dialer.store import tables as t
from dialer.store.contacts import NewContact
from workers import cdrs, lookups, reconcile, replies, results
from workers.claim import AdapterCache, Claim, claim
from workers.outside import Outside

#: A Tuesday in winter, mid-day in Europe and India.
NOON = datetime(2026, 1, 13, 12, 0, tzinfo=UTC)
PUBLIC_URL = "https://dialer.example.com"
ALWAYS = {"start": "00:00", "end": "24:00"}


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: datetime = NOON

    def __call__(self, _: Connection) -> datetime:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def number(of: int) -> str:
    """The `of`-th phone number; its last digits are ordinary for the sandbox unless `of` says otherwise."""
    return f"+4670{of:07d}"


def people(count: int, start: int = 0, time_zone: str | None = None) -> list[NewContact]:
    """Contacts whose calls the sandbox answers: their numbers end in 50 to 99."""
    numbers = (number((start + place) // 50 * 100 + 50 + (start + place) % 50) for place in range(count))
    return [NewContact(e164, name="Ann", time_zone=time_zone) for e164 in numbers]


def repeating(most: int, delay: int = 60) -> dict[str, object]:
    """The policy that repeats every unanswered outcome up to `most` times after `delay` seconds."""
    return RepeatPolicy.of_retries(most, delay, None).to_json()


@dataclass
class World:
    """Makes things, takes the engine's steps one at a time, and checks."""

    engine: Engine
    redis_url: str
    clock: Clock = field(default_factory=Clock)
    box: SecretBox = field(default_factory=lambda: SecretBox(["test" * 8]))
    account_id: str = ""
    global_dnd: str = ""
    provider_id: str = ""
    told: int = 0
    to_look_up: list[str] = field(default_factory=list)
    #: What a dispatcher remembers: attempts let through by half-open breakers, and what went well.
    probes: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.redis = Redis.from_url(self.redis_url)
        self.limiter = Limiter(self.redis)
        self.adapters = AdapterCache(self.box, reconcile_after=None, public_url=PUBLIC_URL)
        self.account_id, self.global_dnd = self.account()
        self.provider_id = self.provider()

    def close(self) -> None:
        self.redis.close()
        if "outside" in self.__dict__:
            self.outside.close()

    @cached_property
    def outside(self) -> Outside:
        """The way to providers, for what places no call."""
        return Outside()

    # --- making things --------------------------------------------------------------------------------------

    def account(self, **values: Any) -> tuple[str, str]:
        """An account and its global DND list."""
        account_id = ids.account_id()
        with writing(self.engine) as connection:
            row = {
                "id": account_id,
                "name": account_id,
                "auth_hash": "x",
                "enabled": True,
                "time_zone": "UTC",
            }
            connection.execute(t.account.insert(), row | {"created_at": self.clock.now} | values)
            dnd_list_id = dnd.add_list(connection, account_id, "global", self.clock.now, is_global=True)
        return account_id, dnd_list_id

    def provider(self, base_url: str = "http://127.0.0.1:9", **values: Any) -> str:
        """A Mitto account for everybody."""
        provider_id = ids.provider_id()
        row = {
            "id": provider_id,
            "name": provider_id.lower(),
            "kind": "mitto",
            "base_url": base_url,
            "credentials": self.box.seal({"access_key": "key"}),
            "enabled": True,
            "priority": 100,
            "webhook_token": "token",
            "created_at": self.clock.now,
        }
        with writing(self.engine) as connection:
            connection.execute(t.provider.insert(), row | values)
        return provider_id

    def contact_list(self, given: Sequence[NewContact] = (), account_id: str | None = None) -> str:
        with writing(self.engine) as connection:
            list_id = contacts.add_list(
                connection, account_id or self.account_id, ids.list_id(), self.clock.now
            )
            contacts.add(connection, list_id, given, self.clock.now)
        return list_id

    def append(self, list_id: str, given: Sequence[NewContact]) -> None:
        with writing(self.engine) as connection:
            contacts.add(connection, list_id, given, self.clock.now)

    def campaign(self, list_id: str, dnd_lists: Sequence[str] = (), **values: Any) -> str:
        """A campaign that runs from now on, round the clock unless told otherwise."""
        campaign_id = ids.campaign_id()
        now = self.clock.now
        row = {
            "id": campaign_id,
            "account_id": self.account_id,
            "name": campaign_id,
            "type": 0,
            "state": CampaignState.RUNNING.value,
            "list_id": list_id,
            "caller_id": "15168148111",
            "announcement_text": "Good day",
            "repeat_count": 1,
            "voice": "Joanna",
            "volume": "medium",
            "rate": "medium",
            "pitch": "medium",
            "language_code": "en-US",
            "tts_engine_type": "standard",
            "time_zone": "UTC",
            "start_at": now,
            "end_at": now + timedelta(days=30),
            "calling_window": ALWAYS,
            "repeat_policy": {},
            "max_retries": 0,
            "retry_time": 0,
            "cursor": 0,
            "wake_at": now,
            "served_at": now,
            "created_at": now,
        }
        with writing(self.engine) as connection:
            campaigns.add(connection, row | values, dnd_lists)
        return campaign_id

    def otp(self, e164: str = "", *, account_id: str | None = None, **body: Any) -> str:
        """A call that speaks the password 1987, asked for; it is released unless nobody has a place for it."""
        given = {
            "customer_number": e164 or number(50),
            "otp": "1987",
            "announce_template_id": "AN1",
            "caller_id": "15168148111",
        }
        wanted = NewOtp.read(given | body, None)
        account_id = account_id or self.account_id
        with writing(self.engine) as connection:
            if announce_templates.get(connection, account_id, "AN1") is None:
                template = {"id": "AN1", "account_id": account_id, "text": "Your code is {otp}"}
                announce_templates.add(connection, template | {"created_at": self.clock.now})
            asked = singles.asked(connection, account_id, wanted.template_id)
        return self._add(asked, wanted.single(asked.template))

    def click(self, agent: str = "", destination: str = "", **body: Any) -> str:
        """A call that connects two people, asked for; it is released unless nobody has a place for it."""
        given = {
            "agent_number": agent or number(50),
            "destination_number": destination or number(51),
            "caller_id": "15168148111",
        }
        with reading(self.engine) as connection:
            asked = singles.asked(connection, self.account_id, "")
        return self._add(asked, NewClickToCall.read(given | body, None).single())

    def _add(self, asked: singles.Asked, wanted: single.NewSingle) -> str:
        return single.add(self.engine, replace(asked, now=self.clock.now), wanted).id

    def release_singles(self) -> list[str]:
        """Release the single calls that have waited for now."""
        return list(single.release_due(self.engine, self.limiter, self.clock))

    def dnd_list(self) -> str:
        """A named DND list, for a campaign to choose."""
        with writing(self.engine) as connection:
            return dnd.add_list(connection, self.account_id, ids.list_id(), self.clock.now)

    def forbid(self, *numbers: str, dnd_list_id: str | None = None) -> None:
        """Put numbers on a DND list."""
        with writing(self.engine) as connection:
            dnd.add_numbers(
                connection, dnd_list_id or self.global_dnd, [(one, "") for one in numbers], self.clock.now
            )

    def set_provider(self, **values: Any) -> None:
        with writing(self.engine) as connection:
            connection.execute(
                t.provider.update().where(t.provider.c.id == self.provider_id).values(**values)
            )

    # --- the engine's steps ---------------------------------------------------------------------------------

    def visit(self) -> Visit | None:
        return visit_next(self.engine, self.limiter, self.clock)

    def release(self, most: int = 200) -> list[str]:
        """Visit until nothing is due now; the calls released."""
        released: list[str] = []
        for _ in range(most):
            visit = self.visit()
            if visit is None:
                return released
            released += visit.released
        raise AssertionError(f"campaigns are still due after {most} visits")

    def claim(self, call_ids: Sequence[str]) -> Claim:
        with writing(self.engine) as connection:
            chosen = sa.select(t.call.c.campaign_id).where(t.call.c.id.in_(call_ids))
            single = not any(connection.execute(chosen).scalars())  # as their doorbell would say
            now = self.clock(connection)
            claimed = claim(connection, self.limiter, self.adapters, call_ids, now, single=single)
        self.probes |= {one.submission.attempt_id for one in claimed.placements if one.is_probe}
        return claimed

    def dial(self, call_ids: Sequence[str]) -> list[str]:
        """Claim, and have the provider take all that is claimed; the attempts."""
        claimed = self.claim(call_ids)
        attempt_ids = [placement.submission.attempt_id for placement in claimed.placements]
        self.answer(attempt_ids, Outcome.PLACED)
        return attempt_ids

    def answer(self, attempt_ids: Sequence[str], outcome: Outcome, **values: Any) -> None:
        """Write what the provider replied."""
        if outcome is Outcome.PLACED:
            answers = [
                SubmitResult(one, outcome, **{"provider_reference": one, **values}) for one in attempt_ids
            ]
        else:
            answers = [SubmitResult(one, outcome, **values) for one in attempt_ids]
        with writing(self.engine) as connection:
            replies.write(connection, answers, self.clock(connection), probes=self.probes, tally=self.tally)

    def tell(self, attempt_id: str, ending: str = "answered", *, provider_id: str | None = None) -> None:
        """Store a callback: `ringing`, or how it ended."""
        fields = {"type": "startCallback", "reference": attempt_id}
        if ending != "ringing":
            state, error = ENDINGS[ending]
            fields = {"type": "endCallback", "reference": attempt_id, "state": state, "error": error}
            fields["duration"] = "7" if ending == "answered" else "0"
        self.tell_raw(urlencode(fields), provider_id=provider_id)

    def tell_raw(self, query: str, *, provider_id: str | None = None, **values: Any) -> None:
        """Store a callback with this query; no two are taken for the same one."""
        self.told += 1
        row = {
            "provider_id": provider_id or self.provider_id,
            "dedupe_key": str(self.told),
            "state": "NEW",
            "method": "GET",
            "path": "",
            "query": query,
            "content_type": "",
            "body": b"",
            "received_at": self.clock.now,
            "error": "",
        }
        with writing(self.engine) as connection:
            events.add(connection, [row | values])

    def consume(self) -> None:
        while results.consume(self.engine, self.clock):
            pass

    def end(self, attempt_ids: Sequence[str], ending: str = "answered") -> None:
        """Have the provider say how they ended, and consume it."""
        for attempt_id in attempt_ids:
            self.tell(attempt_id, ending)
        self.consume()

    def reap(self) -> int:
        return reconcile.reap(self.engine, self.clock)

    def settle(self) -> int:
        """Settle what is due; what is to be looked up instead is in `to_look_up` then."""
        self.to_look_up = []
        return reconcile.settle(self.engine, self.clock, look_up=self.to_look_up.extend)

    def look_up(self, attempt_ids: Sequence[str]) -> int:
        return lookups.look_up_attempts(
            self.engine, self.limiter, self.adapters, self.outside, attempt_ids, self.clock
        )

    def read_cdrs(self) -> bool:
        return cdrs.read_cdrs(
            self.engine, self.limiter, self.adapters, self.outside, self.provider_id, self.clock
        )

    def pause(self, campaign_id: str) -> None:
        with writing(self.engine) as connection:
            control.pause(connection, None, campaign_id, self.clock.now)

    def resume(self, campaign_id: str) -> None:
        with writing(self.engine) as connection:
            control.resume(connection, None, campaign_id, self.clock.now)

    def stop(self, campaign_id: str) -> None:
        with writing(self.engine) as connection:
            control.stop(connection, None, campaign_id, self.clock.now)

    # --- looking ---------------------------------------------------------------------------------------------

    def rows(self, table: sa.Table, **where: Any) -> list[Any]:
        statement = sa.select(table).order_by(*table.primary_key.columns)
        for name, value in where.items():
            statement = statement.where(table.c[name] == value)
        with reading(self.engine) as connection:
            return list(connection.execute(statement).all())

    def call(self, call_id: str) -> Any:
        return self.rows(t.call, id=call_id)[0]

    def attempt(self, attempt_id: str) -> Any:
        return self.rows(t.attempt, id=attempt_id)[0]

    def campaign_row(self, campaign_id: str) -> Any:
        return self.rows(t.campaign, id=campaign_id)[0]

    def states(self, campaign_id: str) -> Counter[str]:
        """How many calls of the campaign are in each state."""
        return Counter(row.state for row in self.rows(t.call, campaign_id=campaign_id))

    def counts(self, campaign_id: str) -> dict[str, int]:
        with reading(self.engine) as connection:
            counted = campaigns.counts(connection, campaign_id)
        return {name: count for name, count in counted.items() if count}

    def check(self) -> None:
        """Everything that must hold whenever no transaction is open."""
        check(self.engine)


#: `state` and `error` of an endCallback, by how the call ended.
ENDINGS = {
    "answered": ("2", "0"),
    "busy": ("5", "17"),
    "no answer": ("5", "16"),
    "rejected": ("5", "21"),
    "no such number": ("5", "1"),
    "broken": ("5", "1001"),
    "unheard of": ("9", "9"),
}


def in_threads(*works: Callable[[], object]) -> None:
    """Run them all at once; the first error of any is raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


def statements(engine: Engine, do: Callable[[], object]) -> int:
    """How many statements that takes."""
    count = 0

    def counted(*_: Any) -> None:
        nonlocal count
        count += 1

    sa.event.listen(engine, "before_cursor_execute", counted)
    try:
        do()
    finally:
        sa.event.remove(engine, "before_cursor_execute", counted)
    return count


def check(engine: Engine) -> None:
    """Counters add up, history is unbroken, nobody is dialled twice, too often, or at night."""
    # All tables as of one moment: processes may still be writing. SQLite gives that to every transaction.
    snapshot = {} if engine.dialect.name == "sqlite" else {"isolation_level": "REPEATABLE READ"}
    with engine.connect().execution_options(**snapshot) as connection, connection.begin():
        every = {
            table.name: list(connection.execute(sa.select(table)).all())
            for table in (
                t.account,
                t.campaign,
                t.call,
                t.attempt,
                t.cdr,
                t.campaign_count,
                t.contact,
                t.verification,
                t.verification_send,
            )
        }
        every["history"] = list(connection.execute(sa.select(t.history).order_by(t.history.c.id)).all())
        every["contact_list"] = list(connection.execute(sa.select(t.contact_list)).all())
        every["message"] = list(connection.execute(sa.select(t.message)).all())
    calls = {row.id: row for row in every["call"]}
    attempts = defaultdict(list)
    for row in sorted(every["attempt"], key=lambda row: row.number):
        attempts[row.call_id].append(row)
    accounts = {row.id: row for row in every["account"]}
    for campaign in every["campaign"]:
        own = [row for row in calls.values() if row.campaign_id == campaign.id]
        _check_campaign(campaign, own, every)
        for call in own:
            _check_repeats(call, campaign, attempts[call.id])
            _check_window(call, campaign, accounts[campaign.account_id], attempts[call.id])
    said = {row.call_id: row for row in every["message"]}
    for call in calls.values():
        _check_attempts(call, attempts[call.id])
        assert (call.id in said) == (call.campaign_id is None)
        if call.kind == CallKind.OTP:  # the password is there for as long as it may be needed
            assert (said[call.id].code is not None) == (call.ended_at is None)
            assert said[call.id].text is None or call.ended_at is None
    _check_cdrs(every["cdr"], calls, every["attempt"])
    _check_verifications(every, calls)
    _check_history(every)


def _check_campaign(campaign: Any, own: list[Any], every: dict[str, list[Any]]) -> None:
    counts = {
        row.name: row[2] for row in every["campaign_count"] if row.campaign_id == campaign.id and row[2]
    }
    ends = Counter(row.state for row in own if row.state in CALL_ENDS)
    statuses = Counter(f"cdr.{row.dial_status}" for row in every["cdr"] if row.campaign_id == campaign.id)
    held = next(row.contact_count for row in every["contact_list"] if row.id == campaign.list_id)
    taken = counts.get("taken", 0)
    untaken = taken - len(own)
    over = campaign.state in (CampaignState.FINISHED, CampaignState.STOPPED) and campaign.wake_at is None
    if untaken:
        # Contacts that an end date or a stop came before are counted, not written one by one.
        assert over, f"{taken} contacts are counted as taken, {len(own)} have a call"
        end = CallState.CANCELLED if campaign.state == CampaignState.STOPPED else CallState.EXPIRED
        ends[end] += untaken
    assert {name: count for name, count in counts.items() if name in set(CallState)} == {
        str(state): count for state, count in ends.items() if count
    }
    assert {name: count for name, count in counts.items() if name.startswith("cdr.")} == statuses
    if over:
        assert all(row.state in CALL_ENDS for row in own), "a campaign is over with a call open"
        assert ends.total() == taken <= held
    # The cursor never steps over a contact.
    behind = {
        row.e164
        for row in every["contact"]
        if row.list_id == campaign.list_id and row.position <= campaign.cursor
    }
    assert behind == {row.e164 for row in own}
    assert len(own) == len(behind), "a number was taken twice"


def _check_repeats(call: Any, campaign: Any, attempts: list[Any]) -> None:
    policy = RepeatPolicy.parse(campaign.repeat_policy) if campaign.repeat_policy else RepeatPolicy()
    used = used_from_json(call.repeats)
    for disposition in used:
        rule = policy.rule_of(disposition)
        assert rule is not None
        assert policy.spent(used, disposition) <= rule.times
    assert policy.most is None or sum(used.values()) <= policy.most
    reached = [row for row in attempts if row.state not in (AttemptState.NOT_PLACED, AttemptState.REFUSED)]
    assert len(reached) <= 1 + sum(used.values()), "dialled more often than the policy allows"


def _check_window(call: Any, campaign: Any, account: Any, attempts: list[Any]) -> None:
    given = campaign.calling_window or account.calling_window
    window = CallingWindow.parse(given) if given else DEFAULT_WINDOW
    for row in attempts:
        assert is_open(window, ZoneInfo(call.time_zone), row.submitted_at), (
            "dialled outside the calling window"
        )
        assert campaign.start_at <= row.submitted_at < campaign.end_at


def _check_attempts(call: Any, attempts: list[Any]) -> None:
    assert [row.number for row in attempts] == list(range(1, call.dials + 1))
    final = {AttemptState.ENDED, AttemptState.NOT_PLACED, AttemptState.REFUSED}
    assert all(row.state in final for row in attempts[:-1]), (
        "dialled again before the last attempt had an end"
    )
    last = attempts[-1].state if attempts else None
    if call.state in (CallState.WAITING, CallState.RELEASED):
        assert last is None or last in final, "may be dialled again although its fate is open"
    if call.state == CallState.DIALLING:
        assert last == AttemptState.SUBMITTING
    if call.state == CallState.IN_PROGRESS:
        assert last not in final
        assert attempts[-1].settle_at is not None, "nobody would ever settle it"
    assert (call.ended_at is not None) == (call.state in CALL_ENDS)
    if call.state in (CallState.SUPPRESSED, CallState.EXPIRED, CallState.CANCELLED):
        assert last is None or last in final
    for row in attempts:
        assert row.settle_at is None or row.state not in final


def _check_cdrs(cdrs: list[Any], calls: dict[str, Any], attempts: list[Any]) -> None:
    recorded = {row.attempt_id: row for row in cdrs if row.attempt_id is not None}
    for attempt in attempts:
        has_end = attempt.disposition is not None and attempt.settle_at is None
        assert (attempt.id in recorded) == has_end, f"attempt {attempt.state} and its CDR disagree"
        if has_end and attempt.answered_at is None:
            assert recorded[attempt.id].disposition == attempt.disposition
    undialled = [row.call_id for row in cdrs if row.attempt_id is None]
    suppressed = [one for one in undialled if calls[one].state == CallState.SUPPRESSED]
    assert sorted(suppressed) == sorted(row.id for row in calls.values() if row.state == CallState.SUPPRESSED)
    # Whoever asked for a single call learns how it ended, dialled or not.
    told = {row.call_id for row in cdrs}
    assert {row.id for row in calls.values() if row.campaign_id is None and row.ended_at} <= told
    assert all(
        calls[one].campaign_id is None for one in undialled if calls[one].state != CallState.SUPPRESSED
    )


def _check_verifications(every: dict[str, list[Any]], calls: dict[str, Any]) -> None:
    """A code is kept for as long as it may be told, brought as often as may be, and not after it was told."""
    sends = defaultdict(list)
    for row in every["verification_send"]:
        sends[row.verification_id].append(calls[row.call_id])
    for one in every["verification"]:
        is_open = one.state == VerificationState.PENDING
        assert is_open == (one.code_hash is not None) == (one.sealed_code is not None)
        assert is_open == (one.wake_at is not None) == (one.ended_at is None)
        assert one.checks <= one.max_checks
        assert len(sends[one.id]) <= one.sends <= one.max_sends
        if one.state in (VerificationState.VERIFIED, VerificationState.CANCELLED):
            assert not [
                call for call in sends[one.id] if call.state in (CallState.WAITING, CallState.RELEASED)
            ]


def _check_history(every: dict[str, list[Any]]) -> None:
    machines: dict[str, Any] = {
        "campaign": CAMPAIGN_TRANSITIONS,
        "call": CALL_TRANSITIONS,
        "attempt": ATTEMPT_TRANSITIONS,
        "verification": VERIFICATION_TRANSITIONS,
    }
    stands: dict[str, str] = {}
    for row in every["history"]:
        assert row.to_state in machines[row.machine][row.from_state], f"{row.from_state} → {row.to_state}"
        assert stands.get(row.entity_id, row.from_state) == row.from_state, (
            "a change is missing in the history"
        )
        stands[row.entity_id] = row.to_state
    for name in machines:
        for row in every[name]:
            assert stands.get(row.id, row.state) == row.state, f"a {name} moved without a word in the history"
