"""Mitto, by `mitto-platform-api.md`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from contract import ANNOUNCEMENT, ATTEMPT, OTP, Case, Known, Ordered, Said, Sent, Story
from dialer.calls.repeats import RepeatPolicy
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

KEY = "d8ac9959r12b43545XXXXX"
HEADERS = {"x-authorization": f"AccessKey {KEY}", "content-type": "application/json"}
SPOKEN = {
    "reference": ATTEMPT,
    "sourceAddr": "79580000001",
    "destAddr": "79100000000",
    "scenarioData": "text=Dear%20Anna%2C%20your%20code%20is%201987.",
    "language": "en-US",
    "gender": 2,
    "volume": 1,
    "rate": 2,
}
#: Those of the example in "Launching the application with repeats" that can be told apart; what is off is left out.
REPEATS = {
    "isRepeat": 1,
    "repeatBusy": 1,
    "repeatBusyCount": 10,
    "repeatBusyInt": 30,
    "repeatFailed": 1,
    "repeatFailedCount": 10,
    "repeatFailedInt": 1,
    "repeatNoAnswer": 1,
    "repeatNoAnswerCount": 10,
    "repeatNoAnswerInt": 150,
}
PLAYED = replace(ANNOUNCEMENT, text=None, media="welcome.wav")


def start(known: Known) -> Sent:
    return Sent(urlencode({"type": "startCallback", "reference": known.attempt_id}))


def end(known: Known, state: int, error: int, duration: int = 0) -> Sent:
    told = {"type": "endCallback", "reference": known.attempt_id, "state": state, "error": error}
    return Sent(urlencode({**told, "duration": duration, "appKey": KEY}))


def ending(state: int, error: int, duration: int = 0) -> Callable[[Known], Sequence[Sent]]:
    return lambda known: (start(known), end(known, state, error, duration))


def refused(status: str, refusal: Refusal) -> Said:
    return Said(200, {"status": status}, Outcome.REFUSED, refusal)


CASE = Case(
    kind="mitto",
    settings={"access_key": KEY},
    examples={
        Capability.ANNOUNCE_TEXT: Ordered(ANNOUNCEMENT, "/apps/activate", SPOKEN, HEADERS),
        Capability.ANNOUNCE_FILE: Ordered(
            PLAYED,
            "/apps/activate",
            {
                "reference": ATTEMPT,
                "sourceAddr": "79580000001",
                "destAddr": "79100000000",
                "scenarioData": "file=welcome.wav",
            },
            HEADERS,
        ),
        Capability.VOICE_OTP: Ordered(OTP, "/apps/activate", SPOKEN, HEADERS),
        Capability.REPEATS: Ordered(
            replace(ANNOUNCEMENT, repeats=RepeatPolicy.of_mitto(REPEATS)),
            "/apps/activate",
            # … of which two dials that end alike have callbacks that are alike: they are known by their reference.
            SPOKEN | REPEATS | {"reference": f"{ATTEMPT}.r"},
            HEADERS,
        ),
    },
    accepted=Said(200, {"status": "ok"}, Outcome.PLACED, reference=ATTEMPT),
    errors={  # "Response format"
        "invalidAccessKeyError": refused("invalidAccessKeyError", Refusal.PROVIDER),
        "requiredJsonError": refused("requiredJsonError", Refusal.BAD_REQUEST),
        "invalidSchemeError": refused("invalidSchemeError", Refusal.BAD_REQUEST),
        "invalidDataError": refused("invalidDataError", Refusal.BAD_REQUEST),
        "prohibitedForAppError": refused("prohibitedForAppError", Refusal.PROVIDER),
        "prohibitedForServiceError": refused("prohibitedForServiceError", Refusal.PROVIDER),
        "rpcError": Said(200, {"status": "rpcError"}, Outcome.UNKNOWN),
    },
    leaves_open={
        "rpcError": (200, {"status": "rpcError"}),
        "rpcError under 400": (400, {"status": "rpcError"}),
    },
    unclear={
        "a word that is not documented": (200, {"status": "prettyGood"}),
        "a status that is no string": (200, {"status": ["ok"]}),
        "an internal error under 400": (400, {"status": "rpcError"}),
        "ok under 400": (400, {"status": "ok"}),
        "ok in capitals": (200, {"status": "OK"}),
    },
    stories={
        "answered": Story(ending(2, 0, 12), Disposition.ANSWERED),
        "busy": Story(ending(5, 17), Disposition.BUSY),
        "no answer": Story(ending(5, 16), Disposition.NO_ANSWER),
        "unavailable": Story(ending(5, 19), Disposition.UNAVAILABLE),
        "congestion": Story(ending(5, 34), Disposition.CONGESTION),
        "no speech": Story(ending(5, 1002), Disposition.FAILED),
        "no such number": Story(ending(5, 1), Disposition.INVALID_NUMBER),
        "rejected": Story(ending(5, 21), Disposition.REJECTED),
        "a machine": Story(ending(5, 99, 12), Disposition.MACHINE),
        "blacklisted": Story(ending(5, 98), Disposition.CANCELLED),
        "begun": Story(lambda known: (start(known),), None),
    },
    unheard=lambda known: end(known, 7, 7777),
    fates={
        "01": Disposition.BUSY,
        "02": Disposition.NO_ANSWER,
        "03": Disposition.UNAVAILABLE,
        "04": Disposition.INVALID_NUMBER,
        "11": Disposition.CONGESTION,
        "16": Disposition.REJECTED,
        "17": Disposition.FAILED,
        "20": Disposition.MACHINE,
    },
    refused_unsent={
        "a language that Mitto does not speak": (
            replace(ANNOUNCEMENT, language="xx-XX"),
            Refusal.BAD_REQUEST,
        ),
        "no caller id": (replace(ANNOUNCEMENT, caller_id=""), Refusal.BAD_REQUEST),
    },
)
