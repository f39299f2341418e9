"""What is answered while somebody is on the line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialer.calls.answers import MOST_WAITS, REFUSE, in_time, of_call, without
from dialer.calls.flow import Prompt
from dialer.calls.flow_form import parse
from dialer.calls.talk import Ring, Rung, Side, Talk
from dialer.providers.contract import Submission
from dialer.providers.live import Answer, Asks, Collect, Connect, Question

QUESTION = Question(Asks.COMMAND, "session", "AT1")
TEXT = Submission(
    "AT1",
    "+79101112233",
    "+79580000000",
    "Good day.",
    None,
    repeat_count=2,
    language="ru-RU",
    voice="Tatyana",
)
FLOW = parse(
    {
        "first": "main",
        "menus": {
            "main": {
                "prompts": [{"text": "Press 1 or 9"}],
                "keys": {
                    "1": {"does": "transfer", "number": "+74997090111"},
                    "9": {"does": "opt_out", "say": [{"text": "Bye"}]},
                },
                "repeats": 0,
            }
        },
    }
)
ASKING = replace(TEXT, text=None, flow=FLOW)


def answers(said: Submission | None, *keys: str) -> list[Answer]:
    """The answers to the first question, and to those after which these keys were pressed."""
    given = [of_call(QUESTION, said).answer]
    for pressed in keys:
        given.append(of_call(replace(QUESTION, state=given[-1].state, keys=pressed), said).answer)
    return given


def test_an_announcement_is_said_as_often_as_it_is_to_be_and_the_call_is_over() -> None:
    first, second = answers(TEXT, "")
    assert first.say == (Prompt("Good day."), Prompt("Good day."))
    assert (first.language, first.voice) == ("ru-RU", "Tatyana")
    assert first.collect is first.connect is None
    assert (second.say, second.collect, second.connect) == ((), None, None)


def test_a_recorded_file_is_played() -> None:
    (first,) = answers(replace(TEXT, text=None, media="hello.wav", repeat_count=1))
    assert first.say == (Prompt(media="hello.wav"),)


def test_whoever_picks_up_is_connected_with_whom_they_are_to_talk_to() -> None:
    said = replace(TEXT, text=None, connect_to="+74997090111", record=True, volume="loud")
    first, second = answers(said, "")
    assert (first.say, first.volume) == ((), "loud")
    assert first.connect == Connect(("+74997090111",), caller_id="+79580000000", record=True)
    assert second.connect is None


def test_who_is_asked_to_record_one_side_alone_and_cannot_records_nobody() -> None:
    said = replace(TEXT, text=None, connect_to="+74997090111", record=True, record_side=Side.AGENT)
    connect = answers(said, "")[0].connect
    assert connect is not None
    assert not connect.record


def test_of_several_with_whom_they_may_talk_each_is_rung_for_its_time() -> None:
    ring = Ring((Rung("+74997090222", 15),), seconds=20, of_other=True)
    first, _ = answers(replace(TEXT, text=None, connect_to="+74997090111", talk=Talk(ring=ring)), "")
    assert first.connect == Connect(
        ("+74997090111", "+74997090222"),
        caller_id="+79580000000",
        each={"+74997090111": 20, "+74997090222": 15},
    )


def test_both_may_hear_something_before_they_are_connected() -> None:
    talk = Talk(Prompt("Your call."), Prompt(media="for_you.mp3"))
    first, _ = answers(replace(TEXT, text=None, connect_to="+74997090111", talk=talk), "")
    assert first.say == (Prompt("Your call."),)
    assert first.connect is not None
    assert first.connect.greeting == (Prompt(media="for_you.mp3"),)


def test_a_flow_goes_on_where_it_stands() -> None:
    first, second = answers(ASKING, "1")
    assert (first.say, first.collect) == ((Prompt("Press 1 or 9"),), Collect(digits=1, timeout=5))
    assert second.connect == Connect(("+74997090111",), caller_id="+79580000000")
    assert (second.language, second.voice) == ("ru-RU", "Tatyana")


def test_a_question_asked_twice_is_answered_the_same() -> None:
    state = of_call(QUESTION, ASKING).answer.state
    asked = replace(QUESTION, state=state, keys="9")
    assert of_call(asked, ASKING) == of_call(asked, ASKING)
    assert of_call(asked, ASKING).effects.opt_out


def test_a_call_that_nobody_knows_is_hung_up_on() -> None:
    assert answers(None) == [Answer()]


def test_who_is_left_alone_is_hung_up_on() -> None:
    (answer,) = [of_call(replace(QUESTION, asks=Asks.LEFT, state=at), ASKING).answer for at in [{}]]
    assert (answer.say, answer.collect, answer.connect, answer.refuse) == ((), None, None, False)


def test_a_call_waits_a_second_when_nobody_knows_in_time_what_it_is_to_hear() -> None:
    waiting = in_time(QUESTION)
    assert (waiting.say, waiting.collect) == ((), Collect(digits=1, timeout=1))
    # Then it hears what it would have heard.
    assert of_call(replace(QUESTION, state=waiting.state), TEXT) == of_call(QUESTION, TEXT)
    assert of_call(replace(QUESTION, state=waiting.state), ASKING) == of_call(QUESTION, ASKING)


def test_a_key_that_was_pressed_waits_with_it() -> None:
    pressed = replace(QUESTION, state=of_call(QUESTION, ASKING).answer.state, keys="9")
    later = replace(QUESTION, state=in_time(pressed).state)
    assert of_call(later, ASKING).answer.say == (Prompt("Bye"),)
    assert of_call(later, ASKING).effects.opt_out


def test_nobody_waits_for_ever() -> None:
    question, waits = QUESTION, 0
    while (answer := in_time(question)).collect is not None:
        question, waits = replace(question, state=answer.state), waits + 1
    assert (waits, answer) == (MOST_WAITS, Answer())


@pytest.mark.parametrize("waits", ["x", None, -1.5, [1]])
def test_a_state_that_is_none_of_ours_breaks_nothing(waits: object) -> None:
    assert in_time(replace(QUESTION, state={"waits": waits})) == Answer()


def test_a_call_that_comes_in_is_refused_when_nobody_knows_in_time() -> None:
    assert in_time(replace(QUESTION, asks=Asks.INBOUND)) == REFUSE
    assert in_time(replace(QUESTION, asks=Asks.LEFT)) == Answer()


def test_nobody_is_connected_with_a_number_that_must_not_be_rung() -> None:
    both = Answer(connect=Connect(("+74997090111", "+74997090112"), record=True))
    assert without(both, {"+74997090111"}) == Answer(connect=Connect(("+74997090112",), record=True))
    assert without(both, {"+74997090113"}) == both
    assert without(both, {"+74997090111", "+74997090112"}) == REFUSE
    said = replace(both, say=(Prompt("One moment."),))
    assert without(said, {"+74997090111", "+74997090112"}) == Answer(say=said.say)
    assert without(Answer(), {"+74997090111"}) == Answer()
