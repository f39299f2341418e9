"""How many calls may leave at once, so that no 60 seconds bring more than the pace and the burst that I6 allows."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from dialer.pace.limiter import Pace, Stage, burst, good_for, slack

paces = st.integers(1, 1_000_000)


@given(paces)
@example(60)
@example(61)
@example(119)
@example(120)
@example(179)
def test_no_minute_at_the_providers_door_brings_more_than_the_pace_and_a_second_of_it(rate: int) -> None:
    # What leaves in 60 s was granted in 60 s and as long as a grant is good; a bucket grants at most this in so long.
    granted = math.floor((60 + good_for(rate)) * rate / 60 + burst(Stage.SEND, rate, ahead=True) - 1) + 1
    assert granted <= rate + max(1, rate // 60)


@given(paces)
def test_somebody_may_always_go(rate: int) -> None:
    assert 1 <= burst(Stage.SEND, rate) <= burst(Stage.SEND, rate, ahead=True)
    assert burst(Stage.RELEASE, rate) >= 1.5


@given(paces)
def test_no_pace_loses_what_its_calls_are_late_by_a_tenth_of_their_time(rate: int) -> None:
    for stage in Stage:
        assert slack(stage, [Pace("campaign", "CM1", rate)]) >= 0.1 * 60 / rate


@given(st.lists(paces, min_size=1, max_size=3), st.sampled_from(Stage))
def test_whoever_comes_late_by_the_slack_finds_no_bucket_run_over(rates: list[int], stage: Stage) -> None:
    late = slack(stage, [Pace("campaign", str(rate), rate) for rate in rates])
    for rate in rates:
        # The token that is waited for, and what comes in the time by which one is late.
        assert 1 + late * rate / 60 <= burst(stage, rate) + 1e-9


def test_without_a_pace_nobody_waits() -> None:
    assert slack(Stage.SEND, []) == 0
