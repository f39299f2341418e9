"""A migrated database of either kind, and an HTTP server for any ASGI application."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import uvicorn
from sqlalchemy import Engine
from starlette.types import ASGIApp, Receive, Scope, Send
from upstream import Upstream, served

from dialer import schema
from dialer.db import make_engine
from dialer.models import metadata
from dialer.settings import get_settings

POSTGRES_URL = os.environ.get("DIALER_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/")
WITHIN = 60.0  # seconds; a deadline, not an expectation
LARGE = 256 * 1024  # bytes of a table


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("database") / "migrated.db"
    engine = make_engine(f"sqlite:///{path}")
    schema.upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def sqlite_engine(migrated_sqlite: Path) -> Iterator[Engine]:
    """The engine of `sqlite_database`: one for all tests, as it keeps the statements that it has compiled."""
    engine = make_engine(f"sqlite:///{migrated_sqlite}")

    def of_this_test(_: object, __: object, connect_args: list[str], ___: object) -> None:
        connect_args[0] = str(engine.url.database)

    sa.event.listen(engine, "do_connect", of_this_test)
    # Nothing here asks what is left after a power cut, and a disk that is waited for is slow.
    sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def start_anew(sqlite_engine: Engine, migrated_sqlite: Path) -> Callable[[], Engine]:
    """Empties the SQLite database of the tests: call it."""
    names = (f"test{count}.db" for count in itertools.count(1))

    def start() -> Engine:
        last = Path(str(sqlite_engine.url.database))
        # Under another name: what the thread of a server of the last test still writes, as it takes a moment to end,
        # would else be found in the log that belongs to the new file as well.
        path = migrated_sqlite.with_name(next(names))
        shutil.copy(migrated_sqlite, path)
        sqlite_engine.url = sqlite_engine.url.set(database=str(path))
        sqlite_engine.dispose()
        if last != migrated_sqlite:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{last}{suffix}").unlink(missing_ok=True)
        return sqlite_engine

    return start


@pytest.fixture
def sqlite_database(start_anew: Callable[[], Engine]) -> Engine:
    """A migrated, empty SQLite database."""
    return start_anew()


@pytest.fixture(scope="session")
def postgres_engine() -> Iterator[Engine]:
    """A migrated PostgreSQL database of this test run alone."""
    try:
        admin = psycopg.connect(POSTGRES_URL, connect_timeout=3, autocommit=True)
    except psycopg.OperationalError as error:
        where, why = sa.make_url(POSTGRES_URL).render_as_string(), str(error).partition("\n")[0]
        reason = f"no PostgreSQL server at {where} ({why}); set DIALER_TEST_POSTGRES_URL"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    name = f"dialer_test_{uuid.uuid4().hex[:12]}"
    with admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        admin.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')  # as with SQLite
    engine = make_engine(sa.make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False))
    try:
        schema.upgrade(engine)
        yield engine
    finally:
        engine.dispose()
        with psycopg.connect(POSTGRES_URL, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A migrated, empty database: SQLite always, PostgreSQL where a server answers. For tests of SQL that is not the
    same on both, or that runs at the same time as other SQL; the others take `sqlite_database`."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_database")
        return
    engine = request.getfixturevalue("postgres_engine")
    yield engine
    engine.dispose()  # what a test left open would hold up the emptying
    with engine.begin() as connection:
        empty(connection)


def empty(connection: sa.Connection) -> None:
    """Remove all rows, and count from 1 again. TRUNCATE makes new files for each table, which takes longer than most
    tests: it is for tables that were large."""
    size = sa.func.pg_relation_size(sa.column("oid"))
    large = sa.select(sa.column("relname")).where(
        sa.column("relkind") == "r",
        sa.column("relnamespace") == sa.text("current_schema()::regnamespace"),
        size > LARGE,
    )
    truncated = set(connection.execute(large.select_from(sa.table("pg_class"))).scalars())
    tables = [table.name for table in reversed(metadata.sorted_tables)]
    # Entries of the audit log cannot be deleted: triggers see to that.
    connection.exec_driver_sql("ALTER TABLE audit_entry DISABLE TRIGGER USER")
    if names := ", ".join(f'"{name}"' for name in tables if name in truncated):
        connection.execute(sa.text(f"TRUNCATE {names} CASCADE"))
    connection.exec_driver_sql("; ".join(f'DELETE FROM "{name}"' for name in tables))
    connection.exec_driver_sql("ALTER TABLE audit_entry ENABLE TRIGGER USER")
    connection.exec_driver_sql(
        "SELECT setval(oid::regclass, 1, false) FROM pg_class"
        " WHERE relkind = 'S' AND relnamespace = current_schema()::regnamespace"
    )


@pytest.fixture
def home(tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with an empty, migrated database, and no other setting."""
    for name in [name for name in os.environ if name.startswith("DIALER_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    shutil.copy(migrated_sqlite, folder / "dialer.db")
    monkeypatch.setenv("DIALER_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    get_settings.cache_clear()
    yield folder
    get_settings.cache_clear()


class _Exchange:
    """Passes requests on to the application of the test at hand."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def _http_server() -> Iterator[tuple[str, _Exchange]]:
    exchange = _Exchange()
    listener = socket.socket(
        proto=socket.IPPROTO_TCP
    )  # so that asyncio sets TCP_NODELAY: else 40 ms a request
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        exchange, log_config=None, lifespan="off", ws="none", access_log=False, proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    deadline = time.monotonic() + WITHIN
    while not server.started:
        assert thread.is_alive(), "the HTTP server did not start"
        assert time.monotonic() < deadline, "the HTTP server did not start in time"
        thread.join(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}", exchange
    server.should_exit = True
    thread.join(WITHIN)
    listener.close()


@pytest.fixture
def serve(_http_server: tuple[str, _Exchange]) -> Iterator[Callable[[Any], str]]:
    """Serves an ASGI application over HTTP on loopback: call it with the application for the URL."""
    url, exchange = _http_server

    def serve_app(app: Any) -> str:
        exchange.app = app
        return url

    yield serve_app
    exchange.app = None


@pytest.fixture
def upstream(database: Engine, tmp_path: Path, serve: Callable[[Any], str]) -> Iterator[Upstream]:
    """The API as an upstream app sees it, with two accounts."""
    with served(database, tmp_path, serve) as made:
        yield made


@pytest.fixture
def on_sqlite(sqlite_database: Engine, tmp_path: Path, serve: Callable[[Any], str]) -> Iterator[Upstream]:
    """The same on SQLite alone, where the database does not matter; there are providers."""
    with served(sqlite_database, tmp_path, serve) as made:
        made.add_provider()
        made.add_provider(name="between", kind="mtt-callback")
        yield made
