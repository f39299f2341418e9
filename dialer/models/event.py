"""Events: what providers told us, raw."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from dialer.models.base import CallId, Json, PublicId, Serial, State, UtcDateTime, state_check, states_in

#: The method of an event that is the reply to a look-up.
LOOK_UP = "LOOK-UP"
#: … the reply to the request that was to place a call, where nobody has understood it.
SUBMIT = "SUBMIT"


class EventState(StrEnum):
    """What became of a raw event."""

    NEW = "NEW"  # stored and answered 2xx; to be consumed
    CONSUMED = "CONSUMED"  # its facts are in the attempts
    UNMATCHED = (
        "UNMATCHED"  # speaks of an attempt that is not ours, or not yet known by the reference it gives
    )
    UNREADABLE = "UNREADABLE"  # the adapter could make nothing of it


_new = text(f"state = '{EventState.NEW}'")
_odd = text(states_in("state", frozenset({EventState.UNMATCHED, EventState.UNREADABLE})))
_of_attempt = text("attempt_id IS NOT NULL")
_may_match = text(f"state = '{EventState.UNMATCHED}' AND reference IS NOT NULL")


class Event(SQLModel, table=True):
    """One callback, or one reply to what we asked, as it came."""

    __tablename__ = "event"
    __table_args__ = (
        # A callback sent twice is kept once.
        UniqueConstraint("provider_id", "dedupe_key"),
        state_check("state", EventState),
        # store.events.claim: in the order of arrival.
        Index("event_new_idx", "id", postgresql_where=_new, sqlite_where=_new),
        # store.meters.odd_events.
        Index("event_odd_idx", "state", postgresql_where=_odd, sqlite_where=_odd),
        # store.events.of_attempts: what was told of a call.
        Index("event_attempt_id_idx", "attempt_id", postgresql_where=_of_attempt, sqlite_where=_of_attempt),
        # store.events.revive: it came before the reply that told the provider's reference.
        Index(
            "event_reference_idx",
            "provider_id",
            "reference",
            postgresql_where=_may_match,
            sqlite_where=_may_match,
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    provider_id: str = Field(sa_type=PublicId)
    dedupe_key: str
    state: str = Field(default=EventState.NEW, sa_type=State)
    method: str
    #: What the provider appended to the webhook URL.
    path: str = ""
    query: str = ""
    content_type: str = ""
    body: bytes = Field(default=b"", sa_type=LargeBinary)
    attempt_id: str | None = Field(default=None, sa_type=CallId)
    #: The provider's own, where that is all it tells and no attempt has it yet.
    reference: str | None = None
    #: Of a question what becomes of a call that comes in: what was given to the caller (`calls.inbound.Given`).
    given: dict[str, Any] | None = Field(default=None, sa_type=Json)
    received_at: datetime = Field(sa_type=UtcDateTime)
    consumed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str = ""
