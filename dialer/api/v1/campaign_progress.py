"""`/v1/campaigns`: whom one would call, and how far it is."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dialer.api.v1.caller import Reader
from dialer.api.v1.campaign_row import OVER, PAUSED, CampaignId, row_of
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import With
from dialer.campaigns import preflight, progress
from dialer.db import reading
from dialer.errors import Conflict
from dialer.lifecycle import CALL_ENDS, CallState, CampaignState, DialStatus

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class Suppressed(BaseModel):
    """Contacts on a DND list."""

    dnd_list_id: str
    contacts: int = Field(description="who stands on two lists is counted for both")


class Preflight(BaseModel):
    """Whom a campaign would call. `contacts` is `taken` + `suppressed` + `lacking_fields` + `too_late` + `dialable`."""

    contacts: int
    taken: int = Field(description="those that have a call already, or had one")
    waiting: int = Field(description="of the taken: those that wait to be called, or called again")
    suppressed: int = Field(description="on a DND list")
    suppressed_by_list: list[Suppressed]
    lacking_fields: int = Field(
        description="those who lack a field that is asked for, so that nothing can be said"
    )
    too_late: int = Field(
        description="those in whose time zone the calling window does not open before the end"
    )
    dialable: int
    without_time_zone: int = Field(
        description="of the dialable: those whose own time zone is not clear, so that the campaign's is taken"
    )
    outside_window: int = Field(
        description="of the dialable: those who may not be rung at the start, now if it runs"
    )
    calls_per_minute: float | None = Field(
        description="what campaign, account and providers allow together; null: no limit"
    )
    earliest_finish_at: datetime | None = Field(
        description="when everybody could have been called once; null: not before the end, or not within a year"
    )
    not_called_by_then: int = Field(description="who is left at the end")
    is_estimate: bool = Field(
        description="whether the list is so long that a part of it was looked at; `contacts` and `taken` are exact"
    )
    problems: list[str] = Field(description="why it cannot start; empty when it can")


class Progress(BaseModel):
    """How far a campaign is, at one moment. `contacts` is the sum of `not_taken`, `waiting`, `released`, `in_progress`
    and all of `ended`."""

    state: CampaignState
    contacts: int
    not_taken: int = Field(description="those that have no call yet")
    waiting: int = Field(description="for the calling window, a repeat, or a provider")
    released: int = Field(description="to be placed now")
    in_progress: int = Field(description="being placed, or at a provider")
    ended: dict[CallState, int] = Field(description="by how their call ended; `COMPLETED` were reached")
    attempts: dict[DialStatus, int] = Field(
        description="all that ended, by dial status; `DND` were not dialled"
    )
    answer_rate: float | None = Field(
        description="of the dialled contacts that have an end, the part that was reached"
    )
    calls_per_minute: float = Field(description="attempts that ended, over the last five minutes at most")
    expected_finish_at: datetime | None = Field(
        description="at this speed, within the calling window and without repeats; null when it is held, over, of no "
        "known speed, or will not be through before its end"
    )


@router.post("/{campaign_id}/preflight", responses=documented(404, 409))
def preflight_campaign(campaign_id: CampaignId, caller: Reader, tools: With) -> Preflight:
    """Look whom a campaign would call, whom it would not and why, and when it could be through. Dials nobody."""
    with reading(tools.engine) as connection:
        row = row_of(connection, caller, campaign_id)
        if row.state in OVER:
            raise Conflict(
                "campaign_id", f"campaign_id: this campaign is {row.state}, so it calls nobody any more."
            )
        found = preflight.preflight(connection, caller.account, row, tools.settings.public_url, tools.now)
    return Preflight(
        contacts=found.contacts,
        taken=found.taken,
        waiting=found.waiting,
        suppressed=found.suppressed,
        suppressed_by_list=[
            Suppressed(dnd_list_id=one, contacts=count) for one, count in sorted(found.by_list.items())
        ],
        lacking_fields=found.lacking_fields,
        too_late=found.too_late,
        dialable=found.dialable,
        without_time_zone=found.without_time_zone,
        outside_window=found.outside_window,
        calls_per_minute=found.calls_per_minute,
        earliest_finish_at=found.forecast.finish_at,
        not_called_by_then=found.forecast.left,
        is_estimate=found.is_estimate,
        problems=list(found.problems),
    )


@router.get("/{campaign_id}/progress", responses=documented(404))
def show_progress(campaign_id: CampaignId, caller: Reader, tools: With) -> Progress:
    """How far a campaign is. Costs the same for a long list as for a short one."""
    now = tools.now
    with reading(tools.engine) as connection:
        row = row_of(connection, caller, campaign_id)
        counted = progress.tally(connection, campaign_id)
        pace = progress.measured_pace(connection, row, now)
        finish_at = None
        if counted.state not in OVER | PAUSED:
            finish_at = progress.expected_finish(
                connection, row, caller.account, counted, pace, now
            ).finish_at
    return Progress(
        state=counted.state,
        contacts=counted.contacts,
        not_taken=counted.not_taken,
        waiting=counted.calls[CallState.WAITING],
        released=counted.calls[CallState.RELEASED],
        in_progress=counted.calls[CallState.DIALLING] + counted.calls[CallState.IN_PROGRESS],
        ended={state: count for state, count in counted.calls.items() if state in CALL_ENDS},
        attempts=dict(counted.results),
        answer_rate=counted.answer_rate,
        calls_per_minute=pace,
        expected_finish_at=finish_at,
    )
