"""People call back: the provider asks, the account's rule answers, what it tells becomes a CDR."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import permutations
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from sqlalchemy import Engine
from world import PUBLIC_URL, World, in_threads, people

from dialer.api import live, webhooks
from dialer.api.webhooks import Webhooks
from dialer.calls.inbound import HANGS_UP, SETTLE_AFTER
from dialer.db import reading, writing
from dialer.lifecycle import CallState
from dialer.models.inbound import InboundAction
from dialer.providers.contract import RawEvent
from dialer.providers.kinds import adapter_class
from dialer.store import inbound as store
from dialer.store import tables as t
from workers import inbound, results

MTT = {"username": "user", "password": "s3same", "customer_name": "88314050000000"}
ANN, OFFICE, DESK, OTHER = "+79154368886", "+79586488002", "+79684881033", "+79684881044"
#: A caller whose clock is known.
MOSCOW = "+74951234567"


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.set_provider(kind="mtt-callback", credentials=made.box.seal(MTT), base_url="http://127.0.0.1:9")
    yield made
    made.close()


@pytest.fixture
def client(
    world: World, serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    monkeypatch.setattr(webhooks, "REMEMBERED", 0.0)  # what a test changes counts at once
    made = Webhooks(FastAPI(), world.engine, lambda: None, PUBLIC_URL)
    # Not how fast it is, but what is answered is looked at here.
    made.live = live.Live(world.engine, deadline=30.0)
    with httpx.Client(base_url=serve(made), timeout=60) as one:
        yield one
    made.close()


def rule(world: World, action: InboundAction, *numbers: str, **more: Any) -> None:
    row = {
        "e164": OFFICE,
        "account_id": world.account_id,
        "action": action.value,
        "numbers": list(numbers),
        "text": None,
        "media": None,
        "ring_seconds": 15,
        "language_code": "ru-RU",
        "voice": "Tatyana",
        "record": False,
        "created_at": world.clock.now,
    }
    with writing(world.engine) as connection:
        store.add_rule(connection, {**row, **more})


def question(session: str = "BC5F236C 5AD211E9", caller: str = ANN, called: str = OFFICE) -> dict[str, Any]:
    params = {"sip_id": called[1:], "numberA": caller, "h323_conf_id": session}
    return {"id": "1", "jsonrpc": "2.0", "method": "getControlCallFollowMe", "params": params}


def asked(world: World, client: httpx.Client, **about: str) -> dict[str, Any]:
    """What is answered to MTT's question."""
    answer = client.post(f"/webhooks/{world.provider_id.lower()}/token", json=question(**about))
    assert answer.status_code == 200
    written = answer.json()
    assert (written["jsonrpc"], written["id"]) == ("2.0", "1")
    result: dict[str, Any] = written["result"]
    return result


def event(kind: str, clock: str, session: str = "BC5F236C 5AD211E9", cause: str = "") -> dict[str, Any]:
    data = f"event={kind}_{DESK[1:]}_2026-01-13-15-{clock}"
    told: dict[str, Any] = {"type": kind}
    if cause:
        told, data = {**told, "cause": cause}, f"{data}&cause={cause}"
    return {
        "date_time": 1558613711,
        "data": data,
        "event": told,
        "redirect_number": DESK[1:],
        "h323_conf_id": session,
        "numberA": ANN[1:],
        "sip_id": OFFICE[1:],
    }


def tell(world: World, body: dict[str, Any]) -> None:
    """Store an event as MTT sends it; no two are taken for the same one."""
    world.told += 1
    row = {
        "provider_id": world.provider_id,
        "dedupe_key": str(world.told),
        "state": "NEW",
        "method": "POST",
        "path": "",
        "query": "",
        "content_type": "application/json",
        "body": json.dumps(body).encode(),
        "received_at": world.clock.now,
        "error": "",
    }
    with writing(world.engine) as connection:
        connection.execute(t.event.insert(), row)


def live_calls(world: World) -> int:
    with reading(world.engine) as connection:
        return store.count_live(connection, world.account_id, world.clock.now - SETTLE_AFTER)


REFUSED = {"redirect_type": 1, "followme_struct": [1, [{"ACTIVE": "N"}]]}


# --- answered ---------------------------------------------------------------------------------------------------


def test_a_caller_is_connected_by_the_rule_of_the_number(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT, DESK, OTHER)
    result = asked(world, client)
    assert result["redirect_type"] == 2
    assert [one["REDIRECT_NUMBER"] for one in result["followme_struct"][1]] == [DESK[1:], OTHER[1:]]
    assert {one["TIMEOUT"] for one in result["followme_struct"][1]} == {"15"}
    assert result["event_URL"] == f"{PUBLIC_URL}/webhooks/{world.provider_id.lower()}/token"
    (kept,) = world.rows(t.event)
    assert kept.state == "NEW"


def test_all_are_rung_at_once_where_the_rule_says_so(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT_ALL, DESK, OTHER)
    assert asked(world, client)["redirect_type"] == 3


def test_a_recorded_file_is_played_before_the_caller_is_hung_up_on(
    world: World, client: httpx.Client
) -> None:
    rule(world, InboundAction.ANNOUNCE, media="3d221eb1aadf4d035bd87891abc82de7")
    result = asked(world, client)
    assert result["file_to_A"] == "3d221eb1aadf4d035bd87891abc82de7"
    assert result["followme_struct"] == REFUSED["followme_struct"]


def test_a_question_asked_twice_is_answered_the_same(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    assert asked(world, client) == asked(world, client)
    assert len(world.rows(t.event)) == 1


def test_a_number_without_a_rule_is_refused(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    assert asked(world, client, called=OTHER)["followme_struct"] == REFUSED["followme_struct"]


def test_a_rule_does_not_hold_for_a_provider_of_another_account(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    other_account, _ = world.account()
    world.set_provider(account_id=other_account)
    assert asked(world, client)["followme_struct"] == REFUSED["followme_struct"]
    world.set_provider(account_id=world.account_id)
    assert asked(world, client)["followme_struct"][1][0]["ACTIVE"] == "Y"


def test_a_question_that_makes_no_sense_is_kept_and_answered_ok(world: World, client: httpx.Client) -> None:
    body = {**question(), "params": {}}
    answer = client.post(f"/webhooks/{world.provider_id.lower()}/token", json=body)
    assert (answer.status_code, answer.text) == (200, "ok")
    assert len(world.rows(t.event)) == 1


def test_whoever_must_wait_too_long_for_the_database_is_refused(world: World) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    kind = adapter_class("mtt-callback")
    asker = live.Asker(world.provider_id, "moscow", kind, {}, "")
    # A database with one connection, which somebody else has.
    crowded = sa.create_engine(world.engine.url, pool_size=1, max_overflow=0, pool_timeout=60)
    waiting = live.Live(crowded, deadline=0.05)

    async def story() -> bytes:
        body = json.dumps(question()).encode()
        raw = RawEvent("POST", "", "", "application/json", body, None, world.clock.now)
        asks = waiting.question(asker, raw)
        assert asks is not None
        response = await waiting.answer(asker, asks, asyncio.get_running_loop().time())
        assert response is not None
        return response.body

    with crowded.connect():
        assert json.loads(asyncio.run(story()))["result"] == REFUSED
    waiting.close()
    crowded.dispose()


# --- recorded ---------------------------------------------------------------------------------------------------


def test_events_become_a_cdr_whatever_their_order(world: World) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    story = [("o", "00-01", ""), ("s", "00-09", ""), ("h", "01-09", "16")]
    orders = list(permutations([-1, 0, 1, 2]))
    chance = random.Random(7)
    for place, order in enumerate(chance.sample(orders, 12)):
        session = f"session {place}"
        for one in (*order, order[0]):
            body = question(session) if one < 0 else event(*story[one][:2], session, story[one][2])
            tell(world, body)
            world.consume()
    cdrs = world.rows(t.cdr)
    assert len(cdrs) == 12
    shown = {
        (row.kind, row.dial_status, row.e164, row.caller_id, row.connect_to, row.billsec, row.account_id)
        for row in cdrs
    }
    assert shown == {("INBOUND", "ANSWER", OFFICE, ANN, DESK, 60.0, world.account_id)}
    assert {row.state for row in world.rows(t.event)} == {"CONSUMED"}
    assert live_calls(world) == 0


def test_a_call_is_live_until_it_ends(world: World) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    tell(world, question())
    world.consume()
    assert live_calls(world) == 1
    tell(world, event("o", "00-01"))
    tell(world, event("s", "00-09"))
    world.consume()
    assert live_calls(world) == 1
    assert world.rows(t.cdr) == []
    tell(world, event("h", "01-09", cause="16"))
    world.consume()
    assert live_calls(world) == 0


def test_a_call_that_nobody_is_rung_for_is_over_at_once(world: World) -> None:
    rule(world, InboundAction.REFUSE)
    tell(world, question())
    world.consume()
    (row,) = world.rows(t.cdr)
    assert (row.disposition, row.dial_status, row.caller_id) == ("REJECTED", "BUSY", ANN)
    assert live_calls(world) == 0


def test_a_call_without_an_account_has_no_cdr(world: World) -> None:
    tell(world, question())
    world.consume()
    assert world.rows(t.cdr) == []
    (call,) = world.rows(t.inbound_call)
    assert call.account_id is None


def test_without_a_rule_a_call_is_its_providers_accounts(world: World) -> None:
    world.set_provider(account_id=world.account_id)
    tell(world, question())
    world.consume()
    (row,) = world.rows(t.cdr)
    assert (row.account_id, row.disposition) == (world.account_id, "REJECTED")


def test_a_call_whose_end_is_never_told_is_settled(world: World) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    tell(world, question())
    world.consume()
    with writing(world.engine) as connection:
        long_ago = datetime.now(UTC) - SETTLE_AFTER - timedelta(minutes=1)
        connection.execute(t.inbound_call.update().values(started_at=long_ago))
    assert inbound.settle(world.engine) == 1
    assert inbound.settle(world.engine) == 0
    (row,) = world.rows(t.cdr)
    assert row.disposition == "UNKNOWN"
    tell(world, event("s", "00-09"))
    tell(world, event("h", "01-09", cause="16"))
    world.consume()
    assert world.rows(t.cdr)[0].disposition == "ANSWERED"


def test_one_odd_call_does_not_keep_others_from_being_settled(world: World) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    for session in ("odd", "fair"):
        tell(world, question(session))
    world.consume()
    with writing(world.engine) as connection:
        long_ago = datetime.now(UTC) - SETTLE_AFTER - timedelta(minutes=1)
        connection.execute(t.inbound_call.update().values(started_at=long_ago))
        odd = t.inbound_call.c.session == "odd"
        connection.execute(t.inbound_call.update().where(odd).values(told=[["not as we write it"]]))
    assert inbound.settle(world.engine) == 2
    (row,) = world.rows(t.cdr)
    assert row.provider_reference == "fair"
    assert inbound.settle(world.engine) == 0  # nor is it tried for ever


# --- what a rule does besides -----------------------------------------------------------------------------------


def test_a_caller_who_opts_out_is_on_the_dnd_list(world: World) -> None:
    rule(world, InboundAction.OPT_OUT)
    for _ in range(2):
        tell(world, question())
        world.consume()
    assert [row.e164 for row in world.rows(t.dnd_number, dnd_list_id=world.global_dnd)] == [ANN]


def test_a_caller_who_hides_their_number_is_only_hung_up_on(world: World) -> None:
    rule(world, InboundAction.OPT_OUT)
    tell(world, question(caller="anonymous"))
    world.consume()
    assert world.rows(t.dnd_number) == []
    assert len(world.rows(t.cdr)) == 1


def test_a_caller_is_called_back_once_and_connected(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    for session in ("one", "two"):
        tell(world, question(session, MOSCOW))
        world.consume()
    (call,) = world.rows(t.call)
    assert (call.kind, call.e164, call.state) == ("CALLBACK", MOSCOW, "WAITING")
    assert call.due_at == world.clock.now + HANGS_UP  # by then their line is free
    assert world.release_singles() == []
    world.clock.now = call.due_at
    (placement,) = world.claim(world.release_singles()).placements
    assert (placement.submission.to, placement.submission.connect_to) == (MOSCOW, DESK)
    assert placement.submission.caller_id == OFFICE
    # Nor while they are being called back.
    tell(world, question("three", MOSCOW))
    world.consume()
    assert len(world.rows(t.call)) == 1
    world.check()


def test_whoever_calls_again_after_they_were_called_back_is_called_back_again(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question("one", MOSCOW))
    world.consume()
    world.clock.forward(2 * inbound.CALL_BACK_LIFE.total_seconds())
    assert world.release_singles() == []
    tell(world, question("two", MOSCOW))
    world.consume()
    assert sorted(call.state for call in world.rows(t.call)) == ["EXPIRED", "WAITING"]


def test_two_consumers_call_a_caller_back_once(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    for place in range(8):
        tell(world, question(f"session {place}", MOSCOW))
    in_threads(*[lambda: results.consume(world.engine, world.clock, limit=1)] * 8)
    assert {row.state for row in world.rows(t.event)} == {"CONSUMED"}
    assert len(world.rows(t.inbound_call)) == 8
    assert len(world.rows(t.call)) == 1
    assert len(world.rows(t.message)) == 1


def test_of_callbacks_that_were_made_twice_the_first_stays_when_the_schema_is_upgraded(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=MOSCOW))
    world.consume()
    (first,) = world.rows(t.call)
    (key,) = (index for index in t.call.indexes if index.name == "call_callback_key")
    with writing(world.engine) as connection:
        key.drop(connection)
        for place, state in enumerate((CallState.WAITING, CallState.IN_PROGRESS)):
            again = {**first._mapping, "id": f"{first.id}~{place}", "state": state.value}
            connection.execute(t.call.insert(), again)
        connection.execute(sa.text(import_module("migrations.versions.0015_call_back_once").END_OTHERS))
        key.create(connection)
    found = {row.id: row for row in world.rows(t.call)}
    assert found.pop(first.id).state == CallState.WAITING
    assert sorted(row.state for row in found.values()) == [CallState.CANCELLED, CallState.UNKNOWN]
    assert all(row.ended_at is not None for row in found.values())


@pytest.mark.parametrize("caller", [OFFICE, DESK])
def test_a_number_of_our_own_that_comes_back_is_not_called_back(world: World, caller: str) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=caller))
    world.consume()
    assert world.rows(t.call) == []
    assert len(world.rows(t.cdr)) == 1


def test_a_caller_who_shows_a_number_of_no_country_is_not_called_back(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller="+28877205159194"))
    world.consume()
    assert world.rows(t.call) == []
    assert len(world.rows(t.cdr)) == 1


def test_a_number_that_has_a_rule_itself_is_not_called_back(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    rule(world, InboundAction.CALL_BACK, DESK, e164=MOSCOW)
    tell(world, question(caller=MOSCOW))
    world.consume()
    assert world.rows(t.call) == []


def test_a_rule_that_came_after_the_question_calls_nobody_back(world: World) -> None:
    tell(world, question(caller=MOSCOW))
    later = world.clock.now + timedelta(seconds=1)
    rule(world, InboundAction.CALL_BACK, DESK, created_at=later)
    world.consume()
    assert world.rows(t.call) == []
    (call,) = world.rows(t.inbound_call)
    assert call.action is None


def test_whoever_hears_something_first_is_called_back_later(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK, text="We call you back. " * 8)
    tell(world, question(caller=MOSCOW))
    world.clock.forward(2)
    world.consume()
    (call,) = world.rows(t.call)
    assert call.due_at == world.clock.now - timedelta(seconds=2) + HANGS_UP + timedelta(seconds=18)


def test_a_question_that_is_read_late_is_acted_upon_at_once(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=MOSCOW))
    world.clock.forward(60)
    world.consume()
    (call,) = world.rows(t.call)
    assert call.due_at == world.clock.now


def test_whom_a_caller_was_connected_with_stands_in_the_cdr_of_the_call_back(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    world.forbid(MOSCOW)
    tell(world, question(caller=MOSCOW))
    world.consume()
    world.clock.now += HANGS_UP
    assert world.claim(world.release_singles()).placements == ()
    (row,) = world.rows(t.cdr, kind="CALLBACK")
    assert (row.disposition, row.connect_to, row.caller_id) == (None, DESK, OFFICE)


def test_nobody_is_called_back_at_night(world: World) -> None:
    world.clock.now = datetime(2026, 1, 13, 20, 0, tzinfo=UTC)  # 23:00 in Moscow
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=MOSCOW))
    world.consume()
    (call,) = world.rows(t.call)
    morning = datetime(2026, 1, 14, 5, 0, tzinfo=UTC)
    assert (call.due_at, call.expires_at) == (morning, morning + inbound.CALL_BACK_LIFE)
    assert world.release_singles() == []


def test_whose_clock_is_not_known_is_called_back_when_it_is_night_nowhere_they_may_be(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=ANN))  # a mobile of Russia, at noon of the account's own clock
    world.consume()
    (call,) = world.rows(t.call)
    assert call.due_at == datetime(
        2026, 1, 14, 6, 0, tzinfo=UTC
    )  # eight in Kaliningrad, six in Kamchatka's evening


def test_a_call_back_expires_when_the_window_closes(world: World) -> None:
    world.clock.now = datetime(2026, 1, 13, 17, 45, tzinfo=UTC)  # 20:45 in Moscow
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=MOSCOW))
    world.consume()
    (call,) = world.rows(t.call)
    assert call.expires_at == datetime(2026, 1, 13, 18, 0, tzinfo=UTC)
    world.clock.now = call.expires_at
    assert world.release_singles() == []
    assert world.call(call.id).state == CallState.EXPIRED


def test_whoever_is_on_the_dnd_list_is_not_called_back(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    world.forbid(MOSCOW)
    tell(world, question(caller=MOSCOW))
    world.consume()
    world.clock.now += HANGS_UP
    assert world.claim(world.release_singles()).placements == ()
    (call,) = world.rows(t.call)
    assert call.state == CallState.SUPPRESSED


def test_calls_that_come_in_leave_the_others_alone(world: World) -> None:
    """Facts of both sorts in one batch."""
    world.set_provider(kind="mitto", credentials=world.box.seal({"access_key": "key"}))
    world.campaign(world.contact_list(people(2)))
    attempts = world.dial(world.release())
    world.set_provider(kind="mtt-callback", credentials=world.box.seal(MTT))
    rule(world, InboundAction.REFUSE)
    tell(world, question())
    world.consume()
    assert {world.attempt(one).state for one in attempts} == {"PLACED"}
    with reading(world.engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.cdr)).scalar_one() == 1
