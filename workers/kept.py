"""What providers answered is kept as events, beside what they told by themselves, for people to read."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from dialer.models.event import EventState
from dialer.providers.base import Adapter
from dialer.providers.contract import RawEvent

#: What is noted of an event whose word is in no table of its adapter.
UNKNOWN_WORD = "the provider's word is in no table"


def asked_event(
    provider_id: str,
    method: str,
    attempt_id: str,
    content_type: str,
    body: bytes,
    now: datetime,
    *,
    is_odd: bool,
) -> dict[str, Any]:
    """The row of an event that keeps what came by asking; `is_odd`: nobody has understood it."""
    return {
        "provider_id": provider_id,
        "dedupe_key": Adapter.dedupe_key(RawEvent(method, attempt_id, "", content_type, body, None, now)),
        "state": EventState.CONSUMED.value,
        "method": method,
        "path": "",
        "query": "",
        "content_type": content_type,
        "body": body,
        "attempt_id": attempt_id,
        "received_at": now,
        "consumed_at": now,
        "error": UNKNOWN_WORD if is_odd else "",
    }
