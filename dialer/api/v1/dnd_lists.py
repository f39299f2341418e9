"""`/v1/dnd-lists`: numbers never to dial. `global` stands for the id of the list that every campaign honours."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from dialer.api.v1.added import MOST_ROWS, Added, Checked
from dialer.api.v1.caller import Campaigner, Reader
from dialer.api.v1.lists import written_number
from dialer.api.v1.named_lists import NamedLists
from dialer.api.v1.naming import Name, Written
from dialer.api.v1.page import CursorText, Limit, Page, page_of, read_text
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import With
from dialer.db import reading, writing
from dialer.errors import NotFound
from dialer.imports import rows as row_rules
from dialer.store import dnd
from dialer.store.tables import AnyRow, dnd_list

router = APIRouter(prefix="/dnd-lists", tags=["DND lists"])


def _id(connection: Connection, account_id: str, dnd_list_id: str) -> str:
    (found,) = dnd.ids_of(connection, account_id, [dnd_list_id])
    return found


DND_LISTS = NamedLists(dnd_list, "DND list", "dnd_list", dnd.add_list, _id)


class NewDndList(BaseModel, extra="forbid"):
    """A DND list to be made, or its new name."""

    name: Name


class DndList(BaseModel):
    """A DND list."""

    id: str
    name: str
    is_global: bool = Field(description="whether every campaign honours it")
    changed_at: datetime | None = Field(description="when numbers were last put on it or taken off")
    created_at: datetime


class DndListWithCount(DndList):
    """A DND list, and how long it is."""

    numbers: int = Field(description="how many")


class NewNumber(BaseModel, extra="forbid"):
    """A number never to dial."""

    number: Written = Field(description="E.164 with the plus, or national where the account has a region")
    name: Written = ""


class NewNumbers(BaseModel, extra="forbid"):
    """Numbers never to dial."""

    numbers: list[NewNumber] = Field(min_length=1, max_length=MOST_ROWS)


class DndNumber(BaseModel):
    """A number on a DND list."""

    number: str = Field(validation_alias="e164", description="E.164 with the plus")
    name: str
    created_at: datetime


class Checks(BaseModel, extra="forbid"):
    """Numbers to be looked up."""

    numbers: list[Written] = Field(min_length=1, max_length=MOST_ROWS)


class CheckedNumber(BaseModel):
    """Whether a number stands on the list."""

    number: str | None = Field(description="in E.164; null: it is none")
    listed: bool
    reason: str | None = Field(default=None, description="why it is no number")


class CheckedNumbers(BaseModel):
    """The answers, in the order of the questions."""

    data: list[CheckedNumber]


@router.post("", status_code=201, responses=documented(409))
def create_dnd_list(body: NewDndList, caller: Campaigner, tools: With) -> DndList:
    """Make a DND list, for campaigns to choose. Names are unique within the account."""
    return _list(DND_LISTS.create(caller, tools, body.name))


@router.get("")
def list_dnd_lists(
    caller: Reader, tools: With, limit: Limit = 100, cursor: CursorText = None
) -> Page[DndList]:
    """The account's DND lists, by name."""
    return DND_LISTS.page(caller, tools, limit, cursor, _list)


@router.get("/{dnd_list_id}", responses=documented(404))
def get_dnd_list(dnd_list_id: str, caller: Reader, tools: With) -> DndListWithCount:
    """A DND list, and how many numbers stand on it."""
    with reading(tools.engine) as connection:
        row = DND_LISTS.found(connection, caller, dnd_list_id)
        numbers = dnd.count_numbers(connection, row.id)
    return DndListWithCount.model_validate({**row._mapping, "numbers": numbers})


@router.patch("/{dnd_list_id}", responses=documented(404, 409))
def rename_dnd_list(dnd_list_id: str, body: NewDndList, caller: Campaigner, tools: With) -> DndList:
    """Rename a DND list; the global one keeps its name."""

    def check(held: AnyRow) -> None:
        if held.is_global:
            raise DND_LISTS.conflict("the global DND list keeps its name.")

    return _list(DND_LISTS.rename(caller, tools, dnd_list_id, body.name, check))


@router.delete("/{dnd_list_id}", status_code=204, responses=documented(404, 409))
def delete_dnd_list(dnd_list_id: str, caller: Campaigner, tools: With) -> None:
    """Delete a DND list: its numbers may be dialled again, unless they stand on another. Not the global one, and none
    that a campaign which is not over honours."""

    def check(connection: Connection, held: AnyRow) -> None:
        if held.is_global:
            raise DND_LISTS.conflict("the global DND list stays; take numbers off it instead.")
        campaign_id = dnd.needed_by(connection, caller.account_id, held.id)
        if campaign_id is not None:
            raise DND_LISTS.conflict(f"the campaign {campaign_id} honours this list; stop it first.")

    DND_LISTS.delete(caller, tools, dnd_list_id, check, lambda held: {"name": held.name})


@router.get("/{dnd_list_id}/numbers", responses=documented(404))
def list_dnd_numbers(
    dnd_list_id: str, caller: Reader, tools: With, limit: Limit = 100, cursor: CursorText = None
) -> Page[DndNumber]:
    """The numbers on a DND list, in their order."""
    after = read_text(cursor) or ""
    with reading(tools.engine) as connection:
        row = DND_LISTS.found(connection, caller, dnd_list_id)
        rows = dnd.numbers_of(connection, row.id, after, limit + 1)
    return page_of(rows, limit, lambda row: DndNumber.model_validate(row._mapping), "e164")


@router.post("/{dnd_list_id}/numbers", responses=documented(404))
def add_dnd_numbers(dnd_list_id: str, body: NewNumbers, caller: Campaigner, tools: With) -> Added:
    """Put numbers on a DND list: they hold at once, for running campaigns too."""
    now, region = tools.now, caller.account.default_region or tools.settings.default_region
    checked = Checked.of(
        body.numbers,
        lambda one: row_rules.dnd_number(
            one.number, region=region, name=one.name, columns=row_rules.SECOND_GENERATION
        ),
    )
    with writing(tools.engine) as connection:
        held = DND_LISTS.held(connection, caller, dnd_list_id)
        new = dnd.add_numbers(connection, held.id, [(one.e164, one.name) for one in checked.good], now)
        DND_LISTS.note(connection, caller, "add_numbers", held.id, now, numbers=sum(new))
    return checked.added(new)


@router.delete("/{dnd_list_id}/numbers/{number}", status_code=204, responses=documented(404))
def remove_dnd_number(dnd_list_id: str, number: str, caller: Campaigner, tools: With) -> None:
    """Take a number off a DND list: it may be dialled again. Only for who has asked to be called."""
    now, e164 = tools.now, written_number(number, caller.account, tools)
    with writing(tools.engine) as connection:
        held = DND_LISTS.held(connection, caller, dnd_list_id)
        if not dnd.remove_numbers(connection, held.id, [e164], now):
            raise NotFound("number", "number: this DND list has no such number; check it.")
        DND_LISTS.note(connection, caller, "remove_number", held.id, now)


@router.post("/{dnd_list_id}/check", responses=documented(404))
def check_dnd_numbers(dnd_list_id: str, body: Checks, caller: Reader, tools: With) -> CheckedNumbers:
    """Whether numbers stand on a DND list."""
    region = caller.account.default_region or tools.settings.default_region
    answers: list[CheckedNumber] = []
    for text in body.numbers:
        try:
            number = row_rules.number("number", text, region)
        except row_rules.RowError as error:
            answers.append(CheckedNumber(number=None, listed=False, reason=error.reason))
        else:
            answers.append(CheckedNumber(number=number, listed=False))
    with reading(tools.engine) as connection:
        row = DND_LISTS.found(connection, caller, dnd_list_id)
        found = dnd.present(connection, row.id, [one.number for one in answers if one.number is not None])
    for answer in answers:
        answer.listed = answer.number in found
    return CheckedNumbers(data=answers)


def _list(row: AnyRow) -> DndList:
    return DndList.model_validate(row._mapping)
