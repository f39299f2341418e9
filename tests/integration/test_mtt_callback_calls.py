"""Calls between two people through MTT's CallBack: what its events make of calls and CDRs, and what they leave open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from world import World

from dialer.lifecycle import AttemptState, CallState
from dialer.models.event import LOOK_UP
from dialer.providers.contract import Outcome
from dialer.store import tables as t
from workers.reconcile import COST_ASKED_FOR, ask_costs

TALKED = ("start_side_A", "pickup_side_A", "start_side_B", "start_talk", "end_side_B", "end_side_A")
RECORDS = "http://fuds.mtt.ru/download/75GV5LxVNdQuohMge0NMFpS2Oxwc3jKTmhjWE3987oPTOhCJ7o"
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


def test_the_cdr_tells_which_of_several_numbers_picked_up(world: World) -> None:
    call_id, attempt_id = dialled(world)
    picked_up = f"event=pickup_side_A&id={THEIRS}&phone_A=%2B79522222222"
    world.tell_raw(picked_up, path=f"{attempt_id}/event.php")
    tell(world, f"{attempt_id}/event.php", TALKED)
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.dial_status, cdr.answered_by) == ("ANSWER", "+79522222222")
    assert cdr.e164 == world.call(call_id).e164 != cdr.answered_by
    assert world.attempt(attempt_id).answered_by == "+79522222222"
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


# --- costs ----------------------------------------------------------------------------------------------------

#: getCallBackFollowmeCallInfo, its example.
INFO = {
    "waiting_period_A": "12",
    "call_back_charged_length_A": "60",
    "call_back_real_length_A": "40",
    "call_back_charged_length_B": "60",
    "call_back_real_length_B": "10",
    "call_back_cost": 2.98,
    "call_back_record_URL_A": {"downloadURL": f"{RECORDS}A"},
    "call_back_record_URL_B": {"downloadURL": f"{RECORDS}B"},
    "call_back_currency": "RUB",
    "call_back_status": "ok",
}


class Mtt:
    """Answers how a call went, as it is told to."""

    def __init__(self, world: World, serve: Callable[[Any], str]) -> None:
        self.asked: list[str] = []
        self.result: dict[str, Any] | None = {"callBackFollowmeCallInfoStruct": INFO}
        self._world = world
        world.set_provider(base_url=serve(Starlette(routes=[Route("/", self.answer, methods=["POST"])])))

    async def answer(self, request: Request) -> Response:
        asked = await request.json()
        self.asked.append(asked["method"])
        if self.result is None:
            return Response("Internal Server Error", status_code=500)
        return JSONResponse({"jsonrpc": "2.0", "id": asked["id"], "result": self.result})

    def ask_costs(self, seconds: float) -> int:
        """After so long, have those asked about that are due; how many times MTT was asked."""
        self._world.clock.forward(seconds)
        self._world.redis.flushall()  # its clock stands still beside the world's
        self.asked.clear()
        ask_costs(self._world.engine, self._world.clock, look_up=self._world.look_up)
        self._world.check()
        return len(self.asked)


def test_what_a_call_cost_is_asked_when_it_is_over_and_stands_in_the_cdr(
    world: World, serve: Callable[[Any], str], caplog: pytest.LogCaptureFixture
) -> None:
    mtt = Mtt(world, serve)
    call_id, attempt_id = dialled(world)
    tell(world, f"{attempt_id}/event.php", TALKED)
    assert mtt.ask_costs(0) == 0, "MTT may not know it yet"
    mtt.result = None
    assert mtt.ask_costs(300) == 1
    mtt.result = {"callBackFollowmeCallInfoStruct": INFO}
    assert mtt.ask_costs(60) == 0, "not again at once"
    assert mtt.ask_costs(300) == 1
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.cost, cdr.currency, cdr.dial_status, cdr.billsec) == (Decimal("2.98"), "RUB", "ANSWER", 10.0)
    assert cdr.recording_name == world.attempt(attempt_id).recording_name == f"{RECORDS}A {RECORDS}B"
    assert RECORDS not in caplog.text
    (kept,) = (row for row in world.rows(t.event) if row.method == LOOK_UP)
    assert (kept.attempt_id, kept.state, kept.error) == (attempt_id, "CONSUMED", "")
    assert f"{RECORDS}B" in kept.body.decode()
    assert world.rows(t.unknown_word) == []
    assert world.call(call_id).state == CallState.COMPLETED
    assert mtt.ask_costs(3600) == 0
    assert world.attempt(attempt_id).cost_due_at is None


def test_a_cost_is_not_asked_of_who_talked_to_nobody_nor_for_ever(
    world: World, serve: Callable[[Any], str]
) -> None:
    mtt = Mtt(world, serve)
    mtt.result = {"callBackFollowmeCallInfoStruct": INFO | {"call_back_cost": None}}
    _, open_one = dialled(world)
    assert mtt.ask_costs(600) == 0, "its end is looked up anyhow"
    tell(world, f"{open_one}/event.php", TALKED)
    asked = [mtt.ask_costs(3600) for _ in range(30)]
    assert 3 <= sum(asked) <= 12
    assert [row.method for row in world.rows(t.event)].count(LOOK_UP) == 1, "what is no news is not kept"
    assert world.attempt(open_one).cost_due_at is None
    (placement,) = world.claim([world.click("+46700000777")]).placements
    world.answer([placement.submission.attempt_id], Outcome.REFUSED, detail="no")
    assert mtt.ask_costs(COST_ASKED_FOR.total_seconds() / 2) == 0
