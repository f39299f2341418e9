"""Imports: begun, run batch by batch, taken up again.

A batch is read and checked first, then written in one short transaction that also moves the import's offset and
counters. Whatever is killed, the row says where to go on. Two workers on one import cannot double a row: of two
that read the same batch, the second finds the offset moved and throws its batch away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.db import reading, writing
from dialer.errors import FieldError, NotFound
from dialer.imports import rows as row_rules
from dialer.imports import uploads
from dialer.imports.dialect import FIELD, Dialect, DialectError, detect
from dialer.imports.records import Record, Records
from dialer.models import ImportKind, ImportState
from dialer.settings import Settings
from dialer.store import contacts, dnd, imports
from dialer.store.contacts import NewContact
from dialer.store.tables import AnyRow

ROWS = 2000
#: How long an import is left to the worker that last wrote a batch of it.
LEASE = timedelta(seconds=60)
MOST_CLAIMED = 10
LONGEST_SHOWN = 100

_FIELD_OF = {ImportKind.CONTACTS: "csv_name", ImportKind.DND: "dnd_csv_name"}
_TARGET_OF = {ImportKind.CONTACTS: "list_id", ImportKind.DND: "dnd_list_id"}


@dataclass(frozen=True, slots=True)
class _Rejection:
    line: int
    column: str
    value: str = field(repr=False)
    code: str = "invalid"
    reason: str = ""


@dataclass(slots=True)
class _Batch:
    offset: int
    line: int
    at_end: bool = False
    accepted: list[tuple[int, NewContact]] = field(default_factory=list)
    rejected: list[_Rejection] = field(default_factory=list)


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
) -> AnyRow:
    """Begin an import into a list or DND list of the account: its row. `run_import` does the work.

    `file_name` is looked up among the uploads, unless the operator names a `path`. Raises `NotFound` for the list,
    `FieldError` for a file that is not there or has no column of numbers.
    """
    field_name, target_name = _FIELD_OF[kind], _TARGET_OF[kind]
    with reading(engine) as connection:
        get = contacts.get_list if kind is ImportKind.CONTACTS else dnd.get_list
        if get(connection, account.id, target_id) is None:
            raise NotFound(target_name, f"{target_name}: this account has no such list; check the id.")
    found = path if path is not None else uploads.find(settings, account.id, field_name, file_name)
    try:
        size = uploads.size_of(found)
        if size is None:
            raise FieldError(field_name, f"{field_name}: {file_name[:80]!r} is no file that can be read.")
        with found.open("rb") as file:
            dialect, offset, line = detect(file)
    except DialectError as error:
        raise FieldError(field_name, f"{field_name}: {error}") from None
    except OSError as error:
        why = _why_unreadable(error)
        raise FieldError(field_name, f"{field_name}: {file_name[:80]!r} {why}.") from None
    row = {
        "id": ids.import_id(),
        "account_id": account.id,
        "kind": kind.value,
        "target_id": target_id,
        "file_name": file_name,
        "path": str(found.absolute()),
        "region": account.default_region or settings.default_region,
        "state": ImportState.RUNNING.value,
        "size": size,
        "offset": offset,
        "line": line,
        "dialect": dialect.to_json(),
        "lease_until": now + LEASE,
        "created_at": now,
    }
    with writing(engine) as connection:
        imports.add(connection, row)
        begun = imports.find(connection, row["id"])
    assert begun is not None  # noqa: S101 - written a line above
    return begun


def run_import(
    engine: Engine, import_id: str, clock: Callable[[], datetime], *, seconds: float, rows: int = ROWS
) -> bool:
    """Run an import for about `seconds`; whether nothing is left to do. At least one batch is done."""
    until = clock() + timedelta(seconds=seconds)
    while not run_chunk(engine, import_id, now=clock(), rows=rows):
        if clock() >= until:
            return False
    return True


def run_chunk(
    engine: Engine, import_id: str, *, now: datetime, rows: int = ROWS, seconds: float = LEASE.total_seconds()
) -> bool:
    """One batch of up to `rows` rows; whether the import is over. It stays leased for `seconds`."""
    with reading(engine) as connection:
        seen = imports.find(connection, import_id)
    if seen is None or seen.state != ImportState.RUNNING:
        return True
    try:
        batch = _read(seen, rows)
    except DialectError as error:
        return _fail(engine, seen, str(error), now)
    except OSError as error:
        # Whatever is wrong with the file, an import that runs for ever would keep its list's campaigns from finishing.
        sentence = f"{seen.file_name} {_why_unreadable(error)}, then import it anew: what was read stays."
        return _fail(engine, seen, sentence, now)
    with writing(engine) as connection:
        held = imports.lock(connection, import_id)
        if held is None or held.state != ImportState.RUNNING:
            return True
        if held.offset != seen.offset:
            return False
        _write(connection, held, batch, now, timedelta(seconds=seconds))
    return batch.at_end


def _fail(engine: Engine, seen: AnyRow, sentence: str, now: datetime) -> bool:
    """End an import that cannot go on, unless another worker has moved it on; whether it is over."""
    with writing(engine) as connection:
        held = imports.lock(connection, seen.id)
        if held is None or held.state != ImportState.RUNNING:
            return True
        if held.offset != seen.offset:
            return False
        values = {"state": ImportState.FAILED.value, "error": sentence, "ended_at": now}
        imports.update(connection, seen.id, **values)
    return True


def _why_unreadable(error: OSError) -> str:
    """Why a file cannot be read, and what mends it; its path is nobody's business but the operator's."""
    if isinstance(error, PermissionError):
        return "may not be read: mend the file's rights"
    return f"cannot be read ({error.strerror or type(error).__name__}): see to the file and its disk"


def claim(connection: Connection, now: datetime, limit: int = MOST_CLAIMED) -> list[str]:
    """The ids of imports whose worker has gone; ring `run_import` for each. Leased, so that one rings once."""
    return imports.claim(connection, now, now + LEASE, limit)


def _read(row: AnyRow, limit: int) -> _Batch:
    """Read and check the next rows. Raises `DialectError` when the file is no longer what it was."""
    path, dialect = Path(row.path), Dialect.from_json(row.dialect)
    size = uploads.size_of(path)
    if size is None:
        raise DialectError(f"{row.file_name} is gone: upload it again and import it anew.")
    if size != row.size:
        raise DialectError(f"{row.file_name} has changed since its import began: import it anew.")
    read = _contact if row.kind == ImportKind.CONTACTS else _dnd_number
    batch = _Batch(row.offset, row.line)
    with path.open("rb") as file:
        records = Records(
            file,
            dialect.encoding,
            dialect.delimiter,
            offset=row.offset,
            line=row.line,
            columns=len(dialect.columns),
            number_at=[one.role for one in dialect.columns].index("number"),
        )
        for _ in range(limit):
            record = records.read()
            if record is None:
                batch.at_end = True
                break
            if record.cells is None:
                batch.rejected.append(_Rejection(record.line, "", "", reason=record.problem))
            elif any(map(str.strip, record.cells)):
                try:
                    batch.accepted.append((record.line, read(dialect, record, row.region)))
                except row_rules.RowError as error:
                    batch.rejected.append(
                        _Rejection(record.line, error.column, error.value, reason=error.reason)
                    )
        batch.offset, batch.line = records.offset, records.line
    return batch


def _contact(dialect: Dialect, record: Record, region: str | None) -> NewContact:
    by_role, fields, column = _sorted_out(dialect, record)
    return row_rules.contact(
        by_role.get("number", ""),
        region=region,
        name=by_role.get("name", ""),
        fields=fields,
        time_zone=by_role.get("time_zone", ""),
        language=by_role.get("language", ""),
        column=column,
    )


def _dnd_number(dialect: Dialect, record: Record, region: str | None) -> NewContact:
    by_role, _, column = _sorted_out(dialect, record)
    return row_rules.dnd_number(
        by_role.get("number", ""), region=region, name=by_role.get("name", ""), column=column
    )


def _sorted_out(dialect: Dialect, record: Record) -> tuple[dict[str, str], dict[str, str], str]:
    """A row's cells by role and by field, and what the column of numbers is called. A short row lacks the rest."""
    by_role: dict[str, str] = {}
    fields: dict[str, str] = {}
    number_column = ""
    for column, cell in zip(dialect.columns, record.cells or (), strict=False):
        if column.role not in {FIELD, ""}:
            by_role[column.role] = cell
        if column.field:
            fields[column.field] = cell
    for column in dialect.columns:
        if column.role == "number":
            number_column = column.header
    return by_role, fields, number_column


def _write(connection: Connection, held: AnyRow, batch: _Batch, now: datetime, lease: timedelta) -> None:
    """Write a batch, and move the offset and the counters past it."""
    new = _add(connection, held, [one for _, one in batch.accepted], now)
    duplicates = [
        _Rejection(line, "number", one.e164, "duplicate", "The number is in the list already.")
        for (line, one), is_new in zip(batch.accepted, new, strict=True)
        if not is_new
    ]
    rejected = sorted([*batch.rejected, *duplicates], key=lambda one: one.line)
    imports.add_rejected(connection, [_rejected_row(held.id, one) for one in rejected])
    values: dict[str, Any] = {
        "offset": batch.offset,
        "line": batch.line,
        "accepted": held.accepted + sum(new),
        "duplicate": held.duplicate + len(duplicates),
        "invalid": held.invalid + len(batch.rejected),
        "lease_until": now + lease,
    }
    if batch.at_end:
        values |= {"state": ImportState.DONE.value, "ended_at": now}
    imports.update(connection, held.id, **values)


def _add(connection: Connection, held: AnyRow, taken: Sequence[NewContact], now: datetime) -> list[bool]:
    if not taken:
        return []
    if held.kind == ImportKind.CONTACTS:
        return contacts.add(connection, held.target_id, taken, now)
    return dnd.add_numbers(connection, held.target_id, [(one.e164, one.name) for one in taken], now)


def _rejected_row(import_id: str, one: _Rejection) -> dict[str, Any]:
    return {
        "import_id": import_id,
        "line": one.line,
        "column": row_rules.clean(one.column)[:LONGEST_SHOWN],
        "value": row_rules.clean(one.value)[:LONGEST_SHOWN],
        "code": one.code,
        "reason": one.reason,
    }
