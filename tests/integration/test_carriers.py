"""Campaign calls that a provider refuses to carry go to the next one that can, and only after a refusal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine
from world import World, people

from dialer.campaigns.carriers import AVOIDED_FOR
from dialer.db import writing
from dialer.lifecycle import AttemptState, CallState
from dialer.providers.base import submit
from dialer.providers.contract import Outcome, Refusal
from dialer.store import tables as t
from workers import replies
from workers.claim import AdapterCache, Placement

MTT = {"username": "north", "password": "s3cret", "method": "announce", "sip_id": "883140000000001"}
IOTCOMMS = {"domain": "customer.example", "sip_host": "sip.example.com", "token": "t0ken"}
FLOW: dict[str, Any] = {
    "first": "main",
    "menus": {
        "main": {"prompts": [{"text": "Нажмите 1"}], "repeats": 1, "keys": {"1": {"does": "notify"}}},
    },
}


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def released(world: World) -> list[Placement]:
    """What is sent a second later, when the campaign is looked at again."""
    world.clock.forward(1)
    return list(world.claim(world.release()).placements)


def refuse(world: World, placements: Sequence[Placement]) -> None:
    attempt_ids = [one.submission.attempt_id for one in placements]
    world.answer(attempt_ids, Outcome.REFUSED, refusal=Refusal.NOT_HERE, detail="not set up for it")
    world.check()


def take(world: World, placements: Sequence[Placement]) -> None:
    attempt_ids = [one.submission.attempt_id for one in placements]
    world.answer(attempt_ids, Outcome.PLACED)
    for one in placements:
        world.tell(one.submission.attempt_id, provider_id=one.provider_id)
    world.consume()
    world.check()


def test_all_calls_of_the_campaign_go_to_the_next_provider_and_later_to_the_first_again(world: World) -> None:
    second = world.provider(priority=200)
    campaign = world.campaign(world.contact_list(people(20)), max_concurrent=5)
    placements = released(world)
    assert {one.provider_id for one in placements} == {world.provider_id}
    refuse(world, placements)
    assert world.states(campaign) == {"WAITING": 5}
    carried: Counter[str] = Counter()
    for _ in range(3):
        placements = released(world)
        carried.update(one.provider_id for one in placements)
        take(world, placements)
    assert carried == {second: 15}, "and those that nobody has refused yet, too"
    world.clock.forward(AVOIDED_FOR.total_seconds())
    placements = released(world)
    assert {one.provider_id for one in placements} == {world.provider_id}, "it may have been mended"
    take(world, placements)
    world.clock.forward(1)
    world.release()
    assert world.states(campaign) == {"COMPLETED": 20}
    assert world.campaign_row(campaign).state == "FINISHED"
    world.check()


def test_each_call_goes_to_who_has_not_refused_it(world: World) -> None:
    second = world.provider(priority=200)
    world.campaign(world.contact_list(people(2)))
    refuse(world, released(world))
    first_of, other = released(world)
    assert {first_of.provider_id, other.provider_id} == {second}
    take(world, [first_of])
    # Who is refused by all waits, longer each time, and is lost to nobody: a person may mend it.
    refuse(world, [other])
    call = world.call(other.call_id)
    assert (call.state, call.unsent) == (CallState.WAITING, 1)
    assert call.due_at > world.clock.now
    world.clock.forward(10)
    (again,) = released(world)
    take(world, [again])
    attempts = [row.state for row in world.rows(t.attempt, call_id=other.call_id)]
    assert attempts == [AttemptState.REFUSED, AttemptState.REFUSED, AttemptState.ENDED]


def test_a_campaign_that_is_bound_to_a_provider_waits_for_it(world: World) -> None:
    world.provider(priority=200)
    world.campaign(world.contact_list(people(1)), provider_id=world.provider_id)
    refuse(world, released(world))
    assert world.release() == []
    world.clock.forward(5)
    (placement,) = released(world)
    assert placement.provider_id == world.provider_id


def test_the_next_provider_is_waited_for_while_it_is_held_and_asked_when_it_is_free(world: World) -> None:
    second = world.provider(priority=200)
    world.campaign(world.contact_list(people(1)))
    refuse(world, released(world))
    with writing(world.engine) as connection:
        held = world.clock.now.replace(minute=30)
        connection.execute(t.provider.update().where(t.provider.c.id == second).values(held_until=held))
    assert world.release() == []
    world.check()
    world.clock.now = held
    world.clock.forward(1)
    (placement,) = released(world)
    assert placement.provider_id in (second, world.provider_id)
    take(world, [placement])


def test_whose_fate_is_unknown_goes_to_nobody_else(world: World) -> None:
    world.provider(priority=200)
    world.campaign(world.contact_list(people(1)))
    (placement,) = released(world)
    world.answer([placement.submission.attempt_id], Outcome.UNKNOWN, detail="HTTP 500")
    for _ in range(5):
        world.clock.forward(600)
        world.settle()
        assert world.release() == []
    assert world.call(placement.call_id).state == CallState.UNKNOWN
    world.check()


def test_a_survey_that_mtt_cannot_tell_keys_of_is_carried_by_the_next_kind(world: World) -> None:
    """MTT tells of keys at https addresses only."""
    world.adapters = AdapterCache(world.box, reconcile_after=None, public_url="http://dialer.example.com")
    world.set_provider(kind="mtt-voice", credentials=world.box.seal(MTT))
    second = world.provider(kind="iotcomms", credentials=world.box.seal(IOTCOMMS), priority=200)
    campaign = world.campaign(
        world.contact_list(people(1)), type=1, announcement_text=None, flow=FLOW, language_code="ru-RU"
    )
    (placement,) = released(world)
    sending = submit(world.outside.client, placement.adapter, placement.submission, timeout=5)
    result = world.outside.run(sending)
    assert (result.outcome, result.refusal, result.asked) == (Outcome.REFUSED, Refusal.NOT_HERE, False)
    with writing(world.engine) as connection:
        replies.write(connection, [result], world.clock.now)
    (placement,) = released(world)
    assert placement.provider_id == second
    assert world.rows(t.provider, id=world.provider_id)[0].paused_reason is None
    assert world.states(campaign) == {"DIALLING": 1}
    world.check()
