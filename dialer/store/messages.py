"""SQL of messages: what single calls are about."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import AnyRow, message


def of_calls(connection: Connection, call_ids: Sequence[str]) -> dict[str, AnyRow]:
    """The messages of these calls, by call."""
    if not call_ids:
        return {}
    rows = connection.execute(sa.select(message).where(message.c.call_id.in_(call_ids))).all()
    return {row.call_id: row for row in rows}


def wipe(connection: Connection, call_ids: Sequence[str]) -> None:
    """Forget what calls said that have ended: a one-time password is not kept."""
    if call_ids:
        connection.execute(
            message.update()
            .where(message.c.call_id.in_(call_ids))
            .values(text=None, code=None, prompts=sa.null())
        )
