"""How far the CDRs of providers have been read."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from dialer.models.base import PublicId, UtcDateTime


class CdrPoll(SQLModel, table=True):
    """How far a provider's CDRs have been read, and what they said."""

    __tablename__ = "cdr_poll"

    provider_id: str = Field(
        primary_key=True, foreign_key="provider.id", ondelete="CASCADE", sa_type=PublicId
    )
    #: When they are read next.
    due_at: datetime = Field(sa_type=UtcDateTime)
    #: Those of calls that ended before are read; None: none is.
    read_to: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: The end of the span that is being read; None between two readings.
    reading_to: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: What the next page of that span is asked for with; None for the first one.
    page: str | None = None
    #: Attempts whose CDR says another end than their events.
    disagreements: int = 0
