"""Calls to the numbers that an account has at MTT (`mtt-telecom-api.md`, `getControlCallFollowMe` and "Events").

MTT asks at the address that is set with `updateCallControlURL` what becomes of a call, and tells at the `event_URL` of
the answer how it goes on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dialer.calls.flow import Prompt
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.contract import EventError, Fact, Inbound, RawEvent, json_object
from dialer.providers.live import Answer, Asks, Connect, Question, Response, heard_in
from dialer.providers.mtt_voice import CAUSES, utc_of
from dialer.providers.reading import digits

METHOD = "getControlCallFollowMe"
SESSION = "h323_conf_id"  # of a question and of its events

#: `redirect_type`.
SINGLE, ONE_BY_ONE, ALL_AT_ONCE = 1, 2, 3
YES = "Y"  # `event_extended`, `masking`, `answer`; without a word MTT does as for N

#: "Типы событий": every type, with what it says. Side B is rung (o), answers (s), hears a prompt (sp, ep), talks (t).
TYPES: Mapping[str, AttemptState] = {
    "o": AttemptState.RINGING,
    "s": AttemptState.ANSWERED,
    "sp": AttemptState.ANSWERED,
    "ep": AttemptState.ANSWERED,
    "t": AttemptState.ANSWERED,
    "h": AttemptState.ENDED,
}
PROMPTS = ("sp", "ep")
CALLER_SIDE = "A"  # `side`; the prompt before anybody is rung

CLEARED = 16  # `cause`: of a talk that is over, and of a caller who has hung up before

#: `data`: "event=o_79684881033_2019-05-23-15-15-19", perhaps with "&cause=16"; the time is Moscow's.
_DATA = re.compile(r"(?:event=)?([a-z]{1,2})_[^_&]*_([0-9-]+)(?:&cause=([0-9]{1,3}))?")


def is_question(raw: RawEvent) -> bool:
    """Whether a callback asks what becomes of a call that comes in."""
    return METHOD.encode() in raw.body and (json_object(raw.body) or {}).get("method") == METHOD


def read_question(raw: RawEvent) -> Question | None:
    """See "Пример POST запроса к API клиента"; None when it asks nothing. Raises EventError."""
    if not is_question(raw):
        return None
    asked = json_object(raw.body) or {}
    params = asked.get("params")
    told = params if isinstance(params, dict) else {}
    called, caller, session = (_said(told.get(name)) for name in ("sip_id", "numberA", SESSION))
    if not called or not session:
        raise EventError(f"{METHOD} does not say which number is called, or which call it is")
    return Question(
        Asks.INBOUND,
        session=checked_session(session),
        caller=e164(caller),
        called=e164(called),
        own={"id": asked.get("id")},
    )


def write_answer(question: Question, answer: Answer) -> Response:
    """See "Пример ответа от API клиента" and "Отбой входящего вызова". MTT plays one recorded file of its own to each
    side and speaks no text; who is not connected with anybody hears it and is hung up on. Not sent: `sip_id`, which the
    question tells, and `client_id`, as `h323_conf_id` names the call in every event."""
    connect = answer.connect
    if connect is None or not connect.numbers:
        result = {"redirect_type": SINGLE, "followme_struct": [1, [{"ACTIVE": "N"}]]}
    else:
        result = {
            "redirect_type": redirect_type(connect),
            "followme_struct": [len(connect.numbers), redirections(connect)],
        }
    if answer.callback_url:
        result["event_URL"] = answer.callback_url
        result["event_extended"] = YES
    played = None if answer.refuse else file_of(answer.say)
    if played is not None:
        result["file_to_A"] = played
        if answer.answer_first:  # else it is played before the answer, which is what MTT does unless told
            result["answer"] = YES
    if connect is not None and connect.numbers:
        if (greeted := file_of(connect.greeting)) is not None:
            result["file_to_B"] = greeted
        if connect.hide_caller:
            result["masking"] = YES
    written = {"jsonrpc": "2.0", "id": question.own.get("id"), "result": result}
    return Response(json.dumps(written, ensure_ascii=False).encode())


def check_inbound(answer: Answer) -> list[str]:
    """What of an answer this structure has no place for: texts, and a recording."""
    say, connect = answer.say, answer.connect
    spoken = {
        "play instead of say": say,
        "greet_play instead of greet_say": heard_in(replace(answer, say=())),
    }
    problems = [
        "MTT plays files to callers and speaks no texts: upload a recorded one there (createCustomerPrompt), or have "
        f"it make one of the text (createSpokenPrompt), and give its file_id with {mend}."
        for mend, prompts in spoken.items()
        if any(one.text for one in prompts)
    ]
    if connect is not None and connect.record:
        problems.append("MTT records no calls that come in: leave out record.")
    return problems


def redirect_type(connect: Connect) -> int:
    """Whether one number is rung, several in turn, or several at once."""
    if len(connect.numbers) == 1:
        return SINGLE
    return ONE_BY_ONE if connect.one_by_one else ALL_AT_ONCE


def redirections(connect: Connect) -> list[dict[str, str]]:
    """`followme_struct`, all of the numbers, each to be rung at any time."""
    return [
        {
            "I_FOLLOW_ORDER": str(order),
            "ACTIVE": "Y",
            "NAME": digits(number),
            "REDIRECT_NUMBER": digits(number),
            "PERIOD": "always",
            "PERIOD_DESCRIPTION": "always",
            "TIMEOUT": str(connect.seconds_of(number)),
            **({"DTMF": connect.press} if connect.press else {}),
        }
        for order, number in enumerate(connect.numbers, 1)
    ]


def file_of(prompts: Sequence[Prompt]) -> str | None:
    """`file_to_A` and `file_to_B`: the first recorded file of what is to be said, its `file_id` at MTT."""
    return next((prompt.media for prompt in prompts if prompt.media), None)


def inbound_fact(fields: Mapping[str, str], received_at: datetime) -> Fact:
    """An event of a call that came in. Raises EventError."""
    kind, cause, side = _event(fields)
    written = _DATA.match(fields.get("data", "").strip())
    kind = kind or (written[1] if written else "")
    state = TYPES.get(kind)
    if state is None:
        raise EventError("the callback's event is not one that MTT documents")
    if kind in PROMPTS and side == CALLER_SIDE:
        state = AttemptState.RINGING
    # The examples' `date_time` is now and then hours off, and stands still while `data` goes on.
    at = (utc_of(written[2]) if written else None) or _unix(fields.get("date_time", "")) or received_at
    disposition, hangup_cause = None, None
    if state is AttemptState.ENDED:
        disposition, hangup_cause = ending(cause or (written[3] if written else None) or "")
    return Fact(
        attempt_id="",
        state=state,
        disposition=disposition,
        hangup_cause=hangup_cause,
        is_unheard_of=disposition is Disposition.UNKNOWN and hangup_cause is None,
        at=at,
        duration=None,
        billsec=None,
        cost=None,
        inbound=Inbound(
            session=checked_session(fields[SESSION]),
            caller=e164(fields.get("numberA", "")),
            called=e164(fields.get("sip_id", "")),
            connected=e164(fields.get("redirect_number", "")),
        ),
    )


def ending(cause: str) -> tuple[Disposition | None, int | None]:
    """How it ended with whoever was rung, by the ISUP code. A normal end says nothing of whether they had answered, as
    does one without a cause; a cause outside the table is UNKNOWN."""
    if cause in ("", "null"):
        return None, None
    code = int(cause) if re.fullmatch(r"[0-9]{1,3}", cause) else -1
    if code == CLEARED:
        return None, code
    disposition = CAUSES.get(code)
    return (Disposition.UNKNOWN, None) if disposition is None else (disposition, code)


def e164(number: str) -> str:
    """A number as MTT tells it, "it may be +7/8/7 and 10 digits": E.164 with the plus, or what was told."""
    number = number.strip()
    plain = number.removeprefix("+")
    if not (plain.isascii() and plain.isdigit()) or len(plain) > 15:
        return number[:64]
    if number.startswith("8") and len(plain) == 11:  # as it is dialled within Russia
        return f"+7{plain[1:]}"
    is_whole = number.startswith("+") or (len(plain) >= 11 and plain[0] != "0")
    return f"+{plain}" if is_whole else number


def _event(fields: Mapping[str, str]) -> tuple[str, str, str]:
    """Type, cause and side. The examples have them in an object, `event`; the tables have `event=h`, and `cause` and
    `side` as parameters beside it."""
    event = fields.get("event", "")
    told = json_object(event.encode("utf-8", "replace"))
    if told is None:
        told = {"type": event}
    within = {name: str(value).strip() for name, value in told.items() if type(value) in (str, int)}
    cause, side = (within.get(name) or fields.get(name, "").strip() for name in ("cause", "side"))
    return within.get("type", ""), cause, side


def _unix(date_time: str) -> datetime | None:
    if not re.fullmatch(r"[0-9]{1,11}", date_time.strip()):
        return None
    return datetime.fromtimestamp(int(date_time), UTC)


def _said(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def checked_session(session: str) -> str:
    """MTT's name for a call, with one blank between its parts. Raises EventError."""
    session = " ".join(session.split())
    if not session or len(session) > 64 or not session.isascii() or not session.isprintable():
        raise EventError("the callback's call is not one of MTT's")
    return session
