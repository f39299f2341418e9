"""What a CDR holds: pure functions from attempts and calls to its row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dialer.lifecycle import DIAL_STATUS, CallKind, CdrKind, DialStatus, Disposition
from dialer.store.tables import AnyRow

#: Columns that a later word of the provider may still better.
_BETTERED = (
    *("hangup_cause", "duration", "billsec", "cost", "currency", "answered_by", "answered_at", "ended_at"),
    "recording_name",
)


def of_attempt(
    attempt: AnyRow,
    call: AnyRow,
    campaign: AnyRow | None,
    disposition: Disposition,
    learned: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """The CDR of an attempt that ended so; `learned` are columns of the attempt newer than its row."""
    return {
        **_of_call(call, campaign),
        "attempt_id": attempt.id,
        "provider_id": attempt.provider_id,
        "provider_reference": attempt.provider_reference,
        "caller_id": attempt.caller_id,
        "dialled_at": attempt.submitted_at,
        "ended_at": now,
        "call_date": now,
        **correction(attempt, disposition, learned),
    }


def of_suppressed(call: Any, campaign: AnyRow | None, now: datetime) -> dict[str, Any]:
    """The CDR of a number that a DND list kept from being dialled. `call` has a call's columns as attributes."""
    return {
        **_of_call(call, campaign),
        **dict.fromkeys(_BETTERED),
        "attempt_id": None,
        "provider_id": None,
        "provider_reference": None,
        "caller_id": campaign.caller_id if campaign is not None else "",
        "disposition": None,
        "dial_status": DialStatus.DND.value,
        "dialled_at": None,
        "call_date": now,
    }


def of_undialled(call: Any, now: datetime) -> dict[str, Any]:
    """The CDR of a single call that ended without having been dialled: its time ran out, say."""
    return {
        **of_suppressed(call, None, now),
        "disposition": Disposition.CANCELLED.value,
        "dial_status": DIAL_STATUS[Disposition.CANCELLED].value,
    }


def correction(attempt: AnyRow, disposition: Disposition, learned: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of an attempt's CDR that a later word of the provider changes: what they hold depends on all that is
    known then, and not on what was known before. `learned` as of `of_attempt`."""
    known = {name: learned.get(name, getattr(attempt, name)) for name in _BETTERED}
    ended_at = known.pop("ended_at")
    return {
        **known,
        "billsec": _talked(known, ended_at),
        "dtmf_inputs": pressed(learned.get("keys", attempt.keys)),
        "disposition": disposition.value,
        "dial_status": DIAL_STATUS[disposition].value,
        "answered_at": _answered_at(disposition, known, ended_at),
        **({"ended_at": ended_at, "call_date": ended_at} if ended_at is not None else {}),
    }


def pressed(keys: Iterable[Sequence[str]] | None) -> str:
    """An attempt's keys in the order in which they were pressed."""
    return "".join(key for _, key in keys or ())


def _of_call(call: Any, campaign: AnyRow | None) -> dict[str, Any]:
    return {
        "account_id": call.account_id,
        "campaign_id": call.campaign_id,
        "list_id": call.list_id,
        "call_id": call.id,
        "kind": _kind(call).value,
        "campaign_type": campaign.type if campaign is not None else None,
        "e164": call.e164,
        "connect_to": None,
        "dtmf_inputs": "",
        # A campaign's call that is just being written has none.
        "metadata": getattr(call, "metadata", None),
    }


def _kind(call: Any) -> CdrKind:
    if call.kind == CallKind.CALLBACK and call.scheduled_at is None:
        return CdrKind.INBOUND_CALLBACK
    return CdrKind(call.kind)


def _talked(known: Mapping[str, Any], ended_at: datetime | None) -> float | None:
    """Seconds talked: told, or from picking up to the end where the provider tells of both and of no seconds."""
    told: float | None = known["billsec"]
    answered_at: datetime | None = known["answered_at"]
    if told is not None or known["duration"] is not None or answered_at is None or ended_at is None:
        return told
    return (ended_at - answered_at).total_seconds() if ended_at >= answered_at else None


def _answered_at(
    disposition: Disposition, known: Mapping[str, Any], ended_at: datetime | None
) -> datetime | None:
    """When it was answered: told, or the end less the seconds talked."""
    if known["answered_at"] is not None or DIAL_STATUS[disposition] is not DialStatus.ANSWER:
        answered: datetime | None = known["answered_at"]
        return answered
    talked = known["billsec"] if known["billsec"] is not None else known["duration"]
    return ended_at - timedelta(seconds=talked) if ended_at is not None and talked is not None else ended_at
