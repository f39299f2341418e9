"""Mirrors: the black list at a provider follows the account's global DND list, over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from asking import asking
from sqlalchemy import Engine
from world import World, in_threads

from dialer.db import reading, writing
from dialer.models import RuleState
from dialer.providers.base import Adapter
from dialer.sandbox import make_app
from dialer.store import dnd, dnd_mirrors, providers
from dialer.store import tables as t
from workers import mirror
from workers.mirror import claim_due, keep_in_step

Serve = Callable[[Any], str]
FIRST, SECOND, THIRD = "+79266966131", "+79266966132", "+79266966133"
TOO_MANY, BROKEN, GARBAGE = "+79266966105", "+79266966106", "+79266966113"
TROUBLE = "+79266966119"


class South:
    """A provider of one account at the sandbox, whose black list is kept in step."""

    def __init__(self, world: World, url: str) -> None:
        self.world = world
        settings = {"username": "south", "password": "s3cret", "customer_name": "110000777"}
        self.id = world.provider(
            url, kind="mtt-callback", credentials=world.box.seal(settings), account_id=world.account_id
        )
        with reading(world.engine) as connection:
            self.adapter: Adapter = world.adapters.of(providers.with_ids(connection, [self.id])[self.id])
        with writing(world.engine) as connection:
            dnd_mirrors.start(connection, self.id, world.clock.now)

    def opt_out(self, *numbers: str) -> None:
        self.world.clock.forward(0.001)
        with writing(self.world.engine) as connection:
            rows = [(number, "") for number in numbers]
            dnd.add_numbers(connection, self.world.global_dnd, rows, self.world.clock.now)

    def take_off(self, *numbers: str) -> None:
        self.world.clock.forward(0.001)
        with writing(self.world.engine) as connection:
            assert dnd.remove_numbers(
                connection, self.world.global_dnd, numbers, self.world.clock.now
            ) == len(numbers)

    def work(self, seconds: float = 20) -> bool:
        world = self.world
        return keep_in_step(world.engine, world.adapters, self.id, lambda _: world.clock.now, seconds=seconds)

    def due(self) -> list[str]:
        return claim_due(self.world.engine, lambda _: self.world.clock.now)

    def by_hand(self, method: str, number: str) -> None:
        asking(self.adapter, lambda ask: ask(method, gbl_rule=number))

    def listed(self) -> set[str]:
        return {f"+{rule}" for rule in asking(self.adapter, lambda ask: ask("getGBLRules"))}

    def rules(self) -> dict[str, RuleState]:
        with reading(self.world.engine) as connection:
            return dict(dnd_mirrors.rules(connection, self.id, "", 10_000))

    def row(self) -> Any:
        with reading(self.world.engine) as connection:
            return dnd_mirrors.of(connection, self.id)

    def later(self, **duration: float) -> None:
        self.world.clock.forward(timedelta(**duration).total_seconds())


@pytest.fixture
def south(database: Engine, redis_server: str, serve: Serve) -> Iterator[South]:
    world = World(database, redis_server)
    yield South(world, f"{serve(make_app(time_scale=0))}/mtt-callback")
    world.close()


def test_numbers_come_and_go(south: South) -> None:
    south.opt_out(FIRST, SECOND)
    assert south.work()
    assert south.listed() == {FIRST, SECOND}
    assert set(south.rules().values()) == {RuleState.OURS}
    south.take_off(FIRST)
    south.opt_out(THIRD)
    assert south.work()
    assert south.listed() == {SECOND, THIRD}
    assert south.rules() == dict.fromkeys((SECOND, THIRD), RuleState.OURS)


def test_what_is_in_step_is_left_alone_until_something_changes(south: South) -> None:
    south.opt_out(FIRST)
    assert south.due() == [south.id]
    assert south.due() == [], "it is rung for once"
    south.work()
    south.later(hours=1)
    assert south.due() == []
    south.opt_out(SECOND)
    assert south.due() == [south.id]
    south.work()
    assert south.listed() == {FIRST, SECOND}


def test_a_bell_that_nobody_hears_rings_again(south: South) -> None:
    assert south.due() == [south.id]
    south.later(seconds=59)
    assert south.due() == []
    south.later(seconds=1)
    assert south.due() == [south.id]


def test_rules_that_people_made_are_never_taken_away(south: South) -> None:
    south.by_hand("addGBLRule", FIRST)
    south.opt_out(FIRST, SECOND)
    south.work()
    assert south.rules() == {FIRST: RuleState.THEIRS, SECOND: RuleState.OURS}
    # Another is made while nobody looks.
    south.by_hand("addGBLRule", THIRD)
    south.opt_out(THIRD)
    south.work()
    assert south.rules()[THIRD] is RuleState.REFUSED
    south.later(hours=7)
    south.take_off(FIRST, SECOND, THIRD)
    south.work()
    assert south.rules() == {FIRST: RuleState.THEIRS, THIRD: RuleState.THEIRS}
    assert south.listed() == {FIRST, THIRD}


def test_a_comparison_from_time_to_time_finds_what_people_took_away(south: South) -> None:
    south.opt_out(FIRST, SECOND)
    south.work()
    south.by_hand("deleteGBLRule", FIRST)
    south.later(hours=5)
    assert south.due() == []
    south.later(hours=2)
    assert south.due() == [south.id]
    south.work()
    assert south.listed() == {FIRST, SECOND}
    # Taken off both, by a person there and by us here, it is gone, and that is well.
    south.by_hand("deleteGBLRule", FIRST)
    south.take_off(FIRST)
    south.work()
    assert (south.listed(), south.rules()) == ({SECOND}, {SECOND: RuleState.OURS})
    assert south.row().error is None


def test_after_a_429_it_waits_and_goes_on_where_it_stood(south: South) -> None:
    south.opt_out(TOO_MANY, FIRST)
    assert south.work()
    assert TOO_MANY not in south.listed()
    assert TOO_MANY not in south.rules(), "it is known that nothing was done"
    assert "429" in south.row().error
    with reading(south.world.engine) as connection:
        assert providers.with_ids(connection, [south.id])[south.id].held_until is None, "calls are not held"
    assert south.due() == []
    south.later(seconds=1)
    assert south.due() == [south.id]
    assert south.work()
    assert south.listed() == {TOO_MANY, FIRST}
    assert south.row().error is None


def test_a_number_without_an_answer_does_not_hold_up_the_others(south: South) -> None:
    south.opt_out(FIRST, BROKEN, GARBAGE, THIRD)
    assert south.work()
    assert south.listed() == {FIRST, GARBAGE, THIRD}
    assert south.rules()[BROKEN] is RuleState.ADDING
    assert south.rules()[GARBAGE] is RuleState.ADDING
    assert "nothing that it documents" in south.row().error
    assert "9266" not in south.row().error
    south.later(seconds=61)
    assert south.due() == [], "it is not sent again before it is known what became of it"
    south.later(minutes=5)
    south.take_off(BROKEN)
    assert south.due() == [south.id]
    assert south.work()
    # Whose it is, nobody can tell.
    assert south.rules() == {
        FIRST: RuleState.OURS,
        GARBAGE: RuleState.THEIRS,
        THIRD: RuleState.OURS,
    }


def test_trouble_inside_the_provider_is_no_answer(south: South) -> None:
    south.opt_out(TROUBLE, THIRD)
    assert south.work()
    assert south.listed() == {TROUBLE, THIRD}, "it had come to it"
    assert south.rules() == {TROUBLE: RuleState.ADDING, THIRD: RuleState.OURS}
    assert "is not known" in south.row().error
    south.later(minutes=6)
    assert south.due() == [south.id]
    assert south.work()
    assert south.rules()[TROUBLE] is RuleState.THEIRS


def test_a_provider_that_does_not_answer_is_left_alone_longer_each_time(south: South) -> None:
    with writing(south.world.engine) as connection:
        providers.update(connection, south.id, base_url="http://127.0.0.1:1/mtt-callback")
    south.opt_out(FIRST)
    waits = []
    for failures in range(1, 8):
        assert south.work()
        row = south.row()
        assert row.failures == failures
        assert row.lease_until is None
        assert "could not be reached" in row.error
        waits.append((row.due_at - south.world.clock.now).total_seconds())
        assert south.due() == []
        south.world.clock.now = row.due_at
        assert south.due() == [south.id]
    assert waits[-1] > 10 * waits[0]


@pytest.mark.parametrize(
    "values", [{"enabled": False}, {"paused_reason": "no funds"}, {"held_until": "later"}]
)
def test_a_provider_that_is_not_to_be_asked_is_not(south: South, values: dict[str, Any]) -> None:
    south.opt_out(FIRST)
    if "held_until" in values:
        values = {"held_until": south.world.clock.now + timedelta(minutes=5)}
    with writing(south.world.engine) as connection:
        providers.update(connection, south.id, **values)
    assert south.due() == []
    assert south.work()
    assert south.listed() == set()
    with writing(south.world.engine) as connection:
        providers.update(connection, south.id, enabled=True, paused_reason=None, held_until=None)
    assert south.due() == [south.id]
    assert south.work()
    assert south.listed() == {FIRST}


def test_a_long_list_is_gone_through_in_stints(south: South, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "PAGE", 10)
    monkeypatch.setattr(mirror, "BATCH", 4)
    numbers = [f"+7926{number:07}" for number in range(3000, 3100) if str(number)[-2:] >= "21"]
    south.opt_out(*numbers)
    stints = 0
    while not south.work(seconds=0):
        stints += 1
        assert south.due() == [south.id], "its bell may be lost"
        assert stints < 100
    assert stints > 10
    assert south.listed() == set(numbers)
    south.take_off(*numbers[10:60])
    south.by_hand("addGBLRule", FIRST)
    south.later(hours=7)
    while not south.work(seconds=0):
        pass
    assert south.listed() == set(numbers) - set(numbers[10:60]) | {FIRST}
    assert south.rules()[FIRST] is RuleState.THEIRS


def test_a_worker_that_dies_leaves_it_to_another(south: South, monkeypatch: pytest.MonkeyPatch) -> None:
    south.opt_out(FIRST)
    south.work()
    south.opt_out(SECOND, THIRD)

    async def dies(*_: object) -> None:
        raise RuntimeError("died")

    with monkeypatch.context() as broken:
        broken.setattr(mirror._Desk, "send", dies)
        with pytest.raises(RuntimeError, match="died"):
            south.work()
    assert south.rules()[SECOND] is RuleState.ADDING, "it may have been sent, for all anybody knows"
    assert south.work(), "another worker has it"
    assert south.due() == []
    south.later(seconds=121)
    assert south.due() == [south.id]
    assert south.work()
    assert south.listed() == {FIRST, SECOND, THIRD}
    assert set(south.rules().values()) == {RuleState.OURS}


def test_workers_at_once_do_it_once(south: South) -> None:
    numbers = [f"+7926{number:07}" for number in range(4021, 4099)]
    south.opt_out(*numbers)
    in_threads(*[south.work] * 4)
    assert south.listed() == set(numbers)
    assert set(south.rules().values()) == {RuleState.OURS}, "none was sent twice: the second would be refused"


def test_an_account_that_changes_hands_brings_its_own_list(south: South) -> None:
    south.opt_out(FIRST)
    south.work()
    account_id, dnd_list_id = south.world.account()
    with writing(south.world.engine) as connection:
        dnd.add_numbers(connection, dnd_list_id, [(SECOND, "")], south.world.clock.now)
        providers.update(connection, south.id, account_id=account_id)
        dnd_mirrors.start(connection, south.id, south.world.clock.now)
    assert south.due() == [south.id]
    south.work()
    assert south.listed() == {SECOND}


def test_a_mirror_that_is_stopped_leaves_all_as_it_is(south: South) -> None:
    south.opt_out(FIRST)
    south.work()
    with writing(south.world.engine) as connection:
        dnd_mirrors.stop(connection, south.id)
    south.take_off(FIRST)
    assert south.due() == []
    assert south.work()
    assert south.listed() == {FIRST}
    with writing(south.world.engine) as connection:
        dnd_mirrors.start(connection, south.id, south.world.clock.now)
    south.work()
    assert south.listed() == set(), "it was ours all the time"


def test_a_provider_that_goes_takes_what_is_known_of_its_list_along(south: South) -> None:
    south.opt_out(FIRST)
    south.work()
    with writing(south.world.engine) as connection:
        providers.remove(connection, south.id)
        for table in (t.dnd_mirror, t.dnd_mirror_rule):
            assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 0
