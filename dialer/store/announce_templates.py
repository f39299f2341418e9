"""SQL of announce templates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import AnyRow, Rows, announce_template


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert a template. IntegrityError when the account has one of that id."""
    connection.execute(announce_template.insert(), dict(row))


def get(connection: Connection, account_id: str, template_id: str) -> AnyRow | None:
    """A template of this account."""
    return connection.execute(
        sa.select(announce_template).where(
            announce_template.c.account_id == account_id, announce_template.c.id == template_id
        )
    ).one_or_none()


def of_account(connection: Connection, account_id: str) -> Rows:
    """An account's templates, the oldest first."""
    return connection.execute(
        sa.select(announce_template)
        .where(announce_template.c.account_id == account_id)
        .order_by(announce_template.c.created_at, announce_template.c.id)
    ).all()


def remove(connection: Connection, account_id: str, template_id: str) -> bool:
    """Delete a template; whether there was one. Calls that were asked for keep their text."""
    removed = connection.execute(
        announce_template.delete().where(
            announce_template.c.account_id == account_id, announce_template.c.id == template_id
        )
    )
    return removed.rowcount > 0
