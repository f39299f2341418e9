"""Reconcile: attempts that lost their worker or their last event end visibly, and are never dialled again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from world import World, in_threads, people, repeating

from dialer.db import writing
from dialer.lifecycle import AttemptState, CallState
from dialer.providers.contract import Outcome
from dialer.store import tables as t
from workers.claim import LEASE
from workers.reconcile import LATER


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def lost_worker(world: World) -> tuple[str, str]:
    """A campaign with one call whose worker died between its commit and the reply; and the attempt."""
    campaign = world.campaign(world.contact_list(people(1)), repeat_policy=repeating(5, delay=0))
    (placement,) = world.claim(world.release()).placements
    return campaign, placement.submission.attempt_id


def never_redialled(world: World, attempts: int = 1) -> None:
    for _ in range(10):
        world.clock.forward(600)
        released = world.release()
        assert world.claim(released).placements == ()
        world.reap()
        world.check()
    assert len(world.rows(t.attempt)) == attempts


def test_a_lost_worker_leaves_an_unknown_attempt_after_its_lease_and_not_before(world: World) -> None:
    _, attempt_id = lost_worker(world)
    world.clock.forward(LEASE.total_seconds())
    assert world.reap() == 0
    world.clock.forward(0.001)
    assert world.reap() == 1
    assert world.attempt(attempt_id).state == AttemptState.UNKNOWN
    assert world.rows(t.call)[0].state == CallState.IN_PROGRESS
    world.check()
    never_redialled(world)


def test_what_nobody_speaks_of_ends_unknown_and_the_campaign_finishes(world: World) -> None:
    campaign, attempt_id = lost_worker(world)
    world.clock.forward(31)
    world.reap()
    world.clock.now = world.attempt(attempt_id).settle_at
    assert world.settle() == 0
    world.clock.forward(0.001)
    assert world.settle() == 1
    assert world.settle() == 0
    assert world.counts(campaign) == {"taken": 1, "UNKNOWN": 1, "cdr.CHANUNAVAIL": 1}
    world.release()
    assert world.campaign_row(campaign).state == "FINISHED"
    never_redialled(world)


@pytest.mark.parametrize(("ending", "state"), [("answered", "COMPLETED"), ("busy", "FAILED")])
@pytest.mark.parametrize("settled", [False, True])
def test_a_late_callback_settles_it(world: World, ending: str, state: str, settled: bool) -> None:
    campaign, attempt_id = lost_worker(world)
    world.clock.forward(31)
    world.reap()
    if settled:
        world.clock.forward(timedelta(days=1).total_seconds())
        world.settle()
        world.tell(attempt_id, "ringing")
        world.consume()
        world.check()
    world.end([attempt_id], ending)
    world.check()
    assert world.attempt(attempt_id).state == AttemptState.ENDED
    if ending == "busy" and not settled:
        assert world.states(campaign) == {"WAITING": 1}, "it is known now, so its repeat is made"
    else:
        assert world.states(campaign) == {state: 1}
        assert world.counts(campaign)[state] == 1
    status = {"answered": "ANSWER", "busy": "BUSY"}[ending]
    assert [row.dial_status for row in world.rows(t.cdr)] == [status]


def test_the_last_event_that_never_comes_ends_a_placed_call_unknown(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(3)), repeat_policy=repeating(2))
    attempts = world.dial(world.release())
    world.tell(attempts[0], "ringing")
    world.consume()
    world.clock.forward(timedelta(days=1).total_seconds())
    assert world.settle() == 3
    assert world.states(campaign) == {"UNKNOWN": 3}
    world.check()
    never_redialled(world, 3)


@pytest.mark.parametrize(
    "outcome", [Outcome.PLACED, Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.NOT_PROCESSED]
)
def test_a_worker_that_comes_back_after_it_was_given_up_tells_what_it_knows(
    world: World, outcome: Outcome
) -> None:
    campaign, attempt_id = lost_worker(world)
    world.clock.forward(31)
    world.reap()
    world.answer([attempt_id], outcome)
    world.check()
    not_placed = outcome in (Outcome.NOT_SENT, Outcome.NOT_PROCESSED)
    assert world.states(campaign) == ({"WAITING": 1} if not_placed else {"IN_PROGRESS": 1})
    if not not_placed:
        world.end([attempt_id])
        assert world.states(campaign) == {"COMPLETED": 1}
        world.check()


def test_even_after_it_was_settled_a_worker_may_come_back(world: World) -> None:
    campaign, attempt_id = lost_worker(world)
    world.clock.forward(timedelta(days=1).total_seconds())
    world.reap()
    world.settle()
    world.answer([attempt_id], Outcome.NOT_SENT)
    world.check()
    assert world.states(campaign) == {"UNKNOWN": 1}, "a call that has ended is not dialled again"
    never_redialled(world)


def test_two_reconcilers_and_a_consumer_at_once_settle_each_attempt_once(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(60)))
    attempts = world.dial(world.release())
    for attempt_id in attempts[:30]:
        world.tell(attempt_id, "busy")
    world.clock.forward(timedelta(days=1).total_seconds())
    in_threads(world.settle, world.settle, world.consume, world.consume)
    world.consume()
    world.settle()
    counts = world.counts(campaign)
    assert counts["FAILED"] == 30
    assert counts["UNKNOWN"] == 30
    world.check()


@contextlib.contextmanager
def unmovable(world: World, attempt_id: str) -> Iterator[None]:
    """Whatever the reason: this attempt cannot be written as UNKNOWN."""
    if world.engine.dialect.name == "sqlite":
        made = (
            f"CREATE TRIGGER odd_one BEFORE UPDATE ON attempt WHEN NEW.id = '{attempt_id}' AND NEW.state = 'UNKNOWN' "
            "BEGIN SELECT RAISE(ABORT, 'odd'); END"
        )
        undone = "DROP TRIGGER odd_one"
    else:
        made = (
            f"ALTER TABLE attempt ADD CONSTRAINT odd_one CHECK (id <> '{attempt_id}' OR state <> 'UNKNOWN')"
        )
        undone = "ALTER TABLE attempt DROP CONSTRAINT odd_one"
    with writing(world.engine) as connection:
        connection.execute(sa.text(made))
    yield
    with writing(world.engine) as connection:
        connection.execute(sa.text(undone))


def test_an_attempt_that_cannot_be_given_up_holds_up_nobody_and_is_tried_again_later(world: World) -> None:
    world.campaign(world.contact_list(people(3)))
    odd, *others = [one.submission.attempt_id for one in world.claim(world.release()).placements]
    world.clock.forward(LEASE.total_seconds() + 1)
    with unmovable(world, odd):
        assert world.reap() == 3
        assert world.attempt(odd).state == AttemptState.SUBMITTING
        assert {world.attempt(one).state for one in others} == {AttemptState.UNKNOWN}
        world.check()
        assert world.reap() == 0, "not again each second"
    world.clock.forward(LATER.total_seconds() + 1)
    assert world.reap() == 1
    assert world.attempt(odd).state == AttemptState.UNKNOWN
    world.check()


def test_an_attempt_that_cannot_be_settled_holds_up_nobody_and_is_tried_again_later(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(3)))
    odd, *_ = world.dial(world.release())
    world.clock.forward(timedelta(days=1).total_seconds())
    with unmovable(world, odd):
        assert world.settle() == 3
        assert world.states(campaign) == {"IN_PROGRESS": 1, "UNKNOWN": 2}
        world.check()
        assert world.settle() == 0, "not again each second"
    world.clock.forward(LATER.total_seconds() + 1)
    assert world.settle() == 1
    assert world.states(campaign) == {"UNKNOWN": 3}
    world.check()


def test_a_repeat_policy_that_cannot_be_read_repeats_nothing_and_holds_up_nobody(world: World) -> None:
    odd = world.campaign(world.contact_list(people(2)), repeat_policy={"rules": {"BUSY": "often"}})
    first, second = world.dial(world.release())
    world.end([first], "busy")
    world.clock.forward(timedelta(days=1).total_seconds())
    assert world.settle() == 1
    assert world.states(odd) == {"FAILED": 1, "UNKNOWN": 1}
    assert world.attempt(second).state == AttemptState.UNKNOWN


def test_who_is_known_to_have_picked_up_was_reached_though_the_end_never_came(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(1)))
    (attempt_id,) = world.dial(world.release())
    with writing(world.engine) as connection:
        connection.execute(
            t.attempt.update().values(state=AttemptState.ANSWERED.value, answered_at=world.clock.now)
        )
        connection.execute(
            t.history.update().where(t.history.c.machine == "attempt").values(to_state="ANSWERED")
        )
    world.clock.forward(3600)
    assert world.settle() == 1
    assert world.states(campaign) == {"COMPLETED": 1}
    assert world.counts(campaign)["cdr.ANSWER"] == 1
    assert world.attempt(attempt_id).disposition == "ANSWERED"
