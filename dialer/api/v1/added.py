"""What became of rows that were sent in JSON: contacts and numbers for DND lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

from dialer.imports.rows import RowError, clean
from dialer.store.contacts import NewContact

MOST_ROWS = 10_000
LONGEST_SHOWN = 100

RowT = TypeVar("RowT")


class RefusedRow(BaseModel):
    """A row that was not taken."""

    index: int = Field(description="its place in the array that was sent, from 0")
    column: str
    value: str = Field(description="as it was sent, at most 100 characters")
    code: str = Field(description="`invalid` or `duplicate`")
    reason: str


class Added(BaseModel):
    """What became of the rows: each is counted once."""

    accepted: int
    duplicate: int = Field(description="the number is in the list already")
    invalid: int
    suppressed: int = Field(
        description="taken, but on the account's global DND list: not dialled while they stand there"
    )
    errors: list[RefusedRow]


@dataclass(slots=True)
class Checked(Generic[RowT]):
    """The good rows as contacts, each with its index, and the refused ones."""

    good: list[NewContact] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Sequence[RowT], check: Callable[[RowT], NewContact]) -> Checked[RowT]:
        """Each row checked by itself."""
        made = cls()
        for index, row in enumerate(rows):
            try:
                made.good.append(check(row))
            except RowError as error:
                shown = clean(error.value)[:LONGEST_SHOWN]
                made.refused.append(
                    RefusedRow(
                        index=index, column=error.column, value=shown, code="invalid", reason=error.reason
                    )
                )
            else:
                made.indexes.append(index)
        return made

    def added(self, new: Sequence[bool], suppressed: int = 0) -> Added:
        """The answer: `new` says of each good row whether its number was."""
        duplicates = [
            RefusedRow(
                index=index,
                column="number",
                value=one.e164,
                code="duplicate",
                reason="The number is in the list already.",
            )
            for index, one, is_new in zip(self.indexes, self.good, new, strict=True)
            if not is_new
        ]
        return Added(
            accepted=sum(new) - suppressed,
            duplicate=len(duplicates),
            invalid=len(self.refused),
            suppressed=suppressed,
            errors=sorted([*self.refused, *duplicates], key=lambda one: one.index),
        )
