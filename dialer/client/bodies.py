"""What `/v1` is sent, as typed dictionaries. What a field means stands in the API's own `/docs`."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

from dialer.client.parts import (
    CallbackPromptsForm,
    CallbackRingForm,
    Channel,
    Disposition,
    ImportKind,
    InboundAction,
    Pace,
    PromptForm,
    Repeats,
    RungForm,
    RungNumber,
    Scope,
    SpeechForm,
    Window,
)


class CampaignSettings(TypedDict):
    """All of a campaign that may be left out."""

    dnd_list_ids: NotRequired[list[str] | None]
    text: NotRequired[str | None]
    file: NotRequired[str | None]
    template_id: NotRequired[str | None]
    flow: NotRequired[dict[str, Any] | None]
    speech: NotRequired[SpeechForm | None]
    time_zone: NotRequired[str | None]
    start_at: NotRequired[str | None]
    end_at: NotRequired[str | None]
    calling_window: NotRequired[Window | None]
    pace: NotRequired[Pace | None]
    repeat_policy: NotRequired[Repeats | None]
    provider_repeats: NotRequired[bool | None]
    provider: NotRequired[str | None]


class CampaignChanges(CampaignSettings):
    """What is to change of a campaign. Only a name, the pace, the calling window and the end of one that has begun to
    dial; of `pace` and `speech` only what is given changes."""

    name: NotRequired[str | None]
    list_id: NotRequired[str | None]
    caller_id: NotRequired[str | None]


class CampaignForm(CampaignSettings):
    """A new campaign. Exactly one of `text`, `file` and `template_id` says what is heard, unless a `flow` does."""

    name: str
    list_id: str
    caller_id: str
    start: NotRequired[bool | None]


class ChangedCallback(TypedDict):
    """What is to be changed; what is left out, or null, stays. But null takes `prompts`, `max_seconds` and `ring`
    away."""

    agent_number: NotRequired[str | None]
    destination_number: NotRequired[str | None]
    caller_id: NotRequired[str | None]
    record: NotRequired[bool | None]
    prompts: NotRequired[CallbackPromptsForm | None]
    max_seconds: NotRequired[int | None]
    ring: NotRequired[CallbackRingForm | None]
    speech: NotRequired[SpeechForm | None]
    at: NotRequired[datetime | str | None]
    at_local: NotRequired[str | None]
    time_zone: NotRequired[str | None]


class Check(TypedDict):
    """A code that somebody told."""

    code: str


class Checks(TypedDict):
    """Numbers to be looked up."""

    numbers: list[str]


class Clone(TypedDict):
    """A copy to be made."""

    name: str


class Columns(TypedDict):
    """Which columns hold what, by their headers; what is left out is found out by the headers' names."""

    number: NotRequired[str | None]
    name: NotRequired[str | None]
    time_zone: NotRequired[str | None]
    language: NotRequired[str | None]
    fields: NotRequired[dict[str, str]]


class InboundRuleForm(TypedDict):
    """What becomes of calls to a number. All of it is said at once: what is left out is as it is without."""

    action: InboundAction
    numbers: NotRequired[list[str | RungNumber]]
    say: NotRequired[str | None]
    play: NotRequired[str | None]
    answer_first: NotRequired[bool]
    ring_seconds: NotRequired[int | None]
    greet_say: NotRequired[str | None]
    greet_play: NotRequired[str | None]
    back_say: NotRequired[str | None]
    back_play: NotRequired[str | None]
    hide_caller: NotRequired[bool]
    press: NotRequired[str | None]
    language: NotRequired[str]
    voice: NotRequired[str]
    record: NotRequired[bool]


class KeyChange(TypedDict):
    """What is to be changed; what is left out stays."""

    name: NotRequired[str | None]
    requests_per_minute: NotRequired[int | None]


class NewCall(TypedDict):
    """A call to be made."""

    purpose: Literal["otp", "transactional", "announcement", "click_to_call"]
    to: str
    from_: NotRequired[str | None]
    message: NotRequired[str | None]
    template_id: NotRequired[str | None]
    variables: NotRequired[dict[str, str | int | float] | None]
    code: NotRequired[str | None]
    channel: NotRequired[Literal["voice", "flash", "sms"] | None]
    connect_to: NotRequired[str | None]
    record: NotRequired[bool]
    prompts: NotRequired[PromptsForm | None]
    max_seconds: NotRequired[int | None]
    ring: NotRequired[RingForm | None]
    speech: NotRequired[SpeechForm]
    provider: NotRequired[str | None]
    not_before: NotRequired[datetime | str | None]
    expires_at: NotRequired[datetime | str | None]
    time_zone: NotRequired[str | None]
    repeat_policy: NotRequired[dict[str, Any] | None]
    metadata: NotRequired[dict[str, str] | None]


class NewCallback(TypedDict):
    """A callback to be made. Numbers carry their country code, unless the account has a region."""

    agent_number: str
    destination_number: str
    caller_id: str
    record: NotRequired[bool]
    prompts: NotRequired[CallbackPromptsForm | None]
    max_seconds: NotRequired[int | None]
    ring: NotRequired[CallbackRingForm | None]
    speech: NotRequired[SpeechForm]
    at: NotRequired[datetime | str | None]
    at_local: NotRequired[str | None]
    time_zone: NotRequired[str | None]


class NewChannel(TypedDict):
    """A channel, and how long it has."""

    channel: Channel
    timeout: NotRequired[int | None]


class NewContactBody(TypedDict):
    """A person to call."""

    number: str
    name: NotRequired[str]
    fields: NotRequired[dict[str, str | int | float]]
    time_zone: NotRequired[str]
    language: NotRequired[str]


class NewContacts(TypedDict):
    """People to call."""

    contacts: list[NewContactBody]


class NewDndList(TypedDict):
    """A DND list to be made, or its new name."""

    name: str


class NewImport(TypedDict):
    """What is to become of a file of the uploads."""

    kind: ImportKind
    target_id: str
    columns: NotRequired[Columns | None]
    sheet: NotRequired[str | None]
    dry_run: NotRequired[bool]
    file: str


class NewKey(TypedDict):
    """A key to be made."""

    name: str
    scopes: list[Scope]
    requests_per_minute: NotRequired[int | None]


class NewList(TypedDict):
    """A list to be made, or its new name."""

    name: str


class NewNumber(TypedDict):
    """A number never to dial."""

    number: str
    name: NotRequired[str]


class NewNumbers(TypedDict):
    """Numbers never to dial."""

    numbers: list[NewNumber]


class NewTemplate(TypedDict):
    """A template to be made."""

    text: str
    id: NotRequired[str | None]


class NewWebhook(TypedDict):
    """A webhook to be made."""

    url: str
    events: list[Literal["attempt.ended", "call.ended", "campaign.ended"]]
    campaign_ids: NotRequired[list[str] | None]
    description: NotRequired[str]
    enabled: NotRequired[bool]


class PromptsForm(TypedDict):
    """What each side hears before they are connected."""

    to: NotRequired[PromptForm | None]
    connect_to: NotRequired[PromptForm | None]


class Redial(TypedDict):
    """A campaign to be made for those whom another did not reach."""

    name: str
    dispositions: NotRequired[list[Disposition] | None]
    undialled: NotRequired[bool]


class Rejection(TypedDict):
    """Why a template is rejected."""

    reason: NotRequired[str]


class Resend(TypedDict):
    """How the code is to be brought again."""

    channel: NotRequired[Channel | None]


class RingForm(TypedDict):
    """Which numbers are rung besides `to`, or besides `connect_to`: whoever picks up first is connected."""

    of: NotRequired[Literal["to", "connect_to"]]
    also: list[RungForm]
    at_once: NotRequired[bool]
    seconds: NotRequired[int]


class TestCall(TypedDict):
    """A call that says what a campaign says."""

    to: str
    contact: NotRequired[str | None]
    fields: NotRequired[dict[str, str | int | float] | None]
    name: NotRequired[str]


class VerificationRequest(TypedDict):
    """A verification that is to begin."""

    number: str
    channels: NotRequired[list[NewChannel] | None]
    lifetime: NotRequired[int | None]
    caller_id: NotRequired[str | None]
    template_id: NotRequired[str | None]
    speech: NotRequired[SpeechForm]
    rate_key: NotRequired[str | None]


class WebhookChange(TypedDict):
    """What is to be changed; what is left out stays."""

    url: NotRequired[str | None]
    events: NotRequired[list[Literal["attempt.ended", "call.ended", "campaign.ended"]] | None]
    campaign_ids: NotRequired[list[str] | None]
    description: NotRequired[str | None]
    enabled: NotRequired[bool | None]
