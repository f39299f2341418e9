"""The same story on every backend: CSV files, a DND list, every ending, repeats; then everything must add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from backends import EMBEDDED, RABBIT, SERVERS, MakeBackend
from checker import Checker
from service import OwnRedis, Service, answers, installation, wait_for

from dialer.demo.people import on_dnd, people

PEOPLE = people(150)
SUPPRESSED = [person.number for person in on_dnd(PEOPLE)]
#: Ending of who is taken and never gets a reply, for which ten seconds have to be waited: on one backend only.
SILENCE = "07"
#: Endings: busy, no answer, congestion and rejected, which is BUSY in the words of the API.
REPEATED = ("01", "02", "11", "16")
#: HTTP 500, and refused as bad data.
NOT_TAKEN = ("06", "18")
#: HTTP 429 the first time.
HELD = ("05",)
RETRIES = {"max_retries": "2", "retry_time": "1", "retry_on_statuses": "NOANSWER,BUSY,CONGESTION"}


@dataclass(frozen=True, slots=True)
class Story:
    """A campaign that was run."""

    service: Service
    campaign_id: str
    contacts: list[str]

    def checker(self) -> Checker:
        """Its recorded histories."""
        suppressed = [number for number in SUPPRESSED if number in self.contacts]
        return Checker.of(self.service, self.campaign_id, self.contacts, suppressed)


@pytest.fixture(scope="module", params=[EMBEDDED, SERVERS, RABBIT])
def told(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, make_backend: MakeBackend
) -> Iterator[Story]:
    """A service that has run a campaign to its end."""
    contacts = [
        person.number for person in PEOPLE if request.param == EMBEDDED or not person.number.endswith(SILENCE)
    ]
    folder = tmp_path_factory.mktemp("story")
    servers = make_backend(request.param, folder / "servers").settings
    with installation(folder, **servers, DIALER_RECONCILE_AFTER="3") as service:
        service.start_sandbox()
        service.start_up(flower=True)
        service.settle_in()
        dnd_list_id = service.import_dnd(SUPPRESSED)
        list_id = service.import_contacts(contacts)
        campaign_id = service.start_campaign(list_id, dnd_list_id=dnd_list_id, **RETRIES)
        service.wait_finished(campaign_id)
        yield Story(service, campaign_id, contacts)


def test_a_campaign_finishes_and_everything_adds_up(told: Story) -> None:
    told.checker().check()


def test_everybody_is_rung_as_often_as_the_retries_say(told: Story) -> None:
    checker = told.checker()
    taken = Counter(f"+{line['to']}" for line in checker.requests if line["accepted"])
    asked = Counter(f"+{line['to']}" for line in checker.requests)
    for number in set(told.contacts) - set(SUPPRESSED):
        ending = number[-2:]
        assert taken[number] == (3 if ending in REPEATED else 0 if ending in NOT_TAKEN else 1), number
        assert asked[number] == (2 if ending in HELD else max(1, taken[number])), number


def test_flower_shows_ids_only_and_only_to_who_has_the_login(told: Story) -> None:
    service = told.service
    assert answers(f"{service.flower_url}/api/tasks", 401)
    assert answers(f"{service.flower_url}/", 401)
    login = (service.home / "secrets" / "flower_auth").read_text().strip()
    user, _, password = login.partition(":")

    def shown() -> str:
        page = httpx.get(f"{service.flower_url}/api/tasks", auth=(user, password), trust_env=False)
        assert page.status_code == 200
        return page.text if "place_calls" in page.text and "consume_events" in page.text else ""

    page = wait_for("Flower has seen the tasks", shown)
    told_secrets = [secret for secret in service.secrets if secret in page]
    assert not told_secrets
    # … and is reached from this machine alone.
    flower = next(p for p in service.processes() if "flower" in p.cmdline())
    listening = [c.laddr.ip for c in flower.net_connections() if c.status == "LISTEN"]
    assert listening == ["127.0.0.1"]


def test_it_says_that_it_is_alive_and_ready(told: Story) -> None:
    service = told.service
    assert answers(f"{service.api_url}/healthz")
    assert answers(f"{service.api_url}/readyz")


def test_the_api_is_not_ready_while_its_broker_is_away(
    make_service: Callable[..., Service], tmp_path: Path
) -> None:
    redis = OwnRedis(tmp_path / "redis")
    redis.start()
    service = make_service(DIALER_REDIS_URL=redis.url)
    try:
        service.cli("db", "upgrade")
        service.start("api", "api")
        wait_for("the API is ready", lambda: answers(f"{service.api_url}/readyz"))
        redis.stop()
        assert answers(f"{service.api_url}/readyz", 503)
        assert answers(f"{service.api_url}/healthz")
        checks = httpx.get(f"{service.api_url}/readyz", trust_env=False).json()["checks"]
        assert checks["database"] == "ok"
        assert "DIALER_BROKER_URL" in checks["broker"]
        redis.start()
        wait_for("the API is ready again", lambda: answers(f"{service.api_url}/readyz"))
    finally:
        redis.stop()
