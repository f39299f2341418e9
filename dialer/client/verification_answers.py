"""What `/v1` answers of verifications: see `answers.py`."""

from __future__ import annotations

from typing import TypedDict

from dialer.client.parts import (
    Channel,
    VerificationState,
)


class Sent(TypedDict):
    """One call, or message, that brought the code."""

    channel: Channel
    request_id: str
    at: str


class Step(TypedDict):
    """A channel, and how many seconds it has before the next one is tried."""

    channel: Channel
    timeout: int


class Conversion(TypedDict):
    """How many of the last verifications of a country were confirmed."""

    country: str
    ended: int
    verified: int
    conversion: float | None
    alarmed_at: str | None
    at: str


class CountryTotals(TypedDict):
    """How many verifications of a country are in each state."""

    country: str
    states: dict[str, int]


class Statistics(TypedDict):
    """How an account's verifications fare."""

    conversions: list[Conversion]
    since: str
    totals: list[CountryTotals]


class Verification(TypedDict):
    """A verification. Its code is never shown."""

    id: str
    number: str
    country: str
    state: VerificationState
    reason: str
    channels: list[Step]
    channel: Channel
    sent: list[Sent]
    sends_left: int
    checks_left: int
    created_at: str
    expires_at: str
    next_channel_at: str | None
    resend_at: str | None
    ended_at: str | None


class Checked(Verification):
    """A verification after a check."""

    valid: bool
