"""Idempotency keys: answers that are given again to whoever asks the same again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from dialer.models.base import Json, PublicId, UtcDateTime


class IdempotencyKey(SQLModel, table=True):
    """What was answered to a request with this key; written in the transaction of what the request did."""

    __tablename__ = "idempotency_key"
    __table_args__ = (
        # store.idempotency.purge: those that are kept no longer.
        Index("idempotency_key_created_at_idx", "created_at"),
    )

    account_id: str = Field(primary_key=True, sa_type=PublicId)
    key: str = Field(primary_key=True, max_length=255)
    #: Of method, path and body, keyed: a body may hold a one-time password.
    body_hash: str
    status: int
    response: Any = Field(sa_type=Json)
    created_at: datetime = Field(sa_type=UtcDateTime)
