"""Flows: what a call that asks for keys says, and where each key leads.

A flow is menus by name. Whoever answers hears the prompts of the first; a key leads to an action; no key, or one
without an action, says the prompts again until `repeats` is used up, and then does `otherwise`. `flow_form.py` reads
flows from JSON, `flow_steps.py` walks through them; docs/ivr-flows.md tells of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dialer.campaigns.template import Template


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
    connects, who hears `greeting` before they talk."""

    does: Does
    say: tuple[Prompt, ...] = ()
    menu: str | None = None
    number: str | None = field(default=None, repr=False)
    greeting: tuple[Prompt, ...] = ()


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

    def prompts(self) -> Iterator[tuple[str, Prompt]]:
        """Every prompt with the path to it, such as `menus.main.prompts.0`."""
        for name, menu in self.menus.items():
            yield from _numbered(f"menus.{name}.prompts", menu.prompts)
            for key, action in menu.keys.items():
                yield from _said_by(f"menus.{name}.keys.{key}", action)
            yield from _said_by(f"menus.{name}.otherwise", menu.otherwise)

    def transfers(self) -> frozenset[str]:
        """Every number (E.164) that it may connect somebody with."""
        actions = [one for menu in self.menus.values() for one in (*menu.keys.values(), menu.otherwise)]
        return frozenset(one.number for one in actions if one.number is not None)

    def greeting(self, prompt: Prompt) -> Flow:
        """This flow with something said before everything else."""
        first = self.menus[self.first]
        greeted = replace(first, prompts=(prompt, *first.prompts))
        return replace(self, menus={**self.menus, self.first: greeted})

    def greeted_with(self) -> tuple[Prompt, Flow]:
        """What `greeting` has put before everything else, and the flow without it."""
        first = self.menus[self.first]
        prompt, *others = first.prompts
        return prompt, replace(self, menus={**self.menus, self.first: replace(first, prompts=tuple(others))})

    def rendered(self, values: Mapping[str, str]) -> Flow:
        """The flow for one contact. Raises `TemplateError` when a text asks for a field that they do not have."""
        return replace(self, menus={name: _rendered_menu(menu, values) for name, menu in self.menus.items()})


def rendered_prompts(prompts: tuple[Prompt, ...], values: Mapping[str, str]) -> tuple[Prompt, ...]:
    """Prompts for one contact. Raises `TemplateError` when a text asks for a field that they do not have."""
    return tuple(
        one if one.text is None else Prompt(Template.of(one.text, "flow").render(values)) for one in prompts
    )


def _rendered_menu(menu: Menu, values: Mapping[str, str]) -> Menu:
    return replace(
        menu,
        prompts=rendered_prompts(menu.prompts, values),
        keys={key: _rendered_action(action, values) for key, action in menu.keys.items()},
        otherwise=_rendered_action(menu.otherwise, values),
    )


def _rendered_action(action: Action, values: Mapping[str, str]) -> Action:
    if not action.say and not action.greeting:
        return action
    say, greeting = (rendered_prompts(prompts, values) for prompts in (action.say, action.greeting))
    return replace(action, say=say, greeting=greeting)


def _said_by(path: str, action: Action) -> Iterator[tuple[str, Prompt]]:
    yield from _numbered(f"{path}.say", action.say)
    yield from _numbered(f"{path}.greeting", action.greeting)


def _numbered(path: str, prompts: tuple[Prompt, ...]) -> Iterator[tuple[str, Prompt]]:
    for place, prompt in enumerate(prompts):
        yield f"{path}.{place}", prompt
