"""The first-generation API: CDRs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, StreamingResponse

from dialer.api.auth import Reader
from dialer.api.body import Body, takes
from dialer.api.cpaas.campaigns import no_campaign
from dialer.api.envelope import success
from dialer.api.v1.tools import With
from dialer.campaigns.schedule import FIRST_YEAR, LAST_YEAR, http_date
from dialer.db import reading
from dialer.errors import FieldError, NotFound
from dialer.lifecycle import CdrKind, DialStatus, Disposition
from dialer.numbers import digits
from dialer.reading import Fields
from dialer.store import campaigns, cdrs, singles
from dialer.store.tables import AnyRow, Rows

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: `call_status` of a CDR; a number that was not dialled has none.
CALL_STATUS = {
    Disposition.ANSWERED: "ANSWERED",
    Disposition.MACHINE: "ANSWERED",
    Disposition.NO_ANSWER: "NO ANSWER",
    Disposition.BUSY: "BUSY",
    Disposition.REJECTED: "BUSY",
}

#: `record_count`.
DEFAULT_CDRS, MOST_CDRS = 1000, 1_000_000
LARGEST_OFFSET = 1_000_000_000

_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_DAYS = {
    "start_call_date": "2026-09-25",
    "end_call_date": "2026-09-26",
    "record_count": "1000",
    "offset": "0",
}

router = APIRouter()


@router.post("/get_cdr_by_campaign_id", openapi_extra=takes(campaign_id="CM39139118b8"))
def get_cdr_by_campaign_id(caller: Reader, tools: With, body: Body) -> StreamingResponse:
    """See "Get CDR By Campaign ID": all of them, streamed."""
    campaign_id = Fields(body).identifier("campaign_id")
    engine = tools.engine
    with reading(engine) as connection:
        if campaigns.get(connection, caller.account_id, campaign_id) is None:
            raise no_campaign()
        first = cdrs.of_campaign(connection, caller.account_id, campaign_id)

    def following(last: AnyRow, _: int) -> Rows:
        with reading(engine) as connection:
            return cdrs.of_campaign(connection, caller.account_id, campaign_id, last.id)

    return _streamed(first, following)


@router.post("/get_cdr_by_date", openapi_extra=takes(**_DAYS))
def get_cdr_by_date(caller: Reader, tools: With, body: Body) -> StreamingResponse:
    """See "Get CDR By Date": of both days and those between, in UTC, in the order of their `call_date`; streamed."""
    fields = Fields(body)
    since, last_day = _day(fields, "start_call_date"), _day(fields, "end_call_date")
    if last_day < since:
        raise FieldError(
            "end_call_date",
            "end_call_date is earlier than start_call_date: give the same day or a later one.",
        )
    asked = fields.whole("record_count", 1, MOST_CDRS)
    count = DEFAULT_CDRS if asked is None else asked
    skip = fields.whole("offset", 0, LARGEST_OFFSET) or 0
    before, engine = last_day + timedelta(days=1), tools.engine
    with reading(engine) as connection:
        page = min(count, cdrs.PAGE)
        first = cdrs.of_days(connection, caller.account_id, since, before, skip=skip, limit=page)

    def following(last: AnyRow, shown: int) -> Rows:
        with reading(engine) as connection:
            page = min(count - shown, cdrs.PAGE)
            return cdrs.of_days(connection, caller.account_id, since, before, after=last, limit=page)

    return _streamed(first, following, count)


@router.post("/get_cdr_by_request_id", openapi_extra=takes(request_id="01k9x2c4m8h6w3q5r7t9"))
def get_cdr_by_request_id(caller: Reader, tools: With, body: Body) -> JSONResponse:
    """See "Get CDR By Request ID". None yet while the call is on its way."""
    request_id = Fields(body).identifier("request_id")
    with reading(tools.engine) as connection:
        found = cdrs.of_call(connection, caller.account_id, request_id)
        # A call that came in has nothing but its CDR.
        if not found and singles.get(connection, caller.account_id, request_id) is None:
            raise NotFound("request_id", "request_id: this account has no such call; check the id.")
    return success(message="cdr found" if found else "no cdr found", result=[_cdr(row) for row in found])


def _day(fields: Fields, name: str) -> datetime:
    """The first instant of a day in UTC."""
    text = fields.needed(name, longest=40)
    found = _DATE.fullmatch(text)
    try:
        day = None if found is None else datetime(*map(int, found.groups()), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:
        day = None
    if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise FieldError(name, f"{name} must be a day written YYYY-mm-dd, for example 2026-09-25.")
    return day


def _streamed(
    first: Rows, following: Callable[[AnyRow, int], Rows], most: int | None = None
) -> StreamingResponse:
    return StreamingResponse(_pieces(first, following, most), media_type="application/json")


def _pieces(page: Rows, following: Callable[[AnyRow, int], Rows], most: int | None) -> Iterator[str]:
    """The answer in pieces, a page of rows each, every page read in a transaction of its own: `following` is asked with
    the last row and how many were shown, of `most`."""
    yield f'{{"response":{{"message":"{"cdr found" if page else "no cdr found"}","result":['
    separator, shown = "", 0
    while page:
        yield separator + ",".join(json.dumps(_cdr(row), separators=(",", ":")) for row in page)
        separator, shown = ",", shown + len(page)
        if len(page) < cdrs.PAGE or shown == most:
            break
        page = following(page[-1], shown)
    yield '],"success":"true"}}'


def _cdr(row: AnyRow) -> dict[str, Any]:
    """See "Get CDR By Campaign ID" and, of a single call, "Get CDR By Request ID"."""
    cdr = {
        "account_id": row.account_id,
        "agent_number": "",
        "answer": _date(row.answered_at),
        "billsec": row.billsec,
        "call_date": _date(row.call_date),
        "call_direction": "outbound-campaign",
        "call_duration": row.duration,
        "call_status": _call_status(row.disposition),
        "caller_id": digits(row.caller_id),
        "customer_number": "",
        "destination_context": f"local_call_campaign_type_{row.campaign_type or 0}",
        "dial_status": row.dial_status,
        "dialed_number": digits(row.e164),
        "dtmf_inputs": row.dtmf_inputs,
        "end": _date(row.ended_at),
        "id": row.id,
        "recording_name": row.recording_name or "",
        "request_id": row.call_id,
        "uniqueid": row.attempt_id or "",
    }
    if row.kind in (CdrKind.CLICK_TO_CALL, CdrKind.CALLBACK):
        customer, is_click = digits(row.connect_to or ""), row.kind == CdrKind.CLICK_TO_CALL
        own = {
            "agent_number": digits(row.e164),
            "customer_number": customer,
            "dialed_number": customer,
            "destination_context": "click2call" if is_click else "callback",
        }
        return {**cdr, **own, "call_direction": "outbound-api" if is_click else "outbound-callback"}
    if row.kind in (CdrKind.INBOUND_CALLBACK, CdrKind.INBOUND):
        came_in = row.kind == CdrKind.INBOUND
        own = {
            "agent_number": digits(row.connect_to or ""),
            "customer_number": digits(row.caller_id if came_in else row.e164),
            "destination_context": "inbound" if came_in else "callback",
        }
        return {**cdr, **own, "call_direction": "inbound" if came_in else "outbound-callback"}
    if row.campaign_id is None:
        own = {"customer_number": digits(row.e164), "destination_context": "local_call"}
        return {**cdr, **own, "call_direction": "outbound-api"}
    return {
        **cdr,
        "is_dnd": "1" if row.dial_status == DialStatus.DND else "0",
        "list_id": row.list_id or "",
    }


def _call_status(disposition: str | None) -> str | None:
    return None if disposition is None else CALL_STATUS.get(Disposition(disposition), "FAILED")


def _date(at: datetime | None) -> str:
    return _date_of_second(int((at or EPOCH).timestamp()))


@lru_cache(maxsize=10_000)
def _date_of_second(second: int) -> str:
    return http_date(datetime.fromtimestamp(second, UTC))
