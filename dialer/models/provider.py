"""Providers: configured accounts at telephony companies."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Field, SQLModel

from dialer.models.base import Json, PublicId, UtcDateTime


class Provider(SQLModel, table=True):
    """A configured account at a telephony company."""

    __tablename__ = "provider"

    id: str = Field(primary_key=True, sa_type=PublicId)
    name: str = Field(unique=True)
    kind: str
    #: None: every account may use it.
    account_id: str | None = Field(default=None, foreign_key="account.id", sa_type=PublicId)
    base_url: str
    #: Sealed (`SecretBox`); opened only by the dispatcher and by `dialer provider test`.
    credentials: str
    #: Those of its settings that are no secrets (`Adapter.open_settings`), for who may not open credentials.
    open_settings: dict[str, Any] | None = Field(default=None, sa_type=Json)
    enabled: bool = True
    #: When it was disabled; None while it is enabled.
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: Why the engine stopped using it by itself (no funds, bad credentials); None: it did not.
    paused_reason: str | None = None
    #: Lower is tried first.
    priority: int = 100
    calls_per_minute: int | None = None
    max_concurrent: int | None = None
    #: After a 429: nobody calls it before this time. Kept here too, so that a flushed Redis forgets nothing.
    held_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: The circuit breaker (dialer/pace/breaker.py): how many times in a row it has opened, before when nobody calls the
    #: provider for it, and the submits counted since then.
    breaker_trips: int = 0
    breaker_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    breaker_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    breaker_good: int = 0
    breaker_bad: int = 0
    webhook_token: str
    previous_webhook_token: str | None = None
    previous_token_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: SHA-256 of `user:password` that callbacks must carry; None: no Basic auth.
    callback_auth_hash: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
