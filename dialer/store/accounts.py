"""SQL of accounts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store import tables
from dialer.store.tables import AnyRow, Rows, account


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert an account. IntegrityError when there is one of that name."""
    connection.execute(account.insert(), dict(row))


def with_id(connection: Connection, account_id: str) -> AnyRow | None:
    """An account by its id."""
    return connection.execute(sa.select(account).where(account.c.id == account_id)).one_or_none()


def named(connection: Connection, name: str) -> AnyRow | None:
    """The account of this name."""
    return connection.execute(sa.select(account).where(account.c.name == name)).one_or_none()


def with_ids(connection: Connection, ids: Iterable[str]) -> dict[str, AnyRow]:
    """Accounts by id."""
    return tables.with_ids(connection, account, ids)


def every(connection: Connection) -> Rows:
    """All accounts by name (for the operator)."""
    return connection.execute(sa.select(account).order_by(account.c.name)).all()


def are_several(connection: Connection) -> bool:
    """Whether there is more than one account."""
    return len(connection.execute(sa.select(account.c.id).limit(2)).all()) > 1


def update(connection: Connection, account_id: str, **values: Any) -> None:
    """Set columns of an account."""
    connection.execute(account.update().where(account.c.id == account_id).values(**values))


def lock(connection: Connection, account_id: str) -> None:
    """Hold an account's row: two schedulers must not both fill the last of its `max_concurrent`."""
    connection.execute(sa.select(account.c.id).where(account.c.id == account_id).with_for_update())
