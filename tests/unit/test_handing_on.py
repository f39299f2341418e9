"""Calls that a person hands on: what is answered about each of those who are on the line."""

from __future__ import annotations

import pytest

from dialer.calls.flow_steps import HANG_UP, Step
from dialer.calls.handing_on import HandingOn, answer, noted
from dialer.providers.contract import Submission
from dialer.providers.live import Answer, Asks, Connect, Control, Question

SAID = Submission("AT1", "+46701000779", "+46850001111", None, None, connect_to="+46702000361")
OPERATOR = "+46702000570"
PARTIES = {"kept": "customer", "other": "agent"}
BLIND = HandingOn.of(noted(Control.BLIND_TRANSFER, OPERATOR, PARTIES))
ATTENDED = HandingOn.of(noted(Control.ATTENDED_TRANSFER, OPERATOR, PARTIES))
ALONE = HandingOn.of(noted(Control.BLIND_TRANSFER, OPERATOR, {}))
ASKED = Question(Asks.COMMAND, "S1", "AT1")


def parted(party: str) -> Question:
    return Question(Asks.LEFT, "S1", "AT1", party=party, is_parted=True)


def left(gone: str, party: str) -> Question:
    return Question(Asks.LEFT, "S1", "AT1", party=party, gone=gone)


def does(question: Question, handing_on: HandingOn | None) -> str:
    """What is answered, in a word."""
    assert handing_on is not None
    step = answer(question, SAID, handing_on)
    if step is None:
        return "as any other"
    found = step.answer
    if found.connect is not None:
        assert found.connect == Connect((OPERATOR,), caller_id=SAID.caller_id)
        return "calls"
    if found.join:
        return f"joins {found.join}"
    return "waits" if found.collect is not None else "hangs up"


@pytest.mark.parametrize(
    ("handing_on", "question", "what"),
    [
        (ALONE, ASKED, "calls"),
        (ALONE, left("prompts", "callee"), "as any other"),
        (BLIND, parted("customer"), "calls"),
        (BLIND, parted("agent"), "hangs up"),
        (BLIND, left("operator", "customer"), "as any other"),
        (ATTENDED, parted("customer"), "waits"),
        (ATTENDED, ASKED, "waits"),
        (ATTENDED, parted("agent"), "calls"),
        # The agent hangs up: customer and operator are connected.
        (ATTENDED, left("agent", "operator"), "joins customer"),
        # The operator cannot be reached, or hangs up: agent and customer are again.
        (ATTENDED, left("operator", "agent"), "joins customer"),
        # The customer hangs up, or somebody who talked with them.
        (ATTENDED, left("customer", "operator"), "as any other"),
        (ATTENDED, left("operator", "customer"), "as any other"),
        (ATTENDED, parted("somebody"), "hangs up"),
    ],
)
def test_everybody_ends_where_they_belong(
    handing_on: HandingOn | None, question: Question, what: str
) -> None:
    assert does(question, handing_on) == what


def test_a_customer_who_has_gone_while_they_waited_is_connected_with_nobody() -> None:
    held = noted(Control.ATTENDED_TRANSFER, OPERATOR, PARTIES)
    assert does(left("agent", "operator"), HandingOn.of({**held, "gone": "customer"})) == "as any other"


def test_a_customer_whose_agent_has_gone_before_anybody_picked_up_is_given_to_the_operator() -> None:
    held = noted(Control.ATTENDED_TRANSFER, OPERATOR, PARTIES)
    assert does(ASKED, HandingOn.of({**held, "gone": "agent"})) == "calls"


def test_nobody_is_handed_on_unless_somebody_says_so() -> None:
    assert HandingOn.of(None) is HandingOn.of({"replyId": "R1", "gone": "agent"}) is None
    assert BLIND is not None
    assert answer(ASKED, None, BLIND) == Step(HANG_UP)
    assert Answer() == HANG_UP
