"""SQL of contact lists and contacts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer import ids
from dialer.lifecycle import CampaignState
from dialer.store import bulk
from dialer.store.tables import AnyRow, Rows, campaign, contact, contact_list, insert, list_field


@dataclass(slots=True)
class NewContact:
    """A contact as it will stand in a list; `fields` holds no empty value."""

    e164: str = field(repr=False)
    name: str = field(default="", repr=False)
    fields: dict[str, str] = field(default_factory=dict, repr=False)
    time_zone: str | None = None
    language: str | None = None


def after(connection: Connection, list_id: str, position: int, limit: int) -> Rows:
    """The next contacts of a list by position: (position, e164, time_zone)."""
    return connection.execute(
        sa.select(contact.c.position, contact.c.e164, contact.c.time_zone)
        .where(contact.c.list_id == list_id, contact.c.position > position)
        .order_by(contact.c.position)
        .limit(limit)
    ).all()


def count(connection: Connection, list_id: str) -> int:
    """How many contacts a list holds."""
    counted: int = connection.execute(
        sa.select(contact_list.c.contact_count).where(contact_list.c.id == list_id)
    ).scalar_one()
    return counted


def add_list(connection: Connection, account_id: str, name: str, now: datetime) -> str:
    """A new list's id. IntegrityError when the account has one of that name."""
    list_id = ids.list_id()
    connection.execute(
        contact_list.insert(), {"id": list_id, "account_id": account_id, "name": name, "created_at": now}
    )
    return list_id


def get_list(connection: Connection, account_id: str, list_id: str) -> AnyRow | None:
    """A list of this account."""
    return connection.execute(
        sa.select(contact_list).where(contact_list.c.id == list_id, contact_list.c.account_id == account_id)
    ).one_or_none()


def list_named(connection: Connection, account_id: str, name: str) -> AnyRow | None:
    """The account's list of this name."""
    return connection.execute(
        sa.select(contact_list).where(contact_list.c.account_id == account_id, contact_list.c.name == name)
    ).one_or_none()


def field_counts(connection: Connection, list_id: str) -> dict[str, int]:
    """How many contacts of a list carry each field."""
    rows = connection.execute(
        sa.select(list_field.c.name, list_field.c.contacts).where(list_field.c.list_id == list_id)
    )
    return {row.name: row.contacts for row in rows}


def add(connection: Connection, list_id: str, contacts: Sequence[NewContact], now: datetime) -> list[bool]:
    """Append contacts to a list; for each, whether its number is new there.

    Holds the list's row until the transaction ends, so that positions become visible in order. Running campaigns
    that dial the list are woken.
    """
    # Campaigns that point to the list are made meanwhile without waiting: FOR NO KEY UPDATE.
    held = connection.execute(
        sa.select(contact_list).where(contact_list.c.id == list_id).with_for_update(key_share=True)
    ).one()
    present = _present(connection, list_id, [one.e164 for one in contacts])
    new: list[bool] = []
    added: list[NewContact] = []
    for one in contacts:
        is_new = one.e164 not in present
        new.append(is_new)
        if is_new:
            present.add(one.e164)
            added.append(one)
    if added:
        bulk.copy(
            connection,
            contact,
            ("list_id", "position", "e164", "name", "fields", "time_zone", "language"),
            [
                (list_id, position, one.e164, one.name, one.fields, one.time_zone, one.language)
                for position, one in enumerate(added, held.last_position + 1)
            ],
        )
        connection.execute(
            contact_list.update()
            .where(contact_list.c.id == list_id)
            .values(
                last_position=held.last_position + len(added),
                contact_count=contact_list.c.contact_count + len(added),
            )
        )
        _count_fields(connection, list_id, Counter(chain.from_iterable(one.fields for one in added)))
        _wake_campaigns(connection, list_id, now)
    return new


def _present(connection: Connection, list_id: str, numbers: Sequence[str]) -> set[str]:
    """Which of these numbers the list holds."""
    return bulk.matching(connection, contact, "e164", numbers, list_id=list_id)


def _count_fields(connection: Connection, list_id: str, carried: Counter[str]) -> None:
    if carried:
        statement = insert(connection, list_field)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["list_id", "name"],
                set_={"contacts": list_field.c.contacts + statement.excluded.contacts},
            ),
            [{"list_id": list_id, "name": name, "contacts": carried[name]} for name in sorted(carried)],
        )


def _wake_campaigns(connection: Connection, list_id: str, now: datetime) -> None:
    connection.execute(
        campaign.update()
        .where(
            campaign.c.list_id == list_id,
            campaign.c.state == CampaignState.RUNNING.value,
            campaign.c.wake_at > now,
        )
        .values(wake_at=now)
    )
