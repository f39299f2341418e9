"""Calls between two people through MTT's CallBack: what its events make of calls and CDRs, and what they leave open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import Engine
from world import World

from dialer.lifecycle import AttemptState, CallState
from dialer.providers.contract import Outcome
from dialer.store import tables as t

TALKED = ("start_side_A", "pickup_side_A", "start_side_B", "start_talk", "end_side_B", "end_side_A")
THEIRS = "1256ffb10774226b390ad1a2bc892c9c"


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    settings = {"username": "user", "password": "s3same", "customer_name": "88314050000000"}
    made.set_provider(kind="mtt-callback", credentials=made.box.seal(settings))
    yield made
    made.close()


def dialled(world: World) -> tuple[str, str]:
    """A call that MTT has taken, and its attempt."""
    call_id = world.click()
    (placement,) = world.claim([call_id]).placements
    attempt_id = placement.submission.attempt_id
    world.answer([attempt_id], Outcome.PLACED, provider_reference=THEIRS)
    return call_id, attempt_id


def tell(world: World, path: str, events: Sequence[str], seconds: float = 10) -> None:
    """Events at this path, so many seconds apart; they are consumed together."""
    for event in events:
        world.clock.forward(seconds)
        world.tell_raw(f"event={event}&id={THEIRS}", path=path)
    world.consume()


@pytest.mark.parametrize("named", [True, False])
def test_a_talk_ends_the_call_and_its_seconds_stand_in_the_cdr(world: World, named: bool) -> None:
    call_id, attempt_id = dialled(world)
    tell(world, f"{attempt_id}/event.php" if named else "event.php", TALKED)
    assert world.call(call_id).state == CallState.COMPLETED
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.dial_status, cdr.billsec, cdr.provider_reference) == ("ANSWER", 10.0, THEIRS)
    assert cdr.ended_at - cdr.answered_at == timedelta(seconds=10)
    world.check()


def test_a_talk_is_one_whatever_the_order_of_its_events(world: World) -> None:
    call_id, attempt_id = dialled(world)
    for event in reversed(TALKED):
        tell(world, f"{attempt_id}/event.php", [event, event])
    assert world.call(call_id).state == CallState.COMPLETED
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.dial_status, cdr.billsec) == ("ANSWER", None), "its end is told before its begin"
    world.check()


def test_who_talked_to_nobody_is_open_until_it_is_settled(world: World) -> None:
    call_id, attempt_id = dialled(world)
    tell(world, f"{attempt_id}/event.php", ["start_side_A", "pickup_side_A", "start_side_B", "end_side_A"])
    assert world.attempt(attempt_id).state == AttemptState.RINGING
    assert world.call(call_id).state == CallState.IN_PROGRESS
    assert world.rows(t.cdr) == []
    world.check()


def test_a_talk_without_an_end_is_settled_as_one(world: World) -> None:
    call_id, attempt_id = dialled(world)
    tell(world, f"{attempt_id}/event.php", TALKED[:4])
    assert world.attempt(attempt_id).state == AttemptState.ANSWERED
    for _ in range(2):  # it is looked up once more before that
        world.clock.forward(timedelta(days=1).total_seconds())
        world.settle()
    assert world.call(call_id).state == CallState.COMPLETED
    world.check()


def test_an_event_tells_mtts_reference_where_the_reply_was_lost(world: World) -> None:
    call_id = world.click()
    (placement,) = world.claim([call_id]).placements
    attempt_id = placement.submission.attempt_id
    world.answer([attempt_id], Outcome.UNKNOWN)
    tell(world, f"{attempt_id}/event.php", TALKED[:1])
    assert world.attempt(attempt_id).provider_reference == THEIRS, "it can be looked up now"
    tell(world, f"{attempt_id}/event.php", TALKED[1:])
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.dial_status, cdr.provider_reference) == ("ANSWER", THEIRS)
    world.check()
