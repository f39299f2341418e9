"""What becomes of a verification next: pure decisions, `now` and all that is known are handed in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from dialer.lifecycle import CallState, Disposition, VerificationState
from dialer.verifications.rules import Alarm, CheckLimit, Limit

#: Ends of a call whose code has not arrived; of one that ended UNKNOWN it may have.
FAILED = frozenset({CallState.FAILED, CallState.EXPIRED, CallState.CANCELLED})
_NOT_ARRIVED = FAILED | {CallState.SUPPRESSED}

ON_DND = "on a DND list"
NO_SUCH_NUMBER = "there is no such number"
NOT_DELIVERED = "no channel reached the number"
TOO_MANY_CHECKS = "too many wrong codes"
CONFIRMED = "the code was told"
TIME_IS_UP = "the time ran out"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an open verification stands. `step` of `steps` channels is being tried, by a call that is in `call_state`;
    `call_states` are those of all its calls. Instants are aware."""

    step: int
    steps: int
    sends: int
    max_sends: int
    expires_at: datetime
    next_at: datetime | None
    call_state: CallState
    disposition: Disposition | None
    call_states: Sequence[CallState] = ()


@dataclass(frozen=True, slots=True)
class Bring:
    """The code is brought by another channel: the first of those from `step` on that can."""

    step: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing before `wake_at`; `next_at` is when the next channel is due then, None when there is none."""

    wake_at: datetime
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class End:
    """It is over."""

    state: VerificationState
    reason: str


Next: TypeAlias = Bring | Wait | End


def next_of(standing: Standing, now: datetime) -> Next:
    """What the scheduler does with an open verification at `now`: a channel that failed, or whose time has passed, is
    followed by the next one."""
    if now >= standing.expires_at:
        return End(VerificationState.EXPIRED, TIME_IS_UP)
    if standing.call_state is CallState.SUPPRESSED:
        return End(VerificationState.FAILED, ON_DND)
    if standing.disposition is Disposition.INVALID_NUMBER:
        return End(VerificationState.FAILED, NO_SUCH_NUMBER)
    has_failed = standing.call_state in FAILED
    if has_failed or (standing.next_at is not None and now >= standing.next_at):
        if standing.step + 1 < standing.steps and standing.sends < standing.max_sends:
            return Bring(standing.step + 1)
        return at_the_end_of_channels(standing)
    due = standing.next_at
    return Wait(standing.expires_at if due is None else min(due, standing.expires_at), due)


def at_the_end_of_channels(standing: Standing) -> Wait | End:
    """What becomes of it when no channel is left: whoever may have the code may still tell it."""
    if all(state in _NOT_ARRIVED for state in (standing.call_state, *standing.call_states)):
        return End(VerificationState.FAILED, NOT_DELIVERED)
    return Wait(standing.expires_at, None)


def step_asked(step: int, channels: Sequence[str], asked: str | None) -> int | None:
    """Which channel a resend uses: the one asked for, else the next, and the last again and again. None: it is not
    among them."""
    if asked is None:
        return min(step + 1, len(channels) - 1)
    return channels.index(asked) if asked in channels else None


def too_soon(sent_at: datetime, resend_after: int, now: datetime) -> timedelta | None:
    """How long a resend has to wait after the last send; None: it may go."""
    left = sent_at + timedelta(seconds=resend_after) - now
    return left if left > timedelta() else None


def limited_for(
    limits: Mapping[str, tuple[Limit, datetime | None]], now: datetime
) -> tuple[str, timedelta] | None:
    """Which of these limits the next send has to wait for the longest, and how long; None: it may go. Each has the
    moment of its last send but `sends - 1`, None where there are not so many."""
    waits = {
        name: at + timedelta(seconds=limit.seconds) - now
        for name, (limit, at) in limits.items()
        if at is not None and at + timedelta(seconds=limit.seconds) > now
    }
    return max(waits.items(), key=lambda item: item[1], default=None)


def checks_left(
    limit: CheckLimit, told: Sequence[tuple[datetime, int]], now: datetime
) -> tuple[int, timedelta | None]:
    """How many wrong codes may still be told for a number; none: how long until one may. `told`: when its verifications
    of late have ended, the first to end first, and how many were told for each: all of them count until a limit's time
    after that."""
    left = limit.checks - sum(count for _, count in told)
    if left > 0:
        return left, None
    for ended_at, count in told:
        left += count
        if left > 0:
            return 0, ended_at + timedelta(seconds=limit.seconds) - now
    raise ValueError("a limit of no checks")


def is_alarming(ended: int, verified: int, alarm: Alarm) -> bool:
    """Whether too few are confirmed. Fewer ends than the alarm goes by tell nothing yet."""
    return ended >= alarm.of_last and verified < alarm.below * ended
