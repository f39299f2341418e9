"""How two people are connected: what may be asked for, and that what is stored comes back the same."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.flow import Prompt
from dialer.calls.talk import PLAIN, Ring, Rung, Talk
from dialer.calls.talk_form import CALLBACK_SIDES, read, stored, stored_prompts, to_columns
from dialer.errors import FieldError

TO, OTHER, DESK, CHIEF = "+79684881033", "+79511234567", "+79522222222", "+79636793312"
ENDS = (TO, OTHER)


def ring(*also: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"ring": {"also": list(also), "at_once": False, "seconds": 25, **more}}


def test_all_of_it_is_read() -> None:
    asked = {
        "prompts": {"to": {"say": " A call from the site. "}, "connect_to": {"play": "for_all_sales"}},
        "max_seconds": 600,
        **ring({"number": "89522222222", "seconds": 15}, {"number": CHIEF, "seconds": 20}, at_once=True),
    }
    assert read(asked, "RU", ENDS) == Talk(
        Prompt("A call from the site."),
        Prompt(media="for_all_sales"),
        600,
        Ring((Rung(DESK, 15), Rung(CHIEF, 20)), at_once=True, seconds=25),
    )


def test_several_numbers_stand_for_one_of_the_two() -> None:
    also = {"number": DESK, "seconds": 15}
    of_other = read(ring(also, of="connect_to"), None, ENDS)
    assert of_other == Talk(ring=Ring((Rung(DESK, 15),), of_other=True))
    assert (of_other.also, of_other.others) == ((Rung(DESK, 15),), (Rung(DESK, 15),))
    of_callee = read(ring(also, of="to"), None, ENDS)
    assert (of_callee.also, of_callee.others) == ((Rung(DESK, 15),), ())


def test_a_callback_calls_the_two_agent_and_destination() -> None:
    asked = {"prompts": {"agent": {"say": "A callback."}, "destination": {"play": "wait"}}}
    talk = Talk(Prompt("A callback."), Prompt(media="wait"))
    assert read(asked, None, ENDS, CALLBACK_SIDES) == talk
    assert to_columns(talk, CALLBACK_SIDES)["prompts"] == asked["prompts"]
    assert stored_prompts(to_columns(talk)["prompts"]) == talk


@pytest.mark.parametrize("asked", [{}, {"prompts": {}}])
def test_who_asks_for_nothing_is_connected_and_that_is_all(asked: dict[str, Any]) -> None:
    assert read(asked, None, ENDS) == PLAIN


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"prompts": {"to": {}}}, "prompts.to"),
        ({"prompts": {"to": {"say": " "}}}, "prompts.to"),
        ({"prompts": {"connect_to": {"say": "a", "play": "b"}}}, "prompts.connect_to"),
        ({"prompts": {"connect_to": {"play": "a\nb"}}}, "prompts.connect_to.play"),
        ({"prompts": {"connect_to": {"play": "../../b.wav"}}}, "prompts.connect_to.play"),
        ({"prompts": {"connect_to": {"play": "%2e%2e%2fb.wav"}}}, "prompts.connect_to.play"),
        (ring({"number": "12", "seconds": 25}), "ring.also.0.number"),
        (ring({"number": TO, "seconds": 25}), "ring.also.0.number"),
        (ring({"number": OTHER, "seconds": 25}), "ring.also.0.number"),
        (ring({"number": DESK, "seconds": 25}, {"number": DESK, "seconds": 5}), "ring.also.1.number"),
    ],
)
def test_what_cannot_be_used_is_named_and_no_number_repeated(asked: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        read(asked, None, ENDS)
    assert caught.value.field == field
    assert field in caught.value.message
    assert not any(number[1:] in caught.value.message for number in (TO, OTHER, DESK))


PROMPTS = (
    st.none() | st.builds(Prompt, text=st.text(min_size=1)) | st.builds(Prompt, media=st.text(min_size=1))
)
RUNG = st.builds(Rung, number=st.from_regex(r"\A\+[1-9][0-9]{6,14}\Z"), seconds=st.integers(5, 120))
RINGS = st.builds(
    Ring,
    also=st.lists(RUNG, min_size=1).map(tuple),
    at_once=st.booleans(),
    seconds=st.integers(5, 120),
    of_other=st.booleans(),
)


@given(st.builds(Talk, PROMPTS, PROMPTS, st.none() | st.integers(10, 14_400), st.none() | RINGS))
def test_what_is_stored_comes_back(talk: Talk) -> None:
    assert stored(SimpleNamespace(**to_columns(talk))) == talk
