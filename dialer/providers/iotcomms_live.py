"""iotcomms' callbacks that wait for an answer, and the reference that travels with a call
(`iotcomms-mediaservice-api.md`).

`newCall` asks what becomes of a call that came in, `getIvrCommand` what whoever is on the line is to hear, and
`callEvent` what becomes of the one who is left when the other has gone. An answer that is more than one of them can
take is told step by step: what is still to come travels as `then` in the reference, and settles the next question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from xml.sax.saxutils import escape

from dialer.calls.flow import Prompt
from dialer.providers.contract import EventError, json_object
from dialer.providers.live import Answer, Asks, Collect, Connect, Question, Response
from dialer.providers.reading import checked_reference

#: "/callEvent", `event`: all of it.
DROPS = frozenset({"callingPartyDrop", "calledPartyDrop"})
FAILURES = frozenset({"callingPartyFailure", "calledPartyFailure"})
SPLITS = frozenset({"callerConnectionSplit", "calleeConnectionSplit"})
CALL_EVENTS = DROPS | FAILURES | SPLITS

#: "/newCall", `dropCode`, for a call that is refused: the number "is defined but not active".
REFUSED = "numberNotActive"
#: … and for one that is over: "without any special message".
OVER = "dropNoMsg"

#: Seconds between two keys of a number that is asked for.
BETWEEN_KEYS = 3

#: Amazon Polly's voices speak one language each. A text in another language than the voice that is the default of the
#: campaign API is read by one that speaks it.
DEFAULT_VOICE = "Joanna"
VOICE_BY_LANGUAGE: Mapping[str, str] = {
    "arb": "Zeina",
    "ca-ES": "Arlet",
    "cmn-CN": "Zhiyu",
    "cy-GB": "Gwyneth",
    "da-DK": "Naja",
    "de-DE": "Vicki",
    "en-AU": "Nicole",
    "en-GB": "Amy",
    "en-IN": "Raveena",
    "es-ES": "Lucia",
    "es-MX": "Mia",
    "es-US": "Penelope",
    "fr-CA": "Chantal",
    "fr-FR": "Celine",
    "hi-IN": "Aditi",
    "is-IS": "Dora",
    "it-IT": "Bianca",
    "ja-JP": "Mizuki",
    "ko-KR": "Seoyeon",
    "nb-NO": "Liv",
    "nl-NL": "Lotte",
    "pl-PL": "Ewa",
    "pt-BR": "Camila",
    "pt-PT": "Ines",
    "ro-RO": "Carmen",
    "ru-RU": "Tatyana",
    "sv-SE": "Astrid",
    "tr-TR": "Filiz",
}
#: SSML's words for how something is said, without `medium`.
MANNERS: Mapping[str, frozenset[str]] = {
    "volume": frozenset({"silent", "x-soft", "soft", "loud", "x-loud"}),
    "rate": frozenset({"x-slow", "slow", "fast", "x-fast"}),
    "pitch": frozenset({"x-low", "low", "high", "x-high"}),
}
_LANGUAGE_BY_LOWER = {language.lower(): language for language in VOICE_BY_LANGUAGE}

#: Characters of the user part of an address.
LONGEST_USER = 64

#: Of an answer: how it is spoken.
SPOKEN = ("language", "voice", "volume", "rate", "pitch")

_KEYS = re.compile(r"[0-9A-D*#]{1,64}")
_NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")


@dataclass(frozen=True, slots=True)
class Reference:
    """What travels as `sessionReferenceId`, "retained for the session and passed in subsequent requests".

    `attempt_id` is empty of a call that came in. `answered`: somebody has heard, or been asked, something.
    `connected`: they have been given to somebody else. `then` is what is still to come of an answer.
    """

    attempt_id: str = ""
    answered: bool = False
    connected: bool = False
    then: Answer | None = None
    state: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is sent; what is not so is left out."""
        told: dict[str, Any] = {
            "attempt": self.attempt_id,
            "inbound": not self.attempt_id,
            "answered": self.answered,
            "connected": self.connected,
            "then": None if self.then is None else _packed(self.then),
            "state": dict(self.state),
        }
        return {name: value for name, value in told.items() if value}


def read_reference(value: object) -> Reference:
    """What came back, as an object or as its text; of a call that came in, nothing may have been sent yet.

    Raises EventError for what is not ours.
    """
    if isinstance(value, str):
        inner = json_object(value.encode("utf-8", "replace"))
        if inner is None and value:
            return Reference(checked_reference(value))
        value = inner
    if value is None or value == {}:
        return Reference()
    if not isinstance(value, dict) or not ({"attempt", "inbound"} & value.keys()):
        raise EventError("the callback's sessionReferenceId is not ours")
    attempt, state = value.get("attempt", ""), value.get("state")
    if not isinstance(attempt, str):
        raise EventError("the callback's reference is not one of ours")
    return Reference(
        attempt_id=checked_reference(attempt) if attempt else "",
        answered=value.get("answered") is True,
        connected=value.get("connected") is True,
        then=_unpacked(value.get("then")),
        state=state if isinstance(state, dict) else {},
    )


# --- questions -----------------------------------------------------------------------------------------------


def read_question(name: str, body: Mapping[str, Any]) -> Question | None:
    """The question that a callback of this name asks; None where it asks nothing. Raises EventError."""
    if name == "newCall":
        session, caller, called = (text_in(body, key) for key in ("sessionId", "callingParty", "calledParty"))
        return Question(Asks.INBOUND, session, caller=as_told(caller), called=as_number(called))
    if name == "getIvrCommand":
        reference = read_reference(body.get("sessionReferenceId"))
        return replace(
            _question(Asks.COMMAND, body, reference), keys=keys_pressed(body), settled=reference.then
        )
    if name == "callEvent":
        reference = read_reference(body.get("sessionReferenceId"))
        return replace(
            _question(Asks.LEFT, body, reference), settled=_settled(reference, text_in(body, "event"))
        )
    return None


def keys_pressed(body: Mapping[str, Any]) -> str:
    """The keys of a getIvrCommand: those that matched what was asked for, else the buffer's, which every question of
    ours flushes; a key that ended them alone counts as itself."""
    params = body.get("dtmfParams")
    matched = params if isinstance(params, dict) else {}
    for value in (matched.get("dtmfMatch"), body.get("dtmfBuffer"), matched.get("matchedTerminationKey")):
        if isinstance(value, str) and _KEYS.fullmatch(value):
            return value
    return ""


def text_in(body: Mapping[str, Any], name: str) -> str:
    """A text of a callback; empty where it has none, or something else."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def as_number(user: str) -> str:
    """The user part of an address of ours, which is E.164: with the plus where it is a number, and as it was told
    otherwise; empty where that could not be kept."""
    return f"+{user.removeprefix('+')}" if _NUMBER.fullmatch(user) else as_told(user)


def as_told(user: str) -> str:
    """The user part of a caller's address as it was told; empty where that could not be kept. Whoever hands on calls
    writes there what they will: digits without a plus may be a number as it is dialled in one country only."""
    return user if len(user) <= LONGEST_USER and user.isprintable() else ""


def _question(asks: Asks, body: Mapping[str, Any], reference: Reference) -> Question:
    own = {
        "answered": reference.answered,
        "connected": reference.connected,
        "replyId": text_in(body, "replyId"),
    }
    session = text_in(body, "sessionId")
    return Question(asks, session, reference.attempt_id, state=reference.state, own=own)


def _settled(reference: Reference, event: str) -> Answer | None:
    """The answer to a callEvent that an earlier answer has settled.

    The prompts are the calling party of a call that we placed, and the called one of a call that came in. When they
    have gone, the other is connected as was promised; when the other has gone, there is nobody to connect. Whom we
    connect with is the called party always: when they cannot be reached, the next is.
    """
    if reference.then is None or reference.then.connect is None or event in SPLITS:
        return None
    promised = replace(reference.then, say=(), collect=None)
    if reference.connected:
        return promised if event == "calledPartyFailure" else None
    prompts = "callingPartyDrop" if reference.attempt_id else "calledPartyDrop"
    return promised if event == prompts else Answer(state=reference.state)


# --- answers -------------------------------------------------------------------------------------------------


def write_answer(question: Question, answer: Answer, settings: Mapping[str, str]) -> Response:
    """See "/getIvrCommand", "/callEvent" and "/newCall", "Response Schema"."""
    answer = question.settled or answer
    write = _command if question.asks is Asks.COMMAND else _action
    return Response(json.dumps(write(question, answer, settings)).encode())


def _command(question: Question, answer: Answer, settings: Mapping[str, str]) -> dict[str, Any]:
    """The prompts hang up when they are done unless keys are waited for: whom to connect with is asked after that."""
    then = replace(answer, say=(), collect=None) if answer.connect is not None else None
    body: dict[str, Any] = {
        "sessionId": question.session,
        "sessionReferenceId": Reference(
            question.attempt_id, answered=True, then=then, state=answer.state
        ).to_json(),
        "phrases": [phrase(prompt, answer) for prompt in answer.say],
        "hangup": answer.collect is None,
    }
    if reply_id := question.own.get("replyId"):
        body["replyId"] = reply_id
    background = settings.get("background_prompt", "").strip()
    if answer.collect is not None:
        body["bargeIn"] = "all"
        body["dtmf"] = {
            "flush": True,
            "maxDigits": answer.collect.digits,
            "firstTimeout": answer.collect.timeout,
            "betweenTimeout": min(BETWEEN_KEYS, answer.collect.timeout),
        }
        if background:
            body["backgroundPrompt"] = {"fileName": background}
            body["getIVRCommandAfter"] = answer.collect.timeout
    elif background:
        body["backgroundPrompt"] = {"stop": True}
    return body


def _action(question: Question, answer: Answer, settings: Mapping[str, str]) -> dict[str, Any]:
    answered = question.own.get("answered") is True
    reference = Reference(question.attempt_id, answered=answered, state=answer.state)
    if answer.say or answer.collect is not None:
        # There is no place for prompts here: who is connected with the prompts asks for a command.
        asked = replace(reference, then=answer)
        return {"action": "ivr", "sessionReferenceId": asked.to_json()}
    if answer.connect is not None and answer.connect.numbers:
        return _call(question, answer, answer.connect, reference, settings)
    refused = question.asks is Asks.INBOUND and answer.refuse
    return {
        "action": "drop",
        "dropCode": REFUSED if refused else OVER,
        "sessionReferenceId": reference.to_json(),
    }


def _call(
    question: Question, answer: Answer, connect: Connect, reference: Reference, settings: Mapping[str, str]
) -> dict[str, Any]:
    """One number at a time: the document does not say what several at once are."""
    first, *others = connect.numbers
    rest = replace(answer, connect=replace(connect, numbers=tuple(others))) if others else None
    body: dict[str, Any] = {
        "action": "call",
        "destAddr": sip_uri(first, settings),
        "maxRingTime": connect.timeout,
        "ringbackTone": "default",
        "sessionReferenceId": replace(reference, connected=True, then=rest).to_json(),
    }
    if sip_from := connect.caller_id or settings.get("sip_from", "").strip():
        body["sipFrom"] = sip_from
    if connect.greeting:
        phrases = [phrase(prompt, answer) for prompt in connect.greeting]
        body["greeting"] = {"playMode": "calleeFirst", "callee": {"phrases": phrases}}
    if connect.record:
        body["callRecording"] = True
        body["recordingFileName"] = recording_name(question.attempt_id or question.session)
    return body


def phrase(prompt: Prompt, spoken: Answer) -> dict[str, Any]:
    """One of `phrases`: a file of the prompt storage, or a text in the parameters of Amazon Polly, as `spoken` says."""
    if prompt.media is not None:
        return {"format": "file", "fileName": prompt.media}
    language = polly_language(spoken.language)
    text = prompt.text or ""
    manner = manner_of(spoken)
    parameters = {
        "Text": f"<speak><prosody {manner}>{escape(text)}</prosody></speak>" if manner else text,
        "OutputFormat": "pcm",
        "VoiceId": polly_voice(spoken.voice, language),
        "LanguageCode": language,
    }
    return {"format": "awstts", "awsTTSParameters": parameters | ({"TextType": "ssml"} if manner else {})}


def manner_of(spoken: Answer) -> str:
    """Volume, rate and pitch as SSML has them, which are the words of the campaign API; `medium`, and a word that is
    none of them, is left to the voice."""
    told = {"volume": spoken.volume, "rate": spoken.rate, "pitch": spoken.pitch}
    plain = {name: "".join(word.split()).lower() for name, word in told.items()}
    return " ".join(f'{name}="{word}"' for name, word in plain.items() if word in MANNERS[name])


def polly_language(language: str) -> str:
    """A language as Amazon Polly writes it, from any case, with `_` or `-`."""
    wanted = language.strip().replace("_", "-")
    known = _LANGUAGE_BY_LOWER.get(wanted.lower())
    first, dash, region = wanted.partition("-")
    return known or f"{first.lower()}{dash}{region.upper()}"


def polly_voice(voice: str, language: str) -> str:
    """A voice as Amazon Polly writes it; for the default one, one that speaks the language."""
    name = "".join(voice.split()).title() or DEFAULT_VOICE
    return VOICE_BY_LANGUAGE.get(language, name) if name == DEFAULT_VOICE else name


def sip_uri(number: str, settings: Mapping[str, str]) -> str:
    """The address of a number."""
    return f"sip:{number}@{settings['sip_host'].strip()}"


def recording_name(reference: str) -> str:
    """How a recording is called in the prompt storage."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '', reference)[:64]}.mp3"


# --- an answer that is still to come -------------------------------------------------------------------------


def _packed(answer: Answer) -> dict[str, Any]:
    connect, collect = answer.connect, answer.collect
    told: dict[str, Any] = {
        "say": _packed_prompts(answer.say),
        "collect": None if collect is None else [collect.digits, collect.timeout],
        "connect": None if connect is None else _packed_connect(connect),
        "state": dict(answer.state),
        **{name: getattr(answer, name) for name in SPOKEN},
    }
    return {name: value for name, value in told.items() if value}


def _packed_prompts(prompts: tuple[Prompt, ...]) -> list[dict[str, str | None]]:
    return [{"text": one.text} if one.media is None else {"media": one.media} for one in prompts]


def _packed_connect(connect: Connect) -> dict[str, Any]:
    return {
        "numbers": list(connect.numbers),
        "timeout": connect.timeout,
        "caller_id": connect.caller_id,
        "record": connect.record,
        "greeting": _packed_prompts(connect.greeting),
    }


def _unpacked(told: object) -> Answer | None:
    """None for what we have not packed."""
    if not isinstance(told, dict):
        return None
    spoken: dict[str, Any] = {name: told.get(name) for name in SPOKEN}
    state = told.get("state", {})
    if not isinstance(state, dict) or not all(isinstance(word, str) for word in spoken.values()):
        return None
    return Answer(
        say=_unpacked_prompts(told.get("say")),
        collect=_unpacked_collect(told.get("collect")),
        connect=_unpacked_connect(told.get("connect")),
        state=state,
        **spoken,
    )


def _unpacked_prompts(told: object) -> tuple[Prompt, ...]:
    every = told if isinstance(told, list) else []
    return tuple(prompt for one in every if (prompt := _unpacked_prompt(one)) is not None)


def _unpacked_prompt(told: object) -> Prompt | None:
    match told:
        case {"text": str() as text}:
            return Prompt(text=text)
        case {"media": str() as media}:
            return Prompt(media=media)
    return None


def _unpacked_collect(told: object) -> Collect | None:
    match told:
        case [int() as digits, int() as timeout]:
            return Collect(digits, timeout)
    return None


def _unpacked_connect(told: object) -> Connect | None:
    match told:
        case {
            "numbers": [*numbers],
            "timeout": int() as timeout,
            "caller_id": str() as caller_id,
            "record": bool() as record,
            "greeting": greeting,
        } if all(isinstance(number, str) for number in numbers):
            return Connect(
                tuple(numbers),
                timeout=timeout,
                caller_id=caller_id,
                record=record,
                greeting=_unpacked_prompts(greeting),
            )
    return None
