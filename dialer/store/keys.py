"""SQL of keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import AnyRow, Rows, api_key


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert a key."""
    connection.execute(api_key.insert(), dict(row))


def with_hash(connection: Connection, account_id: str, auth_hash: str) -> AnyRow | None:
    """The key of this account with this hash that is not revoked."""
    return connection.execute(
        sa.select(api_key).where(
            api_key.c.account_id == account_id,
            api_key.c.auth_hash == auth_hash,
            api_key.c.revoked_at.is_(None),
        )
    ).one_or_none()


def get(connection: Connection, account_id: str, key_id: str, *, lock: bool = False) -> AnyRow | None:
    """A key of this account, revoked or not."""
    statement = sa.select(api_key).where(api_key.c.account_id == account_id, api_key.c.id == key_id)
    return connection.execute(statement.with_for_update() if lock else statement).one_or_none()


def of_account(connection: Connection, account_id: str) -> Rows:
    """All keys of an account, revoked ones too, the oldest first."""
    return connection.execute(
        sa.select(api_key)
        .where(api_key.c.account_id == account_id)
        .order_by(api_key.c.created_at, api_key.c.id)
    ).all()


def update(connection: Connection, account_id: str, key_id: str, **values: Any) -> None:
    """Set columns of a key."""
    connection.execute(
        api_key.update().where(api_key.c.account_id == account_id, api_key.c.id == key_id).values(**values)
    )


def used(connection: Connection, key_id: str, now: datetime) -> None:
    """Note when it was last used."""
    connection.execute(api_key.update().where(api_key.c.id == key_id).values(last_used_at=now))


def revoke(connection: Connection, account_id: str, key_id: str, now: datetime) -> bool:
    """Void a key from now on; whether it was valid until now."""
    revoked = connection.execute(
        api_key.update()
        .where(api_key.c.account_id == account_id, api_key.c.id == key_id, api_key.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return revoked.rowcount == 1
