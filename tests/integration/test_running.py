"""The invariants, with everything running at once over real HTTP and the worst of luck."""

from __future__ import annotations

import dataclasses
import socket
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa
from running import Running, until
from sqlalchemy import Engine
from world import World, in_threads, number, people, repeating

from dialer.db import reading, utc_now
from dialer.embedded import EmbeddedServer
from dialer.lifecycle import AttemptState, CallState
from dialer.pace.limiter import Limiter
from dialer.sandbox.outcomes import FATES, Answer
from dialer.store import tables as t
from dialer.store.contacts import NewContact
from workers import claim, dispatch, scheduler
from workers.claim import Placement
from workers.dispatch import Dispatcher


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is waited for in minutes is waited for in seconds."""
    monkeypatch.setattr(scheduler, "RING_AGAIN", timedelta(seconds=0.3))
    monkeypatch.setattr(scheduler, "RING_EVENTS_AGAIN", timedelta(seconds=0.2))
    monkeypatch.setattr(scheduler, "UPKEEP_EVERY", 0.1)
    monkeypatch.setattr(scheduler, "LONGEST_PAUSE", 0.3)
    monkeypatch.setattr(dispatch, "HTTP_DEADLINE", 1.0)
    monkeypatch.setattr(claim, "LEASE", timedelta(seconds=3))


def of_every_fate(times: int) -> list[NewContact]:
    """Contacts with every fate that the sandbox knows, and ordinary ones."""
    ends = [*sorted(int(end) for end in FATES), *range(50, 60)]
    return [NewContact(number(100 * one + end)) for one in range(times) for end in ends]


def test_shaken_doorbells_two_of_everything_a_flushed_redis_and_every_kind_of_reply(
    world: World, tmp_path: Path
) -> None:
    given = of_every_fate(5)
    forbidden: dict[str, datetime] = {}
    with Running(world, tmp_path, shaken=True) as running:
        campaign = world.campaign(world.contact_list(given), repeat_policy=repeating(1, delay=0))

        def forbid() -> None:
            for contact in given[-10:]:
                world.forbid(contact.e164)
                with reading(world.engine) as connection:
                    forbidden[contact.e164] = utc_now(connection)

        forbidder = threading.Thread(target=forbid)
        forbidder.start()
        until(lambda: len(running.log()) > 20)
        world.redis.flushall()
        forbidder.join(30)
        running.until_finished(campaign)
        running.no_attempt_came_twice()
        rung = Counter(line["to"] for line in running.accepted())
    submitted = {row.id: row for row in world.rows(t.attempt)}
    assert len(submitted) > len(given)
    for line in running.accepted():
        attempt = submitted[line["reference"]]
        assert attempt.e164 not in forbidden or attempt.submitted_at <= forbidden[attempt.e164]
    for contact in given:
        fate = FATES.get(contact.e164[-2:])
        (call,) = world.rows(t.call, e164=contact.e164)
        times = rung[contact.e164.lstrip("+")]
        assert times <= 1 + sum(call.repeats.values())
        if fate is not None and fate.answer in (
            Answer.SILENCE,
            Answer.RESET,
            Answer.GARBAGE,
            Answer.INTERNAL_ERROR,
        ):
            assert times <= 1, "its fate was unknown: never dialled again by itself"
            assert call.state in (CallState.COMPLETED, CallState.SUPPRESSED), "its callback has settled it"
        if fate is not None and fate.answer is Answer.SERVER_ERROR and call.state != CallState.SUPPRESSED:
            assert call.state == CallState.UNKNOWN
            sent = [row for row in submitted.values() if row.call_id == call.id and row.state != "NOT_PLACED"]
            assert len(sent) == 1


def test_a_database_that_loses_its_connections_again_and_again_loses_and_doubles_nothing(
    world: World, tmp_path: Path
) -> None:
    given = people(250)
    with Running(world, tmp_path) as running:
        campaign = world.campaign(world.contact_list(given))
        for seen in (20, 80, 140):
            until(lambda s=seen: len(running.log()) > s)  # type: ignore[misc]
            _disturb(world.engine)
        running.until_finished(campaign)
        running.no_attempt_came_twice()
        assert len(running.accepted()) <= len(given)
    ends = world.states(campaign)
    assert ends["COMPLETED"] + ends["UNKNOWN"] == len(given)
    assert len(running.accepted()) >= ends["COMPLETED"] > len(given) / 4
    assert Counter(row.state for row in world.rows(t.event)) == {"CONSUMED": 2 * len(running.accepted())}


def _disturb(engine: Engine) -> None:
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("BEGIN EXCLUSIVE")  # nobody else writes until this is over
            connection.exec_driver_sql(
                "SELECT count(*) FROM call AS a, call AS b, event AS c WHERE a.id < b.id"
            )
            connection.exec_driver_sql("COMMIT")
        else:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )


def test_without_redis_nothing_is_dialled_and_when_it_is_back_everything_goes_on(
    database: Engine, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="dialer") as folder:
        server = EmbeddedServer(Path(folder) / "data", Path(folder) / "redis.sock")
        with server:
            world = World(database, server.url)
            with Running(world, tmp_path) as running:
                campaign = world.campaign(world.contact_list(people(60)), calls_per_minute=1800)
                until(lambda: len(running.log()) > 5)
                server.stop()
                seen: list[int] = []
                until(lambda: _is_still(seen, len(running.log())), "silence")
                server.start()
                server.wait_ready()
                running.until_finished(campaign)
                running.no_attempt_came_twice()
                assert len(running.accepted()) == 60
            world.close()
    assert seen[-1] < 60
    assert world.states(campaign) == {"COMPLETED": 60}


def _is_still(seen: list[int], count: int) -> bool:
    """Whether nothing has changed over half a second of looks."""
    seen.append(count)
    return len(seen) > 25 and len(set(seen[-25:])) == 1


def test_a_429_silences_every_worker_until_its_time_is_over(world: World, tmp_path: Path) -> None:
    numbers = [number(50), number(105), number(51), number(205), number(52)]
    with Running(world, tmp_path) as running:
        campaign = world.campaign(world.contact_list([NewContact(one) for one in numbers]), max_concurrent=1)
        running.until_finished(campaign)
        log = running.log()
    refusals = [line["t"] for line in log if line["status"] == "HTTP 429"]
    assert len(refusals) == 2
    for at in refusals:
        assert [line["t"] - at for line in log if at < line["t"] < at + 1.0] == []
    assert world.states(campaign) == {"COMPLETED": 5}
    assert {row.unsent for row in world.rows(t.call)} == {0}
    # A claim that a busy machine was too slow for is given back; it reached nobody.
    sent = [row for row in world.rows(t.attempt) if not row.detail.startswith("given back")]
    assert Counter(row.state for row in sent) == {"ENDED": 5, "NOT_PLACED": 2}


def test_a_paced_campaign_keeps_its_pace_and_a_pause_stops_it_for_good(world: World, tmp_path: Path) -> None:
    per_second = 20
    world.set_provider(calls_per_minute=60 * per_second)
    with Running(world, tmp_path) as running:
        campaign = world.campaign(world.contact_list(people(70)))
        until(lambda: len(running.log()) > 30)
        with reading(world.engine) as connection:
            world.clock.now = utc_now(connection)
        world.pause(campaign)
        paused_at = datetime.now(UTC).timestamp()
        until(lambda: not {"RELEASED", "DIALLING", "IN_PROGRESS"} & world.states(campaign).keys())
        until(lambda: datetime.now(UTC).timestamp() > paused_at + 2.2)
        assert [line for line in running.log() if line["t"] > paused_at + 2] == []
        assert len(running.log()) < 70
        world.clock.now = datetime.now(UTC)
        world.resume(campaign)
        running.until_finished(campaign)
        running.no_attempt_came_twice()
        sent = [line["t"] for line in running.log()]
    assert len(sent) == 70
    for first, start in enumerate(sent):
        for place, at in enumerate(sent[first:]):
            assert place + 1 <= (at - start) * per_second + per_second + 1


def aged(placement: Placement) -> Placement:
    """As if the process had been frozen for two seconds after its claim."""
    return dataclasses.replace(placement, claimed_at=placement.claimed_at - 2)


def test_a_worker_that_was_frozen_gives_back_what_it_had_claimed(world: World, tmp_path: Path) -> None:
    with Running(world, tmp_path, workers=1) as running:
        for one in running.schedulers:
            one.stopping.set()
        world.campaign(world.contact_list(people(3)))
        claimed = world.claim(world.release()).placements
        running.dispatchers[0]._send_all([aged(one) for one in claimed])
        until(lambda: world.states(world.rows(t.campaign)[0].id) == {"WAITING": 3})
        assert running.log() == []
        world.check()


@pytest.fixture
def claims_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Claims and tokens are good for a minute, so that a machine that is slow today gives nothing back as too old."""
    monkeypatch.setattr("workers.dispatch.FRESH", 60.0)
    monkeypatch.setattr("workers.claim.good_for", lambda calls_per_minute: 60.0)


@pytest.mark.usefixtures("claims_keep")
@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1/api", "http://nobody.invalid/api"])
def test_a_provider_that_cannot_be_reached_costs_no_call_and_no_repeat(world: World, base_url: str) -> None:
    world.set_provider(base_url=base_url)
    campaign = world.campaign(world.contact_list(people(3)), repeat_policy=repeating(1))
    dispatcher = Dispatcher(
        world.engine, Limiter(world.redis), world.adapters, in_flight=4, clock=world.clock
    )
    try:
        dispatcher.place(world.release())
        assert dispatcher.drain(20)
    finally:
        dispatcher.close()
    assert world.states(campaign) == {"WAITING": 3}
    assert {row.state for row in world.rows(t.attempt)} == {AttemptState.NOT_PLACED}
    assert {row.unsent for row in world.rows(t.call)} == {1}
    world.check()


@pytest.mark.usefixtures("claims_keep")
def test_calls_that_wait_for_the_pace_hold_up_nobody_and_go_when_it_lets_them(
    world: World, tmp_path: Path
) -> None:
    with Running(world, tmp_path, workers=1) as running:
        for one in running.schedulers:
            one.stopping.set()
        slow = world.campaign(world.contact_list(people(2)), calls_per_minute=90)
        two = world.release()
        dispatcher = running.dispatchers[0]
        assert dispatcher.place(two) == 1
        assert world.states(slow)["RELEASED"] == 1
        world.campaign(world.contact_list(people(5, start=100)))
        assert dispatcher.place(world.release()) == 5
        until(lambda: len(running.accepted()) == 7)
        assert dispatcher.drain(20)
        world.check()


def test_a_process_that_ends_leaves_calls_that_wait_for_the_pace_to_the_others(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(2)), calls_per_minute=90)
    dispatcher = Dispatcher(
        world.engine, Limiter(world.redis), world.adapters, in_flight=4, clock=world.clock
    )
    try:
        assert dispatcher.place(world.release()) == 1
        assert dispatcher.drain(20)
    finally:
        dispatcher.close()
    assert world.states(campaign)["RELEASED"] == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "parked"]


def silent_server() -> socket.socket:
    """Takes connections and answers nobody."""
    return socket.create_server(("127.0.0.1", 0), backlog=64)


@pytest.mark.usefixtures("claims_keep")
def test_a_provider_that_hangs_leaves_places_for_the_others(world: World, tmp_path: Path) -> None:
    with silent_server() as hanging, Running(world, tmp_path, workers=1) as running:
        for one in running.schedulers:
            one.stopping.set()
        url = f"http://127.0.0.1:{hanging.getsockname()[1]}"
        stuck = world.provider(base_url=url, priority=1)
        world.campaign(world.contact_list(people(6)), provider_id=stuck)
        to_stuck = world.release()
        healthy = world.campaign(world.contact_list(people(3, start=100)), provider_id=world.provider_id)
        to_healthy = world.release()
        dispatcher = Dispatcher(
            world.engine, Limiter(world.redis), world.adapters, in_flight=4, clock=world.clock
        )
        try:
            assert dispatcher.place(to_stuck) == 4, "one provider may have four in flight"
            assert dispatcher.place(to_healthy) == 3
            until(lambda: len(running.log()) == 3)
            assert world.states(healthy)["RELEASED"] == 0
            hanging.close()
        finally:
            dispatcher.close()


def test_two_claims_at_once_leave_a_provider_that_hangs_no_more_than_its_places(world: World) -> None:
    with silent_server() as hanging:
        world.set_provider(base_url=f"http://127.0.0.1:{hanging.getsockname()[1]}")
        world.campaign(world.contact_list(people(12)))
        released = world.release()
        dispatcher = Dispatcher(
            world.engine, Limiter(world.redis), world.adapters, in_flight=8, clock=world.clock
        )
        try:
            in_threads(lambda: dispatcher.place(released[:6]), lambda: dispatcher.place(released[6:]))
            assert len(world.rows(t.attempt)) == 8
            hanging.close()
        finally:
            dispatcher.close()


class Busy(BaseHTTPRequestHandler):
    """Says 429 to everybody, and not for how long."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(429)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


class Crowded(ThreadingHTTPServer):
    """All connections of a wave are taken at once: five, as by default, would leave others to be tried again."""

    request_queue_size = 64


def test_a_wave_of_429s_is_one_reason_to_wait_longer_and_not_many(world: World) -> None:
    with Crowded(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        world.set_provider(base_url=f"http://127.0.0.1:{server.server_port}")
        campaign = world.campaign(world.contact_list(people(20)))
        dispatcher = Dispatcher(
            world.engine, Limiter(world.redis), world.adapters, in_flight=20, clock=world.clock
        )
        try:
            dispatcher.place(world.release())
            assert dispatcher.drain(20)
        finally:
            dispatcher.close()
            server.shutdown()
    assert world.states(campaign) == {"WAITING": 20}
    assert {row.due_at for row in world.rows(t.call)} == {world.clock.now}, "somebody else may carry them now"
    (provider,) = world.rows(t.provider)
    assert provider.breaker_trips == 0, str(Counter(row.detail for row in world.rows(t.attempt)))
    assert provider.held_until - world.clock.now < timedelta(seconds=1.5), (
        "the first wait is a second, give or take"
    )


def test_a_token_that_was_not_used_at_once_is_given_back_and_an_unpaced_call_goes_out(
    world: World, tmp_path: Path
) -> None:
    """As if the process had stood still for six tenths of a second after its claim."""
    with Running(world, tmp_path, workers=1) as running:
        for one in running.schedulers:
            one.stopping.set()
        paced = world.campaign(world.contact_list(people(1)), calls_per_minute=60)
        free = world.campaign(world.contact_list(people(1, start=100)))
        late = [
            dataclasses.replace(
                one,
                claimed_at=one.claimed_at - 0.6,
                use_by=None if one.use_by is None else one.use_by - 0.6,
            )
            for one in world.claim(world.release()).placements
        ]
        running.dispatchers[0]._send_all(late)
        until(lambda: world.states(paced) == {"WAITING": 1})
        until(lambda: len(running.log()) == 1)
        assert world.states(free)["WAITING"] == 0
        # What is checked must not change meanwhile.
        until(lambda: not {"RELEASED", "DIALLING", "IN_PROGRESS"} & world.states(free).keys())
        world.check()
