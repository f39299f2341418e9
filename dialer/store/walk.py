"""Pages by keyset of what may match rarely: so many rows are looked at for one page, and no more.

What no index serves is sought in the order of one that tells whose the rows are. Where it matches one row in a
million, a page would read them all; so it ends after MOST rows, maybe with fewer than were asked for, and says where
the next one begins.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import Column, ColumnElement, Connection, FromClause, Select

from dialer.store.tables import Rows

#: On which side of a row (`below`), with the row itself (`included`).
_COMPARED = {
    (True, True): operator.le,
    (True, False): operator.lt,
    (False, True): operator.ge,
    (False, False): operator.gt,
}
#: Rows that are looked at for one page.
MOST = 5_000


@dataclass(frozen=True, slots=True)
class Found:
    """A page, and the keys of the row behind which the next one begins; None: this was the last."""

    rows: Rows
    after: tuple[Any, ...] | None


def _nothing(_: FromClause) -> Sequence[ColumnElement[bool]]:
    return ()


def page(
    connection: Connection,
    keys: Sequence[Column[Any]],
    whose: Sequence[ColumnElement[bool]],
    limit: int,
    *,
    after: Sequence[Any] | None = None,
    newest_first: bool = False,
    sought: Callable[[FromClause], Sequence[ColumnElement[bool]]] = _nothing,
    shown: Callable[[FromClause], Select[Any]] = sa.select,
) -> Found:
    """Up to `limit` rows of the table of `keys` (one or two columns that tell rows apart), in their order, behind
    `after`.

    An index must serve `whose` with `keys`. `sought` is what else must hold of a row, on the table or on what is walked
    of it; `shown` selects from the same, `keys` included.
    """
    table = keys[0].table
    conditions = [*whose, *(() if after is None else [_beside(keys, after, below=newest_first)])]
    if not sought(table):
        statement = shown(table).where(*conditions).order_by(*_ordered(keys, newest_first))
        return _found(connection.execute(statement.limit(limit + 1)).all(), keys, limit, None)
    walk = sa.select(table).where(*conditions).order_by(*_ordered(keys, newest_first))
    # Found first, so that rows which come meanwhile do not move it.
    ends = connection.execute(walk.with_only_columns(*keys).offset(MOST - 1).limit(2)).all()
    end = ends[0] if len(ends) == 2 else None  # with a row behind it
    if end is not None:
        walk = walk.where(_beside(keys, end, below=not newest_first, included=True))
    # With a limit, so that the planner goes this way and no other that it takes for shorter.
    walked = walk.limit(MOST).subquery("walked")
    in_order = _ordered([walked.c[key.name] for key in keys], newest_first)
    statement = shown(walked).where(*sought(walked)).order_by(*in_order)
    return _found(connection.execute(statement.limit(limit + 1)).all(), keys, limit, end)


def _found(rows: Rows, keys: Sequence[Column[Any]], limit: int, end: Sequence[Any] | None) -> Found:
    if len(rows) > limit:
        return Found(rows[:limit], tuple(getattr(rows[limit - 1], key.name) for key in keys))
    return Found(rows, None if end is None else tuple(end))


def _ordered(keys: Sequence[ColumnElement[Any]], newest_first: bool) -> list[ColumnElement[Any]]:
    return [key.desc() if newest_first else key for key in keys]


def _beside(
    keys: Sequence[Column[Any]], place: Sequence[Any], *, below: bool, included: bool = False
) -> ColumnElement[bool]:
    """On that side of the row whose keys hold `place`."""
    values = [sa.literal(value, key.type) for key, value in zip(keys, place, strict=True)]
    # As a row, so that the index is entered with all of it.
    return cast("ColumnElement[bool]", _COMPARED[below, included](sa.tuple_(*keys), sa.tuple_(*values)))
