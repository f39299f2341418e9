"""SQL of DND lists and their numbers."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import dnd_number


def listed(
    connection: Connection, dnd_list_ids: Sequence[str], numbers: Sequence[str]
) -> set[tuple[str, str]]:
    """Which of these numbers stand on which of these lists: (list id, number)."""
    if not dnd_list_ids or not numbers:
        return set()
    rows = connection.execute(
        sa.select(dnd_number.c.dnd_list_id, dnd_number.c.e164).where(
            dnd_number.c.dnd_list_id.in_(dnd_list_ids), dnd_number.c.e164.in_(numbers)
        )
    )
    return {(dnd_list_id, e164) for dnd_list_id, e164 in rows}
