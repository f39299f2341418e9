"""Batches of an import: rows read from its file and checked, not yet written.

A batch is read while the one before it is written: reading takes this process, writing takes the database.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import BinaryIO, Self

from dialer import uploads
from dialer.buckets import ChangedError
from dialer.imports import columns
from dialer.imports.dialect import Dialect, DialectError
from dialer.imports.records import Records
from dialer.models import ImportKind
from dialer.store.contacts import NewContacts
from dialer.store.tables import AnyRow

#: Of a file with long rows a batch has fewer: about so many bytes, for in memory they are several times that.
MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that is not taken, and why."""

    line: int
    column: str
    value: str = field(repr=False)
    code: str = "invalid"
    reason: str = ""


@dataclass(slots=True)
class Batch:
    """Rows with their lines; `offset` and `line` are where the next batch begins."""

    offset: int
    line: int
    at_end: bool = False
    #: The rows that are taken, and the line of each.
    taken: NewContacts = field(default_factory=lambda: NewContacts.of([]))
    lines: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


class Reader:
    """Reads the batches of one import, up to `rows` rows each, and on request the next one beforehand.

    Has a thread for that.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="import")
        self._next: tuple[int, Future[Batch]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def read(self, row: AnyRow) -> Batch:
        """The batch at the import's offset. Raises `DialectError` when the file is no longer what it was, `OSError`."""
        begun, self._next = self._next, None
        if begun is not None and begun[0] == row.offset:
            return begun[1].result()
        return _read(row, row.offset, row.line, self._rows)

    def read_ahead(self, row: AnyRow, batch: Batch) -> None:
        """Begin to read what follows `batch`."""
        if not batch.at_end:
            following = self._threads.submit(_read, row, batch.offset, batch.line, self._rows)
            self._next = batch.offset, following


def _read(row: AnyRow, offset: int, line: int, limit: int) -> Batch:
    """Read and check the next rows. Raises `DialectError` when the file is no longer what it was."""
    found = uploads.at(row.path)
    if found is None:
        raise DialectError(f"{row.file_name} is gone: upload it again and import it anew.")
    try:
        # A version that is not known is that of an import which an earlier release began.
        if found.size != row.size or found.version != (row.version or found.version):
            raise ChangedError
        with found.open() as file:
            return _batch(file, row, offset, line, limit)
    except ChangedError:
        raise DialectError(f"{row.file_name} has changed since its import began: import it anew.") from None


def _batch(file: BinaryIO, row: AnyRow, offset: int, line: int, limit: int) -> Batch:
    dialect = Dialect.from_json(row.dialect)
    places = columns.Places.of(dialect)
    batch = Batch(offset, line)
    rows: list[list[str]] = []
    lines: list[int] = []
    records = Records(
        file,
        dialect.encoding,
        dialect.delimiter,
        offset=offset,
        line=line,
        columns=len(dialect.columns),
        number_at=places.number,
    )
    while len(rows) + len(batch.rejected) < limit and records.offset < offset + MOST_BYTES:
        first = records.line
        found = records.read_lines(limit - len(rows) - len(batch.rejected))
        rows += found
        lines += range(first, first + len(found))
        if found:
            continue
        record = records.read()
        if record is None:
            batch.at_end = True
            break
        if record.cells is None:
            batch.rejected.append(Rejection(record.line, "", "", reason=record.problem))
        else:
            rows.append(record.cells)
            lines.append(record.line)
    batch.offset, batch.line = records.offset, records.line
    batch.taken, errors = columns.read(rows, places, ImportKind(row.kind), row.region)
    batch.lines = [at for place, at in enumerate(lines) if place not in errors]
    batch.rejected += [
        Rejection(lines[place], error.column, error.value, reason=error.reason)
        for place, error in errors.items()
        if any(map(str.strip, rows[place]))
    ]
    return batch
