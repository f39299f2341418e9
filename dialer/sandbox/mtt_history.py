"""Plays what MTT keeps of an account (`mtt-telecom-api.md`): the legs of calls between two people and of those that
came in as its history, links to their records, a balance and numbers."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dialer.sandbox.login import knows, login_of
from dialer.sandbox.mtt_callback import PRICE_OF_A_MINUTE, SECONDS_OF_B, MttCallback, Order, call_info
from dialer.sandbox.mtt_inbound import MttInbound, Taken
from dialer.sandbox.mtt_rpc import INVALID_PARAMS, NOT_FOUND, Handler, RpcError, named
from dialer.sandbox.mtt_voice import CAUSES, TALKED
from dialer.sandbox.outcomes import Ending, fate_of

TYPES = ("incoming", "missed", "dialed", "forwarded")
MOST_RECORDS = 1000
#: Fields that getCallHistory does not have.
OF_CUSTOMERS = ("h323_incoming_conf_id", "setup_time_ms", "account_id", "voice_record_exist")
LONGEST_CUSTOMER = 41  # getPersonalAccountList
OF_A_NUMBER, OF_A_CUSTOMER = "%d.%m.%Y %H:%M:%S", "%Y-%m-%d %H:%M:%S"

#: getPersonalAccountList, its example.
NUMBERS = ("74951373222", "74951374017", "74951340438", "74951374095", "74951374096")


class MttHistory:
    """The history of the calls that `played` plays, and of those that `came_in`."""

    def __init__(self, played: MttCallback, came_in: MttInbound, access_key: str | None) -> None:
        self._played = played
        self._came_in = came_in
        self._access_key = access_key

    def handlers(self) -> dict[str, Handler]:
        """The methods by name."""
        return {
            "getCallHistory": self.of_number,
            "getServiceHistoryByCustomer": self.of_customer,
            "getCustomerBalance": self.balance,
            "getPersonalAccountList": self.numbers,
        }

    def of_number(self, _: str, params: Any) -> Any:
        """getCallHistory: calls that showed the number, or came in to it. Its examples call the called number `clid`,
        its table `cld`."""
        given = named(params, {"sip_id": str}, {"date_from": str, "date_to": str})
        since, until = _period(given, OF_A_NUMBER)
        legs = {
            "dialed": [
                leg
                for order in self._played.over()
                for leg in legs_of(order)
                if leg["cli"] == given["sip_id"]
            ],
            **{
                kind: [leg for leg in self._legs_that_came_in(kind) if leg["account_id"] == given["sip_id"]]
                for kind in ("incoming", "missed")
            },
        }
        if not any(legs.values()):
            raise RpcError(NOT_FOUND, "No data found")
        told = {
            kind: [
                {"clid" if name == "cld" else name: leg[name] for name in leg if name not in OF_CUSTOMERS}
                for leg in _within(found, since, until)
            ]
            for kind, found in legs.items()
        }
        return {**told, "callback": [], "success": 1}

    def of_customer(self, _: str, params: Any) -> Any:
        """getServiceHistoryByCustomer. Calls that came in are every customer's."""
        needed = {"type": str, "customer_name": str, "date_from": str, "date_to": str, "record_count": int}
        given = named(params, needed, {"filter": str, "order": str})
        words = {"type": TYPES, "order": ("desc", "asc")}
        for name, allowed in words.items():
            if given.get(name, allowed[0]) not in allowed:
                raise RpcError(INVALID_PARAMS, f"Unknown param '{name}' value")
        if not 1 <= given["record_count"] <= MOST_RECORDS:
            raise RpcError(INVALID_PARAMS, "Unknown param 'record_count' value")
        since, until = _period(given, OF_A_CUSTOMER)
        theirs = [
            order
            for order in self._played.over()
            if given["type"] == "dialed" and order.params["customer_name"] == given["customer_name"]
        ]
        legs = [leg for order in theirs for leg in legs_of(order)]
        legs = _within(legs or self._legs_that_came_in(given["type"]), since, until)
        wanted = [leg for leg in legs if given.get("filter", leg["cld"]) in (leg["cli"], leg["cld"])]
        if given.get("order") != "asc":
            wanted.reverse()
        return {given["type"]: wanted[: given["record_count"]], "success": 1}

    def _legs_that_came_in(self, kind: str) -> list[dict[str, Any]]:
        return [leg for taken in self._came_in.over() for name, leg in legs_of_caller(taken) if name == kind]

    def balance(self, _: str, params: Any) -> Any:
        """getCustomerBalance: `[customer_name]`."""
        if not isinstance(params, list) or len(params) != 1 or not isinstance(params[0], str):
            raise RpcError(INVALID_PARAMS)
        if fate_of(params[0]).ending is Ending.INVALID_NUMBER:
            raise RpcError(NOT_FOUND)
        return {"balance": 121.54, "real_balance": 711.54}

    def numbers(self, _: str, params: Any) -> Any:
        """getPersonalAccountList."""
        given = named(params, {"customer_name": str}, {"limit": int, "offset": int})
        if len(given["customer_name"]) > LONGEST_CUSTOMER:
            raise RpcError(INVALID_PARAMS, "Unknown param 'customer_name' value")
        for name, least in (("limit", 1), ("offset", 0)):
            if given.get(name, least) < least:
                raise RpcError(INVALID_PARAMS, f"Unknown param '{name}' value")
        first = given.get("offset", 0)
        shown = NUMBERS[first : first + given.get("limit", len(NUMBERS))]
        return [
            {"account_number": number, "activation_date": "21.01.2020 00:00:00", "status": "active"}
            for number in shown
        ]

    def records(self, version: str) -> Callable[[Request], Awaitable[Response]]:
        """`GET /v1/records/{h323_conf_id}/urls`, or for mp3 below `/v2` with `format=mp3`. A record is in pieces of a
        minute."""

        async def answer(request: Request) -> Response:
            return self._records({"v1": "wav", "v2": "mp3"}[version], request)

        return answer

    def _records(self, kind: str, request: Request) -> Response:
        user, password = login_of(request) or ("", "")
        if not user or not knows(password, self._access_key):
            return Response(status_code=401, headers={"WWW-Authenticate": "Basic"})
        if request.query_params.get("format", "wav") != kind:
            return Response("Bad Request", status_code=400)
        name = request.path_params["name"].replace("_", " ")
        legs = [leg for order in self._played.over() for leg in legs_of(order)]
        legs += [leg for kind in TYPES for leg in self._legs_that_came_in(kind)]
        legs = [leg for leg in legs if leg["h323_conf_id"] == name]
        if not legs or not legs[0]["voice_record_exist"]:
            return Response("Not found", status_code=404)
        pieces = -(-int(legs[0]["used_quantity"]) // 60)
        path = name.replace(" ", "_")
        return JSONResponse([f"http://rc.mtt.ru/{path}_{piece}.{kind}" for piece in range(1, pieces + 1)])


def legs_of(order: Order) -> list[dict[str, Any]]:
    """The sides of a call as its history shows them; side B is there when side A has picked up."""
    ending = order.fate.ending
    talked = ending in TALKED
    info = call_info(order)
    begun = order.ordered_at
    legs = [_leg(order, "A", begun, CAUSES[ending] if ending is not Ending.TTS_FAILURE else 16, talked)]
    if talked or ending is Ending.TTS_FAILURE:
        picked_up = begun + timedelta(seconds=order.waited)
        legs.append(_leg(order, "B", picked_up, 16 if talked else 21, talked))
    for leg, side in zip(legs, "AB", strict=False):
        length = info[f"call_back_real_length_{side}"] if talked else "0"
        charged = info[f"call_back_charged_length_{side}"] if talked else "0"
        leg |= {"used_quantity": length, "charged_time": charged}
        leg["charged"] = round(int(charged) / 60 * PRICE_OF_A_MINUTE, 2)
    return legs


def legs_of_caller(taken: Taken) -> Iterator[tuple[str, dict[str, Any]]]:
    """The legs of a call that came in, by the `type` of history that each stands in: whoever called, and with whom they
    talked. What they said is recorded."""
    when = taken.begun_at.strftime(OF_A_CUSTOMER)
    leg = {
        "cli": taken.caller.number,
        "cld": taken.caller.sip_id,
        "customer_local_time": when,
        "connect_time": when,
        "charged_time": "0",
        "charged": 0,
        "destination": "RUSSIAN FEDERATION",
        "curr": "RUB",
        "disconnect_cause": str(taken.cause),
        "h323_conf_id": taken.caller.session,
        "h323_incoming_conf_id": taken.caller.session,
        "setup_time_ms": "2000",
        "account_id": taken.caller.sip_id,
        "used_quantity": str(taken.talked),
        "voice_record_exist": False,
    }
    if not taken.connected:
        yield "missed", leg
        return
    yield "incoming", leg
    charged = -(-taken.talked // 60) * 60
    yield (
        "forwarded",
        leg
        | {
            "cld": taken.connected,
            "h323_conf_id": " ".join(reversed(taken.caller.session.split())),
            "charged_time": str(charged),
            "charged": round(charged / 60 * PRICE_OF_A_MINUTE, 2),
            "voice_record_exist": True,
        },
    )


def _leg(order: Order, side: str, at: datetime, cause: int, talked: bool) -> dict[str, Any]:
    """One side. The identifiers of its session are the call's, written as MTT writes them."""
    when = at.strftime(OF_A_CUSTOMER)
    sides = (f"{order.call_id[:-1]}{one}".upper() for one in (side, "0"))
    outgoing, incoming = (" ".join(re.findall(".{8}", one)) for one in sides)
    shown = order.params.get("client_caller_id" if side == "A" else "caller_id", "")
    setup = order.waited if side == "A" else SECONDS_OF_B
    return {
        "cli": shown,
        "cld": (order.side_a if side == "A" else order.side_b).removeprefix("+"),
        "customer_local_time": when,
        "connect_time": when,
        "destination": "RUSSIAN FEDERATION",
        "curr": "RUB",
        "disconnect_cause": str(cause),
        "h323_conf_id": outgoing,
        "h323_incoming_conf_id": incoming,
        "setup_time_ms": str(int(setup * 1000)),
        "account_id": shown,
        "voice_record_exist": talked and order.params.get("recordEnable") == 1,
    }


def _within(legs: Sequence[dict[str, Any]], since: datetime, until: datetime) -> list[dict[str, Any]]:
    return [leg for leg in legs if since <= _moment(leg["connect_time"]) <= until]


def _moment(written: str) -> datetime:
    return datetime.strptime(written, OF_A_CUSTOMER).replace(tzinfo=UTC)


def _period(given: Mapping[str, str], form: str) -> tuple[datetime, datetime]:
    """ "Without date_from and date_to the results of half an hour until now"."""
    now = datetime.now(UTC)
    default = {"date_from": now - timedelta(minutes=30), "date_to": now}
    found = []
    for name, word in (("date_from", "begin"), ("date_to", "end")):
        try:
            written = given.get(name)
            moment = (
                default[name] if written is None else datetime.strptime(written, form).replace(tzinfo=UTC)
            )
        except ValueError:
            raise RpcError(INVALID_PARAMS, f"Invalid {word} date") from None
        found.append(moment)
    return found[0], found[1]
