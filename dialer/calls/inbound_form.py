"""What a rule for calls that come in may say, as `/v1/inbound-rules` is asked for it and as its row holds it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dialer.calls.talk_form import LONGEST_FILE, LONGEST_TEXT
from dialer.errors import FieldError
from dialer.media import check_provider_name
from dialer.models.inbound import InboundAction
from dialer.numbers import NumberError, to_e164
from dialer.reading import Fields

#: Of one rule.
MOST_NUMBERS = 20
#: For how long a number is rung: by itself, or together with others, where MTT recommends 55 to 60 seconds
#: (`mtt-telecom-api.md`, "TIMEOUT").
SECONDS, AT_ONCE_SECONDS = 30, 60
#: Keys of a telephone, and the two waits.
KEYS = re.compile(r"[0-9*#wW]{1,64}")

_CONNECTS = frozenset({InboundAction.CONNECT, InboundAction.CONNECT_ALL})
_RINGS = _CONNECTS | {InboundAction.CALL_BACK}
#: What goes with connecting at once, with ringing anybody, and with calling back.
_OF_CONNECTING = ("hide_caller", "press")
_OF_RINGING = ("greet_say", "greet_play", "record")
_OF_CALLING_BACK = ("back_say", "back_play")
#: Columns that are called otherwise there.
_COLUMNS = {
    "say": "text",
    "play": "media",
    "greet_say": "greeting_text",
    "greet_play": "greeting_media",
    "back_say": "back_text",
    "back_play": "back_media",
    "language": "language_code",
}


def read(given: Mapping[str, Any], e164: str, region: str | None) -> dict[str, Any]:
    """The columns of the rule of this number, from all fields of the form, of their types and within their limits.
    Numbers without a country code are of `region` (ISO 3166). Raises `FieldError`."""
    action = InboundAction(given["action"])
    texts = {
        **_prompt(given, "say", "play"),
        **_prompt(given, "greet_say", "greet_play"),
        **_prompt(given, "back_say", "back_play"),
    }
    is_heard = texts["say"] is not None or texts["play"] is not None
    if action is InboundAction.ANNOUNCE and not is_heard:
        raise FieldError(
            "say", "say and play are both missing: ANNOUNCE needs something that the caller hears."
        )
    if action is InboundAction.REFUSE and is_heard:
        name = "say" if texts["say"] is not None else "play"
        raise FieldError(
            name, f"{name}: a call that is refused hears nothing; leave it out, or choose ANNOUNCE."
        )
    if given["answer_first"] and not is_heard:
        raise FieldError(
            "answer_first", "answer_first goes with say or play: give one of them, or leave it out."
        )
    for names, actions, said in (
        (_OF_CONNECTING, _CONNECTS, "CONNECT and CONNECT_ALL"),
        (_OF_RINGING, _RINGS, "CONNECT, CONNECT_ALL and CALL_BACK"),
        (_OF_CALLING_BACK, {InboundAction.CALL_BACK}, "CALL_BACK"),
    ):
        for name in names:
            if given[name] and action not in actions:
                raise FieldError(name, f"{name} goes with {said}: leave it out.")
    press = given["press"]
    if press is not None and not KEYS.fullmatch(press):
        raise FieldError("press", "press must be keys of a telephone, w and W for waits, 64 at most.")
    usual = given["ring_seconds"] or (AT_ONCE_SECONDS if action is InboundAction.CONNECT_ALL else SECONDS)
    columns = {
        **given,
        "ring_seconds": usual,
        **texts,
        "action": action.value,
        "numbers": _numbers(given["numbers"], action, e164, region, usual),
    }
    return {_COLUMNS.get(name, name): value for name, value in columns.items()}


def shown(rule: Any) -> dict[str, Any]:
    """The form's fields of a rule, a row."""
    names = {column: name for name, column in _COLUMNS.items()}
    columns = (
        *(
            "action",
            "numbers",
            "text",
            "media",
            "answer_first",
            "ring_seconds",
            "greeting_text",
            "greeting_media",
            "back_text",
            "back_media",
        ),
        *("hide_caller", "press", "language_code", "voice", "record"),
    )
    return {names.get(column, column): getattr(rule, column) for column in columns}


def _prompt(given: Mapping[str, Any], say: str, play: str) -> dict[str, str | None]:
    """A text or a recorded file, or neither."""
    fields = Fields(given)
    text = fields.text(say, longest=LONGEST_TEXT, keep_lines=True) or None
    media = fields.text(play, longest=LONGEST_FILE) or None
    if text is not None and media is not None:
        raise FieldError(play, f"{play} and {say} are both given: give one of them.")
    if media is not None:
        check_provider_name(play, media)
    return {say: text, play: media}


def _numbers(
    given: Sequence[str | Mapping[str, Any]], action: InboundAction, e164: str, region: str | None, usual: int
) -> list[str | dict[str, Any]]:
    """Whom the caller is connected with, as the row has them: E.164, with seconds where those are not the usual."""
    found: list[tuple[str, int]] = []
    for place, one in enumerate(given):
        name = f"numbers.{place}"
        written, own = (one, usual) if isinstance(one, str) else (one["number"], one["seconds"])
        try:
            number = to_e164(written, region)
        except NumberError as error:
            raise FieldError(name, f"{name}: {error.reason}") from None
        if number == e164:
            raise FieldError(name, f"{name} is the number that is called itself: give another.")
        if any(number == other and own != seconds for other, seconds in found):
            raise FieldError(name, f"{name} stands there twice: it is rung for one time alone, give it that.")
        found.append((number, own))
    if found and action not in _RINGS:
        raise FieldError("numbers", f"numbers: nobody is rung by {action}; leave it out, or choose CONNECT.")
    if not found and action in _RINGS:
        raise FieldError("numbers", f"numbers is missing: {action} needs whom the caller is to talk to.")
    return [number if own == usual else {"number": number, "seconds": own} for number, own in found]
