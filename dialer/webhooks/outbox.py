"""The outbox: what apps are to be told is written in the transaction in which it happens, so it is told if and only if
that is committed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.models.webhook import DeliveryState
from dialer.store import webhooks
from dialer.store.tables import AnyRow, Rows
from dialer.webhooks.events import Happened, body_of, wants

#: How long a process holds for true who wants to be told: an endpoint gets what happens so long after it was made.
REMEMBERED = timedelta(seconds=2)
_MOST_REMEMBERED = 10_000

_Known = dict[str, tuple[datetime, Rows]]
_known: WeakKeyDictionary[Engine, _Known] = WeakKeyDictionary()
_written: WeakSet[Engine] = WeakSet()


def queue(connection: Connection, happened: Sequence[Happened], now: datetime) -> int:
    """Write what endpoints want to be told of; how many messages. For accounts without an endpoint it costs nothing,
    but for a look every few seconds."""
    if not happened:
        return 0
    endpoints = _endpoints(connection, {one.account_id for one in happened}, now)
    told = [
        (endpoint, one, body)
        for one in happened
        if (theirs := [each for each in endpoints[one.account_id] if wants(each, one)])
        for body in [body_of(one, now)]
        for endpoint in theirs
    ]
    webhooks.add_deliveries(
        connection,
        [
            delivery(delivery_id, endpoint, one, body, now)
            for (endpoint, one, body), delivery_id in zip(told, ids.delivery_ids(len(told), now), strict=True)
        ],
    )
    if told:
        _written.add(connection.engine)
    return len(told)


def was_written(engine: Engine) -> bool:
    """Whether this process has written messages since it last asked: a doorbell is worth its while."""
    if engine not in _written:
        return False
    _written.discard(engine)
    return True


def delivery(
    delivery_id: str, endpoint: AnyRow, happened: Happened, body: str, now: datetime
) -> dict[str, Any]:
    """The row of a message to an endpoint, due at once."""
    return {
        "id": delivery_id,
        "account_id": happened.account_id,
        "endpoint_id": endpoint.id,
        "event": happened.event.value,
        "subject": happened.subject,
        "body": body,
        "state": DeliveryState.PENDING.value,
        "tries": 0,
        "due_at": now,
        "created_at": now,
    }


def _endpoints(connection: Connection, account_ids: Iterable[str], now: datetime) -> dict[str, Rows]:
    """The enabled endpoints of each account, as they are or were a moment ago."""
    known = _known.setdefault(connection.engine, {})
    found: dict[str, Rows] = {}
    unknown = []
    for account_id in account_ids:
        looked_at, rows = known.get(account_id, (None, ()))
        if looked_at is not None and abs(now - looked_at) < REMEMBERED:
            found[account_id] = rows
        else:
            unknown.append(account_id)
    if unknown:
        if len(known) > _MOST_REMEMBERED:
            known.clear()
        by_account: dict[str, list[AnyRow]] = {account_id: [] for account_id in unknown}
        for row in webhooks.of_accounts(connection, unknown):
            by_account[row.account_id].append(row)
        for account_id, rows in by_account.items():
            known[account_id] = (now, rows)
            found[account_id] = rows
    return found
