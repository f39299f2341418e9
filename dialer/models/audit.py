"""The audit log: who changed what."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from dialer.models.base import Json, PublicId, Serial, UtcDateTime


class AuditEntry(SQLModel, table=True):
    """One change that somebody made. Entries are only ever added: triggers of the migrated schema refuse the rest."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        # store.audit.of_account: an account's, the newest first.
        Index("audit_entry_account_id_idx", "account_id", "id"),
        # store.audit.of_subject, of_account: what was done to one thing.
        Index("audit_entry_subject_idx", "subject", "id"),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    #: Empty for what belongs to no account, such as a provider that all may use.
    account_id: str = Field(sa_type=PublicId)
    at: datetime = Field(sa_type=UtcDateTime)
    #: A key's id, `account` for the account's own key, `operator` for the command line.
    actor: str
    #: Noun and verb: `campaign.pause`.
    action: str
    #: The id of what was changed.
    subject: str
    #: What was changed to what; holds no number of a person and no secret.
    detail: dict[str, Any] = Field(sa_type=Json)
