"""The first-generation API: callbacks, which connect two people at a chosen time."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from dialer.api.auth import Dialler
from dialer.api.body import Body, takes
from dialer.api.envelope import success
from dialer.api.v1.tools import With
from dialer.calls import callback
from dialer.calls.click_to_call import NewClickToCall
from dialer.campaigns.schedule import ChosenTime
from dialer.db import writing
from dialer.reading import Fields
from dialer.store import audit

_NEW = {
    "agent_number": "919979271234",
    "caller_id": "15168148111",
    "destination_number": "918000681234",
    "recording_option": "off",
    "time_zone": "Asia/Kolkata",
    "scheduled_at": "2026-11-07 19:00:00",
}
_ID = "01k9x2c4m8h6w3q5r7t9"

router = APIRouter()


@router.post("/callback", openapi_extra=takes(**_NEW))
def create_callback(caller: Dialler, tools: With, body: Body) -> JSONResponse:
    """See "Create Callback Request"."""
    region, now = caller.account.default_region or tools.settings.default_region, tools.now
    wanted = NewClickToCall.read(body, region)
    chosen = callback.read_time(Fields(body), None, now)
    with writing(tools.engine) as connection:
        call_id = callback.create(connection, caller.account, wanted, chosen, now)
        at = chosen.at.isoformat()
        audit.add(connection, caller.account_id, caller.actor, "callback.create", call_id, now, at=at)
    return success(request_id=call_id, **_noted(chosen))


@router.patch("/callback", openapi_extra=takes(request_id=_ID, scheduled_at="2026-11-08 10:00:00"))
def change_callback(caller: Dialler, tools: With, body: Body) -> JSONResponse:
    """See "Update Callback Request": any of its fields; the others stay."""
    call_id = Fields(body).identifier("request_id")
    region, now = caller.account.default_region or tools.settings.default_region, tools.now
    with writing(tools.engine) as connection:
        chosen = callback.change(connection, caller.account, call_id, body, region, now)
        at = None if chosen is None else chosen.at.isoformat()
        audit.add(connection, caller.account_id, caller.actor, "callback.change", call_id, now, at=at)
    return success(message="callback data modified successfully", request_id=call_id, **_noted(chosen))


@router.delete("/callback", openapi_extra=takes(request_id=_ID))
def delete_callback(caller: Dialler, tools: With, body: Body) -> JSONResponse:
    """See "Delete Callback Request"."""
    call_id, now = Fields(body).identifier("request_id"), tools.now
    with writing(tools.engine) as connection:
        callback.delete(connection, caller.account_id, call_id, now)
        audit.add(connection, caller.account_id, caller.actor, "callback.delete", call_id, now)
    return success(message="callback request deleted successfully", request_id=call_id)


def _noted(chosen: ChosenTime | None) -> dict[str, Any]:
    """Beyond the reference: what became of a time that the clocks skip or show twice."""
    return {} if chosen is None or chosen.note is None else {"note": chosen.note}
