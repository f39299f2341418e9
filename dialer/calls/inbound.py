"""Calls that come in: what is answered by an account's rule, and what all that is told of one amounts to.

Facts come twice, late and in any order, so all of them are kept, each once, and what results depends on the set of
them alone. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dialer.calls.flow import Prompt
from dialer.calls.progress import PRECEDENCE
from dialer.lifecycle import DIAL_STATUS, AttemptState, CdrKind, Disposition
from dialer.models.inbound import InboundAction
from dialer.numbers import NumberError, to_e164
from dialer.providers.contract import Fact
from dialer.providers.live import Answer, Connect

#: After which nothing more is expected of a call that came in.
SETTLE_AFTER = timedelta(hours=4)
#: Facts kept of one call.
MOST_TOLD = 200

#: After which whoever was refused is off the line, …
HANGS_UP = timedelta(seconds=10)
#: … once they have heard what is said to them: characters of a text in a second, at the slowest, and a recorded file.
SPOKEN_IN_A_SECOND = 8
FILE_LASTS = timedelta(seconds=60)

_CONNECTS = frozenset({InboundAction.CONNECT, InboundAction.CONNECT_ALL})
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider told of a call that came in; `at` is UTC. `asked`: it was the question what becomes of it."""

    at: datetime
    state: AttemptState
    caller: str = field(default="", repr=False)
    called: str = field(default="", repr=False)
    connected: str = field(default="", repr=False)
    disposition: Disposition | None = None
    hangup_cause: int | None = None
    duration: float | None = None
    billsec: float | None = None
    cost: Decimal | None = None
    dtmf: str = field(default="", repr=False)
    asked: bool = False

    @classmethod
    def of(cls, fact: Fact) -> Told:
        """A fact about a call that came in."""
        inbound = fact.inbound
        assert inbound is not None  # noqa: S101 - the caller has looked
        return cls(
            fact.at,
            fact.state,
            inbound.caller,
            inbound.called,
            inbound.connected,
            fact.disposition,
            fact.hangup_cause,
            fact.duration,
            fact.billsec,
            fact.cost,
            fact.dtmf,
        )

    def to_json(self) -> list[Any]:
        """As it is stored."""
        return [
            self.at.astimezone(UTC).isoformat(),
            self.state.value,
            self.caller,
            self.called,
            self.connected,
            None if self.disposition is None else self.disposition.value,
            self.hangup_cause,
            self.duration,
            self.billsec,
            None if self.cost is None else str(self.cost),
            self.dtmf,
            self.asked,
        ]

    @classmethod
    def from_json(cls, stored: Sequence[Any]) -> Told:
        """What `to_json` wrote."""
        at, state, caller, called, connected, disposition, cause, duration, billsec, cost, dtmf, asked = (
            stored
        )
        return cls(
            datetime.fromisoformat(at),
            AttemptState(state),
            caller,
            called,
            connected,
            None if disposition is None else Disposition(disposition),
            cause,
            duration,
            billsec,
            None if cost is None else Decimal(cost),
            dtmf,
            asked,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What all that was told amounts to. `is_over`: so far as is known, nobody is on the line any more."""

    is_over: bool
    disposition: Disposition
    started_at: datetime
    ended_at: datetime
    answered_at: datetime | None = None
    hangup_cause: int | None = None
    duration: float | None = None
    billsec: float | None = None
    cost: Decimal | None = None
    caller: str = field(default="", repr=False)
    called: str = field(default="", repr=False)
    connected: str = field(default="", repr=False)
    keys: str = field(default="", repr=False)


def together(stored: Iterable[Told], more: Iterable[Told]) -> list[Told]:
    """All of them, each once, in the order of time."""
    return sorted({*stored, *more}, key=_place)[:MOST_TOLD]


def summary(told: Sequence[Told], action: InboundAction | None, *, is_asked: bool) -> Summary:
    """What it amounts to. `action` is what was done with the call, None for a call without a rule; `is_asked`: the
    provider has asked, so that it is known whether somebody was rung for it at all."""
    facts = [one for one in told if not one.asked]
    started, last = min(one.at for one in told), max(one.at for one in told)
    ends = [one for one in facts if one.state is AttemptState.ENDED]
    answers = [one for one in facts if one.state is AttemptState.ANSWERED]
    if is_asked and action not in _CONNECTS:
        # Nobody was rung, so nothing but what was played is told of it, if anything.
        disposition = Disposition.ANSWERED if action is InboundAction.ANNOUNCE else Disposition.REJECTED
        return _summary(told, disposition, started, last, answers, is_over=True)
    ended = max((one.at for one in ends), default=last)
    is_over = bool(ends) and all(one.at <= ended for one in facts)
    if answers:
        return _summary(told, Disposition.ANSWERED, started, ended, answers, is_over=is_over)
    worded = [one.disposition for one in ends if one.disposition is not None]
    # A normal end before anybody has answered: the caller did not wait.
    disposition = min(worded, key=PRECEDENCE.index) if worded else Disposition.CANCELLED
    if not ends:
        disposition = Disposition.UNKNOWN
    return _summary(told, disposition, started, ended, answers, is_over=is_over)


def _summary(
    told: Sequence[Told],
    disposition: Disposition,
    started: datetime,
    ended: datetime,
    answers: Sequence[Told],
    *,
    is_over: bool,
) -> Summary:
    answered = min((one.at for one in answers), default=None)
    talked = [one for one in answers if one.connected] or [one for one in told if one.connected]
    causes = [one.hangup_cause for one in told if one.hangup_cause is not None]
    return Summary(
        is_over=is_over,
        disposition=disposition,
        started_at=started,
        ended_at=ended,
        answered_at=answered,
        hangup_cause=16 if answered is not None and causes else max(causes, default=None),
        duration=_most((one.duration for one in told), (ended - started).total_seconds()),
        billsec=_most(
            (one.billsec for one in told),
            max(0.0, (ended - answered).total_seconds()) if answered is not None else 0.0,
        ),
        cost=max((one.cost for one in told if one.cost is not None), default=None),
        caller=next((one.caller for one in told if one.caller), ""),
        called=next((one.called for one in told if one.called), ""),
        connected=talked[-1].connected if talked else "",
        keys="".join(one.dtmf for one in told),
    )


def cdr(call: Any, summary: Summary) -> dict[str, Any]:
    """The CDR of a call that came in; `call` is its row. Its id stands where an attempt's does: it has none."""
    return {
        "account_id": call.account_id,
        "campaign_id": None,
        "list_id": None,
        "call_id": call.id,
        "attempt_id": call.id,
        "kind": CdrKind.INBOUND.value,
        "campaign_type": None,
        "provider_id": call.provider_id,
        "provider_reference": call.session,
        "dialled_at": summary.started_at,
        **_told_columns(summary),
    }


def correction(call: Any, summary: Summary) -> dict[str, Any]:
    """The columns of such a CDR that a later word of the provider may change."""
    return {"_id": call.id, **_told_columns(summary)}


def answer(rule: Any | None) -> Answer:
    """What a rule, a row, answers; without one a call is refused."""
    if rule is None:
        return Answer(refuse=True)
    say = (Prompt(rule.text, rule.media),) if rule.text is not None or rule.media is not None else ()
    connect = None
    if rule.action in _CONNECTS:
        connect = Connect(
            tuple(rule.numbers),
            one_by_one=rule.action == InboundAction.CONNECT,
            timeout=rule.ring_seconds,
            record=rule.record,
        )
    return Answer(
        say=say,
        connect=connect,
        refuse=not say and connect is None,
        language=rule.language_code,
        voice=rule.voice,
    )


def number_within(caller: str, region: str | None) -> str | None:
    """The E.164 of a caller whom the provider told of without a plus, as their number is read in a region (ISO 3166);
    None where nobody can say whose number it is."""
    if region is None:
        return None
    try:
        return to_e164(caller, region)
    except NumberError:
        return None


def off_the_line(rule: Any, asked_at: datetime) -> datetime:
    """When somebody who is not connected has hung up, so that their line is free: not every provider tells. `rule` is
    the row that was answered by."""
    heard = timedelta(seconds=len(rule.text or "") / SPOKEN_IN_A_SECOND)
    return asked_at + HANGS_UP + heard + (FILE_LASTS if rule.media is not None else timedelta(0))


def is_number(caller: str) -> bool:
    """Whether the caller can be called: it is E.164, and not withheld."""
    return _E164.fullmatch(caller) is not None


def _told_columns(summary: Summary) -> dict[str, Any]:
    return {
        "e164": summary.called[:16],
        "caller_id": summary.caller,
        "connect_to": summary.connected[:16] or None,
        "disposition": summary.disposition.value,
        "dial_status": DIAL_STATUS[summary.disposition].value,
        "hangup_cause": summary.hangup_cause,
        "answered_at": summary.answered_at,
        "ended_at": summary.ended_at,
        "call_date": summary.ended_at,
        "duration": summary.duration,
        "billsec": summary.billsec,
        "cost": summary.cost,
        "dtmf_inputs": summary.keys,
    }


def _most(told: Iterable[float | None], otherwise: float) -> float:
    """The longest that was told, else what the events' times say."""
    return max((one for one in told if one is not None), default=otherwise)


def _place(told: Told) -> tuple[datetime, str]:
    return told.at, repr(told.to_json())
