"""Dates of campaigns and callbacks: wall time in a named zone in, UTC inside, HTTP dates out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial

import pendulum
from pendulum.tz.exceptions import AmbiguousTime, NonExistingTime

from dialer.calls.window import first_instant_after_gap, known_zone

FIRST_YEAR, LAST_YEAR = 2000, 2199

_SHOWN = "%Y-%m-%d %H:%M:%S"
_WALL_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2}) ([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)


class ScheduleError(ValueError):
    """A date that cannot be meant. `field` names the parameter; the message is one sentence with the mend."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def parse_local(field: str, text: str, zone_name: str) -> datetime:
    """The instant (UTC) of `"YYYY-mm-dd hh:mm:ss"` (or without seconds) on the clocks of `zone_name`.

    Of a time that comes twice, the earlier one. Raises `ScheduleError` for a malformed date, one that the
    clocks skip, and a zone that nobody knows (its field is `time_zone`).
    """
    zone = known_zone(zone_name)
    if zone is None:
        raise ScheduleError(
            "time_zone", f"time_zone {zone_name[:40]!r} is not known: use an IANA name such as Asia/Kolkata."
        )
    found = _WALL_TIME.fullmatch(text.strip())
    if found is None:
        raise ScheduleError(
            field, f'{field} must be written "YYYY-mm-dd hh:mm:ss", for example 2026-09-25 14:05:00.'
        )
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ScheduleError(field, f"{field} must lie between the years {FIRST_YEAR} and {LAST_YEAR}.")
    try:
        return _instant(year, month, day, hour, minute, second, zone_name)
    except NonExistingTime:
        after_gap = first_instant_after_gap(zone, datetime(year, month, day, hour, minute, second))  # noqa: DTZ001 - wall time
        there = (
            ""
            if after_gap is None
            else f": the first moment after that is {after_gap.astimezone(zone):{_SHOWN}}"
        )
        raise ScheduleError(
            field, f"{field} {found[0]} does not exist in {zone_name}, where the clocks skip it{there}."
        ) from None
    except ValueError:
        raise ScheduleError(field, f"{field} is no date of the calendar: correct {found[0]}.") from None


def _instant(
    year: int, month: int, day: int, hour: int, minute: int, second: int, zone_name: str
) -> datetime:
    # pendulum would move a time that does not exist, and take the later of two, without a word.
    make = partial(pendulum.datetime, year, month, day, hour, minute, second, tz=zone_name, fold=0)
    try:
        at = make(raise_on_unknown_times=True)
    except AmbiguousTime:
        at = make()
    return datetime.fromtimestamp(at.timestamp(), UTC)


def check_dates(start: datetime, end: datetime) -> None:
    """Raises `ScheduleError` unless `end` comes after `start`."""
    if end <= start:
        raise ScheduleError("campaign_end_date", "campaign_end_date must be later than campaign_start_date.")


def http_date(at: datetime) -> str:
    """`Tue, 11 Jul 2023 09:00:00 GMT`: how the first-generation API writes an instant."""
    return format_datetime(at.astimezone(UTC), usegmt=True)
