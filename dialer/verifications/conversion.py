"""How many verifications are confirmed: where too few are, somebody may be having us ring numbers for their money."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from dialer.db import utc_now, writing
from dialer.logs import get_logger
from dialer.store import verifications as store
from dialer.verifications.decide import is_alarming
from dialer.verifications.rules import of_account

log = get_logger(__name__)

#: Verifications that ended longer ago tell nothing of today.
OF_LATE = timedelta(days=1)
#: Where some ended since then it is measured again; longer than the scheduler's pause between two measurements.
JUST_NOW = timedelta(minutes=2)

Clock = Callable[[Connection], datetime]


def measure(engine: Engine, clock: Clock = utc_now) -> None:
    """Measure it where verifications have just ended, and where there is an alarm; log each alarm once, when it begins.

    Safe in any number of processes at once.
    """
    with writing(engine) as connection:
        now = clock(connection)
        places = set(store.ended_since(connection, now - JUST_NOW))
        places |= {
            (row.account_id, row.country)
            for row in store.conversions(connection, None)
            if row.alarmed_at is not None
        }
    for account_id, country in sorted(places):
        with writing(engine) as connection:
            _measure(connection, account_id, country, clock(connection))


def _measure(connection: Connection, account_id: str, country: str, now: datetime) -> None:
    alarm = of_account(store.rules_of(connection, account_id)).alarm
    ended, verified = store.last_ends(connection, account_id, country, alarm.of_last, now - OF_LATE)
    store.note_conversion(connection, account_id, country, ended, verified, now)
    if is_alarming(ended, verified, alarm):
        if store.alarm(connection, account_id, country, now):
            log.warning(
                "too few verifications are confirmed",
                account_id=account_id,
                country=country,
                ended=ended,
                verified=verified,
            )
    elif store.alarm(connection, account_id, country, None):
        log.info("verification alarm is over", account_id=account_id, country=country)
