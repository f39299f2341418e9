"""What is kept for some time only: removed when it is old, so much at a time, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from test_scheduler import Bell
from world import World, statements

from dialer import retention
from dialer.db import writing
from dialer.settings import Settings
from dialer.store import bulk
from dialer.store import tables as t
from workers import housekeeping
from workers.scheduler import Scheduler

#: Days that each sort is kept here, so that a mix-up shows.
DAYS = {
    "keep_rejected_rows_days": 10,
    "keep_events_days": 20,
    "keep_history_days": 30,
    "keep_verifications_days": 40,
}


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.clock.now = datetime.now(UTC)
    yield made
    made.close()


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, retention.Kept]:
    settings = Settings(home=tmp_path / "home", _env_file=None, **DAYS)
    return {one.what: one for one in retention.kept(settings)}


def ago(world: World, days: float) -> datetime:
    return world.clock.now - timedelta(days=days)


def insert(world: World, table: Any, *rows: dict[str, Any]) -> None:
    with writing(world.engine) as connection:
        for row in rows:
            bulk.insert(connection, table, [row])


def add_import(world: World, name: str, ended: float | None, rows: int = 1) -> None:
    at = None if ended is None else ago(world, ended)
    insert(world, t.import_, {
        "id": name, "account_id": world.account_id, "kind": "CONTACTS", "target_id": "LS1", "file_name": "f",
        "path": "f", "state": "RUNNING" if at is None else "DONE", "size": 1, "offset": 0, "line": 0, "accepted": 0,
        "duplicate": 0, "invalid": rows, "error": "", "lease_until": world.clock.now, "created_at": ago(world, 90),
        "ended_at": at,
    })  # fmt: skip
    for line in range(rows):
        insert(world, t.rejected_row, {
            "import_id": name, "line": line, "column": "phone", "value": "1", "code": "invalid", "reason": "short",
        })  # fmt: skip


def add_event(world: World, key: str, days: float, state: str = "CONSUMED") -> None:
    insert(world, t.event, {
        "provider_id": world.provider_id, "dedupe_key": key, "state": state, "method": "GET", "path": "", "query": "",
        "content_type": "", "body": b"", "received_at": ago(world, days), "error": "",
    })  # fmt: skip


def add_change(world: World, subject: str, days: float) -> None:
    insert(world, t.history, {
        "at": ago(world, days), "machine": "call", "entity_id": subject, "from_state": "WAITING",
        "to_state": "RELEASED", "reason": "",
    })  # fmt: skip


def add_verification(world: World, name: str, ended: float | None) -> None:
    at = ago(world, 90 if ended is None else ended)
    insert(world, t.verification, {
        "id": name, "account_id": world.account_id, "e164": f"+{name[2:]}", "country": "SE", "prefix": "467",
        "state": "PENDING" if ended is None else "VERIFIED", "channels": [], "step": 0, "call_id": name, "sends": 1,
        "max_sends": 5, "checks": 0, "max_checks": 5, "resend_after": 30, "caller_id": "", "template": "",
        "speech": {}, "created_at": at, "expires_at": at, "sent_at": at, "ended_at": None if ended is None else at,
        "reason": "",
    })  # fmt: skip
    insert(world, t.verification_send, {
        "verification_id": name, "account_id": world.account_id, "call_id": name, "channel": "voice",
        "e164": f"+{name[2:]}", "prefix": "467", "at": at,
    })  # fmt: skip


def test_what_is_old_goes_and_what_is_not_stays(world: World, kept: dict[str, retention.Kept]) -> None:
    add_import(world, "IM1", ended=11)
    add_import(world, "IM2", ended=None)
    add_import(world, "IM3", ended=9)
    add_event(world, "waits", 21, state="NEW")
    for key, days in (("old", 21), ("young", 19)):
        add_event(world, key, days)
    add_event(world, "odd", 21, state="UNREADABLE")
    add_change(world, "old", 31)
    add_change(world, "young", 29)
    for name, ended in (("VE1", 41), ("VE2", 39), ("VE3", None)):
        add_verification(world, name, ended)
    bell = Bell()
    scheduler = Scheduler(
        world.engine,
        world.limiter,
        bell,
        0.01,
        jobs=housekeeping.jobs(list(kept.values())),  # type: ignore[arg-type]
    )
    scheduler.upkeep()
    assert {row.import_id for row in world.rows(t.rejected_row)} == {"IM2", "IM3"}
    assert {row.dedupe_key for row in world.rows(t.event)} == {"waits", "young"}
    assert {row.entity_id for row in world.rows(t.history)} == {"young"}
    assert {row.id for row in world.rows(t.verification)} == {"VE2", "VE3"}
    assert {row.verification_id for row in world.rows(t.verification_send)} == {"VE2"}
    assert len(world.rows(t.import_)) == 3, "how many rows an import refused is told for ever"
    assert bell.uploads == 1


def test_what_is_old_goes_bit_by_bit(
    world: World, kept: dict[str, retention.Kept], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "OLD_AT_ONCE", 4)
    monkeypatch.setattr(housekeeping, "OLD_PURGES", 2)
    add_import(world, "IM1", ended=11, rows=10)
    add_import(world, "IM2", ended=1, rows=10)
    job = kept["rejected rows"]
    assert not housekeeping.remove_old(job, world.engine)
    assert len(world.rows(t.rejected_row)) == 12
    assert housekeeping.remove_old(job, world.engine)
    assert [row.import_id for row in world.rows(t.rejected_row)] == ["IM2"] * 10
    assert statements(world.engine, lambda: housekeeping.remove_old(job, world.engine)) <= 3


def test_by_default_only_rejected_rows_are_old_some_day(tmp_path: Path) -> None:
    (only,) = retention.kept(Settings(home=tmp_path / "home", _env_file=None))
    assert (only.what, only.time) == ("rejected rows", timedelta(days=90))


def test_two_schedulers_that_remove_the_same_do_not_wait_for_each_other(
    world: World, kept: dict[str, retention.Kept]
) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no row locks")
    for place in range(3):
        add_change(world, f"old {place}", 31)
    job = kept["history"]
    with world.engine.connect() as other, other.begin():
        other.execute(t.history.select().where(t.history.c.entity_id == "old 1").with_for_update())
        assert housekeeping.remove_old(job, world.engine)
    assert [row.entity_id for row in world.rows(t.history)] == ["old 1"]
