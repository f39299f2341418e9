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
from functools import cache, lru_cache
from typing import TypeAlias

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    REGION_CODE_FOR_NON_GEO_ENTITY,
    PhoneMetadata,
    PhoneNumberDesc,
    PhoneNumberType,
    is_number_type_geographical,
)

_Test: TypeAlias = Callable[[str], re.Match[str] | None]

_NOTHING = r"(?!)"


@dataclass(frozen=True, slots=True)
class _Region:
    """Numbers of one length in one region: those it has, and of these the ones bound to a place.

    `leading` settles that a number is of this region, valid or not; without, a valid number is.
    """

    leading: _Test | None
    valid: _Test
    geographic: _Test


@dataclass(frozen=True, slots=True)
class _Plan:
    """Numbers of one country code, whose digits are `skipped`, and length; `prefix` is what may have to be stripped."""

    skipped: int
    prefix: _Test | None
    regions: tuple[_Region, ...]


def is_valid(digits: str) -> bool:
    """Whether `digits`, country code first, surely are a valid number; False when unsure."""
    return _region_of(_plan(digits[:3], len(digits)), digits) is not None


def code_within(region: str, digits: str) -> str | None:
    """The country code with which `digits`, as dialled within `region`, surely are a valid number, else None."""
    metadata = _metadata(region)
    if metadata is None:
        return None
    code, international, prefix, general = metadata
    # Digits that begin with the country code may have been written with it, unless the region has such numbers.
    if international(digits) or _is_prefixed(prefix, digits) or not general(digits):
        return None
    return code if is_valid(code + digits) else None


def is_geographic(digits: str) -> bool | None:
    """Whether a number, country code first, is bound to a place, as mobiles mostly are not; None when unsure."""
    plan = _plan(digits[:3], len(digits))
    region = _region_of(plan, digits)
    return None if region is None else region.geographic(digits[plan.skipped :]) is not None


@cache
def country_code(head: str) -> str:
    """The country code that `head`, the first three digits, begins with; empty when there is none."""
    ends = (head[:length] for length in (1, 2, 3))
    return next((end for end in ends if end in _country_codes()), "")


def _region_of(plan: _Plan, digits: str) -> _Region | None:
    """The region whose number this surely is."""
    number = digits[plan.skipped :]
    if plan.prefix is not None and _is_prefixed(plan.prefix, number):
        return None
    for region in plan.regions:
        if region.leading is None:
            if region.valid(number):
                return region
        elif region.leading(number):
            return region if region.valid(number) else None
    return None


def _is_prefixed(prefix: _Test | None, number: str) -> bool:
    """Whether something might have to be stripped: some patterns match the empty text before any number."""
    found = prefix(number) if prefix is not None else None
    return found is not None and (found.end() > 0 or found.lastindex is not None)


@cache
def _country_codes() -> frozenset[str]:
    return frozenset(map(str, COUNTRY_CODE_TO_REGION_CODE))


@lru_cache(maxsize=4096)
def _plan(head: str, length: int) -> _Plan:
    """The plan for numbers of `length` digits that begin with the three of `head`."""
    code = country_code(head)
    if not code:
        return _Plan(0, None, ())
    return _plan_of(code, length - len(code))


@cache
def _plan_of(code: str, length: int) -> _Plan:
    names = COUNTRY_CODE_TO_REGION_CODE[int(code)]
    found = [PhoneMetadata.metadata_for_region_or_calling_code(int(code), name) for name in names]
    known = [metadata for metadata in found if metadata is not None]
    regions = tuple(_region(metadata, length, is_alone=len(names) == 1) for metadata in known)
    return _Plan(len(code), _begins(known[0].national_prefix_for_parsing), regions)


def _region(metadata: PhoneMetadata, length: int, *, is_alone: bool) -> _Region:
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
    return _Region(
        None if is_alone else _begins(metadata.leading_digits),
        re.compile(general + _any_of(unbound + fixed + mobile, length)).fullmatch,
        re.compile(f"{general}(?!{_any_of(unbound, length)}$){_any_of(bound, length)}").fullmatch,
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


def _begins(pattern: str | None) -> _Test | None:
    return re.compile(pattern).match if pattern else None


@cache
def _metadata(region: str) -> tuple[str, _Test, _Test | None, _Test] | None:
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
        _begins(metadata.national_prefix_for_parsing),
        re.compile(general or _NOTHING).fullmatch,
    )
