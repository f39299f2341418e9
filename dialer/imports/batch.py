"""Batches of an import: rows read from its file and checked, not yet written.

A batch is read while the one before it is written: reading takes this process, writing takes the database.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from dialer.imports import rows as row_rules
from dialer.imports import uploads
from dialer.imports.dialect import Dialect, DialectError
from dialer.imports.records import Records
from dialer.models import ImportKind
from dialer.store.contacts import NewContact
from dialer.store.tables import AnyRow


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
    accepted: list[tuple[int, NewContact]] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)


class Reader:
    """Reads the batches of one import, up to `rows` rows each, and on request the next one beforehand."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="import")
        self._next: tuple[int, Future[Batch]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(cancel_futures=True)

    def read(self, row: AnyRow) -> Batch:
        """The batch at the import's offset. Raises `DialectError` when the file is no longer what it was, `OSError`."""
        begun, self._next = self._next, None
        if begun is not None and begun[0] == row.offset:
            return begun[1].result()
        return _read(row, row.offset, row.line, self._rows)

    def read_ahead(self, row: AnyRow, batch: Batch) -> None:
        """Begin to read what follows `batch`."""
        if not batch.at_end:
            following = self._thread.submit(_read, row, batch.offset, batch.line, self._rows)
            self._next = batch.offset, following


def _read(row: AnyRow, offset: int, line: int, limit: int) -> Batch:
    """Read and check the next rows. Raises `DialectError` when the file is no longer what it was."""
    path, dialect = Path(row.path), Dialect.from_json(row.dialect)
    size = uploads.size_of(path)
    if size is None:
        raise DialectError(f"{row.file_name} is gone: upload it again and import it anew.")
    if size != row.size:
        raise DialectError(f"{row.file_name} has changed since its import began: import it anew.")
    read = _contact if row.kind == ImportKind.CONTACTS else _dnd_number
    places = _Places.of(dialect)
    batch = Batch(offset, line)

    def take(at: int, cells: list[str]) -> None:
        # A short row lacks the rest.
        cells += places.blanks[len(cells) :]
        try:
            batch.accepted.append((at, read(places, cells, row.region)))
        except row_rules.RowError as error:
            if any(map(str.strip, cells)):
                batch.rejected.append(Rejection(at, error.column, error.value, reason=error.reason))

    with path.open("rb") as file:
        records = Records(
            file,
            dialect.encoding,
            dialect.delimiter,
            offset=offset,
            line=line,
            columns=len(dialect.columns),
            number_at=places.number,
        )
        left = limit
        while left:
            first = records.line
            rows = records.read_lines(left)
            for at, cells in enumerate(rows, first):
                take(at, cells)
            left -= len(rows)
            if rows:
                continue
            record = records.read()
            if record is None:
                batch.at_end = True
                break
            left -= 1
            if record.cells is None:
                batch.rejected.append(Rejection(record.line, "", "", reason=record.problem))
            else:
                take(record.line, record.cells)
        batch.offset, batch.line = records.offset, records.line
    return batch


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a row's cells stand: the number, the fields by name, and the others, if any (else the empty cell at the
    end of `blanks`, an empty row that is one cell longer than a row)."""

    number: int
    number_column: str
    name: int
    time_zone: int
    language: int
    fields: tuple[tuple[str, int], ...]
    blanks: tuple[str, ...]

    @classmethod
    def of(cls, dialect: Dialect) -> _Places:
        columns = dialect.columns
        by_role = {one.role: place for place, one in enumerate(columns)}
        nowhere = len(columns)
        return cls(
            number=by_role["number"],
            number_column=columns[by_role["number"]].header,
            name=by_role.get("name", nowhere),
            time_zone=by_role.get("time_zone", nowhere),
            language=by_role.get("language", nowhere),
            fields=tuple((one.field, place) for place, one in enumerate(columns) if one.field),
            blanks=("",) * (nowhere + 1),
        )


def _contact(places: _Places, cells: list[str], region: str | None) -> NewContact:
    return row_rules.contact(
        cells[places.number],
        region=region,
        name=cells[places.name],
        fields={name: cells[place] for name, place in places.fields},
        time_zone=cells[places.time_zone],
        language=cells[places.language],
        column=places.number_column,
    )


def _dnd_number(places: _Places, cells: list[str], region: str | None) -> NewContact:
    return row_rules.dnd_number(
        cells[places.number], region=region, name=cells[places.name], column=places.number_column
    )
