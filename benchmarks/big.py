"""Big data, made in the database by generate_series: lists, a DND list, and the calls of older campaigns.

Constraints and indexes are those of the schema, none is dropped. Only foreign keys are not looked up row by row
meanwhile (`session_replication_role`), as the rows are made to keep them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from benchmarks.common import core_numbers
from benchmarks.service import Service
from dialer import ids
from dialer.db import writing
from dialer.store import dnd, tables

#: Of each list, one contact in so many stands on the DND list.
FORBIDDEN_EVERY = 100
#: Numbers go round in this order, so that neighbours in a list are no neighbours in an index: as people are.
SPREAD, ROUND = 48_271, 99_999_989

_NUMBER = "'+91' || lpad(({country} * 1000000000::bigint + (n::bigint * {spread}) % {round})::text, 10, '0')"


def number(country: int) -> str:
    """SQL of the n-th number of a list; lists of another `country` (1 to 9) share none."""
    return _NUMBER.format(country=country, spread=SPREAD, round=ROUND)


@contextmanager
def filling(engine: Engine) -> Iterator[Connection]:
    """A transaction that fills tables."""
    with writing(engine) as connection:
        connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        connection.execute(sa.text("SET LOCAL maintenance_work_mem = '512MB'"))
        yield connection


def add_list(service: Service, count: int, country: int) -> str:
    """A list of `count` contacts with three fields, one statement a core; its id."""
    list_id = ids.list_id()
    with filling(service.engine) as connection:
        connection.execute(
            tables.contact_list.insert(),
            {
                "id": list_id, "account_id": service.account_id, "name": list_id, "last_position": count,
                "contact_count": count, "created_at": datetime.now(UTC),
            },
        )  # fmt: skip
    parts = len(core_numbers())
    ends = [count * part // parts for part in range(parts + 1)]
    with ThreadPoolExecutor() as threads:
        # A list, so that what breaks in a thread is raised.
        list(
            threads.map(
                lambda part: _add_contacts(service.engine, list_id, country, *part), itertools.pairwise(ends)
            )
        )
    return list_id


def _add_contacts(engine: Engine, list_id: str, country: int, after: int, last: int) -> None:
    with filling(engine) as connection:
        connection.execute(
            sa.text(
                "INSERT INTO contact (list_id, position, e164, name, fields, time_zone) "
                f"SELECT :list_id, n, {number(country)}, 'Name ' || n, "
                """jsonb_build_object('field1', 'Dear', 'field2', n::text, 'field3', '500'), 'Asia/Kolkata' """
                "FROM generate_series(:after + 1, :last) AS n"
            ),
            {"list_id": list_id, "after": after, "last": last},
        )


def add_dnd_list(service: Service, count: int, countries: dict[int, int]) -> str:
    """A DND list of `count` numbers: of each list (country → its contacts) one in FORBIDDEN_EVERY, and others."""
    with filling(service.engine) as connection:
        dnd_list_id = dnd.add_list(connection, service.account_id, "the big one", datetime.now(UTC))
        listed = 0
        for country, contacts in countries.items():
            listed += _forbid(connection, dnd_list_id, country, contacts // FORBIDDEN_EVERY, FORBIDDEN_EVERY)
        _forbid(connection, dnd_list_id, 9, count - listed, 1)
    return dnd_list_id


def _forbid(connection: Connection, dnd_list_id: str, country: int, count: int, every: int) -> int:
    return connection.execute(
        sa.text(
            "INSERT INTO dnd_number (dnd_list_id, e164, name, created_at) "
            f"SELECT :dnd_list_id, {number(country)}, '', now() "
            "FROM (SELECT m * :every AS n FROM generate_series(1, :count) AS m) AS numbers"
        ),
        {"dnd_list_id": dnd_list_id, "every": every, "count": count},
    ).rowcount


def analyze(engine: Engine) -> None:
    """What autovacuum would have done by now."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
