"""`/v1/callbacks`: two people who are connected at a chosen time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy import Connection

from dialer.api.v1.caller import Caller, Dialler, Reader
from dialer.api.v1.idempotency import InFlight, Key, Once
from dialer.api.v1.page import CursorText, Limit, Page, page_of, read_text
from dialer.api.v1.problem import documented
from dialer.api.v1.speech import SpeechForm
from dialer.api.v1.talk import CallbackPromptsForm, CallbackRingForm, Longest
from dialer.api.v1.tools import Tools, With
from dialer.calls import callback, talk_form
from dialer.calls.click_to_call import NewClickToCall
from dialer.campaigns.schedule import ChosenTime, local_text
from dialer.db import reading, writing
from dialer.errors import FieldError
from dialer.lifecycle import CallState, Disposition
from dialer.reading import Fields
from dialer.store import audit, callbacks
from dialer.store.tables import AnyRow

router = APIRouter(prefix="/callbacks", tags=["callbacks"])

Number = Annotated[str, Field(min_length=1, max_length=40)]


def _known(callback_id: Annotated[str, Path(description="the callback's id")]) -> str:
    # A database cannot even look for some texts.
    if not callback_id.isalnum():
        raise callback.no_callback()
    return callback_id


CallbackId = Annotated[str, Depends(_known)]

_AT = "the instant (RFC 3339) at which the agent is rung"
_AT_LOCAL = (
    "the same as `YYYY-mm-dd hh:mm:ss` on the clocks of `time_zone`. Of a time that they skip, the first moment after "
    "the gap; of one that comes twice, the earlier if that is still to come: `note` says so"
)
_ZONE = "IANA name such as `Asia/Kolkata`"
_PROMPTS = "what each of the two hears before they are connected"
_RING = "which numbers are rung besides that of one of the two"
_SPEECH = "how texts of `prompts` are spoken"
#: How the two are connected, besides who they are.
_TALK = ("prompts", "max_seconds", "ring")


class NewCallback(BaseModel, extra="forbid"):
    """A callback to be made. Numbers carry their country code, unless the account has a region."""

    agent_number: Number = Field(description="who is rung first")
    destination_number: Number = Field(description="whom the agent is connected with when they pick up")
    caller_id: Number = Field(description="the number that both see")
    record: bool = Field(default=False, description="whether the conversation is recorded")
    prompts: CallbackPromptsForm | None = Field(default=None, description=_PROMPTS)
    max_seconds: Longest | None = None
    ring: CallbackRingForm | None = Field(default=None, description=_RING)
    speech: SpeechForm = Field(default_factory=SpeechForm, description=_SPEECH)
    at: AwareDatetime | None = Field(default=None, description=f"{_AT}; this or `at_local`")
    at_local: str | None = Field(default=None, max_length=40, description=_AT_LOCAL)
    time_zone: str | None = Field(
        default=None, max_length=100, description=f"{_ZONE}; needed with `at_local`, else `UTC`"
    )


class ChangedCallback(BaseModel, extra="forbid"):
    """What is to be changed; what is left out, or null, stays. But null takes `prompts`, `max_seconds` and `ring`
    away."""

    agent_number: Number | None = None
    destination_number: Number | None = None
    caller_id: Number | None = None
    record: bool | None = None
    prompts: CallbackPromptsForm | None = Field(default=None, description=_PROMPTS)
    max_seconds: Longest | None = None
    ring: CallbackRingForm | None = Field(default=None, description=_RING)
    speech: SpeechForm | None = Field(default=None, description=f"{_SPEECH}; only what is given changes")
    at: AwareDatetime | None = Field(default=None, description=_AT)
    at_local: str | None = Field(
        default=None, max_length=40, description=f"{_AT_LOCAL}. Without `time_zone` on the clocks of before"
    )
    time_zone: str | None = Field(
        default=None, max_length=100, description=f"{_ZONE}; alone, it keeps the time by the clock"
    )


class Callback(BaseModel):
    """A callback."""

    id: str = Field(description="the call's id: its `request_id` in the first generation")
    state: CallState
    agent_number: str = Field(description="E.164")
    destination_number: str = Field(description="E.164")
    caller_id: str
    record: bool
    prompts: CallbackPromptsForm | None = Field(description=f"{_PROMPTS}; null once it has ended")
    max_seconds: int | None = Field(description="how long they may talk at most")
    ring: CallbackRingForm | None = Field(description=_RING)
    speech: SpeechForm = Field(description=_SPEECH)
    at: datetime = Field(description="when it shall be dialled")
    at_local: str = Field(description="the same on the clocks of `time_zone`")
    time_zone: str
    note: str | None = Field(
        default=None,
        description="what became of a time that the clocks skip or show twice, when it was chosen",
    )
    expires_at: datetime = Field(description="when it is not dialled any more, if nobody could take it")
    disposition: Disposition | None = Field(description="how it ended, once it was dialled")
    reason: str = Field(description="why it waits or ended, for people")
    created_at: datetime
    ended_at: datetime | None


@router.post("", status_code=201, responses=documented(409), response_model=Callback)
def create_callback(body: NewCallback, caller: Dialler, tools: With, idempotency_key: Key = None) -> Any:
    """Have two people connected at a chosen time, at any hour: the agent is rung first. Neither is rung who stands on
    the account's global DND list at that time. What nobody can take within 15 minutes expires."""
    once = Once.of(tools.settings, caller.account_id, idempotency_key, "POST /v1/callbacks", body)

    def texts(*_: Any) -> dict[str, Any]:  # the same request has the same
        return {"prompts": _prompts(body)}

    if (again := once.answered(tools.engine, texts)) is not None:
        return again
    try:
        return _create(body, caller, tools, once)
    except InFlight:
        return once.answered_by_other(tools.engine, texts)


def _create(body: NewCallback, caller: Caller, tools: Tools, once: Once) -> Callback:
    now, words, region = tools.now, _words(body), _region(caller, tools)
    if (body.at is None) == (body.at_local is None):
        raise FieldError("at", "at: give either at, or at_local with time_zone.")
    wanted = replace(NewClickToCall.read(words, region), record_if_able=False)
    wanted = callback.with_talk(wanted, _talk(body), body.speech.speech, region)
    zone = "UTC" if body.at is not None else None
    chosen = callback.read_time(Fields(words), zone, now, local="at_local", at=body.at)
    with writing(tools.engine) as connection:
        call_id = callback.create(connection, caller.account, wanted, chosen, now)
        at = chosen.at.isoformat()
        audit.add(connection, caller.account_id, caller.actor, "callback.create", call_id, now, at=at)
        made = _found(connection, caller.account_id, call_id, chosen)
        once.keep(connection, 201, made.model_copy(update={"prompts": None}).model_dump(mode="json"), now)
    return made


@router.get("")
def list_callbacks(
    caller: Reader, tools: With, limit: Limit = 100, cursor: CursorText = None
) -> Page[Callback]:
    """All callbacks at a chosen time, the newest first."""
    before = read_text(cursor)
    with reading(tools.engine) as connection:
        rows = callbacks.of_account(connection, caller.account_id, limit + 1, before)
    return page_of(rows, limit, _callback, "id")


@router.get("/{callback_id}", responses=documented(404))
def get_callback(callback_id: CallbackId, caller: Reader, tools: With) -> Callback:
    """One callback."""
    with reading(tools.engine) as connection:
        return _found(connection, caller.account_id, callback_id)


@router.patch("/{callback_id}", responses=documented(404, 409))
def change_callback(callback_id: CallbackId, body: ChangedCallback, caller: Dialler, tools: With) -> Callback:
    """Move or change a callback that has not been dialled."""
    now, region = tools.now, _region(caller, tools)
    if body.at is not None and body.at_local is not None:
        raise FieldError("at", "at and at_local both say when: give one of them.")
    with writing(tools.engine) as connection:
        chosen = callback.change(
            connection,
            caller.account,
            callback_id,
            _words(body),
            region,
            now,
            local="at_local",
            at=body.at,
            talk=_talk(body),
            speech=None if body.speech is None else body.speech.given,
            record_if_able=False,
        )
        at = None if chosen is None else chosen.at.isoformat()
        audit.add(connection, caller.account_id, caller.actor, "callback.change", callback_id, now, at=at)
        return _found(connection, caller.account_id, callback_id, chosen)


@router.delete("/{callback_id}", responses=documented(404, 409))
def delete_callback(callback_id: CallbackId, caller: Dialler, tools: With) -> Callback:
    """Cancel a callback that has not been dialled. One that is cancelled already stays so."""
    now = tools.now
    with writing(tools.engine) as connection:
        if _found(connection, caller.account_id, callback_id).state is not CallState.CANCELLED:
            callback.delete(connection, caller.account_id, callback_id, now)
            audit.add(connection, caller.account_id, caller.actor, "callback.delete", callback_id, now)
        return _found(connection, caller.account_id, callback_id)


def _words(body: NewCallback | ChangedCallback) -> dict[str, Any]:
    """The body in the words of the first generation, but for the time."""
    given = body.model_dump(exclude={"record", "at", "speech", *_TALK}, exclude_none=True)
    record = None if body.record is None else "on" if body.record else "off"
    return given if record is None else {**given, "recording_option": record}


def _talk(body: NewCallback | ChangedCallback) -> dict[str, Any]:
    """How they are to be connected, as far as the body says; None for what is taken away."""
    return body.model_dump(include=set(_TALK) & body.model_fields_set)


def _prompts(body: NewCallback) -> dict[str, Any] | None:
    """What they hear, as it is shown."""
    talk = talk_form.read(body.model_dump(include={"prompts"}), None, (), talk_form.CALLBACK_SIDES)
    prompts = talk_form.to_columns(talk, talk_form.CALLBACK_SIDES)["prompts"]
    return None if prompts is None else CallbackPromptsForm.model_validate(prompts).model_dump()


def _region(caller: Caller, tools: Tools) -> str | None:
    region: str | None = caller.account.default_region or tools.settings.default_region
    return region


def _found(
    connection: Connection, account_id: str, callback_id: str, chosen: ChosenTime | None = None
) -> Callback:
    row = callbacks.get(connection, account_id, callback_id)
    if row is None:
        raise callback.no_callback()
    return _callback(row, None if chosen is None else chosen.note)


def _callback(row: AnyRow, note: str | None = None) -> Callback:
    return Callback(
        id=row.id,
        state=row.state,
        agent_number=row.e164,
        destination_number=row.connect_to,
        caller_id=row.caller_id,
        record=row.record,
        **callback.talk_of(row),
        speech=SpeechForm.of(row),
        at=row.scheduled_at,
        at_local=local_text(row.scheduled_at, row.time_zone),
        time_zone=row.time_zone,
        note=note,
        expires_at=row.expires_at,
        disposition=row.disposition,
        reason=row.reason,
        created_at=row.created_at,
        ended_at=row.ended_at,
    )
