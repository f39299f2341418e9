"""SQL of announce templates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.models.announce_template import TemplateState
from dialer.store.tables import AnyRow, Rows, announce_template, in_many, many


def add(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert a template. IntegrityError when the account has one of that id."""
    connection.execute(announce_template.insert(), dict(row))


def get(connection: Connection, account_id: str, template_id: str) -> AnyRow | None:
    """A template of this account that is approved, and so may be used."""
    found = find(connection, account_id, template_id)
    return found if found is not None and found.state == TemplateState.APPROVED else None


def find(connection: Connection, account_id: str, template_id: str) -> AnyRow | None:
    """A template of this account, approved or not."""
    return connection.execute(
        sa.select(announce_template).where(
            announce_template.c.account_id == account_id, announce_template.c.id == template_id
        )
    ).one_or_none()


def of_account(
    connection: Connection,
    account_id: str,
    *,
    state: TemplateState | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int | None = None,
) -> Rows:
    """An account's templates, the oldest first: those in this state, those after that (created_at, id)."""
    created_at, template_id = announce_template.c.created_at, announce_template.c.id
    statement = sa.select(announce_template).where(announce_template.c.account_id == account_id)
    if state is not None:
        statement = statement.where(announce_template.c.state == state.value)
    if after is not None:
        last = sa.tuple_(sa.literal(after[0], created_at.type), sa.literal(after[1]))
        statement = statement.where(sa.tuple_(created_at, template_id) > last)
    return connection.execute(statement.order_by(created_at, template_id).limit(limit)).all()


def review(
    connection: Connection,
    account_id: str,
    template_id: str,
    state: TemplateState,
    now: datetime,
    reason: str = "",
) -> bool:
    """Approve or reject a template; whether it was not so already."""
    reviewed = connection.execute(
        announce_template.update()
        .where(
            announce_template.c.account_id == account_id,
            announce_template.c.id == template_id,
            announce_template.c.state != state.value,
        )
        .values(state=state.value, reason=reason, reviewed_at=now)
    )
    return reviewed.rowcount == 1


def remove(connection: Connection, account_id: str, template_id: str) -> bool:
    """Delete a template; whether there was one. Calls that were asked for keep their text."""
    removed = connection.execute(
        announce_template.delete().where(
            announce_template.c.account_id == account_id, announce_template.c.id == template_id
        )
    )
    return removed.rowcount > 0


def texts(connection: Connection, account_id: str, template_ids: Collection[str]) -> dict[str, str]:
    """The texts of these templates of an account, by id, as far as it has them and they are approved."""
    found = connection.execute(
        sa.select(announce_template.c.id, announce_template.c.text).where(
            announce_template.c.account_id == account_id,
            in_many(connection.dialect.name, announce_template.c.id, "ids"),
            announce_template.c.state == TemplateState.APPROVED.value,
        ),
        {"ids": many(connection, sorted(template_ids))},
    )
    return {row.id: row.text for row in found}
