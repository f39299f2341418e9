"""Misbehaving on the wire: replies that never come or cannot be read, and connections that are reset."""

from __future__ import annotations

import socket
import struct
from typing import cast

import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from dialer.sandbox.outcomes import Answer

#: Answers that no provider documents: what was asked for is done, and nobody is told.
BROKEN = frozenset({Answer.SILENCE, Answer.RESET, Answer.GARBAGE})


class OpenProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the connection within the application's reach."""

    silent = False  # its request is never to be answered

    def on_message_begin(self) -> None:
        """Called by the parser at the start of each request."""
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox": {"protocol": self}}


class Server(uvicorn.Server):
    """uvicorn's server, which hangs up on those who would wait for ever before it waits for the others."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called once, when the server has been told to stop."""
        for protocol in list(self.server_state.connections):
            if isinstance(protocol, OpenProtocol) and protocol.silent:
                protocol.transport.abort()
        await super().shutdown(sockets)


class Silence(Response):
    """Never answers, and ends when the other side hangs up or the server stops."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _protocol(scope).silent = True
        while (await receive())["type"] != "http.disconnect":
            pass


class Reset(Silence):
    """Resets the connection (RST, not a clean close)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _protocol(scope).transport
        sock = cast(socket.socket, transport.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await super().__call__(scope, receive, send)


def broken(answer: Answer) -> Response:
    """What comes back by one of `BROKEN`."""
    if answer is Answer.SILENCE:
        return Silence()
    if answer is Answer.RESET:
        return Reset()
    return Response("<html><body>It works!", media_type="text/html")


def _protocol(scope: Scope) -> OpenProtocol:
    return cast(OpenProtocol, scope["extensions"]["sandbox"]["protocol"])
