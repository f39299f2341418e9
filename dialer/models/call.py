"""Calls: one intent to reach one number."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, text
from sqlmodel import Field, SQLModel

from dialer.lifecycle import CALL_OPEN, NOT_URGENT, CallKind, CallState
from dialer.models.base import E164, CallId, Json, PublicId, State, UtcDateTime, state_check, states_in

#: States in which a call takes up one of the `max_concurrent` of its campaign, account and provider.
OCCUPYING = frozenset({CallState.RELEASED, CallState.DIALLING, CallState.IN_PROGRESS})

_waiting = text(states_in("state", frozenset({CallState.WAITING})))
_rung = text(f"rung_at IS NOT NULL AND {states_in('state', frozenset({CallState.RELEASED}))}")
_occupying = text(states_in("state", OCCUPYING))
_of_campaign = text("campaign_id IS NOT NULL")
_single = text("campaign_id IS NULL")
_WAITING_SINGLE = f"{states_in('state', frozenset({CallState.WAITING}))} AND campaign_id IS NULL"
#: Of call_urgent_due_idx and call_not_urgent_due_idx.
IS_NOT_URGENT = states_in("call.kind", NOT_URGENT)
IS_URGENT = IS_NOT_URGENT.replace(" IN ", " NOT IN ")
_waiting_urgent = text(f"{_WAITING_SINGLE} AND {IS_URGENT}".replace("call.", ""))
_waiting_not_urgent = text(f"{_WAITING_SINGLE} AND {IS_NOT_URGENT}".replace("call.", ""))
#: The predicate of call_callback_key: callbacks of inbound rules. Of those at a chosen time there may be many.
OPEN_CALLBACK = f"kind = '{CallKind.CALLBACK}' AND {states_in('state', CALL_OPEN)} AND scheduled_at IS NULL"
_open_callback = text(OPEN_CALLBACK)
_scheduled = text("scheduled_at IS NOT NULL")


class Call(SQLModel, table=True):
    """One intent to reach one number. Its id is the `request_id` that the user sees.

    Tables that grow with every call (call, attempt, cdr, event) name others without a foreign key: the check costs
    each row a look-up, and a share lock on one and the same account, campaign or provider. An attempt and a CDR are
    inserted by who holds their call's row.
    """

    __tablename__ = "call"
    __table_args__ = (
        state_check("state", CallState),
        state_check("kind", CallKind),
        # store.calls.add_for_campaign: a campaign takes a number once.
        Index(
            "call_campaign_id_e164_key",
            "campaign_id",
            "e164",
            unique=True,
            postgresql_where=_of_campaign,
            sqlite_where=_of_campaign,
        ),
        # store.singles.add_callback: an account calls nobody back twice at once.
        Index(
            "call_callback_key",
            "account_id",
            "e164",
            unique=True,
            postgresql_where=_open_callback,
            sqlite_where=_open_callback,
        ),
        # store.callbacks.of_account: those at a chosen time, by keyset.
        Index("call_scheduled_idx", "account_id", "id", postgresql_where=_scheduled, sqlite_where=_scheduled),
        # store.calls.lock_due: the repeats of a campaign that are due, oldest first. With call_occupying_idx also
        # has_open and lock_open: is a campaign drained; what a stop has still to cancel. With the id, as many calls
        # are due at one and the same opening, waiting_after: those that wait, by keyset.
        Index(
            "call_waiting_idx",
            "campaign_id",
            "due_at",
            "id",
            postgresql_where=_waiting,
            sqlite_where=_waiting,
        ),
        # store.singles.is_any_due, lock_due, count_waiting: single calls that wait and are urgent …
        Index(
            "call_urgent_due_idx",
            "due_at",
            postgresql_where=_waiting_urgent,
            sqlite_where=_waiting_urgent,
        ),
        # … store.singles.is_any_due, lock_due: and those that are not.
        Index(
            "call_not_urgent_due_idx",
            "due_at",
            postgresql_where=_waiting_not_urgent,
            sqlite_where=_waiting_not_urgent,
        ),
        # store.calls.page: an account's, the newest first; those of a time or a campaign lie together in it. Every call
        # is in it, as an account's calls of all campaigns are listed together, and nothing else tells them in order.
        Index("call_account_id_idx", "account_id", "id"),
        # store.calls.page: an account's single calls of one purpose, however many others it has made.
        Index("call_single_idx", "account_id", "kind", "id", postgresql_where=_single, sqlite_where=_single),
        # store.calls.page: an account's single calls to a number; those of campaigns have call_campaign_id_e164_key.
        Index(
            "call_account_id_e164_idx",
            "account_id",
            "e164",
            "id",
            postgresql_where=_single,
            sqlite_where=_single,
        ),
        # store.calls.untaken: released, but no worker came for it. Its predicate names rung_at, so that no other
        # statement about released calls takes it for a short cut: it holds those of every campaign.
        Index("call_ring_again_idx", "rung_at", postgresql_where=_rung, sqlite_where=_rung),
        # store.calls.occupancy: calls at once. Holds only calls in flight, so that counting by account or
        # provider may read all of it.
        Index(
            "call_occupying_idx", "campaign_id", "state", postgresql_where=_occupying, sqlite_where=_occupying
        ),
    )

    id: str = Field(primary_key=True, sa_type=CallId)
    account_id: str = Field(sa_type=PublicId)
    kind: str = Field(default=CallKind.CAMPAIGN, sa_type=State)
    campaign_id: str | None = Field(default=None, sa_type=PublicId)
    list_id: str | None = Field(default=None, sa_type=PublicId)
    position: int | None = None
    e164: str = Field(sa_type=E164)
    #: IANA name; the callee's, and of a callback at a chosen time the one on whose clocks it was chosen.
    time_zone: str
    state: str = Field(sa_type=State)
    due_at: datetime = Field(sa_type=UtcDateTime)
    #: When a callback shall be dialled, as a person chose it; None of every other call.
    scheduled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: When it was last released, and when a doorbell was last rung for it.
    released_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    rung_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    provider_id: str | None = Field(default=None, sa_type=PublicId)
    #: Attempt rows made, the number of the latest.
    dials: int = 0
    #: Attempts since the last that reached a provider: the backoff of what was not sent grows with it.
    unsent: int = 0
    #: Repeats used up, by disposition: {"BUSY": 1}.
    repeats: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    #: Of a single call, `RepeatPolicy.to_json()`; a campaign's calls follow its own. None: it is not repeated.
    repeat_policy: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: What whoever asked for it wants back with it: short texts by name. Never sent to a provider.
    metadata_: dict[str, Any] | None = Field(default=None, sa_column=Column("metadata", Json))
    disposition: str | None = Field(default=None, sa_type=State)
    #: A word on why it ended or waits, for people.
    reason: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
