"""Whoever guesses keys is made to wait, in both generations and over all API processes; nobody else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis
from sqlalchemy import Engine
from structlog.testing import capture_logs
from test_outbound_api import OTP
from test_request_limits import SILENT
from upstream import Upstream, served

from dialer.api import outbound
from dialer.api.app import make_app
from dialer.db import writing
from dialer.keys import Scope
from dialer.pace.requests import RequestLimits
from dialer.pace.wrong_keys import NOTED_EVERY, TRUSTED_FOR, WrongKeys
from dialer.store import accounts

Start = Callable[..., Upstream]
#: Wrong keys per minute: the next guess comes back after 20 s, longer than any test here takes.
FEW = 3
TOLD = "too many wrong keys from one address"


@pytest.fixture
def start(
    sqlite_database: Engine, tmp_path: Path, serve: Callable[[Any], str], redis_server: str
) -> Iterator[Start]:
    """Serves the API with these settings."""
    stories: list[Any] = []

    def make(**values: Any) -> Upstream:
        how = {
            "redis_url": redis_server,
            "wrong_keys_per_minute": FEW,
            "trusted_proxies": "127.0.0.1",
            **values,
        }
        stories.append(served(sqlite_database, tmp_path, serve, **how))
        upstream: Upstream = stories[-1].__enter__()
        return upstream

    yield make
    for story in stories:
        story.__exit__(None, None, None)


def ask(upstream: Upstream, address: str, key: str | None = None) -> httpx.Response:
    """A request that comes from this address, through a proxy."""
    return upstream.ask("GET", "/v1/account", key=key, headers={"X-Forwarded-For": address})


def guess(upstream: Upstream, address: str, times: int) -> list[int]:
    return [ask(upstream, address, f"guess {place}").status_code for place in range(times)]


def test_whoever_guesses_is_refused_unread_and_nobody_else_is(start: Start) -> None:
    upstream = start()
    known, unknown = upstream.key(Scope.READ), upstream.key(Scope.READ)
    assert ask(upstream, "198.51.100.7", known).status_code == 200
    with capture_logs() as logs:
        assert guess(upstream, "198.51.100.7", FEW + 4) == [401] * FEW + [429] * 4
    assert [(line["event"], line["address"]) for line in logs if line["event"] == TOLD] == [
        (TOLD, "198.51.100.7")
    ]
    # Right as it is, a key that was never used from there is not looked at.
    refused = ask(upstream, "198.51.100.7", unknown)
    assert refused.status_code == 429
    assert 15 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["content-type"] == "application/problem+json"
    assert "this address" in refused.json()["detail"]
    assert "ratelimit" not in refused.headers
    assert ask(upstream, "198.51.100.7", known).status_code == 200
    for address in ("198.51.100.8", "2001:db8::7"):
        assert ask(upstream, address, unknown).status_code == 200
    # Nor is anybody told more who shows no key at all.
    nobody = upstream.client.get("/v1/account", headers={"X-Forwarded-For": "198.51.100.7"})
    assert nobody.status_code == 401


def test_both_generations_and_all_processes_count_together(start: Start, serve: Callable[[Any], str]) -> None:
    upstream = start()
    settings, engine = upstream.settings, upstream.engine
    singles = outbound.make_router(engine, settings, lambda _: None)
    other = make_app(engine, settings, clock=upstream.clock, extra_routers=[singles])
    assert ask(upstream, "198.51.100.7").status_code == 200  # a key that this process sees there
    for place, (method, path) in enumerate(
        (("GET", "/api/get_campaign_details"), ("POST", "/api/outbound_call"), ("POST", "/api/click2call"))
    ):
        if place == 1:
            serve(other)
        answer = guess_first(upstream, method, path)
        assert (answer.status_code, answer.json()["response"]["success"]) == (401, "false")
    for method, path in (("GET", "/api/get_campaign_details"), ("POST", "/api/outbound_call")):
        answer = guess_first(upstream, method, path)
        assert (answer.status_code, answer.json()["response"]["success"]) == (429, "false")
        assert int(answer.headers["retry-after"]) > 0
    # The other process has heard of the key from the first one.
    assert ask(upstream, "198.51.100.7").status_code == 200
    other.state.limits.close()


def guess_first(upstream: Upstream, method: str, path: str) -> httpx.Response:
    headers = {"account": upstream.account_id, "auth": "guess", "X-Forwarded-For": "198.51.100.7"}
    return upstream.client.request(method, path, json=OTP if method == "POST" else None, headers=headers)


def test_whose_word_on_the_address_counts_is_said_by_a_setting(start: Start) -> None:
    upstream = start(trusted_proxies=None)
    unknown = upstream.key(Scope.READ)
    addresses = [f"198.51.100.{place}" for place in range(FEW + 1)]
    found = [ask(upstream, address, "guess").status_code for address in addresses]
    assert found == [401] * FEW + [429]
    assert ask(upstream, "203.0.113.1", unknown).status_code == 429


def test_a_disabled_account_is_refused_as_a_wrong_key_is(start: Start) -> None:
    upstream = start()
    with writing(upstream.engine) as connection:
        accounts.update(connection, upstream.other_id, enabled=False)
    found = [upstream.ask("GET", "/v1/account", other=True).status_code for _ in range(FEW + 1)]
    assert found == [401] * FEW + [429]


def test_where_nobody_is_to_wait_nobody_does(start: Start) -> None:
    upstream = start(wrong_keys_per_minute=0)
    assert guess(upstream, "198.51.100.7", 20) == [401] * 20


def test_with_redis_away_nobody_waits_and_the_log_says_so(start: Start, tmp_path: Path) -> None:
    upstream = start(redis_url=f"unix://{tmp_path}/nobody.sock")
    with capture_logs() as logs:
        assert guess(upstream, "198.51.100.7", FEW + 2) == [401] * (FEW + 2)
        assert ask(upstream, "198.51.100.7").status_code == 200
    assert [line["event"] for line in logs] == [SILENT]


def test_metrics_tell_how_many_were_wrong_and_how_many_unread(start: Start) -> None:
    upstream = start()
    guess(upstream, "198.51.100.7", FEW + 2)
    text = upstream.client.get("/metrics").text
    assert 'dialer_wrong_keys_total{status="401"} 3.0' in text
    assert 'dialer_wrong_keys_total{status="429"} 2.0' in text
    assert "198.51.100.7" not in text


def test_guesses_come_back_one_by_one(redis_server: str) -> None:
    now = 100.0

    def pass_by(seconds: float) -> None:
        nonlocal now
        now += seconds
        with Redis.from_url(redis_server) as redis:
            redis.decrby("wrong-keys:a", int(seconds * 1e6))

    with closing(RequestLimits(redis_server)) as limits:
        keys = WrongKeys(limits, FEW, lambda: now)
        for _ in range(FEW):
            assert keys.wait("a", "AC1", "guess") is None
            keys.wrong("a")
        assert keys.wait("a", "AC1", "guess") == 20
        pass_by(20.1)
        assert keys.wait("a", "AC1", "guess") is None
        keys.wrong("a")
        assert keys.wait("a", "AC1", "guess") == 20
        pass_by(120)
        for _ in range(FEW - 1):
            keys.wrong("a")
            assert keys.wait("a", "AC1", "guess") is None


def test_a_key_is_known_where_it_was_right_for_a_day(redis_server: str) -> None:
    now = 100.0
    with closing(RequestLimits(redis_server)) as limits:
        keys, others = (WrongKeys(limits, FEW, lambda: now) for _ in range(2))
        keys.right("a", "AC1", "key")
        for _ in range(FEW):
            keys.wrong("a")
        others.wrong("a")  # which learns of it now
        assert keys.wait("a", "AC1", "key") is None
        assert others.wait("a", "AC1", "key") is None
        for what in (("a", "AC1", "other"), ("a", "AC2", "key")):
            assert keys.wait(*what) is not None
            assert others.wait(*what) is not None
        with Redis.from_url(redis_server) as redis:
            (note,) = redis.keys("right-key:*")
            assert 0 < redis.ttl(note) <= TRUSTED_FOR
            redis.delete(note)
            now += NOTED_EVERY - 1
            keys.right("a", "AC1", "key")
            assert redis.keys("right-key:*") == []
            now += 1
            keys.right("a", "AC1", "key")  # in use all the time, it stays known
            assert redis.keys("right-key:*") == [note]
