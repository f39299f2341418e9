"""Pages of what an account has: a keyset cursor, so that page 10,000 costs as much as the first."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from dialer.errors import FieldError

ItemT = TypeVar("ItemT")
RowT = TypeVar("RowT")

MOST = 1000
#: Of the longest name, 200 characters of four bytes, with an id beside it, in Base64.
LONGEST_CURSOR = 2000

Limit = Annotated[int, Query(ge=1, le=MOST, description="how many at most")]
CursorText = Annotated[
    str | None, Query(description="`next_cursor` of the page before", max_length=LONGEST_CURSOR)
]


class RowId(int):
    """In a cursor: a number that the database counts up itself, in 64 bits."""


class Page(BaseModel, Generic[ItemT]):
    """A page, and where the next one begins."""

    data: list[ItemT]
    next_cursor: str | None = Field(default=None, description="null on the last page")


def page_of(rows: Sequence[RowT], limit: int, show: Callable[[RowT], ItemT], *columns: str) -> Page[ItemT]:
    """A page of the first `limit` of these rows, sorted by `columns`; one row more says that there is a next page."""
    return Page(data=[show(row) for row in rows[:limit]], next_cursor=next_cursor(rows, limit, *columns))


def next_cursor(rows: Sequence[Any], limit: int, *columns: str) -> str | None:
    """The cursor of the page after the first `limit` of these rows; None when there are no more."""
    if len(rows) <= limit:
        return None
    return cursor_after(*(getattr(rows[limit - 1], name) for name in columns))


def cursor_after(*values: str | int | datetime) -> str:
    """The cursor of the page after the row whose sorting columns hold `values`."""
    told = [one.isoformat() if isinstance(one, datetime) else one for one in values]
    text = json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_cursor(text: str | None, *types: type[str] | type[int] | type[RowId]) -> list[str | int] | None:
    """The values in a cursor, of these types; None for the first page. Raises `FieldError`."""
    if text is None:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        values = None
    found = [type(one) for one in values] if isinstance(values, list) else None
    fits = found == [int if one is RowId else one for one in types]
    if not fits or not all(map(_can_be_asked_for, values, types)):
        raise _no_cursor()
    return list(values)


def read_text(text: str | None) -> str | None:
    """The only text in a cursor; None for the first page. Raises `FieldError`."""
    values = read_cursor(text, str)
    return None if values is None else str(values[0])


def read_moment(text: str | None) -> tuple[datetime, str] | None:
    """The time and the id in a cursor; None for the first page. Raises `FieldError`."""
    values = read_cursor(text, str, str)
    if values is None:
        return None
    try:
        at = datetime.fromisoformat(str(values[0]))
        at = at.astimezone(UTC) if at.tzinfo is not None else at
    except (ValueError, OverflowError):
        raise _no_cursor() from None
    if at.tzinfo is None:
        raise _no_cursor()
    return at, str(values[1])


def _can_be_asked_for(value: str | int, kind: type[str | int]) -> bool:
    """Whether a database takes it: no NUL, no half of a surrogate pair, no number that no row has."""
    if isinstance(value, int):
        return 0 <= value < 1 << (63 if kind is RowId else 31)
    return "\0" not in value and not any("\ud800" <= one <= "\udfff" for one in value)


def _no_cursor() -> FieldError:
    return FieldError(
        "cursor", "cursor is none that a page of this list gave: leave it out to begin at the first."
    )
