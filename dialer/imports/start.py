"""Imports are begun: the file is found and understood, then the import's row says how to read it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Engine

from dialer import ids, sheets, uploads
from dialer.buckets import ChangedError
from dialer.db import reading, writing
from dialer.errors import FieldError, NotFound
from dialer.imports.dialect import DELIMITERS, Chosen, ColumnError, Dialect, DialectError, detect
from dialer.imports.run import LEASE, why_unreadable
from dialer.keys import OPERATOR
from dialer.models import ImportKind, ImportState
from dialer.settings import Settings
from dialer.sheets import SheetError
from dialer.store import audit, contacts, dnd, imports, lists, tables
from dialer.store.tables import AnyRow
from dialer.uploads import Upload


@dataclass(frozen=True, slots=True)
class Names:
    """What the parameters are called, for the errors."""

    file: str
    target: str
    columns: str = "columns"
    sheet: str = "sheet"


#: … in the first generation of the API.
FIRST_GENERATION = {
    ImportKind.CONTACTS: Names("csv_name", "list_id"),
    ImportKind.DND: Names("dnd_csv_name", "dnd_list_id"),
}


@dataclass(frozen=True, slots=True)
class _Source:
    """What is to be read: a file where it lies, or one at hand that must still be kept (`at_hand`)."""

    found: Upload | None = None
    at_hand: BinaryIO | None = None


def start_import(
    engine: Engine,
    account: AnyRow,
    kind: ImportKind,
    target_id: str,
    file_name: str,
    settings: Settings,
    now: datetime,
    *,
    path: Path | None = None,
    sent: BinaryIO | None = None,
    chosen: Chosen | None = None,
    sheet: str | None = None,
    dry_run: bool = False,
    actor: str = OPERATOR,
    names: Names | None = None,
) -> AnyRow:
    """Begin an import into a list or DND list of the account: its row. `run_import` does the work.

    `file_name` is looked up among the uploads, unless the operator names a `path` or the file was `sent`; what is sent,
    and a spreadsheet as CSV, is kept until the import is over. `chosen` are columns, `sheet` is that of a spreadsheet;
    a `dry_run` writes nothing into the list; `actor` is whom the audit log names.
    The DND list `global` is the account's global one.
    Raises `NotFound` for the list, `FieldError` for a file that is not there or has no column of numbers, `NoRoom` for
    one that cannot be kept.
    """
    names = names or FIRST_GENERATION[kind]
    target_id = _target(engine, account.id, kind, target_id, names)
    import_id = ids.import_id()
    with _told(names, file_name, sheet):
        if sent is not None:
            source = _Source(at_hand=sent)
        else:
            source = _Source(_found(settings, account.id, names.file, file_name, path))
        with _as_csv(source, sheet) as (csv, delimiters):
            dialect, offset, line = _understood(csv, chosen, delimiters)
            upload = csv.found or uploads.keep(
                settings, account.id, names.file, f"{import_id}.csv", _begun(csv)
            )
    row = {
        "id": import_id,
        "account_id": account.id,
        "kind": kind.value,
        "target_id": target_id,
        "file_name": file_name,
        "path": upload.location,
        "version": upload.version,
        "dry_run": dry_run,
        "has_scratch": dry_run or uploads.is_kept(upload.location),
        "region": account.default_region or settings.default_region,
        "state": ImportState.RUNNING.value,
        "size": upload.size,
        "offset": offset,
        "line": line,
        "dialect": dialect.to_json(),
        "lease_until": now + LEASE,
        "created_at": now,
    }
    return _added(engine, row, actor, now, names)


def _target(engine: Engine, account_id: str, kind: ImportKind, target_id: str, names: Names) -> str:
    """The id of the list that is meant. Raises `NotFound`."""
    with reading(engine) as connection:
        get = contacts.get_list if kind is ImportKind.CONTACTS else dnd.get_list
        if kind is ImportKind.DND:
            (target_id,) = dnd.ids_of(connection, account_id, [target_id])
        if get(connection, account_id, target_id) is None:
            raise _no_list(names)
    return target_id


@contextmanager
def _told(names: Names, file_name: str, sheet: str | None) -> Iterator[None]:
    """Whatever is wrong with the file becomes a `FieldError` of the parameter that is to blame."""
    try:
        yield
    except ColumnError as error:
        field = f"{names.columns}.{error.role}"
        raise FieldError(field, f"{field}: {error}") from None
    except SheetError as error:
        field = names.sheet if sheet and "no sheet" in str(error) else names.file
        raise FieldError(field, f"{field}: {error}") from None
    except DialectError as error:
        raise FieldError(names.file, f"{names.file}: {error}") from None
    except ChangedError:
        raise FieldError(names.file, f"{names.file}: {file_name[:80]!r} is being written: wait.") from None
    except OSError as error:
        why = why_unreadable(error)
        raise FieldError(names.file, f"{names.file}: {file_name[:80]!r} {why}.") from None


def _added(engine: Engine, row: dict[str, Any], actor: str, now: datetime, names: Names) -> AnyRow:
    table = tables.contact_list if row["kind"] == ImportKind.CONTACTS else tables.dnd_list
    with writing(engine) as connection:
        # To read a spreadsheet took a while, in which the list may have been deleted.
        if lists.hold(connection, table, row["account_id"], row["target_id"]) is None:
            if uploads.is_kept(row["path"]):
                uploads.remove(row["path"])
            raise _no_list(names)
        imports.add(connection, row)
        subject = {"list": row["target_id"], "kind": row["kind"]}
        audit.add(connection, row["account_id"], actor, "import.start", row["id"], now, **subject)
        begun = imports.find(connection, row["id"])
    assert begun is not None  # noqa: S101 - written a line above
    return begun


def _no_list(names: Names) -> NotFound:
    return NotFound(names.target, f"{names.target}: this account has no such list; check the id.")


def _found(settings: Settings, account_id: str, field: str, name: str, path: Path | None) -> Upload:
    if path is None:
        return uploads.find(settings, account_id, field, name)
    found = uploads.at(str(path.absolute()))
    if found is None:
        raise FieldError(field, f"{field}: {name[:80]!r} is no file that can be read.")
    return found


@contextmanager
def _as_csv(source: _Source, sheet: str | None) -> Iterator[tuple[_Source, tuple[str, ...]]]:
    """The source as CSV, and the delimiters that it may have: of a spreadsheet what was made of it, a file at hand."""
    with _opened(source) as file:
        if not sheets.is_spreadsheet(file.read(len(sheets.MAGIC))):
            if sheet:
                raise DialectError("the file is no spreadsheet, so it has no sheets: leave sheet out.")
            yield source, DELIMITERS
            return
        with tempfile.TemporaryDirectory(prefix="dialer-import-") as folder:
            workbook, made = Path(folder) / "book.xlsx", Path(folder) / "sheet.csv"
            file.seek(0)
            with workbook.open("wb") as copied:
                _copy(file, copied)
            sheets.to_csv(workbook, made, sheet)
            workbook.unlink()
            with made.open("rb") as csv:
                yield _Source(at_hand=csv), (",",)


def _copy(file: BinaryIO, target: BinaryIO) -> None:
    """Copy a spreadsheet, if it is not too long."""
    copied = 0
    while part := file.read(1024 * 1024):
        copied += len(part)
        if copied > sheets.MOST_READ:
            raise SheetError(
                f"The spreadsheet has more than {sheets.MOST_READ:,} bytes: save it as CSV UTF-8."
            )
        target.write(part)


@contextmanager
def _opened(source: _Source) -> Iterator[BinaryIO]:
    if source.found is not None:
        with source.found.open() as file:
            yield file
    else:
        yield _begun(source)


def _begun(source: _Source) -> BinaryIO:
    assert source.at_hand is not None  # noqa: S101 - a source is either of the two
    source.at_hand.seek(0)
    return source.at_hand


def _understood(
    source: _Source, chosen: Chosen | None, delimiters: tuple[str, ...]
) -> tuple[Dialect, int, int]:
    with _opened(source) as file:
        return detect(file, chosen, delimiters)
