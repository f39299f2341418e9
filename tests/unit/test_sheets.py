"""Spreadsheets become CSV: what a cell means, and what is not unpacked."""

from __future__ import annotations

import datetime as dt
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from dialer import sheets
from dialer.errors import LimitReached
from dialer.imports import columns
from dialer.imports.dialect import detect
from dialer.imports.records import Records
from dialer.models import ImportKind
from dialer.sheets import SheetError, to_csv


def workbook(path: Path, **made: list[list[Any]]) -> Path:
    """A workbook of these sheets; every row begins in the first column."""
    with xlsxwriter.Workbook(path) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for name, rows in made.items():
            sheet = book.add_worksheet(name)
            for at, row in enumerate(rows):
                for column, value in enumerate(row):
                    if isinstance(value, dt.date):
                        sheet.write_datetime(at, column, value, day)
                    elif value is not None:
                        sheet.write(at, column, value)
    return path


def test_one_process_reads_few_at_once(tmp_path: Path) -> None:
    source = workbook(tmp_path / "book.xlsx", one=[["phone"], ["1"]])
    with sheets._READERS, sheets._READERS, pytest.raises(LimitReached, match="again in a minute"):
        to_csv(source, tmp_path / "book.csv")
    assert lines(source) == ["phone", "1"]


def lines(source: Path, sheet: str | None = None) -> list[str]:
    target = source.with_suffix(".csv")
    to_csv(source, target, sheet)
    return target.read_text(encoding="utf-8").split("\n")[:-1]


def test_a_cell_is_what_a_person_would_have_typed(tmp_path: Path) -> None:
    made = workbook(
        tmp_path / "a.xlsx",
        People=[
            ["phone", "note"],
            [79161234567, "two\nlines, one cell"],
            ["+7 916 123-45-67", 5.5],
            ["0079161234567", True],
            [None, None],
            [None, dt.date(2026, 5, 4)],
            ["Жанна", dt.datetime(2026, 5, 4, 12, 30)],  # noqa: DTZ001 - sheets know no zones
            ["7.9E+10", 79161234567000000000],
        ],
    )
    assert lines(made) == [
        "phone,note",
        '79161234567,"two lines, one cell"',
        "+7 916 123-45-67,5.5",
        "0079161234567,TRUE",
        "",
        ",2026-05-04",
        "Жанна,2026-05-04 12:30:00",
        "7.9E+10,7.9161234567e+19",
    ]


def test_numbers_that_a_spreadsheet_has_spoilt_are_refused_with_the_row(tmp_path: Path) -> None:
    rows = [["phone"], [79161234567], ["7.9E+10"], [7.9161234567e19], [79161234567.5], [dt.date(2026, 5, 4)]]
    made = workbook(tmp_path / "a.xlsx", People=rows)
    to_csv(made, target := tmp_path / "a.csv")
    with target.open("rb") as file:
        dialect, offset, line = detect(file, None, (",",))
        records = Records(file, dialect.encoding, dialect.delimiter, offset=offset, line=line)
        cells = []
        while (record := records.read()) is not None:
            assert record.cells is not None
            cells.append(record.cells)
    taken, errors = columns.read(cells, columns.Places.of(dialect), ImportKind.CONTACTS, "RU")
    assert taken.e164 == ["+79161234567"]
    assert sorted(errors) == [1, 2, 3, 4]
    assert "scientific" in errors[1].reason
    assert all(one.reason.endswith(".") for one in errors.values())


def test_a_sheet_is_chosen_by_name(tmp_path: Path) -> None:
    made = workbook(tmp_path / "a.xlsx", First=[["phone"]], Second=[["number"]])
    assert lines(made) == ["phone"]
    assert lines(made, "Second") == ["number"]
    with pytest.raises(SheetError, match=r"no sheet 'Third': name one of First, Second\."):
        lines(made, "Third")


def test_empty_rows_before_the_header_keep_their_numbers(tmp_path: Path) -> None:
    assert lines(workbook(tmp_path / "a.xlsx", One=[[], [], ["phone"]])) == ["", "", "phone"]


def test_a_sheet_that_unpacks_to_more_than_the_host_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write(0, 0, "phone")
        sheet.write(1_048_575, 16_383, "x")
    assert path.stat().st_size < 10_000
    with pytest.raises(SheetError, match="more memory or time"):
        lines(path)


def test_a_file_that_says_how_big_it_is_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = workbook(tmp_path / "a.xlsx", One=[["phone"]])
    monkeypatch.setattr(sheets, "MOST_UNPACKED", 100)
    monkeypatch.setattr(sheets.subprocess, "run", None)
    with pytest.raises(SheetError, match="more memory or time"):
        lines(made)


def test_a_file_that_lies_about_its_size_gets_no_more_memory(tmp_path: Path) -> None:
    # 3 GB of blanks in 3 MB, under the name of a sheet.
    made = workbook(tmp_path / "a.xlsx", One=[["phone"]])
    bomb = tmp_path / "bomb.xlsx"
    with (
        zipfile.ZipFile(made) as source,
        zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
    ):
        for entry in source.infolist():
            if entry.filename != "xl/sharedStrings.xml":
                target.writestr(entry, source.read(entry))
        with target.open("xl/sharedStrings.xml", "w", force_zip64=False) as strings:
            strings.write(b'<?xml version="1.0"?><sst><si><t>')
            for _ in range(400):
                strings.write(b"x" * 1_000_000)
    raw = bytearray(bomb.read_bytes())
    name = b"xl/sharedStrings.xml"
    central = raw.rindex(name) - 46  # the central directory's entry
    raw[central + 24 : central + 28] = (1000).to_bytes(4, "little")
    bomb.write_bytes(raw)
    with pytest.raises(SheetError):
        lines(bomb)


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"phone\n", b""])
def test_what_is_no_spreadsheet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(SheetError, match="cannot be read"):
        lines(path)


def test_another_packed_file_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("a.csv", "phone\n1\n")
    with pytest.raises(SheetError, match="no XLSX"):
        lines(tmp_path / "a.xlsx")
