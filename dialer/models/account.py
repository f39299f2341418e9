"""Accounts: the tenants."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlmodel import Field, SQLModel

from dialer.models.base import Json, PublicId, UtcDateTime


class Account(SQLModel, table=True):
    """A tenant: its key (hashed), limits, default region, time zone and calling window."""

    __tablename__ = "account"

    id: str = Field(primary_key=True, sa_type=PublicId)
    name: str = Field(unique=True)
    auth_hash: str
    enabled: bool = True
    default_region: str | None = None
    time_zone: str = "UTC"
    #: None: no limit of its own.
    calls_per_minute: int | None = None
    max_concurrent: int | None = None
    #: At most so many dials to one number in 24 hours, over all campaigns; None: no cap.
    frequency_cap: int | None = None
    #: `CallingWindow.to_json()`; None: 08:00–21:00 every day.
    calling_window: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: Whether its own keys with the scope `admin` may approve its templates; else only the operator does.
    approves_templates: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    created_at: datetime = Field(sa_type=UtcDateTime)
