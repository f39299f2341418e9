"""`/sandbox/…`: what the sandbox is asked and told by whoever watches it, and no provider has."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dialer.sandbox.callbacks import Callbacks, Receiver
from dialer.sandbox.log import CallLog


class Steering:
    """Shows what came in, and sets where callbacks go and how fast time runs."""

    def __init__(self, log: CallLog, callbacks: Callbacks, providers: Sequence[str]) -> None:
        self._log = log
        self._callbacks = callbacks
        self._providers = providers

    def routes(self) -> list[Route]:
        """Below the root."""
        return [
            Route("/sandbox/log", self.show_log),
            Route("/sandbox/stats", self.show_stats),
            Route("/sandbox/callbacks/{provider}", self.set_callbacks, methods=["PUT"]),
            Route("/sandbox/settings", self.set_settings, methods=["PUT"]),
        ]

    async def show_log(self, request: Request) -> Response:
        """`GET /sandbox/log`."""
        since = request.query_params.get("since", "0")
        if not (since.isascii() and since.isdigit()):
            return _bad("since must be the number of a line, as given by next")
        return Response(self._log.since(int(since)), media_type="application/json")

    async def show_stats(self, _: Request) -> Response:
        """`GET /sandbox/stats`."""
        callbacks = self._callbacks
        return JSONResponse(
            {
                **self._log.stats(),
                "time_scale": callbacks.time_scale,
                "callbacks": {
                    "delivered": callbacks.delivered,
                    "waiting": callbacks.waiting,
                    "failed_tries": callbacks.failed_tries,
                    "given_up": callbacks.given_up,
                    "without_receiver": callbacks.without_receiver,
                },
            }
        )

    async def set_callbacks(self, request: Request) -> Response:
        """`PUT /sandbox/callbacks/<provider>`."""
        provider = request.path_params["provider"]
        if provider not in self._providers:
            return _bad(f"the sandbox plays {', '.join(self._providers)} only")
        given = await _body(request)
        url = given.get("url")
        user, password = given.get("user") or "", given.get("password") or ""
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            return _bad("url must be the web address that callbacks go to")
        if not isinstance(user, str) or not isinstance(password, str):
            return _bad("user and password must be strings")
        self._callbacks.receivers[provider] = Receiver(url, user, password)
        return JSONResponse({"url": url})

    async def set_settings(self, request: Request) -> Response:
        """`PUT /sandbox/settings`."""
        scale = (await _body(request)).get("time_scale")
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 <= scale < math.inf:
            return _bad("time_scale must be a number from 0 up")
        self._callbacks.time_scale = float(scale)
        return JSONResponse({"time_scale": self._callbacks.time_scale})


async def _body(request: Request) -> dict[str, object]:
    try:
        given = json.loads(await request.body())
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def _bad(sentence: str) -> Response:
    return JSONResponse({"message": sentence}, status_code=400)
