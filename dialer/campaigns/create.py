"""A new campaign: read, checked against all that it needs, and written down."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from dialer import ids, media
from dialer.calls import flow_form, provider_repeats
from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.calls.flow_form import FlowError
from dialer.calls.repeats import LONGEST_DELAY, MOST_TIMES, NO_REPEATS, RepeatPolicy, RepeatPolicyError
from dialer.calls.window import CallingWindow, WindowError
from dialer.campaigns.schedule import ScheduleError, check_dates, parse_local
from dialer.campaigns.template import Template, TemplateError
from dialer.errors import Conflict, FieldError, NotFound
from dialer.lifecycle import CampaignState
from dialer.providers.need import Need, able_kinds, of_campaign, why_nobody, why_unable
from dialer.providers.reconciliation import in_words
from dialer.reading import Fields
from dialer.settings import Settings
from dialer.speech import Speech, caller_number, e164_or_digits, either
from dialer.store import campaigns, contacts, dnd, imports, providers
from dialer.store.campaigns import CampaignMove
from dialer.store.tables import AnyRow, record

DEFAULT_ZONE = "UTC"
DEFAULT_RETRY_TIME = 60

#: Why a campaign that was no draft is where it is first.
CREATED = "created"
#: What every announcement may ask for, whatever fields its contacts carry.
ALWAYS_THERE = frozenset({"contact_name", "contact_number"})

LONGEST_NAME = 200
MOST_CALLS_PER_MINUTE = 100_000
MOST_CONCURRENT = 100_000

#: What a campaign without an end date of its own has.
DEFAULT_LENGTH = timedelta(days=30)

#: What is kept of a recorded file's name: called with the field and the name that was given, raises `FieldError`.
KnownAs = Callable[[str, str], str]

_MITTO_NAME = re.compile(r"isRepeat|repeat(Busy|Answered|Failed|NoAnswer)(Count|Int)?")


@dataclass(frozen=True, slots=True)
class Words:
    """What the fields of a campaign are called where it was asked for: errors name them so."""

    name: str
    end_at: str
    dnd_list_ids: str
    text: str


FIRST_GENERATION = Words("campaign_name", "campaign_end_date", "dnd_list_id", "announcement_text")
SECOND_GENERATION = Words("name", "end_at", "dnd_list_ids", "text")


@dataclass(frozen=True, slots=True)
class NewCampaign:
    """What a campaign shall be. Times are UTC; exactly one of `text`, `recorded_filename` and `flow` is set."""

    name: str
    list_id: str
    caller_id: str
    start_at: datetime
    end_at: datetime
    text: str | None = None
    recorded_filename: str | None = None
    flow: Flow | None = None
    #: The field of the request that says what is heard, in a flow before everything else: errors name it so. None: a
    #: flow alone does, or it is not known any more.
    announced_by: str | None = None
    dnd_list_ids: tuple[str, ...] = ()
    speech: Speech = field(default_factory=Speech)
    time_zone: str = DEFAULT_ZONE
    calls_per_minute: int | None = None
    max_concurrent: int | None = None
    calling_window: CallingWindow | None = None
    repeat_policy: RepeatPolicy = NO_REPEATS
    #: The provider is to make the repeats by itself, where they fit.
    provider_repeats: bool = False
    max_retries: int = 0
    retry_time: int = 0
    #: The name of a provider; None: by priority.
    provider: str | None = None

    @property
    def need(self) -> Need:
        """What its calls need of a provider."""
        return of_campaign(
            text=self.text,
            flow=self.flow,
            language=self.speech.language_code,
            provider_repeats=self.repeat_policy if self.provider_repeats else None,
        )

    @classmethod
    def read(cls, body: Mapping[str, Any], known_as: KnownAs) -> NewCampaign:
        """Read the parameters of `create_campaign` (`cpaas-campaign-api.md`, "Create Campaign"). Raises `FieldError`.

        `known_as` tells what is kept of a recorded file's name.

        Besides that reference's parameters: `flow`, of `campaign_type` 1 (docs/ivr-flows.md), `repeat_policy`, Mitto's
        flat names of repeats, `provider_repeats`, `calling_window`, `max_concurrent`, `provider`, and several
        DND lists as `dnd_list_ids` or a comma list.
        """
        fields = Fields(body)
        list_id, name = fields.identifier("list_id"), fields.needed("campaign_name", longest=LONGEST_NAME)
        speech = Speech.read(fields)
        flow, announced_by = _flow(fields, speech.repeat_count, known_as)
        text, recorded_filename = _message(fields, known_as) if flow is None else (None, None)
        start_at, end_at, zone = _dates(fields)
        policy, max_retries, retry_time = _repeats(fields, body)
        return cls(
            name=name,
            list_id=list_id,
            dnd_list_ids=_dnd_list_ids(fields),
            caller_id=caller_number(fields, "campaign_caller_id"),
            start_at=start_at,
            end_at=end_at,
            time_zone=zone,
            text=text,
            recorded_filename=recorded_filename,
            flow=flow,
            announced_by=announced_by,
            speech=speech,
            calls_per_minute=fields.whole("calls_per_minute", 0, MOST_CALLS_PER_MINUTE) or None,
            max_concurrent=fields.whole("max_concurrent", 0, MOST_CONCURRENT) or None,
            calling_window=_window(fields),
            repeat_policy=policy,
            provider_repeats=fields.whole("provider_repeats", 0, 1) == 1,
            max_retries=max_retries,
            retry_time=retry_time,
            provider=fields.text("provider", longest=LONGEST_NAME),
        )


def create_campaign(
    connection: Connection,
    account: AnyRow,
    request: NewCampaign,
    settings: Settings,
    now: datetime,
    *,
    words: Words = FIRST_GENERATION,
    is_draft: bool = False,
) -> str:
    """Write a campaign that starts at its start date, or at once when that has passed; its id. A draft waits until it
    is started, and what it needs for that is asked then.

    Raises `NotFound` for a list, DND list or provider that the account does not have, `Conflict` for a name that is
    taken, a list still being filled and a lack of providers, `FieldError` for everything else; the caller's
    transaction must then be rolled back.
    """
    request = replace(request, dnd_list_ids=dnd.ids_of(connection, account.id, request.dnd_list_ids))
    provider_id = check_campaign(
        connection, account, request, settings.public_url, now, words=words, is_draft=is_draft
    )
    campaign_id = ids.campaign_id()
    state = CampaignState.DRAFT if is_draft else CampaignState.SCHEDULED
    row = {
        "id": campaign_id,
        "account_id": account.id,
        **columns_of(request, account, settings, provider_id),
        "state": state.value,
        "wake_at": None if is_draft else request.start_at,
        "served_at": now,
        "created_at": now,
    }
    try:
        campaigns.add(connection, row, request.dnd_list_ids)
    except IntegrityError:
        raise name_taken(words) from None
    if not is_draft:
        created = CampaignMove(campaign_id, CampaignState.DRAFT, state, reason=CREATED)
        record(connection, "campaign", [created], now)
    return campaign_id


def name_taken(words: Words) -> Conflict:
    """Another campaign of the account has the name."""
    return Conflict(
        words.name, f"{words.name} is taken by another campaign of this account: choose another name."
    )


def columns_of(
    request: NewCampaign, account: AnyRow, settings: Settings, provider_id: str | None
) -> dict[str, Any]:
    """What of a campaign's row a person decides."""
    return {
        "name": request.name,
        "type": 0 if request.flow is None else 1,
        "list_id": request.list_id,
        "caller_id": e164_or_digits(request.caller_id, account.default_region or settings.default_region),
        "announcement_text": request.text,
        "recorded_filename": request.recorded_filename,
        "flow": None if request.flow is None else flow_form.to_json(request.flow),
        **asdict(request.speech),
        "time_zone": request.time_zone,
        "start_at": request.start_at,
        "end_at": request.end_at,
        "calls_per_minute": request.calls_per_minute,
        "max_concurrent": request.max_concurrent,
        "calling_window": None if request.calling_window is None else request.calling_window.to_json(),
        "repeat_policy": request.repeat_policy.to_json(),
        "provider_repeats": request.provider_repeats,
        "max_retries": request.max_retries,
        "retry_time": request.retry_time,
        "provider_id": provider_id,
    }


def check_campaign(
    connection: Connection,
    account: AnyRow,
    request: NewCampaign,
    public_url: str,
    now: datetime,
    *,
    words: Words,
    is_draft: bool = False,
) -> str | None:
    """Whether all that a campaign needs is there, callbacks coming to `public_url`; the id of the provider asked for,
    if one was. Of a draft, only what it names. Raises as `create_campaign`."""
    if is_draft:
        _find_list(connection, account.id, request.list_id)
    else:
        check_end(request.end_at, now, words)
        _check_repeats(request)
        _check_list(connection, account.id, request, words)
    _check_dnd_lists(connection, account.id, request, words)
    _check_flow(request)
    return _check_provider(connection, account.id, request, public_url, is_draft=is_draft)


def _check_flow(request: NewCampaign) -> None:
    """Raises `FieldError` for a recorded file that no provider has under such a name."""
    flow = request.flow
    if flow is not None and request.announced_by is not None:
        _, flow = flow.greeted_with()
    for path, prompt in () if flow is None else flow.prompts():
        if prompt.media is not None:
            try:
                media.check_provider_name(f"flow.{path}.media", prompt.media)
            except FieldError as error:
                raise FieldError("flow", error.message) from None


def check_end(end_at: datetime, now: datetime, words: Words) -> None:
    """Raises `FieldError` for an end that has passed."""
    if end_at <= now:
        raise FieldError(
            words.end_at, f"{words.end_at} has passed already: give a date that is still to come."
        )


def _flow(fields: Fields, times: int, known_as: KnownAs) -> tuple[Flow | None, str | None]:
    """The flow of a campaign of type 1, and the field that holds what it says first, if one does: an announcement given
    with it is said before everything else, and one given alone is all that is said, `times` over, while every digit
    that is pressed is noted."""
    kind, given = fields.whole("campaign_type", 0, 1) or 0, fields.raw("flow")
    if kind == 0:
        if given is not None:
            raise FieldError("flow", "flow needs campaign_type 1: give that, too, or leave flow out.")
        return None, None
    announces = fields.raw("announcement_text", "recorded_filename") is not None
    if given is None:
        if not announces:
            raise FieldError(
                "flow",
                "flow is missing: campaign_type 1 (survey) needs one, an object with first and menus "
                "(docs/ivr-flows.md shows it), or an announcement_text after which digits are noted.",
            )
        return _noting(_said(fields, known_as), times), FIRST_GENERATION.text
    try:
        flow = flow_form.parse(given)
        if not announces:
            return flow, None
        return flow_form.greeted(flow, _said(fields, known_as)), FIRST_GENERATION.text
    except FlowError as error:
        raise FieldError("flow", str(error)) from None


def _noting(prompt: Prompt, times: int) -> Flow:
    """The survey of a campaign without a flow: one menu, and each digit is noted and ends the call."""
    if times > flow_form.MOST_REPEATS + 1:
        raise FieldError(
            "repeat", f"repeat may be at most {flow_form.MOST_REPEATS + 1} with campaign_type 1."
        )
    keys = dict.fromkeys(string.digits, Action(Does.NOTIFY))
    return Flow("main", {"main": Menu((prompt,), keys, repeats=times - 1)})


def _said(fields: Fields, known_as: KnownAs) -> Prompt:
    text, recorded_filename = _message(fields, known_as)
    return Prompt(text, media.at_provider(recorded_filename))


def _message(fields: Fields, known_as: KnownAs) -> tuple[str | None, str | None]:
    """The text or the recorded file, as `dynamic_announcement` says."""
    dynamic = fields.whole("dynamic_announcement", 0, 1)
    text = fields.text("announcement_text", keep_lines=True)
    recorded = fields.text("recorded_filename", longest=LONGEST_NAME)
    if dynamic is None:
        if (text is None) == (recorded is None):
            raise FieldError(
                "dynamic_announcement",
                "dynamic_announcement is missing: give 1 with announcement_text, or 0 with recorded_filename.",
            )
        dynamic = 1 if text is not None else 0
    if dynamic == 0:
        if recorded is None:
            raise FieldError(
                "recorded_filename",
                "recorded_filename is missing: dynamic_announcement 0 plays a recorded file.",
            )
        return None, known_as("recorded_filename", recorded)
    if text is None:
        raise FieldError(
            "announcement_text", "announcement_text is missing: dynamic_announcement 1 speaks a text."
        )
    try:
        Template.compile(text)
    except TemplateError as error:
        raise FieldError("announcement_text", str(error)) from None
    return text, None


def _dates(fields: Fields) -> tuple[datetime, datetime, str]:
    zone = fields.text("time_zone", longest=100) or DEFAULT_ZONE
    try:
        start = parse_local("campaign_start_date", fields.needed("campaign_start_date", longest=40), zone)
        end = parse_local("campaign_end_date", fields.needed("campaign_end_date", longest=40), zone)
        check_dates(start, end)
    except ScheduleError as error:
        raise FieldError(error.field, str(error)) from None
    return start, end, zone


def _dnd_list_ids(fields: Fields) -> tuple[str, ...]:
    given: list[object] = []
    for name in ("dnd_list_id", "dnd_list_ids"):
        value = fields.raw(name)
        if value is None:
            continue
        if isinstance(value, str):
            value = value.split(",")
        if not isinstance(value, list) or len(value) > 100:
            raise FieldError(name, f"{name} must be a DND list's id, or a list of up to 100 of them.")
        if not all(isinstance(one, str) and one.isprintable() and len(one) < 100 for one in value):
            raise FieldError(name, f"{name} must hold DND lists' ids, such as DNd2b09f8f80.")
        given.extend(value)
    cleaned = ("".join(str(one).split()) for one in given)
    return tuple(one for one in cleaned if one)


def _repeats(fields: Fields, body: Mapping[str, Any]) -> tuple[RepeatPolicy, int, int]:
    """The repeat policy, and `max_retries` and `retry_time` to be shown again."""
    max_retries = either(fields, "max_retries", "retry_attempts", 0, MOST_TIMES) or 0
    retry_time = fields.whole("retry_time", 0, LONGEST_DELAY)
    retry_time = DEFAULT_RETRY_TIME if retry_time is None else retry_time
    own = fields.raw("repeat_policy")
    mitto = {key: value for key, value in body.items() if _MITTO_NAME.fullmatch(key) and value is not None}
    name = "repeat_policy" if own is not None else "isRepeat" if mitto else "retry_on_statuses"
    if (own is not None or mitto) and max_retries:
        raise FieldError(
            "max_retries", f"max_retries and {name} both say what is repeated: give one of them."
        )
    if own is not None and mitto:
        raise FieldError("repeat_policy", "repeat_policy and isRepeat both say what is repeated: give one.")
    try:
        if own is not None:
            if not isinstance(own, dict):
                raise FieldError("repeat_policy", "repeat_policy must be an object with rules; see the docs.")
            return RepeatPolicy.parse(own), 0, 0
        if mitto:
            return RepeatPolicy.of_mitto(mitto), 0, 0
        policy = RepeatPolicy.of_retries(max_retries, retry_time, _statuses(fields))
    except RepeatPolicyError as error:
        raise FieldError(name, _named(name, str(error))) from None
    return policy, max_retries, retry_time


def _statuses(fields: Fields) -> list[str] | None:
    value = fields.raw("retry_on_statuses")
    if value is None:
        return None
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise FieldError(
            "retry_on_statuses", "retry_on_statuses must be a comma list or an array such as NOANSWER,BUSY."
        )
    return [word for word in words if word.strip()] or None


def _window(fields: Fields) -> CallingWindow | None:
    given = fields.raw("calling_window")
    if given is None:
        return None
    try:
        return CallingWindow.parse(given)
    except WindowError as error:
        raise FieldError("calling_window", str(error)) from None


def _named(field: str, sentence: str) -> str:
    return sentence if field in sentence else f"{field}: {sentence}"


def _check_repeats(request: NewCampaign) -> None:
    """Repeats that the provider is to make must be there, and it must be possible that they fit."""
    if not request.provider_repeats:
        return
    if not request.repeat_policy.times:
        raise FieldError(
            "provider_repeats",
            "provider_repeats has the provider make the repeats, and there are none: give isRepeat, repeatBusy, "
            "repeatBusyCount, repeatBusyInt, … or a repeat_policy, or leave it out.",
        )
    longest = provider_repeats.over_within(request.repeat_policy)
    if longest > request.end_at - request.start_at:
        raise FieldError(
            "provider_repeats",
            f"provider_repeats cannot be used: all repeats together may take {in_words(longest)}, which is longer than "
            "the campaign. Repeat less often, at shorter delays, or end the campaign later.",
        )


def _find_list(connection: Connection, account_id: str, list_id: str) -> AnyRow:
    found = contacts.hold_list(connection, account_id, list_id)
    if found is None:
        raise NotFound("list_id", "list_id: this account has no such list; check the id.")
    return found


def _check_list(connection: Connection, account_id: str, request: NewCampaign, words: Words) -> None:
    found = _find_list(connection, account_id, request.list_id)
    if imports.is_running_for(connection, request.list_id):
        raise Conflict(
            "list_id", "list_id: an import into this list is still running; wait until it is done."
        )
    if found.contact_count == 0:
        raise FieldError("list_id", "list_id: this list is empty; add contacts to it first.")
    announced, flow = request.text, request.flow
    if flow is not None and request.announced_by is not None:
        greeting, flow = flow.greeted_with()
        announced = greeting.text
    wanted = list(wanted_fields(announced, flow, request.announced_by or words.text))
    if wanted:
        _check_fields(connection, found, wanted)


def wanted_fields(text: str | None, flow: Flow | None, of_text: str) -> Iterator[tuple[str, str]]:
    """Where a field of the contacts is asked for, and its name; `of_text` is what the text's own place is called."""
    said = [(of_text, text)]
    if flow is not None:
        said += [(f"flow.{path}.text", prompt.text) for path, prompt in flow.prompts()]
    for where, one in said:
        for name in Template.compile(one or "").fields:
            if name not in ALWAYS_THERE:
                yield where, name


def _check_fields(connection: Connection, found: AnyRow, wanted: Sequence[tuple[str, str]]) -> None:
    """Every field that is asked for must be carried by every contact."""
    counts = contacts.field_counts(connection, found.id)
    for where, name in wanted:
        lacking = found.contact_count - counts.get(name, 0)
        if lacking > 0:
            known = ", ".join(sorted(counts)[:20])
            hint = f"; the list's fields are {known}" if known else "; the list's contacts have no fields"
            raise FieldError(
                where.partition(".")[0],
                f"{where} asks for {{{name}}}, which {lacking:,} of the list's {found.contact_count:,} "
                f"contacts do not have: add it to them or take it out of the text{hint}.",
            )


def _check_dnd_lists(connection: Connection, account_id: str, request: NewCampaign, words: Words) -> None:
    existing = dnd.existing_lists(connection, account_id, request.dnd_list_ids)
    for dnd_list_id in request.dnd_list_ids:
        if dnd_list_id not in existing:
            raise NotFound(
                words.dnd_list_ids,
                f"{words.dnd_list_ids}: this account has no DND list {dnd_list_id[:40]!r}; check the id.",
            )


def _check_provider(
    connection: Connection, account_id: str, request: NewCampaign, public_url: str, *, is_draft: bool
) -> str | None:
    """The id of the provider asked for, if one was; unless it is a draft, there must be one that can carry the
    campaign."""
    usable = (providers.enabled if is_draft else providers.usable)(connection, account_id)
    if request.provider is not None:
        usable = [row for row in usable if row.name == request.provider]
        if not usable:
            raise NotFound(
                "provider",
                "provider: this account can use no enabled provider of this name; leave it out to use any.",
            )
    if is_draft:
        return usable[0].id if request.provider is not None else None
    need = replace(request.need, public_url=public_url)
    if not usable:
        raise Conflict(
            "provider",
            f"No provider is set up that this account can use: add and enable one that can {need.does} "
            f"(kinds: {', '.join(able_kinds(need)) or 'none'}).",
        )
    for row in usable:
        if not why_unable(row.kind, need):
            return row.id if request.provider is not None else None
    # Who could carry it without its repeats is not what is wrong.
    by_repeats = need.repeats is not None and any(
        not why_unable(row.kind, replace(request, provider_repeats=False).need) for row in usable
    )
    field_name = "provider_repeats" if by_repeats else "provider"
    raise FieldError(
        field_name, _named(field_name, why_nobody((row.kind for row in usable), need, "campaign"))
    )
