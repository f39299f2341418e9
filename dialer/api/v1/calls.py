"""`/v1/calls`: calls asked for one by one or by the thousand, and what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import Connection, RowMapping

from dialer.api.v1 import new_call
from dialer.api.v1.caller import Caller, Dialler, Reader
from dialer.api.v1.idempotency import InFlight, Key, Once
from dialer.api.v1.moment import AskedMoment
from dialer.api.v1.page import CursorText, Limit, Page, cursor_after, read_text
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import Tools, With
from dialer.calls import purposes
from dialer.calls.ledger import Ledger
from dialer.calls.single import Added, NewSingle, NotPlaceable, add, add_all, is_urgent
from dialer.campaigns.release import window_of_account
from dialer.db import looking, reading, writing
from dialer.errors import Conflict, FieldError, NotFound, RequestError
from dialer.lifecycle import CallKind, CallState
from dialer.numbers import NumberError, to_e164
from dialer.store import announce_templates, attempts, audit, calls, singles
from dialer.store.tables import AnyRow

router = APIRouter(prefix="/calls", tags=["calls"])

CallId = Annotated[str, Path(max_length=100)]


class AcceptedCall(BaseModel):
    """A call that was taken."""

    id: str
    state: CallState
    due_at: datetime = Field(description="the earliest moment at which it is dialled")
    expires_at: datetime


class AcceptedCalls(BaseModel):
    """Calls that were taken, in the order in which they were asked for."""

    calls: list[AcceptedCall]


class Call(BaseModel):
    """A call and where it stands."""

    id: str
    purpose: str = Field(description="as it was asked for; also `campaign` and `callback`")
    state: CallState
    reason: str = Field(description="a word on why it ended or waits")
    disposition: str | None = Field(description="how its last attempt ended")
    to: str
    from_: str = Field(serialization_alias="from")
    connect_to: str | None
    campaign_id: str | None
    provider_id: str | None
    attempts: int = Field(description="how many times it was dialled, or tried to be")
    repeats: dict[str, int] = Field(description="repeats that were used up, by disposition")
    repeat_policy: dict[str, Any] | None
    time_zone: str
    due_at: datetime
    expires_at: datetime | None
    created_at: datetime
    released_at: datetime | None
    ended_at: datetime | None
    metadata: dict[str, str] | None


class Attempt(BaseModel):
    """One dial of a call through one provider."""

    id: str
    number: int
    provider_id: str
    provider_reference: str | None
    state: str
    disposition: str | None
    hangup_cause: int | None = Field(description="Q.850")
    detail: str = Field(description="the provider's words, without numbers and credentials")
    submitted_at: datetime
    placed_at: datetime | None
    ringing_at: datetime | None
    answered_at: datetime | None
    answered_by: str | None = Field(description="which number picked up, where the provider tells it")
    ended_at: datetime | None
    duration: float | None = Field(description="seconds")
    billsec: float | None = Field(description="seconds")
    cost: str | None
    currency: str | None = Field(description="ISO 4217, where the provider tells it")
    recording_name: str | None = Field(
        description="what its recording can be fetched by; of `mtt-callback` its links, a blank between them"
    )
    dtmf_inputs: str = Field(description="keys pressed, in order")


class Attempts(BaseModel):
    """All attempts of a call, in order."""

    data: list[Attempt]


@router.post(
    "",
    status_code=202,
    responses=documented(404, 409),
    response_model=AcceptedCall | AcceptedCalls,
    openapi_extra=new_call.described(),
)
def create_calls(
    caller: Dialler, tools: With, body: Annotated[dict[str, Any], Body()], idempotency_key: Key = None
) -> Any:
    """Ask for a call, or for up to 1,000 at once: all of them, or none.

    The answer comes once they are committed: from then on they are dialled, whatever is restarted.
    """
    once = Once.of(tools.settings, caller.account_id, idempotency_key, "POST /v1/calls", body)
    if (again := once.answered(tools.engine)) is not None:
        return again
    try:
        added, is_batch, kinds = _create(caller, tools, body, once)
    except InFlight:
        return once.answered_by_other(tools.engine)
    released = [(one.id, is_urgent(kind)) for one, kind in zip(added, kinds, strict=True) if one.released]
    if urgent := [call_id for call_id, goes_ahead in released if goes_ahead]:
        tools.doorbell.place_singles(urgent)
    return JSONResponse(_answer(added, is_batch), 202)


def _create(
    caller: Caller, tools: Tools, body: dict[str, Any], once: Once
) -> tuple[Sequence[Added], bool, list[CallKind]]:
    is_batch = "calls" in body
    given = new_call.read(body, is_batch)
    with looking(tools.engine) as connection:
        template_ids = {one.template_id for one in given if one.template_id}
        first = min(template_ids, default="")
        asked = replace(singles.asked(connection, caller.account_id, first), now=tools.now)
        templates = {} if asked.template is None else {first: asked.template}
        if len(template_ids) > 1:
            templates = announce_templates.texts(connection, caller.account_id, template_ids)
    account = asked.account
    region = account.default_region or tools.settings.default_region
    window = window_of_account(account)
    wanted: list[NewSingle] = []
    for place, one in enumerate(given):
        try:
            single = purposes.read(
                one.model_dump(by_alias=True, exclude_none=True, exclude={"speech"}),
                speech=one.speech.speech,
                region=region,
                account_zone=account.time_zone,
                window=window,
                templates=templates,
                now=asked.now,
            )
        except RequestError as error:
            raise _placed(error, place, is_batch) from None
        wanted.append(single)
    kinds = [one.kind for one in wanted]
    try:
        if not is_batch and once.key is None:
            return [add(tools.engine, asked, wanted[0])], False, kinds
        with writing(tools.engine) as connection:
            added = add_all(
                connection,
                asked,
                wanted,
                lambda made: once.keep(connection, 202, _answer(made, is_batch), asked.now),
            )
    except NotPlaceable as error:
        raise _placed(error.why, error.place, is_batch) from None
    return added, is_batch, kinds


def _placed(error: RequestError, place: int, is_batch: bool) -> RequestError:
    """The error with the place of its call in the batch: `calls.3.to`."""
    if not is_batch:
        return error
    begins_with_field = error.message.startswith(error.field)
    sentence = f"calls.{place}{'.' if begins_with_field else ': '}{error.message}"
    return type(error)(f"calls.{place}.{error.field}", sentence)


def _answer(added: Sequence[Added], is_batch: bool) -> dict[str, Any]:
    taken = [
        AcceptedCall(id=one.id, state=one.state, due_at=one.due_at, expires_at=one.expires_at).model_dump(
            mode="json"
        )
        for one in added
    ]
    return {"calls": taken} if is_batch else taken[0]


@router.get("")
def list_calls(
    caller: Reader,
    tools: With,
    limit: Limit = 100,
    cursor: CursorText = None,
    state: Annotated[list[CallState] | None, Query(description="in any of these states")] = None,
    purpose: Annotated[
        Literal["otp", "transactional", "announcement", "click_to_call", "callback", "campaign"] | None,
        Query(),
    ] = None,
    to: Annotated[str | None, Query(max_length=40, description="to this number")] = None,
    campaign_id: Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")] = None,
    created_from: Annotated[AskedMoment | None, Query(description="made at this time or later")] = None,
    created_before: Annotated[AskedMoment | None, Query(description="made before this time")] = None,
) -> Page[Call]:
    """Calls, single ones and those of campaigns, the newest first."""
    after = read_text(cursor)
    chosen = calls.Filter(
        e164=None if to is None else number_asked("to", to, caller, tools),
        campaign_id=campaign_id,
        kind=None if purpose is None else purpose.upper(),
        states=state or None,
        since=created_from,
        before=created_before,
    )
    with reading(tools.engine) as connection:
        found = calls.page(
            connection,
            caller.account_id,
            chosen,
            limit,
            after=after,
        )
    return Page(
        data=[_call(row) for row in found.rows],
        next_cursor=None if found.after is None else cursor_after(*found.after),
    )


@router.get("/{call_id}", responses=documented(404))
def get_call(call_id: CallId, caller: Reader, tools: With) -> Call:
    """A call and where it stands."""
    with reading(tools.engine) as connection:
        return _call(found(connection, caller, call_id))


@router.get("/{call_id}/attempts", responses=documented(404))
def list_attempts(call_id: CallId, caller: Reader, tools: With) -> Attempts:
    """Every dial of a call, in order."""
    with reading(tools.engine) as connection:
        found(connection, caller, call_id)
        return Attempts(data=[_attempt(row) for row in attempts.of_call(connection, call_id)])


@router.post("/{call_id}/cancel", responses=documented(404, 409))
def cancel_call(call_id: CallId, caller: Dialler, tools: With) -> Call:
    """Have a call not dialled (any more). One that is cancelled already stays so; one that is being dialled, is in
    progress or has ended otherwise cannot be cancelled."""
    with writing(tools.engine) as connection:
        found(connection, caller, call_id)
        (row,) = calls.lock(connection, [call_id]).values()
        state = CallState(row.state)
        if state in (CallState.WAITING, CallState.RELEASED):
            now = tools.now
            ledger = Ledger(now)
            ledger.end_call(row, CallState.CANCELLED, "cancelled")
            ledger.write(connection)
            audit.add(connection, caller.account_id, caller.actor, "call.cancel", call_id, now)
        elif state is not CallState.CANCELLED:
            raise Conflict(
                "call_id",
                f"call_id: the call is {state} and cannot be cancelled any more; look at its state.",
            )
        return _call(found(connection, caller, call_id))


def found(connection: Connection, caller: Caller, call_id: str) -> AnyRow:
    """A call of the account that asks. Raises `NotFound`."""
    row = calls.get(connection, caller.account_id, call_id) if "\0" not in call_id else None
    if row is None:
        raise NotFound("call_id", "call_id: this account has no such call; check the id.")
    return row


def number_asked(name: str, text: str, caller: Caller, tools: Tools) -> str:
    """The E.164 of a number in a query, where a plus may have become a blank. Raises `FieldError`."""
    region = caller.account.default_region or tools.settings.default_region
    try:
        return to_e164(f"+{text.strip()}" if text.startswith(" ") else text, region)
    except NumberError as error:
        raise FieldError(name, f"{name}: {error.reason}") from None


def _call(row: AnyRow) -> Call:
    columns: RowMapping = row._mapping
    return Call(
        **{name: columns[name] for name in Call.model_fields if name in columns},
        purpose=str(row.kind).lower(),
        to=row.e164,
        from_=row.caller_id,
        attempts=row.dials,
    )


def _attempt(row: AnyRow) -> Attempt:
    columns: RowMapping = row._mapping
    plain = {name: columns[name] for name in Attempt.model_fields if name in columns and name != "cost"}
    return Attempt(
        **plain,
        cost=None if row.cost is None else str(row.cost),
        dtmf_inputs="".join(key for _, key in row.keys or ()),
    )
