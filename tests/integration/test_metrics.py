"""`/metrics`: what it counts is so, holds nobody's number, and costs the same however large a campaign is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from running import Running, until
from sqlalchemy import Engine
from upstream import application
from world import World, number, people, statements

from dialer.api import metrics
from dialer.api.app import make_app
from dialer.db import reading, writing
from dialer.pace.breaker import Breaker
from dialer.providers.contract import Outcome
from dialer.settings import Settings
from dialer.store import meters

Sample = dict[tuple[str, ...], float]


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.set_provider(name="north")
    yield made
    made.close()


@pytest.fixture
def scrape(
    world: World, tmp_path: Path, serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], dict[str, Sample]]]:
    """What `/metrics` says, by name and values of labels, which are in the order of their names."""
    monkeypatch.setattr(metrics, "REMEMBERED", 0.0)
    settings = Settings(home=tmp_path / "home", redis_url=world.redis_url, _env_file=None)
    with (
        application(world.engine, settings) as app,
        httpx.Client(base_url=serve(app), timeout=20) as client,
    ):

        def look() -> dict[str, Sample]:
            answer = client.get("/metrics")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/plain")
            found: dict[str, Sample] = {}
            for family in text_string_to_metric_families(answer.text):
                for sample in family.samples:
                    found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
            assert "+4670" not in answer.text
            assert "4670000" not in answer.text
            return found

        yield look


def fold(world: World) -> None:
    with writing(world.engine) as connection:
        meters.fold(connection, world.clock.now)


def test_calls_are_counted_by_state_from_the_first_to_the_last(
    world: World, scrape: Callable[[], dict[str, Sample]]
) -> None:
    assert set(scrape()["dialer_calls"].values()) == {0.0}
    campaign = world.campaign(world.contact_list(people(5)), max_concurrent=4, repeat_policy={})
    released = world.release()
    attempts = world.dial(released[:3])
    world.otp(number(60))
    world.set_provider(enabled=True, paused_reason="no funds")
    world.otp(number(61))
    found = scrape()
    assert found["dialer_calls"]["campaign", "RELEASED"] == 1
    assert found["dialer_calls"]["campaign", "IN_PROGRESS"] == 3
    assert found["dialer_calls"]["single", "RELEASED"] == 1
    assert found["dialer_calls"]["single", "WAITING"] == 1
    assert found["dialer_live_calls"] == {("outbound",): 3, ("inbound",): 0}
    assert found["dialer_campaigns"] == {("RUNNING",): 1}
    world.end(attempts[:2])
    world.answer(world.dial(released[3:]), Outcome.PLACED)
    found = scrape()
    assert found["dialer_campaign_calls_ended_total"]["COMPLETED",] == 2
    assert world.states(campaign)["COMPLETED"] == 2


def test_a_repeat_that_waits_is_a_waiting_call(world: World, scrape: Callable[[], dict[str, Sample]]) -> None:
    world.campaign(world.contact_list(people(3)))
    (first, *_) = attempts = [one.submission.attempt_id for one in world.claim(world.release()).placements]
    world.answer(attempts[1:], Outcome.PLACED)
    world.answer([first], Outcome.NOT_SENT)
    assert scrape()["dialer_calls"]["campaign", "WAITING"] == 1


def test_attempts_are_counted_by_provider_and_disposition_before_and_after_they_are_added_up(
    world: World, scrape: Callable[[], dict[str, Sample]]
) -> None:
    world.campaign(world.contact_list(people(4)))
    one, two, three, _ = world.dial(world.release())
    world.end([one, two])
    world.end([three], "busy")
    world.forbid(number(60))
    world.dial([world.otp(number(60))])
    expected = {("ANSWERED", "CAMPAIGN", "north"): 2, ("BUSY", "CAMPAIGN", "north"): 1}
    for _ in range(3):  # none is added, all are seen, all are added
        found = scrape()
        assert found["dialer_attempts_ended_total"] == expected
        assert found["dialer_undialled_total"] == {("OTP", "DND"): 1}
        fold(world)
        world.clock.forward(meters.SETTLED.total_seconds())
    with reading(world.engine) as connection:
        assert meters.totals(connection)[meters.CDR, world.provider_id, "CAMPAIGN/ANSWERED"] == 2
        assert meters._cdrs(connection, 4, 10**9) == {}


def test_cdrs_are_added_up_once_however_many_do_it(
    world: World, scrape: Callable[[], dict[str, Sample]]
) -> None:
    world.campaign(world.contact_list(people(2)))
    world.end(world.dial(world.release()))
    for _ in range(5):
        fold(world)
        fold(world)
        world.clock.forward(meters.SETTLED.total_seconds())
    assert scrape()["dialer_attempts_ended_total"] == {("ANSWERED", "CAMPAIGN", "north"): 2}


def test_many_cdrs_are_read_bit_by_bit(
    world: World, scrape: Callable[[], dict[str, Sample]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters, "READ_AT_ONCE", 2)
    world.campaign(world.contact_list(people(5)))
    world.end(world.dial(world.release()))
    for _ in range(3):
        assert scrape()["dialer_attempts_ended_total"] == {("ANSWERED", "CAMPAIGN", "north"): 5}
        fold(world)
        world.clock.forward(meters.SETTLED.total_seconds())


def test_submits_are_counted_by_outcome(
    world: World, tmp_path: Path, scrape: Callable[[], dict[str, Sample]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.dispatch.METERED_EVERY", 0.0)
    with Running(world, tmp_path) as running:
        campaign = world.campaign(world.contact_list(people(6)))
        running.until_finished(campaign)
        until(lambda: scrape()["dialer_submits_total"] == {("PLACED", "north"): 6}, "the count")


def test_how_long_providers_waited_for_answers(world: World, scrape: Callable[[], dict[str, Sample]]) -> None:
    assert "dialer_live_answer_seconds_count" not in scrape(), "mitto waits for none"
    world.set_provider(kind="iotcomms")
    with writing(world.engine) as connection:
        noted = {"0.005": 3, "0.3": 1, "+Inf": 1, "sum": 1_500_000}
        meters.add(connection, {(meters.LIVE, world.provider_id, label): n for label, n in noted.items()})
        meters.add(connection, {(meters.LIVE_ODD, world.provider_id, "not_known"): 2})
    found = scrape()
    assert found["dialer_live_answer_seconds_count"] == {("north",): 5}
    assert found["dialer_live_answer_seconds_sum"] == {("north",): 1.5}
    up_to = {labels[0]: n for labels, n in found["dialer_live_answer_seconds_bucket"].items()}
    assert (up_to["0.005"], up_to["0.25"], up_to["0.3"], up_to["+Inf"]) == (3, 3, 4, 5)
    odd = found["dialer_live_answers_odd_total"]
    assert {what: n for (_, what), n in odd.items()} == {"not_known": 2, "stored_after": 0, "lost": 0}


def test_where_providers_stand(world: World, scrape: Callable[[], dict[str, Sample]]) -> None:
    world.provider(name="south", priority=200)
    found = scrape()
    assert found["dialer_provider_enabled"] == {("mitto", "north"): 1, ("mitto", "south"): 1}
    assert found["dialer_breaker"]["north", "closed"] == 1
    far = world.clock.now + timedelta(days=3650)
    world.set_provider(paused_reason="no funds", held_until=far, **Breaker(2, far).columns())
    found = scrape()
    assert found["dialer_provider_paused"]["mitto", "north"] == 1
    assert found["dialer_provider_held_seconds"]["mitto", "north"] > 1000
    assert found["dialer_provider_held_seconds"]["mitto", "south"] == 0
    assert found["dialer_breaker"]["north", "open"] == 1
    assert found["dialer_breaker"]["north", "closed"] == 0
    world.set_provider(**Breaker(2, world.clock.now - timedelta(days=3650)).columns())
    found = scrape()
    stands = {state: found["dialer_breaker"]["north", state] for state in ("closed", "open", "half-open")}
    assert stands == {"closed": 0, "open": 0, "half-open": 1}


def test_events_by_what_became_of_them(world: World, scrape: Callable[[], dict[str, Sample]]) -> None:
    world.campaign(world.contact_list(people(1)))
    (attempt,) = world.dial(world.release())
    world.tell("nobody-1")
    world.tell_raw("type=nonsense")
    world.tell(attempt)
    assert scrape()["dialer_events"] == {("NEW",): 3, ("UNMATCHED",): 0, ("UNREADABLE",): 0}
    world.consume()
    assert scrape()["dialer_events"] == {("NEW",): 0, ("UNMATCHED",): 1, ("UNREADABLE",): 1}


def test_events_that_were_not_understood_are_counted(
    world: World, scrape: Callable[[], dict[str, Sample]]
) -> None:
    assert scrape()["dialer_unknown_words_total"] == {("north",): 0}
    world.campaign(world.contact_list(people(1)))
    (attempt,) = world.dial(world.release())
    world.tell_raw(f"type=endCallback&reference={attempt}&state=99&error=999")
    world.consume()
    assert scrape()["dialer_unknown_words_total"] == {("north",): 1}


def test_queues_and_a_broker_that_is_away(
    world: World, scrape: Callable[[], dict[str, Sample]], tmp_path: Path, serve: Callable[[Any], str]
) -> None:
    world.redis.lpush("calls", "doorbell")
    found = scrape()
    assert found["dialer_broker_up"] == {(): 1}
    assert found["dialer_queue_messages"] == {("otp",): 0, ("calls",): 1, ("results",): 0, ("upkeep",): 0}
    world.redis.delete("calls")
    away = Settings(home=tmp_path / "home", redis_url="redis://127.0.0.1:1/0", _env_file=None)
    url = serve(make_app(world.engine, away))
    text = httpx.get(f"{url}/metrics", timeout=20).text
    assert "dialer_broker_up 0.0" in text
    assert "dialer_calls" in text, "what the tables say is told all the same"


def test_a_look_costs_a_bounded_number_of_statements_and_is_remembered(
    world: World, tmp_path: Path, serve: Callable[[Any], str]
) -> None:
    settings = Settings(home=tmp_path / "home", redis_url=world.redis_url, _env_file=None)
    url = serve(make_app(world.engine, settings))
    world.campaign(world.contact_list(people(200)))
    world.end(world.dial(world.release()))
    first = statements(world.engine, lambda: httpx.get(f"{url}/metrics", timeout=20))
    assert 0 < first <= 19
    assert statements(world.engine, lambda: httpx.get(f"{url}/metrics", timeout=20)) == 0
