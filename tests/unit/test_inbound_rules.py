"""Calls that come in: what a rule answers, and what all that is told of one amounts to."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls import talk_form
from dialer.calls.flow import Prompt
from dialer.calls.inbound import (
    Given,
    Told,
    answer,
    cdr,
    correction,
    is_number,
    learned,
    summary,
    talk_back,
    together,
)
from dialer.calls.talk import Rung, Talk
from dialer.lifecycle import AttemptState, Disposition
from dialer.models.inbound import InboundAction
from dialer.providers.contract import Fact
from dialer.providers.live import Answer, Connect

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANN, OFFICE, DESK, OTHER = "+79154368886", "+79586488002", "+79684881033", "+79684881044"


def told(state: AttemptState, after: float, **more: Any) -> Told:
    return Told(NOON + timedelta(seconds=after), state, **more)


ASKED = told(AttemptState.PLACED, 0, caller=ANN, called=OFFICE, asked=True)
RINGS = told(AttemptState.RINGING, 1, connected=DESK)
TALKS = told(AttemptState.ANSWERED, 9, connected=DESK)
ENDS = told(AttemptState.ENDED, 69)


def rule(action: InboundAction, *numbers: Any, **more: Any) -> Any:
    row = {"text": None, "media": None, "ring_seconds": 30, "language_code": "ru-RU", "voice": "Tatyana"}
    flags = dict.fromkeys(("record", "answer_first", "hide_caller"), False)
    greeting = dict.fromkeys(("greeting_text", "greeting_media", "back_text", "back_media", "press"))
    return SimpleNamespace(action=action.value, numbers=list(numbers), **{**row, **flags, **greeting, **more})


# --- answers ----------------------------------------------------------------------------------------------------


def test_without_a_rule_a_call_is_refused() -> None:
    assert answer(None) == Answer(refuse=True)


def test_a_caller_is_connected_with_numbers_one_by_one_or_all_at_once() -> None:
    one_by_one = answer(rule(InboundAction.CONNECT, DESK, OTHER, ring_seconds=15, record=True))
    assert one_by_one.connect == Connect((DESK, OTHER), timeout=15, record=True)
    at_once = answer(rule(InboundAction.CONNECT_ALL, DESK, OTHER))
    assert at_once.connect == Connect((DESK, OTHER), one_by_one=False)
    assert not one_by_one.refuse


def test_a_number_may_be_rung_for_a_time_of_its_own() -> None:
    theirs = rule(
        InboundAction.CONNECT,
        DESK,
        {"number": OTHER, "seconds": 40},
        ring_seconds=15,
        account_id="AC1",
        e164=OFFICE,
    )
    connect = answer(theirs).connect
    assert connect == Connect((DESK, OTHER), timeout=15, each={OTHER: 40})
    assert [connect.seconds_of(one) for one in connect.numbers] == [15, 40]
    kept = Given.from_json(json.loads(json.dumps(Given.by(theirs).to_json())))
    assert kept.rung == (Rung(DESK, 15), Rung(OTHER, 40))
    # As another version has stored it.
    stored = {name: value for name, value in kept.to_json().items() if name != "seconds"}
    assert [one.number for one in Given.from_json(stored).rung] == [DESK, OTHER]


def test_whoever_picks_up_hears_something_and_may_not_see_who_calls() -> None:
    more = {"greeting_media": "whisper", "hide_caller": True, "press": "W1w3151#"}
    given = answer(rule(InboundAction.CONNECT, DESK, media="hello", answer_first=True, **more))
    assert given.answer_first
    assert given.connect == Connect(
        (DESK,), greeting=(Prompt(media="whisper"),), hide_caller=True, press="W1w3151#"
    )
    spoken = answer(rule(InboundAction.CONNECT, DESK, greeting_text="A caller."))
    assert spoken.connect == Connect((DESK,), greeting=(Prompt("A caller."),))
    assert not spoken.answer_first


def test_what_both_hear_when_the_caller_is_called_back_is_kept_with_what_they_were_given() -> None:
    back = rule(
        InboundAction.CALL_BACK,
        DESK,
        account_id="AC1",
        e164=OFFICE,
        back_text="You called.",
        greeting_media="w",
    )
    assert talk_back(back) == Talk(Prompt("You called."), Prompt(media="w"))
    assert answer(back).refuse, "and is not said when they call in"
    given = Given.from_json(json.loads(json.dumps(Given.by(back).to_json())))
    assert talk_form.stored_prompts(given.prompts) == talk_back(back)
    plain = Given.by(rule(InboundAction.CONNECT, DESK, account_id="AC1", e164=OFFICE, greeting_media="w"))
    assert plain.prompts is None
    assert "prompts" not in plain.to_json()
    assert Given.from_json(plain.to_json()) == plain


def test_a_caller_hears_something_and_is_hung_up_on() -> None:
    spoken = answer(rule(InboundAction.ANNOUNCE, text="We are closed."))
    assert (spoken.say, spoken.connect, spoken.refuse) == ((Prompt("We are closed."),), None, False)
    assert (spoken.language, spoken.voice) == ("ru-RU", "Tatyana")
    assert answer(rule(InboundAction.ANNOUNCE, media="closed")).say == (Prompt(media="closed"),)


@pytest.mark.parametrize("action", [InboundAction.REFUSE, InboundAction.OPT_OUT, InboundAction.CALL_BACK])
def test_whoever_is_not_connected_is_refused_unless_there_is_something_to_hear(action: InboundAction) -> None:
    assert answer(rule(action, DESK)).refuse
    assert answer(rule(action, DESK)).connect is None
    if action is not InboundAction.REFUSE:
        heard = answer(rule(action, DESK, text="We call you back."))
        assert (heard.say, heard.refuse, heard.connect) == ((Prompt("We call you back."),), False, None)


# --- what it amounts to -----------------------------------------------------------------------------------------


def test_a_conversation_has_its_lengths_from_the_times_of_its_events() -> None:
    found = summary([ASKED, RINGS, TALKS, ENDS], InboundAction.CONNECT, is_asked=True)
    assert found.is_over
    assert (found.disposition, found.caller, found.called, found.connected) == (
        Disposition.ANSWERED,
        ANN,
        OFFICE,
        DESK,
    )
    assert (found.duration, found.billsec) == (69, 60)
    assert (found.started_at, found.answered_at, found.ended_at) == (NOON, TALKS.at, ENDS.at)


def test_a_recording_is_the_calls_and_says_nothing_of_its_end() -> None:
    recorded = told(AttemptState.ANSWERED, 200, recording="S1.mp3")
    found = summary(together([ASKED, RINGS, TALKS, ENDS], [recorded]), InboundAction.CONNECT, is_asked=True)
    talked = summary([ASKED, RINGS, TALKS, ENDS], InboundAction.CONNECT, is_asked=True)
    assert found == replace(talked, recording="S1.mp3")
    call = SimpleNamespace(id="01call", account_id="AC1", provider_id="PR1", session="s")
    assert cdr(call, found)["recording_name"] == correction(call, found)["recording_name"] == "S1.mp3"
    assert cdr(call, talked)["recording_name"] is None


CDRS = [
    Fact("", AttemptState.ENDED, Disposition.ANSWERED, 16, NOON, None, 61.0, Decimal(0), currency="RUB"),
    Fact(
        "", AttemptState.ENDED, Disposition.ANSWERED, 16, NOON, None, 60.0, Decimal("2.48"), currency="RUB",
        recording_name="S1",
    ),
]  # fmt: skip


def test_cdrs_add_what_a_call_cost_and_its_recording_and_change_nothing_else() -> None:
    known = [ASKED, RINGS, TALKS, ENDS]
    told = together(known, learned(known, CDRS))
    before = summary(known, InboundAction.CONNECT, is_asked=True)
    found = summary(told, InboundAction.CONNECT, is_asked=True)
    assert found == replace(before, cost=Decimal("2.48"), currency="RUB", recording="S1")
    assert together(told, learned(told, CDRS)) == told  # as often as they are read
    assert [Told.from_json(one.to_json()) for one in told] == told


def test_of_a_call_whose_end_nobody_has_told_cdrs_tell_it() -> None:
    known = [ASKED, RINGS]
    found = summary(together(known, learned(known, CDRS)), InboundAction.CONNECT, is_asked=True)
    assert (found.is_over, found.disposition, found.billsec) == (True, Disposition.ANSWERED, 61.0)
    assert found.ended_at == RINGS.at


def test_what_another_version_stored_is_read() -> None:
    assert len(TALKS.to_json()) == 12  # as before recordings were kept
    assert Told.from_json(TALKS.to_json()) == TALKS


def test_lengths_that_the_provider_tells_win() -> None:
    ends = told(AttemptState.ENDED, 69, duration=71.0, billsec=62.0, cost=Decimal("1.5"))
    found = summary([ASKED, RINGS, TALKS, ends], InboundAction.CONNECT, is_asked=True)
    assert (found.duration, found.billsec, found.cost) == (71.0, 62.0, Decimal("1.5"))


def test_a_call_goes_on_while_the_next_is_rung() -> None:
    busy = told(AttemptState.ENDED, 20, disposition=Disposition.BUSY, hangup_cause=17)
    next_one = told(AttemptState.RINGING, 21, connected=OTHER)
    assert summary([ASKED, RINGS, busy], InboundAction.CONNECT, is_asked=True).is_over
    assert not summary([ASKED, RINGS, busy, next_one], InboundAction.CONNECT, is_asked=True).is_over


def test_a_caller_who_does_not_wait_has_cancelled() -> None:
    found = summary([ASKED, RINGS, ENDS], InboundAction.CONNECT, is_asked=True)
    assert (found.disposition, found.billsec, found.answered_at) == (Disposition.CANCELLED, 0.0, None)


def test_nobody_was_rung_for_a_call_that_is_refused_so_it_is_over_at_once() -> None:
    for action in (None, InboundAction.REFUSE, InboundAction.CALL_BACK, InboundAction.OPT_OUT):
        found = summary([ASKED], action, is_asked=True)
        assert (found.is_over, found.disposition) == (True, Disposition.REJECTED)
    heard = summary([ASKED], InboundAction.ANNOUNCE, is_asked=True)
    assert (heard.is_over, heard.disposition) == (True, Disposition.ANSWERED)


def test_a_call_that_was_never_asked_about_was_put_through_by_the_provider_itself() -> None:
    found = summary([RINGS, TALKS, ENDS], None, is_asked=False)
    assert (found.is_over, found.disposition) == (True, Disposition.ANSWERED)


def test_a_call_of_which_no_end_was_told_may_have_been_anything() -> None:
    found = summary([ASKED, RINGS], InboundAction.CONNECT, is_asked=True)
    assert (found.is_over, found.disposition) == (False, Disposition.UNKNOWN)


facts = st.lists(
    st.builds(
        told,
        st.sampled_from([AttemptState.RINGING, AttemptState.ANSWERED, AttemptState.ENDED]),
        st.integers(0, 30),
        caller=st.sampled_from(["", ANN]),
        called=st.sampled_from(["", OFFICE]),
        connected=st.sampled_from(["", DESK, OTHER]),
        disposition=st.none() | st.sampled_from(Disposition),
        hangup_cause=st.none() | st.sampled_from([16, 17]),
        duration=st.none() | st.integers(0, 99).map(float),
        cost=st.none() | st.decimals(0, 5, places=3),
        dtmf=st.sampled_from(["", "1"]),
        recording=st.sampled_from(["", "", "S1.mp3"]),
    ),
    min_size=1,
    max_size=7,
)


@given(facts, st.none() | st.sampled_from(InboundAction), st.booleans(), st.randoms(use_true_random=False))
def test_order_and_duplicates_make_no_difference(
    given_facts: list[Told], action: InboundAction | None, is_asked: bool, chance: random.Random
) -> None:
    again = given_facts + [chance.choice(given_facts) for _ in range(3)]
    chance.shuffle(again)
    half = len(again) // 2
    stored = [Told.from_json(one.to_json()) for one in together([], again[:half])]
    assert together(stored, again[half:]) == together([], given_facts)
    assert summary(together(stored, again[half:]), action, is_asked=is_asked) == summary(
        together([], given_facts), action, is_asked=is_asked
    )


@given(facts, st.none() | st.sampled_from(InboundAction), st.booleans())
def test_every_call_has_a_cdr(given_facts: list[Told], action: InboundAction | None, is_asked: bool) -> None:
    found = summary(together([], given_facts), action, is_asked=is_asked)
    call = SimpleNamespace(id="01call", account_id="AC1", provider_id="PR1", session="s")
    row = cdr(call, found)
    assert row["kind"] == "INBOUND"
    assert {name: row[name] for name in row if name in correction(call, found)} == {
        name: value for name, value in correction(call, found).items() if name != "_id"
    }
    assert (found.duration or 0) >= 0
    assert (found.billsec or 0) >= 0


@pytest.mark.parametrize(
    ("caller", "is_one"), [(ANN, True), ("", False), ("anonymous", False), ("+0123456", False)]
)
def test_only_a_number_can_be_called(caller: str, is_one: bool) -> None:
    assert is_number(caller) is is_one
