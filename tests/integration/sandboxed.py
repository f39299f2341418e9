"""The sandbox over real HTTP, as an adapter meets it: a call is placed, and callbacks come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
from contract import Case
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from test_sandbox import running

from dialer.http import Client, make_client
from dialer.providers.asking import look_up
from dialer.providers.base import submit
from dialer.providers.contract import Asked, Fact, Outcome, RawEvent, Submission, SubmitResult
from dialer.sandbox import make_app

#: What becomes of a submit, by the last digits of the number; PLACED of all others.
OUTCOMES = {
    "05": Outcome.NOT_PROCESSED,
    "06": Outcome.UNKNOWN,
    "07": Outcome.UNKNOWN,
    "12": Outcome.UNKNOWN,
    "13": Outcome.UNKNOWN,
    "18": Outcome.REFUSED,
    "19": Outcome.UNKNOWN,
}
#: … of which these are not dialled.
NOT_TAKEN = {"05", "06", "18"}


class Inbox:
    """Receives callbacks, in the URL or in the body, below its address or at it."""

    def __init__(self) -> None:
        self.events: list[RawEvent] = []
        methods = ["GET", "POST"]
        self.app = Starlette(
            routes=[
                Route("/hook", self.receive, methods=methods),
                Route("/hook/{rest:path}", self.receive, methods=methods),
            ]
        )

    async def receive(self, request: Request) -> Response:
        path, query = request.path_params.get("rest", ""), request.url.query
        kind, body = request.headers.get("content-type", ""), await request.body()
        self.events.append(RawEvent(request.method, path, query, kind, body, None, datetime.now(UTC)))
        return Response(status_code=204)


class Sandbox:
    """The sandbox, an inbox for its callbacks, and a client."""

    def __init__(
        self, case: Case, url: str, hook: str, client: Client, curl: httpx.AsyncClient, inbox: Inbox
    ) -> None:
        self._case = case
        self._hook = hook
        self._url = url
        self._client = client
        self._curl = curl
        self._inbox = inbox

    async def place(self, submission: Submission, deadline: float = 5.0, hook: str = "") -> SubmitResult:
        """Place one call; its callbacks come to the inbox, or go to `hook`."""
        adapter = self._case.adapter(f"{self._url}/{self._case.kind}", hook or f"{self._hook}/hook")
        return await submit(self._client, adapter, submission, timeout=deadline)

    async def ask(self, asked: Asked) -> list[Fact] | None:
        """Ask about one call; None where it cannot be asked about."""
        adapter = self._case.adapter(f"{self._url}/{self._case.kind}")
        return await look_up(self._client, adapter, asked, timeout=5.0)

    async def log(self) -> list[dict[str, Any]]:
        """What the sandbox has been asked for."""
        lines: list[dict[str, Any]] = (await self._curl.get(f"{self._url}/sandbox/log")).json()["lines"]
        return lines

    async def all_facts(self) -> list[Fact]:
        """What callbacks say, when all have come."""
        async with asyncio.timeout(15):
            while True:
                stats = (await self._curl.get(f"{self._url}/sandbox/stats")).json()
                if not stats["callbacks"]["waiting"]:
                    return self.facts()
                await asyncio.sleep(0.01)

    def facts(self) -> list[Fact]:
        """What callbacks say that have come."""
        adapter = self._case.adapter()
        return [fact for event in self._inbox.events for fact in adapter.read_event(event)]


@asynccontextmanager
async def sandbox(case: Case, time_scale: float = 0.0) -> AsyncIterator[Sandbox]:
    inbox = Inbox()
    async with (
        running(inbox.app) as hook,
        running(make_app(time_scale=time_scale, callback_url=f"{hook}/hook")) as url,
        httpx.AsyncClient() as curl,
    ):
        client = make_client(30)
        try:
            yield Sandbox(case, url, hook, client, curl, inbox)
        finally:
            await client.aclose()
