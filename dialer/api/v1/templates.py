"""`/v1/templates`: texts that are approved before anybody hears them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from dialer import ids
from dialer.api.failures import ForbiddenError
from dialer.api.v1.caller import Admin, Caller, Campaigner, Reader
from dialer.api.v1.naming import Prose
from dialer.api.v1.page import CursorText, Limit, Page, page_of, read_moment
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import Tools, With
from dialer.campaigns.template import LONGEST_TEXT, Template, TemplateError
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError, NotFound
from dialer.models import TemplateState
from dialer.store import announce_templates as store
from dialer.store import audit
from dialer.store.tables import AnyRow

router = APIRouter(prefix="/templates", tags=["templates"])


class NewTemplate(BaseModel, extra="forbid"):
    """A template to be made."""

    text: Annotated[Prose, StringConstraints(min_length=1, max_length=LONGEST_TEXT)] = Field(
        description="with `{fields}`; one for passwords holds `{otp}` and no other"
    )
    id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,16}$")] | None = Field(
        default=None, description="one that an app uses already; else a new one"
    )


class Rejection(BaseModel, extra="forbid"):
    """Why a template is rejected."""

    reason: Annotated[Prose, StringConstraints(max_length=1000)] = ""


class MadeTemplate(BaseModel):
    """A template, and where it stands. Its text never changes."""

    id: str
    text: str
    fields: list[str] = Field(description="the places in the text")
    state: TemplateState
    reason: str = Field(description="why it was rejected")
    created_at: datetime
    reviewed_at: datetime | None = Field(description="when it was approved or rejected")


@router.post("", status_code=201, responses=documented(409))
def create_template(body: NewTemplate, caller: Campaigner, tools: With) -> MadeTemplate:
    """Make a template, `PENDING`: it may be used once it is approved."""
    try:
        Template.compile(body.text, "text")
    except TemplateError as error:
        raise FieldError("text", str(error)) from None
    now, template_id = tools.now, body.id or ids.announce_template_id()
    row = {
        "account_id": caller.account_id,
        "id": template_id,
        "text": body.text,
        "state": TemplateState.PENDING.value,
        "created_at": now,
    }
    try:
        with writing(tools.engine) as connection:
            store.add(connection, row)
            audit.add(connection, caller.account_id, caller.actor, "template.create", template_id, now)
            return _found(connection, caller.account_id, template_id)
    except IntegrityError:
        raise Conflict("id", "id is that of another template of this account: choose another.") from None


@router.get("")
def list_templates(
    caller: Reader,
    tools: With,
    limit: Limit = 100,
    cursor: CursorText = None,
    state: Annotated[TemplateState | None, Query()] = None,
) -> Page[MadeTemplate]:
    """The account's templates, the oldest first."""
    after = read_moment(cursor)
    with reading(tools.engine) as connection:
        rows = store.of_account(connection, caller.account_id, state=state, after=after, limit=limit + 1)
    return page_of(rows, limit, _template, "created_at", "id")


@router.get("/{template_id}", responses=documented(404))
def get_template(template_id: str, caller: Reader, tools: With) -> MadeTemplate:
    """A template, and where it stands."""
    with reading(tools.engine) as connection:
        return _found(connection, caller.account_id, template_id)


@router.post("/{template_id}/approve", responses=documented(404))
def approve_template(template_id: str, caller: Admin, tools: With) -> MadeTemplate:
    """Approve a template. Needs an account that may: `dialer account update --approve-templates`."""
    return _review(caller, tools, template_id, TemplateState.APPROVED)


@router.post("/{template_id}/reject", responses=documented(404))
def reject_template(
    template_id: str, caller: Admin, tools: With, body: Rejection | None = None
) -> MadeTemplate:
    """Reject a template, approved or not: it may not be used from now on. Calls asked for already keep their text."""
    return _review(caller, tools, template_id, TemplateState.REJECTED, "" if body is None else body.reason)


@router.delete("/{template_id}", status_code=204, responses=documented(404))
def remove_template(template_id: str, caller: Campaigner, tools: With) -> None:
    """Remove a template. Calls asked for already keep their text."""
    now = tools.now
    with writing(tools.engine) as connection:
        if not store.remove(connection, caller.account_id, template_id):
            raise _missing()
        audit.add(connection, caller.account_id, caller.actor, "template.remove", template_id, now)


def _review(
    caller: Caller, tools: Tools, template_id: str, state: TemplateState, reason: str = ""
) -> MadeTemplate:
    if not (caller.is_operator or caller.account.approves_templates):
        raise ForbiddenError(
            "Templates of this account are approved and rejected by the operator: have them do so."
        )
    now = tools.now
    with writing(tools.engine) as connection:
        if store.review(connection, caller.account_id, template_id, state, now, reason):
            action = "template.approve" if state is TemplateState.APPROVED else "template.reject"
            audit.add(connection, caller.account_id, caller.actor, action, template_id, now)
        return _found(connection, caller.account_id, template_id)


def _found(connection: Connection, account_id: str, template_id: str) -> MadeTemplate:
    row = store.find(connection, account_id, template_id)
    if row is None:
        raise _missing()
    return _template(row)


def _missing() -> NotFound:
    return NotFound("template_id", "template_id: this account has no such template; check the id.")


def _template(row: AnyRow) -> MadeTemplate:
    return MadeTemplate.model_validate({**row._mapping, "fields": list(Template.compile(row.text).fields)})
