"""Templates: texts that were approved before anybody hears them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from dialer.models.base import PublicId, State, UtcDateTime, state_check


class TemplateState(StrEnum):
    """Where a template stands."""

    PENDING = "PENDING"  # nobody has looked at it yet
    APPROVED = "APPROVED"  # may be used
    REJECTED = "REJECTED"  # may not; `reason` says why


class AnnounceTemplate(SQLModel, table=True):
    """A text with `{field}` places of an account: `{otp}` alone makes it one for passwords. It never changes."""

    __tablename__ = "announce_template"
    __table_args__ = (
        state_check("state", TemplateState),
        # store.announce_templates.of_account: an account's, in the order in which they were made.
        Index("announce_template_account_id_idx", "account_id", "created_at"),
    )

    #: Ids are unique within an account: apps that come from elsewhere keep theirs.
    account_id: str = Field(primary_key=True, foreign_key="account.id", sa_type=PublicId)
    id: str = Field(primary_key=True, sa_type=PublicId)
    text: str
    state: str = Field(
        default=TemplateState.APPROVED,
        sa_type=State,
        sa_column_kwargs={"server_default": TemplateState.APPROVED.value},
    )
    #: Why it was rejected.
    reason: str = Field(default="", sa_column_kwargs={"server_default": ""})
    #: When it was approved or rejected.
    reviewed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
