"""iotcomms' callbacks that wait for an answer (`iotcomms-mediaservice-api.md`).

`newCall` asks what becomes of a call that came in (`getCallIdentifier` where it goes to the prompts at once),
`getIvrCommand` what whoever is on the line is to hear, and `callEvent` what becomes of the one who is left when the
other has gone, or of each of two who have been parted. An answer that is more than one of them can
take is told step by step: what is still to come travels as `then` in the reference, and settles the next question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.sax.saxutils import escape

from dialer.calls.flow import Prompt
from dialer.providers.iotcomms_reference import Reference, read_reference
from dialer.providers.iotcomms_settings import shown_as
from dialer.providers.live import Answer, Asks, Connect, Question, Response

#: "/callEvent", `event`: all of it.
DROPS = frozenset({"callingPartyDrop", "calledPartyDrop"})
FAILURES = frozenset({"callingPartyFailure", "calledPartyFailure"})
SPLITS = frozenset({"callerConnectionSplit", "calleeConnectionSplit"})
CALL_EVENTS = DROPS | FAILURES | SPLITS

#: "/newCall", `dropCode`, for a call that is refused: the number "is defined but not active".
REFUSED = "numberNotActive"
#: … and for one that is over: "without any special message".
OVER = "dropNoMsg"

#: How the name of a recording ends.
RECORDING = ".mp3"

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

_KEYS = re.compile(r"[0-9A-D*#]{1,64}")
_NUMBER = re.compile(r"\+?[1-9][0-9]{6,14}")
_SURE = re.compile(r"\+[1-9][0-9]{6,14}")


# --- questions -----------------------------------------------------------------------------------------------


def read_question(name: str, body: Mapping[str, Any]) -> Question | None:
    """The question that a callback of this name asks; None where it asks nothing. Raises EventError."""
    if name in ("newCall", "getCallIdentifier"):
        session, called = text_in(body, "sessionId"), text_in(body, "calledParty")
        own = {
            "secret": body.get("callingPartyPrivacy") == "secret",
            "identifier": name == "getCallIdentifier",
        }
        return Question(Asks.INBOUND, session, caller=caller_in(body), called=as_number(called), own=own)
    if name == "getIvrCommand":
        reference = read_reference(body.get("sessionReferenceId"))
        return replace(
            _question(Asks.COMMAND, body, reference), keys=keys_pressed(body), settled=reference.then
        )
    if name == "callEvent":
        reference = read_reference(body.get("sessionReferenceId"))
        event, participant = text_in(body, "event"), text_in(body, "participantId")
        is_parted = event in SPLITS
        return replace(
            _question(Asks.LEFT, body, reference),
            settled=_settled(reference, event),
            # "… the action provided in the response is applied on the remaining party. For /splitconnection one event
            # is sent per connection participant and action applies for the participant."
            party=participant if is_parted else text_in(body, "remoteParticipantId"),
            gone="" if is_parted else participant,
            is_parted=is_parted,
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


def caller_in(body: Mapping[str, Any]) -> str:
    """Who calls in, as it was told; by `paiNumber`, "the E.164-number presented in the SIP PAI header", where that
    alone shows the country code."""
    told, asserted = text_in(body, "callingParty"), text_in(body, "paiNumber")
    is_national = not told.startswith("+") and told.isascii() and told.isdigit()
    return as_told(asserted if is_national and _SURE.fullmatch(asserted) else told)


def _question(asks: Asks, body: Mapping[str, Any], reference: Reference) -> Question:
    own = {
        "answered": reference.answered,
        "connected": reference.connected,
        "secret": reference.is_secret,
        "replyId": text_in(body, "replyId"),
    }
    session = text_in(body, "sessionId") or reference.session
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
    """See "/getIvrCommand", "/callEvent", "/newCall" and "/getCallIdentifier", "Response Schema"."""
    answer = question.settled or answer
    write = _command if question.asks is Asks.COMMAND else _action
    if question.own.get("identifier") is True:
        write = _identifier
    return Response(json.dumps(write(question, answer, settings)).encode())


def _command(question: Question, answer: Answer, settings: Mapping[str, str]) -> dict[str, Any]:
    """The prompts hang up when they are done unless keys are waited for: whom to connect with is asked after that."""
    then = replace(answer, say=(), collect=None) if answer.connect is not None else None
    # One session has one reference: while somebody waits, two others of it may talk.
    others_talk = question.own.get("connected") is True and answer.collect is not None
    reference = replace(_reference(question, answer), answered=True, connected=others_talk, then=then)
    body: dict[str, Any] = {
        "sessionId": question.session,
        "sessionReferenceId": reference.to_json(),
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


def _identifier(question: Question, answer: Answer, settings: Mapping[str, str]) -> dict[str, Any]:
    """See "/getCallIdentifier": the prompts have the call, so all that is wanted of it is still to come. Of a number
    that gives nothing there is none: it cannot be refused here, and is hung up when the prompts ask."""
    if answer.refuse:
        return {"sessionId": question.session}
    reference = replace(_reference(question, answer), then=answer)
    return {"sessionId": question.session, "sessionReferenceId": reference.to_json()}


def _reference(question: Question, answer: Answer) -> Reference:
    answered, is_secret = (question.own.get(name) is True for name in ("answered", "secret"))
    session = "" if question.attempt_id else question.session
    return Reference(
        question.attempt_id, answered=answered, is_secret=is_secret, session=session, state=answer.state
    )


def _action(question: Question, answer: Answer, settings: Mapping[str, str]) -> dict[str, Any]:
    reference = _reference(question, answer)
    if answer.join:
        joined = replace(reference, connected=True)
        return {
            "action": "connect",
            "participantId": answer.join,
            "sessionReferenceId": joined.to_json(),
        }
    if answer.say or answer.collect is not None:
        # There is no place for prompts here: who is connected with the prompts asks for a command.
        asked = replace(reference, then=answer)
        return _with_reference({"action": "ivr"}, question, asked)
    if answer.connect is not None and answer.connect.numbers:
        return _call(question, answer, answer.connect, reference, settings)
    refused = question.asks is Asks.INBOUND and answer.refuse
    drop = {"action": "drop", "dropCode": REFUSED if refused else OVER}
    return _with_reference(drop, question, reference)


def _with_reference(action: dict[str, Any], question: Question, reference: Reference) -> dict[str, Any]:
    """An action and what travels with the session from then on. Of two who are parted only who is called on has
    something that travels: the other one's answer may come last, and a session has one reference."""
    return action if question.is_parted else {**action, "sessionReferenceId": reference.to_json()}


def _call(
    question: Question, answer: Answer, connect: Connect, reference: Reference, settings: Mapping[str, str]
) -> dict[str, Any]:
    """One number at a time: the document does not say what several at once are."""
    first, *others = connect.numbers
    rest = replace(answer, connect=replace(connect, numbers=tuple(others))) if others else None
    body: dict[str, Any] = {
        "action": "call",
        "destAddr": sip_uri(first, settings),
        "maxRingTime": connect.seconds_of(first),
        "ringbackTone": "default",
        "sessionReferenceId": replace(reference, connected=True, then=rest).to_json(),
    }
    if sip_from := connect.caller_id or settings.get("sip_from", "").strip():
        body["sipFrom"] = sip_from
    if sip_from or question.attempt_id:
        body |= shown_as(settings)
    elif reference.is_secret:
        body["callerPrivacy"] = True  # else the number "should be copied from the inbound leg"
    if connect.hide_caller:
        body["callerPrivacy"] = True
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
    """The address of a number, or of an extension, which has no plus."""
    host = settings["sip_host"] if number.startswith("+") else settings.get("extension_host", "")
    return f"sip:{number}@{(host.strip() or settings['sip_host'].strip())}"


def recording_name(reference: str) -> str:
    """How a recording is called in the prompt storage."""
    return f"{re.sub(r'[^A-Za-z0-9_-]', '', reference)[:64]}{RECORDING}"
