"""`/v1/lists`: lists of people to call."""

from __future__ import annotations

from datetime import datetime
from itertools import compress

from fastapi import APIRouter
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from dialer.api.v1.added import MOST_ROWS, Added, Checked
from dialer.api.v1.caller import Campaigner, Reader
from dialer.api.v1.named_lists import NamedLists
from dialer.api.v1.naming import Name, Said, Written
from dialer.api.v1.page import CursorText, Limit, Page, page_of, read_cursor
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import Tools, With
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError, NotFound
from dialer.imports import rows as row_rules
from dialer.numbers import NumberError, to_e164
from dialer.store import campaigns, contacts, dnd
from dialer.store.contacts import NewContact
from dialer.store.tables import AnyRow, contact_list

router = APIRouter(prefix="/lists", tags=["lists"])

LISTS = NamedLists(contact_list, "list", "list", contacts.add_list)


class NewList(BaseModel, extra="forbid"):
    """A list to be made, or its new name."""

    name: Name


class List(BaseModel):
    """A list of contacts."""

    id: str
    name: str
    contacts: int = Field(validation_alias="contact_count", description="how many")
    created_at: datetime


class ListWithFields(List):
    """A list, and what its contacts carry."""

    fields: dict[str, int] = Field(description="of each field that contacts carry, how many do")


class NewContactBody(BaseModel, extra="forbid"):
    """A person to call."""

    number: Written = Field(description="E.164 with the plus, or national where the account has a region")
    name: Written = ""
    fields: dict[str, Said] = Field(
        default_factory=dict, description="what announcements may ask for as `{name}`"
    )
    time_zone: Written = Field(default="", description="IANA name; else the one of the number")
    language: Written = ""


class NewContacts(BaseModel, extra="forbid"):
    """People to call."""

    contacts: list[NewContactBody] = Field(min_length=1, max_length=MOST_ROWS)


class Contact(BaseModel):
    """A person to call."""

    number: str = Field(validation_alias="e164", description="E.164 with the plus")
    name: str
    fields: dict[str, str]
    time_zone: str | None
    language: str | None


@router.post("", status_code=201, responses=documented(409))
def create_list(body: NewList, caller: Campaigner, tools: With) -> List:
    """Make a list. Names are unique within the account."""
    return _list(LISTS.create(caller, tools, body.name))


@router.get("")
def list_lists(caller: Reader, tools: With, limit: Limit = 100, cursor: CursorText = None) -> Page[List]:
    """The account's lists, by name."""
    return LISTS.page(caller, tools, limit, cursor, _list)


@router.get("/{list_id}", responses=documented(404))
def get_list(list_id: str, caller: Reader, tools: With) -> ListWithFields:
    """A list, and what its contacts carry."""
    with reading(tools.engine) as connection:
        row = LISTS.found(connection, caller, list_id)
        counts = contacts.field_counts(connection, row.id)
    fields = {name: count for name, count in sorted(counts.items()) if count > 0}
    return ListWithFields.model_validate({**row._mapping, "fields": fields})


@router.patch("/{list_id}", responses=documented(404, 409))
def rename_list(list_id: str, body: NewList, caller: Campaigner, tools: With) -> List:
    """Rename a list."""
    return _list(LISTS.rename(caller, tools, list_id, body.name))


@router.delete("/{list_id}", status_code=204, responses=documented(404, 409))
def delete_list(list_id: str, caller: Campaigner, tools: With) -> None:
    """Delete a list with its contacts, unless a campaign that is not over needs it, or a file still fills it. What
    campaigns have done with it stays in their CDRs."""

    def check(connection: Connection, held: AnyRow) -> None:
        campaign_id = contacts.needed_by(connection, caller.account_id, held.id)
        if campaign_id is not None:
            raise LISTS.conflict(f"the campaign {campaign_id} still dials from this list; stop it first.")

    LISTS.delete(
        caller, tools, list_id, check, lambda held: {"name": held.name, "contacts": held.contact_count}
    )


@router.get("/{list_id}/contacts", responses=documented(404))
def list_contacts(
    list_id: str, caller: Reader, tools: With, limit: Limit = 100, cursor: CursorText = None
) -> Page[Contact]:
    """The contacts of a list, in the order in which they are called."""
    after = read_cursor(cursor, int)
    with reading(tools.engine) as connection:
        row = LISTS.found(connection, caller, list_id)
        rows = contacts.page(connection, row.id, int(after[0]) if after else 0, limit + 1)
    return page_of(rows, limit, lambda row: Contact.model_validate(row._mapping), "position")


@router.post("/{list_id}/contacts", responses=documented(404))
def add_contacts(list_id: str, body: NewContacts, caller: Campaigner, tools: With) -> Added:
    """Add contacts: the good ones are taken, of the others `errors` says why not. Running campaigns of the list go on
    with them."""
    now, region = tools.now, caller.account.default_region or tools.settings.default_region
    checked = Checked.of(body.contacts, lambda one: read_contact(one, region))
    with writing(tools.engine) as connection:
        held = LISTS.held(connection, caller, list_id)
        new = contacts.add(connection, held.id, checked.good, now)
        numbers = list(compress([one.e164 for one in checked.good], new))
        suppressed = dnd.globally_listed(connection, caller.account_id, numbers)
        LISTS.note(connection, caller, "add_contacts", held.id, now, contacts=len(numbers))
    return checked.added(new, len(suppressed))


@router.delete("/{list_id}/contacts/{number}", status_code=204, responses=documented(404, 409))
def remove_contact(list_id: str, number: str, caller: Campaigner, tools: With) -> None:
    """Take a contact off a list, unless a campaign that is not over has taken them already."""
    now, e164 = tools.now, written_number(number, caller.account, tools)
    with writing(tools.engine) as connection:
        held = LISTS.held(connection, caller, list_id)
        campaigns.hold_running(connection, held.id)
        campaign_id = contacts.needed_by(connection, caller.account_id, held.id, e164)
        if campaign_id is not None:
            raise Conflict(
                "number",
                f"number: the campaign {campaign_id} has taken this contact already; to keep it from calling them "
                "again, put the number onto a DND list, or stop it.",
            )
        if not contacts.remove(connection, held.id, e164):
            raise NotFound("number", "number: this list has no such contact; check the number.")
        LISTS.note(connection, caller, "remove_contact", held.id, now)


def written_number(number: str, account: AnyRow, tools: Tools, field: str = "number") -> str:
    """A number of a path or a body in E.164. Raises `FieldError`."""
    try:
        return to_e164(number, account.default_region or tools.settings.default_region)
    except NumberError as error:
        raise FieldError(field, f"{field}: {error.reason}") from None


def read_contact(one: NewContactBody, region: str | None) -> NewContact:
    """A contact as it will stand in a list. Raises `RowError`."""
    return row_rules.contact(
        one.number,
        region=region,
        name=one.name,
        fields=one.fields,
        time_zone=one.time_zone,
        language=one.language,
        columns=row_rules.SECOND_GENERATION,
    )


def _list(row: AnyRow) -> List:
    return List.model_validate(row._mapping)
