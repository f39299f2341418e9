"""The servers that an installation can stand on: embedded ones, PostgreSQL and Redis, RabbitMQ."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from kombu import Connection
from kombu.exceptions import OperationalError
from service import OwnRedis, Service, installation

POSTGRES_URL = os.environ.get("DIALER_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/")
RABBITMQ_URL = os.environ.get("DIALER_TEST_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672/")
QUEUES = ("otp", "calls", "results", "upkeep")

EMBEDDED = "sqlite+embedded"
SERVERS = pytest.param("postgres+redis", marks=pytest.mark.postgres)
RABBIT = pytest.param("postgres+redis+rabbitmq", marks=[pytest.mark.postgres, pytest.mark.rabbitmq])


@dataclass(frozen=True, slots=True)
class Backend:
    """Servers for one installation: its `DIALER_…` variables, and the Redis server when it is our own."""

    name: str
    settings: dict[str, str]
    redis: OwnRedis | None = None


MakeBackend = Callable[[str, Path], Backend]


@pytest.fixture(scope="session")
def make_backend() -> Iterator[MakeBackend]:
    """Makes the backend of that name; all are taken away at the end."""
    with ExitStack() as cleanup:
        yield lambda name, folder: _make(name, folder, cleanup)


def _make(name: str, folder: Path, cleanup: ExitStack) -> Backend:
    if name == EMBEDDED:
        return Backend(name, {})
    settings = {"DIALER_DATABASE_URL": cleanup.enter_context(_database())}
    own = OwnRedis(folder / "redis")  # never a shared one: the tests stop and empty it
    own.start()
    cleanup.callback(own.stop)
    settings["DIALER_REDIS_URL"] = own.url
    if name.endswith("rabbitmq"):
        settings["DIALER_BROKER_URL"] = cleanup.enter_context(_rabbitmq())
    return Backend(name, settings, own)


@pytest.fixture
def make_service(tmp_path: Path, make_backend: MakeBackend) -> Iterator[Callable[..., Service]]:
    """Makes a service on the backend of that name: `make_service(name, **settings)`."""
    with ExitStack() as cleanup:

        def make(backend: str = EMBEDDED, **settings: str) -> Service:
            made = make_backend(backend, tmp_path / "servers")
            service = cleanup.enter_context(installation(tmp_path, **made.settings | settings))
            service.redis = made.redis
            return service

        yield make


@contextlib.contextmanager
def _database() -> Iterator[str]:
    """A PostgreSQL database of its own."""
    try:
        admin = psycopg.connect(POSTGRES_URL, connect_timeout=3, autocommit=True)
    except psycopg.OperationalError as error:
        _unavailable(f"no PostgreSQL server at {POSTGRES_URL} ({error}); set DIALER_TEST_POSTGRES_URL")
    name = f"dialer_test_{uuid.uuid4().hex[:12]}"
    with admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    try:
        yield (
            sa.make_url(POSTGRES_URL)
            .set(drivername="postgresql+psycopg", database=name)
            .render_as_string(hide_password=False)
        )
    finally:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextlib.contextmanager
def _rabbitmq() -> Iterator[str]:
    """A virtual host of its own where we may make one; else the server's, whose queues are emptied afterwards."""
    try:
        with Connection(RABBITMQ_URL, connect_timeout=3) as connection:
            connection.connect()
    except (OperationalError, OSError) as error:
        _unavailable(f"no RabbitMQ server at {RABBITMQ_URL} ({error}); set DIALER_TEST_RABBITMQ_URL")
    vhost = f"dialer_test_{uuid.uuid4().hex[:12]}"
    user = urlsplit(RABBITMQ_URL).username or "guest"
    if _rabbitmqctl("add_vhost", vhost):
        try:
            assert _rabbitmqctl("set_permissions", "-p", vhost, user, ".*", ".*", ".*")
            yield urlsplit(RABBITMQ_URL)._replace(path=f"/{vhost}").geturl()
        finally:
            _rabbitmqctl("delete_vhost", vhost)
        return
    _empty_queues()
    try:
        yield RABBITMQ_URL
    finally:
        _empty_queues()


def _rabbitmqctl(*arguments: str) -> bool:
    program = shutil.which("rabbitmqctl")
    if program is None or "DIALER_TEST_RABBITMQ_URL" in os.environ:
        return False  # the server may be on another host
    done = subprocess.run([program, "--quiet", *arguments], capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def _empty_queues() -> None:
    with Connection(RABBITMQ_URL, connect_timeout=3) as connection, connection.channel() as channel:
        for name in QUEUES:
            channel.queue_delete(name)


def _unavailable(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
