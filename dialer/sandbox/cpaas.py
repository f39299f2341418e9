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
from types import MappingProxyType
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
_ON, _FLAG = frozenset({"on", "off"}), frozenset({"0", "1"})
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
    ("create_campaign", "POST"): (
        (
            *("list_id", "dnd_list_id", "campaign_name", "campaign_type", "campaign_caller_id"),
            *("dynamic_announcement", "campaign_start_date", "campaign_end_date"),
        ),
        {
            "campaign_type": _FLAG,
            "dynamic_announcement": _FLAG,
            **dict.fromkeys(("announcement_text", "recorded_filename", "time_zone", "retry_on_statuses")),
            **dict.fromkeys(("repeat", "repeat_count", "max_retries", "retry_attempts", "retry_time")),
            "calls_per_minute": None,
            **_SPEECH,
        },
    ),
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
NUMBERS = ("agent_number", "customer_number", "destination_number", "caller_id", "campaign_caller_id")
COUNTS = (
    *(
        "repeat",
        "record_count",
        "offset",
        "calls_per_minute",
        "repeat_count",
        "max_retries",
        "retry_attempts",
    ),
    "retry_time",
)
MOMENTS = ("scheduled_at", "campaign_start_date", "campaign_end_date")
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
#: What the CDR of a number on a DND list holds, "Get CDR By Campaign ID".
NOT_DIALLED: dict[str, Any] = {
    **dict.fromkeys(("answer", "end"), "Thu, 01 Jan 1970 00:00:00 GMT"),
    **dict.fromkeys(("billsec", "call_duration", "call_status")),
    "dial_status": "DND",
    "uniqueid": "",
}
#: What every uploaded CSV file holds.
UPLOADED = ("919979271200", "918000681234")
COUNTED = ("ANSWER", "BUSY", "CANCEL", "CHANUNAVAIL", "CONGESTION", "NOANSWER")
SECONDS_LATE = 60.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_CDRS = 1000


Told = tuple[datetime, dict[str, Any]]  # a CDR, and from when on it is told


@dataclass(slots=True)
class _Campaign:
    """A campaign, the numbers of its list as it was then, and how many of them it has come to by when."""

    given: Fields
    numbers: list[str]
    forbidden: frozenset[str]
    next_at: datetime
    until: datetime
    come_to: int = 0
    is_stopped: bool = False
    cdrs: list[Told] = field(default_factory=list)

    def status(self, now: datetime) -> str:
        """`campaign_status`."""
        if self.is_stopped:
            return "4"
        is_over = self.come_to >= len(self.numbers) or now >= self.until
        return "0" if now < _moment(self.given, "campaign_start_date") else "3" if is_over else "1"


@dataclass(slots=True)
class _Account:
    """What an account has: its calls' CDRs in order, its callbacks, its campaigns, and the numbers of its lists."""

    cdrs: list[Told] = field(default_factory=list)
    unended: list[tuple[datetime, str]] = field(default_factory=list)
    callbacks: dict[str, Fields] = field(default_factory=dict)
    campaigns: dict[str, _Campaign] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)


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
        self._ring_callbacks(account_id, account)
        self._ring_campaigns(account_id, account)
        if path.startswith("get_"):
            return self._tell(account, path, given)
        return self._change(account, path, given)

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
            due_at = _moment(given, "scheduled_at")
            if due_at <= self._now():
                del account.callbacks[request_id]
                self._log.add(NAME, request_id, given["agent_number"], accepted=True, status="callback")
                self._write_cdrs(account_id, account, "callback", given, request_id, due_at)

    def _ring_campaigns(self, account_id: str, account: _Account) -> None:
        """Whom they have come to meanwhile: nothing of them can be seen but by asking."""
        now = self._now()
        for campaign in account.campaigns.values():
            given = campaign.given
            apart = timedelta(minutes=1 / max(int(given.get("calls_per_minute", "60")), 1))
            while (
                not campaign.is_stopped
                and campaign.come_to < len(campaign.numbers)
                and campaign.next_at <= min(now, campaign.until)
            ):
                number, at = campaign.numbers[campaign.come_to], campaign.next_at
                campaign.come_to, campaign.next_at = campaign.come_to + 1, at + apart
                is_dnd = number in campaign.forbidden
                theirs: dict[str, Any] = {
                    "customer_number": "",
                    "call_direction": "outbound-campaign",
                    "destination_context": f"local_call_campaign_type_{given['campaign_type']}",
                    "is_dnd": "1" if is_dnd else "0",
                    "list_id": given["list_id"],
                }
                if is_dnd:
                    theirs |= NOT_DIALLED | {"call_date": _date(at)}
                else:
                    self._log.add(NAME, given["list_id"], number, accepted=True, status="campaign")
                called = {"customer_number": number, "caller_id": given["campaign_caller_id"]}
                campaign.cdrs += self._write_cdrs(account_id, account, "campaign", called, "", at, theirs)

    def _write_cdrs(
        self,
        account_id: str,
        account: _Account,
        path: str,
        given: Fields,
        request_id: str,
        began_at: datetime,
        others: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[Told]:
        """The CDRs of a call, written; `others` are what their fields hold else than said here."""
        is_click = path in ("click2call", "callback")
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
        if others.get("dial_status") != "DND":
            account.unended.append((over_at, "click2call" if is_click else path))
        if fate.delivery is Delivery.NEVER:
            return []
        written: list[Told] = []
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
                **others,
            }
            written.append((over_at + timedelta(seconds=late), cdr))
            account.cdrs.append(written[-1])
        return written

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
        if "campaign_id" in given:
            return _tell_campaign(account.campaigns.get(given["campaign_id"]), path, now)
        if path == "get_cdr_by_request_id":
            return _found([cdr for cdr in told if cdr["request_id"] == given["request_id"]])
        if path == "get_cdr_by_date":
            return _found(_of_days(told, given))
        if path == "get_live_call_statistics":
            going_on = [kind for at, kind in account.unended if at > now]
            return succeeded(
                result={
                    "live_calls_c2c": going_on.count("click2call"),
                    "live_calls_campaign": going_on.count("campaign"),
                    "live_calls_inbound": 0,
                    "live_calls_otp": going_on.count("outbound_call"),
                }
            )
        if path == "get_cdr_statistics":
            return succeeded(result=_counts(told, COUNTED))
        found = [_details(one, campaign, now) for one, campaign in account.campaigns.items()]
        return succeeded(message="campaign found", result=found)

    def _change(self, account: _Account, path: str, given: Fields) -> Response:
        if path == "modify_call":
            if given["modify_type"] in ("0", "1") and not given.get("transfer_to"):
                return failed(400, "transfer_to is required")
            return succeeded(message=MODIFIED[given["modify_type"]])
        if path == "create_campaign":
            return self._create_campaign(account, given)
        if path == "stop_campaign":
            if given["campaign_id"] not in account.campaigns:
                return failed(404, "no such campaign_id")
            account.campaigns[given["campaign_id"]].is_stopped = True
            return succeeded(message=" campaign stopped successfully")
        return self._change_list(account, path, given)

    def _change_list(self, account: _Account, path: str, given: Fields) -> Response:
        kind, name, letters = (
            ("DND contacts", "dnd_list_id", "DN") if "dnd" in path else ("contacts", "list_id", "LS")
        )
        if path.startswith("create_"):
            made = f"{letters}{secrets.token_hex(5)}"
            account.lists[made] = []
            return succeeded(**{name: made})
        held = account.lists.get(given[name])
        if held is None:
            return failed(404, f"no such {name}")
        told = given.get("contacts") or given.get("dnd_contacts")
        numbers = told.split(",") if told else UPLOADED
        held += [number for number in dict.fromkeys(numbers) if number not in held]
        return succeeded(message=f"({len(numbers)}) {kind} imported successfully")

    def _create_campaign(self, account: _Account, given: Fields) -> Response:
        for name in ("list_id", "dnd_list_id"):
            if given[name] not in account.lists:
                return failed(404, f"no such {name}")
        if any(one.given["campaign_name"] == given["campaign_name"] for one in account.campaigns.values()):
            return failed(409, "campaign_name is not unique")
        starts_at, ends_at = (_moment(given, f"campaign_{name}_date") for name in ("start", "end"))
        if ends_at <= max(starts_at, self._now()):
            return failed(400, "invalid campaign_end_date")
        campaign_id = f"CM{secrets.token_hex(5)}"
        account.campaigns[campaign_id] = _Campaign(
            given,
            list(account.lists[given["list_id"]]),
            frozenset(account.lists[given["dnd_list_id"]]),
            max(starts_at, self._now()),
            ends_at,
        )
        return succeeded(campaign_id=campaign_id)


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
            given[name] = ",".join(one[ARRAYS[name][0]] for one in body[name])  # all that is played of them
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
    for name in COUNTS:
        if name in given and not re.fullmatch(r"[0-9]{1,9}", given[name]):
            return f"invalid {name}"
    for name in ("start_call_date", "end_call_date"):
        if name in given and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", given[name]):
            return f"invalid {name}"
    try:
        if "time_zone" in given:
            ZoneInfo(given["time_zone"])
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return "invalid time_zone"
    return _wrong_moment(given) or _unsaid(given)


def _wrong_moment(given: Fields) -> str | None:
    for name in MOMENTS:
        try:
            if name in given:
                datetime.strptime(given[name], SCHEDULED_AT)  # noqa: DTZ007 - its zone is a field of its own
        except ValueError:
            return f"invalid {name}"
    return None


def _unsaid(given: Fields) -> str | None:
    """What a campaign lacks to say."""
    if "dynamic_announcement" not in given:
        return None
    said = "announcement_text" if given["dynamic_announcement"] == "1" else "recorded_filename"
    return None if given.get(said) else f"{said} is required"


def _moment(given: Fields, name: str) -> datetime:
    """A moment, which is told on the clocks of `time_zone`."""
    local = datetime.strptime(given[name], SCHEDULED_AT)  # noqa: DTZ007 - its zone is a field of its own
    return local.replace(tzinfo=ZoneInfo(given.get("time_zone", "UTC"))).astimezone(UTC)


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


def _tell_campaign(campaign: _Campaign | None, path: str, now: datetime) -> Response:
    if campaign is None:
        return failed(404, "no such campaign_id")
    told = [cdr for at, cdr in campaign.cdrs if at <= now]
    by_id = path == "get_cdr_by_campaign_id"
    return _found(told) if by_id else succeeded(result=_counts(told, (*COUNTED, "DND")))


def _counts(told: list[dict[str, Any]], words: Sequence[str]) -> dict[str, list[int]]:
    found = {f"{word.lower()}_calls": [sum(cdr["dial_status"] == word for cdr in told)] for word in words}
    return found | {"total_calls": [len(told)]}


def _details(campaign_id: str, campaign: _Campaign, now: datetime) -> dict[str, str]:
    """See "Get Campaign Details"."""
    given = campaign.given
    names = (
        "calls_per_minute",
        "campaign_caller_id",
        "campaign_name",
        "campaign_type",
        "max_retries",
        "retry_time",
    )
    return {
        **{name: given.get(name, "") for name in names},
        "campaign_id": campaign_id,
        "campaign_start_date": _date(_moment(given, "campaign_start_date")),
        "campaign_end_date": _date(campaign.until),
        "campaign_status": campaign.status(now),
        "repeat_announcement_count": given.get("repeat") or given.get("repeat_count") or "1",
    }


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
