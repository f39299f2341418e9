"""Misbehaving on the wire: replies that never come and connections that are reset."""

from __future__ import annotations

import socket
import struct
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OpenProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the connection within the application's reach."""

    def on_message_begin(self) -> None:
        """Called by the parser at the start of each request."""
        super().on_message_begin()
        self.scope["extensions"] = {"sandbox": {"connection": self.transport}}


class Silence(Response):
    """Never answers, and ends when the other side hangs up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class Reset(Silence):
    """Resets the connection (RST, not a clean close)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = scope["extensions"]["sandbox"]["connection"]
        sock = cast(socket.socket, connection.get_extra_info("socket"))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.abort()
        await super().__call__(scope, receive, send)
