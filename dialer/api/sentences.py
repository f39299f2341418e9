"""What is wrong with a value of a request, in our words: pydantic's are for programmers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: By pydantic's type of error; `{…}` stand for what it tells besides.
_WORDS = {
    "missing": "is missing: give it",
    "extra_forbidden": "there is no such field here: check its name, or leave it out",
    "string_type": "must be a text, in quotes",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "may have at most {max_length} characters",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "dict_type": "must be an object such as {{…}}",
    "model_type": "must be an object such as {{…}}",
    "model_attributes_type": "must be an object such as {{…}}",
    "list_type": "must be a list such as […]",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "may be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "timezone_aware": "needs an offset from UTC: end it with one such as +02:00, or with Z for UTC",
    "datetime_type": "must be a time such as 2026-09-25T14:05:00Z",
    "datetime_parsing": "must be a time such as 2026-09-25T14:05:00Z",
    "datetime_from_date_parsing": "must be a time such as 2026-09-25T14:05:00Z",
}
_PATTERN = "string_pattern_mismatch"
#: How a pattern begins that only keeps control characters out.
_NO_CONTROLS = r"^[^\x00"


def place(location: Sequence[Any]) -> str:
    """Where a value stands, without the part of the request it stands in: `contacts.3.number`."""
    inner = [str(one) for one in location if one not in ("body", "query", "path", "header")]
    return ".".join(inner) or str(location[-1])


def sentence(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors: the field, and how to mend it."""
    return f"{place(error['loc'])}: {_mend(error)}."


def _mend(error: Mapping[str, Any]) -> str:
    kind, told = error["type"], error.get("ctx", {})
    if kind == "too_short":
        return (
            "must have at least one"
            if told["min_length"] == 1
            else f"must have at least {told['min_length']}"
        )
    if kind == "too_long":
        return f"may have at most {told['max_length']:,}: send the others in another request"
    if kind == _PATTERN:
        if told["pattern"].startswith(_NO_CONTROLS):
            return "must not be empty, nor hold control characters such as line breaks"
        return f"holds what cannot stand here: it must be of the form {told['pattern']}"
    if kind in _WORDS:
        return _WORDS[kind].format(**told)
    return str(error["msg"]).removeprefix("Value error, ").rstrip(".")
