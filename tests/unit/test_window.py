from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.calls.window import (
    DEFAULT_WINDOW,
    EVERY_DAY,
    CallingWindow,
    WindowError,
    closing_in_all,
    first_instant_after_gap,
    is_open,
    is_open_in_all,
    known_zone,
    next_opening,
    next_opening_in_all,
)

NEW_YORK = ZoneInfo("America/New_York")
KOLKATA = ZoneInfo("Asia/Kolkata")
STEP = timedelta(minutes=5)

#: Days on which clocks do something odd, and one on which they do not.
ODD_DAYS = [
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),  # half an hour back
    ("Australia/Lord_Howe", date(2026, 10, 4)),  # half an hour on
    ("Pacific/Apia", date(2011, 12, 30)),  # a day that never was
    ("America/Santiago", date(2026, 9, 6)),  # no midnight
    ("America/Santiago", date(2026, 4, 5)),  # midnight falls back into the day before
    ("Africa/Cairo", date(2026, 4, 24)),  # no midnight
    ("Africa/Cairo", date(2026, 10, 30)),
    ("America/Havana", date(2026, 11, 1)),  # midnight comes twice
    ("America/St_Johns", date(2006, 10, 29)),  # back at one minute past midnight
    ("Pacific/Chatham", date(2026, 4, 5)),
    ("Asia/Kolkata", date(2026, 6, 1)),
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def by_the_clock(window: CallingWindow, local: datetime) -> bool:
    """The definition, written out: minutes since the opening day's midnight, today's opening or yesterday's."""
    start = window.start.hour * 60 + window.start.minute
    end = window.end.hour * 60 + window.end.minute
    length = (end - start) % 1440 or 1440
    now = local.hour * 60 + local.minute
    weekday = local.weekday()
    return (weekday in window.days and start <= now < start + length) or (
        (weekday - 1) % 7 in window.days and start <= now + 1440 < start + length
    )


wall_times = st.integers(0, 287).map(lambda step: time(step // 12, step % 12 * 5))
days = st.one_of(st.just(EVERY_DAY), st.frozensets(st.integers(0, 6), min_size=1))


@st.composite
def windows(draw: st.DrawFn) -> CallingWindow:
    start = draw(wall_times)
    end = draw(wall_times.filter(lambda end: end != start or end == time(0)))
    return CallingWindow(start, end, draw(days))


@st.composite
def odd_moments(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    name, day = draw(st.sampled_from(ODD_DAYS))
    zone = ZoneInfo(name)
    noon = datetime.combine(day - timedelta(days=1), time(12), zone).astimezone(UTC)
    return zone, noon + timedelta(seconds=draw(st.integers(-86_400, 2 * 86_400)))


def test_the_default_window_is_open_from_eight_to_nine_in_the_evening() -> None:
    assert not is_open(DEFAULT_WINDOW, KOLKATA, utc("2026-06-01T02:29:59"))
    assert is_open(DEFAULT_WINDOW, KOLKATA, utc("2026-06-01T02:30:00"))
    assert is_open(DEFAULT_WINDOW, KOLKATA, utc("2026-06-01T15:29:59"))
    assert not is_open(DEFAULT_WINDOW, KOLKATA, utc("2026-06-01T15:30:00"))


def test_one_who_must_wait_waits_for_the_morning() -> None:
    assert next_opening(DEFAULT_WINDOW, KOLKATA, utc("2026-06-01T15:30:00")) == utc("2026-06-02T02:30:00")


def test_an_open_window_opens_now() -> None:
    now = utc("2026-06-01T10:00:00.123456")
    assert next_opening(DEFAULT_WINDOW, KOLKATA, now) == now


def test_the_answer_is_in_utc_whatever_the_question_was_in() -> None:
    night = datetime(2026, 6, 1, 23, tzinfo=KOLKATA)
    assert next_opening(DEFAULT_WINDOW, KOLKATA, night).tzinfo is UTC


def test_a_window_over_midnight_belongs_to_the_day_it_opens() -> None:
    friday_night = CallingWindow(time(22), time(2), frozenset({4}))
    assert is_open(friday_night, KOLKATA, datetime(2026, 6, 6, 1, 59, tzinfo=KOLKATA))  # Saturday morning
    assert not is_open(friday_night, KOLKATA, datetime(2026, 6, 5, 1, 59, tzinfo=KOLKATA))  # Friday morning
    assert not is_open(friday_night, KOLKATA, datetime(2026, 6, 6, 22, 0, tzinfo=KOLKATA))  # Saturday night


def test_an_opening_in_the_hour_that_is_skipped_is_the_moment_after_it() -> None:
    window = CallingWindow(time(2, 30), time(21))
    assert next_opening(window, NEW_YORK, utc("2026-03-08T05:00:00")) == utc("2026-03-08T07:00:00")


def test_a_window_within_the_hour_that_is_skipped_opens_the_day_after() -> None:
    window = CallingWindow(time(2, 10), time(2, 50))
    assert next_opening(window, NEW_YORK, utc("2026-03-08T05:00:00")) == utc("2026-03-09T06:10:00")


def test_an_opening_that_comes_twice_is_the_second() -> None:
    window = CallingWindow(time(1, 30), time(21))
    assert not is_open(window, NEW_YORK, utc("2026-11-01T05:45:00"))  # 01:45, the first time
    assert next_opening(window, NEW_YORK, utc("2026-11-01T05:45:00")) == utc("2026-11-01T06:30:00")


def test_a_closing_that_comes_twice_is_the_first() -> None:
    window = CallingWindow(time(0), time(1, 30))
    assert is_open(window, NEW_YORK, utc("2026-11-01T05:29:00"))
    assert not is_open(window, NEW_YORK, utc("2026-11-01T06:15:00"))  # 01:15, the second time


def test_apia_had_no_thirtieth_of_december() -> None:
    apia, friday = ZoneInfo("Pacific/Apia"), CallingWindow(time(8), time(21), frozenset({4}))
    thursday_evening = datetime(2011, 12, 29, 22, tzinfo=apia)
    assert next_opening(friday, apia, thursday_evening).astimezone(apia) == datetime(
        2012, 1, 6, 8, tzinfo=apia
    )


@pytest.mark.parametrize(("name", "day"), ODD_DAYS)
def test_round_the_clock_is_round_the_clock_on_odd_days_too(name: str, day: date) -> None:
    always = CallingWindow.parse({"start": "00:00", "end": "24:00"})
    noon = datetime.combine(day - timedelta(days=1), time(12), UTC)
    assert all(is_open(always, ZoneInfo(name), noon + STEP * step) for step in range(3 * 288))


@given(windows(), odd_moments())
@settings(max_examples=400, deadline=None)
def test_nobody_is_rung_outside_the_window(window: CallingWindow, moment: tuple[ZoneInfo, datetime]) -> None:
    zone, at = moment
    local = at.astimezone(zone)
    comes_twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    assert by_the_clock(window, local) or not is_open(window, zone, at)
    assert is_open(window, zone, at) or comes_twice or not by_the_clock(window, local)


@given(windows(), odd_moments())
@example(CallingWindow(time(2, 10), time(2, 50), frozenset({6})), (NEW_YORK, utc("2026-03-08T05:00:00")))
@example(
    CallingWindow(time(0), time(0), frozenset({6})), (ZoneInfo("America/Havana"), utc("2026-11-01T03:00:00"))
)
@settings(max_examples=60, deadline=None)
def test_the_next_opening_is_open_and_nothing_before_it_is(
    window: CallingWindow, moment: tuple[ZoneInfo, datetime]
) -> None:
    zone, after = moment
    opening = next_opening(window, zone, after)
    assert opening >= after
    assert is_open(window, zone, opening)
    if opening == after:
        return
    assert not is_open(window, zone, after)
    assert not is_open(window, zone, opening - timedelta(microseconds=1))
    # Windows and jumps of clocks lie on multiples of five minutes (of one in St. John's), so no opening hides between.
    step = timedelta(minutes=1) if zone.key == "America/St_Johns" else STEP
    at = after.replace(minute=0, second=0, microsecond=0)
    while at < opening:
        assert at < after or not is_open(window, zone, at)
        at += step


@given(windows())
def test_a_window_survives_its_json(window: CallingWindow) -> None:
    assert CallingWindow.parse(window.to_json()) == window


def test_days_are_read_by_name_and_by_three_letters_in_any_case() -> None:
    window = CallingWindow.parse({"start": "09:00", "end": "18:00", "days": ["Mon", "FRIDAY", "sun"]})
    assert window == CallingWindow(time(9), time(18), frozenset({0, 4, 6}))


@pytest.mark.parametrize(
    ("given_window", "named"),
    [
        ({"end": "21:00"}, "calling_window.start"),
        ({"start": "8:00", "end": "21:00"}, "calling_window.start"),
        ({"start": "24:00", "end": "21:00"}, "calling_window.start"),
        ({"start": "08:00", "end": "25:00"}, "calling_window.end"),
        ({"start": "08:00", "end": 21}, "calling_window.end"),
        ({"start": "08:00", "end": "08:00"}, "calling_window.end"),
        ({"start": "00:00", "end": "00:00"}, "calling_window.end"),
        ({"start": "٠٨:٠٠", "end": "21:00"}, "calling_window.start"),
        ({"start": "08:00", "end": "21:00", "days": []}, "calling_window.days"),
        ({"start": "08:00", "end": "21:00", "days": "mon"}, "calling_window.days"),
        ({"start": "08:00", "end": "21:00", "days": ["someday"]}, "'someday'"),
        ({"start": "08:00", "end": "21:00", "days": [1]}, "calling_window.days"),
        ({"start": "08:00", "end": "21:00", "zone": "UTC"}, "calling_window.zone"),
        ([], "calling_window"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused_by_name(
    given_window: dict[str, object], named: str
) -> None:
    with pytest.raises(WindowError, match=named):
        CallingWindow.parse(given_window)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        is_open(DEFAULT_WINDOW, KOLKATA, datetime(2026, 6, 1, 12))  # noqa: DTZ001


def test_the_jump_over_a_wall_time_is_found() -> None:
    wall = datetime(2026, 10, 4, 2, 10)  # noqa: DTZ001
    assert first_instant_after_gap(ZoneInfo("Australia/Lord_Howe"), wall) == utc("2026-10-03T15:30:00")
    assert first_instant_after_gap(ZoneInfo("Australia/Lord_Howe"), wall.replace(hour=3)) is None


@pytest.mark.parametrize("name", ["Asia/Kolkata", "US/Eastern", "UTC", "Europe/Kiev"])
def test_zones_are_known_by_their_names(name: str) -> None:
    zone = known_zone(name)
    assert zone is not None
    assert zone.key == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "asia/kolkata",
        "../../etc/passwd",
        "/etc/localtime",
        "Asia",
        "posixrules",
        "Factory",
        "localtime",
        "right/UTC",
        "Asia/Kolkata ",
        "Asia/Kolkata\x00",
        "A" * 10_000,
        "UTC+3",
        "tzdata.zi",
    ],
)
def test_what_is_not_the_name_of_a_zone_is_none(name: str) -> None:
    assert known_zone(name) is None


KALININGRAD, KAMCHATKA = ZoneInfo("Europe/Kaliningrad"), ZoneInfo("Asia/Kamchatka")


def test_whoever_may_be_in_several_zones_is_rung_while_the_window_is_open_in_all() -> None:
    zones = (KAMCHATKA, KALININGRAD)
    opens, closes = utc("2026-01-13 06:00"), utc("2026-01-13 09:00")  # 08:00 in the west, 21:00 in the east
    assert next_opening_in_all(DEFAULT_WINDOW, zones, utc("2026-01-12 12:00")) == opens
    assert next_opening_in_all(DEFAULT_WINDOW, zones, opens + timedelta(hours=1)) == opens + timedelta(
        hours=1
    )
    assert closing_in_all(DEFAULT_WINDOW, zones, opens) == closes
    assert is_open_in_all(DEFAULT_WINDOW, zones, opens)
    assert not is_open_in_all(DEFAULT_WINDOW, zones, closes)
    assert not is_open_in_all(DEFAULT_WINDOW, zones, opens - timedelta(seconds=1))


def test_a_window_that_is_never_open_everywhere_never_opens() -> None:
    zones = (ZoneInfo("Pacific/Pago_Pago"), ZoneInfo("Pacific/Guam"))
    with pytest.raises(WindowError, match="all zones"):
        next_opening_in_all(CallingWindow(time(12), time(13)), zones, utc("2026-01-12 12:00"))
    assert (
        closing_in_all(
            CallingWindow.parse({"start": "00:00", "end": "24:00"}), zones, utc("2026-01-12 12:00")
        )
        is None
    )
