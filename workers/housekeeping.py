"""Housekeeping: what is deleted or kept no longer is removed, bit by bit, beside what the scheduler does."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from sqlalchemy import Engine

from dialer.db import utc_now, writing
from dialer.retention import Kept
from dialer.store import contacts, dnd, idempotency
from workers import webhooks

#: Rows of deleted lists that go in one transaction, and in how many at once.
PURGED_AT_ONCE = 5000
PURGES = 10
#: Answers that are forgotten in one transaction, and how long they are kept: the documents say 24 hours.
FORGOTTEN_AT_ONCE = 500
ANSWERS_KEPT_FOR = timedelta(hours=25)
#: Old rows that are removed in one transaction, and in how many at once.
OLD_AT_ONCE = 2000
OLD_PURGES = 5


@dataclass(slots=True)
class Job:
    """Something that is done every so many seconds; `do` says whether nothing of it is left."""

    what: str
    every: float
    do: Callable[[Engine], bool]
    _due_at: float = 0.0

    def run(self, engine: Engine) -> None:
        """Do it, when it is time; a job that left something is due again at once."""
        if time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + self.every  # also when it fails
        if not self.do(engine):
            self._due_at = 0.0


def jobs(kept: Sequence[Kept] = ()) -> list[Job]:
    """All of it."""
    return list(_jobs(kept))


def _jobs(kept: Sequence[Kept]) -> Iterator[Job]:
    yield Job("empty deleted lists", 5.0, _empty_deleted_lists)
    yield Job("remove old deliveries", 60.0, _remove_deliveries)
    yield Job("forget answers", 60.0, _forget_answers)
    for one in kept:
        yield Job(f"remove old {one.what}", 60.0, partial(remove_old, one))


def remove_old(kept: Kept, engine: Engine) -> bool:
    """Remove some of what is kept no longer; whether nothing of it is left."""
    for _ in range(OLD_PURGES):
        with writing(engine) as connection:
            if kept.purge(connection, utc_now(connection) - kept.time, OLD_AT_ONCE) < OLD_AT_ONCE:
                return True
    return False


def _empty_deleted_lists(engine: Engine) -> bool:
    """Some of what deleted lists still hold."""
    for purge in (contacts.purge, dnd.purge):
        for _ in range(PURGES):
            with writing(engine) as connection:
                if not purge(connection, PURGED_AT_ONCE):
                    break
    return True


def _remove_deliveries(engine: Engine) -> bool:
    webhooks.purge(engine)
    return True


def _forget_answers(engine: Engine) -> bool:
    """Answers whose idempotency keys are kept no longer: not all at once."""
    with writing(engine) as connection:
        forgotten = idempotency.purge(connection, utc_now(connection) - ANSWERS_KEPT_FOR, FORGOTTEN_AT_ONCE)
    return forgotten < FORGOTTEN_AT_ONCE
