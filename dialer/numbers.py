"""Phone numbers: read into E.164, placed on the map of time zones, masked for logs."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import TypeAlias
from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumber, PhoneNumberFormat, ValidationResult
from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number
from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

from dialer import plans
from dialer.calls.window import known_zone

# Else each look at a pattern asks `re` for it, which keeps too few for a list of several countries.
phonenumbers.enable_pattern_cache()

LONGEST_INPUT = 40
#: Digits, with the country code and `00` before it.
_LONGEST_NUMBER = 20

_SCIENTIFIC = re.compile(r"[+-]?[0-9]+([.,][0-9]+)?[eE][+-]?[0-9]+", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9]+[.,]0*", re.ASCII)
# What people put between digits: blanks, dashes, dots, slashes, brackets. Letters and extensions are no numbers.
_WRITTEN = re.compile(r"\+?[\s(]*[0-9][0-9\s().\-/\u2010-\u2015\u00a0]*", re.ASCII)
_DIGITS = re.compile(r"[0-9]+", re.ASCII)
_NEVER = re.compile(r"(?!)").fullmatch


class NumberError(ValueError):
    """A text that is no phone number one can dial; `reason` says why and never repeats the number."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def to_e164(text: str, region: str | None) -> str:
    """`+79261234567` for a number written in any usual way. Raises `NumberError`.

    With `+` or `00` the number is international. Without, it is first read as a national number of `region`
    (ISO 3166, e.g. `IN`), then as an international one without its plus; without a region only the latter.
    """
    plain = _read_plain(text, region)
    if plain is not None:
        return plain
    written = text.strip().strip("\u200e\u200f\u202a\u202c\ufeff'\"").strip()
    _refuse_mangled(written)
    bare = "".join(_DIGITS.findall(written))
    if written.startswith("+"):
        return _valid("+" + bare, None)
    if region is not None:
        try:
            return _valid(bare, region.upper())
        except NumberError as national:
            return _international(bare, otherwise=national)
    return _international(bare, otherwise=None)


def digits(e164: str) -> str:
    """The number without its plus, as several providers want it."""
    return e164.removeprefix("+")


def mask(e164: str, key: bytes) -> str:
    """`+7926***4567#1f3a9c02`: for logs. The tag tells two numbers apart; without the key it leads nowhere."""
    tag = hmac.digest(key, e164.encode(), hashlib.sha256).hex()[:8]
    if len(e164) < 11:
        # So short that head and tail together would be nearly all of it.
        return f"{e164[:2]}***#{tag}"
    return f"{e164[:5]}***{e164[-4:]}#{tag}"


def zone_of(e164: str) -> str | None:
    """The IANA zone of a valid number when there is exactly one it can be, else None.

    Zones of one country that keep the same time count as one.
    """
    code, settled, is_sure = _of_prefix(e164[1 : 1 + TIMEZONE_LONGEST_PREFIX])
    if is_sure:
        return settled
    # The prefix points to one place of several. That holds for numbers bound to places, not for mobiles.
    is_geographic = plans.is_geographic(e164[1:])
    if is_geographic is None:
        return _settle(code, time_zones_for_number(phonenumbers.parse(e164)))
    return settled if is_geographic else _settle(code, _zones_of_prefix(str(code)))


def zones_of(e164: str) -> tuple[str, ...]:
    """The IANA zones that a valid number may be in, one for each time that is kept in them; none when nothing is known
    of it (a satellite telephone, say)."""
    settled = zone_of(e164)
    if settled is not None:
        return (settled,)
    code = _of_prefix(e164[1 : 1 + TIMEZONE_LONGEST_PREFIX])[0]
    places: tuple[str, ...] = ()
    if plans.is_geographic(e164[1:]) is not False:
        places = time_zones_for_number(phonenumbers.parse(e164))
    return _possible(code, places)


def read_all(texts: Sequence[str], region: str | None) -> tuple[list[str], list[str | None], dict[int, str]]:
    """`to_e164` and `zone_of` of each text, and by its place the reason of each that is no number (which stays empty).

    What the first digits and the length settle is looked up but once, so that a number in E.164 takes a microsecond.
    """
    e164s: list[str] = []
    zones: list[str | None] = []
    wrong: dict[int, str] = {}
    for text in texts:
        start, valid, geographic, zone, elsewhere = _beginning(text[: _reach(text[:4])], len(text))
        if valid(text, start) is not None:
            e164s.append(text)
            zones.append(zone if geographic is None or geographic(text, start) is not None else elsewhere)
            continue
        try:
            e164 = to_e164(text, region)
        except NumberError as error:
            wrong[len(e164s)] = error.reason
            e164s.append("")
            zones.append(None)
        else:
            e164s.append(e164)
            zones.append(zone_of(e164))
    return e164s, zones, wrong


#: Of a text: where the number begins after its country code, the test whether it is a valid one in E.164, the test
#: whether its place matters for the zone (None: it does), and the zones when it does and when it does not.
_Beginning: TypeAlias = tuple[int, plans.Test, plans.Test | None, str | None, str | None]


@lru_cache(maxsize=4096)
def _reach(head: str) -> int:
    """How many characters of a text that begins with these four its zone can depend on; four at least."""
    return max(4, 1 + _longest_prefixes().get(plans.country_code(head[1:]), 0)) if _is_e164(head) else 4


@cache
def _longest_prefixes() -> dict[str, int]:
    """How many digits zones depend on, by country code."""
    longest: dict[str, int] = {}
    for prefix in TIMEZONE_DATA:
        code = plans.country_code(prefix[:3])
        longest[code] = max(longest.get(code, 0), len(prefix))
    return longest


def _is_e164(head: str) -> bool:
    """Whether a number in E.164 could begin so."""
    return head.startswith("+") and head.isascii() and head[1:].isdigit()


@lru_cache(maxsize=65_536)
def _beginning(head: str, length: int) -> _Beginning:
    """What is known of a text by its first characters, `_reach` of them, and its length."""
    if length > 1 + _LONGEST_NUMBER or not _is_e164(head):
        return 0, _NEVER, None, None, None
    digits = head[1:]
    plan = plans.plan_for(digits, length - 1)
    code, settled, is_sure = _of_prefix(digits)
    if is_sure:
        return 1 + plan.code, plan.valid, None, settled, None
    return 1 + plan.code, plan.valid, plan.geographic, settled, _settle(code, _zones_of_prefix(str(code)))


def _read_plain(text: str, region: str | None) -> str | None:
    """The number when it is written in digits only and needs no interpretation, as nearly all numbers of a list."""
    bare = text.removeprefix("+")
    if len(bare) > _LONGEST_NUMBER or not (bare.isascii() and bare.isdigit()):
        return None
    if bare is not text:
        return text if plans.is_valid(bare) else None
    if region is None:
        bare = bare.removeprefix("00")
        return "+" + bare if plans.is_valid(bare) else None
    code = plans.code_within(region.upper(), bare)
    return None if code is None else f"+{code}{bare}"


def _refuse_mangled(written: str) -> None:
    if not written:
        raise NumberError("The number is empty.")
    if len(written) > LONGEST_INPUT:
        raise NumberError("The number is too long.")
    if _SCIENTIFIC.fullmatch(written):
        raise NumberError(
            "The number is in scientific notation, its last digits are lost: export the column as text."
        )
    if _DECIMAL.fullmatch(written):
        raise NumberError(
            "The number ends in a decimal point, as from a spreadsheet: export the column as text."
        )
    if not _WRITTEN.fullmatch(written):
        raise NumberError("The number holds characters that are not part of a phone number.")


def _international(bare: str, otherwise: NumberError | None) -> str:
    """`bare` with its country code but without a plus, perhaps with `00` before it."""
    try:
        return _valid("+" + bare.removeprefix("00"), None)
    except NumberError as wrong:
        if otherwise is not None:
            raise otherwise from None
        if bare.startswith("00"):
            raise
        raise NumberError(
            f"{wrong.reason} Without a default region it must begin with the country code."
        ) from None


_WHY_NOT_POSSIBLE = {
    ValidationResult.TOO_SHORT: "The number is too short.",
    ValidationResult.TOO_LONG: "The number is too long.",
    ValidationResult.INVALID_COUNTRY_CODE: "The number's country code does not exist.",
    ValidationResult.INVALID_LENGTH: "The number has a length that its country does not use.",
    ValidationResult.IS_POSSIBLE_LOCAL_ONLY: "The number lacks its area code.",
}
_WHY_NOT_PARSED = {
    NumberParseException.INVALID_COUNTRY_CODE: "The number's country code does not exist.",
    NumberParseException.TOO_SHORT_AFTER_IDD: "The number is too short.",
    NumberParseException.TOO_SHORT_NSN: "The number is too short.",
    NumberParseException.TOO_LONG: "The number is too long.",
}


def _valid(number: str, region: str | None) -> str:
    try:
        parsed = phonenumbers.parse(number, region)
    except NumberParseException as wrong:
        raise NumberError(_WHY_NOT_PARSED.get(wrong.error_type, "This is not a phone number.")) from None
    if phonenumbers.is_valid_number(parsed):
        return _e164(parsed)
    why = _WHY_NOT_POSSIBLE.get(phonenumbers.is_possible_number_with_reason(parsed))
    raise NumberError(why or "No such number is in use in its country.")


def _e164(parsed: PhoneNumber) -> str:
    return str(phonenumbers.format_number(parsed, PhoneNumberFormat.E164))


@lru_cache(maxsize=16_384)
def _of_prefix(prefix: str) -> tuple[int, str | None, bool]:
    """The country code of a number's first digits, the zone that they point to, and whether that holds anyway."""
    code = int(plans.country_code(prefix[:3]) or 0)
    settled = _settle(code, _zones_of_prefix(prefix))
    is_sure = (
        settled is None or len(_times_in(code)) == 1 or settled == _settle(code, _zones_of_prefix(str(code)))
    )
    return code, settled, is_sure


def _zones_of_prefix(prefix: str) -> tuple[str, ...]:
    """The zones of the longest prefix that is known."""
    ends = range(len(prefix), 0, -1)
    return next((tuple(TIMEZONE_DATA[prefix[:end]]) for end in ends if prefix[:end] in TIMEZONE_DATA), ())


@lru_cache(maxsize=4096)
def _settle(code: int, zones: tuple[str, ...]) -> str | None:
    """The one zone, spelled as in the tz database, that `zones` of a country code come down to.

    phonenumbers names the best known city with about the same time: Paris for Algiers, Bucharest for
    Kaliningrad, an hour off every summer. So its word is held against the zones that the tz database has for
    the country; a zone of the country with the same standard time corrects it.
    """
    if not zones or UNKNOWN_TIMEZONE in zones or not all(known_zone(zone) for zone in zones):
        return None
    own = _zones_in(code)
    if len(_times_in(code)) == 1:
        return own[0]
    times = {_time_kept(zone) for zone in zones}
    if len(times) != 1:
        return None
    if not own:
        return zones[0]
    same = [zone for zone in own if _time_kept(zone) in times]
    if same:
        return next((zone for zone in zones if zone in same), same[0])
    near = {_time_kept(zone): zone for zone in own if _winter(zone) == _winter(zones[0])}
    return next(iter(near.values())) if len(near) == 1 else None


@lru_cache(maxsize=4096)
def _possible(code: int, places: tuple[str, ...]) -> tuple[str, ...]:
    """The zones of these places of a country code, each corrected; of all that share the code when one is not known,
    or when there are none."""
    corrected = [_settle(code, (place,)) for place in places]
    known = tuple(zone for zone in corrected if zone is not None)
    zones = known if known and len(known) == len(places) else _zones_in(code)
    kept: dict[tuple[timedelta | None, ...], str] = {}
    for zone in zones:
        kept.setdefault(_time_kept(zone), zone)
    return tuple(kept.values())


@cache
def _zones_in(code: int) -> tuple[str, ...]:
    """The zones of all countries that share the country code, the main country's first."""
    by_country = _zones_by_country()
    return tuple(
        zone
        for country in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code, ())
        for zone in by_country.get(country, ())
    )


@cache
def _times_in(code: int) -> frozenset[tuple[timedelta | None, ...]]:
    return frozenset(_time_kept(zone) for zone in _zones_in(code))


@cache
def _zones_by_country() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text(encoding="utf-8")
    for line in table.splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            if known_zone(zone):
                found[country] = (*found.get(country, ()), zone)
    return found


# Two years that no rule in force today leaves out; past quirks of a zone do not matter for calls to come.
_SAMPLES = tuple(datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day) for day in range(730))


@cache
def _time_kept(zone: str) -> tuple[timedelta | None, ...]:
    """What the clocks of a zone do through two years: equal for zones that keep the same time."""
    info = ZoneInfo(zone)
    return tuple(at.astimezone(info).utcoffset() for at in _SAMPLES)


def _winter(zone: str) -> timedelta | None:
    return min(offset for offset in _time_kept(zone) if offset is not None)
