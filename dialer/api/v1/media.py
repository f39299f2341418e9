"""`/v1/media`: recorded files, in the account's own folder of the uploads."""

from __future__ import annotations

import heapq

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dialer import media, uploads
from dialer.api.v1.caller import Campaigner, Reader
from dialer.api.v1.page import CursorText, Limit, Page, page_of, read_text
from dialer.api.v1.problem import documented
from dialer.api.v1.sent import FILE, SentBody, takes_file
from dialer.api.v1.tools import Tools, With
from dialer.db import writing
from dialer.errors import FieldError
from dialer.settings import SettingsError
from dialer.store import audit
from dialer.uploads import Upload

router = APIRouter(prefix="/media", tags=["media"])


class SentMedia(BaseModel, extra="forbid"):
    """Nothing beside the file."""


class Media(BaseModel):
    """A recorded file."""

    name: str = Field(description="as `uploads/NAME` what a campaign's recorded file is called")
    bytes: int


@router.get("", responses=documented(501))
def list_media(caller: Reader, tools: With, limit: Limit = 100, cursor: CursorText = None) -> Page[Media]:
    """The account's recorded files, by name."""
    after = read_text(cursor)
    try:
        found = media.of_account(tools.settings, caller.account_id)
        later = (one for one in found if after is None or one.name > after)
        rows = heapq.nsmallest(limit + 1, later, key=lambda one: one.name)
    except OSError as error:
        raise _unreadable(error) from None
    return page_of(rows, limit, _media, "name")


@router.post("", status_code=201, responses=documented(409, 501), openapi_extra=takes_file(form=SentMedia))
def add_media(caller: Campaigner, sent: SentBody, tools: With) -> Media:
    """Keep a recorded file: WAV, MP3 or Ogg, under the name that it is sent with."""
    sent.read(SentMedia)
    if sent.file is None:
        raise FieldError(FILE, f"{FILE} is missing: send a form with the recorded file.")
    added = media.add(tools.settings, caller.account_id, FILE, sent.file_name, sent.file)
    _note(caller, tools, "media.add", added.name)
    return _media(added)


@router.delete("/{name}", status_code=204, responses=documented(404, 501))
def remove_media(name: str, caller: Campaigner, tools: With) -> None:
    """Remove a recorded file. What providers have in their own storage stays."""
    found = media.find(tools.settings, caller.account_id, "name", name)
    try:
        uploads.remove(found.location)
    except OSError as error:
        raise _unreadable(error) from None
    _note(caller, tools, "media.remove", found.name)


def _note(caller: Campaigner, tools: Tools, action: str, name: str) -> None:
    with writing(tools.engine) as connection:
        audit.add(connection, caller.account_id, caller.actor, action, name, tools.now)


def _media(found: Upload) -> Media:
    return Media(name=found.name, bytes=found.size)


def _unreadable(error: OSError) -> SettingsError:
    return SettingsError(
        [f"The uploads cannot be reached ({uploads.why(error)}): the operator must see to DIALER_UPLOADS."]
    )
