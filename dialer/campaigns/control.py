"""Pausing, resuming and stopping a campaign. Once the transaction is committed nothing more of it is placed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from dialer.errors import Conflict, NotFound
from dialer.lifecycle import CAMPAIGN_TRANSITIONS, CampaignState
from dialer.store import campaigns
from dialer.store.campaigns import CampaignMove
from dialer.store.tables import AnyRow

_WORDS = {
    CampaignState.DRAFT: "a draft",
    CampaignState.SCHEDULED: "waiting for its start date",
    CampaignState.RUNNING: "running",
    CampaignState.PAUSED: "paused",
    CampaignState.FINISHED: "finished",
    CampaignState.STOPPED: "stopped already",
}


def pause(
    connection: Connection, account_id: str | None, campaign_id: str, now: datetime, reason: str = "paused"
) -> None:
    """Release and dial nothing more until the campaign is resumed; its end date still holds.

    With `account_id` None, any account's campaign (for the operator). Raises `NotFound`, or `Conflict` when its
    state does not allow it.
    """
    held = _held(connection, account_id, campaign_id)
    if held.state == CampaignState.PAUSED:
        raise Conflict("campaign_id", "campaign_id: this campaign is paused already.")
    _move(connection, held, CampaignState.PAUSED, now, reason, {"wake_at": held.end_at})


def resume(
    connection: Connection, account_id: str | None, campaign_id: str, now: datetime, reason: str = "resumed"
) -> None:
    """Go on with a paused campaign, or wait for its start date. Raises as `pause`."""
    held = _held(connection, account_id, campaign_id)
    if held.state != CampaignState.PAUSED:
        raise Conflict(
            "campaign_id", f"campaign_id: this campaign is {_words(held)}; only a paused one can be resumed."
        )
    if held.end_at <= now:
        raise Conflict(
            "campaign_id", "campaign_id: this campaign's end date has passed, so it cannot be resumed."
        )
    if held.start_at > now:
        _move(connection, held, CampaignState.SCHEDULED, now, reason, {"wake_at": held.start_at})
    else:
        started = {"wake_at": now, "started_at": held.started_at or now}
        _move(connection, held, CampaignState.RUNNING, now, reason, started)


def stop(
    connection: Connection, account_id: str | None, campaign_id: str, now: datetime, reason: str = "stopped"
) -> None:
    """End a campaign for good; the scheduler, woken, cancels what was not dialled. Raises as `pause`."""
    held = _held(connection, account_id, campaign_id)
    _move(connection, held, CampaignState.STOPPED, now, reason, {"wake_at": now, "ended_at": now})


def _held(connection: Connection, account_id: str | None, campaign_id: str) -> AnyRow:
    if account_id is None:
        found = campaigns.with_ids(connection, [campaign_id]).get(campaign_id)
        account_id = None if found is None else found.account_id
    held = None if account_id is None else campaigns.lock(connection, account_id, campaign_id)
    if held is None:
        raise NotFound("campaign_id", "campaign_id: this account has no such campaign; check the id.")
    return held


def _move(
    connection: Connection,
    held: AnyRow,
    target: CampaignState,
    now: datetime,
    reason: str,
    values: dict[str, Any],
) -> None:
    state = CampaignState(held.state)
    if target not in CAMPAIGN_TRANSITIONS[state]:
        done = {CampaignState.PAUSED: "paused", CampaignState.STOPPED: "stopped"}.get(target, "changed")
        raise Conflict(
            "campaign_id", f"campaign_id: this campaign is {_words(held)}, so it cannot be {done}."
        )
    campaigns.move(connection, [CampaignMove(held.id, state, target, values, reason)], now)


def _words(held: AnyRow) -> str:
    return _WORDS[CampaignState(held.state)]
