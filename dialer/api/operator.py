"""`/v1` without a network, for the command line beside the database: nobody's key is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from fastapi import FastAPI, Request
from sqlalchemy import Engine

from dialer.api import failures
from dialer.api.auth import Caller
from dialer.api.doorbell import Silent
from dialer.api.v1.caller import caller
from dialer.api.v1.routes import make_router
from dialer.keys import EVERY_SCOPE
from dialer.pace.requests import RequestLimits
from dialer.settings import Settings
from dialer.store.tables import AnyRow


def operators_app(engine: Engine, settings: Settings, account: AnyRow) -> FastAPI:
    """`/v1` as this account sees it, also one that is disabled. All that is changed was changed by the operator, for
    the audit log. It rings nobody: the scheduler finds what is due. What nobody expected is raised.

    A process has one, for the account that was named last: the routes of another would take a tenth of a second.
    """
    app = _app()
    app.state.engine = engine
    app.state.settings = settings
    app.state.limits = RequestLimits(settings.redis_url, settings.requests_per_minute)  # to be shown
    app.state.operator = Caller(account, None, EVERY_SCOPE, is_operator=True)
    return app


@cache
def _app() -> FastAPI:
    app = FastAPI(openapi_url=None)
    app.state.doorbell = Silent()
    app.state.clock = lambda: datetime.now(UTC)
    failures.install(app)
    app.include_router(make_router())
    app.dependency_overrides[caller] = _operator
    return app


def _operator(request: Request) -> Caller:
    operator: Caller = request.app.state.operator
    return operator
