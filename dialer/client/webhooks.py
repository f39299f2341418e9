"""`client.webhooks`: where the app is told what happens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Unpack

from dialer.client.answers import Delivery, DeliveryWithBody, MadeWebhook, Replayed, Webhook
from dialer.client.answers import Webhooks as AllWebhooks
from dialer.client.bodies import NewWebhook, WebhookChange
from dialer.client.group import PAGE_SIZE, Group
from dialer.client.parts import DeliveryState


class Webhooks(Group):
    """Webhooks and their deliveries."""

    def create(self, **webhook: Unpack[NewWebhook]) -> MadeWebhook:
        """Make a webhook. Its secret is shown this once."""
        return self._post(MadeWebhook, "webhooks", body=webhook)

    def list(self) -> Sequence[Webhook]:
        """All webhooks, the oldest first."""
        return self._get(AllWebhooks, "webhooks")["data"]

    def get(self, webhook_id: str, /) -> Webhook:
        """A webhook."""
        return self._get(Webhook, "webhooks", webhook_id)

    def change(self, webhook_id: str, /, **changes: Unpack[WebhookChange]) -> Webhook:
        """Change a webhook; one that is enabled again begins anew."""
        return self._patch(Webhook, "webhooks", webhook_id, body=changes)

    def delete(self, webhook_id: str, /) -> None:
        """Delete a webhook: nothing is sent to it any more."""
        self._delete("webhooks", webhook_id)

    def rotate_secret(self, webhook_id: str, /) -> MadeWebhook:
        """Make a new secret; for 24 hours messages are signed with both."""
        return self._post(MadeWebhook, "webhooks", webhook_id, "rotate-secret")

    def test(self, webhook_id: str, /) -> Delivery:
        """Send a `webhook.test`, at once."""
        return self._post(Delivery, "webhooks", webhook_id, "test")

    def deliveries(
        self, webhook_id: str, /, *, state: DeliveryState | None = None, page_size: int = PAGE_SIZE
    ) -> Iterator[Delivery]:
        """What was sent to a webhook, the newest first; `state`: only those in it."""
        return self._pages(
            Delivery, "webhooks", webhook_id, "deliveries", page_size=page_size, params={"state": state}
        )

    def delivery(self, delivery_id: str, /) -> DeliveryWithBody:
        """A delivery, and what is sent."""
        return self._get(DeliveryWithBody, "webhooks", "deliveries", delivery_id)

    def replay(self, delivery_id: str, /) -> Delivery:
        """Send a message again, whatever became of it."""
        return self._post(Delivery, "webhooks", "deliveries", delivery_id, "replay")

    def replay_failed(self, webhook_id: str, /, since: datetime | str) -> Replayed:
        """Send again what was given up since then; where `more` is true, ask again."""
        return self._post(Replayed, "webhooks", webhook_id, "replay", since=since)
