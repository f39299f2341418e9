from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.campaigns.schedule import (
    ScheduleError,
    check_dates,
    choose_local,
    http_date,
    local_text,
    parse_local,
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2023-09-25 14:05:00", "Asia/Kolkata", "2023-09-25T08:35:00"),
        ("2023-09-25 14:05", "Asia/Kolkata", "2023-09-25T08:35:00"),
        ("2026-07-01 09:00:00", "US/Eastern", "2026-07-01T13:00:00"),
        ("2026-01-01 09:00:00", "US/Eastern", "2026-01-01T14:00:00"),
        ("2026-01-01 00:00:00", "UTC", "2026-01-01T00:00:00"),
        (" 2026-01-01 00:00:00 ", "UTC", "2026-01-01T00:00:00"),
    ],
)
def test_a_date_is_the_wall_time_of_its_zone(text: str, zone: str, instant: str) -> None:
    assert parse_local("campaign_start_date", text, zone) == utc(instant)


def test_of_a_time_that_comes_twice_the_earlier_is_meant() -> None:
    assert parse_local("d", "2026-11-01 01:30:00", "America/New_York") == utc("2026-11-01T05:30:00")


@pytest.mark.parametrize(
    ("text", "zone", "first"),
    [
        ("2026-03-08 02:30:00", "America/New_York", "2026-03-08 03:00:00"),
        ("2026-10-04 02:10:00", "Australia/Lord_Howe", "2026-10-04 02:30:00"),
        ("2026-09-06 00:00:00", "America/Santiago", "2026-09-06 01:00:00"),
        ("2011-12-30 12:00:00", "Pacific/Apia", "2011-12-31 00:00:00"),
    ],
)
def test_a_time_that_the_clocks_skip_is_refused_with_the_first_after_it(
    text: str, zone: str, first: str
) -> None:
    with pytest.raises(ScheduleError) as error:
        parse_local("campaign_start_date", text, zone)
    assert error.value.field == "campaign_start_date"
    assert text in str(error.value)
    assert first in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2023-12-18T10:00:00",
        "2023-12-18",
        "12:30",
        "18-12-2023 10:00:00",
        "2023-12-18 10:00:00Z",
        "2023-12-18 10:00:00.5",
        "2023-1-8 10:00:00",
        "2023-02-29 10:00:00",
        "2023-12-18 24:00:00",
        "2023-12-18 10:60:00",
        "0001-01-01 00:00:00",
        "9999-12-31 23:59:59",
        "٢٠٢٣-١٢-١٨ ١٠:٠٠:٠٠",
    ],
)
def test_a_date_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ScheduleError, match="campaign_end_date") as error:
        parse_local("campaign_end_date", text, "Asia/Kolkata")
    assert error.value.field == "campaign_end_date"


@pytest.mark.parametrize("zone", ["", "Asia/Atlantis", "../etc/passwd", "+05:30"])
def test_a_zone_that_nobody_knows_is_refused_as_the_zone(zone: str) -> None:
    with pytest.raises(ScheduleError, match="time_zone") as error:
        parse_local("campaign_start_date", "2026-01-01 00:00:00", zone)
    assert error.value.field == "time_zone"


def test_a_campaign_ends_after_it_starts() -> None:
    start = utc("2026-01-01T00:00:00")
    check_dates(start, utc("2026-01-01T00:00:01"))
    with pytest.raises(ScheduleError, match="later") as error:
        check_dates(start, start)
    assert error.value.field == "campaign_end_date"


def test_dates_go_out_as_http_dates() -> None:
    assert http_date(utc("2023-07-11T09:00:00")) == "Tue, 11 Jul 2023 09:00:00 GMT"
    assert (
        http_date(datetime(2023, 7, 11, 14, 30, tzinfo=ZoneInfo("Asia/Kolkata")))
        == "Tue, 11 Jul 2023 09:00:00 GMT"
    )


@given(
    st.datetimes(datetime(2000, 1, 2), datetime(2199, 12, 30)).map(lambda at: at.replace(microsecond=0)),  # noqa: DTZ001
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Santiago"]),
)
def test_a_date_reads_back_as_it_was_written(wall: datetime, zone: str) -> None:
    try:
        instant = parse_local("d", f"{wall:%Y-%m-%d %H:%M:%S}", zone)
    except ScheduleError:
        skipped = wall.replace(tzinfo=ZoneInfo(zone))
        assert skipped.astimezone(UTC).astimezone(skipped.tzinfo).replace(tzinfo=None) != wall
        return
    assert instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == wall


# --- times that are chosen -----------------------------------------------------------------------------------

BEFORE = utc("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("text", "zone", "instant", "note"),
    [
        ("2026-07-01 09:00:00", "US/Eastern", "2026-07-01T13:00:00", None),
        # Skipped: the first instant after the gap.
        ("2026-03-08 02:30:00", "America/New_York", "2026-03-08T07:00:00", "the clocks skip it"),
        ("2026-10-04 02:10:00", "Australia/Lord_Howe", "2026-10-03T15:30:00", "2026-10-04 02:30:00"),
        ("2026-09-06 00:00:00", "America/Santiago", "2026-09-06T04:00:00", "2026-09-06 01:00:00"),
        # Shown twice: the earlier.
        ("2026-11-01 01:30:00", "America/New_York", "2026-11-01T05:30:00", "the earlier of the two"),
        ("2026-04-05 01:45:00", "Australia/Lord_Howe", "2026-04-04T14:45:00", "the earlier of the two"),
    ],
)
def test_a_chosen_time_is_always_one_instant(text: str, zone: str, instant: str, note: str | None) -> None:
    chosen = choose_local("scheduled_at", text, zone, BEFORE)
    assert (chosen.at, chosen.time_zone) == (utc(instant), zone)
    assert (chosen.note is None) == (note is None)
    assert (note or "") in (chosen.note or "")


def test_of_two_the_later_is_meant_when_the_earlier_has_passed() -> None:
    between = utc("2026-11-01T06:00:00")
    chosen = choose_local("scheduled_at", "2026-11-01 01:30:00", "America/New_York", between)
    assert chosen.at == utc("2026-11-01T06:30:00")
    assert "the later of the two" in (chosen.note or "")


@pytest.mark.parametrize("text", ["2026-03-08 03:00:00", "2026-03-08 02:30:00", "2026-03-08 01:59:59"])
def test_a_time_that_has_passed_cannot_be_chosen(text: str) -> None:
    with pytest.raises(ScheduleError) as error:
        choose_local("scheduled_at", text, "America/New_York", utc("2026-03-08T07:00:00"))
    assert error.value.field == "scheduled_at"
    assert "has passed already" in str(error.value)


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001
    st.sampled_from(["Europe/Paris", "Asia/Gaza"]),
)
def test_a_chosen_time_shows_on_the_clocks_what_was_chosen_unless_it_is_noted(
    wall: datetime, zone: str
) -> None:
    text = f"{wall:%Y-%m-%d %H:%M:%S}"
    chosen = choose_local("scheduled_at", text, zone, utc("2019-01-01T00:00:00"))
    assert (local_text(chosen.at, zone) == text) == ("skip" not in (chosen.note or ""))
