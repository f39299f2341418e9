"""MTT's informing by voice, by `mtt-telecom-api.md` (sb-api.mtt.ru)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from contract import ANNOUNCEMENT, ATTEMPT, HOOK, OTP, TEXT, Case, Known, Ordered, Said, Sent, Story, basic
from dialer.calls.flow_form import parse
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

HEADERS = {"authorization": basic("voice-user", "voice-pass"), "content-type": "application/json"}
SPOKEN: dict[str, Any] = {
    "method": "inform-acme",
    "data": {
        "messId": ATTEMPT,
        "sip_id": "79581112233",
        "a_number": "79580000001",
        "b_number": "79100000000",
        "messText": TEXT,
        "langCode": "en-US",
        "voice_name": "oksana",
        "speed_speech": 1.0,
    },
}
FLOW = parse(
    {
        "first": "main",
        "menus": {
            "main": {
                "prompts": [{"text": "Press 1, or 3 for an operator."}],
                "keys": {"1": {"does": "notify"}, "3": {"does": "transfer", "number": "+74997090111"}},
                "repeats": 1,
            }
        },
    }
)
ASKED = {
    "method": "ivr-api",
    "data": {
        **SPOKEN["data"],
        "messText": "Press 1, or 3 for an operator. Press 1, or 3 for an operator.",
        "dtmf": [
            {"dtmf_id": "1", "type": "notify", "value": HOOK},
            {"dtmf_id": "3", "type": "transfer", "value": "74997090111"},
        ],
    },
}
AT = "2026-01-13-15-00-0{}"  # Moscow time


def told(known: Known, second: int, event: str, **more: str) -> dict[str, str]:
    return {
        "date_time": AT.format(second),
        "id": known.attempt_id,
        "CallID": known.reference,
        "event": event,
        **more,
    }


def as_json(fields: dict[str, str]) -> Sent:
    return Sent(body=json.dumps(fields).encode(), content_type="application/json")


def as_string(fields: dict[str, str]) -> Sent:
    return Sent(body=json.dumps({urlencode(fields): ""}).encode(), content_type="application/json")


def ending(cause: int, listened: int = 0) -> Callable[[Known], Sequence[Sent]]:
    def callbacks(known: Known) -> Sequence[Sent]:
        return (
            as_json(told(known, 0, f"o_{known.to}")),
            as_string(told(known, 9, f"h_{known.to}_{cause}_{listened}")),
        )

    return callbacks


def pressed(known: Known) -> Sequence[Sent]:
    """Two keys that are told of, and one that leads to an operator."""
    return (
        as_json(told(known, 0, f"o_{known.to}")),
        as_json(told(known, 2, f"n_{known.to}", dtmf="1", type="notify")),
        as_json(told(known, 4, "o_74997090111", dtmf="3", type="transfer")),
        as_json(told(known, 7, "h_74997090111_16_3", dtmf="3", type="transfer")),
        as_json(told(known, 9, f"h_{known.to}_16_9")),
    )


def refused(error: str, refusal: Refusal) -> Said:
    answer = {"result": {"success": 0, "error": error}, "id": ATTEMPT, "CallID": "0a1b2c3d4e5f6071"}
    return Said(200, answer, Outcome.REFUSED, refusal)


CASE = Case(
    kind="mtt-voice",
    settings={
        "username": "voice-user",
        "password": "voice-pass",
        "method": "inform-acme",
        "sip_id": "79581112233",
    },
    examples={
        Capability.ANNOUNCE_TEXT: Ordered(ANNOUNCEMENT, "/", SPOKEN, HEADERS),
        Capability.VOICE_OTP: Ordered(OTP, "/", SPOKEN, HEADERS),
        Capability.IVR: Ordered(replace(ANNOUNCEMENT, text=None, flow=FLOW), "/", ASKED, HEADERS),
    },
    accepted=Said(
        200,
        {"result": {"success": 1}, "id": ATTEMPT, "CallID": "0a1b2c3d4e5f6071"},
        Outcome.PLACED,
        reference="0a1b2c3d4e5f6071",
    ),
    errors={  # "Variants of an unsuccessful reply"
        "b_number": refused('"b_number" should be in e164 format', Refusal.BAD_NUMBER),
        "a_number": refused('"a_number" should be in e164 format', Refusal.BAD_REQUEST),
        "messId": refused('"messId" not found in request body', Refusal.BAD_REQUEST),
        "notify": refused('"notify" value is not allowed', Refusal.BAD_REQUEST),
        "access forbidden": Said(200, {"message": "access forbidden"}, Outcome.REFUSED, Refusal.PROVIDER),
        "Forbidden": Said(
            200,
            b'{\n  {"result": {"success": 0, "error": "Forbidden"}, "id": "1", "CallID": "2"}\n}',
            Outcome.REFUSED,
            Refusal.PROVIDER,
        ),
    },
    unclear={
        "success with an error": (200, {"result": {"success": 1, "error": "Forbidden"}, "id": ATTEMPT}),
        "success under 400": (400, {"result": {"success": 1}, "id": ATTEMPT, "CallID": "1"}),
        "an error that is not documented": (200, {"result": {"success": 0, "error": "Overload"}}),
        "half a success": (200, {"result": {"success": 0.5}}),
        "no number": (200, {"result": {"success": True, "error": "Forbidden"}}),
    },
    stories={  # "Online notifications", "Event notifications"
        "answered": Story(ending(16, 12), Disposition.ANSWERED),
        "busy": Story(ending(17), Disposition.BUSY),
        "no answer": Story(ending(19), Disposition.NO_ANSWER),
        "unavailable": Story(ending(20), Disposition.UNAVAILABLE),
        "rejected": Story(ending(21), Disposition.REJECTED),
        "no such number": Story(ending(1), Disposition.INVALID_NUMBER),
        "congestion": Story(ending(34), Disposition.CONGESTION),
        "broken": Story(ending(127), Disposition.FAILED),
        "over, and nobody listened": Story(ending(16), Disposition.UNKNOWN),
        "keys": Story(pressed, Disposition.ANSWERED, keys="13"),
    },
    unheard=lambda known: as_json(told(known, 9, f"h_{known.to}_777_0")),
    fates={
        "01": Disposition.BUSY,
        "02": Disposition.NO_ANSWER,
        "03": Disposition.UNAVAILABLE,
        "04": Disposition.INVALID_NUMBER,
        "11": Disposition.CONGESTION,
        "16": Disposition.REJECTED,
        "17": Disposition.FAILED,
    },
    refused_unsent={
        "a number of ten digits": (replace(ANNOUNCEMENT, to="+7910000000"), Refusal.BAD_NUMBER),
        "a recorded file": (replace(ANNOUNCEMENT, text=None, media="a.wav"), Refusal.BAD_REQUEST),
    },
)
