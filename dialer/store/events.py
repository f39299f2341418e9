"""SQL of events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.models.base import states_in
from dialer.models.event import EventState
from dialer.store import bulk
from dialer.store.tables import Rows, event, in_states

_NEW = states_in("event.state", frozenset({EventState.NEW}))


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store raw events; one that was stored before is left as it is.

    They go in in the order of their keys, so that of two processes that store the same events one waits for the other,
    and never each for the other.
    """
    in_order = sorted(rows, key=lambda row: (row["provider_id"], row["dedupe_key"]))
    bulk.insert(connection, event, in_order, unless=["provider_id", "dedupe_key"])


def claim(connection: Connection, limit: int) -> Rows:
    """The oldest events that are to be consumed; those that another consumer holds are skipped."""
    return connection.execute(
        sa.select(event)
        .where(in_states(event, {EventState.NEW}))
        .order_by(event.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def is_any_new(connection: Connection, received_before: datetime) -> bool:
    """Whether an event waits since before then: its doorbell was lost."""
    oldest = connection.execute(
        sa.select(event.c.received_at).where(in_states(event, {EventState.NEW})).order_by(event.c.id).limit(1)
    ).scalar_one_or_none()
    return oldest is not None and oldest < received_before


def mark(connection: Connection, rows: Sequence[dict[str, Any]], now: datetime) -> None:
    """Note what became of claimed events; each row is {"_id", "state", "attempt_id", "error"}."""
    bulk.update(connection, event, [{**row, "consumed_at": now} for row in rows], where=_NEW)
