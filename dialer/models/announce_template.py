"""Announce templates: the texts that one-time passwords are spoken in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from dialer.models.base import PublicId, UtcDateTime


class AnnounceTemplate(SQLModel, table=True):
    """A text with `{otp}` in it, approved for an account."""

    __tablename__ = "announce_template"
    __table_args__ = (
        # store.announce_templates.of_account: an account's, in the order in which they were made.
        Index("announce_template_account_id_idx", "account_id", "created_at"),
    )

    #: Ids are unique within an account: apps that come from elsewhere keep theirs.
    account_id: str = Field(primary_key=True, foreign_key="account.id", sa_type=PublicId)
    id: str = Field(primary_key=True, sa_type=PublicId)
    text: str
    created_at: datetime = Field(sa_type=UtcDateTime)
