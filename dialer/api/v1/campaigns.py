"""`/v1/campaigns`: made, changed, held and ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import compress
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import Connection

from dialer.api.v1.added import Added, Checked
from dialer.api.v1.caller import Caller, Campaigner, Reader
from dialer.api.v1.campaign_form import (
    Campaign,
    CampaignChanges,
    CampaignForm,
    read_changes,
    read_new,
    shown,
)
from dialer.api.v1.campaign_row import PAUSED, STARTED, STOPPED, CampaignId, held_row, note, row_of, told
from dialer.api.v1.lists import NewContacts, read_contact
from dialer.api.v1.page import CursorText, Limit, Page, next_cursor, read_moment
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import Tools, With
from dialer.campaigns import append, change, control
from dialer.campaigns.create import SECOND_GENERATION, create_campaign
from dialer.db import reading, writing
from dialer.lifecycle import CampaignState
from dialer.store import campaigns, dnd
from dialer.store.tables import AnyRow

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


@router.post("", status_code=201, responses=documented(404, 409))
def create(body: CampaignForm, caller: Campaigner, tools: With) -> Campaign:
    """Make a campaign: a draft, or one that starts at `start_at`, at once when that has passed."""
    now = tools.now
    starts = body.start_at is not None if body.start is None else body.start
    with writing(tools.engine) as connection:
        wanted = read_new(connection, caller.account_id, body, tools.settings, now)
        campaign_id = create_campaign(
            connection,
            caller.account,
            wanted,
            tools.settings,
            now,
            words=SECOND_GENERATION,
            is_draft=not starts,
        )
        note(connection, caller, "campaign.create", campaign_id, now, starts=starts)
        return told(connection, caller, campaign_id)


@router.get("")
def list_campaigns(
    caller: Reader,
    tools: With,
    limit: Limit = 100,
    cursor: CursorText = None,
    state: Annotated[CampaignState | None, Query(description="only those in this state")] = None,
) -> Page[Campaign]:
    """The account's campaigns, the newest first."""
    before = read_moment(cursor)
    with reading(tools.engine) as connection:
        rows = campaigns.page(connection, caller.account_id, limit + 1, before=before, state=state)
        data = shown(connection, rows[:limit])
    return Page(data=data, next_cursor=next_cursor(rows, limit, "created_at", "id"))


@router.get("/{campaign_id}", responses=documented(404))
def show(campaign_id: CampaignId, caller: Reader, tools: With) -> Campaign:
    """A campaign."""
    with reading(tools.engine) as connection:
        return told(connection, caller, campaign_id)


@router.patch("/{campaign_id}", responses=documented(404, 409))
def change_campaign(
    campaign_id: CampaignId, body: CampaignChanges, caller: Campaigner, tools: With
) -> Campaign:
    """Change a campaign. One that runs keeps to it within seconds."""
    now = tools.now
    given = sorted(body.model_fields_set)
    with writing(tools.engine) as connection:
        held = held_row(connection, caller, campaign_id)
        before = change.request_of(connection, held)
        wanted = read_changes(connection, caller.account_id, before, body, tools.settings)
        change.change(connection, caller.account, held, wanted, given, tools.settings, now)
        note(connection, caller, "campaign.change", campaign_id, now, changed=given)
        return told(connection, caller, campaign_id)


@router.post("/{campaign_id}/contacts", responses=documented(404, 409))
def add_contacts(campaign_id: CampaignId, body: NewContacts, caller: Campaigner, tools: With) -> Added:
    """Add contacts to a campaign's list, also while it runs: the good ones are taken and dialled, of the others
    `errors` says why not."""
    now, region = tools.now, caller.account.default_region or tools.settings.default_region
    with writing(tools.engine) as connection:
        row = row_of(connection, caller, campaign_id)
        wanted = append.fields_asked(row)
        checked = Checked.of(body.contacts, lambda one: append.with_fields(read_contact(one, region), wanted))
        new = append.append(connection, row, checked.good, now)
        numbers = list(compress([one.e164 for one in checked.good], new))
        lists = campaigns.dnd_lists(connection, [campaign_id]).get(campaign_id, [])
        suppressed = {e164 for _, e164 in dnd.listed(connection, lists, numbers)}
        note(connection, caller, "campaign.add_contacts", campaign_id, now, contacts=len(numbers))
    return checked.added(new, len(suppressed))


@router.post("/{campaign_id}/start", responses=documented(404, 409))
def start(campaign_id: CampaignId, caller: Campaigner, tools: With) -> Campaign:
    """Start a draft: at its `start_at`, at once when that has passed. One that was started stays so."""

    def started(connection: Connection, held: AnyRow, now: datetime) -> None:
        change.start(connection, caller.account, held, tools.settings, now)

    return _move(caller, tools, campaign_id, "campaign.start", STARTED, started)


@router.post("/{campaign_id}/pause", responses=documented(404, 409))
def pause(campaign_id: CampaignId, caller: Campaigner, tools: With) -> Campaign:
    """Hold a campaign: nothing more of it is placed from now on. Its end still holds. A paused one stays so."""

    def paused(connection: Connection, held: AnyRow, now: datetime) -> None:
        control.pause(connection, caller.account_id, held.id, now, "paused through the API")

    return _move(caller, tools, campaign_id, "campaign.pause", PAUSED, paused)


@router.post("/{campaign_id}/resume", responses=documented(404, 409))
def resume(campaign_id: CampaignId, caller: Campaigner, tools: With) -> Campaign:
    """Go on with a paused campaign where it was held. One that runs stays so."""

    def resumed(connection: Connection, held: AnyRow, now: datetime) -> None:
        control.resume(connection, caller.account_id, held.id, now, "resumed through the API")

    return _move(caller, tools, campaign_id, "campaign.resume", STARTED, resumed)


@router.post("/{campaign_id}/stop", responses=documented(404, 409))
def stop(campaign_id: CampaignId, caller: Campaigner, tools: With) -> Campaign:
    """End a campaign for good: nothing more of it is placed from now on. A stopped one stays so."""

    def stopped(connection: Connection, held: AnyRow, now: datetime) -> None:
        control.stop(connection, caller.account_id, held.id, now, "stopped through the API")

    return _move(caller, tools, campaign_id, "campaign.stop", STOPPED, stopped)


def _move(
    caller: Caller,
    tools: Tools,
    campaign_id: str,
    action: str,
    done: frozenset[CampaignState],
    do: Callable[[Connection, AnyRow, datetime], None],
) -> Campaign:
    """Have a campaign moved by `do`, unless it is in one of the states of `done` already."""
    now = tools.now
    with writing(tools.engine) as connection:
        held = held_row(connection, caller, campaign_id)
        if held.state not in done:
            do(connection, held, now)
            note(connection, caller, action, campaign_id, now)
        return told(connection, caller, campaign_id)
