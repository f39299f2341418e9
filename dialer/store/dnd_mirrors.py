"""SQL of mirrors: black lists at providers that are kept in step with DND lists."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from dialer.models.dnd_mirror import RuleState
from dialer.store import bulk, tables
from dialer.store.tables import (
    AnyRow,
    Rows,
    dnd_list,
    dnd_mirror,
    dnd_mirror_rule,
    dnd_number,
    in_many,
    many,
    provider,
)


def start(connection: Connection, provider_id: str, now: datetime) -> None:
    """Have a provider's black list kept in step, from now on; what is known of its rules still counts."""
    row = {"provider_id": provider_id, "due_at": now, "compare_at": now, "failures": 0}
    again: dict[str, Any] = {"due_at": now, "compare_at": now, "seen_at": None, "position": None}
    statement = tables.insert(connection, dnd_mirror).values(row)
    connection.execute(statement.on_conflict_do_update(index_elements=["provider_id"], set_=again))


def stop(connection: Connection, provider_id: str) -> None:
    """Leave a provider's black list as it is. What is known of its rules is kept."""
    connection.execute(dnd_mirror.delete().where(dnd_mirror.c.provider_id == provider_id))


def of(connection: Connection, provider_id: str) -> AnyRow | None:
    """The mirror at a provider, with its `list_id` and when that list `changed_at`; None when there is none."""
    return connection.execute(_with_list().where(dnd_mirror.c.provider_id == provider_id)).one_or_none()


def is_kept(connection: Connection, provider_id: str) -> bool:
    """Whether there is a mirror at a provider."""
    found = sa.select(sa.literal(1)).where(dnd_mirror.c.provider_id == provider_id)
    return connection.execute(found).first() is not None


def due(connection: Connection, now: datetime) -> Rows:
    """Mirrors that there is something to do for, at providers that may be asked now: `provider_id`, `due_at`."""
    return connection.execute(
        sa.select(dnd_mirror.c.provider_id, dnd_mirror.c.due_at)
        .select_from(_joined())
        .where(
            dnd_mirror.c.due_at <= now,
            sa.or_(dnd_mirror.c.lease_until.is_(None), dnd_mirror.c.lease_until <= now),
            sa.or_(
                dnd_mirror.c.compare_at <= now,
                dnd_mirror.c.position.is_not(None),
                dnd_mirror.c.seen_at.is_distinct_from(dnd_list.c.changed_at),
            ),
            provider.c.enabled,
            provider.c.paused_reason.is_(None),
            sa.or_(provider.c.held_until.is_(None), provider.c.held_until <= now),
        )
        .order_by(dnd_mirror.c.provider_id)
    ).all()


def put_off(connection: Connection, provider_id: str, was_due: datetime, due_at: datetime) -> bool:
    """Put off when a mirror is looked at; whether nobody else has meanwhile."""
    moved = connection.execute(
        dnd_mirror.update()
        .where(dnd_mirror.c.provider_id == provider_id, dnd_mirror.c.due_at == was_due)
        .values(due_at=due_at)
    )
    return moved.rowcount == 1


def take(connection: Connection, provider_id: str, now: datetime, lease_until: datetime) -> AnyRow | None:
    """The mirror, this worker's until `lease_until`; None when it is another's, or there is nothing to keep in step.

    Of one whose worker died it is not known what was sent: it is to be compared at once.
    """
    lease = dnd_mirror.c.lease_until
    compare_at = sa.case((lease.is_(None), dnd_mirror.c.compare_at), else_=now)
    taken = connection.execute(
        dnd_mirror.update()
        .where(dnd_mirror.c.provider_id == provider_id, sa.or_(lease.is_(None), lease <= now))
        .values(lease_until=lease_until, compare_at=compare_at)
    )
    return of(connection, provider_id) if taken.rowcount else None


def keep(connection: Connection, provider_id: str, lease: datetime, **values: Any) -> bool:
    """Set columns of a mirror that is this worker's by `lease`; whether it still is."""
    kept = connection.execute(
        dnd_mirror.update()
        .where(dnd_mirror.c.provider_id == provider_id, dnd_mirror.c.lease_until == lease)
        .values(**values)
    )
    return kept.rowcount == 1


def wanted(connection: Connection, dnd_list_id: str, after: str, most: int) -> list[str]:
    """The next numbers of a DND list, in order."""
    statement = sa.select(dnd_number.c.e164).where(
        dnd_number.c.dnd_list_id == dnd_list_id, dnd_number.c.e164 > after
    )
    return list(connection.execute(statement.order_by(dnd_number.c.e164).limit(most)).scalars())


def rules(connection: Connection, provider_id: str, after: str, most: int) -> list[tuple[str, RuleState]]:
    """The next rules that we know of, in order."""
    rows = connection.execute(
        sa.select(dnd_mirror_rule.c.e164, dnd_mirror_rule.c.state)
        .where(dnd_mirror_rule.c.provider_id == provider_id, dnd_mirror_rule.c.e164 > after)
        .order_by(dnd_mirror_rule.c.e164)
        .limit(most)
    )
    return [(e164, RuleState(state)) for e164, state in rows]


def add_rules(
    connection: Connection, provider_id: str, numbers: Sequence[str], state: RuleState
) -> list[str]:
    """Know of these rules; those that we knew of before are left out, and as they are."""
    rows = [{"provider_id": provider_id, "e164": number, "state": state.value} for number in numbers]
    known = bulk.matching(connection, dnd_mirror_rule, "e164", numbers, provider_id=provider_id)
    new = [row for row in rows if row["e164"] not in known]
    bulk.insert(connection, dnd_mirror_rule, new)
    return [row["e164"] for row in new]


def move_rules(
    connection: Connection,
    provider_id: str,
    numbers: Sequence[str],
    from_state: RuleState,
    to_state: RuleState | None,
) -> None:
    """Move rules from state to state, those that are in it; None: forget them."""
    if not numbers:
        return
    where = _these(connection, provider_id, from_state)
    parameters = {"numbers": many(connection, list(numbers))}
    if to_state is None:
        connection.execute(dnd_mirror_rule.delete().where(*where), parameters)
    else:
        connection.execute(
            dnd_mirror_rule.update().where(*where).values(state=sa.literal(to_state.value)), parameters
        )


def _these(connection: Connection, provider_id: str, state: RuleState) -> Sequence[ColumnElement[bool]]:
    return (
        dnd_mirror_rule.c.provider_id == provider_id,
        dnd_mirror_rule.c.state == state.value,
        in_many(connection.dialect.name, dnd_mirror_rule.c.e164, "numbers"),
    )


def _joined() -> sa.FromClause:
    """Mirrors with their providers and the global DND lists of those providers' accounts."""
    is_theirs = sa.and_(dnd_list.c.account_id == provider.c.account_id, dnd_list.c.is_global)
    return dnd_mirror.join(provider, provider.c.id == dnd_mirror.c.provider_id).join(dnd_list, is_theirs)


def _with_list() -> sa.Select[Any]:
    return sa.select(dnd_mirror, dnd_list.c.id.label("list_id"), dnd_list.c.changed_at).select_from(_joined())
