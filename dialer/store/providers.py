"""SQL of providers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Select

from dialer.store import tables
from dialer.store.tables import AnyRow, Rows, provider


def enabled(connection: Connection, account_id: str) -> Rows:
    """The providers that may carry an account's calls, paused or not, in the order in which they are tried."""
    return connection.execute(_of_account(account_id).where(provider.c.enabled)).all()


def of_account(connection: Connection, account_id: str) -> Rows:
    """The providers that an account may use, disabled ones too, in the order in which they are tried."""
    return connection.execute(_of_account(account_id)).all()


def usable(connection: Connection, account_id: str) -> Rows:
    """The providers that may carry an account's calls now, in the order in which they are tried."""
    return [row for row in enabled(connection, account_id) if row.paused_reason is None]


def with_ids(connection: Connection, ids: Iterable[str]) -> dict[str, AnyRow]:
    """Providers by id."""
    return tables.with_ids(connection, provider, ids)


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


def lock_breaker(connection: Connection, provider_id: str) -> AnyRow | None:
    """A provider's row, held, so that what its breaker has heard is counted once."""
    return connection.execute(
        sa.select(provider).where(provider.c.id == provider_id).with_for_update()
    ).one_or_none()


def take_probe(connection: Connection, provider_id: str, seen: datetime | None, until: datetime) -> bool:
    """Whether the one call that a half-open breaker lets through is ours; others wait until then. `seen` is until when
    the breaker was open: whoever was faster has moved that."""
    taken = connection.execute(
        provider.update()
        .where(
            provider.c.id == provider_id,
            provider.c.breaker_trips > 0,
            provider.c.breaker_until == seen,
        )
        .values(breaker_until=until)
    )
    return taken.rowcount == 1


def pause(connection: Connection, provider_id: str, reason: str) -> None:
    """Stop using a provider until a person enables it again: no funds, bad credentials, forbidden."""
    connection.execute(
        provider.update()
        .where(provider.c.id == provider_id, provider.c.paused_reason.is_(None))
        .values(paused_reason=reason)
    )


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert a provider. IntegrityError when there is one of that name."""
    connection.execute(provider.insert(), dict(row))


def named(connection: Connection, name: str) -> AnyRow | None:
    """The provider of this name."""
    return connection.execute(sa.select(provider).where(provider.c.name == name)).one_or_none()


def every(connection: Connection) -> Rows:
    """All providers, in the order in which they are tried (for the operator)."""
    return connection.execute(sa.select(provider).order_by(provider.c.priority, provider.c.name)).all()


def update(connection: Connection, provider_id: str, **values: Any) -> None:
    """Set columns of a provider."""
    connection.execute(provider.update().where(provider.c.id == provider_id).values(**values))


def has_history(connection: Connection, provider_id: str) -> bool:
    """Whether anything tells of it: attempts and CDRs, events, a campaign that chose it."""
    for table in (tables.attempt, tables.cdr, tables.event, tables.inbound_call, tables.campaign):
        column = table.c.provider_id
        if connection.execute(sa.select(sa.literal(1)).where(column == provider_id).limit(1)).first():
            return True
    return False


def remove(connection: Connection, provider_id: str) -> None:
    """Delete a provider that nothing tells of."""
    connection.execute(provider.delete().where(provider.c.id == provider_id))


def _of_account(account_id: str) -> Select[Any]:
    return (
        sa.select(provider)
        .where(sa.or_(provider.c.account_id.is_(None), provider.c.account_id == account_id))
        .order_by(provider.c.priority, provider.c.name)
    )
