"""Inbound: what becomes of people who call an account's number, and the calls that came in."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, String, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from dialer.models.base import E164, CallId, Json, PublicId, State, UtcDateTime, state_check

_open = text("NOT recorded")
_called_back = text("callback_id IS NOT NULL")


class InboundAction(StrEnum):
    """What becomes of a call to a number."""

    CONNECT = "CONNECT"  # connected with numbers, one after the other
    CONNECT_ALL = "CONNECT_ALL"  # connected with whichever of the numbers answers first
    ANNOUNCE = "ANNOUNCE"  # hears something, and is hung up on
    CALL_BACK = "CALL_BACK"  # is hung up on, and called back and connected with numbers, one after the other
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
    #: Whether the account took the number for itself, as it may where its providers are its own, and nobody said that
    #: it is its number elsewhere: the rule does not hold at a provider that several share, or come to share.
    claimed: bool | None = None
    action: str = Field(sa_type=State)
    #: Whom the caller is connected with: E.164, or `{"number": E.164, "seconds": S}` for one that is rung for a time of
    #: its own.
    numbers: list[Any] = Field(default_factory=list, sa_type=Json)
    #: What the caller hears before anything else: a text, or a recorded file's name at the provider, or nothing.
    text: str | None = None
    media: str | None = None
    #: Whether the call counts as answered while they hear it, where the provider leaves that open.
    answer_first: bool = False
    #: Seconds for which each of the others is rung.
    ring_seconds: int = 30
    #: What whoever picks up hears before they are connected, as above.
    greeting_text: str | None = None
    greeting_media: str | None = None
    #: What a caller who is called back hears before they are connected, as above.
    back_text: str | None = None
    back_media: str | None = None
    #: Whether the caller's number is hidden from them.
    hide_caller: bool = False
    #: Keys that are pressed when a number has answered, with `w` and `W` for waits.
    press: str | None = None
    language_code: str = "en-US"
    voice: str = "Joanna"
    record: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)


class InboundCall(SQLModel, table=True):
    """A call that came in, what its caller was given, and all that its provider has told of it; it becomes a CDR."""

    __tablename__ = "inbound_call"
    __table_args__ = (
        # What is told of one and the same call, however often and in whatever order.
        UniqueConstraint("provider_id", "session"),
        state_check("action", InboundAction),
        # store.inbound.count_live, lock_unsettled: those that have not ended.
        Index(
            "inbound_call_open_idx", "account_id", "started_at", postgresql_where=_open, sqlite_where=_open
        ),
        # store.inbound.of_callback: the calls of one caller that one callback is made for.
        Index(
            "inbound_call_callback_id_idx",
            "callback_id",
            postgresql_where=_called_back,
            sqlite_where=_called_back,
        ),
    )

    id: str = Field(primary_key=True, sa_type=CallId)
    provider_id: str = Field(sa_type=PublicId)
    #: The provider's name for the call.
    session: str = Field(sa_type=String(200))
    #: The rule's, or that of a provider that only one account uses; None while neither is known.
    account_id: str | None = Field(default=None, sa_type=PublicId)
    #: What was done with the caller when the provider asked; None before, and where there was no rule.
    action: str | None = Field(default=None, sa_type=State)
    #: `calls.inbound.Given`: by which rule, as it was then; None before the provider has asked.
    given: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: The call in which the caller is called back.
    callback_id: str | None = Field(default=None, sa_type=CallId)
    #: `Told.to_json`, each once, in order.
    told: list[Any] = Field(default_factory=list, sa_type=Json)
    #: Whether it has its CDR, or will get none.
    recorded: bool = False
    started_at: datetime = Field(sa_type=UtcDateTime)
