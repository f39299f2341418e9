"""SQL of idempotency keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store import tables
from dialer.store.tables import AnyRow, idempotency_key


def get(connection: Connection, account_id: str, key: str) -> AnyRow | None:
    """What was answered to an account's request with this key."""
    return connection.execute(
        sa.select(idempotency_key).where(
            idempotency_key.c.account_id == account_id, idempotency_key.c.key == key
        )
    ).one_or_none()


def add(connection: Connection, row: Mapping[str, Any]) -> bool:
    """Insert a key with its answer; whether it is ours. Not when it is there, nor, on PostgreSQL, when another
    transaction is just inserting it: nobody waits for that. (SQLite has one writer at a time, who waits at the start.)
    """
    statement: Any = tables.insert(connection, idempotency_key)
    if connection.dialect.name == "sqlite":
        statement = statement.values(dict(row))
    else:
        values = {
            name: sa.literal(value, idempotency_key.c[name].type).label(name) for name, value in row.items()
        }
        whose = sa.func.hashtextextended(f"{row['account_id']}:{row['key']}", 0)
        chosen = sa.select(*values.values()).where(sa.func.pg_try_advisory_xact_lock(whose))
        statement = statement.from_select(list(values), chosen)
    added = statement.on_conflict_do_nothing().returning(idempotency_key.c.key)
    return connection.execute(added).first() is not None


def purge(connection: Connection, made_before: datetime, limit: int) -> int:
    """Delete keys that are kept no longer; how many."""
    chosen = (
        sa.select(idempotency_key.c.account_id, idempotency_key.c.key)
        .where(idempotency_key.c.created_at < made_before)
        .order_by(idempotency_key.c.created_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    old = connection.execute(chosen).all()
    if not old:
        return 0
    both = sa.tuple_(idempotency_key.c.account_id, idempotency_key.c.key)
    return connection.execute(idempotency_key.delete().where(both.in_([tuple(row) for row in old]))).rowcount
