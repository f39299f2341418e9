"""The CPaaS API, by `cpaas-campaign-api.md` ("Click To Call", "One Time Password").

Of errors it prints none; what stands here is how our own first-generation API, which follows it, tells them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from contract import ANNOUNCEMENT, CODE, OTP, UNHEARD_WHEN_ASKED, Case, Known, Ordered, Said
from dialer.calls.talk import Side
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

ACCOUNT, AUTH, TEMPLATE = "account_1", "k3y-of-the-account", "AN2222314c96"
OTHER_SIDE = "+918000681234"
THEIRS = "ae63e9576e"
CONNECTED = replace(ANNOUNCEMENT, text=None, connect_to=OTHER_SIDE)
HEADERS = {"account": ACCOUNT, "auth": AUTH, "content-type": "application/json"}


def connecting(recording_option: str) -> dict[str, str]:
    return {
        "agent_number": "79100000000",
        "caller_id": "79580000001",
        "destination_number": "918000681234",
        "recording_option": recording_option,
    }


def cdr(word: str) -> Callable[[Known], Any]:
    def told(known: Known) -> Any:
        is_answered = word == "ANSWER"
        row = {
            "account_id": "ACvjfnvjnfs",
            "agent_number": "",
            "answer": "Tue, 13 Jan 2026 12:00:16 GMT" if is_answered else "Thu, 01 Jan 1970 00:00:00 GMT",
            "billsec": 7.26955 if is_answered else None,
            "call_date": "Tue, 13 Jan 2026 12:00:23 GMT",
            "call_direction": "outbound-api",
            "call_duration": 17.0311,
            "call_status": "ANSWERED" if is_answered else None,
            "caller_id": "15168148111",
            "customer_number": known.to,
            "destination_context": "local_call",
            "dial_status": word,
            "dialed_number": known.to,
            "dtmf_inputs": "19" if is_answered else "",
            "end": "Tue, 13 Jan 2026 12:00:23 GMT",
            "id": 352,
            "recording_name": "",
            "request_id": known.reference,
            "uniqueid": "1688710079.868",
        }
        return {"response": {"message": "cdr found", "result": [row], "success": "true"}}

    return told


def refused(status: int, message: str, refusal: Refusal) -> Said:
    return Said(status, {"response": {"message": message, "success": "false"}}, Outcome.REFUSED, refusal)


CASE = Case(
    kind="cpaas",
    settings={"account": ACCOUNT, "auth": AUTH, "announce_template_id": TEMPLATE},
    examples={
        Capability.VOICE_OTP: Ordered(
            replace(OTP, voice="Raveena", volume="soft", rate="slow"),
            "/outbound_call",
            {
                "customer_number": "79100000000",
                "otp": CODE,
                "announce_template_id": TEMPLATE,
                "repeat": "1",
                "caller_id": "79580000001",
                "voice": "Raveena",
                "volume": "soft",
                "rate": "slow",
                "pitch": "medium",
                "language_code": "en-US",
                "tts_engine_type": "standard",
            },
            HEADERS,
        ),
        Capability.CLICK_TO_CALL: Ordered(CONNECTED, "/click2call", connecting("off"), HEADERS),
        Capability.RECORDING: Ordered(
            replace(CONNECTED, record=True), "/click2call", connecting("both"), HEADERS
        ),
        Capability.RECORD_ONE_SIDE: Ordered(
            replace(CONNECTED, record=True, record_side=Side.AGENT),
            "/click2call",
            connecting("agent"),
            HEADERS,
        ),
        Capability.TRANSCRIPT: Ordered(
            replace(CONNECTED, transcript=True),
            "/click2call",
            connecting("off") | {"transcript": "on"},
            HEADERS,
        ),
    },
    accepted=Said(
        200, {"response": {"request_id": THEIRS, "success": "true"}}, Outcome.PLACED, reference=THEIRS
    ),
    errors={
        "no number": refused(400, "customer_number: it has too few digits.", Refusal.BAD_NUMBER),
        "another field": refused(400, "repeat must be a number from 1 to 20.", Refusal.BAD_REQUEST),
        "wrong credentials": refused(401, "The account and auth headers do not match.", Refusal.PROVIDER),
        "no such template": refused(404, "This account has no such template.", Refusal.PROVIDER),
        "nobody there can": refused(409, "No provider is set up.", Refusal.BAD_REQUEST),
        "an error under 200": refused(200, "it cannot be done", Refusal.BAD_REQUEST),
    },
    leaves_open={
        "no success under 500": (500, {"response": {"message": "internal error", "success": "false"}})
    },
    unclear={
        "a success without a request_id": (200, {"response": {"success": "true"}}),
        "an empty request_id": (200, {"response": {"request_id": "", "success": "true"}}),
        "a request_id without a success": (200, {"response": {"request_id": THEIRS}}),
        "neither success nor not": (200, {"response": {"request_id": THEIRS, "success": "perhaps"}}),
        "without its envelope": (200, {"request_id": THEIRS, "success": "true"}),
    },
    # A CDR tells how a call ended; it has no word for who declines, nor for a machine.
    looked_up={
        "01": Disposition.BUSY,
        "02": Disposition.NO_ANSWER,
        "03": Disposition.UNAVAILABLE,
        "04": Disposition.UNAVAILABLE,
        "10": None,
        "11": Disposition.CONGESTION,
        "16": Disposition.BUSY,
        "17": Disposition.CANCELLED,
    },
    told_when_asked={  # "Get CDR By Request ID", and the words of "Get Campaign CDR Statistics"
        word: cdr(word)
        for word in ("ANSWER", "BUSY", "NOANSWER", "CANCEL", "CONGESTION", "CHANUNAVAIL", "DND", "")
    }
    | {UNHEARD_WHEN_ASKED: cdr("FLOOD")},
    refused_unsent={
        "a text without a code": (ANNOUNCEMENT, Refusal.BAD_REQUEST),
        "no caller id": (replace(OTP, caller_id=""), Refusal.BAD_REQUEST),
    },
)
