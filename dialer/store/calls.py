"""SQL of calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, CompoundSelect, Connection, FromClause, Select

from dialer import ids
from dialer.lifecycle import CALL_TRANSITIONS, CallKind, CallState
from dialer.models.call import OCCUPYING
from dialer.store import bulk, tables, walk
from dialer.store.tables import (
    AnyRow,
    Move,
    Rows,
    attempt,
    call,
    campaign,
    contact,
    in_many,
    in_states,
    many,
    message,
)
from dialer.store.walk import Found


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
    call.c.repeats,
    call.c.scheduled_at,
    call.c.disposition,
    call.c.metadata,
)
_OF_CONTACT = (
    contact.c.name.label("contact_name"),
    contact.c.fields.label("contact_fields"),
    contact.c.language.label("contact_language"),
)

_OF_WAITING = (call.c.id, call.c.due_at, call.c.time_zone, call.c.reason)


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
    """Released calls whose last doorbell nobody answered; (id, campaign_id, kind), locked."""
    return connection.execute(
        sa.select(call.c.id, call.c.campaign_id, call.c.kind)
        .where(in_states(call, {CallState.RELEASED}), call.c.rung_at < rung_before)
        .order_by(call.c.rung_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def lock_released_of(connection: Connection, campaign_id: str) -> Rows:
    """The ids of a campaign's calls that were released and that no worker has taken yet, locked; those that one is
    taking are skipped."""
    return connection.execute(
        sa.select(call.c.id)
        .where(call.c.campaign_id == campaign_id, in_states(call, {CallState.RELEASED}))
        .with_for_update(skip_locked=True)
    ).all()


def zones_of_waiting(connection: Connection, campaign_id: str, limit: int) -> list[str]:
    """The time zones of some of a campaign's calls that wait, one for each."""
    waiting = sa.select(call.c.time_zone).where(
        call.c.campaign_id == campaign_id, in_states(call, {CallState.WAITING})
    )
    return list(connection.execute(waiting.limit(limit)).scalars())


def waiting_after(connection: Connection, campaign_id: str, after: tuple[datetime, str], limit: int) -> Rows:
    """A campaign's waiting calls behind that (due_at, id), in this order, not locked: id, due_at, time_zone, reason."""
    place = sa.tuple_(call.c.due_at, call.c.id)
    behind = sa.tuple_(sa.literal(after[0], call.c.due_at.type), sa.literal(after[1], call.c.id.type))
    return connection.execute(
        sa.select(*_OF_WAITING)
        .where(call.c.campaign_id == campaign_id, in_states(call, {CallState.WAITING}), place > behind)
        .order_by(call.c.due_at, call.c.id)
        .limit(limit)
    ).all()


def lock_waiting(connection: Connection, ids: Sequence[str]) -> Rows:
    """Those of these calls that still wait, locked, as in `waiting_after`; those that another holds are skipped."""
    rows = connection.execute(
        sa.select(*_OF_WAITING, call.c.state)
        .where(in_many(connection.dialect.name, call.c.id, "ids"))
        .with_for_update(skip_locked=True),
        {"ids": many(connection, ids)},
    )
    return [row for row in rows if row.state == CallState.WAITING]


def mark_rung(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Note that a doorbell is rung again."""
    connection.execute(
        call.update().where(in_many(connection.dialect.name, call.c.id, "ids")).values(rung_at=now),
        {"ids": many(connection, ids)},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which calls of an account are meant; None: all. `since` is included, `before` is not."""

    e164: str | None = None
    campaign_id: str | None = None
    kind: str | None = None
    states: Sequence[CallState] | None = None
    since: datetime | None = None
    before: datetime | None = None


def page(
    connection: Connection, account_id: str, chosen: Filter, limit: int, after: str | None = None
) -> Found:
    """Calls of this account, the newest first, those before the call `after`: as `shown` has them."""
    first, last = _between(connection, account_id, chosen)
    whose = [*([] if first is None else [call.c.id >= first]), *([] if last is None else [call.c.id < last])]
    if chosen.e164 is not None:  # they are few
        whose += [call.c.id.in_(ids_to(account_id, chosen.e164)), *_sought(call, chosen)]
        chosen = Filter()
    else:
        whose.append(call.c.account_id == account_id)
    if chosen.kind not in (None, CallKind.CAMPAIGN):  # these have an index of their own
        whose += [call.c.kind == chosen.kind, call.c.campaign_id.is_(None)]
        chosen = replace(chosen, kind=None)
    return walk.page(
        connection,
        [call.c.id],
        whose,
        limit,
        after=None if after is None else (after,),
        newest_first=True,
        sought=lambda one: _sought(one, chosen),
        shown=shown,
    )


def _sought(one: FromClause, chosen: Filter) -> list[ColumnElement[bool]]:
    """What must hold of a row of calls, but for its time and number."""
    conditions = (
        None if chosen.campaign_id is None else one.c.campaign_id == chosen.campaign_id,
        None if chosen.kind is None else one.c.kind == chosen.kind,
        None if chosen.states is None else one.c.state.in_([state.value for state in chosen.states]),
    )
    return [condition for condition in conditions if condition is not None]


def get(connection: Connection, account_id: str, call_id: str) -> AnyRow | None:
    """A call of this account: as `shown` has it."""
    return connection.execute(
        shown().where(call.c.id == call_id, call.c.account_id == account_id)
    ).one_or_none()


def shown(one: FromClause = call) -> Select[Any]:
    """Calls with `caller_id`, `connect_to` and `capability`, as message or campaign tells; never what they say. `one`:
    the table, or what is walked of it."""
    return sa.select(
        *(column for column in one.c if column.name not in {"list_id", "position", "rung_at", "unsent"}),
        sa.func.coalesce(message.c.caller_id, campaign.c.caller_id, "").label("caller_id"),
        message.c.connect_to,
        message.c.capability,
    ).select_from(
        one.outerjoin(message, message.c.call_id == one.c.id).outerjoin(
            campaign, campaign.c.id == one.c.campaign_id
        )
    )


def ids_to(account_id: str, e164: str) -> CompoundSelect[Any]:
    """The ids of an account's calls to this number: of its single calls, and of its campaigns, looked up in each."""
    single = sa.select(call.c.id).where(
        call.c.account_id == account_id, call.c.e164 == e164, call.c.campaign_id.is_(None)
    )
    ours = sa.select(campaign.c.id).where(campaign.c.account_id == account_id)
    of_campaigns = sa.select(call.c.id).where(call.c.campaign_id.in_(ours), call.c.e164 == e164)
    return sa.union_all(single, of_campaigns)


def _between(connection: Connection, account_id: str, chosen: Filter) -> tuple[str | None, str | None]:
    """The ids between which calls of this time, or of this campaign's time, lie: ids begin with the time."""
    since, before = chosen.since, chosen.before
    if chosen.campaign_id is not None:
        began = connection.execute(
            sa.select(campaign.c.created_at).where(
                campaign.c.id == chosen.campaign_id, campaign.c.account_id == account_id
            )
        ).scalar_one_or_none()
        if began is None:
            return "~", "~"  # no call has such an id
        since = began if since is None else max(began, since)
    return (
        None if since is None else ids.first_call_id(since),
        None if before is None else ids.first_call_id(before),
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
