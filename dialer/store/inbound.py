"""SQL of calls that come in: the rules of accounts' numbers, and what is told of each call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from dialer.store import bulk
from dialer.store.tables import AnyRow, Rows, in_many, inbound_call, inbound_rule, many, provider


def rule_of(connection: Connection, provider_id: str, called: str) -> AnyRow | None:
    """The rule of a number that was called through this provider: only of an account that may use it. Where others may,
    too, one that its account has only claimed is none."""
    return connection.execute(
        sa.select(inbound_rule)
        .select_from(inbound_rule.join(provider, _may_use()))
        .where(provider.c.id == provider_id, inbound_rule.c.e164 == called)
    ).one_or_none()


def _may_use() -> ColumnElement[bool]:
    is_shared = sa.and_(provider.c.account_id.is_(None), inbound_rule.c.claimed.is_not(True))
    return sa.or_(is_shared, provider.c.account_id == inbound_rule.c.account_id)


def has_rule(connection: Connection, e164: str) -> bool:
    """Whether this number is one of ours: it has a rule, whosever."""
    found = connection.execute(sa.select(sa.literal(1)).where(inbound_rule.c.e164 == e164))
    return found.first() is not None


def rule(connection: Connection, e164: str, *, lock: bool = False) -> AnyRow | None:
    """The rule of a number, whosever it is; held where it is about to be changed."""
    statement = sa.select(inbound_rule).where(inbound_rule.c.e164 == e164)
    return connection.execute(statement.with_for_update() if lock else statement).one_or_none()


def rules(
    connection: Connection, account_id: str | None = None, *, after: str = "", limit: int | None = None
) -> Rows:
    """The rules of an account, or (for the operator) of all, by number: of those after `after`, so many."""
    chosen = sa.true() if account_id is None else inbound_rule.c.account_id == account_id
    statement = sa.select(inbound_rule).where(chosen, inbound_rule.c.e164 > after)
    return connection.execute(statement.order_by(inbound_rule.c.e164).limit(limit)).all()


def count_claimed(connection: Connection, account_id: str) -> int:
    """How many rules an account has only claimed."""
    chosen = sa.select(sa.func.count()).where(
        inbound_rule.c.account_id == account_id, inbound_rule.c.claimed.is_(True)
    )
    return connection.execute(chosen).scalar_one()


def add_rule(connection: Connection, row: Mapping[str, Any]) -> None:
    """Insert a rule. IntegrityError when the number has one."""
    connection.execute(inbound_rule.insert(), dict(row))


def change_rule(connection: Connection, row: Mapping[str, Any]) -> None:
    """Put this in place of the rule of its number."""
    connection.execute(inbound_rule.update().where(inbound_rule.c.e164 == row["e164"]).values(**row))


def remove_rule(connection: Connection, account_id: str, e164: str) -> bool:
    """Take away the rule of an account's number; whether it had one."""
    removed = connection.execute(
        inbound_rule.delete().where(inbound_rule.c.e164 == e164, inbound_rule.c.account_id == account_id)
    )
    return removed.rowcount > 0


def lock_call(connection: Connection, row: Mapping[str, Any]) -> AnyRow:
    """The call of a provider's session, locked; `row` is inserted when there is none yet."""
    bulk.insert(connection, inbound_call, [row], unless=["provider_id", "session"])
    return connection.execute(
        sa.select(inbound_call)
        .where(inbound_call.c.provider_id == row["provider_id"], inbound_call.c.session == row["session"])
        .with_for_update()
    ).one()


def lock_known(connection: Connection, provider_id: str, sessions: Sequence[str]) -> Rows:
    """The calls of a provider's sessions that are known, locked in the order of their sessions."""
    return connection.execute(
        sa.select(inbound_call)
        .where(
            inbound_call.c.provider_id == provider_id,
            in_many(connection.dialect.name, inbound_call.c.session, "sessions"),
        )
        .order_by(inbound_call.c.session)
        .with_for_update(),
        {"sessions": many(connection, list(sessions))},
    ).all()


def is_any_since(connection: Connection, provider_id: str, first_id: str) -> bool:
    """Whether this provider has told of a call that came in since then (`ids.first_call_id`)."""
    found = sa.select(sa.literal(1)).where(
        inbound_call.c.id >= first_id, inbound_call.c.provider_id == provider_id
    )
    return connection.execute(found.limit(1)).first() is not None


def of_callback(connection: Connection, callback_id: str) -> Rows:
    """The calls that came in for which this call is made."""
    return connection.execute(sa.select(inbound_call).where(inbound_call.c.callback_id == callback_id)).all()


def update_call(connection: Connection, call_id: str, **values: Any) -> None:
    """Set columns of a locked call."""
    connection.execute(inbound_call.update().where(inbound_call.c.id == call_id).values(**values))


def lock_unsettled(connection: Connection, started_before: datetime, limit: int) -> Rows:
    """Calls that have no CDR and began before then, oldest first; those that another holds are skipped."""
    return connection.execute(
        sa.select(inbound_call)
        .where(_is_open(), inbound_call.c.started_at < started_before)
        .order_by(inbound_call.c.started_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()


def mark_recorded(connection: Connection, call_ids: Sequence[str]) -> None:
    """Note that nothing more is expected of these calls."""
    connection.execute(inbound_call.update().where(inbound_call.c.id.in_(call_ids)).values(recorded=True))


def count_live(connection: Connection, account_id: str | None, since: datetime) -> int:
    """How many calls that came in for this account (None: for all) since then have not ended."""
    return connection.execute(
        sa.select(sa.func.count())
        .select_from(inbound_call)
        .where(
            sa.true() if account_id is None else inbound_call.c.account_id == account_id,
            _is_open(),
            inbound_call.c.started_at > since,
        )
    ).scalar_one()


def _is_open() -> ColumnElement[bool]:
    return sa.literal_column("NOT inbound_call.recorded", sa.Boolean())
