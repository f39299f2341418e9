"""A migrated database of either kind, and an HTTP server for any ASGI application."""

from __future__ import annotations

import asyncio
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

from dialer import schema
from dialer.db import make_engine
from dialer.models import metadata

POSTGRES_URL = os.environ.get("DIALER_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/")
WITHIN = 20.0  # seconds; a deadline, not an expectation


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
    engine = make_engine(sa.make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False))
    try:
        schema.upgrade(engine)
        yield engine
    finally:
        engine.dispose()
        with psycopg.connect(POSTGRES_URL, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A migrated, empty database: SQLite always, PostgreSQL where a server answers."""
    if request.param == "sqlite":
        path = tmp_path / "test.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        engine = make_engine(f"sqlite:///{path}")
        yield engine
        engine.dispose()
        return
    engine = request.getfixturevalue("postgres_engine")
    yield engine
    engine.dispose()  # what a test left open would hold up the truncation
    names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
    with engine.begin() as connection:
        connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))


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
    config = uvicorn.Config(exchange, log_config=None, lifespan="off", ws="none", access_log=False)
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
