"""What adapters read callbacks and numbers with."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl

from dialer.providers.contract import EventError, RawEvent, json_object

MAX_FIELDS = 200  # of a callback


def digits(number: str) -> str:
    """The digits of a number: E.164 without the plus, as most providers want it."""
    plain = number.removeprefix("+")
    if plain.isascii() and plain.isdigit():
        return plain
    return "".join(c for c in number if c.isascii() and c.isdigit())


def event_fields(raw: RawEvent) -> dict[str, str]:
    """The parameters of a callback, wherever the provider put them: URL, form or JSON object. Never raises.

    A field given twice counts once, the URL's first.
    """
    if not raw.body:
        return _pairs(raw.query)
    decoded = json_object(raw.body)
    if decoded is not None:
        fields = {key: _plain(value) for key, value in decoded.items()}
    else:
        fields = _pairs(raw.body.decode("utf-8", "replace"))
    fields.update(_pairs(raw.query))
    return fields


def checked_reference(value: str) -> str:
    """`value` when it can be an attempt's id, else EventError: nonsense must not reach the tables."""
    if not value:
        raise EventError("the callback holds no reference")
    if len(value) > 64 or not value.isascii() or not value.isprintable():
        raise EventError("the callback's reference is not one of ours")
    return value


def seconds(value: str) -> float | None:
    """A length in seconds, or None when it is not a number from 0 to a day."""
    try:
        length = float(value)
    except ValueError:
        return None
    return length if 0 <= length <= 86400 else None


def _pairs(encoded: str) -> dict[str, str]:
    if "%" not in encoded and "+" not in encoded and encoded.count("&") < MAX_FIELDS:
        # As below, in a third of the time: nothing is to be decoded.
        plain = [part.partition("=") for part in encoded.split("&") if part]
        return {name: value for name, _, value in reversed(plain)}
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)
