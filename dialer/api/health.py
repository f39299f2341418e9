"""`/healthz`: the process lives. `/readyz`: it can do its work."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from kombu import Connection
from redis import Redis
from sqlalchemy import Engine

from dialer import schema
from dialer.db import is_reachable
from dialer.settings import Settings

#: Seconds to wait for a server.
PATIENCE = 2.0

router = APIRouter(tags=["operators"])


@router.get("/healthz")
def healthz() -> JSONResponse:
    """Alive: this process answers."""
    return JSONResponse({"status": "alive"})


@router.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """Ready: database, schema, Redis and broker, each `ok` or what to mend. 503 when one is not."""
    engine: Engine = request.app.state.engine
    settings: Settings = request.app.state.settings
    checks = {"database": _database(engine)}
    checks["schema"] = _schema(engine) if checks["database"] == "ok" else "not known without the database"
    checks["redis"] = _asked("DIALER_REDIS_URL", lambda: _ping_redis(settings.redis_url))
    checks["broker"] = _asked("DIALER_BROKER_URL", lambda: _ping_broker(settings.broker_url))
    ready = all(check == "ok" for check in checks.values())
    return JSONResponse(
        {"status": "ready" if ready else "not ready", "checks": checks}, status_code=200 if ready else 503
    )


def _database(engine: Engine) -> str:
    if is_reachable(engine):
        return "ok"
    return "does not answer: start it, or correct DIALER_DATABASE_URL"


def _schema(engine: Engine) -> str:
    return (
        "ok"
        if schema.is_current(engine) or schema.is_ahead(engine)
        else "is not at this version: run `dialer db upgrade`"
    )


def _asked(variable: str, ping: Callable[[], None]) -> str:
    try:
        ping()
    except Exception as error:  # noqa: BLE001 - every transport has errors of its own; any of them means no
        return f"does not answer ({type(error).__name__}): start it, or correct {variable}"
    return "ok"


def _ping_redis(url: str) -> None:
    client = Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    try:
        client.ping()
    finally:
        client.close()


def _ping_broker(url: str) -> None:
    options = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    transport = {} if url.startswith(("amqp", "pyamqp")) else options
    with Connection(url, connect_timeout=PATIENCE, transport_options=transport) as connection:
        connection.connect()
