"""The sandbox plays Mitto by its reference, and the adapter gets along with it, over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dialer.http import make_client
from dialer.providers.asking import check
from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderConfig, ProviderError, RawEvent, Submission
from dialer.providers.kinds import make_adapter
from dialer.sandbox import make_app, make_server
from dialer.sandbox.outcomes import table

GOOD: Mapping[str, Any] = {
    "reference": "AT1",
    "sourceAddr": "46850001111",
    "destAddr": "46700000000",
    "scenarioData": "text=Hello, how are you?",
}
KEY = {"X-Authorization": "AccessKey k3y"}


@asynccontextmanager
async def running(app: Starlette) -> AsyncIterator[str]:
    """The application behind a real server on a free port; gives its URL."""
    with socket.socket(proto=socket.IPPROTO_TCP) as sock:  # so that asyncio sets TCP_NODELAY
        sock.bind(("127.0.0.1", 0))
        server = make_server(app)
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup(sockets=[sock])
        await server.on_tick(0)  # which dates its replies
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            await stop(server)


async def stop(server: uvicorn.Server) -> None:
    """Hang up on everybody. `Server.shutdown` says good-bye first, and takes longer for it than most tests."""
    for listener in server.servers:
        listener.close()
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    with suppress(TimeoutError):
        await until(lambda: not server.server_state.tasks, deadline=1)
    for task in server.server_state.tasks:
        task.cancel()
    await server.lifespan.shutdown()


async def until(condition: Callable[[], bool], deadline: float = 15) -> None:
    async with asyncio.timeout(deadline):
        while True:
            if condition():
                return
            await asyncio.sleep(0.005)


class Inbox:
    """Receives callbacks; answers 503 as often as told, first."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.events: list[RawEvent] = []
        self.app = Starlette(routes=[Route("/hook", self.receive, methods=["GET"])])

    async def receive(self, request: Request) -> Response:
        if self.failures:
            self.failures -= 1
            return Response(status_code=503)
        authorization = request.headers.get("authorization")
        event = RawEvent("GET", "", request.url.query, "", b"", authorization, datetime.now(UTC))
        self.events.append(event)
        return Response(status_code=204)

    def kinds(self) -> list[str]:
        return [event.query.split("&")[0] for event in self.events]


def mitto_at(url: str, **settings: str) -> Adapter:
    return make_adapter(
        ProviderConfig("PR1", "north", "mitto", f"{url}/mitto", {"access_key": "k3y", **settings})
    )


def call_to(end: str, reference: str = "") -> Submission:
    return Submission(reference or f"AT{end}", f"+467000000{end}", "+46850001111", "Hello & welcome", None)


def activate(
    body: object, *, access_key: str | None = None, **options: Any
) -> tuple[httpx.Response, dict[str, Any]]:
    """Post one activation; gives the response and the log."""

    async def story() -> tuple[httpx.Response, dict[str, Any]]:
        async with (
            running(make_app(time_scale=0, access_key=access_key)) as url,
            httpx.AsyncClient() as client,
        ):
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            options.setdefault("headers", KEY)
            response = await client.post(f"{url}/mitto/apps/activate", content=content, **options)
            return response, (await client.get(f"{url}/sandbox/log")).json()

    return asyncio.run(story())


# --- strictness ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (GOOD, "ok"),
        ({**GOOD, "language": "en-GB-WLS", "gender": 2, "volume": 2, "rate": 4}, "ok"),
        (b"text=hello", "requiredJsonError"),
        (b"", "requiredJsonError"),
        ([GOOD], "invalidSchemeError"),
        ({"reference": "AT1"}, "invalidSchemeError"),
        ({**GOOD, "pitch": "medium"}, "invalidSchemeError"),
        ({**GOOD, "rate": "2"}, "invalidSchemeError"),
        ({**GOOD, "rate": True}, "invalidSchemeError"),
        ({**GOOD, "destAddr": 46700000000}, "invalidSchemeError"),
        ({**GOOD, "reference": ""}, "invalidDataError"),
        ({**GOOD, "destAddr": "+46700000000"}, "invalidDataError"),
        ({**GOOD, "sourceAddr": ""}, "invalidDataError"),
        ({**GOOD, "scenarioData": "Hello"}, "invalidDataError"),
        ({**GOOD, "scenarioData": "text=Fish & chips"}, "invalidDataError"),
        ({**GOOD, "language": "en-GB"}, "invalidDataError"),
        ({**GOOD, "rate": 5}, "invalidDataError"),
        ({**GOOD, "volume": 3}, "invalidDataError"),
        ({**GOOD, "gender": 0}, "invalidDataError"),
        ({**GOOD, "isRepeat": 1, "repeatBusy": 1, "repeatBusyCount": -1}, "invalidDataError"),
        ({**GOOD, "isRepeat": 1, "repeatBusy": 1, "repeatBusyCount": 2}, "invalidDataError"),
        ({**GOOD, "isRepeat": 1, "repeatBusy": 1, "repeatBusyCount": "2"}, "invalidSchemeError"),
        ({**GOOD, "isRepeat": 2}, "invalidDataError"),
    ],
)
def test_only_what_the_reference_allows_is_taken(body: object, status: str) -> None:
    response, log = activate(body)
    assert (response.status_code, response.json()["status"]) == (200, status)
    assert [json.dumps(line["accepted"]) for line in log["lines"]] == [json.dumps(status == "ok")]


def test_an_activation_with_repeats_gets_a_request_id() -> None:
    response, _ = activate(
        {**GOOD, "isRepeat": 1, "repeatBusy": 1, "repeatBusyCount": 2, "repeatBusyInt": 30}
    )
    assert len(response.json()["requestId"]) == 32


@pytest.mark.parametrize(
    ("end", "switched_on", "errors"),
    [
        ("0001", {"Busy": 2}, [17, 0]),
        ("0101", {"Busy": 2}, [17, 17, 17]),
        ("0101", {"Busy": 2, "NoAnswer": 9}, [17, 17, 17]),
        ("0201", {"Busy": 1, "NoAnswer": 1}, [17, 16, 16]),
        ("0101", {"NoAnswer": 2}, [17]),
        ("0003", {"Failed": 1}, [19, 0]),
        ("0000", {"Busy": 1, "NoAnswer": 1, "Failed": 1}, [0]),
        ("0000", {"Answered": 1}, [0, 0]),
    ],
)
def test_repeats_are_played_until_they_are_used_up(
    end: str, switched_on: dict[str, int], errors: list[int]
) -> None:
    order = {**GOOD, "destAddr": f"4670000{end}", "isRepeat": 1}
    for on, times in switched_on.items():
        order |= {f"repeat{on}": 1, f"repeat{on}Count": times, f"repeat{on}Int": 600}

    async def story() -> list[str]:
        inbox = Inbox()
        async with (
            running(inbox.app) as hook,
            running(make_app(time_scale=0, callback_url=f"{hook}/hook")) as url,
            httpx.AsyncClient() as client,
        ):
            await client.post(f"{url}/mitto/apps/activate", json=order, headers=KEY)
            await until(lambda: len(inbox.events) == 2 * len(errors))
            stats = (await client.get(f"{url}/sandbox/stats")).json()
            assert stats["callbacks"]["waiting"] == 0
        return [event.query for event in inbox.events]

    told = [parse_qs(query) for query in asyncio.run(story())]
    assert [one["type"][0] for one in told] == ["startCallback", "endCallback"] * len(errors)
    assert [int(one["error"][0]) for one in told[1::2]] == errors


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"headers": {}}, "invalidAccessKeyError"),
        ({"headers": {"X-Authorization": "k3y"}}, "invalidAccessKeyError"),
        ({"headers": {"X-Authorization": "AccessKey other"}}, "invalidAccessKeyError"),
        ({"headers": {"X-Authorization": "AccessKey prohibited-app"}}, "prohibitedForAppError"),
        ({"headers": {"X-Authorization": "AccessKey prohibited-service"}}, "prohibitedForServiceError"),
        ({"headers": {"X-Authorization": "AccessKey k3y"}}, "ok"),
        ({"headers": {}, "params": {"X-Authorization": "AccessKey k3y"}}, "ok"),
    ],
)
def test_the_key_may_come_in_the_header_or_the_url_and_must_be_right(
    options: dict[str, Any], status: str
) -> None:
    response, _ = activate(GOOD, access_key="k3y", **options)
    assert response.json()["status"] == status


def test_a_reference_that_comes_twice_is_logged_twice(tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"

    async def story() -> tuple[dict[str, Any], dict[str, Any]]:
        async with running(make_app(time_scale=0, log=file)) as url, httpx.AsyncClient() as client:
            for _ in range(2):
                await client.post(f"{url}/mitto/apps/activate", json=dict(GOOD), headers=KEY)
            log = (await client.get(f"{url}/sandbox/log", params={"since": 1})).json()
            return log, (await client.get(f"{url}/sandbox/stats")).json()

    log, stats = asyncio.run(story())
    assert (len(log["lines"]), log["next"]) == (1, 2)
    assert (stats["accepted"], stats["repeated_references"]) == (2, 1)
    written = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(line["reference"], line["to"]) for line in written] == [("AT1", "46700000000")] * 2


# --- the adapter against it ------------------------------------------------------------------------------


def test_callbacks_carry_the_password_and_come_again_until_taken() -> None:
    async def story() -> tuple[Inbox, dict[str, Any]]:
        inbox = Inbox(failures=1)
        async with (
            running(inbox.app) as hook,
            running(make_app(time_scale=0)) as url,
            httpx.AsyncClient() as client,
        ):
            where = {"url": f"{hook}/hook?x=1", "user": "mitto", "password": "s3same"}
            assert (await client.put(f"{url}/sandbox/callbacks/mitto", json=where)).status_code == 200
            await client.post(f"{url}/mitto/apps/activate", json=dict(GOOD), headers=KEY)
            await until(lambda: len(inbox.events) == 2)
            stats = (await client.get(f"{url}/sandbox/stats")).json()
        return inbox, stats

    inbox, stats = asyncio.run(story())
    assert all(event.query.startswith("x=1&type=") for event in inbox.events)
    login = "Basic " + base64.b64encode(b"mitto:s3same").decode()
    assert [event.authorization for event in inbox.events] == [login, login]
    assert stats["callbacks"]["failed_tries"] == 1


def test_the_balance_shows_whether_the_key_works() -> None:
    async def story() -> str:
        async with running(make_app(access_key="k3y")) as url:
            client = make_client(5)
            try:
                said = await check(client, mitto_at(url))
                with pytest.raises(ProviderError, match="does not know the access key"):
                    await check(client, mitto_at(url, access_key="other"))
            finally:
                await client.aclose()
            return said

    assert "100.0" in asyncio.run(story())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("callbacks/mitto", {"url": "example.com"}),
        ("callbacks/mitto", {}),
        ("callbacks/nobody", {"url": "http://127.0.0.1/"}),
        ("settings", {"time_scale": -1}),
        ("settings", {"time_scale": "fast"}),
        ("settings", {}),
    ],
)
def test_wrong_orders_to_the_sandbox_are_refused_with_a_sentence(path: str, body: dict[str, Any]) -> None:
    async def story() -> httpx.Response:
        async with running(make_app()) as url, httpx.AsyncClient() as client:
            return await client.put(f"{url}/sandbox/{path}", json=body)

    response = asyncio.run(story())
    assert response.status_code == 400
    assert response.json()["message"]


def test_the_time_scale_can_be_changed_while_running() -> None:
    async def story() -> float:
        inbox = Inbox()
        async with (
            running(inbox.app) as hook,
            running(make_app(time_scale=1000, callback_url=f"{hook}/hook")) as url,
            httpx.AsyncClient() as client,
        ):
            await client.put(f"{url}/sandbox/settings", json={"time_scale": 0})
            await client.post(f"{url}/mitto/apps/activate", json=dict(GOOD), headers=KEY)
            await until(lambda: len(inbox.events) == 2)
            stats: dict[str, float] = (await client.get(f"{url}/sandbox/stats")).json()
            return stats["time_scale"]

    assert asyncio.run(story()) == 0


# --- the program and its page -----------------------------------------------------------------------------


def test_the_page_shows_the_table_that_the_code_uses() -> None:
    page = Path(__file__).parents[2] / "docs" / "sandbox.md"
    assert table() in page.read_text(encoding="utf-8")


def test_the_program_serves_logs_and_stops_when_asked(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "dialer.sandbox",
        "--port",
        str(port),
        "--time-scale",
        "0",
        "--log",
        str(log),
    ]
    program = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=dict(os.environ))

    async def story() -> int:
        client = httpx.AsyncClient()
        async with asyncio.timeout(30), client:
            while True:
                try:
                    await client.get(f"http://127.0.0.1:{port}/sandbox/stats")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.05)
            hung = asyncio.create_task(
                client.post(
                    f"http://127.0.0.1:{port}/mitto/apps/activate",
                    json={**GOOD, "destAddr": "46700000007"},
                    headers=KEY,
                    timeout=60,
                )
            )
            await until(lambda: log.read_text() != "")
            program.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.HTTPError):
                await hung
        return len(log.read_text().splitlines())

    try:
        assert asyncio.run(story()) == 1
        _, errors = program.communicate(timeout=20)
        assert errors.splitlines() == [f"Mitto is played at http://127.0.0.1:{port}/mitto"]
    finally:
        if program.poll() is None:
            program.kill()
            program.communicate()
