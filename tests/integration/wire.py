"""A server of raw bytes that plays any reply and any mishap, and the client that workers send with."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import httpx

from dialer.http import Client, make_client, new_loop

Result = TypeVar("Result")


class Server:
    """A raw server that counts the whole requests it got."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[bytes] = []
        self.connections = 0
        self.got_request = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        """The next request; empty when the client has hung up."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        request = head + (await reader.readexactly(length) if length else b"")
        self.requests.append(request)
        self.got_request.set()
        return request


@asynccontextmanager
async def serving(
    handle: Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Server]:
    server = Server()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        try:
            await handle(server, reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def black_hole() -> Iterator[str]:
    """A URL that no connection can be made to and that never says so: a listener whose backlog is full answers no
    further SYN."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in [stack.enter_context(socket.socket()) for _ in range(4)]:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


def replying(reply: bytes) -> Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Answers each request with these bytes and keeps the connection open."""

    async def handle(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await server.read_request(reader):
            writer.write(reply)
            await writer.drain()

    return handle


def http(status: str, body: bytes = b"", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


async def silent(server: Server, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    await reader.read()  # until the client hangs up


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def run(story: Coroutine[Any, Any, Result]) -> Result:
    """On the loop that workers send on."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(story)


@asynccontextmanager
async def client_of(limit: int = 10, **timeouts: float) -> AsyncIterator[Client]:
    client = make_client(limit)
    if timeouts:
        defaults = {"connect": 3.0, "read": 8.0, "write": 8.0, "pool": 5.0}
        client.timeout = httpx.Timeout(**{**defaults, **timeouts})
    try:
        yield client
    finally:
        await client.aclose()


@contextmanager
def free_port() -> Iterator[int]:
    """A port that nobody listens on: bound, so that nobody else takes it, but not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


JSON = "Content-Type: application/json\r\n"
#: Replies that decide nothing, whatever was asked.
UNREADABLE: Mapping[str, bytes] = {
    "500": http("500 Internal Server Error"),
    "502 with a page": http("502 Bad Gateway", b"<html>bad gateway</html>"),
    "503 with Retry-After": http("503 Service Unavailable", b"", "Retry-After: 5\r\n"),
    "408": http("408 Request Timeout"),
    "409": http("409 Conflict"),
    "425": http("425 Too Early"),
    "redirect": http("302 Found", b"", "Location: /elsewhere\r\n"),
    "nothing under 200": http("200 OK"),
    "garbage under 200": http("200 OK", b"\x00\xff\xfe garbage"),
    "a page under 200": http("200 OK", b"<html>It works!</html>"),
    "a list under 200": http("200 OK", b'["ok"]'),
    "an empty object under 200": http("200 OK", b"{}", JSON),
    "numbers that are none": http("200 OK", b'{"status": NaN, "result": 1e999}', JSON),
    "lone surrogates": http("200 OK", b'{"status": "\\ud800", "message": "\\udfff"}', JSON),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no HTTP at all": b"SSH-2.0-OpenSSH_9.6\r\n",
    "deeply nested JSON": http("200 OK", b"[" * 100_000),
    "deeply nested objects": http("200 OK", b'{"result":' * 100_000),
    "a charset that there is not": http("200 OK", b"\xff", "Content-Type: text/x; charset=nonsense\r\n"),
    "a body that is not gzip": http("200 OK", b"not gzip", "Content-Encoding: gzip\r\n"),
    "chunks that are none": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
}
