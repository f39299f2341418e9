"""The application: all routes over one engine, but the webhooks', which stand in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine

import dialer
from dialer.api import cpaas, envelope, health, metrics
from dialer.settings import Settings


def make_app(
    engine: Engine,
    settings: Settings,
    *,
    ring_import: Callable[[str], None],
    extra_routers: Iterable[APIRouter] = (),
    clock: Callable[[], datetime] | None = None,
) -> FastAPI:
    """The HTTP application. `ring_import` tells a worker of an import that is too long to be done at once; the
    import's row is the truth, so a lost ring only costs time."""
    app = FastAPI(title="Dialer", version=dialer.__version__, description="Campaign and dialer engine.")
    app.state.engine = engine
    app.state.settings = settings
    app.state.ring_import = ring_import
    app.state.clock = clock or (lambda: datetime.now(UTC))
    envelope.install(app)
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(cpaas.router)
    app.include_router(cpaas.bare_router)
    for router in extra_routers:
        app.include_router(router)
    return app
