"""The application: all routes over one engine, but the webhooks', which stand in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine
from starlette.datastructures import State
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import dialer
from dialer.api import cpaas, failures, health, metrics
from dialer.api.content import ReadAsJson
from dialer.api.document import Documented
from dialer.api.doorbell import Doorbell, Silent
from dialer.api.limits import Told
from dialer.api.v1.routes import make_router as make_v1
from dialer.pace.requests import RequestLimits
from dialer.pace.wrong_keys import WrongKeys
from dialer.settings import Settings


def make_app(
    engine: Engine,
    settings: Settings,
    *,
    doorbell: Doorbell | None = None,
    extra_routers: Iterable[APIRouter] = (),
    clock: Callable[[], datetime] | None = None,
) -> FastAPI:
    """The HTTP application. `doorbell` tells workers of what is committed; without one the scheduler finds it."""
    app = Documented(
        title="Dialer",
        version=dialer.__version__,
        description="Campaign and dialer engine.",
        redirect_slashes=False,  # no route names 307
    )
    furnish(app, engine, settings, doorbell=doorbell, clock=clock)
    failures.install(app)
    app.add_middleware(ReadAsJson)
    app.add_middleware(failures.Guard, most_uploaded=settings.upload_max_bytes)
    app.add_middleware(Told)
    if settings.trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.trusted_proxies)
    # A request is held against one route after the other: first those that somebody waits for.
    for router in extra_routers:
        app.include_router(router)
    app.include_router(make_v1())
    app.include_router(cpaas.make_router())
    app.include_router(health.router)
    app.include_router(metrics.router)
    return app


def furnish(
    app: FastAPI,
    engine: Engine,
    settings: Settings,
    *,
    doorbell: Doorbell | None = None,
    clock: Callable[[], datetime] | None = None,
) -> None:
    """Give the routes what they work with, in place of what they had."""
    app.state = State()
    app.state.engine = engine
    app.state.settings = settings
    app.state.doorbell = doorbell or Silent()
    app.state.clock = clock or (lambda: datetime.now(UTC))
    app.state.limits = RequestLimits(settings.redis_url, settings.requests_per_minute)
    app.state.wrong_keys = WrongKeys(app.state.limits, settings.wrong_keys_per_minute)
