"""SQL of verifications, of the calls that brought their codes, and of what limits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection

from dialer.lifecycle import VERIFICATION_TRANSITIONS, VerificationState
from dialer.store import tables, walk
from dialer.store.tables import (
    AnyRow,
    Move,
    Rows,
    call,
    in_many,
    in_states,
    many,
    verification,
    verification_conversion,
    verification_rules,
    verification_send,
)
from dialer.store.walk import Found

_PENDING = in_states(verification, {VerificationState.PENDING})
#: What becomes of the code and of every time that is still to come, once a verification has ended.
_OVER = {"code_hash": None, "sealed_code": None, "next_at": None, "wake_at": None}
#: Ends that tell whether people are reached; one that was taken back tells nothing.
_TELLING = (VerificationState.VERIFIED, VerificationState.FAILED, VerificationState.EXPIRED)


@dataclass(frozen=True, slots=True)
class VerificationMove(Move[VerificationState]):
    """A verification's change of state."""


# --- one verification -------------------------------------------------------------------------------------------


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert a verification. IntegrityError when its account has an open one of this number."""
    connection.execute(verification.insert(), dict(row))


def get(
    connection: Connection, account_id: str, verification_id: str, *, lock: bool = False
) -> AnyRow | None:
    """A verification of this account. Whoever locks it holds its calls (`lock_calls`)."""
    statement = sa.select(verification).where(
        verification.c.account_id == account_id, verification.c.id == verification_id
    )
    return connection.execute(statement.with_for_update() if lock else statement).one_or_none()


def open_of(connection: Connection, account_id: str, e164: str) -> AnyRow | None:
    """The open verification of a number; not locked."""
    return connection.execute(
        sa.select(verification).where(
            verification.c.account_id == account_id, verification.c.e164 == e164, _PENDING
        )
    ).one_or_none()


def update(connection: Connection, row: AnyRow, **values: Any) -> None:
    """Set columns of a locked verification that stays open."""
    changed = connection.execute(
        verification.update()
        .where(verification.c.account_id == row.account_id, verification.c.id == row.id, _PENDING)
        .values(**values)
    )
    if changed.rowcount != 1:
        raise tables.StaleStateError(f"verification {row.id} was ended by another")


def end(
    connection: Connection,
    rows: Sequence[AnyRow],
    to_state: VerificationState,
    reason: str,
    now: datetime,
    **values: Any,
) -> None:
    """End locked verifications that are open, and forget their codes."""
    moves = [
        VerificationMove(
            row.id,
            VerificationState.PENDING,
            to_state,
            {**_OVER, "ended_at": now, "reason": reason, **values},
            reason,
        )
        for row in rows
    ]
    tables.move(connection, verification, VERIFICATION_TRANSITIONS, moves, now)


def page(
    connection: Connection,
    account_id: str,
    limit: int,
    *,
    before: tuple[datetime, str] | None = None,
    state: VerificationState | None = None,
) -> Found:
    """An account's verifications, the newest first; those before this `created_at` and id."""
    return walk.page(
        connection,
        [verification.c.created_at, verification.c.id],
        [verification.c.account_id == account_id],
        limit,
        after=before,
        newest_first=True,
        sought=lambda one: [] if state is None else [one.c.state == state.value],
    )


# --- what the scheduler does ------------------------------------------------------------------------------------


def due(connection: Connection, now: datetime, limit: int) -> Rows:
    """Open verifications that somebody has to look at; (account_id, id), not locked."""
    return connection.execute(
        sa.select(verification.c.account_id, verification.c.id)
        .where(_PENDING, verification.c.wake_at <= now)
        .order_by(verification.c.wake_at)
        .limit(limit)
    ).all()


def lock_expired(connection: Connection, now: datetime, limit: int) -> Rows:
    """Open verifications whose time has run out, locked; those that another holds are skipped."""
    return connection.execute(
        sa.select(verification)
        .where(_PENDING, verification.c.wake_at <= now, verification.c.expires_at <= now)
        .order_by(verification.c.wake_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def wake(connection: Connection, call_ids: Sequence[str], now: datetime) -> None:
    """Have the scheduler look at open verifications whose calls have just failed. The calls are held."""
    connection.execute(
        verification.update()
        .where(in_many(connection.dialect.name, verification.c.call_id, "ids"), _PENDING)
        .values(wake_at=sa.bindparam("at", type_=verification.c.wake_at.type)),
        {"ids": many(connection, call_ids), "at": now},
    )


# --- calls ------------------------------------------------------------------------------------------------------


def add_send(connection: Connection, row: Mapping[str, Any]) -> None:
    """Note a call that brings a code."""
    connection.execute(verification_send.insert(), dict(row))


def sends_of(connection: Connection, account_id: str, verification_ids: Sequence[str]) -> Rows:
    """The calls that brought the codes of an account's verifications, the oldest first."""
    return connection.execute(
        sa.select(verification_send)
        .where(
            verification_send.c.account_id == account_id,
            verification_send.c.verification_id.in_(verification_ids),
        )
        .order_by(verification_send.c.verification_id, verification_send.c.id)
    ).all()


def lock_calls(connection: Connection, account_id: str, verification_id: str) -> dict[str, AnyRow]:
    """All calls of a verification, by id, locked in the order of their ids. They are locked before their verification,
    as a worker does that ends one (`wake`)."""
    return tables.with_ids(connection, call, calls_of(connection, account_id, verification_id), lock=True)


def calls_of(connection: Connection, account_id: str, verification_id: str) -> list[str]:
    """The ids of a verification's calls."""
    found = connection.execute(
        sa.select(verification_send.c.call_id).where(
            verification_send.c.account_id == account_id,
            verification_send.c.verification_id == verification_id,
        )
    )
    return list(found.scalars())


# --- limits -----------------------------------------------------------------------------------------------------


def rules_of(connection: Connection, account_id: str) -> Mapping[str, Any]:
    """What the account has set; `Rules` has the rest."""
    found = connection.execute(
        sa.select(verification_rules.c.given).where(verification_rules.c.account_id == account_id)
    ).scalar_one_or_none()
    return found or {}


def lock_rules(connection: Connection, account_id: str) -> Mapping[str, Any]:
    """`rules_of`, held until the end of the transaction: of two changes none must be lost."""
    held = (
        sa.select(verification_rules.c.given)
        .where(verification_rules.c.account_id == account_id)
        .with_for_update()
    )
    given: Mapping[str, Any] | None = connection.execute(held).scalar_one_or_none()
    if given is None:
        first = tables.insert(connection, verification_rules).values(account_id=account_id, given={})
        connection.execute(first.on_conflict_do_nothing())
        given = connection.execute(held).scalar_one()
    return given or {}


def set_rules(connection: Connection, account_id: str, given: Mapping[str, Any]) -> None:
    """Set what the account has set, of a row that is held."""
    connection.execute(
        verification_rules.update()
        .where(verification_rules.c.account_id == account_id)
        .values(given=dict(given))
    )


def hold_number(connection: Connection, account_id: str, e164: str) -> None:
    """Until the end of the transaction no other begins a verification of this number of the account, or sends again to
    it. Held before any row is: see `hold_shared`."""
    _hold(connection, account_id, [f"number:{e164}"])


def hold_shared(connection: Connection, account_id: str, prefix: str, rate_key: str | None) -> None:
    """Until the end of the transaction no other sends to a number with this prefix, or for this rate key: two must not
    both take the last of a limit. Everybody holds the number first, then rows, then the prefix, then the rate key, so
    that two transactions never wait for each other."""
    _hold(
        connection, account_id, [f"prefix:{prefix}", *([] if rate_key is None else [f"rate key:{rate_key}"])]
    )


def _hold(connection: Connection, account_id: str, names: Sequence[str]) -> None:
    """Nothing to do on SQLite, where one writes at a time."""
    if connection.dialect.name == "sqlite":
        return
    keys = (sa.func.hashtextextended(f"verification:{account_id}:{name}", 0) for name in names)
    connection.execute(sa.select(*(sa.func.pg_advisory_xact_lock(key) for key in keys)))


def wrong_checks(
    connection: Connection, account_id: str, e164: str, since: datetime, life: timedelta
) -> Rows:
    """The verifications of a number that have ended since then with wrong codes, the first to end first: (ended_at,
    checks). `life`: the longest that one may be open. The number is held."""
    sent = sa.select(verification_send.c.verification_id).where(
        verification_send.c.account_id == account_id,
        verification_send.c.e164 == e164,
        verification_send.c.at > since - life,
    )
    return connection.execute(
        sa.select(verification.c.ended_at, verification.c.checks)
        .where(
            verification.c.account_id == account_id,
            verification.c.id.in_(sent),
            verification.c.ended_at > since,
            verification.c.checks > 0,
        )
        .order_by(verification.c.ended_at)
    ).all()


@dataclass(frozen=True, slots=True)
class Counted:
    """Sends that one limit counts: those of the last `seconds` where `column` (`e164`, `prefix`, `rate_key`) is
    `value`, of which there may be `sends`."""

    column: str
    value: str
    sends: int
    seconds: int


def nth_sends(
    connection: Connection, account_id: str, counted: Sequence[Counted], now: datetime
) -> list[datetime | None]:
    """When the last but `sends - 1` of each was sent, which is the one that the next has to wait for; None: there are
    not so many. One statement."""
    if not counted:
        return []
    found = connection.execute(sa.select(*(_nth_send(account_id, one, now) for one in counted))).one()
    return list(found)


def _nth_send(account_id: str, one: Counted, now: datetime) -> sa.ScalarSelect[datetime]:
    column: Column[Any] = verification_send.c[one.column]
    at: Column[datetime] = verification_send.c.at
    since = now - timedelta(seconds=one.seconds)
    return (
        sa.select(at)
        .where(verification_send.c.account_id == account_id, column == one.value, at > since)
        .order_by(at.desc())
        .offset(one.sends - 1)
        .limit(1)
        .scalar_subquery()
    )


# --- how many are confirmed -------------------------------------------------------------------------------------


def ended_since(connection: Connection, since: datetime) -> list[tuple[str, str]]:
    """Accounts and countries in which verifications have ended since then."""
    rows = connection.execute(
        sa.select(verification.c.account_id, verification.c.country)
        .where(verification.c.ended_at >= since)
        .distinct()
    )
    return sorted((account_id, country) for account_id, country in rows)


def last_ends(
    connection: Connection, account_id: str, country: str, most: int, since: datetime
) -> tuple[int, int]:
    """Of an account's last verifications in a country, `most` at most, that have ended since then: how many there are,
    and how many were confirmed. Those that were cancelled do not count."""
    last = (
        sa.select(verification.c.state)
        .where(
            verification.c.account_id == account_id,
            verification.c.country == country,
            verification.c.ended_at >= since,
            verification.c.state.in_([one.value for one in _TELLING]),
        )
        .order_by(verification.c.ended_at.desc())
        .limit(most)
        .subquery()
    )
    is_verified = sa.case((last.c.state == VerificationState.VERIFIED.value, 1), else_=0)
    ended, verified = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(is_verified), 0)).select_from(last)
    ).one()
    return int(ended), int(verified)


def note_conversion(
    connection: Connection, account_id: str, country: str, ended: int, verified: int, now: datetime
) -> None:
    """Note how many are confirmed."""
    values = {"ended": ended, "verified": verified, "at": now}
    connection.execute(
        tables.insert(connection, verification_conversion)
        .values(account_id=account_id, country=country, **values)
        .on_conflict_do_update(index_elements=["account_id", "country"], set_=values)
    )


def alarm(connection: Connection, account_id: str, country: str, now: datetime | None) -> bool:
    """Note that there is an alarm from now on, or (None) that there is none any more; whether that is new."""
    alarmed_at = verification_conversion.c.alarmed_at
    changed = connection.execute(
        verification_conversion.update()
        .where(
            verification_conversion.c.account_id == account_id,
            verification_conversion.c.country == country,
            alarmed_at.is_not(None) if now is None else alarmed_at.is_(None),
        )
        .values(alarmed_at=now)
    )
    return changed.rowcount == 1


def conversions(connection: Connection, account_id: str | None) -> Rows:
    """How many are confirmed by country, of an account or (for the operator) of all."""
    chosen = sa.true() if account_id is None else verification_conversion.c.account_id == account_id
    order = verification_conversion.c.account_id, verification_conversion.c.country
    return connection.execute(sa.select(verification_conversion).where(chosen).order_by(*order)).all()


def totals(connection: Connection, account_id: str, since: datetime) -> Rows:
    """An account's verifications that were made since then: (country, state, count)."""
    return connection.execute(
        sa.select(verification.c.country, verification.c.state, sa.func.count())
        .where(verification.c.account_id == account_id, verification.c.created_at >= since)
        .group_by(verification.c.country, verification.c.state)
        .order_by(verification.c.country, verification.c.state)
    ).all()


def count_open(connection: Connection) -> int:
    """How many are open, for `/metrics`."""
    return connection.execute(
        sa.select(sa.func.count()).select_from(verification).where(_PENDING)
    ).scalar_one()
