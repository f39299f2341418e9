"""SQL that removes rows which are kept no longer: the oldest first, so many in a transaction.

None of these tables has an index on its dates, which every row would pay for. Rows are numbered as they come, so the
oldest are the first; only so many of these are looked at.
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Column, ColumnElement, Connection, Select, Table

from dialer.lifecycle import VerificationState
from dialer.models.event import EventState
from dialer.store.tables import (
    event,
    history,
    import_,
    in_many,
    in_states,
    many,
    rejected_row,
    verification,
    verification_send,
)


def purge_events(connection: Connection, before: datetime, limit: int) -> int:
    """Callbacks that came before then and were consumed; how many."""
    return _purge(connection, event, event.c.received_at, before, limit, ~in_states(event, {EventState.NEW}))


def purge_history(connection: Connection, before: datetime, limit: int) -> int:
    """Changes of state before then; how many."""
    return _purge(connection, history, history.c.at, before, limit)


def purge_rejected_rows(connection: Connection, before: datetime, limit: int) -> int:
    """Rejected rows of imports that ended before then; how many."""
    first = sa.select(rejected_row.c.id, rejected_row.c.import_id).order_by(rejected_row.c.id).limit(limit)
    oldest = first.subquery()
    over = (
        sa.select(oldest.c.id)
        .join(import_, import_.c.id == oldest.c.import_id)
        .where(import_.c.ended_at < before)
    )
    return _delete(connection, rejected_row, over)


def purge_verifications(connection: Connection, before: datetime, limit: int) -> int:
    """Verifications that ended before then, and calls and messages that were sent for any before then; how many of
    whichever were more."""
    ended = (
        sa.select(verification.c.id)
        .where(verification.c.ended_at < before, ~in_states(verification, {VerificationState.PENDING}))
        .order_by(verification.c.ended_at)
        .limit(limit)
    )
    sends = _purge(connection, verification_send, verification_send.c.at, before, limit)
    return max(_delete(connection, verification, ended), sends)


def _purge(
    connection: Connection,
    table: Table,
    at: Column[datetime],
    before: datetime,
    limit: int,
    chosen: ColumnElement[bool] | None = None,
) -> int:
    """Those of the first `limit` rows that are `chosen` which are from before then."""
    first = sa.select(table.c.id, at.label("at")).order_by(table.c.id).limit(limit)
    oldest = (first if chosen is None else first.where(chosen)).subquery()
    return _delete(connection, table, sa.select(oldest.c.id).where(oldest.c.at < before))


def _delete(connection: Connection, table: Table, chosen: Select[int]) -> int:
    """Delete rows; those that another process holds, who removes the same, are skipped."""
    held = connection.execute(
        sa.select(table.c.id).where(table.c.id.in_(chosen)).with_for_update(skip_locked=True)
    )
    ids = list(held.scalars())
    if ids:
        connection.execute(
            table.delete().where(in_many(connection.dialect.name, table.c.id, "ids")),
            {"ids": many(connection, ids)},
        )
    return len(ids)
