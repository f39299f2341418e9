"""Numbers that belong to nobody, by how the sandbox ends a call to them."""

from __future__ import annotations

from collections.abc import Sequence

from dialer.demo.people import AREA_CODES

#: Endings without surprises on the way to the provider: the call is taken, answered or not, and its end is told.
PLAIN = tuple(f"{ending:02d}" for ending in (1, 2, 3, 11, 16, 20, *range(21, 100)))


def numbers(count: int, first: int = 0, endings: Sequence[str] = PLAIN) -> list[str]:
    """So many numbers, from the `first` on; always the same."""
    found = [f"+1{area}55501{ending}" for area in AREA_CODES for ending in endings]
    assert first + count <= len(found)
    return found[first : first + count]
