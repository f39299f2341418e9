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
_cost_due = text("cost_due_at IS NOT NULL")
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
        # store.attempts.lock_cost_due: it is over, and only a look-up tells what it cost.
        Index("attempt_cost_due_at_idx", "cost_due_at", postgresql_where=_cost_due, sqlite_where=_cost_due),
        # Events that carry only the provider's own reference.
        Index(
            "attempt_provider_reference_idx",
            "provider_id",
            "provider_reference",
            postgresql_where=_referenced,
            sqlite_where=_referenced,
        ),
        # store.attempts.dials_since: the frequency cap of a number; accounts_of: who has written to it.
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
    #: ISO 4217, in the provider's word; None where it tells none.
    currency: str | None = None
    #: The number that picked up, where the provider tells it; of several that were rung it may not be `e164`.
    answered_by: str | None = Field(default=None, sa_type=E164)
    #: What its provider calls its recording by, once that can be fetched.
    recording_name: str | None = None
    #: When its provider is asked what it cost; None where a look-up tells no cost, or no more than is known.
    cost_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: `RepeatPolicy.to_json()` of the repeats that the provider makes by itself; None: it dials once.
    provider_repeats: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: The end of the latest dial after which the provider may dial again.
    dial_ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: Keys pressed, each with its time: `[["2026-01-13T12:00:00+00:00", "1"]]`, in order; None for none.
    keys: list[Any] | None = Field(default=None, sa_type=Json)
    #: What its provider calls the line by while somebody is on it (`Adapter.read_handles`), for `calls.live_control`;
    #: with them what is kept of a transfer (`calls.handing_on`).
    handles: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: The provider's words, scrubbed.
    detail: str = ""
