"""`client.campaigns`: who is called, with what, when, how fast, and again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Unpack

from dialer.client.answers import Added
from dialer.client.bodies import CampaignChanges, CampaignForm, NewContactBody, Redial, TestCall
from dialer.client.campaign_answers import (
    Campaign,
    Change,
    Changes,
    Preflight,
    Progress,
    Redialled,
    TestCalled,
)
from dialer.client.group import PAGE_SIZE, Group
from dialer.client.parts import CampaignState


class Campaigns(Group):
    """Campaigns."""

    def create(self, **campaign: Unpack[CampaignForm]) -> Campaign:
        """Make a campaign: a draft, or one that starts at `start_at`."""
        return self._post(Campaign, "campaigns", body=campaign)

    def list(self, *, state: CampaignState | None = None, page_size: int = PAGE_SIZE) -> Iterator[Campaign]:
        """All campaigns, the newest first; `state`: only those in it."""
        return self._pages(Campaign, "campaigns", page_size=page_size, params={"state": state})

    def get(self, campaign_id: str, /) -> Campaign:
        """A campaign."""
        return self._get(Campaign, "campaigns", campaign_id)

    def change(self, campaign_id: str, /, **changes: Unpack[CampaignChanges]) -> Campaign:
        """Change a campaign. One that runs keeps to it within seconds."""
        return self._patch(Campaign, "campaigns", campaign_id, body=changes)

    def preflight(self, campaign_id: str, /) -> Preflight:
        """Look whom it would call, whom not and why, and when it could be through."""
        return self._post(Preflight, "campaigns", campaign_id, "preflight")

    def add_contacts(self, campaign_id: str, contacts: Sequence[NewContactBody], /) -> Added:
        """Add up to 10,000 contacts to its list, also while it runs."""
        return self._post(Added, "campaigns", campaign_id, "contacts", body={"contacts": contacts})

    def progress(self, campaign_id: str, /) -> Progress:
        """How far it is."""
        return self._get(Progress, "campaigns", campaign_id, "progress")

    def start(self, campaign_id: str, /) -> Campaign:
        """Start a draft: at its `start_at`, at once when that has passed."""
        return self._post(Campaign, "campaigns", campaign_id, "start")

    def pause(self, campaign_id: str, /) -> Campaign:
        """Hold it: nothing more of it is placed."""
        return self._post(Campaign, "campaigns", campaign_id, "pause")

    def resume(self, campaign_id: str, /) -> Campaign:
        """Go on where it was held."""
        return self._post(Campaign, "campaigns", campaign_id, "resume")

    def stop(self, campaign_id: str, /) -> Campaign:
        """End it for good: what was not dialled is cancelled."""
        return self._post(Campaign, "campaigns", campaign_id, "stop")

    def clone(self, campaign_id: str, /, name: str) -> Campaign:
        """Make a draft that is like it."""
        return self._post(Campaign, "campaigns", campaign_id, "clone", body={"name": name})

    def redial(self, campaign_id: str, /, **redial: Unpack[Redial]) -> Redialled:
        """Make a draft for those who were not reached."""
        return self._post(Redialled, "campaigns", campaign_id, "redial", body=redial)

    def test_call(
        self, campaign_id: str, /, *, idempotency_key: str | None = None, **call: Unpack[TestCall]
    ) -> TestCalled:
        """Ring one number with what the campaign says: once, as `calls.create` makes a call once."""
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        path = ("campaigns", campaign_id, "test-call")
        called: TestCalled = self._wire.ask("POST", *path, body=call, idempotency_key=key)
        return called

    def history(self, campaign_id: str, /) -> Sequence[Change]:
        """All that became of it."""
        return self._get(Changes, "campaigns", campaign_id, "history")["data"]
