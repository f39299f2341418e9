"""Statements read what they need by its key, also while much is in flight and PostgreSQL does not know it yet.

Here with some thousand rows; `python -m benchmarks.explain` does the same with millions, for every statement.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError
from world import World, people

from benchmarks.explain import Watch
from dialer.db import make_engine, reading, writing
from dialer.lifecycle import CallState, DialStatus, Disposition
from dialer.store import calls, cdrs, walk
from workers import results

pytestmark = pytest.mark.postgres
#: Calls and events that are over, and those of others that are in flight and wait.
OVER, OTHERS = 40_000, 4_000
BATCH = 50
#: Executions until a server has settled on a plan.
SETTLED = 12


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    if database.dialect.name != "postgresql":
        pytest.skip("about PostgreSQL's planner")
    made = World(database, redis_server)
    add_calls(made, "CM0000000001", "COMPLETED", OVER)
    add_events(made, "CONSUMED", OVER)
    add_cdrs(made, OVER)
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
    # … and now it is out of date.
    add_calls(made, "CM0000000002", "RELEASED", OTHERS)
    add_events(made, "NEW", OTHERS)
    yield made
    made.close()


@pytest.fixture
def watch(world: World) -> Iterator[Watch]:
    """Watches all that the world's engine sends from now on."""
    watch = Watch({"call": OVER, "cdr": OVER, "event": OVER}, most_read=20 * BATCH)
    watched = make_engine(world.engine.url.render_as_string(hide_password=False), pool_size=1)
    watch.on(watched)
    try:
        watched.connect().close()
    except ProgrammingError:
        pytest.skip("only a superuser may load auto_explain")
    world.engine, unwatched = watched, world.engine
    yield watch
    watched.dispose()
    world.engine = unwatched


def add_calls(world: World, campaign_id: str, state: str, count: int) -> None:
    with writing(world.engine) as connection:
        connection.execute(
            sa.text(
                """INSERT INTO call (id, account_id, kind, campaign_id, e164, time_zone, state, due_at, rung_at,
                provider_id, dials, unsent, repeats, reason, created_at)
                SELECT right(:campaign, 1) || lpad(n::text, 19, '0'), :account, 'CAMPAIGN', :campaign, '+47' || n,
                'UTC', :state, :now, :now, :provider, 0, 0, '{}', '', :now FROM generate_series(1, :count) AS n"""
            ),
            {
                "account": world.account_id, "campaign": campaign_id, "state": state, "count": count,
                "now": world.clock.now, "provider": world.provider_id,
            },
        )  # fmt: skip


def add_events(world: World, state: str, count: int) -> None:
    with writing(world.engine) as connection:
        connection.execute(
            sa.text(
                """INSERT INTO event (provider_id, dedupe_key, state, method, path, query, content_type, body,
                received_at, error) SELECT :provider, :state || n, :state, 'GET', '',
                'type=endCallback&state=2&error=0&reference=' || lpad(n::text, 20, '0') || '-9', '', '', :now, ''
                FROM generate_series(1, :count) AS n"""
            ),
            {"provider": world.provider_id, "state": state, "count": count, "now": world.clock.now},
        )


def add_cdrs(world: World, count: int) -> None:
    with writing(world.engine) as connection:
        connection.execute(
            sa.text(
                """INSERT INTO cdr (account_id, campaign_id, call_id, attempt_id, kind, e164, caller_id, disposition,
                dial_status, call_date, dtmf_inputs)
                SELECT :account, 'CM0000000001', '1' || lpad(n::text, 19, '0'), '1' || lpad(n::text, 19, '0') || '-1',
                'CAMPAIGN', '+47' || n, '', 'ANSWERED', 'ANSWER', :now, '' FROM generate_series(1, :count) AS n"""
            ),
            {"account": world.account_id, "count": count, "now": world.clock.now},
        )


def too_much(watch: Watch) -> dict[str, set[str]]:
    return {one.name: one.problems for one in watch.statements.values() if one.problems}


def test_a_claim_reads_its_calls_and_not_those_of_other_campaigns(world: World, watch: Watch) -> None:
    world.campaign(world.contact_list(people(BATCH * SETTLED)))
    claimed = 0
    while claimed < BATCH * SETTLED:
        released = world.release()
        for start in range(0, len(released), BATCH):
            claimed += len(world.claim(released[start : start + BATCH]).placements)
        world.clock.forward(1)
    assert {"store.calls.lock_released", "store.calls.count_released"} <= set(watch.statements)
    assert not too_much(watch)


def test_events_are_consumed_without_reading_all_that_wait(world: World, watch: Watch) -> None:
    for _ in range(SETTLED):
        assert results.consume(world.engine, world.clock, BATCH) == BATCH
    assert "store.events.mark" in watch.statements
    assert not too_much(watch)


RARE_CALLS = [
    calls.Filter(states=[CallState.UNKNOWN]),
    calls.Filter(kind="CLICK_TO_CALL"),
    calls.Filter(kind="CAMPAIGN", states=[CallState.WAITING]),
    calls.Filter(campaign_id="CM0000000002", states=[CallState.WAITING]),
    calls.Filter(e164="+4717"),
]
RARE_CDRS = [
    cdrs.Filter(disposition=Disposition.BUSY),
    cdrs.Filter(came_in=True, e164="+4717"),
    cdrs.Filter(campaign_id="CM0000000001", dial_status=DialStatus.BUSY),
    cdrs.Filter(e164="+4717", disposition=Disposition.ANSWERED),
    cdrs.Filter(call_id=f"1{17:019}"),
]


def test_what_matches_rarely_is_sought_among_so_many_rows(
    world: World, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "MOST", 20 * BATCH - 1)
    world.campaign(world.contact_list(), id="CM0000000002")
    for _ in range(SETTLED):
        for rare in RARE_CALLS:
            with reading(world.engine) as connection:
                found = calls.page(connection, world.account_id, rare, BATCH)
            assert len(found.rows) == (1 if rare.e164 else 0)
        for wanted in RARE_CDRS:
            with reading(world.engine) as connection:
                cdrs.page(connection, world.account_id, wanted, BATCH, newest_first=True)
    assert {"store.calls.page", "store.cdrs.page"} <= set(watch.statements)
    assert not too_much(watch)


def test_a_pass_over_those_who_wait_reads_a_page_of_them(world: World, watch: Watch) -> None:
    add_calls(world, "CM0000000003", "WAITING", OTHERS)
    after = (datetime.fromtimestamp(0, UTC), "")
    for _ in range(SETTLED):
        with reading(world.engine) as connection:
            page = calls.waiting_after(connection, "CM0000000003", after, BATCH)
        assert len(page) == BATCH
        after = page[-1].due_at, page[-1].id
    assert watch.statements["store.calls.waiting_after"].most_rows <= BATCH
    assert not too_much(watch)
