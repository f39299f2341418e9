"""How often a key may ask, in both generations, over all API processes; and when Redis is away."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from redis import Redis
from sqlalchemy import Engine
from structlog.testing import capture_logs
from test_outbound_api import CLICK
from upstream import Upstream, served

from dialer.api.app import make_app
from dialer.db import reading
from dialer.keys import Scope
from dialer.pace.requests import RequestLimits
from dialer.pace.spare import REST, TOLD_EVERY
from dialer.store import tables

SILENT = "requests are not limited: Redis does not answer"
#: Requests per minute: the next one comes back in half of it, longer than any test here takes.
FEW = 2

Serve = Callable[[Any], str]
Start = Callable[..., Upstream]


@pytest.fixture
def start(sqlite_database: Engine, tmp_path: Path, serve: Serve) -> Iterator[Start]:
    """Serves the API with these settings."""
    stories: list[Any] = []

    def make(redis_url: str, **settings: Any) -> Upstream:
        story = served(sqlite_database, tmp_path, serve, redis_url=redis_url, **settings)
        stories.append(story)
        return story.__enter__()

    yield make
    for story in stories:
        story.__exit__(None, None, None)


def told(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    return answer.status_code, answer.headers.get("ratelimit-policy"), answer.headers.get("ratelimit")


def left(answer: httpx.Response) -> tuple[int, int | None]:
    """The status, and what is left."""
    status, policy, limit = told(answer)
    return status, None if policy is None or limit is None else int(limit.partition("r=")[2].split(";")[0])


def pass_by(redis_url: str, seconds: float) -> None:
    """As if so much time had passed."""
    with Redis.from_url(redis_url) as redis:
        for bucket in redis.keys("requests:*"):
            redis.decrby(bucket, int(seconds * 1e6))


def test_both_generations_are_counted_together_and_told_what_is_left(start: Start, redis_server: str) -> None:
    upstream = start(redis_server)
    key = upstream.key(Scope.ADMIN, requests_per_minute=4)
    headers = {"account": upstream.account_id, "auth": key}
    send = upstream.client.request
    first = upstream.ask("GET", "/v1/calls", key=key)
    assert told(first) == (200, '"default";q=4;w=60', '"default";r=3;t=15')
    assert left(send("GET", "/api/get_campaign_details", headers=headers)) == (200, 2)
    filled = send("POST", "/api/create_campaign_dnd_list", json={"dnd_list_name": "mine"}, headers=headers)
    assert left(filled) == (200, 1)
    # Whatever is answered: nobody can carry this call.
    assert left(send("POST", "/api/click2call", json=CLICK, headers=headers)) == (409, 0)
    problem = upstream.refused(429, "POST", "/v1/lists", {"name": "mine"}, key=key)
    assert "This key may ask 4 times a minute" in problem["detail"]
    for method, path in (
        ("GET", "/api/get_campaign_details"),
        ("POST", "/api/outbound_call"),
        ("POST", "/api/create_campaign_list"),
    ):
        body = None if method == "GET" else {"list_name": "mine"}
        refused = send(method, path, json=body, headers=headers)
        assert left(refused) == (429, 0)
        assert refused.json()["response"]["success"] == "false"
        wait = refused.headers["retry-after"]
        assert 1 <= int(wait) <= 15
        assert refused.headers["ratelimit"] == f'"default";r=0;t={wait}'
    with reading(upstream.engine) as connection:
        assert connection.execute(sa.select(tables.contact_list)).all() == []
    pass_by(redis_server, 15)
    assert left(upstream.ask("GET", "/v1/calls", key=key)) == (200, 0)
    pass_by(redis_server, 3600)
    assert left(upstream.ask("GET", "/v1/calls", key=key)) == (200, 3)


def test_each_key_has_a_limit_of_its_own_or_the_one_of_every_key(start: Start, redis_server: str) -> None:
    upstream = start(redis_server, requests_per_minute=FEW)
    plain, busy = upstream.key(Scope.READ), upstream.key(Scope.READ, requests_per_minute=100)
    for who in ({}, {"key": plain}, {"other": True}):
        found = [left(upstream.ask("GET", "/v1/account", **who)) for _ in range(FEW + 1)]
        assert found == [(200, 1), (200, 0), (429, 0)]
    shown = upstream.ask("GET", "/v1/account", key=busy)
    assert left(shown) == (200, 99)
    assert shown.json()["limits"]["requests_per_minute"] == 100
    # Who may not do it is counted; who has no key is not.
    assert left(upstream.ask("GET", "/v1/keys", key=busy)) == (403, 98)
    assert left(upstream.ask("GET", "/v1/account", key="wrong")) == (401, None)


def test_two_api_processes_count_together(start: Start, redis_server: str, serve: Serve) -> None:
    upstream = start(redis_server)
    key = upstream.key(Scope.READ, requests_per_minute=3)
    apps = [make_app(upstream.engine, upstream.settings, clock=upstream.clock) for _ in range(2)]
    found = []
    for app in (*apps, *apps):
        serve(app)
        found.append(left(upstream.ask("GET", "/v1/account", key=key)))
    assert found == [(200, 2), (200, 1), (200, 0), (429, 0)]
    for app in apps:
        app.state.limits.close()


def test_however_many_ask_at_once_no_more_than_may_are_let_in(redis_server: str) -> None:
    with (
        closing(RequestLimits(redis_server)) as one,
        closing(RequestLimits(redis_server)) as other,
        ThreadPoolExecutor(8) as threads,
    ):
        counted = list(threads.map(lambda turn: (one, other)[turn % 2].count("AK1", 5), range(40)))
    assert Counter(found.is_within for found in counted if found) == {True: 5, False: 35}
    assert sorted(found.left for found in counted if found and found.is_within) == [0, 1, 2, 3, 4]


def test_a_limit_costs_one_round_trip_and_none_where_there_is_none(start: Start, redis_server: str) -> None:
    upstream = start(redis_server)
    key = upstream.key(Scope.READ, requests_per_minute=100)
    upstream.got("GET", "/v1/account", key=key)  # connects, and sends the script
    upstream.got("GET", "/v1/account")  # that a key is right is noted once an hour

    def commands() -> Counter[str]:
        with Redis.from_url(redis_server) as redis:
            stats: Any = redis.info("commandstats")
        return Counter({name: one["calls"] for name, one in stats.items()})

    # Those of who looks are in every difference.
    before = commands()
    between = commands()
    mine = between - before
    for _ in range(3):
        upstream.got("GET", "/v1/account")
    assert commands() - between == mine
    before = commands()
    for _ in range(3):
        upstream.got("GET", "/v1/account", key=key)
    within = {f"cmdstat_{name}": 3 for name in ("evalsha", "time", "get", "set")}
    assert commands() - before - mine == within


def test_with_redis_away_everybody_is_let_in_and_the_log_says_so(start: Start, tmp_path: Path) -> None:
    upstream = start(f"unix://{tmp_path}/nobody.sock", requests_per_minute=1)
    with capture_logs() as logs:
        found = [told(upstream.ask("GET", "/v1/account")) for _ in range(4)]
    assert found == [(200, None, None)] * 4
    assert [(line["event"], line["log_level"]) for line in logs] == [(SILENT, "warning")]


def test_redis_away_is_told_once_a_minute_and_asked_again_after_a_rest(redis_server: str) -> None:
    now = 100.0
    # Somebody listens, and never answers.
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"redis://127.0.0.1:{mute.getsockname()[1]}/0"
        with closing(RequestLimits(url, FEW, lambda: now)) as limits, capture_logs() as logs:
            assert limits.count("AK1", None) is None
            now += REST / 2
            assert limits.count("AK1", None) is None  # is not even asked
            now += REST
            assert limits.count("AK1", None) is None
            assert [line["event"] for line in logs] == [SILENT]
            now = 100.0 + TOLD_EVERY
            assert limits.count("AK1", None) is None
            assert [line["event"] for line in logs] == [SILENT] * 2
