"""What may be answered to iotcomms' questions, by "Response Schema" of "/getIvrCommand", "/callEvent" and "/newCall"
(`iotcomms-mediaservice-api.md`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COMMAND_FIELDS = {
    *(
        "sessionId",
        "sessionReferenceId",
        "dtmf",
        "phrases",
        "backgroundPrompt",
        "bargeIn",
        "recordedCallback",
    ),
    *("hangup", "getIVRCommandAfter", "replyId"),
}
DTMF_FIELDS = {"flush", "encryption", "maxDigits", "firstTimeout", "betweenTimeout", "terminationKey"}
BACKGROUND_FIELDS = {"fileName", "url", "repeatPause", "stop"}
PHRASE_FIELDS = {
    *(
        "format",
        "region",
        "awsTTSParameters",
        "googleTTSParameters",
        "cacheTimeToLive",
        "refreshCache",
        "fileName",
    ),
}
ACTION_FIELDS = {
    *("action", "callerPrivacy", "callRecording", "contactParameters", "contactUserParameters", "destAddr"),
    *(
        "displayName",
        "dropCode",
        "greeting",
        "maxRingTime",
        "monitorDestAddr",
        "monitorPHeaders",
        "monitorXHeaders",
    ),
    *("pHeaders", "ringbackTone", "recordingFileName", "participantId", "sessionReferenceId", "sipDiversion"),
    *("sipDiversionParameters", "sipFrom", "sipPAI", "sipRPID", "sipTo", "codec", "receiveIp", "receivePort"),
    *("xHeaders", "copyHeaders", "monitorSipFrom"),
}
#: `httpcall` needs a device, and none is played.
ACTIONS = ("drop", "ivr", "call", "connect")
DROP_CODES = ("busy", "error", "numberNotFound", "numberNotActive", "dropNoMsg", "temporarilyUnavailable")


def said(phrase: Mapping[str, Any]) -> str:
    """A phrase as it is heard: the text, or the file's name."""
    return str(phrase["awsTTSParameters"]["Text"] if phrase["format"] == "awstts" else phrase["fileName"])


def wrong_command(answer: Mapping[str, Any]) -> str:
    """The field that is wrong with the answer to a getIvrCommand; empty when none is."""
    phrases, dtmf = answer.get("phrases", []), answer.get("dtmf", {})
    background = answer.get("backgroundPrompt", {})
    times = ("maxDigits", "firstTimeout", "betweenTimeout")
    checks = {
        "another field": not answer.keys() - COMMAND_FIELDS,
        "phrases": isinstance(phrases, list) and all(map(is_phrase, phrases)),
        "dtmf": isinstance(dtmf, dict)
        and not dtmf.keys() - DTMF_FIELDS
        and all(is_number(dtmf.get(name, 1)) for name in times),
        "backgroundPrompt": isinstance(background, dict) and not background.keys() - BACKGROUND_FIELDS,
        "bargeIn": answer.get("bargeIn", "all") in ("all", "current"),
        "hangup": isinstance(answer.get("hangup", False), bool),
        "getIVRCommandAfter": is_number(answer.get("getIVRCommandAfter", 0)),
        "sessionReferenceId": isinstance(answer.get("sessionReferenceId", {}), dict),
    }
    return next((name for name, is_right in checks.items() if not is_right), "")


def wrong_action(answer: Mapping[str, Any], question: str) -> str:
    """What is wrong with the answer to a callEvent or a newCall, as `error` says it; empty when nothing is."""
    action, address = answer.get("action"), answer.get("destAddr")
    if action is None:
        without = {"newCall": "newCall response without action"}
        return without.get(question, "No action provided in callEvent response")
    if action == "call" and not is_sip_address(address):
        return f"Invalid sip address: {address}"
    is_right = (
        action in ACTIONS
        and not answer.keys() - ACTION_FIELDS
        and isinstance(answer.get("sessionReferenceId", {}), dict)
        and answer.get("dropCode", "busy") in DROP_CODES
        and is_number(answer.get("maxRingTime", 1))
        and is_greeting(answer.get("greeting", {}))
        and (action != "connect" or isinstance(answer.get("participantId"), str))
        and isinstance(answer.get("callerPrivacy", False), bool)
    )
    return "" if is_right else f"{question} response with unknown action"


def is_sip_address(address: object) -> bool:
    """Whether it is `sip:user@host`."""
    if not isinstance(address, str) or not address.startswith("sip:"):
        return False
    user, at, host = address.removeprefix("sip:").partition("@")
    return bool(user and at and host) and not any(c.isspace() for c in address)


def is_phrase(phrase: object) -> bool:
    """Whether it is one of `phrases`: a file, or a text with the parameters that speaking it needs."""
    if not isinstance(phrase, dict) or phrase.keys() - PHRASE_FIELDS:
        return False
    if phrase.get("format") == "file":
        return isinstance(phrase.get("fileName"), str) and bool(phrase["fileName"])
    spoken = phrase.get("awsTTSParameters")
    needed = ("Text", "VoiceId", "OutputFormat")
    return phrase.get("format") == "awstts" and isinstance(spoken, dict) and all(map(spoken.get, needed))


def is_greeting(greeting: object) -> bool:
    """Whether it is a `greeting`, with phrases for one side or both."""
    if not isinstance(greeting, dict) or greeting.keys() - {"playMode", "caller", "callee"}:
        return False
    sides = [greeting[side] for side in ("caller", "callee") if side in greeting]
    return all(
        isinstance(side, dict)
        and isinstance(side.get("phrases"), list)
        and all(map(is_phrase, side["phrases"]))
        for side in sides
    )


def is_number(value: object) -> bool:
    """Whether it is a number from 0 up."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
