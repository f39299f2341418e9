"""The calling window: between which hours, by the callee's own clock, a person may be rung.

Whether a window is open is always asked of an instant: UTC to local, a direction that is never ambiguous. Only
the next opening goes from local to UTC, where a wall time may not exist (clocks go forward) or come twice (they
go back). `docs/calling-window.md` tells how those days are settled.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

MIDNIGHT = time(0)
EVERY_DAY = frozenset(range(7))
DAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::00)?", re.ASCII)
_ONE_DAY = timedelta(days=1)
_NOT_PLACES = frozenset({"Factory", "localtime", "posixrules"})
# A week of days, one more for a window that began yesterday, and a second week for a day whose window does not
# exist (Apia had no 30 December 2011) or falls into the hour the clocks skip.
_DAYS_AHEAD = 16


class WindowError(ValueError):
    """A calling window that cannot be understood. The text is one sentence naming the field and the mend."""


@dataclass(frozen=True, slots=True)
class CallingWindow:
    """Open from `start` until just before `end` on `days`, by the callee's clock.

    `days` counts Monday as 0 and names the day of the *opening*: a window from 22:00 to 02:00 on Fridays lasts
    into Saturday. `end` at 00:00 is midnight at the end of the day, so 00:00 to 00:00 is the whole day.
    """

    start: time
    end: time
    days: frozenset[int] = EVERY_DAY

    def __post_init__(self) -> None:
        if self.start.tzinfo or self.end.tzinfo:
            raise WindowError("calling_window holds wall times: give start and end without a time zone.")
        if self.start == self.end != MIDNIGHT:
            raise WindowError(
                "calling_window.end equals start: give a later end, or 00:00 to 24:00 for the whole day."
            )
        if not self.days or not self.days <= EVERY_DAY:
            raise WindowError("calling_window.days must hold at least one day, Monday (0) to Sunday (6).")

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> CallingWindow:
        """Read `{"start": "08:00", "end": "21:00", "days": ["mon", …]}`; without `days`, every day.

        Days are English names or their first three letters in any case. Raises `WindowError`.
        """
        if not isinstance(given, Mapping):
            raise WindowError('calling_window must be an object such as {"start": "08:00", "end": "21:00"}.')
        unknown = sorted(str(key) for key in given if key not in ("start", "end", "days"))
        if unknown:
            raise WindowError(f"calling_window.{unknown[0][:40]} is not known: use start, end and days.")
        start, end = _clock("start", given.get("start")), _clock("end", given.get("end"))
        if start == end == MIDNIGHT and given.get("end") != "24:00":
            raise WindowError("calling_window.end equals start: for the whole day give 00:00 to 24:00.")
        return cls(start, end, _days(given.get("days")))

    def to_json(self) -> dict[str, object]:
        """The shape that `parse` reads."""
        return {
            "start": f"{self.start:%H:%M}",
            "end": "24:00" if self.end == MIDNIGHT else f"{self.end:%H:%M}",
            "days": [DAY_NAMES[day][:3] for day in sorted(self.days)],
        }

    @property
    def is_always_open(self) -> bool:
        return self.start == self.end and self.days == EVERY_DAY

    @property
    def crosses_midnight(self) -> bool:
        return MIDNIGHT < self.end < self.start


DEFAULT_WINDOW = CallingWindow(time(8), time(21))


def is_open(window: CallingWindow, zone: ZoneInfo, at: datetime) -> bool:
    """Whether somebody in `zone` may be rung at the instant `at` (aware; UTC)."""
    if window.is_always_open:
        return True
    local = _aware(at).astimezone(zone)
    opened_on = _opening_day(window, local)
    if opened_on is None:
        return False
    if not _comes_twice(local):
        return True
    opens, closes = _bounds(window, zone, opened_on)
    return opens <= at < closes


def next_opening(window: CallingWindow, zone: ZoneInfo, after: datetime) -> datetime:
    """The first instant, not before `after`, at which the window is open: `after` itself when it is. In UTC."""
    after = _aware(after).astimezone(UTC)
    if is_open(window, zone, after):
        return after
    day = after.astimezone(zone).date() - _ONE_DAY
    for _ in range(_DAYS_AHEAD):
        if day.weekday() in window.days:
            opens, closes = _bounds(window, zone, day)
            if opens < closes and after < closes:
                return max(opens, after)
        day += _ONE_DAY
    raise WindowError(f"calling_window never opens in {zone.key} within {_DAYS_AHEAD} days: widen it.")


def closing(window: CallingWindow, zone: ZoneInfo, at: datetime) -> datetime | None:
    """The instant (UTC) at which the window closes that is open at the instant `at`; None when it never does, or is
    not open."""
    opened_on = None if window.is_always_open else _opening_day(window, _aware(at).astimezone(zone))
    return None if opened_on is None else _bounds(window, zone, opened_on)[1]


def is_open_in_all(window: CallingWindow, zones: Collection[ZoneInfo], at: datetime) -> bool:
    """Whether somebody may be rung at the instant `at` who may be in any one of these zones."""
    return all(is_open(window, zone, at) for zone in zones)


def next_opening_in_all(window: CallingWindow, zones: Collection[ZoneInfo], after: datetime) -> datetime:
    """The first instant (UTC), not before `after`, at which the window is open in all of these zones. Raises
    `WindowError` when there is none for two weeks."""
    at = _aware(after).astimezone(UTC)
    latest = at + _DAYS_AHEAD * _ONE_DAY
    while at < latest:
        # Open in all of them is nothing before the last of their openings.
        opened = max((next_opening(window, zone, at) for zone in zones), default=at)
        if opened == at:
            return at
        at = opened
    raise WindowError("calling_window is never open in all zones that the number may be in: widen it.")


def closing_in_all(window: CallingWindow, zones: Collection[ZoneInfo], at: datetime) -> datetime | None:
    """The instant (UTC) at which the window, open in all of these zones at the instant `at`, first closes in one; None
    when it never does."""
    found = (closing(window, zone, at) for zone in zones)
    return min((one for one in found if one is not None), default=None)


def first_instant_after_gap(zone: ZoneInfo, wall: datetime) -> datetime | None:
    """The instant (UTC) at which the clocks jump over the naive `wall` time; None when that time exists."""
    earliest = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)  # by the offset after the jump
    latest = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)  # by the offset before it
    if earliest >= latest:
        return None
    before = earliest.astimezone(zone).utcoffset()
    while latest - earliest > timedelta(seconds=1):
        middle = (earliest + (latest - earliest) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            earliest = middle
        else:
            latest = middle
    return latest.replace(microsecond=0)


def instants(zone: ZoneInfo, wall: datetime) -> tuple[datetime, datetime]:
    """The earlier and the later instant (UTC) of a wall time; of one that does not exist, the jump over it."""
    jump = first_instant_after_gap(zone, wall)
    if jump is not None:
        return jump, jump
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return first, second


@lru_cache(maxsize=1024)
def known_zone(name: str) -> ZoneInfo | None:
    """The zone of an IANA name such as `Asia/Kolkata`, exactly as it is spelled there, or None."""
    return ZoneInfo(name) if name in _zone_names() else None


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - _NOT_PLACES)


def _opening_day(window: CallingWindow, local: datetime) -> date | None:
    """The day on which the window opened that is open by the clock at `local`."""
    clock, today = local.time(), local.date()
    if window.crosses_midnight:
        if clock >= window.start:
            opened_on = today
        elif clock < window.end:
            opened_on = today - _ONE_DAY
        else:
            return None
    elif clock >= window.start and (clock < window.end or window.end == MIDNIGHT):
        opened_on = today
    else:
        return None
    return opened_on if opened_on.weekday() in window.days else None


def _bounds(window: CallingWindow, zone: ZoneInfo, day: date) -> tuple[datetime, datetime]:
    """Opening and closing instant (UTC) of the window that opens on `day`; empty when they do not ascend.

    Of a wall time that comes twice, the later one opens and the earlier one closes.
    """
    closing_day = day if window.start < window.end else day + _ONE_DAY
    opens = instants(zone, datetime.combine(day, window.start))[1]
    closes = instants(zone, datetime.combine(closing_day, window.end))[0]
    return opens, closes


def _comes_twice(local: datetime) -> bool:
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a calling window is asked of an instant: give an aware datetime in UTC")
    return at


def _clock(field: str, value: object) -> time:
    if value == "24:00" and field == "end":
        return MIDNIGHT
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        latest = "24:00" if field == "end" else "23:59"
        raise WindowError(f'calling_window.{field} must be a time "hh:mm" from 00:00 to {latest}.')
    return time(int(found[1]), int(found[2]))


def _days(value: object) -> frozenset[int]:
    if value is None:
        return EVERY_DAY
    if isinstance(value, str) or not isinstance(value, Sequence) or not value:
        raise WindowError(
            'calling_window.days must be a list of weekdays such as ["mon", "tue"], or be left out.'
        )
    return frozenset(_day(name) for name in value)


def _day(name: object) -> int:
    word = name.strip().lower() if isinstance(name, str) else ""
    for number, day_name in enumerate(DAY_NAMES):
        if word in (day_name, day_name[:3]):
            return number
    raise WindowError(
        f"calling_window.days holds {str(name)[:20]!r}: use mon, tue, wed, thu, fri, sat or sun."
    )
