"""SQL of the audit log. There is no statement that changes or deletes an entry, and the database refuses one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.store.tables import Rows, audit_entry

#: In place of an account's id: of what belongs to no account.
NOBODYS = ""


def add(
    connection: Connection,
    account_id: str,
    actor: str,
    action: str,
    subject: str,
    now: datetime,
    **detail: Any,
) -> None:
    """Add an entry, in the transaction of the change itself. `detail` holds no number of a person and no secret."""
    connection.execute(
        audit_entry.insert(),
        {
            "account_id": account_id,
            "at": now,
            "actor": actor,
            "action": action,
            "subject": subject,
            "detail": detail,
        },
    )


def of_account(
    connection: Connection,
    account_id: str | None,
    limit: int,
    *,
    before: int | None = None,
    subject: str | None = None,
) -> Rows:
    """An account's entries, the newest first, or with None, everybody's and nobody's (for the operator); those before
    the entry `before`, those of one subject."""
    statement = sa.select(audit_entry)
    if account_id is not None:
        statement = statement.where(audit_entry.c.account_id == account_id)
    if before is not None:
        statement = statement.where(audit_entry.c.id < before)
    if subject is not None:
        statement = statement.where(audit_entry.c.subject == subject)
    return connection.execute(statement.order_by(audit_entry.c.id.desc()).limit(limit)).all()


def of_subject(connection: Connection, account_id: str, subject: str, limit: int = 10_000) -> Rows:
    """What was done to one thing of an account, in order; of very much the latest."""
    statement = sa.select(audit_entry).where(
        audit_entry.c.account_id == account_id, audit_entry.c.subject == subject
    )
    return connection.execute(statement.order_by(audit_entry.c.id.desc()).limit(limit)).all()[::-1]
