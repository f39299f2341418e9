"""Many rows in one statement.

PostgreSQL is handed one array per column and unnests them: one statement is parsed, planned and answered, however many
rows there are, and no value passes through SQLAlchemy's types. The arrays are written here as text, because psycopg
takes microseconds for each value of a list. SQLite, whose calls cost no round trip, runs the statement row by row
(`executemany`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

import sqlalchemy as sa
from pydantic_core import from_json
from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

from dialer.store import direct

Row = Mapping[str, Any]

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]
#: Names of values beside a row's columns: its id and the state it must be in, which say what row is meant, and why it
#: is moved.
KEY, STATE, REASON = "_id", "_from", "_reason"
#: Values that one SQLite statement looks for.
MOST_IN = 2000
#: Values that are worth two statements more to be looked up faster.
MANY = 1_000
_ONLY_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
_BY_ANY_WAY = "SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_bitmapscan TO DEFAULT"
#: Rows of a COPY that are put together at once.
COPIED_AT_ONCE = 1000
_ESCAPED = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_TO_ESCAPE = re.compile(r"[\\\n\r\t]")


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
    rows = _whole(table, rows)
    names = tuple(rows[0])
    sql = _insert_sql(table, names, tuple(unless), unless_where, returning)
    result = connection.exec_driver_sql(sql, _arrays(table, names, rows))
    return list(result.scalars()) if returning is not None else []


def copy(connection: Connection, table: Table, columns: Mapping[str, Any]) -> None:
    """Append rows, given column by column: by COPY on PostgreSQL, which costs least where rows are many.

    A column is a list, or the one value that all rows have. Values of JSON columns are JSON already. A conflict is an
    error, so look for it before, under a lock. Raises what other statements raise.
    """
    rows = max(len(values) for values in columns.values() if isinstance(values, list))
    each = [values if isinstance(values, list) else [values] * rows for values in columns.values()]
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        for place, name in enumerate(columns):
            if _is_json(table.c[name]):
                each[place] = list(map(from_json, each[place]))
        connection.execute(
            sqlite.insert(table), [dict(zip(columns, row, strict=True)) for row in zip(*each, strict=True)]
        )
        return
    sql = f"COPY {_quoted(table.name)} ({', '.join(map(_quoted, columns))}) FROM STDIN"
    lines = map("\t".join, zip(*map(_copied, each), strict=True))
    driver: Any = connection.connection.driver_connection
    with direct.as_sqlalchemy(connection, sql), driver.cursor() as cursor, cursor.copy(sql) as writer:
        # In parts: PostgreSQL takes one in while the next is put together.
        while part := "\n".join(islice(lines, COPIED_AT_ONCE)):
            writer.write(part + "\n")


def _copied(values: list[Any]) -> list[str]:
    """A column in COPY's text format."""
    if values.count(values[0]) == len(values):
        return [_copied_value(values[0])] * len(values)
    try:
        joined = "".join(values)
    except TypeError:  # not all of them are text
        texts = {value: _copied_value(value) for value in set(values)}
        return list(map(texts.__getitem__, values))
    return list(map(_copied_value, values)) if _TO_ESCAPE.search(joined) else values


def _copied_value(value: Any) -> str:
    if isinstance(value, str):
        return value.translate(_ESCAPED)
    return "\\N" if value is None else str(value)


def matching(
    connection: Connection, table: Table, column: str, values: Sequence[str], **where: str
) -> set[str]:
    """Which of these values a text column holds in the rows where other columns are as in `where`.

    An index on those and the column serves it. No value may hold a comma.
    """
    found: set[str] = set()
    if not values:
        return found
    if connection.dialect.name == "sqlite":
        condition = sa.and_(*(table.c[name] == value for name, value in where.items()))
        for start in range(0, len(values), MOST_IN):
            chosen = table.c[column].in_(values[start : start + MOST_IN])
            found.update(connection.execute(sa.select(table.c[column]).where(condition, chosen)).scalars())
        return found
    # One look into the index for each value, whatever the planner thinks of a table that is just being filled; in
    # order, for neighbours lie on the same page of the index.
    name, key = _quoted(table.name), _quoted(column)
    conditions = " AND ".join(f"{_quoted(one)} = %s" for one in where)
    sql = (
        f"SELECT wanted FROM unnest(string_to_array(%s, ',')) AS wanted CROSS JOIN LATERAL "  # noqa: S608 - as below
        f"(SELECT 1 FROM {name} WHERE {conditions} AND {name}.{key} = wanted LIMIT 1) AS held"
    )
    if len(values) < MANY:
        result = connection.exec_driver_sql(sql, (",".join(sorted(values)), *where.values()))
        found.update(result.scalars())
        return found
    # Of thousands the index finds one after the other in half the time, if the planner is kept from reading it all.
    sql = f"SELECT {key} FROM {name} WHERE {conditions} AND {key} = ANY(string_to_array(%s, ','))"  # noqa: S608
    connection.exec_driver_sql(_ONLY_BY_INDEX)
    result = connection.exec_driver_sql(sql, (*where.values(), ",".join(values)))
    found.update(result.scalars())
    connection.exec_driver_sql(_BY_ANY_WAY)
    return found


def are_new(values: Sequence[str], present: set[str]) -> list[bool]:
    """For each value, whether it is neither among those present nor among those before it; `present` takes it in."""
    new = []
    for value in values:
        new.append(value not in present)
        present.add(value)
    return new


def update(connection: Connection, table: Table, rows: Sequence[Row], *, key: str = "id") -> int:
    """Set columns of the rows whose `key` is `_id` and whose state is `_from` (where given); how many there were.

    All rows name the same columns.
    """
    if not rows:
        return 0
    names = tuple(rows[0])
    if connection.dialect.name == "sqlite":
        statement = table.update().where(table.c[key] == sa.bindparam(KEY))
        if STATE in names:
            statement = statement.where(table.c.state == sa.bindparam(STATE))
        columns: dict[str, Any] = {name: sa.bindparam(name) for name in names if name not in (KEY, STATE)}
        return connection.execute(statement.values(columns), list(rows)).rowcount
    return connection.exec_driver_sql(_update_sql(table, names, key), _arrays(table, names, rows)).rowcount


def move(connection: Connection, table: Table, history: Table, rows: Sequence[Row], now: datetime) -> int:
    """Set columns, `state` among them, of the rows whose id is `_id` and whose state is `_from`, and append a row with
    `_reason` to the history for each; how many there were. All rows name the same columns."""
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        moved = update(
            connection, table, [{name: row[name] for name in row if name != REASON} for row in rows]
        )
        insert(connection, history, [history_row(table.name, row, now) for row in rows])
        return moved
    names = tuple(rows[0])
    sql = _move_sql(table, history, names)
    return connection.exec_driver_sql(sql, (*_arrays(table, names, rows), now)).rowcount


def move_adding(
    connection: Connection,
    table: Table,
    history: Table,
    rows: Sequence[Row],
    added: Table,
    news: Sequence[Row],
    now: datetime,
) -> int:
    """`move`, and insert a row of another table for each, which names it in the column `{table}_id`; how many were
    moved. All rows of a table name the same columns."""
    if not rows:
        return 0
    if connection.dialect.name == "sqlite":
        insert(connection, added, news)
        return move(connection, table, history, rows, now)
    news = _whole(added, news)
    names, new_names = tuple(rows[0]), tuple(news[0])
    sql = _move_adding_sql(table, history, names, added, new_names)
    values = (*_arrays(table, names, rows), now, *_arrays(added, new_names, news))
    return connection.exec_driver_sql(sql, values).rowcount


def history_row(machine: str, row: Row, now: datetime) -> Row:
    """What the history says of a row's move; see `move`."""
    return {
        "at": now,
        "machine": machine,
        "entity_id": row[KEY],
        "from_state": row[STATE],
        "to_state": row["state"],
        "reason": row[REASON],
    }


def _whole(table: Table, rows: Sequence[Row]) -> Sequence[Row]:
    defaults = _defaults(table, tuple(rows[0]))
    return [{**defaults, **row} for row in rows] if defaults else rows


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
def _update_sql(table: Table, names: tuple[str, ...], key: str = "id") -> str:
    name = _quoted(table.name)
    settings = ", ".join(
        f"{_quoted(column)} = {_value(table, column)}"
        for column in names
        if column not in (KEY, STATE, REASON)
    )
    conditions = [f"{name}.{_quoted(key)} = v.{_quoted(KEY)}"]
    if STATE in names:
        conditions.append(f"{name}.state = v.{_quoted(STATE)}")
    source, condition = _unnested(table, names, key), " AND ".join(conditions)
    return f"UPDATE {name} SET {settings} FROM {source} WHERE {condition}"  # noqa: S608 - as above


@lru_cache(maxsize=256)
def _move_sql(table: Table, history: Table, names: tuple[str, ...]) -> str:
    return f"WITH moved AS ({_moved_sql(table, names)}) {_told_sql(table, history)}"


@lru_cache(maxsize=256)
def _move_adding_sql(
    table: Table, history: Table, names: tuple[str, ...], added: Table, new_names: tuple[str, ...]
) -> str:
    columns = ", ".join(_quoted(name) for name in new_names)
    return (
        f"WITH moved AS ({_moved_sql(table, names)}), told AS ({_told_sql(table, history)}) "  # noqa: S608 - as above
        f"INSERT INTO {_quoted(added.name)} ({columns}) SELECT {_selected(added, new_names)} "
        f"FROM {_unnested(added, new_names)} JOIN moved ON moved.{KEY} = v.{_quoted(table.name + '_id')}"
    )


def _moved_sql(table: Table, names: tuple[str, ...]) -> str:
    return f"{_update_sql(table, names)} RETURNING v.{KEY}, v.{STATE}, v.state, v.{REASON}"


def _told_sql(table: Table, history: Table) -> str:
    return (
        f"INSERT INTO {_quoted(history.name)} "  # noqa: S608 - as above
        "(at, machine, entity_id, from_state, to_state, reason) "
        f"SELECT %s::timestamptz, '{table.name}', {KEY}, {STATE}, state, {REASON} FROM moved"
    )


def _selected(table: Table, names: tuple[str, ...]) -> str:
    return ", ".join(_value(table, name) for name in names)


def _value(table: Table, name: str) -> str:
    value = f"v.{_quoted(name)}"
    return f"{value}::jsonb" if _is_json(_column(table, name)) else value


def _unnested(table: Table, names: tuple[str, ...], key: str = "id") -> str:
    arrays = ", ".join(f"%s::{_array_type(_column(table, name, key))}[]" for name in names)
    return f"unnest({arrays}) AS v({', '.join(_quoted(name) for name in names)})"


def _column(table: Table, name: str, key: str = "id") -> Column[Any]:
    # A reason is no column of every table; it is text, as the state is.
    return table.c[{KEY: key, STATE: "state", REASON: "state"}.get(name, name)]


def _is_json(column: Column[Any]) -> bool:
    return isinstance(column.type, sa.JSON)


def _array_type(column: Column[Any]) -> str:
    if _is_json(column) or isinstance(column.type, sa.String):
        return "text"
    return str(column.type.compile(dialect=_POSTGRESQL))


def _arrays(table: Table, names: tuple[str, ...], rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(
        array_of([row[name] for row in rows], is_json=_is_json(_column(table, name))) for name in names
    )


def array_of(values: Sequence[Any], *, is_json: bool = False) -> str:
    """The PostgreSQL array literal of `values`, to be cast to the array's type.

    `is_json`: each value but None is written as JSON. Raises ValueError for a time without a zone.
    """
    first = values[0] if values else None
    if values and values.count(first) == len(values):  # most columns of a batch hold one and the same value
        return "{" + ",".join([_element(first, is_json)] * len(values)) + "}"
    if not is_json and type(first) is str:
        try:
            joined = '","'.join(values)
        except TypeError:  # not all of them are text
            pass
        else:
            if "\\" not in joined and joined.count('"') == 2 * (len(values) - 1):
                return '{"' + joined + '"}'
    return "{" + ",".join([_element(value, is_json) for value in values]) + "}"


def _element(value: Any, is_json: bool) -> str:
    if value is None:
        return "NULL"
    if is_json:
        return _text(json.dumps(value))
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return f'"{value.isoformat()}"'
    if isinstance(value, bytes):
        return f'"\\\\x{value.hex()}"'
    return str(value)


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _quoted(name: str) -> str:
    return f'"{name}"'
