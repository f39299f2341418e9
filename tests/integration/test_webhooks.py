"""Webhooks: a callback is answered 2xx once it is committed, and never otherwise."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from running import until
from sqlalchemy import Engine
from world import World, people

from dialer.api import inbox, webhooks
from dialer.api.webhooks import LARGEST_BODY, Webhooks
from dialer.db import writing
from dialer.store import events
from dialer.store import tables as t


class Rings:
    """Counts the doorbells, and breaks when told to."""

    def __init__(self) -> None:
        self.count = 0
        self.fails = False

    def __call__(self) -> None:
        self.count += 1
        if self.fails:
            raise ValueError("out of order")


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


@pytest.fixture
def rings() -> Rings:
    return Rings()


@pytest.fixture
def app(world: World, rings: Rings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Webhooks]:
    monkeypatch.setattr(webhooks, "REMEMBERED", 0.0)  # what a test changes counts at once
    behind = FastAPI()
    behind.add_api_route("/webhooks", lambda: "behind")
    made = Webhooks(behind, world.engine, rings)
    yield made
    made.inbox.close()


@pytest.fixture
def client(app: Webhooks, serve: Callable[[Any], str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=serve(app), timeout=30) as made:
        yield made


def hook(world: World, token: str = "token") -> str:
    return f"/webhooks/{world.provider_id.lower()}/{token}"


def test_a_callback_is_kept_raw_and_rung_for(
    world: World, app: Webhooks, rings: Rings, client: httpx.Client
) -> None:
    answer = client.get(hook(world) + "/event.php", params={"reference": "a b", "type": "x"})
    assert answer.status_code == 200
    posted = client.post(hook(world), content=b"\x00\xffraw", headers={"Content-Type": "text/odd"})
    assert posted.status_code == 200
    got, sent = world.rows(t.event)
    assert (got.method, got.path, got.query, got.body) == ("GET", "event.php", "reference=a+b&type=x", b"")
    assert (sent.method, sent.path, sent.body, sent.content_type) == ("POST", "", b"\x00\xffraw", "text/odd")
    app.inbox.close()
    assert rings.count >= 1


def test_the_doorbell_is_rung_for_bursts_and_not_for_callbacks(
    app: Webhooks, rings: Rings, world: World, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "RING_EVERY", 3600)
    for one in range(5):
        assert client.get(hook(world), params={"event": one}).status_code == 200
    app.inbox.close()
    assert 1 <= rings.count <= 2, "at once, and at the end for what came since"


def test_a_doorbell_that_breaks_does_not_silence_the_next(
    app: Webhooks, world: World, client: httpx.Client, rings: Rings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "RING_EVERY", 0)
    rings.fails = True
    assert client.get(hook(world), params={"event": 1}).status_code == 200
    until(lambda: rings.count == 1)
    assert client.get(hook(world), params={"event": 2}).status_code == 200
    until(lambda: rings.count == 2)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(world: World, client: httpx.Client, method: str) -> None:
    answer = client.request(method, hook(world))
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert world.rows(t.event) == []


def test_what_is_no_webhook_goes_to_the_application(client: httpx.Client) -> None:
    assert client.get("/webhooks").json() == "behind"
    for path in (
        "/webhooks/name",
        "/webhooks/name/",
        "/webhooks//token",
        "/webhooksx/name/token",
    ):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"}), path


def test_the_whole_way_from_a_callback_to_the_end_of_a_call(world: World, client: httpx.Client) -> None:
    campaign = world.campaign(world.contact_list(people(1)))
    (attempt_id,) = world.dial(world.release())
    end = {"type": "endCallback", "reference": attempt_id, "state": "2", "error": "0", "duration": "9"}
    for fields in (end, {"type": "startCallback", "reference": attempt_id}, end, end):
        assert client.get(hook(world), params=fields).status_code == 200
    world.consume()
    assert world.states(campaign) == {"COMPLETED": 1}
    assert len(world.rows(t.event)) == 2, "what was sent twice is kept once"
    world.check()


@pytest.mark.parametrize("token", ["wrong", "toke", "tokenn", "TOKEN", "%00", "%F0%9F%98%80", "a/token"])
def test_a_wrong_token_is_not_found(world: World, client: httpx.Client, token: str) -> None:
    assert client.get(hook(world, token)).status_code == 404
    assert client.get(f"/webhooks/nobody/{token}").status_code == 404
    assert client.get(f"/webhooks/%00/{token}").status_code == 404
    assert world.rows(t.event) == []


def test_the_previous_token_holds_until_its_time(world: World, client: httpx.Client) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    world.set_provider(webhook_token="new", previous_webhook_token="token", previous_token_until=until)
    assert client.get(hook(world, "new") + "?a").status_code == 200
    assert client.get(hook(world, "token") + "?b").status_code == 200
    world.set_provider(previous_token_until=datetime.now(UTC) - timedelta(seconds=1))
    assert client.get(hook(world, "token")).status_code == 404
    assert client.get(hook(world, "new") + "?c").status_code == 200
    world.set_provider(previous_token_until=None)
    assert client.get(hook(world, "token")).status_code == 404


def test_basic_authorization_is_checked_where_it_is_configured(world: World, client: httpx.Client) -> None:
    world.set_provider(callback_auth_hash=hashlib.sha256(b"user:p:ss\xc3\xa9").hexdigest())
    good = base64.b64encode("user:p:ssé".encode()).decode()
    refused = ["", "Basic", "Basic !!", f"Bearer {good}", "Basic " + base64.b64encode(b"user:p").decode()]
    for header in refused:
        answer = client.get(hook(world), headers={"Authorization": header} if header else {})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    for header in (f"Basic {good}", f"basic  {good}"):
        assert client.get(hook(world), headers={"Authorization": header}).status_code == 200
    assert len(world.rows(t.event)) == 1


def test_a_body_may_be_as_large_as_is_said_and_not_larger(world: World, client: httpx.Client) -> None:
    assert client.post(hook(world), content=b"x" * LARGEST_BODY).status_code == 200
    assert client.post(hook(world), content=b"x" * (LARGEST_BODY + 1)).status_code == 413

    def endless() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    with contextlib.suppress(httpx.TransportError):  # the server may hang up on who goes on talking
        assert client.post(hook(world), content=endless()).status_code == 413
    assert [len(row.body) for row in world.rows(t.event)] == [LARGEST_BODY]


def test_nonsense_is_kept_and_costs_nobody_else_anything(world: World, client: httpx.Client) -> None:
    odd = ["/%00", "/%ff%fe", "?%00=%00", "/" + "x" * 3000, "/../..", "?q=" + "%F0%9F%98%80" * 50]
    with ThreadPoolExecutor(12) as pool:
        ordinary = [f"?event={one}" for one in range(20)]
        answers = list(pool.map(lambda path: client.get(hook(world) + path).status_code, [*odd, *ordinary]))
    assert answers[len(odd) :] == [200] * 20
    assert all(status in (200, 404) for status in answers[: len(odd)])
    world.consume()
    assert {row.state for row in world.rows(t.event)} == {"UNREADABLE"}


def test_many_at_once_are_each_answered_after_their_own_commit(world: World, client: httpx.Client) -> None:
    def send(one: int) -> bool:
        ok = client.get(hook(world), params={"event": one}).status_code == 200
        return ok and any(f"event={one}" == row.query for row in world.rows(t.event))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(send, range(60)))
    assert len(world.rows(t.event)) == 60


def test_the_same_events_are_stored_in_the_same_order_by_everybody(world: World) -> None:
    """Else two processes that store one group each, with the same events in it, would wait for each other."""
    other = world.provider()
    keys = [(provider, key) for provider in (world.provider_id, other) for key in ("b", "c", "a")]
    row = {
        "state": "NEW",
        "method": "GET",
        "path": "",
        "query": "",
        "content_type": "",
        "body": b"",
        "error": "",
    }
    rows = [
        {**row, "provider_id": provider, "dedupe_key": key, "received_at": world.clock.now}
        for provider, key in keys
    ]
    with writing(world.engine) as connection:
        events.add(connection, rows[3:] + rows[:3])
    stored = sorted(world.rows(t.event), key=lambda one: one.id)
    assert [(one.provider_id, one.dedupe_key) for one in stored] == sorted(keys)


def test_when_the_database_refuses_the_callback_is_to_be_sent_again(
    world: World, client: httpx.Client, rings: Rings
) -> None:
    with writing(world.engine) as connection:
        connection.execute(sa.text("ALTER TABLE event RENAME TO event_away"))
    try:
        refused = client.get(hook(world), params={"event": 1})
    finally:
        with writing(world.engine) as connection:
            connection.execute(sa.text("ALTER TABLE event_away RENAME TO event"))
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "5"
    assert rings.count == 0
    assert client.get(hook(world), params={"event": 1}).status_code == 200
    assert len(world.rows(t.event)) == 1


def test_a_connection_that_was_lost_meanwhile_costs_no_callback(
    world: World, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no connection that could be lost")
    monkeypatch.setattr(inbox, "IDLE", 3600)
    assert client.get(hook(world), params={"event": 1}).status_code == 200
    with writing(world.engine) as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert client.get(hook(world), params={"event": 2}).status_code == 200
    assert len(world.rows(t.event)) == 2


def test_when_the_database_is_away_altogether_the_callback_is_to_be_sent_again(
    world: World, client: httpx.Client
) -> None:
    with writing(world.engine) as connection:
        connection.execute(sa.text("ALTER TABLE provider RENAME TO provider_away"))
    try:
        refused = client.get(hook(world))
    finally:
        with writing(world.engine) as connection:
            connection.execute(sa.text("ALTER TABLE provider_away RENAME TO provider"))
    assert refused.status_code == 503
    assert client.get(hook(world)).status_code == 200
