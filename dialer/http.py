"""The one way out: every HTTP request to a provider, and every callback of the sandbox, leaves through here.

`make_client` builds an `httpx.AsyncClient` on the aiohttp transport. A `Trace` tells what really happened on
the wire. Exception names do not: the transport reports a reset after the request was sent as
`httpx.ConnectTimeout`, and acting on that name would ring a person twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import SimpleNamespace

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

#: Seconds. The aiohttp transport counts `pool` from asking for a connection to having one, so it covers the
#: wait for a free connection (2 s) and the connecting itself (3 s, TLS included). `read` is the longest
#: silence while waiting for the reply; the whole exchange is bounded by the caller's deadline.
TIMEOUT = httpx.Timeout(connect=3.0, read=8.0, write=8.0, pool=5.0)

#: Seconds an idle connection is kept. Below the 5 s after which common servers close theirs: a request
#: written into a connection that is being closed has an unknown fate, and costs a call.
KEEPALIVE = 4.0

_current: ContextVar[Trace | None] = ContextVar("dialer_http_trace", default=None)


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


@contextmanager
def tracing(trace: Trace) -> Iterator[Trace]:
    """Record the request made inside this block in `trace`: one request per trace.

    The trace travels in a context variable, so requests of concurrent tasks do not mix.
    """
    token = _current.set(trace)
    try:
        yield trace
    finally:
        _current.reset(token)


def make_client(limit: int) -> httpx.AsyncClient:
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
    return httpx.AsyncClient(
        transport=transport,
        cookies=no_cookies,
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": "dialer", "Accept-Encoding": "identity"},
    )


def _trace_config() -> aiohttp.TraceConfig:
    async def started(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceRequestStartParams
    ) -> None:
        context.trace = _current.get() or Trace()

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
        if context.trace.may_send is not None and not context.trace.may_send():
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
