"""SQL of contact lists and contacts."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import AnyRow, Rows, contact, contact_list


def after(connection: Connection, list_id: str, position: int, limit: int) -> Rows:
    """The next contacts of a list by position: (position, e164, time_zone)."""
    return connection.execute(
        sa.select(contact.c.position, contact.c.e164, contact.c.time_zone)
        .where(contact.c.list_id == list_id, contact.c.position > position)
        .order_by(contact.c.position)
        .limit(limit)
    ).all()


def at_positions(connection: Connection, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], AnyRow]:
    """The contacts at these (list id, position)."""
    positions: dict[str, list[int]] = {}
    for list_id, position in places:
        positions.setdefault(list_id, []).append(position)
    found: dict[tuple[str, int], AnyRow] = {}
    for list_id, wanted in positions.items():
        rows = connection.execute(
            sa.select(contact).where(contact.c.list_id == list_id, contact.c.position.in_(wanted))
        )
        found.update({(row.list_id, row.position): row for row in rows})
    return found


def count(connection: Connection, list_id: str) -> int:
    """How many contacts a list holds."""
    return connection.execute(
        sa.select(contact_list.c.contact_count).where(contact_list.c.id == list_id)
    ).scalar_one()
