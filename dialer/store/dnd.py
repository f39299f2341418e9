"""SQL of DND lists and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer import ids
from dialer.store.tables import AnyRow, dnd_list, dnd_number, insert

#: Name of the list that every campaign of an account honours.
GLOBAL_NAME = "global"
#: Numbers looked up in one statement.
BATCH = 2000


def listed(
    connection: Connection, dnd_list_ids: Sequence[str], numbers: Sequence[str]
) -> set[tuple[str, str]]:
    """Which of these numbers stand on which of these lists: (list id, number)."""
    if not dnd_list_ids or not numbers:
        return set()
    rows = connection.execute(
        sa.select(dnd_number.c.dnd_list_id, dnd_number.c.e164).where(
            dnd_number.c.dnd_list_id.in_(dnd_list_ids), dnd_number.c.e164.in_(numbers)
        )
    )
    return {(dnd_list_id, e164) for dnd_list_id, e164 in rows}


def add_list(
    connection: Connection, account_id: str, name: str, now: datetime, *, is_global: bool = False
) -> str:
    """A new DND list's id. IntegrityError when the account has one of that name, or a global one already."""
    dnd_list_id = ids.dnd_list_id()
    connection.execute(
        dnd_list.insert(),
        {
            "id": dnd_list_id,
            "account_id": account_id,
            "name": name,
            "is_global": is_global,
            "created_at": now,
        },
    )
    return dnd_list_id


def get_list(connection: Connection, account_id: str, dnd_list_id: str) -> AnyRow | None:
    """A DND list of this account."""
    return connection.execute(
        sa.select(dnd_list).where(dnd_list.c.id == dnd_list_id, dnd_list.c.account_id == account_id)
    ).one_or_none()


def list_named(connection: Connection, account_id: str, name: str) -> AnyRow | None:
    """The account's DND list of this name."""
    return connection.execute(
        sa.select(dnd_list).where(dnd_list.c.account_id == account_id, dnd_list.c.name == name)
    ).one_or_none()


def global_list(connection: Connection, account_id: str) -> AnyRow | None:
    """The account's list that every campaign honours."""
    return connection.execute(
        sa.select(dnd_list).where(dnd_list.c.account_id == account_id, dnd_list.c.is_global)
    ).one_or_none()


def existing_lists(connection: Connection, account_id: str, dnd_list_ids: Sequence[str]) -> set[str]:
    """Which of these ids are DND lists of the account."""
    return set(
        connection.execute(
            sa.select(dnd_list.c.id).where(
                dnd_list.c.account_id == account_id, dnd_list.c.id.in_(dnd_list_ids)
            )
        ).scalars()
    )


def add_numbers(
    connection: Connection, dnd_list_id: str, numbers: Sequence[tuple[str, str]], now: datetime
) -> list[bool]:
    """Put (E.164, name) on a list; for each, whether it is new there."""
    # Two who add at once go one after the other, so that each knows what is new.
    connection.execute(
        sa.select(dnd_list.c.id).where(dnd_list.c.id == dnd_list_id).with_for_update(key_share=True)
    )
    wanted = [e164 for e164, _ in numbers]
    present = {
        e164
        for start in range(0, len(wanted), BATCH)
        for _, e164 in listed(connection, [dnd_list_id], wanted[start : start + BATCH])
    }
    new: list[bool] = []
    rows: list[dict[str, Any]] = []
    for e164, name in numbers:
        new.append(e164 not in present)
        if e164 not in present:
            present.add(e164)
            rows.append({"dnd_list_id": dnd_list_id, "e164": e164, "name": name, "created_at": now})
    if rows:
        connection.execute(insert(connection, dnd_number).on_conflict_do_nothing(), rows)
    return new


def count_numbers(connection: Connection, dnd_list_id: str) -> int:
    """How many numbers stand on a list."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(dnd_number).where(dnd_number.c.dnd_list_id == dnd_list_id)
    ).scalar_one()


def global_lists(connection: Connection, account_ids: Iterable[str]) -> dict[str, list[str]]:
    """The ids of the global DND lists by account."""
    rows = connection.execute(
        sa.select(dnd_list.c.account_id, dnd_list.c.id).where(
            dnd_list.c.account_id.in_(list(account_ids)), dnd_list.c.is_global
        )
    )
    return {account_id: [dnd_list_id] for account_id, dnd_list_id in rows}
