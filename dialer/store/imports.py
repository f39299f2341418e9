"""SQL of imports and their rejected rows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.models import ImportState
from dialer.store import bulk
from dialer.store.tables import AnyRow, Rows, import_, in_states, rejected_row


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert an import."""
    connection.execute(import_.insert(), dict(row))


def find(connection: Connection, import_id: str) -> AnyRow | None:
    """An import of any account: for the engine's own use."""
    return connection.execute(sa.select(import_).where(import_.c.id == import_id)).one_or_none()


def get(connection: Connection, account_id: str, import_id: str) -> AnyRow | None:
    """An import of this account."""
    return connection.execute(
        sa.select(import_).where(import_.c.id == import_id, import_.c.account_id == account_id)
    ).one_or_none()


def lock(connection: Connection, import_id: str) -> AnyRow | None:
    """An import, locked: nobody else moves its offset."""
    return connection.execute(
        sa.select(import_).where(import_.c.id == import_id).with_for_update()
    ).one_or_none()


def update(connection: Connection, import_id: str, **values: Any) -> None:
    """Set columns of an import that this transaction holds."""
    connection.execute(import_.update().where(import_.c.id == import_id).values(**values))


def claim(connection: Connection, now: datetime, lease_until: datetime, limit: int) -> list[str]:
    """The ids of running imports that nobody works on, leased until `lease_until` to whoever is rung for them."""
    found = connection.execute(
        sa.select(import_.c.id)
        .where(in_states(import_, {ImportState.RUNNING}), import_.c.lease_until < now)
        .order_by(import_.c.lease_until)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).scalars()
    claimed = list(found)
    if claimed:
        connection.execute(import_.update().where(import_.c.id.in_(claimed)).values(lease_until=lease_until))
    return claimed


def is_running_for(connection: Connection, target_id: str) -> bool:
    """Whether a list is still being filled from a file."""
    found = connection.execute(
        sa.select(sa.literal(1))
        .where(import_.c.target_id == target_id, in_states(import_, {ImportState.RUNNING}))
        .limit(1)
    ).first()
    return found is not None


def add_rejected(connection: Connection, columns: Mapping[str, Any]) -> None:
    """Insert rows that were not taken, given as for `bulk.copy`."""
    bulk.copy(connection, rejected_row, columns)


def rejected(
    connection: Connection, import_id: str, after: tuple[int, int] = (0, 0), limit: int = 1000
) -> Rows:
    """The next rejected rows of an import in the file's order, after that (line, id)."""
    return connection.execute(
        sa.select(rejected_row)
        .where(
            rejected_row.c.import_id == import_id,
            sa.tuple_(rejected_row.c.line, rejected_row.c.id) > sa.tuple_(*map(sa.literal, after)),
        )
        .order_by(rejected_row.c.line, rejected_row.c.id)
        .limit(limit)
    ).all()
