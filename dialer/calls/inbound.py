"""Calls that come in: what is answered by an account's rule, and what all that is told of one amounts to.

Facts come twice, late and in any order, so all of them are kept, each once, and what results depends on the set of
them alone. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dialer.calls import talk_form
from dialer.calls.flow import Prompt
from dialer.calls.progress import PRECEDENCE
from dialer.calls.talk import PLAIN, RING_SECONDS, Rung, Talk
from dialer.lifecycle import DIAL_STATUS, AttemptState, CdrKind, Disposition
from dialer.models.inbound import InboundAction
from dialer.numbers import NumberError, to_e164
from dialer.providers.contract import Fact
from dialer.providers.live import Answer, Connect

#: After which nothing more is expected of a call that came in.
SETTLE_AFTER = timedelta(hours=4)
#: Facts kept of one call.
MOST_TOLD = 200

#: How long after the end that a provider tells of a caller's line is free.
CLEARS = timedelta(seconds=2)
#: Where no end is told: after which whoever was refused is off the line, …
HANGS_UP = timedelta(seconds=10)
#: … once they have heard what is said to them: characters of a text in a second, at the slowest, and a recorded file.
SPOKEN_IN_A_SECOND = 8
FILE_LASTS = timedelta(seconds=60)
#: … and where the provider tells how the call goes on, so that it will tell of its end, too.
LISTENS = timedelta(minutes=5)

_CONNECTS = frozenset({InboundAction.CONNECT, InboundAction.CONNECT_ALL})
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Told:
    """What a provider told of a call that came in; `at` is UTC. `asked`: it was the question what becomes of it.
    `recording` is what the provider calls a recording of it by: whoever tells that may tell it long after the end, and
    says nothing else by it."""

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
    recording: str = field(default="", repr=False)
    currency: str = ""

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
            recording=fact.recording_name,
            currency=fact.currency,
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
            *([self.recording, self.currency] if self.recording or self.currency else []),
        ]

    @classmethod
    def from_json(cls, stored: Sequence[Any]) -> Told:
        """What `to_json` wrote."""
        (
            at,
            state,
            caller,
            called,
            connected,
            disposition,
            cause,
            duration,
            billsec,
            cost,
            dtmf,
            asked,
            *more,
        ) = stored
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
            *more,
        )


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller was given when the provider asked, and by which rule, as it was then. Without a rule, or where
    nobody knew it in time, they were refused and `action` is None.

    `action` is what was done: a rule that connects with nobody who may be rung announces, or refuses. `numbers` are
    the rule's, E.164, and `seconds` for how long each of them is rung. `prompts` is what either hears when the caller
    is called back, as `talk_form.to_columns` writes it.
    """

    action: InboundAction | None = None
    account_id: str = ""
    e164: str = field(default="", repr=False)
    numbers: tuple[str, ...] = field(default=(), repr=False)
    text: str | None = None
    media: str | None = None
    language_code: str = ""
    voice: str = ""
    record: bool = False
    seconds: tuple[int, ...] = ()
    prompts: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def rung(self) -> tuple[Rung, ...]:
        """Whom they are connected with, and for how long each is rung."""
        # What was stored by a version that did not keep seconds has none.
        return tuple(map(Rung, self.numbers, self.seconds or (RING_SECONDS,) * len(self.numbers)))

    @classmethod
    def by(cls, rule: Any, answer: Answer | None = None) -> Given:
        """By a rule, a row; `answer` is what became of its own, once all that must not be rung was left out."""
        action = InboundAction(rule.action)
        if answer is not None and action in _CONNECTS and answer.connect is None:
            action = InboundAction.ANNOUNCE if answer.say else InboundAction.REFUSE
        return cls(
            action,
            rule.account_id,
            rule.e164,
            tuple(one.number for one in rung(rule)),
            rule.text,
            rule.media,
            rule.language_code,
            rule.voice,
            rule.record,
            tuple(one.seconds for one in rung(rule)),
            talk_form.to_columns(talk_back(rule))["prompts"],
        )

    def to_json(self) -> dict[str, Any]:
        """As it is stored: `prompts`, which few rules have, only where there are any."""
        stored = asdict(self)
        return stored if stored["prompts"] else {name: stored[name] for name in stored if name != "prompts"}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Given:
        """What `to_json` wrote."""
        action = stored["action"]
        return cls(
            **{
                **stored,
                "action": None if action is None else InboundAction(action),
                "numbers": tuple(stored["numbers"]),
                "seconds": tuple(stored.get("seconds", ())),
            }
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
    recording: str = field(default="", repr=False)
    currency: str = ""


def together(stored: Iterable[Told], more: Iterable[Told]) -> list[Told]:
    """All of them, each once, in the order of time."""
    return sorted({*stored, *more}, key=_place)[:MOST_TOLD]


def learned(told: Sequence[Told], facts: Iterable[Fact]) -> tuple[Told, ...]:
    """What CDRs of a call add to all that was told of it: what it cost and which recording there is, and of one whose
    end nobody has told how it ended. It is told at the time of the last that was: the clock of CDRs may be any."""
    at = max(one.at for one in told)
    is_over = any(one.state is AttemptState.ENDED and not one.recording for one in told)
    found: list[Told] = []
    for fact in facts:
        end = Told(at, AttemptState.ENDED, cost=fact.cost, currency=fact.currency)
        if not is_over:
            end = replace(
                end, disposition=fact.disposition, hangup_cause=fact.hangup_cause, billsec=fact.billsec
            )
        found.append(end)
        if fact.recording_name:
            found.append(Told(at, AttemptState.ENDED, recording=fact.recording_name))
    return tuple(found)


def summary(told: Sequence[Told], action: InboundAction | None, *, is_asked: bool) -> Summary:
    """What it amounts to. `action` is what was done with the call, None for a call without a rule; `is_asked`: the
    provider has asked, so that it is known whether somebody was rung for it at all."""
    found = _call_of([one for one in told if not one.recording] or told, action, is_asked=is_asked)
    return replace(found, recording=max(one.recording for one in told))


def _call_of(told: Sequence[Told], action: InboundAction | None, *, is_asked: bool) -> Summary:
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
        currency=max(one.currency for one in told),
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
    say = _prompts(rule.text, rule.media)
    connect = None
    if rule.action in _CONNECTS:
        numbers = rung(rule)
        connect = Connect(
            tuple(one.number for one in numbers),
            one_by_one=rule.action == InboundAction.CONNECT,
            timeout=rule.ring_seconds,
            each={one.number: one.seconds for one in numbers if one.seconds != rule.ring_seconds},
            record=rule.record,
            greeting=_prompts(rule.greeting_text, rule.greeting_media),
            hide_caller=rule.hide_caller,
            press=rule.press or "",
        )
    return Answer(
        say=say,
        connect=connect,
        refuse=not say and connect is None,
        answer_first=rule.answer_first,
        language=rule.language_code,
        voice=rule.voice,
    )


def rung(rule: Any) -> tuple[Rung, ...]:
    """Whom a rule, a row, connects with, and for how long each of them is rung."""
    return tuple(
        Rung(one["number"], one["seconds"]) if isinstance(one, dict) else Rung(one, rule.ring_seconds)
        for one in rule.numbers
    )


def talk_back(rule: Any) -> Talk:
    """What a caller who is called back by a rule, a row, and whom they are connected with hear before they talk."""
    if rule.action != InboundAction.CALL_BACK:
        return PLAIN
    caller_hears = _prompts(rule.back_text, rule.back_media)
    other_hears = _prompts(rule.greeting_text, rule.greeting_media)
    return Talk(next(iter(caller_hears), None), next(iter(other_hears), None))


def number_within(caller: str, region: str | None) -> str | None:
    """The E.164 of a caller whom the provider told of without a plus, as their number is read in a region (ISO 3166);
    None where nobody can say whose number it is."""
    if region is None:
        return None
    try:
        return to_e164(caller, region)
    except NumberError:
        return None


def line_is_free_at(told: Sequence[Told], given: Given, now: datetime) -> datetime:
    """When the line of a caller who was not connected is free: as soon as the provider has told of the end. Until then
    it is guessed, should that be never told."""
    ends = [one.at for one in told if one.state is AttemptState.ENDED]
    if ends:
        return min(max(ends), now) + CLEARS  # a clock that is fast there makes nobody wait
    last = min(max(one.at for one in told), now)
    asked = min((one.at for one in told if one.asked), default=last)
    if any(one.state is AttemptState.ANSWERED or one.at > asked for one in told if not one.asked):
        return last + LISTENS
    heard = timedelta(seconds=len(given.text or "") / SPOKEN_IN_A_SECOND)
    return last + HANGS_UP + heard + (FILE_LASTS if given.media is not None else timedelta(0))


def is_number(caller: str) -> bool:
    """Whether the caller can be called: it is E.164, and not withheld."""
    return _E164.fullmatch(caller) is not None


def _prompts(text: str | None, media: str | None) -> tuple[Prompt, ...]:
    return () if text is None and media is None else (Prompt(text, media),)


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
        "recording_name": summary.recording or None,
        "currency": summary.currency or None,
    }


def _most(told: Iterable[float | None], otherwise: float) -> float:
    """The longest that was told, else what the events' times say."""
    return max((one for one in told if one is not None), default=otherwise)


def _place(told: Told) -> tuple[datetime, str]:
    return told.at, repr(told.to_json())
