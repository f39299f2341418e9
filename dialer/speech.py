"""How an announcement is spoken, and the number it seems to come from, as `cpaas-campaign-api.md` gives them in
"One Time Password" and "Create Campaign"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dialer.errors import FieldError
from dialer.numbers import NumberError, to_e164
from dialer.reading import Fields

VOLUMES = ("silent", "x-soft", "soft", "medium", "loud", "x-loud")
RATES = ("x-slow", "slow", "medium", "fast", "x-fast")
PITCHES = ("x-low", "low", "medium", "high", "x-high")
ENGINES = ("standard", "neural")
DEFAULT_VOICE = "Joanna"
DEFAULT_LANGUAGE = "en-US"
MOST_ANNOUNCEMENTS = 20

VOICE = re.compile(r"[A-Za-z][A-Za-z0-9_\-]{0,63}", re.ASCII)
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", re.ASCII)
_CALLER = re.compile(r"\+?[0-9]{3,15}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Speech:
    """How a text is spoken, and how many times in one call. Columns of the same names hold it."""

    repeat_count: int = 1
    voice: str = DEFAULT_VOICE
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    language_code: str = DEFAULT_LANGUAGE
    tts_engine_type: str = "standard"

    @classmethod
    def read(cls, fields: Fields) -> Speech:
        """Raises `FieldError`."""
        return cls(
            repeat_count=either(fields, "repeat", "repeat_count", 1, MOST_ANNOUNCEMENTS) or 1,
            voice=_matching(fields, "voice", VOICE, DEFAULT_VOICE, "a voice's name such as Joanna"),
            volume=fields.choice("volume", VOLUMES, "medium"),
            rate=fields.choice("rate", RATES, "medium"),
            pitch=fields.choice("pitch", PITCHES, "medium"),
            language_code=_matching(
                fields, "language_code", LANGUAGE, DEFAULT_LANGUAGE, "a language such as en-US"
            ),
            tts_engine_type=fields.choice("tts_engine_type", ENGINES, "standard"),
        )


def caller_number(fields: Fields, name: str) -> str:
    """The number to be shown to the callee, as it was given. Raises `FieldError`."""
    given = re.sub(r"[\s().\-]", "", fields.needed(name, longest=40))
    if not _CALLER.fullmatch(given):
        raise FieldError(name, f"{name} must be a phone number of 3 to 15 digits, with or without +.")
    return given


def e164_or_digits(caller_id: str, region: str | None) -> str:
    """E.164 where it is a phone number, else its digits: a short code, or a number of a private plan."""
    try:
        return to_e164(caller_id, region)
    except NumberError:
        return caller_id.removeprefix("+")


def either(fields: Fields, name: str, other: str, least: int, most: int) -> int | None:
    """A number with two names in the reference; both may be given when they agree."""
    first, second = fields.whole(name, least, most), fields.whole(other, least, most)
    if first is not None and second is not None and first != second:
        raise FieldError(name, f"{name} and {other} mean the same and differ: give one of them.")
    return second if first is None else first


def _matching(fields: Fields, name: str, pattern: re.Pattern[str], default: str, what: str) -> str:
    value = fields.text(name, longest=100)
    if value is None:
        return default
    value = "".join(value.split())
    if not pattern.fullmatch(value):
        raise FieldError(name, f"{name} must be {what}.")
    return value
