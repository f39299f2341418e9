"""`/v1/campaigns`: what became of one, and who did it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dialer.api.v1.caller import Reader
from dialer.api.v1.campaign_row import PAUSED, STARTED, STOPPED, CampaignId, row_of
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import With
from dialer.campaigns.create import CREATED
from dialer.db import reading
from dialer.lifecycle import CampaignState
from dialer.store import audit, history
from dialer.store.tables import AnyRow, Rows

router = APIRouter(prefix="/campaigns", tags=["campaigns"])

#: The states to which what a person does moves a campaign.
_MOVES = {
    "campaign.create": STARTED,
    "campaign.start": STARTED,
    "campaign.pause": PAUSED,
    "campaign.resume": STARTED,
    "campaign.stop": STOPPED,
}
_AT_ONCE = timedelta(seconds=1)


class Change(BaseModel):
    """Something that became of a campaign."""

    at: datetime
    actor: str = Field(
        description="a key's id, `account`, `operator`, or `engine` for what nobody did by hand"
    )
    action: str | None = Field(description="such as `campaign.pause`; null for what nobody did by hand")
    from_state: CampaignState | None
    to_state: CampaignState | None
    reason: str
    detail: dict[str, Any]


class Changes(BaseModel):
    """All that became of a campaign."""

    data: list[Change]


@router.get("/{campaign_id}/history", responses=documented(404))
def show_history(campaign_id: CampaignId, caller: Reader, tools: With) -> Changes:
    """All that became of a campaign and who did it, in order."""
    with reading(tools.engine) as connection:
        row_of(connection, caller, campaign_id)
        moves = history.of(connection, campaign_id)
        entries = audit.of_subject(connection, caller.account_id, campaign_id)
    return Changes(data=[Change(**one) for one in joined(moves, entries)])


def joined(moves: Rows, entries: Rows) -> list[dict[str, Any]]:
    """Changes of state and what people did, in order; what moved a campaign stands with the move."""
    left = list(entries)
    found = []
    for move in moves:
        near = [one for one in left if _moved(one, move)]
        entry = min(near, key=lambda one: abs(one.at - move.at), default=None)
        if entry is not None:
            left.remove(entry)
        states = {"from_state": move.from_state, "to_state": move.to_state, "reason": move.reason}
        found.append({"at": move.at, **_by(entry), **states})
    still = {"from_state": None, "to_state": None, "reason": ""}
    found += [{"at": entry.at, **_by(entry), **still} for entry in left]
    return sorted(found, key=lambda one: one["at"])


def _moved(entry: AnyRow, move: AnyRow) -> bool:
    """Whether this move is what somebody did then: the clock may have been read twice for the two."""
    if entry.action == "campaign.create" and move.reason != CREATED:
        return False  # a draft: whoever started it moved it
    return abs(entry.at - move.at) <= _AT_ONCE and move.to_state in _MOVES.get(entry.action, ())


def _by(entry: AnyRow | None) -> dict[str, Any]:
    if entry is None:
        return {"actor": "engine", "action": None, "detail": {}}
    return {"actor": entry.actor, "action": entry.action, "detail": entry.detail}
