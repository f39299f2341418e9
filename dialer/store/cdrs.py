"""SQL of CDRs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Engine, FromClause

from dialer.db import reading
from dialer.lifecycle import CdrKind, DialStatus, Disposition
from dialer.store import bulk, calls, walk
from dialer.store.tables import AnyRow, Rows, campaign, campaign_count, cdr
from dialer.store.walk import Found

#: Rows read in one transaction.
PAGE = 1000


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Insert CDRs. IntegrityError when an attempt has one already: its end was then counted twice."""
    bulk.insert(connection, cdr, rows)


def update_settled(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Correct the CDRs of attempts whose end is known better now; every row names the same columns, and the attempt
    as `_id`."""
    bulk.update(connection, cdr, rows, key="attempt_id")


def of_call(connection: Connection, account_id: str, call_id: str) -> Rows:
    """The CDRs of a call of this account, in order."""
    return connection.execute(
        sa.select(cdr).where(cdr.c.call_id == call_id, cdr.c.account_id == account_id).order_by(cdr.c.id)
    ).all()


def of_campaign(
    connection: Connection, account_id: str, campaign_id: str, after: int = 0, limit: int = PAGE
) -> Rows:
    """The next CDRs of a campaign of this account, in the order in which they were written."""
    return connection.execute(
        sa.select(cdr)
        .where(cdr.c.campaign_id == campaign_id, cdr.c.account_id == account_id, cdr.c.id > after)
        .order_by(cdr.c.id)
        .limit(limit)
    ).all()


def latest(connection: Connection, account_id: str, campaign_id: str, limit: int) -> Rows:
    """When the latest CDRs of a campaign of this account were, the latest first: (call_date, attempt_id)."""
    return connection.execute(
        sa.select(cdr.c.call_date, cdr.c.attempt_id)
        .where(cdr.c.campaign_id == campaign_id, cdr.c.account_id == account_id)
        .order_by(cdr.c.id.desc())
        .limit(limit)
    ).all()


def of_days(
    connection: Connection,
    account_id: str,
    since: datetime,
    before: datetime,
    *,
    skip: int = 0,
    after: AnyRow | None = None,
    limit: int = PAGE,
) -> Rows:
    """The CDRs of an account with these dates, `since` included and `before` not, in their order: those after the row
    `after`, without the first `skip`. Of what is skipped only the index is read."""
    wanted = sa.select(cdr.c.id).where(
        cdr.c.account_id == account_id, cdr.c.call_date >= since, cdr.c.call_date < before
    )
    if after is not None:
        later = sa.or_(cdr.c.call_date > after.call_date, cdr.c.id > after.id)
        wanted = wanted.where(cdr.c.call_date >= after.call_date, later)
    found = wanted.order_by(cdr.c.call_date, cdr.c.id).offset(skip).limit(limit).subquery()
    return connection.execute(
        sa.select(cdr).join(found, found.c.id == cdr.c.id).order_by(cdr.c.call_date, cdr.c.id)
    ).all()


def count_by_status(connection: Connection, account_id: str) -> Counter[str]:
    """How many CDRs an account has of each dial status: those of campaigns as their counters tell, the others
    counted."""
    counted: Counter[str] = Counter()
    name, count = campaign_count.c.name, sa.func.sum(campaign_count.c.count)
    of_campaigns = (
        sa.select(name, count)
        .join(campaign, campaign.c.id == campaign_count.c.campaign_id)
        .where(campaign.c.account_id == account_id, name.in_([f"cdr.{status}" for status in DialStatus]))
        .group_by(name)
    )
    others = (
        sa.select(cdr.c.dial_status, sa.func.count())
        .where(cdr.c.account_id == account_id, cdr.c.campaign_id.is_(None))
        .group_by(cdr.c.dial_status)
    )
    for status, number in (*connection.execute(of_campaigns), *connection.execute(others)):
        counted[status.removeprefix("cdr.")] += int(number)
    return counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which CDRs of an account are meant; None: all. `since` is included, `before` is not. `e164` is whom a call was
    made to, or who called in."""

    campaign_id: str | None = None
    call_id: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    disposition: Disposition | None = None
    dial_status: DialStatus | None = None
    came_in: bool | None = None
    e164: str | None = None

    @property
    def by_id(self) -> bool:
        """Whether they are in the order in which they were written; else by their dates. Each has its index."""
        return self.campaign_id is not None or self.call_id is not None

    @property
    def is_of_few(self) -> bool:
        """Whether an index leads to a few rows, among which the rest is sought: those of a call or a number."""
        return self.call_id is not None or (self.e164 is not None and not self.came_in)


def page(
    connection: Connection,
    account_id: str,
    chosen: Filter,
    limit: int = PAGE,
    *,
    after: Sequence[Any] | None = None,
    newest_first: bool = False,
) -> Found:
    """CDRs of this account, those behind `after`."""
    whose = [cdr.c.account_id == account_id, *_led_to(account_id, chosen)]
    if chosen.is_of_few:
        whose += _sought(cdr, chosen)
        chosen = Filter(call_id=chosen.call_id, campaign_id=chosen.campaign_id)
    return walk.page(
        connection,
        [cdr.c.id] if chosen.by_id else [cdr.c.call_date, cdr.c.id],
        whose,
        limit,
        after=after,
        newest_first=newest_first,
        sought=lambda one: _sought(one, chosen),
    )


def _led_to(account_id: str, chosen: Filter) -> list[ColumnElement[bool]]:
    """What an index leads to."""
    conditions = (
        None if chosen.campaign_id is None else cdr.c.campaign_id == chosen.campaign_id,
        None if chosen.call_id is None else cdr.c.call_id == chosen.call_id,
        None
        if chosen.e164 is None or chosen.came_in
        else cdr.c.call_id.in_(calls.ids_to(account_id, chosen.e164)),
        *([] if chosen.by_id else _of_time(cdr, chosen)),
    )
    return [condition for condition in conditions if condition is not None]


def _sought(one: FromClause, chosen: Filter) -> list[ColumnElement[bool]]:
    """What else must hold of a row of CDRs."""
    came_in = one.c.kind == CdrKind.INBOUND.value
    conditions = (
        None if chosen.disposition is None else one.c.disposition == chosen.disposition.value,
        None if chosen.dial_status is None else one.c.dial_status == chosen.dial_status.value,
        None if chosen.came_in is None else came_in == chosen.came_in,
        one.c.caller_id == chosen.e164 if chosen.e164 is not None and chosen.came_in else None,
        *(_of_time(one, chosen) if chosen.by_id else []),
    )
    return [condition for condition in conditions if condition is not None]


def _of_time(one: FromClause, chosen: Filter) -> list[ColumnElement[bool]]:
    since, before = chosen.since, chosen.before
    return [
        *([] if since is None else [one.c.call_date >= since]),
        *([] if before is None else [one.c.call_date < before]),
    ]


def export(engine: Engine, chosen: Filter, *, account_id: str | None = None) -> Iterator[AnyRow]:
    """All CDRs that are meant, in the order in which they were written.

    Page by page, each in a transaction of its own, so that the longest export neither fills the memory nor
    holds the database. With `account_id` None, everybody's (for the operator).
    """
    known = (
        (cdr.c.account_id, account_id),
        (cdr.c.campaign_id, chosen.campaign_id),
        (cdr.c.call_id, chosen.call_id),
    )
    conditions = [column == value for column, value in known if value is not None]
    if chosen.e164 is not None and not chosen.came_in:
        conditions += [cdr.c.e164 == chosen.e164, cdr.c.kind != CdrKind.INBOUND.value]
    conditions += [*_sought(cdr, chosen), *([] if chosen.by_id else _of_time(cdr, chosen))]
    last = 0
    while True:
        with reading(engine) as connection:
            page = connection.execute(
                sa.select(cdr).where(cdr.c.id > last, *conditions).order_by(cdr.c.id).limit(PAGE)
            ).all()
        yield from page
        if len(page) < PAGE:
            return
        last = page[-1].id
