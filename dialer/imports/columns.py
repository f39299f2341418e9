"""Rows of a file as contacts, column by column: what `rows` says of one row, said of thousands at once.

Whatever Python does for every cell is the time that an import takes. So a column is looked at as a whole, and its cells
one by one only where one of them is out of the ordinary. `tests/unit/test_import_columns.py` holds the answers against
those of `rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from json.encoder import encode_basestring

from dialer.imports import rows as row_rules
from dialer.imports.dialect import Dialect
from dialer.imports.rows import RowError
from dialer.models import ImportKind
from dialer.numbers import read_all
from dialer.store.contacts import NewContacts


@dataclass(frozen=True, slots=True)
class Places:
    """Where a row's cells stand: the number, the fields by name, and the others, if any (else behind the last)."""

    number: int
    number_column: str
    name: int
    name_column: str
    time_zone: int
    language: int
    fields: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, dialect: Dialect) -> Places:
        columns = dialect.columns
        by_role = {one.role: place for place, one in enumerate(columns)}
        nowhere = len(columns)
        name = by_role.get("name", nowhere)
        return cls(
            number=by_role["number"],
            number_column=columns[by_role["number"]].header,
            name=name,
            name_column=columns[name].header if name < nowhere else "",
            time_zone=by_role.get("time_zone", nowhere),
            language=by_role.get("language", nowhere),
            fields=tuple((one.field, place) for place, one in enumerate(columns) if one.field),
        )


def read(
    rows: Sequence[Sequence[str]], places: Places, kind: ImportKind, region: str | None
) -> tuple[NewContacts, dict[int, RowError]]:
    """The contacts that rows (of cells; a short one lacks the rest) make, and the error of each other row by its place.

    Numbers for a DND list (`kind`) have no fields, zone or language.
    """
    columns = list(zip_longest(*rows, fillvalue=""))
    blanks = ("",) * len(rows)

    def column(place: int) -> Sequence[str]:
        return columns[place] if place < len(columns) else blanks

    numbers = column(places.number)
    e164s, zones, wrong = read_all(numbers, region)
    # Of a row with several errors the first counts, in the order of `rows.contact`.
    errors = {
        place: RowError(places.number_column, numbers[place], reason) for place, reason in wrong.items()
    }
    languages: list[str | None] = [None] * len(rows)
    fields: dict[str, list[str]] = {}
    if kind is ImportKind.CONTACTS:
        _read_zones_and_languages(column(places.time_zone), column(places.language), zones, languages, errors)
        names = _texts(places.name_column, column(places.name), row_rules.LONGEST_NAME, errors)
        fields = {
            name: _texts(name, column(place), row_rules.LONGEST_VALUE, errors)
            for name, place in places.fields
        }
    else:
        zones = [None] * len(rows)
        names = _texts(places.name_column, column(places.name), row_rules.LONGEST_NAME, errors)
    found = NewContacts(
        e164=e164s,
        name=names,
        fields=_objects(fields, len(rows)),
        time_zone=zones,
        language=languages,
        has={name: list(map(bool, texts)) for name, texts in fields.items()},
    )
    return (found.only([place not in errors for place in range(len(rows))]) if errors else found), errors


def _texts(column: str, cells: Sequence[str], longest: int, errors: dict[int, RowError]) -> list[str]:
    """The cells as `rows.clean` leaves them."""
    tidy = str.strip if "".join(cells).isprintable() else row_rules.clean
    texts = list(map(tidy, cells))
    if max(map(len, texts), default=0) > longest:
        for place, text in enumerate(texts):
            if len(text) > longest:
                errors.setdefault(place, row_rules.too_long(column, text, longest))
    return texts


def _read_zones_and_languages(
    own_zones: Sequence[str],
    own_languages: Sequence[str],
    zones: list[str | None],
    languages: list[str | None],
    errors: dict[int, RowError],
) -> None:
    """Put the rows' own zones and languages, where they have some, into `zones` and `languages`."""
    if not any(own_zones) and not any(own_languages):
        return
    for place, (time_zone, language) in enumerate(zip(own_zones, own_languages, strict=True)):
        if not time_zone and not language:
            continue
        try:
            zone, languages[place] = _zone_and_language(time_zone, language)
        except RowError as error:
            errors.setdefault(place, error.with_traceback(None))  # which holds on to all of the rows
        else:
            zones[place] = zone or zones[place]


@lru_cache(maxsize=1024)
def _zone_and_language(time_zone: str, language: str) -> tuple[str | None, str | None]:
    return row_rules.zone_and_language(time_zone, language)


def _objects(fields: Mapping[str, Sequence[str]], count: int) -> list[str]:
    """The JSON object of each row, without its empty fields."""
    if not fields:
        return ["{}"] * count
    keys = [f"{encode_basestring(name)}:" for name in fields]
    full = "{" + ",".join(f"{key}%s" for key in keys) + "}"
    values = zip(*(map(encode_basestring, texts) for texts in fields.values()), strict=True)
    return [full % row if '""' not in row else _sparse(keys, row) for row in values]


def _sparse(keys: Sequence[str], row: Sequence[str]) -> str:
    return "{" + ",".join([key + value for key, value in zip(keys, row, strict=True) if value != '""']) + "}"
