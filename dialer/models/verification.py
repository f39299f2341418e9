"""Verifications: whether somebody has the telephone that they say they have."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from dialer.lifecycle import VerificationState
from dialer.models.base import (
    E164,
    CallId,
    Json,
    PublicId,
    Serial,
    State,
    UtcDateTime,
    state_check,
    states_in,
)

#: The predicate of verification_open_key.
OPEN_VERIFICATION = states_in("state", frozenset({VerificationState.PENDING}))
_open = text(OPEN_VERIFICATION)
_with_rate_key = text("rate_key IS NOT NULL")


class Verification(SQLModel, table=True):
    """A code on its way to a number, one channel after the other, until somebody tells it."""

    __tablename__ = "verification"
    __table_args__ = (
        state_check("state", VerificationState),
        # store.verifications.open_of: an account verifies a number once at a time.
        Index(
            "verification_open_key",
            "account_id",
            "e164",
            unique=True,
            postgresql_where=_open,
            sqlite_where=_open,
        ),
        # store.verifications.due, lock_expired: what is to be brought on, or has run out of time.
        Index("verification_wake_at_idx", "wake_at", postgresql_where=_open, sqlite_where=_open),
        # store.verifications.wake: a call that brought a code has failed.
        Index("verification_call_id_idx", "call_id", postgresql_where=_open, sqlite_where=_open),
        # store.verifications.page, totals.
        Index("verification_account_id_idx", "account_id", "created_at", "id"),
        # store.verifications.last_ends: how the last ones of a country have ended.
        Index("verification_country_idx", "account_id", "country", "ended_at"),
        # store.verifications.ended_since: accounts and countries in which some have just ended.
        Index("verification_ended_at_idx", "ended_at"),
    )

    id: str = Field(primary_key=True, sa_type=PublicId)
    account_id: str = Field(sa_type=PublicId)
    e164: str = Field(sa_type=E164)
    #: ISO 3166, `001` for numbers of no country.
    country: str = Field(sa_type=State)
    #: Its country code and the digits after it that the limit per prefix goes by.
    prefix: str = Field(sa_type=E164)
    #: A keyed hash of what the caller counts by (an IP address, a device); None: nothing.
    rate_key: str | None = None
    state: str = Field(sa_type=State)
    #: In the order in which they are tried: [{"channel": "flash", "timeout": 30}].
    channels: list[Any] = Field(sa_type=Json)
    #: Which of them is being tried, from 0, and the call that does it.
    step: int = 0
    call_id: str = Field(sa_type=CallId)
    #: Calls made, and wrong codes told, so far and at most.
    sends: int
    max_sends: int
    checks: int = 0
    max_checks: int
    #: Seconds between two sends that are asked for.
    resend_after: int
    #: The code as a keyed hash, which checks compare with, and sealed, for the next call. None once it has ended.
    code_hash: str | None = None
    sealed_code: str | None = None
    caller_id: str
    #: What is said or written, with `{otp}`.
    template: str
    #: `dialer.speech.Speech`.
    speech: dict[str, Any] = Field(sa_type=Json)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime = Field(sa_type=UtcDateTime)
    #: When the next channel is tried; None: there is none.
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: When the scheduler has to look at it; None once it has ended.
    wake_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: A word on why it ended, for people.
    reason: str = ""


class VerificationSend(SQLModel, table=True):
    """One call that brought a verification's code: what the limits count."""

    __tablename__ = "verification_send"
    __table_args__ = (
        # store.verifications.sends_of, calls_of.
        Index("verification_send_verification_id_idx", "verification_id", "id"),
        # store.verifications.nth_sends, wrong_checks: the limits per number, per prefix and per rate key.
        Index("verification_send_e164_idx", "account_id", "e164", "at"),
        Index("verification_send_prefix_idx", "account_id", "prefix", "at"),
        Index(
            "verification_send_rate_key_idx",
            "account_id",
            "rate_key",
            "at",
            postgresql_where=_with_rate_key,
            sqlite_where=_with_rate_key,
        ),
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    verification_id: str = Field(sa_type=PublicId)
    account_id: str = Field(sa_type=PublicId)
    call_id: str = Field(sa_type=CallId)
    channel: str = Field(sa_type=State)
    e164: str = Field(sa_type=E164)
    prefix: str = Field(sa_type=E164)
    rate_key: str | None = None
    at: datetime = Field(sa_type=UtcDateTime)


class VerificationRules(SQLModel, table=True):
    """What an account has set about its verifications."""

    __tablename__ = "verification_rules"

    account_id: str = Field(primary_key=True, foreign_key="account.id", sa_type=PublicId)
    #: Fields of `dialer.verifications.rules.Rules`, those that were set.
    given: dict[str, Any] = Field(sa_type=Json)


class VerificationConversion(SQLModel, table=True):
    """How many of an account's last verifications in a country were confirmed."""

    __tablename__ = "verification_conversion"

    account_id: str = Field(primary_key=True, foreign_key="account.id", sa_type=PublicId)
    country: str = Field(primary_key=True, sa_type=State)
    ended: int
    verified: int
    #: Since when it has been too few; None: it is not.
    alarmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    at: datetime = Field(sa_type=UtcDateTime)
