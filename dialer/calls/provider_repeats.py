"""Repeats that a provider makes by itself, by a policy that it was given with the call.

Nothing calls them back once the provider has them, so they are handed over only where all of them, at their longest,
fit into what holds at the moment of dialling; what does not fit is dialled once, and our own policy repeats it. All of
these are pure functions; docs/repeat-policy.md tells what they mean for people.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dialer.calls import repeats
from dialer.calls.repeats import RepeatPolicy
from dialer.calls.window import CallingWindow, closing
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.contract import Fact

#: How long one dial lasts at most until it has its end, whether nobody picks up or somebody does. No document says it.
RINGS, TALKS = timedelta(minutes=5), timedelta(minutes=15)

#: Whose word, at every provider, can only be read in one way; any other end a provider may count to an outcome that is
#: not ours: a number that does not exist is to some a failed call.
_PLAIN = frozenset({Disposition.ANSWERED, Disposition.BUSY, Disposition.NO_ANSWER})

#: Two ends that are told of within this time, or within the delay before a repeat, are those of one dial.
ONE_DIAL = timedelta(seconds=10)


def over_within(policy: RepeatPolicy) -> timedelta:
    """How long after the submit the last dial is over at the latest, every repeat of every rule being made."""
    repeated = (
        rule.times * (TALKS if disposition in repeats.ANSWERED else RINGS)
        + sum((rule.delay_of(repeat) for repeat in range(rule.times)), timedelta(0))
        for disposition, rule in policy.rules.items()
    )
    return sum(repeated, RINGS)


def fits(
    policy: RepeatPolicy, window: CallingWindow, zone: ZoneInfo, end_at: datetime, now: datetime
) -> bool:
    """Whether a call dialled at `now`, when the window is open, and all its repeats are over before the window closes
    and the campaign ends. Instants are UTC."""
    over_at = now + over_within(policy)
    closes_at = closing(window, zone, now)
    return over_at <= end_at and (closes_at is None or over_at <= closes_at)


def over_at(attempt: Any) -> datetime:
    """When the last dial of an attempt, a row, is over at the latest, where its provider repeats it; else the moment of
    its submit."""
    submitted_at: datetime = attempt.submitted_at
    policy = handed_over(attempt)
    return submitted_at if policy is None else submitted_at + over_within(policy)


def handed_over(attempt: Any) -> RepeatPolicy | None:
    """The policy that the provider was given with this attempt, a row; None when it dials it once."""
    stored: Mapping[str, Any] | None = attempt.provider_repeats
    return None if stored is None else repeats.stored(stored)


def may_dial_again(policy: RepeatPolicy, disposition: Disposition) -> bool:
    """Whether a provider that was given this policy may dial again after a dial that ended so."""
    if disposition in _PLAIN:
        rule = policy.rule_of(disposition)
        return rule is not None and rule.times > 0
    return policy.times > 0


def last_end(policy: RepeatPolicy, ends: Collection[Fact]) -> Fact | None:
    """The end after which the provider dials no more, of all that were told of: the one for whose outcome every repeat
    has been made. None while there may be another dial, or where words that may be any outcome leave it open."""
    counted: dict[Disposition, list[datetime]] = {}
    for end in sorted(ends, key=lambda end: end.at):
        rule = policy.rule_of(end.disposition) if end.disposition in _PLAIN else None
        if end.disposition is None or rule is None or not rule.times:
            continue
        of_this = counted.setdefault(end.disposition, [])
        apart = max(rule.delay_of(max(0, len(of_this) - 1)), ONE_DIAL)
        if of_this and end.at - of_this[-1] < apart:
            continue  # told twice
        of_this.append(end.at)
        if len(of_this) > rule.times:
            return end
    return None


def heard(attempt: Any, told: Sequence[Fact], before: Sequence[Fact] = ()) -> Sequence[Fact]:
    """What an attempt's provider told, where it told `before` what is known already: an end that it may follow with
    another dial is marked as such, and the last one is added as what it is."""
    policy = handed_over(attempt)
    if policy is None:
        return told
    marked = [
        replace(fact, may_dial_again=True)
        if (is_end(fact) and may_dial_again(policy, fact.disposition or Disposition.UNKNOWN))
        else fact
        for fact in told
    ]
    last = last_end(policy, [fact for fact in (*before, *told) if is_end(fact)])
    return marked if last is None else [*marked, last]


def is_end(fact: Fact) -> bool:
    """Whether it tells how a dial ended."""
    return fact.state is AttemptState.ENDED and fact.disposition is not None


def due_at(attempt: Any, told: Sequence[Fact]) -> datetime | None:
    """When an attempt, a row, is settled unless more is told of it, now that the provider has told of the end of a
    dial: the next one begins after its delay, and is over when the longest is. None: as before."""
    policy = handed_over(attempt)
    ends = [fact for fact in told if is_end(fact)]
    known: datetime | None = attempt.settle_at
    if policy is None or not ends or known is None:
        return None
    due = max(end.at + _pause(policy, end.disposition) + TALKS for end in ends)
    return min(due, known) if attempt.dial_ended_at is None else max(due, known)


def _pause(policy: RepeatPolicy, disposition: Disposition | None) -> timedelta:
    """The longest that the provider waits after an end before it dials again."""
    rules = list(policy.rules.values())
    if disposition in _PLAIN:
        rules = [rule for rule in [policy.rule_of(disposition)] if rule is not None]
    delays = [rule.delay_of(repeat) for rule in rules for repeat in range(rule.times)]
    return max(delays, default=timedelta(0))
