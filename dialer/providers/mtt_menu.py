"""A flow in MTT's words: the `dtmf` of a call that asks for keys (`mtt-telecom-api.md`, "dtmf").

MTT knows one menu: a text, and for each of the keys 1 to 9 that it is told of (`notify`) or connects with a number
(`transfer`). After a key that it only tells of it says words of its own and hangs up, as it does without a key.
Of a menu that notes whatever digit is pressed it is asked for those: 0 then means as little as no key.
"""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping

from dialer.calls.flow import Action, Does, Flow, Menu
from dialer.numbers import digits

#: Parameter `dtmf_id`: "a whole number from 1 to 9".
KEYS = "123456789"
#: Parameter `value` of a transfer: "strictly 11 digits".
NUMBER_LENGTH = 11
#: Parameter `langCode` of calls that ask for keys.
LANGUAGES = frozenset({"ru-RU", "en-US", "tr-TR"})

#: What MTT does by itself after a key that it tells of: it says good bye and hangs up.
_LAST = frozenset({Does.NOTIFY, Does.OPT_OUT, Does.HANG_UP})


def why_not(flow: Flow) -> list[str]:
    """Why MTT cannot walk through a flow, a sentence for each place that it cannot."""
    return list(_problems(flow))


def text_of(flow: Flow) -> str:
    """All that is said before a key, once."""
    return " ".join(prompt.text for prompt in flow.menus[flow.first].prompts if prompt.text)


def dtmf_of(flow: Flow, notify_url: str) -> list[dict[str, str]]:
    """The `dtmf` of a flow that `why_not` has nothing against; `notify_url` is where keys are told to."""
    return [
        {"dtmf_id": key, "type": "transfer", "value": digits(action.number)}
        if action.number is not None
        else {"dtmf_id": key, "type": "notify", "value": notify_url}
        for key, action in sorted(_keys_of(flow.menus[flow.first]).items())
    ]


def _keys_of(menu: Menu) -> Mapping[str, Action]:
    """What MTT is asked for: without the 0 of a menu that notes every digit alike."""
    is_noting = all(menu.keys.get(digit) == Action(Does.NOTIFY) for digit in string.digits)
    return {key: action for key, action in menu.keys.items() if not (is_noting and key == "0")}


def _problems(flow: Flow) -> Iterator[str]:
    menu = flow.menus[flow.first]
    at = f"flow.menus.{flow.first}"
    for place, prompt in enumerate(menu.prompts):
        if prompt.text is None:
            yield f"MTT plays no recorded file before it asks for keys ({at}.prompts.{place}): use a text."
    for key, action in _keys_of(menu).items():
        if key not in KEYS:
            yield f"MTT knows the keys 1 to 9, not {key} ({at}.keys.{key}): choose another."
        if action.does not in _LAST | {Does.TRANSFER}:
            yield (
                f"MTT knows one menu, said once, so no key can lead to one ({at}.keys.{key}, {action.does}): "
                f"use notify, transfer, opt_out or hang_up."
            )
        yield from _problems_of(f"{at}.keys.{key}", action)
    if menu.otherwise.does not in _LAST:
        yield f"MTT hangs up when no key is pressed ({at}.otherwise, {menu.otherwise.does}): use hang_up."
    yield from _problems_of(f"{at}.otherwise", menu.otherwise)


def _problems_of(path: str, action: Action) -> Iterator[str]:
    if action.say:
        yield f"MTT says words of its own after a key ({path}.say): leave it out."
    if action.greeting:
        yield f"MTT says nothing to whom somebody is connected with ({path}.greeting): leave it out."
    if action.number is not None and len(digits(action.number)) != NUMBER_LENGTH:
        yield f"MTT connects with numbers of exactly {NUMBER_LENGTH} digits ({path}.number): give another one."
