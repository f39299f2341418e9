"""Click-to-call: two people are connected at once, and neither is rung who stands on the DND list."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from connecting import DEAF, KIND, connecting
from running import Running, until
from sqlalchemy import Engine
from test_single_purposes import ask
from world import World, in_threads, number

from dialer.calls.click_to_call import CLICK_LIFE
from dialer.calls.flow import Prompt
from dialer.db import writing
from dialer.errors import Conflict, FieldError
from dialer.lifecycle import CallState
from dialer.providers.contract import Outcome, Refusal
from dialer.store import tables as t
from workers.claim import claim

AGENT, CUSTOMER = number(50), number(51)

pytestmark = pytest.mark.usefixtures(connecting.__name__)


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.set_provider(kind=KIND)
    yield made
    made.close()


def ringing(world: World, *also: str, to: str = AGENT, of: str = "to", **more: Any) -> str:
    """A click-to-call for which these are rung, too, besides one of the two."""
    (call_id,) = ask(
        world,
        to,
        purpose="click_to_call",
        message=None,
        variables=None,
        connect_to=CUSTOMER,
        ring={
            "of": of,
            "also": [{"number": one, "seconds": 25} for one in also],
            "at_once": True,
            "seconds": 25,
        },
        **more,
    )
    return call_id


def test_the_agent_is_rung_and_connected_and_the_cdr_names_both(world: World) -> None:
    call_id = world.click(AGENT, CUSTOMER, recording_option="on")
    assert world.call(call_id).state == CallState.RELEASED
    (placement,) = world.claim([call_id]).placements
    asked = placement.submission
    assert (asked.to, asked.connect_to, asked.record) == (AGENT, CUSTOMER, True)
    assert (asked.caller_id, asked.text, asked.media, asked.code) == ("+15168148111", None, None, None)
    world.answer([asked.attempt_id], Outcome.PLACED)
    world.end([asked.attempt_id])
    assert world.call(call_id).state == CallState.COMPLETED
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.kind, cdr.e164, cdr.connect_to, cdr.dial_status) == (
        "CLICK_TO_CALL", AGENT, CUSTOMER, "ANSWER",
    )  # fmt: skip
    world.check()


@pytest.mark.parametrize("option", ["on", "agent"])
def test_a_recording_is_asked_of_whoever_can_and_keeps_nobody_from_connecting(
    world: World, option: str
) -> None:
    recorder = world.provider_id
    deaf = world.provider(kind=DEAF, priority=1)
    assert world.call(world.click(AGENT, CUSTOMER)).provider_id == deaf  # nobody wishes for a recording
    recorded = world.click(AGENT, CUSTOMER, recording_option=option)
    assert world.call(recorded).provider_id == recorder
    world.set_provider(held_until=world.clock.now + timedelta(hours=1))
    assert world.call(world.click(AGENT, CUSTOMER, recording_option=option)).provider_id == deaf
    world.set_provider(kind=DEAF, held_until=None)
    bare = world.click(AGENT, CUSTOMER, recording_option=option)
    assert world.call(bare).state == CallState.RELEASED
    assert [one.submission.connect_to for one in world.claim([bare]).placements] == [CUSTOMER]
    world.check()


def test_what_waited_is_recorded_too_by_whoever_can(world: World) -> None:
    world.provider(kind=DEAF, priority=1, name="deaf", held_until=world.clock.now + timedelta(seconds=5))
    world.set_provider(held_until=world.clock.now + timedelta(seconds=5))
    call_id = world.click(AGENT, CUSTOMER, recording_option="on")
    assert world.call(call_id).state == CallState.WAITING
    world.clock.forward(6)
    assert world.release_singles() == [call_id]
    assert world.call(call_id).provider_id == world.provider_id
    world.check()


@pytest.mark.parametrize("listed", [AGENT, CUSTOMER])
@pytest.mark.parametrize("single", [True, False])
def test_neither_end_is_dialled_that_stands_on_the_dnd_list(world: World, listed: str, single: bool) -> None:
    call_id, others = world.click(AGENT, CUSTOMER), world.click(number(60), number(61))
    world.forbid(listed)
    with writing(world.engine) as connection:
        now = world.clock.now
        claimed = claim(connection, world.limiter, world.adapters, [call_id, others], now, single=single)
    assert [placement.call_id for placement in claimed.placements] == [others]
    assert world.call(call_id).state == CallState.SUPPRESSED
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.dial_status, cdr.connect_to, cdr.attempt_id) == ("DND", CUSTOMER, None)
    world.check()


@pytest.mark.parametrize("of", ["to", "connect_to"])
@pytest.mark.parametrize("single", [True, False])
def test_nobody_is_rung_when_one_of_the_numbers_rung_besides_stands_on_the_dnd_list(
    world: World, single: bool, of: str
) -> None:
    also = number(52), number(53)
    ours, others = ringing(world, *also, of=of), ringing(world, number(54), to=number(60))
    world.forbid(also[1])
    with writing(world.engine) as connection:
        now = world.clock.now
        claimed = claim(connection, world.limiter, world.adapters, [ours, others], now, single=single)
    assert [placement.call_id for placement in claimed.placements] == [others]
    assert [one.number for one in claimed.placements[0].submission.talk.also] == [number(54)]
    assert world.call(ours).state == CallState.SUPPRESSED
    (cdr,) = world.rows(t.cdr, call_id=ours)
    assert (cdr.dial_status, cdr.attempt_id) == ("DND", None)
    world.check()


def test_what_they_hear_is_forgotten_when_the_call_has_ended(world: World) -> None:
    call_id = ringing(world, number(52), prompts={"to": {"say": "For Anna Smith."}})
    (placement,) = world.claim([call_id]).placements
    assert placement.submission.talk.callee_hears == Prompt("For Anna Smith.")
    world.answer([placement.submission.attempt_id], Outcome.PLACED)
    world.end([placement.submission.attempt_id])
    (message,) = world.rows(t.message, call_id=call_id)
    assert (message.prompts, message.ring["also"][0]["number"]) == (None, number(52))


def test_what_another_account_listed_holds_for_that_account_alone(world: World) -> None:
    _, their_dnd = world.account()
    world.forbid(AGENT, CUSTOMER, dnd_list_id=their_dnd)
    assert len(world.dial([world.click(AGENT, CUSTOMER)])) == 1


def test_it_is_dialled_at_any_hour_and_as_often_as_somebody_clicks(world: World) -> None:
    with writing(world.engine) as connection:
        closed = {"start": "08:00", "end": "09:00"}
        connection.execute(t.account.update().values(calling_window=closed, frequency_cap=1))
    for _ in range(3):
        world.end(world.dial([world.click(AGENT, CUSTOMER)]))
    assert [row.state for row in world.rows(t.call)] == [CallState.COMPLETED] * 3
    world.check()


@pytest.mark.parametrize("ending", ["busy", "no answer", "no such number", "unheard of"])
def test_it_is_not_repeated(world: World, ending: str) -> None:
    call_id = world.click()
    world.end(world.dial([call_id]), ending)
    assert world.call(call_id).ended_at is not None
    world.check()


def test_one_that_could_not_go_in_time_is_not_dialled_any_more(world: World) -> None:
    call_id = world.click()
    world.clock.forward(CLICK_LIFE.total_seconds())
    assert world.dial([call_id]) == []
    assert world.call(call_id).state == CallState.EXPIRED
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.dial_status, cdr.connect_to, cdr.caller_id) == ("CANCEL", CUSTOMER, "+15168148111")
    world.check()


def test_the_same_doorbell_twice_connects_once(world: World) -> None:
    call_id = world.click()
    placed: list[str] = []
    in_threads(*(lambda: placed.extend(world.dial([call_id])),) * 4)
    assert len(placed) == 1
    world.check()


def test_when_its_provider_refuses_another_one_that_can_carries_it(world: World) -> None:
    world.provider(priority=150)  # speaks texts only
    second = world.provider(priority=200, kind=KIND)
    call_id = world.click()
    (placement,) = world.claim([call_id]).placements
    attempt_id = placement.submission.attempt_id
    world.answer([attempt_id], Outcome.REFUSED, refusal=Refusal.PROVIDER, detail="no funds")
    assert world.release_singles() == [call_id]
    assert world.call(call_id).provider_id == second
    world.check()


def test_one_whose_fate_is_unknown_is_not_placed_again(world: World) -> None:
    world.provider(priority=200, kind=KIND)
    call_id = world.click()
    (placement,) = world.claim([call_id]).placements
    world.answer([placement.submission.attempt_id], Outcome.UNKNOWN)
    world.clock.forward(CLICK_LIFE.total_seconds() / 2)
    assert world.release_singles() == []
    assert world.call(call_id).state == CallState.IN_PROGRESS
    world.check()


def test_a_provider_that_cannot_connect_is_not_asked_to(world: World) -> None:
    call_id = world.click()
    world.set_provider(kind="mitto")  # by another version, say
    assert world.claim([call_id]).placements == ()
    assert (world.call(call_id).state, world.call(call_id).reason) == ("WAITING", "provider cannot carry it")
    world.check()


def test_two_people_talk_through_a_company_that_connects_them(world: World, tmp_path: Path) -> None:
    settings = {"username": "user", "password": "s3same", "customer_name": "acme"}
    credentials = world.box.seal(settings)
    with Running(world, tmp_path, kind="mtt-callback", credentials=credentials) as running:
        asked = [world.click(number(1050 + place), number(1070 + place)) for place in range(5)]
        asked.append(
            ringing(world, number(1060), to=number(1001), max_seconds=10)
        )  # who is busy, then another
        running.bell.place_singles(asked)
        until(lambda: all(world.call(one).state == CallState.COMPLETED for one in asked), "their calls")
        running.no_attempt_came_twice()
        rung = {f"+{line['to']}" for line in running.accepted()}
        assert rung == {*(number(1050 + place) for place in range(5)), number(1001)}
    told = {(row.e164, row.connect_to, row.dial_status, row.answered_by) for row in world.rows(t.cdr)}
    assert told == {
        *((number(1050 + place), number(1070 + place), "ANSWER", number(1050 + place)) for place in range(5)),
        (number(1001), CUSTOMER, "ANSWER", number(1060)),
    }
    world.check()


def test_without_a_provider_that_can_nothing_is_accepted_and_the_kinds_that_can_are_named(
    world: World,
) -> None:
    world.set_provider(kind="mitto")
    with pytest.raises(FieldError, match=r"can connect two people .*kinds that can: .*connecting"):
        world.click()
    world.set_provider(enabled=False)
    with pytest.raises(Conflict, match=r"can connect two people .kinds: .*connecting"):
        world.click()
    assert world.rows(t.call) == world.rows(t.message) == []
