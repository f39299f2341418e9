"""SQL of single calls: those without a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from dialer.lifecycle import CallState
from dialer.store.tables import (
    AnyRow,
    Rows,
    account,
    call,
    dnd_list,
    dnd_number,
    in_states,
    message,
    provider,
)


def add(connection: Connection, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Insert a single call and its message; on PostgreSQL in one statement."""
    if connection.dialect.name == "sqlite":
        connection.execute(call.insert(), dict(row))
        connection.execute(message.insert(), dict(said))
    else:
        added = call.insert().values(**row).cte("added")
        connection.execute(message.insert().values(**said).add_cte(added))


def get(connection: Connection, account_id: str, call_id: str) -> AnyRow | None:
    """A call of this account, single or of a campaign."""
    return connection.execute(
        sa.select(call).where(call.c.id == call_id, call.c.account_id == account_id)
    ).one_or_none()


def is_any_due(connection: Connection, now: datetime) -> bool:
    """Whether a single call that waits is due: a look without a lock."""
    found = connection.execute(sa.select(sa.literal(1)).where(_waiting(), call.c.due_at <= now).limit(1))
    return found.first() is not None


def lock_due(connection: Connection, now: datetime, limit: int) -> Rows:
    """Single calls that wait and are due, oldest first; those that another holds are skipped."""
    return connection.execute(
        sa.select(call)
        .where(_waiting(), call.c.due_at <= now)
        .order_by(call.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def count_waiting(connection: Connection, column: str, value: str, until: datetime) -> int:
    """Single calls that are due by then, where `column` (`account_id`, `provider_id`) is `value`: they go before any
    campaign's."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(call)
        .where(_waiting(), call.c.due_at <= until, call.c[column] == value)
    ).scalar_one()


@dataclass(frozen=True, slots=True, repr=False)
class Facts:
    """What must be known of single calls before they are dialled; accounts and providers by id, messages by call."""

    accounts: dict[str, Any]
    providers: dict[str, Any]
    messages: dict[str, Any]
    #: Calls to numbers that stand on the global DND list of their account.
    on_dnd: set[str]


def lock_released(connection: Connection, call_ids: Sequence[str]) -> tuple[Rows, Facts]:
    """Those of these single calls that are released and that no other worker is claiming, and all that is to be known
    of them, in one statement: each round trip is time that somebody waits."""
    rows = connection.execute(_LOCK_RELEASED, {"ids": list(call_ids)}).all()
    accounts: dict[str, Any] = {}
    providers: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    on_dnd: set[str] = set()
    for row in rows:
        call_id = row.id
        columns = iter(row[-sum(map(len, _NAMES)) :])
        their_account, their_provider, their_message = (
            SimpleNamespace(**{name: next(columns) for name in names}) for names in _NAMES
        )
        if row.is_on_dnd:
            on_dnd.add(call_id)
        accounts[their_account.id] = their_account
        if their_provider.id is not None:
            providers[their_provider.id] = their_provider
        if their_message.call_id is not None:
            messages[call_id] = their_message
    return rows, Facts(accounts, providers, messages, on_dnd)


_PARTS = (account, provider, message)
_NAMES = [part.columns.keys() for part in _PARTS]
#: Made once: as many columns as these cost more to put together than to read.
_LOCK_RELEASED = (
    sa.select(
        *call.columns,
        sa.exists()
        .where(
            dnd_list.c.account_id == call.c.account_id,
            dnd_list.c.is_global,
            dnd_number.c.dnd_list_id == dnd_list.c.id,
            dnd_number.c.e164 == call.c.e164,
        )
        .label("is_on_dnd"),
        *(column.label(f"their_{part.name}_{column.name}") for part in _PARTS for column in part.columns),
    )
    .select_from(
        call.join(account, account.c.id == call.c.account_id)
        .outerjoin(provider, provider.c.id == call.c.provider_id)
        .outerjoin(message, message.c.call_id == call.c.id)
    )
    .where(
        call.c.id.in_(sa.bindparam("ids", expanding=True)),
        call.c.campaign_id.is_(None),
        in_states(call, {CallState.RELEASED}),
    )
    .order_by(call.c.id)
    .with_for_update(skip_locked=True, of=call)
)


def _waiting() -> ColumnElement[bool]:
    return sa.and_(in_states(call, {CallState.WAITING}), call.c.campaign_id.is_(None))
