"""Values out of a decoded JSON object, where every value may be a string, a number, or left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from dialer.errors import FieldError

LONGEST_TEXT = 10_000


class Fields:
    """A JSON object read field by field. Every reader raises `FieldError` with a sentence that names the field.

    A field that is null or an empty text counts as left out.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def raw(self, *names: str) -> Any:
        """The value of the first of `names` that was given; None when none was."""
        for name in names:
            value = self._given.get(name)
            if value is not None and not (isinstance(value, str) and not value.strip()):
                return value
        return None

    def text(self, name: str, *, longest: int = LONGEST_TEXT, keep_lines: bool = False) -> str | None:
        """A text without blanks around it."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise FieldError(name, f"{name} must be a text.")
        text = str(value).strip()
        if len(text) > longest:
            raise FieldError(name, f"{name} may have at most {longest:,} characters: shorten it.")
        if not all(one.isprintable() or (keep_lines and one in "\r\n\t") for one in text):
            raise FieldError(name, f"{name} holds control characters: remove them.")
        return text

    def needed(self, name: str, *, longest: int = LONGEST_TEXT) -> str:
        """A text that must be there."""
        text = self.text(name, longest=longest)
        if text is None:
            raise FieldError(name, f"{name} is missing: give it in the request's body.")
        return text

    def identifier(self, name: str) -> str:
        """An id that must be there; blanks in and around it do not count."""
        return "".join(self.needed(name, longest=100).split())

    def whole(self, name: str, least: int, most: int) -> int | None:
        """A whole number from `least` to `most`, as a number or in digits."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, str) and len(value) < 20:
            digits = value.strip().removeprefix("+")
            value = int(digits) if digits.isascii() and digits.isdigit() else value
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise FieldError(name, f"{name} must be a whole number from {least:,} to {most:,}.")
        return value

    def choice(self, name: str, allowed: Collection[str], default: str) -> str:
        """One of `allowed`, in any case and with blanks anywhere."""
        value = self.text(name, longest=100)
        if value is None:
            return default
        word = "".join(value.split()).lower()
        if word not in allowed:
            raise FieldError(name, f"{name} must be one of {', '.join(allowed)}.")
        return word
