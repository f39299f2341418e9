"""The limiter: one Lua call grants a batch of calls from the buckets of campaign, account and provider at once.

Each pace is kept twice. The *release* bucket lets the scheduler hand calls to the workers at the right speed, with
two seconds' worth of slack so that no worker waits for it. The *send* bucket is asked again in the moment before a
worker submits, and is the one that I6 rests on: however late, frozen or restarted a worker is, what leaves it in any
60 seconds is bounded. Its burst is about half a second's worth: the other half of the burst that I6 allows is for the
jitter between the grant and the provider's door.

Single calls (one-time passwords) go *ahead*: a fifth of the send bucket's burst is theirs alone, and one that finds no
token puts up a sign, until the next token is there and SIGN longer, at which everybody else takes none. So a campaign
at full pace delays them by one token at most, and all of them together keep the one pace. While there are none,
campaigns lack nothing: the sign is down, and a smaller burst is not a slower pace.

Redis lost means that every call here raises `redis.RedisError`; callers dial nothing until it is back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Any

from redis import Redis

#: A 429 halves the pace down to this; every SLOWDOWN_STEP seconds a twentieth of the pace comes back.
SLOWEST_FACTOR = 0.05
SLOWDOWN_STEP = 3.0
#: Calls: the bound is to be kept in spite of what is rounded.
A_LITTLE = 0.01
#: Longest wait that is told to the caller, in seconds: rates change while running.
LONGEST_WAIT = 60.0
#: Seconds that a sign stands beyond the moment for which the next token is due: in that time whoever put it up asks
#: again, by way of the scheduler.
SIGN = 0.75


class Stage(StrEnum):
    """On which side of the queue a call is counted; look-ups are no calls, and have a pace of their own."""

    RELEASE = "release"
    SEND = "send"
    LOOK_UP = "look-up"


@dataclass(frozen=True, slots=True)
class Pace:
    """The pace of one campaign, account or provider."""

    #: `campaign`, `account` or `provider`.
    holder: str
    id: str
    calls_per_minute: int


@dataclass(frozen=True, slots=True)
class Grant:
    """How many calls may go now, and how long to wait for the next (seconds; 0 when all were granted)."""

    calls: int
    wait: float
    #: Who stands in the way: `hold`, `campaign`, `account`, `provider`, or nothing.
    blocker: str | None


def burst(stage: Stage, calls_per_minute: int, *, ahead: bool = False) -> float:
    """How many calls may leave at once: two seconds' worth released; sent as many as keep any 60 seconds within I6; of
    what is sent a fifth only by those who go ahead.

    Half a call means that the next one may go so much before its time: else a slow pace, whose bucket holds one call,
    would lose whatever each call is late.
    """
    if stage is Stage.RELEASE:
        return calls_per_minute // 30 if calls_per_minute >= 60 else 1.5
    # I6 allows a second's worth more than the pace, at least one call. A grant is used while it is good, so what
    # leaves in 60 seconds was granted in that much longer: at most the pace for so long, and this burst.
    allowed = max(1, calls_per_minute // 60)
    most = allowed + 1 - calls_per_minute * good_for(calls_per_minute) / 60 - A_LITTLE
    whole = math.floor(most) if most >= 2 else max(1.0, min(most, 1.5))
    return whole if ahead else whole - math.floor(whole) // 5


def good_for(calls_per_minute: int) -> float:
    """Seconds from a grant to the first byte of its request, at most: whoever is later gives the call back.

    Half a second, and half of that where I6 leaves so little that no call could be a little late.
    """
    return 0.25 if 60 <= calls_per_minute < 120 else 0.5


def slack(stage: Stage, paces: Sequence[Pace]) -> float:
    """Seconds that whoever takes may come late, time and again, and the paces still be reached: in half of it no
    bucket runs over that was empty."""
    return min(
        ((burst(stage, pace.calls_per_minute) - 1) * 60 / pace.calls_per_minute / 2 for pace in paces),
        default=0.0,
    )


class Limiter:
    """Grants calls, and holds providers. Safe to share between threads."""

    def __init__(self, redis: Redis) -> None:
        self._take = redis.register_script((files("dialer.pace") / "take.lua").read_text())
        self._hold = redis.register_script((files("dialer.pace") / "hold.lua").read_text())

    def look(
        self, stage: Stage, provider_id: str, paces: Sequence[Pace], calls: int, *, ahead: bool = False
    ) -> Grant:
        """How many of `calls` would be granted now, without taking them."""
        return self._ask(stage, provider_id, paces, calls, take=False, ahead=ahead)

    def take(
        self, stage: Stage, provider_id: str, paces: Sequence[Pace], calls: int, *, ahead: bool = False
    ) -> Grant:
        """Take up to `calls` calls from every bucket at once, or as many as all of them allow. `ahead`: of single
        calls, before everybody else."""
        return self._ask(stage, provider_id, paces, calls, take=True, ahead=ahead)

    def hold(self, provider_id: str, seconds: float, *, slow_down: bool = True) -> float:
        """Let nobody call the provider for `seconds`, and halve its pace; seconds that the hold lasts in all.

        A shorter hold never shortens a longer one.
        """
        lasts: Any = self._hold(
            keys=_provider_keys(provider_id),
            args=[_us(seconds), SLOWEST_FACTOR, _us(SLOWDOWN_STEP), int(slow_down)],
        )
        return int(lasts) / 1e6

    def _ask(
        self,
        stage: Stage,
        provider_id: str,
        paces: Sequence[Pace],
        calls: int,
        *,
        take: bool,
        ahead: bool,
    ) -> Grant:
        buckets = [f"pace:{stage}:{pace.holder}:{pace.id}" for pace in paces]
        keys = [*_provider_keys(provider_id), *buckets, *(f"{bucket}:sign" for bucket in buckets)]
        args: list[int | float] = [calls, int(take), _us(SLOWDOWN_STEP), int(ahead), _us(SIGN)]
        for pace in paces:
            args += [
                60e6 / pace.calls_per_minute,
                burst(stage, pace.calls_per_minute, ahead=ahead),
                int(pace.holder == "provider"),
            ]
        answer: Any = self._take(keys=keys, args=args)
        granted, wait, blocker = (int(number) for number in answer)
        names = ["hold", *(pace.holder for pace in paces)]
        return Grant(
            calls=granted,
            wait=min(wait / 1e6, LONGEST_WAIT),
            blocker=names[blocker] if blocker >= 0 else None,
        )


def _provider_keys(provider_id: str) -> list[str]:
    return [f"pace:hold:{provider_id}", f"pace:slow:{provider_id}"]


def _us(seconds: float) -> int:
    return math.ceil(seconds * 1e6)
