"""The pace, asked of a real server: whatever is asked, by however many, never more than is due is granted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError
from world import in_threads

from dialer.pace.limiter import SLOWEST_FACTOR, Grant, Limiter, Pace, Stage, burst
from workers.process import make_redis


@pytest.fixture
def redis(redis_server: str) -> Iterator[Redis]:
    client = Redis.from_url(redis_server)
    yield client
    client.close()


@pytest.fixture
def limiter(redis: Redis) -> Limiter:
    return Limiter(redis)


def server_now(redis: Redis) -> float:
    seconds, micros = redis.time()
    return float(seconds) + micros / 1e6


def provider(calls_per_minute: int, name: str = "PR1") -> Pace:
    return Pace("provider", name, calls_per_minute)


def taken(limiter: Limiter, paces: list[Pace], calls: int, stage: Stage = Stage.SEND) -> Grant:
    return limiter.take(stage, "PR1", paces, calls)


asks = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 3)), min_size=1, max_size=40)


def test_however_it_is_asked_no_window_gets_more_than_its_pace_and_one_burst(redis: Redis) -> None:
    per_second = 1000

    @settings(max_examples=25)
    @given(asks)
    def property_(asked: list[tuple[int, int]]) -> None:
        redis.flushall()
        limiter = Limiter(redis)
        paces = [provider(per_second * 60)]
        grants: list[tuple[float, float, int]] = []
        for calls, pause in asked:
            before = server_now(redis)
            granted = taken(limiter, paces, calls).calls
            grants.append((before, server_now(redis), granted))
            assert granted <= calls
            if pause:  # a pause of the asker: so many milliseconds of the server's clock
                until = server_now(redis) + pause / 1000
                while server_now(redis) < until:
                    pass
        burst_ = burst(Stage.SEND, per_second * 60)
        for first, (start, _, _) in enumerate(grants):
            total = 0
            for _, end, granted in grants[first:]:
                total += granted
                assert total <= (end - start) * per_second + burst_ + 1

    property_()


mixed = st.lists(st.tuples(st.integers(1, 300), st.integers(0, 3), st.booleans()), min_size=1, max_size=40)


def test_those_who_go_ahead_and_all_others_together_keep_one_pace(redis: Redis) -> None:
    per_second = 1000

    @settings(max_examples=25)
    @given(mixed)
    def property_(asked: list[tuple[int, int, bool]]) -> None:
        redis.flushall()
        limiter = Limiter(redis)
        paces = [provider(per_second * 60)]
        start, total = server_now(redis), 0
        for calls, pause, ahead in asked:
            total += limiter.take(Stage.SEND, "PR1", paces, calls, ahead=ahead).calls
            lasted = server_now(redis) - start
            assert total <= lasted * per_second + burst(Stage.SEND, per_second * 60, ahead=True) + 1
            until = server_now(redis) + pause / 1000
            while server_now(redis) < until:
                pass

    property_()


def test_a_fifth_of_the_burst_is_kept_for_those_who_go_ahead(limiter: Limiter) -> None:
    pace = [provider(6000)]
    granted = taken(limiter, pace, 10_000).calls
    assert granted == int(burst(Stage.SEND, 6000)) == 40
    assert limiter.take(Stage.SEND, "PR1", pace, 10, ahead=True).calls == 10


@pytest.mark.parametrize("per_minute", [60, 240, 6000])
def test_while_one_who_goes_ahead_waits_nobody_else_is_granted_a_token(
    limiter: Limiter, per_minute: int
) -> None:
    pace = [provider(per_minute)]
    limiter.take(Stage.SEND, "PR1", pace, 10_000, ahead=True)
    wait = limiter.take(Stage.SEND, "PR1", pace, 1, ahead=True).wait
    assert 0 < wait <= 60 / per_minute
    deadline = time.monotonic() + 20
    while limiter.look(Stage.SEND, "PR1", pace, 1, ahead=True).calls == 0:
        assert time.monotonic() < deadline
        refused = taken(limiter, pace, 1)
        assert (refused.calls, refused.blocker) == (0, "provider")
    assert taken(limiter, pace, 1).calls == 0  # the token is there, and kept
    assert limiter.take(Stage.SEND, "PR1", pace, 1, ahead=True).calls == 1
    # Nobody came back for the next one: it is not kept for ever.
    while taken(limiter, pace, 1).calls == 0:
        assert time.monotonic() < deadline


def test_a_bucket_that_has_enough_is_not_kept_from_others_because_another_has_not(limiter: Limiter) -> None:
    """One account's passwords wait for that account's tokens; everybody's campaigns go on at the provider."""
    mine = [Pace("account", "AC1", 120), provider(6000)]
    limiter.take(Stage.SEND, "PR1", mine, 100, ahead=True)
    assert limiter.look(Stage.SEND, "PR1", mine, 100, ahead=True).blocker == "account"
    assert taken(limiter, [provider(6000)], 1).calls == 1
    assert taken(limiter, [Pace("account", "AC1", 120)], 1).calls == 0


def test_whoever_goes_ahead_at_one_provider_keeps_nobody_from_another(limiter: Limiter) -> None:
    for _ in range(2):
        limiter.take(Stage.SEND, "PR1", [provider(60)], 10, ahead=True)
    assert taken(limiter, [provider(60)], 1).calls == 0
    assert limiter.take(Stage.SEND, "PR2", [provider(60, "PR2")], 1).calls == 1


def test_several_clients_at_once_share_one_pace(redis_server: str, redis: Redis) -> None:
    per_second = 2000
    granted: list[int] = []
    start = server_now(redis)

    def client() -> None:
        with Redis.from_url(redis_server) as own:
            limiter = Limiter(own)
            paces = [provider(per_second * 60)]
            granted.extend(taken(limiter, paces, calls).calls for calls in (1, 7, 90, 300) * 25)

    in_threads(client, client, client)
    lasted = server_now(redis) - start
    allowed = lasted * per_second + burst(Stage.SEND, per_second * 60)
    assert 0 < sum(granted) <= allowed + 1


@pytest.mark.parametrize("per_minute", [1, 7, 60, 90, 6000])
def test_a_full_bucket_gives_one_burst_and_says_how_long_to_wait(limiter: Limiter, per_minute: int) -> None:
    grant = taken(limiter, [provider(per_minute)], 10_000)
    assert grant.calls == int(burst(Stage.SEND, per_minute))
    assert grant.blocker == "provider"
    assert 0 < grant.wait <= 60 / per_minute + 1e-6
    if per_minute < 6000:
        assert taken(limiter, [provider(per_minute)], 1).calls == 0


def test_a_slow_pace_loses_nothing_by_calls_that_are_a_little_late(redis: Redis, limiter: Limiter) -> None:
    """Two and a half a second, each taken a fifth of its time too late."""
    pace, step, calls = [provider(150)], 0.4, 6
    assert taken(limiter, pace, 1).calls == 1
    start = server_now(redis)
    for _ in range(calls):
        until = server_now(redis) + limiter.look(Stage.SEND, "PR1", pace, 1).wait + step / 5
        while server_now(redis) < until:
            pass
        assert taken(limiter, pace, 1).calls == 1
    assert server_now(redis) - start < (calls + 0.4) * step


def test_a_look_takes_nothing(limiter: Limiter) -> None:
    for _ in range(50):
        assert limiter.look(Stage.SEND, "PR1", [provider(600)], 100).calls == int(burst(Stage.SEND, 600))
    assert taken(limiter, [provider(600)], 100).calls == int(burst(Stage.SEND, 600))


def test_what_one_bucket_refuses_is_not_taken_from_the_others(limiter: Limiter) -> None:
    narrow, wide = Pace("campaign", "CM1", 1), provider(600)
    assert taken(limiter, [narrow, wide], 100).calls == 1
    for _ in range(20):
        refused = taken(limiter, [narrow, wide], 100)
        assert (refused.calls, refused.blocker) == (0, "campaign")
    assert taken(limiter, [wide], 100).calls >= int(burst(Stage.SEND, 600)) - 1
    # … in whichever order they stand.
    other = Pace("account", "AC1", 600)
    assert taken(limiter, [other, narrow], 100).calls == 0
    assert taken(limiter, [other], 100).calls == int(burst(Stage.SEND, 600))


def test_the_two_stages_have_buckets_of_their_own(limiter: Limiter) -> None:
    assert taken(limiter, [provider(60)], 5, Stage.RELEASE).calls == 2
    assert taken(limiter, [provider(60)], 5, Stage.SEND).calls == 1


def test_an_unlimited_call_is_granted_at_once(limiter: Limiter) -> None:
    assert taken(limiter, [], 100) == Grant(100, 0.0, None)


def test_a_new_rate_counts_from_the_next_call_on(limiter: Limiter) -> None:
    assert taken(limiter, [provider(1)], 1).calls == 1
    assert taken(limiter, [provider(1)], 1).wait > 25
    grant = taken(limiter, [provider(60_000)], 100)
    assert grant.wait <= 60, "what was taken at the old pace is waited for at most once"


def test_a_hold_stops_everything_and_only_ever_grows(redis: Redis) -> None:
    limiter = Limiter(redis)

    @settings(max_examples=25)
    @given(st.lists(st.floats(0.001, 3000), min_size=1, max_size=8))
    def property_(holds: list[float]) -> None:
        redis.flushall()
        start = server_now(redis)
        for place, seconds in enumerate(holds):
            lasts = limiter.hold("PR1", seconds)
            most = max(holds[: place + 1])
            assert most - (server_now(redis) - start) - 0.001 <= lasts <= most + 0.001
        if max(holds) > 1:
            refused = taken(limiter, [provider(60_000)], 1)
            assert (refused.calls, refused.blocker) == (0, "hold")

    property_()


def test_a_hold_of_one_provider_is_no_hold_of_another(limiter: Limiter) -> None:
    limiter.hold("PR1", 60)
    assert limiter.take(Stage.SEND, "PR2", [provider(600, "PR2")], 3).calls == 3


def stored_factor(redis: Redis) -> float:
    stored: Any = redis.get("pace:slow:PR1")
    return float(stored.split()[0])


def test_a_429_halves_the_pace_once_and_it_climbs_back(redis: Redis, limiter: Limiter) -> None:
    for _ in range(20):  # one for each call in flight
        limiter.hold("PR1", 0.05)
    assert stored_factor(redis) == 0.5
    _wait_until_over(redis, limiter)
    for _ in range(10):
        limiter.hold("PR1", 0.001)
        _wait_until_over(redis, limiter)
    assert stored_factor(redis) == SLOWEST_FACTOR
    assert taken(limiter, [provider(60_000)], 10_000).calls == burst(Stage.SEND, 60_000)
    grant = taken(limiter, [provider(60_000)], 10_000)
    assert 0.001 < grant.wait <= 0.021, "a call each 20 ms instead of each millisecond"
    # Half an hour later nothing of it is left: written as if it had happened then.
    redis.set("pace:slow:PR1", f"0.0500 {(server_now(redis) - 1800) * 1e6:.0f}")
    redis.delete("pace:send:provider:PR1")
    taken(limiter, [provider(60_000)], 10_000)
    assert taken(limiter, [provider(60_000)], 10_000).wait <= 0.001


@given(st.floats(0.05, 1.0), st.floats(0, 120))
@settings(max_examples=25)
def test_a_twentieth_of_the_pace_comes_back_every_three_seconds(
    redis_server: str, factor: float, seconds: float
) -> None:
    with Redis.from_url(redis_server) as redis:
        redis.flushall()
        limiter = Limiter(redis)
        redis.set("pace:slow:PR1", f"{factor:.4f} {(server_now(redis) - seconds) * 1e6:.0f}")
        assert taken(limiter, [provider(60)], 1).calls == 1
        waits = taken(limiter, [provider(60)], 1).wait
        part = 2 - burst(Stage.SEND, 60)  # of the time between two calls, after which the second may go
        shown = [min(1, factor + 0.05 * (int(seconds / 3) + one)) for one in (-1, 0, 1)]
        assert part / max(shown) - 0.2 <= waits <= part / max(0.05, min(shown)) + 0.01


def _wait_until_over(redis: Redis, limiter: Limiter) -> None:
    deadline = time.monotonic() + 20
    while limiter.look(Stage.SEND, "PR1", [], 1).blocker == "hold":
        assert time.monotonic() < deadline


def test_a_flushed_server_grants_at_most_one_burst_more(redis: Redis, limiter: Limiter) -> None:
    total = taken(limiter, [provider(600)], 100).calls
    redis.flushall()
    total += taken(limiter, [provider(600)], 100).calls
    assert total <= 2 * burst(Stage.SEND, 600)
    assert taken(limiter, [provider(600)], 100).calls <= 1


def test_without_the_server_nothing_is_granted(tmp_path: Any) -> None:
    gone = Limiter(make_redis(f"unix://{tmp_path}/nobody.sock"))
    for ask in (
        lambda: gone.take(Stage.SEND, "PR1", [], 1),
        lambda: gone.look(Stage.SEND, "PR1", [], 1),
        lambda: gone.hold("PR1", 1),
    ):
        with pytest.raises(RedisError):
            ask()


def test_a_worker_frozen_with_a_stock_of_released_calls_does_not_burst_when_it_wakes(
    redis_server: str, redis: Redis
) -> None:
    """Its calls were released at their pace long ago; what it may send now is what the send bucket gives."""
    with Redis.from_url(redis_server) as own:
        limiter = Limiter(own)
        released = taken(limiter, [provider(6000)], 10_000, Stage.RELEASE).calls
        assert released == 200
        sent, lock = [], threading.Lock()
        start = server_now(redis)

        def wake() -> None:
            while True:
                grant = taken(limiter, [provider(6000)], 50)
                with lock:
                    sent.append(grant.calls)
                    if sum(sent) >= released:
                        return

        in_threads(wake, wake)
        lasted = server_now(redis) - start
        assert released - burst(Stage.SEND, 6000) - 101 <= lasted * 100
