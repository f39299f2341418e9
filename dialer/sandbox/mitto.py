"""Plays Mitto, strictly by `mitto-platform-api.md`: what the reference does not allow is refused.

The tables here are read off the reference once more, not taken from the adapter: a mistake there must show.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dialer.sandbox.callbacks import Callback, Callbacks
from dialer.sandbox.log import CallLog
from dialer.sandbox.mitto_media import Library, RefusedError
from dialer.sandbox.outcomes import Answer, Delivery, Ending, Fate, fate_of, ring_seconds, talk_seconds
from dialer.sandbox.wire import BROKEN, broken

#: "Application activation" and "Launching the application with repeats".
REQUIRED = {"reference": str, "sourceAddr": str, "destAddr": str, "scenarioData": str}
REPEATED_ON = ("Busy", "Answered", "Failed", "NoAnswer")
OPTIONAL = {
    "gender": int,
    "volume": int,
    "rate": int,
    "language": str,
    "isRepeat": int,
    **{f"repeat{on}{what}": int for on in REPEATED_ON for what in ("", "Count", "Int")},
}
TYPES = {**REQUIRED, **OPTIONAL}
RANGES = {
    "gender": range(1, 3),
    "volume": range(3),
    "rate": range(5),
    "isRepeat": range(2),
    **{f"repeat{on}": range(2) for on in REPEATED_ON},
    **{f"repeat{on}Count": range(1001) for on in REPEATED_ON},
}
LANGUAGES = {
    *("en-US", "en-IN", "en-IE", "en-UA", "en-GB-WLS", "en-NZ", "en-ZA", "ar-AE", "nl-NL", "nl-BE", "da-DK"),
    *("is-IS", "es-ES", "es-US", "es-MX", "it-IT", "ca-ES", "cmn-CN", "yue-CN", "ko-KR", "de-DE", "de-AT"),
    *("nb-NO", "pl-PL", "pt-PT", "pt-BR", "ro-RO", "ru-RU", "tr-TR", "cy-GB", "fi-FI", "fr-FR", "fi-CA"),
    *("fr-BE", "sv-SE", "ja-JP"),
}

#: `state` and `error` of endCallback. Where the short list of endCallback errors has no word for it, the code is
#: from "Script execution error codes".
ENDINGS = {
    Ending.ANSWERED: (2, 0),
    Ending.NO_ANSWER: (5, 16),
    Ending.BUSY: (5, 17),
    Ending.UNAVAILABLE: (5, 19),
    Ending.CONGESTION: (5, 34),
    Ending.REJECTED: (5, 21),
    Ending.INVALID_NUMBER: (5, 1),
    Ending.MACHINE: (5, 99),
    Ending.TTS_FAILURE: (5, 1017),
}
TALKED = (Ending.ANSWERED, Ending.MACHINE)

#: Which of the four settings of repeats an ending belongs to; any other is `Failed`.
REPEATED_AS = {
    Ending.ANSWERED: "Answered",
    Ending.MACHINE: "Answered",
    Ending.BUSY: "Busy",
    Ending.REJECTED: "Busy",
    Ending.NO_ANSWER: "NoAnswer",
}
#: "Response format": keys of applications that something is prohibited for.
TROUBLED = {"prohibited-app": "prohibitedForAppError", "prohibited-service": "prohibitedForServiceError"}
SECONDS_TO_START = 0.5
SECONDS_LATE = 60.0


class Mitto:
    """The simulated provider. `access_key` None accepts any key that is not empty."""

    def __init__(self, log: CallLog, callbacks: Callbacks, access_key: str | None) -> None:
        self._log = log
        self._callbacks = callbacks
        self._access_key = access_key
        self._held_once: set[str] = set()  # numbers that have had their 429
        self._libraries: dict[str, Library] = {}  # by access key

    def routes(self) -> list[Route]:
        """Below the base URL."""
        return [
            Route("/apps/activate", self.activate, methods=["POST"]),
            Route("/balance", self.balance, methods=["GET"]),
            Route("/media", self.media, methods=["GET", "POST"]),
            Route("/media/{id}", self.media, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    async def activate(self, request: Request) -> Response:
        """`POST apps/activate`."""
        key = _access_key(request)
        raw = await request.body()
        problem = self._why_not(key)
        order, problem = read_order(raw) if problem is None else ({}, problem)
        if problem is not None:
            reference, to = (str(order.get(name, ""))[:80] for name in ("reference", "destAddr"))
            self._log.add("mitto", reference, to, accepted=False, status=problem)
            return _status(problem)
        return await self._place(order, key)

    async def balance(self, request: Request) -> Response:
        """`GET balance`."""
        if problem := self._why_not(_access_key(request)):
            return _status(problem)
        return _json({"status": "ok", "personalAccountId": "0000000000", "balance": "100.0"})

    async def media(self, request: Request) -> Response:
        """Everything below `media`."""
        key = _access_key(request)
        if problem := self._why_not(key):
            return _status(problem)
        try:
            return await self._libraries.setdefault(key, Library()).answer(request)
        except RefusedError as error:
            return _status(error.status)

    async def _place(self, order: dict[str, Any], key: str) -> Response:
        reference, to = order["reference"], order["destAddr"]
        fate = fate_of(to)
        answer = fate.answer
        if answer is Answer.TOO_MANY and to in self._held_once:
            answer = Answer.OK
        refusal = self._refuse(answer, to)
        if refusal is not None:
            status = {429: "HTTP 429", 500: "HTTP 500"}.get(refusal.status_code, "invalidDataError")
            self._log.add("mitto", reference, to, accepted=False, status=status)
            return refusal
        self._log.add("mitto", reference, to, accepted=True, status=answer.value)
        planned = planned_callbacks(fate, reference, to, key, played_dials(fate, order))
        if fate.delivery is Delivery.EARLY:
            await self._callbacks.deliver_now(planned)
        else:
            self._callbacks.plan(planned)
        return _reply(answer, order)

    def _refuse(self, answer: Answer, to: str) -> Response | None:
        if answer is Answer.TOO_MANY:
            self._held_once.add(to)
            return Response(status_code=429, headers={"Retry-After": "1"})
        if answer is Answer.SERVER_ERROR:
            return Response("Internal Server Error", status_code=500)
        if answer is Answer.INVALID_DATA:
            return _status("invalidDataError")
        return None

    def _why_not(self, key: str) -> str | None:
        """The status that refuses everything with this key."""
        if key in TROUBLED:
            return TROUBLED[key]
        known = bool(key) and (self._access_key is None or secrets.compare_digest(key, self._access_key))
        return None if known else "invalidAccessKeyError"


def read_order(raw: bytes) -> tuple[dict[str, Any], str | None]:
    """The body of an activation and None, or what could be read of it and the status that refuses it."""
    try:
        order = json.loads(raw)
    except (ValueError, RecursionError):
        return {}, "requiredJsonError"
    if not isinstance(order, dict):
        return {}, "invalidSchemeError"
    if any(name not in order for name in REQUIRED):
        return order, "invalidSchemeError"
    if any(type(value) is not TYPES.get(name) for name, value in order.items()):
        return order, "invalidSchemeError"  # an unknown name has no type either
    return order, None if _plausible(order) else "invalidDataError"


def played_dials(fate: Fate, order: dict[str, Any]) -> Sequence[tuple[Ending, int]]:
    """How each dial of an activation ends, and how many seconds it comes after the one before.

    "Launching the application with repeats": the system retries until the number of repeats of that outcome is used up.
    Repeats end as the two digits before the last two of the number say.
    """
    dials = [(fate.ending, 0)]
    left = {on: order.get(f"repeat{on}Count", 0) for on in REPEATED_ON if order.get(f"repeat{on}") == 1}
    if order.get("isRepeat") != 1:
        return dials
    repeated = fate_of(order["destAddr"][:-2]).ending
    while left.get(on := REPEATED_AS.get(dials[-1][0], "Failed"), 0) > 0:
        left[on] -= 1
        dials.append((repeated, order[f"repeat{on}Int"]))
    return dials


def planned_callbacks(
    fate: Fate, reference: str, to: str, key: str, dials: Sequence[tuple[Ending, int]]
) -> Sequence[Callback]:
    """The callbacks of a call; delays in seconds, each counted from the one before. Of every dial the start and the end
    are told: the reference leaves open whether that is so of repeats, and nothing in a callback says which dial it is.
    """
    if fate.delivery is Delivery.NEVER:
        return ()
    planned: list[Callback] = []
    for ending, pause in dials:
        planned += _callbacks_of_dial(fate.delivery, ending, pause, reference, to, key)
    if fate.delivery is Delivery.LATE:
        planned[-1] = replace(planned[-1], delay=planned[-1].delay + SECONDS_LATE)
    return planned


def _callbacks_of_dial(
    delivery: Delivery, ending: Ending, pause: int, reference: str, to: str, key: str
) -> Sequence[Callback]:
    state, error = ENDINGS[ending]
    talk = talk_seconds(to) if ending in TALKED else 0
    start = urlencode({"type": "startCallback", "reference": reference})
    end = urlencode(
        {
            "type": "endCallback",
            "reference": reference,
            "state": state,
            "error": error,
            "duration": talk,
            "appKey": key,
        }
    )
    first = Callback("mitto", start, pause + SECONDS_TO_START)
    last = Callback("mitto", end, ring_seconds(to) + talk)
    if delivery is Delivery.BACKWARDS:
        return (replace(last, delay=pause + last.delay), replace(first, delay=SECONDS_TO_START))
    if delivery is Delivery.DOUBLED:
        return (first, Callback("mitto", start, 0.0), last, Callback("mitto", end, 0.0))
    return (first, last)


def _plausible(order: dict[str, Any]) -> bool:
    ranges_kept = all(order[name] in allowed for name, allowed in RANGES.items() if name in order)
    counts_kept = all(value >= 0 for value in order.values() if isinstance(value, int))
    repeats_told = all(
        order.get(f"repeat{on}") != 1 or {f"repeat{on}Count", f"repeat{on}Int"} <= order.keys()
        for on in REPEATED_ON
    )
    return (
        ranges_kept
        and counts_kept
        and repeats_told
        and bool(order["reference"])
        and order.get("language", "en-US") in LANGUAGES
        and _is_number(order["sourceAddr"])
        and _is_number(order["destAddr"])
        and all(
            name and equals
            for name, equals, _ in (p.partition("=") for p in order["scenarioData"].split("&"))
        )
    )


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and 5 <= len(value) <= 15


def _access_key(request: Request) -> str:
    given = request.headers.get("x-authorization") or request.query_params.get("X-Authorization", "")
    scheme, _, key = given.partition(" ")
    return key.strip() if scheme == "AccessKey" else ""


def _reply(answer: Answer, order: dict[str, Any]) -> Response:
    if answer in BROKEN:
        return broken(answer)
    if answer is Answer.INTERNAL_ERROR:
        return _status("rpcError")
    if order.get("isRepeat") == 1:
        return _json({"status": "ok", "requestId": secrets.token_hex(16)})
    return _status("ok")


def _status(status: str) -> Response:
    return _json({"status": status})


def _json(body: dict[str, str]) -> Response:
    return Response(json.dumps(body), media_type="application/json")
