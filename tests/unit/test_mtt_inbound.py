"""Calls to numbers at MTT: its question, our answer in its structure, and its events, by the reference."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.flow import Prompt
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.contract import EventError, Fact, Inbound, RawEvent
from dialer.providers.live import Answer, Asks, Connect, Question
from dialer.providers.mtt_callback import MttCallbackAdapter
from dialer.providers.mtt_inbound import TYPES, e164, ending

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
SESSION = "BC5F236C 5AD211E9 81BA5CB9 01FED6FC"
PARAMS = {"sip_id": " 79586488002", "numberA": "79154368886", "h323_conf_id": SESSION}
ASKED = {"id": "1", "jsonrpc": "2.0", "method": "getControlCallFollowMe", "params": PARAMS}
HOOK = "https://calls.example.com/webhooks/both/t0ken"


def callback(body: object, query: str = "") -> RawEvent:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawEvent("POST", "", query, "application/json", content, None, NOW)


def asked(body: object = ASKED) -> Question:
    question = MttCallbackAdapter.read_question(callback(body))
    assert question is not None
    return question


def answered(answer: Answer, body: object = ASKED) -> dict[str, Any]:
    """`result` of our answer."""
    response = MttCallbackAdapter.write_answer(asked(body), answer, {})
    assert (response.status, response.content_type) == (200, "application/json")
    written = json.loads(response.body)
    assert isinstance(written, dict)
    assert isinstance(body, dict)
    assert {name: written[name] for name in ("jsonrpc", "id")} == {"jsonrpc": "2.0", "id": body["id"]}
    result = written["result"]
    assert isinstance(result, dict)
    return result


# --- the question ----------------------------------------------------------------------------------------


def test_the_example_of_the_reference_is_read() -> None:
    question = asked()
    assert (question.asks, question.session, question.attempt_id) == (Asks.INBOUND, SESSION, "")
    assert (question.caller, question.called) == ("+79154368886", "+79586488002")
    assert "79154368886" not in repr(question)


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("79154368886", "+79154368886"),
        ("+79154368886", "+79154368886"),
        ("89154368886", "+79154368886"),
        ("+819012345678", "+819012345678"),
        ("4930123456789", "+4930123456789"),
        ("3123456", "3123456"),
        ("", ""),
        ("anonymous", "anonymous"),
    ],
)
def test_a_callers_number_is_e164_where_that_can_be_told(number: str, read: str) -> None:
    assert asked({**ASKED, "params": {**PARAMS, "numberA": number}}).caller == read == e164(number)


@pytest.mark.parametrize("missing", ["sip_id", "h323_conf_id"])
def test_a_question_must_say_which_call_and_which_number_it_is_about(missing: str) -> None:
    params = {name: value for name, value in PARAMS.items() if name != missing}
    for body in ({**ASKED, "params": params}, {**ASKED, "params": {**PARAMS, missing: " "}}):
        with pytest.raises(EventError, match="does not say"):
            asked(body)


@pytest.mark.parametrize(
    "body", [b"", b"getControlCallFollowMe", {"method": "other"}, {"event": "start_talk"}]
)
def test_whatever_else_asks_nothing(body: object) -> None:
    assert MttCallbackAdapter.read_question(callback(body)) is None


def test_a_question_is_no_event() -> None:
    assert MttCallbackAdapter.read_event(callback(ASKED)) == []


# --- the answer ------------------------------------------------------------------------------------------

ENTRY = {
    "I_FOLLOW_ORDER": "1",
    "ACTIVE": "Y",
    "NAME": "79684881033",
    "REDIRECT_NUMBER": "79684881033",
    "PERIOD": "always",
    "PERIOD_DESCRIPTION": "always",
    "TIMEOUT": "15",
}
REFUSED = {"redirect_type": 1, "followme_struct": [1, [{"ACTIVE": "N"}]]}


def test_a_caller_is_connected_with_a_number_as_in_the_example() -> None:
    answer = Answer(
        say=(Prompt(media="47f51cac1b50fd136334697b11aa406a"),),
        connect=Connect(("+79684881033",), timeout=15),
        callback_url=HOOK,
    )
    assert answered(answer) == {
        "redirect_type": 1,
        "event_URL": HOOK,
        "event_extended": "Y",
        "file_to_A": "47f51cac1b50fd136334697b11aa406a",
        "followme_struct": [1, [ENTRY]],
    }


@pytest.mark.parametrize(("one_by_one", "redirect_type"), [(True, 2), (False, 3)])
def test_several_numbers_are_rung_in_turn_or_at_once(one_by_one: bool, redirect_type: int) -> None:
    connect = Connect(("+79684881033", "+79684881034"), one_by_one=one_by_one, timeout=15)
    result = answered(Answer(connect=connect))
    assert result["redirect_type"] == redirect_type
    other = {"I_FOLLOW_ORDER": "2", "NAME": "79684881034", "REDIRECT_NUMBER": "79684881034"}
    assert result["followme_struct"] == [2, [ENTRY, ENTRY | other]]


def test_each_number_is_rung_for_its_time() -> None:
    connect = Connect(("+79684881033", "+79684881034"), timeout=15, each={"+79684881034": 40})
    _, entries = answered(Answer(connect=connect))["followme_struct"]
    assert [entry["TIMEOUT"] for entry in entries] == ["15", "40"]


def test_a_call_is_refused_in_the_documented_way() -> None:
    assert answered(Answer(refuse=True)) == REFUSED
    assert answered(Answer(refuse=True, say=(Prompt(media="f1"),))) == REFUSED
    assert answered(Answer()) == REFUSED
    assert answered(Answer(connect=Connect(()))) == REFUSED


def test_a_caller_hears_a_file_and_is_hung_up_on() -> None:
    say = (Prompt("MTT speaks no text."), Prompt(media="f1"), Prompt(media="f2"))
    assert answered(Answer(say=say)) == {**REFUSED, "file_to_A": "f1"}
    assert answered(Answer(say=say[:1])) == REFUSED


def test_both_sides_hear_a_file_as_in_the_example_and_the_caller_may_be_hidden_and_answered_first() -> None:
    connect = Connect(
        ("+79684881033",),
        timeout=15,
        greeting=(Prompt(media="3806efe36d"),),
        hide_caller=True,
        press="WWW1W3151#",
    )
    assert answered(Answer(say=(Prompt(media="47f51cac1b"),), connect=connect, answer_first=True)) == {
        "redirect_type": 1,
        "file_to_A": "47f51cac1b",
        "file_to_B": "3806efe36d",
        "masking": "Y",
        "answer": "Y",
        "followme_struct": [1, [ENTRY | {"DTMF": "WWW1W3151#"}]],
    }


def test_without_a_file_of_the_caller_there_is_nothing_to_answer_for() -> None:
    assert "answer" not in answered(Answer(connect=Connect(("+79684881033",)), answer_first=True))
    assert answered(Answer(say=(Prompt(media="f1"),), answer_first=True)) == {
        **REFUSED, "file_to_A": "f1", "answer": "Y",
    }  # fmt: skip


def test_what_the_structure_has_no_place_for_is_told_with_the_mend() -> None:
    check = MttCallbackAdapter.check_inbound
    whole = Connect(("+79684881033",), greeting=(Prompt(media="f2"),), hide_caller=True, press="1")
    assert check(Answer(say=(Prompt(media="f1"),), connect=whole, answer_first=True)) == []
    (spoken,) = check(Answer(say=(Prompt("Hello"),), connect=whole))
    assert "play instead of say" in spoken
    (greeted,) = check(Answer(connect=Connect(("+79684881033",), greeting=(Prompt("Hello"),))))
    assert "greet_play instead of greet_say" in greeted
    (recorded,) = check(Answer(connect=Connect(("+79684881033",), record=True)))
    assert "leave out record" in recorded


def test_the_answer_repeats_the_questions_id() -> None:
    assert answered(Answer(refuse=True), {**ASKED, "id": 12345}) == REFUSED


# --- events ----------------------------------------------------------------------------------------------

HEARD = {"h323_conf_id": SESSION, "numberA": "79154368886", "sip_id": "79586488002", "client_id": "1235"}
RUNG = {**HEARD, "redirect_number": "79684881033"}
CALL = Inbound(SESSION, "+79154368886", "+79586488002")
CONNECTED = Inbound(SESSION, "+79154368886", "+79586488002", "+79684881033")


def event(kind: str, side: str = "", cause: str = "", **more: object) -> dict[str, object]:
    words = {"type": kind, "side": side, "cause": cause}
    data = f"event={kind}_79684881033_2019-05-23-15-15-30{f'&cause={cause}' if cause else ''}"
    described = {name: value for name, value in words.items() if value}
    return {"date_time": 1558613711, "data": data, "event": described, **RUNG, **more}


def told(body: object, query: str = "") -> Fact:
    (fact,) = MttCallbackAdapter.read_event(callback(body, query))
    return fact


@pytest.mark.parametrize(("kind", "state"), TYPES.items())
def test_every_documented_event_is_of_a_call_that_came_in(kind: str, state: AttemptState) -> None:
    fact = told(event(kind))
    assert (fact.attempt_id, fact.provider_reference) == ("", None)
    assert (fact.state, fact.inbound) == (state, CONNECTED)


def test_a_prompt_to_the_caller_comes_before_anybody_is_rung() -> None:
    body = {**HEARD, "data": "event=sp_79154368886_2019-05-23-15-15-11", "event": {"type": "sp", "side": "A"}}
    fact = told(body)
    assert (fact.state, fact.inbound) == (AttemptState.RINGING, CALL)
    assert told(event("sp", side="B")).state is AttemptState.ANSWERED
    beside = {**HEARD, "event": "ep", "side": "A"}
    assert told(beside).state is AttemptState.RINGING


def test_the_time_is_moscows_then_the_clock_of_unix_then_arrival() -> None:
    assert told(event("o")).at == datetime(2019, 5, 23, 12, 15, 30, tzinfo=UTC)
    assert told(event("o", data="")).at == datetime(2019, 5, 23, 12, 15, 11, tzinfo=UTC)
    assert told(event("o", data="", date_time="")).at == NOW


def test_a_normal_end_does_not_say_whether_anybody_had_answered() -> None:
    fact = told(event("h", side="B", cause="16"))
    assert (fact.state, fact.disposition, fact.hangup_cause) == (AttemptState.ENDED, None, 16)


@pytest.mark.parametrize(
    ("cause", "disposition", "hangup_cause"),
    [
        ("17", Disposition.BUSY, 17),
        ("19", Disposition.NO_ANSWER, 19),
        ("20", Disposition.UNAVAILABLE, 20),
        ("34", Disposition.CONGESTION, 34),
        ("999", Disposition.UNKNOWN, None),
        ("x", Disposition.UNKNOWN, None),
        ("", None, None),
        ("null", None, None),
    ],
)
def test_another_end_says_why_nobody_answered(
    cause: str, disposition: Disposition | None, hangup_cause: int | None
) -> None:
    assert ending(cause) == (disposition, hangup_cause)
    fact = told(event("h", cause=cause))
    assert (fact.disposition, fact.hangup_cause) == (disposition, hangup_cause)


def test_blanks_around_the_calls_name_do_not_count() -> None:
    fact = told(event("h", h323_conf_id=f" {SESSION} "))
    assert fact.inbound == CONNECTED


@pytest.mark.parametrize(
    ("body", "query"),
    [
        (b"", "event=h&cause=17&h323_conf_id=A1&data=event%3Dh_79684881033_2019-05-23-15-15-30%26cause%3D17"),
        (b"h323_conf_id=A1&data=event%3Dh_79684881033_2019-05-23-15-15-30%26cause%3D17", ""),
        ({"h323_conf_id": "A1", "data": "event=h_79684881033_2019-05-23-15-15-30&cause=17"}, ""),
        (
            {
                "h323_conf_id": "A1",
                "data": "event=h_79684881033_2019-05-23-15-15-30",
                "event": "h",
                "cause": "17",
            },
            "",
        ),
        (
            {
                "h323_conf_id": "A1",
                "data": "event=h_79684881033_2019-05-23-15-15-30",
                "event": {"type": "h", "cause": 17},
            },
            "",
        ),
        ({"h323_conf_id=A1&data=event%3Dh_79684881033_2019-05-23-15-15-30%26cause%3D17": ""}, ""),
    ],
)
def test_an_event_is_read_in_every_form(body: object, query: str) -> None:
    fact = told(body, query)
    assert fact.inbound == Inbound("A1")
    assert (fact.state, fact.disposition) == (AttemptState.ENDED, Disposition.BUSY)
    assert fact.at == datetime(2019, 5, 23, 12, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "body",
    [
        event("x"),
        {**HEARD, "event": "nonsense"},
        {**HEARD},
        event("o", h323_conf_id=" "),
        event("o", h323_conf_id="x" * 65),
        event("o", h323_conf_id="é"),
    ],
)
def test_what_mtt_does_not_document_is_kept_as_unreadable(body: object) -> None:
    with pytest.raises(EventError, match="MTT"):
        told(body)


@given(
    st.dictionaries(
        st.sampled_from(
            ["event", "data", "date_time", "h323_conf_id", "numberA", "sip_id", "method", "params"]
        ),
        st.none()
        | st.integers()
        | st.text(max_size=30)
        | st.dictionaries(st.text(max_size=5), st.text(max_size=5)),
    )
)
def test_no_body_whatsoever_breaks_the_reading(body: dict[str, object]) -> None:
    for read in (MttCallbackAdapter.read_event, MttCallbackAdapter.read_question):
        try:
            read(callback(body))
        except EventError as error:
            assert str(error)  # noqa: PT017 - it may or may not be raised
