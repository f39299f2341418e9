"""A calling window is changed while thousands wait for it: page by page, and nobody is rung outside the new one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from world import World, people, repeating, statements

from dialer.calls.window import CallingWindow
from dialer.campaigns import change, openings
from dialer.db import reading, writing
from dialer.settings import Settings
from dialer.store import accounts
from dialer.store import tables as t

SIX = datetime(2026, 1, 13, 6, 0, tzinfo=UTC)
DAY = {"start": "08:00", "end": "14:00"}


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.clock.now = SIX
    yield made
    made.close()


def asleep(world: World, count: int, **values: Any) -> str:
    """A campaign of so many who all wait for their window to open at eight."""
    campaign = world.campaign(
        world.contact_list(people(count, time_zone="UTC")),
        **{"calling_window": DAY, "started_at": SIX, **values},
    )
    assert world.release() == []
    assert due(world) == {SIX + timedelta(hours=2): count}
    return campaign


def due(world: World) -> dict[datetime, int]:
    """When calls that wait are due, and how many at each moment."""
    return Counter(row.due_at for row in world.rows(t.call, state="WAITING"))


def set_window(world: World, campaign: str, start: str, end: str) -> None:
    window = CallingWindow.parse({"start": start, "end": end})
    with writing(world.engine) as connection:
        account = connection.execute(sa.select(t.account).where(t.account.c.id == world.account_id)).one()
        held = world.campaign_row(campaign)
        wanted = replace(change.request_of(connection, held), calling_window=window)
        change.change(connection, account, held, wanted, ["calling_window"], Settings(), world.clock.now)


def test_a_changed_window_reaches_those_who_wait_a_page_in_each_visit(world: World) -> None:
    campaign = asleep(world, 2 * openings.PAGE + 500)
    eight, ten = SIX + timedelta(hours=2), SIX + timedelta(hours=4)
    costs = statements(world.engine, lambda: set_window(world, campaign, "10:00", "14:00"))
    assert set(due(world)) == {eight}, "the change itself touches no call"
    for moved in (openings.PAGE, 2 * openings.PAGE):
        assert statements(world.engine, world.visit) <= 20
        assert due(world)[ten] == moved
    assert world.release() == []
    assert due(world) == {ten: 2 * openings.PAGE + 500}
    assert world.campaign_row(campaign).pass_due_at is None
    with writing(world.engine) as connection:  # as few wait, it costs the same
        connection.execute(t.call.delete().where(t.call.c.campaign_id == campaign))
    assert statements(world.engine, lambda: set_window(world, campaign, "09:00", "14:00")) == costs


def test_a_wider_window_lets_them_go_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "PAGE", 7)
    campaign = asleep(world, 50)
    set_window(world, campaign, "05:00", "14:00")
    assert len(world.claim(world.release()).placements) == 50
    world.check()


def test_a_narrower_window_holds_before_the_pass_has_come_to_anybody(world: World) -> None:
    campaign = asleep(world, 50)
    world.clock.now = SIX + timedelta(hours=2)
    released = world.release()
    assert len(released) == 50
    set_window(world, campaign, "10:00", "14:00")
    assert world.claim(released).placements == ()
    world.release()
    assert due(world) == {SIX + timedelta(hours=4): 50}
    world.check()


def test_a_pass_that_is_late_lets_nobody_be_dialled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    campaign = asleep(world, 50)
    set_window(world, campaign, "10:00", "14:00")
    # All schedulers were away, and then the pass gets hardly anywhere.
    world.clock.now = SIX + timedelta(hours=2)
    monkeypatch.setattr(openings, "PAGE", 1)
    for _ in range(5):
        visit = world.visit()
        assert visit is not None
        assert world.claim(visit.released).placements == ()
    world.release()
    assert due(world) == {SIX + timedelta(hours=4): 50}
    assert len(world.rows(t.attempt)) == 0
    world.check()


def test_what_waits_for_something_else_is_left_alone(world: World) -> None:
    campaign = world.campaign(
        world.contact_list(people(3)), calling_window=DAY, started_at=SIX,
        repeat_policy=repeating(1, delay=3600),
    )  # fmt: skip
    world.clock.now = SIX + timedelta(hours=3)
    world.end(world.dial(world.release()), "busy")
    planned = due(world)
    assert planned == {world.clock.now + timedelta(hours=1): 3}
    set_window(world, campaign, "08:00", "18:00")
    world.release()
    assert due(world) == planned
    assert world.campaign_row(campaign).pass_due_at is None
    world.check()


def test_a_repeat_that_came_up_outside_the_window_comes_forward_with_the_others(world: World) -> None:
    campaign = world.campaign(
        world.contact_list(people(3, time_zone="UTC")), calling_window=DAY, started_at=SIX,
        repeat_policy=repeating(1, delay=3600),
    )  # fmt: skip
    world.clock.now = SIX + timedelta(hours=7, minutes=30)
    world.end(world.dial(world.release()), "busy")
    world.clock.forward(3600)
    assert world.claim(world.release()).placements == ()
    assert due(world) == {SIX + timedelta(days=1, hours=2): 3}
    set_window(world, campaign, "08:00", "18:00")
    assert len(world.claim(world.release()).placements) == 3
    world.check()


def test_a_window_that_is_changed_while_the_campaign_is_paused_holds_when_it_is_resumed(world: World) -> None:
    campaign = asleep(world, 20)
    world.pause(campaign)
    set_window(world, campaign, "05:00", "14:00")
    assert world.release() == []
    world.resume(campaign)
    assert len(world.claim(world.release()).placements) == 20
    world.check()


def test_the_window_of_an_account_reaches_its_campaigns_that_have_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openings, "PAGE", 7)
    own = asleep(world, 20)
    theirs = world.campaign(
        world.contact_list(people(20, start=20, time_zone="UTC")), calling_window=None, started_at=SIX
    )
    world.release()
    with writing(world.engine) as connection:
        openings.begin_of_account(connection, world.account_id, world.clock.now)
        accounts.update(connection, world.account_id, calling_window={"start": "05:00", "end": "20:00"})
    released = world.release()
    assert {world.call(one).campaign_id for one in released} == {theirs}
    assert len(world.claim(released).placements) == 20
    assert world.states(own) == {"WAITING": 20}
    world.check()


def test_a_call_that_somebody_holds_does_not_stop_the_pass(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has no row locks")
    campaign = asleep(world, 20)
    set_window(world, campaign, "10:00", "14:00")
    held = sa.select(t.call.c.id).limit(1).with_for_update()
    with world.engine.connect() as other, other.begin():
        other.execute(held)
        world.release()
    assert due(world) == {SIX + timedelta(hours=2): 1, SIX + timedelta(hours=4): 19}
    world.clock.now = SIX + timedelta(hours=2)
    assert world.claim(world.release()).placements == (), "the worker looks at the window all the same"
    assert due(world) == {SIX + timedelta(hours=4): 20}
    with reading(world.engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.attempt)).scalar_one() == 0
