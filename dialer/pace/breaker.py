"""The circuit breaker: a provider that fails is left alone for a while, and then tried with a single call.

Closed, calls go to it, and how they fare is counted. It opens when too many of them fail, or when none of those that
went together reached it; other providers carry its calls then, and those that no other can carry wait, which costs them
no attempt. When its rest is over it is half-open: one call, the probe, goes. If that fares well the breaker closes,
else it opens again for longer.

A failure is a submit that was not sent, or whose fate is unknown: 5xx, a reset, a timeout, an answer that cannot be
read. Whoever refuses a call, or asks to be left alone (429), is well.

Everything here is a decision; what is decided stands in the provider's row, so that all processes know of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

#: Submits are counted for as long as this, then anew.
WINDOW = timedelta(minutes=5)
#: So many must have been counted before their rate says anything, …
LEAST = 20
#: … and so great a part of them must have failed.
RATE = 0.5
#: How long it is left alone, in seconds: the first time, doubling, and at most. Who cannot be reached may be back soon
#: and is asked in vain at no cost; each call to who takes calls and fails may ring somebody, with nobody knowing.
UNREACHED = (1.0, 30.0)
FAILING = (10.0, 300.0)
#: A probe of which nobody heard in this time is given up, and another one may go.
PROBE_WITHIN = timedelta(seconds=15)


class Phase(StrEnum):
    """Where a breaker stands."""

    CLOSED = "closed"  # calls go
    OPEN = "open"  # none goes
    HALF_OPEN = "half-open"  # one may go


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is known of a provider. `trips`: how many times in a row it has opened, 0 when it is closed; nobody calls
    the provider before `until`; `good` and `bad` are the submits counted since `since`."""

    trips: int = 0
    until: datetime | None = None
    since: datetime | None = None
    good: int = 0
    bad: int = 0

    @classmethod
    def of(cls, provider: Any) -> Breaker:
        """That of a provider's row."""
        return cls(
            provider.breaker_trips,
            provider.breaker_until,
            provider.breaker_since,
            provider.breaker_good,
            provider.breaker_bad,
        )

    def columns(self) -> dict[str, Any]:
        """As it stands in the row."""
        return {
            "breaker_trips": self.trips,
            "breaker_until": self.until,
            "breaker_since": self.since,
            "breaker_good": self.good,
            "breaker_bad": self.bad,
        }


@dataclass(slots=True)
class Heard:
    """How the submits of one group to one provider fared. `unreached` of the bad ones were not sent; `before`: so many
    of earlier groups fared well of which the breaker was not told; `probe`: how the one call fared that a half-open
    breaker let through; `is_void`: it was not asked after all."""

    good: int = 0
    bad: int = 0
    unreached: int = 0
    before: int = 0
    probe: bool | None = None
    is_void: bool = False

    @property
    def matters(self) -> bool:
        """Whether the breaker must be told; good ones alone can wait."""
        return self.bad > 0 or self.probe is not None or self.is_void


def phase_of(provider: Any, now: datetime) -> Phase:
    """Where the breaker of a provider's row stands."""
    if not provider.breaker_trips:
        return Phase.CLOSED
    until = provider.breaker_until
    return Phase.OPEN if until is not None and until > now else Phase.HALF_OPEN


def left_alone_until(provider: Any, now: datetime) -> datetime | None:
    """Until when nobody may call the provider: it asked for that (429), or its breaker is open. None: it may be
    called."""
    times = [at for at in (provider.held_until, provider.breaker_until) if at is not None and at > now]
    return max(times, default=None)


def after(breaker: Breaker, heard: Heard, now: datetime, jitter: float) -> Breaker:
    """The breaker after it has heard that; rests are `jitter` (about 1) times as long."""
    if breaker.trips:
        return _after_probe(breaker, heard, now, jitter)
    if breaker.since is None or now - breaker.since > WINDOW:
        breaker = Breaker(since=now)
    counted = replace(breaker, good=breaker.good + heard.before + heard.good, bad=breaker.bad + heard.bad)
    total = counted.good + counted.bad
    # Of the group alone: who was well a moment ago may be away by now.
    is_away = heard.unreached > 0 and heard.unreached == heard.bad and not heard.good
    if is_away or (total >= LEAST and counted.bad >= RATE * total):
        return _opened(1, now, jitter, UNREACHED if is_away else FAILING)
    return counted


def _after_probe(breaker: Breaker, heard: Heard, now: datetime, jitter: float) -> Breaker:
    """Calls that were on their way when it opened say nothing that is new."""
    if heard.probe is True:
        return Breaker(since=now)
    if heard.probe is False:
        return _opened(breaker.trips + 1, now, jitter, UNREACHED if heard.unreached else FAILING)
    return replace(breaker, until=now) if heard.is_void else breaker


def _opened(trips: int, now: datetime, jitter: float, rest: tuple[float, float]) -> Breaker:
    first, most = rest
    seconds = min(most, first * 2.0 ** min(trips - 1, 16)) * jitter
    return Breaker(trips, now + timedelta(seconds=seconds))


class Tally:
    """Submits of one process that went well and that no breaker was told of: while all is well, nothing is written.
    For one thread."""

    def __init__(self) -> None:
        self._good: dict[str, tuple[datetime, int]] = {}

    def add(self, provider_id: str, good: int, now: datetime) -> None:
        """Count them."""
        since, counted = self._good.get(provider_id, (now, 0))
        if now - since > WINDOW:
            since, counted = now, 0
        self._good[provider_id] = since, counted + good

    def take(self, provider_id: str, now: datetime) -> int:
        """All that count still, for the breaker to be told."""
        since, counted = self._good.pop(provider_id, (now, 0))
        return counted if now - since <= WINDOW else 0
