"""The last look before a number is dialled.

The worker asks it in the same transaction that claims the call. What is final is settled before what only
waits, and a DND list comes before everything:

1. on a DND list: suppressed;
2. cancelled, or its campaign stopped or finished: ends CANCELLED;
3. past its own expiry or its campaign's end: ends EXPIRED;
4. its account disabled or its campaign not running: waits;
5. outside the calling window: waits for the next opening;
6. too many dials to this number in the last day: waits until enough of them are a day old;

and where a wait of 5 or 6 would reach past expiry or the campaign's end, it ends EXPIRED at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from zoneinfo import ZoneInfo

from dialer.calls.window import CallingWindow, WindowError, next_opening, next_opening_in_all
from dialer.lifecycle import CallState, CampaignState

#: How soon to ask again where nobody can say when the obstacle goes away.
ASK_AGAIN = timedelta(seconds=60)

#: … and where a window is never open in all zones that the callee may be in.
NO_OPENING = timedelta(days=1)

_OVER = frozenset({CampaignState.STOPPED, CampaignState.FINISHED})


class Reason(StrEnum):
    """Why a call was not dialled."""

    CANCELLED = "cancelled"
    CAMPAIGN_STOPPED = "campaign stopped"
    CAMPAIGN_ENDED = "campaign ended"
    EXPIRED = "expired"
    ACCOUNT_DISABLED = "account disabled"
    CAMPAIGN_NOT_RUNNING = "campaign not running"
    FREQUENCY_CAP = "frequency cap"
    OUTSIDE_WINDOW = "outside calling window"


@dataclass(frozen=True, slots=True)
class GateInput:
    """What is known of a call when it is about to be dialled. Instants are UTC.

    `campaign_state` and `campaign_end_at` are None for a call without a campaign, `window` is None for a call
    that is exempt, `frequency_cap` is None when there is none. `capped_until` is the moment at which enough
    earlier dials are a day old; without it a capped call asks again soon.
    """

    on_dnd: bool
    cancelled: bool
    account_enabled: bool
    campaign_state: CampaignState | None
    campaign_end_at: datetime | None
    expires_at: datetime | None
    zone: ZoneInfo
    window: CallingWindow | None
    #: Other zones that the callee may be in: the window must be open in all of them.
    other_zones: tuple[ZoneInfo, ...] = ()
    dials_in_last_day: int = 0
    frequency_cap: int | None = None
    capped_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Dial:
    """Nothing stands against it."""


@dataclass(frozen=True, slots=True)
class Suppress:
    """On a DND list: the call ends SUPPRESSED."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now; `due_at` (UTC) is the earliest moment that may be better. Costs no attempt and no repeat."""

    due_at: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class End:
    """Not any more."""

    state: CallState
    reason: Reason


Verdict: TypeAlias = Dial | Suppress | Wait | End


def check(call: GateInput, now: datetime) -> Verdict:
    """Whether the call may be dialled at `now` (UTC), and what becomes of it otherwise."""
    if call.on_dnd:
        return Suppress()
    return _why_over(call, now) or _why_wait(call, now) or Dial()


def _why_over(call: GateInput, at: datetime) -> End | None:
    if call.cancelled:
        return End(CallState.CANCELLED, Reason.CANCELLED)
    if call.campaign_state in _OVER:
        return End(CallState.CANCELLED, Reason.CAMPAIGN_STOPPED)
    return _why_expired(call, at)


def _why_expired(call: GateInput, at: datetime) -> End | None:
    if call.campaign_end_at is not None and at >= call.campaign_end_at:
        return End(CallState.EXPIRED, Reason.CAMPAIGN_ENDED)
    if call.expires_at is not None and at >= call.expires_at:
        return End(CallState.EXPIRED, Reason.EXPIRED)
    return None


def _why_wait(call: GateInput, now: datetime) -> Wait | End | None:
    if not call.account_enabled:
        return Wait(now + ASK_AGAIN, Reason.ACCOUNT_DISABLED)
    if call.campaign_state not in (None, CampaignState.RUNNING):
        # Due at once: only running campaigns release calls, so it stirs as soon as the campaign is resumed.
        return Wait(now, Reason.CAMPAIGN_NOT_RUNNING)
    opening = _opening(call, now)
    if opening > now:
        return _why_expired(call, opening) or Wait(opening, Reason.OUTSIDE_WINDOW)
    if call.frequency_cap is not None and call.dials_in_last_day >= call.frequency_cap:
        free_at = call.capped_until
        if free_at is None or free_at <= now:
            free_at = now + ASK_AGAIN
        # One that comes free at night waits for the morning at once.
        free_at = _opening(call, free_at)
        return _why_expired(call, free_at) or Wait(free_at, Reason.FREQUENCY_CAP)
    return None


def _opening(call: GateInput, after: datetime) -> datetime:
    if call.window is None:
        return after
    if not call.other_zones:
        return next_opening(call.window, call.zone, after)
    try:
        return next_opening_in_all(call.window, (call.zone, *call.other_zones), after)
    except WindowError:  # made narrower since the call was made
        return after + NO_OPENING
