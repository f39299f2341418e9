"""Where providers call back: check the token, store the raw event, answer 2xx. Nothing else, unless the provider asks
something and waits for the answer (dialer/api/live.py).

Each event is answered only after it is committed (dialer/api/inbox.py): a 2xx is a promise. The answer to a question
acknowledges nothing: somebody is on the line, so it waits for its event's commit until the deadline and no longer.

This is plain ASGI in front of the application: a callback needs nothing of what a framework does for a route, which
costs several times what is left.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dialer.api.answer_times import LOST, NOT_KNOWN, STORED_AFTER, AnswerTimes
from dialer.api.inbox import Inbox
from dialer.api.live import Asker, Live
from dialer.calls.inbound import Given
from dialer.db import reading
from dialer.logs import get_logger
from dialer.models.event import EventState
from dialer.providers.base import Adapter
from dialer.providers.contract import RawEvent
from dialer.providers.kinds import adapter_class
from dialer.providers.live import Asks, Question, Response
from dialer.providers.setup import webhook_url
from dialer.store import providers

log = get_logger(__name__)

PREFIX = "/webhooks/"
METHODS = ("GET", "HEAD", "POST")
#: Bytes; a callback that is larger is answered 413.
LARGEST_BODY = 1_048_576
#: Seconds for which a provider's token and login are remembered.
REMEMBERED = 2.0
#: Seconds between tries to store the event of a question that was answered already: nobody will send it again.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
#: Seconds for which an end of this process waits for such events.
CLOSING = 10.0

Answer = tuple[Message, ...]  # as ASGI has it; empty: none


def _answer(status: int, text: str, *headers: tuple[bytes, bytes]) -> Answer:
    body = text.encode()
    length = (b"content-length", str(len(body)).encode())
    known = [length, (b"content-type", b"text/plain; charset=utf-8"), *headers]
    return (
        {"type": "http.response.start", "status": status, "headers": known},
        {"type": "http.response.body", "body": body},
    )


OK = _answer(200, "ok")
UNSIGNED = _answer(401, "not signed as this provider signs")
UNAUTHORIZED = _answer(401, "wrong user or password", (b"www-authenticate", b'Basic realm="dialer"'))
NOT_FOUND = _answer(404, "no such webhook")
NOT_ALLOWED = _answer(405, "a callback is a GET or a POST", (b"allow", ", ".join(METHODS).encode()))
TOO_LARGE = _answer(413, f"a callback may hold {LARGEST_BODY} bytes")
TRY_AGAIN = _answer(503, "not stored, try again", (b"retry-after", b"5"))


class Address(NamedTuple):
    """`/webhooks/{provider}/{token}/{rest}`, decoded."""

    provider: str
    token: str
    rest: str


@dataclass(frozen=True, slots=True)
class Hook:
    """A provider, as far as its callbacks need it."""

    provider_id: str
    name: str
    token: str = field(repr=False)
    previous_token: str | None = field(repr=False)
    previous_token_until: datetime | None
    login_hash: str | None = field(repr=False)
    dedupe_key: Callable[[RawEvent], str]
    kept: Callable[[RawEvent], RawEvent]
    #: Of kinds that ask, and of kinds that sign; None for all others, whose callbacks cost nothing more.
    asker: Asker | None = None
    is_signed: Callable[[RawEvent], bool] | None = None


class Directory:
    """Providers by name, remembered for a moment so that a callback costs no statement of its own."""

    def __init__(self, engine: Engine, public_url: str) -> None:
        self._engine = engine
        self._public_url = public_url
        self._known: dict[str, tuple[float, asyncio.Future[Hook | None]]] = {}

    async def find(self, name: str) -> Hook | None:
        """The provider of that name. Raises SQLAlchemyError when the database does not answer."""
        at, found = self._known.get(name, (0.0, None))
        if found is None or time.monotonic() - at > REMEMBERED or (found.done() and found.exception()):
            if len(self._known) > 1000:
                self._known.clear()
            # Whoever asks meanwhile waits for the same answer.
            found = asyncio.ensure_future(asyncio.to_thread(self._read, name))
            self._known[name] = (time.monotonic(), found)
        return found.result() if found.done() else await asyncio.shield(found)

    def _read(self, name: str) -> Hook | None:
        if "\x00" in name:
            return None  # PostgreSQL would not even compare it
        with reading(self._engine) as connection:
            row = providers.named(connection, name)
        if row is None:
            return None
        kind, settings = adapter_class(row.kind), row.open_settings or {}
        return Hook(
            row.id,
            row.name,
            row.webhook_token,
            row.previous_webhook_token,
            row.previous_token_until,
            row.callback_auth_hash,
            kind.dedupe_key,
            kind.kept,
            asker=Asker(row.id, row.name, kind, settings, webhook_url(self._public_url, row))
            if kind.asks
            else None,
            is_signed=partial(_is_signed, kind, settings) if kind.signs else None,
        )


class Webhooks:
    """ASGI: GET and POST at `/webhooks/{provider}/{token}` and below; everything else goes to the application."""

    def __init__(self, app: ASGIApp, engine: Engine, ring: Callable[[], None], public_url: str = "") -> None:
        """`ring` tells a consumer of new events; it may block, and is never called for what is not committed.
        `public_url` is what providers reach us at."""
        self._app = app
        self._directory = Directory(engine, public_url)
        self.inbox = Inbox(engine, ring)
        self.live = Live(engine)
        self.answer_times = AnswerTimes(engine)
        #: Questions answered before their events were stored, and those of which none could be, since the start.
        self.answered_before = 0
        self.lost = 0
        self._storing: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; or the application's lifespan, at whose end the inbox is closed."""
        if scope["type"] == "http":
            address = _address(scope)
            if address is not None:
                answer = await self._hear(address, scope, receive)
                for message in answer:
                    await send(message)
                return
        elif scope["type"] == "lifespan":
            send = self._closing(send)
        await self._app(scope, receive, send)

    def close(self) -> None:
        """Wait for what is being written, rung and looked up, which may take seconds. Nothing is heard after this."""
        self.inbox.close()
        self.live.close()
        self.answer_times.close()

    def _closing(self, send: Send) -> Send:
        async def closing(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown"):
                if self._storing:
                    await asyncio.wait(self._storing, timeout=CLOSING)
                await asyncio.to_thread(self.close)
            await send(message)

        return closing

    async def _hear(self, address: Address, scope: Scope, receive: Receive) -> Answer:
        if scope["method"] not in METHODS:
            return NOT_ALLOWED
        began = asyncio.get_running_loop().time()
        try:
            hook = await self._directory.find(address.provider)
        except SQLAlchemyError as error:
            log.error("provider not looked up", error=type(error).__name__)
            return TRY_AGAIN
        now = datetime.now(UTC)
        if hook is None or not is_token(hook, address.token, now):
            return NOT_FOUND
        if hook.login_hash is not None and not is_login(hook.login_hash, _header(scope, b"authorization")):
            return UNAUTHORIZED
        return await self._keep(hook, address.rest, scope, receive, now, began)

    async def _keep(
        self, hook: Hook, rest: str, scope: Scope, receive: Receive, now: datetime, began: float
    ) -> Answer:
        try:
            body = await read_body(receive)
        except ConnectionError:
            return ()  # nobody is left to answer
        if body is None:
            return TOO_LARGE
        raw = _raw(hook, rest, scope, body, now)
        if hook.is_signed is not None and not hook.is_signed(raw):
            return UNSIGNED
        question = None if hook.asker is None else self.live.question(hook.asker, raw)
        if hook.asker is not None and question is not None:
            return await self._reply(hook, hook.asker, question, raw, began)
        return OK if await self._store(hook, raw) else TRY_AGAIN

    async def _reply(
        self, hook: Hook, asker: Asker, question: Question, raw: RawEvent, began: float
    ) -> Answer:
        """What is asked is looked up and its event stored at once, unless what is answered is to be kept with the
        event: rules of numbers change, and whoever calls in was given what held then. `began` is when the request did,
        by the loop's clock: at the deadline it is answered, and the event is stored behind its back."""
        if question.asks is Asks.INBOUND:
            replied = await self.live.answer(asker, question, began)
            storing = asyncio.ensure_future(self._store(hook, raw, replied.given))
        else:
            storing = asyncio.ensure_future(self._store(hook, raw))
            replied = await self.live.answer(asker, question, began)
        if not replied.is_known:
            self.answer_times.odd(asker.id, NOT_KNOWN)
        if replied.response is None:
            return OK if await storing else TRY_AGAIN
        await asyncio.wait([storing], timeout=self.live.left(began))
        if not storing.done() or not storing.result():
            later = asyncio.create_task(self._store_later(hook, raw, replied.given, storing))
            self._storing.add(later)
            later.add_done_callback(self._storing.discard)
        self.answer_times.answered(asker.id, asyncio.get_running_loop().time() - began)
        return _written(replied.response)

    async def _store_later(
        self, hook: Hook, raw: RawEvent, given: Given | None, storing: asyncio.Future[bool]
    ) -> None:
        """Store the event of a question that is being answered before that is done."""
        self.answered_before += 1
        self.answer_times.odd(hook.provider_id, STORED_AFTER)
        log.warning("answered before the event was stored", provider=hook.name, so_far=self.answered_before)
        is_stored = await storing
        for pause in PAUSES:
            if is_stored:
                return
            await asyncio.sleep(pause)
            is_stored = await self._store(hook, raw, given)
        if not is_stored:
            self.lost += 1
            self.answer_times.odd(hook.provider_id, LOST)
            log.error("event of an answered question lost", provider=hook.name, so_far=self.lost)

    async def _store(self, hook: Hook, raw: RawEvent, given: Given | None = None) -> bool:
        row = _row(hook, raw)
        if given is not None:
            row["given"] = given.to_json()
        try:
            await self.inbox.store(row)
        except SQLAlchemyError as error:
            log.error("event not stored", provider=hook.name, error=type(error).__name__)
            return False
        return True


def is_token(hook: Hook, token: str, now: datetime) -> bool:
    """Whether it is the provider's token, or its previous one while that still holds."""
    given = token.encode()
    current = hmac.compare_digest(given, hook.token.encode())
    if hook.previous_token is None or hook.previous_token_until is None or hook.previous_token_until <= now:
        return current
    return hmac.compare_digest(given, hook.previous_token.encode()) or current


def _is_signed(kind: type[Adapter], settings: Mapping[str, str], raw: RawEvent) -> bool:
    try:
        return kind.is_signed(raw, settings)
    except Exception as error:  # noqa: BLE001 - what cannot be checked is not signed
        log.error("signature not checked", kind=kind.kind, error=type(error).__name__)
        return False


def is_login(expected_hash: str, authorization: str) -> bool:
    """Whether the Basic authorization is the one whose SHA-256 (`user:password`) is configured."""
    scheme, _, encoded = authorization.strip().partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        login = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hashlib.sha256(login).hexdigest(), expected_hash)


async def read_body(receive: Receive) -> bytes | None:
    """The body, or None when it is larger than may be. Raises ConnectionError when the provider hangs up."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("hung up before the body was whole")
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        more = message.get("more_body", False)
    return body


def _address(scope: Scope) -> Address | None:
    path: str = scope["path"]
    if scope.get("root_path"):
        path = path.removeprefix(scope["root_path"])
    if not path.startswith(PREFIX):
        return None
    provider, _, rest = path[len(PREFIX) :].partition("/")
    token, _, rest = rest.partition("/")
    return Address(provider, token, rest) if provider and token else None


def _written(response: Response) -> Answer:
    headers = [
        (b"content-length", str(len(response.body)).encode()),
        (b"content-type", response.content_type.encode()),
    ]
    return (
        {"type": "http.response.start", "status": response.status, "headers": headers},
        {"type": "http.response.body", "body": response.body},
    )


def _raw(hook: Hook, rest: str, scope: Scope, body: bytes, now: datetime) -> RawEvent:
    return RawEvent(
        method=scope["method"],
        # PostgreSQL holds every character but NUL, which only nonsense carries.
        path=rest.replace("\x00", "\ufffd"),
        query=scope["query_string"].decode("utf-8", "replace").replace("\x00", "\ufffd"),
        content_type=_header(scope, b"content-type")[:200],
        body=body,
        authorization=None if hook.is_signed is None else _header(scope, b"authorization"),
        received_at=now,
    )


def _row(hook: Hook, raw: RawEvent) -> dict[str, Any]:
    kept = hook.kept(raw)
    return {
        "provider_id": hook.provider_id,
        "dedupe_key": hook.dedupe_key(raw),
        "state": EventState.NEW.value,
        "method": kept.method,
        "path": kept.path,
        "query": kept.query,
        "content_type": kept.content_type,
        "body": kept.body,
        "received_at": kept.received_at,
        "error": "",
    }


def _header(scope: Scope, wanted: bytes) -> str:
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value, "latin-1")
    return ""
