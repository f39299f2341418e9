"""`client.lists`: contacts, in lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dialer.client.answers import Added, Contact, List, ListWithFields
from dialer.client.bodies import NewContactBody
from dialer.client.group import PAGE_SIZE, Group


class Lists(Group):
    """Lists and their contacts."""

    def create(self, name: str) -> List:
        """Make a list."""
        return self._post(List, "lists", body={"name": name})

    def list(self, *, page_size: int = PAGE_SIZE) -> Iterator[List]:
        """All lists, by name."""
        return self._pages(List, "lists", page_size=page_size)

    def get(self, list_id: str, /) -> ListWithFields:
        """A list, and how many contacts have which field."""
        return self._get(ListWithFields, "lists", list_id)

    def rename(self, list_id: str, /, name: str) -> List:
        """Give a list another name."""
        return self._patch(List, "lists", list_id, body={"name": name})

    def delete(self, list_id: str, /) -> None:
        """Delete a list with its contacts."""
        self._delete("lists", list_id)

    def contacts(self, list_id: str, /, *, page_size: int = PAGE_SIZE) -> Iterator[Contact]:
        """All contacts of a list."""
        return self._pages(Contact, "lists", list_id, "contacts", page_size=page_size)

    def add_contacts(self, list_id: str, contacts: Sequence[NewContactBody], /) -> Added:
        """Add up to 10,000 contacts: the good ones are taken, of the others `errors` says why not."""
        return self._post(Added, "lists", list_id, "contacts", body={"contacts": contacts})

    def remove_contact(self, list_id: str, number: str, /) -> None:
        """Take a number off a list."""
        self._delete("lists", list_id, "contacts", number)
