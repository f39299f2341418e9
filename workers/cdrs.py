"""CDRs of providers: read page by page, they fill durations and costs and settle what events left open.

A provider's CDRs are read again and again, each time from a little before where the last reading ended; what is known
already changes nothing. A CDR that says another end than the events did is noted at its attempt and counted. Nobody
is dialled for what a CDR says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from dialer.calls.opt_out import Pressed, note_pressed
from dialer.db import AWAY, reading, utc_now, writing
from dialer.ids import first_call_id
from dialer.lifecycle import DIAL_STATUS, AttemptState, Disposition
from dialer.logs import get_logger
from dialer.pace.limiter import Limiter, Pace, Stage
from dialer.providers.asking import read_cdr_page
from dialer.providers.base import Adapter
from dialer.providers.contract import Fact, ProviderError, TooManyRequestsError
from dialer.providers.kinds import adapter_class, adapter_kinds
from dialer.store import attempts, cdr_polls, events, meters, providers, unknown_words
from dialer.store import inbound as store
from dialer.store.tables import AnyRow
from workers import inbound
from workers.claim import AdapterCache
from workers.kept import asked_event
from workers.lookups import REST, hold, rate, usable
from workers.outside import Outside
from workers.results import GROUP, apply

log = get_logger(__name__)

#: Each reading begins so much before the end of the last one: providers write some CDRs late.
OVERLAP = timedelta(minutes=30)
#: What is read at most in one span, and how far the first reading goes back.
LONGEST_SPAN = timedelta(days=1)
#: What is told of a call that ended within a span, such as when it was answered, is not older than so much before it.
LONGEST_CALL = timedelta(hours=4)
#: How long those of a provider are read that was disabled: its last calls end meanwhile, and their CDRs are written.
READ_ON_FOR = timedelta(days=1)
#: Seconds from connecting to the whole page.
TIMEOUT = 15.0
#: Seconds after which the rest is left to the next doorbell.
STINT = 15.0

#: The method of an event that is one of the provider's CDRs.
CDR = "CDR"

Clock = Callable[[Connection], datetime]


def claim_due(engine: Engine, clock: Clock = utc_now) -> list[str]:
    """The providers whose CDRs are to be read now; they are due again after their kind's time."""
    kinds = [kind for kind in adapter_kinds() if adapter_class(kind).keeps_cdrs()]
    if not kinds:
        return []
    with writing(engine) as connection:
        now = clock(connection)
        return [
            row.id
            for row in cdr_polls.due(connection, kinds, now, disabled_since=now - READ_ON_FOR)
            if cdr_polls.claim(connection, row.id, row.due_at, now + adapter_class(row.kind).cdrs_every)
        ]


def read_cdrs(
    engine: Engine,
    limiter: Limiter,
    adapters: AdapterCache,
    outside: Outside,
    provider_id: str,
    clock: Clock = utc_now,
) -> bool:
    """Read on in a provider's CDRs for one stint; whether that was all there is to read for now.

    Raises `redis.RedisError` when the pace cannot be asked. What was not read is read at the next time.
    """
    until = time.monotonic() + STINT
    before: set[str] = set()  # whom the page before, of the same span, told of
    while time.monotonic() < until:
        with reading(engine) as connection:
            now = clock(connection)
            provider = providers.with_ids(connection, [provider_id]).get(provider_id)
            poll = cdr_polls.of(connection, provider_id)
        adapter = usable(adapters, provider, now) if provider is not None else None
        if (
            provider is None
            or poll is None
            or adapter is None
            or _is_passed_over(engine, adapter, provider, poll, now)
        ):
            return True
        pace = Pace("provider", provider_id, rate(provider.calls_per_minute))
        grant = limiter.take(Stage.LOOK_UP, provider_id, [pace], 1)
        if grant.blocker == "hold":
            return True
        if not grant.calls:
            time.sleep(min(grant.wait, STINT))
            continue
        since, span_end = _span(provider, poll, now)
        asking = read_cdr_page(outside.client, adapter, since, span_end, poll.page, timeout=TIMEOUT)
        try:
            page = outside.run(asking)
        except TooManyRequestsError as error:
            hold(engine, limiter, provider_id, error.retry_after or REST, clock)
            return True
        except ProviderError as error:
            log.warning("CDRs not read", provider_id=provider_id, error=str(error))
            _begin_anew(engine, poll)
            return True
        # Some providers tell whole days, however little of them is asked for.
        fresh = [fact for fact in page.facts if fact.at >= since - LONGEST_CALL]
        _take_in(engine, provider_id, fresh, clock)
        is_last = page.next in (None, poll.page)
        told = {_known_by(fact, poll.page) for fact in page.facts}
        if page.is_cut or (not is_last and told and told <= before):
            # A server that tells the same page again and again is not asked for ever.
            log.error("CDRs not read to their end", provider_id=provider_id, until=span_end.isoformat())
            is_last = True
        before = set() if is_last else told
        is_ours = _read_on(engine, poll, None if is_last else page.next, span_end)
        if not is_ours or (is_last and span_end >= now):
            return True
    return False


def _known_by(fact: Fact, page: str | None) -> str:
    """What a page that comes again is told by. Several pages may tell of one call that came in."""
    if fact.inbound is not None:
        return f"{page} {fact.inbound.session}"
    return fact.attempt_id or fact.provider_reference or ""


def _is_passed_over(engine: Engine, adapter: Adapter, provider: AnyRow, poll: AnyRow, now: datetime) -> bool:
    """Whether there is nothing to read until now, which is noted: CDRs of calls that came in, and none has."""
    since, _ = _span(provider, poll, now)
    if not adapter.cdrs_of_inbound:
        return False
    with writing(engine) as connection:
        if store.is_any_since(connection, provider.id, first_call_id(since - LONGEST_CALL)):
            return False
        cdr_polls.advance(connection, poll, read_to=now, reading_to=None, page=None)
    return True


def _span(provider: AnyRow, poll: AnyRow, now: datetime) -> tuple[datetime, datetime]:
    since = max(provider.created_at, now - LONGEST_SPAN) if poll.read_to is None else poll.read_to
    return since - OVERLAP, poll.reading_to or min(now, since + LONGEST_SPAN)


def _read_on(engine: Engine, poll: AnyRow, following: str | None, span_end: datetime) -> bool:
    """Note that a page is read, and which one follows; whether nobody else reads the same."""
    with writing(engine) as connection:
        if following is None:
            return cdr_polls.advance(connection, poll, read_to=span_end, reading_to=None, page=None)
        return cdr_polls.advance(connection, poll, reading_to=span_end, page=following)


def _begin_anew(engine: Engine, poll: AnyRow) -> None:
    """A page that cannot be read may be one that the provider knows no more: the span is read from its start."""
    if poll.page is not None:
        with writing(engine) as connection:
            cdr_polls.advance(connection, poll, reading_to=None, page=None)


def _take_in(engine: Engine, provider_id: str, facts: Sequence[Fact], clock: Clock) -> None:
    _learn(engine, provider_id, [fact for fact in facts if fact.inbound is not None], clock)
    told = [fact for fact in facts if fact.inbound is None]  # calls that came in are no attempts
    for start in range(0, len(told), GROUP):
        group = told[start : start + GROUP]
        try:
            _take_in_group(engine, provider_id, group, clock)
        except AWAY:
            raise
        except Exception:
            log.exception("CDRs cannot be taken in together", cdrs=len(group))
            for fact in group:
                _take_in_alone(engine, provider_id, fact, clock)


def _learn(engine: Engine, provider_id: str, facts: Sequence[Fact], clock: Clock) -> None:
    for start in range(0, len(facts), GROUP):
        try:
            with writing(engine) as connection:
                inbound.learn(connection, provider_id, facts[start : start + GROUP], clock(connection))
        except AWAY:
            raise
        except Exception:
            # As below: what is lost with them are costs and recordings.
            log.exception("CDR cannot be taken in", provider_id=provider_id)


def _take_in_alone(engine: Engine, provider_id: str, fact: Fact, clock: Clock) -> None:
    try:
        _take_in_group(engine, provider_id, [fact], clock)
    except AWAY:
        raise
    except Exception:
        # An odd one must not keep those after it from being read.
        log.exception("CDR cannot be taken in", provider_id=provider_id)


def _take_in_group(engine: Engine, provider_id: str, group: Sequence[Fact], clock: Clock) -> None:
    with writing(engine) as connection:
        theirs = {fact.provider_reference or "" for fact in group if not fact.attempt_id} - {""}
        ids = attempts.ids_by_reference(connection, provider_id, theirs) if theirs else {}
        by_attempt: dict[str, list[Fact]] = {}
        for fact in group:
            attempt_id = fact.attempt_id or ids.get(fact.provider_reference or "", "")
            if attempt_id:  # else it is of a call that was not ours
                by_attempt.setdefault(attempt_id, []).append(replace(fact, attempt_id=attempt_id))
        locked = {
            attempt_id: row
            for attempt_id, row in attempts.lock(connection, sorted(by_attempt)).items()
            if row.provider_id == provider_id
        }
        now = clock(connection)
        note_pressed(connection, [Pressed(row, by_attempt[key]) for key, row in locked.items()], now)
        _keep_raw(connection, provider_id, locked, by_attempt, now)
        apply(connection, list(locked.values()), by_attempt, now)
        noted = [
            {"_id": row.id, "detail": f"{row.detail}; {note}" if row.detail else note}
            for row in locked.values()
            if (note := disagreement(row, by_attempt[row.id])) and note not in row.detail
        ]
        if noted:
            attempts.update(connection, noted)
            cdr_polls.count_disagreements(connection, provider_id, len(noted))
            meters.add(connection, {(meters.DISAGREEMENT, provider_id, ""): len(noted)})
            log.warning("CDRs disagree with events", provider_id=provider_id, attempts=len(noted))


def _keep_raw(
    connection: Connection,
    provider_id: str,
    locked: Mapping[str, AnyRow],
    told: Mapping[str, Sequence[Fact]],
    now: datetime,
) -> None:
    """Keep and count CDRs that say of an end what is in no table, for people to read; not again each time."""
    odd = [
        asked_event(provider_id, CDR, row.id, "application/json", fact.raw, now, is_odd=True)
        for row in locked.values()
        if row.settle_at is not None
        for fact in told[row.id]
        if fact.raw and fact.is_unheard_of
    ]
    if odd:
        log.warning("provider's event not understood", provider_id=provider_id, cdrs=len(odd))
        events.add(connection, odd)
        unknown_words.count(connection, {provider_id: len(odd)}, now)


def disagreement(attempt: AnyRow, told: Iterable[Fact]) -> str | None:
    """A few words about a CDR that says another end than the attempt's; None when they agree, or one of them says
    nothing. Words that are one in the words of the first-generation API agree."""
    if attempt.state != AttemptState.ENDED or attempt.disposition in (None, Disposition.UNKNOWN):
        return None
    ours = Disposition(attempt.disposition)
    theirs = {fact.disposition for fact in told if fact.state is AttemptState.ENDED}
    known = {one for one in theirs if one is not None and one is not Disposition.UNKNOWN}
    if not known or DIAL_STATUS[ours] in {DIAL_STATUS[one] for one in known}:
        return None
    return f"ended {ours}, and its CDR says {', '.join(sorted(known))}"
