"""Outgoing webhooks: where an account's apps are told of what happened, and what they are told."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from dialer.models.base import CallId, Json, PublicId, State, UtcDateTime, state_check, states_in


class WebhookEvent(StrEnum):
    """What an app may be told of."""

    ATTEMPT_ENDED = "attempt.ended"  # an attempt has its CDR
    CALL_ENDED = "call.ended"  # a call has an end: it is not dialled any more
    CAMPAIGN_ENDED = "campaign.ended"  # every contact of a campaign has an end
    TEST = "webhook.test"  # somebody asked for it


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    PENDING = "PENDING"  # waits for its next try, or is being tried
    DELIVERED = "DELIVERED"  # answered with 2xx
    FAILED = "FAILED"  # given up


_pending = text(states_in("state", frozenset({DeliveryState.PENDING})))
_failed = text(states_in("state", frozenset({DeliveryState.FAILED})))


class WebhookEndpoint(SQLModel, table=True):
    """An app of an account, and what it wants to be told of."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        # store.webhooks.of_account, of_accounts: who wants to know of an event.
        Index("webhook_endpoint_account_id_idx", "account_id"),
    )

    id: str = Field(primary_key=True, sa_type=PublicId)
    account_id: str = Field(foreign_key="account.id", sa_type=PublicId)
    url: str
    #: `WebhookEvent`, sorted.
    events: list[Any] = Field(sa_type=Json)
    #: Only what happens in these; None: in all, and to single calls.
    campaign_ids: list[Any] | None = Field(default=None, sa_type=Json)
    description: str = ""
    #: What messages are signed with, sealed: `secret`, and `previous` until `previous_until`.
    secrets: str
    previous_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    enabled: bool = True
    #: Why it was disabled by itself; None: it was not.
    disabled_reason: str | None = None
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: Tries that failed since the last that did not, and when the first of them was.
    failures: int = 0
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: Nothing is sent to it before.
    rest_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class WebhookDelivery(SQLModel, table=True):
    """One message to one endpoint. It grows with every call, and names its endpoint without a foreign key."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        state_check("state", DeliveryState),
        # store.webhooks.due_endpoints, oldest_due_at, claim: what is to be sent to an endpoint, the longest due first.
        Index(
            "webhook_delivery_due_idx",
            "endpoint_id",
            "due_at",
            postgresql_where=_pending,
            sqlite_where=_pending,
        ),
        # store.webhooks.replay_failed: what was given up of an endpoint's, the oldest first.
        Index(
            "webhook_delivery_failed_idx",
            "endpoint_id",
            "id",
            postgresql_where=_failed,
            sqlite_where=_failed,
        ),
        # store.webhooks.deliveries: an endpoint's, the newest first.
        Index("webhook_delivery_endpoint_id_idx", "endpoint_id", "id"),
    )

    #: The `webhook-id` of the message; begins with the time.
    id: str = Field(primary_key=True, sa_type=CallId)
    account_id: str = Field(sa_type=PublicId)
    endpoint_id: str = Field(sa_type=PublicId)
    event: str = Field(sa_type=State)
    #: The id of the attempt, call or campaign.
    subject: str = Field(sa_type=CallId)
    #: The JSON that is sent, byte for byte.
    body: str
    state: str = Field(default=DeliveryState.PENDING, sa_type=State)
    #: Tries that were begun.
    tries: int = 0
    #: When it is tried next; of one that is being tried, when its worker is taken for dead.
    due_at: datetime = Field(sa_type=UtcDateTime)
    tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: Of the last try: the HTTP status, None without an answer; milliseconds; what was wrong, in our words.
    response_status: int | None = None
    latency_ms: int | None = None
    error: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
