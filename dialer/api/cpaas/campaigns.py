"""The first-generation API: campaigns."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from dialer import media
from dialer.api.auth import Campaigner, Reader
from dialer.api.body import Body, takes
from dialer.api.envelope import success
from dialer.api.v1.tools import With
from dialer.campaigns import control
from dialer.campaigns.create import NewCampaign, create_campaign
from dialer.campaigns.schedule import http_date
from dialer.db import reading, writing
from dialer.errors import NotFound
from dialer.lifecycle import CampaignState
from dialer.numbers import digits
from dialer.reading import Fields
from dialer.store import audit, campaigns
from dialer.store.tables import AnyRow

CAMPAIGN_STATUS = {
    CampaignState.DRAFT: "0",
    CampaignState.SCHEDULED: "0",
    CampaignState.RUNNING: "1",
    CampaignState.PAUSED: "2",
    CampaignState.FINISHED: "3",
    CampaignState.STOPPED: "4",
}
_CAMPAIGN = {
    "list_id": "LS608c393614",
    "dnd_list_id": "DNd2b09f8f80",
    "campaign_name": "reminders",
    "campaign_type": "0",
    "campaign_caller_id": "15168148111",
    "dynamic_announcement": "1",
    "announcement_text": "Dear {contact_name}, your due balance is {due}.",
    "campaign_start_date": "2026-09-25 14:05:00",
    "campaign_end_date": "2026-09-26 20:00:00",
    "time_zone": "Asia/Kolkata",
    "repeat": "2",
    "max_retries": "1",
    "retry_time": "60",
    "calls_per_minute": "10",
}

router = APIRouter()
#: The reference's own address of `stop_campaign` has no `/api`.
bare_router = APIRouter()


@router.post("/create_campaign", openapi_extra=takes(**_CAMPAIGN))
def create_a_campaign(caller: Campaigner, tools: With, body: Body) -> JSONResponse:
    """See "Create Campaign"."""
    wanted = NewCampaign.read(body, partial(media.known_as, tools.settings, caller.account_id))
    with writing(tools.engine) as connection:
        campaign_id = create_campaign(connection, caller.account, wanted, tools.settings, tools.now)
        audit.add(
            connection,
            caller.account_id,
            caller.actor,
            "campaign.create",
            campaign_id,
            tools.now,
            name=wanted.name,
        )
    return success(campaign_id=campaign_id)


@router.post("/stop_campaign", openapi_extra=takes(campaign_id="CM7b1b0f4c2f"))
@bare_router.post("/stop_campaign", openapi_extra=takes(campaign_id="CM7b1b0f4c2f"))
def stop_campaign(caller: Campaigner, tools: With, body: Body) -> JSONResponse:
    """See "Stop Campaign"."""
    campaign_id = Fields(body).identifier("campaign_id")
    with writing(tools.engine) as connection:
        control.stop(connection, caller.account_id, campaign_id, tools.now, "stopped through the API")
        audit.add(connection, caller.account_id, caller.actor, "campaign.stop", campaign_id, tools.now)
    return success(message=" campaign stopped successfully")  # the blank stands in the reference


@router.get("/get_campaign_details")
def get_campaign_details(caller: Reader, tools: With) -> JSONResponse:
    """See "Get Campaign Details": all of the account's campaigns, the newest first."""
    with reading(tools.engine) as connection:
        found = campaigns.of_account(connection, caller.account_id)
    return success(
        message="campaign found" if found else "no campaign found", result=[_campaign(row) for row in found]
    )


def no_campaign() -> NotFound:
    """The answer about another account's campaign, and about none."""
    return NotFound("campaign_id", "campaign_id: this account has no such campaign; check the id.")


def _campaign(row: AnyRow) -> dict[str, str]:
    return {
        "calls_per_minute": str(row.calls_per_minute or 0),
        "campaign_caller_id": digits(row.caller_id),
        "campaign_end_date": http_date(row.end_at),
        "campaign_id": row.id,
        "campaign_name": row.name,
        "campaign_start_date": http_date(row.start_at),
        "campaign_status": CAMPAIGN_STATUS[CampaignState(row.state)],
        "campaign_type": str(row.type),
        "max_retries": str(row.max_retries),
        "repeat_announcement_count": str(row.repeat_count),
        "retry_time": str(row.retry_time),
    }
