"""One step through a flow: what to answer when keys were pressed, or none were.

Pure: the same flow, state and keys give the same step, so that a question asked twice gets the same answer, and
whoever consumes the event later sees what was done. Where a call stands in its flow travels with the provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.providers.live import Answer, Collect, Connect

#: Answers that one call gets from its flow; then it is hung up, wherever it stands.
MOST_STEPS = 100
HANG_UP = Answer()

#: Names in the state: the menu last said, how often it was said again, how many answers there were; `OVER` after the
#: last.
MENU, AGAIN, STEPS, OVER = "menu", "again", "steps", "over"
#: Beside these, of a call that was asked to wait because nobody knew in time what to answer: how often, and the keys
#: that wait with it.
WAITS, PRESSED = "waits", "pressed"


@dataclass(frozen=True, slots=True)
class Effects:
    """What a step does besides answering: `key` is the one that counted, empty for none; `opt_out`: the callee's number
    is to go on the account's global DND list; `transfer` is the number (E.164) that the callee is connected with."""

    key: str = ""
    opt_out: bool = False
    transfer: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """An answer, and what else comes of it."""

    answer: Answer
    effects: Effects = Effects()


@dataclass(frozen=True, slots=True)
class _Place:
    menu: str
    again: int
    steps: int


def at_first_menu(flow: Flow) -> dict[str, Any]:
    """The state of a call whose first menu has been said."""
    return _state(_Place(flow.first, 0, 1))


def next_answer(flow: Flow, state: Mapping[str, Any], keys: str) -> Step:
    """What to answer now. `state` is that of the last answer, empty before the first; `keys` were pressed since. Of
    several keys the first counts: whoever presses twice means once.

    Never raises: a state that is none of ours, or whose call has had `MOST_STEPS`, hangs up.
    """
    pressed = state.get(PRESSED)
    keys = keys or (pressed if isinstance(pressed, str) else "")
    if not has_begun(state):
        return Step(_say_menu(flow, _Place(flow.first, 0, 0)))
    place = _read(flow, state)
    if place is None:
        return Step(HANG_UP)
    menu = flow.menus[place.menu]
    key = keys[:1]
    action = menu.keys.get(key)
    if action is not None:
        return _do(flow, place, action, key)
    if place.again < menu.repeats:
        answer = _say_menu(flow, _Place(place.menu, place.again + 1, place.steps))
        return Step(answer, Effects(key))
    return _do(flow, place, menu.otherwise, key)


def has_begun(state: Mapping[str, Any]) -> bool:
    """Whether anything has been said: there is more in the state than that the call was asked to wait."""
    return bool(state.keys() - {WAITS, PRESSED})


def may_opt_out(flow: Flow, keys: str) -> bool:
    """Whether somebody who has pressed these keys, in this order and from the first menu on, may have pressed the one
    that opts out, where the provider does not ask us what follows a key. What was not pressed is not told: all menus
    that silence leads to count."""
    at = _with_silence(flow, {flow.first})
    for key in keys:
        after: set[str] = set()
        for name in at:
            action = flow.menus[name].keys.get(key)
            if action is None or action.does is Does.REPEAT:
                after.add(name)
            elif action.does is Does.OPT_OUT:
                return True
            elif action.does is Does.GO_TO and action.menu is not None:
                after.add(action.menu)
        at = _with_silence(flow, after)
    return False


def _with_silence(flow: Flow, menus: set[str]) -> set[str]:
    """These menus, and those that are come to by pressing nothing."""
    reached: set[str] = set()
    to_visit = sorted(menus)
    while to_visit:
        name = to_visit.pop()
        if name in flow.menus and name not in reached:
            reached.add(name)
            silent = flow.menus[name].otherwise
            if silent.does is Does.GO_TO and silent.menu is not None:
                to_visit.append(silent.menu)
    return reached


def _do(flow: Flow, place: _Place, action: Action, key: str) -> Step:
    if action.does is Does.GO_TO and action.menu is not None and action.menu in flow.menus:
        return Step(_say_menu(flow, _Place(action.menu, 0, place.steps), action.say), Effects(key))
    if action.does is Does.REPEAT:
        return Step(_say_menu(flow, _Place(place.menu, 0, place.steps), action.say), Effects(key))
    if action.does is Does.TRANSFER and action.number is not None:
        answer = Answer(
            say=action.say, connect=Connect((action.number,), greeting=action.greeting), state={OVER: True}
        )
        return Step(answer, Effects(key, transfer=action.number))
    effects = Effects(key, opt_out=bool(key) and action.does is Does.OPT_OUT)
    return Step(Answer(say=action.say, state={OVER: True}), effects)


def _say_menu(flow: Flow, place: _Place, before: tuple[Prompt, ...] = ()) -> Answer:
    if place.steps >= MOST_STEPS:
        return HANG_UP
    menu: Menu = flow.menus[place.menu]
    return Answer(
        say=(*before, *menu.prompts),
        collect=Collect(digits=1, timeout=menu.timeout),
        state=_state(_Place(place.menu, place.again, place.steps + 1)),
    )


def _state(place: _Place) -> dict[str, Any]:
    return {MENU: place.menu, AGAIN: place.again, STEPS: place.steps}


def _read(flow: Flow, state: Mapping[str, Any]) -> _Place | None:
    menu, again, steps = state.get(MENU), _count(state.get(AGAIN)), _count(state.get(STEPS))
    if not isinstance(menu, str) or menu not in flow.menus or again is None or steps is None:
        return None
    return _Place(menu, again, steps)


def _count(value: Any) -> int | None:
    """A count as we wrote it; a provider may have made a text of it."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_STEPS:
        return None
    return value
