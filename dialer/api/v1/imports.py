"""`/v1/imports`: files on their way into lists and DND lists."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field, StringConstraints, field_validator
from sqlalchemy import Engine

from dialer.api.v1.caller import Campaigner, Reader
from dialer.api.v1.page import CursorText, Limit, Page, RowId, page_of, read_cursor, read_moment
from dialer.api.v1.problem import documented
from dialer.api.v1.sent import SentBody, takes_file
from dialer.api.v1.tools import With
from dialer.calls import cdr_export
from dialer.db import reading, writing
from dialer.errors import NotFound
from dialer.imports import cancel, start_import
from dialer.imports.dialect import Chosen
from dialer.imports.start import Names
from dialer.models import ImportKind, ImportState
from dialer.store import audit, imports
from dialer.store.tables import AnyRow, Rows

router = APIRouter(prefix="/imports", tags=["imports"])

#: Rows of `errors.csv` that are read at once.
READ_AT_ONCE = 1000
_NAMES = Names("file", "target_id")

Header = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")]


class Columns(BaseModel, extra="forbid"):
    """Which columns hold what, by their headers; what is left out is found out by the headers' names."""

    number: Header | None = None
    name: Header | None = None
    time_zone: Header | None = None
    language: Header | None = None
    fields: dict[FieldName, Header] = Field(
        default_factory=dict, max_length=100, description="header by the field's name in announcements"
    )


class SentImport(BaseModel, extra="forbid"):
    """What is to become of a file that is sent along."""

    kind: ImportKind = Field(description="`CONTACTS` or `DND`, in any case")
    target_id: str = Field(
        max_length=16,
        pattern=r"^[A-Za-z0-9]+$",
        description="the list's or DND list's id; `global`: the account's global DND list",
    )
    columns: Columns | None = Field(default=None, description="in a form: as JSON")
    sheet: Annotated[str, StringConstraints(max_length=100, pattern=r"^[^\x00]+$")] | None = Field(
        default=None, description="of a spreadsheet; the first one, unless named"
    )
    dry_run: bool = Field(default=False, description="check and count everything, and write nothing")

    @field_validator("kind", mode="before")
    @classmethod
    def _in_any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("columns", mode="before")
    @classmethod
    def _from_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError("must be a JSON object") from None

    @property
    def chosen(self) -> Chosen | None:
        """The columns, as imports know them."""
        return None if self.columns is None else Chosen(**dict(self.columns))


class NewImport(SentImport):
    """What is to become of a file of the uploads."""

    file: Annotated[str, StringConstraints(max_length=255)] = Field(description="its name in the uploads")


class Import(BaseModel):
    """An import, and how far it is."""

    id: str
    kind: ImportKind
    target_id: str
    file: str
    dry_run: bool
    state: ImportState
    rows: int = Field(description="read so far, without empty ones: accepted, duplicate, invalid, suppressed")
    accepted: int = Field(description="new in the list")
    duplicate: int = Field(description="their number is in the list already")
    invalid: int
    suppressed: int = Field(
        description="new in the list, but on the account's global DND list: not dialled while they stand there"
    )
    bytes: int = Field(description="of the file; of a spreadsheet, as CSV")
    bytes_read: int
    percent: float
    error: str = Field(description="why it failed")
    created_at: datetime
    ended_at: datetime | None


class RejectedRow(BaseModel):
    """A row that was not taken."""

    line: int
    column: str
    value: str = Field(description="at most 100 characters")
    code: str = Field(description="`invalid` or `duplicate`")
    reason: str


@router.post(
    "",
    status_code=202,
    responses=documented(404, 501),
    openapi_extra=takes_file(NewImport, form=SentImport),
)
def create_import(caller: Campaigner, sent: SentBody, tools: With) -> Import:
    """Import a file, CSV or XLSX: one that is sent, or one of the uploads. It is read in the background."""
    if sent.file is not None:
        wanted: SentImport = sent.read(SentImport)
        name = sent.file_name or "file"
    else:
        wanted = sent.read(NewImport)
        name = wanted.file
    begun = start_import(
        tools.engine,
        caller.account,
        wanted.kind,
        wanted.target_id,
        name[:255],
        tools.settings,
        tools.now,
        sent=sent.file,
        chosen=wanted.chosen,
        sheet=wanted.sheet,
        dry_run=wanted.dry_run,
        actor=caller.actor,
        names=_NAMES,
    )
    tools.doorbell.run_import(begun.id)
    return _import(begun)


@router.get("")
def list_imports(caller: Reader, tools: With, limit: Limit = 100, cursor: CursorText = None) -> Page[Import]:
    """The account's imports, the newest first."""
    before = read_moment(cursor)
    with reading(tools.engine) as connection:
        rows = imports.of_account(connection, caller.account_id, limit + 1, before)
    return page_of(rows, limit, _import, "created_at", "id")


@router.get("/{import_id}", responses=documented(404))
def get_import(import_id: str, caller: Reader, tools: With) -> Import:
    """An import, and how far it is."""
    return _import(_found(tools.engine, caller.account_id, import_id))


@router.post("/{import_id}/cancel", responses=documented(404, 409))
def cancel_import(import_id: str, caller: Campaigner, tools: With) -> Import:
    """End an import: what was written stays."""
    now = tools.now
    with writing(tools.engine) as connection:
        cancel(connection, caller.account_id, import_id, now)
        audit.add(connection, caller.account_id, caller.actor, "import.cancel", import_id, now)
        row = imports.get(connection, caller.account_id, import_id)
    assert row is not None  # noqa: S101 - it is there a line above
    tools.doorbell.run_import(import_id)  # which removes what was kept for it
    return _import(row)


@router.get("/{import_id}/errors", responses=documented(404))
def list_import_errors(
    import_id: str,
    caller: Reader,
    tools: With,
    limit: Limit = 100,
    cursor: CursorText = None,
) -> Page[RejectedRow]:
    """The rows that were not taken, in the file's order."""
    after = read_cursor(cursor, int, RowId)
    _found(tools.engine, caller.account_id, import_id)
    place = (int(after[0]), int(after[1])) if after else (0, 0)
    with reading(tools.engine) as connection:
        rows = imports.rejected(connection, import_id, place, limit + 1)
    return page_of(rows, limit, lambda row: RejectedRow.model_validate(row._mapping), "line", "id")


@router.get(
    "/{import_id}/errors.csv",
    responses={**documented(404), 200: {"content": {"text/csv": {}}, "description": "CSV in UTF-8"}},
    response_class=StreamingResponse,
)
def download_import_errors(
    import_id: str,
    caller: Reader,
    tools: With,
    raw: Annotated[
        bool, Query(description="without the quotation mark before what looks like a formula")
    ] = False,
) -> StreamingResponse:
    """The rows that were not taken, as CSV. A cell that a spreadsheet program would take for a formula begins with an
    apostrophe."""
    _found(tools.engine, caller.account_id, import_id)
    with reading(tools.engine) as connection:
        first = imports.rejected(connection, import_id, limit=READ_AT_ONCE)
    return StreamingResponse(
        _csv(tools.engine, import_id, first, guarded=not raw),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{import_id}-errors.csv"'},
    )


def _csv(engine: Engine, import_id: str, page: Rows, *, guarded: bool) -> Iterator[str]:
    """The file in pieces, a page of rows each, every page read in a transaction of its own."""
    yield "line,column,value,code,reason\n"
    while page:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        for row in page:
            cells = [row.column, row.value, row.code, row.reason]
            if guarded:
                cells = [cdr_export.cell(one) for one in cells]
            writer.writerow([row.line, *cells])
        yield text.getvalue()
        if len(page) < READ_AT_ONCE:
            return
        with reading(engine) as connection:
            after = (page[-1].line, page[-1].id)
            page = imports.rejected(connection, import_id, after, READ_AT_ONCE)


def _found(engine: Engine, account_id: str, import_id: str) -> AnyRow:
    with reading(engine) as connection:
        row = imports.get(connection, account_id, import_id)
    if row is None:
        raise NotFound("import_id", "import_id: this account has no such import; check the id.")
    return row


def _import(row: AnyRow) -> Import:
    values: dict[str, Any] = dict(row._mapping)
    return Import.model_validate(
        {
            **values,
            "file": row.file_name,
            "rows": row.accepted + row.duplicate + row.invalid,
            # In the table those who are suppressed are counted as accepted, too.
            "accepted": row.accepted - row.suppressed,
            "bytes": row.size,
            "bytes_read": row.offset,
            "percent": round(100 * row.offset / row.size, 1) if row.size else 100.0,
        }
    )
