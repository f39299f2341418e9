"""Look-ups: attempts whose end nobody has told are asked about at their provider.

What it says goes the way of events: the same facts, the same ledger. Whatever goes wrong leaves an attempt as it is:
it is due again (`workers.reconcile`), and settled at last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Engine

from dialer.calls.opt_out import Pressed, note_pressed
from dialer.db import AWAY, reading, utc_now, writing
from dialer.http import Client
from dialer.lifecycle import AttemptState
from dialer.logs import get_logger
from dialer.models.event import LOOK_UP
from dialer.pace.breaker import left_alone_until
from dialer.pace.limiter import Limiter, Pace, Stage
from dialer.providers.asking import look_up
from dialer.providers.base import Adapter
from dialer.providers.contract import Asked, Fact, ProviderError, RawEvent, Reply, TooManyRequestsError
from dialer.secrets import SecretError
from dialer.store import attempts, events, providers, unknown_words
from dialer.store.tables import AnyRow
from workers.claim import AdapterCache
from workers.kept import asked_event
from workers.outside import AT_ONCE, Outside
from workers.reconcile import end_unknown
from workers.results import apply, keep_references

log = get_logger(__name__)

#: Seconds from connecting to the whole answer.
TIMEOUT = 10.0
#: Seconds for a batch, less than a task may take; who was not asked by then is due again.
STINT = 25.0
#: Look-ups per minute at a provider: half of its pace of calls, between these.
FEWEST, MOST = 12, 300
#: Seconds that a provider is left alone after a 429 that does not say for how long.
REST = 30.0

Clock = Callable[[Connection], datetime]


def look_up_attempts(
    engine: Engine,
    limiter: Limiter,
    adapters: AdapterCache,
    outside: Outside,
    ids: Sequence[str],
    clock: Clock = utc_now,
) -> int:
    """Ask about those of these attempts whose end nobody has told; how many were asked about.

    Raises `redis.RedisError` when the pace cannot be asked, with nothing asked.
    """
    with reading(engine) as connection:
        now = clock(connection)
        open_ones = attempts.unsettled(connection, ids)
        rows = providers.with_ids(connection, {row.provider_id for row in open_ones})
    asking: list[_Asking] = []
    for provider_id, provider in rows.items():
        adapter = usable(adapters, provider, now)
        if adapter is None:
            continue
        theirs = [_asked(row) for row in open_ones if row.provider_id == provider_id]
        pace = Pace("provider", provider_id, rate(provider.calls_per_minute))
        grant = limiter.take(Stage.LOOK_UP, provider_id, [pace], len(theirs))
        asking.append(_Asking(provider, adapter, theirs[: grant.calls]))
        _queue(engine, theirs[grant.calls :], now, timedelta(seconds=grant.wait), pace)
    outside.run(_ask_all(outside.client, asking))
    for one in asking:
        if one.held_for is not None:
            hold(engine, limiter, one.provider.id, one.held_for, clock)
        _write(engine, adapters, one, clock)
    return sum(len(one.asked) for one in asking)


def rate(calls_per_minute: int | None) -> int:
    """Look-ups per minute beside so many calls."""
    return MOST if calls_per_minute is None else min(max(calls_per_minute // 2, FEWEST), MOST)


def usable(adapters: AdapterCache, provider: AnyRow, now: datetime) -> Adapter | None:
    """The adapter of a provider that may be asked now."""
    if left_alone_until(provider, now) is not None:
        return None
    try:
        return adapters.of(provider)
    except (ProviderError, SecretError) as error:
        log.error("provider cannot be asked", provider=provider.name, error=str(error))
        return None


def hold(engine: Engine, limiter: Limiter, provider_id: str, seconds: float, clock: Clock) -> None:
    """After a 429 nobody calls the provider until its time is over. Its pace of calls is not to blame."""
    limiter.hold(provider_id, seconds, slow_down=False)
    with writing(engine) as connection:
        providers.hold(connection, provider_id, clock(connection) + timedelta(seconds=seconds))
    log.info("provider held after a look-up", provider_id=provider_id, seconds=round(seconds, 3))


@dataclass(slots=True)
class _Asking:
    """A provider, what it is asked, and what it answers."""

    provider: AnyRow
    adapter: Adapter
    asked: list[Asked]
    #: By attempt: what it said, or None where it cannot be asked; and its replies as they came.
    answers: dict[str, list[Fact] | None] = field(default_factory=dict)
    replies: dict[str, Reply] = field(default_factory=dict)
    held_for: float | None = None


def _queue(engine: Engine, waiting: Sequence[Asked], now: datetime, wait: timedelta, pace: Pace) -> None:
    """Who found no token is due again when there is one, one after the other; or before, when that is due anyhow."""
    if not waiting:
        return
    turns = {
        asked.attempt_id: now + wait + place * timedelta(minutes=1) / pace.calls_per_minute
        for place, asked in enumerate(waiting)
    }
    with writing(engine) as connection:
        locked = attempts.lock(connection, sorted(turns))
        attempts.update(
            connection,
            [
                {"_id": key, "settle_at": min(row.settle_at, turns[key])}
                for key, row in locked.items()
                if row.settle_at is not None
            ],
        )


def _asked(row: AnyRow) -> Asked:
    return Asked(row.id, row.provider_reference, row.e164, row.caller_id, row.submitted_at)


async def _ask_all(client: Client, asking: Sequence[_Asking]) -> None:
    places = asyncio.Semaphore(AT_ONCE)
    try:
        async with asyncio.timeout(STINT), asyncio.TaskGroup() as group:
            for one in asking:
                for asked in one.asked:
                    group.create_task(_ask(client, places, one, asked))
    except TimeoutError:
        log.warning("look-ups took too long; the rest is due again")


async def _ask(client: Client, places: asyncio.Semaphore, one: _Asking, asked: Asked) -> None:
    async with places:
        if one.held_for is not None:
            return
        try:
            hear = partial(one.replies.__setitem__, asked.attempt_id)
            facts = await look_up(client, one.adapter, asked, timeout=TIMEOUT, hear=hear)
        except TooManyRequestsError as error:
            one.held_for = max(one.held_for or 0.0, error.retry_after or REST)
        except ProviderError as error:
            log.warning("attempt not looked up", attempt_id=asked.attempt_id, error=str(error))
        else:
            one.answers[asked.attempt_id] = facts


def _write(engine: Engine, adapters: AdapterCache, one: _Asking, clock: Clock) -> None:
    """Together, and if that fails one by one, so that an odd one does not hold up the others."""
    answers = {key: facts for key, facts in one.answers.items() if facts is None or facts}
    if not answers:
        return
    try:
        _write_some(engine, adapters, one, answers, clock)
    except AWAY:
        raise
    except Exception:
        log.exception("look-ups cannot be written together", attempts=len(answers))
    else:
        return
    for attempt_id, facts in answers.items():
        try:
            _write_some(engine, adapters, one, {attempt_id: facts}, clock)
        except AWAY:
            raise
        except Exception:
            log.exception("look-up cannot be written", attempt_id=attempt_id)


def _write_some(
    engine: Engine,
    adapters: AdapterCache,
    one: _Asking,
    answers: dict[str, list[Fact] | None],
    clock: Clock,
) -> None:
    with writing(engine) as connection:
        now = clock(connection)
        locked = attempts.lock(connection, sorted(answers))
        told = _recognized(connection, one, locked, {key: facts for key, facts in answers.items() if facts})
        _keep_raw(connection, one, locked, told, now)
        note_pressed(connection, [Pressed(locked[key], facts) for key, facts in sorted(told.items())], now)
        if keep_references(connection, locked, told):
            locked = attempts.lock(connection, sorted(answers))
        apply(connection, [locked[key] for key in sorted(told)], told, now)
        # Who cannot be asked about is waited for as long as if nobody could be.
        within = adapters.reconcile_after or one.adapter.final_event_within
        silent = [
            row
            for key, row in locked.items()
            if answers[key] is None and row.settle_at is not None and row.submitted_at + within <= now
        ]
        if silent:
            end_unknown(connection, silent, now)


def _recognized(
    connection: Connection,
    one: _Asking,
    locked: Mapping[str, AnyRow],
    told: Mapping[str, Sequence[Fact]],
) -> dict[str, list[Fact]]:
    """The facts that are about the attempt that was asked about, each with its id.

    A provider that was asked without a reference of its own, because its reply to the submit was lost, may tell one
    now: unless it is that of another attempt.
    """
    named = {fact.provider_reference for facts in told.values() for fact in facts if fact.provider_reference}
    owners = attempts.ids_by_reference(connection, one.provider.id, named) if named else {}
    found: dict[str, list[Fact]] = {}
    for attempt_id, facts in sorted(told.items()):
        known = locked[attempt_id].provider_reference
        for fact in facts:
            reference = fact.provider_reference
            if fact.inbound is not None or fact.attempt_id not in ("", attempt_id):
                continue
            if not fact.attempt_id and reference and known not in (None, reference):
                continue
            if not fact.attempt_id and reference and owners.setdefault(reference, attempt_id) != attempt_id:
                continue
            found.setdefault(attempt_id, []).append(replace(fact, attempt_id=attempt_id))
    return found


def _keep_raw(
    connection: Connection,
    one: _Asking,
    locked: Mapping[str, AnyRow],
    told: Mapping[str, Sequence[Fact]],
    now: datetime,
) -> None:
    """Keep the replies that tell something new of the attempt that was asked about, for people to read; those that say
    of an end what is in no table are counted, too."""
    rows, odd = [], 0
    for attempt_id, facts in told.items():
        attempt, reply = locked[attempt_id], one.replies.get(attempt_id)
        is_odd = any(fact.is_unheard_of for fact in facts)
        # Without a reference all calls of that time were asked about.
        is_of_it_alone = reply is not None and attempt.provider_reference is not None
        if not is_odd and not (is_of_it_alone and _is_news(attempt, facts)):
            continue
        if reply is None:  # it was told in pages: the CDR alone
            kind, body = "application/json", next((fact.raw for fact in facts if fact.raw), b"")
        else:
            kind, body = reply.headers.get("content-type", ""), reply.body
        if is_odd:
            odd += 1
            log.warning("provider's event not understood", attempt_id=attempt_id)
        kept = one.adapter.kept(RawEvent(LOOK_UP, "", "", kind, body, None, now))
        rows.append(asked_event(one.provider.id, LOOK_UP, attempt_id, kind, kept.body, now, is_odd=is_odd))
    events.add(connection, rows)
    unknown_words.count(connection, {one.provider.id: odd} if odd else {}, now)


def _is_news(attempt: AnyRow, facts: Sequence[Fact]) -> bool:
    """Whether they tell of an end, a cost or a recording that is not known yet."""
    return attempt.state != AttemptState.ENDED or any(
        (fact.cost is not None and attempt.cost is None)
        or (fact.recording_name and not attempt.recording_name)
        for fact in facts
    )
