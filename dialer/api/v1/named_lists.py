"""What lists of people to call and DND lists have in common: made, paged, renamed and deleted under names of an
account's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.exc import IntegrityError

from dialer.api.v1.caller import Caller
from dialer.api.v1.page import Page, page_of, read_text
from dialer.api.v1.tools import Tools
from dialer.db import reading, writing
from dialer.errors import Conflict, NotFound
from dialer.store import audit, imports, lists
from dialer.store.tables import AnyRow

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class NamedLists:
    """One of the two: its table, its `noun` for people and its `word` for fields and the audit log."""

    table: Table
    noun: str
    word: str
    #: Makes one: IntegrityError when the name is taken.
    add: Callable[[Connection, str, str, datetime], str]
    #: Which list of an account an id means: `global` is a word for one.
    id_of: Callable[[Connection, str, str], str] = lambda _, __, list_id: list_id

    def create(self, caller: Caller, tools: Tools, name: str) -> AnyRow:
        """A new list. Raises `Conflict` when the name is taken."""
        now = tools.now
        with self._named(tools) as connection:
            list_id = self.add(connection, caller.account_id, name, now)
            self.note(connection, caller, "create", list_id, now, name=name)
            return self.found(connection, caller, list_id)

    def page(
        self, caller: Caller, tools: Tools, limit: int, cursor: str | None, show: Callable[[AnyRow], ItemT]
    ) -> Page[ItemT]:
        """The account's lists, by name."""
        after = read_text(cursor)
        with reading(tools.engine) as connection:
            rows = lists.of_account(connection, self.table, caller.account_id, limit + 1, after)
        return page_of(rows, limit, show, "name")

    def rename(
        self,
        caller: Caller,
        tools: Tools,
        list_id: str,
        name: str,
        check: Callable[[AnyRow], None] = lambda _: None,
    ) -> AnyRow:
        """The list under another name, unless `check` raises. Raises `NotFound`, and `Conflict` when the name is
        taken."""
        now = tools.now
        with self._named(tools) as connection:
            held = self.held(connection, caller, list_id)
            check(held)
            lists.rename(connection, self.table, caller.account_id, held.id, name)
            self.note(connection, caller, "rename", held.id, now, **{"from": held.name, "to": name})
            return self.found(connection, caller, held.id)

    def delete(
        self,
        caller: Caller,
        tools: Tools,
        list_id: str,
        check: Callable[[Connection, AnyRow], None],
        detail: Callable[[AnyRow], dict[str, Any]],
    ) -> None:
        """Delete a list, unless `check` raises or a file still fills it; `detail` is what the audit log keeps of it.
        Raises `NotFound` and `Conflict`."""
        now = tools.now
        with writing(tools.engine) as connection:
            held = self.held(connection, caller, list_id)
            check(connection, held)
            if imports.is_running_for(connection, held.id):
                raise self.conflict("a file is being imported into this list; cancel that first.")
            lists.delete(connection, self.table, caller.account_id, held.id, now)
            self.note(connection, caller, "delete", held.id, now, **detail(held))

    def found(self, connection: Connection, caller: Caller, list_id: str) -> AnyRow:
        """A list of the account. Raises `NotFound`."""
        own_id = self.id_of(connection, caller.account_id, list_id)
        return self._there(lists.get(connection, self.table, caller.account_id, own_id))

    def held(self, connection: Connection, caller: Caller, list_id: str) -> AnyRow:
        """The same, locked."""
        own_id = self.id_of(connection, caller.account_id, list_id)
        return self._there(lists.lock(connection, self.table, caller.account_id, own_id))

    def note(
        self, connection: Connection, caller: Caller, verb: str, list_id: str, now: datetime, **detail: Any
    ) -> None:
        """Write into the audit log what was done to a list."""
        audit.add(connection, caller.account_id, caller.actor, f"{self.word}.{verb}", list_id, now, **detail)

    def conflict(self, why: str) -> Conflict:
        """That something cannot be done to this list."""
        return Conflict(f"{self.word}_id", f"{self.word}_id: {why}")

    @contextmanager
    def _named(self, tools: Tools) -> Iterator[Connection]:
        try:
            with writing(tools.engine) as connection:
                yield connection
        except IntegrityError:
            raise Conflict(
                "name", f"name is taken by another {self.noun} of this account: choose another name."
            ) from None

    def _there(self, row: AnyRow | None) -> AnyRow:
        if row is None:
            raise NotFound(
                f"{self.word}_id", f"{self.word}_id: this account has no such {self.noun}; check the id."
            )
        return row
