"""SQL of how far the CDRs of providers have been read."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store import tables
from dialer.store.tables import AnyRow, Rows, cdr_poll, provider


def due(connection: Connection, kinds: Collection[str], now: datetime, *, disabled_since: datetime) -> Rows:
    """Providers of these kinds whose CDRs are to be read, enabled or disabled since then: their `id` and `kind`, and
    since when they are due, None for the first time."""
    return connection.execute(
        sa.select(provider.c.id, provider.c.kind, cdr_poll.c.due_at)
        .outerjoin(cdr_poll, cdr_poll.c.provider_id == provider.c.id)
        .where(
            sa.or_(provider.c.enabled, provider.c.disabled_at > disabled_since),
            provider.c.kind.in_(sorted(kinds)),
            sa.or_(cdr_poll.c.due_at.is_(None), cdr_poll.c.due_at <= now),
        )
        .order_by(provider.c.id)
    ).all()


def claim(connection: Connection, provider_id: str, was_due: datetime | None, due_at: datetime) -> bool:
    """Put off when a provider's CDRs are read; whether nobody else has meanwhile."""
    if was_due is None:
        row = {"provider_id": provider_id, "due_at": due_at, "disagreements": 0}
        statement = tables.insert(connection, cdr_poll).values(row).on_conflict_do_nothing()
        return connection.execute(statement.returning(cdr_poll.c.provider_id)).first() is not None
    moved = connection.execute(
        cdr_poll.update()
        .where(cdr_poll.c.provider_id == provider_id, cdr_poll.c.due_at == was_due)
        .values(due_at=due_at)
    )
    return moved.rowcount == 1


def of(connection: Connection, provider_id: str) -> AnyRow | None:
    """How far a provider's CDRs have been read; None when nobody has begun."""
    return connection.execute(sa.select(cdr_poll).where(cdr_poll.c.provider_id == provider_id)).one_or_none()


def advance(connection: Connection, was: AnyRow, **values: Any) -> bool:
    """Note how far they are read now; whether nobody else has read on meanwhile."""
    moved = connection.execute(
        cdr_poll.update()
        .where(
            cdr_poll.c.provider_id == was.provider_id,
            cdr_poll.c.read_to.is_not_distinct_from(was.read_to),
            cdr_poll.c.reading_to.is_not_distinct_from(was.reading_to),
            cdr_poll.c.page.is_not_distinct_from(was.page),
        )
        .values(**values)
    )
    return moved.rowcount == 1


def count_disagreements(connection: Connection, provider_id: str, more: int) -> None:
    """Count attempts whose CDR says another end than their events."""
    connection.execute(
        cdr_poll.update()
        .where(cdr_poll.c.provider_id == provider_id)
        .values(disagreements=cdr_poll.c.disagreements + more)
    )
