"""SQL of calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Select

from dialer.lifecycle import CALL_TRANSITIONS, CallState
from dialer.models.call import OCCUPYING
from dialer.store import bulk, tables
from dialer.store.tables import AnyRow, Move, Rows, attempt, call, contact, in_many, in_states, many


@dataclass(frozen=True, slots=True)
class CallMove(Move[CallState]):
    """A call's change of state."""


def add_for_campaign(connection: Connection, rows: Sequence[dict[str, Any]]) -> set[str]:
    """Insert calls of a campaign; the ids of those whose number the campaign had not taken yet."""
    added = bulk.insert(
        connection,
        call,
        rows,
        unless=["campaign_id", "e164"],
        unless_where="campaign_id IS NOT NULL",
        returning="id",
    )
    return set(added)


def lock_due(connection: Connection, campaign_id: str, now: datetime, limit: int) -> Rows:
    """The campaign's waiting calls that are due, oldest first; those that another holds are skipped."""
    return connection.execute(
        sa.select(call)
        .where(call.c.campaign_id == campaign_id, in_states(call, {CallState.WAITING}), call.c.due_at <= now)
        .order_by(call.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


#: What of a call decides whether and how it is dialled, and what of its contact its message says.
_TO_DIAL = (
    call.c.id,
    call.c.account_id,
    call.c.kind,
    call.c.campaign_id,
    call.c.list_id,
    call.c.e164,
    call.c.time_zone,
    call.c.state,
    call.c.expires_at,
    call.c.provider_id,
    call.c.dials,
)
_OF_CONTACT = (
    contact.c.name.label("contact_name"),
    contact.c.fields.label("contact_fields"),
    contact.c.language.label("contact_language"),
)


def lock_released(connection: Connection, ids: Sequence[str]) -> Rows:
    """Those of `ids` that are released and that no other worker is claiming: what a dial needs of the call, and
    `contact_name`, `contact_fields` and `contact_language` (None for a call without a contact)."""
    rows = connection.execute(_to_dial(connection.dialect.name), {"ids": many(connection, ids)})
    # Not in SQL: PostgreSQL would rather read every call in flight in a partial index than these few by their ids.
    return [row for row in rows if row.state == CallState.RELEASED]


@cache
def _to_dial(dialect: str) -> Select[Any]:
    theirs = sa.and_(contact.c.list_id == call.c.list_id, contact.c.position == call.c.position)
    if dialect == "sqlite":
        statement = sa.select(*_TO_DIAL, *_OF_CONTACT).select_from(call.outerjoin(contact, theirs))
    else:
        # Looked up one by one in the primary key, whatever the statistics of a list just imported say.
        person = sa.select(*_OF_CONTACT).where(theirs).limit(1).lateral()
        statement = sa.select(*_TO_DIAL, person).select_from(call.outerjoin(person, sa.true()))
    return (
        statement.where(in_many(dialect, call.c.id, "ids"))
        .order_by(call.c.id)
        .with_for_update(skip_locked=True, of=call)
    )


def lock(connection: Connection, ids: Sequence[str]) -> dict[str, AnyRow]:
    """The calls with these ids, locked in the order of their ids."""
    return tables.with_ids(connection, call, ids, lock=True)


def lock_open(connection: Connection, campaign_id: str, limit: int) -> Rows:
    """Calls of a campaign that have not been dialled and are not being dialled: what a stop or an end date ends."""
    found: list[AnyRow] = []
    for state in (CallState.WAITING, CallState.RELEASED):  # each has an index of its own
        found += connection.execute(
            sa.select(call)
            # In no order: sorted, PostgreSQL would walk the primary key past every older campaign. Rows that
            # another holds are skipped, so the order of locking does not matter.
            .where(call.c.campaign_id == campaign_id, in_states(call, {state}))
            .limit(limit - len(found))
            .with_for_update(skip_locked=True)
        ).all()
    return found


def has_open(connection: Connection, campaign_id: str) -> bool:
    """Whether any call of the campaign has not ended."""
    waiting, occupying = (
        sa.exists().where(call.c.campaign_id == campaign_id, in_states(call, states))
        for states in ({CallState.WAITING}, OCCUPYING)
    )
    return bool(connection.execute(sa.select(sa.or_(waiting, occupying))).scalar())


def next_due(connection: Connection, campaign_id: str) -> datetime | None:
    """When the first waiting call of the campaign is due; None when none waits."""
    due: datetime | None = connection.execute(
        sa.select(call.c.due_at)
        .where(call.c.campaign_id == campaign_id, in_states(call, {CallState.WAITING}))
        .order_by(call.c.due_at)
        .limit(1)
    ).scalar_one_or_none()
    return due


def occupancy(connection: Connection, column: str, value: str) -> int:
    """Calls at once: released or at a provider, where `column` (`campaign_id`, `account_id`, `provider_id`) is
    `value`. Counted from the rows, so that it cannot leak."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(call)
        .where(call.c[column] == value, in_states(call, OCCUPYING))
    ).scalar_one()


def count_live(connection: Connection, account_id: str) -> Counter[str]:
    """How many calls of an account are being dialled or are in progress, by kind."""
    rows = connection.execute(
        sa.select(call.c.kind, call.c.state, sa.func.count())
        .where(call.c.account_id == account_id, in_states(call, OCCUPYING))
        .group_by(call.c.kind, call.c.state)
    )
    live: Counter[str] = Counter()
    for kind, state, count in rows:
        if state != CallState.RELEASED:
            live[kind] += count
    return live


def count_released(connection: Connection, campaign_id: str) -> int:
    """The campaign's calls that were released and that no worker has taken yet."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(call)
        .where(call.c.campaign_id == campaign_id, in_states(call, {CallState.RELEASED}))
    ).scalar_one()


def has_released(connection: Connection, provider_id: str) -> bool:
    """Whether a call was released to this provider that no worker has taken yet."""
    released = sa.select(sa.literal(1)).where(
        call.c.provider_id == provider_id, in_states(call, {CallState.RELEASED})
    )
    return connection.execute(released.limit(1)).first() is not None


def untaken(connection: Connection, rung_before: datetime, limit: int) -> Rows:
    """Released calls whose last doorbell nobody answered; (id, campaign_id), locked."""
    return connection.execute(
        sa.select(call.c.id, call.c.campaign_id)
        .where(in_states(call, {CallState.RELEASED}), call.c.rung_at < rung_before)
        .order_by(call.c.rung_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def mark_rung(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Note that a doorbell is rung again."""
    connection.execute(
        call.update().where(in_many(connection.dialect.name, call.c.id, "ids")).values(rung_at=now),
        {"ids": many(connection, ids)},
    )


def move(connection: Connection, moves: Sequence[CallMove], now: datetime) -> None:
    """Move calls from state to state; see `tables.move`."""
    tables.move(connection, call, CALL_TRANSITIONS, moves, now)


def dial(
    connection: Connection,
    moves: Sequence[CallMove],
    new_attempts: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:
    """Move calls to DIALLING, and insert the attempt of each; see `tables.move_adding`. A second attempt of the same
    call and number violates the primary key: IntegrityError."""
    tables.move_adding(connection, call, CALL_TRANSITIONS, moves, attempt, new_attempts, now)


def update(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Set columns of locked calls that stay in their state; every row names the same columns and `_id`."""
    bulk.update(connection, call, rows)
