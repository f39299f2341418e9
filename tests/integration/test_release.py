"""Release: which calls of a campaign may be dialled, contact by contact, over a real database and a real pace."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from world import ALWAYS, NOON, World, in_threads, number, people, repeating, statements

from dialer.calls.window import WindowError
from dialer.campaigns import release
from dialer.campaigns.release import VisitError
from dialer.db import reading, writing
from dialer.lifecycle import CallState, CampaignState
from dialer.pace.limiter import Pace, Stage
from dialer.providers.contract import Outcome
from dialer.store import calls, contacts, imports
from dialer.store import tables as t
from dialer.store.contacts import NewContact


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def an_import(world: World, list_id: str) -> str:
    """A file on its way into the list."""
    row = {
        "id": "IM0000000001",
        "account_id": world.account_id,
        "kind": "CONTACTS",
        "target_id": list_id,
        "file_name": "people.csv",
        "path": "/people.csv",
        "state": "RUNNING",
        "size": 1,
        "lease_until": world.clock.now + timedelta(hours=1),
        "created_at": world.clock.now,
    }
    with writing(world.engine) as connection:
        imports.add(connection, row)
    return str(row["id"])


def state_of(world: World, campaign_id: str) -> str:
    return str(world.campaign_row(campaign_id).state)


# --- what becomes of each contact ----------------------------------------------------------------------------


def test_every_contact_is_released_once_and_the_campaign_finishes_when_all_have_an_end(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(250)))
    released: list[str] = []
    while state_of(world, campaign) != CampaignState.FINISHED:
        now_released = world.release()
        world.check()
        released += now_released
        world.end(world.dial(now_released[:100]))
        world.check()
        world.end(world.dial(now_released[100:]))
        world.check()
        world.clock.forward(1)
    assert len(released) == len(set(released)) == 250
    assert world.counts(campaign) == {"taken": 250, "COMPLETED": 250, "cdr.ANSWER": 250}


def test_an_empty_list_finishes_at_once(world: World) -> None:
    campaign = world.campaign(world.contact_list())
    world.release()
    assert state_of(world, campaign) == CampaignState.FINISHED
    world.check()


def test_numbers_on_any_applicable_dnd_list_are_suppressed_with_a_cdr(world: World) -> None:
    with_lists = world.contact_list([NewContact(number(one)) for one in (50, 51, 52, 53)])
    own = world.dnd_list()
    campaign = world.campaign(with_lists, [own])
    world.forbid(number(50))
    world.forbid(number(51), dnd_list_id=own)
    released = world.release()
    assert sorted(world.call(one).e164 for one in released) == [number(52), number(53)]
    assert world.states(campaign) == {"SUPPRESSED": 2, "RELEASED": 2}
    assert world.counts(campaign) == {"taken": 4, "SUPPRESSED": 2, "cdr.DND": 2}
    world.check()


def test_another_accounts_dnd_list_does_not_apply(world: World) -> None:
    _, foreign = world.account()
    world.forbid(number(50), dnd_list_id=foreign)
    world.campaign(world.contact_list([NewContact(number(50))]))
    assert len(world.release()) == 1


def test_contacts_wait_for_the_morning_of_their_own_zone(world: World) -> None:
    world.clock.now = datetime(2026, 1, 13, 6, 0, tzinfo=UTC)  # 11:30 in India, 7 in Sweden, 1 in New York
    given = [
        NewContact(number(50), time_zone="Asia/Kolkata"),
        NewContact(number(51), time_zone="Europe/Stockholm"),
        NewContact(number(52), time_zone="America/New_York"),
        NewContact(number(53)),  # the campaign's: Tokyo, 15:00
    ]
    campaign = world.campaign(world.contact_list(given), calling_window=None, time_zone="Asia/Tokyo")
    released = world.release()
    assert {world.call(one).e164 for one in released} == {number(50), number(53)}
    due = {row.e164: row.due_at for row in world.rows(t.call, state="WAITING")}
    assert due == {
        number(51): datetime(2026, 1, 13, 7, 0, tzinfo=UTC),
        number(52): datetime(2026, 1, 13, 13, 0, tzinfo=UTC),
    }
    world.check()
    world.clock.now = datetime(2026, 1, 13, 7, 0, tzinfo=UTC)
    world.end(world.dial([*released, *world.release()]))
    world.check()
    assert world.states(campaign) == {"COMPLETED": 3, "WAITING": 1}


def test_a_window_that_opens_on_the_day_the_clocks_change_opens_at_the_local_hour(world: World) -> None:
    world.clock.now = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # the night to summer time in Sweden
    given = [NewContact(number(50), time_zone="Europe/Stockholm")]
    campaign = world.campaign(world.contact_list(given), calling_window={"start": "08:00", "end": "09:00"})
    assert world.release() == []
    assert world.rows(t.call)[0].due_at == datetime(2026, 3, 29, 6, 0, tzinfo=UTC)
    world.clock.now = datetime(2026, 3, 29, 6, 59, tzinfo=UTC)
    (released,) = world.release()
    world.clock.now = datetime(2026, 3, 29, 7, 0, tzinfo=UTC)  # it has closed while the call lay released
    assert world.dial([released]) == []
    assert world.call(released).due_at == datetime(2026, 3, 30, 6, 0, tzinfo=UTC)
    assert world.states(campaign) == {"WAITING": 1}
    world.check()


def test_who_cannot_be_called_before_the_campaigns_end_expires(world: World) -> None:
    given = [NewContact(number(50), time_zone="Asia/Tokyo"), NewContact(number(51), time_zone="Europe/Paris")]
    campaign = world.campaign(  # 21:00 in Tokyo: its window has just closed
        world.contact_list(given), calling_window=None, end_at=NOON + timedelta(hours=3)
    )
    (released,) = world.release()
    assert world.states(campaign) == {"EXPIRED": 1, "RELEASED": 1}
    world.end(world.dial([released]))
    world.clock.forward(1)
    world.release()
    assert state_of(world, campaign) == CampaignState.FINISHED
    world.check()


def test_contacts_outside_the_window_hold_up_nobody_behind_them(world: World) -> None:
    asleep = people(300, time_zone="America/Los_Angeles")  # 4 in the morning
    awake = people(5, start=300, time_zone="Europe/Paris")
    campaign = world.campaign(world.contact_list([*asleep, *awake]), calling_window=None)
    assert len(world.release()) == 5
    assert world.states(campaign) == {"WAITING": 300, "RELEASED": 5}
    world.check()


# --- other campaigns beside it ----------------------------------------------------------------------------


def test_a_campaign_of_people_asleep_lets_others_have_their_turn(world: World) -> None:
    asleep = world.contact_list(people(2000, time_zone="America/Los_Angeles"))
    world.campaign(asleep, calling_window=None, served_at=NOON - timedelta(days=1))
    awake = world.campaign(world.contact_list(people(5, start=2000)), served_at=NOON - timedelta(hours=1))
    visits = [world.visit() for _ in range(3)]
    assert awake in [visit.campaign_id for visit in visits if visit is not None]


def test_stopping_a_large_campaign_lets_others_have_their_turn(world: World) -> None:
    large = world.campaign(
        world.contact_list(people(1200, time_zone="America/Los_Angeles")), calling_window=None
    )
    world.release()
    world.clock.forward(60)
    world.stop(large)
    other = world.campaign(world.contact_list(people(5, start=2000)), served_at=NOON + timedelta(seconds=59))
    visits = [world.visit() for _ in range(3)]
    assert other in [visit.campaign_id for visit in visits if visit is not None]
    world.release()
    assert world.states(large) == {"CANCELLED": 1200}
    world.check()


def test_campaigns_with_all_their_places_taken_do_not_keep_others_from_their_turn(world: World) -> None:
    full = [
        world.campaign(world.contact_list(people(3, start=10 * one)), max_concurrent=1) for one in range(20)
    ]
    world.release()
    world.clock.forward(10)
    late = world.campaign(world.contact_list(people(3, start=900)), served_at=NOON + timedelta(seconds=9))
    seen = set()
    for _ in range(len(full) + 1):
        visit = world.visit()
        assert visit is not None
        seen.add(visit.campaign_id)
        world.clock.forward(
            0.1
        )  # visits are slow: the first of them are due again before the last had theirs
    assert late in seen


def test_a_campaign_that_cannot_be_visited_says_which_it_is_and_changes_nothing(world: World) -> None:
    odd = world.campaign(world.contact_list(people(3)), calling_window={"start": "never"})
    with pytest.raises(VisitError) as raised:
        world.visit()
    assert raised.value.campaign_id == odd
    assert world.states(odd) == {}


def test_a_row_that_the_database_refuses_is_its_campaigns_own_trouble(world: World) -> None:
    odd = world.campaign(world.contact_list(people(2)))
    with writing(world.engine) as connection:
        connection.execute(sa.text("CREATE UNIQUE INDEX one_call_a_list ON call (list_id)"))
    try:
        with pytest.raises(VisitError) as raised:
            world.visit()
    finally:
        with writing(world.engine) as connection:
            connection.execute(sa.text("DROP INDEX one_call_a_list"))
    assert raised.value.campaign_id == odd
    assert len(world.release()) == 2


# --- limits ------------------------------------------------------------------------------------------------


def test_calls_at_once_of_campaign_account_and_provider_are_never_exceeded(world: World) -> None:
    list_id = world.contact_list(people(40))
    campaign = world.campaign(list_id, max_concurrent=7)
    assert len(world.release()) == 7
    assert world.release() == []
    world.clock.forward(1)
    attempts = world.dial([row.id for row in world.rows(t.call, state="RELEASED")])
    assert world.release() == []
    world.end(attempts[:3])
    world.clock.forward(1)
    assert len(world.release()) == 3
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(max_concurrent=9))
        connection.execute(t.campaign.update().values(max_concurrent=None))
    world.clock.forward(1)
    assert len(world.release()) == 2
    world.set_provider(max_concurrent=10)
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(max_concurrent=None))
    world.clock.forward(1)
    assert len(world.release()) == 1
    world.check()
    assert world.states(campaign)["RELEASED"] == 6


def test_a_paced_campaign_keeps_a_stock_of_two_seconds(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(100)), calls_per_minute=300)
    assert len(world.release()) == 10
    world.clock.forward(60)
    assert world.release() == [], "the stock is not taken yet, however long ago it was released"
    assert world.states(campaign) == {"RELEASED": 10}


def test_a_paced_campaign_is_visited_twice_a_second_and_not_for_every_call(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(100)), calls_per_minute=6000)
    world.limiter.take(Stage.RELEASE, world.provider_id, [Pace("campaign", campaign, 6000)], 195)
    assert len(world.release()) >= 5
    assert world.campaign_row(campaign).wake_at == NOON + timedelta(seconds=0.5)


def test_a_provider_that_is_held_is_not_asked_until_its_time_is_over(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(3)))
    world.set_provider(held_until=NOON + timedelta(seconds=30))
    assert world.release() == []
    assert world.campaign_row(campaign).wake_at == NOON + timedelta(
        seconds=5
    )  # another may be added meanwhile
    world.clock.forward(30)
    assert len(world.release()) == 3


def test_when_the_first_provider_has_no_room_the_next_one_carries_the_calls(world: World) -> None:
    world.set_provider(max_concurrent=2, priority=1)
    second = world.provider(priority=2)
    world.campaign(world.contact_list(people(5)))
    released = world.release()
    assert Counter(world.call(one).provider_id for one in released) == {world.provider_id: 2, second: 3}


def test_without_a_provider_nothing_is_released_and_nothing_is_lost(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(5)))
    world.set_provider(enabled=False)
    assert world.release() == []
    assert state_of(world, campaign) == CampaignState.RUNNING
    world.set_provider(enabled=True)
    world.clock.forward(5)
    assert len(world.release()) == 5


# --- beginning and end --------------------------------------------------------------------------------------


def test_a_campaign_starts_at_its_date_and_not_before(world: World) -> None:
    campaign = world.campaign(
        world.contact_list(people(1)), state="SCHEDULED", start_at=NOON + timedelta(hours=1)
    )
    assert world.release() == []
    world.clock.forward(3599)
    assert world.release() == []
    world.clock.forward(1)
    assert len(world.release()) == 1
    assert world.campaign_row(campaign).started_at == world.clock.now
    world.check()


@pytest.mark.parametrize("held", [False, True])
def test_at_its_end_date_what_was_not_dialled_expires_and_what_was_is_waited_for(
    world: World, held: bool
) -> None:
    campaign = world.campaign(
        world.contact_list(people(700)), end_at=NOON + timedelta(hours=1), repeat_policy=repeating(3)
    )
    released = world.release()
    attempts = world.dial(released[:30])
    world.end(attempts[:10], "busy")
    if held:
        world.pause(campaign)
    world.clock.forward(3600)
    world.release()
    world.check()
    assert state_of(world, campaign) != CampaignState.FINISHED, "twenty people are on the telephone"
    world.end(attempts[10:], "no answer")
    world.clock.forward(1)
    world.release()
    assert state_of(world, campaign) == CampaignState.FINISHED
    assert world.counts(campaign) == {
        "taken": 700,
        "EXPIRED": 680,
        "FAILED": 20,
        "cdr.BUSY": 10,
        "cdr.NOANSWER": 20,
    }
    world.check()


def test_a_stopped_campaign_cancels_what_was_not_dialled(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(700)), repeat_policy=repeating(3))
    released = world.release()
    attempts = world.dial(released[:30])
    world.end(attempts[:10], "busy")
    world.stop(campaign)
    assert world.dial(released[30:]) == [], "claimed after the stop"
    world.release()
    world.end(attempts[10:], "busy")  # their repeats are not made
    world.clock.forward(1)
    world.release()
    assert world.counts(campaign) == {"taken": 700, "CANCELLED": 680, "FAILED": 20, "cdr.BUSY": 30}
    assert world.campaign_row(campaign).wake_at is None
    world.check()


def test_a_paused_campaign_releases_and_dials_nothing_until_it_is_resumed(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(120)), repeat_policy=repeating(1, delay=1))
    released = world.release()
    attempts = world.dial(released[:20])
    world.pause(campaign)
    world.end(attempts, "busy")
    world.clock.forward(60)
    assert world.release() == []
    assert world.dial(released[20:]) == []
    world.check()
    assert world.states(campaign) == {"WAITING": 120}
    world.resume(campaign)
    assert len(world.release()) == 120
    world.check()


def test_a_campaign_does_not_finish_while_a_file_is_still_read_into_its_list(world: World) -> None:
    list_id = world.contact_list(people(1))
    campaign = world.campaign(list_id)
    import_id = an_import(world, list_id)
    world.end(world.dial(world.release()))
    for _ in range(3):
        world.clock.forward(10)
        world.release()
        assert state_of(world, campaign) == CampaignState.RUNNING
    world.append(list_id, people(1, start=1))
    with writing(world.engine) as connection:
        imports.update(connection, import_id, state="DONE")
    world.end(world.dial(world.release()))
    world.clock.forward(10)
    world.release()
    assert state_of(world, campaign) == CampaignState.FINISHED
    assert world.counts(campaign)["taken"] == 2
    world.check()


@pytest.mark.parametrize("stopped", [False, True])
def test_the_end_of_a_campaign_counts_also_who_is_still_read_from_a_file(world: World, stopped: bool) -> None:
    list_id = world.contact_list(people(1))
    campaign = world.campaign(list_id, end_at=NOON + timedelta(hours=1))
    import_id = an_import(world, list_id)
    world.end(world.dial(world.release()))
    if stopped:
        world.stop(campaign)
    world.clock.forward(3600)
    world.release()
    assert state_of(world, campaign) != CampaignState.FINISHED
    world.append(list_id, people(3, start=1))
    with writing(world.engine) as connection:
        imports.update(connection, import_id, state="DONE")
    world.clock.forward(10)
    world.release()
    end = "CANCELLED" if stopped else "EXPIRED"
    assert world.counts(campaign) == {"taken": 4, "COMPLETED": 1, end: 3, "cdr.ANSWER": 1}
    world.check()


def test_contacts_whose_import_ends_between_two_looks_are_not_left_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    list_id = world.contact_list(people(1))
    campaign = world.campaign(list_id)
    import_id = an_import(world, list_id)
    world.end(world.dial(world.release()))
    world.clock.forward(10)
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: nobody can commit between two looks")
    looked = calls.has_open

    def import_ends_meanwhile(connection: Connection, campaign_id: str) -> bool:
        # Another process commits the last rows of the file and ends the import at the worst moment.
        world.append(list_id, people(2, start=1))
        with writing(world.engine) as other:
            imports.update(other, import_id, state="DONE")
        return looked(connection, campaign_id)

    monkeypatch.setattr(calls, "has_open", import_ends_meanwhile)
    world.visit()
    monkeypatch.setattr(calls, "has_open", looked)
    world.clock.forward(10)
    assert len(world.release()) == 2
    assert state_of(world, campaign) == CampaignState.RUNNING


def test_who_is_added_to_a_running_campaigns_list_is_called(world: World) -> None:
    list_id = world.contact_list(people(2))
    campaign = world.campaign(list_id)
    first = world.dial(world.release())
    world.append(list_id, people(3, start=2))
    more = world.dial(world.release())
    assert len(more) == 3
    world.end([*first, *more])
    world.clock.forward(1)
    world.release()
    assert state_of(world, campaign) == CampaignState.FINISHED
    world.check()


# --- many at once -------------------------------------------------------------------------------------------


def test_two_schedulers_release_no_number_twice_and_step_over_nobody(world: World) -> None:
    lists = [world.contact_list(people(130, start=1000 * one)) for one in range(6)]
    running = [world.campaign(list_id) for list_id in lists]
    released: list[str] = []

    def scheduler() -> None:
        while (visit := world.visit()) is not None:
            released.extend(visit.released)

    in_threads(scheduler, scheduler, scheduler)
    assert len(released) == len(set(released)) == 6 * 130
    for campaign in running:
        assert world.states(campaign) == {"RELEASED": 130}
    world.check()


def test_two_schedulers_never_exceed_the_calls_at_once(world: World) -> None:
    world.set_provider(max_concurrent=11)
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(max_concurrent=13))
    other_account, _ = world.account()
    for one in range(4):
        world.campaign(world.contact_list(people(30, start=100 * one)), max_concurrent=5)
    other = world.contact_list(people(30, start=900), account_id=other_account)
    world.campaign(other, account_id=other_account)

    def scheduler() -> None:
        while world.visit() is not None:
            pass

    in_threads(scheduler, scheduler, scheduler)
    assert len(world.rows(t.call, state="RELEASED")) == 11
    world.set_provider(max_concurrent=None)
    world.clock.forward(10)
    in_threads(scheduler, scheduler, scheduler)
    assert len(world.rows(t.call, state="RELEASED", account_id=world.account_id)) == 13
    assert all(
        world.states(row.id)["RELEASED"] <= 5 for row in world.rows(t.campaign, account_id=world.account_id)
    )
    world.check()


def test_contacts_that_several_writers_append_meanwhile_are_never_stepped_over(world: World) -> None:
    list_id = world.contact_list(people(5))
    campaign = world.campaign(list_id)
    writers_left = threading.Semaphore(0)

    def writer(which: int) -> None:
        for batch in range(6):
            world.append(list_id, people(7, start=1000 * which + 7 * batch))
        writers_left.release()

    def scheduler() -> None:
        done = 0
        while done < 3:
            if world.visit() is None:
                world.clock.forward(1)
            while writers_left.acquire(blocking=False):
                done += 1

    in_threads(lambda: writer(1), lambda: writer(2), lambda: writer(3), scheduler)
    world.clock.forward(1)
    world.release()
    with reading(world.engine) as connection:
        assert contacts.count(connection, list_id) == 5 + 3 * 6 * 7
    taken = world.states(campaign).total()
    waiting = taken - world.states(campaign)["RELEASED"]
    assert (taken, waiting) == (131, 0)
    world.check()


# --- cost ---------------------------------------------------------------------------------------------------


def test_a_visit_costs_the_same_however_large_the_campaign_is(world: World) -> None:
    costs = []
    for size in (1_000, 20_000):
        list_id = world.contact_list()
        with writing(world.engine) as connection:
            connection.execute(
                t.contact.insert(),
                [
                    {"list_id": list_id, "position": place + 1, "e164": f"+47{size}{place:05d}", "fields": {}}
                    for place in range(size)
                ],
            )
            connection.execute(
                t.contact_list.update()
                .where(t.contact_list.c.id == list_id)
                .values(contact_count=size, last_position=size)
            )
        campaign = world.campaign(list_id)
        costs.append(statements(world.engine, world.visit))
        with writing(world.engine) as connection:
            connection.execute(t.campaign.update().where(t.campaign.c.id == campaign).values(wake_at=None))
    assert costs[0] == costs[1] < 40


# --- dates and windows that cannot be ----------------------------------------------------------------------


def test_a_window_that_never_opens_postpones_its_campaign(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing that `CallingWindow` accepts never opens; should the tz data make it so, the campaign is named.
    def never(*_: Any) -> datetime:
        raise WindowError("calling_window never opens")

    monkeypatch.setattr(release, "next_opening", never)
    campaign = world.campaign(world.contact_list(people(1)), calling_window=ALWAYS)
    with pytest.raises(VisitError) as raised:
        world.visit()
    assert raised.value.campaign_id == campaign


def test_a_repeat_that_is_due_goes_before_new_contacts(world: World) -> None:
    campaign = world.campaign(
        world.contact_list(people(20)), repeat_policy=repeating(1, delay=10), max_concurrent=5
    )
    first = world.release()
    world.end(world.dial(first), "busy")
    world.clock.forward(10)
    assert sorted(world.release()) == sorted(first)
    assert world.states(campaign) == {"RELEASED": 5}
    world.answer([row.id for row in world.rows(t.attempt, state="SUBMITTING")], Outcome.PLACED)
    world.check()
    assert CallState.WAITING not in world.states(campaign)


def test_campaigns_that_only_wait_do_not_come_before_those_with_work(world: World) -> None:
    waiting = [world.campaign(world.contact_list(people(1, start=place))) for place in range(3)]
    for attempt in world.dial(world.release()):
        assert attempt  # each has its one call in progress now, and nothing else to do
    world.clock.forward(60)
    busy = world.campaign(world.contact_list(people(500, start=100)), served_at=world.clock.now)
    world.clock.forward(60)
    visited = [world.visit() for _ in range(len(waiting) + 1)]
    assert busy in {visit.campaign_id for visit in visited if visit is not None}


def test_a_contact_whose_zone_is_gone_from_the_tz_data_waits_and_blocks_nobody(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(3)))
    with writing(world.engine) as connection:
        connection.execute(
            t.contact.update().where(t.contact.c.position == 1).values(time_zone="Mars/Olympus_Mons")
        )
    assert len(world.release()) == 2
    assert world.states(campaign) == {"WAITING": 1, "RELEASED": 2}
