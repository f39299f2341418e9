"""What `/v1` answers of campaigns: see `answers.py`."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from dialer.client.parts import (
    CallState,
    CampaignState,
    Pace,
    Repeats,
    SpeechForm,
    Window,
)


class Campaign(TypedDict):
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
    start_at: str
    end_at: str
    calling_window: Window | None
    pace: Pace
    repeat_policy: Repeats
    provider_repeats: bool
    provider: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None


class Change(TypedDict):
    """Something that became of a campaign."""

    at: str
    actor: str
    action: str | None
    from_state: CampaignState | None
    to_state: CampaignState | None
    reason: str
    detail: dict[str, Any]


class Changes(TypedDict):
    """All that became of a campaign."""

    data: list[Change]


class Suppressed(TypedDict):
    """Contacts on a DND list."""

    dnd_list_id: str
    contacts: int


class Preflight(TypedDict):
    """Whom a campaign would call. `contacts` is `taken` + `suppressed` + `lacking_fields` + `too_late` + `dialable`."""

    contacts: int
    taken: int
    waiting: int
    suppressed: int
    suppressed_by_list: list[Suppressed]
    lacking_fields: int
    too_late: int
    dialable: int
    without_time_zone: int
    outside_window: int
    calls_per_minute: float | None
    earliest_finish_at: str | None
    not_called_by_then: int
    is_estimate: bool
    problems: list[str]


class Progress(TypedDict):
    """How far a campaign is, at one moment. `contacts` is the sum of `not_taken`, `waiting`, `released`, `in_progress`
    and all of `ended`."""

    state: CampaignState
    contacts: int
    not_taken: int
    waiting: int
    released: int
    in_progress: int
    ended: dict[str, int]
    attempts: dict[str, int]
    answer_rate: float | None
    calls_per_minute: float
    expected_finish_at: str | None


class Redialled(Campaign):
    """The draft that was made, and for how many."""

    contacts: int


class TestCalled(TypedDict):
    """A test call that was taken."""

    id: str
    state: CallState
    expires_at: str
    text: str | None
