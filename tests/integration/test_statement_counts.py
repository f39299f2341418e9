"""What a batch costs in statements: a bounded number, the same for ten calls as for a hundred.

So a call costs that number divided by its batch. Whoever makes a step cheaper lowers its number here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from world import World, people, repeating

from dialer.db import writing
from dialer.providers.contract import Outcome
from dialer.store import events
from workers import reconcile, results

#: The most statements that a step sends, whatever its batch, the reading of the database's clock aside: to
#: PostgreSQL, where each is a round trip, and in SQLite, where a change of state and its history are two.
MOST = {
    "visit": {"postgresql": 17, "sqlite": 15},
    "claim": {"postgresql": 13, "sqlite": 14},
    "write replies": {"postgresql": 5, "sqlite": 7},
    "store events": {"postgresql": 1, "sqlite": 1},
    "consume": {"postgresql": 13, "sqlite": 14},
    "reap": {"postgresql": 6, "sqlite": 8},
    # One of them asks who has webhooks, which a process does once in two seconds.
    "settle": {"postgresql": 12, "sqlite": 13},
}


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def sent(engine: Engine, do: Callable[[], Any]) -> list[str]:
    """The statements that are sent by that."""
    found: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, values: Any, _context: Any, executemany: bool) -> None:
        # A server is sent one statement per set of values; SQLite, in this process, is sent none.
        times = len(values) if executemany and engine.dialect.name == "postgresql" else 1
        if not statement.startswith("BEGIN"):
            found.extend([" ".join(statement.split())] * times)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        do()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return found


def lists(world: World, calls: int) -> tuple[str, str]:
    """A list and a DND list on which one of ten of its contacts stands."""
    contacts = people(calls + calls // 10, start=10 * calls)
    dnd_list_id = world.dnd_list()
    world.forbid(*(one.e164 for one in contacts[::11]), dnd_list_id=dnd_list_id)
    return world.contact_list(contacts), dnd_list_id


def steps(world: World, calls: int) -> dict[str, list[str]]:
    """Each step of a batch of so many calls, with every kind of outcome in it, and what it sent."""
    list_id, dnd_list_id = lists(world, calls)
    campaign_id = world.campaign(list_id, [dnd_list_id], repeat_policy=repeating(1))
    engine, now = world.engine, world.clock.now
    found: dict[str, list[str]] = {}
    released: list[str] = []

    def visit() -> None:
        visited = world.visit()
        assert visited is not None
        released.extend(visited.released)

    found["visit"] = sent(engine, visit)
    assert len(released) == calls
    # Some lose their places on the way: they are on a DND list by now.
    world.forbid(*(world.call(one).e164 for one in released[:2]))
    attempt_ids: list[str] = []
    found["claim"] = sent(
        engine,
        lambda: attempt_ids.extend(one.submission.attempt_id for one in world.claim(released).placements),
    )
    assert len(attempt_ids) == calls - 2
    overdue, *answered = attempt_ids
    found["write replies"] = sent(engine, lambda: world.answer(answered, Outcome.PLACED))

    rows = []
    for place, one in enumerate(answered[:-1]):
        ending = "state=2&error=0&duration=7" if place % 2 else "state=5&error=17&duration=0"
        rows.append({
            "provider_id": world.provider_id, "dedupe_key": one, "state": "NEW", "method": "GET", "path": "",
            "query": f"type=endCallback&reference={one}&{ending}", "content_type": "", "body": b"",
            "received_at": now, "error": "",
        })  # fmt: skip

    def store() -> None:
        with writing(engine) as connection:
            events.add(connection, rows)

    found["store events"] = sent(engine, store)
    found["consume"] = sent(engine, lambda: results.consume(engine, world.clock))
    world.clock.forward(31)
    found["reap"] = sent(engine, lambda: reconcile.reap(engine, world.clock))
    assert world.attempt(overdue).state == "UNKNOWN"
    world.clock.forward(3600)
    found["settle"] = sent(engine, lambda: reconcile.settle(engine, world.clock))
    world.check()
    world.stop(campaign_id)
    world.release()
    return found


def test_a_batch_costs_a_bounded_number_of_statements(world: World) -> None:
    for step, statements in steps(world, 100).items():
        sends = "\n".join(statement[:120] for statement in statements)
        most = MOST[step][world.engine.dialect.name]
        assert len(statements) <= most, f"{step} sends {len(statements)}:\n{sends}"


def test_ten_calls_cost_as_many_statements_as_a_hundred(world: World) -> None:
    steps(world, 20)  # what a process remembers, such as its providers, it now does
    few = {step: len(statements) for step, statements in steps(world, 10).items()}
    many = {step: len(statements) for step, statements in steps(world, 100).items()}
    assert all(many[step] <= few[step] for step in few), (few, many)  # what is remembered is not read again
