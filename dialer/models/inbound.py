"""Inbound: what becomes of people who call an account's number, and the calls that came in."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from dialer.models.base import E164, CallId, Json, PublicId, State, UtcDateTime, state_check

_open = text("NOT recorded")


class InboundAction(StrEnum):
    """What becomes of a call to a number."""

    CONNECT = "CONNECT"  # connected with numbers, one after the other
    CONNECT_ALL = "CONNECT_ALL"  # connected with whichever of the numbers answers first
    ANNOUNCE = "ANNOUNCE"  # hears something, and is hung up on
    CALL_BACK = "CALL_BACK"  # is hung up on, and called back and connected with the first of the numbers
    OPT_OUT = "OPT_OUT"  # goes on the account's global DND list, and is hung up on
    REFUSE = "REFUSE"  # is refused


class InboundRule(SQLModel, table=True):
    """What becomes of calls to one number. A number is one account's, so the number alone finds its rule."""

    __tablename__ = "inbound_rule"
    __table_args__ = (
        state_check("action", InboundAction),
        # store.inbound.rules: an account's.
        Index("inbound_rule_account_id_idx", "account_id"),
    )

    e164: str = Field(primary_key=True, sa_type=E164)
    account_id: str = Field(foreign_key="account.id", sa_type=PublicId)
    action: str = Field(sa_type=State)
    #: E.164, whom the caller is connected with.
    numbers: list[Any] = Field(default_factory=list, sa_type=Json)
    #: What the caller hears before anything else: a text, or a recorded file's name at the provider, or nothing.
    text: str | None = None
    media: str | None = None
    #: Seconds for which each number is rung.
    ring_seconds: int = 30
    language_code: str = "en-US"
    voice: str = "Joanna"
    record: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)


class InboundCall(SQLModel, table=True):
    """A call that came in, and all that its provider has told of it. Its end becomes a CDR."""

    __tablename__ = "inbound_call"
    __table_args__ = (
        # What is told of one and the same call, however often and in whatever order.
        UniqueConstraint("provider_id", "session"),
        state_check("action", InboundAction),
        # store.inbound.count_live, lock_unsettled: those that have not ended.
        Index(
            "inbound_call_open_idx", "account_id", "started_at", postgresql_where=_open, sqlite_where=_open
        ),
    )

    id: str = Field(primary_key=True, sa_type=CallId)
    provider_id: str = Field(sa_type=PublicId)
    #: The provider's name for the call.
    session: str = Field(sa_type=String(200))
    #: The rule's, or that of a provider that only one account uses; None while neither is known.
    account_id: str | None = Field(default=None, sa_type=PublicId)
    #: The rule's, once the provider has asked; None where there was none.
    action: str | None = Field(default=None, sa_type=State)
    #: `Told.to_json`, each once, in order.
    told: list[Any] = Field(default_factory=list, sa_type=Json)
    #: Whether it has its CDR, or will get none.
    recorded: bool = False
    started_at: datetime = Field(sa_type=UtcDateTime)
