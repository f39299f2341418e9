"""How an attempt advances by what its provider says about it.

Facts come twice, late and in any order. So every field of a standing only ever climbs in an order of its own
(a later state, a stronger disposition, an earlier moment, a longer duration, more keys pressed), and what results
depends on the set of facts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeVar

from dialer.lifecycle import AttemptState, Disposition

#: Which word counts when a provider says different things about how an attempt ended: the strongest. What says
#: that a person was reached comes first, so that nobody is rung again who may have picked up; then what says
#: more about the callee before what says only that it did not work.
PRECEDENCE: tuple[Disposition, ...] = (
    Disposition.ANSWERED,
    Disposition.MACHINE,
    Disposition.REJECTED,
    Disposition.BUSY,
    Disposition.NO_ANSWER,
    Disposition.INVALID_NUMBER,
    Disposition.UNAVAILABLE,
    Disposition.CANCELLED,
    Disposition.CONGESTION,
    Disposition.FAILED,
    Disposition.UNKNOWN,
)

_STRENGTH: Mapping[Disposition, int] = {item: -place for place, item in enumerate(PRECEDENCE)}
_PROGRESS: Mapping[AttemptState, int] = {
    AttemptState.SUBMITTING: 0,
    AttemptState.UNKNOWN: 1,
    AttemptState.PLACED: 2,
    AttemptState.RINGING: 3,
    AttemptState.ANSWERED: 4,
    AttemptState.ENDED: 5,
}
_REACHED = frozenset({Disposition.ANSWERED, Disposition.MACHINE})
_NEVER_AT_PROVIDER = frozenset({AttemptState.NOT_PLACED, AttemptState.REFUSED})


class FactLike(Protocol):
    """What one event or one look-up says about an attempt: it is RINGING, ANSWERED or ENDED.

    `disposition` and `hangup_cause` (Q.850) count on ENDED only; durations are seconds; `at` is UTC; `dtmf` are the
    keys pressed, in order. ENDED without a disposition says that it is over, and not how. `may_dial_again`: the end is
    that of one dial, and the provider may follow it with another. `answered_by` is the number that picked up (E.164),
    `recording_name` what it calls a recording by; each empty where it does not say.
    """

    @property
    def state(self) -> AttemptState: ...
    @property
    def disposition(self) -> Disposition | None: ...
    @property
    def hangup_cause(self) -> int | None: ...
    @property
    def at(self) -> datetime | None: ...
    @property
    def duration(self) -> float | None: ...
    @property
    def billsec(self) -> float | None: ...
    @property
    def cost(self) -> Decimal | None: ...
    @property
    def currency(self) -> str: ...
    @property
    def answered_by(self) -> str: ...
    @property
    def recording_name(self) -> str: ...
    @property
    def dtmf(self) -> str: ...
    @property
    def may_dial_again(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Standing:
    """All that is known of an attempt. `keys` are those pressed, each with its moment, so that one that is told of
    twice counts once. `dial_ended_at`: when the latest dial ended after which the provider may dial again.
    `contradicted`: its provider spoke of an attempt held as never placed."""

    state: AttemptState
    disposition: Disposition | None = None
    hangup_cause: int | None = None
    duration: float | None = None
    billsec: float | None = None
    cost: Decimal | None = None
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    dial_ended_at: datetime | None = None
    currency: str = ""
    answered_by: str = ""
    recording_name: str = ""
    contradicted: bool = False
    keys: frozenset[tuple[datetime, str]] = frozenset()

    @property
    def outcome(self) -> Disposition | None:
        """The disposition to act on: whoever has picked up was reached, whatever is said of the end.

        Keep `disposition` in the tables, not this: a stored guess would outrank the provider's later word.
        """
        if self.disposition is None or self.answered_at is None or self.disposition in _REACHED:
            return self.disposition
        return Disposition.ANSWERED


def advance(standing: Standing, facts: Iterable[FactLike]) -> Standing:
    """`standing` after `facts`, in whatever order, however often and in however many batches they come.

    A final state stays. An end that the provider may follow with another dial ends nothing. An end without a word on
    how ends only who had picked up: of anybody else the provider may still say more. Facts about an attempt held as
    NOT_PLACED or REFUSED leave its state alone and set `contradicted` (the other fields take them in), for the caller
    to settle the call.
    """
    for fact in facts:
        standing = _with(standing, fact)
    return standing


def _with(standing: Standing, fact: FactLike) -> Standing:
    told = fact.state
    if told not in (AttemptState.PLACED, AttemptState.RINGING, AttemptState.ANSWERED, AttemptState.ENDED):
        raise ValueError(f"{told} is not something a provider can report of an attempt")
    never_placed = standing.state in _NEVER_AT_PROVIDER
    is_wordless = told is AttemptState.ENDED and fact.disposition is None
    is_one_of_many = told is AttemptState.ENDED and not is_wordless and fact.may_dial_again
    shown = AttemptState.RINGING if is_wordless or is_one_of_many else told  # what ends has begun
    state = standing.state if never_placed else max(standing.state, shown, key=_PROGRESS.__getitem__)
    disposition, hangup_cause = standing.disposition, standing.hangup_cause
    dial_ended_at = standing.dial_ended_at
    cost, currency = standing.cost, standing.currency
    if fact.cost is not None:  # the currency belongs to its cost
        cost, currency = max((fact.cost, fact.currency), (fact.cost if cost is None else cost, currency))
    ringing_at, answered_at, ended_at = standing.ringing_at, standing.answered_at, standing.ended_at
    if told is AttemptState.ENDED:
        if fact.disposition is not None:
            told_ending = (fact.disposition, fact.hangup_cause)
            disposition, hangup_cause = max((disposition, hangup_cause), told_ending, key=_ending_strength)
        if is_one_of_many:
            dial_ended_at = _most(dial_ended_at, fact.at)
        else:
            ended_at = _least(ended_at, fact.at)
    elif told is AttemptState.ANSWERED:
        answered_at = _least(answered_at, fact.at)
    elif told is AttemptState.RINGING:
        ringing_at = _least(ringing_at, fact.at)
    if ended_at is not None and (answered_at is not None or state is AttemptState.ANSWERED):
        state = state if never_placed else AttemptState.ENDED
        disposition = disposition or Disposition.UNKNOWN
    return Standing(
        state=state,
        disposition=disposition,
        hangup_cause=hangup_cause,
        duration=_most(standing.duration, fact.duration),
        billsec=_most(standing.billsec, fact.billsec),
        cost=cost,
        currency=currency,
        answered_by=max(standing.answered_by, fact.answered_by),
        recording_name=max(standing.recording_name, fact.recording_name),
        ringing_at=ringing_at,
        answered_at=answered_at,
        ended_at=ended_at,
        dial_ended_at=dial_ended_at,
        contradicted=standing.contradicted or never_placed,
        keys=standing.keys | {(fact.at, fact.dtmf)} if fact.dtmf and fact.at else standing.keys,
    )


def _ending_strength(ending: tuple[Disposition | None, int | None]) -> tuple[int, int]:
    """The cause belongs to its disposition; of two causes for the same one, the higher wins, only to be definite."""
    disposition, cause = ending
    return (
        -len(PRECEDENCE) if disposition is None else _STRENGTH[disposition],
        -1 if cause is None else cause,
    )


OrderedT = TypeVar("OrderedT", float, Decimal, datetime)


def _most(one: OrderedT | None, other: OrderedT | None) -> OrderedT | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)


def _least(one: OrderedT | None, other: OrderedT | None) -> OrderedT | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
