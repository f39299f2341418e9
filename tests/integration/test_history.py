"""History: every change of state leaves a word, in order, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from world import World, people, repeating

from dialer.db import reading, writing
from dialer.lifecycle import CallState
from dialer.providers.contract import Outcome
from dialer.store import calls, history
from dialer.store import tables as t
from dialer.store.calls import CallMove
from dialer.store.tables import StaleStateError


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def told(world: World, entity_id: str) -> list[tuple[str, str, str]]:
    with reading(world.engine) as connection:
        return [(row.from_state, row.to_state, row.reason) for row in history.of(connection, entity_id)]


def test_the_way_of_a_call_can_be_read_in_its_history(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(1)), state="SCHEDULED", repeat_policy=repeating(1))
    first = world.dial(world.release())
    world.end(first, "busy")
    world.clock.forward(60)
    claimed = [one.submission.attempt_id for one in world.claim(world.release()).placements]
    world.answer(claimed, Outcome.UNKNOWN, detail="reset after send")
    world.end(claimed)
    world.clock.forward(1)
    world.release()
    call_id = first[0].partition("-")[0]
    assert told(world, campaign) == [
        ("SCHEDULED", "RUNNING", ""),
        ("RUNNING", "FINISHED", "every contact has an end"),
    ]
    assert told(world, call_id) == [
        ("RELEASED", "DIALLING", ""),
        ("DIALLING", "IN_PROGRESS", ""),
        ("IN_PROGRESS", "WAITING", "repeat after BUSY"),
        ("WAITING", "RELEASED", ""),
        ("RELEASED", "DIALLING", ""),
        ("DIALLING", "IN_PROGRESS", "reset after send"),
        ("IN_PROGRESS", "COMPLETED", ""),
    ]
    assert told(world, claimed[0]) == [
        ("SUBMITTING", "UNKNOWN", "reset after send"),
        ("UNKNOWN", "ENDED", ""),
    ]
    world.check()


def test_a_change_that_is_not_drawn_cannot_happen_and_leaves_no_word(world: World) -> None:
    world.campaign(world.contact_list(people(1)))
    (call_id,) = world.release()
    with (
        pytest.raises(ValueError, match="cannot go from RELEASED to UNKNOWN"),
        writing(world.engine) as connection,
    ):
        calls.move(connection, [CallMove(call_id, CallState.RELEASED, CallState.UNKNOWN)], world.clock.now)
    assert world.call(call_id).state == CallState.RELEASED
    assert told(world, call_id) == []


def test_a_row_that_is_no_longer_where_it_was_is_not_moved_and_leaves_no_word(world: World) -> None:
    world.campaign(world.contact_list(people(2)))
    first, second = world.release()
    moves = [CallMove(one, CallState.RELEASED, CallState.CANCELLED) for one in (first, second)]
    with writing(world.engine) as connection:
        calls.move(connection, moves[:1], world.clock.now)
    with pytest.raises(StaleStateError), writing(world.engine) as connection:
        calls.move(connection, moves, world.clock.now)
    assert world.call(second).state == CallState.RELEASED
    assert len(world.rows(t.history)) == 1


def test_events_that_change_nothing_leave_no_word(world: World) -> None:
    world.campaign(world.contact_list(people(1)))
    attempts = world.dial(world.release())
    world.end(attempts)
    before = world.rows(t.history)
    world.end(attempts)
    world.tell(attempts[0], "ringing")
    world.consume()
    assert world.rows(t.history) == before
