"""Calls that a person hands on, at a provider that asks: what is answered until everybody is where they belong. Pure.

One who hears something is handed on alone. Two who are connected are parted first, and their provider asks about each.
A blind transfer calls whom they are handed on to, and lets the other go. An attended one has who is handed on wait
while the other talks with whom they are handed on to; when the other hangs up, those two are connected, and when that
one cannot be reached or hangs up, the first two are again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dialer.calls.answers import voiced
from dialer.calls.flow_steps import HANG_UP, OVER, Step
from dialer.providers.contract import Submission
from dialer.providers.live import Answer, Asks, Collect, Connect, Control, Question

#: What a transfer keeps among an attempt's handles; `gone` (who has left the line) is the adapter's to tell.
KEYS = frozenset({"transfer_to", "kept", "other", "attended"})
#: Seconds after which whoever waits is asked about again.
WAITS_FOR = 10


@dataclass(frozen=True, slots=True)
class HandingOn:
    """A transfer that is going on. `to` is E.164, or the name of a device; the others are the provider's names of
    participants: who is handed on, who hands them on (empty: one alone was on the line), and who has left since."""

    to: str = field(repr=False)
    kept: str = ""
    other: str = ""
    attended: bool = False
    gone: str = ""

    @classmethod
    def of(cls, handles: Mapping[str, Any] | None) -> HandingOn | None:
        """As it stands in an attempt's handles; None when nobody is handed on."""
        held = handles or {}
        if not held.get("transfer_to"):
            return None
        named = {name: str(held.get(name, "")) for name in ("kept", "other", "gone")}
        return cls(str(held["transfer_to"]), attended=held.get("attended") is True, **named)


def noted(control: Control, transfer_to: str, parties: Mapping[str, str]) -> dict[str, Any]:
    """What is kept of a transfer; `parties` as of `Adapter.parties`."""
    attended = {"attended": True} if control is Control.ATTENDED_TRANSFER else {}
    return {"transfer_to": transfer_to, **parties, **attended}


def answer(question: Question, said: Submission | None, handing_on: HandingOn) -> Step | None:
    """What to answer about a call that is handed on; None where it is answered as any other. `said` is what its
    attempt says."""
    if said is None:
        return Step(HANG_UP)
    if question.asks is Asks.COMMAND:
        return Step(voiced(_next(handing_on), said))
    found = None
    if question.asks is Asks.LEFT and handing_on.kept:
        found = (
            _of_parted(question, handing_on) if question.is_parted else _of_who_is_left(question, handing_on)
        )
    return None if found is None else Step(voiced(found, said))


def _next(handing_on: HandingOn) -> Answer:
    """What becomes of who is handed on, while they are with nobody. Who hands on may leave before anybody has picked
    up: then whoever waits is given to them all the same."""
    if handing_on.attended and handing_on.other != handing_on.gone:
        return Answer(collect=Collect(timeout=WAITS_FOR), state={OVER: True})
    return _called(handing_on)


def _called(handing_on: HandingOn) -> Answer:
    return Answer(connect=Connect((handing_on.to,)), state={OVER: True})


def _of_parted(question: Question, handing_on: HandingOn) -> Answer:
    if question.party == handing_on.kept:
        return _next(handing_on)
    speaks_first = handing_on.attended and question.party == handing_on.other
    return _called(handing_on) if speaks_first else HANG_UP


def _of_who_is_left(question: Question, handing_on: HandingOn) -> Answer | None:
    """Whoever it is, they are connected with who waits; unless that one is gone, or is who is left."""
    if not handing_on.attended or handing_on.kept in (question.party, question.gone, handing_on.gone):
        return None
    return Answer(join=handing_on.kept, state={OVER: True})
