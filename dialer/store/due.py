"""Whether a scheduler has anything to do: one statement, for it is asked ten times a second by each of them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store import singles
from dialer.store.tables import call, campaign


def is_anything_due(connection: Connection) -> bool:
    """Whether a campaign needs attention or a single call that waits is due, by the database's clock (SQLite: this
    host's). A look without a lock, outside any transaction."""
    is_sqlite = connection.dialect.name == "sqlite"
    values = {"now": datetime.now(UTC)} if is_sqlite else {}
    return bool(connection.execute(_look(is_sqlite), values).scalar_one())


@cache
def _look(is_sqlite: bool) -> sa.Select[Any]:
    # PostgreSQL's clock_timestamp() changes within a statement, so that no index could be used for it.
    now: Any = (
        sa.bindparam("now", type_=campaign.c.wake_at.type) if is_sqlite else sa.func.statement_timestamp()
    )
    return sa.select(
        sa.or_(
            sa.exists().where(campaign.c.wake_at.is_not(None), campaign.c.wake_at <= now),
            sa.exists().where(singles.waiting(urgent=True), call.c.due_at <= now),
            sa.exists().where(singles.waiting(urgent=False), call.c.due_at <= now),
        )
    )
