"""iotcomms' mediaservice, by `iotcomms-mediaservice-api.md`."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from contract import ANNOUNCEMENT, ATTEMPT, OTP, Case, Known, Ordered, Said, Sent, Signing, Story, basic
from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.calls.talk import Ring, Rung, Talk
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

DOMAIN = "acme-choir.prod-eu-north-1.iotcomms.io"
TOKEN = "t0ken-of-the-api"
OTHER_SIDE = "+79157775533"
MENU = Flow("main", {"main": Menu((Prompt(text="Press 1."),), {"1": Action(Does.HANG_UP)})})
HEARD = Talk(Prompt("Your call."), Prompt(media="for_you.mp3"))
SEVERAL = Talk(ring=Ring((Rung("+79522222222"),), of_other=True))
CONNECTED = replace(ANNOUNCEMENT, text=None, connect_to=OTHER_SIDE)

PATH = f"/{DOMAIN}/placeivrcall"
HEADERS = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
BODY = {
    "destAddr": "sip:+79100000000@sip.acme-choir.example",
    "sipFrom": "+79580000001",
    "sessionReferenceId": {"attempt": ATTEMPT},
}


def told(known: Known, name: str, **more: Any) -> Sent:
    """A callback; `heard` when somebody has been on the line. A callAnswered names no session."""
    reference: dict[str, Any] = {"attempt": known.attempt_id}
    if more.pop("heard", False):
        reference["answered"] = True
    body = {
        "sessionId": f"session-{known.reference}",
        "sessionReferenceId": reference,
        "traceId": "x",
        **more,
    }
    if name == "callAnswered":
        del body["sessionId"]
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


def pair() -> tuple[str, str]:
    """A pair of keys in PEM, the private one first."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def sealed_with(public: str) -> str:
    """A token whose secret is the public key, which everybody has."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"iss": "iotcomms"}]
    told = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{told}.{encoded(hmac.digest(public.encode(), told.encode(), hashlib.sha256))}"


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@cache
def signing() -> Signing:
    """As docs/providers.md reads it: a JWT (RS256) in `Authorization`."""
    (private, public), (stranger, _) = pair(), pair()
    good = jwt.encode({"iss": "iotcomms"}, private, algorithm="RS256")
    head, _, seal = good.split(".")
    bad = {
        "nothing in it": "Bearer",
        "no token": "Bearer x.y.z",
        "another scheme": basic("iotcomms", good),
        "signed by nobody": f"Bearer {jwt.encode({'iss': 'iotcomms'}, None, algorithm='none')}",
        "signed by a stranger": f"Bearer {jwt.encode({'iss': 'iotcomms'}, stranger, algorithm='RS256')}",
        "sealed with the public key": f"Bearer {sealed_with(public)}",
        "long over": f"Bearer {jwt.encode({'exp': 1518091728}, private, algorithm='RS256')}",
        "other claims under the same seal": f"Bearer {head}.{encoded(b'{}')}.{seal}",
        "its seal cut off": f"Bearer {good[:-9]}",
        "no text": b"Bearer \xff\xfe",
    }
    return Signing(
        {"sip_host": "sip.acme-choir.example", "callback_public_key": public}, f"Bearer {good}", bad
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
        Capability.TALK_PROMPTS: Ordered(replace(CONNECTED, talk=HEARD), PATH, BODY, HEADERS),
        Capability.CONNECT_IN_TURN: Ordered(replace(CONNECTED, talk=SEVERAL), PATH, BODY, HEADERS),
    },
    accepted=Said(200, {"success": True}, Outcome.PLACED, reference=ATTEMPT),
    errors={"no success": Said(200, {"success": False}, Outcome.REFUSED, Refusal.BAD_REQUEST)},
    # "success" false is all that the document has: only a status can leave open how far it had come.
    leaves_open={"no success under 500": (500, {"success": False, "reason": "timeout"})},
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
    signing=signing,
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
