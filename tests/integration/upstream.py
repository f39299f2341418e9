"""The API over HTTP as an upstream app sees it: two accounts, a clock that is moved by hand, and what was rung for."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine

from dialer import accounts, ids, keys
from dialer.api import outbound
from dialer.api.app import furnish, make_app
from dialer.db import reading, writing
from dialer.keys import Scope
from dialer.secrets import SecretBox
from dialer.settings import Settings
from dialer.store import providers
from dialer.store.tables import AnyRow

NOW = datetime(2026, 9, 25, 6, 0, tzinfo=UTC)


@dataclass
class Rings:
    """A doorbell that remembers what it was rung for."""

    singles: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    webhooks: int = 0

    def place_singles(self, ids: Sequence[str]) -> None:
        self.singles.extend(ids)

    def place_others(self, ids: Sequence[str]) -> None:
        self.others.extend(ids)

    def run_import(self, import_id: str) -> None:
        self.imports.append(import_id)

    def deliver_webhooks(self) -> None:
        self.webhooks += 1


@dataclass
class HandClock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **parts: float) -> None:
        self.now += timedelta(**parts)


@dataclass
class Upstream:
    """A served API. `ask` speaks for the first account with its own key, unless told otherwise."""

    engine: Engine
    settings: Settings
    client: httpx.Client
    account_id: str
    auth: str
    other_id: str
    other_auth: str
    doorbell: Rings
    clock: HandClock

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        other: bool = False,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        account_id, auth = (self.other_id, self.other_auth) if other else (self.account_id, key or self.auth)
        sent = {"Authorization": f"Bearer {account_id}.{auth}", **(headers or {})}
        content = None if body is None else json.dumps(body)
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        return self.client.request(method, path, content=content, headers=sent)

    def send_file(
        self,
        path: str,
        name: str,
        content: bytes,
        fields: Mapping[str, str] | None = None,
        *,
        other: bool = False,
        key: str | None = None,
    ) -> httpx.Response:
        """A form with a file."""
        account_id, auth = (self.other_id, self.other_auth) if other else (self.account_id, key or self.auth)
        return self.client.post(
            path,
            data=dict(fields or {}),
            files={"file": (name, content)},
            headers={"Authorization": f"Bearer {account_id}.{auth}"},
        )

    def got(self, method: str, path: str, body: Any = None, *, status: int = 200, **how: Any) -> Any:
        """The answer's JSON; it must have this status."""
        answer = self.ask(method, path, body, **how)
        assert answer.status_code == status, answer.text
        return answer.json()

    def refused(self, status: int, method: str, path: str, body: Any = None, **how: Any) -> dict[str, Any]:
        """The problem document; it must be one, with this status."""
        answer = self.ask(method, path, body, **how)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = answer.json()
        assert (problem["status"], problem["type"]) == (status, "about:blank")
        assert problem["detail"].endswith((".", "`"))
        return problem

    def key(self, *scopes: Scope, **values: Any) -> str:
        """A new key of the first account with these scopes."""
        with writing(self.engine) as connection:
            _, auth = keys.create(
                connection, self.account_id, "app", scopes, self.clock.now, actor=keys.OPERATOR, **values
            )
        return auth

    def rows(self, statement: Any) -> list[AnyRow]:
        with reading(self.engine) as connection:
            return list(connection.execute(statement).all())

    def add_provider(self, **values: Any) -> str:
        """A provider for everybody; nobody listens at its address unless `base_url` says so."""
        provider_id = ids.provider_id()
        row = {
            "id": provider_id,
            "name": "main",
            "kind": "mitto",
            "account_id": None,
            "base_url": "http://127.0.0.1:9/api",
            "credentials": SecretBox(self.settings.secret_keys()).seal({"access_key": "key"}),
            "enabled": True,
            "priority": 100,
            "webhook_token": ids.provider_id(),
            "created_at": self.clock.now,
            **values,
        }
        with writing(self.engine) as connection:
            providers.add(connection, row)
        return provider_id


#: Applications that no test uses now.
_spare: list[FastAPI] = []


@contextmanager
def application(
    engine: Engine, settings: Settings, *extra_routers: APIRouter, **how: Any
) -> Iterator[FastAPI]:
    """The application as `make_app` makes it with settings that leave its routes and their guards alone. Its routes
    take longer to make than most tests, so they are made once for all tests of a process."""
    app = _spare.pop() if _spare else make_app(engine, settings)
    common = len(app.router.routes)
    furnish(app, engine, settings, **how)
    for router in extra_routers:
        app.include_router(router)
    yield app
    del app.router.routes[common:]
    _spare.append(app)


@contextmanager
def served(database: Engine, folder: Path, serve: Callable[[Any], str], **values: Any) -> Iterator[Upstream]:
    """The API over this database, with these settings."""
    settings = Settings(home=folder / "home", _env_file=None, **values)
    doorbell, clock = Rings(), HandClock()
    with writing(database) as connection:
        account_id, auth = accounts.create(connection, "first", NOW)
        other_id, other_auth = accounts.create(connection, "second", NOW)
    singles = outbound.make_router(database, settings, doorbell.place_singles, clock=lambda _: clock.now)
    with ExitStack() as stack:
        if values:
            app = make_app(database, settings, doorbell=doorbell, clock=clock, extra_routers=[singles])
        else:
            app = stack.enter_context(
                application(database, settings, singles, doorbell=doorbell, clock=clock)
            )
        client = stack.enter_context(httpx.Client(base_url=serve(app), timeout=20))
        yield Upstream(database, settings, client, account_id, auth, other_id, other_auth, doorbell, clock)
