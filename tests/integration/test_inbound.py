"""People call back: the provider asks, the account's rule answers, what it tells becomes a CDR."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import import_module
from itertools import permutations
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from world import NOON, PUBLIC_URL, World, in_threads, people

from dialer.api import live, webhooks
from dialer.api.webhooks import Webhooks
from dialer.calls.flow import Prompt
from dialer.calls.inbound import CLEARS, FILE_LASTS, HANGS_UP, LISTENS, SETTLE_AFTER, Given
from dialer.calls.talk import Ring, Rung, Talk
from dialer.db import reading, writing
from dialer.lifecycle import CallState
from dialer.models.inbound import InboundAction
from dialer.providers.contract import RawEvent
from dialer.providers.kinds import adapter_class
from dialer.store import accounts
from dialer.store import inbound as store
from dialer.store import tables as t
from workers import call_back, cdrs, inbound, results

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


def rule(world: World, action: InboundAction, *numbers: Any, **more: Any) -> None:
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


def change(world: World, **values: Any) -> None:
    """Change the rule of the number; without values it is removed."""
    with writing(world.engine) as connection:
        if values:
            connection.execute(t.inbound_rule.update().values(**values))
        else:
            connection.execute(t.inbound_rule.delete())


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


def tell(world: World, body: dict[str, Any], path: str = "") -> None:
    """Store an event as its provider sends it; no two are taken for the same one."""
    world.told += 1
    row = {
        "provider_id": world.provider_id,
        "dedupe_key": str(world.told),
        "state": "NEW",
        "method": "POST",
        "path": path,
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


class Histories:
    """MTT's histories: what is told of each `type`, and which were asked for."""

    def __init__(self) -> None:
        self.told: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self.app = Starlette(routes=[Route("/", self.answer, methods=["POST"])])

    async def answer(self, request: Request) -> JSONResponse:
        kind = (await request.json())["params"]["type"]
        self.asked.append(kind)
        return JSONResponse({"jsonrpc": "2.0", "id": "1", "result": {kind: self.told.get(kind, [])}})


@pytest.fixture
def histories(world: World, serve: Callable[[Any], str]) -> Histories:
    made = Histories()
    world.set_provider(base_url=serve(made.app))
    return made


def entry(session: str = "BC5F236C 5AD211E9", **more: Any) -> dict[str, Any]:
    at = NOON.strftime("%Y-%m-%d %H:%M:%S")
    told = {"cli": ANN[1:], "connect_time": at, "h323_conf_id": "2B23D937", "h323_incoming_conf_id": session}
    return {**told, "disconnect_cause": "16", "used_quantity": "49", "charged": 0, "curr": "RUB", **more}


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


def test_whoever_picks_up_hears_a_file_and_does_not_see_who_calls(world: World, client: httpx.Client) -> None:
    more = {"greeting_media": "3806efe36d", "hide_caller": True, "press": "W1w2#"}
    rule(world, InboundAction.CONNECT, DESK, media="47f51cac1b", answer_first=True, **more)
    result = asked(world, client)
    fields = ("file_to_A", "file_to_B", "masking", "answer")
    assert [result[name] for name in fields] == ["47f51cac1b", "3806efe36d", "Y", "Y"]
    assert result["followme_struct"][1][0]["DTMF"] == "W1w2#"


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


def test_a_rule_that_an_account_has_only_claimed_holds_at_no_provider_that_others_share(
    world: World, client: httpx.Client
) -> None:
    rule(world, InboundAction.CONNECT, DESK, claimed=True)
    world.set_provider(account_id=world.account_id)
    assert asked(world, client)["followme_struct"][1][0]["ACTIVE"] == "Y"
    world.set_provider(account_id=None)
    assert asked(world, client)["followme_struct"] == REFUSED["followme_struct"]
    change(world, claimed=False)
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
        replied = await waiting.answer(asker, asks, asyncio.get_running_loop().time())
        assert replied.response is not None
        assert replied.given == Given()
        return replied.response.body

    with crowded.connect():
        assert json.loads(asyncio.run(story()))["result"] == REFUSED
    waiting.close()
    crowded.dispose()


# --- recorded ---------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    told=st.lists(st.integers(0, 3), max_size=3).flatmap(lambda twice: st.permutations([*range(4), *twice]))
)
def test_events_become_a_cdr_whatever_their_order_and_however_often(
    world: World, told: Sequence[int]
) -> None:
    change(world)
    rule(world, InboundAction.CONNECT, DESK)
    session = f"session {world.told}"
    story = [
        question(session),
        event("o", "00-01", session),
        event("s", "00-09", session),
        event("h", "01-09", session, "16"),
    ]
    for place in told:
        tell(world, story[place])
        world.consume()
    (row,) = world.rows(t.cdr, provider_reference=session)
    shown = (row.kind, row.dial_status, row.e164, row.caller_id, row.connect_to, row.billsec, row.account_id)
    assert shown == ("INBOUND", "ANSWER", OFFICE, ANN, DESK, 60.0, world.account_id)
    assert {row.state for row in world.rows(t.event)} == {"CONSUMED"}
    assert live_calls(world) == 0


def test_what_a_call_cost_and_its_record_are_read_in_the_histories(
    world: World, histories: Histories
) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    for body in (question(), event("o", "15-19"), event("s", "15-30"), event("h", "16-19", cause="16")):
        tell(world, body)
    world.consume()
    (before,) = world.rows(t.cdr)
    histories.told = {
        "incoming": [entry(), entry("somebody else's")],
        "forwarded": [entry(charged=2.48, voice_record_exist=True)],
    }
    for _ in range(2):  # what is known already changes nothing
        assert cdrs.claim_due(world.engine, world.clock) == [world.provider_id]
        assert world.read_cdrs()
        world.clock.forward(600)
    assert histories.asked == ["incoming", "missed", "forwarded"] * 2
    (row,) = world.rows(t.cdr)
    assert (row.cost, row.currency, row.recording_name) == (Decimal("2.48"), "RUB", "2B23D937")
    same = ("disposition", "dial_status", "duration", "billsec", "ended_at", "connect_to")
    assert [getattr(row, name) for name in same] == [getattr(before, name) for name in same]
    assert len(world.rows(t.inbound_call)) == 1


def test_a_call_whose_end_was_lost_is_settled_by_the_histories(world: World, histories: Histories) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    for body in (question(), event("o", "15-19")):
        tell(world, body)
    world.consume()
    assert (live_calls(world), world.rows(t.cdr)) == (1, [])
    histories.told = {"missed": [entry(used_quantity="0", disconnect_cause="19")]}
    assert cdrs.claim_due(world.engine, world.clock) == [world.provider_id]
    assert world.read_cdrs()
    (row,) = world.rows(t.cdr)
    assert (row.disposition, row.hangup_cause, live_calls(world)) == ("NO_ANSWER", 19, 0)


def test_histories_are_asked_for_only_where_somebody_has_called(world: World, histories: Histories) -> None:
    assert cdrs.claim_due(world.engine, world.clock) == [world.provider_id]
    assert world.read_cdrs()
    assert histories.asked == []
    (poll,) = world.rows(t.cdr_poll)
    assert poll.read_to == world.clock.now


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


# --- by the rule that answered ----------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["removed", "changed", "another's"])
def test_what_the_caller_was_given_counts_whatever_becomes_of_the_rule(
    world: World, client: httpx.Client, what: str
) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    asked(world, client, caller=MOSCOW)
    other, their_dnd = world.account()
    if what == "removed":
        change(world)
    elif what == "changed":
        change(world, action="CONNECT", numbers=[OTHER])
    else:
        change(world, action="OPT_OUT", account_id=other)
    world.clock.now = datetime.now(UTC)  # by which the webhook goes
    world.consume()
    (call,) = world.rows(t.call)
    (message,) = world.rows(t.message)
    (came_in,) = world.rows(t.inbound_call)
    assert (call.account_id, call.e164, message.connect_to) == (world.account_id, MOSCOW, DESK)
    assert (came_in.account_id, came_in.action, came_in.callback_id) == (
        world.account_id,
        "CALL_BACK",
        call.id,
    )
    assert [(row.account_id, row.disposition) for row in world.rows(t.cdr)] == [
        (world.account_id, "REJECTED")
    ]
    assert world.rows(t.dnd_number, dnd_list_id=their_dnd) == []


def test_whoever_was_refused_is_not_put_on_a_list_by_a_rule_that_came_then(
    world: World, client: httpx.Client
) -> None:
    assert asked(world, client)["followme_struct"] == REFUSED["followme_struct"]
    rule(world, InboundAction.OPT_OUT, created_at=datetime(2020, 1, 1, tzinfo=UTC))
    world.consume()
    assert world.rows(t.dnd_number) == []
    assert [(row.disposition, row.account_id) for row in world.rows(t.cdr)] == [
        ("REJECTED", world.account_id)
    ]


@pytest.mark.parametrize(("media", "disposition"), [(None, "REJECTED"), ("3d221eb1aadf4d03", "ANSWERED")])
def test_who_could_be_connected_with_nobody_is_off_the_line(
    world: World, client: httpx.Client, media: str | None, disposition: str
) -> None:
    """All whom the rule connects with stand on the DND list."""
    rule(world, InboundAction.CONNECT, DESK, media=media)
    world.forbid(DESK)
    assert asked(world, client)["followme_struct"] == REFUSED["followme_struct"]
    world.consume()
    assert [row.disposition for row in world.rows(t.cdr)] == [disposition]
    assert live_calls(world) == 0


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


def test_a_caller_is_called_back_and_connected_with_the_first_of_several_who_answers(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK, {"number": OTHER, "seconds": 40})
    tell(world, question(caller=MOSCOW))
    world.consume()
    world.clock.now += HANGS_UP
    (placement,) = world.claim(world.release_singles()).placements
    said = placement.submission
    assert (said.to, said.connect_to) == (MOSCOW, DESK)
    assert said.talk == Talk(ring=Ring((Rung(OTHER, 40),), seconds=15, of_other=True))


def test_where_no_provider_rings_several_a_caller_is_connected_with_the_first_alone(world: World) -> None:
    world.set_provider(kind="cpaas", credentials=world.box.seal({"account": "a", "auth": "k3y"}))
    rule(world, InboundAction.CALL_BACK, DESK, OTHER)
    with writing(world.engine) as connection:
        given = Given.by(store.rule_of(connection, world.provider_id, OFFICE))
        call_back.make(
            connection, [call_back.Wanted("none", given, MOSCOW, world.clock.now)], world.clock.now
        )
    (message,) = world.rows(t.message)
    assert (message.connect_to, message.ring) == (DESK, None)


def test_who_is_called_back_and_whom_they_are_connected_with_hear_something_first(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK, back_media="you have called us", greeting_media="a caller")
    tell(world, question(caller=MOSCOW))
    world.consume()
    world.clock.now = world.rows(t.call)[0].due_at
    (placement,) = world.claim(world.release_singles()).placements
    assert placement.submission.talk == Talk(Prompt(media="you have called us"), Prompt(media="a caller"))
    assert (placement.submission.language, placement.submission.voice) == ("ru-RU", "Tatyana")
    world.check()


def test_whoever_calls_again_after_they_were_called_back_is_called_back_again(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question("one", MOSCOW))
    world.consume()
    world.clock.forward(2 * call_back.LIFE.total_seconds())
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


def test_a_caller_is_called_back_as_soon_as_their_call_has_ended_whatever_is_told_first(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK, media="3d221eb1aadf4d035bd87891abc82de7")
    world.clock.now += timedelta(seconds=30)
    ended = datetime(2026, 1, 13, 12, 0, 23, tzinfo=UTC)
    for place, order in enumerate(permutations(range(4))):
        caller, session = f"+749512345{place:02}", f"session {place}"
        told = [
            question(session, caller),
            {**event("sp", "00-01", session), "event": {"type": "sp", "side": "A"}, "numberA": caller[1:]},
            {**event("ep", "00-22", session), "event": {"type": "ep", "side": "A"}, "numberA": caller[1:]},
            {**event("h", "00-23", session, "16"), "numberA": caller[1:]},
        ]
        for one in (*order, *order):
            tell(world, told[one])
            world.consume()
    calls = world.rows(t.call)
    assert len(calls) == 24
    assert {call.due_at for call in calls} == {world.clock.now}, "it is over, so they are called at once"
    tell(world, question("later", MOSCOW))
    tell(world, {**event("h", "00-29", "later", "16"), "numberA": MOSCOW[1:]})
    world.consume()
    (call,) = world.rows(t.call, e164=MOSCOW)
    assert call.due_at == ended + timedelta(seconds=6) + CLEARS
    assert call.expires_at == call.due_at + call_back.LIFE


def test_whoever_listens_is_called_back_when_they_have_hung_up(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK, media="3d221eb1aadf4d035bd87891abc82de7")
    tell(world, question(caller=MOSCOW))
    world.consume()
    (call,) = world.rows(t.call)
    assert call.due_at == world.clock.now + HANGS_UP + FILE_LASTS, "should nothing more be told"
    tell(world, {**event("sp", "00-01"), "event": {"type": "sp", "side": "A"}})
    world.clock.forward(2)
    world.consume()
    assert world.call(call.id).due_at == datetime(2026, 1, 13, 12, 0, 1, tzinfo=UTC) + LISTENS
    world.clock.forward(88)
    assert world.release_singles() == []
    tell(world, event("h", "01-30", cause="16"))
    world.consume()
    assert world.call(call.id).due_at == world.clock.now + CLEARS
    assert world.release_singles() == []
    world.clock.now += CLEARS
    released = world.release_singles()
    assert released == [call.id]
    tell(world, event("h", "01-31", cause="16"))
    world.consume()
    assert world.call(call.id).due_at <= world.clock.now, "nor is what was released put off"
    world.check()


def test_whoever_calls_in_again_is_called_back_when_that_call_is_over_too(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    for session in ("one", "two"):
        tell(world, question(session, MOSCOW))
    world.consume()
    (call,) = world.rows(t.call)
    ends = [
        {**event("h", f"00-0{second}", one, "16"), "numberA": MOSCOW[1:]}
        for one, second in (("one", 2), ("two", 9))
    ]
    world.clock.forward(3)
    tell(world, ends[0])
    world.consume()
    assert world.call(call.id).due_at == NOON + HANGS_UP, "of the other nothing is known yet"
    world.clock.forward(6)
    tell(world, ends[1])
    world.consume()
    assert world.call(call.id).due_at == world.clock.now + CLEARS
    assert {row.callback_id for row in world.rows(t.inbound_call)} == {call.id}


def test_the_ends_of_two_calls_of_one_caller_are_heard_of_at_once(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    for session in ("one", "two"):
        tell(world, question(session, MOSCOW))
    world.consume()
    world.clock.forward(20)
    for session, second in (("one", 12), ("two", 19)):
        tell(world, {**event("h", f"00-{second}", session, "16"), "numberA": MOSCOW[1:]})
    in_threads(*[lambda: results.consume(world.engine, world.clock, limit=1)] * 2)
    (call,) = world.rows(t.call)
    assert call.due_at == NOON + timedelta(seconds=19) + CLEARS


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
    (row,) = world.rows(t.cdr, kind="INBOUND_CALLBACK")
    assert (row.disposition, row.connect_to, row.caller_id) == (None, DESK, OFFICE)


def test_nobody_is_called_back_at_night(world: World) -> None:
    world.clock.now = datetime(2026, 1, 13, 20, 0, tzinfo=UTC)  # 23:00 in Moscow
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=MOSCOW))
    world.consume()
    (call,) = world.rows(t.call)
    morning = datetime(2026, 1, 14, 5, 0, tzinfo=UTC)
    assert (call.due_at, call.expires_at) == (morning, morning + call_back.LIFE)
    assert world.release_singles() == []


def test_whose_clock_is_not_known_is_called_back_when_it_is_night_nowhere_they_may_be(world: World) -> None:
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=ANN))  # a mobile of Russia, at noon of the account's own clock
    world.consume()
    (call,) = world.rows(t.call)
    assert call.due_at == datetime(
        2026, 1, 14, 6, 0, tzinfo=UTC
    )  # eight in Kaliningrad, six in Kamchatka's evening


IOTCOMMS = {"domain": "customer.example.com", "token": "s3same", "sip_host": "sip.example.com"}


def is_busy(world: World, attempt_id: str) -> None:
    """iotcomms, which connects the two, tells that the caller's line is busy."""
    told = {"sessionId": attempt_id, "sessionReferenceId": {"attempt": attempt_id}}
    body = json.dumps({**told, "event": "calledPartyFailure", "sipResponseCode": 486}).encode()
    world.tell_raw("", method="POST", path="callEvent", content_type="application/json", body=body)
    world.consume()


def connected_by_iotcomms(world: World) -> None:
    world.set_provider(
        kind="iotcomms",
        credentials=world.box.seal(IOTCOMMS),
        open_settings={"sip_host": "sip.example.com"},
    )


def called_back(world: World) -> str:
    """Who called in and is refused is called back; the attempt."""
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=MOSCOW))
    world.consume()
    connected_by_iotcomms(world)
    world.clock.now += HANGS_UP
    (attempt_id,) = world.dial(world.release_singles())
    return attempt_id


def test_whose_line_is_busy_is_called_back_again_three_times_and_never_twice_at_once(world: World) -> None:
    attempts = [called_back(world)]
    for minutes in (1, 2, 5):
        is_busy(world, attempts[-1])
        is_busy(world, attempts[-1])
        (call,) = world.rows(t.call)
        assert (call.state, call.due_at) == (CallState.WAITING, world.clock.now + timedelta(minutes=minutes))
        # Whoever calls in meanwhile is not called back twice.
        world.set_provider(kind="mtt-callback", credentials=world.box.seal(MTT))
        tell(world, question(f"again after {minutes}", MOSCOW))
        world.consume()
        connected_by_iotcomms(world)
        assert world.call(call.id).due_at == call.due_at
        world.clock.forward(60 * minutes - 1)
        assert world.release_singles() == []
        world.clock.forward(1)
        attempts += world.dial(world.release_singles())
    is_busy(world, attempts[-1])
    (call,) = world.rows(t.call)
    assert (call.state, call.disposition, call.dials) == (CallState.FAILED, "BUSY", 4)
    assert len(set(attempts)) == 4
    assert [row.disposition for row in world.rows(t.cdr, call_id=call.id)] == ["BUSY"] * 4
    world.check()


def test_who_has_opted_out_since_they_were_busy_is_not_called_back_again(world: World) -> None:
    is_busy(world, called_back(world))
    world.forbid(MOSCOW)
    world.clock.forward(60)
    assert world.claim(world.release_singles()).placements == ()
    (call,) = world.rows(t.call)
    assert call.state == CallState.SUPPRESSED


def test_who_is_busy_when_the_window_closes_is_not_called_back_again(world: World) -> None:
    world.clock.now = datetime(2026, 1, 13, 17, 59, 30, tzinfo=UTC)  # half a minute to nine in Moscow
    is_busy(world, called_back(world))
    (call,) = world.rows(t.call)
    assert (call.state, call.disposition) == (CallState.FAILED, "BUSY")
    world.check()


def test_a_window_that_is_narrowed_holds_for_whom_we_call_back(world: World) -> None:
    world.clock.now = datetime(2026, 1, 13, 16, 0, tzinfo=UTC)  # 19:00 in Moscow
    rule(world, InboundAction.CALL_BACK, DESK)
    tell(world, question(caller=MOSCOW))
    world.consume()
    (call,) = world.rows(t.call)
    with writing(world.engine) as connection:
        accounts.update(connection, world.account_id, calling_window={"start": "08:00", "end": "19:00"})
    world.clock.now = call.due_at
    assert world.claim(world.release_singles()).placements == ()
    assert world.call(call.id).state == CallState.EXPIRED


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
