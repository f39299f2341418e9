"""What `/v1` answers, as typed dictionaries: times are RFC 3339 in UTC, numbers E.164 with `+`. Those of calls,
campaigns and verifications stand in files of their own."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from dialer.client.parts import (
    Capability,
    DeliveryState,
    ImportKind,
    ImportState,
    InboundAction,
    Phase,
    RungNumber,
    Scope,
    TemplateState,
    Window,
)


class Limits(TypedDict):
    """What holds for all of an account's calls together, and for the key that asks; null: no limit."""

    calls_per_minute: int | None
    max_concurrent: int | None
    frequency_cap: int | None
    requests_per_minute: int | None


class Account(TypedDict):
    """An account."""

    id: str
    name: str
    default_region: str | None
    time_zone: str
    limits: Limits
    calling_window: Window


class RefusedRow(TypedDict):
    """A row that was not taken."""

    index: int
    column: str
    value: str
    code: str
    reason: str


class Added(TypedDict):
    """What became of the rows: each is counted once."""

    accepted: int
    duplicate: int
    invalid: int
    suppressed: int
    errors: list[RefusedRow]


class AuditEntry(TypedDict):
    """One change."""

    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]


class CheckedNumber(TypedDict):
    """Whether a number stands on the list."""

    number: str | None
    listed: bool
    reason: NotRequired[str | None]


class CheckedNumbers(TypedDict):
    """The answers, in the order of the questions."""

    data: list[CheckedNumber]


class Contact(TypedDict):
    """A person to call."""

    number: str
    name: str
    fields: dict[str, str]
    time_zone: str | None
    language: str | None


class Delivery(TypedDict):
    """One message to one webhook, and how far it has come."""

    id: str
    webhook_id: str
    event: str
    subject: str
    state: DeliveryState
    tries: int
    next_try_at: str | None
    tried_at: str | None
    response_status: int | None
    latency_ms: int | None
    error: str | None
    created_at: str
    ended_at: str | None


class DeliveryWithBody(Delivery):
    """A delivery, and what is sent."""

    body: str


class DndList(TypedDict):
    """A DND list."""

    id: str
    name: str
    is_global: bool
    changed_at: str | None
    created_at: str


class DndListWithCount(DndList):
    """A DND list, and how long it is."""

    numbers: int


class DndNumber(TypedDict):
    """A number on a DND list."""

    number: str
    name: str
    created_at: str


class Import(TypedDict):
    """An import, and how far it is."""

    id: str
    kind: ImportKind
    target_id: str
    file: str
    dry_run: bool
    state: ImportState
    rows: int
    accepted: int
    duplicate: int
    invalid: int
    suppressed: int
    bytes: int
    bytes_read: int
    percent: float
    error: str
    created_at: str
    ended_at: str | None


class InboundRule(TypedDict):
    """What becomes of calls to a number."""

    number: str
    action: InboundAction
    numbers: list[str | RungNumber]
    say: str | None
    play: str | None
    answer_first: bool
    ring_seconds: int
    greet_say: str | None
    greet_play: str | None
    back_say: str | None
    back_play: str | None
    hide_caller: bool
    press: str | None
    language: str
    voice: str
    record: bool
    set_at: str


class InboundRuleHere(InboundRule):
    """The same, and who would ask for it."""

    asked_by: list[str]
    unable: dict[str, str]


class Key(TypedDict):
    """A key, without the key itself."""

    id: str
    name: str
    scopes: list[Scope]
    requests_per_minute: int | None
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class Keys(TypedDict):
    """All keys of an account."""

    data: list[Key]


class List(TypedDict):
    """A list of contacts."""

    id: str
    name: str
    contacts: int
    created_at: str


class ListWithFields(List):
    """A list, and what its contacts carry."""

    fields: dict[str, int]


class MadeKey(Key):
    """A key that was just made."""

    key: str


class MadeTemplate(TypedDict):
    """A template, and where it stands. Its text never changes."""

    id: str
    text: str
    fields: list[str]
    state: TemplateState
    reason: str
    created_at: str
    reviewed_at: str | None


class Media(TypedDict):
    """A recorded file."""

    name: str
    bytes: int


class Provider(TypedDict):
    """A provider that the account may use."""

    name: str
    kind: str
    capabilities: list[Capability]
    enabled: bool
    paused_reason: str | None
    held_until: str | None
    breaker: Phase


class Providers(TypedDict):
    """All of them, in the order in which they are tried."""

    data: list[Provider]


class RejectedRow(TypedDict):
    """A row that was not taken."""

    line: int
    column: str
    value: str
    code: str
    reason: str


class Replayed(TypedDict):
    """What is sent again."""

    replayed: int
    more: bool


class Webhook(TypedDict):
    """A webhook, without its secret."""

    id: str
    url: str
    events: list[str]
    campaign_ids: list[str] | None
    description: str
    enabled: bool
    disabled_reason: str | None
    disabled_at: str | None
    failing_since: str | None
    previous_until: str | None
    created_at: str


class MadeWebhook(Webhook):
    """A webhook with the secret that was just made."""

    secret: str


class Webhooks(TypedDict):
    """All webhooks of an account."""

    data: list[Webhook]
