"""`/v1/campaigns`: drafts made of one that is there."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dialer.api.v1.caller import Campaigner
from dialer.api.v1.campaign_form import Campaign, Name
from dialer.api.v1.campaign_row import CampaignId, note, row_of, told
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import With
from dialer.calls.repeats import UNANSWERED
from dialer.campaigns import copies
from dialer.db import writing
from dialer.lifecycle import Disposition

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class Clone(BaseModel, extra="forbid"):
    """A copy to be made."""

    name: Name = Field(description="of the copy")


class Redial(BaseModel, extra="forbid"):
    """A campaign to be made for those whom another did not reach."""

    name: Name = Field(description="of the new campaign")
    dispositions: list[Disposition] | None = Field(
        default=None,
        max_length=len(Disposition),
        description="how their last call must have ended; every unanswered one when left out. `UNKNOWN` only when it "
        "is named, for they may have been reached; never `ANSWERED`, `MACHINE` and `INVALID_NUMBER`",
    )
    undialled: bool = Field(
        default=True, description="those, too, who were not dialled before it was stopped or ended"
    )


class Redialled(Campaign):
    """The draft that was made, and for how many."""

    contacts: int


@router.post("/{campaign_id}/clone", status_code=201, responses=documented(404, 409))
def clone(campaign_id: CampaignId, body: Clone, caller: Campaigner, tools: With) -> Campaign:
    """Make a draft of the same list, message and rules. Dates that have passed begin anew, as long as they were."""
    now = tools.now
    with writing(tools.engine) as connection:
        row = row_of(connection, caller, campaign_id)
        clone_id = copies.clone(connection, caller.account, row, body.name, tools.settings, now)
        note(connection, caller, "campaign.clone", clone_id, now, of=campaign_id)
        return told(connection, caller, clone_id)


@router.post("/{campaign_id}/redial", status_code=201, responses=documented(404, 409))
def redial(campaign_id: CampaignId, body: Redial, caller: Campaigner, tools: With) -> Redialled:
    """Make a draft, with a list of its own, for those whom a campaign that is over did not reach. Who ever picked up,
    or stands on a DND list by now, is left out."""
    now = tools.now
    dispositions = UNANSWERED if body.dispositions is None else frozenset(body.dispositions)
    with writing(tools.engine) as connection:
        row = row_of(connection, caller, campaign_id)
        made_id, count = copies.redial(
            connection,
            caller.account,
            row,
            body.name,
            dispositions,
            tools.settings,
            now,
            undialled=body.undialled,
        )
        note(connection, caller, "campaign.redial", made_id, now, of=campaign_id, contacts=count)
        made = told(connection, caller, made_id)
    return Redialled(**made.model_dump(), contacts=count)
