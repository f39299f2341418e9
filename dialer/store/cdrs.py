"""SQL of CDRs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from dialer.db import reading
from dialer.store import bulk
from dialer.store.tables import AnyRow, Rows, cdr

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


def export(
    engine: Engine,
    *,
    account_id: str | None = None,
    campaign_id: str | None = None,
    since: datetime | None = None,
    before: datetime | None = None,
) -> Iterator[AnyRow]:
    """All CDRs with these, `since` included and `before` not, in the order in which they were written.

    Page by page, each in a transaction of its own, so that the longest export neither fills the memory nor
    holds the database. With `account_id` None, everybody's (for the operator).
    """
    conditions = [
        condition
        for condition in (
            None if account_id is None else cdr.c.account_id == account_id,
            None if campaign_id is None else cdr.c.campaign_id == campaign_id,
            None if since is None else cdr.c.call_date >= since,
            None if before is None else cdr.c.call_date < before,
        )
        if condition is not None
    ]
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
