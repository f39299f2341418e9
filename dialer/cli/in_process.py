"""Requests that an application in this process answers: httpx' way of asking one, for who does not wait in a loop."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx


class InProcess(httpx.BaseTransport):
    """One request after the other. What the application raises is raised; answers are held in memory."""

    def __init__(self, app: Any) -> None:
        self._app = httpx.ASGITransport(app)
        self._loop = asyncio.Runner()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, read to its end."""
        return self._loop.run(self._answer(request))

    def close(self) -> None:
        """No more requests."""
        self._loop.close()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        answer = await self._app.handle_async_request(request)
        content = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=content)
