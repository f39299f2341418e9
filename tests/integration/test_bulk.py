"""Many rows in one statement: every value arrives as it was, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from dialer import db
from dialer.db import reading, writing
from dialer.store import bulk
from dialer.store.tables import in_many, many

table = sa.Table(
    "bulk_values",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("words", sa.String),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("length", sa.Double),
    sa.Column("cost", sa.Numeric(12, 6)),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("kept", sa.JSON),
)

FIRST, LAST = datetime(1971, 1, 1), datetime(2200, 1, 1)  # noqa: DTZ001 - as Hypothesis wants them
# PostgreSQL holds every character but NUL; UTF-8 has no surrogates.
words = st.text(st.characters(blacklist_characters="\x00", blacklist_categories=["Cs"]), max_size=12)
nasty = st.sampled_from(
    ["", "NULL", "null", '"', "\\", "{}", ",", "a,b", "{a}", " ", "\n", "\t", '\\"', "%s", "'"]
)
values = st.fixed_dictionaries(
    {
        "words": st.none() | words | nasty,
        "at": st.none() | st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
        "length": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "cost": st.none() | st.decimals(0, 99999, places=6),
        "raw": st.none() | st.binary(max_size=12),
        "kept": st.none() | st.dictionaries(words | nasty, words | nasty | st.integers(0, 9), max_size=3),
    }
)


@pytest.fixture
def engine(database: Engine) -> Iterator[Engine]:
    with writing(database) as connection:
        table.create(connection)
    yield database
    with writing(database) as connection:
        table.drop(connection)


def held(engine: Engine) -> list[dict[str, Any]]:
    with reading(engine) as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.id)).mappings().all()
    found = [dict(row) for row in rows]
    for row in found:
        if row["at"] is not None:
            row["at"] = (
                row["at"].replace(tzinfo=UTC) if row["at"].tzinfo is None else row["at"].astimezone(UTC)
            )
    return found


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(rows=st.lists(values, min_size=1, max_size=8), changed=values)
def test_what_is_inserted_and_updated_is_what_is_read(
    engine: Engine, rows: list[dict[str, Any]], changed: dict[str, Any]
) -> None:
    numbered = [{"id": number, **row} for number, row in enumerate(rows)]
    with writing(engine) as connection:
        connection.execute(table.delete())
        bulk.insert(connection, table, numbered)
    assert held(engine) == numbered
    with writing(engine) as connection:
        assert bulk.update(connection, table, [{"_id": row["id"], **changed} for row in numbered]) == len(
            rows
        )
    assert held(engine) == [{"id": row["id"], **changed} for row in numbered]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(stored=st.lists(words | nasty, min_size=1, max_size=8), wanted=st.lists(words | nasty, max_size=8))
def test_one_of_many_is_found_however_it_is_spelt(
    engine: Engine, stored: list[str], wanted: list[str]
) -> None:
    rows = [{"id": number, "words": one, "cost": Decimal(0)} for number, one in enumerate(stored)]
    with writing(engine) as connection:
        connection.execute(table.delete())
        bulk.insert(connection, table, rows)
    with reading(engine) as connection:
        statement = sa.select(table.c.id).where(in_many(connection.dialect.name, table.c.words, "wanted"))
        found = connection.execute(statement, {"wanted": many(connection, wanted)}).scalars().all()
    assert sorted(found) == [row["id"] for row in rows if row["words"] in wanted]


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        bulk.array_of([datetime(2026, 11, 20, 12, 0), None])  # noqa: DTZ001 - the point of it


def test_values_that_are_all_the_same_are_each_written() -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    assert bulk.array_of([at, at]) == '{"2026-11-20T00:00:00+00:00","2026-11-20T00:00:00+00:00"}'
    assert bulk.array_of([None, None]) == "{NULL,NULL}"
    assert bulk.array_of(["a", None, 'b"c']) == '{"a",NULL,"b\\"c"}'
    assert bulk.array_of([]) == "{}"


def test_a_connection_plans_anew_when_a_table_may_have_grown(database: Engine) -> None:
    if database.dialect.name == "sqlite":
        pytest.skip("SQLite keeps no plans of ours")
    one = db.make_engine(database.url.render_as_string(hide_password=False), pool_size=1)
    with writing(one) as connection:
        connection.execute(
            sa.text("CREATE TABLE grows (id text PRIMARY KEY) WITH (autovacuum_enabled = off)")
        )
    prepared = "PREPARE seek (text[]) AS SELECT FROM grows JOIN unnest($1) AS v ON v = id"

    def plan(connection: sa.Connection) -> str:
        return " ".join(connection.execute(sa.text("EXPLAIN EXECUTE seek ('{a}')")).scalars())

    with reading(one) as connection:
        connection.exec_driver_sql(prepared)
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        assert "Seq Scan on grows" in plan(connection)
    with writing(database) as connection:
        connection.execute(sa.text("INSERT INTO grows SELECT n::text FROM generate_series(1, 50000) AS n"))
    with reading(one) as connection:
        assert "Seq Scan on grows" in plan(connection)
    for _ in range(db.PLANS_KEPT):
        one.connect().close()
    with reading(one) as connection:
        assert "Seq Scan on grows" not in plan(connection)
        connection.execute(sa.text("DROP TABLE grows"))
    one.dispose()


def test_a_connection_that_died_while_it_rested_is_replaced(
    database: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if database.dialect.name == "sqlite":
        pytest.skip("SQLite has no server that could go away")
    with reading(database) as connection:
        victim = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
    other = db.make_engine(database.url.render_as_string(hide_password=False))
    with reading(other) as connection:
        connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": victim})
    other.dispose()
    monkeypatch.setattr(db, "RESTED", 0.0)
    with reading(database) as connection:
        assert connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one() != victim


def test_times_come_back_in_utc_whatever_zone_the_server_keeps(database: Engine) -> None:
    with reading(database) as connection:
        now = db.utc_now(connection)
        assert now.utcoffset() == timedelta(0)
        if connection.dialect.name == "postgresql":
            assert connection.execute(sa.text("SHOW TimeZone")).scalar_one() == "UTC"


@pytest.mark.parametrize("asked", [3, bulk.MANY + 3])
def test_values_that_a_table_holds_are_found_among_few_and_among_many(engine: Engine, asked: int) -> None:
    rows = [{"id": number, "words": f"+46{number}", "length": number % 2} for number in range(0, 4000, 3)]
    with writing(engine) as connection:
        bulk.insert(connection, table, rows)
        wanted = [f"+46{number}" for number in range(asked)]
        found = bulk.matching(connection, table, "words", wanted, length="1")
        assert found == {one for place, one in enumerate(wanted) if place % 3 == 0 and place % 2}
        if engine.dialect.name == "postgresql":  # the planner is free again
            assert connection.exec_driver_sql("SHOW enable_seqscan").scalar_one() == "on"
