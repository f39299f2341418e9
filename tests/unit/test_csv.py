"""CSV files as people save them, read record by record with exact offsets."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.imports import rows
from dialer.imports.dialect import DialectError, detect
from dialer.imports.records import LONGEST_RECORD, Record, Records
from dialer.imports.rows import RowError

RUSSIAN = "contact_number;contact_name\n79161234567;Иван Петров\n79161234568;Ольга\n"


def read_all(content: bytes, *, offset: int = 0, line: int = 1, columns: int | None = None) -> list[Record]:
    records = Records(io.BytesIO(content), "utf-8", ",", offset=offset, line=line, columns=columns)
    found = []
    while (record := records.read()) is not None:
        found.append(record)
    assert records.offset == len(content)
    return found


def cells(content: bytes, columns: int | None = None) -> list[list[str] | None]:
    return [record.cells for record in read_all(content, columns=columns)]


# Records


def test_a_quoted_line_break_belongs_to_its_record() -> None:
    found = read_all(b'a,"one\r\ntwo"\r\nb,c\r\n')
    assert found == [Record(1, ["a", "one\r\ntwo"]), Record(3, ["b", "c"])]


def test_the_last_line_needs_no_line_end() -> None:
    assert cells(b"a,b\nc,d") == [["a", "b"], ["c", "d"]]


def test_an_unclosed_quotation_mark_costs_its_own_line_only() -> None:
    found = read_all(b'a,"b\nc,d\ne,f\n')
    assert [record.cells for record in found] == [None, ["c", "d"], ["e", "f"]]
    assert found[0].line == 1
    assert "quotation mark" in found[0].problem


def test_two_stray_quotation_marks_do_not_swallow_the_rows_between() -> None:
    found = cells(b'1,"b\n2,d\n3,f\n4,"g\n5,h\n', columns=2)
    assert [None if one is None else one[0] for one in found] == [None, "2", "3", None, "5"]


def test_a_row_that_looks_swallowed_is_not_swallowed() -> None:
    found = cells(b'919979271234,"ACME\n919979271235,x\n919979271236,ACME"\n919979271237,y\n', columns=2)
    assert [None if one is None else one[0][-1] for one in found] == [None, "5", "6", "7"]


def test_blanks_around_quoted_texts_with_line_breaks_do_no_harm() -> None:
    assert cells(b'1,"one\ntwo" \n2,b\n', columns=2) == [["1", "one\ntwo "], ["2", "b"]]


def test_a_quotation_mark_within_a_text_is_a_letter() -> None:
    assert cells(b'1,5" pipe\n2,b\n') == [["1", '5" pipe'], ["2", "b"]]


def test_more_cells_than_columns_are_refused_unless_they_are_empty() -> None:
    assert cells(b"1,a,\n2,b, ,\n3,c,d\n", columns=2) == [["1", "a"], ["2", "b"], None]


def test_an_endless_line_is_passed_over() -> None:
    found = read_all(b"a,b\n" + b"x" * (3 * LONGEST_RECORD) + b"\nc,d\n")
    assert [record.cells for record in found] == [["a", "b"], None, ["c", "d"]]
    assert found[2].line == 3


def test_a_quotation_mark_never_closed_in_a_long_file_is_given_up() -> None:
    filler = b"c,d\n" * (LONGEST_RECORD // 2)
    found = read_all(b'a,"b\n' + filler)
    assert found[0].cells is None
    assert len(found) == 1 + LONGEST_RECORD // 2


def test_a_line_in_another_encoding_is_refused_alone() -> None:
    assert cells("1,é\n".encode() + "2,é\n".encode("latin-1") + b"3,e\n") == [["1", "é"], None, ["3", "e"]]


cell = st.text(st.sampled_from('ab,"\n\r é;'), max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    table=st.lists(st.lists(cell, min_size=2, max_size=2), max_size=8), ends=st.sampled_from(["\n", "\r\n"])
)
def test_what_csv_writes_is_read_as_it_was_from_every_offset_on(table: list[list[str]], ends: str) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=ends, quoting=csv.QUOTE_ALL).writerows(table)
    content = written.getvalue().encode()
    records = Records(io.BytesIO(content), "utf-8", ",", offset=0, line=1, columns=2)
    for index, row in enumerate(table):
        rest = read_all(content, offset=records.offset, line=records.line, columns=2)
        assert [record.cells for record in rest] == table[index:]
        record = records.read()
        assert record is not None
        assert record.cells == row
    assert records.read() is None


@settings(max_examples=200, deadline=None)
@given(content=st.text(st.sampled_from('ab,"\n\r\né'), max_size=60).map(str.encode))
@example(content=b'"\n"')
@example(content=b'a\rb\n"')
def test_any_file_reads_on_from_any_record_as_if_it_had_been_read_through(content: bytes) -> None:
    whole = read_all(content, columns=2)
    records = Records(io.BytesIO(content), "utf-8", ",", offset=0, line=1, columns=2)
    for index in range(len(whole)):
        rest = read_all(content, offset=records.offset, line=records.line, columns=2)
        assert rest == whole[index:]
        records.read()


# Dialects


def in_lines(content: bytes, encoding: str, columns: int | None, limit: int) -> list[Record]:
    """Records read many at once where that can be, one by one where not."""
    records = Records(io.BytesIO(content), encoding, ",", offset=0, line=1, columns=columns)
    found: list[Record] = []
    while True:
        line = records.line
        rows = records.read_lines(limit)
        assert len(rows) <= limit
        found += [Record(line + index, row) for index, row in enumerate(rows)]
        if rows:
            continue
        record = records.read()
        if record is None:
            assert records.offset == len(content)
            return found
        found.append(record)


@settings(max_examples=400, deadline=None)
@given(
    content=st.text(st.sampled_from('ab1,"\n\n\r é')).map(str.encode),
    encoding=st.sampled_from(["utf-8", "cp1252", "shift_jis", "gb18030"]),
    columns=st.sampled_from([None, 1, 2]),
    limit=st.integers(1, 4),
)
@example(content=b'a,"b', encoding="utf-8", columns=None, limit=4)
@example(content=b'a,"b\n', encoding="utf-8", columns=None, limit=1)
@example(content=b'a,"b\nc",d\n', encoding="utf-8", columns=None, limit=4)
@example(content=b"a\rb\n\xe9\n", encoding="utf-8", columns=None, limit=4)
def test_lines_read_at_once_are_the_records_read_one_by_one(
    content: bytes, encoding: str, columns: int | None, limit: int
) -> None:
    one_by_one = Records(io.BytesIO(content), encoding, ",", offset=0, line=1, columns=columns)
    assert in_lines(content, encoding, columns, limit) == list(iter(one_by_one.read, None))


def test_most_lines_of_a_long_file_are_read_at_once() -> None:
    content = b"".join(b"%d,b\n" % number for number in range(50_000))
    records = Records(io.BytesIO(content), "utf-8", ",", offset=0, line=1, columns=2)
    rows: list[list[str]] = []
    while found := records.read_lines(10_000):
        rows += found
    assert rows == [[str(number), "b"] for number in range(50_000)]
    assert (records.offset, records.line, records.read()) == (len(content), 50_001, None)


@pytest.mark.parametrize("encoding", ["cp1251", "koi8_r", "cp866", "utf-8", "utf-8-sig"])
def test_russian_names_are_read_in_every_encoding_they_are_saved_in(encoding: str) -> None:
    content = RUSSIAN.encode(encoding)
    dialect, offset, line = detect(io.BytesIO(content))
    records = Records(io.BytesIO(content), dialect.encoding, dialect.delimiter, offset=offset, line=line)
    assert records.read() == Record(2, ["79161234567", "Иван Петров"])


@pytest.mark.parametrize(
    ("encoding", "name"), [("cp1252", "Jürgen Größe"), ("cp1253", "Αλέξης Παπαδόπουλος")]
)
def test_other_letters_are_told_too(encoding: str, name: str) -> None:
    content = f"phone;name\n4915112345678;{name}\n".encode(encoding)
    dialect, offset, line = detect(io.BytesIO(content))
    record = Records(
        io.BytesIO(content), dialect.encoding, dialect.delimiter, offset=offset, line=line
    ).read()
    assert record == Record(2, ["4915112345678", name])


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_delimiter_is_found(delimiter: str) -> None:
    header = delimiter.join([" Field1 ", '"Contact_Name, full"', " PHONE"])
    dialect, _, _ = detect(io.BytesIO(f"{header}\n".encode()))
    assert dialect.delimiter == delimiter
    assert [one.role for one in dialect.columns][-1] == "number"
    assert len(dialect.columns) == 3


def test_a_file_of_one_column_needs_no_delimiter() -> None:
    dialect, offset, line = detect(io.BytesIO(b"\n\nmsisdn\n4915112345678\n"))
    assert ([one.role for one in dialect.columns], offset, line) == (["number"], 9, 4)


def test_excels_hint_names_the_delimiter() -> None:
    dialect, offset, line = detect(io.BytesIO(b"sep=;\r\nphone;a,b\r\n1;2\r\n"))
    assert (dialect.delimiter, offset, line) == (";", 18, 3)


def test_columns_are_known_by_name_in_any_order_and_the_rest_become_fields() -> None:
    head = "Due amount,TimeZone,Name, Contact-Number ,Language,Сумма,,1st\n"
    dialect, _, _ = detect(io.BytesIO(head.encode()))
    assert [(one.role, one.field) for one in dialect.columns] == [
        ("field", "Due_amount"),
        ("time_zone", ""),
        ("name", "name"),
        ("number", ""),
        ("language", ""),
        ("field", "column_6"),
        ("", ""),
        ("field", "_1st"),
    ]
    assert type(dialect).from_json(dialect.to_json()) == dialect


def test_the_surest_of_two_names_is_the_column_of_numbers() -> None:
    dialect, _, _ = detect(io.BytesIO(b"number,contact_number\n"))
    assert [(one.role, one.field) for one in dialect.columns] == [("field", "number"), ("number", "")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"name,city\nx,y\n", "contact_number"),
        (b"919979271234,ankit\n", "contact_number"),
        ("phone\n1\n".encode("utf-16"), "CSV UTF-8"),
        ("phone\n1\n".encode("utf-16-le"), "CSV UTF-8"),
        (b"PK\x03\x04rest of a workbook", "spreadsheet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "spreadsheet"),
        (b"phone,name\r1,a\r", "CSV UTF-8"),
        (b"phone,a,a\n", "Two columns"),
        (b"phone,Phone\n", "Two columns"),
        (b"phone,a b,a_b\n", "Two columns"),
        (b"phone" + b",x" * 100 + b"\n", "101 columns"),
        (b"x" * 70_000, "first line"),
    ],
)
def test_what_cannot_be_imported_is_told_in_one_sentence(content: bytes, says: str) -> None:
    with pytest.raises(DialectError, match=says) as caught:
        detect(io.BytesIO(content))
    assert "919979271234" not in str(caught.value)


# Rows


def test_a_contact_has_its_own_zone_or_its_numbers() -> None:
    assert rows.contact("+919979271234", region=None).time_zone == "Asia/Kolkata"
    assert rows.contact("+919979271234", region=None, time_zone=" Asia/Dubai ").time_zone == "Asia/Dubai"
    assert rows.contact("+18005551234", region=None).time_zone is None


@given(st.text(st.characters(codec=None) | st.sampled_from("\t\x85\u2028\ufeff\ud800\xa0 a")))
def test_a_text_is_cleaned_alike_whether_or_not_it_needs_it(text: str) -> None:
    assert rows.clean(text) == text.translate(rows._CONTROLS).strip()


def test_what_no_table_holds_is_cleaned_away() -> None:
    found = rows.contact(
        "+919979271234", region=None, name="a\0b\ud800\n c ", fields={"x": "\0", "Due amount": " 5 "}
    )
    assert (found.name, found.fields) == ("ab  c", {"Due_amount": "5"})


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"text": "12"}, "contact_number"),
        ({"text": "9.1997927E+11"}, "contact_number"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"language": "English please"}, "language"),
        ({"name": "n" * 201}, "contact_name"),
        ({"fields": {"note": "n" * 1001}}, "note"),
        ({"fields": {"имя": "x"}}, "contact_fields"),
        ({"fields": {"a b": "x", "a_b": "y"}}, "contact_fields"),
        ({"fields": {f"f{n}": "x" for n in range(101)}}, "contact_fields"),
    ],
)
def test_a_bad_row_names_its_column(changes: dict[str, object], column: str) -> None:
    given = {"text": "+919979271234", "region": None, **changes}
    with pytest.raises(RowError) as caught:
        rows.contact(**given)  # type: ignore[arg-type]
    assert caught.value.column == column
    assert caught.value.reason.endswith(".")
