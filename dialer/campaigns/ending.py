"""How a campaign ends: when every contact has an end, after a stop, or at its end date."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from dialer.calls.ledger import Ledger
from dialer.lifecycle import CallState, CampaignState
from dialer.models.webhook import WebhookEvent
from dialer.store import calls, campaigns, contacts, imports
from dialer.store.campaigns import CampaignMove
from dialer.store.tables import AnyRow
from dialer.webhooks import outbox
from dialer.webhooks.events import Happened, campaign_ended

#: Calls ended in one transaction after a stop or an end date.
ENDED_AT_ONCE = 500
#: A campaign that only waits for calls in progress is looked at again after this.
LATER = timedelta(seconds=0.5)


def is_drained(connection: Connection, campaign: AnyRow) -> bool:
    """Whether every contact has an end and none can still come."""
    return (
        not calls.has_open(connection, campaign.id)
        and not imports.is_running_for(connection, campaign.list_id)
        # Last, as the last rows of a file are committed together with the end of its import.
        and not contacts.after(connection, campaign.list_id, campaign.cursor, 1)
    )


def end_rest(connection: Connection, campaign: AnyRow, end: CallState, reason: str, now: datetime) -> bool:
    """After a stop or the end date: what was not dialled ends, what is at a provider is waited for; whether that
    was the last of it."""
    ledger = Ledger(now)
    rest = calls.lock_open(connection, campaign.id, ENDED_AT_ONCE)
    for call in rest:
        ledger.end_call(call, end, reason)
    ledger.write(connection)
    if rest:  # there may be more, but others have their turn in between
        campaigns.update(connection, campaign.id, wake_at=now, served_at=now)
        return False
    if calls.has_open(connection, campaign.id) or imports.is_running_for(connection, campaign.list_id):
        campaigns.update(connection, campaign.id, wake_at=now + LATER, served_at=now)
        return False
    # Contacts that were never taken end here, counted and not written one by one.
    taken = campaigns.counts(connection, campaign.id).get("taken", 0)
    untaken = max(0, contacts.count(connection, campaign.list_id) - taken)
    last = contacts.last_position(connection, campaign.list_id)
    campaigns.update(connection, campaign.id, end_position=last)
    ledger = Ledger(now)
    ledger.count(campaign.id, "taken", untaken)
    ledger.count(campaign.id, end.value, untaken)
    ledger.write(connection)
    if campaign.state == CampaignState.STOPPED:
        campaigns.update(connection, campaign.id, wake_at=None)
        _tell(connection, campaign, CampaignState.STOPPED, now)
    else:
        finish(connection, campaign, now)
    return True


def finish(connection: Connection, campaign: AnyRow, now: datetime) -> None:
    """Every contact has an end: the campaign is finished, and apps are told."""
    finished = CampaignMove(
        campaign.id,
        CampaignState(campaign.state),
        CampaignState.FINISHED,
        {"ended_at": now, "wake_at": None},
        "every contact has an end",
    )
    campaigns.move(connection, [finished], now)
    _tell(connection, campaign, CampaignState.FINISHED, now)


def _tell(connection: Connection, campaign: AnyRow, state: CampaignState, ended_at: datetime) -> None:
    """Have apps told that the campaign is over and how, now that its counters move no more."""

    def data() -> Mapping[str, Any]:
        return campaign_ended(campaign, state, campaigns.counts(connection, campaign.id), ended_at)

    happened = Happened(WebhookEvent.CAMPAIGN_ENDED, campaign.account_id, campaign.id, campaign.id, data)
    outbox.queue(connection, [happened], ended_at)
