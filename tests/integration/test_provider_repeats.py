"""Campaigns whose repeats the provider makes: handed over where they fit, heard to the end, and never made twice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from running import Running, until
from sqlalchemy import Engine
from world import NOON, World, number, people

from dialer.calls import provider_repeats
from dialer.calls.repeats import RepeatPolicy
from dialer.db import writing
from dialer.lifecycle import AttemptState, CallState
from dialer.providers.contract import Outcome, Submission
from dialer.store import tables as t
from dialer.store.contacts import NewContact

POLICY = RepeatPolicy.of_mitto(
    {
        "isRepeat": 1,
        "repeatBusy": 1,
        "repeatBusyCount": 2,
        "repeatBusyInt": 60,
        "repeatNoAnswer": 1,
        "repeatNoAnswerCount": 1,
        "repeatNoAnswerInt": 600,
    }
)
#: 720 seconds of delays, and four dials of five minutes.
OVER_WITHIN = timedelta(minutes=32)
#: … and as long as Mitto has to tell the end of a dial.
SETTLED_AFTER = OVER_WITHIN + timedelta(minutes=15)


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def campaign(world: World, contacts: Sequence[NewContact], **values: Any) -> str:
    wanted = {"repeat_policy": POLICY.to_json(), "provider_repeats": True} | values
    return world.campaign(world.contact_list(contacts), **wanted)


def submissions(world: World) -> list[Submission]:
    """What is handed to the provider for all that is released, which takes it."""
    sent = [one.submission for one in world.claim(world.release()).placements]
    world.answer([one.attempt_id for one in sent], Outcome.PLACED)
    return sent


def test_a_dial_that_may_be_repeated_is_not_the_end_and_our_policy_does_not_repeat_it(world: World) -> None:
    made = campaign(world, people(1))
    (sent,) = submissions(world)
    assert sent.repeats == POLICY
    for seconds in (20, 100):
        world.clock.forward(seconds)
        world.end([sent.attempt_id], "ringing")
        world.end([sent.attempt_id], "busy")
        attempt = world.attempt(sent.attempt_id)
        assert (attempt.state, attempt.disposition) == (AttemptState.RINGING, "BUSY")
        assert world.call(attempt.call_id).state == CallState.IN_PROGRESS
        assert world.release() == []
        world.check()
    last_end = world.clock.now
    # The next dial would have begun after a minute, and be over by now.
    world.clock.now = last_end + timedelta(seconds=60) + provider_repeats.TALKS
    assert world.settle() == 0
    world.clock.forward(1)
    assert world.settle() == 1
    (cdr,) = world.rows(t.cdr)
    assert (cdr.disposition, cdr.ended_at) == ("BUSY", last_end)
    (call,) = world.rows(t.call)
    assert (call.state, call.dials, call.repeats) == (CallState.FAILED, 1, {})
    world.check()
    world.clock.forward(7200)
    assert world.release() == []
    assert world.campaign_row(made).state == "FINISHED"


def test_the_end_after_which_no_repeat_is_left_is_the_last(world: World) -> None:
    """Two repeats of busy, so the third end is the last, however often each is told of and in whatever order."""
    campaign(world, people(2))
    first, second = (one.attempt_id for one in submissions(world))
    for minutes in (1, 3, 3, 5):
        world.clock.now = NOON + timedelta(minutes=minutes)
        world.end([first], "busy")
        assert (world.attempt(first).state == AttemptState.ENDED) is (minutes == 5)
    for minutes in (5, 1, 3, 1):
        world.clock.now = NOON + timedelta(minutes=minutes)
        world.tell(second, "busy")
        world.clock.now = NOON + timedelta(minutes=6)
        world.consume()
    for attempt_id in (first, second):
        (cdr,) = world.rows(t.cdr, attempt_id=attempt_id)
        assert (cdr.disposition, cdr.ended_at) == ("BUSY", NOON + timedelta(minutes=5))
    assert {row.state for row in world.rows(t.call)} == {CallState.FAILED}
    world.end([first], "answered")
    assert world.call(world.attempt(first).call_id).state == CallState.COMPLETED, (
        "they were reached after all"
    )
    world.check()


def test_an_end_that_the_policy_does_not_repeat_is_the_last(world: World) -> None:
    campaign(world, people(2))
    first, second = submissions(world)
    world.end([first.attempt_id], "busy")
    world.clock.forward(90)
    world.end([first.attempt_id, second.attempt_id], "answered")
    assert {row.state for row in world.rows(t.call)} == {CallState.COMPLETED}
    assert {(row.disposition, row.ended_at) for row in world.rows(t.cdr)} == {("ANSWERED", world.clock.now)}
    world.check()


def test_nobody_says_anything_and_it_is_settled_only_when_the_last_repeat_must_be_over(world: World) -> None:
    campaign(world, people(2))
    placed = world.claim(world.release()).placements
    first, second = (one.submission.attempt_id for one in placed)
    world.answer([first], Outcome.PLACED)
    world.answer([second], Outcome.UNKNOWN, detail="HTTP 500")
    world.clock.forward(SETTLED_AFTER.total_seconds())
    assert world.settle() == 0
    world.clock.forward(1)
    assert world.settle() == 2
    assert {row.state for row in world.rows(t.call)} == {CallState.UNKNOWN}
    world.end([first], "answered")
    assert world.call(world.attempt(first).call_id).state == CallState.COMPLETED
    world.check()


@pytest.mark.parametrize(
    ("before", "is_handed_over"),
    [
        ({}, True),
        ({"end_at": NOON + OVER_WITHIN}, True),
        ({"end_at": NOON + OVER_WITHIN - timedelta(seconds=1)}, False),
        ({"calling_window": {"start": "08:00", "end": "12:32"}}, True),
        ({"calling_window": {"start": "08:00", "end": "12:31"}}, False),
        # Half past five in the afternoon.
        ({"time_zone": "Asia/Kolkata", "calling_window": {"start": "08:00", "end": "18:00"}}, False),
        ({"repeat_policy": {}}, False),
        ({"provider_repeats": False}, False),
    ],
)
def test_what_does_not_fit_is_dialled_once_and_repeated_by_us(
    world: World, before: dict[str, Any], is_handed_over: bool
) -> None:
    campaign(world, people(1), **before)
    (sent,) = submissions(world)
    assert (sent.repeats is not None) is is_handed_over
    world.end([sent.attempt_id], "busy")
    call = world.call(world.attempt(sent.attempt_id).call_id)
    if is_handed_over:
        assert call.state == CallState.IN_PROGRESS
    elif before.get("repeat_policy") == {}:
        assert call.state == CallState.FAILED
    else:
        assert (call.state, call.repeats) == (CallState.WAITING, {"BUSY": 1})
        assert call.due_at == NOON + timedelta(seconds=60)
        # What is left is ours, too: the provider would begin to count anew.
        world.clock.forward(61)
        if (again := submissions(world)) != []:
            assert again[0].repeats is None
    world.check()


def test_where_dials_are_capped_the_provider_makes_none_of_its_own(world: World) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(frequency_cap=5))
    campaign(world, people(1))
    (sent,) = submissions(world)
    assert sent.repeats is None


def test_after_429_and_after_a_stop_what_was_not_taken_is_not_with_the_provider(world: World) -> None:
    made = campaign(world, people(2))
    placed = [one.submission for one in world.claim(world.release()).placements]
    world.answer([placed[0].attempt_id], Outcome.PLACED)
    world.answer([placed[1].attempt_id], Outcome.NOT_PROCESSED, retry_after=2.0)
    world.end([placed[0].attempt_id], "busy")
    world.stop(made)
    world.release()
    # What the provider has cannot be called back: it is waited for, and nothing more is sent.
    assert world.states(made) == {"IN_PROGRESS": 1, "CANCELLED": 1}
    assert world.campaign_row(made).wake_at is not None
    world.clock.forward(SETTLED_AFTER.total_seconds() + 1)
    world.settle()
    assert world.release() == []
    assert world.states(made) == {"FAILED": 1, "CANCELLED": 1}
    assert world.campaign_row(made).wake_at is None
    world.check()


#: Callbacks of one call with repeats, and how it ends by them.
TOLD = [
    (["ringing", "busy", "ringing", "busy", "ringing", "busy"], "BUSY"),
    (["ringing", "busy", "ringing", "no answer", "ringing", "answered"], "ANSWERED"),
    (["ringing", "no answer", "ringing", "rejected"], "REJECTED"),
    (["ringing", "no such number"], "INVALID_NUMBER"),
    (["ringing", "busy", "unheard of"], "BUSY"),
    (["ringing", "unheard of"], "UNKNOWN"),
]


def test_callbacks_of_repeats_in_any_order_and_number_lead_to_the_same_end(world: World) -> None:
    chance = random.Random(11)
    stories = [story for story in TOLD for _ in range(6)]
    campaign(world, people(len(stories)))
    sent = submissions(world)
    planned = []
    for submission, (told, _) in zip(sent, stories, strict=True):
        at = [(NOON + timedelta(seconds=30 * (place + 1)), one) for place, one in enumerate(told)]
        planned.append((submission.attempt_id, [*at, *chance.choices(at, k=3)]))
    events = [(attempt_id, *one) for attempt_id, ones in planned for one in ones]
    chance.shuffle(events)
    for batch in (events[:40], events[40:80], events[80:]):
        for attempt_id, at, what in batch:
            world.clock.now = at
            world.tell(attempt_id, what)
        world.clock.now = NOON + timedelta(minutes=10)
        world.consume()
    world.check()
    world.clock.now = NOON + SETTLED_AFTER + timedelta(seconds=1)
    world.settle()
    ended = {row.attempt_id: (row.disposition, row.ended_at) for row in world.rows(t.cdr)}
    for submission, (told, disposition) in zip(sent, stories, strict=True):
        ends = [place for place, one in enumerate(told) if one != "ringing"]
        assert ended[submission.attempt_id][0] == disposition, told
        if disposition != "UNKNOWN":
            last_end = NOON + timedelta(seconds=30 * (ends[-1] + 1))
            assert ended[submission.attempt_id][1] == last_end, told
    assert world.release() == []
    world.check()


def test_mitto_repeats_by_itself_over_http_and_rings_nobody_for_us_again(
    world: World, tmp_path: Path
) -> None:
    """…0001 is busy and then picks up, …0101 is busy each time; …0050 picks up at once."""
    given = [NewContact(number(end)) for end in (1, 101, 50)]
    with Running(world, tmp_path, shaken=True) as running:
        made = campaign(world, given, start_at=datetime.now(UTC))
        until(lambda: world.states(made) == {"COMPLETED": 2, "IN_PROGRESS": 1}, "the ends of two calls")
        busy = world.rows(t.call, e164=number(101))[0]
        until(lambda: world.attempt(f"{busy.id}-1").disposition == "BUSY", "the end of a dial")
        taken = running.accepted()
        assert len(taken) == 3
        running.no_attempt_came_twice()
        attempt = world.attempt(f"{busy.id}-1")
        assert attempt.settle_at > datetime.now(UTC) + provider_repeats.TALKS
        with_us = {row.call_id: row.provider_reference for row in world.rows(t.attempt)}
        assert all(len(reference) == 32 for reference in with_us.values()), "Mitto's requestId"
    world.clock.now = datetime.now(UTC) + SETTLED_AFTER
    world.settle()
    assert world.states(made) == {"COMPLETED": 2, "FAILED": 1}
    world.check()
