"""Single calls that are not urgent: the calling window, the pace and the lane that they keep; and those repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from test_single import Rung
from world import World, number, repeating

from dialer.calls import purposes, single
from dialer.calls.window import DEFAULT_WINDOW
from dialer.db import reading, writing
from dialer.lifecycle import CallState
from dialer.speech import Speech
from dialer.store import singles
from dialer.store import tables as t
from workers.scheduler import RING_AGAIN, Scheduler

NIGHT = datetime(2026, 1, 13, 22, 0, tzinfo=UTC)
MORNING = datetime(2026, 1, 14, 7, 0, tzinfo=UTC)  # 8:00 in Stockholm


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def ask(world: World, *numbers: str, purpose: str = "announcement", **more: Any) -> list[str]:
    """Ask for calls; their ids."""
    with reading(world.engine) as connection:
        asked = replace(singles.asked(connection, world.account_id, ""), now=world.clock.now)
    given = {
        "purpose": purpose,
        "from": "15168148111",
        "message": "Good day {otp}",
        "variables": {"otp": "1"},
    }
    if purpose == "otp":
        given["code"] = "4471"
    wanted = [
        purposes.read(
            given | {"to": one} | more,
            speech=Speech(),
            region=None,
            account_zone="UTC",
            window=DEFAULT_WINDOW,
            templates={},
            now=world.clock.now,
        )
        for one in numbers or (number(50),)
    ]
    with writing(world.engine) as connection:
        return [one.id for one in single.add_all(connection, asked, wanted)]


def release(world: World, *, urgent: bool = False) -> tuple[str, ...]:
    return single.release_due(world.engine, world.limiter, world.clock, urgent=urgent)


def pace(world: World, calls_per_minute: int) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.provider.update().values(calls_per_minute=calls_per_minute))


def test_an_announcement_that_comes_late_is_not_made_at_night(world: World) -> None:
    (call_id,) = ask(world)
    assert world.call(call_id).state == CallState.WAITING
    assert release(world, urgent=True) == ()
    assert release(world) == (call_id,)
    world.clock.now = NIGHT
    assert world.claim([call_id]).placements == ()
    call = world.call(call_id)
    assert (call.state, call.due_at, call.reason) == (CallState.WAITING, MORNING, "outside calling window")
    assert release(world) == ()
    world.clock.now = MORNING
    world.end(world.dial(release(world)))
    assert world.call(call_id).state == CallState.COMPLETED
    (cdr,) = world.rows(t.cdr)
    assert (cdr.kind, cdr.disposition) == ("ANNOUNCEMENT", "ANSWERED")
    world.check()


def test_it_is_released_by_the_same_rules_when_a_worker_of_campaigns_parked_it(world: World) -> None:
    pace(world, 60)
    ids = ask(world, *map(number, range(50, 60)))
    released = release(world)
    assert set(released) <= set(ids)
    claimed = world.claim(released)
    parked = [one for refused in claimed.refused for one in refused.call_ids]
    assert len(claimed.placements) + len(parked) == len(released)
    assert parked
    world.clock.now = NIGHT
    with writing(world.engine) as connection:
        connection.execute(t.provider.update().values(calls_per_minute=None))
    again = _claim_as_parked(world, parked)
    assert again.placements == ()
    assert {world.call(one).due_at for one in parked} == {MORNING}


def _claim_as_parked(world: World, call_ids: list[str]) -> Any:
    from workers.claim import claim  # noqa: PLC0415 - used once

    with writing(world.engine) as connection:
        return claim(connection, world.limiter, world.adapters, call_ids, world.clock.now)


def test_a_thousand_announcements_delay_no_password(world: World) -> None:
    pace(world, 60)
    ask(world, *map(number, range(100, 1100)), purpose="announcement")
    released = release(world)
    assert 0 < len(released) <= 2  # the pace's, not the batch's
    (password,) = ask(world, number(50), purpose="otp")
    assert world.call(password).state == CallState.RELEASED
    assert len(world.claim([password]).placements) == 1
    due = sorted(row.due_at for row in world.rows(t.call, state="WAITING") if row.due_at > world.clock.now)
    assert due, "those that found no token are looked at again later"
    assert due[-1] - due[0] > timedelta(seconds=60), "and not all at once"


def test_a_password_that_waits_goes_before_announcements_that_have_waited_longer(world: World) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.provider.update().values(paused_reason="no funds"))
    announced = ask(world, *map(number, range(100, 250)))
    world.clock.forward(60)
    (password,) = ask(world, number(50), purpose="otp")
    world.clock.forward(60)
    with writing(world.engine) as connection:
        connection.execute(t.provider.update().values(paused_reason=None))
    assert release(world, urgent=True) == (password,)
    assert len(release(world)) == single.BATCH
    assert len(release(world)) == len(announced) - single.BATCH


def test_each_lane_is_rung_for_its_own(world: World) -> None:
    announced, password = ask(world) + ask(world, number(51), purpose="otp")
    rung = Rung()
    scheduler = Scheduler(world.engine, world.limiter, rung, 1.0)  # type: ignore[arg-type]
    with writing(world.engine) as connection:
        long_ago = datetime.now(UTC) - 2 * RING_AGAIN
        connection.execute(
            t.call.update().values(state="RELEASED", rung_at=long_ago, provider_id=world.provider_id)
        )
    scheduler.upkeep()
    assert (rung.singles, rung.others) == ([password], [announced])


def test_a_single_call_is_repeated_by_its_own_policy_until_it_expires(world: World) -> None:
    until = world.clock.now + timedelta(minutes=6)
    (call_id,) = ask(world, repeat_policy=repeating(5, delay=120), expires_at=until, metadata={"order": "7"})
    for _ in range(3):
        world.end(world.dial(release(world)), "busy")
        world.clock.forward(119)
        assert release(world) == ()
        world.clock.forward(1)
    call = world.call(call_id)
    assert (call.state, call.dials, call.repeats) == (CallState.FAILED, 3, {"BUSY": 2})
    assert [row.metadata for row in world.rows(t.cdr)] == [{"order": "7"}] * 3
    (said,) = world.rows(t.message)
    assert said.text is None
    world.check()


def test_only_the_provider_that_was_named_carries_it(world: World) -> None:
    second = world.provider(name="second", priority=200)
    world.set_provider(calls_per_minute=60)
    ids = ask(world, *map(number, range(50, 53)), provider="second")
    assert set(release(world)) == set(ids)
    assert {world.call(one).provider_id for one in ids} == {second}
    with writing(world.engine) as connection:
        connection.execute(
            t.provider.update().where(t.provider.c.id == second).values(paused_reason="no funds")
        )
    (call_id,) = ask(world, number(60), provider="second")
    assert release(world) == ()
    assert world.call(call_id).state == CallState.WAITING


def test_dnd_lists_and_the_frequency_cap_hold(world: World) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(frequency_cap=1))
    world.forbid(number(51))
    first, listed, second = ask(world, number(50), number(51), number(50), purpose="transactional")
    placed = world.claim(release(world)).placements
    assert [one.call_id for one in placed] == [first]
    assert world.call(listed).state == CallState.SUPPRESSED
    call = world.call(second)
    assert (call.state, call.reason) == (
        CallState.EXPIRED,
        "expired",
    )  # its day is over before the cap lets it go
    assert {row.dial_status for row in world.rows(t.cdr)} == {"DND", "CANCEL"}
