"""SQL of contact lists and contacts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, compress

import sqlalchemy as sa
from pydantic_core import to_json
from sqlalchemy import ColumnElement, Connection

from dialer import ids
from dialer.lifecycle import CALL_OPEN, CAMPAIGN_ENDED, CallState, CampaignState, DialStatus
from dialer.models.call import OCCUPYING
from dialer.store import bulk, lists
from dialer.store.known import Known
from dialer.store.tables import (
    AnyRow,
    Rows,
    call,
    campaign,
    cdr,
    contact,
    contact_list,
    dnd_number,
    in_states,
    insert,
    list_field,
)

#: Ends of calls that need not have been dialled.
_UNDIALLED = (CallState.EXPIRED, CallState.CANCELLED)


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


def sorted_out(
    connection: Connection,
    list_id: str,
    between: tuple[int, int],
    dnd_list_ids: Sequence[str],
    wanted: Sequence[str],
) -> Rows:
    """The contacts of a list at positions after the first and up to the second of `between`, counted by time zone,
    whether they stand on one of the DND lists (`is_listed`), and whether they lack one of the `wanted` fields
    (`is_lacking`). `people` is how many they are, `listed_0`, … how many of them stand on each list."""
    after, until = between
    listed = [
        _is_listed(dnd_list_id).label(f"listed_{place}") for place, dnd_list_id in enumerate(dnd_list_ids)
    ]
    lacking = [contact.c.fields[name].as_string().is_(None) for name in wanted]
    each = (
        sa.select(contact.c.time_zone, sa.or_(sa.false(), *lacking).label("is_lacking"), *listed)
        .where(contact.c.list_id == list_id, contact.c.position > after, contact.c.position <= until)
        .subquery()
    )
    of_lists = [each.c[f"listed_{place}"] for place in range(len(listed))]
    is_listed = sa.or_(sa.false(), *(one > 0 for one in of_lists)).label("is_listed")
    return connection.execute(
        sa.select(
            each.c.time_zone,
            is_listed,
            each.c.is_lacking,
            sa.func.count().label("people"),
            *(sa.func.sum(one).label(one.name) for one in of_lists),
        ).group_by(each.c.time_zone, is_listed, each.c.is_lacking)
    ).all()


def _is_listed(dnd_list_id: str) -> ColumnElement[int]:
    """1 for a contact on this list. A subquery of its own, so that each is looked up in the primary key, whatever the
    statistics of a list just imported say."""
    return (
        sa.select(sa.func.count())
        .select_from(dnd_number)
        .where(dnd_number.c.dnd_list_id == dnd_list_id, dnd_number.c.e164 == contact.c.e164)
        .correlate(contact)
        .scalar_subquery()
    )


def person(connection: Connection, list_id: str, e164: str | None) -> AnyRow | None:
    """The contact of a list that has this number; without one, the first."""
    chosen = contact.c.list_id == list_id
    if e164 is not None:
        chosen = sa.and_(chosen, contact.c.e164 == e164)
    return connection.execute(
        sa.select(contact).where(chosen).order_by(contact.c.position).limit(1)
    ).one_or_none()


def last_position(connection: Connection, list_id: str) -> int:
    """The position of a list's last contact, removed or not."""
    found: int = connection.execute(
        sa.select(contact_list.c.last_position).where(contact_list.c.id == list_id)
    ).scalar_one()
    return found


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
    return lists.get(connection, contact_list, account_id, list_id)


def hold_list(connection: Connection, account_id: str, list_id: str) -> AnyRow | None:
    """A list of this account that nobody deletes before this transaction ends."""
    return lists.hold(connection, contact_list, account_id, list_id)


def list_named(connection: Connection, account_id: str, name: str) -> AnyRow | None:
    """The account's list of this name."""
    return lists.named(connection, contact_list, account_id, name)


def page(connection: Connection, list_id: str, after: int, limit: int) -> Rows:
    """The next contacts of a list by position, whole."""
    return connection.execute(
        sa.select(contact)
        .where(contact.c.list_id == list_id, contact.c.position > after)
        .order_by(contact.c.position)
        .limit(limit)
    ).all()


def remove(connection: Connection, list_id: str, e164: str) -> bool:
    """Take a contact off a list; whether it stood there. Holds the list's row until the transaction ends."""
    connection.execute(
        sa.select(contact_list.c.id).where(contact_list.c.id == list_id).with_for_update(key_share=True)
    ).one()
    removed = connection.execute(
        contact.delete()
        .where(contact.c.list_id == list_id, contact.c.e164 == e164)
        .returning(contact.c.fields)
    ).one_or_none()
    if removed is None:
        return False
    connection.execute(
        contact_list.update()
        .where(contact_list.c.id == list_id)
        .values(contact_count=contact_list.c.contact_count - 1)
    )
    for name in removed.fields:
        connection.execute(
            list_field.update()
            .where(list_field.c.list_id == list_id, list_field.c.name == name)
            .values(contacts=list_field.c.contacts - 1)
        )
    return True


def needed_by(connection: Connection, account_id: str, list_id: str, e164: str | None = None) -> str | None:
    """The id of a campaign that needs a list, for it is not over or has calls under way; with a number, of one that is
    not over and has taken that contact, or has a call under way to them. None: nobody needs it."""
    # One that is stopped goes on until it has counted those whom it never took.
    goes_on = sa.or_(
        campaign.c.state.not_in([one.value for one in CAMPAIGN_ENDED]), campaign.c.wake_at.is_not(None)
    )
    if e164 is not None:
        # A campaign counts those whom it has taken.
        is_taken = sa.exists().where(
            contact.c.list_id == list_id, contact.c.e164 == e164, contact.c.position <= campaign.c.cursor
        )
        is_called = sa.exists().where(
            call.c.campaign_id == campaign.c.id, call.c.e164 == e164, in_states(call, CALL_OPEN)
        )
        needs: ColumnElement[bool] = sa.or_(sa.and_(goes_on, is_taken), is_called)
    else:
        # Each of the two has an index.
        open_calls = [
            sa.exists().where(call.c.campaign_id == campaign.c.id, in_states(call, states))
            for states in ({CallState.WAITING}, OCCUPYING)
        ]
        needs = sa.or_(goes_on, *open_calls)
    return connection.execute(
        sa.select(campaign.c.id)
        .where(campaign.c.list_id == list_id, campaign.c.account_id == account_id, needs)
        .order_by(campaign.c.created_at)
        .limit(1)
    ).scalar_one_or_none()


def purge(connection: Connection, most: int) -> bool:
    """Remove some contacts of a list that is deleted; whether there was one."""
    list_id = lists.deleted(connection, contact_list, contact_list.c.last_position > 0)
    if list_id is None:
        return False
    first = connection.execute(
        sa.select(sa.func.min(contact.c.position)).where(contact.c.list_id == list_id)
    ).scalar_one()
    if first is not None:
        connection.execute(
            contact.delete().where(contact.c.list_id == list_id, contact.c.position < first + most)
        )
        return True
    connection.execute(list_field.delete().where(list_field.c.list_id == list_id))
    nothing = {"last_position": 0, "contact_count": 0}
    connection.execute(contact_list.update().where(contact_list.c.id == list_id).values(**nothing))
    return True


def field_counts(connection: Connection, list_id: str) -> dict[str, int]:
    """How many contacts of a list carry each field."""
    rows = connection.execute(
        sa.select(list_field.c.name, list_field.c.contacts).where(list_field.c.list_id == list_id)
    )
    return {row.name: row.contacts for row in rows}


def add(connection: Connection, list_id: str, contacts: Sequence[NewContact], now: datetime) -> list[bool]:
    """Append contacts to a list; for each, whether its number is new there. See `add_columns`."""
    return add_columns(connection, list_id, NewContacts.of(contacts), now)


def add_columns(
    connection: Connection,
    list_id: str,
    contacts: NewContacts,
    now: datetime,
    known: Known | None = None,
) -> list[bool]:
    """Append contacts to a list; for each, whether its number is new there. `known`: what is known of the list's
    numbers; those appended are taken in.

    Holds the list's row until the transaction ends, so that positions become visible in order. Running campaigns
    that dial the list are woken.
    """
    # Campaigns that point to the list are made meanwhile without waiting: FOR NO KEY UPDATE.
    held = connection.execute(
        sa.select(contact_list).where(contact_list.c.id == list_id).with_for_update(key_share=True)
    ).one()
    suspects = contacts.e164 if known is None else known.suspects(contacts.e164, held.last_position)
    new = bulk.are_new(contacts.e164, present(connection, list_id, suspects))
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
        if known is not None:
            known.take_in(added.e164, held.last_position + len(added))
        _count_fields(connection, list_id, {name: sum(column) for name, column in added.has.items()})
        _wake_campaigns(connection, list_id, now)
    return new


def add_not_reached(
    connection: Connection,
    list_id: str,
    campaign_row: AnyRow,
    dispositions: Collection[str],
    dnd_list_ids: Sequence[str],
    *,
    undialled: bool,
) -> int:
    """Fill a new list with the contacts of a campaign that is over whom it did not reach; how many they are.

    They are those whose call ended with one of `dispositions`, and with `undialled` those who were not dialled at all.
    Whoever joined the list after the campaign's end was never meant by it. Left out is who ever picked up, and who
    stands on one of the DND lists by now.
    """
    ended = call.c.state.in_([one.value for one in (CallState.FAILED, CallState.UNKNOWN, *_UNDIALLED)])
    by_disposition = sa.and_(ended, call.c.disposition.in_(list(dispositions)))
    never = sa.and_(call.c.state.in_([one.value for one in _UNDIALLED]), call.c.disposition.is_(None))
    # Of the last contacts a stop or an end date writes no call at all.
    chosen = sa.or_(by_disposition, call.c.id.is_(None), never) if undialled else by_disposition
    picked_up = sa.exists().where(cdr.c.call_id == call.c.id, cdr.c.dial_status == DialStatus.ANSWER.value)
    forbidden = sa.exists().where(
        dnd_number.c.dnd_list_id.in_(dnd_list_ids), dnd_number.c.e164 == contact.c.e164
    )
    theirs = sa.and_(call.c.campaign_id == campaign_row.id, call.c.e164 == contact.c.e164)
    place = sa.func.row_number().over(order_by=contact.c.position)
    carried = (contact.c.e164, contact.c.name, contact.c.fields, contact.c.time_zone, contact.c.language)
    found = (
        sa.select(sa.literal(list_id), place, *carried)
        .select_from(contact.outerjoin(call, theirs))
        .where(
            contact.c.list_id == campaign_row.list_id,
            contact.c.position <= max(campaign_row.cursor, campaign_row.end_position or 0),
            chosen,
            ~picked_up,
            ~forbidden,
        )
    )
    columns = ["list_id", "position", *(column.name for column in carried)]
    connection.execute(contact.insert().from_select(columns, found))
    added = connection.execute(
        sa.select(sa.func.count()).select_from(contact).where(contact.c.list_id == list_id)
    ).scalar_one()
    counted = {"last_position": added, "contact_count": added}
    connection.execute(contact_list.update().where(contact_list.c.id == list_id).values(counted))
    _count_all_fields(connection, list_id)
    return added


def _count_all_fields(connection: Connection, list_id: str) -> None:
    """Count the fields that the contacts of a list carry, of which none are counted yet."""
    names = sa.func.json_each if connection.dialect.name == "sqlite" else sa.func.jsonb_object_keys
    keys = names(contact.c.fields).table_valued("key")
    if connection.dialect.name != "sqlite":
        keys = keys.render_derived()
    carried = (
        sa.select(sa.literal(list_id), keys.c.key, sa.func.count())
        .select_from(contact.join(keys, sa.true()))
        .where(contact.c.list_id == list_id)
        .group_by(keys.c.key)
    )
    connection.execute(list_field.insert().from_select(["list_id", "name", "contacts"], carried))


def present(connection: Connection, list_id: str, numbers: Sequence[str]) -> set[str]:
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
