"""The web process: the APIs and the webhooks, on one FastAPI app."""

from __future__ import annotations

from fastapi import FastAPI

from dialer import logs
from dialer.api.app import make_app
from dialer.api.webhooks import make_router
from dialer.db import make_engine
from dialer.settings import get_settings
from workers.app import make_app as make_celery
from workers.doorbell import Doorbell


def create_app() -> FastAPI:
    """The app for this process's settings; `uvicorn --factory dialer.asgi:create_app`."""
    settings = get_settings()
    logs.configure(settings)
    engine = make_engine(settings.database_url, pool_size=10)
    doorbell = Doorbell(make_celery(settings))
    webhooks = make_router(engine, doorbell.consume_events)
    return make_app(engine, settings, ring_import=doorbell.run_import, extra_routers=[webhooks])
