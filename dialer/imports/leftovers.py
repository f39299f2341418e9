"""Leftovers: files of imports that nobody will come for, because a process was killed on the way."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from dialer import uploads
from dialer.db import reading
from dialer.logs import get_logger
from dialer.models import ImportState
from dialer.settings import Settings
from dialer.store import accounts, imports
from dialer.uploads import Left

log = get_logger(__name__)

#: No request takes longer until its import is there.
OLD = timedelta(days=1)


def remove_old(engine: Engine, settings: Settings, now: datetime) -> int:
    """Remove files that were kept for an import which was never begun, or is over and has forgotten its file, and
    halves of files, a day after they were written; how many. What cannot be reached is left to the next time."""
    removed = 0
    try:
        for one in uploads.left(settings, now - OLD):
            with reading(engine) as connection:
                is_nobodys = _is_nobodys(connection, one)
            if is_nobodys:
                uploads.remove(one.location)
                removed += 1
    except OSError as error:
        log.warning("uploads not tidied up", error=uploads.why(error))
    return removed


def _is_nobodys(connection: Connection, left: Left) -> bool:
    """Whether no import will read this file, or remove it by itself. Of an account that another installation has,
    which keeps its uploads in the same place, we know nothing."""
    if accounts.with_id(connection, left.account_id) is None:
        return False
    found = imports.get(connection, left.account_id, left.name.partition(".")[0]) if left.name else None
    return found is None or not (found.state == ImportState.RUNNING or found.has_scratch)
