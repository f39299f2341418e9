"""SQL of events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.models.event import EventState
from dialer.store import bulk
from dialer.store.tables import AnyRow, Rows, attempt, event, in_many, in_states, many, provider

_RAW = ("id", "provider_id", "method", "path", "query", "content_type", "body", "given", "received_at")
_TO_BE_CONSUMED = (
    sa.select(*(event.c[name] for name in _RAW), provider.c.kind)
    .outerjoin(provider, provider.c.id == event.c.provider_id)
    .where(in_states(event, {EventState.NEW}))
    .with_for_update(of=event, skip_locked=True)
)


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store raw events; one that was stored before is left as it is.

    They go in in the order of their keys, so that of two processes that store the same events one waits for the other,
    and never each for the other.
    """
    in_order = sorted(rows, key=lambda row: (row["provider_id"], row["dedupe_key"]))
    # Few are questions about calls that come in: the others' statement does not carry what was answered.
    asked = [row for row in in_order if "given" in row]
    plain = in_order if not asked else [row for row in in_order if "given" not in row]
    for alike in (plain, asked):
        bulk.insert(connection, event, alike, unless=["provider_id", "dedupe_key"])


def claim(connection: Connection, limit: int) -> Rows:
    """The oldest events that are to be consumed, as they came and with their provider's `kind`, locked; those that
    another consumer holds are skipped."""
    return connection.execute(_TO_BE_CONSUMED.order_by(event.c.id).limit(limit)).all()


def claim_one(connection: Connection, event_id: int) -> AnyRow | None:
    """That event, if it is still to be consumed and nobody else holds it."""
    return connection.execute(_TO_BE_CONSUMED.where(event.c.id == event_id)).one_or_none()


def is_any_new(connection: Connection, received_before: datetime) -> bool:
    """Whether an event waits since before then: its doorbell was lost."""
    oldest = connection.execute(
        sa.select(event.c.received_at).where(in_states(event, {EventState.NEW})).order_by(event.c.id).limit(1)
    ).scalar_one_or_none()
    return oldest is not None and oldest < received_before


def of_attempts(connection: Connection, attempt_ids: Sequence[str], limit: int) -> Rows:
    """The first events that spoke of these attempts, as they came, in the order of arrival, with their provider's
    `kind`, `base_url`, `credentials` and `webhook_token`."""
    theirs = (
        provider.c.kind,
        provider.c.name,
        provider.c.base_url,
        provider.c.credentials,
        provider.c.webhook_token,
    )
    return connection.execute(
        sa.select(event, *(column.label(f"provider_{column.name}") for column in theirs))
        .join(provider, provider.c.id == event.c.provider_id)
        .where(
            event.c.attempt_id.is_not(None),
            in_many(connection.dialect.name, event.c.attempt_id, "ids"),
        )
        .order_by(event.c.id)
        .limit(limit),
        {"ids": many(connection, attempt_ids)},
    ).all()


def mark(connection: Connection, rows: Sequence[dict[str, Any]], now: datetime) -> None:
    """Note what became of claimed events; each row is {"_id", "state", "attempt_id", "error"}."""
    # The state they come from is a value, not a literal: it would let PostgreSQL read the index of all new events
    # instead of these few, which is no short cut while many wait.
    claimed = {"_from": EventState.NEW.value, "consumed_at": now}
    bulk.update(connection, event, [{**row, **claimed} for row in rows])


def keep_references(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Note by which provider's reference unmatched events may still be matched; each row is {"_id", "reference"}."""
    bulk.update(connection, event, rows)


def revive(connection: Connection, received_after: datetime, limit: int) -> int:
    """Have unmatched events consumed again whose attempt is known by now; how many there were."""
    known = (
        sa.select(event.c.id)
        .join(
            attempt,
            sa.and_(
                attempt.c.provider_id == event.c.provider_id,
                attempt.c.provider_reference == event.c.reference,
            ),
        )
        .where(
            in_states(event, {EventState.UNMATCHED}),
            event.c.reference.is_not(None),
            event.c.received_at > received_after,
        )
        .limit(limit)
    )
    revived = connection.execute(
        event.update()
        .where(event.c.id.in_(known), in_states(event, {EventState.UNMATCHED}))
        .values(state=EventState.NEW.value, reference=None, consumed_at=None)
    )
    return revived.rowcount
