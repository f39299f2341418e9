"""SQL of attempts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer import ids
from dialer.lifecycle import ATTEMPT_TRANSITIONS, AttemptState
from dialer.store import bulk, tables
from dialer.store.tables import AnyRow, Move, Rows, attempt, in_many, in_states, many, provider


@dataclass(frozen=True, slots=True)
class AttemptMove(Move[AttemptState]):
    """An attempt's change of state."""


def lock(connection: Connection, attempt_ids: Sequence[str]) -> dict[str, AnyRow]:
    """The attempts with these ids, locked in the order of their ids."""
    return tables.with_ids(connection, attempt, attempt_ids, lock=True)


def ids_by_reference(connection: Connection, provider_id: str, references: Collection[str]) -> dict[str, str]:
    """The ids of a provider's attempts by its own references, as far as it has told them."""
    found = connection.execute(
        sa.select(attempt.c.provider_reference, attempt.c.id).where(
            attempt.c.provider_id == provider_id,
            in_many(connection.dialect.name, attempt.c.provider_reference, "references"),
        ),
        {"references": many(connection, sorted(references))},
    )
    return {row.provider_reference: row.id for row in found}


def accounts_of(connection: Connection, provider_id: str, e164: str, since: datetime) -> list[str]:
    """The ids of accounts that have dialled, or written to, this number through this provider since then."""
    account = tables.account
    theirs = sa.select(sa.literal(1)).where(
        attempt.c.account_id == account.c.id,
        attempt.c.e164 == e164,
        attempt.c.submitted_at > since,
        attempt.c.provider_id == provider_id,
    )
    return list(connection.execute(sa.select(account.c.id).where(theirs.exists())).scalars())


def lock_overdue(connection: Connection, now: datetime, limit: int) -> Rows:
    """Attempts whose worker did not come back with an answer in time."""
    return connection.execute(
        sa.select(attempt)
        .where(in_states(attempt, {AttemptState.SUBMITTING}), attempt.c.deadline_at < now)
        .order_by(attempt.c.deadline_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def lock_unsettled(connection: Connection, now: datetime, limit: int) -> Rows:
    """Attempts that a provider has, or may have, and whose final event did not come in time; with their provider's
    `kind`, `held_until` and `breaker_until`."""
    return connection.execute(
        sa.select(attempt, provider.c.kind, provider.c.held_until, provider.c.breaker_until)
        .outerjoin(provider, provider.c.id == attempt.c.provider_id)
        .where(attempt.c.settle_at.is_not(None), attempt.c.settle_at < now)
        .order_by(attempt.c.settle_at)
        .limit(limit)
        .with_for_update(of=attempt, skip_locked=True)
    ).all()


def lock_cost_due(connection: Connection, now: datetime, limit: int) -> Rows:
    """Attempts whose cost is to be looked up; with their provider's `held_until` and `breaker_until`."""
    return connection.execute(
        sa.select(attempt, provider.c.held_until, provider.c.breaker_until)
        .outerjoin(provider, provider.c.id == attempt.c.provider_id)
        .where(attempt.c.cost_due_at.is_not(None), attempt.c.cost_due_at < now)
        .order_by(attempt.c.cost_due_at)
        .limit(limit)
        .with_for_update(of=attempt, skip_locked=True)
    ).all()


def unsettled(connection: Connection, attempt_ids: Sequence[str]) -> Rows:
    """Those of these attempts that a provider has, or may have, and whose end nobody has told, or whose cost."""
    return [
        row
        for row in tables.with_ids(connection, attempt, attempt_ids).values()
        if row.settle_at is not None or (row.cost_due_at is not None and row.cost is None)
    ]


def dials_since(
    connection: Connection, account_id: str, numbers: Sequence[str], since: datetime
) -> dict[str, list[datetime]]:
    """When each number was dialled since then, over all campaigns of the account; what was not placed or refused
    rang nobody and does not count."""
    rows = connection.execute(
        sa.select(attempt.c.e164, attempt.c.submitted_at)
        .where(
            attempt.c.account_id == account_id,
            in_many(connection.dialect.name, attempt.c.e164, "numbers"),
            attempt.c.submitted_at > since,
            attempt.c.state.not_in([AttemptState.NOT_PLACED.value, AttemptState.REFUSED.value]),
        )
        .order_by(attempt.c.submitted_at),
        {"numbers": many(connection, numbers)},
    )
    dials: dict[str, list[datetime]] = {}
    for e164, at in rows:
        dials.setdefault(e164, []).append(at)
    return dials


def in_vain(connection: Connection, their_calls: Iterable[AnyRow]) -> Rows:
    """The attempts of these calls that a provider has refused or that were not placed: `call_id`, `provider_id`,
    `state`, `ended_at`; found by the ids of all attempts that the calls have had."""
    every = [ids.attempt_id(call.id, number) for call in their_calls for number in range(1, call.dials + 1)]
    return connection.execute(
        sa.select(attempt.c.call_id, attempt.c.provider_id, attempt.c.state, attempt.c.ended_at).where(
            in_many(connection.dialect.name, attempt.c.id, "ids"),
            in_states(attempt, {AttemptState.REFUSED, AttemptState.NOT_PLACED}),
        ),
        {"ids": many(connection, every)},
    ).all()


def update(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Set columns of locked attempts that stay in their state; every row names the same columns and `_id`."""
    bulk.update(connection, attempt, rows)


def get(connection: Connection, account_id: str, attempt_id: str) -> AnyRow | None:
    """An attempt of this account."""
    return connection.execute(
        sa.select(attempt).where(attempt.c.id == attempt_id, attempt.c.account_id == account_id)
    ).one_or_none()


def of_call(connection: Connection, call_id: str) -> Rows:
    """A call's attempts in order."""
    # By their ids, `{call id}-{number}`, in the primary key: `.` is the character after the dash.
    return connection.execute(
        sa.select(attempt)
        .where(attempt.c.id > f"{call_id}-", attempt.c.id < f"{call_id}.", attempt.c.call_id == call_id)
        .order_by(attempt.c.number)
    ).all()


def move(connection: Connection, moves: Sequence[AttemptMove], now: datetime) -> None:
    """Move attempts from state to state; see `tables.move`."""
    tables.move(connection, attempt, ATTEMPT_TRANSITIONS, moves, now)
