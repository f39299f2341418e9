"""The first-generation API: lists of contacts, DND lists, and their CSV files."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError

from dialer.api.auth import Caller, Campaigner
from dialer.api.body import Body, no_constant, takes, unbroken
from dialer.api.envelope import failure, success
from dialer.api.v1.tools import Tools, With
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError, NotFound
from dialer.imports import rows as row_rules
from dialer.imports import run_import, start_import
from dialer.imports.rows import RowError
from dialer.logs import get_logger
from dialer.models import ImportKind, ImportState
from dialer.reading import Fields
from dialer.store import audit, contacts, dnd, imports
from dialer.store.contacts import NewContact
from dialer.store.tables import AnyRow, Rows

log = get_logger(__name__)

LONGEST_LIST_NAME = 200
#: Rejected rows of a CSV file shown in the answer; all of them stand in the table.
MOST_SHOWN = 100
#: An import that is run at once is handed to a worker after so many seconds.
INLINE_SECONDS = 20.0

_CONTACT = {"contact_name": "ankit", "contact_number": "919979271234", "contact_fields": {"due": "500"}}
_DND_CONTACT = {"dnd_contact_name": "ankit", "dnd_contact_number": "919979271234"}

router = APIRouter()


@router.post("/create_campaign_list", openapi_extra=takes(list_name="my_campaign_list"))
def create_campaign_list(caller: Campaigner, tools: With, body: Body) -> JSONResponse:
    """See "Create Campaign List"."""
    name = Fields(body).needed("list_name", longest=LONGEST_LIST_NAME)
    try:
        with writing(tools.engine) as connection:
            list_id = contacts.add_list(connection, caller.account_id, name, tools.now)
            audit.add(
                connection, caller.account_id, caller.actor, "list.create", list_id, tools.now, name=name
            )
    except IntegrityError:
        raise _taken("list_name") from None
    return success(list_id=list_id)


@router.post("/create_campaign_dnd_list", openapi_extra=takes(dnd_list_name="my_first_DND_list"))
def create_campaign_dnd_list(caller: Campaigner, tools: With, body: Body) -> JSONResponse:
    """See "Create Campaign DND List"."""
    name = Fields(body).needed("dnd_list_name", longest=LONGEST_LIST_NAME)
    try:
        with writing(tools.engine) as connection:
            dnd_list_id = dnd.add_list(connection, caller.account_id, name, tools.now)
            audit.add(
                connection,
                caller.account_id,
                caller.actor,
                "dnd_list.create",
                dnd_list_id,
                tools.now,
                name=name,
            )
    except IntegrityError:
        raise _taken("dnd_list_name") from None
    return success(dnd_list_id=dnd_list_id)


@router.post("/add_contact_to_list", openapi_extra=takes(list_id="LSaa8f9db7e6", contacts=[_CONTACT]))
def add_contact_to_list(caller: Campaigner, tools: With, body: Body) -> JSONResponse:
    """See "Add Contacts to List". Bad rows are listed as `rejected`; the good ones are taken."""
    list_id = Fields(body).identifier("list_id")
    rows = _rows(body, "contacts")
    region = caller.account.default_region or tools.settings.default_region
    good, rejected = _checked(rows, lambda row: _contact(row, region), "contact_number")
    with writing(tools.engine) as connection:
        if contacts.get_list(connection, caller.account_id, list_id) is None:
            raise _no_list("list_id")
        new = contacts.add(connection, list_id, [one for _, one in good], tools.now)
        added = {"contacts": sum(new)}
        audit.add(
            connection, caller.account_id, caller.actor, "list.add_contacts", list_id, tools.now, **added
        )
    return _added("contacts", rows, good, new, rejected, "contact_number")


@router.post(
    "/add_dnd_contact_to_list", openapi_extra=takes(dnd_list_id="DN95716be314", dnd_contacts=[_DND_CONTACT])
)
def add_dnd_contact_to_list(caller: Campaigner, tools: With, body: Body) -> JSONResponse:
    """See "Add DND Contacts To List"."""
    dnd_list_id = Fields(body).identifier("dnd_list_id")
    rows = _rows(body, "dnd_contacts")
    region = caller.account.default_region or tools.settings.default_region
    good, rejected = _checked(rows, lambda row: _dnd_contact(row, region), "dnd_contact_number")
    with writing(tools.engine) as connection:
        (dnd_list_id,) = dnd.ids_of(connection, caller.account_id, [dnd_list_id])
        if dnd.get_list(connection, caller.account_id, dnd_list_id) is None:
            raise _no_list("dnd_list_id")
        numbers = [(one.e164, one.name) for _, one in good]
        new = dnd.add_numbers(connection, dnd_list_id, numbers, tools.now)
        added = {"numbers": sum(new)}
        audit.add(
            connection,
            caller.account_id,
            caller.actor,
            "dnd_list.add_numbers",
            dnd_list_id,
            tools.now,
            **added,
        )
    return _added("DND contacts", rows, good, new, rejected, "dnd_contact_number")


@router.post(
    "/import_broadcast_contacts_csv", openapi_extra=takes(list_id="LS608c393614", csv_name="contacts.csv")
)
def import_broadcast_contacts_csv(caller: Campaigner, tools: With, body: Body) -> JSONResponse:
    """See "Import Contacts via CSV File". A long file is imported in the background; the answer says so."""
    return _import(tools, caller, body, ImportKind.CONTACTS)


@router.post(
    "/import_dnd_contacts_csv",
    openapi_extra=takes(dnd_list_id="DNd2b09f8f80", dnd_csv_name="dnd_contacts.csv"),
)
def import_dnd_contacts_csv(caller: Campaigner, tools: With, body: Body) -> JSONResponse:
    """See "Add DND Contacts to List via CSV File"."""
    return _import(tools, caller, body, ImportKind.DND)


def _taken(field: str) -> Conflict:
    return Conflict(field, f"{field} is taken by another list of this account: choose another name.")


def _no_list(field: str) -> NotFound:
    return NotFound(field, f"{field}: this account has no such list; check the id.")


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
    return [unbroken(row) if isinstance(row, dict) else row for row in rows]


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


def _import(tools: Tools, caller: Caller, body: dict[str, Any], kind: ImportKind) -> JSONResponse:
    is_dnd = kind is ImportKind.DND
    target, file_field = ("dnd_list_id", "dnd_csv_name") if is_dnd else ("list_id", "csv_name")
    fields, what = Fields(body), "DND contacts" if is_dnd else "contacts"
    target_id, file_name = fields.identifier(target), fields.needed(file_field, longest=255)
    engine, settings, clock = tools.engine, tools.settings, tools.clock
    begun = start_import(
        engine, caller.account, kind, target_id, file_name, settings, clock(), actor=caller.actor
    )
    is_short = begun.size <= settings.import_inline_bytes
    if not (is_short and run_import(engine, begun.id, clock, seconds=INLINE_SECONDS)):
        try:
            tools.doorbell.run_import(begun.id)
        except Exception as error:  # noqa: BLE001 - a lost ring costs time, not the import: the scheduler finds the row
            log.warning("an import's ring was lost", import_id=begun.id, error=type(error).__name__)
        return success(
            message=f"{what} are being imported in the background as import {begun.id}", import_id=begun.id
        )
    with reading(engine) as connection:
        done = imports.get(connection, caller.account_id, begun.id)
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
