"""SQL of contact lists and contacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, compress

import sqlalchemy as sa
from pydantic_core import to_json
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


@dataclass(slots=True)
class NewContacts:
    """Contacts as they will stand in a list, column by column: entry n of each column is of contact n."""

    e164: list[str] = field(repr=False)
    name: list[str] = field(repr=False)
    #: JSON objects, without empty values.
    fields: list[str] = field(repr=False)
    time_zone: list[str | None]
    language: list[str | None]
    #: Of each field, whether contact n has it.
    has: dict[str, list[bool]]

    @classmethod
    def of(cls, contacts: Sequence[NewContact]) -> NewContacts:
        """The columns of these contacts."""
        names = dict.fromkeys(chain.from_iterable(one.fields for one in contacts))
        return cls(
            e164=[one.e164 for one in contacts],
            name=[one.name for one in contacts],
            fields=[to_json(one.fields).decode() for one in contacts],
            time_zone=[one.time_zone for one in contacts],
            language=[one.language for one in contacts],
            has={name: [name in one.fields for one in contacts] for name in names},
        )

    def __len__(self) -> int:
        return len(self.e164)

    def only(self, chosen: Sequence[bool]) -> NewContacts:
        """Those contacts whose entry in `chosen` is true."""
        if all(chosen):
            return self
        return NewContacts(
            e164=list(compress(self.e164, chosen)),
            name=list(compress(self.name, chosen)),
            fields=list(compress(self.fields, chosen)),
            time_zone=list(compress(self.time_zone, chosen)),
            language=list(compress(self.language, chosen)),
            has={name: list(compress(column, chosen)) for name, column in self.has.items()},
        )


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
    """Append contacts to a list; for each, whether its number is new there. See `add_columns`."""
    return add_columns(connection, list_id, NewContacts.of(contacts), now)


def add_columns(connection: Connection, list_id: str, contacts: NewContacts, now: datetime) -> list[bool]:
    """Append contacts to a list; for each, whether its number is new there.

    Holds the list's row until the transaction ends, so that positions become visible in order. Running campaigns
    that dial the list are woken.
    """
    # Campaigns that point to the list are made meanwhile without waiting: FOR NO KEY UPDATE.
    held = connection.execute(
        sa.select(contact_list).where(contact_list.c.id == list_id).with_for_update(key_share=True)
    ).one()
    new = bulk.are_new(contacts.e164, _present(connection, list_id, contacts.e164))
    added = contacts.only(new)
    if added:
        first = held.last_position + 1
        bulk.copy(
            connection,
            contact,
            {
                "list_id": list_id,
                "position": list(range(first, first + len(added))),
                "e164": added.e164,
                "name": added.name,
                "fields": added.fields,
                "time_zone": added.time_zone,
                "language": added.language,
            },
        )
        connection.execute(
            contact_list.update()
            .where(contact_list.c.id == list_id)
            .values(
                last_position=held.last_position + len(added),
                contact_count=contact_list.c.contact_count + len(added),
            )
        )
        _count_fields(connection, list_id, {name: sum(column) for name, column in added.has.items()})
        _wake_campaigns(connection, list_id, now)
    return new


def _present(connection: Connection, list_id: str, numbers: Sequence[str]) -> set[str]:
    """Which of these numbers the list holds."""
    return bulk.matching(connection, contact, "e164", numbers, list_id=list_id)


def _count_fields(connection: Connection, list_id: str, carried: Mapping[str, int]) -> None:
    rows = [
        {"list_id": list_id, "name": name, "contacts": carried[name]}
        for name in sorted(carried)
        if carried[name]
    ]
    if rows:
        statement = insert(connection, list_field)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["list_id", "name"],
                set_={"contacts": list_field.c.contacts + statement.excluded.contacts},
            ),
            rows,
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
