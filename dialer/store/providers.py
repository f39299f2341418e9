"""SQL of providers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import AnyRow, Rows, provider


def usable(connection: Connection, account_id: str) -> Rows:
    """The providers that may carry an account's calls now, in the order in which they are tried."""
    return connection.execute(
        sa.select(provider)
        .where(
            sa.or_(provider.c.account_id.is_(None), provider.c.account_id == account_id),
            provider.c.enabled,
            provider.c.paused_reason.is_(None),
        )
        .order_by(provider.c.priority, provider.c.name)
    ).all()


def with_ids(connection: Connection, ids: Iterable[str]) -> dict[str, AnyRow]:
    """Providers by id."""
    rows = connection.execute(sa.select(provider).where(provider.c.id.in_(list(ids)))).all()
    return {row.id: row for row in rows}


def lock(connection: Connection, provider_id: str) -> None:
    """Hold a provider's row: two schedulers must not both fill the last of its `max_concurrent`."""
    connection.execute(sa.select(provider.c.id).where(provider.c.id == provider_id).with_for_update())


def hold(connection: Connection, provider_id: str, until: datetime) -> None:
    """Note until when nobody may call it; never shortens what stands."""
    connection.execute(
        provider.update()
        .where(
            provider.c.id == provider_id,
            sa.or_(provider.c.held_until.is_(None), provider.c.held_until < until),
        )
        .values(held_until=until)
    )


def pause(connection: Connection, provider_id: str, reason: str) -> None:
    """Stop using a provider until a person enables it again: no funds, bad credentials, forbidden."""
    connection.execute(
        provider.update()
        .where(provider.c.id == provider_id, provider.c.paused_reason.is_(None))
        .values(paused_reason=reason)
    )
