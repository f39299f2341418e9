"""What becomes of a call in the sandbox: the last two digits of the number decide.

One table for people (docs/sandbox.md shows it) and for the simulators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What the sandbox does with the HTTP request itself."""

    OK = "ok"  # takes the call and says so
    TOO_MANY = "429"  # not taken the first time a number is tried
    SERVER_ERROR = "500"  # not taken
    INVALID_DATA = "invalid"  # not taken, the provider's own word for bad data
    INTERNAL_ERROR = "internal"  # taken, but the provider's own word for trouble inside
    SILENCE = "silence"  # taken, never answered
    RESET = "reset"  # taken, then the connection is reset
    GARBAGE = "garbage"  # taken, answered with something that is no answer


class Ending(StrEnum):
    """How the simulated call ends; each simulator puts it into its provider's words."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no answer"
    UNAVAILABLE = "unavailable"
    CONGESTION = "congestion"
    REJECTED = "rejected"
    INVALID_NUMBER = "invalid number"
    MACHINE = "machine"
    TTS_FAILURE = "speech failure"


class Delivery(StrEnum):
    """How the callbacks arrive."""

    PLAIN = "plain"
    LATE = "late"  # the last one a minute late
    DOUBLED = "doubled"
    NEVER = "never"
    BACKWARDS = "backwards"  # the end before the start
    EARLY = "early"  # all of them before the reply to the request


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a call."""

    sentence: str
    answer: Answer = Answer.OK
    ending: Ending = Ending.ANSWERED
    delivery: Delivery = Delivery.PLAIN


ORDINARY = Fate("answered")

#: By the last two digits of the number; any other is ORDINARY.
FATES: Mapping[str, Fate] = {
    "01": Fate("busy", ending=Ending.BUSY),
    "02": Fate("rings, nobody answers", ending=Ending.NO_ANSWER),
    "03": Fate("unavailable", ending=Ending.UNAVAILABLE),
    "04": Fate("taken, then found to be no number", ending=Ending.INVALID_NUMBER),
    "05": Fate("HTTP 429 with `Retry-After: 1` the first time, then answered", Answer.TOO_MANY),
    "06": Fate("HTTP 500, not taken", Answer.SERVER_ERROR),
    "07": Fate("taken and answered by the callee, but the request never gets a reply", Answer.SILENCE),
    "08": Fate("answered, the last callback a minute late", delivery=Delivery.LATE),
    "09": Fate("answered, every callback twice", delivery=Delivery.DOUBLED),
    "10": Fate("answered, no callback at all", delivery=Delivery.NEVER),
    "11": Fate("congestion", ending=Ending.CONGESTION),
    "12": Fate("taken and answered by the callee, but the connection is reset", Answer.RESET),
    "13": Fate("taken and answered by the callee, but the reply is garbage under HTTP 200", Answer.GARBAGE),
    "14": Fate("answered, the end's callback before the start's", delivery=Delivery.BACKWARDS),
    "15": Fate("answered, the callbacks before the reply", delivery=Delivery.EARLY),
    "16": Fate("rejected by the callee", ending=Ending.REJECTED),
    "17": Fate("speech synthesis fails", ending=Ending.TTS_FAILURE),
    "18": Fate("refused as bad data, not taken", Answer.INVALID_DATA),
    "19": Fate("taken and answered by the callee, but the reply is an internal error", Answer.INTERNAL_ERROR),
    "20": Fate("an answering machine picks up", ending=Ending.MACHINE),
}


def fate_of(number: str) -> Fate:
    """What becomes of a call to this number (digits)."""
    return FATES.get(number[-2:], ORDINARY)


def ring_seconds(number: str) -> int:
    """How long it rings: 2 to 20 s, always the same for a number."""
    return 2 + int(number[-4:]) * 7919 % 19


def talk_seconds(number: str) -> int:
    """How long an answered call lasts: 5 to 34 s, always the same for a number."""
    return 5 + int(number[-4:]) * 104729 % 30


def table() -> str:
    """The table of docs/sandbox.md, in Markdown."""
    rows = [f"| `…{end}` | {fate.sentence} |" for end, fate in FATES.items()]
    return "\n".join(
        ["| number ends in | what happens |", "|---|---|", *rows, f"| other | {ORDINARY.sentence} |"]
    )
