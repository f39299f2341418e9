"""Sending a message: one POST that follows no redirect, to an address that was checked."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import aiohttp
from yarl import URL

from dialer.http import KEEPALIVE
from dialer.retry_after import parse_retry_after
from dialer.webhooks.schedule import Answer
from dialer.webhooks.targets import ForbiddenTargetError, guarded_socket

#: Seconds from resolving the name to the status of the answer.
TIMEOUT = 15.0
#: Of the rest of an answer, which nobody reads, so much is waited for that the connection can be used again.
_REST_BYTES, _REST_SECONDS = 16_384, 1.0
_HEADERS = {"Content-Type": "application/json", "User-Agent": "dialer-webhooks", "Accept": "*/*"}


def make_session(limit: int, *, allow_private: bool) -> aiohttp.ClientSession:
    """A session for at most `limit` messages at once; call where a loop runs. No proxies, no cookies."""
    connector = aiohttp.TCPConnector(
        limit=limit,
        keepalive_timeout=KEEPALIVE,
        ttl_dns_cache=10,
        resolver=aiohttp.ThreadedResolver(),
        socket_factory=guarded_socket(allow_private),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None),
    )


async def post(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - part of the answer's sentence
) -> Answer:
    """Send a message; raises nothing for what the other side does."""
    began = time.monotonic()

    def answer(status: int | None, error: str | None, retry_after: float | None = None) -> Answer:
        return Answer(status, error, round((time.monotonic() - began) * 1000), retry_after)

    try:
        async with asyncio.timeout(timeout):
            response = await session.post(
                URL(url), data=body, headers={**_HEADERS, **headers}, allow_redirects=False
            )
    except TimeoutError:
        return answer(None, f"no answer within {timeout:g} s")
    except aiohttp.ClientError as error:
        return answer(None, _why(error))
    except (OSError, ValueError):
        return answer(None, "no connection")
    found = answer(
        response.status,
        _wrong_with(response.status),
        parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC)),
    )
    await _let_go(response)
    return found


async def _let_go(response: aiohttp.ClientResponse) -> None:
    with contextlib.suppress(TimeoutError, aiohttp.ClientError, OSError):
        async with asyncio.timeout(_REST_SECONDS):
            await response.content.read(_REST_BYTES)
    if response.content.at_eof():
        response.release()
    else:
        response.close()


def _wrong_with(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed"
    return f"HTTP {status}"


def _why(error: aiohttp.ClientError) -> str:
    """In our words: a library's would show addresses."""
    cause = getattr(error, "os_error", None)
    if isinstance(cause, ForbiddenTargetError):
        return str(cause)
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "the TLS certificate cannot be verified, or TLS failed"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    if isinstance(error, aiohttp.InvalidURL):
        return "the URL cannot be used"
    return "the connection broke before there was an answer"
