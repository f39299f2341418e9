"""`/v1/calls`: asked for, once, in few statements; dialled when they may be; told of; cancelled."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from test_mtt_callback_calls import INFO, RECORDS
from test_statement_counts import sent
from upstream import Upstream
from world import World, in_threads, number

from dialer.api.v1.new_call import MOST
from dialer.db import writing
from dialer.keys import Scope
from dialer.lifecycle import CallState
from dialer.models.event import LOOK_UP
from dialer.secrets import SecretBox
from dialer.store import accounts, announce_templates, events, idempotency
from dialer.store import tables as t
from workers.kept import asked_event

#: In Sweden, where it is 8:00 at the upstream's NOW.
TO = number(50)
CODE = "4471"


def otp(**more: Any) -> dict[str, Any]:
    given = {"purpose": "otp", "to": TO, "from": "+15168148111", "message": "Code {otp}", "code": CODE}
    return {name: value for name, value in (given | more).items() if value is not None}


def announcement(**more: Any) -> dict[str, Any]:
    given = {"purpose": "announcement", "to": TO, "from": "+15168148111", "message": "Good day"}
    return {name: value for name, value in (given | more).items() if value is not None}


def talk(**more: Any) -> dict[str, Any]:
    between = {"to": TO, "connect_to": number(9), "from": "15168148111"}
    return {"purpose": "click_to_call", **between, **more}


@pytest.fixture
def calls(upstream: Upstream) -> Upstream:
    """With a provider."""
    upstream.add_provider()
    return upstream


def count(upstream: Upstream, table: sa.Table = t.call) -> int:
    return int(upstream.rows(sa.select(sa.func.count()).select_from(table))[0][0])


def test_a_password_is_rung_for_at_once_and_its_code_is_never_given_back(calls: Upstream) -> None:
    made = calls.got("POST", "/v1/calls", otp(code="73-05 19", metadata={"order": "A7"}), status=202)
    assert made["state"] == "RELEASED"
    assert calls.doorbell.singles == [made["id"]]
    (said,) = calls.rows(sa.select(t.message))
    assert (said.text, said.code) == ("Code 7, 3, 0, 5, 1, 9", "730519")
    shown = calls.got("GET", f"/v1/calls/{made['id']}")
    assert (shown["purpose"], shown["to"], shown["from"]) == ("otp", TO, "+15168148111")
    assert shown["metadata"] == {"order": "A7"}
    assert "730519" not in str(shown)
    assert "7, 3, 0" not in str(shown)
    assert calls.got("GET", "/v1/calls")["data"] == [shown]


def test_how_two_people_are_connected_is_kept_and_what_they_hear_not_given_back(calls: Upstream) -> None:
    box = SecretBox(calls.settings.secret_keys())
    settings = {"username": "user", "password": "s3same", "customer_name": "acme"}
    calls.add_provider(name="second", kind="mtt-callback", priority=200, credentials=box.seal(settings))
    body = talk(
        prompts={"to": {"say": "A call from the site."}, "connect_to": {"play": "for_all_sales"}},
        max_seconds=600,
        ring={"also": [{"number": number(52)}], "at_once": True, "seconds": 20},
    )
    made = calls.got("POST", "/v1/calls", body, status=202)
    assert made["state"] == "RELEASED"
    (said,) = calls.rows(sa.select(t.message))
    assert (said.prompts, said.max_seconds) == (body["prompts"], 600)
    assert said.ring == {"also": [{"number": number(52), "seconds": 25}], "at_once": True, "seconds": 20}
    assert "from the site" not in str(calls.got("GET", f"/v1/calls/{made['id']}"))
    many = {"calls": [body, announcement(), talk()]}
    assert len(calls.got("POST", "/v1/calls", many, status=202)["calls"]) == 3


@pytest.mark.parametrize(
    ("field", "value", "lacks", "able"),
    [
        ("prompts", {"to": {"say": "Hello"}}, "tell two people something before", "iotcomms, mtt-callback"),
        ("max_seconds", 60, "end a talk after a set time", "mtt-callback"),
        ("ring", {"also": [{"number": number(52)}]}, "ring several numbers for one call", "mtt-callback"),
        (
            "ring",
            {"of": "connect_to", "also": [{"number": number(52)}]},
            "connect somebody with one of several, rung in turn",
            "iotcomms, mtt-callback",
        ),
    ],
)
def test_what_no_provider_of_the_account_can_do_is_refused_with_the_kinds_that_can(
    calls: Upstream, field: str, value: Any, lacks: str, able: str
) -> None:
    box = SecretBox(calls.settings.secret_keys())
    credentials = box.seal({"account": "account_1", "auth": "k3y", "templates": "x"})
    calls.add_provider(name="second", kind="cpaas", priority=200, credentials=credentials)
    calls.got("POST", "/v1/calls", talk(), status=202)
    problem = calls.refused(422, "POST", "/v1/calls", talk(**{field: value}))
    assert f"A provider of kind cpaas cannot {lacks}" in problem["detail"]
    assert f"(kinds that can: {able})" in problem["detail"]
    assert count(calls) == 1


def test_an_announcement_waits_for_the_scheduler_and_the_morning(calls: Upstream) -> None:
    calls.clock.now = datetime(2026, 9, 25, 19, 30, tzinfo=UTC)  # half past nine in Stockholm
    made = calls.got("POST", "/v1/calls", announcement(), status=202)
    assert made == {
        "id": made["id"],
        "state": "WAITING",
        "due_at": "2026-09-26T06:00:00Z",
        "expires_at": "2026-09-27T06:00:00Z",
    }
    assert calls.doorbell.singles == []
    assert calls.got("POST", "/v1/calls", otp(), status=202)["state"] == "RELEASED"  # at any hour
    problem = calls.refused(422, "POST", "/v1/calls", announcement(expires_at="2026-09-26T05:00:00Z"))
    assert problem["errors"][0]["field"] == "expires_at"


def test_of_a_number_in_several_zones_the_window_is_open_in_all_of_them(calls: Upstream) -> None:
    to = "+79261234567"  # a Russian mobile: from Kaliningrad to Kamchatka
    made = calls.got("POST", "/v1/calls", announcement(to=to), status=202)
    assert made["due_at"] == "2026-09-25T06:00:00Z"  # 8:00 in Kaliningrad, 18:00 in Kamchatka
    calls.clock.advance(hours=4)
    made = calls.got("POST", "/v1/calls", announcement(to=to), status=202)
    assert made["due_at"] == "2026-09-26T06:00:00Z"
    made = calls.got("POST", "/v1/calls", announcement(to=to, time_zone="Europe/Moscow"), status=202)
    assert made["due_at"] == "2026-09-25T10:00:00Z"
    with writing(calls.engine) as connection:
        window = {"start": "08:00", "end": "12:00"}
        accounts.update(connection, calls.account_id, calling_window=window)
    problem = calls.refused(422, "POST", "/v1/calls", announcement(to=to))
    assert problem["errors"][0]["field"] == "time_zone"


def test_a_thousand_are_taken_together_in_few_statements(calls: Upstream) -> None:
    body = {"calls": [announcement(to=number(place), metadata={"n": str(place)}) for place in range(MOST)]}
    used = sent(calls.engine, lambda: calls.got("POST", "/v1/calls", body, status=202))
    assert len(used) <= 6
    assert count(calls) == count(calls, t.message) == MOST
    ids: list[str] = []
    cursor = ""
    while True:
        page = calls.got("GET", f"/v1/calls?limit=400{cursor}")
        ids += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert len(set(ids)) == MOST
    assert ids == sorted(ids, reverse=True)
    calls.refused(422, "POST", "/v1/calls", {"calls": [announcement()] * (MOST + 1)})


def test_all_or_nothing_and_the_error_says_whose_it_is(calls: Upstream) -> None:
    for wrong, field in (
        ({"to": "12"}, "calls.3.to"),
        ({"speech": {"volume": "deafening"}}, "calls.3.speech.volume"),
        ({"provider": "nobody"}, "calls.3.provider"),
        ({"template_id": "ANx", "message": None}, "calls.3.template_id"),
    ):
        body = {"calls": [otp(), announcement(), otp(), announcement(**wrong), otp()]}
        answer = calls.ask("POST", "/v1/calls", body)
        assert answer.status_code in (404, 422), answer.text
        assert [one["field"] for one in answer.json()["errors"]] == [field]
    assert count(calls) == count(calls, t.message) == 0
    assert calls.doorbell.singles == []
    nobodys = {"calls": [otp(), otp(channel="sms")]}
    problem = calls.refused(422, "POST", "/v1/calls", nobodys)
    assert problem["detail"].startswith("calls.1: No provider of this account can")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "purpose"),
    ({"calls": []}, "calls"),
    ({"calls": [otp()], "to": TO}, "to"),
    (otp(purpose="spam"), "purpose"),
    (otp(to=None), "to"),
    (otp(to="call me"), "to"),
    (otp(**{"from": None}), "from"),
    (otp(**{"from": "secret"}), "from"),
    (otp(code=None), "code"),
    (otp(code="1-9!"), "code"),
    (otp(message=None), "message"),
    (otp(message="Code"), "message"),
    (otp(message="Code {otp"), "message"),
    (otp(template_id="AN1"), "message"),
    (otp(message="{otp} for {name}"), "variables"),
    (otp(channel="flash"), "message"),
    (otp(channel="flash", message=None, code="12345"), "code"),
    (otp(channel="pigeon"), "channel"),
    (otp(connect_to=number(51)), "connect_to"),
    (otp(record=True), "record"),
    (announcement(code=CODE), "code"),
    (announcement(message=" "), "message"),
    (announcement(message="{name}", variables={"name": " "}), "message"),
    (announcement(variables={"name": True}), "variables.name"),
    (announcement(speech={"voice": "a b!"}), "speech.voice"),
    (announcement(speech={"times": 0}), "speech.times"),
    (announcement(time_zone="Mars/Base"), "time_zone"),
    (announcement(not_before="2026-09-25T10:00:00"), "not_before"),
    (announcement(expires_at="9999-12-31T23:59:59-14:00"), "expires_at"),
    (announcement(not_before="2027-09-25T10:00:00Z"), "not_before"),
    (announcement(expires_at="2026-09-25T05:00:00Z"), "expires_at"),
    (otp(expires_at="2026-09-25T08:00:00Z"), "expires_at"),
    (announcement(repeat_policy={"rules": {"BUSY": {"times": 1}}}), "repeat_policy"),
    (announcement(repeat_policy={"rules": {"UNKNOWN": {"times": 1, "delays": [1]}}}), "repeat_policy"),
    (announcement(metadata={str(n): "" for n in range(21)}), "metadata"),
    (announcement(metadata={"a": "x" * 501}), "metadata.a"),
    (announcement(metadata={"a": {"b": "c"}}), "metadata.a"),
    (announcement(metadata={"a": "\0"}), "metadata.a"),
    (announcement(message="\ud800"), "message"),
    (announcement(channel="voice"), "channel"),
    (announcement(colour="red"), "colour"),
    ({"purpose": "click_to_call", "to": TO, "from": "1516814811", "connect_to": TO}, "connect_to"),
    ({"purpose": "click_to_call", "to": TO, "from": "1516814811"}, "connect_to"),
    (otp(max_seconds=60), "max_seconds"),
    (announcement(prompts={"to": {"say": "Hello"}}), "prompts"),
    (announcement(ring={"also": [{"number": number(52)}]}), "ring"),
    (talk(max_seconds=9), "max_seconds"),
    (talk(prompts={"to": {"say": "Hello", "play": "hello.mp3"}}), "prompts.to"),
    (talk(prompts={"to": {"say": "x" * 1001}}), "prompts.to.say"),
    (talk(prompts={"to": {"say": "\ud800"}}), "prompts.to.say"),
    (talk(prompts={"connect_to": {"play": "a\0"}}), "prompts.connect_to.play"),
    (talk(prompts={"agent": {"say": "Hello"}}), "prompts.agent"),
    (talk(ring={"also": []}), "ring.also"),
    (talk(ring={"also": [{"number": number(place)} for place in range(60, 70)]}), "ring.also"),
    (talk(ring={"also": [{"number": "nobody"}]}), "ring.also.0.number"),
    (talk(ring={"also": [{"number": TO}]}), "ring.also.0.number"),
    (talk(ring={"also": [{"number": number(52), "seconds": 121}]}), "ring.also.0.seconds"),
]


def test_what_cannot_be_used_is_named(calls: Upstream) -> None:
    for body, field in WRONG:
        problem = calls.refused(422, "POST", "/v1/calls", body)
        assert field in [error["field"] for error in problem["errors"]], (body, problem)
        assert CODE not in problem["detail"]
    assert count(calls) == 0


def test_without_a_provider_that_can_nothing_is_taken(upstream: Upstream) -> None:
    upstream.refused(409, "POST", "/v1/calls", otp())
    upstream.add_provider()
    problem = upstream.refused(422, "POST", "/v1/calls", otp(channel="sms"))
    assert problem["errors"][0]["field"] == "provider"
    upstream.refused(404, "POST", "/v1/calls", otp(provider="south"))
    assert count(upstream) == 0


def test_a_template_is_filled_with_variables(calls: Upstream) -> None:
    with writing(calls.engine) as connection:
        template = {"id": "AN1", "account_id": calls.account_id, "created_at": calls.clock.now}
        announce_templates.add(connection, template | {"text": "{name}, your code is {otp}"})
    body = otp(message=None, template_id="AN1", variables={"name": "Ann"})
    calls.got("POST", "/v1/calls", body, status=202)
    calls.got("POST", "/v1/calls", {"calls": [body, announcement()]}, status=202)
    texts = sorted(row.text for row in calls.rows(sa.select(t.message)))
    assert texts == ["Ann, your code is 4, 4, 7, 1", "Ann, your code is 4, 4, 7, 1", "Good day"]
    calls.add_provider(name="theirs")
    calls.refused(404, "POST", "/v1/calls", body, other=True)


# --- once ----------------------------------------------------------------------------------------------------


def test_the_same_key_and_body_get_the_same_answer(calls: Upstream) -> None:
    with_key = {"Idempotency-Key": "order 7"}
    first = calls.ask("POST", "/v1/calls", otp(), headers=with_key)
    assert (first.status_code, first.headers.get("idempotent-replayed")) == (202, None)
    calls.clock.advance(hours=23)
    again = calls.ask("POST", "/v1/calls", dict(reversed(otp().items())), headers=with_key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert again.json() == first.json()
    assert calls.doorbell.singles == [first.json()["id"]]
    assert count(calls) == 1
    for body in (otp(code="4472"), {"calls": [otp()]}):
        problem = calls.refused(422, "POST", "/v1/calls", body, headers=with_key)
        assert problem["errors"][0]["field"] == "Idempotency-Key"
    # What is refused keeps no key; another account has keys of its own.
    calls.refused(422, "POST", "/v1/calls", otp(to="1"), headers={"Idempotency-Key": "b"})
    calls.got("POST", "/v1/calls", {"calls": [otp()]}, status=202, headers={"Idempotency-Key": "b"})
    calls.got("POST", "/v1/calls", otp(), status=202, headers=with_key, other=True)
    assert count(calls) == 3
    for key in ("", "x" * 256, "a\tb"):
        calls.refused(422, "POST", "/v1/calls", otp(), headers={"Idempotency-Key": key})
    stored = str(calls.rows(sa.select(t.idempotency_key)))
    assert CODE not in stored
    with writing(calls.engine) as connection:
        assert idempotency.purge(connection, calls.clock.now, 1) == 1
        assert idempotency.purge(connection, calls.clock.now, 9) == 0


def test_of_many_that_ask_the_same_at_once_one_makes_the_call(calls: Upstream) -> None:
    answers: list[tuple[int, str]] = []

    def ask() -> None:
        answer = calls.ask("POST", "/v1/calls", otp(), headers={"Idempotency-Key": "k"})
        answers.append((answer.status_code, answer.text))

    in_threads(*[ask] * 8)
    assert {status for status, _ in answers} <= {202, 409}
    assert len({text for status, text in answers if status == 202}) == 1
    assert count(calls) == 1
    assert len(calls.doorbell.singles) == 1


def test_a_request_that_is_still_being_answered_is_told_so(calls: Upstream) -> None:
    if calls.engine.dialect.name == "sqlite":
        return  # whose one writer is waited for, so that the answer is there
    with writing(calls.engine) as connection:
        row = {"account_id": calls.account_id, "key": "k", "body_hash": "x", "status": 202, "response": {}}
        assert idempotency.add(connection, row | {"created_at": calls.clock.now})
        problem = calls.refused(409, "POST", "/v1/calls", otp(), headers={"Idempotency-Key": "k"})
        assert "still being answered" in problem["detail"]
        connection.rollback()
    calls.got("POST", "/v1/calls", otp(), status=202, headers={"Idempotency-Key": "k"})


# --- looking, and cancelling ---------------------------------------------------------------------------------


def test_calls_are_found_by_what_is_known_of_them(calls: Upstream) -> None:
    box = SecretBox(calls.settings.secret_keys())
    credentials = box.seal({"account": "account_1", "auth": "k3y", "templates": "x"})
    calls.add_provider(name="second", kind="cpaas", priority=200, credentials=credentials)
    made = {}
    for name, body in (
        ("otp", otp()),
        ("announcement", announcement(to=number(51))),
        (
            "click_to_call",
            talk(),
        ),
    ):
        calls.clock.advance(minutes=1)
        made[name] = calls.got("POST", "/v1/calls", body, status=202)["id"]
    first, second, third = made.values()

    def ids(query: str) -> list[str]:
        return [one["id"] for one in calls.got("GET", f"/v1/calls?{query}")["data"]]

    assert ids("") == [third, second, first]
    assert ids(f"to=%2B{TO[1:]}") == ids(f"to=+{TO[1:]}") == [third, first]
    assert ids("purpose=announcement") == ids("state=WAITING") == [second]
    assert ids("state=WAITING&state=RELEASED&limit=2") == [third, second]
    since = (calls.clock.now - timedelta(minutes=1)).isoformat().replace("+", "%2B")
    assert ids(f"created_from={since}") == [third, second]
    assert ids(f"created_before={since}") == [first]
    assert ids("campaign_id=CMx") == []
    assert calls.got("GET", "/v1/calls", other=True)["data"] == []
    assert calls.got("GET", f"/v1/calls/{third}")["connect_to"] == number(9)
    for query in ("to=x", "state=GONE", "purpose=x", "created_from=x", "limit=0", "limit=1001", "cursor=x"):
        calls.refused(422, "GET", f"/v1/calls?{query}")


def test_what_is_not_there_and_what_is_anothers_look_alike(calls: Upstream) -> None:
    call_id = calls.got("POST", "/v1/calls", otp(), status=202)["id"]
    for path in ("", "/attempts", "/events", "/cancel"):
        method = "POST" if path == "/cancel" else "GET"
        nobodys = calls.refused(404, method, f"/v1/calls/nobody{path}")
        assert calls.refused(404, method, f"/v1/calls/{call_id}{path}", other=True) == nobodys
        calls.refused(404, method, f"/v1/calls/a%00b{path}")
    calls.refused(403, "POST", "/v1/calls", otp(), key=calls.key(Scope.READ))
    calls.refused(403, "POST", f"/v1/calls/{call_id}/cancel", key=calls.key(Scope.READ))
    assert calls.got("GET", f"/v1/calls/{call_id}", key=calls.key(Scope.READ))["state"] == "RELEASED"


def test_a_call_is_cancelled_until_it_is_dialled(calls: Upstream) -> None:
    waits, released, dialled = (
        calls.got("POST", "/v1/calls", body, status=202)["id"] for body in (announcement(), otp(), otp())
    )
    for call_id in (waits, released, released):
        shown = calls.got("POST", f"/v1/calls/{call_id}/cancel")
        assert (shown["state"], shown["reason"]) == ("CANCELLED", "cancelled")
    with writing(calls.engine) as connection:
        connection.execute(t.call.update().where(t.call.c.id == dialled).values(state=CallState.DIALLING))
    problem = calls.refused(409, "POST", f"/v1/calls/{dialled}/cancel")
    assert "DIALLING" in problem["detail"]
    assert {row.call_id for row in calls.rows(sa.select(t.cdr))} == {waits, released}
    cancelled = calls.got("GET", "/v1/audit")["data"]
    assert [one["subject"] for one in cancelled] == [released, waits]
    kept = [row.call_id for row in calls.rows(sa.select(t.message).where(t.message.c.code.is_not(None)))]
    assert kept == [dialled]


def test_a_password_costs_no_more_statements_than_in_the_first_generation(calls: Upstream) -> None:
    used = sent(calls.engine, lambda: calls.got("POST", "/v1/calls", otp(), status=202))
    # Whose key it is, what must be known of the account (on PostgreSQL straight through the driver, and not heard
    # here), and the call with its message (in SQLite these are two).
    assert len(used) == (2 if calls.engine.dialect.name == "postgresql" else 4), used


def test_what_was_told_of_a_call_is_shown_without_credentials(
    upstream: Upstream, database: Engine, redis_server: str
) -> None:
    upstream.add_provider(
        credentials=SecretBox(upstream.settings.secret_keys()).seal({"access_key": "s3cr3t"})
    )
    world = World(database, redis_server)
    try:
        told, silent = (
            upstream.got("POST", "/v1/calls", body, status=202)["id"] for body in (announcement(), otp())
        )
        provider_id = upstream.rows(sa.select(t.provider.c.id).where(t.provider.c.name == "main"))[0].id
        for call_id in (told, silent):
            attempt_id = f"{call_id}-1"
            row = {
                "id": attempt_id, "call_id": call_id, "number": 1, "account_id": upstream.account_id,
                "provider_id": provider_id, "e164": TO, "caller_id": "", "state": "PLACED", "detail": "",
                "submitted_at": world.clock.now, "deadline_at": world.clock.now, "settle_at": world.clock.now,
            }  # fmt: skip
            with writing(database) as connection:
                connection.execute(t.attempt.insert(), row)
            world.tell_raw(
                f"type=endCallback&reference={attempt_id}&state=2&error=0&duration=7&key=s3cr3t&say=4471",
                provider_id=provider_id,
                attempt_id=attempt_id,
            )
        (event,) = upstream.got("GET", f"/v1/calls/{told}/events")["data"]
        assert (event["told"][0]["disposition"], event["told"][0]["duration"]) == ("ANSWERED", 7)
        assert "key=[…]&" in event["raw"]["query"]
        assert "s3cr3t" not in str(event)
        (event,) = upstream.got("GET", f"/v1/calls/{silent}/events")["data"]
        assert event["raw"] is None
        assert event["told"][0]["attempt_id"] == f"{silent}-1"
        (attempt,) = upstream.got("GET", f"/v1/calls/{told}/attempts")["data"]
        assert (attempt["number"], attempt["state"], attempt["provider_id"]) == (1, "PLACED", provider_id)
    finally:
        world.close()


def test_what_was_told_when_a_call_was_looked_up_is_shown_with_the_links_to_its_records(
    upstream: Upstream,
) -> None:
    settings = {"username": "user", "password": "s3cr3t", "customer_name": "88314050000000"}
    provider_id = upstream.add_provider(
        kind="mtt-callback", credentials=SecretBox(upstream.settings.secret_keys()).seal(settings)
    )
    call_id = upstream.got("POST", "/v1/calls", talk(), status=202)["id"]
    now = upstream.clock.now
    attempt_id = f"{call_id}-1"
    row = {
        "id": attempt_id, "call_id": call_id, "number": 1, "account_id": upstream.account_id,
        "provider_id": provider_id, "provider_reference": "1256ffb1", "e164": TO, "caller_id": "", "detail": "",
        "state": "ENDED", "submitted_at": now, "deadline_at": now, "recording_name": "talk.mp3",
    }  # fmt: skip
    body = json.dumps(
        {"jsonrpc": "2.0", "id": 1, "result": {"callBackFollowmeCallInfoStruct": INFO}}
    ).encode()
    looked_up = asked_event(provider_id, LOOK_UP, attempt_id, "application/json", body, now, is_odd=False)
    with writing(upstream.engine) as connection:
        connection.execute(t.attempt.insert(), row)
        events.add(connection, [looked_up])
    (event,) = upstream.got("GET", f"/v1/calls/{call_id}/events")["data"]
    (told,) = event["told"]
    assert (event["raw"]["method"], told["disposition"], told["billsec"]) == (LOOK_UP, "ANSWERED", 10)
    assert (told["cost"], told["currency"]) == ("2.98", "RUB")
    assert told["recording_name"] == f"{RECORDS}A {RECORDS}B"
    (attempt,) = upstream.got("GET", f"/v1/calls/{call_id}/attempts")["data"]
    assert attempt["recording_name"] == "talk.mp3"
