"""The database: one engine per process, transactions that read and transactions that write.

PostgreSQL and SQLite run the same statements. SQLite has one writer and no row locks (SQLAlchemy drops
`FOR UPDATE SKIP LOCKED` there), so a transaction that writes begins `IMMEDIATE`: it waits for its turn at the start
instead of failing half-way.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event, exc, make_url
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

#: The database is away or busy (a lost connection, a deadlock, no free connection): the same transaction may succeed
#: later. Any other error of SQLAlchemy lies in the statement or its values and comes again each time.
AWAY = (OperationalError, InterfaceError, InternalError, exc.TimeoutError)
#: A connection that is dead, and a transaction that waits or idles too long, is given up: else one lost packet or one
#: frozen process stops everybody for hours. Seconds, and milliseconds for `tcp_user_timeout`.
POSTGRES = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
    "options": "-c lock_timeout=10s -c idle_in_transaction_session_timeout=30s",
}
#: Seconds for which a connection may lie unused before it is tested: the server may have gone away meanwhile.
RESTED = 1.0
#: How many times a connection is used until it plans its statements anew. PostgreSQL keeps the plans of a connection
#: until a table is analyzed: one that was made while a table was small reads all of it when it has grown.
PLANS_KEPT = 100
#: SQLSTATE of a statement that was given up.
QUERY_CANCELED = "57014"
#: How long a SQLite writer waits for its turn, in seconds.
SQLITE_BUSY_TIMEOUT = 30


def make_engine(url: str, *, pool_size: int = 5, statement_seconds: float | None = None) -> Engine:
    """An engine for `url` (SQLAlchemy URL; PostgreSQL through psycopg 3, or SQLite). On PostgreSQL a statement that
    takes longer than `statement_seconds` is given up: `OperationalError`, see `took_too_long`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed, pool_size)
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    return _postgresql_engine(parsed, pool_size, statement_seconds)


def _postgresql_engine(url: sa.URL, pool_size: int, statement_seconds: float | None) -> Engine:
    settings = dict(POSTGRES)
    if statement_seconds is not None:
        settings["options"] = (
            f"{settings['options']} -c statement_timeout={math.ceil(statement_seconds * 1000)}"
        )
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=10,
        pool_timeout=10,
        connect_args={name: value for name, value in settings.items() if name not in url.query},
        hide_parameters=True,  # an error's text must not show numbers and messages
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        connection.execute("SET TIME ZONE 'UTC'")  # see UtcDateTime
        connection.autocommit = False

    @event.listens_for(engine, "checkin")
    def rest(_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def wake(connection: Any, record: ConnectionPoolEntry, _proxy: Any) -> None:
        # SQLAlchemy's pool_pre_ping would ask each time, which costs a busy worker a round trip per transaction.
        uses = record.info["uses"] = record.info.get("uses", 0) + 1
        has_old_plans = uses % PLANS_KEPT == 0
        if has_old_plans or time.monotonic() - record.info.get("used_at", math.inf) > RESTED:
            try:
                connection.autocommit = True
                connection.execute("DISCARD PLANS" if has_old_plans else "SELECT 1")
                connection.autocommit = False
            except Exception as error:  # every driver has errors of its own; any means that this one is gone
                raise exc.InvalidatePoolError from error

    return engine


def _sqlite_engine(url: sa.URL, pool_size: int) -> Engine:
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=20,
        hide_parameters=True,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        # The driver must not begin transactions by itself: it would begin them DEFERRED.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        # An accepted call survives a power cut, not only a killed process.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on any error."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def looking(engine: Engine) -> Iterator[Connection]:
    """For single statements that only read: on PostgreSQL without a transaction around them, a round trip each."""
    if engine.dialect.name == "sqlite":
        with reading(engine) as connection:
            yield connection
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            yield connection


@contextmanager
def one_statement(engine: Engine) -> Iterator[Connection]:
    """A transaction of a single statement that writes: on PostgreSQL one by itself, a round trip instead of three."""
    with (writing if engine.dialect.name == "sqlite" else looking)(engine) as connection:
        yield connection


def took_too_long(error: Exception) -> bool:
    """Whether a statement was given up because it took longer than it may."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) == QUERY_CANCELED


def utc_now(connection: Connection) -> datetime:
    """The database's clock, so that hosts whose clocks differ agree on what is due (SQLite: this host's)."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
    return now.astimezone(UTC)


def is_reachable(engine: Engine) -> bool:
    """Whether the database answers."""
    try:
        with reading(engine) as connection:
            connection.execute(sa.text("SELECT 1"))
    except OperationalError:
        return False
    return True
