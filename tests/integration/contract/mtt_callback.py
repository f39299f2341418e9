"""MTT's CallBack, by `mtt-telecom-api.md` ("Услуга CallBack API", webapicommon.mtt.ru)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from contract import ANNOUNCEMENT, ATTEMPT, HOOK, Case, Known, Ordered, Said, Sent, Story, basic
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

LOGIN = ("callback-user", "callback-pass")
THEIRS = "1256ffb10774226b390ad1a2bc892c9c"
OTHER_SIDE = "+79157775533"
CONNECTED = replace(ANNOUNCEMENT, text=None, connect_to=OTHER_SIDE)
HEADERS = {"authorization": basic(*LOGIN), "content-type": "application/json"}


def ordered(**more: Any) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": "1",
        "method": "makeCallBackCallFollowme",
        "params": {
            "id": ATTEMPT,
            "customer_name": "88314050000000",
            "b_number": "79157775533",
            "direction": 0,
            "callDescription": ATTEMPT,
            "callBackURL": f"{HOOK.partition('://')[2]}/{ATTEMPT}",
            "caller_id": "79580000001",
            "client_caller_id": "79580000001",
            "simpleCallBackFollowmeStruct": [
                {
                    "order": 1,
                    "timeout": 25,
                    "redirect_number": "79100000000",
                    "type": "ringall",
                    "name": "callee",
                }
            ],
            **more,
        },
    }


def failed(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return 200, {"jsonrpc": "2.0", "id": "1", "error": {"code": code, "message": message}}


def wrong_number(message: str, refusal: Refusal) -> Said:
    answer = {"jsonrpc": "2.0", "id": "1", "result": {"error": 1, "message": message}}
    return Said(200, answer, Outcome.REFUSED, refusal)


def event(known: Known, name: str, **more: str) -> Sent:
    query = "&".join(
        f"{field}={value}" for field, value in {"event": name, "id": known.reference, **more}.items()
    )
    return Sent(query, path=f"{known.attempt_id}/event.php")


def events(*names: str) -> Callable[[Known], Sequence[Sent]]:
    return lambda known: [event(known, name) for name in names]


CASE = Case(
    kind="mtt-callback",
    settings={"username": LOGIN[0], "password": LOGIN[1], "customer_name": "88314050000000"},
    examples={
        Capability.CLICK_TO_CALL: Ordered(CONNECTED, "/", ordered(), HEADERS),
        Capability.RECORDING: Ordered(replace(CONNECTED, record=True), "/", ordered(recordEnable=1), HEADERS),
    },
    accepted=Said(
        200,
        {"jsonrpc": "2.0", "id": "1", "result": {"callBackCall_id": THEIRS}},
        Outcome.PLACED,
        reference=THEIRS,
    ),
    errors={  # `makeCallBackCallFollowme`
        "side A": wrong_number("Incorrect redirect_number format", Refusal.BAD_NUMBER),
        "side B": wrong_number("Incorrect B-number format", Refusal.BAD_REQUEST),
    },
    unclear={
        "a reference beside an error": (
            200,
            {"result": {"callBackCall_id": THEIRS, "error": 1, "message": "Incorrect B-number format"}},
        ),
        "an empty reference": (200, {"jsonrpc": "2.0", "id": "1", "result": {"callBackCall_id": ""}}),
        "an error that is not documented": failed(-32603, "Internal error"),
        # What the methods beside it document.
        "Invalid params": failed(-32602, "Invalid params"),
        "Data not found": failed(-32001, "Data not found"),
        "Permission denied": failed(-32002, "Permission denied"),
        "a result and an error": (
            200,
            {"result": {"callBackCall_id": THEIRS}, "error": {"code": -32602, "message": "Invalid params"}},
        ),
    },
    stories={  # "Уведомления о ходе вызова"
        "answered": Story(
            events("start_side_A", "pickup_side_A", "start_side_B", "start_talk", "end_side_B", "end_side_A"),
            Disposition.ANSWERED,
        ),
        # No event tells why: that is looked up.
        "side A does not pick up": Story(events("start_side_A"), None),
        "side B does not pick up": Story(
            events("start_side_A", "pickup_side_A", "start_side_B", "end_side_A"), None
        ),
    },
    unheard=lambda known: event(known, "teleport_side_A"),
    unheard_ends=False,
    # What becomes of calls that nobody talked in is looked up.
    fates=dict.fromkeys(("01", "02", "03", "04", "11", "16", "17")),
    looked_up={  # `getCallBackFollowmeCallInfo` says no more than this
        "01": Disposition.REJECTED,
        "02": Disposition.NO_ANSWER,
        "03": Disposition.NO_ANSWER,
        "04": Disposition.REJECTED,
        "11": Disposition.REJECTED,
        "16": Disposition.REJECTED,
        "17": Disposition.REJECTED,
    },
    refused_unsent={"nobody to connect with": (ANNOUNCEMENT, Refusal.BAD_REQUEST)},
)
