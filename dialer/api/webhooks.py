"""Where providers call back: check the token, store the raw event, answer 2xx. Nothing else.

Events are stored in groups: whatever arrived while the last group was being committed is committed together, and
each request is answered only after its own commit. A 2xx from here is a promise.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer.db import reading, writing
from dialer.logs import get_logger
from dialer.models.event import EventState
from dialer.providers.base import RawEvent, adapter_class
from dialer.store import events, providers
from dialer.store.tables import AnyRow

log = get_logger(__name__)

#: Bytes; a callback that is larger is answered 413.
LARGEST_BODY = 1_048_576
#: Events stored in one transaction.
GROUP = 500
#: Seconds for which a provider's token and login are remembered.
REMEMBERED = 2.0
#: Seconds between two doorbells for new events.
RING_EVERY = 0.05


@dataclass(slots=True)
class Inbox:
    """Stores raw events in groups, and rings for their consumer. One per process, on its event loop."""

    engine: Engine
    ring: Callable[[], None]
    _waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = field(default_factory=list)
    _writer: asyncio.Task[None] | None = None
    _ringer: asyncio.Task[None] | None = None

    async def store(self, row: dict[str, Any]) -> None:
        """Return once the event is committed. Raises SQLAlchemyError when it could not be."""
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, stored))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await stored

    async def close(self) -> None:
        """Wait for what is being written and rung."""
        for task in (self._writer, self._ringer):
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            try:
                await asyncio.to_thread(self._commit, [row for row, _ in group])
            except Exception as error:  # noqa: BLE001 - handed to every request of the group, which answers 503
                for _, stored in group:
                    if not stored.done():
                        stored.set_exception(error)
                continue
            for _, stored in group:
                if not stored.done():
                    stored.set_result(None)
            if self._ringer is None or self._ringer.done():
                self._ringer = asyncio.create_task(self._ring())

    def _commit(self, rows: Sequence[dict[str, Any]]) -> None:
        with writing(self.engine) as connection:
            events.add(connection, rows)

    async def _ring(self) -> None:
        # At once, and once more for what came while it rang.
        await asyncio.to_thread(self.ring)
        await asyncio.sleep(RING_EVERY)
        await asyncio.to_thread(self.ring)


@dataclass(slots=True)
class Directory:
    """Providers by name, remembered for a moment so that a callback costs one statement."""

    engine: Engine
    _known: dict[str, tuple[float, AnyRow | None]] = field(default_factory=dict)

    async def find(self, name: str) -> AnyRow | None:
        at, row = self._known.get(name, (0.0, None))
        if time.monotonic() - at > REMEMBERED:
            if len(self._known) > 1000:
                self._known.clear()
            row = await asyncio.to_thread(self._read, name)
            self._known[name] = (time.monotonic(), row)
        return row

    def _read(self, name: str) -> AnyRow | None:
        if "\x00" in name:
            return None  # PostgreSQL would not even compare it
        with reading(self.engine) as connection:
            return providers.named(connection, name)


def make_router(engine: Engine, ring: Callable[[], None]) -> APIRouter:
    """The routes that providers call: GET and POST below `/webhooks/{provider}/{token}`."""
    router = APIRouter(tags=["webhooks"], include_in_schema=False)
    inbox = Inbox(engine, ring)
    directory = Directory(engine)
    router.add_event_handler("shutdown", inbox.close)

    async def receive(request: Request) -> Response:
        try:
            provider = await directory.find(request.path_params["provider"])
        except SQLAlchemyError as error:
            log.error("provider not looked up", error=type(error).__name__)
            return _try_again()
        if provider is None or not is_token(provider, request.path_params["token"], datetime.now(UTC)):
            return Response("no such webhook", 404, media_type="text/plain")
        if not is_login(provider.callback_auth_hash, request.headers.get("authorization")):
            return Response(
                "wrong user or password",
                401,
                {"WWW-Authenticate": 'Basic realm="dialer"'},
                media_type="text/plain",
            )
        body = await read_body(request)
        if body is None:
            return Response(f"a callback may hold {LARGEST_BODY} bytes", 413, media_type="text/plain")
        try:
            await inbox.store(_row(provider, request, body))
        except SQLAlchemyError as error:
            log.error("event not stored", provider=provider.name, error=type(error).__name__)
            return _try_again()
        return Response("ok", media_type="text/plain")

    for path in ("/webhooks/{provider}/{token}", "/webhooks/{provider}/{token}/{rest:path}"):
        router.add_route(path, receive, methods=["GET", "POST"])
    return router


def _try_again() -> Response:
    return Response("not stored, try again", 503, {"Retry-After": "5"}, media_type="text/plain")


def is_token(provider: AnyRow, token: str, now: datetime) -> bool:
    """Whether it is the provider's token, or its previous one while that still holds."""
    given = token.encode()
    current = hmac.compare_digest(given, provider.webhook_token.encode())
    previous = provider.previous_webhook_token
    if previous is None or provider.previous_token_until is None or provider.previous_token_until <= now:
        return current
    return hmac.compare_digest(given, previous.encode()) or current


def is_login(expected_hash: str | None, authorization: str | None) -> bool:
    """Whether the Basic authorization is the one whose SHA-256 (`user:password`) is configured, if any is."""
    if expected_hash is None:
        return True
    scheme, _, encoded = (authorization or "").strip().partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        login = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hashlib.sha256(login).hexdigest(), expected_hash)


async def read_body(request: Request) -> bytes | None:
    """The body, or None when it is larger than may be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
    return bytes(body)


def _row(provider: AnyRow, request: Request, body: bytes) -> dict[str, Any]:
    raw = RawEvent(
        method=request.method,
        # PostgreSQL holds every character but NUL, which only nonsense carries.
        path=request.path_params.get("rest", "").replace("\x00", "\ufffd"),
        query=request.url.query,
        content_type=request.headers.get("content-type", "")[:200],
        body=body,
        authorization=None,
        received_at=datetime.now(UTC),
    )
    return {
        "provider_id": provider.id,
        "dedupe_key": adapter_class(provider.kind).dedupe_key(raw),
        "state": EventState.NEW.value,
        "method": raw.method,
        "path": raw.path,
        "query": raw.query,
        "content_type": raw.content_type,
        "body": raw.body,
        "received_at": raw.received_at,
        "error": "",
    }
