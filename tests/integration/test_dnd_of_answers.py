"""DND lists and the numbers that are dialled after the callee has picked up: those of flows and of click-to-call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine
from world import World, people

from dialer.api.live import Asker, Live
from dialer.calls.flow_form import parse
from dialer.calls.flow_steps import at_first_menu
from dialer.lifecycle import CallState
from dialer.providers.kinds import adapter_class
from dialer.providers.live import Asks, Question, Response

VOICE = {"username": "user", "password": "s3same", "method": "inform", "sip_id": "79581112233"}
IOTCOMMS = {"domain": "customer.example", "sip_host": "sip.example.com", "token": "t0ken"}
DESK = "+74997090111"
WITH_TRANSFER = {
    "first": "main",
    "menus": {
        "main": {
            "prompts": [{"text": "Press 1"}],
            "keys": {"1": {"does": "transfer", "number": DESK}},
        }
    },
}


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.set_provider(kind="mtt-voice", credentials=made.box.seal(VOICE))
    yield made
    made.close()


def survey_with_transfer(world: World, dnd_lists: Sequence[str] = ()) -> str:
    return world.campaign(
        world.contact_list(people(1)), dnd_lists, type=1, announcement_text=None, flow=WITH_TRANSFER
    )


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_provider_is_not_sent_a_number_on_a_dnd_list_to_transfer_to(world: World, everywhere: bool) -> None:
    own = world.dnd_list()
    campaign_id = survey_with_transfer(world, [own])
    released = world.release()
    world.forbid(DESK, dnd_list_id=world.global_dnd if everywhere else own)
    assert world.claim(released).placements == ()
    assert world.states(campaign_id) == {CallState.SUPPRESSED: 1}
    world.check()


def test_a_dnd_list_that_the_campaign_does_not_honour_lets_it_transfer(world: World) -> None:
    survey_with_transfer(world)
    world.forbid(DESK, dnd_list_id=world.dnd_list())
    assert len(world.claim(world.release()).placements) == 1


def iotcomms(world: World) -> Live:
    """The provider is one that asks what a call is to do next."""
    world.set_provider(kind="iotcomms", credentials=world.box.seal(IOTCOMMS))
    return Live(world.engine, deadline=30.0)


def asked_live(live: Live, world: World, attempt_id: str, keys: str = "", **state: Any) -> Any:
    """What whoever is on the line is answered."""
    asker = Asker(world.provider_id, "iot", adapter_class("iotcomms"), {"sip_host": "sip.example.com"}, "")
    question = Question(Asks.COMMAND, "session", attempt_id, keys=keys, state=state)

    async def ask() -> Response | None:
        return (await live.answer(asker, question, asyncio.get_running_loop().time())).response

    response = asyncio.run(ask())
    assert response is not None
    return json.loads(response.body)


@pytest.mark.parametrize("everywhere", [True, False])
def test_who_is_asked_transfers_to_nobody_who_is_on_a_dnd_list_by_then(
    world: World, everywhere: bool
) -> None:
    live = iotcomms(world)
    own = world.dnd_list()
    survey_with_transfer(world, [own])
    world.forbid(DESK, dnd_list_id=world.dnd_list())  # which does not apply
    (attempt_id,) = world.dial(world.release())
    at_menu = at_first_menu(parse(WITH_TRANSFER))
    assert DESK in str(asked_live(live, world, attempt_id, "1", **at_menu))
    world.forbid(DESK, dnd_list_id=world.global_dnd if everywhere else own)
    answer = asked_live(live, world, attempt_id, "1", **at_menu)
    assert DESK not in str(answer)
    assert (answer["phrases"], answer["hangup"]) == ([], True)
    live.close()


def test_who_asked_for_a_connection_is_given_nobody_who_has_opted_out_since(world: World) -> None:
    live = iotcomms(world)
    call_id = world.click("+74950000001", DESK)
    (attempt_id,) = world.dial([call_id])
    assert DESK in str(asked_live(live, world, attempt_id))
    world.forbid(DESK)
    answer = asked_live(live, world, attempt_id)
    assert DESK not in str(answer)
    assert answer["hangup"] is True
    live.close()
