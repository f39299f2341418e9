"""Plays MTT's CallBack, strictly by `mtt-telecom-api.md` (entry point `webapicommon.mtt.ru/index.php`).

The tables here are read off the reference once more, not taken from the adapter: a mistake there must show. Calls that
come in are played by `mtt_inbound`.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dialer.sandbox.callbacks import Callback, Callbacks
from dialer.sandbox.log import CallLog
from dialer.sandbox.mtt_rpc import (
    INTERNAL,
    INVALID_PARAMS,
    NOT_FOUND,
    Handler,
    Rpc,
    RpcError,
    TroubleError,
    named,
)
from dialer.sandbox.outcomes import Answer, Delivery, Ending, Fate, fate_of, ring_seconds, talk_seconds

NAME = "mtt-callback"

#: `makeCallBackCallFollowme`, with the types that the reference gives.
NEEDED: Mapping[str, type] = {"customer_name": str, "b_number": str}
FIELDS: Mapping[str, type] = {
    "id": str,
    "caller_id": str,
    "callBackURL": str,
    "simpleCallBackFollowmeStruct": list,
    "recordEnable": int,
    "duration": int,
    "client_caller_id": str,
    "direction": int,
    "callDescription": str,
    "dtmf_number": str,
    "maxtime": str,
}
NUMBERS: Mapping[str, type] = {"caller_id": str, "defaultBNumber": str}
#: `simpleCallBackFollowmeStruct` and `callBackFollowmeStruct`; numbers may have the `caller_id` of the example.
TYPED: Mapping[str, type] = {"order": int, "type": str}
ENTRY: Mapping[str, type] = {
    "timeout": int,
    "redirect_number": str,
    "caller_id": str,
    "name": str,
    "side": str,
    "value": str,
}
#: `type`: "Тип очереди" in the spelling of the examples, "Тип проигрываемого сообщения".
QUEUES = ("ringall", "linal")
PROMPTS = ("text", "file")

#: What is not taken, with the log's word for it.
REFUSED = {
    Answer.TOO_MANY: "HTTP 429",
    Answer.SERVER_ERROR: "HTTP 500",
    Answer.INVALID_DATA: "Incorrect redirect_number format",
}
BAD_A, BAD_B = "Incorrect redirect_number format", "Incorrect B-number format"

#: `error.data` of a call that did not come about. The reference has three; whatever else keeps side A from picking up
#: is told by the first two. Nobody speaks a text that could fail: `…17` is a side B that declines.
NOT_TALKED: Mapping[Ending, str] = {
    Ending.NO_ANSWER: "Call ended by timeout on side A",
    Ending.UNAVAILABLE: "Call ended by timeout on side A",
    Ending.BUSY: "Call ended by cancel on side A",
    Ending.REJECTED: "Call ended by cancel on side A",
    Ending.CONGESTION: "Call ended by cancel on side A",
    Ending.INVALID_NUMBER: "Call ended by cancel on side A",
    Ending.TTS_FAILURE: "Call ended by cancel on side B",
}
SECONDS_TO_START = 0.5
SECONDS_OF_B = 3.0  # until side B picks up, or declines
SECONDS_LATE = 60.0
SECONDS_TO_RING = 15  # `timeout`, unless given
LONGEST_TALK = 14_400
MOST_KEPT = 100_000  # calls that can be asked about
PRICE_OF_A_MINUTE = 1.49


@dataclass(frozen=True, slots=True)
class Rung:
    """A number of the structure: for how many seconds it is rung at most, and whether with those beside it."""

    number: str
    timeout: int
    at_once: bool

    @property
    def picks_up(self) -> bool:
        """Whether somebody picks up there; side B may decline all the same."""
        ending = fate_of(self.number).ending
        return ending not in NOT_TALKED or ending is Ending.TTS_FAILURE


@dataclass(slots=True)
class Order:
    """A call that was ordered; `over_at` is on the clock of `time.monotonic`. `side_a` is who picks up there, `waited`
    after how many seconds; when nobody does, the first who was rung, and for how long all of them were."""

    call_id: str
    params: Mapping[str, Any]
    side_a: str
    side_b: str
    waited: int
    over_at: float = 0.0
    ordered_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def fate(self) -> Fate:
        """Side A's number decides."""
        return fate_of(self.side_a)

    @property
    def talk(self) -> int:
        """For how many seconds they talk: `maxtime` at most."""
        return min(talk_seconds(self.side_a), int(self.params.get("maxtime", LONGEST_TALK)))


class MttCallback:
    """The simulated service, in memory. `access_key` None accepts any password that is not empty."""

    def __init__(
        self,
        log: CallLog,
        callbacks: Callbacks,
    ) -> None:
        self._log = log
        self._callbacks = callbacks
        self._orders: dict[str, Order] = {}
        self._followme: dict[tuple[str, str], dict[str, Any]] = {}  # by login and customer
        self._held_once: set[str] = set()  # numbers that have had their 429
        self._early: Sequence[
            Callback
        ] = ()  # what is to be delivered before the request that is being answered

    def handlers(self) -> dict[str, Handler]:
        """The methods by name."""
        return {
            "makeCallBackCallFollowme": self.make_call,
            "getCallBackFollowmeCallInfo": self.call_info,
            "setCallBackFollowme": self.set_followme,
            "getCallBackFollowme": self.get_followme,
            "deleteCallBackFollowme": self.delete_followme,
        }

    def over(self) -> list[Order]:
        """The calls that are over, the oldest first."""
        now = time.monotonic()
        return [order for order in self._orders.values() if order.over_at <= now]

    async def answer(self, rpc: Rpc, request: Request) -> Response:
        """A request to the entry point, whose methods are those of `rpc`, these among them."""
        response = await rpc.answer(request)
        early, self._early = self._early, ()
        await self._callbacks.deliver_now(early)
        return response

    def call_info(self, _: str, params: Any) -> Any:
        """getCallBackFollowmeCallInfo."""
        given = named(params, {"customer_name": str, "callBackCall_id": str})
        order = self._orders.get(given["callBackCall_id"])
        if order is None or order.params["customer_name"] != given["customer_name"]:
            raise RpcError(NOT_FOUND)
        if time.monotonic() < order.over_at:
            raise RpcError(NOT_FOUND)
        if order.fate.ending in NOT_TALKED:
            raise RpcError(NOT_FOUND, NOT_TALKED[order.fate.ending])
        return {"callBackFollowmeCallInfoStruct": call_info(order)}

    def set_followme(self, user: str, params: Any) -> Any:
        """setCallBackFollowme."""
        given = named(params, {"customer_name": str, "callBackFollowmeStruct": list}, NUMBERS)
        check_entries(given["callBackFollowmeStruct"])
        kept = user, given.pop("customer_name")
        if kept in self._followme:
            return {"error": 1, "error_description": "Side A not clear. Delete before insert"}
        self._followme[kept] = given
        return {"success": 1}

    def get_followme(self, user: str, params: Any) -> Any:
        """getCallBackFollowme. Its error for a customer_name that is no text is printed: "Invalid type"."""
        if isinstance(params, dict) and not isinstance(params.get("customer_name", ""), str):
            raise RpcError(INVALID_PARAMS, "Invalid type")
        return self._followme_of(user, params)

    def delete_followme(self, user: str, params: Any) -> Any:
        """deleteCallBackFollowme."""
        self._followme_of(user, params)
        del self._followme[user, params["customer_name"]]
        return {"success": 1}

    def _followme_of(self, user: str, params: Any) -> dict[str, Any]:
        found = self._followme.get((user, named(params, {"customer_name": str})["customer_name"]))
        if found is None:
            raise RpcError(NOT_FOUND, "Followme not found")
        return found

    def make_call(self, user: str, params: Any) -> Any:
        """makeCallBackCallFollowme; without a structure of its own it has that of setCallBackFollowme."""
        given = named(params, NEEDED, FIELDS)
        _check_values(given)
        kept = self._followme.get((user, given["customer_name"]), {})
        entries = {"simpleCallBackFollowmeStruct": kept.get("callBackFollowmeStruct", [])}
        given = {name: kept[name] for name in ("caller_id",) if name in kept} | entries | given
        queue, b_number = _queue(given), given["b_number"]
        is_a_first = given.get("direction", 0) == 0
        side_a = queue[0].number if is_a_first else b_number
        call_id = secrets.token_hex(16)
        reference = given.get("id", call_id)
        for error, number in (*((BAD_A, one.number) for one in queue), (BAD_B, b_number)):
            if not re.fullmatch(r"\+?[0-9]{10,15}", number):
                self._log.add(NAME, reference, side_a, accepted=False, status=error)
                return {"error": 1, "message": error}
        answer = fate_of(side_a).answer
        if answer is Answer.TOO_MANY and side_a in self._held_once:
            answer = Answer.OK
        if answer in REFUSED:
            self._held_once.add(side_a)
            self._log.add(NAME, reference, side_a, accepted=False, status=REFUSED[answer])
            if answer is Answer.INVALID_DATA:
                return {"error": 1, "message": BAD_A if is_a_first else BAD_B}
            raise TroubleError(answer)
        self._log.add(NAME, reference, side_a, accepted=True, status=answer.value)
        if is_a_first:
            side_a, waited = who_picks_up(queue)
            self._place(Order(call_id, given, side_a, b_number, waited))
        else:
            self._place(Order(call_id, given, side_a, who_picks_up(queue)[0], ring_seconds(side_a)))
        if answer is Answer.INTERNAL_ERROR:
            raise RpcError(INTERNAL)
        if answer is not Answer.OK:
            raise TroubleError(answer)
        return {"callBackCall_id": call_id}

    def _place(self, order: Order) -> None:
        events = events_of(order)
        order.over_at = time.monotonic() + lasting(order) * self._callbacks.time_scale
        if len(self._orders) >= MOST_KEPT:
            del self._orders[next(iter(self._orders))]
        self._orders[order.call_id] = order
        planned = planned_callbacks(order, events)
        if order.fate.delivery is Delivery.EARLY:
            self._early = planned
        else:
            self._callbacks.plan(planned)


def lasting(order: Order) -> float:
    """How many seconds a call lasts, on both sides."""
    rings = SECONDS_TO_START + order.waited
    if order.fate.ending is Ending.TTS_FAILURE:
        return rings + SECONDS_OF_B
    return rings if order.fate.ending in NOT_TALKED else rings + SECONDS_OF_B + order.talk


def events_of(order: Order) -> list[tuple[float, str]]:
    """What is told of a call, each event so many seconds after the one before. "end_side": the end of a talk, so there
    is none of a side that has not picked up."""
    begun = [(SECONDS_TO_START, "start_side_A")]
    ending = order.fate.ending
    if ending in NOT_TALKED and ending is not Ending.TTS_FAILURE:
        return begun
    begun += [(float(order.waited), "pickup_side_A"), (0.0, "start_side_B")]
    if ending is Ending.TTS_FAILURE:
        return [*begun, (SECONDS_OF_B, "end_side_A")]
    return [
        *begun,
        (SECONDS_OF_B, "start_talk"),
        (float(order.talk), "end_side_B"),
        (0.0, "end_side_A"),
    ]


def planned_callbacks(order: Order, events: Sequence[tuple[float, str]]) -> Sequence[Callback]:
    """The GETs of a call's events, below the address given with it; without one, below that of the provider."""
    delivery = order.fate.delivery
    if delivery is Delivery.NEVER:
        return ()
    address = order.params.get("callBackURL", "")
    url = f"http://{address}" if address else ""
    callbacks = []
    for delay, event in events:
        query = f"event={event}&id={order.call_id}"
        if event == "pickup_side_A":
            query += f"&phone_A=+{order.side_a.removeprefix('+')}"
        callbacks.append(Callback(NAME, query, delay, url=url, page="/event.php"))
    if delivery is Delivery.LATE:
        callbacks[-1] = replace(callbacks[-1], delay=callbacks[-1].delay + SECONDS_LATE)
    if delivery is Delivery.BACKWARDS:
        callbacks.reverse()
    if delivery is Delivery.DOUBLED:
        return [one for first in callbacks for one in (first, replace(first, delay=0.0))]
    return callbacks


def call_info(order: Order) -> dict[str, Any]:
    """`callBackFollowmeCallInfoStruct` of a call that was talked in. Every minute begun is charged, on both sides."""
    on_line = {"A": order.talk + int(SECONDS_OF_B), "B": order.talk}
    charged = {side: -(-length // 60) * 60 for side, length in on_line.items()}
    is_recorded = order.params.get("recordEnable") == 1
    info: dict[str, Any] = {
        "destination_A": f"+{order.side_a.removeprefix('+')}",
        "destination_B": f"+{order.side_b.removeprefix('+')}",
        "waiting_period_A": str(order.waited),
        "waiting_period_B": str(int(SECONDS_OF_B)),
    }
    for side in "AB":
        info[f"call_back_charged_length_{side}"] = str(charged[side])
        info[f"call_back_real_length_{side}"] = str(on_line[side])
    info |= {
        "call_back_cost": round(sum(charged.values()) / 60 * PRICE_OF_A_MINUTE, 2),
        "call_back_currency": "RUB",
        "call_back_status": "ok",
    }
    for side in "AB":
        link = f"http://fuds.mtt.ru/download/{order.call_id}{side}"
        info[f"call_back_record_URL_{side}"] = {"downloadURL": link} if is_recorded else {}
    return {**info, "callDescription": order.params.get("callDescription", "")}


def check_entries(entries: Sequence[Any]) -> None:
    """The entries of a follow-me structure, as far as they are no numbers. Raises RpcError."""
    for entry in entries:
        named(entry, TYPED, ENTRY)
        if entry["type"] in PROMPTS:
            if entry.get("side") not in ("A", "B") or not entry.get("value"):
                raise RpcError(INVALID_PARAMS, "Invalid side or value")
        elif entry["type"] not in QUEUES:
            raise RpcError(INVALID_PARAMS, "Invalid type")


def _check_values(given: Mapping[str, Any]) -> None:
    entries = given.get("simpleCallBackFollowmeStruct", [])
    check_entries(entries)
    wrong = {
        "callBackURL": re.match(r"https?:|www\.", given.get("callBackURL", "")),
        "direction": given.get("direction", 0) not in (0, 1),
        "recordEnable": given.get("recordEnable", 0) not in (0, 1),
        "maxtime": not re.fullmatch(r"[0-9]+", given.get("maxtime", "1")),
    }
    for name, is_wrong in wrong.items():
        if is_wrong:
            raise RpcError(INVALID_PARAMS, f"Unknown param '{name}' value")


def _queue(given: Mapping[str, Any]) -> list[Rung]:
    """The numbers of the structure, in their order. Raises RpcError when there is none."""
    entries = given.get("simpleCallBackFollowmeStruct", [])
    numbers = sorted(
        (entry for entry in entries if entry["type"] in QUEUES), key=lambda entry: entry["order"]
    )
    if not numbers:
        raise RpcError(NOT_FOUND, "Followme not found")
    return [
        Rung(
            entry.get("redirect_number", ""),
            entry.get("timeout", SECONDS_TO_RING),
            entry["type"] == QUEUES[0],
        )
        for entry in numbers
    ]


def who_picks_up(queue: Sequence[Rung]) -> tuple[str, int]:
    """Whose number picks up, and after how many seconds; when nobody's does, the first, and for how long all of them
    were rung. Those `ringall` that follow each other are rung together, each `linal` by itself."""
    waited = 0
    for _, group in groupby(enumerate(queue), lambda one: -1 if one[1].at_once else one[0]):
        rung = [one for _, one in group]
        if picking := [one for one in rung if one.picks_up]:
            first = min(picking, key=lambda one: ring_seconds(one.number))
            return first.number, waited + ring_seconds(first.number)
        waited += max(min(ring_seconds(one.number), one.timeout) for one in rung)
    return queue[0].number, waited
