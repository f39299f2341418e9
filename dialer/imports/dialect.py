"""How a CSV file is written: encoding, delimiter and columns, found out from its first lines."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from charset_normalizer import from_bytes

from dialer.imports.records import Records
from dialer.imports.rows import clean, field_name

HEAD = 64 * 1024
MOST_COLUMNS = 100
DELIMITERS = (",", ";", "\t", "|")

#: What a column of numbers may be called, the surest name first.
NUMBER_NAMES = (
    "contact_number",
    "dnd_contact_number",
    "phone_number",
    "phone",
    "msisdn",
    "mobile_number",
    "mobile",
    "telephone",
    "customer_number",
    "cell",
    "tel",
    "number",
    "телефон",
    "номер_телефона",
)
NAME_NAMES = ("contact_name", "dnd_contact_name", "name", "имя")
ZONE_NAMES = ("time_zone", "timezone")
LANGUAGE_NAMES = ("language", "language_code")
_ROLES = {"number": NUMBER_NAMES, "name": NAME_NAMES, "time_zone": ZONE_NAMES, "language": LANGUAGE_NAMES}
FIELD = "field"
IGNORED = ""
#: How the role of a field that was chosen begins.
FIELDS = "fields."

_CYRILLIC = ("cp1251", "koi8_r", "cp866")
#: Where ASCII bytes mean ASCII, so that lines and quotes can be told apart before decoding.
_ENCODINGS = [
    *("cp1252", "cp1250", "cp1254", "cp1257", "cp1253", "cp1255", "cp1256", "cp1258", "cp874"),
    *(*_CYRILLIC, "gb18030", "big5", "shift_jis", "euc_jp", "euc_kr"),
]
_WORD = re.compile(r"[^\W\d_]+")
_RUSSIAN_WORD = re.compile(r"[А-ЯЁ]?[а-яё]+|[А-ЯЁ]+")
_RUSSIAN_NAME = re.compile(r"[А-ЯЁ][а-яё]+")
_LOOKS_LIKE_NUMBER = re.compile(r"\d{5,}")


class DialectError(ValueError):
    """A file that cannot be imported; the text is one sentence with the mend."""


class ColumnError(DialectError):
    """A column that was asked for and cannot be had; `role` is what was to be read of it: `number`, `fields.due`."""

    def __init__(self, role: str, message: str) -> None:
        super().__init__(message)
        self.role = role


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which columns, by their headers, hold what: over what their names say. None: as the names say."""

    number: str | None = None
    name: str | None = None
    time_zone: str | None = None
    language: str | None = None
    #: Header by the name under which announcements ask for the field.
    fields: Mapping[str, str] = field(default_factory=dict)

    def headers(self) -> Iterator[tuple[str, str]]:
        """Each role that was chosen with its header; of fields `fields.NAME`."""
        for role in _ROLES:
            header = getattr(self, role)
            if header is not None:
                yield role, header
        for name, header in self.fields.items():
            yield f"{FIELDS}{name}", header


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds: `role` is number, name, time_zone, language, field or ignored; `field` is the name
    under which an announcement can ask for it, if it can."""

    role: str
    field: str
    header: str


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the file is written; `offset` and `line` are where its data begin."""

    encoding: str
    delimiter: str
    columns: tuple[Column, ...]

    def to_json(self) -> dict[str, Any]:
        """The shape of the import's column."""
        return {
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "columns": [[one.role, one.field, one.header] for one in self.columns],
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Dialect:
        columns = tuple(Column(*one) for one in stored["columns"])
        return cls(stored["encoding"], stored["delimiter"], columns)


def detect(
    file: BinaryIO, chosen: Chosen | None = None, delimiters: Sequence[str] = DELIMITERS
) -> tuple[Dialect, int, int]:
    """The dialect of a file, and the offset and line at which its data begin. Raises `DialectError`."""
    chosen = chosen or Chosen()
    file.seek(0)
    head = file.read(HEAD)
    start = len(codecs.BOM_UTF8) if head.startswith(codecs.BOM_UTF8) else 0
    if not head[start:].strip():
        raise DialectError("The file is empty: it needs a line of column names and a row for every number.")
    encoding = "utf-8" if start else _encoding(head, whole=len(head) < HEAD)
    line = 1
    hint = re.match(rb'"?sep=([,;\t|])"?\r?\n', head[start:])  # Excel's own way to name the delimiter
    if hint:
        start += hint.end()
        line = 2
    delimiters = (hint[1].decode(),) if hint else delimiters
    readings = []
    for delimiter in delimiters:
        file.seek(start)
        records = Records(file, encoding, delimiter, offset=start, line=line)
        header = records.read()
        while header is not None and header.cells is not None and not any(map(str.strip, header.cells)):
            header = records.read()
        if header is not None and header.cells is not None:
            readings.append((header.cells, delimiter, records.offset, records.line))
    if not readings:
        raise DialectError(
            "The file's first line cannot be read: save it as CSV UTF-8, with column names first."
        )
    # The right delimiter shows a column of numbers; of several, the one that cuts most.
    cells, delimiter, offset, line = max(
        readings, key=lambda one: (_has_numbers(one[0], chosen), len(one[0]))
    )
    return Dialect(encoding, delimiter, _columns(cells, chosen)), offset, line


def _encoding(head: bytes, *, whole: bool) -> str:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head:
        raise DialectError("The file is not CSV in UTF-8 (it may be UTF-16): save it as CSV UTF-8.")
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DialectError("The file is a spreadsheet of an old kind: save it as XLSX or CSV UTF-8.")
    if b"\r" in head and b"\n" not in head:
        raise DialectError("The file's lines end as on an old Macintosh: save it as CSV UTF-8.")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        # Whole lines only, so that no letter is cut in two.
        return _legacy_encoding(head if whole else head[: head.rfind(b"\n") + 1] or head)
    return "utf-8"


def _legacy_encoding(head: bytes) -> str:
    """The encoding of a text that is not UTF-8.

    Lists are mostly digits with a few names, too little for statistics over letters. Russian ones are told by
    their words: small letters after a capital, as only the right one of the encodings shows them.
    """
    scores = {encoding: _russian(head, encoding) for encoding in _CYRILLIC}
    best = max(scores, key=lambda encoding: scores[encoding])
    if scores[best] >= 0.9:
        return best
    found = from_bytes(head, cp_isolation=_ENCODINGS).best()
    if found is None:
        raise DialectError("The file's encoding cannot be told: save it as CSV UTF-8.")
    return found.encoding


def _russian(head: bytes, encoding: str) -> float:
    """Which part of the bytes beyond ASCII make Russian words by their look; 0 without a single name."""
    words = [
        word for word in _WORD.findall(head.decode(encoding, "replace")) if _RUSSIAN_WORD.fullmatch(word)
    ]
    if not any(map(_RUSSIAN_NAME.fullmatch, words)):
        return 0.0
    return sum(map(len, words)) / sum(1 for byte in head if byte > 127)


def _plain(header: str) -> str:
    return re.sub(r"[\s\-]+", "_", clean(header).lower())


def _has_numbers(headers: Sequence[str], chosen: Chosen) -> bool:
    names = NUMBER_NAMES if chosen.number is None else (_plain(chosen.number),)
    return any(_plain(header) in names for header in headers)


def _columns(headers: Sequence[str], chosen: Chosen) -> tuple[Column, ...]:
    """What each column holds. Raises `DialectError`."""
    headers = [clean(header) for header in headers]
    while headers and not headers[-1]:
        headers.pop()
    if len(headers) > MOST_COLUMNS:
        raise DialectError(
            f"The file has {len(headers)} columns, at most {MOST_COLUMNS} are read: remove some."
        )
    plain = [_plain(header) for header in headers]
    roles = _chosen_places(headers, plain, chosen)
    for role, names in _ROLES.items():
        place = next((plain.index(name) for name in names if name in plain), None)
        if place is not None and place not in roles and role not in roles.values():
            roles[place] = role
    if "number" not in roles.values():
        raise DialectError(_no_numbers(headers))
    columns = [_column(place, header, roles.get(place)) for place, header in enumerate(headers)]
    twice = [name for name, times in Counter(one.field for one in columns if one.field).items() if times > 1]
    twice += [plain[place] for place in roles if plain.count(plain[place]) > 1]
    if twice:
        raise DialectError(
            f"Two columns of the file are called {twice[0][:40]}: rename or remove one of them."
        )
    return tuple(columns)


def _chosen_places(headers: Sequence[str], plain: Sequence[str], chosen: Chosen) -> dict[int, str]:
    """Roles that were chosen, by the place of their column. Raises `ColumnError`."""
    roles: dict[int, str] = {}
    for role, header in chosen.headers():
        wanted = clean(header)
        place = headers.index(wanted) if wanted in headers else None
        if place is None and _plain(wanted) in plain:
            place = plain.index(_plain(wanted))
        if not wanted or place is None:
            shown = ", ".join(_shown(headers)) or "no names that can be shown"
            raise ColumnError(role, f"the file has no column {wanted[:40]!r}; its first line has {shown}.")
        if place in roles:
            raise ColumnError(role, f"the column {wanted[:40]!r} is chosen for {roles[place]} already.")
        roles[place] = role
    return roles


def _column(place: int, header: str, role: str | None) -> Column:
    if not header:
        return Column(IGNORED, "", "")
    if role is not None and role.startswith(FIELDS):
        return Column(FIELD, role.removeprefix(FIELDS), header)
    if role is None:
        return Column(FIELD, field_name(header) or f"column_{place + 1}", header)
    # A text may well say {name}.
    return Column(role, "name" if role == "name" and _plain(header) == "name" else "", header)


def _no_numbers(headers: Sequence[str]) -> str:
    shown = _shown(headers)
    found = f"; it has {', '.join(shown)}" if shown else ""
    return (
        "The file's first line names no column of numbers: call it contact_number "
        f"(or {', '.join(NUMBER_NAMES[1:7])}){found}."
    )


def _shown(headers: Sequence[str]) -> list[str]:
    """Some headers; a file without any would otherwise show people's numbers."""
    return [header[:40] for header in headers if header and not _LOOKS_LIKE_NUMBER.search(header)][:10]
