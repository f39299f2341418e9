"""MTT's words for calls between two people, and ours: requests, replies, callbacks and look-ups, by its reference."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mtt_printed import TALK

from dialer.calls.flow import Prompt
from dialer.calls.progress import Standing, advance
from dialer.calls.talk import Ring, Rung, Side, Talk
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import (
    Asked,
    Capability,
    EventError,
    Fact,
    Outcome,
    ProviderConfig,
    ProviderError,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
)
from dialer.providers.kinds import make_adapter
from dialer.providers.mtt_callback import ENDINGS, EVENTS, REFUSALS

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
SETTINGS = {"username": "user", "password": "s3same", "customer_name": "88314050000000"}
HOOK = "https://calls.example.com/webhooks/both/t0ken"
CALL = Submission("AT1", "+79684881033", "+74951001010", None, None, connect_to="+79511234567")
THEIRS = "1256ffb10774226b390ad1a2bc892c9c"
ASKED = Asked("AT1", THEIRS, "+79684881033", "", NOW)


def adapter_with(callback_url: str = HOOK, **settings: str) -> Adapter:
    config = ProviderConfig("PR1", "both", "mtt-callback", "", {**SETTINGS, **settings}, callback_url)
    return make_adapter(config)


def params_of(submission: Submission, callback_url: str = HOOK, **settings: str) -> dict[str, Any]:
    body = adapter_with(callback_url, **settings).build_request(submission).json
    assert isinstance(body, dict)
    params = body["params"]
    assert isinstance(params, dict)
    return params


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def callback(query: str = "", body: str | bytes = b"", path: str = "AT1/event.php") -> RawEvent:
    raw = body.encode() if isinstance(body, str) else body
    return RawEvent("POST" if raw else "GET", path, query, "", raw, None, NOW)


def told(event: str, path: str = "AT1/event.php") -> Fact:
    (fact,) = adapter_with().read_event(callback(f"event={event}&id={THEIRS}", path=path))
    return fact


# --- requests --------------------------------------------------------------------------------------------


def test_a_call_rings_the_callee_first_and_then_whom_they_are_connected_with() -> None:
    request = adapter_with().build_request(CALL)
    assert (request.method, request.path) == ("POST", "")
    assert request.headers == {"Authorization": "Basic " + base64.b64encode(b"user:s3same").decode()}
    assert request.json == {
        "jsonrpc": "2.0",
        "id": "1",
        "method": "makeCallBackCallFollowme",
        "params": {
            "id": "AT1",
            "customer_name": "88314050000000",
            "b_number": "79511234567",
            "direction": 0,
            "callDescription": "AT1",
            "simpleCallBackFollowmeStruct": [
                {
                    "order": 1,
                    "timeout": 25,
                    "redirect_number": "79684881033",
                    "type": "ringall",
                    "name": "callee",
                }
            ],
            "caller_id": "74951001010",
            "client_caller_id": "74951001010",
            "callBackURL": "calls.example.com/webhooks/both/t0ken/AT1",
        },
    }


def test_a_call_may_be_recorded_and_end_after_some_time() -> None:
    params = params_of(replace(CALL, record=True, talk=Talk(max_seconds=600)))
    assert (params["recordEnable"], params["maxtime"]) == (1, "600")
    assert not {"recordEnable", "maxtime"} & set(params_of(CALL))
    # Where one side alone is to be recorded, it is better that nobody is than that both are.
    assert "recordEnable" not in params_of(replace(CALL, record=True, record_side=Side.AGENT))


@pytest.mark.parametrize(("at_once", "queue"), [(True, "ringall"), (False, "linal")])
def test_side_a_may_be_several_numbers_rung_at_once_or_in_turn(at_once: bool, queue: str) -> None:
    ring = Ring((Rung("+79522222222", 15), Rung("+79152323233")), at_once=at_once, seconds=20)
    structure = params_of(replace(CALL, talk=Talk(ring=ring)))["simpleCallBackFollowmeStruct"]
    assert [(one["order"], one["redirect_number"], one["timeout"], one["name"]) for one in structure] == [
        (1, "79684881033", 20, "callee"),
        (2, "79522222222", 15, "callee_2"),
        (3, "79152323233", 25, "callee_3"),
    ]
    assert {one["type"] for one in structure} == {queue}


@pytest.mark.parametrize(("at_once", "queue"), [(True, "ringall"), (False, "linal")])
def test_whom_the_callee_is_connected_with_may_be_several_and_the_callee_is_rung_first_all_the_same(
    at_once: bool, queue: str
) -> None:
    ring = Ring((Rung("+79522222222", 15),), at_once=at_once, seconds=20, of_other=True)
    talk = Talk(Prompt("Звонок с сайта"), Prompt(media="for_all_sales"), ring=ring)
    params = params_of(replace(CALL, talk=talk))
    assert (params["b_number"], params["direction"]) == ("79684881033", 1)
    first, second, *prompts = params["simpleCallBackFollowmeStruct"]
    assert first == {
        "order": 1, "timeout": 20, "redirect_number": "79511234567", "type": queue, "name": "other",
    }  # fmt: skip
    assert second == {
        "order": 2, "timeout": 15, "redirect_number": "79522222222", "type": queue, "name": "other_2",
    }  # fmt: skip
    assert [(one["side"], one["value"]) for one in prompts] == [
        ("A", "Звонок с сайта"), ("B", "for_all_sales"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ("Incorrect redirect_number format", Refusal.BAD_REQUEST),
        ("Incorrect B-number format", Refusal.BAD_NUMBER),
    ],
)
def test_where_the_callee_is_the_b_number_a_wrong_one_is_theirs(message: str, refusal: Refusal) -> None:
    ring = Ring((Rung("+79522222222"),), of_other=True)
    asked = adapter_with().build_request(replace(CALL, talk=Talk(ring=ring))).json
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"error": 1, "message": message}}
    verdict = adapter_with().read_reply(reply(answer))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, refusal)


def test_either_side_may_hear_a_text_or_a_file_first() -> None:
    talk = Talk(Prompt("Звонок с сайта"), Prompt(media="for_all_sales"))
    _, *prompts = params_of(replace(CALL, talk=talk))["simpleCallBackFollowmeStruct"]
    assert prompts == [
        {"order": 2, "type": "text", "value": "Звонок с сайта", "side": "A"},
        {"order": 3, "type": "file", "value": "for_all_sales", "side": "B"},
    ]


def test_the_calls_own_number_is_shown_or_the_providers_or_what_mtt_has_set() -> None:
    assert params_of(CALL, caller_id="79583334455")["caller_id"] == "74951001010"
    unnamed = replace(CALL, caller_id="")
    shown = params_of(unnamed, caller_id="+7 958 333-44-55")
    assert (shown["caller_id"], shown["client_caller_id"]) == ("79583334455", "79583334455")
    assert not {"caller_id", "client_caller_id"} & set(params_of(unnamed))


def test_without_an_address_of_ours_none_is_given() -> None:
    assert "callBackURL" not in params_of(CALL, callback_url="")


def test_an_address_that_begins_with_www_is_refused_when_the_provider_is_used() -> None:
    with pytest.raises(ProviderSettingError, match="DIALER_PUBLIC_URL"):
        adapter_with("https://www.example.com/webhooks/both/t0ken")


@pytest.mark.parametrize("what", [{"text": "Hello"}, {"media": "hello.mp3"}])
def test_a_call_to_one_person_is_refused_before_sending(what: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="connects two people") as caught:
        params_of(replace(CALL, connect_to=None, **what))
    assert caught.value.refusal is Refusal.BAD_REQUEST


def test_what_it_can_do() -> None:
    adapter = adapter_with()
    assert adapter.capabilities == {
        Capability.CLICK_TO_CALL,
        Capability.RECORDING,
        Capability.INBOUND,
        Capability.TALK_PROMPTS,
        Capability.TALK_LIMIT,
        Capability.RING_SEVERAL,
        Capability.CONNECT_IN_TURN,
        Capability.CONNECT_AT_ONCE,
    }
    assert len(adapter.check_campaign("ru-RU", has_text=True, has_media=False)) == 1


@pytest.mark.parametrize("missing", SETTINGS)
def test_every_needed_setting_is_asked_for(missing: str) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != missing}
    with pytest.raises(ProviderSettingError, match=missing):
        make_adapter(ProviderConfig("PR1", "both", "mtt-callback", "", settings))


# --- replies ---------------------------------------------------------------------------------------------

PLACED = {"jsonrpc": "2.0", "id": "1", "result": {"callBackCall_id": THEIRS}}


def error_reply(code: int, message: str) -> dict[str, object]:
    if code == 1:
        return {"jsonrpc": "2.0", "id": "1", "result": {"error": 1, "message": message}}
    return {"jsonrpc": "2.0", "id": "1", "error": {"code": code, "message": message, "data": "why"}}


def test_a_call_that_was_taken_has_mtts_reference() -> None:
    verdict = adapter_with().read_reply(reply(PLACED))
    assert (verdict.outcome, verdict.provider_reference) == (Outcome.PLACED, THEIRS)


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize("error", REFUSALS)
def test_every_documented_error_says_whose_fault_it_is(error: tuple[int, str], status: int) -> None:
    verdict = adapter_with().read_reply(reply(error_reply(*error), status))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, REFUSALS[error])
    assert verdict.detail == f"MTT answered {error[1]}"


def test_a_callee_that_is_no_number_ends_the_call_and_another_is_the_calls_fault() -> None:
    assert REFUSALS[1, "Incorrect redirect_number format"] is Refusal.BAD_NUMBER
    assert REFUSALS[1, "Incorrect B-number format"] is Refusal.BAD_REQUEST


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{",
        {},
        {"result": None},
        {"result": []},
        {"result": {}},
        {"result": {"callBackCall_id": ""}},
        {"result": {"callBackCall_id": 7}},
        {"result": {"error": 1}},
        {"result": {"error": 2, "message": "Incorrect B-number format"}},
        {"result": {"error": 1, "message": "Try again"}},
        {"result": {"error": 1, "message": "Incorrect B-number format", "callBackCall_id": THEIRS}},
        {"result": {"callBackCall_id": THEIRS}, "error": {"code": -32602, "message": "Invalid params"}},
        {"error": {"code": -32603, "message": "Internal error"}},
        {"error": {"code": -32602, "message": "Data not found"}},
        {"error": {"code": "-32602", "message": "Invalid params"}},
        {"error": "Invalid params"},
    ],
    ids=str,
)
def test_what_is_no_documented_answer_leaves_open_whether_it_rings(body: object) -> None:
    verdict = adapter_with().read_reply(reply(body))
    assert (verdict.outcome, verdict.provider_reference) == (Outcome.UNKNOWN, None)


def test_a_success_under_an_error_status_leaves_it_open_too() -> None:
    assert adapter_with().read_reply(reply(PLACED, 400)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "refusal"), [(401, Refusal.PROVIDER), (403, Refusal.PROVIDER), (422, Refusal.BAD_REQUEST)]
)
def test_a_refusal_without_words_is_read_by_its_status(status: int, refusal: Refusal) -> None:
    verdict = adapter_with().read_reply(reply(b"", status))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, refusal)


# --- callbacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("event", "state"), EVENTS.items())
def test_every_documented_event_is_read_and_matched_by_our_reference(event: str, state: AttemptState) -> None:
    fact = told(event)
    assert (fact.attempt_id, fact.provider_reference, fact.state) == ("AT1", THEIRS, state)
    assert (fact.disposition, fact.at, fact.inbound) == (None, NOW, None)


@pytest.mark.parametrize(
    ("phone", "read"),
    [("+79522222222", "+79522222222"), ("79522222222", "+79522222222"), ("", ""), ("anonymous", "")],
)
def test_whose_telephone_was_picked_up_is_told_by_that_event_alone(phone: str, read: str) -> None:
    assert told(f"pickup_side_A&phone_A={phone}").answered_by == read
    assert told("pickup_side_A").answered_by == ""
    assert told(f"start_side_A&phone_A={phone}").answered_by == ""


def test_an_event_without_our_reference_is_matched_by_mtts() -> None:
    for path in ("event.php", "", "/event.php"):
        fact = told("start_talk", path)
        assert (fact.attempt_id, fact.provider_reference) == ("", THEIRS)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("event=pickup_side_A&id=e03&phone_A=+79684881033", b""),
        ("", "event=pickup_side_A&id=e03&phone_A=%2B79684881033"),
        ("", '{"event": "pickup_side_A", "id": "e03", "phone_A": "+79684881033"}'),
        ("", '{"event=pickup_side_A&id=e03": ""}'),
        ("", '{"data": {"event=pickup_side_A&id=e03": ""}}'),
        ("", '{"event=pickup_side_A&id=e03"}'),
        ("", '{"data":{"event=pickup_side_A&id=e03"}}'),
    ],
)
def test_an_event_is_read_in_every_form(query: str, body: str) -> None:
    (fact,) = adapter_with().read_event(callback(query, body))
    assert (fact.attempt_id, fact.provider_reference) == ("AT1", "e03")
    assert fact.state is AttemptState.RINGING


@pytest.mark.parametrize(
    ("query", "path", "words"),
    [
        ("", "event.php", "not one that MTT documents"),
        ("event=start_side_C&id=e03", "event.php", "event start_side_C is not one"),
        ("event=79684881033&id=e03", "event.php", "callback's event is not one"),
        ("event=start_talk", "event.php", "holds no reference"),
        ("event=start_talk&id=%00", "event.php", "not one of ours"),
        ("event=start_talk&id=e03", "ATé/event.php", "not one of ours"),
    ],
)
def test_what_mtt_does_not_document_is_kept_as_unreadable(query: str, path: str, words: str) -> None:
    with pytest.raises(EventError, match=words):
        adapter_with().read_event(callback(query, path=path))


TALKED = list(EVENTS)


@given(st.randoms(use_true_random=False))
def test_events_in_any_order_and_number_end_a_talk_as_answered(chance: random.Random) -> None:
    heard = TALKED + [chance.choice(TALKED) for _ in range(4)]
    chance.shuffle(heard)
    standing = advance(Standing(AttemptState.SUBMITTING), map(told, heard))
    assert (standing.state, standing.outcome) == (AttemptState.ENDED, Disposition.ANSWERED)


@pytest.mark.parametrize("last", ["end_side_A", "end_side_B"])
def test_who_picked_up_and_talked_to_nobody_is_open_until_it_is_looked_up(last: str) -> None:
    heard = ["start_side_A", "pickup_side_A", "start_side_B", last]
    standing = advance(Standing(AttemptState.PLACED), map(told, heard))
    assert (standing.state, standing.outcome) == (AttemptState.RINGING, None)
    looked_up = adapter_with().read_lookup(not_talked("Call ended by cancel on side B"), ASKED)
    standing = advance(standing, looked_up)
    assert (standing.state, standing.outcome) == (AttemptState.ENDED, Disposition.REJECTED)


@given(st.binary(max_size=80), st.text(max_size=20), st.text(max_size=40))
def test_no_callback_whatsoever_breaks_the_reading(body: bytes, path: str, query: str) -> None:
    try:
        adapter_with().read_event(callback(query, body, path))
    except EventError as error:
        assert str(error)  # noqa: PT017 - it may or may not be raised


# --- look-ups --------------------------------------------------------------------------------------------


def talked(**changes: object) -> Reply:
    return reply({"jsonrpc": "2.0", "id": "1", "result": {"callBackFollowmeCallInfoStruct": TALK | changes}})


def not_talked(why: str | None) -> Reply:
    error = {"code": -32001, "message": "Data not found", **({} if why is None else {"data": why})}
    return reply({"jsonrpc": "2.0", "id": "101", "error": error})


def test_a_call_is_looked_up_by_mtts_reference_alone() -> None:
    adapter = adapter_with()
    request = adapter.lookup_request(ASKED)
    assert request is not None
    assert request.json == {
        "jsonrpc": "2.0",
        "id": "1",
        "method": "getCallBackFollowmeCallInfo",
        "params": {"customer_name": "88314050000000", "callBackCall_id": THEIRS},
    }
    assert adapter.lookup_request(replace(ASKED, provider_reference=None)) is None


def test_of_a_talk_its_lengths_and_cost_are_learned() -> None:
    (fact,) = adapter_with().read_lookup(talked(), ASKED)
    assert (fact.attempt_id, fact.state) == ("AT1", AttemptState.ENDED)
    assert (fact.disposition, fact.hangup_cause) == (Disposition.ANSWERED, 16)
    assert (fact.duration, fact.billsec) == (15.0, 5.0)
    assert (fact.cost, fact.currency) == (Decimal("2.98"), "RUB")
    assert fact.at == NOW + timedelta(seconds=12 + 15)


@pytest.mark.parametrize(("why", "ending"), ENDINGS.items())
def test_of_a_call_that_did_not_come_about_the_reason_is_learned(
    why: str, ending: tuple[Disposition, int]
) -> None:
    (fact,) = adapter_with().read_lookup(not_talked(why), ASKED)
    assert (fact.state, fact.disposition, fact.hangup_cause) == (AttemptState.ENDED, *ending)
    assert fact.billsec == 0.0


@pytest.mark.parametrize("why", [None, "", "No data found"])
def test_of_what_mtt_does_not_know_nothing_is_learned(why: str | None) -> None:
    assert adapter_with().read_lookup(not_talked(why), ASKED) == []


@pytest.mark.parametrize(
    "changes",
    [{"call_back_status": "strange"}, {"call_back_real_length_B": "0"}, {"call_back_real_length_B": []}],
)
def test_a_call_that_may_not_have_come_about_is_unknown(changes: dict[str, object]) -> None:
    (fact,) = adapter_with().read_lookup(talked(**changes), ASKED)
    assert (fact.disposition, fact.hangup_cause) == (Disposition.UNKNOWN, None)
    assert fact.is_unheard_of == ("call_back_status" in changes), (
        "ok with nobody on side B is in its document"
    )


@pytest.mark.parametrize(
    ("why", "is_unheard_of"), [("Call ended by magic", True), *((one, False) for one in ENDINGS)]
)
def test_a_reason_that_mtt_does_not_document_is_one_to_be_looked_at(why: str, is_unheard_of: bool) -> None:
    (fact,) = adapter_with().read_lookup(not_talked(why), ASKED)
    assert fact.is_unheard_of == is_unheard_of


@pytest.mark.parametrize("odd", [None, True, "dear", "1e9", "NaN", [], 10**20])
def test_a_cost_that_is_no_amount_is_none(odd: object) -> None:
    (fact,) = adapter_with().read_lookup(talked(call_back_cost=odd), ASKED)
    assert fact.cost is None


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({"downloadURL": "http://fuds.mtt.ru/download/75GV"}, "http://fuds.mtt.ru/download/75GV"),
        ([{"downloadURL": "http://a.ru/1"}, "https://a.ru/2"], "http://a.ru/1 https://a.ru/2"),
        *(
            (odd, "")
            for odd in ({}, [], None, 5, {"downloadURL": ""}, {"downloadURL": "ftp://x"}, "http://a b")
        ),
    ],
)
def test_links_to_records_are_read_and_shown_nowhere(told: object, read: str) -> None:
    (fact,) = adapter_with().read_lookup(
        talked(call_back_record_URL_A={}, call_back_record_URL_B=told), ASKED
    )
    assert fact.recording_name == read
    assert not read or read not in repr(fact)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (reply(b"<html>"), "HTTP 200 and nothing that it documents"),
        (reply({"result": {}}), "nothing that it documents"),
        (reply({"result": {"callBackFollowmeCallInfoStruct": []}}), "nothing that it documents"),
        (reply(b"", 401), "set username and password"),
        (
            reply({"error": {"code": -32002, "message": "Permission denied"}}),
            "MTT does not permit it to this login",
        ),
    ],
)
def test_a_look_up_that_fails_is_a_sentence(answer: Reply, words: str) -> None:
    with pytest.raises(ProviderError, match=words):
        adapter_with().read_lookup(answer, ASKED)


# --- the check -------------------------------------------------------------------------------------------


def test_the_account_is_checked_by_its_balance() -> None:
    adapter = adapter_with()
    request = adapter.check_request()
    assert request is not None
    assert (request.json["method"], request.json["params"]) == ("getCustomerBalance", ["88314050000000"])
    sentence = adapter.read_check(reply({"result": {"balance": 121.54, "real_balance": 711.54}}))
    assert sentence == "both answers, accepts its credentials and knows the customer."
    for wrong in (reply({"result": {}}), reply(b""), reply({"result": {"balance": 1}}, 404)):
        with pytest.raises(ProviderError, match="nothing that it documents"):
            adapter.read_check(wrong)
    with pytest.raises(ProviderError, match="MTT found no such data"):
        adapter.read_check(not_talked(None))


def test_nothing_secret_shows() -> None:
    adapter = adapter_with()
    shown = repr((adapter.config, adapter.build_request(CALL), CALL, ASKED))
    for secret in ("s3same", "79684881033", "79511234567", "t0ken"):
        assert secret not in shown
