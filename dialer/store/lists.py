"""What contact lists and DND lists have in common: names, pages, renaming and deletion."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Select, Table

from dialer.store.tables import AnyRow, Rows


def of_account(
    connection: Connection, table: Table, account_id: str, limit: int, after: str | None = None
) -> Rows:
    """An account's lists by name, those after that name; deleted ones are left out."""
    statement = sa.select(table).where(table.c.account_id == account_id, table.c.deleted_at.is_(None))
    if after is not None:
        statement = statement.where(table.c.name > after)
    return connection.execute(statement.order_by(table.c.name).limit(limit)).all()


def get(connection: Connection, table: Table, account_id: str, list_id: str) -> AnyRow | None:
    """A list of this account that is not deleted."""
    return connection.execute(_theirs(table, account_id, list_id)).one_or_none()


def hold(connection: Connection, table: Table, account_id: str, list_id: str) -> AnyRow | None:
    """The same, held: nobody deletes it before this transaction ends, while others may add to it."""
    statement = _theirs(table, account_id, list_id).with_for_update(read=True, key_share=True)
    return connection.execute(statement).one_or_none()


def named(connection: Connection, table: Table, account_id: str, name: str) -> AnyRow | None:
    """The account's list of this name."""
    return connection.execute(
        sa.select(table).where(
            table.c.account_id == account_id, table.c.name == name, table.c.deleted_at.is_(None)
        )
    ).one_or_none()


def lock(connection: Connection, table: Table, account_id: str, list_id: str) -> AnyRow | None:
    """A list of this account, locked: nobody makes a campaign of it, or puts something onto it, meanwhile."""
    return connection.execute(_theirs(table, account_id, list_id).with_for_update()).one_or_none()


def rename(connection: Connection, table: Table, account_id: str, list_id: str, name: str) -> None:
    """Rename a list. IntegrityError when the account has another of that name."""
    connection.execute(
        table.update().where(table.c.id == list_id, table.c.account_id == account_id).values(name=name)
    )


def delete(connection: Connection, table: Table, account_id: str, list_id: str, now: datetime) -> None:
    """Delete a list: nobody finds it any more, and its name is free. What it holds goes later, bit by bit."""
    connection.execute(
        table.update()
        .where(table.c.id == list_id, table.c.account_id == account_id)
        .values(deleted_at=now, name=list_id)
    )


def deleted(connection: Connection, table: Table, *conditions: sa.ColumnElement[bool]) -> str | None:
    """The id of a deleted list, locked; one that another holds is skipped."""
    found: str | None = connection.execute(
        sa.select(table.c.id)
        .where(table.c.deleted_at.is_not(None), *conditions)
        .order_by(table.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).scalar_one_or_none()
    return found


def _theirs(table: Table, account_id: str, list_id: str) -> Select[Any]:
    return sa.select(table).where(
        table.c.id == list_id, table.c.account_id == account_id, table.c.deleted_at.is_(None)
    )
