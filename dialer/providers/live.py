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


@dataclass(frozen=True, slots=True)
class Collect:
    """Wait for keys: at most `digits`, for `timeout` seconds after the last prompt."""

    digits: int = 1
    timeout: int = 5


@dataclass(frozen=True, slots=True)
class Connect:
    """Connect with these numbers (E.164), all at once or one after the other, each for `timeout` seconds. Who picks up
    hears `greeting` before they are connected."""

    numbers: tuple[str, ...] = field(repr=False)
    one_by_one: bool = True
    timeout: int = 30
    caller_id: str = field(default="", repr=False)
    record: bool = False
    greeting: tuple[Prompt, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What is to happen: `say`, then exactly one of the others; nothing of them hangs up, and says nothing of a call
    that is refused. How it is spoken is in the words of `cpaas-campaign-api.md`. `state` comes back with the
    next question. `callback_url` is the address of the provider's webhook: some are told only here where to tell what
    becomes of a call that came in.
    """

    say: tuple[Prompt, ...] = ()
    collect: Collect | None = None
    connect: Connect | None = None
    refuse: bool = False
    language: str = "en-US"
    voice: str = "Joanna"
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    state: Mapping[str, Any] = field(default_factory=dict)
    callback_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent back to the provider."""

    body: bytes = field(repr=False)
    content_type: str = "application/json"
    status: int = 200
