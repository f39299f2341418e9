"""The tables as Core objects, and the few constructs that differ between PostgreSQL and SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Row, Table
from sqlalchemy.dialects import postgresql, sqlite

from dialer.lifecycle import AttemptState, CallState, CampaignState
from dialer.models import metadata
from dialer.models.base import states_in
from dialer.store import bulk

account = metadata.tables["account"]
attempt = metadata.tables["attempt"]
call = metadata.tables["call"]
campaign = metadata.tables["campaign"]
campaign_count = metadata.tables["campaign_count"]
campaign_dnd_list = metadata.tables["campaign_dnd_list"]
cdr = metadata.tables["cdr"]
contact = metadata.tables["contact"]
contact_list = metadata.tables["contact_list"]
dnd_list = metadata.tables["dnd_list"]
dnd_number = metadata.tables["dnd_number"]
event = metadata.tables["event"]
history = metadata.tables["history"]
import_ = metadata.tables["import"]
list_field = metadata.tables["list_field"]
provider = metadata.tables["provider"]
rejected_row = metadata.tables["rejected_row"]

StateT = TypeVar("StateT", CampaignState, CallState, AttemptState)
AnyRow: TypeAlias = Row[*tuple[Any, ...]]
Rows: TypeAlias = Sequence[AnyRow]


def insert(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT with ON CONFLICT, in the dialect of `connection`."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def in_states(table: Table, states: Iterable[StrEnum]) -> ColumnElement[bool]:
    """`state IN (…)` with literals: a partial index is used only if the planner sees its predicate."""
    return sa.literal_column(states_in(f"{table.name}.state", frozenset(states)), sa.Boolean())


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
    for one in moves:
        if one.to_state not in transitions[one.from_state]:
            raise ValueError(f"a {table.name} cannot go from {one.from_state} to {one.to_state}")
    _write(
        connection,
        table,
        [
            {"_id": one.id, "_from": one.from_state.value, "state": one.to_state.value, **one.values}
            for one in moves
        ],
    )
    record(connection, table.name, moves, now)


def _write(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(tuple(sorted(row)), []).append(row)
    for batch in alike.values():
        moved = bulk.update(connection, table, batch)
        if moved != len(batch):
            raise StaleStateError(
                f"{len(batch) - moved} of {len(batch)} rows of {table.name} were moved by another"
            )


def record(connection: Connection, machine: str, moves: Sequence[Move[Any]], now: datetime) -> None:
    """Append the history of `moves`."""
    rows = [
        {
            "at": now,
            "machine": machine,
            "entity_id": one.id,
            "from_state": one.from_state.value,
            "to_state": one.to_state.value,
            "reason": one.reason,
        }
        for one in moves
    ]
    bulk.insert(connection, history, rows)
