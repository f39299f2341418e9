"""Campaigns of an account, looked up and answered for the endpoints of `/v1/campaigns`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path
from sqlalchemy import Connection

from dialer.api.v1.caller import Caller
from dialer.api.v1.campaign_form import Campaign, shown
from dialer.errors import NotFound
from dialer.lifecycle import CampaignState
from dialer.store import audit, campaigns
from dialer.store.tables import AnyRow

CampaignId = Annotated[str, Path(max_length=100)]

#: Where a campaign stands that needs not be moved any more.
STARTED = frozenset({CampaignState.SCHEDULED, CampaignState.RUNNING})
PAUSED = frozenset({CampaignState.PAUSED})
STOPPED = frozenset({CampaignState.STOPPED})
OVER = STOPPED | {CampaignState.FINISHED}


def row_of(connection: Connection, caller: Caller, campaign_id: str) -> AnyRow:
    """A campaign of the account. Raises `NotFound`."""
    return _there(None if "\0" in campaign_id else campaigns.get(connection, caller.account_id, campaign_id))


def held_row(connection: Connection, caller: Caller, campaign_id: str) -> AnyRow:
    """The same, locked."""
    return _there(None if "\0" in campaign_id else campaigns.lock(connection, caller.account_id, campaign_id))


def told(connection: Connection, caller: Caller, campaign_id: str) -> Campaign:
    """The same as it is answered."""
    (found,) = shown(connection, [row_of(connection, caller, campaign_id)])
    return found


def note(
    connection: Connection, caller: Caller, action: str, campaign_id: str, now: datetime, **detail: Any
) -> None:
    """Write into the audit log what was done to a campaign."""
    audit.add(connection, caller.account_id, caller.actor, action, campaign_id, now, **detail)


def _there(row: AnyRow | None) -> AnyRow:
    if row is None:
        raise NotFound("campaign_id", "campaign_id: this account has no such campaign; check the id.")
    return row
