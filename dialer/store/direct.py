"""Statements straight through the driver, where somebody waits for the answer.

SQLAlchemy takes three times as long for a row of thirty columns as psycopg does. What it does for other statements
stays: connections are its pool's, and errors are the ones that callers know.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Select
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.exc import DBAPIError

_DIALECT = psycopg.dialect()  # type: ignore[no-untyped-call]


def rows(
    connection: Connection, statement: Select[Any], parameters: Mapping[str, Any]
) -> Sequence[Sequence[Any]]:
    """What the statement, made once and with these parameters bound by name, finds.

    Its types must be such that PostgreSQL and psycopg need no help with them, or only on SQLite.
    """
    if connection.dialect.name == "sqlite":
        return connection.execute(statement, parameters).all()
    driver: Any = connection.connection.driver_connection
    sql = _sql(statement)
    with as_sqlalchemy(connection, sql):
        found: list[tuple[Any, ...]] = driver.execute(sql, parameters).fetchall()
        return found


@contextmanager
def as_sqlalchemy(connection: Connection, sql: str) -> Iterator[None]:
    """The driver's errors as the ones that callers know; without the row, which PostgreSQL repeats in its text."""
    driver = connection.dialect.loaded_dbapi
    try:
        yield
    except driver.Error as error:
        short = type(error)(error.diag.message_primary or str(error))
        known = DBAPIError.instance(sql, None, short, driver.Error, hide_parameters=True)
        raise known from None


@lru_cache(maxsize=32)
def _sql(statement: Select[Any]) -> str:
    return str(statement.compile(dialect=_DIALECT))
