"""Many rows in one statement.

PostgreSQL is handed one array per column and unnests them: one statement is parsed, planned and answered, however many
rows there are, and no value passes through SQLAlchemy's types. SQLite, whose calls cost no round trip, runs the
statement row by row (`executemany`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
#: Names of values that say which row is meant, beside its columns: its id, and the state it must be in.
KEY, STATE = "_id", "_from"


def insert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    *,
    unless: Sequence[str] = (),
    unless_where: str = "",
    returning: str | None = None,
) -> list[Any]:
    """Insert rows, all with the same columns; the values of `returning` of those inserted.

    `unless` names the columns of a unique index (`unless_where`: its predicate); a row that it has already is left
    out. Raises IntegrityError for any other conflict.
    """
    if not rows:
        return []
    if connection.dialect.name == "sqlite":
        statement = sqlite.insert(table)
        if unless:
            where = sa.text(unless_where) if unless_where else None
            statement = statement.on_conflict_do_nothing(index_elements=list(unless), index_where=where)
        if returning is None:
            connection.execute(statement, list(rows))
            return []
        return list(connection.execute(statement.returning(table.c[returning]), list(rows)).scalars())
    defaults = _defaults(table, tuple(rows[0]))
    if defaults:
        rows = [{**defaults, **row} for row in rows]
    names = tuple(rows[0])
    sql = _insert_sql(table, names, tuple(unless), unless_where, returning)
    result = connection.exec_driver_sql(sql, _arrays(table, names, rows))
    return list(result.scalars()) if returning is not None else []


def update(connection: Connection, table: Table, rows: Sequence[Row], *, where: str = "") -> int:
    """Set columns of the rows whose id is `_id` and whose state is `_from` (where given); how many there were.

    All rows name the same columns. `where` is a further condition on the table, as SQL.
    """
    if not rows:
        return 0
    names = tuple(rows[0])
    if connection.dialect.name == "sqlite":
        statement = table.update().where(table.c.id == sa.bindparam(KEY))
        if STATE in names:
            statement = statement.where(table.c.state == sa.bindparam(STATE))
        if where:
            statement = statement.where(sa.text(where))
        columns: dict[str, Any] = {name: sa.bindparam(name) for name in names if name not in (KEY, STATE)}
        return connection.execute(statement.values(columns), list(rows)).rowcount
    return connection.exec_driver_sql(_update_sql(table, names, where), _arrays(table, names, rows)).rowcount


@lru_cache(maxsize=256)
def _defaults(table: Table, names: tuple[str, ...]) -> Row:
    """The defaults of the columns that are not named."""
    return {
        column.name: column.default.arg
        for column in table.columns
        if column.name not in names
        and isinstance(column.default, sa.ColumnDefault)
        and column.default.is_scalar
    }


@lru_cache(maxsize=256)
def _insert_sql(
    table: Table, names: tuple[str, ...], unless: tuple[str, ...], unless_where: str, returning: str | None
) -> str:
    columns = ", ".join(_quoted(name) for name in names)
    values = f"SELECT {_selected(table, names)} FROM {_unnested(table, names)}"  # noqa: S608 - names of our own only
    sql = f"INSERT INTO {_quoted(table.name)} ({columns}) {values}"
    if unless:
        target = ", ".join(_quoted(name) for name in unless)
        sql += f" ON CONFLICT ({target}){' WHERE ' + unless_where if unless_where else ''} DO NOTHING"
    return sql if returning is None else f"{sql} RETURNING {_quoted(returning)}"


@lru_cache(maxsize=256)
def _update_sql(table: Table, names: tuple[str, ...], where: str) -> str:
    name = _quoted(table.name)
    settings = ", ".join(
        f"{_quoted(column)} = {_value(table, column)}" for column in names if column not in (KEY, STATE)
    )
    conditions = [f"{name}.id = v.{_quoted(KEY)}"]
    if STATE in names:
        conditions.append(f"{name}.state = v.{_quoted(STATE)}")
    if where:
        conditions.append(where)
    source, condition = _unnested(table, names), " AND ".join(conditions)
    return f"UPDATE {name} SET {settings} FROM {source} WHERE {condition}"  # noqa: S608 - as above


def _selected(table: Table, names: tuple[str, ...]) -> str:
    return ", ".join(_value(table, name) for name in names)


def _value(table: Table, name: str) -> str:
    value = f"v.{_quoted(name)}"
    return f"{value}::jsonb" if _is_json(_column(table, name)) else value


def _unnested(table: Table, names: tuple[str, ...]) -> str:
    arrays = ", ".join(f"%s::{_array_type(_column(table, name))}[]" for name in names)
    return f"unnest({arrays}) AS v({', '.join(_quoted(name) for name in names)})"


def _column(table: Table, name: str) -> Column[Any]:
    return table.c[{KEY: "id", STATE: "state"}.get(name, name)]


def _is_json(column: Column[Any]) -> bool:
    return isinstance(column.type, sa.JSON)


def _array_type(column: Column[Any]) -> str:
    if _is_json(column) or isinstance(column.type, sa.String):
        return "text"
    return str(column.type.compile(dialect=_POSTGRESQL))


def _arrays(table: Table, names: tuple[str, ...], rows: Sequence[Row]) -> tuple[list[Any], ...]:
    return tuple(
        [None if row[name] is None else json.dumps(row[name]) for row in rows]
        if _is_json(_column(table, name))
        else [row[name] for row in rows]
        for name in names
    )


def _quoted(name: str) -> str:
    return f'"{name}"'
