"""One row of contacts or of a DND list, whether it came in a CSV file or through the API: checked and tidied.

Pure: no database, no clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from dialer.calls.window import known_zone
from dialer.numbers import NumberError, to_e164, zone_of
from dialer.store.contacts import NewContact

LONGEST_NAME = 200
LONGEST_VALUE = 1_000
LONGEST_FIELD_NAME = 64
MOST_FIELDS = 100

_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9_]+", re.ASCII)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}", re.ASCII)
#: No table holds NUL or half a surrogate pair, and nobody wants to hear the other control characters.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160), *range(0xD800, 0xE000), 0xFEFF))
_CONTROLS |= {ord(breaking): " " for breaking in "\t\n\v\f\r\x85\u2028\u2029"}


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are called where the rows come from, for the errors."""

    number: str
    name: str
    fields: str = ""


FIRST_GENERATION = Columns("contact_number", "contact_name", "contact_fields")
FIRST_GENERATION_DND = Columns("dnd_contact_number", "dnd_contact_name")
SECOND_GENERATION = Columns("number", "name", "fields")


class RowError(ValueError):
    """A row that cannot be taken: the column, the value as given, and one sentence that does not repeat it."""

    def __init__(self, column: str, value: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.value = value
        self.reason = reason


def clean(text: str) -> str:
    """`text` without control characters and without blanks around it."""
    # What is printable holds none of them, and nearly all texts are.
    return text.strip() if text.isprintable() else text.translate(_CONTROLS).strip()


def field_name(text: str) -> str:
    """A name under which an announcement can ask for a field: `Due amount` becomes `Due_amount`.

    Empty when nothing is left of it, as of a name in Cyrillic letters.
    """
    name = text.strip()
    if _FIELD_NAME.fullmatch(name):
        return name
    name = _NOT_OF_A_NAME.sub("_", name).strip("_")
    if name[:1].isdigit():
        name = f"_{name}"
    return name[:LONGEST_FIELD_NAME]


def number(column: str, text: str, region: str | None) -> str:
    """The number in E.164. Raises `RowError`."""
    try:
        return to_e164(text, region)
    except NumberError as error:
        raise RowError(column, text, error.reason) from None


def contact(
    text: str,
    *,
    region: str | None,
    name: str = "",
    fields: Mapping[str, str] | None = None,
    time_zone: str = "",
    language: str = "",
    columns: Columns = FIRST_GENERATION,
) -> NewContact:
    """A contact from the texts given for it. Raises `RowError`.

    Without a time zone of its own it has the one of its number, when that has exactly one.
    """
    e164 = number(columns.number, text, region)
    own_zone, own_language = zone_and_language(time_zone, language)
    return NewContact(
        e164=e164,
        name=_text(columns.name, name, LONGEST_NAME),
        fields=_fields(columns.fields, fields) if fields else {},
        time_zone=own_zone or zone_of(e164),
        language=own_language,
    )


def zone_and_language(time_zone: str, language: str) -> tuple[str | None, str | None]:
    """A contact's own zone and language from the texts given for them. Raises `RowError`."""
    time_zone, language = clean(time_zone), clean(language)
    if time_zone and known_zone(time_zone) is None:
        reason = "The time zone is not known: use an IANA name such as Asia/Kolkata, or leave it empty."
        raise RowError("time_zone", time_zone, reason)
    if language and not _LANGUAGE.fullmatch(language):
        raise RowError("language", language, "The language must be a code such as en-US, or be left empty.")
    return time_zone or None, language or None


def dnd_number(
    text: str, *, region: str | None, name: str = "", columns: Columns = FIRST_GENERATION_DND
) -> NewContact:
    """A number for a DND list, with its name. Raises `RowError`."""
    return NewContact(e164=number(columns.number, text, region), name=_text(columns.name, name, LONGEST_NAME))


def _fields(column: str, given: Mapping[str, str]) -> dict[str, str]:
    names, values = _field_names(column, tuple(given)), given.values()
    together = "".join(values)
    if together.isprintable() and len(together) <= LONGEST_VALUE:
        # One look at all of them, as nearly all rows allow.
        fields = dict(zip(names, map(str.strip, values), strict=True))
    else:
        fields = {name: _text(name, value, LONGEST_VALUE) for name, value in zip(names, values, strict=True)}
    return {name: text for name, text in fields.items() if text} if "" in fields.values() else fields


@lru_cache(maxsize=256)
def _field_names(column: str, headers: tuple[str, ...]) -> tuple[str, ...]:
    """What the fields are called; remembered, for all rows of a file have the same."""
    if len(headers) > MOST_FIELDS:
        raise RowError(column, "", f"A contact can have at most {MOST_FIELDS} fields.")
    names: list[str] = []
    for header in headers:
        name = field_name(header)
        if not name:
            raise RowError(column, header, "A field's name must hold letters a to z, digits or underscores.")
        if name in names:
            raise RowError(column, header, f"Two fields come to the same name, {name}.")
        names.append(name)
    return tuple(names)


def _text(column: str, text: str, longest: int) -> str:
    text = text.strip() if text.isprintable() else clean(text)
    if len(text) > longest:
        raise too_long(column, text, longest)
    return text


def too_long(column: str, text: str, longest: int) -> RowError:
    """What is wrong with a text longer than `longest` characters."""
    return RowError(column, text, f"{column} is longer than {longest:,} characters.")
