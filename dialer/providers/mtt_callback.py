"""MTT's CallBack: two people are rung one after the other and connected, and calls to our numbers are asked about
(`mtt-telecom-api.md`, "Услуга CallBack API" and `getControlCallFollowMe`; entry point
`webapicommon.mtt.ru/index.php`).

`makeCallBackCallFollowme` rings side A, the callee, and then side B, whom the callee is connected with; either of them
may be several numbers, of whom one picks up. Its events come at the address that is given with the call, below which
our reference stands, so that they are matched however little they say. No event tells why a call did not come about:
that is looked up. What speaks of calls that come in is in `mtt_inbound` and `mtt_cdrs`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

from dialer.calls.talk import RING_SECONDS, Rung
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers import mtt_cdrs
from dialer.providers.base import Adapter, refused_by_status
from dialer.providers.contract import (
    Asked,
    Capability,
    CdrPage,
    EventError,
    Fact,
    Outcome,
    ProviderConfig,
    ProviderRequest,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
    Verdict,
)
from dialer.providers.live import Answer, Question, Response
from dialer.providers.methods import Method
from dialer.providers.mtt import cost, currency, event_parameters
from dialer.providers.mtt_black_list_methods import BLACK_LIST
from dialer.providers.mtt_callback_methods import METHODS as CALLBACK_METHODS
from dialer.providers.mtt_callback_methods import QUEUES, links
from dialer.providers.mtt_history_methods import METHODS as HISTORY_METHODS
from dialer.providers.mtt_history_methods import read_balance
from dialer.providers.mtt_inbound import (
    SESSION,
    check_inbound,
    e164,
    inbound_fact,
    is_question,
    read_question,
    write_answer,
)
from dialer.providers.mtt_rpc import NOT_FOUND, read_result, rpc_request, unreadable
from dialer.providers.mtt_telecom_methods import METHODS as TELECOM_METHODS
from dialer.providers.reading import checked_reference, digits, seconds

#: `direction`: "0 - redirect_number (A) --> b_number (B), 1 - b_number (A) --> redirect_number (B)". Side A is rung
#: first, and is the callee; the numbers of the structure are the side that may be several.
A_IS_SEVERAL, B_IS_SEVERAL = 0, 1
#: JSON-RPC's `id` of requests of the second kind, which comes back with the reply: it tells whose number is wrong.
OF_B = "b"
#: `type` of a number of side A: how the queue of them is rung.
AT_ONCE, IN_TURN = QUEUES

#: What MTT calls its own reference.
REFERENCE = "callBackCall_id"

#: Errors of `makeCallBackCallFollowme`, by code and message. Those of the methods beside it are not documented for it,
#: and so do not say that nobody is rung.
REFUSALS: Mapping[tuple[int, str], Refusal] = {
    (1, "Incorrect redirect_number format"): Refusal.BAD_NUMBER,  # side A, the callee
    (1, "Incorrect B-number format"): Refusal.BAD_REQUEST,
}
#: … where the numbers of the structure are whom the callee is connected with, and `b_number` is the callee's.
REFUSALS_OF_B: Mapping[tuple[int, str], Refusal] = {
    (1, "Incorrect redirect_number format"): Refusal.BAD_REQUEST,
    (1, "Incorrect B-number format"): Refusal.BAD_NUMBER,
}

#: The event that tells in `phone_A` whose telephone it was.
PICKED_UP = "pickup_side_A"
#: "Уведомления о ходе вызова": every `event`, with what it says. That side A has picked up is no answer yet: nobody
#: talks. The end of a side does not say whether they have.
EVENTS: Mapping[str, AttemptState] = {
    "start_side_A": AttemptState.RINGING,
    PICKED_UP: AttemptState.RINGING,
    "start_side_B": AttemptState.RINGING,
    "start_talk": AttemptState.ANSWERED,
    "end_side_B": AttemptState.ENDED,
    "end_side_A": AttemptState.ENDED,
}

#: `getCallBackFollowmeCallInfo`: why a call did not come about, in `error.data` of `NOT_FOUND`; with Q.850 causes.
ENDINGS: Mapping[str, tuple[Disposition, int | None]] = {
    "Call ended by timeout on side A": (Disposition.NO_ANSWER, 19),
    "Call ended by cancel on side A": (Disposition.REJECTED, 21),
    "Call ended by cancel on side B": (Disposition.REJECTED, 21),
}
#: … of which these are all; the beginning of any other says no more than that it has ended.
HAS_ENDED = "Call ended"
#: The same, of a call that came about: the one `call_back_status` that there is.
OK = "ok"
#: In seconds: how long side A was rung and was on the line, and how long side B was.
LENGTHS = ("waiting_period_A", "call_back_real_length_A", "call_back_real_length_B")

_EVENT_PAGE = "event.php"
_LINK = re.compile(r"https?://[!-~]{1,400}")
_DESCRIBED = re.compile(r"[A-Za-z]+(?:_[A-Za-z]+)+")


class MttCallbackAdapter(Adapter):
    """One customer of MTT's CallBack."""

    kind = "mtt-callback"
    default_base_url = "https://webapicommon.mtt.ru/index.php"
    required_settings: ClassVar[Mapping[str, str]] = {
        "username": "user name of MTT's Basic authorization",
        "password": "password of the same",
        "customer_name": "the customer that calls are made for",
    }
    optional_settings: ClassVar[Mapping[str, str]] = {
        "caller_id": "number shown to both sides of calls without a caller id of their own",
    }
    methods: ClassVar[Mapping[str, Method]] = {**CALLBACK_METHODS, **HISTORY_METHODS, **TELECOM_METHODS}
    black_list = BLACK_LIST
    capabilities = frozenset(
        {
            Capability.CLICK_TO_CALL,
            Capability.RECORDING,
            Capability.INBOUND,
            Capability.TALK_PROMPTS,
            Capability.TALK_LIMIT,
            Capability.RING_SEVERAL,
            Capability.CONNECT_IN_TURN,
            Capability.CONNECT_AT_ONCE,
        }
    )
    final_event_within = timedelta(hours=1)
    look_up_after = timedelta(minutes=1)  # no event tells that nobody picked up
    cost_after = timedelta(minutes=5)  # … or what a call cost
    cdrs_of_inbound = True

    @classmethod
    def check_inbound(cls, answer: Answer) -> list[str]:
        """See `getControlCallFollowMe`."""
        return check_inbound(answer)

    def __init__(self, config: ProviderConfig) -> None:
        """Raises ProviderSettingError when the configuration cannot work."""
        super().__init__(config)
        self._customer = self.settings["customer_name"].strip()
        self._callback_address = callback_address(config)

    def build_request(self, submission: Submission) -> ProviderRequest:
        """See `makeCallBackCallFollowme`. Not sent: `duration`, of which it is not told what it bounds, and
        `dtmf_number`, an extension of which it is not told whose it is."""
        if not submission.connect_to:
            raise RefusedError(
                Refusal.BAD_REQUEST, "MTT's CallBack connects two people; give the call a second number"
            )
        is_b_several = bool(submission.talk.others)
        params: dict[str, Any] = {
            "id": submission.attempt_id,
            "customer_name": self._customer,
            "b_number": digits(submission.to if is_b_several else submission.connect_to),
            "direction": B_IS_SEVERAL if is_b_several else A_IS_SEVERAL,
            "callDescription": submission.attempt_id,
            "simpleCallBackFollowmeStruct": followme(submission),
        }
        shown = digits(submission.caller_id) or digits(self.settings.get("caller_id", ""))
        if shown:  # else side A sees the number of side B, and side B what MTT has set
            params.update(caller_id=shown, client_caller_id=shown)
        if self._callback_address:
            params["callBackURL"] = f"{self._callback_address}/{submission.attempt_id}"
        if submission.record_both:
            params["recordEnable"] = 1
        if submission.talk.max_seconds is not None:
            params["maxtime"] = str(submission.talk.max_seconds)
        request_id = OF_B if is_b_several else "1"
        return rpc_request(self, "makeCallBackCallFollowme", params, request_id=request_id)

    def read_reply(self, reply: Reply) -> Verdict:
        """See `makeCallBackCallFollowme`. Its errors come within `result`."""
        result, error = read_answer(reply)
        reference = result.get(REFERENCE)
        if isinstance(reference, str) and reference and reply.status < 300:
            return Verdict(Outcome.PLACED, provider_reference=reference)
        known = REFUSALS_OF_B if (reply.json_object() or {}).get("id") == OF_B else REFUSALS
        refusal = None if error is None else known.get((error.code, error.message))
        if error is not None and refusal is not None:
            return Verdict(Outcome.REFUSED, refusal=refusal, detail=f"MTT answered {error.message}")
        if reply.status >= 400 and REFERENCE.encode() not in reply.body:
            return refused_by_status(reply, "an error that MTT documents")
        return Verdict(Outcome.UNKNOWN, detail=f"HTTP {reply.status} without a result that MTT documents")

    @classmethod
    def read_event(cls, raw: RawEvent) -> list[Fact]:
        """See "Уведомления о ходе вызова", and for calls that come in "Events". A question is no event. There is no
        time in the first: arrival counts."""
        if is_question(raw):
            return []
        fields = event_parameters(raw)
        if SESSION in fields:
            return [inbound_fact(fields, raw.received_at)]
        event = fields.get("event", "").strip()
        state = EVENTS.get(event)
        if state is None:
            named = f" {event}" if _DESCRIBED.fullmatch(event[:40]) else ""
            raise EventError(f"the callback's event{named} is not one that MTT documents")
        ours, page, _ = raw.path.strip("/").rpartition(_EVENT_PAGE)
        ours = ours.strip("/") if page else raw.path.strip("/")
        theirs = fields.get("id", "").strip()
        return [
            Fact(
                attempt_id=checked_reference(ours) if ours else "",
                state=state,
                disposition=None,
                hangup_cause=None,
                at=raw.received_at,
                duration=None,
                billsec=None,
                cost=None,
                provider_reference=checked_reference(theirs) if theirs or not ours else None,
                answered_by=_number(fields.get("phone_A")) if event == PICKED_UP else "",
            )
        ]

    def lookup_request(self, asked: Asked) -> ProviderRequest | None:
        """See `getCallBackFollowmeCallInfo`: by MTT's reference alone."""
        if not asked.provider_reference or asked.provider_reference == asked.attempt_id:
            return None
        params = {"customer_name": self._customer, REFERENCE: asked.provider_reference}
        return rpc_request(self, "getCallBackFollowmeCallInfo", params)

    def read_lookup(self, reply: Reply, asked: Asked) -> list[Fact]:
        """See `getCallBackFollowmeCallInfo`. What it does not know has not ended yet, unless it says that it has."""
        result, error = read_answer(reply)
        if error is not None and error.code == NOT_FOUND:
            if error.data in ENDINGS:
                return [_looked_up(asked, *ENDINGS[error.data])]
            unheard_of = _looked_up(asked, Disposition.UNKNOWN, None, is_unheard_of=True)
            return [unheard_of] if error.data.startswith(HAS_ENDED) else []
        told = result.get("callBackFollowmeCallInfoStruct")
        if not isinstance(told, dict) or reply.status >= 300:
            read_result(reply)  # which says what is wrong, unless it is this
            raise unreadable(reply)
        waited, on_line, talked = (_length(told, name) for name in LENGTHS)
        is_ok = told.get("call_back_status") == OK
        is_reached = is_ok and bool(talked)
        return [
            _looked_up(
                asked,
                Disposition.ANSWERED if is_reached else Disposition.UNKNOWN,
                16 if is_reached else None,
                lasted=(waited or 0) + (on_line or 0),
                duration=on_line,
                billsec=talked,  # of the lengths that MTT charges there is one for each side
                cost=cost(told.get("call_back_cost")),
                currency=currency(told.get("call_back_currency")),
                answered_by=_number(told.get("destination_A")) if is_reached else "",
                recording_name=recordings(told),
                is_unheard_of=not is_ok,
            )
        ]

    def cdr_request(self, since: datetime, until: datetime, page: str | None) -> ProviderRequest | None:
        """See `getServiceHistoryByCustomer`: of calls that came in."""
        return mtt_cdrs.cdr_request(self, since, until, page)

    def read_cdrs(self, reply: Reply, page: str | None, until: datetime) -> CdrPage:
        """See the same."""
        return mtt_cdrs.read_cdrs(reply, page, until)

    @classmethod
    def read_question(cls, raw: RawEvent) -> Question | None:
        """See `getControlCallFollowMe`."""
        return read_question(raw)

    @classmethod
    def write_answer(cls, question: Question, answer: Answer, settings: Mapping[str, str]) -> Response:
        """See `getControlCallFollowMe`."""
        return write_answer(question, answer)

    def check_request(self) -> ProviderRequest | None:
        """See `getCustomerBalance`."""
        return rpc_request(self, "getCustomerBalance", [self._customer])

    def read_check(self, reply: Reply) -> str:
        """The answer holds a balance."""
        read_balance(reply)
        return f"{self.config.name} answers, accepts its credentials and knows the customer."


@dataclass(frozen=True, slots=True)
class CallError:
    """An error in MTT's words; `data` says more of it. One within `result` has the code 1."""

    code: int
    message: str
    data: str = ""


def callback_address(config: ProviderConfig) -> str:
    """`callBackURL`: "strictly without http/www". Raises ProviderSettingError for an address that begins with www."""
    address = config.callback_url.partition("://")[2] or config.callback_url
    if address.lower().startswith("www."):
        raise ProviderSettingError(
            f"MTT calls back provider {config.name} at no address that begins with www: "
            "set DIALER_PUBLIC_URL to one without it."
        )
    return address.rstrip("/")


def read_answer(reply: Reply) -> tuple[Mapping[str, Any], CallError | None]:
    """The object in `result`, or the error; neither of them for what says both, or nothing that MTT documents."""
    answer = reply.json_object() or {}
    result, error = answer.get("result"), answer.get("error")
    if result is None and isinstance(error, dict):
        code, message, data = (error.get(name) for name in ("code", "message", "data"))
        if isinstance(code, int) and isinstance(message, str):
            return {}, CallError(code, message.strip(), data.strip() if isinstance(data, str) else "")
    if error is not None or not isinstance(result, dict):
        return {}, None
    if "error" not in result:
        return result, None
    message = result.get("message")
    is_told = result["error"] in (1, "1") and isinstance(message, str) and REFERENCE not in result
    return {}, CallError(1, str(message).strip()) if is_told else None


def followme(submission: Submission) -> list[dict[str, Any]]:
    """`simpleCallBackFollowmeStruct`: whom side A consists of, or side B where that is several (`direction`), and then
    what either side hears. The queue that the description spells `Lineral` is `linal` in every example."""
    talk = submission.talk
    number, name = (submission.connect_to, "other") if talk.others else (submission.to, "callee")
    first = Rung(number or "") if talk.ring is None else Rung(number or "", talk.ring.seconds)
    queue = IN_TURN if talk.ring is not None and not talk.ring.at_once else AT_ONCE
    numbers = [
        {
            "timeout": rung.seconds,
            "redirect_number": digits(rung.number),
            "type": queue,
            "name": name if place == 1 else f"{name}_{place}",
        }
        for place, rung in enumerate((first, *talk.also), 1)
    ]
    prompts = [
        {"type": "text", "value": one.text, "side": side}
        if one.media is None
        else {"type": "file", "value": one.media, "side": side}
        for side, one in (("A", talk.callee_hears), ("B", talk.other_hears))
        if one is not None
    ]
    return [{"order": order, **entry} for order, entry in enumerate((*numbers, *prompts), 1)]


def recordings(told: Mapping[str, Any]) -> str:
    """The links to what was recorded, of side A and then of side B, a blank between them."""
    found = [link for side in "AB" for link in links(told.get(f"call_back_record_URL_{side}"))]
    return " ".join(link for link in found if _LINK.fullmatch(link))


def _number(told: object) -> str:
    """E.164 of a number as MTT tells it; "" when it is none."""
    number = e164(told) if isinstance(told, str) else ""
    return number if re.fullmatch(r"\+[1-9][0-9]{6,14}", number) else ""


def _length(told: Mapping[str, Any], name: str) -> float | None:
    value = told.get(name)
    return seconds(str(value)) if isinstance(value, str | int | float) else None


def _looked_up(
    asked: Asked,
    disposition: Disposition,
    hangup_cause: int | None,
    *,
    lasted: float = RING_SECONDS,
    duration: float | None = None,
    billsec: float | None = 0.0,
    cost: Decimal | None = None,
    currency: str = "",
    answered_by: str = "",
    recording_name: str = "",
    is_unheard_of: bool = False,
) -> Fact:
    return Fact(
        attempt_id=asked.attempt_id,
        state=AttemptState.ENDED,
        disposition=disposition,
        hangup_cause=hangup_cause,
        at=asked.submitted_at + timedelta(seconds=lasted),  # MTT tells lengths and no times
        duration=duration,
        billsec=billsec,
        cost=cost,
        currency=currency,
        answered_by=answered_by,
        recording_name=recording_name,
        is_unheard_of=is_unheard_of,
    )
