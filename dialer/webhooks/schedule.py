"""When a message is sent again, when an endpoint is left alone for a while, and when for good: pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

#: How long after each try that failed the next one is made: the standard's schedule, a little over three days.
WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
TRIES = len(WAITS) + 1
#: A wait is longer by up to this part, so that messages that failed together do not all come again together.
JITTER = 0.1
#: An endpoint that failed so often in a row rests, for a quarter of the time since it began to fail, between these.
MANY = 5
SHORTEST_REST, LONGEST_REST = timedelta(seconds=5), timedelta(minutes=5)
#: After so long without a success an endpoint is disabled.
PATIENCE = timedelta(days=5)
#: How long deliveries are kept, whatever became of them.
KEPT = timedelta(days=7)
#: How long both secrets sign after a rotation.
BOTH_SECRETS = timedelta(hours=24)

GONE = 410
#: An endpoint that answers so is left alone for as long as it asks.
ASKING_FOR_REST = frozenset({429, 503})


class Answer(NamedTuple):
    """What a try came to. `status`: None without an answer; `retry_after`: seconds that it asked for."""

    status: int | None
    error: str | None
    latency_ms: int
    retry_after: float | None = None

    @property
    def is_success(self) -> bool:
        """Whether it was answered with 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Standing:
    """How an endpoint fares."""

    failures: int = 0
    failing_since: datetime | None = None
    rest_until: datetime | None = None
    #: Why it is to be disabled.
    disabled_reason: str | None = None


def next_try(tries: int, answer: Answer, now: datetime, chance: float) -> datetime | None:
    """When a message is sent again after so many tries, the last of which failed with this answer; None: no more.

    `chance` is a random number from 0 to 1.
    """
    if tries > len(WAITS):
        return None
    wait = WAITS[tries - 1] * (1 + JITTER * chance)
    return now + max(wait, timedelta(seconds=answer.retry_after or 0))


def standing_after(standing: Standing, answers: Iterable[Answer], now: datetime) -> Standing:
    """How an endpoint fares after these answers, in the order in which they came."""
    for answer in answers:
        standing = Standing() if answer.is_success else _failed(standing, answer, now)
        if standing.disabled_reason is not None:
            break
    return standing


def _failed(standing: Standing, answer: Answer, now: datetime) -> Standing:
    since = standing.failing_since or now
    failed = replace(standing, failures=standing.failures + 1, failing_since=since)
    if answer.status == GONE:
        return replace(failed, disabled_reason="It answered 410 Gone.")
    if now - since >= PATIENCE:
        why = f"Every message to it failed for {PATIENCE.days} days; the last one: {answer.error}."
        return replace(failed, disabled_reason=why)
    rest = timedelta(0)
    if failed.failures >= MANY:
        rest = min(LONGEST_REST, max(SHORTEST_REST, (now - since) / 4))
    if answer.status in ASKING_FOR_REST and answer.retry_after is not None:
        rest = max(rest, timedelta(seconds=answer.retry_after))
    if not rest:
        return failed
    return replace(failed, rest_until=max(now + rest, standing.rest_until or now))


def at_once(latency: float | None, most: int) -> int:
    """How many messages may be on their way to an endpoint that takes so many seconds to answer: who is slow gets
    fewer, so that nobody takes up every place. None: it is not known yet."""
    if latency is None:
        return most // 4
    return max(2, min(most, int(4 / max(latency, 0.001))))
