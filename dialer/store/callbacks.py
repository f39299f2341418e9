"""SQL of callbacks at a chosen time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Select

from dialer.lifecycle import CallState
from dialer.speech import Speech
from dialer.store.tables import AnyRow, Rows, call, in_states, message

#: Columns of its message that a callback is shown and changed with.
_SAID = (
    *("caller_id", "connect_to", "record", "record_side", "record_if_able", "transcript"),
    *("prompts", "max_seconds", "ring"),
    *(one.name for one in fields(Speech)),
)


def get(connection: Connection, account_id: str, call_id: str) -> AnyRow | None:
    """A callback of this account, with what its message says of the two (`_SAID`)."""
    return connection.execute(_theirs(account_id).where(call.c.id == call_id)).one_or_none()


def lock(connection: Connection, account_id: str, call_id: str) -> AnyRow | None:
    """The same, held: whoever releases or claims it meanwhile waits, or finds it changed."""
    statement = _theirs(account_id).where(call.c.id == call_id).with_for_update(of=call)
    return connection.execute(statement).one_or_none()


def of_account(connection: Connection, account_id: str, limit: int, before: str | None = None) -> Rows:
    """An account's callbacks, the newest first; those made before `before`, an id."""
    statement = _theirs(account_id)
    if before is not None:
        statement = statement.where(call.c.id < before)
    return connection.execute(statement.order_by(call.c.id.desc()).limit(limit)).all()


def change(
    connection: Connection, held: AnyRow, of_call: Mapping[str, Any], of_message: Mapping[str, Any]
) -> bool:
    """Change a callback that waits and has not been dialled; whether it still was so."""
    changed = connection.execute(
        call.update()
        .where(
            call.c.id == held.id,
            call.c.account_id == held.account_id,
            in_states(call, {CallState.WAITING}),
            call.c.dials == 0,
        )
        .values(**of_call)
    )
    if changed.rowcount:
        connection.execute(message.update().where(message.c.call_id == held.id).values(**of_message))
    return bool(changed.rowcount)


def _theirs(account_id: str) -> Select[Any]:
    return (
        sa.select(call, *(message.c[name] for name in _SAID))
        .join(message, message.c.call_id == call.c.id)
        .where(call.c.account_id == account_id, call.c.scheduled_at.is_not(None))
    )
