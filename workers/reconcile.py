"""Reconcile: attempts that lost their worker, and attempts whose final event never came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from dialer.calls.ledger import Ledger
from dialer.db import AWAY, utc_now, writing
from dialer.logs import get_logger
from dialer.store import attempts, calls, campaigns
from dialer.store.tables import Rows

log = get_logger(__name__)

#: Attempts settled in one transaction.
GROUP = 500
#: When an attempt that cannot be moved is tried again: not each second, or it would take the place of others.
LATER = timedelta(hours=1)

Clock = Callable[[Connection], datetime]
Settle = Callable[[Connection, Rows, datetime], None]


def reap(engine: Engine, clock: Clock = utc_now) -> int:
    """Attempts whose worker is not back after its lease become UNKNOWN: they may have been sent. How many were due."""
    with writing(engine) as connection:
        now = clock(connection)
        overdue = attempts.lock_overdue(connection, now, GROUP)
        _settle_all(connection, overdue, now, _give_up, put_off="deadline_at")
    return len(overdue)


def settle(engine: Engine, clock: Clock = utc_now) -> int:
    """Attempts whose final event did not come in time end, and their calls with them, as UNKNOWN. How many were due.

    A word of the provider that comes later still corrects them; none of them is dialled again by itself.
    """
    with writing(engine) as connection:
        now = clock(connection)
        unsettled = attempts.lock_unsettled(connection, now, GROUP)
        _settle_all(connection, unsettled, now, _end_unknown, put_off="settle_at")
    return len(unsettled)


def _settle_all(connection: Connection, due: Rows, now: datetime, how: Settle, *, put_off: str) -> None:
    """All of them together; if that fails one by one, so that an odd one does not hold up the others. An odd one is
    left as it is, its time `put_off` put off."""
    if not due:
        return
    try:
        with connection.begin_nested():
            how(connection, due, now)
    except AWAY:
        raise
    except Exception:
        log.exception("attempts cannot be settled together", attempts=len(due))
    else:
        return
    for attempt in due:
        try:
            with connection.begin_nested():
                how(connection, [attempt], now)
        except AWAY:
            raise
        except Exception:
            log.exception("attempt cannot be settled", attempt_id=attempt.id)
            attempts.update(connection, [{"_id": attempt.id, put_off: now + LATER}])


def _give_up(connection: Connection, overdue: Rows, now: datetime) -> None:
    their_calls = calls.lock(connection, sorted(row.call_id for row in overdue))
    ledger = Ledger(now)
    for attempt in overdue:
        ledger.unknown(attempt, their_calls[attempt.call_id], "its worker did not come back")
    ledger.write(connection)


def _end_unknown(connection: Connection, unsettled: Rows, now: datetime) -> None:
    their_calls = calls.lock(connection, sorted(row.call_id for row in unsettled))
    their_campaigns = campaigns.with_ids(
        connection, sorted({row.campaign_id for row in unsettled if row.campaign_id})
    )
    ledger = Ledger(now)
    for attempt in unsettled:
        campaign = their_campaigns.get(attempt.campaign_id or "")
        ledger.settle_unknown(attempt, their_calls[attempt.call_id], campaign)
    ledger.write(connection)
