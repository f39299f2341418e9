"""Announcement texts with `{field}` places.

A place is a plain name, nothing else: no attributes, no indexes, no formats. Written twice, a brace stands for
itself: `{{` and `}}`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

LONGEST_TEXT = 5_000

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]{0,63})\}|[{}]", re.ASCII)
#: Control characters and halves of surrogate pairs go; what breaks a line becomes a blank.
_CLEANED = dict.fromkeys((*range(32), *range(127, 160), *range(55296, 57344))) | {
    ord(breaking): " " for breaking in "\t\n\v\f\r\x85\u2028\u2029"
}


class TemplateError(ValueError):
    """A text that cannot be announced. The message is one sentence with the mend."""


class MissingField(TemplateError):
    """A contact lacks the field that the text asks for."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"announcement_text needs the field {{{name}}}, which this contact does not have: add it."
        )
        self.name = name


@dataclass(frozen=True, slots=True)
class Template:
    """A text cut at its places: `literals[0]`, the value of `places[0]`, `literals[1]`, …"""

    literals: tuple[str, ...]
    places: tuple[str, ...]

    @classmethod
    def compile(cls, text: str) -> Template:
        """Raises `TemplateError` for a stray brace, a name that is none, or a text beyond 5,000 characters."""
        if len(text) > LONGEST_TEXT:
            raise TemplateError(
                f"announcement_text may have at most {LONGEST_TEXT:,} characters: shorten it."
            )
        literals, places = [""], []
        position = 0
        for token in _TOKEN.finditer(text):
            literals[-1] += text[position : token.start()]
            position = token.end()
            if token[1]:
                places.append(token[1])
                literals.append("")
            elif token[0] in ("{{", "}}"):
                literals[-1] += token[0][0]
            else:
                raise TemplateError(
                    f"announcement_text has a stray {token[0]} at character {token.start() + 1}: write a field as "
                    f"{{name}} in letters, digits and underscores, or {token[0] * 2} for the brace itself."
                )
        literals[-1] += text[position:]
        return cls(tuple(literals), tuple(places))

    @property
    def fields(self) -> tuple[str, ...]:
        """The names asked for, each once, in order of appearance."""
        return tuple(dict.fromkeys(self.places))

    def render(self, values: Mapping[str, str]) -> str:
        """The text for one contact, in Unicode NFC, without control characters from the values.

        Raises `MissingField`, and `TemplateError` when the result is beyond 5,000 characters.
        """
        parts = [self.literals[0]]
        for name, literal in zip(self.places, self.literals[1:], strict=True):
            value = values.get(name)
            if value is None:
                raise MissingField(name)
            parts.append(value.translate(_CLEANED))
            parts.append(literal)
        rendered = unicodedata.normalize("NFC", "".join(parts))
        if len(rendered) > LONGEST_TEXT:
            raise TemplateError(
                f"The announcement would have {len(rendered):,} characters, at most {LONGEST_TEXT:,} are allowed: "
                f"shorten the text or this contact's fields."
            )
        return rendered
