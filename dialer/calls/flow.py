"""Flows: what a call that asks for keys says, and where each key leads.

A flow is menus by name. Whoever answers hears the prompts of the first; a key leads to an action; no key, or one
without an action, says the prompts again until `repeats` is used up, and then does `otherwise`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Does(StrEnum):
    """What a key does."""

    GO_TO = "go_to"  # another menu
    TRANSFER = "transfer"  # connect the callee with a number
    NOTIFY = "notify"  # note that it was pressed, say something, hang up
    REPEAT = "repeat"  # say the menu again
    OPT_OUT = "opt_out"  # put the callee's number on the account's global DND list, say something, hang up
    HANG_UP = "hang_up"  # say something, hang up


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is said: exactly one of a text, perhaps with `{fields}`, and a recorded file's name."""

    text: str | None = field(default=None, repr=False)
    media: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """What happens after a key: `say` first, then `does`. `menu` is where GO_TO leads, `number` (E.164) whom TRANSFER
    connects."""

    does: Does
    say: tuple[Prompt, ...] = ()
    menu: str | None = None
    number: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Menu:
    """Prompts, and the keys that may be pressed during and after them. `timeout` in seconds after the last prompt."""

    prompts: tuple[Prompt, ...]
    keys: Mapping[str, Action]
    timeout: int = 5
    repeats: int = 1
    otherwise: Action = Action(Does.HANG_UP)


@dataclass(frozen=True, slots=True)
class Flow:
    """All menus, and the name of the first."""

    first: str
    menus: Mapping[str, Menu]
