"""The web process: the APIs and the webhooks, in one application."""

from __future__ import annotations

import asyncio

from sqlalchemy import Engine
from starlette.types import ASGIApp

from dialer import logs
from dialer.api import outbound
from dialer.api.app import make_app
from dialer.api.webhooks import Webhooks
from dialer.db import make_engine
from dialer.logs import get_logger
from dialer.pace.limiter import Limiter
from dialer.priority import hand_over_soon
from dialer.settings import Settings, get_settings
from workers import rehearsal
from workers.app import make_app as make_celery
from workers.doorbell import Doorbell
from workers.live_rehearsal import answer_live
from workers.process import make_redis

log = get_logger(__name__)


def create_app() -> ASGIApp:
    """The app for this process's settings; `uvicorn --factory dialer.asgi:create_app`."""
    settings = get_settings()
    logs.configure(settings)
    hand_over_soon()
    engine = make_engine(
        settings.database_url, pool_size=10, statement_seconds=settings.api_statement_seconds
    )
    doorbell = Doorbell(make_celery(settings))
    singles = outbound.make_router(engine, settings, doorbell.place_singles)
    app = make_app(engine, settings, doorbell=doorbell, extra_routers=[singles])
    webhooks = Webhooks(app, engine, doorbell.consume_events, settings.public_url)
    rehearsal.aside(lambda: _rehearse(engine, settings, app, doorbell))
    return webhooks


def _rehearse(engine: Engine, settings: Settings, app: ASGIApp, doorbell: Doorbell) -> None:
    rehearsal.rehearse(engine, Limiter(make_redis(settings.redis_url)), rehearsal.hear, answer_live)
    webhooks = Webhooks(app, engine, doorbell.consume_events, settings.public_url)
    try:
        asyncio.run(rehearsal.answer(webhooks))
    except Exception as error:  # noqa: BLE001 - whoever cannot rehearse pays at the first call
        log.info("not rehearsed", part="answer", error=type(error).__name__)
    finally:
        webhooks.close()
    doorbell.consume_events()
