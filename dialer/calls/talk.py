"""How two people are connected, besides who they are: what each of them hears first, for how long they may talk, and
which numbers are rung besides those of one of them. `talk_form.py` reads and stores it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dialer.calls.flow import Prompt


class Side(StrEnum):
    """One of two people who are connected, in the words of `cpaas-campaign-api.md` ("Click To Call")."""

    AGENT = "agent"  # the callee
    CUSTOMER = "customer"  # whom they are connected with


#: How long a number is rung unless told otherwise, in seconds.
RING_SECONDS = 25


@dataclass(frozen=True, slots=True)
class Rung:
    """A number (E.164) that is rung for so many seconds."""

    number: str = field(repr=False)
    seconds: int = RING_SECONDS


@dataclass(frozen=True, slots=True)
class Ring:
    """The callee's number is rung for so many `seconds`, and `also` these: all at once, or each after the one before.
    Whoever picks up first is the callee. `of_other`: all that is meant of whom the callee is connected with."""

    also: tuple[Rung, ...]
    at_once: bool = False
    seconds: int = RING_SECONDS
    of_other: bool = False


@dataclass(frozen=True, slots=True)
class Talk:
    """What the callee and whom they are connected with hear before they talk, `max_seconds` (None: for as long as the
    provider lets them), and who is rung besides one of the two (None: nobody)."""

    callee_hears: Prompt | None = None
    other_hears: Prompt | None = None
    max_seconds: int | None = None
    ring: Ring | None = None

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All that is heard."""
        return tuple(one for one in (self.callee_hears, self.other_hears) if one is not None)

    @property
    def also(self) -> tuple[Rung, ...]:
        """Who is rung besides the two."""
        return () if self.ring is None else self.ring.also

    @property
    def others(self) -> tuple[Rung, ...]:
        """Who is rung besides whom the callee is connected with."""
        return self.also if self.ring is not None and self.ring.of_other else ()


#: They are connected, and that is all.
PLAIN = Talk()
