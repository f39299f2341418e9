"""Imports: run batch by batch, taken up again, ended.

A batch is read and checked first, then written in one short transaction that also moves the import's offset and
counters. Whatever is killed, the row says where to go on. Two workers on one import cannot double a row: of two
that read the same batch, the second finds the offset moved and throws its batch away.
"""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import compress
from typing import Any

from sqlalchemy import Connection, Engine

from dialer import uploads
from dialer.buckets import BucketError
from dialer.db import reading, writing
from dialer.errors import Conflict, NotFound
from dialer.imports import rows as row_rules
from dialer.imports.batch import Batch, Reader, Rejection
from dialer.imports.columns import Places
from dialer.imports.dialect import Dialect, DialectError
from dialer.logs import get_logger
from dialer.models import ImportKind, ImportState
from dialer.store import contacts, dnd, imports
from dialer.store.contacts import NewContacts
from dialer.store.known import Known
from dialer.store.tables import AnyRow

log = get_logger(__name__)

ROWS = 20_000
#: How long an import is left to the worker that last wrote a batch of it.
LEASE = timedelta(seconds=60)
MOST_CLAIMED = 10
LONGEST_SHOWN = 100
#: Numbers of a DND list that are kept in memory: some 100 bytes each.
MOST_LISTED = 200_000


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
    memory = _Memory()
    with _collecting_little(), Reader(rows) as reader:
        while not _run_batch(engine, import_id, reader, memory, now := clock(), tell, ahead=now < until):
            if clock() >= until:
                return False
            gc.collect(0)
    _tidy_up(engine, import_id)
    return True


def cancel(connection: Connection, account_id: str, import_id: str, now: datetime) -> AnyRow:
    """End an import of this account: what was written stays. Its row, as it was.

    Raises `NotFound`, or `Conflict` when it is over.
    """
    held = imports.lock(connection, import_id)
    if held is None or held.account_id != account_id:
        raise NotFound("import_id", "import_id: this account has no such import; check the id.")
    if held.state != ImportState.RUNNING:
        raise Conflict("import_id", f"import_id: this import is over already ({held.state}).")
    values = {"state": ImportState.CANCELLED.value, "ended_at": now, "lease_until": now}
    imports.update(connection, import_id, **values)
    return held


def _tidy_up(engine: Engine, import_id: str) -> None:
    """Remove what an import that is over needs no more: the file that was kept for it, the numbers of a dry run."""
    with reading(engine) as connection:
        row = imports.find(connection, import_id)
    if row is None or not row.has_scratch or row.state == ImportState.RUNNING:
        return
    if uploads.is_kept(row.path):
        try:
            uploads.remove(row.path)
        except OSError as error:
            # The scheduler rings for it again.
            log.warning("an import's file is not removed", import_id=import_id, error=type(error).__name__)
            return
    with writing(engine) as connection:
        imports.forget_checked(connection, import_id)
        imports.update(connection, import_id, has_scratch=False)


def _run_batch(
    engine: Engine,
    import_id: str,
    reader: Reader,
    memory: _Memory,
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
    except (DialectError, OSError) as error:
        if isinstance(error, BucketError) and error.errno != errno.EACCES:
            # A bucket that is away comes back.
            log.warning("an import waits for its bucket", import_id=import_id)
            return False
        return _fail(engine, seen, error, now)
    if ahead:
        reader.read_ahead(seen, batch)
    with writing(engine) as connection:
        held = imports.lock(connection, import_id)
        if held is None or held.state != ImportState.RUNNING:
            return True
        if held.offset != seen.offset:
            return False
        _write(connection, held, batch, memory, now)
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


def _fail(engine: Engine, seen: AnyRow, error: DialectError | OSError, now: datetime) -> bool:
    """End an import that cannot go on, unless another worker has moved it on; whether it is over.

    Whatever is wrong with the file, an import that runs for ever would keep its list's campaigns from finishing.
    """
    sentence = str(error)
    if isinstance(error, OSError):
        sentence = f"{seen.file_name} {why_unreadable(error)}, then import it anew: what was read stays."
    with writing(engine) as connection:
        held = imports.lock(connection, seen.id)
        if held is None or held.state != ImportState.RUNNING:
            return True
        if held.offset != seen.offset:
            return False
        values = {"state": ImportState.FAILED.value, "error": sentence, "ended_at": now}
        imports.update(connection, seen.id, **values)
    return True


def why_unreadable(error: OSError) -> str:
    """Why a file cannot be read, and what mends it; its path is nobody's business but the operator's."""
    if isinstance(error, PermissionError):
        return "may not be read: mend the file's rights"
    disk = "bucket" if isinstance(error, BucketError) else "disk"
    return f"cannot be read ({uploads.why(error)}): see to the file and its {disk}"


def claim(connection: Connection, now: datetime, limit: int = MOST_CLAIMED) -> list[str]:
    """The ids of imports whose worker has gone; ring `run_import` for each. Leased, so that one rings once."""
    return imports.claim(connection, now, now + LEASE, limit)


class _Memory:
    """What is kept from batch to batch, so that it need not be looked up for each; a short file's only batch keeps
    nothing."""

    def __init__(self) -> None:
        self._known: Known | None = None
        self._listed: set[str] | None = None
        self._is_long = False

    def known(self, held: AnyRow, batch: Batch) -> Known | None:
        """What is known of the list's numbers."""
        if self._known is None and not batch.at_end:
            self._known = Known(held.size)  # rows have some fifty bytes
        return self._known

    def listed_among(self, connection: Connection, held: AnyRow, batch: Batch) -> set[str]:
        """Those of a batch that stand on the account's global DND list. That is only counted here: who may be dialled
        is asked when they are. So a list that is not too long is read once, and is then as it was when the import was
        taken up."""
        if held.kind != ImportKind.CONTACTS:
            return set()
        if self._listed is None and not self._is_long and not batch.at_end:
            self._listed = dnd.global_numbers(connection, held.account_id, MOST_LISTED)
            self._is_long = self._listed is None
        if self._listed is None:
            return dnd.globally_listed(connection, held.account_id, batch.taken.e164)
        return self._listed.intersection(batch.taken.e164)


def _write(connection: Connection, held: AnyRow, batch: Batch, memory: _Memory, now: datetime) -> None:
    """Write a batch, and move the offset and the counters past it."""
    numbers = batch.taken.e164
    new = _add(connection, held, batch.taken, now, memory.known(held, batch))
    column = Places.of(Dialect.from_json(held.dialect)).number_column
    duplicates = [
        Rejection(line, column, e164, "duplicate", "The number is in the list already.")
        for line, e164, is_new in zip(batch.lines, numbers, new, strict=True)
        if not is_new
    ]
    _add_rejected(connection, held, sorted([*batch.rejected, *duplicates], key=lambda one: one.line))
    suppressed = memory.listed_among(connection, held, batch).intersection(compress(numbers, new))
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


def _add(
    connection: Connection, held: AnyRow, taken: NewContacts, now: datetime, known: Known | None
) -> list[bool]:
    if not taken:
        return []
    if held.dry_run:
        return _look(connection, held, taken.e164)
    if held.kind == ImportKind.CONTACTS:
        return contacts.add_columns(connection, held.target_id, taken, now, known)
    numbers = list(zip(taken.e164, taken.name, strict=True))
    return dnd.add_numbers(connection, held.target_id, numbers, now)


def _look(connection: Connection, held: AnyRow, numbers: Sequence[str]) -> list[bool]:
    """What `_add` would answer; only that these numbers were met is written, beside the list."""
    of_contacts = held.kind == ImportKind.CONTACTS
    known = (contacts.present if of_contacts else dnd.present)(connection, held.target_id, numbers)
    return imports.check(connection, held.id, numbers, known)


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
