"""Mitto's flash calls, by `mitto-flashcall-api.md`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from contract import OTP, Case, Known, Ordered, Said, Sent, Story
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

TOKEN = "d8ac9959r12b43545XXXXX"


def status(word: str) -> Callable[[Known], Sequence[Sent]]:
    def callbacks(known: Known) -> Sequence[Sent]:
        fields = {"requestId": known.reference, "number": known.to, "status": word}
        return (Sent(urlencode({**fields, "timestamp": 1768305600, "appKey": TOKEN})),)

    return callbacks


def refused(http_status: int, code: int, reason: str, refusal: Refusal) -> Said:
    return Said(http_status, {"errorCode": code, "errorReason": reason}, Outcome.REFUSED, refusal)


CASE = Case(
    kind="mitto-flash",
    settings={"token": TOKEN},
    examples={
        Capability.FLASH_OTP: Ordered(
            OTP,
            "/apps/flash/calls/flash",
            {"number": "79100000000", "code": 1987, "timeout": 60000},
            {"authorization": f"Basic {TOKEN}", "content-type": "application/json"},
        ),
    },
    accepted=Said(200, {"requestId": 184467, "from": "79179136787"}, Outcome.PLACED, reference="184467"),
    errors={  # "Description of error codes"; 4 is 429, which every kind is asked for
        "1": refused(401, 1, "Authentication required", Refusal.PROVIDER),
        "2": refused(400, 2, "Inactive account", Refusal.PROVIDER),
        "5": refused(401, 5, "Inactive token", Refusal.PROVIDER),
        "6": refused(403, 6, "Insufficient funds", Refusal.PROVIDER),
        "10": refused(400, 10, "Invalid request", Refusal.BAD_REQUEST),
        "11": refused(400, 11, "Invalid number", Refusal.BAD_NUMBER),
        "16": refused(400, 16, "Sender not allowed", Refusal.PROVIDER),
        "4": Said(429, {"errorCode": 4, "errorReason": "Too many requests"}, Outcome.NOT_PROCESSED),
        "6 under 200": refused(200, 6, "Insufficient funds", Refusal.PROVIDER),
        "11 under 200": refused(200, 11, "Invalid number", Refusal.BAD_NUMBER),
        "5 under 400": refused(400, 5, "Inactive token", Refusal.PROVIDER),
        "11 under 422": refused(422, 11, "Invalid number", Refusal.BAD_NUMBER),
        "4 under 403": Said(403, {"errorCode": 4, "errorReason": "Too many requests"}, Outcome.NOT_PROCESSED),
        "4 under 200": Said(200, {"errorCode": 4, "errorReason": "Too many requests"}, Outcome.NOT_PROCESSED),
        "rpcError": Said(200, {"status": "rpcError"}, Outcome.UNKNOWN),
    },
    unclear={
        "an error beside a reference": (200, {"requestId": 1, "errorCode": 10}),
        "a reference under 400": (400, {"requestId": 184467}),
        "ok without a reference": (200, {"status": "ok"}),
        "a reference that is none": (200, {"requestId": {"id": 1}}),
        "an error that is not documented": (200, {"errorCode": 99, "errorReason": "Bad luck"}),
    },
    stories={  # "Statuses comparison"
        "answered": Story(status("ANSWERED"), Disposition.ANSWERED),
        "not picked up": Story(status("TERMINATED"), Disposition.ANSWERED),
        "declined": Story(status("BUSY_HERE"), Disposition.ANSWERED),
        "cannot be made": Story(status("REJECTED"), Disposition.FAILED),
        "unavailable": Story(status("UNAVAILABLE"), Disposition.UNAVAILABLE),
        "forbidden": Story(status("FORBIDDEN"), Disposition.CANCELLED),
    },
    unheard=lambda known: status("VAPORIZED")(known)[0],
    fates={
        "01": Disposition.FAILED,
        "03": Disposition.UNAVAILABLE,
        "04": Disposition.FAILED,
        "11": Disposition.FAILED,
        "17": Disposition.CANCELLED,
    },
    refused_unsent={
        "a code of five digits": (replace(OTP, code="19870"), Refusal.BAD_REQUEST),
        "no code": (replace(OTP, code=None), Refusal.BAD_REQUEST),
    },
    tells_our_reference=False,
)
