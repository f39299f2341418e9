"""A campaign as `/v1` writes it: the models of bodies and answers, and how they are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from dialer.api.v1.speech import SpeechForm
from dialer.calls import flow_form
from dialer.calls.flow import Flow, Prompt
from dialer.calls.flow_form import FlowError
from dialer.calls.repeats import NO_REPEATS, RepeatPolicy, RepeatPolicyError
from dialer.calls.window import CallingWindow, WindowError, known_zone
from dialer.campaigns.create import (
    DEFAULT_LENGTH,
    LONGEST_NAME,
    MOST_CALLS_PER_MINUTE,
    MOST_CONCURRENT,
    NewCampaign,
)
from dialer.campaigns.schedule import FIRST_YEAR, LAST_YEAR, ScheduleError, parse_local
from dialer.campaigns.template import LONGEST_TEXT, Template, TemplateError
from dialer.errors import Conflict, FieldError, NotFound
from dialer.lifecycle import CampaignState
from dialer.media import at_provider, known_as
from dialer.models.announce_template import TemplateState
from dialer.reading import Fields
from dialer.settings import Settings
from dialer.speech import Speech, caller_number
from dialer.store import announce_templates, campaigns, providers
from dialer.store.tables import AnyRow, Rows

Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f]+$"
    ),
]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,40}$")]

_RFC_3339 = re.compile(
    r"([0-9]{4})-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII | re.IGNORECASE,
)
_TIME = "RFC 3339 with its offset, such as `2026-09-25T14:05:00+05:30`, or without one, on the clocks of `time_zone`"


class Pace(BaseModel, extra="forbid"):
    """How fast a campaign dials; null: as fast as its account and providers allow."""

    calls_per_minute: int | None = Field(default=None, ge=1, le=MOST_CALLS_PER_MINUTE)
    max_concurrent: int | None = Field(default=None, ge=1, le=MOST_CONCURRENT, description="calls at once")


class Window(BaseModel, extra="forbid"):
    """Between which hours, on the callee's own clock, people are rung."""

    start: str = Field(description="`hh:mm`", examples=["08:00"])
    end: str = Field(
        description="`hh:mm`, up to `24:00`; before `start`: on the next day", examples=["21:00"]
    )
    days: list[str] | None = Field(
        default=None, max_length=7, description="`mon` … `sun`, of the opening; every day when left out"
    )


class Backoff(BaseModel, extra="forbid"):
    """Delays that grow, in seconds."""

    first: int
    factor: float = 2
    max: int | None = None


class RepeatRule(BaseModel, extra="forbid"):
    """How often a call that ended so is repeated, and after how many seconds each time."""

    times: int | None = None
    delays: list[int] | None = None
    backoff: Backoff | None = None
    same_as: str | None = Field(default=None, description="another disposition, whose rule it draws on")


class Repeats(BaseModel, extra="forbid"):
    """A repeat policy: a rule for each disposition after which a call is repeated."""

    most: int | None = Field(default=None, description="of all repeats of a call together")
    rules: dict[str, RepeatRule] = Field(
        default_factory=dict, examples=[{"BUSY": {"times": 2, "delays": [60]}}]
    )


class CampaignChanges(BaseModel, extra="forbid"):
    """What is to change of a campaign. Only a name, the pace, the calling window and the end of one that has begun to
    dial; of `pace` and `speech` only what is given changes."""

    name: Name | None = None
    list_id: Id | None = Field(default=None, description="whom it calls")
    dnd_list_ids: list[Id] | None = Field(
        default=None, max_length=100, description="besides the account's global DND list"
    )
    caller_id: str | None = Field(default=None, max_length=40, description="the number that people see")
    text: str | None = Field(
        default=None, max_length=LONGEST_TEXT, description="what is spoken, with `{fields}` of the contacts"
    )
    file: str | None = Field(
        default=None,
        max_length=200,
        description="the name of a recorded file, instead: of the uploads, or `provider/NAME`",
    )
    template_id: Id | None = Field(default=None, description="a template, whose text is taken over, instead")
    flow: dict[str, Any] | None = Field(
        default=None,
        description="an object with `first` and `menus`: makes it a survey; text or file beside it is said first",
        examples=[
            {
                "first": "main",
                "menus": {
                    "main": {
                        "prompts": [{"text": "For an operator press 1."}],
                        "keys": {"1": {"does": "transfer", "number": "+12025550100"}},
                    }
                },
            }
        ],
    )
    speech: SpeechForm | None = None
    time_zone: str | None = Field(
        default=None,
        max_length=100,
        description="IANA name: of times without an offset, and of contacts without a zone of their own",
    )
    start_at: str | None = Field(default=None, max_length=40, description=_TIME)
    end_at: str | None = Field(default=None, max_length=40, description=_TIME)
    calling_window: Window | None = Field(default=None, description="null: the account's")
    pace: Pace | None = None
    repeat_policy: Repeats | None = Field(default=None, description="null: nobody is called again")
    provider_repeats: bool | None = Field(
        default=None, description="whether the provider makes the repeats by itself, where they fit"
    )
    provider: Name | None = Field(default=None, description="a provider's name; null: by priority")


class CampaignForm(CampaignChanges):
    """A new campaign. Exactly one of `text`, `file` and `template_id` says what is heard, unless a `flow` does."""

    name: Name
    list_id: Id = Field(description="whom it calls")
    caller_id: str = Field(max_length=40, description="the number that people see")
    start: bool | None = Field(
        default=None,
        description="whether it starts at `start_at`, at once without one; a draft otherwise. When left out: true "
        "with `start_at`, false without",
    )


class Campaign(BaseModel):
    """A campaign."""

    id: str
    name: str
    state: CampaignState
    type: Literal["announcement", "survey"]
    list_id: str
    dnd_list_ids: list[str]
    caller_id: str
    text: str | None
    file: str | None
    flow: dict[str, Any] | None
    speech: SpeechForm
    time_zone: str
    start_at: datetime
    end_at: datetime
    calling_window: Window | None
    pace: Pace
    repeat_policy: Repeats
    provider_repeats: bool
    provider: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


def shown(connection: Connection, rows: Rows) -> list[Campaign]:
    """Campaigns as they are answered."""
    lists = campaigns.own_dnd_lists(connection, [row.id for row in rows])
    named = providers.with_ids(connection, {row.provider_id for row in rows if row.provider_id is not None})
    return [_shown(row, lists.get(row.id, []), named) for row in rows]


def _shown(row: AnyRow, dnd_list_ids: list[str], named: Mapping[str, AnyRow]) -> Campaign:
    return Campaign(
        id=row.id,
        name=row.name,
        state=CampaignState(row.state),
        type="announcement" if row.flow is None else "survey",
        list_id=row.list_id,
        dnd_list_ids=dnd_list_ids,
        caller_id=row.caller_id,
        text=row.announcement_text,
        file=row.recorded_filename,
        flow=row.flow,
        speech=SpeechForm.of(row),
        time_zone=row.time_zone,
        start_at=row.start_at,
        end_at=row.end_at,
        calling_window=None if row.calling_window is None else Window(**row.calling_window),
        pace=Pace(calls_per_minute=row.calls_per_minute, max_concurrent=row.max_concurrent),
        repeat_policy=Repeats.model_validate(row.repeat_policy),
        provider_repeats=row.provider_repeats,
        provider=named[row.provider_id].name if row.provider_id in named else None,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def read_new(
    connection: Connection, account_id: str, form: CampaignForm, settings: Settings, now: datetime
) -> NewCampaign:
    """What a new campaign shall be. Raises `FieldError` and `NotFound`."""
    zone = _zone(form.time_zone or "UTC")
    start_at = now if form.start_at is None else _instant("start_at", form.start_at, zone)
    end_at = (
        max(start_at, now) + DEFAULT_LENGTH if form.end_at is None else _instant("end_at", form.end_at, zone)
    )
    wanted = NewCampaign(
        name=form.name,
        list_id=form.list_id,
        caller_id="",
        start_at=start_at,
        end_at=end_at,
        time_zone=zone,
        speech=SpeechForm().speech,
    )
    given = {name: getattr(form, name) for name in form.model_fields_set}
    return _with(connection, account_id, wanted, {"text": None, **given}, settings)


def read_changes(
    connection: Connection,
    account_id: str,
    before: NewCampaign,
    changes: CampaignChanges,
    settings: Settings,
) -> NewCampaign:
    """What a campaign shall be that was `before`. Raises `FieldError` and `NotFound`."""
    given = {name: getattr(changes, name) for name in changes.model_fields_set}
    for name in ("name", "list_id", "caller_id", "time_zone", "start_at", "end_at"):
        if name in given and given[name] is None:
            raise FieldError(name, f"{name} cannot be null: leave it out to keep it as it is.")
    if before.flow is not None and given.keys() & _SAID and "flow" not in given:
        raise FieldError("flow", "flow must be given together with what is said before it: give both.")
    return _with(connection, account_id, before, given, settings)


_SAID = frozenset({"text", "file", "template_id"})
_MESSAGE = _SAID | {"flow"}


def _with(
    connection: Connection,
    account_id: str,
    before: NewCampaign,
    given: Mapping[str, Any],
    settings: Settings,
) -> NewCampaign:
    """`before` with what was given; a value of None is left out, or for what may be null the default."""
    values: dict[str, Any] = {name: given[name] for name in ("name", "list_id", "provider") if name in given}
    if "caller_id" in given:
        values["caller_id"] = caller_number(Fields(given), "caller_id")
    if "dnd_list_ids" in given:
        values["dnd_list_ids"] = tuple(given["dnd_list_ids"] or ())
    if given.keys() & _MESSAGE:
        values |= _message(connection, account_id, before, given, settings)
    if "speech" in given:
        values["speech"] = _merged_speech(before, given["speech"] or SpeechForm())
    values |= _times(before, given)
    if "calling_window" in given:
        values["calling_window"] = _window(given["calling_window"])
    if "pace" in given:
        values |= (given["pace"] or Pace(calls_per_minute=None, max_concurrent=None)).model_dump(
            exclude_unset=True
        )
    if "repeat_policy" in given:
        # What the first generation shows of it does not hold any more.
        values |= {"repeat_policy": _policy(given["repeat_policy"]), "max_retries": 0, "retry_time": 0}
    if "provider_repeats" in given:
        values["provider_repeats"] = bool(given["provider_repeats"])
    wanted = replace(before, **values)
    if wanted.end_at <= wanted.start_at:
        raise FieldError("end_at", "end_at must be later than start_at.")
    return wanted


def _message(
    connection: Connection,
    account_id: str,
    before: NewCampaign,
    given: Mapping[str, Any],
    settings: Settings,
) -> dict[str, Any]:
    """What is heard: what was given takes the place of what there was."""
    said = [name for name in ("text", "file", "template_id") if given.get(name) is not None]
    if len(said) > 1:
        raise FieldError(said[1], f"{said[0]} and {said[1]} both say what is heard: give one of them.")
    text, file = _said(connection, account_id, given, said[0], settings) if said else (None, None)
    flow = before.flow if "flow" not in given else _flow(given["flow"])
    if not said and flow is None:
        if not given.keys() & _SAID:  # a survey becomes what it was said before, which is not known any more
            raise FieldError(
                "flow", "flow cannot be taken away alone: give a text, a file or a template, too."
            )
        raise FieldError("text", "text is missing: give it, or file, template_id or flow.")
    if flow is not None and said:
        try:
            greeted = flow_form.greeted(flow, Prompt(text, at_provider(file)))
        except FlowError as error:
            raise FieldError("flow", str(error)) from None
        return {"text": None, "recorded_filename": None, "flow": greeted, "announced_by": said[0]}
    announced_by = said[0] if said else None
    return {"text": text, "recorded_filename": file, "flow": flow, "announced_by": announced_by}


def _said(
    connection: Connection, account_id: str, given: Mapping[str, Any], name: str, settings: Settings
) -> tuple[str | None, str | None]:
    """The text or the recorded file. Raises `FieldError`, and `NotFound` or `Conflict` for a template."""
    if name == "file":
        file = Fields(given).needed("file", longest=LONGEST_NAME)
        return None, known_as(settings, account_id, "file", file)
    text = given["text"] if name == "text" else None
    if name == "template_id":
        found = announce_templates.find(connection, account_id, given["template_id"])
        if found is None:
            raise NotFound("template_id", "template_id: this account has no such template; check the id.")
        if found.state != TemplateState.APPROVED:
            raise Conflict(
                "template_id", f"template_id: this template is {found.state}; only an approved one is spoken."
            )
        text = found.text
    # Lines may be kept, other control characters may not.
    text = Fields({name: text}).text(name, keep_lines=True)
    if text is None:
        raise FieldError(name, f"{name} is empty: give what is to be said.")
    try:
        Template.compile(text, name)
    except TemplateError as error:
        raise FieldError(name, str(error)) from None
    return text, None


def _flow(given: dict[str, Any] | None) -> Flow | None:
    if given is None:
        return None
    try:
        return flow_form.parse(given)
    except FlowError as error:
        raise FieldError("flow", str(error)) from None


def _merged_speech(before: NewCampaign, given: SpeechForm) -> Speech:
    return replace(before.speech, **given.given)


def _times(before: NewCampaign, given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    zone = before.time_zone
    if given.get("time_zone") is not None:
        zone = values["time_zone"] = _zone(given["time_zone"])
    for name in ("start_at", "end_at"):
        if given.get(name) is not None:
            values[name] = _instant(name, given[name], zone)
    return values


def _zone(name: str) -> str:
    if known_zone(name) is None:
        raise FieldError(
            "time_zone", f"time_zone {name[:40]!r} is not known: use an IANA name such as Asia/Kolkata."
        )
    return name


def _instant(field: str, text: str, zone: str) -> datetime:
    """The instant (UTC) of a time with its offset, or on the clocks of `zone`. Raises `FieldError`."""
    found = _RFC_3339.fullmatch(text.strip())
    if found is None:
        raise FieldError(field, f"{field} must be a time such as 2026-09-25T14:05:00+05:30.")
    if found[4] is None:
        try:
            return parse_local(field, text.strip()[:19].upper().replace("T", " "), zone)
        except ScheduleError as error:
            raise FieldError(error.field, str(error)) from None
    try:
        at = datetime.fromisoformat(text.strip().upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise FieldError(field, f"{field} is no time of the calendar: correct {found[0]}.") from None
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise FieldError(field, f"{field} must lie between the years {FIRST_YEAR} and {LAST_YEAR}.")
    return at


def _window(given: Window | None) -> CallingWindow | None:
    if given is None:
        return None
    try:
        return CallingWindow.parse(given.model_dump(exclude_none=True))
    except WindowError as error:
        raise FieldError("calling_window", str(error)) from None


def _policy(given: Repeats | None) -> RepeatPolicy:
    if given is None:
        return NO_REPEATS
    try:
        return RepeatPolicy.parse(given.model_dump(exclude_none=True))
    except RepeatPolicyError as error:
        sentence = str(error)
        named = sentence if "repeat_policy" in sentence else f"repeat_policy: {sentence}"
        raise FieldError("repeat_policy", named) from None
