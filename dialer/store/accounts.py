"""SQL of accounts."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import AnyRow, account


def with_id(connection: Connection, account_id: str) -> AnyRow | None:
    """An account by its id."""
    return connection.execute(sa.select(account).where(account.c.id == account_id)).one_or_none()


def with_ids(connection: Connection, ids: Iterable[str]) -> dict[str, AnyRow]:
    """Accounts by id."""
    rows = connection.execute(sa.select(account).where(account.c.id.in_(list(ids)))).all()
    return {row.id: row for row in rows}


def lock(connection: Connection, account_id: str) -> None:
    """Hold an account's row: two schedulers must not both fill the last of its `max_concurrent`."""
    connection.execute(sa.select(account.c.id).where(account.c.id == account_id).with_for_update())
