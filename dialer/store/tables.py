"""The tables as Core objects, and the few constructs that differ between PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Generic, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy import Cast, Column, ColumnElement, Connection, Row, Select, Table
from sqlalchemy.dialects import postgresql, sqlite

from dialer.lifecycle import AttemptState, CallState, CampaignState, VerificationState
from dialer.models import metadata
from dialer.models.base import states_in
from dialer.store import bulk

account = metadata.tables["account"]
announce_template = metadata.tables["announce_template"]
api_key = metadata.tables["api_key"]
attempt = metadata.tables["attempt"]
audit_entry = metadata.tables["audit_entry"]
call = metadata.tables["call"]
campaign = metadata.tables["campaign"]
campaign_count = metadata.tables["campaign_count"]
campaign_dnd_list = metadata.tables["campaign_dnd_list"]
cdr = metadata.tables["cdr"]
checked_number = metadata.tables["checked_number"]
cdr_poll = metadata.tables["cdr_poll"]
contact = metadata.tables["contact"]
contact_list = metadata.tables["contact_list"]
dnd_list = metadata.tables["dnd_list"]
dnd_mirror = metadata.tables["dnd_mirror"]
dnd_mirror_rule = metadata.tables["dnd_mirror_rule"]
dnd_number = metadata.tables["dnd_number"]
event = metadata.tables["event"]
history = metadata.tables["history"]
idempotency_key = metadata.tables["idempotency_key"]
import_ = metadata.tables["import"]
inbound_call = metadata.tables["inbound_call"]
inbound_rule = metadata.tables["inbound_rule"]
list_field = metadata.tables["list_field"]
message = metadata.tables["message"]
meter = metadata.tables["meter"]
provider = metadata.tables["provider"]
rejected_row = metadata.tables["rejected_row"]
unknown_word = metadata.tables["unknown_word"]
verification = metadata.tables["verification"]
verification_conversion = metadata.tables["verification_conversion"]
verification_rules = metadata.tables["verification_rules"]
verification_send = metadata.tables["verification_send"]
webhook_delivery = metadata.tables["webhook_delivery"]
webhook_endpoint = metadata.tables["webhook_endpoint"]

StateT = TypeVar("StateT", CampaignState, CallState, AttemptState, VerificationState)
AnyRow: TypeAlias = Row[*tuple[Any, ...]]
Rows: TypeAlias = Sequence[AnyRow]


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT with ON CONFLICT, in the dialect of `connection`."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def in_states(table: Table, states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """`state IN (…)` with literals: a partial index is used only if the planner sees its predicate."""
    return sa.literal_column(states_in(f"{table.name}.state", frozenset(states)), sa.Boolean())


def with_ids(
    connection: Connection, table: Table, ids: Iterable[str], *, lock: bool = False
) -> dict[str, AnyRow]:
    """The rows with these ids; `lock`: locked, in the order of their ids."""
    statement = _with_ids(table, connection.dialect.name, lock)
    rows = connection.execute(statement, {"ids": many(connection, list(ids))}).all()
    return {row.id: row for row in rows}


@lru_cache(maxsize=32)
def _with_ids(table: Table, dialect: str, lock: bool) -> Select[Any]:
    statement = sa.select(table).where(in_many(dialect, table.c.id, "ids"))
    return statement.order_by(table.c.id).with_for_update() if lock else statement


def many(connection: Connection, values: Sequence[Any]) -> Any:
    """`values` as the one parameter that `in_many` compares with."""
    return list(values) if connection.dialect.name == "sqlite" else bulk.array_of(values)


def in_many(dialect: str, column: Column[Any], name: str) -> ColumnElement[bool]:
    """`column IN (:name)`, a parameter that `many` makes.

    A statement of a hundred parameters costs more to write and to parse than to run, so PostgreSQL is given an array.
    """
    if dialect == "sqlite":
        return column.in_(sa.bindparam(name, expanding=True))
    return column == sa.func.any(array(column, name))


def array(column: Column[Any], name: str) -> Cast[Any]:
    """The parameter `name`, made by `many`, as an array of the column's type (PostgreSQL)."""
    # Of no type, so that the text goes to the database as it was written.
    return sa.cast(sa.bindparam(name, type_=sa.types.NullType()), postgresql.ARRAY(column.type))


class StaleStateError(RuntimeError):
    """A row was not in the state it was locked in: two transactions moved it at once, which a lock must prevent."""


@dataclass(frozen=True, slots=True)
class Move(Generic[StateT]):
    """One row's change of state, with the other columns that change with it."""

    id: str
    from_state: StateT
    to_state: StateT
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""


def move(
    connection: Connection,
    table: Table,
    transitions: Mapping[StateT, frozenset[StateT]],
    moves: Sequence[Move[StateT]],
    now: datetime,
) -> None:
    """Move rows from state to state, and write the history of it.

    Every UPDATE is guarded by the state it starts from. Raises ValueError for a transition that the table does
    not draw, StaleStateError when a row is no longer where it was (the caller's transaction must then be rolled
    back).
    """
    _check(table, transitions, moves)
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for one in moves:
        alike.setdefault(tuple(one.values), []).append(_row(one))
    for batch in alike.values():
        _expect(table, len(batch), bulk.move(connection, table, history, batch, now))


def move_adding(
    connection: Connection,
    table: Table,
    transitions: Mapping[StateT, frozenset[StateT]],
    moves: Sequence[Move[StateT]],
    added: Table,
    news: Sequence[Mapping[str, Any]],
    now: datetime,
) -> None:
    """`move`, all with the same columns, and insert a row of the table `added` for each; on PostgreSQL in one
    statement. IntegrityError when there is such a row."""
    _check(table, transitions, moves)
    rows = [_row(one) for one in moves]
    _expect(table, len(rows), bulk.move_adding(connection, table, history, rows, added, news, now))


def record(connection: Connection, machine: str, moves: Sequence[Move[Any]], now: datetime) -> None:
    """Append to the history alone: for rows that are inserted, not moved."""
    bulk.insert(connection, history, [bulk.history_row(machine, _row(one), now) for one in moves])


def _check(
    table: Table, transitions: Mapping[StateT, frozenset[StateT]], moves: Sequence[Move[StateT]]
) -> None:
    for one in moves:
        if one.to_state not in transitions[one.from_state]:
            raise ValueError(f"a {table.name} cannot go from {one.from_state} to {one.to_state}")


def _expect(table: Table, wanted: int, moved: int) -> None:
    if moved != wanted:
        raise StaleStateError(f"{wanted - moved} of {wanted} rows of {table.name} were moved by another")


def _row(one: Move[Any]) -> dict[str, Any]:
    return {
        "_id": one.id,
        "_from": one.from_state.value,
        "_reason": one.reason,
        "state": one.to_state.value,
        **one.values,
    }
