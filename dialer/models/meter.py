"""Meters: counts for `/metrics` that no other table could tell without being read from end to end."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlmodel import Field, SQLModel

from dialer.models.base import PublicId, UtcDateTime


class Meter(SQLModel, table=True):
    """One count; see `dialer/store/meters.py` for their names."""

    __tablename__ = "meter"

    name: str = Field(primary_key=True)
    #: Empty where no provider is concerned.
    provider_id: str = Field(primary_key=True, sa_type=PublicId)
    label: str = Field(primary_key=True)
    count: int = Field(default=0, sa_type=BigInteger)
    at: datetime | None = Field(default=None, sa_type=UtcDateTime)
