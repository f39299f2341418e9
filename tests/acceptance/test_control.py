"""Pause, resume and stop while a campaign runs at full speed; stops and kills of `dialer up` in the middle of one;
two schedulers at once."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from backends import SERVERS
from checker import Checker, attempts_of
from people_of_nobody import numbers
from service import Service, settled, wait_for

#: After the answer to pause or stop nothing more is placed later than this (seconds).
TAKES_EFFECT = 2.0
Services = Callable[..., Service]


def running(
    service: Service, count: int, name: str = "people", first: int = 0, **more: str
) -> tuple[str, list[str]]:
    """A campaign that has just begun to dial, and whom it dials."""
    before = service.accepted()
    contacts = numbers(count, first)
    campaign_id = service.start_campaign(service.import_contacts(contacts, name), name, **more)
    wait_for("the first calls are taken", lambda: service.accepted() > before + 10, every=0.01)
    return campaign_id, contacts


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An installation that is up, for the tests of this module one after the other."""
    with settled(tmp_path_factory.mktemp("control")) as service:
        yield service


def test_pause_and_resume_take_effect_at_once(service: Service) -> None:
    campaign_id, contacts = running(service, 1000)

    with provider_frozen(service):
        service.cli("campaign", "pause", campaign_id)
        paused_at = time.time()
        wait_for("it must have taken effect", lambda: time.time() > paused_at + TAKES_EFFECT)
    check_nothing_more_is_placed(service, campaign_id, paused_at)
    assert len(service.requests()) < len(contacts), "it was through before it was paused: nothing was shown"

    taken = service.accepted()
    service.cli("campaign", "resume", campaign_id)
    wait_for("it goes on", lambda: service.accepted() > taken)
    service.wait_finished(campaign_id)
    checker = Checker.of(service, campaign_id, contacts)
    checker.check()
    checker.check_each_accepted_once()


def test_a_stop_takes_effect_at_once(service: Service) -> None:
    campaign_id, contacts = running(service, 1000, "others", first=1000)
    with provider_frozen(service):
        service.post("stop_campaign", campaign_id=campaign_id)
        stopped_at = time.time()
        wait_for("it must have taken effect", lambda: time.time() > stopped_at + TAKES_EFFECT)
    check_nothing_more_is_placed(service, campaign_id, stopped_at)
    wait_for("everybody has an end", lambda: has_ended(service, campaign_id, contacts))
    checker = Checker.of(service, campaign_id, contacts)
    assert 10 < len(checker.requests) < len(contacts)
    checker.check(state="STOPPED", ended_as_played=False)


@contextlib.contextmanager
def provider_frozen(service: Service) -> Iterator[None]:
    """The provider answers nobody meanwhile: some requests are on their way, many calls lie released behind them."""
    service.send("sandbox", signal.SIGSTOP)
    try:
        yield
    finally:
        service.send("sandbox", signal.SIGCONT)


def check_nothing_more_is_placed(service: Service, campaign_id: str, since: float) -> None:
    """What the provider takes from now on was on its way to it before; it is looked at until every doorbell that was
    rung before has been rung again."""
    wait_for("doorbells are rung again", lambda: time.time() > since + TAKES_EFFECT + 3)
    attempts = attempts_of(service, campaign_id)
    late = [
        line
        for line in service.requests()
        if line["reference"] in attempts
        and line["t"] > since + TAKES_EFFECT
        and attempts[line["reference"]].submitted_at.timestamp() > since + TAKES_EFFECT
    ]
    assert not late, f"{len(late)} calls were placed later than {TAKES_EFFECT:g} s after the answer"


def has_ended(service: Service, campaign_id: str, contacts: list[str]) -> bool:
    progress = service.cli("campaign", "show", campaign_id, "--json")
    return bool(sum(progress["ended"].values()) == len(contacts))


def test_a_campaign_goes_on_after_sigterm_and_after_kill_9(service: Service) -> None:
    before = service.accepted()
    campaign_id, contacts = running(service, 900, "many", first=2000, calls_per_minute="6000")

    assert service.stop("up") == 0
    drained = service.accepted()
    assert only_the_sandbox_is_left(service)
    assert drained - before < len(contacts), "it was through before it was stopped: nothing was shown"
    states = {row.state for row in attempts_of(service, campaign_id).values()}
    assert not states & {"SUBMITTING", "UNKNOWN"}, "it did not drain"

    service.start_up()
    wait_for("it goes on", lambda: service.accepted() > drained)
    service.stop("up", signal.SIGKILL)
    wait_for("nobody outlives a kill -9", lambda: only_the_sandbox_is_left(service))
    killed = service.accepted()
    assert killed - before < len(contacts), "it was through before it was killed: nothing was shown"

    service.start_up()
    service.wait_finished(campaign_id)
    checker = Checker.of(service, campaign_id, contacts)
    in_flight = 100
    checker.check(most_unknown=in_flight)
    checker.check_each_accepted_once()


def only_the_sandbox_is_left(service: Service) -> bool:
    return {process.pid for process in service.processes()} == {service.running["sandbox"].pid}


@pytest.mark.parametrize("backend", [SERVERS])
def test_two_schedulers_and_two_workers_of_single_commands(make_service: Services, backend: str) -> None:
    service = make_service(backend)
    service.cli("db", "upgrade")
    service.start_sandbox()
    service.start("api", "api")
    service.start("scheduler-1", "scheduler")
    service.start("scheduler-2", "scheduler")
    service.start("worker-1", "worker", "--queues=calls", "--concurrency=1")
    service.start("worker-2", "worker", "--concurrency=1")
    wait_for("the API answers", service.is_ready)
    service.settle_in()
    campaign_id, contacts = running(service, 400, max_retries="1", retry_on_statuses="BUSY")
    service.wait_finished(campaign_id)
    Checker.of(service, campaign_id, contacts).check()
