"""MTT's CallBack, by `mtt-telecom-api.md` ("Услуга CallBack API", webapicommon.mtt.ru)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from contract import (
    ANNOUNCEMENT,
    ATTEMPT,
    HOOK,
    UNHEARD_WHEN_ASKED,
    Case,
    Known,
    Ordered,
    Said,
    Sent,
    Story,
    basic,
)
from dialer.calls.flow import Prompt
from dialer.calls.talk import Ring, Rung, Talk
from dialer.lifecycle import Disposition
from dialer.providers.contract import Capability, Outcome, Refusal

LOGIN = ("callback-user", "callback-pass")
THEIRS = "1256ffb10774226b390ad1a2bc892c9c"
OTHER_SIDE = "+79157775533"
THIRD = "+79522222222"
HEARD = Talk(Prompt("Звонок с сайта"), Prompt(media="for_all_sales"))
CONNECTED = replace(ANNOUNCEMENT, text=None, connect_to=OTHER_SIDE)
HEADERS = {"authorization": basic(*LOGIN), "content-type": "application/json"}


def entry(number: str, **more: Any) -> dict[str, Any]:
    return {"order": 1, "timeout": 25, "redirect_number": number, "type": "ringall", "name": "callee", **more}


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
            "simpleCallBackFollowmeStruct": [entry("79100000000")],
            **more,
        },
    }


def of_others(queue: str) -> dict[str, Any]:
    """The structure stands for whom the callee is connected with, and the callee is the B-number."""
    numbers = [
        entry(OTHER_SIDE[1:], type=queue, name="other"),
        entry(THIRD[1:], order=2, timeout=15, type=queue, name="other_2"),
    ]
    params = {"b_number": "79100000000", "direction": 1, "simpleCallBackFollowmeStruct": numbers}
    return {**ordered(**params), "id": "b"}


def failed(code: int, message: str) -> tuple[int, dict[str, Any]]:
    return 200, {"jsonrpc": "2.0", "id": "1", "error": {"code": code, "message": message}}


def internal(word: str) -> tuple[int, dict[str, Any]]:
    status, answer = failed(-32603, "Internal error")
    data = [{"code": word, "attribute": "x", "message": "", "tpl": "", "tplParams": {}}]
    return status, {**answer, "error": {**answer["error"], "data": data}}


def wrong_number(message: str, refusal: Refusal) -> Said:
    answer = {"jsonrpc": "2.0", "id": "1", "result": {"error": 1, "message": message}}
    return Said(200, answer, Outcome.REFUSED, refusal)


def ended_by(how: str) -> Callable[[Known], Any]:
    error = {"code": -32001, "message": "Data not found", "data": how}
    return lambda _: {"jsonrpc": "2.0", "id": "101", "error": error if how else {**error, "data": None}}


def talked(known: Known) -> Any:
    told = {
        "destination_A": f"+{known.to}",
        "destination_B": "+79157775533",
        "waiting_period_A": "12",
        "waiting_period_B": "9",
        "call_back_charged_length_A": "60",
        "call_back_real_length_A": "15",
        "call_back_charged_length_B": "60",
        "call_back_real_length_B": "5",
        "call_back_cost": 2.98,
        "call_back_currency": "RUB",
        "call_back_status": "ok",
        "call_back_record_URL_A": {"downloadURL": "http://fuds.mtt.ru/download/75GV5LxVNdQuohMge0NMFpS2"},
        "call_back_record_URL_B": {"downloadURL": "http://fuds.mtt.ru/download/0bbDerTSCQFVmqzOdFu6pNX1"},
        "callDescription": "",
    }
    return {"jsonrpc": "2.0", "id": "1", "result": {"callBackFollowmeCallInfoStruct": told}}


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
        Capability.TALK_PROMPTS: Ordered(
            replace(CONNECTED, talk=HEARD),
            "/",
            ordered(
                simpleCallBackFollowmeStruct=[
                    entry("79100000000"),
                    {"order": 2, "type": "text", "value": "Звонок с сайта", "side": "A"},
                    {"order": 3, "type": "file", "value": "for_all_sales", "side": "B"},
                ]
            ),
            HEADERS,
        ),
        Capability.TALK_LIMIT: Ordered(
            replace(CONNECTED, talk=Talk(max_seconds=600)), "/", ordered(maxtime="600"), HEADERS
        ),
        Capability.RING_SEVERAL: Ordered(
            replace(CONNECTED, talk=Talk(ring=Ring((Rung(THIRD, 15),), at_once=True))),
            "/",
            ordered(
                simpleCallBackFollowmeStruct=[
                    entry("79100000000"),
                    entry(THIRD[1:], order=2, timeout=15, name="callee_2"),
                ]
            ),
            HEADERS,
        ),
        Capability.CONNECT_IN_TURN: Ordered(
            replace(CONNECTED, talk=Talk(ring=Ring((Rung(THIRD, 15),), of_other=True))),
            "/",
            of_others("linal"),
            HEADERS,
        ),
        Capability.CONNECT_AT_ONCE: Ordered(
            replace(CONNECTED, talk=Talk(ring=Ring((Rung(THIRD, 15),), at_once=True, of_other=True))),
            "/",
            of_others("ringall"),
            HEADERS,
        ),
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
    told_when_asked={  # the same
        "they talked": talked,
        "A did not pick up": ended_by("Call ended by timeout on side A"),
        "A declined": ended_by("Call ended by cancel on side A"),
        "B declined": ended_by("Call ended by cancel on side B"),
        UNHEARD_WHEN_ASKED: ended_by("Call ended by flood on side B"),
        "not known yet": ended_by(""),
    },
    refused_unsent={"nobody to connect with": (ANNOUNCEMENT, Refusal.BAD_REQUEST)},
    leaves_open={
        "an internal error": failed(-32603, "Internal error"),
        "an internal error under 400": (400, failed(-32603, "Internal error")[1]),
        "setFollowme's, whose words are not printed": internal("A_CAPI_SET_FOLLOWME"),
        "a code that is not documented": failed(-32099, "Server error"),
    },
)
