"""SQL of the history. `tables.move` writes it, together with every change of state."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import Rows, history


def of(connection: Connection, entity_id: str) -> Rows:
    """The changes of state of one campaign, call or attempt, in order."""
    return connection.execute(
        sa.select(history).where(history.c.entity_id == entity_id).order_by(history.c.id)
    ).all()
