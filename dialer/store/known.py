"""Which numbers a list may hold, in a few megabytes: most rows of a file need not be looked up in the list then."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

#: Places for marks at most: 16 MB.
MOST_PLACES = 1 << 27


class Known:
    """Marks for the numbers of one list, from its first on. A number whose place is not marked is not in the list; one
    whose place is marked may be another with the same place.

    Valid as long as nobody else adds to the list, which its last position tells. Numbers that are removed stay marked.
    """

    def __init__(self, places: int) -> None:
        """At least so many places, each an eighth of a byte: fifty for a number, and one in fifty is suspected in
        vain."""
        self._places = min(1 << max(places.bit_length(), 3), MOST_PLACES)
        self._marks: bytearray | None = bytearray(self._places >> 3)
        #: Of the list as it is known; positions begin with 1.
        self._last_position = 0

    def suspects(self, numbers: Sequence[str], last_position: int) -> Sequence[str]:
        """Those numbers that the list may hold, whose last position is this: all of them, once somebody else has added
        to it."""
        if last_position != self._last_position:
            self._marks = None
        marks, last = self._marks, self._places - 1
        if marks is None:
            return numbers
        return [one for one in numbers if marks[(place := hash(one) & last) >> 3] & (1 << (place & 7))]

    def take_in(self, numbers: Iterable[str], last_position: int) -> None:
        """These were added, and that is the list's last position now."""
        marks, last = self._marks, self._places - 1
        if marks is None:
            return
        for number in numbers:
            place = hash(number) & last
            marks[place >> 3] |= 1 << (place & 7)
        self._last_position = last_position
