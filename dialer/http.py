"""The one way out: every HTTP request to a provider, and every callback of the sandbox, leaves through here.

`make_client` builds a `Client`, an `httpx.AsyncClient` on the aiohttp transport. A `Trace` tells what really happened
on the wire. Exception names do not: httpx's transport reports a reset after the request was sent as
`httpx.ConnectTimeout`, and acting on that name would ring a person twice.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
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
    `sent`: the first byte may have left. It is set just before the first write, so `sent=False` proves that the
    provider saw nothing.
    """

    sent: bool = False
    connected: bool = False
    #: Asked when the connection is there, in the moment before the first byte: connecting may have taken seconds.
    may_send: Callable[[], bool] | None = None
    #: A body follows the headers; both leave together.
    has_body: bool = field(default=False, compare=False)


class WithheldError(RuntimeError):
    """The request's owner did not want it sent any more; it was stopped before the first byte."""


class SentTwiceError(RuntimeError):
    """A layer below tried to send a request again; it was stopped before the first byte."""


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
        trace.has_body = bool(request.content)
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


@cache
def authorities() -> ssl.SSLContext:
    """Whose certificates are taken: read once for all clients of a process, and of those forked from it. They take a
    megabyte."""
    return httpx.create_ssl_context(trust_env=False)


def make_client(limit: int) -> Client:
    """A client for at most `limit` requests at once; make one per process and close it with `aclose()`.

    No redirects, no environment proxies, no cookies, no decompression, no retries.
    """
    limits = httpx.Limits(max_connections=limit, max_keepalive_connections=limit, keepalive_expiry=KEEPALIVE)
    transport = AiohttpTransport(verify=authorities(), trust_env=False, limits=limits)

    def open_session() -> aiohttp.ClientSession:
        # Called by the transport at the first request, when the event loop runs.
        connector = aiohttp.TCPConnector(
            limit=limit, keepalive_timeout=KEEPALIVE, ssl=authorities(), ttl_dns_cache=30
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

    # aiohttp fires this from StreamWriter.write_headers before it even serialises them: no byte has left yet …
    async def writing_headers(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        trace: Trace = context.trace
        if trace.sent:
            # aiohttp sends GET and PUT again when a reused connection breaks; here a GET may place a call.
            raise SentTwiceError("the transport tried to send a request twice")
        if not trace.has_body:
            _let_out(trace)

    # … and this from StreamWriter.write, which hands them and the first piece of the body to the kernel right after it.
    # Between the two lies a turn of the loop, in which the process may be frozen for a minute.
    async def writing_body(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestChunkSentParams
    ) -> None:
        if not context.trace.sent:
            _let_out(context.trace)

    config = aiohttp.TraceConfig()
    config.on_request_start.append(started)
    config.on_connection_create_end.append(connected)
    config.on_connection_reuseconn.append(reused)
    config.on_request_headers_sent.append(writing_headers)
    config.on_request_chunk_sent.append(writing_body)
    return config


def _let_out(trace: Trace) -> None:
    """Ask whether it may go, just before it goes."""
    if trace.may_send is not None and not trace.may_send():
        raise WithheldError("the request was withheld")
    trace.sent = True


def _drop(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING


# httpx logs the whole URL of every request, and some providers want numbers and credentials in there.
# A filter, because a level would be lost as soon as somebody configures logging.
logging.getLogger("httpx").addFilter(_drop)
