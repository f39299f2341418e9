"""Reconcile: attempts that lost their worker, and attempts whose final event never came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Connection, Engine

from dialer.calls.ledger import Ledger
from dialer.db import utc_now, writing
from dialer.store import attempts, calls, campaigns

#: Attempts settled in one transaction.
GROUP = 500

Clock = Callable[[Connection], datetime]


def reap(engine: Engine, clock: Clock = utc_now) -> int:
    """Attempts whose worker is not back after its lease become UNKNOWN: they may have been sent. How many."""
    with writing(engine) as connection:
        now = clock(connection)
        overdue = attempts.lock_overdue(connection, now, GROUP)
        if overdue:
            their_calls = calls.lock(connection, sorted(row.call_id for row in overdue))
            ledger = Ledger(now)
            for attempt in overdue:
                ledger.unknown(attempt, their_calls[attempt.call_id], "its worker did not come back")
            ledger.write(connection)
    return len(overdue)


def settle(engine: Engine, clock: Clock = utc_now) -> int:
    """Attempts whose final event did not come in time end, and their calls with them, as UNKNOWN. How many.

    A word of the provider that comes later still corrects them; none of them is dialled again by itself.
    """
    with writing(engine) as connection:
        now = clock(connection)
        unsettled = attempts.lock_unsettled(connection, now, GROUP)
        if unsettled:
            their_calls = calls.lock(connection, sorted(row.call_id for row in unsettled))
            their_campaigns = campaigns.with_ids(
                connection, sorted({row.campaign_id for row in unsettled if row.campaign_id})
            )
            ledger = Ledger(now)
            for attempt in unsettled:
                campaign = their_campaigns.get(attempt.campaign_id or "")
                ledger.settle_unknown(attempt, their_calls[attempt.call_id], campaign)
            ledger.write(connection)
    return len(unsettled)
