"""Plays Mitto's flash calls, strictly by `mitto-flashcall-api.md`: what the reference does not allow is refused.

The tables here are read off the reference once more, not taken from the adapter: a mistake there must show.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dialer.sandbox.callbacks import Callback, Callbacks
from dialer.sandbox.log import CallLog
from dialer.sandbox.outcomes import Answer, Delivery, Ending, Fate, fate_of, ring_seconds
from dialer.sandbox.wire import BROKEN, broken

#: "Description of error codes": the HTTP status and `errorReason` of each that is played.
ERRORS = {
    1: (401, "Authentication required"),
    2: (400, "Inactive account"),
    4: (429, "Too many requests"),
    5: (401, "Inactive token"),
    6: (403, "Insufficient funds"),
    10: (400, "Invalid request"),
    11: (400, "Invalid number"),
    16: (400, "Sender not allowed"),
}
#: … and tokens whose account has what is told by them.
TROUBLED = {"inactive-account": 2, "inactive-token": 5, "no-funds": 6, "no-sender": 16}

#: "Statuses comparison". There is no word for a number that nobody has nor for a crowded network ("another SIP error"),
#: and nothing is spoken that could fail: that number is what the anti-fraud forbids.
STATUSES = {
    Ending.ANSWERED: "ANSWERED",
    Ending.MACHINE: "ANSWERED",
    Ending.NO_ANSWER: "TERMINATED",
    Ending.REJECTED: "BUSY_HERE",
    Ending.BUSY: "REJECTED",
    Ending.CONGESTION: "REJECTED",
    Ending.INVALID_NUMBER: "REJECTED",
    Ending.UNAVAILABLE: "UNAVAILABLE",
    Ending.TTS_FAILURE: "FORBIDDEN",
}
SECONDS_LATE = 60.0
APP_KEY = "sandbox"


class MittoFlash:
    """The simulated provider. `access_key` None accepts any token that is not empty."""

    def __init__(self, log: CallLog, callbacks: Callbacks, access_key: str | None) -> None:
        self._log = log
        self._callbacks = callbacks
        self._access_key = access_key
        self._held_once: set[str] = set()  # numbers that have had their 429

    def routes(self) -> list[Route]:
        """Below the base URL."""
        return [Route("/apps/flash/calls/flash", self.call, methods=["POST"])]

    async def call(self, request: Request) -> Response:
        """`POST apps/flash/calls/flash`."""
        raw = await request.body()
        token = _token(request)
        order, error = read_order(raw) if self._knows(token) else ({}, TROUBLED.get(token, 1))
        to = str(order.get("number", ""))[:80]
        fate = fate_of(to)
        if error is None:
            error = self._refusal(fate.answer, to)
        if error is not None:
            self._log.add("mitto-flash", "", to, accepted=False, status=f"error {error}")
            return _error(error)
        if fate.answer is Answer.SERVER_ERROR:
            self._log.add("mitto-flash", "", to, accepted=False, status="HTTP 500")
            return Response("Internal Server Error", status_code=500)
        return await self._place(order, fate)

    async def _place(self, order: Mapping[str, Any], fate: Fate) -> Response:
        request_id, to = secrets.randbits(48), order["number"]
        answer = Answer.OK if fate.answer is Answer.TOO_MANY else fate.answer
        self._log.add("mitto-flash", str(request_id), to, accepted=True, status=answer.value)
        seconds = min(float(ring_seconds(to)), order.get("timeout", 60_000) / 1000)
        over_at = time.time() + seconds * self._callbacks.time_scale
        planned = planned_callbacks(fate, request_id, to, seconds, int(over_at))
        if fate.delivery is Delivery.EARLY:
            await self._callbacks.deliver_now(planned)
        else:
            self._callbacks.plan(planned)
        return _reply(answer, request_id, order["code"])

    def _refusal(self, answer: Answer, to: str) -> int | None:
        """The error that this number is refused with."""
        if answer is Answer.TOO_MANY and to not in self._held_once:
            self._held_once.add(to)
            return 4
        return 10 if answer is Answer.INVALID_DATA else None

    def _knows(self, token: str) -> bool:
        return token not in ("", *TROUBLED) and (
            self._access_key is None or secrets.compare_digest(token.encode(), self._access_key.encode())
        )


def read_order(raw: bytes) -> tuple[dict[str, Any], int | None]:
    """The body of a request and None, or what could be read of it and the error that refuses it."""
    try:
        order = json.loads(raw)
    except (ValueError, RecursionError):
        return {}, 10
    if not isinstance(order, dict):
        return {}, 10
    timeout = order.get("timeout", 60_000)
    well_formed = (
        {"number", "code"} <= order.keys() <= {"number", "code", "timeout"}
        and isinstance(order["number"], str)
        and _is_code(order["code"])
        and type(timeout) is int
        and timeout > 0
    )
    if not well_formed:
        return order, 10
    # E.164 has up to 15 digits and no leading zero; the example has no plus.
    return order, None if re.fullmatch(r"[1-9][0-9]{4,14}", order["number"]) else 11


def planned_callbacks(
    fate: Fate, request_id: int, to: str, seconds: float, over_at: int
) -> Sequence[Callback]:
    """The callbacks of a call that is over after so many seconds, at that unixtime. There is one status for a call, so
    none can come before another."""
    if fate.delivery is Delivery.NEVER:
        return ()
    query = urlencode(
        {
            "requestId": request_id,
            "number": to,
            "status": STATUSES[fate.ending],
            "timestamp": over_at,
            "appKey": APP_KEY,
        }
    )
    late = SECONDS_LATE if fate.delivery is Delivery.LATE else 0.0
    callback = Callback("mitto-flash", query, seconds + late)
    if fate.delivery is Delivery.DOUBLED:
        return (callback, Callback("mitto-flash", query, 0.0))
    return (callback,)


def _is_code(code: object) -> bool:
    """ "Code, 4 characters": a number in the example."""
    if isinstance(code, str):
        return re.fullmatch(r"[0-9]{4}", code) is not None
    return type(code) is int and 1000 <= code <= 9999


def _token(request: Request) -> str:
    """ "HTTP Basic", "Authorization: token"."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme == "Basic" else ""


def _reply(answer: Answer, request_id: int, code: str | int) -> Response:
    if answer in BROKEN:
        return broken(answer)
    if answer is Answer.INTERNAL_ERROR:
        return JSONResponse({"status": "rpcError"})  # "Response format"
    return JSONResponse({"requestId": request_id, "from": f"7917913{code}"})


def _error(error: int) -> Response:
    status, reason = ERRORS[error]
    headers = {"Retry-After": "1"} if status == 429 else None
    return JSONResponse({"errorCode": error, "errorReason": reason}, status, headers)
