"""The first-generation API: controlling calls that are going on."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from dialer.api.auth import Dialler
from dialer.api.body import Body, takes
from dialer.api.envelope import success
from dialer.api.v1.tools import With
from dialer.calls import live_control
from dialer.providers.live import Control
from dialer.reading import Fields

MODIFIED = {
    Control.BLIND_TRANSFER: "blind transferred successfully",
    Control.ATTENDED_TRANSFER: "attended transferred successfully",
    Control.HANG_UP: "call hangup successfully",
    Control.RECORD: "call recording started successfully",
}

router = APIRouter()


@router.post(
    "/modify_call",
    openapi_extra=takes(channel="01k9x2c4m8h6w3q5r7t9-1", modify_type="0", transfer_to="919979271234"),
)
def modify_call(caller: Dialler, tools: With, body: Body) -> JSONResponse:
    """See "Modify Live Call". `channel` is the `request_id` of the call, or the `uniqueid` of its attempt."""
    region = caller.account.default_region or tools.settings.default_region
    wanted = live_control.Wanted.read(Fields(body), region)
    live_control.control(tools.engine, caller.account_id, caller.actor, wanted, tools.settings, tools.now)
    return success(message=MODIFIED[wanted.control])
