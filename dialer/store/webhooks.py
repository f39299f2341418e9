"""SQL of outgoing webhooks: endpoints, and deliveries to them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, ScalarSelect

from dialer import ids
from dialer.models.webhook import DeliveryState
from dialer.store import bulk
from dialer.store.tables import (
    AnyRow,
    Rows,
    in_many,
    in_states,
    many,
    webhook_delivery,
    webhook_endpoint,
    with_ids,
)

#: What is shown of a delivery among others: all but what was sent.
_SHOWN = [column for column in webhook_delivery.c if column.name != "body"]


# --- endpoints -----------------------------------------------------------------------------------------------


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert an endpoint."""
    connection.execute(webhook_endpoint.insert(), dict(row))


def get(connection: Connection, account_id: str, endpoint_id: str, *, lock: bool = False) -> AnyRow | None:
    """An endpoint of this account."""
    statement = sa.select(webhook_endpoint).where(
        webhook_endpoint.c.account_id == account_id, webhook_endpoint.c.id == endpoint_id
    )
    return connection.execute(statement.with_for_update() if lock else statement).one_or_none()


def of_account(connection: Connection, account_id: str) -> Rows:
    """An account's endpoints, the oldest first."""
    return connection.execute(
        sa.select(webhook_endpoint)
        .where(webhook_endpoint.c.account_id == account_id)
        .order_by(webhook_endpoint.c.created_at, webhook_endpoint.c.id)
    ).all()


def every(connection: Connection, *, lock: bool = False) -> Rows:
    """Everybody's endpoints (for the operator), the oldest first."""
    statement = sa.select(webhook_endpoint).order_by(webhook_endpoint.c.created_at, webhook_endpoint.c.id)
    return connection.execute(statement.with_for_update() if lock else statement).all()


def of_accounts(connection: Connection, account_ids: Sequence[str]) -> Rows:
    """The enabled endpoints of these accounts: whom to tell of an event."""
    return connection.execute(
        sa.select(webhook_endpoint).where(
            in_many(connection.dialect.name, webhook_endpoint.c.account_id, "accounts"),
            webhook_endpoint.c.enabled,
        ),
        {"accounts": many(connection, sorted(account_ids))},
    ).all()


def update(connection: Connection, account_id: str, endpoint_id: str, **values: Any) -> bool:
    """Set columns of an endpoint of this account; whether there is one."""
    changed = connection.execute(
        webhook_endpoint.update()
        .where(webhook_endpoint.c.account_id == account_id, webhook_endpoint.c.id == endpoint_id)
        .values(**values)
    )
    return changed.rowcount == 1


def delete(connection: Connection, account_id: str, endpoint_id: str) -> bool:
    """Delete an endpoint of this account; whether there was one. Nothing is sent to it any more; `purge` removes its
    deliveries in time."""
    gone = connection.execute(
        webhook_endpoint.delete().where(
            webhook_endpoint.c.account_id == account_id, webhook_endpoint.c.id == endpoint_id
        )
    )
    return gone.rowcount == 1


def lock_endpoints(connection: Connection, endpoint_ids: Collection[str]) -> dict[str, AnyRow]:
    """The endpoints with these ids, of any account, locked in the order of their ids."""
    return with_ids(connection, webhook_endpoint, endpoint_ids, lock=True)


# --- what is to be sent --------------------------------------------------------------------------------------


def add_deliveries(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert deliveries, all with the same columns."""
    bulk.insert(connection, webhook_delivery, rows)


def is_any_due(connection: Connection, now: datetime) -> bool:
    """Whether anything is to be sent now."""
    return bool(due_endpoints(connection, now, (), 1))


def due_endpoints(connection: Connection, now: datetime, busy: Collection[str], limit: int) -> Rows:
    """Endpoints that something is to be sent to now, but for those of `busy`; whose message has been due longest comes
    first. With `oldest_due_at`."""
    oldest = _oldest_due()
    return connection.execute(
        sa.select(webhook_endpoint, oldest.label("oldest_due_at"))
        .where(_may_be_sent_to(now), oldest <= now, webhook_endpoint.c.id.not_in(sorted(busy)))
        .order_by(sa.literal_column("oldest_due_at"))
        .limit(limit)
    ).all()


def oldest_due_at(connection: Connection, now: datetime) -> datetime | None:
    """When the message was due that has been due longest and that may be sent now."""
    oldest = _oldest_due()
    found: datetime | None = connection.execute(
        sa.select(sa.func.min(oldest)).select_from(webhook_endpoint).where(_may_be_sent_to(now))
    ).scalar()
    return found if found is not None and found <= now else None


def claim(
    connection: Connection, endpoint_id: str, now: datetime, lease_until: datetime, limit: int
) -> list[AnyRow]:
    """An endpoint's messages that are due, the longest due first, for this worker to try until then; those that
    another is claiming are skipped. Their `tries` are as they were before."""
    found = connection.execute(
        sa.select(webhook_delivery)
        .where(
            webhook_delivery.c.endpoint_id == endpoint_id,
            in_states(webhook_delivery, {DeliveryState.PENDING}),
            webhook_delivery.c.due_at <= now,
        )
        .order_by(webhook_delivery.c.due_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    bulk.update(
        connection,
        webhook_delivery,
        [
            {"_id": row.id, "tries": row.tries + 1, "due_at": lease_until, "tried_at": now, "error": None}
            for row in found
        ],
    )
    return list(found)


def lock_tried(connection: Connection, delivery_ids: Collection[str]) -> dict[str, AnyRow]:
    """Deliveries that a worker has tried, locked in the order of their ids."""
    return with_ids(connection, webhook_delivery, delivery_ids, lock=True)


def settle(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what tries came to; every row names the same columns and `_id`."""
    bulk.update(connection, webhook_delivery, rows)


def purge(connection: Connection, made_before: datetime, limit: int) -> tuple[int, int]:
    """Remove deliveries that were made before, the oldest first; how many, and how many of them were still to be sent
    (to endpoints that were disabled, or are gone)."""
    found = connection.execute(
        sa.select(webhook_delivery.c.id, webhook_delivery.c.state)
        .where(webhook_delivery.c.id < ids.first_delivery_id(made_before))
        .order_by(webhook_delivery.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    if found:
        connection.execute(
            webhook_delivery.delete().where(in_many(connection.dialect.name, webhook_delivery.c.id, "ids")),
            {"ids": many(connection, [row.id for row in found])},
        )
    return len(found), sum(row.state == DeliveryState.PENDING for row in found)


# --- the log -------------------------------------------------------------------------------------------------


def delivery(connection: Connection, account_id: str, delivery_id: str) -> AnyRow | None:
    """A delivery of this account, to an endpoint that is there, with what was sent."""
    theirs = sa.and_(
        webhook_endpoint.c.id == webhook_delivery.c.endpoint_id, webhook_endpoint.c.account_id == account_id
    )
    return connection.execute(
        sa.select(webhook_delivery)
        .select_from(webhook_delivery.join(webhook_endpoint, theirs))
        .where(webhook_delivery.c.id == delivery_id, webhook_delivery.c.account_id == account_id)
    ).one_or_none()


def deliveries(
    connection: Connection,
    account_id: str,
    endpoint_id: str,
    limit: int,
    *,
    before: str | None = None,
    state: DeliveryState | None = None,
) -> Rows:
    """Deliveries to an endpoint of this account, the newest first; those before the delivery `before`."""
    statement = sa.select(*_SHOWN).where(
        webhook_delivery.c.account_id == account_id, webhook_delivery.c.endpoint_id == endpoint_id
    )
    if before is not None:
        statement = statement.where(webhook_delivery.c.id < before)
    if state is not None:
        statement = statement.where(in_states(webhook_delivery, {state}))
    return connection.execute(statement.order_by(webhook_delivery.c.id.desc()).limit(limit)).all()


def replay(connection: Connection, account_id: str, delivery_id: str, now: datetime) -> bool:
    """Have a message sent again, now and on; whether this account has it."""
    replayed = connection.execute(
        webhook_delivery.update()
        .where(webhook_delivery.c.id == delivery_id, webhook_delivery.c.account_id == account_id)
        .values(_anew(now))
    )
    return replayed.rowcount == 1


def replay_failed(
    connection: Connection, account_id: str, endpoint_id: str, since: datetime, now: datetime, limit: int
) -> int:
    """Have what was given up of an endpoint's sent again, as far as it was made since then, the oldest first; how
    many, up to `limit`."""
    given_up = (
        sa.select(webhook_delivery.c.id)
        .where(
            webhook_delivery.c.endpoint_id == endpoint_id,
            webhook_delivery.c.account_id == account_id,
            in_states(webhook_delivery, {DeliveryState.FAILED}),
            webhook_delivery.c.id >= ids.first_delivery_id(since),
        )
        .order_by(webhook_delivery.c.id)
        .limit(limit)
    )
    return connection.execute(
        webhook_delivery.update()
        .where(
            webhook_delivery.c.id.in_(given_up.scalar_subquery()),
            in_states(webhook_delivery, {DeliveryState.FAILED}),
        )
        .values(_anew(now))
    ).rowcount


def _anew(now: datetime) -> dict[str, Any]:
    return {"state": DeliveryState.PENDING.value, "tries": 0, "due_at": now, "ended_at": None}


def _may_be_sent_to(now: datetime) -> ColumnElement[bool]:
    rest = webhook_endpoint.c.rest_until
    return sa.and_(webhook_endpoint.c.enabled, sa.or_(rest.is_(None), rest <= now))


def _oldest_due() -> ScalarSelect[datetime]:
    """When the endpoint's message was due that has been due longest."""
    return (
        sa.select(webhook_delivery.c.due_at)
        .where(
            webhook_delivery.c.endpoint_id == webhook_endpoint.c.id,
            in_states(webhook_delivery, {DeliveryState.PENDING}),
        )
        .order_by(webhook_delivery.c.due_at)
        .limit(1)
        .correlate(webhook_endpoint)
        .scalar_subquery()
    )
