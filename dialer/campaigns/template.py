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
#: Where a text stands, unless told otherwise.
ANNOUNCEMENT = "announcement_text"

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_]{0,63})\}|[{}]", re.ASCII)
#: Control characters and halves of surrogate pairs go; what breaks a line becomes a blank.
_CLEANED = dict.fromkeys((*range(32), *range(127, 160), *range(55296, 57344))) | {
    ord(breaking): " " for breaking in "\t\n\v\f\r\x85\u2028\u2029"
}


class TemplateError(ValueError):
    """A text that cannot be announced. The message is one sentence with the mend."""


class MissingField(TemplateError):
    """A contact lacks the field that the text asks for."""

    def __init__(self, name: str, where: str = ANNOUNCEMENT) -> None:
        super().__init__(f"{where} needs the field {{{name}}}, which this contact does not have: add it.")
        self.name = name


@dataclass(frozen=True, slots=True)
class Template:
    """A text cut at its places: `literals[0]`, the value of `places[0]`, `literals[1]`, … `where` is the field that
    holds it, for the errors."""

    literals: tuple[str, ...]
    places: tuple[str, ...]
    where: str = ANNOUNCEMENT

    @classmethod
    def of(cls, text: str, where: str = ANNOUNCEMENT) -> Template:
        """`compile`, remembered: the same few texts are rendered for everybody."""
        known = _known.get((text, where))
        if known is None:
            if len(_known) > 200:
                _known.clear()
            known = _known[text, where] = cls.compile(text, where)
        return known

    @classmethod
    def compile(cls, text: str, where: str = ANNOUNCEMENT) -> Template:
        """Raises `TemplateError` for a stray brace, a name that is none, or a text beyond 5,000 characters."""
        if len(text) > LONGEST_TEXT:
            raise TemplateError(f"{where} may have at most {LONGEST_TEXT:,} characters: shorten it.")
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
                    f"{where} has a stray {token[0]} at character {token.start() + 1}: write a field as "
                    f"{{name}} in letters, digits and underscores, or {token[0] * 2} for the brace itself."
                )
        literals[-1] += text[position:]
        return cls(tuple(literals), tuple(places), where)

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
                raise MissingField(name, self.where)
            parts.append(value.translate(_CLEANED))
            parts.append(literal)
        rendered = unicodedata.normalize("NFC", "".join(parts))
        if len(rendered) > LONGEST_TEXT:
            raise TemplateError(
                f"The announcement would have {len(rendered):,} characters, at most {LONGEST_TEXT:,} are allowed: "
                f"shorten the text or this contact's fields."
            )
        return rendered


_known: dict[tuple[str, str], Template] = {}
