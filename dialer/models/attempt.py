"""Attempts: one dial of a call through one provider."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Index, Numeric, text
from sqlmodel import Field, SQLModel

from dialer.lifecycle import AttemptState, Disposition
from dialer.models.base import E164, CallId, Json, PublicId, State, UtcDateTime, state_check

_submitting = text(f"state = '{AttemptState.SUBMITTING}'")
_unsettled = text("settle_at IS NOT NULL")
_referenced = text("provider_reference IS NOT NULL")


class Attempt(SQLModel, table=True):
    """One dial. Its id, `{call id}-{number}`, is our reference at the provider, so a call cannot have two
    attempts of one number: a second worker's insert fails instead of dialling."""

    __tablename__ = "attempt"
    __table_args__ = (
        state_check("state", AttemptState),
        state_check("disposition", Disposition),
        # store.attempts.lock_overdue: claimed by a worker that never came back with an answer.
        Index(
            "attempt_deadline_at_idx", "deadline_at", postgresql_where=_submitting, sqlite_where=_submitting
        ),
        # store.attempts.lock_unsettled: no final event came in time, so its provider is asked, or it is settled.
        Index("attempt_settle_at_idx", "settle_at", postgresql_where=_unsettled, sqlite_where=_unsettled),
        # Events that carry only the provider's own reference.
        Index(
            "attempt_provider_reference_idx",
            "provider_id",
            "provider_reference",
            postgresql_where=_referenced,
            sqlite_where=_referenced,
        ),
        # store.attempts.dials_since: the frequency cap of a number.
        Index("attempt_account_id_e164_idx", "account_id", "e164", "submitted_at"),
    )

    id: str = Field(primary_key=True, sa_type=CallId)
    call_id: str = Field(sa_type=CallId)
    number: int
    account_id: str = Field(sa_type=PublicId)
    campaign_id: str | None = Field(default=None, sa_type=PublicId)
    provider_id: str = Field(sa_type=PublicId)
    e164: str = Field(sa_type=E164)
    caller_id: str = ""
    state: str = Field(sa_type=State)
    disposition: str | None = Field(default=None, sa_type=State)
    hangup_cause: int | None = None
    provider_reference: str | None = None
    #: Committed before the first byte was sent.
    submitted_at: datetime = Field(sa_type=UtcDateTime)
    #: A SUBMITTING attempt older than this has lost its worker: its fate is unknown.
    deadline_at: datetime = Field(sa_type=UtcDateTime)
    #: When it is looked up, or settled without a final event; None once it is final or settled.
    settle_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    placed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ringing_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: Seconds.
    duration: float | None = None
    billsec: float | None = None
    cost: Decimal | None = Field(default=None, sa_type=Numeric(12, 6))
    #: Keys pressed, each with its time: `[["2026-01-13T12:00:00+00:00", "1"]]`, in order; None for none.
    keys: list[Any] | None = Field(default=None, sa_type=Json)
    #: The provider's words, scrubbed.
    detail: str = ""
