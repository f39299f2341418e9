"""SQL of single calls: those without a campaign."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Select, Table

from dialer.lifecycle import NOT_URGENT, CallState
from dialer.models.announce_template import TemplateState
from dialer.models.call import IS_NOT_URGENT, IS_URGENT, OPEN_CALLBACK
from dialer.store import bulk, direct
from dialer.store.tables import (
    AnyRow,
    Rows,
    account,
    announce_template,
    call,
    dnd_list,
    dnd_number,
    in_many,
    in_states,
    many,
    message,
    provider,
)


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """What must be known when an account asks for a single call."""

    #: The database's clock (SQLite: this host's).
    now: datetime
    #: None: there is no such account.
    account: Any
    #: The text of the template that it named; None: it has no such template, or none that is approved.
    template: str | None
    #: Those that may carry its calls, paused or not, in the order in which they are tried.
    providers: Sequence[Any]


#: What of an account and a provider decides whether and when they can take a call …
_OF_ACCOUNT = (
    "id",
    "auth_hash",
    "enabled",
    "default_region",
    "time_zone",
    "max_concurrent",
    "calling_window",
)
_OF_PROVIDER = (
    "id",
    "name",
    "kind",
    "priority",
    "paused_reason",
    "held_until",
    "breaker_until",
    "max_concurrent",
)
#: … and what of all decides whether and how it is dialled.
_TO_DIAL = {
    call: (
        "id", "account_id", "kind", "campaign_id", "list_id", "e164", "time_zone", "state", "expires_at",
        "provider_id", "dials", "disposition", "created_at", "scheduled_at", "metadata",
    ),
    account: ("id", "enabled", "frequency_cap", "calls_per_minute", "calling_window"),
    provider: (
        "id", "name", "kind", "base_url", "credentials", "enabled", "paused_reason", "held_until",
        "breaker_trips", "breaker_until",
        "calls_per_minute", "webhook_token",
    ),
    message: (
        "call_id", "capability", "caller_id", "text", "media", "flow", "code", "connect_to", "record", "record_side",
        "transcript", "record_if_able", "prompts",
        "max_seconds", "ring", "repeat_count", "language_code", "voice", "volume", "rate", "pitch",
        "tts_engine_type", "provider_id", "time_zone",
    ),
}  # fmt: skip
_NAMES = tuple(_TO_DIAL.values())


def asked(connection: Connection, account_id: str, template_id: str) -> Asked:
    """All of that in one statement: each round trip is time that somebody waits."""
    parameters = {"account_id": account_id, "template_id": template_id}
    found = direct.rows(connection, _asked(connection.dialect.name), parameters)
    if not found:
        return Asked(datetime.now(UTC), None, None, [])
    now, template, *their_account = found[0]
    rows = [_named(_OF_PROVIDER, iter(row[2 + len(_OF_ACCOUNT) :])) for row in found]
    return Asked(
        now=now or datetime.now(UTC),
        account=_named(_OF_ACCOUNT, iter(their_account)),
        template=template,
        providers=[row for row in rows if row.id is not None],
    )


def add(connection: Connection, row: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    """Insert a single call and its message; on PostgreSQL in one statement."""
    if connection.dialect.name == "sqlite":
        connection.execute(call.insert(), dict(row))
        connection.execute(message.insert(), dict(said))
    else:
        values = (*row.values(), *said.values())
        connection.exec_driver_sql(_add_sql(tuple(row), tuple(said)), tuple(map(_as_sent, values)))


def add_all(
    connection: Connection, rows: Sequence[Mapping[str, Any]], said: Sequence[Mapping[str, Any]]
) -> None:
    """Insert single calls and the message of each, however many, in as few statements as can be."""
    if len(rows) == 1:
        add(connection, rows[0], said[0])
        return
    bulk.insert(connection, call, rows)
    bulk.insert(connection, message, said)


def add_callback(connection: Connection, row: Mapping[str, Any], said: Mapping[str, Any]) -> bool:
    """Insert a callback and its message, unless one of its account to this number is still open; whether it was."""
    added = bulk.insert(
        connection,
        call,
        [row],
        unless=["account_id", "e164"],
        unless_where=OPEN_CALLBACK,
        returning="id",
    )
    if added:
        connection.execute(message.insert(), dict(said))
    return bool(added)


def open_callback(connection: Connection, account_id: str, e164: str) -> str | None:
    """The callback of an account to this number that is open."""
    return connection.execute(
        sa.select(call.c.id).where(
            call.c.account_id == account_id,
            call.c.e164 == e164,
            sa.literal_column(f"({OPEN_CALLBACK})", sa.Boolean()),
        )
    ).scalar_one_or_none()


def lock_undialled(connection: Connection, call_id: str) -> AnyRow | None:
    """A single call, locked; None when it was dialled or released, or is over."""
    return connection.execute(
        sa.select(call)
        .where(call.c.id == call_id, in_states(call, {CallState.WAITING}), call.c.dials == 0)
        .with_for_update()
    ).one_or_none()


def get(connection: Connection, account_id: str, call_id: str) -> AnyRow | None:
    """A call of this account, single or of a campaign."""
    return connection.execute(
        sa.select(call).where(call.c.id == call_id, call.c.account_id == account_id)
    ).one_or_none()


def is_any_due(connection: Connection, now: datetime, *, urgent: bool) -> bool:
    """Whether a single call that waits is due: a look without a lock. Urgent, or one of the others."""
    due = sa.select(sa.literal(1)).where(waiting(urgent=urgent), call.c.due_at <= now)
    return connection.execute(due.limit(1)).first() is not None


def lock_due(connection: Connection, now: datetime, limit: int, *, urgent: bool) -> Rows:
    """Single calls that wait and are due, oldest first; those that another holds are skipped. Urgent ones, or the
    others."""
    return connection.execute(
        sa.select(call)
        .where(waiting(urgent=urgent), call.c.due_at <= now)
        .order_by(call.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def count_released(connection: Connection, most: int) -> int:
    """Single calls that are not urgent, were released and that no worker has taken yet; counted up to `most`."""
    few = (
        sa.select(sa.literal(1))
        .select_from(call)
        .where(
            call.c.campaign_id.is_(None),
            in_states(call, {CallState.RELEASED}),
            call.c.kind.in_(sorted(NOT_URGENT)),
        )
        .limit(most)
        .subquery()
    )
    return connection.execute(sa.select(sa.func.count()).select_from(few)).scalar_one()


def count_due(connection: Connection, until: datetime, most: int) -> int:
    """Single calls that are not urgent, wait and are due by then; counted up to `most`."""
    few = (
        sa.select(sa.literal(1))
        .select_from(call)
        .where(waiting(urgent=False), call.c.due_at <= until)
        .limit(most)
        .subquery()
    )
    return connection.execute(sa.select(sa.func.count()).select_from(few)).scalar_one()


def count_waiting(connection: Connection, column: str, value: str, until: datetime) -> int:
    """Urgent single calls that are due by then, where `column` (`account_id`, `provider_id`) is `value`: they go before
    any campaign's."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(call)
        .where(waiting(urgent=True), call.c.due_at <= until, call.c[column] == value)
    ).scalar_one()


@dataclass(frozen=True, slots=True, repr=False)
class Facts:
    """What must be known of single calls before they are dialled; accounts and providers by id, messages by call."""

    #: The database's clock as they were read.
    now: datetime
    accounts: dict[str, Any]
    providers: dict[str, Any]
    messages: dict[str, Any]
    #: Calls to, or connecting with, numbers that stand on the global DND list of their account.
    on_dnd: set[str]


def lock_released(connection: Connection, call_ids: Sequence[str]) -> tuple[Sequence[Any], Facts]:
    """Those of these single calls that are released and that no other worker is claiming, and all that is to be known
    of them, in one statement: each round trip is time that somebody waits."""
    found = direct.rows(connection, _released(connection.dialect.name), {"ids": many(connection, call_ids)})
    calls: list[Any] = []
    facts = Facts((found[0][0] if found else None) or datetime.now(UTC), {}, {}, {}, set())
    for _, is_on_dnd, *row in found:
        values = iter(row)
        their_call, their_account, their_provider, their_message = (_named(names, values) for names in _NAMES)
        calls.append(their_call)
        if is_on_dnd:
            facts.on_dnd.add(their_call.id)
        facts.accounts[their_account.id] = their_account
        if their_provider.id is not None:
            facts.providers[their_provider.id] = their_provider
        if their_message.call_id is not None:
            facts.messages[their_call.id] = their_message
    return calls, facts


@cache
def _asked(dialect: str) -> Select[Any]:
    theirs = sa.or_(provider.c.account_id.is_(None), provider.c.account_id == account.c.id)
    named = sa.and_(
        announce_template.c.account_id == account.c.id,
        announce_template.c.id == sa.bindparam("template_id"),
        announce_template.c.state == sa.literal_column(f"'{TemplateState.APPROVED}'"),
    )
    return (
        sa.select(
            _now(dialect),
            announce_template.c.text,
            *_labelled(account, _OF_ACCOUNT),
            *_labelled(provider, _OF_PROVIDER),
        )
        .select_from(
            account.outerjoin(announce_template, named).outerjoin(
                provider, sa.and_(theirs, provider.c.enabled)
            )
        )
        .where(account.c.id == sa.bindparam("account_id"))
        .order_by(provider.c.priority, provider.c.name)
    )


@cache
def _released(dialect: str) -> Select[Any]:
    # Of a click-to-call both ends are dialled. Each is looked up by itself in the primary key.
    is_on_dnd = sa.or_(
        _is_listed(call.c.e164), sa.and_(message.c.connect_to.is_not(None), _is_listed(message.c.connect_to))
    )
    columns = [column for table, names in _TO_DIAL.items() for column in _labelled(table, names)]
    return (
        sa.select(_now(dialect), is_on_dnd, *columns)
        .select_from(
            call.join(account, account.c.id == call.c.account_id)
            .outerjoin(provider, provider.c.id == call.c.provider_id)
            .outerjoin(message, message.c.call_id == call.c.id)
        )
        .where(
            in_many(dialect, call.c.id, "ids"),
            call.c.campaign_id.is_(None),
            in_states(call, {CallState.RELEASED}),
        )
        .order_by(call.c.id)
        .with_for_update(skip_locked=True, of=call)
    )


def _now(dialect: str) -> ColumnElement[Any]:
    """The database's clock; nothing on SQLite, whose clock is this host's."""
    return sa.null() if dialect == "sqlite" else sa.func.clock_timestamp()


def _is_listed(e164: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the number stands on the global DND list of the call's account."""
    return (
        sa.exists()
        .where(
            dnd_list.c.account_id == call.c.account_id,
            dnd_list.c.is_global,
            dnd_number.c.dnd_list_id == dnd_list.c.id,
            dnd_number.c.e164 == e164,
        )
        .correlate(call, message)
    )


@cache
def _add_sql(of_call: tuple[str, ...], of_message: tuple[str, ...]) -> str:
    insert_call, insert_message = (
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({', '.join(['%s'] * len(names))})"  # noqa: S608 - names of our own only
        for table, names in ((call, of_call), (message, of_message))
    )
    return f"WITH added AS ({insert_call}) {insert_message}"


def _as_sent(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict) else value


def _labelled(table: Table, names: Sequence[str]) -> list[ColumnElement[Any]]:
    return [table.c[name].label(f"{table.name}_{name}") for name in names]


def _named(names: Sequence[str], values: Iterator[Any]) -> Any:
    """The next values under these names."""
    return SimpleNamespace(**{name: next(values) for name in names})


def waiting(*, urgent: bool) -> ColumnElement[bool]:
    """Single calls that wait, urgent or not, in the words of the index that holds them."""
    kinds = sa.literal_column(IS_URGENT if urgent else IS_NOT_URGENT, sa.Boolean())
    return sa.and_(in_states(call, {CallState.WAITING}), call.c.campaign_id.is_(None), kinds)
