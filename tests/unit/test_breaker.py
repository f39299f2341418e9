"""When a provider is left alone, for how long, and what brings it back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.pace.breaker import (
    FAILING,
    LEAST,
    UNREACHED,
    WINDOW,
    Breaker,
    Heard,
    Phase,
    Tally,
    after,
    left_alone_until,
    phase_of,
)

NOW = datetime(2026, 1, 13, 12, 0, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def row(breaker: Breaker, held_until: datetime | None = None) -> Any:
    return SimpleNamespace(held_until=held_until, **breaker.columns())


def hears(breaker: Breaker, at: datetime = NOW, **heard: Any) -> Breaker:
    return after(breaker, Heard(**heard), at, 1.0)


def test_whoever_is_well_stays_in_use() -> None:
    breaker = Breaker()
    for step in range(100):
        breaker = hears(breaker, NOW + seconds(step), good=5, bad=4)
    assert phase_of(row(breaker), NOW) is Phase.CLOSED


def test_it_opens_when_half_of_enough_fail() -> None:
    breaker = hears(Breaker(), good=LEAST // 2 - 1, bad=LEAST // 2)
    assert phase_of(row(breaker), NOW) is Phase.CLOSED, "too few to say"
    breaker = hears(breaker, bad=1)
    assert phase_of(row(breaker), NOW) is Phase.OPEN
    assert breaker.until == NOW + seconds(FAILING[0])


def test_who_is_not_reached_is_left_alone_at_once_however_well_it_was_before() -> None:
    breaker = hears(Breaker(since=NOW, good=100), before=1000, bad=1, unreached=1)
    assert breaker.until == NOW + seconds(UNREACHED[0])
    assert phase_of(row(hears(Breaker(), good=1, bad=9, unreached=9)), NOW) is Phase.CLOSED, "one got through"


def test_what_went_well_before_counts_beside_what_fails() -> None:
    assert phase_of(row(hears(Breaker(), before=LEAST, bad=LEAST - 1)), NOW) is Phase.CLOSED
    assert phase_of(row(hears(Breaker(), before=LEAST, bad=LEAST)), NOW) is Phase.OPEN


def test_what_is_long_past_does_not_count() -> None:
    breaker = hears(Breaker(), bad=LEAST - 1)
    assert phase_of(row(hears(breaker, NOW + WINDOW + seconds(1), bad=1)), NOW) is Phase.CLOSED


def test_it_opens_at_once_when_nobody_gets_through() -> None:
    breaker = hears(Breaker(), bad=3, unreached=3)
    assert (phase_of(row(breaker), NOW), breaker.until) == (Phase.OPEN, NOW + seconds(UNREACHED[0]))


@pytest.mark.parametrize("heard", [{"bad": 3, "unreached": 2}, {"good": 1, "bad": 3, "unreached": 3}])
def test_not_when_one_of_them_did(heard: dict[str, int]) -> None:
    assert phase_of(row(hears(Breaker(), **heard)), NOW) is Phase.CLOSED


def test_after_its_rest_one_call_may_go_and_closes_it_when_it_fares_well() -> None:
    breaker = hears(Breaker(), bad=LEAST)
    assert breaker.until is not None
    assert left_alone_until(row(breaker), NOW) == breaker.until
    assert phase_of(row(breaker), breaker.until) is Phase.HALF_OPEN
    assert left_alone_until(row(breaker), breaker.until) is None
    closed = hears(breaker, breaker.until, good=1, probe=True)
    assert (phase_of(row(closed), NOW), closed.bad) == (Phase.CLOSED, 0)


@pytest.mark.parametrize(("unreached", "rest"), [(1, UNREACHED), (0, FAILING)])
def test_each_rest_is_longer_than_the_one_before_and_none_endless(
    unreached: int, rest: tuple[float, float]
) -> None:
    at, rests = NOW, []
    breaker = hears(Breaker(), bad=LEAST, unreached=LEAST * unreached)
    for _ in range(12):
        assert breaker.until is not None
        rests.append((breaker.until - at).total_seconds())
        at = breaker.until
        breaker = hears(breaker, at, bad=1, unreached=unreached, probe=False)
    assert rests[:3] == [rest[0], rest[0] * 2, rest[0] * 4]
    assert rests[-1] == rest[1]


def test_calls_that_were_on_their_way_when_it_opened_neither_close_it_nor_prolong_its_rest() -> None:
    breaker = hears(Breaker(), bad=LEAST)
    assert hears(breaker, NOW + seconds(1), good=5, bad=5, unreached=2) == breaker


def test_a_probe_that_was_not_sent_after_all_lets_the_next_one_go_at_once() -> None:
    breaker = hears(Breaker(), bad=LEAST)
    later = NOW + seconds(60)
    assert left_alone_until(row(hears(breaker, later, is_void=True)), later) is None


def test_a_hold_outlasts_a_breaker_that_has_closed() -> None:
    assert left_alone_until(row(Breaker(), NOW + seconds(9)), NOW) == NOW + seconds(9)
    opened = Breaker(1, NOW + seconds(10))
    assert left_alone_until(row(opened, NOW + seconds(9)), NOW) == NOW + seconds(10)


def test_the_tally_forgets_what_is_long_past_and_tells_once() -> None:
    tally = Tally()
    tally.add("PR1", 5, NOW)
    tally.add("PR1", 2, NOW + seconds(1))
    assert tally.take("PR1", NOW + seconds(2)) == 7
    assert tally.take("PR1", NOW + seconds(2)) == 0
    tally.add("PR1", 5, NOW)
    assert tally.take("PR1", NOW + WINDOW + seconds(1)) == 0
    tally.add("PR1", 5, NOW)
    tally.add("PR1", 1, NOW + WINDOW + seconds(1))
    assert tally.take("PR1", NOW + WINDOW + seconds(1)) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30), st.integers(0, 30), st.booleans(), st.sampled_from([None, True, False])
        ),
        max_size=30,
    )
)
def test_whatever_it_hears_it_is_open_only_for_a_while(
    heard: list[tuple[int, int, bool, bool | None]],
) -> None:
    breaker, at = Breaker(), NOW
    for good, bad, is_away, probe in heard:
        breaker = hears(breaker, at, good=good, bad=bad, unreached=bad if is_away else 0, probe=probe)
        until = left_alone_until(row(breaker), at)
        assert until is None or until - at <= seconds(FAILING[1])
        assert (phase_of(row(breaker), at) is Phase.OPEN) == (until is not None)
        at += seconds(7)
