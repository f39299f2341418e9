"""Progress and preflight of campaigns that really go on: counters that add up, and whom a campaign would call."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from world import PUBLIC_URL, World, in_threads, number, people, repeating, statements

from dialer.calls.window import CallingWindow
from dialer.campaigns import append, change, preflight, progress
from dialer.campaigns.preflight import Preflight
from dialer.campaigns.progress import Tally
from dialer.db import reading, writing
from dialer.errors import Conflict
from dialer.lifecycle import CallState, CampaignState, DialStatus
from dialer.settings import Settings
from dialer.store import tables as t
from dialer.store.contacts import NewContact


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def tally(world: World, campaign_id: str) -> Tally:
    """The counters; checked against the rows."""
    with reading(world.engine) as connection:
        counted = progress.tally(connection, campaign_id)
    assert counted.not_taken + sum(counted.calls.values()) == counted.contacts
    rows = world.states(campaign_id)
    for state in CallState:
        if state not in (CallState.EXPIRED, CallState.CANCELLED):
            assert counted.calls[state] == rows[state.value], state
    return counted


def look(world: World, campaign_id: str, **how: Any) -> Preflight:
    with reading(world.engine) as connection:
        account = connection.execute(sa.select(t.account).where(t.account.c.id == world.account_id)).one()
        found = preflight.preflight(
            connection, account, world.campaign_row(campaign_id), PUBLIC_URL, world.clock.now, **how
        )
    parts = found.taken, found.suppressed, found.lacking_fields, found.too_late, found.dialable
    assert sum(parts) == found.contacts
    return found


def test_the_counters_add_up_at_every_step_of_a_campaign(world: World) -> None:
    world.forbid(number(50))
    list_id = world.contact_list(people(30))
    campaign = world.campaign(list_id, repeat_policy=repeating(1), calls_per_minute=300)
    assert tally(world, campaign).not_taken == 30
    released = world.release()
    counted = tally(world, campaign)
    assert (counted.calls[CallState.RELEASED], counted.calls[CallState.SUPPRESSED]) == (len(released), 1)
    attempts = world.dial(released)
    assert tally(world, campaign).calls[CallState.IN_PROGRESS] == len(attempts)
    world.end(attempts[:2])
    world.end(attempts[2:], "busy")
    counted = tally(world, campaign)
    assert counted.calls[CallState.WAITING] == len(attempts) - 2
    assert (counted.results[DialStatus.ANSWER], counted.results[DialStatus.DND]) == (2, 1)
    assert counted.answer_rate == 1.0
    world.append(list_id, people(5, start=30))
    assert tally(world, campaign).contacts == 35
    world.stop(campaign)
    assert tally(world, campaign).contacts == 35
    world.release()
    world.end([one for one in world.dial(released) if one])
    world.release()
    counted = tally(world, campaign)
    assert (counted.state, counted.ended, counted.contacts) == (CampaignState.STOPPED, 35, 35)
    world.append(list_id, people(5, start=35))
    assert tally(world, campaign).contacts == 35, (
        "who joins the list of a campaign that is over is none of it"
    )
    world.check()


def test_progress_costs_the_same_for_a_long_list(world: World) -> None:
    counts = []
    for size in (10, 400):
        campaign = world.campaign(world.contact_list(people(size)))
        row = world.campaign_row(campaign)

        def all_of_it(campaign: str = campaign, row: Any = row) -> None:
            with reading(world.engine) as connection:
                account = connection.execute(sa.select(t.account)).one()
                counted = progress.tally(connection, campaign)
                pace = progress.measured_pace(connection, row, world.clock.now)
                progress.expected_finish(connection, row, account, counted, pace, world.clock.now)

        counts.append(statements(world.engine, all_of_it))
    assert counts[0] == counts[1] <= 7


def test_when_it_will_be_through_follows_its_speed(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(100)), calls_per_minute=600)
    account_of = sa.select(t.account).where(t.account.c.id == world.account_id)
    world.clock.forward(10)
    world.end(world.dial(world.release())[:10])
    with reading(world.engine) as connection:
        row, account = world.campaign_row(campaign), connection.execute(account_of).one()
        counted = progress.tally(connection, campaign)
        pace = progress.measured_pace(connection, row, world.clock.now + timedelta(minutes=1))
        assert 0 < pace <= 10
        finish = progress.expected_finish(connection, row, account, counted, 60.0, world.clock.now)
        assert finish.finish_at == world.clock.now + timedelta(seconds=counted.to_call)


def test_at_what_speed_it_goes_is_not_known_before_a_call_has_ended_where_nothing_limits_it(
    world: World,
) -> None:
    campaign = world.campaign(world.contact_list(people(100)), max_concurrent=5)
    account_of = sa.select(t.account).where(t.account.c.id == world.account_id)
    with reading(world.engine) as connection:
        row, account = world.campaign_row(campaign), connection.execute(account_of).one()
        counted = progress.tally(connection, campaign)
        unknown = progress.expected_finish(connection, row, account, counted, 0.0, world.clock.now)
        known = progress.expected_finish(connection, row, account, counted, 60.0, world.clock.now)
    assert unknown.finish_at is None
    assert known.finish_at == world.clock.now + timedelta(seconds=100)


def test_a_preflight_tells_whom_it_would_call_and_whom_not(world: World) -> None:
    world.clock.now = datetime(2026, 1, 13, 12, 0, tzinfo=UTC)  # noon in London, 7 in New York
    own = world.dnd_list()
    given = [
        NewContact(number(50), fields={"due": "5"}, time_zone="Europe/London"),
        NewContact(number(51), fields={"due": "5"}, time_zone="Europe/London"),
        NewContact(number(52), fields={"due": "5"}),
        NewContact(number(53), fields={"due": "5"}, time_zone="America/New_York"),
        NewContact(number(54), fields={"due": "5"}, time_zone="Asia/Tokyo"),  # 21:00
        NewContact(number(55), time_zone="Europe/London"),
        NewContact(number(56), fields={"due": "5"}, time_zone="Europe/London"),
    ]
    world.forbid(number(50), number(56))
    world.forbid(number(56), dnd_list_id=own)
    world.forbid(number(55), dnd_list_id=world.dnd_list())  # a list that it does not honour
    campaign = world.campaign(
        world.contact_list(given), [own], announcement_text="You owe {due}.", state="DRAFT", wake_at=None,
        calling_window=None, end_at=world.clock.now + timedelta(hours=6), calls_per_minute=1,
    )  # fmt: skip
    found = look(world, campaign)
    assert (found.contacts, found.taken, found.suppressed) == (7, 0, 2)
    assert found.by_list == {world.global_dnd: 2, own: 1}
    assert (found.lacking_fields, found.too_late, found.dialable) == (1, 1, 3)
    assert (found.without_time_zone, found.outside_window) == (1, 1)
    assert not found.is_estimate
    assert found.calls_per_minute == 1
    assert found.forecast.finish_at == world.clock.now + timedelta(hours=1, minutes=1)
    assert len(found.problems) == 1
    assert "{due}" in found.problems[0]


def test_whoever_of_no_known_zone_is_not_called_before_the_end_is_not_counted_as_dialable(
    world: World,
) -> None:
    world.clock.now = datetime(2026, 1, 13, 22, 0, tzinfo=UTC)
    given = [NewContact(number(50)), NewContact(number(51), time_zone="America/New_York")]
    campaign = world.campaign(
        world.contact_list(given), state="DRAFT", wake_at=None,
        calling_window=None, end_at=world.clock.now + timedelta(hours=2),
    )  # fmt: skip
    found = look(world, campaign)
    assert (found.too_late, found.dialable, found.without_time_zone) == (1, 1, 0)


def test_a_preflight_of_a_running_campaign_leaves_out_whom_it_has_taken(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(20)), calls_per_minute=300)
    taken = len(world.release())
    found = look(world, campaign)
    assert 0 < taken < 20
    assert (found.taken, found.dialable, found.problems) == (taken, 20 - taken, ())


def test_of_a_long_list_a_part_is_looked_at_when_time_is_short(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "PART", 10)
    everybody = people(200)
    world.forbid(*(one.e164 for one in everybody[::4]))
    campaign = world.campaign(world.contact_list(everybody))
    exact = look(world, campaign)
    assert (exact.suppressed, exact.dialable, exact.is_estimate) == (50, 150, False)
    estimate = look(world, campaign, budget=0.0)
    assert (estimate.contacts, estimate.is_estimate) == (200, True)
    assert abs(estimate.suppressed - 50) <= 20
    ticks = iter(range(100))
    half = look(world, campaign, budget=10.0, clock=lambda: float(next(ticks)))
    assert half.is_estimate
    assert abs(half.suppressed - 50) <= 10


def test_a_changed_window_moves_those_who_wait_for_it(world: World) -> None:

    world.clock.now = datetime(2026, 1, 13, 6, 0, tzinfo=UTC)
    awake, asleep = people(2, time_zone="UTC"), people(3, start=2, time_zone="Asia/Tokyo")
    campaign = world.campaign(
        world.contact_list([*awake, *asleep]), calling_window={"start": "08:00", "end": "14:00"},
        max_concurrent=10, started_at=world.clock.now,
    )  # fmt: skip
    assert world.release() == []  # 6 here, 15 in Tokyo

    def changed(given: list[str], **values: Any) -> None:

        with writing(world.engine) as connection:
            account = connection.execute(sa.select(t.account).where(t.account.c.id == world.account_id)).one()
            held = world.campaign_row(campaign)
            wanted = replace(change.request_of(connection, held), **values)
            change.change(connection, account, held, wanted, given, Settings(), world.clock.now)

    changed(["calling_window"], calling_window=CallingWindow.parse({"start": "07:00", "end": "16:00"}))
    released = world.release()
    assert {world.call(one).time_zone for one in released} == {"Asia/Tokyo"}
    due = {row.time_zone: row.due_at for row in world.rows(t.call, state="WAITING")}
    assert due == {"UTC": world.clock.now + timedelta(hours=1)}
    changed(["pace"], max_concurrent=1)
    assert world.states(campaign) == {"WAITING": 5}
    assert len(world.release()) == 1
    world.check()


def test_whoever_joins_while_it_finishes_is_dialled_or_told_that_it_is_over(world: World) -> None:
    for turn in range(10):
        campaign = world.campaign(world.contact_list(people(1, start=100 * turn)))
        world.clock.forward(1)
        world.end(world.dial(world.release()))
        world.clock.forward(1)
        joined: list[bool] = []

        def join(campaign: str = campaign, turn: int = turn, joined: list[bool] = joined) -> None:
            row = world.campaign_row(campaign)
            with contextlib.suppress(Conflict), writing(world.engine) as connection:
                joined += append.append(connection, row, people(1, start=100 * turn + 50), world.clock.now)

        released: list[str] = []

        def visit(released: list[str] = released) -> None:
            visited = world.visit()
            released += visited.released if visited is not None else ()

        in_threads(visit, join)
        world.clock.forward(1)
        world.end(world.dial([*released, *world.release()]))
        world.clock.forward(1)
        world.release()
        counted = tally(world, campaign)
        assert counted.state is CampaignState.FINISHED
        assert counted.ended == counted.contacts == 1 + len(joined)
        assert len(world.rows(t.contact, list_id=world.campaign_row(campaign).list_id)) == 1 + len(joined)
    world.check()
