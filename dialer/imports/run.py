"""Imports: begun, run batch by batch, taken up again.

A batch is read and checked first, then written in one short transaction that also moves the import's offset and
counters. Whatever is killed, the row says where to go on. Two workers on one import cannot double a row: of two
that read the same batch, the second finds the offset moved and throws its batch away.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import compress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.db import reading, writing
from dialer.errors import FieldError, NotFound
from dialer.imports import rows as row_rules
from dialer.imports import uploads
from dialer.imports.batch import Batch, Reader, Rejection
from dialer.imports.dialect import DialectError, detect
from dialer.models import ImportKind, ImportState
from dialer.settings import Settings
from dialer.store import contacts, dnd, imports
from dialer.store.contacts import NewContacts
from dialer.store.tables import AnyRow

ROWS = 20_000
#: How long an import is left to the worker that last wrote a batch of it.
LEASE = timedelta(seconds=60)
MOST_CLAIMED = 10
LONGEST_SHOWN = 100
#: Numbers of a DND list that are kept in memory: some 100 bytes each.
MOST_LISTED = 200_000

_FIELD_OF = {ImportKind.CONTACTS: "csv_name", ImportKind.DND: "dnd_csv_name"}
_TARGET_OF = {ImportKind.CONTACTS: "list_id", ImportKind.DND: "dnd_list_id"}


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
    engine: Engine,
    import_id: str,
    clock: Callable[[], datetime],
    *,
    seconds: float,
    rows: int = ROWS,
    tell: Callable[[AnyRow], None] = lambda row: None,
) -> bool:
    """Run an import for about `seconds`; whether nothing is left to do. At least one batch is done.

    `tell` is shown the import's row before each batch.
    """
    until = clock() + timedelta(seconds=seconds)
    listed = _Listed()
    with _collecting_little(), Reader(rows) as reader:
        while not _run_batch(engine, import_id, reader, listed, now := clock(), tell, ahead=now < until):
            if clock() >= until:
                return False
            gc.collect(0)
    return True


def _run_batch(
    engine: Engine,
    import_id: str,
    reader: Reader,
    listed: _Listed,
    now: datetime,
    tell: Callable[[AnyRow], None],
    *,
    ahead: bool,
) -> bool:
    with reading(engine) as connection:
        seen = imports.find(connection, import_id)
    if seen is None or seen.state != ImportState.RUNNING:
        return True
    tell(seen)
    try:
        batch = reader.read(seen)
    except DialectError as error:
        return _fail(engine, seen, str(error), now)
    except OSError as error:
        # Whatever is wrong with the file, an import that runs for ever would keep its list's campaigns from
        # finishing.
        sentence = f"{seen.file_name} {_why_unreadable(error)}, then import it anew: what was read stays."
        return _fail(engine, seen, sentence, now)
    if ahead:
        reader.read_ahead(seen, batch)
    with writing(engine) as connection:
        held = imports.lock(connection, import_id)
        if held is None or held.state != ImportState.RUNNING:
            return True
        if held.offset != seen.offset:
            return False
        _write(connection, held, batch, listed, now)
    return batch.at_end


@contextmanager
def _collecting_little() -> Iterator[None]:
    """Python's garbage collector runs once a batch only: by itself it would go through all that lives for every few
    hundred of the new rows, none of which is garbage yet, and that takes a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


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


class _Listed:
    """Which contacts stand on the account's global DND list. That is only counted here: who may be dialled is asked
    when they are. So a list that is not too long is read once, and is then as it was when the import was taken up."""

    def __init__(self) -> None:
        self._known: set[str] | None = None
        self._is_long = False

    def among(self, connection: Connection, held: AnyRow, batch: Batch) -> set[str]:
        """Those of a batch."""
        if held.kind != ImportKind.CONTACTS:
            return set()
        if self._known is None and not self._is_long and not batch.at_end:  # else a short file's only batch
            self._known = dnd.global_numbers(connection, held.account_id, MOST_LISTED)
            self._is_long = self._known is None
        if self._known is None:
            return dnd.globally_listed(connection, held.account_id, batch.taken.e164)
        return self._known.intersection(batch.taken.e164)


def _write(connection: Connection, held: AnyRow, batch: Batch, listed: _Listed, now: datetime) -> None:
    """Write a batch, and move the offset and the counters past it."""
    numbers = batch.taken.e164
    new = _add(connection, held, batch.taken, now)
    duplicates = [
        Rejection(line, "number", e164, "duplicate", "The number is in the list already.")
        for line, e164, is_new in zip(batch.lines, numbers, new, strict=True)
        if not is_new
    ]
    _add_rejected(connection, held, sorted([*batch.rejected, *duplicates], key=lambda one: one.line))
    suppressed = listed.among(connection, held, batch).intersection(compress(numbers, new))
    values: dict[str, Any] = {
        "offset": batch.offset,
        "line": batch.line,
        "accepted": held.accepted + sum(new),
        "duplicate": held.duplicate + len(duplicates),
        "invalid": held.invalid + len(batch.rejected),
        "suppressed": held.suppressed + len(suppressed),
        "lease_until": now + LEASE,
    }
    if batch.at_end:
        values |= {"state": ImportState.DONE.value, "ended_at": now}
    imports.update(connection, held.id, **values)


def _add(connection: Connection, held: AnyRow, taken: NewContacts, now: datetime) -> list[bool]:
    if not taken:
        return []
    if held.kind == ImportKind.CONTACTS:
        return contacts.add_columns(connection, held.target_id, taken, now)
    numbers = list(zip(taken.e164, taken.name, strict=True))
    return dnd.add_numbers(connection, held.target_id, numbers, now)


def _add_rejected(connection: Connection, held: AnyRow, rejected: Sequence[Rejection]) -> None:
    columns = {
        "import_id": held.id,
        "line": [one.line for one in rejected],
        "column": [row_rules.clean(one.column)[:LONGEST_SHOWN] for one in rejected],
        "value": [row_rules.clean(one.value)[:LONGEST_SHOWN] for one in rejected],
        "code": [one.code for one in rejected],
        "reason": [one.reason for one in rejected],
    }
    imports.add_rejected(connection, columns)
