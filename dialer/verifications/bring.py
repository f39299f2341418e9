"""Codes are brought: a verification begins, is sent again, and goes from one channel to the next.

Each is one transaction that writes the call and the verification together, so that nothing is brought twice and
nothing is lost. This is held, in this order: the number, the verification's calls, the verification, and what its
limits count by, the prefix and the rate key. So only those wait for each other who have one of them in common.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.calls import single
from dialer.calls.otp import CAPABILITIES, OTP_LIFE, Channel, NewOtp, check_template
from dialer.campaigns.template import TemplateError
from dialer.db import AWAY, reading, utc_now, writing
from dialer.errors import Conflict, FieldError, LimitReached, NotFound, RequestError
from dialer.lifecycle import VerificationState
from dialer.logs import get_logger
from dialer.providers.need import Need, of_single, why_unable
from dialer.speech import Speech, e164_or_digits
from dialer.store import audit, singles
from dialer.store import verifications as store
from dialer.store.singles import Asked
from dialer.verifications import decide
from dialer.verifications.codes import Codes, new_code
from dialer.verifications.decide import Bring, End
from dialer.verifications.destination import destination
from dialer.verifications.hold import Held, WentOnError, cancel_calls, check_open, end, hold, insisting
from dialer.verifications.limits import Counts, check_limits, checks_left
from dialer.verifications.rules import Rules, of_account
from dialer.verifications.texts import default_text

log = get_logger(__name__)

#: In this order they are tried unless a request says otherwise, each for so many seconds: a flash call costs least.
TIMEOUTS = {Channel.FLASH: 30, Channel.VOICE: 60, Channel.SMS: 120}
#: Verifications that the scheduler brings on in one round, and that it ends in one transaction.
ROUND, GROUP = 100, 500
#: When one that cannot be brought on is looked at again.
LATER = timedelta(seconds=60)

Clock = Callable[[Connection], datetime]


@dataclass(frozen=True, slots=True)
class ChannelStep:
    """A channel, and how many seconds it has before the next one is tried."""

    channel: Channel
    timeout: int

    def to_json(self) -> dict[str, Any]:
        """As its column holds it."""
        return {"channel": self.channel.value, "timeout": self.timeout}


@dataclass(frozen=True, slots=True, repr=False)
class NewVerification:
    """A verification that is asked for. Numbers without a country code are of `region`. Without channels those are
    tried that the account's providers have; what is None is as the account's rules say. `rate_key` is what the
    caller counts by, such as an IP address."""

    number: str
    region: str | None
    speech: Speech
    channels: Sequence[ChannelStep] = ()
    caller_id: str | None = None
    template_id: str | None = None
    lifetime: int | None = None
    rate_key: str | None = None


@dataclass(frozen=True, slots=True)
class Brought:
    """What came of it: the verification's id, whether it is new, and the calls that a doorbell must be rung for."""

    verification_id: str
    is_new: bool = False
    released: Sequence[str] = ()


def begin(engine: Engine, codes: Codes, account_id: str, wanted: NewVerification, now: datetime) -> Brought:
    """Begin a verification and bring its code; or, where one of this number is open, bring that one's again, unless it
    was brought a moment ago: then nothing is done.

    Raises `FieldError`, `NotFound` or `Conflict` for what cannot be brought, and `LimitReached`.
    """
    return insisting(lambda: _begin(engine, codes, account_id, wanted, now))


def _begin(engine: Engine, codes: Codes, account_id: str, wanted: NewVerification, now: datetime) -> Brought:
    with writing(engine) as connection:
        rules = of_account(store.rules_of(connection, account_id))
        there = destination(wanted.number, wanted.region, rules)
        store.hold_number(connection, account_id, there.e164)
        rate_key = None if wanted.rate_key is None else codes.rate_key(account_id, wanted.rate_key)
        found = store.open_of(connection, account_id, there.e164)
        if found is not None:
            held = hold(connection, account_id, found.id)
            if held.is_open(now):
                if decide.too_soon(held.row.sent_at, held.row.resend_after, now) is not None:
                    return Brought(held.row.id)
                rate_key = rate_key or held.row.rate_key
                return _send_again(connection, codes, held, rules, None, rate_key, now)
            if held.row.state == VerificationState.PENDING:
                end(connection, held, VerificationState.EXPIRED, decide.TIME_IS_UP, now)
        counted = Counts(there.e164, there.prefix, rate_key)
        asked = _asked(connection, account_id, wanted.template_id or rules.template_id or "", now)
        row = {"country": there.country, **asdict(counted), **_new(asked, wanted, rules)}
        check_limits(connection, account_id, counted, rules, now)
        row["max_checks"] = checks_left(connection, account_id, there.e164, rules, now)
        steps = _steps(row["channels"])
        code = new_code([one.channel for one in steps], rules.code_length)
        row |= {"code_hash": codes.hashed(row["id"], code), "sealed_code": codes.sealed(code)}
        call_id, released = _call(connection, asked, row, steps, 0, code)
        store.add(connection, {**row, **_times(row["expires_at"], steps, 0, now), "call_id": call_id})
        _note_send(connection, row, call_id, steps[0], rate_key, now)
        return Brought(row["id"], is_new=True, released=released)


def _new(asked: Asked, wanted: NewVerification, rules: Rules) -> dict[str, Any]:
    """The columns of a new verification that do not depend on its number."""
    now = asked.now
    steps = list(wanted.channels) or default_steps(asked, wanted.speech)
    _check_channels(asked, steps, wanted.speech)
    channels = [one.channel for one in steps]
    lifetime = timedelta(seconds=wanted.lifetime or rules.lifetime)
    return {
        "id": ids.verification_id(),
        "account_id": asked.account.id,
        "state": VerificationState.PENDING.value,
        "channels": [one.to_json() for one in steps],
        "step": 0,
        "sends": 1,
        "max_sends": rules.max_sends,
        "checks": 0,
        "resend_after": rules.resend_after,
        "caller_id": _caller_id(wanted.caller_id or rules.caller_id, channels, wanted.region),
        "template": _template(asked, bool(wanted.template_id or rules.template_id), wanted.speech, channels),
        "speech": asdict(wanted.speech),
        "created_at": now,
        "expires_at": now + lifetime,
        "reason": "",
    }


def resend(
    engine: Engine,
    codes: Codes,
    account_id: str,
    actor: str,
    verification_id: str,
    channel: Channel | None,
    now: datetime,
) -> Brought:
    """Bring an open verification's code again, by the channel asked for, else by the next one. `actor` is who asks,
    for the audit log.

    Raises `NotFound`, `Conflict` where it has ended, `FieldError` for a channel that it does not have, and
    `LimitReached`.
    """

    def once() -> Brought:
        with writing(engine) as connection:
            rules = of_account(store.rules_of(connection, account_id))
            found = store.get(connection, account_id, verification_id)
            if found is not None:
                store.hold_number(connection, account_id, found.e164)
            held = hold(connection, account_id, verification_id)
            row = held.row
            check_open(held, now)
            wait = decide.too_soon(row.sent_at, row.resend_after, now)
            if wait is not None:
                raise LimitReached(
                    "verification_id",
                    f"verification_id: the code was brought a moment ago, and may be again {row.resend_after} s later.",
                    retry_after=ceil(wait.total_seconds()),
                )
            brought = _send_again(connection, codes, held, rules, channel, row.rate_key, now)
            audit.add(connection, account_id, actor, "verification.resend", verification_id, now)
            return brought

    return insisting(once)


def _send_again(
    connection: Connection,
    codes: Codes,
    held: Held,
    rules: Rules,
    channel: Channel | None,
    rate_key: str | None,
    now: datetime,
) -> Brought:
    """Bring the code of an open verification again."""
    row = held.row
    channels = [one.channel for one in _steps(row.channels)]
    step = decide.step_asked(row.step, channels, channel)
    if step is None:
        raise FieldError("channel", f"channel must be one of this verification's: {', '.join(channels)}.")
    if row.sends >= row.max_sends:
        raise LimitReached(
            "verification_id",
            f"verification_id: the code was brought {row.sends} times, which is all that may be: cancel this one, or "
            "wait until it has expired, and begin anew.",
            retry_after=ceil((row.expires_at - now).total_seconds()),
        )
    check_limits(connection, row.account_id, Counts(row.e164, row.prefix, rate_key), rules, now)
    return _bring(connection, codes, held, step, rate_key, now)


def _bring(
    connection: Connection, codes: Codes, held: Held, step: int, rate_key: str | None, now: datetime
) -> Brought:
    """Make the call of this step of an open verification; those of other steps that still wait do not ring."""
    row, columns = held.row, dict(held.row._mapping)
    steps = _steps(row.channels)
    asked = _asked(connection, row.account_id, "", now)
    call_id, released = _call(connection, asked, columns, steps, step, codes.opened(row.sealed_code))
    cancel_calls(connection, held, "brought in another way", now)
    times = _times(row.expires_at, steps, step, now)
    store.update(connection, row, call_id=call_id, step=step, sends=row.sends + 1, **times)
    _note_send(connection, columns, call_id, steps[step], rate_key, now)
    return Brought(row.id, released=released)


# --- what the scheduler does ------------------------------------------------------------------------------------


def bring_on(engine: Engine, codes: Codes, clock: Clock = utc_now) -> list[str]:
    """End what has run out of time, and bring on by the next channel what has failed or waited long enough: the calls
    that a doorbell must be rung for. Safe in any number of processes at once; its cost depends on the batch."""
    with reading(engine) as connection:
        if not store.due(connection, clock(connection), 1):
            return []
    with writing(engine) as connection:
        now = clock(connection)
        over = store.lock_expired(connection, now, GROUP)
        # None of their calls waits any more: no call is good for longer than its verification.
        store.end(connection, over, VerificationState.EXPIRED, decide.TIME_IS_UP, now)
        due = store.due(connection, now, ROUND)
    released: list[str] = []
    for one in due:
        try:
            with writing(engine) as connection:
                released += _bring_one_on(connection, codes, one.account_id, one.id, clock(connection))
        except AWAY:
            raise
        except WentOnError:
            continue  # as somebody else wished
        except Exception:  # whatever it is: one odd verification must not hold up the others
            log.exception("verification cannot be brought on", verification_id=one.id)
            with writing(engine) as connection:
                row = store.get(connection, one.account_id, one.id, lock=True)
                if row is not None and row.state == VerificationState.PENDING:
                    store.update(connection, row, wake_at=min(now + LATER, row.expires_at))
    return released


def _bring_one_on(
    connection: Connection, codes: Codes, account_id: str, verification_id: str, now: datetime
) -> Sequence[str]:
    held = hold(connection, account_id, verification_id)
    row = held.row
    if row.state != VerificationState.PENDING or row.wake_at > now:
        return ()  # somebody was faster
    standing = held.standing()
    todo = decide.next_of(standing, now)
    if isinstance(todo, Bring):
        for step in range(todo.step, standing.steps):
            try:
                return _bring(connection, codes, held, step, row.rate_key, now).released
            except RequestError as error:  # no provider of the account can any more
                log.info("channel left out", verification_id=row.id, step=step, reason=error.message)
        todo = decide.at_the_end_of_channels(standing)
    if isinstance(todo, End):
        end(connection, held, todo.state, todo.reason, now)
    else:
        store.update(connection, row, wake_at=todo.wake_at, next_at=todo.next_at)
    return ()


# --- the parts of a call ----------------------------------------------------------------------------------------


def default_steps(asked: Asked, speech: Speech) -> list[ChannelStep]:
    """The channels that the account's providers have. Raises `FieldError` or `Conflict` when they have
    none."""
    found = [
        ChannelStep(channel, timeout) for channel, timeout in TIMEOUTS.items() if _can(asked, channel, speech)
    ]
    if not found:
        _check(asked, Channel.VOICE, speech, "channels")  # says what would do
    return found


def _check_channels(asked: Asked, steps: Sequence[ChannelStep], speech: Speech) -> None:
    for place, step in enumerate(steps):
        _check(asked, step.channel, speech, f"channels.{place}.channel")


def _check(asked: Asked, channel: Channel, speech: Speech, field: str) -> None:
    try:
        single.able(asked.providers, _need(channel, speech))
    except FieldError as error:
        raise FieldError(field, error.message) from None


def _can(asked: Asked, channel: Channel, speech: Speech) -> bool:
    need = _need(channel, speech)
    return any(not why_unable(row.kind, need) for row in asked.providers)


def _need(channel: Channel, speech: Speech) -> Need:
    return of_single(CAPABILITIES[channel], language=speech.language_code)


def _caller_id(given: str | None, channels: Sequence[Channel], region: str | None) -> str:
    if given is not None:
        return e164_or_digits(given, region)
    if Channel.VOICE in channels:
        raise FieldError(
            "caller_id",
            "caller_id is missing: give the number that voice calls show, or set one with "
            "PATCH /v1/verifications/settings.",
        )
    return ""


def _template(asked: Asked, is_chosen: bool, speech: Speech, channels: Sequence[Channel]) -> str:
    if set(channels) == {Channel.FLASH}:
        return ""  # nothing is said
    if not is_chosen:
        return default_text(speech.language_code)
    if asked.template is None:
        raise NotFound(
            "template_id", "template_id: this account has no approved template of this id; check it."
        )
    check_text(asked.template)
    return str(asked.template)


def check_text(template: str) -> None:
    """Raises `FieldError` for a template that a code cannot be said in."""
    try:
        check_template(template)
    except (FieldError, TemplateError):
        raise FieldError(
            "template_id", "template_id: a verification's template must hold {otp} and no other field."
        ) from None


def _asked(connection: Connection, account_id: str, template_id: str, now: datetime) -> Asked:
    asked = replace(singles.asked(connection, account_id, template_id), now=now)
    if asked.account is None:
        raise Conflict("account", "The account is not there any more.")
    return asked


def _call(
    connection: Connection,
    asked: Asked,
    row: Mapping[str, Any],
    steps: Sequence[ChannelStep],
    step: int,
    code: str,
) -> tuple[str, Sequence[str]]:
    """The call that brings a code: its id, and those that are released. It is good for as long as its channel's turn
    lasts. Raises `FieldError` or `Conflict` when no provider could ever carry it, with nothing written."""
    channel = steps[step].channel
    wanted = NewOtp(
        e164=row["e164"],
        caller_id=row["caller_id"] if channel is Channel.VOICE else "",
        otp=code,
        template_id="",
        speech=Speech(**row["speech"]),
        channel=channel,
    ).single(row["template"])
    life = min(OTP_LIFE, row["expires_at"] - asked.now)
    if step + 1 < len(steps):
        life = min(life, timedelta(seconds=steps[step].timeout))
    added = single.add_to(connection, asked, replace(wanted, life=life))
    return added.id, [added.id] if added.released else []


def _times(
    expires_at: datetime, steps: Sequence[ChannelStep], step: int, now: datetime
) -> dict[str, datetime | None]:
    next_at = now + timedelta(seconds=steps[step].timeout) if step + 1 < len(steps) else None
    return {
        "sent_at": now,
        "next_at": next_at,
        "wake_at": expires_at if next_at is None else min(next_at, expires_at),
    }


def _note_send(
    connection: Connection,
    row: Mapping[str, Any],
    call_id: str,
    step: ChannelStep,
    rate_key: str | None,
    now: datetime,
) -> None:
    store.add_send(
        connection,
        {
            "verification_id": row["id"],
            "account_id": row["account_id"],
            "call_id": call_id,
            "channel": step.channel.value,
            "e164": row["e164"],
            "prefix": row["prefix"],
            "rate_key": rate_key,
            "at": now,
        },
    )


def _steps(channels: Sequence[Mapping[str, Any]]) -> list[ChannelStep]:
    return [ChannelStep(Channel(one["channel"]), one["timeout"]) for one in channels]
