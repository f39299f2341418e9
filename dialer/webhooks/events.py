"""What apps are told: pure functions from what happened to the body of a message.

A body is small, and holds ids, states, times, and the number that was dialled; never what was said.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dialer.lifecycle import CALL_ENDS, CallState
from dialer.models.webhook import WebhookEvent
from dialer.store.tables import AnyRow

#: Rises when a body changes so that an app must change, too; fields may be added without.
VERSION = 1

#: What of a CDR is told of an attempt.
_OF_CDR = (
    "attempt_id",
    "call_id",
    "campaign_id",
    "kind",
    "caller_id",
    "disposition",
    "dial_status",
    "hangup_cause",
    "dialled_at",
    "answered_by",
    "answered_at",
    "ended_at",
    "duration",
    "billsec",
    "dtmf_inputs",
    "recording_name",
    "metadata",
)


class Happened(NamedTuple):
    """Something that apps may want to be told of. `data` is asked for only when one does."""

    event: WebhookEvent
    account_id: str
    campaign_id: str | None
    #: The id of the attempt, call or campaign.
    subject: str
    data: Callable[[], Mapping[str, Any]]


def body_of(happened: Happened, now: datetime) -> str:
    """The message as JSON."""
    message = {
        "type": happened.event.value,
        "version": VERSION,
        "timestamp": _written(now),
        "account_id": happened.account_id,
        "data": happened.data(),
    }
    return json.dumps(message, default=_written, ensure_ascii=False, separators=(",", ":"))


def attempt_ended(cdr: Mapping[str, Any], number: int, *, corrected: bool) -> dict[str, Any]:
    """An attempt that has its CDR; `number`: the how-many-eth of its call; `corrected`: it was told before, and its
    provider knows better now."""
    told = {name: cdr[name] for name in _OF_CDR}
    return {**told, "number": number, "to": cdr["e164"], "corrected": corrected}


def call_ended(
    call: Any, state: CallState, disposition: str | None, reason: str, now: datetime, *, corrected: bool
) -> dict[str, Any]:
    """A call that has an end. `call` has a call's columns as attributes, of before it ended."""
    return {
        "call_id": call.id,
        "campaign_id": call.campaign_id,
        "kind": call.kind,
        "to": call.e164,
        "state": state.value,
        "disposition": disposition,
        "reason": reason,
        "attempts": call.dials,
        "ended_at": now,
        "metadata": getattr(call, "metadata", None),  # which a call of a campaign has none of
        "corrected": corrected,
    }


def campaign_ended(
    campaign: AnyRow, state: str, counts: Mapping[str, int], ended_at: datetime
) -> dict[str, Any]:
    """A campaign of which every contact has an end; `counts` are its counters by name."""
    ends = {end.value: counts[end.value] for end in sorted(CALL_ENDS) if counts.get(end.value)}
    return {
        "campaign_id": campaign.id,
        "name": campaign.name,
        "state": state,
        "started_at": campaign.started_at,
        "ended_at": ended_at,
        "contacts": counts.get("taken", 0),
        "ends": ends,
        "dial_statuses": {
            name.removeprefix("cdr."): count
            for name, count in sorted(counts.items())
            if name.startswith("cdr.") and count
        },
    }


def wants(endpoint: AnyRow, happened: Happened) -> bool:
    """Whether an endpoint wants to be told of it."""
    if happened.event.value not in endpoint.events:
        return False
    chosen: Sequence[str] | None = endpoint.campaign_ids
    return chosen is None or happened.campaign_id in chosen


def _written(value: Any) -> str:
    """Times as RFC 3339 in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    raise TypeError(f"a {type(value).__name__} has no place in a message")
