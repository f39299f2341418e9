"""`/v1/campaigns`: one number hears what a campaign says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from dialer.api.v1.caller import Caller, Campaigner
from dialer.api.v1.campaign_row import CampaignId, note, row_of
from dialer.api.v1.idempotency import InFlight, Key, Once
from dialer.api.v1.lists import written_number
from dialer.api.v1.naming import Said, Written
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import Tools, With
from dialer.calls import single
from dialer.campaigns import testcall
from dialer.db import looking, writing
from dialer.lifecycle import CallState
from dialer.store import messages, singles

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


class TestCall(BaseModel, extra="forbid"):
    """A call that says what a campaign says."""

    to: Written = Field(min_length=1, description="whom to ring: E.164, or national in the account's region")
    contact: Written | None = Field(
        default=None,
        description="the number of a contact of the list, as whom it is spoken; the first when left out",
    )
    fields: dict[str, Said] | None = Field(
        default=None, max_length=100, description="what is spoken, instead of a contact's"
    )
    name: Written = Field(default="", description="`{contact_name}`, with `fields`")


class TestCalled(BaseModel):
    """A test call that was taken."""

    id: str = Field(description="of the call: `GET /v1/calls/{id}` tells what became of it")
    state: CallState
    expires_at: datetime
    text: str | None = Field(
        description="what will be spoken; null for a file or a flow, and in an answer that is given again when "
        "the call has ended"
    )


@router.post(
    "/{campaign_id}/test-call", status_code=202, responses=documented(404, 409), response_model=TestCalled
)
def ring_for_test(
    campaign_id: CampaignId, body: TestCall, caller: Campaigner, tools: With, idempotency_key: Key = None
) -> Any:
    """Have one number hear what a campaign says, through its provider. The campaign does not count it; DND lists and
    calling window hold."""
    path = f"POST /v1/campaigns/{campaign_id}/test-call"
    once = Once.of(tools.settings, caller.account_id, idempotency_key, path, body)
    if (again := once.answered(tools.engine, _texts)) is not None:
        return again
    try:
        return JSONResponse(_ring_for_test(campaign_id, body, caller, tools, once), 202)
    except InFlight:
        return once.answered_by_other(tools.engine, _texts)


def _texts(connection: Connection, told: Mapping[str, Any]) -> dict[str, Any]:
    """What a test call says, until it has ended."""
    message = messages.of_calls(connection, [told["id"]]).get(told["id"])
    return {"text": None if message is None else message.text}


def _ring_for_test(
    campaign_id: str, body: TestCall, caller: Caller, tools: Tools, once: Once
) -> dict[str, Any]:
    now = tools.now
    to = written_number(body.to, caller.account, tools, "to")
    as_whom = None if not body.contact else written_number(body.contact, caller.account, tools, "contact")
    with looking(tools.engine) as connection:
        asked = replace(singles.asked(connection, caller.account_id, ""), now=now)
    with writing(tools.engine) as connection:
        row = row_of(connection, caller, campaign_id)
        if body.fields is not None:
            spoken = testcall.Spoken(body.fields, body.name)
        else:
            spoken = testcall.spoken_to(connection, row, as_whom)
        wanted = testcall.call_of(connection, caller.account, row, to, spoken, tools.settings.public_url, now)
        answers: list[dict[str, Any]] = []

        def keep(made: Sequence[single.Added]) -> None:
            (one,) = made
            told = TestCalled(
                id=one.id, state=one.state, expires_at=one.expires_at, text=wanted.message["text"]
            )
            answers.append(told.model_dump(mode="json"))
            once.keep(connection, 202, answers[0] | {"text": None}, now)

        try:
            (added,) = single.add_all(connection, asked, [wanted], keep)
        except single.NotPlaceable as error:
            raise error.why from None
        note(connection, caller, "campaign.test_call", campaign_id, now, call_id=added.id)
    return answers[0]
