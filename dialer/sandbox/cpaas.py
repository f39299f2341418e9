"""Plays a CPaaS server, strictly by `cpaas-campaign-api.md`: what the reference does not allow is refused.

The tables here are read off the reference once more, not taken from the adapter: a mistake there must show. Nothing is
called back: whoever wants to know how a call ended asks for its CDR.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dialer.sandbox.callbacks import Callbacks
from dialer.sandbox.log import CallLog
from dialer.sandbox.outcomes import Answer, Delivery, Ending, fate_of, ring_seconds, talk_seconds
from dialer.sandbox.wire import BROKEN, broken

NAME = "cpaas"
Fields = dict[str, str]

_SPEECH: Mapping[str, frozenset[str] | None] = {
    "voice": None,
    "volume": frozenset({"silent", "x-soft", "soft", "medium", "loud", "x-loud"}),
    "rate": frozenset({"x-slow", "slow", "medium", "fast", "x-fast"}),
    "pitch": frozenset({"x-low", "low", "medium", "high", "x-high"}),
    "language_code": None,
    "tts_engine_type": frozenset({"standard", "neural"}),
}
_ON = frozenset({"on", "off"})
_CALLBACK: Mapping[str, frozenset[str] | None] = {"recording_option": _ON}
#: By path and HTTP method: fields that must be there, and those that may, each with its allowed values or None.
TAKES: Mapping[tuple[str, str], tuple[tuple[str, ...], Mapping[str, frozenset[str] | None]]] = {
    ("click2call", "POST"): (
        ("agent_number", "caller_id", "destination_number"),
        {"recording_option": frozenset({"on", "both", "agent", "customer", "off"}), "transcript": _ON},
    ),
    ("outbound_call", "POST"): (
        ("customer_number", "otp", "announce_template_id", "repeat", "caller_id"),
        _SPEECH,
    ),
    ("callback", "POST"): (
        ("agent_number", "caller_id", "destination_number", "time_zone", "scheduled_at"),
        _CALLBACK,
    ),
    ("callback", "PATCH"): (
        ("request_id", "agent_number", "caller_id", "destination_number", "scheduled_at"),
        _CALLBACK,
    ),
    ("callback", "DELETE"): (("request_id",), {}),
    ("modify_call", "POST"): (
        ("channel", "modify_type"),
        {"modify_type": frozenset({"0", "1", "2", "3"}), "transfer_to": None},
    ),
    ("get_cdr_by_date", "POST"): (
        ("start_call_date", "end_call_date"),
        {"record_count": None, "offset": None},
    ),
    ("get_cdr_by_request_id", "POST"): (("request_id",), {}),
    ("get_cdr_by_campaign_id", "POST"): (("campaign_id",), {}),
    ("get_campaign_cdr_statistics", "POST"): (("campaign_id",), {}),
    ("stop_campaign", "POST"): (("campaign_id",), {}),
    ("create_campaign_list", "POST"): (("list_name",), {}),
    ("create_campaign_dnd_list", "POST"): (("dnd_list_name",), {}),
    ("add_contact_to_list", "POST"): (("list_id", "contacts"), {}),
    ("add_dnd_contact_to_list", "POST"): (("dnd_list_id", "dnd_contacts"), {}),
    ("import_broadcast_contacts_csv", "POST"): (("list_id", "csv_name"), {}),
    ("import_dnd_contacts_csv", "POST"): (("dnd_list_id", "dnd_csv_name"), {}),
    ("get_cdr_statistics", "GET"): ((), {}),
    ("get_live_call_statistics", "GET"): ((), {}),
    ("get_campaign_details", "GET"): ((), {}),
}
#: Arrays, with the texts of each of their objects, the number first; contact_fields are an object.
ARRAYS: Mapping[str, tuple[str, ...]] = {
    "contacts": ("contact_number", "contact_name"),
    "dnd_contacts": ("dnd_contact_number", "dnd_contact_name"),
}
NUMBERS = ("agent_number", "customer_number", "destination_number", "caller_id")
SCHEDULED_AT = "%Y-%m-%d %H:%M:%S"
MODIFIED = {
    "0": "blind transferred successfully",
    "1": "attended transferred successfully",
    "2": "call hangup successfully",
    "3": "call recording started successfully",
}

#: `dial_status` and `call_status` of a CDR. The reference shows ANSWER with ANSWERED; it has no word for a machine, nor
#: for who declines.
ENDINGS: Mapping[Ending, tuple[str, str]] = {
    Ending.ANSWERED: ("ANSWER", "ANSWERED"),
    Ending.MACHINE: ("ANSWER", "ANSWERED"),
    Ending.NO_ANSWER: ("NOANSWER", "NO ANSWER"),
    Ending.BUSY: ("BUSY", "BUSY"),
    Ending.REJECTED: ("BUSY", "BUSY"),
    Ending.UNAVAILABLE: ("CHANUNAVAIL", "FAILED"),
    Ending.INVALID_NUMBER: ("CHANUNAVAIL", "FAILED"),
    Ending.CONGESTION: ("CONGESTION", "FAILED"),
    Ending.TTS_FAILURE: ("CANCEL", "FAILED"),
}
COUNTED = ("ANSWER", "BUSY", "CANCEL", "CHANUNAVAIL", "CONGESTION", "NOANSWER")
SECONDS_LATE = 60.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_CDRS = 1000


@dataclass(slots=True)
class _Account:
    """What an account has: its calls' CDRs in order, with the moment from which they are told, and its callbacks."""

    cdrs: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    unended: list[tuple[datetime, str]] = field(default_factory=list)
    callbacks: dict[str, Fields] = field(default_factory=dict)


class Cpaas:
    """The simulated provider. `access_key` None accepts any `auth` that is not empty."""

    def __init__(
        self,
        log: CallLog,
        callbacks: Callbacks,
        access_key: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._log = log
        self._callbacks = callbacks
        self._access_key = access_key
        self._now = clock
        self._accounts: dict[str, _Account] = {}
        self._held_once: set[str] = set()  # numbers that have had their 429

    def routes(self) -> list[Route]:
        """Below the base URL."""
        methods: dict[str, list[str]] = {}
        for path, method in TAKES:
            methods.setdefault(path, []).append(method)
        return [Route(f"/{path}", self.answer, methods=allowed) for path, allowed in methods.items()]

    async def answer(self, request: Request) -> Response:
        """Any request."""
        account_id, auth = (request.headers.get(name, "") for name in ("account", "auth"))
        known = self._access_key is None or secrets.compare_digest(auth.encode(), self._access_key.encode())
        if not account_id or not auth or not known:
            return failed(401, "invalid account or auth")
        path = request.url.path.rpartition("/")[2]
        given, problem = read_body(await request.body(), path, request.method)
        account = self._accounts.setdefault(account_id, _Account())
        if path in ("click2call", "outbound_call"):
            return self._place(account_id, account, path, given, problem)
        if problem is not None:
            return failed(400, problem)
        if path == "callback":
            return self._callback(account, request.method, given)
        if path.startswith("get_"):
            self._ring_callbacks(account_id, account)
            return self._tell(account, path, given)
        return self._change(path, given)

    def _place(
        self, account_id: str, account: _Account, path: str, given: Fields, problem: str | None
    ) -> Response:
        to = given.get("agent_number" if path == "click2call" else "customer_number", "")[:80]
        fate = fate_of(to)
        request_id = secrets.token_hex(5)
        if problem is None and fate.answer is Answer.INVALID_DATA:
            problem = "invalid customer_number" if path == "outbound_call" else "invalid agent_number"
        if problem is not None:
            self._log.add(NAME, request_id, to, accepted=False, status=problem)
            return failed(400, problem)
        if fate.answer is Answer.TOO_MANY and to not in self._held_once:
            self._held_once.add(to)
            self._log.add(NAME, request_id, to, accepted=False, status="HTTP 429")
            return Response(status_code=429, headers={"Retry-After": "1"})
        if fate.answer is Answer.SERVER_ERROR:
            self._log.add(NAME, request_id, to, accepted=False, status="HTTP 500")
            return Response("Internal Server Error", status_code=500)
        answer = Answer.OK if fate.answer is Answer.TOO_MANY else fate.answer
        self._log.add(NAME, request_id, to, accepted=True, status=answer.value)
        self._write_cdrs(account_id, account, path, given, request_id, self._now())
        return _reply(answer, request_id)

    def _ring_callbacks(self, account_id: str, account: _Account) -> None:
        """Those whose time has come: nothing of them can be seen but by asking."""
        for request_id, given in list(account.callbacks.items()):
            due_at = _scheduled(given)
            if due_at <= self._now():
                del account.callbacks[request_id]
                self._log.add(NAME, request_id, given["agent_number"], accepted=True, status="callback")
                self._write_cdrs(account_id, account, "callback", given, request_id, due_at)

    def _write_cdrs(
        self,
        account_id: str,
        account: _Account,
        path: str,
        given: Fields,
        request_id: str,
        began_at: datetime,
    ) -> None:
        is_click = path != "outbound_call"
        is_recorded = given.get("recording_option", "off") != "off"
        to = given["agent_number"] if is_click else given["customer_number"]
        called = given["destination_number"] if is_click else to
        fate = fate_of(to)
        dial_status, call_status = ENDINGS[fate.ending]
        answered = dial_status == "ANSWER"
        rings, talks = float(ring_seconds(to)), float(talk_seconds(to)) if answered else 0.0
        # Its times are those of an unhurried call, whenever they are told.
        answered_at = began_at + timedelta(seconds=rings)
        ended_at = answered_at + timedelta(seconds=talks)
        scale = self._callbacks.time_scale
        over_at = began_at + timedelta(seconds=(rings + talks) * scale)
        account.unended.append((over_at, "click2call" if is_click else path))
        if fate.delivery is Delivery.NEVER:
            return
        late = SECONDS_LATE * scale if fate.delivery is Delivery.LATE else 0.0
        for _ in range(2 if fate.delivery is Delivery.DOUBLED else 1):
            cdr = {
                "account_id": account_id,
                "agent_number": to if is_click else "",
                "answer": _date(answered_at if answered else EPOCH),
                "billsec": talks if answered else None,
                "call_date": _date(ended_at),
                "call_direction": "outbound-callback" if path == "callback" else "outbound-api",
                "call_duration": rings + talks,
                "call_status": call_status,
                "caller_id": given["caller_id"],
                "customer_number": called,
                "destination_context": path if is_click else "local_call",
                "dial_status": dial_status,
                "dialed_number": called,
                "dtmf_inputs": "",
                "end": _date(ended_at),
                "id": len(account.cdrs) + 1,
                "recording_name": f"{request_id}.wav" if is_recorded and answered else "",
                "request_id": request_id,
                "uniqueid": f"{int(ended_at.timestamp())}.{len(account.cdrs) + 1}",
            }
            account.cdrs.append((over_at + timedelta(seconds=late), cdr))

    def _callback(self, account: _Account, method: str, given: Fields) -> Response:
        if method == "POST":
            request_id = secrets.token_hex(5)
            account.callbacks[request_id] = given
            return succeeded(request_id=request_id)
        request_id = given["request_id"]
        if request_id not in account.callbacks:
            return failed(404, "no such callback request_id")
        if method == "PATCH":  # which has no time_zone: the time is on the clocks of before
            account.callbacks[request_id] |= given
            return succeeded(message="callback data modified successfully", request_id=request_id)
        del account.callbacks[request_id]
        return succeeded(message="callback request deleted successfully", request_id=request_id)

    def _tell(self, account: _Account, path: str, given: Fields) -> Response:
        now = self._now()
        told = [cdr for at, cdr in account.cdrs if at <= now]
        if path == "get_cdr_by_request_id":
            return _found([cdr for cdr in told if cdr["request_id"] == given["request_id"]])
        if path == "get_cdr_by_date":
            return _found(_of_days(told, given))
        if path == "get_live_call_statistics":
            going_on = [kind for at, kind in account.unended if at > now]
            return succeeded(
                result={
                    "live_calls_c2c": going_on.count("click2call"),
                    "live_calls_campaign": 0,
                    "live_calls_inbound": 0,
                    "live_calls_otp": going_on.count("outbound_call"),
                }
            )
        counts = {f"{word.lower()}_calls": [_count(told, word)] for word in COUNTED}
        if path == "get_cdr_statistics":
            return succeeded(result={**counts, "total_calls": [len(told)]})
        # Campaigns are not played: an account has none.
        if path == "get_campaign_details":
            return succeeded(message="campaign found", result=[])
        return failed(404, "no such campaign_id")

    def _change(self, path: str, given: Fields) -> Response:
        if path == "modify_call":
            if given["modify_type"] in ("0", "1") and not given.get("transfer_to"):
                return failed(400, "transfer_to is required")
            return succeeded(message=MODIFIED[given["modify_type"]])
        if path == "create_campaign_list":
            return succeeded(list_id=f"LS{secrets.token_hex(5)}")
        if path == "create_campaign_dnd_list":
            return succeeded(dnd_list_id=f"DN{secrets.token_hex(5)}")
        if path == "stop_campaign":
            return failed(404, "no such campaign_id")
        kind = "DND contacts" if "dnd" in path else "contacts"
        count = given.get("contacts") or given.get("dnd_contacts") or "2"
        return succeeded(message=f"({count}) {kind} imported successfully")


def read_body(raw: bytes, path: str, method: str) -> tuple[Fields, str | None]:
    """The fields of a body and None, or what could be read of it and what is wrong with it."""
    needed, optional = TAKES[path, method]
    if method == "GET":
        return {}, None
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return {}, "the body should be a json string"
    given = {name: value for name, value in body.items() if isinstance(value, str) and name not in ARRAYS}
    for name in ARRAYS.keys() & body.keys():
        if _is_array(name, body[name]):
            given[name] = str(len(body[name]))  # all that is done with them
    return given, _wrong_field(body, given, needed, optional) or _wrong_value(given)


def _wrong_field(
    body: Mapping[str, Any],
    given: Fields,
    needed: Sequence[str],
    optional: Mapping[str, frozenset[str] | None],
) -> str | None:
    for name in body:
        if name not in needed and name not in optional:
            return f"unknown parameter {name}"
        if name not in given:
            return f"{name} should be {'an array of contacts' if name in ARRAYS else 'a string'}"
    for name in needed:
        if not given.get(name):
            return f"{name} is required"
    for name, value in given.items():
        allowed = optional.get(name)
        if allowed is not None and value not in allowed:
            return f"invalid {name}"
    return None


def _is_array(name: str, value: object) -> bool:
    number, *others = ARRAYS[name]
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(one, dict)
            and isinstance(one.get(number), str)
            and re.fullmatch(r"[0-9]{3,15}", one[number]) is not None
            and all(isinstance(one.get(other, ""), str) for other in others)
            and isinstance(one.get("contact_fields", {}), dict)
            and not one.keys() - {number, *others, "contact_fields"}
            for one in value
        )
    )


def _wrong_value(given: Fields) -> str | None:
    for name in NUMBERS:
        if name in given and not re.fullmatch(r"[0-9]{3,15}", given[name]):
            return f"invalid {name}"
    for name in ("repeat", "record_count", "offset"):
        if name in given and not re.fullmatch(r"[0-9]{1,9}", given[name]):
            return f"invalid {name}"
    for name in ("start_call_date", "end_call_date"):
        if name in given and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given[name]):
            return f"invalid {name}"
    try:
        if "scheduled_at" in given:
            datetime.strptime(given["scheduled_at"], SCHEDULED_AT)  # noqa: DTZ007 - its zone is a field of its own
    except ValueError:
        return "invalid scheduled_at"
    try:
        if "time_zone" in given:
            ZoneInfo(given["time_zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "invalid time_zone"
    return None


def _scheduled(given: Fields) -> datetime:
    """When a callback is due."""
    local = datetime.strptime(given["scheduled_at"], SCHEDULED_AT)  # noqa: DTZ007 - its zone is a field of its own
    return local.replace(tzinfo=ZoneInfo(given["time_zone"])).astimezone(UTC)


def succeeded(**content: Any) -> Response:
    """The envelope of the reference."""
    return JSONResponse({"response": {**content, "success": "true"}})


def failed(status: int, message: str) -> Response:
    """The same of an error. The reference shows none."""
    return JSONResponse({"response": {"message": message, "success": "false"}}, status)


def _of_days(told: list[dict[str, Any]], given: Fields) -> list[dict[str, Any]]:
    """Newest first, so that what is written between two pages moves the others on; both days count whole."""
    days = [cdr for cdr in told if given["start_call_date"] <= _day(cdr) <= given["end_call_date"]]
    skipped, most = int(given.get("offset", "0")), int(given.get("record_count", str(MOST_CDRS)))
    return days[::-1][skipped : skipped + min(most, MOST_CDRS)]


def _day(cdr: Mapping[str, Any]) -> str:
    return datetime.strptime(cdr["call_date"], "%a, %d %b %Y %H:%M:%S GMT").strftime("%Y-%m-%d")  # noqa: DTZ007


def _count(told: list[dict[str, Any]], word: str) -> int:
    return sum(cdr["dial_status"] == word for cdr in told)


def _found(result: list[dict[str, Any]]) -> Response:
    return succeeded(message="cdr found" if result else "no cdr found", result=result)


def _date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC), usegmt=True)


def _reply(answer: Answer, request_id: str) -> Response:
    if answer in BROKEN:
        return broken(answer)
    if answer is Answer.INTERNAL_ERROR:
        return failed(500, "internal error")  # the reference has no word for it
    return succeeded(request_id=request_id)
