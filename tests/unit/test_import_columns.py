"""Rows read column by column: the same contacts and the same errors as row by row."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dialer.imports import columns, rows
from dialer.imports.dialect import Column, Dialect
from dialer.imports.rows import RowError
from dialer.models import ImportKind
from dialer.store.contacts import NewContact

CALLED = rows.Columns("Phone", "Name", "fields")
ALL = (
    Column("name", "name", "Name"),
    Column("number", "", "Phone"),
    Column("field", "note", "note"),
    Column("", "", ""),
    Column("time_zone", "", "timezone"),
    Column("field", "column_6", "Сумма"),
    Column("language", "", "language"),
)
NUMBER_ONLY = (Column("number", "", "Phone"),)

number = st.sampled_from(
    [
        *("+919979271234", "919979271234", "9979271234", " +91 99792-71234", "+12015550123", "+18005551234"),
        *(
            "+61412345678",
            "+5491123456789",
            "+7926123456",
            "+",
            "",
            " ",
            "call me",
            "9.1E+11",
            "+٩١٩٩٧٩٢٧١٢٣٤",
        ),
        *("+919979271234\n", "00919979271234", "+0", "+9" * 30),
    ]
)
text = st.text(st.sampled_from('ab "\\\t\n\r\x00\x7f\x85\xa0\ud800,{}%Жé名'), max_size=5) | st.sampled_from(
    ["n" * 200, "n" * 201, "n" * 1000, "n" * 1001, " " * 1001, "%s", "null"]
)
zone = st.sampled_from(["", " ", "Asia/Dubai", " Asia/Dubai\n", "Mars/Base"])
language = st.sampled_from(["", " ", "en-IN", "\tru ", "English please"])
row = st.tuples(text, number, text, text, zone, text, language).map(list)
short_row = st.builds(lambda cells, length: cells[:length], row, st.integers(0, 7))
plain_row = st.builds(
    lambda name: [name, "+919979271234", "5", "", "", "x", ""], st.sampled_from(["Ann", "Bo"])
)
regions = st.sampled_from([None, "IN", "us", "XX"])


def one_by_one(
    given: list[list[str]], kind: ImportKind, region: str | None
) -> tuple[list[NewContact], dict[int, tuple[str, str, str]]]:
    """What the rules for one row make of each."""
    contacts, errors = [], {}
    for place, cells in enumerate(given):
        name, phone, note, _, time_zone, amount, language = [*cells, *[""] * (7 - len(cells))]
        try:
            if kind is ImportKind.DND:
                contacts.append(rows.dnd_number(phone, region=region, name=name, columns=CALLED))
                continue
            contacts.append(
                rows.contact(
                    phone,
                    region=region,
                    name=name,
                    fields={"name": name, "note": note, "column_6": amount},
                    time_zone=time_zone,
                    language=language,
                    columns=CALLED,
                )
            )
        except RowError as error:
            errors[place] = (error.column, error.value, error.reason)
    return contacts, errors


def by_columns(
    given: list[list[str]], kind: ImportKind, region: str | None, layout: tuple[Column, ...] = ALL
) -> tuple[Any, dict[int, tuple[str, str, str]]]:
    places = columns.Places.of(Dialect("utf-8", ",", layout))
    found, errors = columns.read(given, places, kind, region)
    assert all(len(found) == len(column) for column in found.has.values())
    for at, fields in enumerate(found.fields):
        assert {name for name, column in found.has.items() if column[at]} == set(json.loads(fields))
    each = zip(found.e164, found.name, found.fields, found.time_zone, found.language, strict=True)
    people = [
        NewContact(e164, name, json.loads(fields), time_zone, language)
        for e164, name, fields, time_zone, language in each
    ]
    return people, {place: (one.column, one.value, one.reason) for place, one in errors.items()}


@settings(max_examples=400, deadline=None)
@given(st.lists(row | short_row | plain_row, max_size=6), regions)
@example([], None)
@example([["Ann", "+919979271234", 'say "hi"\\', "", "", "a\tb", ""], ["Bo", "+919979271235"]], None)
@example([["n" * 201, "12", "n" * 1001, "", "Mars/Base", "", "English please"]], None)
@example([["n" * 201, "+919979271234", "n" * 1001, "", "Mars/Base", "", "English please"]], None)
@example([["n" * 201, "+919979271234", "n" * 1001]], None)
def test_contacts_are_read_as_one_by_one(given: list[list[str]], region: str | None) -> None:
    assert by_columns(given, ImportKind.CONTACTS, region) == one_by_one(given, ImportKind.CONTACTS, region)


@settings(max_examples=100, deadline=None)
@given(st.lists(row | short_row, max_size=6), regions)
def test_numbers_never_to_dial_are_read_as_one_by_one(given: list[list[str]], region: str | None) -> None:
    assert by_columns(given, ImportKind.DND, region) == one_by_one(given, ImportKind.DND, region)


def test_a_file_of_numbers_alone_has_nothing_else() -> None:
    people, errors = by_columns([["+919979271234"], []], ImportKind.CONTACTS, None, NUMBER_ONLY)
    assert people == [NewContact("+919979271234", time_zone="Asia/Kolkata")]
    assert [(place, column) for place, (column, _, _) in errors.items()] == [(1, "Phone")]
