"""`/v1/cdrs`: call detail records, in pages or all of them in one stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from sqlalchemy import Engine

from dialer.api.v1.caller import Caller, Reader
from dialer.api.v1.calls import number_asked
from dialer.api.v1.moment import AskedMoment, Moment
from dialer.api.v1.page import CursorText, Limit, Page, RowId, cursor_after, read_cursor
from dialer.api.v1.tools import With
from dialer.calls import cdr_export
from dialer.db import reading
from dialer.errors import FieldError
from dialer.lifecycle import DialStatus, Disposition
from dialer.store import cdrs
from dialer.store.tables import AnyRow, Rows

router = APIRouter(prefix="/cdrs", tags=["cdrs"])
_MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)
#: Apart, for their paths have no slash.
files = APIRouter(tags=["cdrs"])


class Cdr(BaseModel):
    """A call detail record: of an attempt that ended, of a number that a DND list kept from being dialled, of a single
    call that was not dialled, or of a call that came in."""

    id: int
    request_id: str = Field(description="the call's id")
    attempt_id: str | None
    campaign_id: str | None
    list_id: str | None
    kind: str
    direction: Literal["outbound", "inbound"]
    provider_id: str | None
    provider_reference: str | None
    number: str = Field(description="whom was dialled; of a call that came in, our number")
    answered_by: str | None = Field(
        description="which number picked up, where the provider tells it: of several that were rung perhaps another"
    )
    connect_to: str | None
    caller_id: str
    dial_status: DialStatus
    disposition: Disposition | None
    hangup_cause: int | None = Field(description="Q.850")
    dialled_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    call_date: datetime = Field(description="the end, or the moment of suppression")
    duration: float | None = Field(description="seconds")
    billsec: float | None = Field(description="seconds")
    cost: str | None
    currency: str | None = Field(description="ISO 4217, where the provider tells it")
    dtmf_inputs: str
    recording_name: str | None = Field(description="what its provider calls its recording by")
    metadata: dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose CDRs, and which."""

    caller: Caller
    chosen: cdrs.Filter


def _wanted(
    caller: Reader,
    tools: With,
    campaign_id: Annotated[str | None, Query(max_length=100)] = None,
    call_id: Annotated[str | None, Query(max_length=100)] = None,
    since: Annotated[
        AskedMoment | None, Query(alias="from", description="with a `call_date` at this time or later")
    ] = None,
    before: Annotated[
        AskedMoment | None, Query(alias="to", description="with a `call_date` before this time")
    ] = None,
    disposition: Disposition | None = None,
    dial_status: DialStatus | None = None,
    direction: Literal["outbound", "inbound"] | None = None,
    number: Annotated[
        str | None,
        Query(max_length=40, description="to whom calls were made; with `direction=inbound`, who called in"),
    ] = None,
) -> Wanted:
    for name, value in (("campaign_id", campaign_id), ("call_id", call_id)):
        if value is not None and "\0" in value:
            raise FieldError(name, f"{name} holds a character that no id has: check the id.")
    return Wanted(
        caller,
        cdrs.Filter(
            campaign_id=campaign_id,
            call_id=call_id,
            since=since,
            before=before,
            disposition=disposition,
            dial_status=dial_status,
            came_in=None if direction is None else direction == "inbound",
            e164=None if number is None else number_asked("number", number, caller, tools),
        ),
    )


Asked = Annotated[Wanted, Depends(_wanted)]


@router.get("")
def list_cdrs(asked: Asked, tools: With, limit: Limit = 100, cursor: CursorText = None) -> Page[Cdr]:
    """CDRs, the newest first."""
    after = _place(cursor, asked.chosen)
    with reading(tools.engine) as connection:
        found = cdrs.page(
            connection,
            asked.caller.account_id,
            asked.chosen,
            limit,
            after=after,
            newest_first=True,
        )
    return Page(
        data=[_cdr(row) for row in found.rows],
        next_cursor=None if found.after is None else cursor_after(*found.after),
    )


@files.get("/cdrs.csv", response_class=StreamingResponse, responses={200: {"content": {"text/csv": {}}}})
def export_csv(asked: Asked, tools: With) -> StreamingResponse:
    """All CDRs as CSV, the oldest first, however many there are. Numbers are digits without the plus; a text that a
    spreadsheet would take for a formula begins with an apostrophe."""
    return _stream(asked, tools.engine, "text/csv", "csv", cdr_export.csv_lines, cdr_export.csv_header())


@files.get(
    "/cdrs.jsonl",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/jsonl": {}}}},
)
def export_jsonl(asked: Asked, tools: With) -> StreamingResponse:
    """All CDRs, a JSON object a line, the oldest first, however many there are."""
    return _stream(asked, tools.engine, "application/jsonl", "jsonl", cdr_export.json_lines)


def _stream(
    asked: Wanted,
    engine: Engine,
    media_type: str,
    suffix: str,
    lines: Callable[[Iterable[AnyRow]], Iterator[str]],
    header: str = "",
) -> StreamingResponse:
    def pieces() -> Iterator[str]:
        yield header
        for page in pages(engine, asked):
            yield "".join(lines(page))

    named = {"Content-Disposition": f'attachment; filename="cdrs.{suffix}"'}
    return StreamingResponse(pieces(), media_type=f"{media_type}; charset=utf-8", headers=named)


def pages(engine: Engine, asked: Wanted) -> Iterator[Rows]:
    """Page by page, each in a transaction of its own: whoever reads slowly, or no more, holds nothing."""
    after: Sequence[Any] | None = None
    while True:
        with reading(engine) as connection:
            found = cdrs.page(connection, asked.caller.account_id, asked.chosen, after=after)
        if found.rows:
            yield found.rows
        if found.after is None:
            return
        after = found.after


def _place(cursor: str | None, chosen: cdrs.Filter) -> list[Any] | None:
    given: list[Any] | None = read_cursor(cursor, *((RowId,) if chosen.by_id else (str, RowId)))
    if given is None:
        return None
    *dates, last = given
    try:
        found = [_MOMENT.validate_python(date) for date in dates]
    except ValidationError:
        raise FieldError(
            "cursor", "cursor is none that a page of this list gave: leave it out to begin at the first."
        ) from None
    return [*found, last]


def _cdr(row: AnyRow) -> Cdr:
    return Cdr(**cdr_export.record(row) | {"cost": None if row.cost is None else str(row.cost)})
