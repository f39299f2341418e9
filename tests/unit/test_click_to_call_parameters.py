"""What is asked for when two people are to be connected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dialer.calls.click_to_call import CLICK_LIFE, NewClickToCall
from dialer.calls.talk import Side
from dialer.errors import FieldError
from dialer.lifecycle import CallKind
from dialer.providers.contract import Capability
from dialer.providers.need import able_kinds, grants

#: The body of the reference's example, with digits for its X's.
EXAMPLE = {
    "agent_number": "919979271234",
    "caller_id": "15168148111",
    "destination_number": "918000681234",
    "recording_option": "on",
    "transcript": "on",
}


def read(**changes: Any) -> NewClickToCall:
    return NewClickToCall.read({**EXAMPLE, **changes}, None)


def refused(**changes: Any) -> FieldError:
    with pytest.raises(FieldError) as told:
        read(**changes)
    return told.value


def test_the_references_example() -> None:
    assert read() == NewClickToCall(
        "+919979271234",
        "+918000681234",
        "+15168148111",
        record=True,
        record_if_able=True,
        transcript=True,
    )


def test_ten_digits_are_of_the_accounts_region() -> None:
    wanted = NewClickToCall.read(
        EXAMPLE | {"agent_number": "9979271234", "destination_number": 8000681234}, "IN"
    )
    assert (wanted.agent, wanted.destination) == ("+919979271234", "+918000681234")


@pytest.mark.parametrize(
    ("given", "record"), [(None, False), ("off", False), ("on", True), ("both", True), ("Both", True)]
)
def test_it_is_recorded_when_that_is_asked_for(given: str | None, record: bool) -> None:
    assert read(recording_option=given).record is record


@pytest.mark.parametrize("side", Side)
def test_a_recording_is_a_wish_that_some_kinds_grant(side: Side) -> None:
    wanted = read(recording_option=side, transcript=None)
    assert (wanted.record, wanted.record_side) == (True, side)
    new = wanted.single()
    assert (new.message["record_side"], new.message["record_if_able"]) == (side, True)
    assert able_kinds(new.need) == able_kinds(read(recording_option="off").single().need) != ["cpaas"]
    assert [kind for kind in able_kinds(new.need) if grants(kind, new.need)] == ["cpaas"]


def test_who_needs_a_recording_is_connected_by_nobody_who_cannot() -> None:
    new = replace(read(recording_option=Side.AGENT), record_if_able=False).single()
    assert (new.need.wishes, able_kinds(new.need)) == ((), ["cpaas"])
    assert "record one side alone" in new.need.does


def test_a_transcript_is_a_wish_and_keeps_nobody_from_connecting_the_two() -> None:
    """The reference's own example asks for one, and for a recording."""
    wanted, plain = read(transcript="on").single(), read(transcript="off").single()
    assert (wanted.message["transcript"], plain.message["transcript"]) == (True, False)
    assert able_kinds(wanted.need) == able_kinds(plain.need) != ["cpaas"]


@pytest.mark.parametrize("name", ["agent_number", "destination_number", "caller_id"])
@pytest.mark.parametrize("given", [None, "", "12", "number"])
def test_what_is_needed_is_named(name: str, given: str | None) -> None:
    error = refused(**{name: given})
    assert error.field == name
    assert name in error.message


@pytest.mark.parametrize(("name", "given"), [("recording_option", "yes"), ("transcript", "maybe")])
def test_a_word_that_is_not_in_the_reference_is_named(name: str, given: str) -> None:
    assert refused(**{name: given}).field == name


def test_nobody_is_connected_with_themselves() -> None:
    assert refused(destination_number="+91 9979 271234").field == "destination_number"


def test_numbers_do_not_show() -> None:
    assert "9979271234" not in repr(read())
    assert "8000681234" not in repr(read().single())


def test_the_call_rings_the_agent_and_knows_whom_to_connect() -> None:
    call = read().single()
    assert (call.kind, call.e164, call.life) == (CallKind.CLICK_TO_CALL, "+919979271234", CLICK_LIFE)
    assert (call.message["connect_to"], call.message["record"]) == ("+918000681234", True)
    assert call.need.capabilities == (Capability.CLICK_TO_CALL,)
    assert call.need.wishes == (Capability.RECORDING,)
