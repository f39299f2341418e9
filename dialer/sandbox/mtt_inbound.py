"""Plays calls to an account's numbers at MTT, strictly by `mtt-telecom-api.md` (`getControlCallFollowMe`, "Events").

`POST /sandbox/inbound/mtt-callback` is somebody who calls: MTT asks what becomes of it, does that, and tells how it
goes on. The number of whoever is rung for it decides how that ends.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dialer.sandbox.callbacks import Callback, Callbacks
from dialer.sandbox.mtt_accounts import MttAccounts
from dialer.sandbox.mtt_voice import CAUSES, TALKED
from dialer.sandbox.outcomes import fate_of, ring_seconds, talk_seconds

NAME = "mtt-callback"
METHOD = "getControlCallFollowMe"
MOSCOW = timezone(timedelta(hours=3))

#: "Выходные параметры", with the types of the table.
RESULT: Mapping[str, type] = {
    "redirect_type": int,
    "followme_struct": list,
    "sip_id": str,
    "event_URL": str,
    "event_extended": str,
    "client_id": str,
    "file_to_A": str,
    "file_to_B": str,
    "masking": str,
    "answer": str,
}
#: "followme_struct": text, though an example has the order as a number.
ENTRY = {
    "I_FOLLOW_ORDER",
    "ACTIVE",
    "NAME",
    "REDIRECT_NUMBER",
    "PERIOD",
    "PERIOD_DESCRIPTION",
    "TIMEOUT",
    "DTMF",
}
ONE_BY_ONE, ALL_AT_ONCE = 2, 3
SECONDS_OF_A_FILE = 7.0
CLEARED = 16
MOST_KEPT = 10_000  # calls of which the histories tell


class WrongAnswerError(Exception):
    """The answer is not what the reference asks for."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who calls."""

    session: str
    number: str
    sip_id: str


@dataclass(frozen=True, slots=True)
class Taken:
    """A call that MTT did what it was told with: who was talked with (none: nobody), for how long, the last cause, and
    when it is over on the clock of `time.monotonic`."""

    caller: Caller
    connected: str
    talked: int
    cause: int
    begun_at: datetime
    over_at: float


class MttInbound:
    """Calls that come in."""

    def __init__(self, callbacks: Callbacks, accounts: MttAccounts) -> None:
        self._callbacks = callbacks
        self._accounts = accounts
        self._taken: deque[Taken] = deque(maxlen=MOST_KEPT)

    def over(self) -> list[Taken]:
        """The calls that are over, the oldest first."""
        now = time.monotonic()
        return [taken for taken in self._taken if taken.over_at <= now]

    async def call(self, request: Request) -> Response:
        """`{"numberA": …, "sip_id": …}`: who calls which number. Answers what MTT was told and makes of it: the
        account's reserve, after anything but HTTP 200 and what cannot be read."""
        caller = _read_caller(await request.body())
        if caller is None:
            return JSONResponse({"message": "numberA and sip_id must be numbers"}, status_code=400)
        asked = {  # with the blank of the example
            "id": "1",
            "jsonrpc": "2.0",
            "method": METHOD,
            "params": {
                "sip_id": f" {caller.sip_id}",
                "numberA": caller.number,
                "h323_conf_id": caller.session,
            },
        }
        url, reserve = self._accounts.asked_at(caller.sip_id)
        heard = await self._callbacks.ask(NAME, json.dumps(asked).encode(), "application/json", url=url)
        told: dict[str, Any] = {"h323_conf_id": caller.session, "status": None, "answer": None}
        if heard is None:
            return JSONResponse(
                {**told, "becomes": "reserve", "with": [reserve], "problem": "nobody answers"}
            )
        text = heard.body.decode("utf-8", "replace")
        told |= {"status": heard.status, "seconds": heard.seconds, "answer": text}
        try:
            if heard.status != 200:
                raise WrongAnswerError(f"HTTP {heard.status}")
            result = read_answer(text, asked["id"])
        except WrongAnswerError as error:
            return JSONResponse({**told, "becomes": "reserve", "with": [reserve], "problem": str(error)})
        events = events_of(caller, result)
        self._callbacks.plan(planned_callbacks(caller, result, events, self._callbacks.time_scale))
        rung = [event["redirect_number"] for _, event in events if event["event"]["type"] == "s"]
        self._taken.append(_taken(caller, events, rung, self._callbacks.time_scale))
        becomes = "connected" if rung else "not connected" if numbers_of(result) else "refused"
        return JSONResponse({**told, "becomes": becomes, "with": rung})


def _taken(
    caller: Caller, events: list[tuple[float, dict[str, Any]]], rung: list[str], time_scale: float
) -> Taken:
    lasts = sum(delay for delay, _ in events)
    cause = int(events[-1][1]["event"].get("cause", CLEARED))
    return Taken(
        caller,
        connected=rung[0] if rung else "",
        talked=talk_seconds(rung[0]) if rung else 0,
        cause=cause,
        begun_at=datetime.now(UTC),
        over_at=time.monotonic() + lasts * time_scale,
    )


def read_answer(text: str, request_id: object) -> dict[str, Any]:
    """`result` of the answer. Raises WrongAnswerError."""
    try:
        answer = json.loads(text)
    except ValueError:
        raise WrongAnswerError("no JSON") from None
    if not isinstance(answer, dict) or answer.get("jsonrpc") != "2.0" or answer.get("id") != request_id:
        raise WrongAnswerError("no JSON-RPC, or the answer to something else")
    result = answer.get("result")
    if not isinstance(result, dict):
        raise WrongAnswerError("no result")
    for name, value in result.items():
        if type(value) is not RESULT.get(name):
            raise WrongAnswerError(f"{name} is unknown or of another type")
    if result.get("redirect_type") not in (1, ONE_BY_ONE, ALL_AT_ONCE):
        raise WrongAnswerError("redirect_type is not 1, 2 or 3")
    for name in ("event_extended", "masking", "answer"):
        if result.get(name, "Y") not in ("Y", "N"):
            raise WrongAnswerError(f"{name} is neither Y nor N")
    _check_followme(result.get("followme_struct"), result["redirect_type"])
    return result


def numbers_of(result: Mapping[str, Any]) -> list[str]:
    """Whom to ring, in order."""
    return [entry["REDIRECT_NUMBER"] for entry in result["followme_struct"][1] if entry["ACTIVE"] == "Y"]


def events_of(caller: Caller, result: Mapping[str, Any]) -> list[tuple[float, dict[str, Any]]]:
    """What is told of the call, each event so many seconds after the one before. A call that several are rung for at
    once is told of as if only those before the first to answer had been: the reference says nothing of the others."""
    events: list[tuple[float, dict[str, Any]]] = []
    if "file_to_A" in result:
        events.append((0.1, _event("sp", caller.number, side="A")))
        events.append((SECONDS_OF_A_FILE, _event("ep", caller.number, side="A")))
    numbers = numbers_of(result)
    for number in numbers:
        rung = {"redirect_number": number}
        ending = fate_of(number).ending
        events.append((0.1, _event("o", number) | rung))
        if ending not in TALKED:
            ended = _event("h", number, cause=CAUSES[ending], side="B") | rung
            events.append((float(ring_seconds(number)), ended))
            continue
        events.append((float(ring_seconds(number)), _event("s", number, cause=CLEARED) | rung))
        if "file_to_B" in result:
            events.append((0.0, _event("sp", number, side="B") | rung))
            events.append((SECONDS_OF_A_FILE, _event("ep", number, side="B") | rung))
        events.append((0.0, _event("t", number) | rung))
        ended = _event("h", number, cause=CLEARED, side="B") | rung
        events.append((float(talk_seconds(number)), ended))
        break
    if not numbers:
        events.append((0.1, _event("h", caller.number, cause=CLEARED, side="A")))
    if result.get("event_extended") == "Y":
        return events
    return [(delay, event) for delay, event in events if event["event"]["type"] in ("o", "s", "h")]


def planned_callbacks(
    caller: Caller, result: Mapping[str, Any], events: list[tuple[float, dict[str, Any]]], time_scale: float
) -> list[Callback]:
    """The POSTs to `event_URL`; none without one."""
    if "event_URL" not in result:
        return []
    at = datetime.now(UTC)
    callbacks = []
    for delay, event in events:
        at += timedelta(seconds=delay * time_scale)
        when = at.astimezone(MOSCOW).strftime("%Y-%m-%d-%H-%M-%S")
        cause = f"&cause={event.pop('cause')}" if "cause" in event else ""
        kind = event["event"]["type"]
        told = {
            "date_time": int(at.timestamp()),
            "data": f"event={kind}_{event.pop('whose')}_{when}{cause}",
            **event,
            "h323_conf_id": f" {caller.session} "
            if kind == "h"
            else caller.session,  # with blanks, as in the example
            "numberA": caller.number,
            "sip_id": caller.sip_id,
        }
        if "client_id" in result:
            told["client_id"] = result["client_id"]
        content = json.dumps(told).encode()
        callbacks.append(Callback(NAME, "", delay, content, "application/json", url=result["event_URL"]))
    return callbacks


def _event(kind: str, whose: str, *, cause: int | None = None, side: str = "") -> dict[str, Any]:
    event: dict[str, Any] = {"type": kind}
    if cause is not None and kind == "h":
        event["cause"] = str(cause)
    if side:
        event["side"] = side
    return {"event": event, "whose": whose, **({} if cause is None else {"cause": cause})}


def _read_caller(body: bytes) -> Caller | None:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return None
    numbers = [given.get(name) if isinstance(given, dict) else None for name in ("numberA", "sip_id")]
    number, sip_id = numbers
    if not isinstance(number, str) or not isinstance(sip_id, str):
        return None
    if not re.fullmatch(r"\+?[0-9]{3,15}", number) or not re.fullmatch(r"[0-9]{11}", sip_id):
        return None
    session = " ".join(secrets.token_hex(4).upper() for _ in range(4))
    return Caller(session, number, sip_id)


def _check_followme(structure: Any, redirect_type: int) -> None:
    if not isinstance(structure, list) or len(structure) != 2 or not isinstance(structure[1], list):
        raise WrongAnswerError("followme_struct is not a count and a list")
    count, entries = structure
    if count != len(entries) or not entries or (redirect_type == 1 and count != 1):
        raise WrongAnswerError("followme_struct has another length than it says, or than its type allows")
    for entry in entries:
        if (
            not isinstance(entry, dict)
            or not ENTRY.issuperset(entry)
            or entry.get("ACTIVE") not in ("Y", "N")
        ):
            raise WrongAnswerError("followme_struct holds what is no number to forward to")
        if entry["ACTIVE"] == "Y" and not re.fullmatch(r"[0-9]{10,15}", str(entry.get("REDIRECT_NUMBER"))):
            raise WrongAnswerError("REDIRECT_NUMBER is no number")
        if not re.fullmatch(r"[0-9]+", str(entry.get("TIMEOUT", "30"))):
            raise WrongAnswerError("TIMEOUT is no number of seconds")
        if not re.fullmatch(r"[0-9*#wW]+", str(entry.get("DTMF", "1"))):
            raise WrongAnswerError("DTMF holds what is no key")
