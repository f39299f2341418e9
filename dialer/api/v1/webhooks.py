"""`/v1/webhooks`: the account's apps that are told of what happens, and the log of what was sent to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from dialer import ids
from dialer.api.v1.caller import Admin, Caller
from dialer.api.v1.page import CursorText, Limit, Page, page_of, read_text
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import Tools, With
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError, NotFound
from dialer.models.webhook import DeliveryState, WebhookEvent
from dialer.secrets import SecretBox
from dialer.store import audit, campaigns
from dialer.store import webhooks as store
from dialer.store.tables import AnyRow
from dialer.webhooks import outbox, schedule
from dialer.webhooks.events import Happened, body_of
from dialer.webhooks.signature import new_secret
from dialer.webhooks.targets import LONGEST_URL, checked_url

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

#: Endpoints of an account, campaigns that one may be for.
MOST_ENDPOINTS, MOST_CAMPAIGNS = 20, 100
#: Messages that one request sends again.
MOST_REPLAYED = 10_000

Wanted = Literal["attempt.ended", "call.ended", "campaign.ended"]
Url = Annotated[str, Field(max_length=LONGEST_URL, description="where messages are sent, by POST")]
Events = Annotated[list[Wanted], Field(min_length=1, description="what it is told of")]
CampaignIds = Annotated[
    list[Annotated[str, StringConstraints(pattern=r"^CM[0-9a-z]{10}$")]] | None,
    Field(
        min_length=1,
        max_length=MOST_CAMPAIGNS,
        description="only what happens in these; null: in all, and to calls without a campaign",
    ),
]
Description = Annotated[
    str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f]*$"), Field(description="for people")
]


class NewWebhook(BaseModel, extra="forbid"):
    """A webhook to be made."""

    url: Url
    events: Events
    campaign_ids: CampaignIds = None
    description: Description = ""
    enabled: bool = True


class WebhookChange(BaseModel, extra="forbid"):
    """What is to be changed; what is left out stays."""

    url: Url | None = None
    events: Events | None = None
    campaign_ids: CampaignIds = None
    description: Description | None = None
    enabled: bool | None = Field(
        default=None,
        description="false: nothing is sent, and nothing new is kept for it; true: it begins anew, with what is left",
    )


class Webhook(BaseModel):
    """A webhook, without its secret."""

    id: str
    url: str
    events: list[str]
    campaign_ids: list[str] | None
    description: str
    enabled: bool
    disabled_reason: str | None = Field(description="why it was disabled by itself")
    disabled_at: datetime | None
    failing_since: datetime | None = Field(
        description="when the first of the tries failed that have failed without a success since"
    )
    previous_until: datetime | None = Field(description="until when the secret of before signs, too")
    created_at: datetime


class MadeWebhook(Webhook):
    """A webhook with the secret that was just made."""

    secret: str = Field(description="what signatures are checked with, shown this once")


class Webhooks(BaseModel):
    """All webhooks of an account."""

    data: list[Webhook]


class Delivery(BaseModel):
    """One message to one webhook, and how far it has come."""

    id: str = Field(description="the header `webhook-id`, the same in every try")
    webhook_id: str
    event: str
    subject: str = Field(description="the id of the attempt, call or campaign")
    state: DeliveryState = Field(
        description="`PENDING`: waits for its next try, or is being tried; `DELIVERED`: answered with 2xx; "
        "`FAILED`: given up"
    )
    tries: int
    next_try_at: datetime | None
    tried_at: datetime | None
    response_status: int | None = Field(description="of the last try; null: no answer")
    latency_ms: int | None = Field(description="of the last try")
    error: str | None = Field(description="what was wrong with the last try")
    created_at: datetime
    ended_at: datetime | None


class DeliveryWithBody(Delivery):
    """A delivery, and what is sent."""

    body: str = Field(description="JSON, as it is signed")


class Replayed(BaseModel):
    """What is sent again."""

    replayed: int
    more: bool = Field(description=f"these were {MOST_REPLAYED}, and there may be more: ask again")


@router.post("", status_code=201, responses=documented(404, 409))
def create_webhook(body: NewWebhook, caller: Admin, tools: With) -> MadeWebhook:
    """Make a webhook. It is told of what happens from two seconds after the answer on."""
    now, secret = tools.now, new_secret()
    webhook_id = ids.webhook_endpoint_id()
    row = {
        "id": webhook_id,
        "account_id": caller.account_id,
        "url": _checked(tools, body.url),
        "events": sorted(set(body.events)),
        "campaign_ids": body.campaign_ids,
        "description": body.description,
        "enabled": body.enabled,
        "secrets": _box(tools).seal({"secret": secret}),
        "failures": 0,
        "created_at": now,
    }
    with writing(tools.engine) as connection:
        if len(store.of_account(connection, caller.account_id)) >= MOST_ENDPOINTS:
            raise Conflict(
                "url", f"This account has {MOST_ENDPOINTS} webhooks, which is the most: delete one."
            )
        _check_campaigns(connection, caller, body.campaign_ids)
        store.add(connection, row)
        _note(connection, caller, "create", webhook_id, now, events=row["events"])
        made = _found(connection, caller, webhook_id)
    return MadeWebhook(**_webhook(made).model_dump(), secret=secret)


@router.get("")
def list_webhooks(caller: Admin, tools: With) -> Webhooks:
    """All webhooks, the oldest first."""
    with reading(tools.engine) as connection:
        return Webhooks(data=[_webhook(row) for row in store.of_account(connection, caller.account_id)])


@router.get("/{webhook_id}", responses=documented(404))
def get_webhook(webhook_id: str, caller: Admin, tools: With) -> Webhook:
    """A webhook."""
    with reading(tools.engine) as connection:
        return _webhook(_found(connection, caller, webhook_id))


@router.patch("/{webhook_id}", responses=documented(404))
def change_webhook(webhook_id: str, body: WebhookChange, caller: Admin, tools: With) -> Webhook:
    """Change a webhook. One that is enabled again begins anew: what is left of its messages is sent."""
    given = body.model_dump(exclude_unset=True)
    for name in given.keys() - {"campaign_ids"}:
        if given[name] is None:
            raise FieldError(name, f"{name} is null: leave it out to keep it as it is.")
    if "url" in given:
        given["url"] = _checked(tools, given["url"])
    if "events" in given:
        given["events"] = sorted(set(given["events"]))
    values = dict(given)
    if given.get("enabled"):
        values |= {"disabled_reason": None, "disabled_at": None, **_ANEW}
    now = tools.now
    with writing(tools.engine) as connection:
        _check_campaigns(connection, caller, given.get("campaign_ids"))
        _found(connection, caller, webhook_id, lock=True)
        if values:
            store.update(connection, caller.account_id, webhook_id, **values)
            changed = {name: given[name] for name in sorted(given) if name in ("events", "enabled")}
            _note(connection, caller, "change", webhook_id, now, fields=sorted(given), **changed)
        changed_row = _found(connection, caller, webhook_id)
    tools.doorbell.deliver_webhooks()
    return _webhook(changed_row)


@router.delete("/{webhook_id}", status_code=204, responses=documented(404))
def delete_webhook(webhook_id: str, caller: Admin, tools: With) -> None:
    """Delete a webhook: nothing is sent to it any more. What is on its way still arrives."""
    with writing(tools.engine) as connection:
        if not store.delete(connection, caller.account_id, webhook_id):
            raise _no_webhook()
        _note(connection, caller, "delete", webhook_id, tools.now)


@router.post("/{webhook_id}/rotate-secret", responses=documented(404))
def rotate_secret(webhook_id: str, caller: Admin, tools: With) -> MadeWebhook:
    """Make a new secret. For 24 hours messages are signed with both, so that the app can be changed meanwhile."""
    now, secret, box = tools.now, new_secret(), _box(tools)
    with writing(tools.engine) as connection:
        held = _found(connection, caller, webhook_id, lock=True)
        both = {"secret": secret, "previous": box.open(held.secrets)["secret"]}
        store.update(
            connection,
            caller.account_id,
            webhook_id,
            secrets=box.seal(both),
            previous_until=now + schedule.BOTH_SECRETS,
        )
        _note(connection, caller, "rotate-secret", webhook_id, now)
        rotated = _found(connection, caller, webhook_id)
    return MadeWebhook(**_webhook(rotated).model_dump(), secret=secret)


@router.post("/{webhook_id}/test", status_code=202, responses=documented(404, 409))
def test_webhook(webhook_id: str, caller: Admin, tools: With) -> Delivery:
    """Send a `webhook.test`, at once; how it fares stands in its delivery."""
    now = tools.now
    (delivery_id,) = ids.delivery_ids(1, now)
    with writing(tools.engine) as connection:
        held = _enabled(connection, caller, webhook_id)
        happened = Happened(
            WebhookEvent.TEST, caller.account_id, None, webhook_id, lambda: {"webhook_id": webhook_id}
        )
        row = outbox.delivery(delivery_id, held, happened, body_of(happened, now), now)
        store.add_deliveries(connection, [row])
        store.update(connection, caller.account_id, webhook_id, rest_until=None)
        sent = _delivery_found(connection, caller, delivery_id)
    tools.doorbell.deliver_webhooks()
    return _delivery(sent)


@router.get("/{webhook_id}/deliveries", responses=documented(404))
def list_deliveries(
    webhook_id: str,
    caller: Admin,
    tools: With,
    limit: Limit = 100,
    cursor: CursorText = None,
    state: DeliveryState | None = None,
) -> Page[Delivery]:
    """What was sent to a webhook, the newest first. Deliveries are kept for seven days."""
    before = read_text(cursor)
    with reading(tools.engine) as connection:
        _found(connection, caller, webhook_id)
        rows = store.deliveries(
            connection,
            caller.account_id,
            webhook_id,
            limit + 1,
            before=before,
            state=state,
        )
    return page_of(rows, limit, _delivery, "id")


@router.get("/deliveries/{delivery_id}", responses=documented(404))
def get_delivery(delivery_id: str, caller: Admin, tools: With) -> DeliveryWithBody:
    """A delivery, and what is sent."""
    with reading(tools.engine) as connection:
        row = _delivery_found(connection, caller, delivery_id)
    return DeliveryWithBody(**_delivery(row).model_dump(), body=row.body)


@router.post("/deliveries/{delivery_id}/replay", status_code=202, responses=documented(404, 409))
def replay_delivery(delivery_id: str, caller: Admin, tools: With) -> Delivery:
    """Send a message again, whatever became of it: the same body under the same `webhook-id`."""
    now = tools.now
    with writing(tools.engine) as connection:
        webhook_id = _delivery_found(connection, caller, delivery_id).endpoint_id
        _enabled(connection, caller, webhook_id)
        store.replay(connection, caller.account_id, delivery_id, now)
        store.update(connection, caller.account_id, webhook_id, rest_until=None)
        _note(connection, caller, "replay", webhook_id, now, delivery_id=delivery_id)
        replayed = _delivery_found(connection, caller, delivery_id)
    tools.doorbell.deliver_webhooks()
    return _delivery(replayed)


@router.post("/{webhook_id}/replay", status_code=202, responses=documented(404, 409))
def replay_failed(
    webhook_id: str,
    caller: Admin,
    tools: With,
    since: Annotated[AwareDatetime, Query(description="messages of this moment and later")],
) -> Replayed:
    """Send again what was given up, the oldest first."""
    now = tools.now
    with writing(tools.engine) as connection:
        _enabled(connection, caller, webhook_id)
        try:
            replayed = store.replay_failed(
                connection, caller.account_id, webhook_id, since, now, MOST_REPLAYED
            )
        except ValueError:
            raise FieldError("since", "since lies outside the years that ids can tell.") from None
        store.update(connection, caller.account_id, webhook_id, rest_until=None)
        _note(connection, caller, "replay", webhook_id, now, messages=replayed)
    tools.doorbell.deliver_webhooks()
    return Replayed(replayed=replayed, more=replayed == MOST_REPLAYED)


#: An endpoint that failed before begins anew.
_ANEW: dict[str, Any] = {"failures": 0, "failing_since": None, "rest_until": None}


def _box(tools: Tools) -> SecretBox:
    return SecretBox(tools.settings.secret_keys())


def _checked(tools: Tools, url: str) -> str:
    settings = tools.settings
    return checked_url(url, needs_https=settings.is_production, allow_private=settings.webhook_allow_private)


def _check_campaigns(connection: Connection, caller: Caller, campaign_ids: list[str] | None) -> None:
    for campaign_id in campaign_ids or ():
        if campaigns.get(connection, caller.account_id, campaign_id) is None:
            raise FieldError(
                "campaign_ids",
                "campaign_ids names a campaign that this account does not have; check the ids.",
            )


def _note(
    connection: Connection, caller: Caller, verb: str, webhook_id: str, now: datetime, **detail: Any
) -> None:
    audit.add(connection, caller.account_id, caller.actor, f"webhook.{verb}", webhook_id, now, **detail)


def _no_webhook() -> NotFound:
    return NotFound("webhook_id", "webhook_id: this account has no such webhook; check the id.")


def _found(connection: Connection, caller: Caller, webhook_id: str, *, lock: bool = False) -> AnyRow:
    row = store.get(connection, caller.account_id, webhook_id, lock=lock)
    if row is None:
        raise _no_webhook()
    return row


def _enabled(connection: Connection, caller: Caller, webhook_id: str) -> AnyRow:
    row = _found(connection, caller, webhook_id, lock=True)
    if not row.enabled:
        raise Conflict("webhook_id", "webhook_id: this webhook is disabled; enable it first.")
    return row


def _delivery_found(connection: Connection, caller: Caller, delivery_id: str) -> AnyRow:
    row = store.delivery(connection, caller.account_id, delivery_id)
    if row is None:
        raise NotFound("delivery_id", "delivery_id: this account has no such delivery; check the id.")
    return row


def _webhook(row: AnyRow) -> Webhook:
    return Webhook.model_validate(row._mapping, from_attributes=True)


def _delivery(row: AnyRow) -> Delivery:
    values = dict(row._mapping)
    is_pending = row.state == DeliveryState.PENDING
    return Delivery(
        **{name: values[name] for name in Delivery.model_fields if name in values},
        webhook_id=row.endpoint_id,
        next_try_at=row.due_at if is_pending else None,
    )
