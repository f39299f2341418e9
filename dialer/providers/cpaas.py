"""The CPaaS API: one-time passwords by voice and calls that connect two people (`cpaas-campaign-api.md`).

Every answer is an envelope, `{"response": {…, "success": "true"}}`. There are no callbacks: how a call ended stands in
its CDR, which is asked for by the `request_id` of the reply, or by date. Our own first-generation API speaks the same
document, so one Dialer may place through another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter, refusal_by_status, refused_by_status
from dialer.providers.contract import (
    Asked,
    Capability,
    CdrPage,
    EventError,
    Fact,
    Outcome,
    ProviderError,
    ProviderRequest,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
    Verdict,
)
from dialer.providers.cpaas_methods import METHODS, authorization, envelope, succeeded
from dialer.providers.live import Control, Order
from dialer.providers.methods import Value
from dialer.providers.reading import digits, seconds

#: "One Time Password": the values allowed of `volume`, `rate`, `pitch` and `tts_engine_type`; other words are left out,
#: which leaves them to the provider.
VOLUMES = frozenset({"silent", "x-soft", "soft", "medium", "loud", "x-loud"})
RATES = frozenset({"x-slow", "slow", "medium", "fast", "x-fast"})
PITCHES = frozenset({"x-low", "low", "medium", "high", "x-high"})
ENGINES = frozenset({"standard", "neural"})

#: "Click To Call", `recording_option`: both, agent, customer, off.
RECORDED, NOT_RECORDED = "both", "off"

#: `dial_status` of a CDR, as "Get CDR Statistics" and "Get Campaign CDR Statistics" count them. DND: the provider would
#: not dial the number.
DIAL_STATUSES: Mapping[str, Disposition] = {
    "ANSWER": Disposition.ANSWERED,
    "BUSY": Disposition.BUSY,
    "NOANSWER": Disposition.NO_ANSWER,
    "CANCEL": Disposition.CANCELLED,
    "CONGESTION": Disposition.CONGESTION,
    "CHANUNAVAIL": Disposition.UNAVAILABLE,
    "DND": Disposition.CANCELLED,
}

#: CDRs on a page; "Get CDR By Date", `record_count`, 1000 unless given.
PAGE = 1000
#: CDRs of one span that are read at most: a server that looks at no `offset` tells its first ones for ever.
MOST_CDRS = 1_000_000
#: Pages that a call whose reply was lost is looked for on at most.
MOST_PAGES = 10
EARLIEST_ZONE = timedelta(hours=12)  # behind UTC
#: A reply that was lost took the `request_id` with it: the call is known by its numbers when its CDR says that it began
#: within this time of the submit, by clocks that differ a little.
BEGAN_BEFORE, BEGAN_AFTER = timedelta(seconds=30), timedelta(minutes=3)
#: A moment that a CDR does not know is written as this day.
NEVER = datetime(1970, 1, 2, tzinfo=UTC)

#: What is wrong with a request is told in a sentence; these fields hold the number that is dialled.
_DIALLED = re.compile(r"\b(?:customer_number|agent_number)\b")
#: "Modify Live Call", `modify_type`, by the method that sends it.
CONTROLS: Mapping[Control, str] = {
    Control.BLIND_TRANSFER: "transfer_call",
    Control.ATTENDED_TRANSFER: "attend_transfer",
    Control.HANG_UP: "hang_up_call",
    Control.RECORD: "record_call",
}
_REFERENCE = re.compile(r"[\x21-\x7e]{1,64}")
_RECORDING = re.compile(r"[!-~][ -~]{0,199}")
_KEYS = re.compile(r"[0-9A-D*#]{1,64}")


class CpaasAdapter(Adapter):
    """One account of a CPaaS server."""

    kind = "cpaas"
    default_base_url = ""
    required_settings: ClassVar[Mapping[str, str]] = {
        "account": "the account's id, sent as the header `account`",
        "auth": "the account's key, sent as the header `auth`",
    }
    optional_settings: ClassVar[Mapping[str, str]] = {
        "announce_template_id": "the approved template in which one-time passwords are spoken; they need one",
        "caller_id": "outgoing number of calls without a caller id of their own",
    }
    capabilities = frozenset(
        {
            *(Capability.VOICE_OTP, Capability.CLICK_TO_CALL, Capability.LIVE_CONTROL),
            *(Capability.RECORDING, Capability.RECORD_ONE_SIDE, Capability.TRANSCRIPT),
        }
    )
    final_event_within = timedelta(minutes=15)
    calls_back = False
    look_up_after = timedelta(seconds=10)
    cdrs_every = timedelta(minutes=5)
    methods = METHODS

    def build_request(self, submission: Submission) -> ProviderRequest:
        """See "Click To Call" and "One Time Password"."""
        caller_id = digits(submission.caller_id or self.settings.get("caller_id", ""))
        if not caller_id:
            raise RefusedError(
                Refusal.BAD_REQUEST, "there is no caller id: give the call one, or the provider caller_id"
            )
        if submission.connect_to:
            # "… generates an outbound call to the agent number first, when the agent answers …": our callee.
            body = {
                "agent_number": digits(submission.to),
                "caller_id": caller_id,
                "destination_number": digits(submission.connect_to),
                "recording_option": (submission.record_side or RECORDED)
                if submission.record
                else NOT_RECORDED,
            }
            if submission.transcript:
                body["transcript"] = "on"
            return self._post("click2call", body)
        if not submission.code:
            raise RefusedError(
                Refusal.BAD_REQUEST, "this kind speaks one-time passwords and connects people, nothing else"
            )
        template = self.settings.get("announce_template_id", "").strip()
        if not template:
            raise RefusedError(
                Refusal.NOT_HERE,
                "one-time passwords need a template: set announce_template_id to the approved one",
            )
        body = {
            "customer_number": digits(submission.to),
            "otp": submission.code,
            "announce_template_id": template,
            "repeat": str(max(1, submission.repeat_count)),
            "caller_id": caller_id,
            **voice_settings(submission),
        }
        return self._post("outbound_call", body)

    def read_status(self, reply: Reply) -> Verdict | None:
        """409 comes with an envelope that says whether it was placed; without one its fate is unknown."""
        return None if reply.status == 409 else super().read_status(reply)

    def read_reply(self, reply: Reply) -> Verdict:
        """See "Response" of both: `request_id` and `success`. What went wrong is told in `message`."""
        answer = envelope(reply)
        success = succeeded(answer)
        if success and reply.status < 300:
            reference = answer.get("request_id")
            if isinstance(reference, str) and _REFERENCE.fullmatch(reference):
                return Verdict(Outcome.PLACED, provider_reference=reference)
            return Verdict(Outcome.UNKNOWN, detail="taken, but without a request_id")
        if success is None and reply.status >= 400 and reply.status != 409:
            return refused_by_status(reply, "an envelope")
        if success is not False:
            return Verdict(Outcome.UNKNOWN, detail=f"HTTP {reply.status} without success in an envelope")
        # JSON can hold halves of surrogate pairs, which no table does.
        message = str(answer.get("message", "")).encode("utf-8", "replace").decode()
        refusal = Refusal.BAD_REQUEST if reply.status < 400 else refusal_by_status(reply.status)
        if refusal is Refusal.BAD_REQUEST and _DIALLED.search(message):
            refusal = Refusal.BAD_NUMBER
        return Verdict(Outcome.REFUSED, refusal=refusal, detail=f"HTTP {reply.status}: {message}")

    @classmethod
    def read_event(cls, raw: RawEvent) -> list[Fact]:
        """There are no callbacks."""
        raise EventError("a provider of kind cpaas has no callbacks: its CDRs are asked for")

    @classmethod
    def check_campaign(cls, language: str, has_text: bool, has_media: bool) -> list[str]:
        """It announces nothing: campaigns of its own are another account's."""
        return [
            "A provider of kind cpaas can announce nothing but one-time passwords; use another for campaigns."
        ]

    def lookup_request(self, asked: Asked) -> ProviderRequest | None:
        """See "Get CDR By Request ID"; without a reference "Get CDR By Date"."""
        if asked.provider_reference:
            return self._post("get_cdr_by_request_id", {"request_id": asked.provider_reference})
        return self._on_page(asked, None)

    def next_lookup(self, replies: Sequence[Reply], asked: Asked) -> ProviderRequest | None:
        """The next page of "Get CDR By Date", of which there are `MOST_PAGES` at most."""
        found = [] if asked.provider_reference else self._cdrs(replies[-1])
        if len(found) < PAGE or len(replies) == MOST_PAGES:
            return None
        return self._on_page(asked, str(len(replies) * PAGE))

    def read_lookup(self, reply: Reply, asked: Asked) -> list[Fact]:
        """See `read_lookups`."""
        return self.read_lookups([reply], asked)

    def read_lookups(self, replies: Sequence[Reply], asked: Asked) -> list[Fact]:
        """An unknown `request_id` and one without a CDR are calls without an end yet. A CDR that tells no moment is
        taken for one of the moment of the submit."""
        known, last = asked.provider_reference, replies[-1]
        if known and last.status == 404 and succeeded(envelope(last)) is False:
            return []
        pages = [self._cdrs(reply) for reply in replies]
        found = [cdr for page in pages for cdr in page]
        if known:
            theirs = [cdr for cdr in found if cdr.get("request_id") == known]
            return [fact for cdr in theirs for fact in facts_of(cdr, asked.submitted_at)]
        alike = [cdr for cdr in found if is_of(cdr, asked)]
        # Of two calls to the same number at the same time, nobody knows which is which; nor whether one that was not
        # read is another.
        if len(pages[-1]) >= PAGE or len({cdr.get("request_id") for cdr in alike}) != 1:
            return []
        return [fact for cdr in alike for fact in facts_of(cdr, asked.submitted_at)]

    def _on_page(self, asked: Asked, page: str | None) -> ProviderRequest | None:
        return self.cdr_request(asked.submitted_at - BEGAN_BEFORE, asked.submitted_at + BEGAN_AFTER, page)

    def cdr_request(self, since: datetime, until: datetime, page: str | None) -> ProviderRequest | None:
        """See "Get CDR By Date". Dates are whole days. In which zone, and whether the last one counts, the reference
        leaves open: the first is that of the zone where it is earliest, and there is one more at the end."""
        body = {
            "start_call_date": (since - EARLIEST_ZONE).strftime("%Y-%m-%d"),
            "end_call_date": (until + timedelta(days=1)).strftime("%Y-%m-%d"),
            "record_count": str(PAGE),
            "offset": page or "0",
        }
        return self._post("get_cdr_by_date", body)

    def read_cdrs(self, reply: Reply, page: str | None, until: datetime) -> CdrPage:
        """See "Get CDR By Date"."""
        found = self._cdrs(reply)
        facts = tuple(fact for cdr in found for fact in facts_of(cdr, until))
        if len(found) < PAGE:
            return CdrPage(facts)
        read = int(page or 0) + len(found)
        return CdrPage(facts, str(read)) if read < MOST_CDRS else CdrPage(facts, is_cut=True)

    def control(self, order: Order) -> tuple[str, dict[str, Value]]:
        """See "Modify Live Call". `channel` is the request_id there: that is how a Dialer knows its calls; of a
        server that knows them by channels of its own, none is told with a call."""
        if not order.provider_reference:
            raise ProviderError(
                "The provider has not told what it calls this call by: try again in a moment."
            )
        values: dict[str, Value] = {"channel": order.provider_reference}
        if order.transfer_to:
            values["transfer_to"] = digits(order.transfer_to)
        return CONTROLS[order.control], values

    def check_request(self) -> ProviderRequest:
        """See "Get Live Calls Statistics"."""
        return ProviderRequest("GET", "get_live_call_statistics", headers=authorization(self.settings))

    def read_check(self, reply: Reply) -> str:
        """See "Get Live Calls Statistics"."""
        name = self.config.name
        if reply.status < 300 and succeeded(envelope(reply)):
            return f"{name} answers and accepts its credentials."
        raise ProviderError(
            f"{name} answered with HTTP {reply.status} and no success; check account, auth and --base-url."
        )

    def _post(self, path: str, body: Mapping[str, str]) -> ProviderRequest:
        return ProviderRequest("POST", path, headers=authorization(self.settings), json=body)

    def _cdrs(self, reply: Reply) -> list[dict[str, Any]]:
        answer = envelope(reply)
        result = answer.get("result", [])
        if reply.status >= 300 or not succeeded(answer) or not isinstance(result, list):
            raise ProviderError(f"{self.config.name} answered with HTTP {reply.status} and no CDRs.")
        return [cdr for cdr in result if isinstance(cdr, dict)]


def voice_settings(submission: Submission) -> dict[str, str]:
    """`voice`, `volume`, `rate`, `pitch`, `language_code` and `tts_engine_type`, as far as they are allowed."""
    chosen = {
        "voice": submission.voice,
        "volume": _among(VOLUMES, submission.volume),
        "rate": _among(RATES, submission.rate),
        "pitch": _among(PITCHES, submission.pitch),
        "language_code": submission.language,
        "tts_engine_type": _among(ENGINES, submission.tts_engine_type),
    }
    return {name: value for name, value in chosen.items() if value}


def facts_of(cdr: Mapping[str, Any], otherwise: datetime) -> list[Fact]:
    """What a CDR says: how the call ended, and before that when it was answered. `otherwise` (UTC) is when it ended if
    the CDR does not tell."""
    word = cdr.get("dial_status")
    if not isinstance(word, str) or not word.strip():
        return []  # it has no end yet
    is_unheard_of = word.strip().upper() not in DIAL_STATUSES
    disposition = DIAL_STATUSES.get(word.strip().upper(), Disposition.UNKNOWN)
    reference = cdr.get("request_id")
    known = reference if isinstance(reference, str) and _REFERENCE.fullmatch(reference) else None
    if known is None:
        return []
    told_at = moment(cdr.get("end")) or moment(cdr.get("call_date"))
    duration, billsec = (_seconds(cdr.get(name)) for name in ("call_duration", "billsec"))
    ended = Fact(
        "",
        AttemptState.ENDED,
        disposition,
        None,
        told_at or otherwise,
        duration,
        billsec,
        None,
        provider_reference=known,
        # A key counts once for each moment at which it is told of, so one without a moment cannot be told twice.
        dtmf=keys_of(cdr.get("dtmf_inputs")) if told_at is not None else "",
        recording_name=recorded_as(cdr.get("recording_name")),
        raw=json.dumps(cdr).encode() if is_unheard_of else b"",
        is_unheard_of=is_unheard_of,
    )
    answered_at = moment(cdr.get("answer")) if disposition is Disposition.ANSWERED else None
    if answered_at is None:
        return [ended]
    answered = Fact(
        "", AttemptState.ANSWERED, None, None, answered_at, None, None, None, provider_reference=known
    )
    return [answered, ended]


def recorded_as(value: object) -> str:
    """`recording_name`, empty for what is none."""
    return value if isinstance(value, str) and _RECORDING.fullmatch(value) else ""


def keys_of(value: object) -> str:
    """`dtmf_inputs`: the keys that were pressed, in order; empty for what is none."""
    return value if isinstance(value, str) and _KEYS.fullmatch(value) else ""


def is_of(cdr: Mapping[str, Any], asked: Asked) -> bool:
    """Whether a CDR is of a call that was placed with these numbers at this time."""
    told = (cdr.get(name) for name in ("dialed_number", "customer_number", "agent_number"))
    if digits(asked.to) not in {digits(one) for one in told if isinstance(one, str)}:
        return False
    if digits(asked.caller_id) and digits(str(cdr.get("caller_id", ""))) != digits(asked.caller_id):
        return False
    over_at = moment(cdr.get("end")) or moment(cdr.get("call_date"))
    if over_at is None:
        return False
    began_at = over_at - timedelta(seconds=_seconds(cdr.get("call_duration")) or 0.0)
    return asked.submitted_at - BEGAN_BEFORE <= began_at <= asked.submitted_at + BEGAN_AFTER


def moment(written: object) -> datetime | None:
    """A moment (UTC) from `Fri, 07 Jul 2023 06:08:16 GMT`; None for the year 1970, which means never, and for what is
    not written so."""
    if not isinstance(written, str):
        return None
    try:
        at = parsedate_to_datetime(written.strip())
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return at if at >= NEVER else None


def _seconds(value: object) -> float | None:
    return None if value is None or isinstance(value, bool) else seconds(str(value))


def _among(words: frozenset[str], given: str) -> str:
    """The reference breaks some words (`x- soft`); so do people."""
    word = "".join(given.split()).lower()
    return word if word in words else ""
