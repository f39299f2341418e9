"""Mitto's flash calls: a call whose number ends in a one-time password, not meant to be answered
(`mitto-flashcall-api.md`).

Nothing of ours travels: Mitto's `requestId`, in its reply and in its callbacks, is all that an attempt is known by.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter, refused_by_status
from dialer.providers.contract import (
    Capability,
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
from dialer.providers.mitto import STATUSES, by_word, without_app_key
from dialer.providers.reading import checked_reference, digits, event_fields

#: "FlashCall requests": the example's `timeout`, in milliseconds.
TIMEOUT_MS = 60_000
#: Longer than any telephone rings; far within `final_event_within`.
LONGEST_TIMEOUT_MS = 120_000

#: "Description of error codes", by `errorCode`. Each is printed beside one HTTP status, and is the same under another
#: 4xx or 2xx. 4 comes under HTTP 429, which `read_status` has read before, with its Retry-After.
ERRORS: Mapping[int, tuple[Refusal, str]] = {
    1: (Refusal.PROVIDER, "authentication required"),
    2: (Refusal.PROVIDER, "inactive account"),
    5: (Refusal.PROVIDER, "inactive token"),
    6: (Refusal.PROVIDER, "insufficient funds"),
    10: (Refusal.BAD_REQUEST, "invalid request"),
    11: (Refusal.BAD_NUMBER, "invalid number"),
    16: (Refusal.PROVIDER, "sender not allowed"),  # Mitto chooses the sender: nothing of this call is wrong
}
TOO_MANY = 4

#: "Statuses comparison", with the Q.850 cause of what is meant. The first three are DELIVERED: it rang and the code was
#: shown, which is all that a flash call is for. So they are ANSWERED, our only word for a person who was reached and
#: needs no further call; the cause tells who picked up.
ENDINGS: Mapping[str, tuple[Disposition, int | None]] = {
    "ANSWERED": (Disposition.ANSWERED, 16),  # "picked up the phone"
    "TERMINATED": (Disposition.ANSWERED, 19),  # "did not pick up the phone"
    "BUSY_HERE": (Disposition.ANSWERED, 21),  # "the caller dropped the call": the callee declined it
    # "cannot be made, for example, if the number is still occupied by another call or another SIP error": one word
    # for many reasons, none of which is the callee's.
    "REJECTED": (Disposition.FAILED, None),
    "UNAVAILABLE": (Disposition.UNAVAILABLE, 20),  # "the phone is turned off"
    "FORBIDDEN": (
        Disposition.CANCELLED,
        None,
    ),  # "when the anti-fraud is triggered": the provider would not dial it
}

#: A callback's time that is further from its arrival is no time: a clock that is wrong, or other units.
CREDIBLE = timedelta(days=1)


class MittoFlashAdapter(Adapter):
    """The flash-call service of a Mitto account."""

    kind = "mitto-flash"
    default_base_url = "https://cpaas.mittoapi.net/api"
    required_settings: ClassVar[Mapping[str, str]] = {"token": "the flash-call service's token"}
    optional_settings: ClassVar[Mapping[str, str]] = {
        "timeout_ms": f"how long it rings at most, in milliseconds; {TIMEOUT_MS} unless set",
    }
    capabilities = frozenset({Capability.FLASH_OTP})
    final_event_within = timedelta(minutes=5)

    def __init__(self, config: ProviderConfig) -> None:
        super().__init__(config)
        given = self.settings.get("timeout_ms", "").strip() or str(TIMEOUT_MS)
        if not re.fullmatch(r"[0-9]{1,6}", given) or not 1 <= int(given) <= LONGEST_TIMEOUT_MS:
            raise ProviderSettingError(
                f"timeout_ms of provider {config.name} must be a whole number of milliseconds from 1 to "
                f"{LONGEST_TIMEOUT_MS}, such as {TIMEOUT_MS}."
            )
        self._timeout_ms = int(given)

    def build_request(self, submission: Submission) -> ProviderRequest:
        """See "FlashCall requests"."""
        code = submission.code or ""
        if not re.fullmatch(r"[0-9]{4}", code):
            raise RefusedError(Refusal.BAD_REQUEST, "a flash call shows a code of exactly 4 digits")
        body: dict[str, Any] = {
            "number": digits(submission.to),
            # A number, as in the example; one with a leading zero cannot be, and "4 characters" allows a string.
            "code": code if code.startswith("0") else int(code),
            "timeout": self._timeout_ms,
        }
        return ProviderRequest("POST", "apps/flash/calls/flash", headers=self._authorization(), json=body)

    def read_reply(self, reply: Reply) -> Verdict:
        """See "Answer", "Description of error codes" and "Response format"."""
        answer = reply.json_object() or {}
        code, word = answer.get("errorCode"), answer.get("status")
        if answer.get("requestId") is not None or word == "ok":
            reference = _reference(answer.get("requestId"))
            if reply.status < 300 and reference is not None and code is None and word in (None, "ok"):
                return Verdict(Outcome.PLACED, provider_reference=reference)
            return Verdict(
                Outcome.UNKNOWN, detail=f"HTTP {reply.status}: half a success, which Mitto does not document"
            )
        if type(code) is int and (error := _error(code)) is not None:
            return error
        # "Response format" is a section of both documents: "any response" has a status, though no example shows it.
        if isinstance(word, str) and word in STATUSES:
            return by_word(word)
        if reply.status >= 400:
            return refused_by_status(reply, "an error that Mitto documents")
        return Verdict(Outcome.UNKNOWN, detail=f"HTTP {reply.status} without a requestId")

    @classmethod
    def read_event(cls, raw: RawEvent) -> list[Fact]:
        """See "Parameters in the callback". Every documented status is the last one of its call."""
        fields = event_fields(raw)
        status = fields.get("status", "")
        if not status:
            raise EventError("the callback holds no status")
        disposition, cause = ENDINGS.get(status, (Disposition.UNKNOWN, None))
        picked_up_or_unknown = status == "ANSWERED" or status not in ENDINGS
        return [
            Fact(
                attempt_id="",
                provider_reference=checked_reference(fields.get("requestId", "")),
                state=AttemptState.ENDED,
                disposition=disposition,
                hangup_cause=cause,
                at=_moment(fields.get("timestamp", ""), raw.received_at),
                duration=None,
                billsec=None if picked_up_or_unknown else 0.0,  # Mitto tells no lengths
                cost=None,
                is_unheard_of=status not in ENDINGS,
            )
        ]

    @classmethod
    def kept(cls, raw: RawEvent) -> RawEvent:
        """Without `appKey`, as of `mitto`."""
        return without_app_key(raw)

    @classmethod
    def check_campaign(cls, language: str, has_text: bool, has_media: bool) -> list[str]:
        """No campaign can: nothing is said in a flash call."""
        return [
            f"A provider of kind {cls.kind} shows one-time passwords as calling numbers and can announce nothing; "
            "use a provider of another kind."
        ]

    def _authorization(self) -> dict[str, str]:
        """See "FlashCall requests": "HTTP Basic", `Authorization: token`. A token with its scheme is sent as given."""
        token = self.settings["token"].strip()
        return {"Authorization": token if " " in token else f"Basic {token}"}


def _error(code: int) -> Verdict | None:
    """What a documented error says."""
    if code == TOO_MANY:
        return Verdict(Outcome.NOT_PROCESSED, detail=f"Mitto answered error {code}: too many requests")
    if code not in ERRORS:
        return None
    refusal, meaning = ERRORS[code]
    return Verdict(Outcome.REFUSED, refusal=refusal, detail=f"Mitto answered error {code}: {meaning}")


def _reference(value: object) -> str | None:
    """The `requestId` of a reply, as callbacks give it; the example leaves open whether it is a number."""
    if type(value) is not int and not isinstance(value, str):
        return None
    try:
        return checked_reference(str(value))
    except EventError:
        return None


def _moment(unixtime: str, received_at: datetime) -> datetime:
    """A callback's `timestamp`, in seconds; its arrival when that is none."""
    try:
        told = datetime.fromtimestamp(float(unixtime), UTC)
    except (ValueError, OverflowError, OSError):
        return received_at
    return told if abs(told - received_at) <= CREDIBLE else received_at
