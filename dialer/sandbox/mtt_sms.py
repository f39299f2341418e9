"""Plays MTT's text messages, strictly by `mtt-telecom-api.md` (msapi.mtt.ru): what the reference does not allow is
refused.

The tables here are read off the reference once more, not taken from the adapter: a mistake there must show.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dialer.sandbox.callbacks import Callback, Callbacks
from dialer.sandbox.log import CallLog
from dialer.sandbox.login import knows, login_of
from dialer.sandbox.outcomes import Answer, Delivery, Ending, Fate, fate_of, ring_seconds
from dialer.sandbox.wire import BROKEN, broken

#: "Для отправки сообщения", "Входящие параметры".
REQUIRED = ("from", "to", "text")
OPTIONAL = ("tag",)

#: "Event уведомления": the statuses of a message, in the order of the examples.
STATUSES = ("queued", "prebilling", "sent", "delivered")
RECEIVED = "received"  # the status of every message that comes in
#: Endings after which a telephone has no message. The reference names no status for that: they stay "sent".
UNDELIVERED = (Ending.UNAVAILABLE, Ending.INVALID_NUMBER, Ending.CONGESTION)

NUMBER = "35800445016"  # the account's, as in the example of the numbers
MOST_ON_A_PAGE = 20
MOST_KEPT = 10_000  # messages of an account that can be looked at
#: "Фильтр по параметрам", and what the numbers' page has.
FILTERS = ("message_sid", "number", "external_number", "number_sid", "direction", "status")
PAGING = ("limit", "offset")
SECONDS_BETWEEN = 0.2
SECONDS_LATE = 60.0


class MttSms:
    """The simulated provider. `access_key` None accepts any token that is not empty."""

    def __init__(self, log: CallLog, callbacks: Callbacks, access_key: str | None) -> None:
        self._log = log
        self._callbacks = callbacks
        self._access_key = access_key
        self._held_once: set[str] = set()  # numbers that have had their 429
        self._messages: dict[
            str, dict[str, dict[str, Any]]
        ] = {}  # by account and message_sid, the oldest first

    def routes(self) -> list[Route]:
        """Below the base URL."""
        return [
            Route("/v2/accounts/{account_sid}/numbers", self.numbers, methods=["GET"]),
            Route("/v2/accounts/{account_sid}/messages", self.send, methods=["POST"]),
            Route("/v2/accounts/{account_sid}/messages", self.messages, methods=["GET"]),
            Route("/v2/accounts/{account_sid}/messages/{message_sid}", self.message, methods=["GET"]),
        ]

    async def numbers(self, request: Request) -> Response:
        """`GET …/numbers`."""
        if not self._knows(request):
            return _error(401, "Unauthorized")
        return _page(request, "numbers", [{"number": NUMBER, "direction": "OUT"}])

    async def messages(self, request: Request) -> Response:
        """`GET …/messages`."""
        if not self._knows(request):
            return _error(401, "Unauthorized")
        wanted = {name: value for name, value in request.query_params.items() if name in FILTERS}
        found = [
            message
            for message in self._of(request).values()
            if all(message.get(name) == value for name, value in wanted.items())
        ]
        return _page(request, "messages", found[::-1], FILTERS)

    async def message(self, request: Request) -> Response:
        """`GET …/messages/{messageSID}`."""
        if not self._knows(request):
            return _error(401, "Unauthorized")
        found = self._of(request).get(request.path_params["message_sid"])
        if found is None:
            return _error(404, "Message not found")
        return _page(request, "messages", [found])

    def _of(self, request: Request) -> dict[str, dict[str, Any]]:
        return self._messages.setdefault(request.path_params["account_sid"], {})

    def _keep(self, account_sid: str, message_sid: str, order: Mapping[str, str], status: str) -> None:
        """A message with the status that it comes to. `number` is the account's and `external_number` the other's, as
        in the examples; the table has it the other way round."""
        kept = self._messages.setdefault(account_sid, {})
        is_inbound = status == RECEIVED
        kept[message_sid] = {
            "account_sid": account_sid,
            "message_sid": message_sid,
            "text": order["text"],
            "created_at": int(time.time()),
            "direction": "inbound" if is_inbound else "outbound",
            "number": order["to" if is_inbound else "from"],
            "external_number": order["from" if is_inbound else "to"],
            "status": status,
            "segment_count": 1 + len(order["text"]) // 160,
        }
        if len(kept) > MOST_KEPT:
            del kept[next(iter(kept))]

    async def receive(self, request: Request) -> Response:
        """`POST /sandbox/inbound/mtt-sms/{account_sid}`, `from`, `to` and `text`: somebody writes to the account."""
        order, problem = read_order(await request.body())
        if problem is not None:
            return JSONResponse({"message": problem}, status_code=400)
        account_sid, message_sid = request.path_params["account_sid"], f"msg{uuid.uuid4()}"
        self._keep(account_sid, message_sid, order, RECEIVED)
        self._callbacks.plan([Callback("mtt-sms", event_of(account_sid, message_sid, order, RECEIVED), 0.0)])
        return JSONResponse({"message_sid": message_sid})

    async def send(self, request: Request) -> Response:
        """`POST …/messages`."""
        raw = await request.body()
        if self._knows(request):
            order, problem = read_order(raw)
            status = 400
        else:
            order, problem, status = {}, "Unauthorized", 401
        to, tag = (str(order.get(name, ""))[:80] for name in ("to", "tag"))
        fate = fate_of(to)
        if problem is None and fate.answer is Answer.INVALID_DATA:
            problem = "Invalid params: to isn't supported"
        if problem is not None:
            self._log.add("mtt-sms", tag, to, accepted=False, status=str(status))
            return _error(status, problem)
        if fate.answer is Answer.TOO_MANY and to not in self._held_once:
            self._held_once.add(to)
            self._log.add("mtt-sms", tag, to, accepted=False, status="HTTP 429")
            return Response(status_code=429, headers={"Retry-After": "1"})
        if fate.answer is Answer.SERVER_ERROR:
            self._log.add("mtt-sms", tag, to, accepted=False, status="HTTP 500")
            return Response("Internal Server Error", status_code=500)
        return await self._place(request.path_params["account_sid"], order, fate)

    async def _place(self, account_sid: str, order: Mapping[str, str], fate: Fate) -> Response:
        message_sid = f"msg{uuid.uuid4()}"
        answer = Answer.OK if fate.answer is Answer.TOO_MANY else fate.answer
        reference = order.get("tag") or message_sid
        self._log.add("mtt-sms", reference, order["to"], accepted=True, status=answer.value)
        self._keep(account_sid, message_sid, order, statuses_of(fate)[-1])
        planned = planned_callbacks(fate, account_sid, message_sid, order)
        if fate.delivery is Delivery.EARLY:
            await self._callbacks.deliver_now(planned)
        else:
            self._callbacks.plan(planned)
        return _reply(answer, f"/v2/accounts/{account_sid}/messages/{message_sid}")

    def _knows(self, request: Request) -> bool:
        """ "Basic HTTP auth": `-u {accountSID}:{Token}`."""
        user, token = login_of(request) or ("", "")
        return bool(user) and user == request.path_params["account_sid"] and knows(token, self._access_key)


def read_order(raw: bytes) -> tuple[dict[str, Any], str | None]:
    """The body of a message and None, or what could be read of it and what is wrong with it."""
    try:
        order = json.loads(raw)
    except (ValueError, RecursionError):
        order = None
    if not isinstance(order, dict):
        return {}, "Invalid params: body should be JSON"
    for name, value in order.items():
        if name not in (*REQUIRED, *OPTIONAL):
            return order, "Invalid params: unknown parameter"
        if not isinstance(value, str):
            return order, f"Invalid params: {name} should be a string"
    for name in REQUIRED:
        if not order.get(name):
            return order, f"Invalid params: {name} shouldn't be empty"
    for name in ("from", "to"):
        if not re.fullmatch(r"[0-9]{3,15}", order[name]):
            return order, f"Invalid params: {name} should be a number"
    return order, None


def statuses_of(fate: Fate) -> list[str]:
    """What becomes of a message, in order."""
    return [status for status in STATUSES if status != "delivered" or fate.ending not in UNDELIVERED]


def planned_callbacks(
    fate: Fate, account_sid: str, message_sid: str, order: Mapping[str, str]
) -> Sequence[Callback]:
    """The callbacks of a message; delays in seconds, each counted from the one before."""
    if fate.delivery is Delivery.NEVER:
        return ()
    statuses = statuses_of(fate)
    last = statuses[-1]
    if fate.delivery is Delivery.BACKWARDS:
        statuses.reverse()
    planned = []
    for status in statuses:
        delay = float(ring_seconds(order["to"])) if status == "delivered" else SECONDS_BETWEEN
        if fate.delivery is Delivery.LATE and status == last:
            delay += SECONDS_LATE
        query = event_of(account_sid, message_sid, order, status)
        planned.append(Callback("mtt-sms", query, delay))
        if fate.delivery is Delivery.DOUBLED:
            planned.append(Callback("mtt-sms", query, 0.0))
    return planned


def event_of(account_sid: str, message_sid: str, order: Mapping[str, str], status: str) -> str:
    """The parameters of an event, in the order of the examples. The reference does not say what `hash` is."""
    return urlencode(
        {
            "account_sid": account_sid,
            "direction": "inbound" if status == RECEIVED else "outbound",
            "from": order["from"],
            "hash": "view",
            "message_sid": message_sid,
            "status": status,
            "text": order["text"],
            "to": order["to"],
        }
    )


def _page(
    request: Request, name: str, found: Sequence[Mapping[str, Any]], filters: Sequence[str] = ()
) -> Response:
    """A page of a list; `page` counts from 0."""
    asked = request.query_params
    if any(one not in (*PAGING, *filters) for one in asked):
        return _error(400, "Invalid params: unknown parameter")
    limit, offset = asked.get("limit", str(MOST_ON_A_PAGE)), asked.get("offset", "0")
    if not all(re.fullmatch(r"[0-9]{1,9}", number) for number in (limit, offset)) or int(limit) == 0:
        return _error(400, "Invalid params: limit and offset should be numbers")
    size, start = min(int(limit), MOST_ON_A_PAGE), int(offset)

    def link(to: int) -> str:
        return str(request.url.include_query_params(limit=size, offset=to))

    return JSONResponse(
        {
            "page": start // size,
            "total": len(found),
            "limit": size,
            "offset": start,
            "prev": link(max(0, start - size)) if start else "",
            "next": link(start + size) if start + size < len(found) else "",
            name: list(found[start : start + size]),
        }
    )


def _reply(answer: Answer, uri: str) -> Response:
    if answer in BROKEN:
        return broken(answer)
    if answer is Answer.INTERNAL_ERROR:
        return _error(500, "Internal error")  # the reference has no word for it
    return JSONResponse({"status_code": 201, "status_message": "CREATED", "uri": uri}, 201)


def _error(status: int, error: str) -> Response:
    return JSONResponse({"status_code": status, "request_id": str(uuid.uuid4()), "error": error}, status)
