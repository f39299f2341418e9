"""What `/v1` answers of calls, callbacks and CDRs: see `answers.py`."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from dialer.client.parts import (
    CallbackPromptsForm,
    CallbackRingForm,
    CallState,
    DialStatus,
    Disposition,
    SpeechForm,
)


class AcceptedCall(TypedDict):
    """A call that was taken."""

    id: str
    state: CallState
    due_at: str
    expires_at: str


class AcceptedCalls(TypedDict):
    """Calls that were taken, in the order in which they were asked for."""

    calls: list[AcceptedCall]


class Attempt(TypedDict):
    """One dial of a call through one provider."""

    id: str
    number: int
    provider_id: str
    provider_reference: str | None
    state: str
    disposition: str | None
    hangup_cause: int | None
    detail: str
    submitted_at: str
    placed_at: str | None
    ringing_at: str | None
    answered_at: str | None
    answered_by: str | None
    ended_at: str | None
    duration: float | None
    billsec: float | None
    cost: str | None
    currency: str | None
    recording_name: str | None
    dtmf_inputs: str


class Attempts(TypedDict):
    """All attempts of a call, in order."""

    data: list[Attempt]


#: A call and where it stands.
Call = TypedDict(
    "Call",
    {
        "id": str,
        "purpose": str,
        "state": CallState,
        "reason": str,
        "disposition": str | None,
        "to": str,
        "from": str,
        "connect_to": str | None,
        "campaign_id": str | None,
        "provider_id": str | None,
        "attempts": int,
        "repeats": dict[str, int],
        "repeat_policy": dict[str, Any] | None,
        "time_zone": str,
        "due_at": str,
        "expires_at": str | None,
        "created_at": str,
        "released_at": str | None,
        "ended_at": str | None,
        "metadata": dict[str, str] | None,
    },
)


class Callback(TypedDict):
    """A callback."""

    id: str
    state: CallState
    agent_number: str
    destination_number: str
    caller_id: str
    record: bool
    prompts: CallbackPromptsForm | None
    max_seconds: int | None
    ring: CallbackRingForm | None
    speech: SpeechForm
    at: str
    at_local: str
    time_zone: str
    note: NotRequired[str | None]
    expires_at: str
    disposition: Disposition | None
    reason: str
    created_at: str
    ended_at: str | None


class Cdr(TypedDict):
    """A call detail record: of an attempt that ended, of a number that a DND list kept from being dialled, of a single
    call that was not dialled, or of a call that came in."""

    id: int
    request_id: str
    attempt_id: str | None
    campaign_id: str | None
    list_id: str | None
    kind: str
    direction: Literal["outbound", "inbound"]
    provider_id: str | None
    provider_reference: str | None
    number: str
    answered_by: str | None
    connect_to: str | None
    caller_id: str
    dial_status: DialStatus
    disposition: Disposition | None
    hangup_cause: int | None
    dialled_at: str | None
    answered_at: str | None
    ended_at: str | None
    call_date: str
    duration: float | None
    billsec: float | None
    cost: str | None
    currency: str | None
    dtmf_inputs: str
    recording_name: str | None
    metadata: dict[str, str] | None


class Raw(TypedDict):
    """An event as it came; credentials are hidden."""

    method: str
    path: str
    query: str
    content_type: str
    body: str


class Told(TypedDict):
    """What an event says of the call, in our words."""

    attempt_id: str
    state: str
    disposition: str | None
    hangup_cause: int | None
    at: str
    duration: float | None
    billsec: float | None
    answered_by: str | None
    cost: str | None
    currency: str | None
    recording_name: str | None
    dtmf: str


class Event(TypedDict):
    """One callback, or one reply to a look-up."""

    id: int
    attempt_id: str
    provider_id: str
    received_at: str
    consumed_at: str | None
    state: str
    error: str
    told: list[Told]
    raw: Raw | None


class Events(TypedDict):
    """What was told of a call, in the order of arrival; the first 500."""

    data: list[Event]
