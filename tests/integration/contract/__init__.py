"""What the contract suite must know of a kind of provider: one `Case` per kind, in a file of its own.

`tests/integration/test_contract_*.py` run over every kind of `adapter_kinds()`; a kind without a case fails there.
A case is written from the provider's document, not from the adapter: a mistake there must show.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, TypeVar

import pytest

from dialer.lifecycle import Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import Capability, Outcome, ProviderConfig, RawEvent, Refusal, Submission
from dialer.providers.kinds import adapter_kinds, make_adapter

#: The name, among `told_when_asked`, of an answer with a word that is in no table.
UNHEARD_WHEN_ASKED = "a word that no document knows"

#: Capabilities that are no way to place a call: what happens while one goes on, or comes in.
NO_WAY_TO_PLACE = frozenset({Capability.LIVE_CONTROL, Capability.INBOUND})

#: The values of all cases that must show nowhere.
ATTEMPT = "AT01J9ZK4T7Q8RZ3M5N6P7V8W9XC-1"
CALLEE, CALLER = "+79100000000", "+79580000001"
CODE = "1987"
HOOK = "https://dialer.example/webhooks/north/t0ken-of-the-hook"
TEXT = f"Dear Anna, your code is {CODE}."
ANNOUNCEMENT = Submission(ATTEMPT, CALLEE, CALLER, TEXT, None)
OTP = replace(ANNOUNCEMENT, code=CODE)


@dataclass(frozen=True)
class Ordered:
    """A call of one capability, and the request that the document wants for it.

    `path` is below the base URL, with its query; `headers` are those that must be there, by small letters; `body` is
    JSON. `volatile` are names in the body whose values only have to be there.
    """

    submission: Submission
    path: str
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    volatile: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Said:
    """A reply as the document prints it, and what it means. `reference` is the provider's, where it tells one."""

    status: int
    body: Any
    outcome: Outcome
    refusal: Refusal | None = None
    reference: str | None = None

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Known:
    """The attempt that a callback speaks of: our reference and the provider's, and whom it called (digits)."""

    attempt_id: str
    reference: str
    to: str = CALLEE.removeprefix("+")


@dataclass(frozen=True)
class Sent:
    """A callback as the provider sends it: a GET, or a POST of what is in the body."""

    query: str = ""
    body: bytes = b""
    content_type: str = ""
    path: str = ""  # what the provider appends to our URL

    @property
    def method(self) -> str:
        """How it is sent."""
        return "POST" if self.body else "GET"

    def raw(self, received_at: datetime) -> RawEvent:
        """As it comes in."""
        return RawEvent(self.method, self.path, self.query, self.content_type, self.body, None, received_at)


@dataclass(frozen=True)
class Story:
    """The callbacks of one call, in their order, and how it ends by them: None when they tell no end.

    `keys` are those that were pressed.
    """

    callbacks: Callable[[Known], Sequence[Sent]]
    ends: Disposition | None
    keys: str = ""


@dataclass(frozen=True)
class Signing:
    """How callbacks are signed: the settings that make them be checked, an `Authorization` that proves them to be the
    provider's, and by what else somebody might try."""

    open_settings: Mapping[str, str]
    good: str
    bad: Mapping[str, str | bytes]


@dataclass(frozen=True)
class Case:
    """What must be known of a kind.

    `examples` has one call for each capability that places calls; the first is the one that hostile replies are given
    to. `errors` are all errors that the document prints. `stories` are callbacks by fate, `answered` among them;
    empty for a provider that calls nobody back. `unheard` is a callback with a word that no document knows.
    `unclear` are replies, a status and a body, that come near to a documented one and are none.
    `fates` is how the sandbox's calls end, by the last two digits of the number, where that is not ANSWERED; None is
    no end. `looked_up` is the same of what the sandbox says when it is asked, `outcomes` of replies that others read
    otherwise.
    """

    kind: str
    settings: Mapping[str, str]
    examples: Mapping[Capability, Ordered]
    accepted: Said
    errors: Mapping[str, Said]
    unclear: Mapping[str, tuple[int, Any]] = field(default_factory=dict)
    stories: Mapping[str, Story] = field(default_factory=dict)
    unheard: Callable[[Known], Sent] | None = None
    fates: Mapping[str, Disposition | None] = field(default_factory=dict)
    looked_up: Mapping[str, Disposition | None] = field(default_factory=dict)
    #: What it says of a call when it is asked, by fate, as the document prints it; a kind that keeps CDRs says the same
    #: in their list.
    told_when_asked: Mapping[str, Callable[[Known], Any]] = field(default_factory=dict)
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    refused_unsent: Mapping[str, tuple[Submission, Refusal]] = field(default_factory=dict)
    #: Whether a word that nobody knows ends a call as UNKNOWN; else it is an event that cannot be read.
    unheard_ends: bool = True
    #: Whether callbacks hold the attempt's id; else they hold the provider's own reference.
    tells_our_reference: bool = True
    #: Whether it asks on the way what to do: what is asked cannot come after the end.
    asks_on_the_way: bool = False
    signing: Callable[[], Signing] | None = None
    #: Replies to methods, a status and a body, with an error that leaves open whether anything was changed.
    leaves_open: Mapping[str, tuple[int, Any]] = field(default_factory=dict)

    @property
    def order(self) -> Ordered:
        """The first example."""
        return next(iter(self.examples.values()))

    def adapter(self, url: str = "http://127.0.0.1:9", hook: str = HOOK) -> Adapter:
        """The adapter at this base URL; callbacks go to `hook`."""
        return make_adapter(ProviderConfig("PR1", "north", self.kind, url, self.settings, hook))

    def to_number(self, end: str, attempt_id: str = "") -> Submission:
        """The first example, to a number that ends like this."""
        submission = self.order.submission
        to = submission.to[: -len(end)] + end
        return replace(submission, to=to, attempt_id=attempt_id or f"AT{end}")

    def secrets(self) -> set[str]:
        """What must not show: credentials, numbers, message and code of all its orders."""
        return self.secrets_of(*self.examples.values())

    def secrets_of(self, *orders: Ordered) -> set[str]:
        """… of these."""
        kind = type(self.adapter())
        hidden = {value for key, value in self.settings.items() if key not in kind.open_settings}
        private = [order.submission for order in orders]
        for one in private:
            hidden |= {one.to, one.to.removeprefix("+"), one.text or "", one.code or ""}
            hidden |= {one.connect_to or "", (one.connect_to or "").removeprefix("+")}
            hidden |= {prompt.text or "" for prompt in one.talk.prompts}
            hidden |= {
                form for rung in one.talk.also for form in (rung.number, rung.number.removeprefix("+"))
            }
        return {value for value in hidden if len(value) >= 4}


def basic(user: str, password: str) -> str:
    """A header of Basic authorization."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def has_case(kind: str) -> bool:
    """Whether somebody wrote one."""
    return importlib.util.find_spec(f"contract.{kind.replace('-', '_')}") is not None


@cache
def case_of(kind: str) -> Case:
    """The case of a kind, from `tests/integration/contract/<kind>.py`."""
    module = kind.replace("-", "_")
    if not has_case(kind):
        pytest.fail(f"The kind {kind} has no contract case: write tests/integration/contract/{module}.py.")
    found: Case = importlib.import_module(f"contract.{module}").CASE
    assert found.kind == kind
    return found


def cases() -> list[Case]:
    """All that there are."""
    return [case_of(kind) for kind in adapter_kinds() if has_case(kind)]


Item = TypeVar("Item")


def each(items: Callable[[Case], Mapping[str, Item]]) -> list[Any]:
    """Parameters `(case, item)`: every item of every case."""
    return [
        pytest.param(case, item, id=f"{case.kind}-{name}")
        for case in cases()
        for name, item in items(case).items()
    ]
