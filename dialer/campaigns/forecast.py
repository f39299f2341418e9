"""When a campaign can be through: a pure function of whom it has still to call, its pace and its calling window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dialer.calls.window import CallingWindow, WindowError, closing, next_opening

#: Nobody is told of a finish that is further away.
HORIZON = timedelta(days=366)
#: Half a year on, zones that keep the same clock now may keep another one.
_OTHER_SEASON = timedelta(days=182)
#: Less than a call: what is lost in floating point.
_NOTHING = 1e-6


@dataclass(frozen=True, slots=True)
class Forecast:
    """The earliest moment (UTC) at which everybody has been called once, None when it is not before the end; and how
    many are left then."""

    finish_at: datetime | None
    left: int = 0


def forecast(
    people: Mapping[ZoneInfo, int],
    per_minute: float | None,
    window: CallingWindow,
    start: datetime,
    end: datetime,
) -> Forecast:
    """When so many people in each zone have been called, from `start` on and not after `end` (UTC).

    `per_minute` None: as many as one likes at once. Nobody is called outside the window in their zone; of those who may
    be called, the ones whose window closes first go first. Repeats are not counted, nor how long calls last.
    """
    left = {zone: float(count) for zone, count in _alike(people, start).items() if count > 0}
    at, until = start, min(end, start + HORIZON)
    while left and at < until:
        closings, openings = _events(left, window, at, until)
        if not closings:
            at = min([*openings, until])
            continue
        if per_minute is None:
            for zone in closings:
                del left[zone]
            if not left:
                return Forecast(at)
            at = min([*openings, until])
            continue
        event = min([*openings, *closings.values(), until])
        room = (event - at).total_seconds() * per_minute / 60
        used = 0.0
        for zone in sorted(closings, key=lambda zone: (closings[zone], zone.key)):
            called = min(left[zone], room - used)
            used += called
            left[zone] -= called
            if left[zone] < _NOTHING:
                del left[zone]
        if not left:
            return Forecast(at + timedelta(seconds=used * 60 / per_minute))
        at = event
    return Forecast(None, round(sum(left.values()))) if left else Forecast(at)


def _alike(people: Mapping[ZoneInfo, int], at: datetime) -> dict[ZoneInfo, int]:
    """Zones that keep the same time counted as one: there are hundreds of zones and some forty times."""
    kept: dict[tuple[timedelta | None, timedelta | None], ZoneInfo] = {}
    merged: dict[ZoneInfo, int] = {}
    for zone in sorted(people, key=lambda zone: zone.key):
        time = at.astimezone(zone).utcoffset(), (at + _OTHER_SEASON).astimezone(zone).utcoffset()
        holder = kept.setdefault(time, zone)
        merged[holder] = merged.get(holder, 0) + people[zone]
    return merged


def _events(
    zones: Mapping[ZoneInfo, float], window: CallingWindow, at: datetime, until: datetime
) -> tuple[dict[ZoneInfo, datetime], list[datetime]]:
    """When the window closes in the zones in which it is open at `at`, and when it opens in the others."""
    closings: dict[ZoneInfo, datetime] = {}
    openings: list[datetime] = []
    for zone in zones:
        try:
            opening = next_opening(window, zone, at)
        except WindowError:  # it never opens there
            continue
        if opening > at:
            openings.append(opening)
        else:
            closings[zone] = closing(window, zone, at) or until
    return closings, openings
