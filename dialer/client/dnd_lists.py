"""`client.dnd_lists`: numbers that must not be called."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dialer.client.answers import Added, CheckedNumber, CheckedNumbers, DndList, DndListWithCount, DndNumber
from dialer.client.bodies import NewNumber
from dialer.client.group import PAGE_SIZE, Group


class DndLists(Group):
    """DND lists and their numbers."""

    def create(self, name: str) -> DndList:
        """Make a DND list."""
        return self._post(DndList, "dnd-lists", body={"name": name})

    def list(self, *, page_size: int = PAGE_SIZE) -> Iterator[DndList]:
        """All DND lists, by name."""
        return self._pages(DndList, "dnd-lists", page_size=page_size)

    def get(self, dnd_list_id: str, /) -> DndListWithCount:
        """A DND list, and how many numbers it has."""
        return self._get(DndListWithCount, "dnd-lists", dnd_list_id)

    def rename(self, dnd_list_id: str, /, name: str) -> DndList:
        """Give a DND list another name."""
        return self._patch(DndList, "dnd-lists", dnd_list_id, body={"name": name})

    def delete(self, dnd_list_id: str, /) -> None:
        """Delete a DND list with its numbers."""
        self._delete("dnd-lists", dnd_list_id)

    def numbers(self, dnd_list_id: str, /, *, page_size: int = PAGE_SIZE) -> Iterator[DndNumber]:
        """All numbers of a DND list."""
        return self._pages(DndNumber, "dnd-lists", dnd_list_id, "numbers", page_size=page_size)

    def add_numbers(self, dnd_list_id: str, numbers: Sequence[NewNumber], /) -> Added:
        """Add up to 10,000 numbers."""
        return self._post(Added, "dnd-lists", dnd_list_id, "numbers", body={"numbers": numbers})

    def remove_number(self, dnd_list_id: str, number: str, /) -> None:
        """Take a number off a DND list."""
        self._delete("dnd-lists", dnd_list_id, "numbers", number)

    def check(self, dnd_list_id: str, numbers: Sequence[str], /) -> Sequence[CheckedNumber]:
        """Which of these numbers stand on a DND list."""
        return self._post(CheckedNumbers, "dnd-lists", dnd_list_id, "check", body={"numbers": numbers})[
            "data"
        ]
