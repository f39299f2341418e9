"""The first-generation API: lists, DND lists, campaigns and their CDRs, as in `cpaas-campaign-api.md`.

Every endpoint names the section of that reference which it follows. Ids are looked up within the account that
asks; what is another's is not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from dialer.api.auth import CurrentAccount
from dialer.api.body import Body, no_constant, takes
from dialer.api.envelope import failure, success
from dialer.calls.inbound import SETTLE_AFTER
from dialer.campaigns import control
from dialer.campaigns.create import NewCampaign, create_campaign
from dialer.campaigns.schedule import http_date
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError, NotFound
from dialer.imports import rows as row_rules
from dialer.imports import run_import, start_import
from dialer.imports.rows import RowError
from dialer.lifecycle import CallKind, CampaignState, CdrKind, DialStatus, Disposition
from dialer.logs import get_logger
from dialer.models import ImportKind, ImportState
from dialer.numbers import digits
from dialer.reading import Fields
from dialer.settings import Settings
from dialer.store import calls, campaigns, cdrs, contacts, dnd, imports, inbound, singles
from dialer.store.contacts import NewContact
from dialer.store.tables import AnyRow, Rows

log = get_logger(__name__)

LONGEST_LIST_NAME = 200
#: Rejected rows of a CSV file shown in the answer; all of them stand in the table.
MOST_SHOWN = 100
#: An import that is run at once is handed to a worker after so many seconds.
INLINE_SECONDS = 20.0

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CAMPAIGN_STATUS = {
    CampaignState.DRAFT: "0",
    CampaignState.SCHEDULED: "0",
    CampaignState.RUNNING: "1",
    CampaignState.PAUSED: "2",
    CampaignState.FINISHED: "3",
    CampaignState.STOPPED: "4",
}
#: `call_status` of a CDR; a number that was not dialled has none.
CALL_STATUS = {
    Disposition.ANSWERED: "ANSWERED",
    Disposition.MACHINE: "ANSWERED",
    Disposition.NO_ANSWER: "NO ANSWER",
    Disposition.BUSY: "BUSY",
    Disposition.REJECTED: "BUSY",
}

_CONTACT = {"contact_name": "ankit", "contact_number": "919979271234", "contact_fields": {"due": "500"}}
_DND_CONTACT = {"dnd_contact_name": "ankit", "dnd_contact_number": "919979271234"}
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


router = APIRouter(prefix="/api", tags=["first generation"])
#: The reference's own address of `stop_campaign` has no `/api`.
bare_router = APIRouter(tags=["first generation"])


@router.post("/create_campaign_list", openapi_extra=takes(list_name="my_campaign_list"))
def create_campaign_list(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Create Campaign List"."""
    name = Fields(body).needed("list_name", longest=LONGEST_LIST_NAME)
    try:
        with writing(_engine(request)) as connection:
            list_id = contacts.add_list(connection, account.id, name, _now(request))
    except IntegrityError:
        raise _taken("list_name") from None
    return success(list_id=list_id)


@router.post("/create_campaign_dnd_list", openapi_extra=takes(dnd_list_name="my_first_DND_list"))
def create_campaign_dnd_list(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Create Campaign DND List"."""
    name = Fields(body).needed("dnd_list_name", longest=LONGEST_LIST_NAME)
    try:
        with writing(_engine(request)) as connection:
            dnd_list_id = dnd.add_list(connection, account.id, name, _now(request))
    except IntegrityError:
        raise _taken("dnd_list_name") from None
    return success(dnd_list_id=dnd_list_id)


@router.post("/add_contact_to_list", openapi_extra=takes(list_id="LSaa8f9db7e6", contacts=[_CONTACT]))
def add_contact_to_list(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Add Contacts to List". Bad rows are listed as `rejected`; the good ones are taken."""
    list_id = Fields(body).identifier("list_id")
    rows = _rows(body, "contacts")
    region = account.default_region or _settings(request).default_region
    good, rejected = _checked(rows, lambda row: _contact(row, region), "contact_number")
    with writing(_engine(request)) as connection:
        if contacts.get_list(connection, account.id, list_id) is None:
            raise _no_list("list_id")
        new = contacts.add(connection, list_id, [one for _, one in good], _now(request))
    return _added("contacts", rows, good, new, rejected, "contact_number")


@router.post(
    "/add_dnd_contact_to_list", openapi_extra=takes(dnd_list_id="DN95716be314", dnd_contacts=[_DND_CONTACT])
)
def add_dnd_contact_to_list(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Add DND Contacts To List"."""
    dnd_list_id = Fields(body).identifier("dnd_list_id")
    rows = _rows(body, "dnd_contacts")
    region = account.default_region or _settings(request).default_region
    good, rejected = _checked(rows, lambda row: _dnd_contact(row, region), "dnd_contact_number")
    with writing(_engine(request)) as connection:
        if dnd.get_list(connection, account.id, dnd_list_id) is None:
            raise _no_list("dnd_list_id")
        numbers = [(one.e164, one.name) for _, one in good]
        new = dnd.add_numbers(connection, dnd_list_id, numbers, _now(request))
    return _added("DND contacts", rows, good, new, rejected, "dnd_contact_number")


@router.post(
    "/import_broadcast_contacts_csv", openapi_extra=takes(list_id="LS608c393614", csv_name="contacts.csv")
)
def import_broadcast_contacts_csv(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Import Contacts via CSV File". A long file is imported in the background; the answer says so."""
    return _import(request, account, body, ImportKind.CONTACTS)


@router.post(
    "/import_dnd_contacts_csv",
    openapi_extra=takes(dnd_list_id="DNd2b09f8f80", dnd_csv_name="dnd_contacts.csv"),
)
def import_dnd_contacts_csv(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Add DND Contacts to List via CSV File"."""
    return _import(request, account, body, ImportKind.DND)


@router.post("/create_campaign", openapi_extra=takes(**_CAMPAIGN))
def create_a_campaign(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Create Campaign"."""
    wanted = NewCampaign.read(body)
    with writing(_engine(request)) as connection:
        campaign_id = create_campaign(connection, account, wanted, _settings(request), _now(request))
    return success(campaign_id=campaign_id)


@router.post("/stop_campaign", openapi_extra=takes(campaign_id="CM7b1b0f4c2f"))
@bare_router.post("/stop_campaign", openapi_extra=takes(campaign_id="CM7b1b0f4c2f"))
def stop_campaign(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Stop Campaign"."""
    campaign_id = Fields(body).identifier("campaign_id")
    with writing(_engine(request)) as connection:
        control.stop(connection, account.id, campaign_id, _now(request), "stopped through the API")
    return success(message=" campaign stopped successfully")  # the blank stands in the reference


@router.get("/get_campaign_details")
def get_campaign_details(request: Request, account: CurrentAccount) -> JSONResponse:
    """See "Get Campaign Details": all of the account's campaigns, the newest first."""
    with reading(_engine(request)) as connection:
        found = campaigns.of_account(connection, account.id)
    return success(
        message="campaign found" if found else "no campaign found", result=[_campaign(row) for row in found]
    )


@router.post("/get_cdr_by_campaign_id", openapi_extra=takes(campaign_id="CM39139118b8"))
def get_cdr_by_campaign_id(request: Request, account: CurrentAccount, body: Body) -> StreamingResponse:
    """See "Get CDR By Campaign ID": all of them, streamed."""
    campaign_id = Fields(body).identifier("campaign_id")
    engine = _engine(request)
    with reading(engine) as connection:
        if campaigns.get(connection, account.id, campaign_id) is None:
            raise _no_campaign()
        first = cdrs.of_campaign(connection, account.id, campaign_id)
    return StreamingResponse(
        _cdr_answer(engine, account.id, campaign_id, first), media_type="application/json"
    )


@router.post("/get_cdr_by_request_id", openapi_extra=takes(request_id="01k9x2c4m8h6w3q5r7t9"))
def get_cdr_by_request_id(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Get CDR By Request ID". None yet while the call is on its way."""
    request_id = Fields(body).identifier("request_id")
    with reading(_engine(request)) as connection:
        found = cdrs.of_call(connection, account.id, request_id)
        # A call that came in has nothing but its CDR.
        if not found and singles.get(connection, account.id, request_id) is None:
            raise NotFound("request_id", "request_id: this account has no such call; check the id.")
    return success(message="cdr found" if found else "no cdr found", result=[_cdr(row) for row in found])


@router.post("/get_campaign_cdr_statistics", openapi_extra=takes(campaign_id="CM7b1b0f4c2f"))
def get_campaign_cdr_statistics(request: Request, account: CurrentAccount, body: Body) -> JSONResponse:
    """See "Get Campaign CDR Statistics"."""
    campaign_id = Fields(body).identifier("campaign_id")
    with reading(_engine(request)) as connection:
        if campaigns.get(connection, account.id, campaign_id) is None:
            raise _no_campaign()
        counts = campaigns.counts(connection, campaign_id)
    calls = {status: counts.get(f"cdr.{status}", 0) for status in DialStatus}
    result = {f"{status.lower()}_calls": [calls[status]] for status in DialStatus}
    return success(result={**result, "total_calls": [sum(calls.values())]})


@router.get("/get_live_call_statistics")
def get_live_call_statistics(request: Request, account: CurrentAccount) -> JSONResponse:
    """See "Get Live Calls Statistics": calls that are being dialled or talked on now."""
    with reading(_engine(request)) as connection:
        live = calls.count_live(connection, account.id)
        came_in = inbound.count_live(connection, account.id, _now(request) - SETTLE_AFTER)
    return success(
        result={
            # Who is called back is connected with somebody, too.
            "live_calls_c2c": live[CallKind.CLICK_TO_CALL] + live[CallKind.CALLBACK],
            "live_calls_campaign": live[CallKind.CAMPAIGN],
            "live_calls_inbound": came_in,
            "live_calls_otp": live[CallKind.OTP],
        }
    )


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _now(request: Request) -> datetime:
    now: datetime = request.app.state.clock()
    return now


def _taken(field: str) -> Conflict:
    return Conflict(field, f"{field} is taken by another list of this account: choose another name.")


def _no_list(field: str) -> NotFound:
    return NotFound(field, f"{field}: this account has no such list; check the id.")


def _no_campaign() -> NotFound:
    return NotFound("campaign_id", "campaign_id: this account has no such campaign; check the id.")


def _rows(body: dict[str, Any], name: str) -> list[Any]:
    """The array of rows; the reference calls it a string, so JSON in a string is taken, too."""
    rows = body.get(name)
    if isinstance(rows, str):
        try:
            rows = json.loads(rows, parse_constant=no_constant)
        except (ValueError, RecursionError):
            rows = None
    if not isinstance(rows, list) or not rows:
        raise FieldError(name, f"{name} must be an array of at least one object.")
    return rows


def _checked(
    rows: list[Any], check: Callable[[dict[str, Any]], NewContact], number_name: str
) -> tuple[list[tuple[int, NewContact]], list[dict[str, Any]]]:
    """The good rows with their index, and the bad ones as they are shown."""
    good: list[tuple[int, NewContact]] = []
    rejected: list[dict[str, Any]] = []
    for index, row in enumerate(rows):
        try:
            if not isinstance(row, dict):
                raise RowError("", "", f"The row must be an object with {number_name}.")
            good.append((index, check(row)))
        except RowError as error:
            rejected.append(_rejected(index, row, number_name, error.reason))
    return good, rejected


def _contact(row: dict[str, Any], region: str | None) -> NewContact:
    fields = row.get("contact_fields")
    if fields is not None and not isinstance(fields, dict):
        raise RowError("contact_fields", "", "contact_fields must be an object of names and texts.")
    return row_rules.contact(
        _plain("contact_number", row.get("contact_number")),
        region=region,
        name=_plain("contact_name", row.get("contact_name")),
        fields={str(name): _plain("contact_fields", value) for name, value in (fields or {}).items()},
        time_zone=_plain("time_zone", row.get("time_zone")),
        language=_plain("language", row.get("language")),
    )


def _dnd_contact(row: dict[str, Any], region: str | None) -> NewContact:
    return row_rules.dnd_number(
        _plain("dnd_contact_number", row.get("dnd_contact_number")),
        region=region,
        name=_plain("dnd_contact_name", row.get("dnd_contact_name")),
    )


def _plain(name: str, value: object) -> str:
    """A JSON text or number as text; nothing when it is null."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise RowError(name, "", f"{name} must hold texts or numbers.")
    return str(value)


def _rejected(index: int, row: object, number_name: str, reason: str) -> dict[str, Any]:
    given = row.get(number_name) if isinstance(row, dict) else None
    shown = str(given) if isinstance(given, str | int | float) else ""
    return {"index": index, number_name: row_rules.clean(shown)[:40], "reason": reason}


def _added(
    what: str,
    rows: list[Any],
    good: list[tuple[int, NewContact]],
    new: list[bool],
    rejected: list[dict[str, Any]],
    number_name: str,
) -> JSONResponse:
    duplicates = [index for (index, _), is_new in zip(good, new, strict=True) if not is_new]
    rejected += [
        _rejected(index, rows[index], number_name, "The number is in the list already.")
        for index in duplicates
    ]
    rejected.sort(key=lambda one: int(one["index"]))
    if not good:
        return failure(
            400, f"None of the {len(rows)} {what} could be imported: see rejected.", rejected=rejected
        )
    if not rejected:
        return success(message=f"({sum(new)}) {what} imported successfully")
    return success(
        message=f"({sum(new)}) {what} imported successfully, ({len(rejected)}) rejected", rejected=rejected
    )


def _import(request: Request, account: AnyRow, body: dict[str, Any], kind: ImportKind) -> JSONResponse:
    is_dnd = kind is ImportKind.DND
    target, file_field = ("dnd_list_id", "dnd_csv_name") if is_dnd else ("list_id", "csv_name")
    fields, what = Fields(body), "DND contacts" if is_dnd else "contacts"
    target_id, file_name = fields.identifier(target), fields.needed(file_field, longest=255)
    engine, settings, clock = _engine(request), _settings(request), request.app.state.clock
    begun = start_import(engine, account, kind, target_id, file_name, settings, clock())
    is_short = begun.size <= settings.import_inline_bytes
    if not (is_short and run_import(engine, begun.id, clock, seconds=INLINE_SECONDS)):
        try:
            request.app.state.ring_import(begun.id)
        except Exception as error:  # noqa: BLE001 - a lost ring costs time, not the import: the scheduler finds the row
            log.warning("an import's ring was lost", import_id=begun.id, error=type(error).__name__)
        return success(
            message=f"{what} are being imported in the background as import {begun.id}", import_id=begun.id
        )
    with reading(engine) as connection:
        done = imports.get(connection, account.id, begun.id)
        rejected = imports.rejected(connection, begun.id, limit=MOST_SHOWN)
    assert done is not None  # noqa: S101 - imports are never removed
    return _imported(done, rejected, what, file_field)


def _imported(done: AnyRow, rejected: Rows, what: str, file_field: str) -> JSONResponse:
    message = f"({done.accepted}) {what} imported successfully"
    bad = done.duplicate + done.invalid
    shown = [
        {"line": row.line, "column": row.column, "value": row.value, "code": row.code, "reason": row.reason}
        for row in rejected
    ]
    if done.state == ImportState.FAILED:
        return failure(
            400, f"{file_field}: {done.error} {message} before that.", import_id=done.id, rejected=shown
        )
    if not bad:
        return success(message=message)
    return success(message=f"{message}, ({bad}) rejected", import_id=done.id, rejected=shown)


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


def _cdr_answer(engine: Engine, account_id: str, campaign_id: str, page: Rows) -> Iterator[str]:
    """The answer in pieces, a page of rows each, every page read in a transaction of its own."""
    yield f'{{"response":{{"message":"{"cdr found" if page else "no cdr found"}","result":['
    separator = ""
    while page:
        yield separator + ",".join(json.dumps(_cdr(row), separators=(",", ":")) for row in page)
        separator = ","
        if len(page) < cdrs.PAGE:
            break
        with reading(engine) as connection:
            page = cdrs.of_campaign(connection, account_id, campaign_id, page[-1].id)
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
        "recording_name": "",
        "request_id": row.call_id,
        "uniqueid": row.attempt_id or "",
    }
    if row.kind == CallKind.CLICK_TO_CALL:
        customer = digits(row.connect_to or "")
        own = {
            "agent_number": digits(row.e164),
            "customer_number": customer,
            "dialed_number": customer,
            "destination_context": "click2call",
        }
        return {**cdr, **own, "call_direction": "outbound-api"}
    if row.kind in (CdrKind.CALLBACK, CdrKind.INBOUND):
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
