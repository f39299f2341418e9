"""Numbers that belong to nobody, by how the sandbox ends a call to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import phonenumbers

from dialer.demo.people import AREA_CODES

#: Endings without surprises on the way to the provider: the call is taken, answered or not, and its end is told.
PLAIN = tuple(f"{ending:02d}" for ending in (1, 2, 3, 11, 16, 20, *range(21, 100)))


def numbers(count: int, first: int = 0, endings: Sequence[str] = PLAIN) -> list[str]:
    """So many numbers, from the `first` on; always the same."""
    found = [f"+1{area}55501{ending}" for area in area_codes() for ending in endings]
    assert first + count <= len(found)
    return found[first : first + count]


@cache
def area_codes() -> list[str]:
    """All of the United States, in each of which 555-0100 to 555-0199 belong to nobody: the demo's first."""
    valid = [
        str(area)
        for area in range(200, 1000)
        if phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{area}5550100")) == "US"
    ]
    return [*AREA_CODES, *(area for area in valid if area not in AREA_CODES)]
