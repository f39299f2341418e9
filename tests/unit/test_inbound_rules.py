"""Calls that come in: what a rule answers, and what all that is told of one amounts to."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.flow import Prompt
from dialer.calls.inbound import Told, answer, cdr, correction, is_number, summary, together
from dialer.lifecycle import AttemptState, Disposition
from dialer.models.inbound import InboundAction
from dialer.providers.live import Answer, Connect

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
ANN, OFFICE, DESK, OTHER = "+79154368886", "+79586488002", "+79684881033", "+79684881044"


def told(state: AttemptState, after: float, **more: Any) -> Told:
    return Told(NOON + timedelta(seconds=after), state, **more)


ASKED = told(AttemptState.PLACED, 0, caller=ANN, called=OFFICE, asked=True)
RINGS = told(AttemptState.RINGING, 1, connected=DESK)
TALKS = told(AttemptState.ANSWERED, 9, connected=DESK)
ENDS = told(AttemptState.ENDED, 69)


def rule(action: InboundAction, *numbers: str, **more: Any) -> Any:
    row = {"text": None, "media": None, "ring_seconds": 30, "language_code": "ru-RU", "voice": "Tatyana"}
    return SimpleNamespace(action=action.value, numbers=list(numbers), **{**row, "record": False, **more})


# --- answers ----------------------------------------------------------------------------------------------------


def test_without_a_rule_a_call_is_refused() -> None:
    assert answer(None) == Answer(refuse=True)


def test_a_caller_is_connected_with_numbers_one_by_one_or_all_at_once() -> None:
    one_by_one = answer(rule(InboundAction.CONNECT, DESK, OTHER, ring_seconds=15, record=True))
    assert one_by_one.connect == Connect((DESK, OTHER), timeout=15, record=True)
    at_once = answer(rule(InboundAction.CONNECT_ALL, DESK, OTHER))
    assert at_once.connect == Connect((DESK, OTHER), one_by_one=False)
    assert not one_by_one.refuse


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
