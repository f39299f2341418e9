"""iotcomms' mediaservice, by `iotcomms-mediaservice-api.md`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from contract import ANNOUNCEMENT, ATTEMPT, OTP, Case, Known, Ordered, Said, Sent, Story
from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

DOMAIN = "acme-choir.prod-eu-north-1.iotcomms.io"
TOKEN = "t0ken-of-the-api"
OTHER_SIDE = "+79157775533"
MENU = Flow("main", {"main": Menu((Prompt(text="Press 1."),), {"1": Action(Does.HANG_UP)})})
CONNECTED = replace(ANNOUNCEMENT, text=None, connect_to=OTHER_SIDE)

PATH = f"/{DOMAIN}/placeivrcall"
HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
BODY = {
    "destAddr": "sip:+79100000000@sip.acme-choir.example",
    "sipFrom": "+79580000001",
    "sessionReferenceId": {"attempt": ATTEMPT},
}


def told(known: Known, name: str, **more: Any) -> Sent:
    """A callback; `heard` when somebody has been on the line."""
    reference: dict[str, Any] = {"attempt": known.attempt_id}
    if more.pop("heard", False):
        reference["answered"] = True
    body = {
        "sessionId": f"session-{known.reference}",
        "sessionReferenceId": reference,
        "traceId": "x",
        **more,
    }
    return Sent(body=json.dumps(body).encode(), content_type="application/json", path=name)


def conversation(key: str = "") -> Callable[[Known], Sequence[Sent]]:
    def callbacks(known: Known) -> Sequence[Sent]:
        pressed = [told(known, "getIvrCommand", heard=True, dtmfParams={"dtmfMatch": key})] if key else []
        return (
            told(known, "callNotify", event="ringing", user=known.to),
            told(known, "callAnswered", remotePartyNumber=known.to, replyId="r"),
            told(known, "getIvrCommand", replyId="r"),
            *pressed,
            told(known, "callEvent", heard=True, event="callingPartyDrop"),
            told(known, "sessionCompleted", heard=True, sessionDuration=20, reason="normal"),
        )

    return callbacks


def failure(status: int, event: str = "calledPartyFailure") -> Callable[[Known], Sequence[Sent]]:
    return lambda known: (
        told(known, "callNotify", event="ringing"),
        told(known, "callEvent", event=event, sipResponseCode=status, errorDescr="x"),
        told(known, "sessionCompleted", sessionDuration=9),
    )


CASE = Case(
    kind="iotcomms",
    settings={"domain": DOMAIN, "token": TOKEN, "sip_host": "sip.acme-choir.example"},
    examples={  # what is to be heard is asked for later
        Capability.ANNOUNCE_TEXT: Ordered(ANNOUNCEMENT, PATH, BODY, HEADERS),
        Capability.ANNOUNCE_FILE: Ordered(
            replace(ANNOUNCEMENT, text=None, media="a.mp3"), PATH, BODY, HEADERS
        ),
        Capability.VOICE_OTP: Ordered(OTP, PATH, BODY, HEADERS),
        Capability.CLICK_TO_CALL: Ordered(CONNECTED, PATH, BODY, HEADERS),
        Capability.IVR: Ordered(replace(ANNOUNCEMENT, text=None, flow=MENU), PATH, BODY, HEADERS),
        Capability.RECORDING: Ordered(replace(CONNECTED, record=True), PATH, BODY, HEADERS),
    },
    accepted=Said(200, {"success": True}, Outcome.PLACED, reference=ATTEMPT),
    errors={"no success": Said(200, {"success": False}, Outcome.REFUSED, Refusal.BAD_REQUEST)},
    unclear={
        "a success that is a text": (200, {"success": "true"}),
        "a success that is a number": (200, {"success": 1}),
        "a success with an error": (200, {"success": True, "error": "timeout"}),
        "a success under 400": (400, {"success": True}),
        "no word on it": (200, {"reason": "x"}),
    },
    stories={  # "/callNotify", "/callAnswered", "/getIvrCommand", "/callEvent", "/sessionCompleted"
        "answered": Story(conversation(), Disposition.ANSWERED),
        "a key": Story(conversation("1"), Disposition.ANSWERED, keys="1"),
        "hangs up at once": Story(
            lambda known: [told(known, "callEvent", event="calledPartyDrop")], Disposition.ANSWERED
        ),
        "busy": Story(failure(486), Disposition.BUSY),
        "no answer": Story(failure(487), Disposition.NO_ANSWER),
        "unavailable": Story(failure(480), Disposition.UNAVAILABLE),
        "rejected": Story(failure(603), Disposition.REJECTED),
        "no such number": Story(failure(404), Disposition.INVALID_NUMBER),
        "congestion": Story(failure(503), Disposition.CONGESTION),
        "broken": Story(failure(488, "callingPartyFailure"), Disposition.FAILED),
        # Nobody told why: it may have been us who hung up.
        "only over": Story(lambda known: [told(known, "sessionCompleted", sessionDuration=3)], None),
    },
    unheard=lambda known: told(known, "callNotify", event="knocking"),
    unheard_ends=False,
    asks_on_the_way=True,
    fates={
        "01": Disposition.BUSY,
        "02": Disposition.NO_ANSWER,
        "03": Disposition.UNAVAILABLE,
        "04": Disposition.INVALID_NUMBER,
        "11": Disposition.CONGESTION,
        "16": Disposition.REJECTED,
    },
    refused_unsent={
        "nothing to say": (replace(ANNOUNCEMENT, text=None), Refusal.BAD_REQUEST),
        "a recorded announcement": (replace(ANNOUNCEMENT, record=True), Refusal.BAD_REQUEST),
    },
)
