"""Keys of an account, besides its own."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from dialer.models.base import Json, PublicId, UtcDateTime


class ApiKey(SQLModel, table=True):
    """A key (hashed) that opens an account's API within its scopes."""

    __tablename__ = "api_key"
    __table_args__ = (
        # store.keys.with_hash, of_account.
        Index("api_key_account_id_idx", "account_id", "auth_hash"),
    )

    id: str = Field(primary_key=True, sa_type=PublicId)
    account_id: str = Field(foreign_key="account.id", sa_type=PublicId)
    name: str
    auth_hash: str
    #: `dialer.keys.Scope`, sorted.
    scopes: list[Any] = Field(sa_type=Json)
    #: None: the limit that holds for every key.
    requests_per_minute: int | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    #: To the minute.
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
