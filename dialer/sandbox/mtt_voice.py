"""Plays MTT's informing by voice, strictly by `mtt-telecom-api.md` (entry point `sb-api.mtt.ru/v1/sb`).

The tables here are read off the reference once more, not taken from the adapter: a mistake there must show.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from dialer.sandbox.callbacks import Callback, Callbacks
from dialer.sandbox.log import CallLog
from dialer.sandbox.login import login_of
from dialer.sandbox.outcomes import Answer, Delivery, Ending, Fate, fate_of, ring_seconds, talk_seconds
from dialer.sandbox.wire import BROKEN, broken

NAME = "mtt-voice"

#: `data` of both methods; `lang_code` is how the example of calls that ask for keys spells it.
FIELDS = {
    *("b_number", "sip_id", "messId", "messText", "a_number"),
    *("langCode", "lang_code", "voice_name", "emotion", "speed_speech", "dtmf"),
}
VOICES = {"alyss", "jane", "oksana", "omazh", "zahar", "ermil", "erkanyavas"}
EMOTIONS = {"good", "evil", "neutral"}
ANNOUNCEMENT_LANGUAGES = {"ru-RU", "en-US"}
MENU_LANGUAGES = {"ru-RU", "en-US", "tr-TR"}

NOT_E164 = '"{}" should be in e164 format'
NOT_FOUND = '"{}" not found in request body'
NOT_ALLOWED = '"{}" value is not allowed'
WRONG_METHOD = "access forbidden"
WRONG_SIP_ID = "Forbidden"

#: `cause` of `h`. The reference shows 16, 17 and 20; the others are Q.850's. To the network a machine that answers is
#: an answer.
CAUSES = {
    Ending.ANSWERED: 16,
    Ending.NO_ANSWER: 19,
    Ending.BUSY: 17,
    Ending.UNAVAILABLE: 20,
    Ending.CONGESTION: 34,
    Ending.REJECTED: 21,
    Ending.INVALID_NUMBER: 1,
    Ending.MACHINE: 16,
    Ending.TTS_FAILURE: 127,
}
TALKED = (Ending.ANSWERED, Ending.MACHINE)
SECONDS_TO_START = 0.5
SECONDS_LATE = 60.0

MOSCOW = timezone(timedelta(hours=3))
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
#: How callbacks look; the last digit but two of the number decides, from 0 on. Calls that ask for keys have JSON
#: only. The last two are as the reference prints its examples.
FORMS = ("json", "url", "form", "string", "string in data", "printed", "printed in data")


class MttVoice:
    """The simulated provider. `methods` and `sip_ids` None accept any that is not empty, and so is any login."""

    def __init__(
        self,
        log: CallLog,
        callbacks: Callbacks,
        methods: Collection[str] | None = None,
        sip_ids: Collection[str] | None = None,
    ) -> None:
        self._log = log
        self._callbacks = callbacks
        self._methods = methods
        self._sip_ids = sip_ids
        self._held_once: set[str] = set()  # numbers that have had their 429

    async def order(self, request: Request) -> Response:
        """The POST that initiates a call."""
        if login_of(request) is None:
            return Response(status_code=401, headers={"WWW-Authenticate": "Basic"})
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            # The reference has no word for it.
            return Response("Bad Request", status_code=400)
        data = body.get("data")
        order: dict[str, Any] = data if isinstance(data, dict) else {}
        if "dtmf" in body:  # its table stands beside `data`, in the example it is within
            order = {**order, "dtmf": body["dtmf"]}
        call_id = secrets.token_hex(8)
        error = WRONG_METHOD if not _is_one_of(body.get("method"), self._methods) else self._wrong_with(order)
        if error is not None:
            reference, to = (str(order.get(name, ""))[:80] for name in ("messId", "b_number"))
            self._log.add(NAME, reference, to, accepted=False, status=error)
            return refused(error, order, call_id)
        return await self._place(order, call_id)

    async def _place(self, order: dict[str, Any], call_id: str) -> Response:
        reference, to = order["messId"], order["b_number"]
        fate = fate_of(to)
        answer = fate.answer
        if answer is Answer.TOO_MANY and to in self._held_once:
            answer = Answer.OK
        if answer in (Answer.TOO_MANY, Answer.SERVER_ERROR, Answer.INVALID_DATA):
            return self._refuse(answer, order, call_id)
        self._log.add(NAME, reference, to, accepted=True, status=answer.value)
        planned = planned_callbacks(fate, order, call_id, datetime.now(UTC), self._callbacks.time_scale)
        if fate.delivery is Delivery.EARLY:
            await self._callbacks.deliver_now(planned)
        else:
            self._callbacks.plan(planned)
        return _reply(answer, order, call_id)

    def _refuse(self, answer: Answer, order: dict[str, Any], call_id: str) -> Response:
        reference, to = order["messId"], order["b_number"]
        error = NOT_E164.format("b_number")
        status = {Answer.TOO_MANY: "HTTP 429", Answer.SERVER_ERROR: "HTTP 500"}.get(answer, error)
        self._log.add(NAME, reference, to, accepted=False, status=status)
        if answer is Answer.TOO_MANY:
            self._held_once.add(to)
            return Response(status_code=429, headers={"Retry-After": "1"})
        if answer is Answer.SERVER_ERROR:
            return Response("Internal Server Error", status_code=500)
        return refused(error, order, call_id)

    def _wrong_with(self, order: dict[str, Any]) -> str | None:
        if not _is_one_of(order.get("messId"), None):
            return NOT_FOUND.format("messId")
        if not _is_one_of(order.get("sip_id"), self._sip_ids):
            return WRONG_SIP_ID
        for name in ("b_number", "a_number"):
            if (name == "b_number" or name in order or "dtmf" in order) and not _is_number(order.get(name)):
                return NOT_E164.format(name)
        if not _is_one_of(order.get("messText"), None):
            return NOT_FOUND.format("messText")
        # What else is wrong has no example in the reference, so it is told in the words of those that have.
        unknown = next((name for name in order if name not in FIELDS), None)
        return NOT_ALLOWED.format(unknown) if unknown is not None else _wrong_value(order)


def refused(error: str, order: Mapping[str, Any], call_id: str) -> Response:
    """The reference's reply to an error. It prints four shapes."""
    if error == WRONG_METHOD:
        return _json({"message": error})
    result = {"success": 0, "error": error}
    if not order.get("messId"):
        return _json({"result": result, "id": call_id})  # printed so, without a CallID
    answer = json.dumps({"result": result, "id": order["messId"], "CallID": call_id})
    if error == WRONG_SIP_ID:
        answer = f"{{\n  {answer}\n}}"  # printed so, in two pairs of braces
    return Response(answer, media_type=JSON)


def planned_callbacks(
    fate: Fate, order: Mapping[str, Any], call_id: str, now: datetime, time_scale: float
) -> Sequence[Callback]:
    """The callbacks of a call that is ordered `now`; delays in seconds, each counted from the one before."""
    if fate.delivery is Delivery.NEVER:
        return ()
    to, menu = order["b_number"], order.get("dtmf")
    talk = talk_seconds(to) if fate.ending in TALKED else 0
    events: list[tuple[float, dict[str, str]]] = [(SECONDS_TO_START, {"event": f"o_{to}"})]
    if menu and talk:
        events += [(float(ring_seconds(to)), first) for first in chosen(fate, to, menu[0], talk)]
        events.append((float(talk), {"event": f"h_{to}_{CAUSES[fate.ending]}_{talk}"}))
    else:
        length = float(ring_seconds(to) + talk)
        events.append((length, {"event": f"h_{to}_{CAUSES[fate.ending]}_{talk}"}))
    form = "json" if menu else FORMS[int(to[-3]) % len(FORMS)]
    callbacks: list[Callback] = []
    at = now
    for delay, event in events:
        at += timedelta(seconds=delay * time_scale)
        when = at.astimezone(MOSCOW).strftime("%Y-%m-%d-%H-%M-%S")
        told = {"date_time": when, "id": order["messId"], "CallID": call_id, **event}
        callbacks.append(replace(written(form, told), delay=delay))
    if fate.delivery is Delivery.LATE:
        callbacks[-1] = replace(callbacks[-1], delay=callbacks[-1].delay + SECONDS_LATE)
    if fate.delivery is Delivery.BACKWARDS:
        callbacks.reverse()
    if fate.delivery is Delivery.DOUBLED:
        return [one for first in callbacks for one in (first, replace(first, delay=0.0))]
    return callbacks


def chosen(fate: Fate, to: str, item: Mapping[str, str], talk: int) -> list[dict[str, str]]:
    """What is told of the first key of a menu: people press it, machines press none."""
    if fate.ending is Ending.MACHINE:
        return [{"dtmf": "null", "type": "notify", "event": f"n_{to}"}]
    key = {"dtmf": item["dtmf_id"], "type": item["type"]}
    if item["type"] == "notify":
        return [{**key, "event": f"n_{to}"}]
    operator = item["value"]
    return [{**key, "event": f"o_{operator}"}, {**key, "event": f"h_{operator}_16_{talk // 2}"}]


def written(form: str, told: Mapping[str, str]) -> Callback:
    """A callback in one of `FORMS`."""
    pairs = urlencode(told)
    if form == "url":
        return Callback(NAME, pairs, 0.0)
    content, content_type = {
        "json": (json.dumps(told), JSON),
        "form": (pairs, FORM),
        "string": (json.dumps({pairs: ""}), JSON),
        "string in data": (json.dumps({"data": {pairs: ""}}), JSON),
        "printed": (f'{{"{pairs}"}}', JSON),
        "printed in data": (f'{{"data":{{"{pairs}"}}}}', JSON),
    }[form]
    return Callback(NAME, "", 0.0, content.encode(), content_type)


def _wrong_value(order: Mapping[str, Any]) -> str | None:
    menu = order.get("dtmf")
    languages = ANNOUNCEMENT_LANGUAGES if menu is None else MENU_LANGUAGES
    allowed = {"langCode": languages, "lang_code": languages, "voice_name": VOICES, "emotion": EMOTIONS}
    for name, values in allowed.items():
        if name in order and order[name] not in tuple(values):
            return NOT_ALLOWED.format(name)
    speed = order.get("speed_speech", 1.0)
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.1 <= speed <= 3.0:
        return NOT_ALLOWED.format("speed_speech")
    if menu is None:
        return None
    if not isinstance(menu, list) or not menu:
        return NOT_ALLOWED.format("dtmf")
    return next((wrong for item in menu if (wrong := _wrong_key(item)) is not None), None)


def _wrong_key(item: object) -> str | None:
    if not isinstance(item, dict) or item.get("dtmf_id") not in tuple("123456789"):
        return NOT_ALLOWED.format("dtmf_id")
    value = item.get("value")
    if item.get("type") == "notify":
        secure = isinstance(value, str) and value.startswith("https://")
        return None if secure else NOT_ALLOWED.format("notify")
    if item.get("type") == "transfer":
        return None if _is_number(value) else NOT_ALLOWED.format("transfer")
    return NOT_ALLOWED.format("type")


def _is_number(value: object) -> bool:
    """E.164, strictly 11 digits."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 11


def _is_one_of(value: object, known: Collection[str] | None) -> bool:
    return isinstance(value, str) and bool(value) and (known is None or value in known)


def _reply(answer: Answer, order: Mapping[str, Any], call_id: str) -> Response:
    if answer in BROKEN:
        return broken(answer)
    if answer is Answer.INTERNAL_ERROR:
        return refused("Internal error", order, call_id)  # the reference has no word of its own for it
    return _json({"result": {"success": 1}, "id": order["messId"], "CallID": call_id})


def _json(body: Mapping[str, Any]) -> Response:
    return Response(json.dumps(body), media_type=JSON)
