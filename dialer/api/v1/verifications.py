"""`/v1/verifications`: whether somebody has the telephone that they say they have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from dialer.api.v1.caller import Admin, Dialler, Reader
from dialer.api.v1.page import CursorText, Limit, Page, cursor_after, read_moment
from dialer.api.v1.problem import documented
from dialer.api.v1.speech import SpeechForm
from dialer.api.v1.tools import Tools, With
from dialer.calls.otp import Channel
from dialer.db import reading, writing
from dialer.errors import FieldError, NotFound
from dialer.lifecycle import VerificationState
from dialer.store import verifications as store
from dialer.store.tables import AnyRow
from dialer.verifications import rules
from dialer.verifications.bring import TIMEOUTS, Brought, ChannelStep, NewVerification, begin, resend
from dialer.verifications.change import change
from dialer.verifications.check import cancel, check
from dialer.verifications.codes import Codes, as_told, codes_of
from dialer.verifications.rules import Rules

router = APIRouter(prefix="/verifications", tags=["verifications"])

#: What people write in a number: `dialer.numbers` reads it.
Number = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=40)]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,16}$")]
Told = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9][0-9 \-]{0,38}$")]
CallerId = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\+?[0-9]{3,15}$")]
RateKey = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class NewChannel(BaseModel, extra="forbid"):
    """A channel, and how long it has."""

    channel: Channel
    timeout: int | None = Field(
        default=None,
        ge=5,
        le=600,
        description="seconds until the next channel is tried; unless given 30 for `flash`, 60 for `voice`, 120 for "
        "`sms`",
    )


class VerificationRequest(BaseModel, extra="forbid"):
    """A verification that is to begin."""

    number: Number = Field(description="E.164, such as +46700000050", examples=["+46700000050"])
    channels: list[NewChannel] | None = Field(
        default=None,
        min_length=1,
        max_length=len(Channel),
        description="in the order in which they are tried; without them `flash`, `voice`, `sms`, those that the "
        "account's providers have",
    )
    lifetime: int | None = Field(
        default=None, ge=60, le=rules.LONGEST_LIFE, description="seconds for which the code is good"
    )
    caller_id: CallerId | None = Field(default=None, description="what voice calls show")
    template_id: Identifier | None = Field(
        default=None, description="the text with `{otp}` that is said and written"
    )
    speech: SpeechForm = Field(
        default=SpeechForm(times=2), description="how it is said; twice in one call where this is left out"
    )
    rate_key: RateKey | None = Field(
        default=None,
        description="what you count by, such as the IP address or the device of who asks: too many codes for one key "
        "are refused. Only a keyed hash of it is kept",
    )


class Resend(BaseModel, extra="forbid"):
    """How the code is to be brought again."""

    channel: Channel | None = Field(
        default=None, description="one of the verification's; without it the next"
    )


class Check(BaseModel, extra="forbid"):
    """A code that somebody told."""

    code: Told = Field(description="blanks and dashes between its digits do not count", examples=["1987"])


class Step(BaseModel):
    """A channel, and how many seconds it has before the next one is tried."""

    channel: Channel
    timeout: int


class Sent(BaseModel):
    """One call, or message, that brought the code."""

    channel: Channel
    request_id: str = Field(description="the id of the call")
    at: datetime


class Verification(BaseModel):
    """A verification. Its code is never shown."""

    id: str
    number: str
    country: str
    state: VerificationState
    reason: str = Field(description="why it ended")
    channels: list[Step]
    channel: Channel = Field(description="the one that was tried last")
    sent: list[Sent]
    sends_left: int
    checks_left: int
    created_at: datetime
    expires_at: datetime
    next_channel_at: datetime | None = Field(
        description="when the next channel is tried; null: there is none"
    )
    resend_at: datetime | None = Field(description="when it may be sent again; null: not any more")
    ended_at: datetime | None


class Checked(Verification):
    """A verification after a check."""

    valid: bool = Field(description="whether this was the code")


class Conversion(BaseModel):
    """How many of the last verifications of a country were confirmed."""

    country: str
    ended: int = Field(description="the last so many that ended, of the last day")
    verified: int
    conversion: float | None = Field(description="the part that was confirmed; null: none has ended")
    alarmed_at: datetime | None = Field(description="since when it has been too few; null: it is not")
    at: datetime = Field(description="when it was measured")


class CountryTotals(BaseModel):
    """How many verifications of a country are in each state."""

    country: str
    states: dict[VerificationState, int]


class Statistics(BaseModel):
    """How an account's verifications fare."""

    conversions: list[Conversion]
    since: datetime
    totals: list[CountryTotals] = Field(description="verifications that began since then")


_OPEN_ALREADY: dict[str, Any] = {"model": Verification, "description": "One of this number is open"}


@router.post("", status_code=201, responses={**documented(404, 409), 200: _OPEN_ALREADY})
def begin_verification(
    body: VerificationRequest, caller: Dialler, tools: With, response: Response
) -> Verification:
    """Bring a code to a number.

    Where a verification of this number is open, 200 answers with that one, and its code is brought again by the next
    channel, unless it was brought less than `resend_after` ago.
    """
    now = tools.now
    wanted = NewVerification(
        number=body.number,
        region=caller.account.default_region or tools.settings.default_region,
        speech=body.speech.speech,
        channels=_steps(body.channels or []),
        caller_id=body.caller_id,
        template_id=body.template_id,
        lifetime=body.lifetime,
        rate_key=body.rate_key,
    )
    brought = begin(tools.engine, _codes(tools), caller.account_id, wanted, now)
    _ring(tools, brought)
    if not brought.is_new:
        response.status_code = 200
    return _shown(tools, caller.account_id, brought.verification_id, now)


@router.get("")
def list_verifications(
    caller: Reader,
    tools: With,
    limit: Limit = 100,
    cursor: CursorText = None,
    state: Annotated[VerificationState | None, Query()] = None,
) -> Page[Verification]:
    """All of them, the newest first."""
    now, before = tools.now, read_moment(cursor)
    with reading(tools.engine) as connection:
        found = store.page(connection, caller.account_id, limit, before=before, state=state)
        shown = _verifications(connection, caller.account_id, found.rows, now)
    if found.after is None:
        return Page(data=shown)
    return Page(data=shown, next_cursor=cursor_after(*found.after))


@router.get("/settings")
def show_settings(caller: Reader, tools: With) -> Rules:
    """The rules of the account's verifications."""
    with reading(tools.engine) as connection:
        return rules.of_account(store.rules_of(connection, caller.account_id))


@router.patch("/settings", responses=documented(404))
def change_settings(body: Rules, caller: Admin, tools: With) -> Rules:
    """Change those that are given; null takes `countries`, `caller_id` or `template_id` away. Verifications that are
    open keep theirs, save limits."""
    with writing(tools.engine) as connection:
        return change(connection, caller.account_id, caller.actor, body, tools.now)


@router.get("/statistics")
def show_statistics(
    caller: Reader, tools: With, hours: Annotated[int, Query(ge=1, le=24 * 31)] = 24
) -> Statistics:
    """How many are confirmed, by country; `alarmed_at` tells where they are too few, as when somebody has codes sent
    to numbers that earn them money."""
    since = tools.now - timedelta(hours=hours)
    with reading(tools.engine) as connection:
        measured = store.conversions(connection, caller.account_id)
        counted = store.totals(connection, caller.account_id, since)
    totals: dict[str, dict[VerificationState, int]] = {}
    for country, state, count in counted:
        totals.setdefault(country, {})[VerificationState(state)] = count
    return Statistics(
        conversions=[
            Conversion(
                country=row.country,
                ended=row.ended,
                verified=row.verified,
                conversion=row.verified / row.ended if row.ended else None,
                alarmed_at=row.alarmed_at,
                at=row.at,
            )
            for row in measured
        ],
        since=since,
        totals=[CountryTotals(country=country, states=states) for country, states in totals.items()],
    )


@router.get("/{verification_id}", responses=documented(404))
def show_verification(verification_id: str, caller: Reader, tools: With) -> Verification:
    """One verification."""
    return _shown(tools, caller.account_id, verification_id, tools.now)


@router.post("/{verification_id}/check", responses=documented(404, 409))
def check_code(verification_id: str, body: Check, caller: Dialler, tools: With) -> Checked:
    """Tell a code. A wrong one answers 200 too, with `valid` false; the last that may be told ends the verification as
    `FAILED`. One that has ended answers 409."""
    now = tools.now
    valid = check(tools.engine, _codes(tools), caller.account_id, verification_id, as_told(body.code), now)
    after = _shown(tools, caller.account_id, verification_id, now)
    return Checked(**after.model_dump(), valid=valid)


@router.post("/{verification_id}/resend", responses=documented(404, 409))
def resend_code(
    verification_id: str, caller: Dialler, tools: With, body: Resend | None = None
) -> Verification:
    """Bring the same code again, by the next channel or the one asked for; it is followed by the channels after it."""
    now = tools.now
    channel = None if body is None else body.channel
    _ring(
        tools,
        resend(tools.engine, _codes(tools), caller.account_id, caller.actor, verification_id, channel, now),
    )
    return _shown(tools, caller.account_id, verification_id, now)


@router.post("/{verification_id}/cancel", responses=documented(404, 409))
def cancel_verification(verification_id: str, caller: Dialler, tools: With) -> Verification:
    """Take it back: calls that were not dialled yet do not ring. One that is cancelled stays so."""
    now = tools.now
    cancel(tools.engine, caller.account_id, caller.actor, verification_id, now)
    return _shown(tools, caller.account_id, verification_id, now)


def _steps(channels: Sequence[NewChannel]) -> list[ChannelStep]:
    steps: list[ChannelStep] = []
    for place, one in enumerate(channels):
        if any(one.channel is step.channel for step in steps):
            raise FieldError(
                f"channels.{place}.channel",
                f"channels.{place}.channel: {one.channel} is there already; name it once.",
            )
        steps.append(ChannelStep(one.channel, one.timeout or TIMEOUTS[one.channel]))
    return steps


def _codes(tools: Tools) -> Codes:
    return codes_of(tuple(tools.settings.secret_keys()))


def _ring(tools: Tools, brought: Brought) -> None:
    if brought.released:
        tools.doorbell.place_singles(brought.released)


def _shown(tools: Tools, account_id: str, verification_id: str, now: datetime) -> Verification:
    with reading(tools.engine) as connection:
        row = store.get(connection, account_id, verification_id)
        if row is None:
            raise NotFound(
                "verification_id", "verification_id: this account has no such verification; check the id."
            )
        return _verifications(connection, account_id, [row], now)[0]


def _verifications(
    connection: Connection, account_id: str, rows: Sequence[AnyRow], now: datetime
) -> list[Verification]:
    sent: dict[str, list[Sent]] = {row.id: [] for row in rows}
    for one in store.sends_of(connection, account_id, list(sent)):
        sent[one.verification_id].append(
            Sent(channel=Channel(one.channel), request_id=one.call_id, at=one.at)
        )
    return [_verification(row, sent[row.id], now) for row in rows]


def _verification(row: AnyRow, sent: list[Sent], now: datetime) -> Verification:
    state = VerificationState(row.state)
    if state is VerificationState.PENDING and now >= row.expires_at:
        state = VerificationState.EXPIRED  # as it will be as soon as somebody looks
    is_open, sends_left = state is VerificationState.PENDING, max(0, row.max_sends - row.sends)
    resend_at = row.sent_at + timedelta(seconds=row.resend_after)
    return Verification(
        id=row.id,
        number=row.e164,
        country=row.country,
        state=state,
        reason=row.reason,
        channels=[Step.model_validate(one) for one in row.channels],
        channel=Channel(row.channels[row.step]["channel"]),
        sent=sent,
        sends_left=sends_left if is_open else 0,
        checks_left=max(0, row.max_checks - row.checks) if is_open else 0,
        created_at=row.created_at,
        expires_at=row.expires_at,
        next_channel_at=row.next_at if is_open else None,
        resend_at=resend_at if is_open and sends_left and resend_at < row.expires_at else None,
        ended_at=row.ended_at,
    )
