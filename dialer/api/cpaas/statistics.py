"""The first-generation API: counts of calls."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from dialer.api.auth import Reader
from dialer.api.body import Body, takes
from dialer.api.cpaas.campaigns import no_campaign
from dialer.api.envelope import success
from dialer.api.v1.tools import With
from dialer.calls.inbound import SETTLE_AFTER
from dialer.db import reading
from dialer.lifecycle import CallKind, DialStatus
from dialer.reading import Fields
from dialer.store import calls, campaigns, cdrs, inbound

router = APIRouter()


@router.get("/get_cdr_statistics")
def get_cdr_statistics(caller: Reader, tools: With) -> JSONResponse:
    """See "Get CDR Statistics": all CDRs of the account so far. `total_calls` counts those with DND, too."""
    with reading(tools.engine) as connection:
        counts = cdrs.count_by_status(connection, caller.account_id)
    told = [status for status in DialStatus if status is not DialStatus.DND]
    result = {f"{status.lower()}_calls": [counts[status]] for status in told}
    return success(result={**result, "total_calls": [counts.total()]})


@router.post("/get_campaign_cdr_statistics", openapi_extra=takes(campaign_id="CM7b1b0f4c2f"))
def get_campaign_cdr_statistics(caller: Reader, tools: With, body: Body) -> JSONResponse:
    """See "Get Campaign CDR Statistics"."""
    campaign_id = Fields(body).identifier("campaign_id")
    with reading(tools.engine) as connection:
        if campaigns.get(connection, caller.account_id, campaign_id) is None:
            raise no_campaign()
        counts = campaigns.counts(connection, campaign_id)
    calls = {status: counts.get(f"cdr.{status}", 0) for status in DialStatus}
    result = {f"{status.lower()}_calls": [calls[status]] for status in DialStatus}
    return success(result={**result, "total_calls": [sum(calls.values())]})


@router.get("/get_live_call_statistics")
def get_live_call_statistics(caller: Reader, tools: With) -> JSONResponse:
    """See "Get Live Calls Statistics": calls that are being dialled or talked on now."""
    with reading(tools.engine) as connection:
        live = calls.count_live(connection, caller.account_id)
        came_in = inbound.count_live(connection, caller.account_id, tools.now - SETTLE_AFTER)
    return success(
        result={
            # Who is called back is connected with somebody, too.
            "live_calls_c2c": live[CallKind.CLICK_TO_CALL] + live[CallKind.CALLBACK],
            "live_calls_campaign": live[CallKind.CAMPAIGN],
            "live_calls_inbound": came_in,
            "live_calls_otp": live[CallKind.OTP],
        }
    )
