"""Callbacks that wait for an answer: a provider asks what a call is to do next, or what becomes of one that comes in.

An adapter reads the question and writes the answer in the provider's words; what to answer is decided elsewhere, from
the call's flow or the account's inbound rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dialer.calls.flow import Prompt


class Asks(StrEnum):
    """What a callback asks."""

    COMMAND = "COMMAND"  # somebody is on the line: what shall they hear, and which keys are waited for
    LEFT = "LEFT"  # one of two has left the line: what becomes of the other
    INBOUND = "INBOUND"  # somebody calls one of our numbers: what becomes of them


@dataclass(frozen=True, slots=True)
class Question:
    """A callback that waits for an answer, in our words.

    `attempt_id` is ours, empty for a call that came in; `session` the provider's name for the call. `keys` were pressed
    since the last answer, and `state` is what that answer asked to be kept. `caller` and `called` are E.164 with the
    plus where the provider surely tells numbers with their country code, and as it told them otherwise.
    `settled` is the answer where an earlier one has settled it already (a provider that asks again before it does the
    rest of it): it is written, and nobody decides. `own` is what the adapter needs for writing, and nobody else's.
    Of LEFT, `party` is the provider's name of whom it asks about, and `gone` of whoever has left them; `is_parted`:
    nobody has, we have had two who were connected parted, and it asks about each.
    """

    asks: Asks
    session: str
    attempt_id: str = ""
    keys: str = field(default="", repr=False)
    state: Mapping[str, Any] = field(default_factory=dict)
    caller: str = field(default="", repr=False)
    called: str = field(default="", repr=False)
    settled: Answer | None = None
    own: Mapping[str, Any] = field(default_factory=dict, repr=False)
    party: str = ""
    gone: str = ""
    is_parted: bool = False


@dataclass(frozen=True, slots=True)
class Collect:
    """Wait for keys: at most `digits`, for `timeout` seconds after the last prompt."""

    digits: int = 1
    timeout: int = 5


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect with these numbers (E.164), all at once or one after the other, each for `timeout` seconds, or for those
    that `each` has for it. Who picks up hears `greeting` before they are connected, and does not see who calls where
    `hide_caller` is set. `press` are keys that are pressed when a number has answered, with `w` and `W` for a short and
    a long wait."""

    numbers: tuple[str, ...] = field(repr=False)
    one_by_one: bool = True
    timeout: int = 30
    caller_id: str = field(default="", repr=False)
    record: bool = False
    greeting: tuple[Prompt, ...] = ()
    hide_caller: bool = False
    press: str = field(default="", repr=False)
    each: Mapping[str, int] = field(default_factory=dict, repr=False)

    def seconds_of(self, number: str) -> int:
        """For how long this number is rung."""
        return self.each.get(number, self.timeout)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to happen: `say`, then exactly one of the others; nothing of them hangs up, and says nothing of a call
    that is refused. `answer_first`: whoever calls in is answered before they hear what is said, and may pay for it. How
    it is spoken is in the words of `cpaas-campaign-api.md`. `state` comes back with the next question. `join` connects
    with somebody who is on the line already, by the provider's name of them, and is answered to LEFT alone.
    `callback_url` is the address of the provider's webhook: some are told only here where to tell what becomes of a
    call that came in.
    """

    say: tuple[Prompt, ...] = ()
    collect: Collect | None = None
    connect: Connect | None = None
    refuse: bool = False
    answer_first: bool = False
    language: str = "en-US"
    voice: str = "Joanna"
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    state: Mapping[str, Any] = field(default_factory=dict)
    callback_url: str = field(default="", repr=False)
    join: str = ""


def heard_in(answer: Answer) -> tuple[Prompt, ...]:
    """All that anybody hears by this answer."""
    return (*answer.say, *(() if answer.connect is None else answer.connect.greeting))


class Control(StrEnum):
    """What a person does to a call that is going on."""

    BLIND_TRANSFER = "blind transfer"  # somebody is handed on, and whoever hands them on leaves
    ATTENDED_TRANSFER = "attended transfer"  # … after they have spoken with whom they hand them on to
    HANG_UP = "hang up"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Order:
    """A control of one attempt's call. `provider_reference` is what the provider took it with, `handles` what it has
    told of the line since (`Adapter.read_handles`); `transfer_to` is E.164, or the name of a device without a plus.
    `callee_hands_on`: who is handed on is whom our callee was to be connected with, not the callee."""

    control: Control
    attempt_id: str
    provider_reference: str = ""
    handles: Mapping[str, Any] = field(default_factory=dict)
    transfer_to: str = field(default="", repr=False)
    callee_hands_on: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent back to the provider."""

    body: bytes = field(repr=False)
    content_type: str = "application/json"
    status: int = 200
