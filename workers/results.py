"""Results: stored events advance attempts and calls, close CDRs, and decide on repeats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from dialer.calls.ledger import Ledger, standing_of
from dialer.calls.progress import advance
from dialer.db import utc_now, writing
from dialer.lifecycle import Disposition
from dialer.logs import get_logger
from dialer.models.event import EventState
from dialer.providers.base import (
    EventError,
    Fact,
    RawEvent,
    adapter_class,
)
from dialer.store import attempts, calls, campaigns, events, providers
from dialer.store.tables import AnyRow, Rows

log = get_logger(__name__)

#: Events consumed in one transaction.
GROUP = 500

Clock = Callable[[Connection], datetime]


def consume(engine: Engine, clock: Clock = utc_now, limit: int = GROUP) -> int:
    """Consume one group of events; how many there were. Safe in any number of processes at once."""
    with writing(engine) as connection:
        claimed = events.claim(connection, limit)
        if claimed:
            now = clock(connection)
            facts, marks = _read(connection, claimed)
            unmatched = _apply(connection, facts, now)
            for mark in marks:
                if mark["attempt_id"] in unmatched:
                    mark.update(state=EventState.UNMATCHED.value)
            events.mark(connection, marks, now)
    return len(claimed)


def _read(connection: Connection, claimed: Rows) -> tuple[dict[str, list[Fact]], list[dict[str, Any]]]:
    """The events in our words, by attempt, and what is to be noted of each event."""
    known = providers.with_ids(connection, {row.provider_id for row in claimed})
    facts: dict[str, list[Fact]] = {}
    marks = []
    for row in claimed:
        mark = {"_id": row.id, "state": EventState.CONSUMED.value, "attempt_id": None, "error": ""}
        try:
            told = adapter_class(known[row.provider_id].kind).read_event(_raw(row))
        except EventError as error:
            mark.update(state=EventState.UNREADABLE.value, error=str(error))
        except Exception as error:
            # One odd event must not hold up all the others; it is kept raw.
            log.exception("event cannot be read", event_id=row.id)
            mark.update(state=EventState.UNREADABLE.value, error=type(error).__name__)
        else:
            for fact in told:
                mark["attempt_id"] = fact.attempt_id
                facts.setdefault(fact.attempt_id, []).append(fact)
                if fact.disposition is Disposition.UNKNOWN:
                    log.warning("provider's word not in the table", event_id=row.id)
        marks.append(mark)
    return facts, marks


def _apply(connection: Connection, facts: dict[str, list[Fact]], now: datetime) -> set[str]:
    """Advance the attempts by their facts; the ids that are not ours."""
    locked = attempts.lock(connection, sorted(facts))
    their_calls = calls.lock(connection, sorted({row.call_id for row in locked.values()}))
    their_campaigns = campaigns.with_ids(
        connection, sorted({row.campaign_id for row in locked.values() if row.campaign_id})
    )
    ledger = Ledger(now)
    for attempt in locked.values():
        _advance(ledger, attempt, their_calls, their_campaigns, facts[attempt.id])
    ledger.write(connection)
    return facts.keys() - locked.keys()


def _advance(
    ledger: Ledger,
    attempt: AnyRow,
    their_calls: dict[str, AnyRow],
    their_campaigns: dict[str, AnyRow],
    told: Sequence[Fact],
) -> None:
    standing = advance(standing_of(attempt), told)
    if standing.contradicted:
        log.warning("provider spoke of an attempt held as never placed", attempt_id=attempt.id)
    ledger.advance(
        attempt, their_calls[attempt.call_id], their_campaigns.get(attempt.campaign_id or ""), standing
    )


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
