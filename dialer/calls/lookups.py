"""When an attempt whose end nobody has told is looked up at its provider, and when it is settled as unknown.

An attempt has one time at which it is due (`settle_at`). When that comes its provider is asked, if it can be, and a
later time is set; the steps between grow with the attempt's age. Once the last time has passed it is settled.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

#: Between two look-ups of an attempt lies a fourth of its age, so that an end is known soon, beside how long the call
#: took; at least and at most so much.
LEAST, MOST = timedelta(seconds=5), timedelta(minutes=15)
#: How long a provider is asked after the time in which it should have told, unless its kind says otherwise.
ASKED_FOR = timedelta(hours=2)
#: How long the answer to the last look-up is waited for.
ANSWER_WITHIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long after its submit an attempt without a final event is due for the first time, and how long for the last
    one; `can_ask`: its provider can be asked then."""

    first: timedelta
    last: timedelta
    can_ask: bool = False


def patience(
    final_event_within: timedelta,
    *,
    can_ask: bool,
    look_up_after: timedelta | None = None,
    asked_for: timedelta = ASKED_FOR,
    reconcile_after: timedelta | None = None,
) -> Patience:
    """The patience with attempts of a kind of provider; `reconcile_after`, where set, ends it.

    Who can be asked is asked first after `look_up_after`, else after `final_event_within`, and for `asked_for` after
    that. Who cannot be asked is settled after `final_event_within`.
    """
    if not can_ask:
        alone = reconcile_after or final_event_within
        return Patience(alone, alone)
    first = look_up_after or final_event_within
    if reconcile_after is None:
        return Patience(first, final_event_within + asked_for, can_ask=True)
    return Patience(min(first, reconcile_after / 2), reconcile_after, can_ask=True)


def next_due(submitted_at: datetime, due_at: datetime, now: datetime, how_long: Patience) -> datetime | None:
    """When an attempt that was due at `due_at`, and is looked up at `now`, is due again. None: it is not looked up any
    more but settled.

    What counts is when it was due: after hours in which nothing ran, an attempt is looked up before it is settled.
    """
    last = submitted_at + how_long.last
    if not how_long.can_ask or due_at > last:
        return None
    step = min(max((now - submitted_at) / 4, LEAST), MOST)
    if now + step < last:
        return now + step
    if now + LEAST <= last:
        return last
    return max(now, last) + ANSWER_WITHIN
