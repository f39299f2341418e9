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
from dialer.models.call import OCCUPYING
from dialer.store import dnd, tables
from dialer.store.tables import (
    AnyRow,
    Move,
    Rows,
    call,
    campaign,
    campaign_count,
    campaign_dnd_list,
    contact_list,
    in_states,
)


@dataclass(frozen=True, slots=True)
class CampaignMove(Move[CampaignState]):
    """A campaign's change of state."""


#: (campaign id, counter name) → how much it moves.
Deltas = Counter[tuple[str, str]]


def add(connection: Connection, row: Mapping[str, Any], dnd_list_ids: Sequence[str]) -> None:
    """Insert a campaign with the DND lists it honours. IntegrityError when the account has one of that name."""
    connection.execute(campaign.insert(), dict(row))
    _add_dnd_lists(connection, row["id"], dnd_list_ids)


def _add_dnd_lists(connection: Connection, campaign_id: str, dnd_list_ids: Sequence[str]) -> None:
    if dnd_list_ids:
        connection.execute(
            campaign_dnd_list.insert(),
            [{"campaign_id": campaign_id, "dnd_list_id": dnd_list_id} for dnd_list_id in dnd_list_ids],
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


def hold_running(connection: Connection, list_id: str) -> None:
    """Lock the campaigns that dial a list, in order: none of them takes a contact of it before this transaction ends.
    The list itself is held already."""
    connection.execute(
        sa.select(campaign.c.id)
        .where(campaign.c.list_id == list_id, campaign.c.state == CampaignState.RUNNING.value)
        .order_by(campaign.c.id)
        .with_for_update()
    )


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


def page(
    connection: Connection,
    account_id: str,
    limit: int,
    *,
    before: tuple[datetime, str] | None = None,
    state: CampaignState | None = None,
) -> Rows:
    """An account's campaigns, the newest first; those after the one of that (created_at, id), those in one state."""
    statement = sa.select(campaign).where(campaign.c.account_id == account_id)
    if before is not None:
        place = sa.tuple_(campaign.c.created_at, campaign.c.id)
        created_at, campaign_id = before
        values = (
            sa.literal(created_at, campaign.c.created_at.type),
            sa.literal(campaign_id, campaign.c.id.type),
        )
        statement = statement.where(place < sa.tuple_(*values))
    if state is not None:
        statement = statement.where(campaign.c.state == state.value)
    newest = campaign.c.created_at.desc(), campaign.c.id.desc()
    return connection.execute(statement.order_by(*newest).limit(limit)).all()


def update(connection: Connection, campaign_id: str, **values: Any) -> None:
    """Set columns of a campaign that this transaction holds."""
    connection.execute(campaign.update().where(campaign.c.id == campaign_id).values(**values))


def begin_passes(connection: Connection, account_id: str, start: datetime, now: datetime) -> None:
    """Have an account's campaigns that have begun and are not over go through their waiting calls from `start` on; see
    `campaigns.openings`. Those that run are looked at `now`."""
    running = campaign.c.state == CampaignState.RUNNING.value
    begun = campaign.c.state.in_([CampaignState.RUNNING.value, CampaignState.PAUSED.value])
    connection.execute(
        campaign.update()
        .where(campaign.c.account_id == account_id, begun)
        .values(pass_due_at=start, pass_call_id="", wake_at=sa.case((running, now), else_=campaign.c.wake_at))
    )


def move(connection: Connection, moves: Sequence[CampaignMove], now: datetime) -> None:
    """Move campaigns from state to state; see `tables.move`."""
    tables.move(connection, campaign, CAMPAIGN_TRANSITIONS, moves, now)


def listed(
    connection: Connection, account_id: str, campaign_id: str | None, numbers: Sequence[str]
) -> set[str]:
    """Those of the numbers that stand on a DND list that applies: always the account's global one, and those of a
    campaign of the account."""
    theirs = tables.dnd_list
    of_campaign = sa.select(campaign_dnd_list.c.dnd_list_id).where(
        campaign_dnd_list.c.campaign_id == campaign_id
    )
    applies = (
        theirs.c.is_global
        if campaign_id is None
        else sa.or_(theirs.c.is_global, theirs.c.id.in_(of_campaign))
    )
    found = connection.execute(sa.select(theirs.c.id).where(theirs.c.account_id == account_id, applies))
    return {e164 for _, e164 in dnd.listed(connection, list(found.scalars()), numbers)}


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


def own_dnd_lists(connection: Connection, campaign_ids: Sequence[str]) -> dict[str, list[str]]:
    """The ids of the DND lists that each campaign chose, besides its account's global one."""
    chosen: dict[str, list[str]] = {}
    rows = connection.execute(
        sa.select(campaign_dnd_list)
        .where(campaign_dnd_list.c.campaign_id.in_(campaign_ids))
        .order_by(campaign_dnd_list.c.dnd_list_id)
    )
    for campaign_id, dnd_list_id in rows:
        chosen.setdefault(campaign_id, []).append(dnd_list_id)
    return chosen


def set_dnd_lists(connection: Connection, campaign_id: str, dnd_list_ids: Sequence[str]) -> None:
    """Have a campaign that this transaction holds honour these DND lists, besides its account's global one."""
    connection.execute(campaign_dnd_list.delete().where(campaign_dnd_list.c.campaign_id == campaign_id))
    _add_dnd_lists(connection, campaign_id, dnd_list_ids)


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


@dataclass(frozen=True, slots=True)
class Counted:
    """What there is to count of a campaign at one moment."""

    state: str
    #: Whether the scheduler has still to look at it.
    is_ending: bool
    #: Contacts of its list.
    contacts: int
    #: By name, as `counts`.
    counters: dict[str, int]
    #: Calls that are released, dialled or in progress, by state.
    occupying: dict[str, int]


def tally(connection: Connection, campaign_id: str) -> Counted:
    """Count a campaign that is there. One statement sees one moment; of the calls it counts only those in flight."""
    of_campaign = (
        sa.select(sa.literal("state"), campaign.c.state, sa.case((campaign.c.wake_at.is_(None), 0), else_=1)),
        sa.select(sa.literal("contacts"), sa.literal(""), contact_list.c.contact_count).join_from(
            campaign, contact_list, contact_list.c.id == campaign.c.list_id
        ),
    )
    counters = sa.select(sa.literal("counter"), campaign_count.c.name, campaign_count.c.count).where(
        campaign_count.c.campaign_id == campaign_id
    )
    occupying = (
        sa.select(sa.literal("call"), call.c.state, sa.func.count())
        .where(call.c.campaign_id == campaign_id, in_states(call, OCCUPYING))
        .group_by(call.c.state)
    )
    found: dict[str, dict[str, int]] = {"state": {}, "contacts": {}, "counter": {}, "call": {}}
    statement = sa.union_all(
        *(one.where(campaign.c.id == campaign_id) for one in of_campaign), counters, occupying
    )
    for what, name, number in connection.execute(statement):
        found[what][name] = number
    ((state, is_ending),) = found["state"].items()
    return Counted(state, bool(is_ending), found["contacts"][""], found["counter"], found["call"])
