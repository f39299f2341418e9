"""SQL of imports and their rejected rows."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.models.imports import ImportState
from dialer.store.tables import import_, in_states


def is_running_for(connection: Connection, target_id: str) -> bool:
    """Whether a list is still being filled from a file."""
    found = connection.execute(
        sa.select(sa.literal(1))
        .where(import_.c.target_id == target_id, in_states(import_, {ImportState.RUNNING}))
        .limit(1)
    ).first()
    return found is not None
