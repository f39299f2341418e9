"""The one way out: every HTTP request to a provider, and every callback of the sandbox, leaves through here.

`make_client` builds a `Client`, an `httpx.AsyncClient` on the aiohttp transport. A `Trace` tells what really happened
on the wire. Exception names do not: httpx's transport reports a reset after the request was sent as
`httpx.ConnectTimeout`, and acting on that name would ring a person twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from io import BytesIO
from json import dumps
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport
from yarl import URL

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

#: Seconds. The aiohttp transport counts `pool` from asking for a connection to having one, so it covers the
#: wait for a free connection (2 s) and the connecting itself (3 s, TLS included). `read` is the longest
#: silence while waiting for the reply; the whole exchange is bounded by the caller's deadline.
TIMEOUT = httpx.Timeout(connect=3.0, read=8.0, write=8.0, pool=5.0)

#: Seconds an idle connection is kept. Below the 5 s after which common servers close theirs: a request
#: written into a connection that is being closed has an unknown fate, and costs a call.
KEEPALIVE = 4.0

HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "dialer"}

LARGE = 1 << 20  # bytes of a request's body

JSON_HEADERS = {**HEADERS, "Content-Type": "application/json"}


@dataclass(slots=True)
class Trace:
    """What the transport saw of one request.

    `connected`: a connection was made (TLS included) or an idle one taken.
    `sent`: the first byte may have left. It is set just before the headers are written, so `sent=False`
    proves that the provider saw nothing.
    """

    sent: bool = False
    connected: bool = False
    #: Asked when the connection is there, in the moment before the first byte: connecting may have taken seconds.
    may_send: Callable[[], bool] | None = None


class WithheldError(RuntimeError):
    """The request's owner did not want it sent any more; it was stopped before the first byte."""


class SentTwiceError(RuntimeError):
    """A layer below tried to send a request again; it was stopped before the first byte."""


class _Door:
    """Lets requests out one by one, the next when the bytes of the one before have left the process.

    uvloop writes at the end of a turn of the loop what was written in that turn. Of two hundred requests that asked
    `may_send` in the same turn, all would leave after it, however long the process was frozen in between.
    """

    def __init__(self) -> None:
        self._is_free = True
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def pass_through(self) -> None:
        """Wait for one's turn; the door is taken until the loop has written what is written now."""
        loop = asyncio.get_running_loop()
        if not self._is_free:
            turn = loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._next()
                raise
        self._is_free = False
        # aiohttp may write in the loop's next turn, which ends with what is written in it leaving: who is woken in
        # that turn comes after it, and who does not wait comes in a turn of its own.
        loop.call_soon(self._next)

    def _next(self) -> None:
        if not self._wake_one():
            asyncio.get_running_loop().call_soon(self._open)

    def _open(self) -> None:
        self._is_free = not self._wake_one()

    def _wake_one(self) -> bool:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return True
        return False


@dataclass(frozen=True, slots=True)
class Request:
    """What `Client.exchange` sends, complete."""

    method: str
    url: URL = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    content: bytes | None = field(repr=False)


class Client(httpx.AsyncClient):
    """An `httpx.AsyncClient` on the aiohttp transport, with a shorter way for what is sent by the thousand."""

    def __init__(self, *, transport: AiohttpTransport, **options: Any) -> None:
        super().__init__(transport=transport, **options)
        self._wire = transport

    async def exchange(self, request: Request, trace: Trace) -> aiohttp.ClientResponse:
        """Send a request through the transport's own session, recorded in `trace`, once.

        The body of the response is still to be read, and the response to be released. What httpx puts between
        (requests and responses of its own, authentication, redirects, cookies, hooks) is not in use here, and costs
        twice as much time as the sending.
        """
        limits = self.timeout
        return await self._session().request(
            request.method,
            request.url,
            headers=request.headers,
            data=_payload(request.content),
            allow_redirects=False,
            auto_decompress=False,
            timeout=_client_timeout(limits.connect, limits.read, limits.pool),
            trace_request_ctx=trace,
        )

    def _session(self) -> aiohttp.ClientSession:
        if not isinstance(self._wire.client, aiohttp.ClientSession):
            self._wire.client = self._wire.get_client()
        return self._wire.client


def _payload(content: bytes | None) -> bytes | BytesIO | None:
    """A large body is written piece by piece, as fast as it leaves, so that the wait for the reply begins after it."""
    return content if content is None or len(content) <= LARGE else BytesIO(content)


@lru_cache(maxsize=16)
def _client_timeout(connect: float | None, read: float | None, pool: float | None) -> aiohttp.ClientTimeout:
    """The limits of httpx in aiohttp's words, as the transport puts them."""
    return aiohttp.ClientTimeout(connect=pool, sock_connect=connect, sock_read=read)


def make_request(
    method: str, url: str, headers: Mapping[str, str], *, json: object = None, content: bytes | None = None
) -> Request:
    """A request with this module's headers. `json` is the body, unless `content` is given.

    Raises TypeError and ValueError for what cannot be written.
    """
    own = HEADERS
    if content is None and json is not None:
        own = JSON_HEADERS
        content = dumps(json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return Request(method, _parsed(url), {**own, **headers}, content)


@lru_cache(maxsize=1024)
def _parsed(url: str) -> URL:
    return URL(url)


def new_loop() -> asyncio.AbstractEventLoop:
    """An event loop to send on: uvloop's, or asyncio's own where that is not installed (Windows)."""
    return asyncio.new_event_loop() if uvloop is None else uvloop.new_event_loop()


def make_client(limit: int) -> Client:
    """A client for at most `limit` requests at once; make one per process and close it with `aclose()`.

    No redirects, no environment proxies, no cookies, no decompression, no retries.
    """
    limits = httpx.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=KEEPALIVE)
    transport = AiohttpTransport(trust_env=False, limits=limits)

    def open_session() -> aiohttp.ClientSession:
        # Called by the transport at the first request, when the event loop runs.
        connector = aiohttp.TCPConnector(
            limit=limit, keepalive_timeout=KEEPALIVE, ssl=transport.ssl_context, ttl_dns_cache=30
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[_trace_config()]
        )

    transport.client = open_session
    # A cookie of one account must never ride along with another's request to the same host.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return Client(
        transport=transport,
        cookies=no_cookies,
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        headers=HEADERS,
    )


def _trace_config() -> aiohttp.TraceConfig:
    door = _Door()

    async def started(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestStartParams
    ) -> None:
        context.trace = context.trace_request_ctx or Trace()

    async def connected(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceConnectionCreateEndParams
    ) -> None:
        context.trace.connected = True

    async def reused(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceConnectionReuseconnParams
    ) -> None:
        context.trace.connected = True

    # aiohttp fires this from StreamWriter.write_headers before it even serialises them: no byte has left yet.
    async def sending(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        if context.trace.sent:
            # aiohttp sends GET and PUT again when a reused connection breaks; here a GET may place a call.
            raise SentTwiceError("the transport tried to send a request twice")
        if context.trace.may_send is not None:
            await door.pass_through()
            if not context.trace.may_send():
                raise WithheldError("the request was withheld")
        context.trace.sent = True

    config = aiohttp.TraceConfig()
    config.on_request_start.append(started)
    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(reused)
    config.on_request_headers_sent.append(sending)
    return config


def _drop(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


# httpx logs the whole URL of every request, and some providers want numbers and credentials in there.
# A filter, because a level would be lost as soon as somebody configures logging.
logging.getLogger("httpx").addFilter(_drop)
