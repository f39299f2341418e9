"""SQL of campaigns and their counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from dialer.lifecycle import CAMPAIGN_TRANSITIONS, CampaignState
from dialer.store import tables
from dialer.store.tables import AnyRow, Move, Rows, campaign, campaign_count, campaign_dnd_list


@dataclass(frozen=True, slots=True)
class CampaignMove(Move[CampaignState]):
    """A campaign's change of state."""


#: (campaign id, counter name) → how much it moves.
Deltas = Counter[tuple[str, str]]


def add(connection: Connection, row: Mapping[str, Any], dnd_list_ids: Sequence[str]) -> None:
    """Insert a campaign with the DND lists it honours. IntegrityError when the account has one of that name."""
    connection.execute(campaign.insert(), dict(row))
    if dnd_list_ids:
        connection.execute(
            campaign_dnd_list.insert(),
            [{"campaign_id": row["id"], "dnd_list_id": dnd_list_id} for dnd_list_id in dnd_list_ids],
        )


def any_due(connection: Connection, now: datetime) -> bool:
    """Whether any campaign needs attention: a look without a lock."""
    found = connection.execute(
        sa.select(sa.literal(1)).where(campaign.c.wake_at.is_not(None), campaign.c.wake_at <= now).limit(1)
    ).first()
    return found is not None


def claim_due(connection: Connection, now: datetime) -> AnyRow | None:
    """The campaign that needs attention and was served longest ago, locked; one that another scheduler holds is
    skipped."""
    return connection.execute(
        sa.select(campaign)
        .where(campaign.c.wake_at.is_not(None), campaign.c.wake_at <= now)
        .order_by(campaign.c.served_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    ).one_or_none()


def count_due(
    connection: Connection, now: datetime, most: int, *, provider_id: str, account_id: str | None
) -> int:
    """How many running campaigns that may use this provider need attention now, of one account or of all: they share
    what it gives. Counted up to `most`."""
    of_account = sa.true() if account_id is None else campaign.c.account_id == account_id
    due = (
        sa.select(sa.literal(1))
        .where(
            campaign.c.wake_at.is_not(None),
            campaign.c.wake_at <= now,
            campaign.c.state == CampaignState.RUNNING.value,
            sa.or_(campaign.c.provider_id.is_(None), campaign.c.provider_id == provider_id),
            of_account,
        )
        .limit(most)
        .subquery()
    )
    return connection.execute(sa.select(sa.func.count()).select_from(due)).scalar_one()


def lock(connection: Connection, account_id: str, campaign_id: str) -> AnyRow | None:
    """A campaign of this account, locked."""
    return connection.execute(
        sa.select(campaign)
        .where(campaign.c.id == campaign_id, campaign.c.account_id == account_id)
        .with_for_update()
    ).one_or_none()


def get(connection: Connection, account_id: str, campaign_id: str) -> AnyRow | None:
    """A campaign of this account."""
    return connection.execute(
        sa.select(campaign).where(campaign.c.id == campaign_id, campaign.c.account_id == account_id)
    ).one_or_none()


def with_ids(connection: Connection, ids: Sequence[str]) -> dict[str, AnyRow]:
    """Campaigns by id, of any account: for the engine's own use."""
    if not ids:
        return {}
    return tables.with_ids(connection, campaign, ids)


def of_account(connection: Connection, account_id: str | None) -> Rows:
    """An account's campaigns, newest first; with None, everybody's (for the operator)."""
    statement = sa.select(campaign).order_by(campaign.c.created_at.desc(), campaign.c.id)
    if account_id is not None:
        statement = statement.where(campaign.c.account_id == account_id)
    return connection.execute(statement).all()


def update(connection: Connection, campaign_id: str, **values: Any) -> None:
    """Set columns of a campaign that this transaction holds."""
    connection.execute(campaign.update().where(campaign.c.id == campaign_id).values(**values))


def move(connection: Connection, moves: Sequence[CampaignMove], now: datetime) -> None:
    """Move campaigns from state to state; see `tables.move`."""
    tables.move(connection, campaign, CAMPAIGN_TRANSITIONS, moves, now)


def dnd_lists(connection: Connection, campaign_ids: Sequence[str]) -> dict[str, list[str]]:
    """The ids of all DND lists that apply to each campaign: its own and its account's global one."""
    if not campaign_ids:
        return {}
    own = sa.select(campaign_dnd_list.c.campaign_id, campaign_dnd_list.c.dnd_list_id).where(
        campaign_dnd_list.c.campaign_id.in_(campaign_ids)
    )
    everywhere = (
        sa.select(campaign.c.id, tables.dnd_list.c.id)
        .join(tables.dnd_list, tables.dnd_list.c.account_id == campaign.c.account_id)
        .where(campaign.c.id.in_(campaign_ids), tables.dnd_list.c.is_global)
    )
    applicable: dict[str, list[str]] = {}
    for campaign_id, dnd_list_id in connection.execute(sa.union(own, everywhere)):
        applicable.setdefault(campaign_id, []).append(dnd_list_id)
    return applicable


def count(connection: Connection, deltas: Deltas) -> None:
    """Move counters, in the order of their names so that two transactions never wait for each other."""
    rows = [
        {"campaign_id": campaign_id, "name": name, "count": delta}
        for (campaign_id, name), delta in sorted(deltas.items())
        if delta
    ]
    if rows:
        statement = tables.insert(connection, campaign_count)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["campaign_id", "name"],
                set_={"count": campaign_count.c.count + statement.excluded["count"]},
            ),
            rows,
        )


def counts(connection: Connection, campaign_id: str) -> dict[str, int]:
    """A campaign's counters by name."""
    rows = connection.execute(
        sa.select(campaign_count.c.name, campaign_count.c.count).where(
            campaign_count.c.campaign_id == campaign_id
        )
    )
    return {row.name: row[1] for row in rows}
