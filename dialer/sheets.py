"""Spreadsheets (XLSX) as CSV: one line per row, so that a line's number is the row's.

python-calamine reads a sheet as a whole, ten times as fast as others read it row by row, and a small file may unpack
to more than any host has. So it is read by a process of its own (`python -m dialer.sheets`), which may take so much
memory, time and disk and no more.
"""

# ruff: noqa: PLC0415 - the process that reads needs nothing of ours, and nobody else needs what it imports

from __future__ import annotations

import csv
import datetime as dt
import json
import resource
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dialer.errors import LimitReached

MAGIC = b"PK\x03\x04"
#: Bytes of a file that is looked into.
MOST_READ = 512 * 1024**2
#: Bytes of memory, bytes of the CSV file and seconds of the processor.
MOST_MEMORY = 2 * 1024**3
MOST_WRITTEN = 1024**3
MOST_SECONDS = 120
#: How many are read at once in this process: each may take all of that.
_READERS = threading.BoundedSemaphore(2)
#: Bytes that a workbook may unpack to, by its own word.
MOST_UNPACKED = 1536 * 1024**2
MOST_ENTRIES = 10_000
#: From here on a number of a spreadsheet has lost digits.
EXACT = 10**15

_TOO_BIG = "The spreadsheet needs more memory or time than it may have: save it as CSV UTF-8."
_BROKEN = "The spreadsheet cannot be read: save it anew as XLSX, or as CSV UTF-8."
_LINE_BREAKS = str.maketrans(dict.fromkeys("\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029", " "))


class SheetError(ValueError):
    """A spreadsheet that cannot be read; the text is one sentence with the mend."""


def is_spreadsheet(head: bytes) -> bool:
    """Whether a file that begins like this may be one."""
    return head.startswith(MAGIC)


def to_csv(source: Path, target: Path, sheet: str | None = None) -> None:
    """Write a sheet (the first one, unless named) as CSV in UTF-8, with commas. Raises `SheetError`, and
    `LimitReached` while this process reads as many as it may."""
    _check(source)
    if not _READERS.acquire(blocking=False):
        sentence = "Other spreadsheets are being read at the moment: send it again in a minute."
        raise LimitReached("file", sentence, retry_after=60)
    try:
        _converted(source, target, sheet)
    finally:
        _READERS.release()


def _converted(source: Path, target: Path, sheet: str | None) -> None:
    command = [sys.executable, "-I", "-c", _RUN, json.dumps(sys.path), str(source), str(target), sheet or ""]
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            command, check=False, timeout=2 * MOST_SECONDS, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise SheetError(_TOO_BIG) from None
    if done.returncode == 0:
        return
    said = done.stdout.decode(errors="replace").strip()
    raise SheetError(said or _TOO_BIG)


_RUN = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from dialer.sheets import main
sys.exit(main(*sys.argv[2:]))
"""


def main(source: str, target: str, sheet: str) -> int:
    """The process that reads: 0, or 1 with a sentence on its standard output."""
    for kind, most in (
        (resource.RLIMIT_AS, MOST_MEMORY),
        (resource.RLIMIT_FSIZE, MOST_WRITTEN),
        (resource.RLIMIT_CPU, MOST_SECONDS),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    try:
        _convert(source, target, sheet)
    except SheetError as error:
        print(error)  # noqa: T201 - what it is started for
        return 1
    return 0


def _convert(source: str, target: str, sheet: str) -> None:
    from python_calamine import CalamineError, CalamineWorkbook, PasswordError

    try:
        with CalamineWorkbook.from_path(source) as book:
            rows = book.get_sheet_by_name(_chosen(book.sheet_names, sheet)).iter_rows()
            with open(target, "w", encoding="utf-8", errors="replace", newline="") as file:
                _write(rows, file)
    except PasswordError:
        raise SheetError("The spreadsheet is locked with a password: save it without one.") from None
    except (MemoryError, OSError):
        raise SheetError(_TOO_BIG) from None
    except CalamineError:
        raise SheetError(_BROKEN) from None


def _chosen(names: list[str], sheet: str) -> str:
    if not names:
        raise SheetError(_BROKEN)
    if not sheet:
        return names[0]
    if sheet not in names:
        shown = ", ".join(name[:40] for name in names[:20])
        raise SheetError(f"The spreadsheet has no sheet {sheet[:40]!r}: name one of {shown}.")
    return sheet


def _write(rows: Iterator[list[Any]], file: Any) -> None:
    writer = csv.writer(file, lineterminator="\n")
    for row in rows:
        cells = [_text(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            writer.writerow(cells)
        else:
            file.write("\n")


def _text(cell: Any) -> str:
    """A cell as a person would have typed it."""
    if isinstance(cell, str):
        return cell.translate(_LINE_BREAKS)
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < EXACT:
        return str(int(cell))
    if isinstance(cell, dt.datetime):
        # A day without a time of its own is midnight to a spreadsheet.
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat(" ", "seconds")
    return str(cell)


def _check(source: Path) -> None:
    """Refuse what says itself that it is too big, or is no spreadsheet, before anything is unpacked."""
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError):
        raise SheetError(_BROKEN) from None
    if not any(entry.filename == "xl/workbook.xml" for entry in entries):
        raise SheetError("The file is packed, and no XLSX spreadsheet: give XLSX or CSV UTF-8.")
    if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > MOST_UNPACKED:
        raise SheetError(_TOO_BIG)
