"""The web process: the APIs and the webhooks, in one application."""

from __future__ import annotations

from starlette.types import ASGIApp

from dialer import logs
from dialer.api import outbound
from dialer.api.app import make_app
from dialer.api.webhooks import Webhooks
from dialer.db import make_engine
from dialer.settings import get_settings
from workers.app import make_app as make_celery
from workers.doorbell import Doorbell


def create_app() -> ASGIApp:
    """The app for this process's settings; `uvicorn --factory dialer.asgi:create_app`."""
    settings = get_settings()
    logs.configure(settings)
    engine = make_engine(settings.database_url, pool_size=10)
    doorbell = Doorbell(make_celery(settings))
    singles = outbound.make_router(engine, settings, doorbell.place_singles)
    app = make_app(engine, settings, ring_import=doorbell.run_import, extra_routers=[singles])
    return Webhooks(app, engine, doorbell.consume_events)
