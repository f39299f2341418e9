"""Rows that are dealt with in one transaction: all of them together, or one by one when one is odd."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from dialer.db import AWAY
from dialer.logs import get_logger
from dialer.store.tables import AnyRow, Rows

log = get_logger(__name__)


def all_or_each(
    connection: Connection, due: Rows, do: Callable[[Rows], None], leave: Callable[[AnyRow], None]
) -> None:
    """`do` all of them together; if that fails one by one, so that an odd one does not hold up the others. `leave` sees
    to it that an odd one does not come again at once. Raises only what `leave` raises, and that the database is away.
    """
    if not due:
        return
    try:
        with connection.begin_nested():
            do(due)
    except AWAY:
        raise
    except Exception:
        log.exception("rows cannot be settled together", rows=len(due))
    else:
        return
    for row in due:
        try:
            with connection.begin_nested():
                do([row])
        except AWAY:
            raise
        except Exception:
            log.exception("row cannot be settled", row_id=row.id)
            leave(row)
