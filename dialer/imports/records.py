"""The records of a CSV file, one at a time, with the byte offset at which each ends.

Lines are cut as bytes and decoded one by one, and `csv` is fed no line more than a record needs: so the offset
after a record is exact, and reading on from there gives what reading through would have given.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

#: Bytes of one record, quoted line breaks included.
LONGEST_RECORD = 64 * 1024
#: Bytes looked at for lines that are easy to read: few after a line that was not, more and more after that. No line
#: of a block is too long for a record.
BLOCKS = (4 * 1024, LONGEST_RECORD)

_UNCLOSED = "A quotation mark is opened and not closed: close it, or double it where it is part of the text."
_TOO_LONG = f"The line is longer than {LONGEST_RECORD:,} bytes."
_LOOKS_LIKE_NUMBER = re.compile(r"\+?[0-9][0-9\s().\-]{5,}", re.ASCII)
_MALFORMED = "The line is not CSV: put texts with quotation marks or line breaks in quotation marks."


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the line on which it begins (from 1), its cells, or why it cannot be read."""

    line: int
    cells: list[str] | None
    problem: str = ""


class _TooLongError(Exception):
    pass


class _Lines:
    """Feeds `csv` with decoded lines, and counts what the record at hand has taken."""

    def __init__(self, file: BinaryIO, encoding: str) -> None:
        self._file = file
        self._encoding = encoding
        self.begin()

    def begin(self) -> None:
        self.taken = 0
        self.texts: list[str] = []
        self.ended = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(LONGEST_RECORD + 1 - self.taken)
        if not line:
            self.ended = True
            raise StopIteration
        self.taken += len(line)
        if self.taken > LONGEST_RECORD:
            raise _TooLongError
        self.texts.append(line.decode(self._encoding))
        return self.texts[-1]


class Records:
    """Reads on from `offset`, which is the beginning of line `line`. `offset` and `line` move with every record.

    `columns` is how many the header names, `number_at` which of them (from 0) holds the numbers.
    """

    def __init__(
        self,
        file: BinaryIO,
        encoding: str,
        delimiter: str,
        *,
        offset: int,
        line: int,
        columns: int | None = None,
        number_at: int = 0,
    ) -> None:
        self.offset = offset
        self.line = line
        self._file = file
        self._encoding = encoding
        self._delimiter = delimiter
        self._columns = columns
        self._number_at = number_at
        self._block = BLOCKS[1]
        self._file.seek(offset)
        self._restart()

    def read_lines(self, limit: int) -> list[list[str]]:
        """The cells of the next records, at most `limit`, as long as each is one line that makes sense by itself.

        These are read many at once. None at the end of the file, or where a record needs the care of `read`.
        """
        block = self._file.read(self._block)
        lines = block.split(b"\n")[:-1][:limit]  # what follows the last line break is no whole line
        rows = self._rows(lines)
        self._block = BLOCKS[0] if len(rows) < len(lines) else min(2 * self._block, BLOCKS[1])
        self.offset += sum(map(len, lines[: len(rows)])) + len(rows)
        self.line += len(rows)
        self._file.seek(self.offset)
        self._restart()
        return rows

    def _rows(self, lines: list[bytes]) -> list[list[str]]:
        together = b"\n".join(lines)
        if lines and b'"' not in together:
            # Each line is a record, so there is nothing to look at between them.
            try:
                rows = list(csv.reader(str(together, self._encoding).split("\n"), delimiter=self._delimiter))
            except (UnicodeDecodeError, csv.Error):
                pass
            else:
                if self._columns is None or max(map(len, rows)) <= self._columns:
                    return rows
        rows = []
        # An empty line more shows whether a quotation mark is still open after the last one.
        texts = map(partial(str, encoding=self._encoding, errors="strict"), [*lines, b""])
        reader = csv.reader(texts, delimiter=self._delimiter)
        most = LONGEST_RECORD if self._columns is None else self._columns
        try:
            for cells in reader:
                if reader.line_num > len(rows) + 1:
                    break
                if len(cells) > most:
                    if self._has_too_many(cells):
                        break
                    del cells[most:]
                rows.append(cells)
        except (UnicodeDecodeError, csv.Error):
            pass
        return rows[: len(lines)]

    def read(self) -> Record | None:
        """The next record; None at the end of the file.

        A quotation mark that is never closed would swallow the rows after it. So where a record makes no sense
        only its first line is given up, and reading goes on with the line after it.
        """
        self._lines.begin()
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except (_TooLongError, UnicodeDecodeError, csv.Error) as error:
            return self._give_up(self._why(error))
        if (self._lines.ended and self._lines.texts) or self._has_swallowed_rows():
            return self._give_up(_UNCLOSED)
        if self._has_too_many(cells):
            return self._give_up(
                f"The line has {len(cells)} columns, the first line names {self._columns}: put texts that hold "
                "the delimiter in quotation marks."
            )
        record = Record(self.line, cells[: self._columns])
        self.offset += self._lines.taken
        self.line += len(self._lines.texts)
        return record

    def _has_too_many(self, cells: list[str]) -> bool:
        """Whether there is something in columns that the header does not name."""
        columns = self._columns
        return columns is not None and len(cells) > columns and any(map(str.strip, cells[columns:]))

    def _has_swallowed_rows(self) -> bool:
        """Whether a record of several lines is rather several rows between two stray quotation marks."""
        texts = self._lines.texts
        if len(texts) < 2:
            return False
        tidy = re.sub(rf'"[ \t]+(?=[{re.escape(self._delimiter)}\r\n]|$)', '"', "".join(texts))
        try:
            next(csv.reader(tidy.splitlines(keepends=True), delimiter=self._delimiter, strict=True))
        except csv.Error:
            return True
        for text in texts[1:]:
            cells = text.split(self._delimiter)
            if len(cells) == self._columns and _LOOKS_LIKE_NUMBER.fullmatch(
                cells[self._number_at].strip('" \r\n')
            ):
                return True
        return False

    def _why(self, error: Exception) -> str:
        if isinstance(error, _TooLongError):
            return _UNCLOSED if self._lines.texts else _TOO_LONG
        if isinstance(error, UnicodeDecodeError):
            return f"The line is not in {self._encoding} as the first ones are: save the file as CSV UTF-8."
        return _MALFORMED

    def _give_up(self, problem: str) -> Record:
        self._file.seek(self.offset)
        while True:
            part = self._file.readline(LONGEST_RECORD)
            self.offset += len(part)
            if not part or part.endswith(b"\n"):
                break
        record = Record(self.line, None, problem)
        self.line += 1
        self._restart()
        return record

    def _restart(self) -> None:
        self._lines = _Lines(self._file, self._encoding)
        self._reader = csv.reader(self._lines, delimiter=self._delimiter)
