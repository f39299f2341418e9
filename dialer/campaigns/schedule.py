"""Dates of campaigns and callbacks: wall time in a named zone in, UTC inside, HTTP dates out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from zoneinfo import ZoneInfo

import pendulum
from pendulum.tz.exceptions import AmbiguousTime, NonExistingTime

from dialer.calls.window import first_instant_after_gap, instants, known_zone

FIRST_YEAR, LAST_YEAR = 2000, 2199

_SHOWN = "%Y-%m-%d %H:%M:%S"
_WALL_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2}) *([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?", re.ASCII)


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
    zone, wall = _read(field, text, zone_name)
    try:
        return _instant(wall, zone_name)
    except NonExistingTime:
        after_gap = first_instant_after_gap(zone, wall)
        there = (
            ""
            if after_gap is None
            else f": the first moment after that is {after_gap.astimezone(zone):{_SHOWN}}"
        )
        raise ScheduleError(
            field,
            f"{field} {wall:{_SHOWN}} does not exist in {zone_name}, where the clocks skip it{there}.",
        ) from None


@dataclass(frozen=True, slots=True)
class ChosenTime:
    """An instant (UTC) that was chosen on the clocks of a zone; `note` is a sentence about a time that these skip or
    show twice, None of all others."""

    at: datetime
    time_zone: str
    note: str | None = None


def choose_local(field: str, text: str, zone_name: str, now: datetime) -> ChosenTime:
    """The instant of `"YYYY-mm-dd hh:mm:ss"` (or without seconds) on the clocks of `zone_name`, still to come at `now`.

    Of a time that the clocks skip the first instant after the gap; of one that comes twice the earlier, if that is
    still to come, else the later. Raises `ScheduleError` as `parse_local`, and for a time that has passed.
    """
    zone, wall = _read(field, text, zone_name)
    skipped = first_instant_after_gap(zone, wall)
    earlier, later = instants(zone, wall)
    at = earlier if earlier > now else later
    note = None
    if skipped is not None:
        note = (
            f"{wall:{_SHOWN}} does not exist in {zone_name}, where the clocks skip it: it is the first moment after "
            f"that, {at.astimezone(zone):{_SHOWN}}."
        )
    elif earlier != later:
        which = "earlier" if at == earlier else "later"
        note = f"{wall:{_SHOWN}} comes twice in {zone_name}: it is the {which} of the two, {http_date(at)}."
    return ChosenTime(_still_to_come(field, at, now), zone_name, note)


def choose(field: str, at: datetime, zone_name: str, now: datetime) -> ChosenTime:
    """The instant `at` (aware), still to come at `now`, to be shown on the clocks of `zone_name`. Raises
    `ScheduleError`."""
    _zone(zone_name)
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise ScheduleError(field, f"{field} must lie between the years {FIRST_YEAR} and {LAST_YEAR}.")
    return ChosenTime(_still_to_come(field, at.astimezone(UTC).replace(microsecond=0), now), zone_name)


def local_text(at: datetime, zone_name: str) -> str:
    """The instant as `"YYYY-mm-dd hh:mm:ss"` on the clocks of a zone that is known; in UTC of one that is not."""
    return f"{at.astimezone(known_zone(zone_name) or UTC):{_SHOWN}}"


def _still_to_come(field: str, at: datetime, now: datetime) -> datetime:
    if at <= now:
        raise ScheduleError(
            field, f"{field} has passed already, it is {http_date(now)}: give a time that is still to come."
        )
    return at


def _zone(zone_name: str) -> ZoneInfo:
    zone = known_zone(zone_name)
    if zone is None:
        raise ScheduleError(
            "time_zone", f"time_zone {zone_name[:40]!r} is not known: use an IANA name such as Asia/Kolkata."
        )
    return zone


def _read(field: str, text: str, zone_name: str) -> tuple[ZoneInfo, datetime]:
    """The zone, and the naive wall time."""
    zone = _zone(zone_name)
    found = _WALL_TIME.fullmatch(text.strip())
    if found is None:
        raise ScheduleError(
            field, f'{field} must be written "YYYY-mm-dd hh:mm:ss", for example 2026-09-25 14:05:00.'
        )
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise ScheduleError(field, f"{field} must lie between the years {FIRST_YEAR} and {LAST_YEAR}.")
    try:
        return zone, datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - wall time
    except ValueError:
        raise ScheduleError(field, f"{field} is no date of the calendar: correct {found[0]}.") from None


def _instant(wall: datetime, zone_name: str) -> datetime:
    # pendulum would move a time that does not exist, and take the later of two, without a word.
    make = partial(
        pendulum.datetime, wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.second,
        tz=zone_name, fold=0,
    )  # fmt: skip
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
