"""An app is told of all that a campaign did, through a whole installation, whatever is killed on the way."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from people_of_nobody import numbers
from receiver import Receiver, receiving
from service import Service, settled, wait_for

from dialer.store.tables import call, cdr, webhook_delivery

COUNT = 60


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """An installation that may send to this host."""
    with settled(tmp_path, DIALER_WEBHOOK_ALLOW_PRIVATE="true") as service:
        yield service


@pytest.mark.parametrize("is_killed", [False, pytest.param(True, marks=pytest.mark.chaos)])
def test_an_app_is_told_of_every_call_of_a_campaign(service: Service, is_killed: bool) -> None:
    with receiving() as app:
        events = ["attempt.ended", "call.ended", "campaign.ended"]
        made = service.upstream.post("/v1/webhooks", json={"url": app.url, "events": events})
        assert made.status_code == 201, made.text
        secret = made.json()["secret"]
        service.secrets.add(secret)
        may_answer = threading.Event()
        if is_killed:
            app.hook = lambda: may_answer.wait(60)
        campaign_id = service.start_campaign(service.import_contacts(numbers(COUNT)))
        if is_killed:
            kill_while_it_sends(service, app)
            may_answer.set()
        service.wait_finished(campaign_id)
        wait_for(
            "everything is delivered",
            lambda: set(states(service)) == {"DELIVERED"} and len(app.came) >= 2 * COUNT + 1,
            within=180,
            every=0.3,
        )
        told = {message.id: message.verified(secret) for message in app.came}
    assert len(told) == len(service.rows(sa.select(webhook_delivery.c.id)))
    calls = [one["data"]["call_id"] for one in told.values() if one["type"] == "call.ended"]
    assert sorted(calls) == sorted(row.id for row in service.rows(sa.select(call.c.id)))
    attempts = [one["data"]["attempt_id"] for one in told.values() if one["type"] == "attempt.ended"]
    # One that reached no provider, as on a busy machine, comes to nothing: its call is dialled again.
    ended = sa.select(cdr.c.attempt_id).where(cdr.c.attempt_id.is_not(None))
    assert sorted(attempts) == sorted(row.attempt_id for row in service.rows(ended))
    (over,) = [one["data"] for one in told.values() if one["type"] == "campaign.ended"]
    assert (over["campaign_id"], over["contacts"], sum(over["ends"].values())) == (campaign_id, COUNT, COUNT)
    times = Counter(message.id for message in app.came)
    assert (max(times.values()) > 1) == is_killed, "what was on its way comes again, and nothing else"


def states(service: Service) -> Counter[str]:
    """How many deliveries are in each state."""
    return Counter(row.state for row in service.rows(sa.select(webhook_delivery.c.state)))


def kill_while_it_sends(service: Service, app: Receiver) -> None:
    """Kill what delivers, with messages on their way that nobody has answered."""
    wait_for("messages are on their way", lambda: app.begun)
    assert app.came == []
    service.kill_child("upkeep")
