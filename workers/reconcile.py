"""Reconcile: attempts that lost their worker, and attempts whose final event never came.

The latter are asked about at their provider, where it can be asked (`workers.lookups`); who is not told in time is
settled. What is asked of whom, and until when: docs/reconciliation.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from dialer.calls import provider_repeats
from dialer.calls.ledger import Ledger, standing_of
from dialer.calls.lookups import next_due
from dialer.calls.repeats import ANSWERED
from dialer.db import utc_now, writing
from dialer.lifecycle import ATTEMPT_FINAL, AttemptState
from dialer.pace.breaker import left_alone_until
from dialer.providers.contract import ProviderError
from dialer.providers.kinds import adapter_class
from dialer.store import attempts, calls, campaigns
from dialer.store.tables import AnyRow, Rows
from workers.together import all_or_each

#: Attempts settled in one transaction.
GROUP = 500
#: When an attempt that cannot be moved is tried again: not each second, or it would take the place of others.
LATER = timedelta(hours=1)

#: How long an attempt's cost is asked for, and how often at most.
COST_ASKED_FOR, COST_EVERY = timedelta(days=1), timedelta(minutes=5)

Clock = Callable[[Connection], datetime]
Settle = Callable[[Connection, Rows, datetime], None]


def reap(engine: Engine, clock: Clock = utc_now) -> int:
    """Attempts whose worker is not back after its lease become UNKNOWN: they may have been sent. How many were due."""
    with writing(engine) as connection:
        now = clock(connection)
        overdue = attempts.lock_overdue(connection, now, GROUP)
        _settle_all(connection, overdue, now, _give_up, put_off="deadline_at")
    return len(overdue)


def settle(
    engine: Engine,
    clock: Clock = utc_now,
    *,
    look_up: Callable[[Sequence[str]], object] = lambda _: None,
    reconcile_after: timedelta | None = None,
) -> int:
    """Attempts whose final event did not come in time: how many were due.

    Those whose provider can be asked are handed to `look_up`, by their ids, and are due again later; the others end,
    and their calls with them, as UNKNOWN. A word of the provider that comes later still corrects them; none of them is
    dialled again by itself.
    """
    to_settle: list[AnyRow] = []
    due_again: list[dict[str, Any]] = []
    to_ask: list[str] = []
    with writing(engine) as connection:
        now = clock(connection)
        due = attempts.lock_unsettled(connection, now, GROUP)
        for attempt in due:
            again = _due_again(attempt, now, reconcile_after)
            if again is None:
                to_settle.append(attempt)
                continue
            held = left_alone_until(attempt, now)
            due_again.append({"_id": attempt.id, "settle_at": again if held is None else max(again, held)})
            # One that is still being submitted is its worker's.
            if held is None and attempt.state != AttemptState.SUBMITTING:
                to_ask.append(attempt.id)
        attempts.update(connection, due_again)
        _settle_all(connection, to_settle, now, end_unknown, put_off="settle_at")
    if to_ask:
        look_up(to_ask)
    return len(due)


def ask_costs(
    engine: Engine, clock: Clock = utc_now, *, look_up: Callable[[Sequence[str]], object] = lambda _: None
) -> int:
    """Attempts that are over, and whose cost their provider tells only when it is asked, are handed to `look_up`, by
    their ids; for a day, and less often as time goes by. How many were due."""
    again: list[dict[str, Any]] = []
    to_ask: list[str] = []
    with writing(engine) as connection:
        now = clock(connection)
        due = attempts.lock_cost_due(connection, now, GROUP)
        for attempt in due:
            age = now - attempt.submitted_at
            is_final = AttemptState(attempt.state) in ATTEMPT_FINAL
            # Of a call in which nobody talked no cost is told.
            never = attempt.cost is not None or (is_final and standing_of(attempt).outcome not in ANSWERED)
            if never or age >= COST_ASKED_FOR:
                again.append({"_id": attempt.id, "cost_due_at": None})
                continue
            again.append({"_id": attempt.id, "cost_due_at": now + max(age / 2, COST_EVERY)})
            if is_final and left_alone_until(attempt, now) is None:
                to_ask.append(attempt.id)
        attempts.update(connection, again)
    if to_ask:
        look_up(to_ask)
    return len(due)


def _due_again(attempt: AnyRow, now: datetime, reconcile_after: timedelta | None) -> datetime | None:
    try:
        how_long = adapter_class(attempt.kind).patience(reconcile_after)
    except ProviderError:  # a kind of another version
        return None
    return next_due(provider_repeats.over_at(attempt), attempt.settle_at, now, how_long)


def _settle_all(connection: Connection, due: Rows, now: datetime, how: Settle, *, put_off: str) -> None:
    """All of them together; if that fails one by one, so that an odd one does not hold up the others. An odd one is
    left as it is, its time `put_off` put off."""

    def leave(attempt: AnyRow) -> None:
        attempts.update(connection, [{"_id": attempt.id, put_off: now + LATER}])

    all_or_each(connection, due, lambda rows: how(connection, rows, now), leave)


def _give_up(connection: Connection, overdue: Rows, now: datetime) -> None:
    their_calls = calls.lock(connection, sorted(row.call_id for row in overdue))
    ledger = Ledger(now)
    for attempt in overdue:
        ledger.unknown(attempt, their_calls[attempt.call_id], "its worker did not come back")
    ledger.write(connection)


def end_unknown(connection: Connection, unsettled: Rows, now: datetime) -> None:
    """End these locked attempts, and their calls, as UNKNOWN: nobody told how they ended."""
    their_calls = calls.lock(connection, sorted(row.call_id for row in unsettled))
    their_campaigns = campaigns.with_ids(
        connection, sorted({row.campaign_id for row in unsettled if row.campaign_id})
    )
    ledger = Ledger(now)
    for attempt in unsettled:
        campaign = their_campaigns.get(attempt.campaign_id or "")
        ledger.settle_unknown(attempt, their_calls[attempt.call_id], campaign)
    ledger.write(connection)
