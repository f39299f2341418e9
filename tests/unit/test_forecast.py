"""When a campaign can be through: the forecast, against a clock that is moved minute by minute."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.calls.window import DEFAULT_WINDOW, CallingWindow, is_open
from dialer.campaigns.copies import dates_of_copy
from dialer.campaigns.forecast import Forecast, forecast
from dialer.campaigns.preflight import Sorted, in_spread_order, split_by_window
from dialer.campaigns.progress import MEASURED_FROM, calls_per_minute, spread

NOON = datetime(2026, 1, 13, 12, 0, tzinfo=UTC)
ALWAYS = CallingWindow(time(0), time(0))
MINUTE = timedelta(minutes=1)
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC",
        "Europe/Berlin",
        "Asia/Kolkata",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    )
]
IN_TURN = [ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")]

windows = st.builds(
    CallingWindow,
    st.sampled_from([time(8), time(9, 30), time(22)]),
    st.sampled_from([time(12), time(21), time(23, 59)]),
    st.sampled_from([frozenset(range(7)), frozenset({0, 2}), frozenset({5, 6})]),
)
starts = st.integers(0, 365 * 24 * 60).map(
    lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + minutes * MINUTE
)
paces = st.sampled_from([1.0, 7.0, 100.0])
crowds = st.dictionaries(st.sampled_from(ZONES), st.integers(1, 2000), min_size=1, max_size=4)


def test_round_the_clock_it_takes_as_long_as_the_pace_says() -> None:
    people = {ZONES[0]: 90, ZONES[1]: 30}
    assert forecast(people, 60, ALWAYS, NOON, NOON + timedelta(days=1)) == Forecast(
        NOON + timedelta(minutes=2)
    )
    assert forecast(people, None, ALWAYS, NOON, NOON + timedelta(days=1)) == Forecast(NOON)
    assert forecast({}, 60, ALWAYS, NOON, NOON + timedelta(days=1)) == Forecast(NOON)
    assert forecast(people, 60, ALWAYS, NOON, NOON + MINUTE) == Forecast(None, 60)


def test_who_sleeps_is_called_in_their_morning() -> None:
    # 17:30 in India, 7 in New York, where the window opens an hour later.
    people = dict.fromkeys(IN_TURN, 10)
    found = forecast(people, 1, DEFAULT_WINDOW, NOON, NOON + timedelta(days=3))
    assert found.finish_at == NOON + timedelta(hours=1, minutes=10)
    assert forecast(
        people, None, DEFAULT_WINDOW, NOON, NOON + timedelta(days=3)
    ).finish_at == NOON + timedelta(hours=1)
    # Whose window closes first goes first: both are through today.
    late = NOON + timedelta(hours=3)  # 20:30 in India
    found = forecast(dict.fromkeys(IN_TURN, 30), 1, DEFAULT_WINDOW, late, late + timedelta(days=3))
    assert found.finish_at == late + timedelta(hours=1)


def test_beyond_the_end_it_says_how_many_are_left() -> None:
    found = forecast({ZONES[0]: 1000}, 1, DEFAULT_WINDOW, NOON, NOON + timedelta(hours=24))
    assert found == Forecast(None, 1000 - (9 + 4) * 60)
    assert forecast({ZONES[0]: 10**9}, 1, ALWAYS, NOON, NOON + timedelta(days=9999)).finish_at is None


@settings(max_examples=60, deadline=None)
@given(window=windows, start=starts, pace=paces, people=st.integers(1, 2000), zone=st.sampled_from(ZONES))
def test_in_one_zone_it_is_what_counting_the_minutes_gives(
    window: CallingWindow, start: datetime, pace: float, people: int, zone: ZoneInfo
) -> None:
    end = start + timedelta(days=8)
    found = forecast({zone: people}, pace, window, start, end)
    at, left = start, float(people)
    while left > 1e-6 and at < end:
        if is_open(window, zone, at):
            left -= pace
        at += MINUTE
    if found.finish_at is None:
        assert left > 1e-6
        assert found.left == round(left)
    else:
        assert left <= 1e-6
        assert at - MINUTE <= found.finish_at <= at


@settings(max_examples=60, deadline=None)
@given(window=windows, start=starts, pace=paces, people=crowds)
def test_in_several_zones_nobody_is_through_sooner_than_can_be(
    window: CallingWindow, start: datetime, pace: float, people: dict[ZoneInfo, int]
) -> None:
    end = start + timedelta(days=20)
    found = forecast(people, pace, window, start, end)
    alone = [forecast({zone: count}, pace, window, start, end) for zone, count in people.items()]
    if found.finish_at is None:
        assert 0 <= found.left <= sum(people.values())
        return
    slack = timedelta(seconds=1)
    assert found.finish_at >= start + timedelta(minutes=sum(people.values()) / pace) - slack
    for one in alone:
        assert one.finish_at is not None
        assert found.finish_at >= one.finish_at - slack
    # The last one was rung while the window was open there.
    assert any(is_open(window, zone, found.finish_at - timedelta(milliseconds=1)) for zone in people)
    unlimited = forecast(people, None, window, start, end).finish_at
    assert unlimited is not None
    assert unlimited <= found.finish_at


@given(
    seen=st.lists(st.tuples(st.sampled_from([None, "UTC", "Asia/Kolkata"]), st.booleans(), st.booleans(),
                            st.integers(1, 50)), min_size=1),
    more=st.integers(0, 10**6),
)  # fmt: skip
def test_an_estimate_adds_up(seen: list[tuple[str | None, bool, bool, int]], more: int) -> None:
    class Row:
        def __init__(self, values: tuple[str | None, bool, bool, int]) -> None:
            self.time_zone, self.is_listed, self.is_lacking, self.people = values
            self._mapping = {"listed_0": self.people if self.is_listed else 0}

    found = Sorted()
    found.add([Row(one) for one in seen], ["DN1"])  # type: ignore[misc]
    assert found.count == sum(one[3] for one in seen)
    scaled = found.scaled(found.count + more)
    assert scaled.suppressed + scaled.lacking + scaled.by_zone.total() == scaled.count
    assert abs(scaled.suppressed - found.suppressed * scaled.count / found.count) <= 2
    if scaled.by_zone:
        assert abs(scaled.count - found.count - more) <= len(scaled.by_zone) + 2
    dialable, too_late, closed = split_by_window(
        scaled.by_zone, "Asia/Tokyo", DEFAULT_WINDOW, NOON, NOON + MINUTE
    )
    assert dialable.total() + too_late == scaled.by_zone.total()
    assert closed == 0  # whose window opens later than in a minute is too late


@pytest.mark.parametrize("parts", [0, 1, 2, 7, 64, 1000])
def test_every_part_of_a_list_comes_up_once(parts: int) -> None:
    found = list(in_spread_order(parts))
    assert sorted(found) == list(range(parts))
    if parts == 1000:  # the first few lie all over
        assert max(sorted(found[:8])[one + 1] - sorted(found[:8])[one] for one in range(7)) < 300


@given(st.lists(st.sampled_from([None, "UTC", "Asia/Kolkata", "gone"]), max_size=30), st.integers(0, 10**6))
def test_nobody_is_lost_when_a_sample_is_spread(sample: list[str | None], total: int) -> None:
    assert spread(sample, total, "Asia/Tokyo").total() == total


def test_the_measured_pace_is_of_the_time_that_is_known() -> None:
    def every(seconds: float, count: int) -> list[tuple[datetime, bool]]:
        return [(NOON - timedelta(seconds=seconds * place), True) for place in range(count)]

    assert calls_per_minute([], None, NOON) == 0
    assert calls_per_minute(every(1, 200), NOON - timedelta(hours=1), NOON) == pytest.approx(
        40
    )  # the rest was quiet
    assert calls_per_minute(every(1, 120), NOON - timedelta(seconds=120), NOON) == pytest.approx(60)
    assert calls_per_minute(every(0.1, MEASURED_FROM), None, NOON) == pytest.approx(600, rel=0.01)
    assert calls_per_minute([(NOON, False)] * 10, None, NOON) == 0


def test_the_dates_of_a_copy_are_to_come() -> None:
    day = timedelta(days=1)
    assert dates_of_copy(NOON + day, NOON + 2 * day, NOON) == (NOON + day, NOON + 2 * day)
    assert dates_of_copy(NOON - day, NOON + day, NOON) == (NOON, NOON + day)
    assert dates_of_copy(NOON - 3 * day, NOON - day, NOON) == (NOON, NOON + 2 * day)
