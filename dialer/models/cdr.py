"""CDRs: the final form of attempts, and of contacts suppressed by a DND list."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, Index, Numeric, text
from sqlmodel import Field, SQLModel

from dialer.lifecycle import CdrKind, DialStatus, Disposition
from dialer.models.base import E164, CallId, Json, PublicId, Serial, State, UtcDateTime, state_check

_single = text("campaign_id IS NULL")


class Cdr(SQLModel, table=True):
    """A call detail record: one per attempt that ended, and one per number that a DND list kept from being dialled."""

    __tablename__ = "cdr"
    __table_args__ = (
        state_check("disposition", Disposition),
        state_check("dial_status", DialStatus),
        state_check("kind", CdrKind),
        # store.cdrs.of_campaign, latest, page: in order, by keyset.
        Index("cdr_campaign_id_idx", "campaign_id", "id"),
        # store.cdrs.export, of_days, page: an account's, by date; what is skipped is read in it alone.
        Index("cdr_account_id_call_date_idx", "account_id", "call_date", "id"),
        # store.cdrs.count_by_status: an account's, but for those of campaigns, which their counters tell.
        Index("cdr_single_idx", "account_id", "dial_status", postgresql_where=_single, sqlite_where=_single),
        # store.cdrs.of_call, page.
        Index("cdr_call_id_idx", "call_id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    account_id: str = Field(sa_type=PublicId)
    campaign_id: str | None = Field(default=None, sa_type=PublicId)
    list_id: str | None = Field(default=None, sa_type=PublicId)
    call_id: str = Field(sa_type=CallId)
    #: None for a suppressed number. Unique: an attempt is recorded once, however often its end is heard.
    attempt_id: str | None = Field(default=None, unique=True, sa_type=CallId)
    kind: str = Field(default=CdrKind.CAMPAIGN, sa_type=State)
    campaign_type: int | None = None
    provider_id: str | None = Field(default=None, sa_type=PublicId)
    provider_reference: str | None = None
    e164: str = Field(sa_type=E164)
    #: Whom a click-to-call connects the callee with.
    connect_to: str | None = Field(default=None, sa_type=E164)
    #: The number that picked up, where the provider tells it; of several that were rung it may not be `e164`.
    answered_by: str | None = Field(default=None, sa_type=E164)
    #: What its provider calls its recording by, once that can be fetched.
    recording_name: str | None = None
    caller_id: str = ""
    disposition: str | None = Field(default=None, sa_type=State)
    dial_status: str = Field(sa_type=State)
    hangup_cause: int | None = None
    dialled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: The end, or the moment of suppression.
    call_date: datetime = Field(sa_type=UtcDateTime)
    #: Seconds.
    duration: float | None = None
    billsec: float | None = None
    cost: Decimal | None = Field(default=None, sa_type=Numeric(12, 6))
    #: ISO 4217, in the provider's word; None where it tells none.
    currency: str | None = None
    dtmf_inputs: str = ""
    #: The call's.
    metadata_: dict[str, Any] | None = Field(default=None, sa_column=Column("metadata", Json))
