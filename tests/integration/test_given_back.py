"""What a provider asks for, or fails at, between a claim and its sending counts for what is claimed already: the
dispatcher, Redis, and a provider whose answers come when the test lets them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from gateway import Gateway, gateway
from running import WITHIN, until
from sqlalchemy import Engine
from world import World, number

from dialer.db import reading
from dialer.lifecycle import AttemptState, CallState
from dialer.pace.breaker import LEAST, Phase, phase_of
from dialer.pace.limiter import Limiter
from dialer.sandbox import make_app
from dialer.store import tables as t
from workers import dispatch
from workers.dispatch import Dispatcher
from workers.process import make_redis

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.parametrize("database", ["postgres"], indirect=True),  # where others may write meanwhile
]

#: The sandbox answers 429, and as any provider does; to numbers that end in 06 HTTP 500.
HELD, WELL = number(105), number(150)
BROKEN = [number(6 + 100 * place) for place in range(1, LEAST + 1)]


@dataclass
class Line:
    """A dispatcher, and its way to the provider."""

    world: World
    dispatcher: Dispatcher
    provider: Gateway

    def asked(self) -> int:
        """How many requests have come to the provider."""
        return len(self.provider.came)


@pytest.fixture
def line(
    database: Engine,
    redis_server: str,
    serve: Callable[[Any], str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Line]:
    monkeypatch.setattr(
        dispatch, "FRESH", WITHIN
    )  # else a slow machine gives back what it claimed too long ago
    sandbox = serve(make_app(time_scale=0.0))
    world = World(database, redis_server)
    world.clock.now = datetime.now(UTC)
    redis = make_redis(redis_server)
    with gateway(sandbox) as provider:
        world.set_provider(base_url=f"{provider.url}/mitto")
        dispatcher = Dispatcher(database, Limiter(redis), world.adapters, in_flight=2 * LEAST)
        yield Line(world, dispatcher, provider)
        provider.may_answer.set()
        dispatcher.drain(WITHIN)
        dispatcher.close()
    redis.close()
    world.close()


@contextmanager
def claimed_and_not_sent(line: Line, call_id: str) -> Iterator[None]:
    """The call is being claimed: its attempt is granted, and about to be written. It is sent when this ends.

    Somebody else writes an attempt of the same id, so that the dispatcher waits for whether that is committed.
    """
    engine, world = line.world.engine, line.world
    row = {
        "id": f"{call_id}-1", "call_id": call_id, "number": 1, "account_id": world.account_id,
        "provider_id": world.provider_id, "e164": WELL, "caller_id": "", "state": "SUBMITTING", "detail": "",
        "submitted_at": world.clock.now, "deadline_at": world.clock.now, "settle_at": world.clock.now,
    }  # fmt: skip
    with engine.connect() as other:
        other.execute(t.attempt.insert(), row)
        claiming = threading.Thread(target=line.dispatcher.place, args=([call_id],), daemon=True)
        claiming.start()
        until(lambda: is_anybody_waiting(engine), "the claim")
        yield
        other.rollback()
    claiming.join(WITHIN)
    assert not claiming.is_alive()


def is_anybody_waiting(engine: Engine) -> bool:
    with reading(engine) as connection:
        activity = sa.table("pg_stat_activity", sa.column("datname"), sa.column("wait_event_type"))
        waits = activity.c.datname == sa.func.current_database(), activity.c.wait_event_type == "Lock"
        return bool(connection.execute(sa.select(sa.exists().where(*waits))).scalar_one())


def provider_of(world: World) -> Any:
    return world.rows(t.provider, id=world.provider_id)[0]


def given_back(line: Line, call_id: str, why: str) -> None:
    """It was not sent, costs nothing, and goes to the next provider at once."""
    world = line.world
    until(lambda: world.call(call_id).state == CallState.WAITING, "the call's return")
    (attempt,) = world.rows(t.attempt, call_id=call_id)
    assert (attempt.state, attempt.detail) == (AttemptState.NOT_PLACED, f"given back: {why}")
    assert world.call(call_id).unsent == 0
    second = world.provider(priority=200)
    world.clock.now = datetime.now(UTC)
    assert call_id in world.release_singles()
    assert world.call(call_id).provider_id == second
    world.check()


def test_what_is_claimed_is_not_sent_once_its_provider_has_asked_for_peace(line: Line) -> None:
    world = line.world
    asks, waits = world.otp(HELD), world.otp(WELL)
    line.provider.may_answer.clear()
    line.dispatcher.place([asks], single=True)
    until(line.asked, "the first request")
    with claimed_and_not_sent(line, waits):
        line.provider.may_answer.set()
        until(lambda: provider_of(world).held_until, "the hold")
    given_back(line, waits, "provider held")
    assert line.asked() == 1
    assert phase_of(provider_of(world), world.clock.now) is Phase.CLOSED


def test_what_is_claimed_is_not_sent_once_its_providers_breaker_has_opened(line: Line) -> None:
    world = line.world
    failing, waits = [world.otp(one) for one in BROKEN], world.otp(WELL)
    line.provider.may_answer.clear()
    line.dispatcher.place(failing, single=True)
    until(lambda: line.asked() == LEAST, "all requests")
    with claimed_and_not_sent(line, waits):
        line.provider.may_answer.set()
        until(lambda: phase_of(provider_of(world), datetime.now(UTC)) is Phase.OPEN, "the breaker's opening")
    given_back(line, waits, "provider left alone")
    assert line.asked() == LEAST
    assert {world.call(one).state for one in failing} == {CallState.IN_PROGRESS}, (
        "nobody knows whether they ring"
    )
