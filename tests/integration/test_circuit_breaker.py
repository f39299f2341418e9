"""Who carries a call: by priority, then by free pace; and what becomes of a provider that fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from world import World, in_threads, number, people, statements

from dialer.campaigns.release import TRIAL
from dialer.db import writing
from dialer.lifecycle import CallState
from dialer.pace.breaker import FAILING, LEAST, PROBE_WITHIN, UNREACHED, Breaker, Phase, phase_of
from dialer.providers.contract import Outcome, Refusal, SubmitResult
from dialer.store import tables as t
from workers.replies import write

A_WHILE = UNREACHED[0] * 1.3  # seconds: the longest first rest


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def provider(world: World, provider_id: str = "") -> Any:
    return world.rows(t.provider, id=provider_id or world.provider_id)[0]


def phase(world: World, provider_id: str = "") -> Phase:
    return phase_of(provider(world, provider_id), world.clock.now)


def attempts_of(world: World, call_ids: list[str]) -> list[str]:
    return [one.submission.attempt_id for one in world.claim(call_ids).placements]


def opened(world: World, calls: int = 3) -> list[str]:
    """The calls of a campaign none of which reached the provider; when it returns they are due again and its breaker is
    half-open."""
    world.campaign(world.contact_list(people(calls)))
    released = world.release()
    world.answer(attempts_of(world, released), Outcome.NOT_SENT)
    assert phase(world) is Phase.OPEN
    world.clock.now = max(
        provider(world).breaker_until, *(world.call(one).due_at for one in released)
    ) + timedelta(seconds=1)
    assert phase(world) is Phase.HALF_OPEN
    return released


def carried(world: World, call_ids: list[str]) -> Counter[str]:
    return Counter(world.call(one).provider_id for one in call_ids)


# --- who carries it ------------------------------------------------------------------------------------------


def test_the_first_by_priority_carries_all_that_its_pace_lets_go_and_the_next_one_the_rest(
    world: World,
) -> None:
    world.set_provider(calls_per_minute=60)
    second = world.provider(priority=200)
    world.campaign(world.contact_list(people(40)))
    by = carried(world, world.release())
    assert 0 < by[world.provider_id] < 5
    assert by[second] == 40 - by[world.provider_id]


def test_the_first_by_priority_carries_all_for_which_it_has_places(world: World) -> None:
    world.set_provider(max_concurrent=3)
    second = world.provider(priority=200)
    asked = [world.otp(number(50 + place)) for place in range(5)]
    assert carried(world, asked) == {world.provider_id: 3, second: 2}


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    ("outcome", "values"),
    [(Outcome.NOT_SENT, {}), (Outcome.REFUSED, {"refusal": Refusal.PROVIDER, "detail": "no funds"})],
)
def test_who_was_not_reached_or_refuses_for_its_own_reasons_leaves_the_call_to_the_next(
    world: World, outcome: Outcome, values: dict[str, Any], single: bool
) -> None:
    second = world.provider(priority=200)
    call_id = world.otp() if single else one_call(world)
    world.answer(attempts_of(world, [call_id]), outcome, **values)
    assert world.call(call_id).state == CallState.WAITING
    world.clock.forward(A_WHILE)  # the first might be tried again by now
    assert released(world, single=single) == [call_id]
    assert world.call(call_id).provider_id == second
    assert world.call(call_id).repeats == {}
    world.check()


@pytest.mark.parametrize("single", [True, False])
def test_who_was_well_a_moment_ago_and_is_not_reached_is_left_alone_and_the_next_one_asked_at_once(
    world: World, single: bool
) -> None:
    second = world.provider(priority=200)
    if single:
        well, call_id = world.otp(number(60)), world.otp(number(61))
    else:
        world.campaign(world.contact_list(people(2)))
        well, call_id = world.release()
    world.answer(attempts_of(world, [well]), Outcome.PLACED)
    world.answer(attempts_of(world, [call_id]), Outcome.NOT_SENT)
    assert phase(world) is Phase.OPEN
    assert world.call(call_id).due_at == world.clock.now
    if not single:
        world.clock.forward(0.5)  # the campaign's next visit
    assert released(world, single=single) == [call_id]
    assert world.call(call_id).provider_id == second
    world.check()


@pytest.mark.parametrize("single", [True, False])
def test_whom_a_call_did_not_reach_comes_last_for_it_and_carries_the_others(
    world: World, single: bool
) -> None:
    second = world.provider(priority=200)
    if single:
        lost, *others = (world.otp(number(60 + place)) for place in range(3))
    else:
        world.campaign(world.contact_list(people(3)), max_concurrent=3)
        lost, *others = world.release()
    (attempt,), answered = attempts_of(world, [lost]), attempts_of(world, others)
    with writing(world.engine) as connection:  # together: the first is there, and not for every call
        well = [SubmitResult(one, Outcome.PLACED) for one in answered]
        write(connection, [SubmitResult(attempt, Outcome.NOT_SENT), *well], world.clock.now)
    assert phase(world) is Phase.CLOSED
    world.clock.forward(0.5)
    assert released(world, single=single) == [lost]
    assert world.call(lost).provider_id == second
    # None of them is there: what nobody carries waits longer each time.
    world.answer(attempts_of(world, [lost]), Outcome.NOT_SENT)
    assert world.call(lost).due_at > world.clock.now
    world.clock.now = max(world.call(lost).due_at, provider(world, second).breaker_until)
    world.clock.forward(1)
    assert released(world, single=single) == [lost]
    assert world.call(lost).provider_id == world.provider_id
    if single:
        assert world.call(world.otp(number(65))).provider_id == world.provider_id
    world.check()


@pytest.mark.parametrize("single", [True, False])
def test_whom_it_did_not_reach_is_tried_again_while_nobody_else_may_be_called(
    world: World, single: bool
) -> None:
    second = world.provider(priority=200, held_until=world.clock.now + timedelta(hours=1))
    call_id = world.otp() if single else one_call(world)
    world.answer(attempts_of(world, [call_id]), Outcome.NOT_SENT)
    assert world.call(call_id).due_at > world.clock.now, "it waits"
    world.clock.now = max(world.call(call_id).due_at, provider(world).breaker_until)
    world.clock.forward(1)
    assert released(world, single=single) == [call_id]
    assert world.call(call_id).provider_id == world.provider_id != second
    world.check()


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(
    ("outcome", "values"),
    [
        (Outcome.UNKNOWN, {}),
        (Outcome.REFUSED, {"refusal": Refusal.BAD_NUMBER}),
        (Outcome.REFUSED, {"refusal": Refusal.BAD_REQUEST}),
        (Outcome.PLACED, {}),
    ],
)
def test_no_other_is_asked_when_it_may_ring_or_never_will(
    world: World, outcome: Outcome, values: dict[str, Any], single: bool
) -> None:
    world.provider(priority=200)
    call_id = world.otp() if single else one_call(world)
    world.answer(attempts_of(world, [call_id]), outcome, **values)
    world.clock.forward(60)
    assert released(world, single=single) == []
    assert len(world.rows(t.attempt)) == 1
    world.check()


def test_who_asks_for_peace_is_not_called_and_another_one_carries_what_comes(world: World) -> None:
    second = world.provider(priority=200)
    call_id = world.otp()
    world.answer(attempts_of(world, [call_id]), Outcome.NOT_PROCESSED, retry_after=30.0)
    assert phase(world) is Phase.CLOSED, "whoever answers 429 is well"
    assert world.call(world.otp(number(51))).provider_id == second
    assert world.release_singles() == [call_id], "not after half a minute: it may be worth nothing by then"
    assert world.call(call_id).provider_id == second


def test_what_was_on_its_way_to_who_asks_for_peace_goes_to_the_next_one_at_once(world: World) -> None:
    second = world.provider(priority=200)
    world.campaign(world.contact_list(people(5)))
    asked, *rest = world.release()
    (attempt,), (given_back,) = attempts_of(world, [asked]), attempts_of(world, rest[:1])
    world.answer([attempt], Outcome.NOT_PROCESSED, retry_after=3600.0)
    world.answer([given_back], Outcome.NOT_SENT, retry_after=0.0, detail="given back: provider held")
    assert world.claim(rest[1:]).placements == ()
    world.clock.forward(0.5)
    released = world.release()
    assert sorted(released) == sorted([asked, *rest])
    assert carried(world, released) == {second: 5}
    assert {world.call(one).unsent for one in released} == {0}
    world.check()


def test_what_nobody_else_may_carry_waits_for_who_asks_for_peace(world: World) -> None:
    call_id, asked = one_call(world), world.otp()
    world.answer(attempts_of(world, [call_id, asked]), Outcome.NOT_PROCESSED, retry_after=30.0)
    for _ in range(10):
        assert (world.release(), world.release_singles()) == ([], [])
        world.clock.forward(2.9)
    world.clock.forward(1.1)
    assert (world.release(), world.release_singles()) == ([call_id], [asked])
    world.check()


def one_call(world: World) -> str:
    world.campaign(world.contact_list(people(1)))
    (call_id,) = world.release()
    return call_id


def released(world: World, *, single: bool) -> list[str]:
    return world.release_singles() if single else world.release()


# --- the breaker ---------------------------------------------------------------------------------------------


def test_who_fails_half_of_the_time_is_left_alone_and_nothing_is_sent_twice_for_it(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(LEAST)))
    attempts = attempts_of(world, world.release())
    world.answer(attempts[::2], Outcome.PLACED)
    world.answer(attempts[1::2], Outcome.UNKNOWN)
    assert phase(world) is Phase.OPEN
    assert provider(world).breaker_until > world.clock.now + timedelta(seconds=FAILING[0] * 0.6)
    assert world.states(campaign) == {"IN_PROGRESS": LEAST}
    world.clock.forward(FAILING[0] * 1.3)
    assert world.release() == []
    assert len(world.rows(t.attempt)) == LEAST
    world.check()


def test_what_went_well_before_counts(world: World) -> None:
    world.campaign(world.contact_list(people(3 * LEAST)))
    attempts = attempts_of(world, world.release())
    for one in attempts[: 2 * LEAST]:
        world.answer([one], Outcome.PLACED)
    assert provider(world).breaker_good == 0, "while all is well, nothing is written"
    for one in attempts[2 * LEAST :]:
        world.answer([one], Outcome.UNKNOWN)
    assert phase(world) is Phase.CLOSED
    assert (provider(world).breaker_good, provider(world).breaker_bad) == (2 * LEAST, LEAST)


def test_while_all_is_well_nothing_is_asked_of_it(world: World) -> None:
    world.campaign(world.contact_list(people(4)))
    one, *others = attempts_of(world, world.release())
    all_well = statements(world.engine, lambda: world.answer([one], Outcome.PLACED))
    world.answer(others[:1], Outcome.UNKNOWN)
    assert statements(world.engine, lambda: world.answer(others[1:2], Outcome.PLACED)) == all_well


def test_an_open_one_gets_no_call_and_waiting_for_it_costs_no_attempt(world: World) -> None:
    world.campaign(world.contact_list(people(3)))
    call_ids = world.release()
    world.set_provider(**Breaker(1, world.clock.now + timedelta(seconds=60)).columns())
    assert world.claim(call_ids).placements == ()
    rows = [world.call(one) for one in call_ids]
    assert {(row.state, row.dials, row.unsent, row.reason) for row in rows} == {
        ("WAITING", 0, 0, "provider left alone")
    }
    assert world.release() == []
    asked = world.otp()
    assert world.call(asked).state == CallState.WAITING
    world.clock.forward(60)
    assert len(world.release()) == 1, "the probe"
    world.check()


def test_half_open_one_call_goes_and_the_rest_when_it_has_fared_well(world: World) -> None:
    calls = opened(world, calls=5)
    (probe,) = world.release()
    (attempt,) = attempts_of(world, [probe])
    assert phase(world) is Phase.OPEN, "until the probe is answered, or given up"
    world.clock.forward(2)
    assert world.release() == []
    world.answer([attempt], Outcome.PLACED)
    assert phase(world) is Phase.CLOSED
    world.clock.forward(2)
    assert sorted(world.release()) == sorted({*calls} - {probe})
    world.check()


def test_a_probe_that_fails_opens_it_for_longer(world: World) -> None:
    opened(world)
    for trips in (2, 3, 4):
        (probe,) = world.release()
        world.answer(attempts_of(world, [probe]), Outcome.NOT_SENT)
        assert provider(world).breaker_trips == trips
        rest = (provider(world).breaker_until - world.clock.now).total_seconds()
        assert rest >= 0.6 * UNREACHED[0] * 2 ** (trips - 1)
        world.clock.forward(max(rest, 12))
    world.check()


def test_a_probe_whose_fate_is_unknown_is_not_sent_again(world: World) -> None:
    opened(world, calls=1)
    (probe,) = world.release()
    world.answer(attempts_of(world, [probe]), Outcome.UNKNOWN)
    assert phase(world) is Phase.OPEN
    world.clock.forward(100)
    assert world.release() == []
    assert world.call(probe).state == CallState.IN_PROGRESS
    world.check()


def test_a_refused_number_shows_that_the_provider_is_well(world: World) -> None:
    opened(world)
    (probe,) = world.release()
    world.answer(attempts_of(world, [probe]), Outcome.REFUSED, refusal=Refusal.BAD_NUMBER)
    assert phase(world) is Phase.CLOSED
    world.check()


@pytest.mark.parametrize(
    "given_back",
    [
        {"outcome": Outcome.NOT_SENT, "retry_after": 0.0},
        {"outcome": Outcome.REFUSED, "refusal": Refusal.BAD_REQUEST, "asked": False},
    ],
)
def test_a_probe_that_was_not_sent_after_all_makes_room_for_the_next(
    world: World, given_back: dict[str, Any]
) -> None:
    opened(world)
    (probe,) = world.release()
    world.answer(attempts_of(world, [probe]), **given_back)
    assert phase(world) is Phase.HALF_OPEN
    world.clock.forward(2 * TRIAL.total_seconds())
    assert len(world.release()) == 1


def test_a_probe_that_nobody_heard_of_makes_room_for_the_next_in_time(world: World) -> None:
    opened(world)
    (probe,) = world.release()
    assert attempts_of(world, [probe])
    world.clock.forward(PROBE_WITHIN.total_seconds())
    (another,) = world.release()
    assert another != probe
    assert attempts_of(world, [another])
    world.check()


def test_of_all_who_would_be_the_probe_one_is(world: World) -> None:
    for _ in range(
        4
    ):  # two campaigns and two passwords, say, released by schedulers that do not know of each other
        world.campaign(world.contact_list(people(1)))
    call_ids = world.release()
    world.set_provider(**Breaker(1, world.clock.now).columns())
    went: list[str] = []
    in_threads(*(lambda one=one: went.extend(attempts_of(world, [one])) for one in call_ids))  # type: ignore[misc]
    assert len(went) == 1
    assert Counter(world.call(one).state for one in call_ids) == {"DIALLING": 1, "WAITING": 3}
    world.check()


def test_one_batch_holds_one_probe(world: World) -> None:
    world.campaign(world.contact_list(people(4)))
    call_ids = world.release()
    asked = [world.otp(number(60)), world.otp(number(61))]
    world.set_provider(**Breaker(1, world.clock.now).columns())
    with_campaigns = world.claim([*call_ids, *asked])
    assert [one.is_probe for one in with_campaigns.placements] == [True]
    world.check()


def test_while_one_is_on_trial_others_carry_the_calls(world: World) -> None:
    (lost,) = opened(world, calls=1)
    second = world.provider(priority=200)
    world.campaign(world.contact_list(people(4, start=100)))
    by = carried(world, world.release())
    assert by == {world.provider_id: 1, second: 4}
    assert world.call(lost).provider_id == second, "it has missed the first; another one is the probe"
    first_otp, second_otp = world.otp(number(60)), world.otp(number(61))
    placed = world.claim([first_otp, second_otp]).placements
    assert len(placed) == 1
    (waits,) = {first_otp, second_otp} - {placed[0].call_id}
    assert world.release_singles() == [waits]
    assert world.call(waits).provider_id == second
    world.check()


def test_groups_of_several_processes_are_counted_once_each(world: World) -> None:
    world.campaign(world.contact_list(people(8)))
    attempts = attempts_of(world, world.release())

    def answer(one: str) -> None:
        with writing(world.engine) as connection:
            write(connection, [SubmitResult(one, Outcome.UNKNOWN)], world.clock.now)

    in_threads(*(lambda one=one: answer(one) for one in attempts))  # type: ignore[misc]
    assert provider(world).breaker_bad == 8
