"""What to answer while somebody is on the line: pure functions from what is known of a call and what is asked.

A question asked twice gets the same answer: nothing but the question and the call decides, and where the call stands
travels with the provider.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from dialer.calls.flow import Prompt
from dialer.calls.flow_steps import HANG_UP, OVER, PRESSED, WAITS, Step, has_begun, next_answer
from dialer.providers.contract import Submission
from dialer.providers.live import Answer, Asks, Collect, Connect, Question

REFUSE = Answer(refuse=True)
#: How often somebody is asked to wait a second because nobody knows in time what they are to hear.
MOST_WAITS = 5


def of_call(question: Question, said: Submission | None) -> Step:
    """What to answer about a call of ours; `said` is what its attempt says, None for an attempt that this provider was
    not given, or that has nothing to say any more."""
    if said is None or question.asks is not Asks.COMMAND:
        return Step(HANG_UP)  # who is left alone is hung up on, too
    if said.flow is not None:
        step = next_answer(said.flow, question.state, question.keys)
    elif has_begun(question.state):
        step = Step(HANG_UP)  # all of it has been said
    else:
        step = Step(_first_and_last(said))
    return replace(step, answer=voiced(step.answer, said))


def in_time(question: Question) -> Answer:
    """What to answer when what to answer is not known in time: silence for a second, after which it is asked again,
    with everything as it stands; nobody is hung up on because a database was slow. A call that comes in is refused."""
    if question.asks is Asks.INBOUND:
        return REFUSE
    waits = question.state.get(WAITS, 0)
    if question.asks is not Asks.COMMAND or not isinstance(waits, int) or waits >= MOST_WAITS:
        return HANG_UP
    state = {**question.state, WAITS: waits + 1}
    if question.keys:
        state[PRESSED] = question.keys
    return Answer(collect=Collect(digits=1, timeout=1), state=state)


def without(answer: Answer, forbidden: Collection[str]) -> Answer:
    """The answer without the numbers that must not be rung. Where nobody is left to be connected with, what is to be
    said is said, and that is all; a call that comes in is refused when nothing is."""
    if answer.connect is None or not any(one in forbidden for one in answer.connect.numbers):
        return answer
    left = tuple(one for one in answer.connect.numbers if one not in forbidden)
    if left:
        return replace(answer, connect=replace(answer.connect, numbers=left))
    return replace(answer, connect=None, refuse=not answer.say)


def _first_and_last(said: Submission) -> Answer:
    """A call that asks nothing: it says what it says, and is over, or talks."""
    over: Mapping[str, Any] = {OVER: True}
    if said.connect_to is not None:
        first, then = said.talk.callee_hears, said.talk.other_hears
        connect = Connect(
            (said.connect_to, *(one.number for one in said.talk.others)),
            greeting=() if then is None else (then,),
            each=_each(said),
        )
        return Answer(say=() if first is None else (first,), connect=connect, state=over)
    prompt = Prompt(said.text) if said.text is not None else Prompt(media=said.media)
    return Answer(say=(prompt,) * max(1, said.repeat_count), state=over)


def _each(said: Submission) -> dict[str, int]:
    """For how long whom somebody is connected with is rung, where that is several."""
    ring = said.talk.ring
    if said.connect_to is None or ring is None or not ring.of_other:
        return {}
    return {said.connect_to: ring.seconds, **{one.number: one.seconds for one in ring.also}}


def voiced(answer: Answer, said: Submission) -> Answer:
    """The answer as this attempt speaks, shows its number and is recorded."""
    connect = answer.connect
    if connect is not None:
        connect = replace(connect, caller_id=said.caller_id, record=said.record_both)
    return replace(
        answer,
        connect=connect,
        language=said.language,
        voice=said.voice,
        volume=said.volume,
        rate=said.rate,
        pitch=said.pitch,
    )
