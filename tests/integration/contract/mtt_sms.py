"""MTT's text messages, by `mtt-telecom-api.md` (msapi.mtt.ru)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from contract import ATTEMPT, OTP, TEXT, UNHEARD_WHEN_ASKED, Case, Known, Ordered, Said, Sent, Story, basic
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

SID, TOKEN = "accefd5c385-f2aa-3dd4-9c0b-01abf00ccfe", "t0ken-of-the-account"
MESSAGE = "msgb0789d2f-8932-400d-8768-b6c12abbb872"


def sent(known: Known, status: str, direction: str = "outbound") -> Sent:
    fields = {"account_sid": SID, "direction": direction, "from": "79587625004", "hash": "view"}
    told = {"message_sid": known.reference, "status": status, "text": TEXT, "to": known.to}
    return Sent(urlencode({**fields, **told}))


def statuses(*words: str) -> Callable[[Known], Sequence[Sent]]:
    return lambda known: [sent(known, word) for word in words]


def looked_up(status: str) -> Callable[[Known], Any]:
    """ "Для получения информации по сообщению", its example, of an outgoing message."""

    def page(known: Known) -> Any:
        message = {
            "account_sid": SID,
            "message_sid": known.reference,
            "text": TEXT,
            "created_at": 1518091728,
            "direction": "outbound",
            "number": "79587625004",
            "external_number": known.to,
            "status": status,
            "segment_count": 1,
        }
        return {"page": 1, "total": 1, "limit": 5, "offset": 0, "prev": "", "next": "", "messages": [message]}

    return page


CASE = Case(
    kind="mtt-sms",
    settings={"account_sid": SID, "token": TOKEN, "sender": "79587625004"},
    examples={
        Capability.SMS_OTP: Ordered(
            OTP,
            f"/v2/accounts/{SID}/messages",
            {"from": "79587625004", "to": "79100000000", "text": TEXT, "tag": ATTEMPT},
            {"authorization": basic(SID, TOKEN), "content-type": "application/json"},
        ),
    },
    accepted=Said(
        201,
        {
            "status_code": 201,
            "status_message": "CREATED",
            "uri": f"/v2/accounts/{SID}/messages/{MESSAGE}",
        },
        Outcome.PLACED,
        reference=MESSAGE,
    ),
    errors={  # "Для отправки сообщения", "Unsuccessful": the only one that is printed
        "400": Said(
            400,
            {
                "status_code": 400,
                "request_id": "7f4d9823-fd41-4697-ba9b-11940e7932d0",
                "error": "Invalid params: text shouldn't be empty",
            },
            Outcome.REFUSED,
            Refusal.BAD_REQUEST,
        ),
    },
    unclear={
        "created, but without an address": (201, {"status_code": 201, "status_message": "CREATED"}),
        "an address, but not created": (200, {"status_code": 202, "uri": "/v2/accounts/a/messages/msg1"}),
        "created under 400": (400, {"status_code": 201, "uri": "/v2/accounts/a/messages/msg1"}),
        "another code": (200, {"status_code": 500, "error": "Internal error"}),
    },
    stories={  # "Event уведомления"
        "answered": Story(statuses("queued", "prebilling", "sent", "delivered"), Disposition.ANSWERED),
        "on its way": Story(statuses("queued", "prebilling", "sent"), None),
        "what people write back": Story(lambda known: [sent(known, "delivered", "inbound")], None),
    },
    unheard=lambda known: sent(known, "evaporated"),
    fates={"03": None, "04": None, "11": None},
    looked_up={"03": None, "04": None, "11": None},
    told_when_asked={
        "the person has it": looked_up("delivered"),
        "it is on its way": looked_up("sent"),
        UNHEARD_WHEN_ASKED: looked_up("evaporated"),
    },
    refused_unsent={"no text": (replace(OTP, text=" "), Refusal.BAD_REQUEST)},
    tells_our_reference=False,
)
