"""SQL of DND lists and their numbers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cache
from itertools import compress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Select

from dialer import ids
from dialer.lifecycle import CAMPAIGN_ENDED
from dialer.store import bulk, lists, tables
from dialer.store.tables import (
    AnyRow,
    Rows,
    campaign,
    campaign_dnd_list,
    dnd_list,
    dnd_number,
    in_many,
    many,
)

#: Name of the list that every campaign of an account honours.
GLOBAL_NAME = "global"


def listed(
    connection: Connection, dnd_list_ids: Sequence[str], numbers: Sequence[str]
) -> set[tuple[str, str]]:
    """Which of these numbers stand on which of these lists: (list id, number)."""
    if not dnd_list_ids or not numbers:
        return set()
    rows = connection.execute(
        _listed(connection.dialect.name),
        {"lists": many(connection, dnd_list_ids), "numbers": many(connection, numbers)},
    )
    return {(dnd_list_id, e164) for dnd_list_id, e164 in rows}


@cache
def _listed(dialect: str) -> Select[Any]:
    list_id, e164 = dnd_number.c.dnd_list_id, dnd_number.c.e164
    if dialect == "sqlite":
        return sa.select(list_id, e164).where(
            in_many(dialect, list_id, "lists"), in_many(dialect, e164, "numbers")
        )
    # Looked up one by one in the primary key, whatever the statistics of a list just imported say.
    lists = sa.func.unnest(tables.array(list_id, "lists")).table_valued("id").render_derived()
    numbers = sa.func.unnest(tables.array(e164, "numbers")).table_valued("e164").render_derived()
    found = sa.select(list_id, e164).where(list_id == lists.c.id, e164 == numbers.c.e164).limit(1).lateral()
    return sa.select(found).select_from(lists.join(numbers, sa.true()).join(found, sa.true()))


def present(connection: Connection, dnd_list_id: str, numbers: Sequence[str]) -> set[str]:
    """Which of these numbers stand on a list."""
    return bulk.matching(connection, dnd_number, "e164", numbers, dnd_list_id=dnd_list_id)


def globally_listed(connection: Connection, account_id: str, numbers: Sequence[str]) -> set[str]:
    """Which of these numbers stand on the account's global list."""
    held = global_list(connection, account_id)
    if held is None:
        return set()
    return present(connection, held.id, numbers)


def is_listed_anywhere(connection: Connection, account_id: str | None, e164: str) -> bool:
    """Whether a number stands on any list of the account, or of any account at all."""
    found = sa.select(sa.literal(1)).select_from(
        dnd_number.join(dnd_list, dnd_list.c.id == dnd_number.c.dnd_list_id)
    )
    found = found.where(dnd_number.c.e164 == e164, dnd_list.c.deleted_at.is_(None))
    if account_id is not None:
        found = found.where(dnd_list.c.account_id == account_id)
    return connection.execute(found.limit(1)).first() is not None


def global_numbers(connection: Connection, account_id: str, most: int) -> set[str] | None:
    """All numbers of the account's global list; None when there are more than `most`."""
    held = global_list(connection, account_id)
    if held is None:
        return set()
    numbers = sa.select(dnd_number.c.e164).where(dnd_number.c.dnd_list_id == held.id).limit(most + 1)
    found = set(connection.execute(numbers).scalars())
    return found if len(found) <= most else None


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
            "changed_at": now,
        },
    )
    return dnd_list_id


def get_list(connection: Connection, account_id: str, dnd_list_id: str) -> AnyRow | None:
    """A DND list of this account."""
    return lists.get(connection, dnd_list, account_id, dnd_list_id)


def list_named(connection: Connection, account_id: str, name: str) -> AnyRow | None:
    """The account's DND list of this name."""
    return lists.named(connection, dnd_list, account_id, name)


def numbers_of(connection: Connection, dnd_list_id: str, after: str, limit: int) -> Rows:
    """The next numbers of a list, in order, after that one."""
    return connection.execute(
        sa.select(dnd_number)
        .where(dnd_number.c.dnd_list_id == dnd_list_id, dnd_number.c.e164 > after)
        .order_by(dnd_number.c.e164)
        .limit(limit)
    ).all()


def needed_by(connection: Connection, account_id: str, dnd_list_id: str) -> str | None:
    """The id of a campaign that is not over and honours a list; None when there is none."""
    return connection.execute(
        sa.select(campaign.c.id)
        .join(campaign_dnd_list, campaign_dnd_list.c.campaign_id == campaign.c.id)
        .where(
            campaign_dnd_list.c.dnd_list_id == dnd_list_id,
            campaign.c.account_id == account_id,
            campaign.c.state.not_in([one.value for one in CAMPAIGN_ENDED]),
        )
        .order_by(campaign.c.created_at)
        .limit(1)
    ).scalar_one_or_none()


def purge(connection: Connection, most: int) -> bool:
    """Remove some numbers of a list that is deleted, at last the list itself; whether there was one."""
    dnd_list_id = lists.deleted(connection, dnd_list)
    if dnd_list_id is None:
        return False
    last: str | None = connection.execute(
        sa.select(sa.func.max(sa.column("e164"))).select_from(
            sa.select(dnd_number.c.e164)
            .where(dnd_number.c.dnd_list_id == dnd_list_id)
            .order_by(dnd_number.c.e164)
            .limit(most)
            .subquery()
        )
    ).scalar_one()
    if last is not None:
        connection.execute(
            dnd_number.delete().where(dnd_number.c.dnd_list_id == dnd_list_id, dnd_number.c.e164 <= last)
        )
        return True
    # Campaigns that are over ask nobody any more.
    connection.execute(campaign_dnd_list.delete().where(campaign_dnd_list.c.dnd_list_id == dnd_list_id))
    connection.execute(dnd_list.delete().where(dnd_list.c.id == dnd_list_id))
    return True


def global_list(connection: Connection, account_id: str) -> AnyRow | None:
    """The account's list that every campaign honours."""
    return connection.execute(
        sa.select(dnd_list).where(dnd_list.c.account_id == account_id, dnd_list.c.is_global)
    ).one_or_none()


def ids_of(connection: Connection, account_id: str, dnd_list_ids: Sequence[str]) -> tuple[str, ...]:
    """These ids, each once, with the global list's own in place of `global`."""
    if GLOBAL_NAME not in dnd_list_ids:
        return tuple(dict.fromkeys(dnd_list_ids))
    found = global_list(connection, account_id)
    own = GLOBAL_NAME if found is None else found.id
    return tuple(dict.fromkeys(own if one == GLOBAL_NAME else one for one in dnd_list_ids))


def existing_lists(connection: Connection, account_id: str, dnd_list_ids: Sequence[str]) -> set[str]:
    """Which of these ids are DND lists of the account, held: nobody deletes one before this transaction ends."""
    return set(
        connection.execute(
            sa.select(dnd_list.c.id)
            .where(
                dnd_list.c.account_id == account_id,
                dnd_list.c.id.in_(dnd_list_ids),
                dnd_list.c.deleted_at.is_(None),
            )
            .order_by(dnd_list.c.id)
            .with_for_update(read=True, key_share=True)
        ).scalars()
    )


def add_numbers(
    connection: Connection, dnd_list_id: str, numbers: Sequence[tuple[str, str]], now: datetime
) -> list[bool]:
    """Put (E.164, name) on a list; for each, whether it is new there."""
    # Two who add at once go one after the other, so that each knows what is new.
    _change(connection, dnd_list_id, now)
    e164s, names = [one for one, _ in numbers], [name for _, name in numbers]
    new = bulk.are_new(e164s, present(connection, dnd_list_id, e164s))
    added = {"e164": list(compress(e164s, new)), "name": list(compress(names, new))}
    bulk.copy(connection, dnd_number, {"dnd_list_id": dnd_list_id, **added, "created_at": now})
    return new


def remove_numbers(connection: Connection, dnd_list_id: str, numbers: Sequence[str], now: datetime) -> int:
    """Take numbers (E.164) off a list; how many stood there."""
    _change(connection, dnd_list_id, now)
    removed = connection.execute(
        dnd_number.delete().where(
            dnd_number.c.dnd_list_id == dnd_list_id,
            in_many(connection.dialect.name, dnd_number.c.e164, "numbers"),
        ),
        {"numbers": many(connection, list(numbers))},
    )
    return removed.rowcount


def _change(connection: Connection, dnd_list_id: str, now: datetime) -> None:
    """Note that a list's numbers change, which locks it."""
    connection.execute(dnd_list.update().where(dnd_list.c.id == dnd_list_id).values(changed_at=now))


def count_numbers(connection: Connection, dnd_list_id: str) -> int:
    """How many numbers stand on a list."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(dnd_number).where(dnd_number.c.dnd_list_id == dnd_list_id)
    ).scalar_one()


def global_lists(connection: Connection, account_ids: Collection[str]) -> dict[str, list[str]]:
    """The ids of the global DND lists by account."""
    if not account_ids:
        return {}
    rows = connection.execute(
        sa.select(dnd_list.c.account_id, dnd_list.c.id).where(
            dnd_list.c.account_id.in_(list(account_ids)), dnd_list.c.is_global
        )
    )
    return {account_id: [dnd_list_id] for account_id, dnd_list_id in rows}
