"""People call back a number at iotcomms: asked with `newCall`, answered by the rule, and told of until it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from test_inbound import ANN, DESK, OFFICE, OTHER, change, live_calls, rule, tell
from world import PUBLIC_URL, World

from dialer.api import live, webhooks
from dialer.api.webhooks import Webhooks
from dialer.db import writing
from dialer.models.inbound import InboundAction
from dialer.providers.iotcomms_live import recording_name
from dialer.store import tables as t

SETTINGS = {"domain": "customer.example.com", "token": "s3same", "sip_host": "sip.example.com"}
SESSION = "9bb07660-c747-11ea-afa0-bd07728b88b7"


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.set_provider(
        kind="iotcomms",
        credentials=made.box.seal(SETTINGS),
        open_settings={"sip_host": "sip.example.com"},
    )
    yield made
    made.close()


@pytest.fixture
def client(
    world: World, serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    monkeypatch.setattr(webhooks, "REMEMBERED", 0.0)
    made = Webhooks(FastAPI(), world.engine, lambda: None, PUBLIC_URL)
    made.live = live.Live(world.engine, deadline=30.0)
    with httpx.Client(base_url=serve(made), timeout=60) as one:
        yield one
    made.close()


def told(world: World, client: httpx.Client, name: str, **body: Any) -> Any:
    """What is answered to a callback, and its event consumed. By the document a callAnswered names no session."""
    named = {} if name == "callAnswered" else {"sessionId": SESSION}
    answer = client.post(f"/webhooks/{world.provider_id.lower()}/token/{name}", json={**named, **body})
    assert answer.status_code == 200
    world.consume()
    return answer.json() if answer.text != "ok" else None


def comes_in(world: World, client: httpx.Client, called: str = OFFICE) -> Any:
    return told(world, client, "newCall", callingParty=ANN, calledParty=called)


def test_a_caller_is_connected_and_the_conversation_becomes_a_cdr(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    answer = comes_in(world, client)
    assert (answer["action"], answer["destAddr"]) == ("call", f"sip:{DESK}@sip.example.com")
    assert answer["maxRingTime"] == 15
    assert live_calls(world) == 1
    reference = answer["sessionReferenceId"]
    told(world, client, "callNotify", event="ringing", user=DESK, sessionReferenceId=reference)
    told(world, client, "callAnswered", remotePartyNumber=DESK, sessionReferenceId=reference)
    left = told(world, client, "callEvent", event="calledPartyDrop", sessionReferenceId=reference)
    assert left["action"] == "drop"
    told(world, client, "sessionCompleted", sessionDuration=42, sessionReferenceId=reference)
    assert world.rows(t.event, state="UNREADABLE") == []
    (row,) = world.rows(t.cdr)
    assert (row.kind, row.dial_status, row.caller_id, row.e164) == ("INBOUND", "ANSWER", ANN, OFFICE)
    assert (row.connect_to, row.duration, row.account_id) == (DESK, 42.0, world.account_id)
    assert live_calls(world) == 0


def test_a_recording_of_a_caller_has_its_name_in_the_cdr_however_late_it_is_ready(
    world: World, client: httpx.Client
) -> None:
    rule(world, InboundAction.CONNECT, DESK, record=True)
    answer = comes_in(world, client)
    name, reference = answer["recordingFileName"], answer["sessionReferenceId"]
    told(world, client, "callAnswered", remotePartyNumber=DESK, sessionReferenceId=reference)
    told(world, client, "sessionCompleted", sessionDuration=42, sessionReferenceId=reference)
    (before,) = world.rows(t.cdr)
    assert before.recording_name is None
    world.clock.forward(60)
    told(world, client, "recordingReady", event="recordingSuccessful", recordingFileName=name, fileSize=4711)
    (row,) = world.rows(t.cdr)
    assert (row.recording_name, row.ended_at) == (f"{SESSION}.mp3", before.ended_at)
    assert (row.dial_status, row.duration, row.billsec) == ("ANSWER", 42.0, before.billsec)


@settings(max_examples=20)
@given(
    order=st.lists(st.integers(0, 5), max_size=3).flatmap(lambda twice: st.permutations([*range(6), *twice]))
)
def test_callbacks_become_a_cdr_whatever_their_order_and_however_often(
    world: World, client: httpx.Client, order: Sequence[int]
) -> None:
    change(world)
    rule(world, InboundAction.CONNECT, DESK)
    session = f"session {world.told}"
    reference = {**comes_in(world, client)["sessionReferenceId"], "session": session}
    story: list[tuple[str, dict[str, Any]]] = [
        ("newCall", {"callingParty": ANN, "calledParty": OFFICE}),
        ("callNotify", {"event": "ringing", "user": DESK, "sessionReferenceId": reference}),
        ("callAnswered", {"remotePartyNumber": DESK, "sessionReferenceId": reference}),
        ("callEvent", {"event": "calledPartyDrop", "sessionReferenceId": reference}),
        ("sessionCompleted", {"sessionDuration": 42, "sessionReferenceId": reference}),
        (
            "recordingReady",
            {"event": "recordingSuccessful", "recordingFileName": recording_name(session)},
        ),
    ]
    for place in order:
        name, body = story[place]
        tell(world, body if name == "callAnswered" else {"sessionId": session, **body}, name)
        world.consume()
    (row,) = world.rows(t.cdr, provider_reference=session)
    shown = (row.kind, row.dial_status, row.e164, row.caller_id, row.connect_to, row.duration, row.account_id)
    assert shown == ("INBOUND", "ANSWER", OFFICE, ANN, DESK, 42.0, world.account_id)
    assert row.recording_name == recording_name(session)


def test_a_caller_hears_something_and_is_hung_up_on(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.ANNOUNCE, text="We are closed.")
    answer = comes_in(world, client)
    assert answer["action"] == "ivr"
    command = told(world, client, "getIvrCommand", sessionReferenceId=answer["sessionReferenceId"])
    assert [one["awsTTSParameters"]["Text"] for one in command["phrases"]] == ["We are closed."]
    assert command["hangup"] is True
    (row,) = world.rows(t.cdr)
    assert row.dial_status == "ANSWER"


def test_a_number_without_a_rule_is_refused(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    answer = comes_in(world, client, called=OTHER)
    assert (answer["action"], answer["dropCode"]) == ("drop", "numberNotActive")


def test_a_caller_who_opts_out_hears_so_and_is_on_the_dnd_list(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.OPT_OUT, text="We will not call again.")
    assert comes_in(world, client)["action"] == "ivr"
    assert [row.e164 for row in world.rows(t.dnd_number, dnd_list_id=world.global_dnd)] == [ANN]


def test_a_caller_is_connected_with_nobody_who_is_on_the_dnd_list(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT, DESK, OTHER)
    world.forbid(DESK)
    answer = comes_in(world, client)
    assert answer["destAddr"] == f"sip:{OTHER}@sip.example.com"
    assert DESK not in str(answer)  # nor is it tried when the other one is not there
    world.forbid(OTHER)
    answer = comes_in(world, client)
    assert (answer["action"], answer["dropCode"]) == ("drop", "numberNotActive")


def test_the_dnd_list_of_another_account_does_not_count(world: World, client: httpx.Client) -> None:
    rule(world, InboundAction.CONNECT, DESK)
    _, theirs = world.account()
    world.forbid(DESK, dnd_list_id=theirs)
    assert comes_in(world, client)["destAddr"] == f"sip:{DESK}@sip.example.com"


def test_a_caller_hears_what_is_said_and_is_connected_with_nobody_on_the_dnd_list(
    world: World, client: httpx.Client
) -> None:
    rule(world, InboundAction.CONNECT, DESK, text="One moment.")
    world.forbid(DESK)
    answer = comes_in(world, client)
    assert answer["action"] == "ivr"
    command = told(world, client, "getIvrCommand", sessionReferenceId=answer["sessionReferenceId"])
    assert [one["awsTTSParameters"]["Text"] for one in command["phrases"]] == ["One moment."]
    assert command["hangup"] is True
    assert DESK not in str((answer, command))


@pytest.mark.parametrize(
    ("region", "told_of", "listed"),
    [
        ("US", "2025550123", ["+12025550123"]),
        ("US", "12025550123", ["+12025550123"]),
        ("SE", "46701112233", ["+46701112233"]),
        ("SE", "0701112233", ["+46701112233"]),
        ("SE", "+12025550123", ["+12025550123"]),
        ("SE", "anonymous", []),
        (None, "2025550123", []),  # of Egypt, with a plus before it
        (None, "46701112233", []),
    ],
)
def test_a_caller_told_without_a_plus_is_read_where_the_account_is(
    world: World, client: httpx.Client, region: str | None, told_of: str, listed: list[str]
) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(default_region=region))
    rule(world, InboundAction.OPT_OUT)
    told(world, client, "newCall", callingParty=told_of, calledParty=OFFICE)
    assert [row.e164 for row in world.rows(t.dnd_number, dnd_list_id=world.global_dnd)] == listed


def test_a_caller_told_without_a_plus_is_called_back_where_they_are(
    world: World, client: httpx.Client
) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(default_region="US"))
    rule(world, InboundAction.CALL_BACK, DESK)
    told(world, client, "newCall", callingParty="2025550123", calledParty=OFFICE)
    assert [row.e164 for row in world.rows(t.call)] == ["+12025550123"]
