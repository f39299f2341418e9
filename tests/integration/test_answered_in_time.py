"""Whoever waits for an answer gets it in time, on the whole way through the webhook, also while nothing can be written;
what was asked is stored afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from running import until
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from test_inbound import DESK, MTT, REFUSED, question, rule
from test_inbound_iotcomms import SETTINGS
from world import PUBLIC_URL, World, people

from dialer.api import answer_times, live, webhooks
from dialer.api.webhooks import Webhooks
from dialer.db import reading
from dialer.models.inbound import InboundAction
from dialer.store import events, meters
from dialer.store import tables as t

#: Seconds; long enough for most look-ups on a machine that is busy, and what is answered after it is right, too.
DEADLINE = 0.5


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


@pytest.fixture
def app(world: World) -> Iterator[Webhooks]:
    made = Webhooks(FastAPI(), world.engine, lambda: None, PUBLIC_URL)
    made.live = live.Live(world.engine, deadline=DEADLINE)
    yield made
    made.close()


@pytest.fixture
def client(app: Webhooks, serve: Callable[[Any], str]) -> Iterator[httpx.Client]:
    # Less than after which either database gives up waiting for a lock: whoever waits for it is found out.
    with httpx.Client(base_url=serve(app), timeout=8) as one:
        yield one


@contextmanager
def nothing_can_be_written(engine: Engine) -> Iterator[None]:
    """Somebody else has the database's, or the table's, write lock."""
    with engine.connect().execution_options(writes=True) as holder, holder.begin():
        if engine.dialect.name == "postgresql":
            holder.exec_driver_sql("LOCK TABLE event IN EXCLUSIVE MODE")
        yield


def counted(world: World, meter: str) -> dict[str, int]:
    """A meter of the provider, by its labels."""
    with reading(world.engine) as connection:
        totals = meters.totals(connection)
    return {label: n for (name, of, label), n in totals.items() if (name, of) == (meter, world.provider_id)}


def test_how_long_providers_wait_is_counted(
    world: World, app: Webhooks, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_times, "METERED_EVERY", 0.0)
    world.set_provider(kind="mtt-callback", credentials=world.box.seal(MTT))
    rule(world, InboundAction.CONNECT, DESK)
    url = f"/webhooks/{world.provider_id.lower()}/token"
    for session in ("1", "2"):
        assert client.post(url, json=question(session)).status_code == 200
    assert client.post(url, content="it is no question").status_code == 200

    def waits() -> dict[str, int]:
        return {label: n for label, n in counted(world, meters.LIVE).items() if label != answer_times.SUM}

    until(lambda: sum(waits().values()) == 2, "both answers")
    assert waits().keys() <= {*map(str, answer_times.BOUNDS), answer_times.BEYOND}
    assert counted(world, meters.LIVE)[answer_times.SUM] > 0


def test_what_is_not_known_in_time_is_counted(
    world: World, app: Webhooks, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_answered = threading.Event()

    def slow(*_: object) -> live.Found:
        is_answered.wait(30)
        raise TimeoutError

    monkeypatch.setattr(live, "look_up", slow)
    world.set_provider(kind="mtt-callback", credentials=world.box.seal(MTT))
    assert client.post(f"/webhooks/{world.provider_id.lower()}/token", json=question()).status_code == 200
    is_answered.set()
    app.answer_times.close()
    assert counted(world, meters.LIVE_ODD)[answer_times.NOT_KNOWN] == 1


def test_a_caller_is_answered_while_nothing_can_be_written(
    world: World, app: Webhooks, client: httpx.Client
) -> None:
    world.set_provider(kind="mtt-callback", credentials=world.box.seal(MTT))
    rule(world, InboundAction.CONNECT, DESK)
    with nothing_can_be_written(world.engine):
        answer = client.post(f"/webhooks/{world.provider_id.lower()}/token", json=question())
        assert world.rows(t.event) == []
    assert answer.status_code == 200
    until(lambda: world.rows(t.event) != [])
    (kept,) = world.rows(t.event)
    # What was answered counts for all that comes after it, whether the rule was found in time or not.
    was_refused = answer.json()["result"]["followme_struct"] == REFUSED["followme_struct"]
    assert kept.given["action"] == (None if was_refused else "CONNECT")
    until(lambda: app.answered_before == 1)
    assert app.lost == 0
    app.answer_times.close()
    assert counted(world, meters.LIVE_ODD)[answer_times.STORED_AFTER] == 1


def test_whoever_is_on_the_line_is_answered_while_nothing_can_be_written(
    world: World, app: Webhooks, client: httpx.Client
) -> None:
    settings = {"sip_host": "sip.example.com"}
    world.set_provider(kind="iotcomms", credentials=world.box.seal(SETTINGS), open_settings=settings)
    world.campaign(world.contact_list(people(1)))
    (attempt_id,) = world.dial(world.release())
    body = {"sessionId": "session", "sessionReferenceId": attempt_id}
    with nothing_can_be_written(world.engine):
        answer = client.post(f"/webhooks/{world.provider_id.lower()}/token/getIvrCommand", json=body)
        assert world.rows(t.event) == []
    assert answer.status_code == 200
    assert "phrases" in answer.json()
    until(lambda: world.rows(t.event) != [])
    assert app.lost == 0


def test_an_event_that_is_not_stored_at_first_is_stored_after_its_answer(
    world: World, app: Webhooks, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "PAUSES", (0.0, 0.0, 0.0))
    world.set_provider(kind="mtt-callback", credentials=world.box.seal(MTT))
    store, failures = events.add, [1, 1]

    def out_of_order(connection: Connection, rows: Any) -> None:
        if failures:
            failures.pop()
            raise OperationalError("insert", {}, Exception("no space left on device"))
        store(connection, rows)

    monkeypatch.setattr(events, "add", out_of_order)
    answer = client.post(f"/webhooks/{world.provider_id.lower()}/token", json=question())
    assert answer.status_code == 200
    assert answer.json()["result"]["followme_struct"] == REFUSED["followme_struct"]
    until(lambda: world.rows(t.event) != [])
    until(lambda: app.answered_before == 1)
    assert app.lost == 0


def test_the_time_that_a_body_takes_to_come_counts(world: World, app: Webhooks, client: httpx.Client) -> None:
    world.set_provider(kind="mtt-callback", credentials=world.box.seal(MTT))
    rule(world, InboundAction.CONNECT, DESK)
    body = json.dumps(question()).encode()

    def slowly() -> Iterator[bytes]:
        yield body[:10]
        threading.Event().wait(2 * DEADLINE)  # what is slow is the provider: nothing here can be waited for
        yield body[10:]

    headers = {"Content-Type": "application/json"}
    url = f"/webhooks/{world.provider_id.lower()}/token"
    assert client.post(url, content=slowly(), headers=headers).status_code == 200
    until(lambda: app.answered_before == 1)  # nothing was left for storing it
