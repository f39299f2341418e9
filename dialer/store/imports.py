"""SQL of imports and their rejected rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import compress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.models import ImportState
from dialer.store import bulk
from dialer.store.tables import AnyRow, Rows, checked_number, import_, in_states, rejected_row


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
    """The ids of imports that nobody works on, though they run or leave something to be removed, leased until
    `lease_until` to whoever is rung for them."""
    claimed: list[str] = []
    for kind in (in_states(import_, {ImportState.RUNNING}), import_.c.has_scratch):
        found = connection.execute(
            sa.select(import_.c.id)
            .where(kind, import_.c.lease_until < now)
            .order_by(import_.c.lease_until)
            .limit(limit)
            .with_for_update(skip_locked=True)
        ).scalars()
        claimed = list(dict.fromkeys([*claimed, *found]))
    if claimed:
        connection.execute(import_.update().where(import_.c.id.in_(claimed)).values(lease_until=lease_until))
    return claimed


def is_running_for(connection: Connection, target_id: str) -> bool:
    """Whether a list is still being filled from a file."""
    found = connection.execute(
        sa.select(sa.literal(1))
        .where(
            import_.c.target_id == target_id,
            in_states(import_, {ImportState.RUNNING}),
            import_.c.dry_run.is_(False),
        )
        .limit(1)
    ).first()
    return found is not None


def of_account(
    connection: Connection, account_id: str, limit: int, before: tuple[datetime, str] | None = None
) -> Rows:
    """An account's imports, the newest first; those before that (created_at, id)."""
    statement = sa.select(import_).where(import_.c.account_id == account_id)
    if before is not None:
        key = sa.tuple_(import_.c.created_at, import_.c.id)
        statement = statement.where(
            key < sa.tuple_(sa.literal(before[0], import_.c.created_at.type), sa.literal(before[1]))
        )
    return connection.execute(
        statement.order_by(import_.c.created_at.desc(), import_.c.id.desc()).limit(limit)
    ).all()


def check(connection: Connection, import_id: str, numbers: Sequence[str], known: set[str]) -> list[bool]:
    """Note that a dry run has met these numbers; for each, whether it is new: not `known`, not met before.

    The caller holds the import's row.
    """
    met = bulk.matching(connection, checked_number, "e164", numbers, import_id=import_id)
    new = bulk.are_new(numbers, known | met)
    bulk.copy(connection, checked_number, {"import_id": import_id, "e164": list(compress(numbers, new))})
    return new


def forget_checked(connection: Connection, import_id: str) -> None:
    """Forget the numbers that a dry run has met."""
    connection.execute(checked_number.delete().where(checked_number.c.import_id == import_id))


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
