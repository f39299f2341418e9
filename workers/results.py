"""Results: stored events advance attempts and calls, close CDRs, and decide on repeats."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from dialer.calls import opt_out, provider_repeats
from dialer.calls.ledger import Ledger, standing_of
from dialer.calls.progress import advance
from dialer.db import AWAY, utc_now, writing
from dialer.logs import get_logger
from dialer.models.event import EventState
from dialer.providers.contract import EventError, Fact, RawEvent, TextMessage
from dialer.providers.kinds import adapter_class
from dialer.providers.live import Question
from dialer.store import attempts, calls, campaigns, events, unknown_words
from dialer.store.tables import AnyRow, Rows
from workers import inbound, text_messages
from workers.kept import UNKNOWN_WORD
from workers.text_messages import Written

log = get_logger(__name__)

#: Events consumed in one transaction.
GROUP = 500
#: … looked at of an attempt whose repeats its provider makes, to count its dials.
MOST_EVENTS = 1000
#: A consumer whose group held fewer events than this leaves.
FEW = 200

Clock = Callable[[Connection], datetime]


@dataclass(slots=True)
class _Told:
    """What one event says, and what is to be noted of it."""

    provider_id: str
    mark: dict[str, Any]
    received_at: datetime
    #: What somebody who called in was given, as it is stored.
    given: Mapping[str, Any] | None = None
    facts: Sequence[Fact] = ()
    #: What its provider asked with it, where that waits for an answer.
    question: Question | None = None
    #: What somebody has written back.
    message: TextMessage | None = None
    #: What its provider calls the line by.
    handles: Mapping[str, str] = field(default_factory=dict)

    @property
    def attempt_id(self) -> str:
        """The attempt that it speaks of; none or another's may be meant."""
        if self.question is not None:
            return self.question.attempt_id
        return next((fact.attempt_id for fact in self.facts), "")

    @property
    def reference(self) -> str | None:
        """The provider's own reference, where its facts do not hold ours."""
        return next((fact.provider_reference for fact in self.facts if not fact.attempt_id), None)


def consume(engine: Engine, clock: Clock = utc_now, limit: int = GROUP) -> int:
    """Consume one group of events; how many there were. Safe in any number of processes at once."""
    claimed: Rows = ()
    try:
        with writing(engine) as connection:
            claimed = events.claim(connection, limit)
            if claimed:
                consume_claimed(connection, claimed, clock(connection))
    except AWAY:
        raise
    except Exception:
        if not claimed:
            raise
        log.exception("events cannot be consumed together", events=len(claimed))
        for row in claimed:
            _consume_alone(engine, row.id, clock)
    return len(claimed)


def keep_consuming(engine: Engine, clock: Clock = utc_now, *, seconds: float) -> None:
    """Consume events while they come in large groups, or for so many seconds. Few are left to the next doorbell, which
    webhooks ring as long as events come: consumers that lingered would answer fewer doorbells than are rung."""
    until = time.monotonic() + seconds
    while consume(engine, clock, GROUP) >= FEW and time.monotonic() < until:
        pass


def _consume_alone(engine: Engine, event_id: int, clock: Clock) -> None:
    """One event that cannot be applied must not hold up all that come after it; it is kept raw."""
    try:
        with writing(engine) as connection:
            row = events.claim_one(connection, event_id)
            if row is not None:  # else another consumer was faster
                consume_claimed(connection, [row], clock(connection))
    except AWAY:
        raise
    except Exception as error:
        log.exception("event cannot be applied", event_id=event_id)
        with writing(engine) as connection:
            mark = _mark(event_id, EventState.UNREADABLE, type(error).__name__)
            events.mark(connection, [mark], clock(connection))


def consume_claimed(connection: Connection, claimed: Rows, now: datetime) -> None:
    """Consume events that this transaction holds."""
    told = _read(claimed)
    _find(connection, told)
    spoken_of = {fact.attempt_id for one in told for fact in one.facts}
    spoken_of.update(one.question.attempt_id for one in told if one.question is not None)
    locked = attempts.lock(connection, sorted(spoken_of - {""}))
    facts: dict[str, list[Fact]] = {}
    for one in told:
        for fact in one.facts:
            if fact.inbound is not None:
                continue  # it is no attempt's
            attempt = locked.get(fact.attempt_id)
            # A provider speaks of the attempts it was given and of no others.
            if attempt is None or attempt.provider_id != one.provider_id:
                one.mark.update(state=EventState.UNMATCHED.value)
            else:
                one.mark.update(attempt_id=attempt.id)
                facts.setdefault(attempt.id, []).append(fact)
    heard = [
        call
        for one in told
        for call in inbound.heard_of(one.provider_id, one.facts, one.question, one.received_at, one.given)
    ]
    if heard:
        inbound.note(connection, heard, now)
    opt_out.note_pressed(
        connection,
        [
            opt_out.Pressed(attempt, one.facts, one.question)
            for one in told
            if (attempt := locked.get(one.attempt_id)) is not None and attempt.provider_id == one.provider_id
        ],
        now,
    )
    text_messages.note(
        connection, [Written(one.provider_id, one.message) for one in told if one.message is not None], now
    )
    if keep_references(connection, locked, facts):
        locked = attempts.lock(connection, sorted(facts))
    _keep_handles(connection, locked, told)
    apply(connection, [locked[attempt_id] for attempt_id in sorted(facts)], facts, now)
    events.mark(connection, [one.mark for one in told], now)
    _count_unknown_words(connection, told, now)
    # What speaks of an attempt by a reference that nobody knows may have come before the reply that tells it.
    early = [one for one in told if one.mark["state"] == EventState.UNMATCHED and one.reference]
    if early:
        events.keep_references(
            connection, [{"_id": one.mark["_id"], "reference": one.reference} for one in early]
        )


def _keep_handles(connection: Connection, locked: Mapping[str, AnyRow], told: Sequence[_Told]) -> None:
    """Note what lines are called by: whoever wants to hang up, record or transfer a call needs it."""
    found: dict[str, dict[str, Any]] = {}
    for one in told:
        attempt = locked.get(one.attempt_id)
        if one.handles and attempt is not None and attempt.provider_id == one.provider_id:
            found.setdefault(attempt.id, dict(attempt.handles or {})).update(one.handles)
    learned = [
        {"_id": attempt_id, "handles": handles}
        for attempt_id, handles in sorted(found.items())
        if handles != locked[attempt_id].handles
    ]
    attempts.update(connection, learned)


def _count_unknown_words(connection: Connection, told: Sequence[_Told], now: datetime) -> None:
    """Events that were not understood are kept, and counted by provider: somebody should look at them."""
    odd = [
        one
        for one in told
        if one.mark["error"] and one.mark["state"] in (EventState.CONSUMED, EventState.UNREADABLE)
    ]
    for one in odd:
        log.warning("provider's event not understood", event_id=one.mark["_id"])
    unknown_words.count(connection, Counter(one.provider_id for one in odd), now)


def _find(connection: Connection, told: Sequence[_Told]) -> None:
    """Put our references for the providers' own, where those are all that facts hold."""
    asked: dict[str, set[str]] = {}
    for one in told:
        if one.reference:
            asked.setdefault(one.provider_id, set()).add(one.reference)
    ids = {
        (provider_id, reference): attempt_id
        for provider_id, references in asked.items()
        for reference, attempt_id in attempts.ids_by_reference(connection, provider_id, references).items()
    }
    for one in told:
        if one.reference:
            found = ids.get((one.provider_id, one.reference), "")
            one.facts = [fact if fact.attempt_id else replace(fact, attempt_id=found) for fact in one.facts]


def _read(claimed: Rows) -> list[_Told]:
    """The events in our words."""
    told = []
    for row in claimed:
        one = _Told(row.provider_id, _mark(row.id, EventState.CONSUMED), row.received_at, row.given)
        try:
            adapter = adapter_class(row.kind)
            one.facts = adapter.read_event(_raw(row))
            one.mark.update(error=adapter.read_alarm(_raw(row)))
            one.message = None if one.facts else adapter.read_text_message(_raw(row))
            one.question = adapter.read_question(_raw(row)) if adapter.asks else None
            one.handles = adapter.read_handles(_raw(row)) if adapter.asks else {}
        except EventError as error:
            one.mark.update(state=EventState.UNREADABLE.value, error=str(error))
        except Exception as error:
            # One odd event must not hold up all the others; it is kept raw.
            log.exception("event cannot be read", event_id=row.id)
            one.mark.update(state=EventState.UNREADABLE.value, error=type(error).__name__)
        if any(fact.is_unheard_of for fact in one.facts):
            one.mark.update(error=UNKNOWN_WORD)
        told.append(one)
    return told


def _mark(event_id: int, state: EventState, error: str = "") -> dict[str, Any]:
    return {"_id": event_id, "state": state.value, "attempt_id": None, "error": error}


def apply(connection: Connection, locked: Rows, facts: dict[str, list[Fact]], now: datetime) -> None:
    """Advance these locked attempts by their facts, by attempt."""
    their_calls = calls.lock(connection, sorted({row.call_id for row in locked}))
    their_campaigns = campaigns.with_ids(
        connection, sorted({row.campaign_id for row in locked if row.campaign_id})
    )
    before = _told_before(connection, [row for row in locked if row.provider_repeats is not None], facts)
    ledger = Ledger(now)
    for attempt in locked:
        told, known = facts[attempt.id], before.get(attempt.id, ())
        _advance(ledger, attempt, their_calls, their_campaigns, told, known)
    ledger.write(connection)


def _told_before(
    connection: Connection, repeated: Rows, facts: dict[str, list[Fact]]
) -> dict[str, list[Fact]]:
    """What the providers have told before of attempts whose repeats they make, where they tell now of an end."""
    ended = [row.id for row in repeated if any(map(provider_repeats.is_end, facts[row.id]))]
    before: dict[str, list[Fact]] = {}
    rows = events.of_attempts(connection, ended, MOST_EVENTS * len(ended)) if ended else []
    for row in rows:
        with suppress(EventError):  # of this one nothing was understood before, either
            before.setdefault(row.attempt_id, []).extend(
                adapter_class(row.provider_kind).read_event(_raw(row))
            )
    return before


def keep_references(
    connection: Connection, locked: Mapping[str, AnyRow], told: Mapping[str, Sequence[Fact]]
) -> bool:
    """Note the provider's references of attempts that had none, their replies being lost or still to come: they can be
    looked up by them. Whether there were any."""
    learned = []
    for attempt_id, facts in told.items():
        reference = next((fact.provider_reference for fact in facts if fact.provider_reference), None)
        if reference is not None and locked[attempt_id].provider_reference is None:
            learned.append({"_id": attempt_id, "provider_reference": reference})
    attempts.update(connection, learned)
    return bool(learned)


def _advance(
    ledger: Ledger,
    attempt: AnyRow,
    their_calls: dict[str, AnyRow],
    their_campaigns: dict[str, AnyRow],
    told: Sequence[Fact],
    before: Sequence[Fact],
) -> None:
    standing = advance(standing_of(attempt), provider_repeats.heard(attempt, told, before))
    if standing.contradicted:
        log.warning("provider spoke of an attempt held as never placed", attempt_id=attempt.id)
    campaign = their_campaigns.get(attempt.campaign_id or "")
    settle_at = provider_repeats.due_at(attempt, told)
    ledger.advance(attempt, their_calls[attempt.call_id], campaign, standing, settle_at)


def _raw(row: AnyRow) -> RawEvent:
    return RawEvent(
        method=row.method,
        path=row.path,
        query=row.query,
        content_type=row.content_type,
        body=row.body,
        authorization=None,
        received_at=row.received_at,
    )
