"""Numbering plans: which digits are a valid number just as they stand, by the metadata of `phonenumbers`.

`phonenumbers` reads every number from the beginning: letters, extensions, prefixes, then one pattern after another.
The numbers of a list need little of that: they are a country code and a number, digits only. For those the patterns
of the installed `phonenumbers` are put together here, one per region and length, and kept: ten times as fast.

A plan says "surely valid, nothing to strip" or nothing at all. Whatever it says nothing about is left to
`phonenumbers`, so the answers are the same; `tests/unit/test_numbering_plans.py` holds the two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    PhoneMetadata,
    PhoneNumberDesc,
    PhoneNumberType,
    is_number_type_geographical,
)

#: Looks at a text from a place on.
Test: TypeAlias = Callable[[str, int], re.Match[str] | None]

_Whole: TypeAlias = Callable[[str], re.Match[str] | None]

_NOTHING = r"(?!)"


@dataclass(frozen=True, slots=True)
class Plan:
    """Numbers of one country code, which has `code` digits, and one length. The tests begin after the code, and end
    with the text."""

    code: int
    #: Surely valid, nothing to strip.
    valid: Test
    #: Of the valid: bound to a place, as mobiles mostly are not.
    geographic: Test


def plan_for(head: str, length: int) -> Plan:
    """The plan for numbers of `length` digits that begin, country code first, with the digits `head`, three or more."""
    code = country_code(head[:3])
    return _plan(code, length - len(code)) if code else NO_PLAN


def is_valid(digits: str) -> bool:
    """Whether `digits`, country code first, surely are a valid number; False when unsure."""
    plan = plan_for(digits, len(digits))
    return plan.valid(digits, plan.code) is not None


def code_within(region: str, digits: str) -> str | None:
    """The country code with which `digits`, as dialled within `region`, surely are a valid number, else None."""
    metadata = _metadata(region)
    if metadata is None:
        return None
    code, international, prefix, general = metadata
    # Digits that begin with the country code may have been written with it, unless the region has such numbers.
    if international(digits) or _is_prefixed(prefix, digits, 0) or not general(digits):
        return None
    return code if is_valid(code + digits) else None


def is_geographic(digits: str) -> bool | None:
    """Whether a number, country code first, is bound to a place; None when unsure."""
    plan = plan_for(digits, len(digits))
    return None if plan.valid(digits, plan.code) is None else plan.geographic(digits, plan.code) is not None


@cache
def country_code(head: str) -> str:
    """The country code that `head`, the first three digits, begins with; empty when there is none."""
    ends = (head[:length] for length in (1, 2, 3))
    return next((end for end in ends if end in _country_codes()), "")


@cache
def _country_codes() -> frozenset[str]:
    return frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))


@cache
def _plan(code: str, length: int) -> Plan:
    names = COUNTRY_CODE_TO_REGION_CODE[int(code)]
    found = [PhoneMetadata.metadata_for_region_or_calling_code(int(code), name) for name in names]
    known = [metadata for metadata in found if metadata is not None]
    valid = geographic = _NOTHING
    for metadata in reversed(known):
        own, bound = _patterns(metadata, length)
        if len(names) > 1 and metadata.leading_digits:
            # They settle that a number is of this region, valid or not.
            leads = f"(?:{metadata.leading_digits})"
            valid = f"(?:(?={leads}){own}|(?!{leads}){valid})"
            geographic = f"(?:(?={leads}){bound}|(?!{leads}){geographic})"
        else:
            valid = f"(?:{own}|{valid})"
            geographic = f"(?:(?={own}$){bound}|(?!{own}$){geographic})"
    return Plan(
        len(code),
        _unless_prefixed(known[0].national_prefix_for_parsing, valid),
        re.compile(geographic, re.ASCII).fullmatch,
    )


def _unless_prefixed(prefix: str | None, valid: str) -> Test:
    """The test for `valid`, unless something might have to be stripped."""
    if not prefix:
        return re.compile(valid, re.ASCII).fullmatch
    if not re.match(prefix, ""):
        return re.compile(f"(?!{prefix}){valid}", re.ASCII).fullmatch
    # It matches the empty text before any number: that strips nothing.
    strips, matches = re.compile(prefix).match, re.compile(valid, re.ASCII).fullmatch

    def test(text: str, start: int) -> re.Match[str] | None:
        return None if _is_prefixed(strips, text, start) else matches(text, start)

    return test


def _is_prefixed(prefix: Test | None, text: str, start: int) -> bool:
    found = prefix(text, start) if prefix is not None else None
    return found is not None and (found.end() > start or found.lastindex is not None)


def _patterns(metadata: PhoneMetadata, length: int) -> tuple[str, str]:
    """Numbers of one length in one region: those it has, and of these the ones bound to a place."""
    unbound = [
        *(metadata.premium_rate, metadata.toll_free, metadata.shared_cost, metadata.voip),
        *(metadata.personal_number, metadata.pager, metadata.uan, metadata.voicemail),
    ]
    fixed, mobile = [metadata.fixed_line], [metadata.mobile]
    if metadata.same_mobile_and_fixed_line_pattern:
        mobile = []
    code = metadata.country_code or 0
    bound = fixed + (mobile if is_number_type_geographical(PhoneNumberType.MOBILE, code) else [])
    general = f"(?={_any_of([metadata.general_desc], length)}$)"
    return (
        general + _any_of(unbound + fixed + mobile, length),
        f"{general}(?!{_any_of(unbound, length)}$){_any_of(bound, length)}",
    )


def _any_of(kinds: list[PhoneNumberDesc | None], length: int) -> str:
    """A pattern of all numbers of these kinds that have this length."""
    patterns = [
        kind.national_number_pattern
        for kind in kinds
        if kind is not None
        and kind.national_number_pattern
        # None given: those of the region's general pattern.
        and (not kind.possible_length or length in kind.possible_length)
    ]
    return f"(?:{'|'.join(f'(?:{one})' for one in dict.fromkeys(patterns))})" if patterns else _NOTHING


@cache
def _metadata(region: str) -> tuple[str, _Whole, Test | None, _Whole] | None:
    """Of a region: country code, international prefix, trunk prefix, and all numbers it might have."""
    if region == REGION_CODE_FOR_NON_GEO_ENTITY:
        return None
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None:
        return None
    lengths = metadata.general_desc.possible_length if metadata.general_desc is not None else ()
    general = "|".join(f"(?=.{{{one}}}$){_any_of([metadata.general_desc], one)}" for one in lengths)
    return (
        str(metadata.country_code),
        re.compile(metadata.international_prefix or _NOTHING).match,
        re.compile(metadata.national_prefix_for_parsing).match
        if metadata.national_prefix_for_parsing
        else None,
        re.compile(general or _NOTHING).fullmatch,
    )


#: Says nothing about any number.
NO_PLAN = Plan(0, re.compile(_NOTHING).fullmatch, re.compile(_NOTHING).fullmatch)
