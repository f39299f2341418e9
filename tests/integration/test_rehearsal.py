"""Rehearsals: everything is done as on any day, and nothing of it is left."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from redis import Redis
from running import Bell
from sqlalchemy import Connection, Engine, create_engine
from structlog.testing import capture_logs
from world import World, people

from dialer import http
from dialer.api.webhooks import Webhooks
from dialer.asgi import _rehearse
from dialer.campaigns.release import BATCH
from dialer.db import reading
from dialer.lifecycle import CallState
from dialer.models import metadata
from dialer.pace.limiter import Limiter
from dialer.providers.live import Response
from dialer.settings import Settings
from dialer.store import tables as t
from workers import rehearsal
from workers.live_rehearsal import answer_live
from workers.rehearsal import CALLEES, CALLS, EVENTS, SINGLES, Part, Stage


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred requests at once are all answered, however slow the machine is today."""
    monkeypatch.setattr(rehearsal, "PATIENCE", 60.0)
    monkeypatch.setattr(http, "TIMEOUT", httpx.Timeout(60.0))


@pytest.fixture
def limiter(redis_server: str) -> Iterator[Limiter]:
    with Redis.from_url(redis_server) as client:
        yield Limiter(client)


def everything(connection: Connection) -> dict[str, int]:
    """How many rows each table holds."""
    counts = {
        table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
    }
    return {name: count for name, count in counts.items() if count}


def states(connection: Connection, table: sa.Table) -> Counter[str]:
    return Counter(connection.execute(sa.select(table.c.state)).scalars())


def released(connection: Connection) -> bool:
    return states(connection, t.call) == {"RELEASED": BATCH}


def placed(connection: Connection, many: int = CALLS) -> bool:
    return (
        states(connection, t.attempt) == {"PLACED": many}
        and states(connection, t.call) == {"IN_PROGRESS": many}
    )  # fmt: skip


def placed_singles(connection: Connection) -> bool:
    return placed(connection, SINGLES)


def heard(connection: Connection) -> bool:
    return states(connection, t.event) == {"NEW": EVENTS}


def closed(connection: Connection) -> bool:
    return (
        everything(connection)["cdr"] == EVENTS
        and states(connection, t.call) == {CallState.COMPLETED.value: EVENTS}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("part", "done"),
    [
        (rehearsal.release, released),
        (rehearsal.place, placed),
        (rehearsal.place_single, placed_singles),
        (rehearsal.hear, heard),
        (rehearsal.consume, closed),
    ],
)
def test_a_part_does_what_is_done_all_day_and_leaves_nothing(
    database: Engine, limiter: Limiter, part: Part, done: Callable[[Connection], bool]
) -> None:
    seen: list[Any] = []

    def watched(stage: Stage) -> None:
        part(stage)
        seen.append(done(stage.connection))

    with reading(database) as connection:
        before = everything(connection)
    rehearsal.rehearse(database, limiter, watched)
    assert seen == [True]
    with reading(database) as connection:
        assert everything(connection) == before


@pytest.mark.parametrize(("kind", "answers"), [("iotcomms", 2), ("mtt-callback", 2), ("mitto", 0)])
def test_live_answers_of_the_kinds_in_use_are_rehearsed(
    database: Engine, redis_server: str, kind: str, answers: int
) -> None:
    world = World(database, redis_server)
    world.set_provider(kind=kind, open_settings={"sip_host": "sip.example.com"})
    seen: list[list[Response]] = []
    with reading(database) as connection:
        before = everything(connection)
    rehearsal.rehearse(database, world.limiter, lambda stage: seen.append(answer_live(stage)))
    assert [len(one) for one in seen] == [answers]
    for response in seen[0][:1]:
        assert CALLEES[0].removeprefix("+") in response.body.decode(), (
            "the rule that is played connects with them"
        )
    with reading(database) as connection:
        assert everything(connection) == before
    world.close()


def test_real_calls_are_left_alone(database: Engine, redis_server: str) -> None:
    world = World(database, redis_server)
    campaign_id = world.campaign(world.contact_list(people(3)))
    rehearsal.rehearse(
        database, world.limiter, rehearsal.release, rehearsal.place, rehearsal.place_single, rehearsal.consume
    )
    assert world.rows(t.call) == []
    assert world.campaign_row(campaign_id).cursor == 0
    assert len(world.release()) == 3
    world.close()


def test_the_api_is_asked_what_no_provider_asked(database: Engine) -> None:
    asked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    webhooks = Webhooks(app, database, lambda: None)
    asyncio.run(rehearsal.answer(webhooks))
    webhooks.inbox.close()
    assert asked == ["/healthz"]  # the other one is the webhooks' own
    with reading(database) as connection:
        assert everything(connection).get("event") is None


def threads_of_webhooks() -> int:
    return sum(one.name in ("event writer", "event ringer") for one in threading.enumerate())


def test_an_application_that_is_broken_rehearses_nothing_and_leaves_nothing(
    database: Engine, redis_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("the database has no tables yet")

    settings = Settings(home=tmp_path, redis_url=redis_server, _env_file=None)
    bell = Bell(shaken=False)
    before = threads_of_webhooks()
    with caplog.at_level("INFO"):
        _rehearse(database, settings, broken, bell)  # type: ignore[arg-type]  # rings in this process
    assert threads_of_webhooks() == before
    assert bell.events.is_set()
    assert "not rehearsed" in caplog.text
    assert "ERROR" not in [one.levelname for one in caplog.records]


def test_who_cannot_rehearse_goes_to_work_all_the_same(database: Engine, limiter: Limiter) -> None:
    played: list[str] = []

    def breaks(_: Stage) -> None:
        played.append("breaks")
        raise ValueError("odd")

    def comes_after(_: Stage) -> None:
        played.append("comes after")

    without_tables = create_engine("sqlite://")
    rehearsal.rehearse(without_tables, limiter, comes_after)
    without_tables.dispose()
    assert played == []  # there is nothing to play with
    rehearsal.rehearse(database, limiter, breaks, comes_after)
    assert played == ["breaks", "comes after"]


@pytest.mark.parametrize("hang_up", ["close", "abort"])
def test_a_request_that_is_given_up_before_it_is_sent_is_no_error(hang_up: str) -> None:
    async def story() -> None:
        over = asyncio.get_running_loop().create_future()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await rehearsal._answer(reader, writer)
            except (EOFError, OSError) as error:
                over.set_exception(error)
            else:
                over.set_result(None)

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            getattr(writer.transport, hang_up)()
            await asyncio.wait_for(over, 60)

    asyncio.run(story())


def test_before_forks_no_file_and_no_thread_is_left_open(database: Engine) -> None:
    """A fork closes every file, and what still held one would close another's later."""

    def held() -> set[str]:
        return set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()

    database.dispose()
    files, threads = held(), threading.active_count()
    with capture_logs() as told:
        rehearsal.rehearse_for_forks(database)
    assert [line for line in told if "rehears" in line["event"]] == [], "every part was played"
    database.dispose()
    assert held() <= files
    assert threading.active_count() == threads
