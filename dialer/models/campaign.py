"""Campaigns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from dialer.lifecycle import CampaignState
from dialer.models.base import CallId, Json, PublicId, State, UtcDateTime, state_check


class Campaign(SQLModel, table=True):
    """A list + DND lists + message + calling window + pace + repeat policy."""

    __tablename__ = "campaign"
    __table_args__ = (
        UniqueConstraint("account_id", "name"),
        state_check("state", CampaignState),
        # store.campaigns.claim_due: who needs the scheduler's attention now.
        Index(
            "campaign_wake_at_idx",
            "wake_at",
            postgresql_where=text("wake_at IS NOT NULL"),
            sqlite_where=text("wake_at IS NOT NULL"),
        ),
        # store.campaigns.page: an account's, the newest first.
        Index("campaign_account_id_created_at_idx", "account_id", "created_at", "id"),
        # store.contacts.add: wakes the running campaigns that dial the list.
        Index("campaign_list_id_idx", "list_id"),
    )

    id: str = Field(primary_key=True, sa_type=PublicId)
    account_id: str = Field(foreign_key="account.id", sa_type=PublicId)
    name: str
    #: 0 announcement, 1 survey (IVR).
    type: int = 0
    state: str = Field(default=CampaignState.SCHEDULED, sa_type=State)
    list_id: str = Field(foreign_key="contact_list.id", sa_type=PublicId)
    caller_id: str
    #: Exactly one of the three is set: text with `{fields}`, a recorded file's name, or (type 1) what
    #: `flow_form.to_json` wrote.
    announcement_text: str | None = None
    recorded_filename: str | None = None
    flow: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: How many times the announcement is spoken in one call.
    repeat_count: int = 1
    voice: str = "Joanna"
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    language_code: str = "en-US"
    tts_engine_type: str = "standard"
    #: The zone of the dates given, and of contacts whose own zone is not known.
    time_zone: str = "UTC"
    start_at: datetime = Field(sa_type=UtcDateTime)
    end_at: datetime = Field(sa_type=UtcDateTime)
    #: None: no limit of its own; the account's and the provider's still hold.
    calls_per_minute: int | None = None
    max_concurrent: int | None = None
    #: `CallingWindow.to_json()`; None: the account's.
    calling_window: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: `RepeatPolicy.to_json()`.
    repeat_policy: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    #: The provider is to make the repeats, where they fit; see `dialer.calls.provider_repeats`.
    provider_repeats: bool = False
    #: As given by the first-generation API, to be shown again.
    max_retries: int = 0
    retry_time: int = 0
    #: A provider chosen for this campaign; None: by priority.
    provider_id: str | None = Field(default=None, foreign_key="provider.id", sa_type=PublicId)
    #: Position of the last contact taken.
    cursor: int = 0
    #: The list's last position when it ended before it had taken all: up to there it meant to call.
    end_position: int | None = None
    #: How far the pass over its waiting calls is that follows a change of its window (`campaigns.openings`): the
    #: `due_at` and id of the last that was looked at. None: none is under way.
    pass_due_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    pass_call_id: str | None = Field(default=None, sa_type=CallId)
    #: When the scheduler must look at it next; None: never again.
    wake_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: When it last had its turn: campaigns take turns by it. Who is kept from tokens by others keeps its place.
    served_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CampaignDndList(SQLModel, table=True):
    """A DND list that a campaign honours, besides its account's global one."""

    __tablename__ = "campaign_dnd_list"

    campaign_id: str = Field(primary_key=True, foreign_key="campaign.id", sa_type=PublicId)
    dnd_list_id: str = Field(primary_key=True, foreign_key="dnd_list.id", sa_type=PublicId)


class CampaignCount(SQLModel, table=True):
    """A counter of a campaign, moved in the transaction that changes what it counts.

    `name` is `taken` (contacts that have a call or an end), a call's end (`COMPLETED` …), or `cdr.` and a dial
    status (`cdr.ANSWER` …).
    """

    __tablename__ = "campaign_count"

    campaign_id: str = Field(primary_key=True, foreign_key="campaign.id", sa_type=PublicId)
    name: str = Field(primary_key=True)
    count: int = 0
