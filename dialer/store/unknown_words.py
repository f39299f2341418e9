"""SQL of unknown words: events of providers that were not understood."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store import tables
from dialer.store.tables import AnyRow, unknown_word


def count(connection: Connection, events: Mapping[str, int], now: datetime) -> None:
    """Count so many events more of each provider, in the order of the providers so that two transactions never wait for
    each other. Sends nothing when there are none."""
    rows = [
        {"provider_id": provider_id, "events": many, "last_at": now}
        for provider_id, many in sorted(events.items())
    ]
    if not rows:
        return
    statement = tables.insert(connection, unknown_word)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["provider_id"],
            set_={
                "events": unknown_word.c.events + statement.excluded["events"],
                "last_at": statement.excluded["last_at"],
            },
        ),
        rows,
    )


def of_provider(connection: Connection, provider_id: str) -> AnyRow | None:
    """What is counted of a provider; None when all was understood."""
    return connection.execute(
        sa.select(unknown_word).where(unknown_word.c.provider_id == provider_id)
    ).one_or_none()


def counts(connection: Connection) -> dict[str, int]:
    """How many events were not understood, by provider (for the operator)."""
    rows = connection.execute(sa.select(unknown_word.c.provider_id, unknown_word.c.events))
    return {row.provider_id: row.events for row in rows}
