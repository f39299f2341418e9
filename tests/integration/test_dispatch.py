"""Dispatch: the last look before a number is dialled, and what becomes of each reply."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine
from world import NOON, World, in_threads, number, people, repeating, statements

from dialer.calls.ledger import CONTRADICTED
from dialer.db import writing
from dialer.lifecycle import AttemptState, CallState
from dialer.providers.contract import Outcome, Refusal, SubmitResult
from dialer.store import tables as t
from dialer.store.contacts import NewContact
from workers.claim import claim
from workers.replies import write
from workers.results import consume


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def one_call(world: World, **values: Any) -> str:
    """A released call of a campaign of one contact."""
    world.campaign(world.contact_list(people(1)), **values)
    (call_id,) = world.release()
    return call_id


# --- the last look -------------------------------------------------------------------------------------------


def test_a_number_put_on_a_dnd_list_after_its_release_is_not_dialled(world: World) -> None:
    named = world.dnd_list()
    campaign = world.campaign(world.contact_list(people(3)), [named])
    released = world.release()
    world.forbid(world.call(released[0]).e164)
    world.forbid(world.call(released[1]).e164, dnd_list_id=named)
    assert len(world.dial(released)) == 1
    assert world.counts(campaign) == {"taken": 3, "SUPPRESSED": 2, "cdr.DND": 2}
    world.check()


def test_nobody_is_dialled_whose_dnd_entry_was_committed_before(world: World) -> None:
    world.clock.now = datetime.now(UTC)  # from here on the real clock: what counts is which came first
    world.campaign(world.contact_list(people(200)))
    released = world.release()
    listed_at: dict[str, datetime] = {}

    def forbid(which: int) -> None:
        for call_id in released[which::8]:
            e164 = world.call(call_id).e164
            world.forbid(e164)
            listed_at[e164] = datetime.now(UTC)

    def dial(which: int) -> None:
        for start in range(which * 5, len(released), 15):
            with writing(world.engine) as connection:
                now = datetime.now(UTC)
                claim(connection, world.limiter, world.adapters, released[start : start + 5], now)

    in_threads(
        *(lambda w=which: forbid(w) for which in (0, 1)), *(lambda w=which: dial(w) for which in range(3))
    )
    dialled = {row.e164: row.submitted_at for row in world.rows(t.attempt)}
    assert len(dialled) >= 50
    assert not [e164 for e164, at in listed_at.items() if e164 in dialled and at <= dialled[e164]]
    world.check()


def test_a_call_is_dialled_only_inside_its_window_through_the_night_the_clocks_go_back(world: World) -> None:
    world.clock.now = datetime(2026, 10, 24, 17, 30, tzinfo=UTC)  # 19:30 in Sweden, still summer time
    given = [NewContact(number(50), time_zone="Europe/Stockholm")]
    world.campaign(world.contact_list(given), calling_window={"start": "08:00", "end": "20:00"})
    (call_id,) = world.release()
    world.clock.forward(1800)
    assert world.dial([call_id]) == []
    assert world.call(call_id).due_at == datetime(2026, 10, 25, 7, 0, tzinfo=UTC)  # 8:00 by winter time
    world.clock.now = datetime(2026, 10, 25, 6, 59, tzinfo=UTC)
    assert world.release() == []
    world.clock.now = datetime(2026, 10, 25, 7, 0, tzinfo=UTC)
    assert len(world.dial(world.release())) == 1
    world.check()


def test_who_cannot_be_called_any_more_before_the_end_expires_when_claimed(world: World) -> None:
    call_id = one_call(
        world, calling_window={"start": "08:00", "end": "13:00"}, end_at=NOON + timedelta(hours=5)
    )
    world.clock.forward(3600)
    assert world.dial([call_id]) == []
    assert world.call(call_id).state == CallState.EXPIRED
    world.check()


def test_a_zone_that_the_tz_data_lost_holds_back_its_own_call_and_no_other(world: World) -> None:
    world.campaign(world.contact_list(people(2)))
    lost, other = world.release()
    with writing(world.engine) as connection:
        connection.execute(t.call.update().where(t.call.c.id == lost).values(time_zone="Mars/Olympus"))
    (placement,) = world.claim([lost, other]).placements
    assert placement.call_id == other
    assert (world.call(lost).state, world.call(lost).reason) == ("WAITING", "time zone not known")


def test_a_disabled_account_dials_nothing(world: World) -> None:
    call_id = one_call(world)
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(enabled=False))
    assert world.dial([call_id]) == []
    assert world.call(call_id).state == CallState.WAITING
    world.clock.forward(3600)
    assert world.release() == []


def test_a_provider_that_is_held_paused_or_gone_dials_nothing_and_costs_nothing(world: World) -> None:
    call_id = one_call(world)
    world.set_provider(held_until=NOON + timedelta(seconds=20))
    assert world.dial([call_id]) == []
    assert world.call(call_id).reason == "provider held"
    world.clock.forward(15)
    assert world.release() == []
    world.clock.forward(5)
    (call_id,) = world.release()
    world.set_provider(paused_reason="no funds")
    assert world.dial([call_id]) == []
    second = world.provider()
    world.clock.forward(5)
    (call_id,) = world.release()
    assert world.call(call_id).provider_id == second
    assert len(world.dial([call_id])) == 1
    assert world.call(call_id).repeats == {}
    world.check()


def test_the_same_doorbell_rung_three_times_dials_once(world: World) -> None:
    world.campaign(world.contact_list(people(20)))
    released = world.release()
    assert len(world.dial([*released, *released, *released])) == 20
    assert world.dial(released) == []
    world.check()


def test_many_workers_that_claim_the_same_calls_dial_each_once(world: World) -> None:
    world.campaign(world.contact_list(people(100)))
    released = world.release()
    claimed: list[str] = []

    def work(order: list[str]) -> None:
        for start in range(0, len(order), 20):
            claimed.extend(
                placement.submission.attempt_id
                for placement in world.claim(order[start : start + 20]).placements
            )

    in_threads(
        *(lambda o=order: work(o) for order in (released, released[::-1], released[50:] + released[:50]))
    )
    assert len(claimed) == len(set(claimed))
    world.claim(released)  # what one skipped because another held it is left for the next doorbell
    assert len(world.rows(t.attempt)) == 100
    world.check()


def test_a_claim_that_is_rolled_back_leaves_the_calls_released(world: World) -> None:
    call_id = one_call(world)

    def claim_and_break() -> None:
        with writing(world.engine) as connection:
            claim(connection, world.limiter, world.adapters, [call_id], world.clock(connection))
            raise ConnectionError

    with pytest.raises(ConnectionError):
        claim_and_break()
    assert world.call(call_id).state == CallState.RELEASED
    assert world.rows(t.attempt) == []
    assert len(world.dial([call_id])) == 1


def test_a_frequency_cap_counts_what_rang_over_all_campaigns_and_nothing_else(world: World) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(frequency_cap=2))
    waits, refused = one_call(world), one_call(world)
    (unsent,) = (placement.submission.attempt_id for placement in world.claim([waits]).placements)
    world.answer([unsent], Outcome.NOT_SENT, retry_after=0.0)
    (said_no,) = (placement.submission.attempt_id for placement in world.claim([refused]).placements)
    world.answer([said_no], Outcome.REFUSED, refusal=Refusal.BAD_REQUEST)
    first, second, third = one_call(world), one_call(world), one_call(world)
    assert len(world.dial([first])) == 1
    assert len(world.dial([second])) == 1
    assert world.dial([third]) == []
    assert world.call(third).due_at == NOON + timedelta(days=1)
    assert world.call(third).reason == "frequency cap"


def test_a_frequency_cap_holds_within_one_batch_and_between_two_workers(world: World) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.account.update().values(frequency_cap=1))
    batch = [one_call(world) for _ in range(2)]
    assert len(world.dial(batch)) == 1
    with writing(world.engine) as connection:
        connection.execute(t.attempt.update().values(submitted_at=NOON - timedelta(days=2)))
    at_once = [one_call(world) for _ in range(2)]
    together = threading.Barrier(2)

    def work(call_id: str) -> None:
        together.wait(20)
        world.claim([call_id])

    in_threads(*(lambda c=call_id: work(c) for call_id in at_once))
    assert len(world.rows(t.attempt)) == 2


# --- what becomes of each reply ------------------------------------------------------------------------------


def test_what_was_provably_not_sent_waits_longer_each_time_and_costs_no_repeat(world: World) -> None:
    call_id = one_call(world, repeat_policy=repeating(1))
    waits = []
    for _ in range(5):
        claimed = world.claim([call_id])
        world.answer(
            [one.submission.attempt_id for one in claimed.placements], Outcome.NOT_SENT, detail="refused"
        )
        world.check()
        row = world.call(call_id)
        assert row.state == CallState.WAITING
        waits.append((row.due_at - world.clock.now).total_seconds())
        assert world.release() == [], "not before its time"
        world.clock.now = max(row.due_at, world.rows(t.provider)[0].breaker_until)
        assert world.release() == [call_id]
    assert [0.5 < wait / 2**place < 1.5 for place, wait in enumerate(waits)] == [True] * 5
    attempts = world.dial([call_id])
    world.end(attempts, "busy")
    assert world.call(call_id).repeats == {"BUSY": 1}
    assert world.call(call_id).unsent == 0
    world.check()


def test_a_429_holds_the_provider_and_costs_neither_attempt_nor_repeat(world: World) -> None:
    call_id = one_call(world, repeat_policy=repeating(1))
    (placement,) = world.claim([call_id]).placements
    world.answer([placement.submission.attempt_id], Outcome.NOT_PROCESSED, retry_after=17.0)
    row = world.call(call_id)
    assert (row.state, row.unsent, row.repeats) == ("WAITING", 0, {})
    world.clock.forward(16)
    assert world.release() == []
    assert world.rows(t.provider)[0].held_until == NOON + timedelta(seconds=17)
    assert world.attempt(placement.submission.attempt_id).state == AttemptState.NOT_PLACED
    assert world.rows(t.cdr) == []
    world.check()


def test_a_shorter_hold_never_shortens_a_longer_one(world: World) -> None:
    world.campaign(world.contact_list(people(2)))
    one, other = (placement.submission.attempt_id for placement in world.claim(world.release()).placements)
    world.answer([one], Outcome.NOT_PROCESSED, retry_after=60.0)
    world.answer([other], Outcome.NOT_PROCESSED, retry_after=5.0)
    assert world.rows(t.provider)[0].held_until == NOON + timedelta(seconds=60)


def test_a_submit_whose_fate_is_unknown_is_never_dialled_again(world: World) -> None:
    call_id = one_call(world, repeat_policy=repeating(5, delay=0))
    (placement,) = world.claim([call_id]).placements
    world.answer([placement.submission.attempt_id], Outcome.UNKNOWN, detail="reset after send")
    for _ in range(50):
        world.clock.forward(3600)
        assert world.release() == []
        assert world.claim([call_id]).placements == ()
        world.settle()
    assert world.call(call_id).state == CallState.UNKNOWN
    assert len(world.rows(t.attempt)) == 1
    world.check()


def test_a_bad_number_ends_the_call_and_a_bad_request_too(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(2)), repeat_policy=repeating(3))
    one, other = (placement.submission.attempt_id for placement in world.claim(world.release()).placements)
    world.answer([one], Outcome.REFUSED, refusal=Refusal.BAD_NUMBER)
    world.check()
    world.answer([other], Outcome.REFUSED, refusal=Refusal.BAD_REQUEST)
    world.check()
    assert {row.disposition for row in world.rows(t.cdr)} == {"INVALID_NUMBER", "FAILED"}
    assert world.call(one.partition("-")[0]).state == CallState.FAILED
    assert world.states(campaign)["WAITING"] == 1, "FAILED is repeated by this policy"


def test_an_account_without_funds_is_paused_and_its_call_goes_to_the_next_provider(world: World) -> None:
    second = world.provider(priority=200)
    call_id = one_call(world)
    (placement,) = world.claim([call_id]).placements
    world.answer(
        [placement.submission.attempt_id], Outcome.REFUSED, refusal=Refusal.PROVIDER, detail="no funds"
    )
    assert world.rows(t.provider, id=world.provider_id)[0].paused_reason == "no funds"
    world.check()
    world.clock.forward(1)
    assert world.release() == [call_id]
    assert world.call(call_id).provider_id == second
    assert len(world.dial([call_id])) == 1
    world.check()


def test_a_campaigns_call_that_its_provider_is_not_set_up_for_waits_and_is_not_lost(world: World) -> None:
    call_id = one_call(world)
    for waited in (1, 2):
        (placement,) = world.claim([call_id]).placements
        world.answer([placement.submission.attempt_id], Outcome.REFUSED, refusal=Refusal.NOT_HERE)
        assert world.call(call_id).state == CallState.WAITING
        assert world.call(call_id).due_at >= world.clock.now + timedelta(seconds=0.7 * waited)
        assert world.rows(t.provider)[0].paused_reason is None
        world.check()
        world.clock.forward(5)
        assert world.release() == [call_id]
    assert len(world.dial([call_id])) == 1
    assert world.call(call_id).repeats == {}, "it costs no repeat"
    world.check()


def test_a_reply_that_comes_after_the_callbacks_changes_no_state(world: World) -> None:
    call_id = one_call(world)
    (placement,) = world.claim([call_id]).placements
    attempt_id = placement.submission.attempt_id
    world.end([attempt_id])
    assert world.call(call_id).state == CallState.COMPLETED
    world.answer([attempt_id], Outcome.PLACED)
    world.check()
    assert world.attempt(attempt_id).state == AttemptState.ENDED
    assert world.rows(t.cdr)[0].provider_reference == attempt_id


def test_a_reply_that_says_not_sent_cannot_undo_what_a_callback_has_shown(world: World) -> None:
    call_id = one_call(world)
    (placement,) = world.claim([call_id]).placements
    attempt_id = placement.submission.attempt_id
    world.tell(attempt_id, "ringing")
    world.consume()
    world.answer([attempt_id], Outcome.NOT_SENT)
    assert world.attempt(attempt_id).state == AttemptState.RINGING
    assert world.call(call_id).state == CallState.IN_PROGRESS
    world.check()


def test_a_reply_in_words_that_nobody_knows_is_kept_and_counted_once(world: World) -> None:
    world.campaign(world.contact_list(people(3)))
    first, second, third = (one.submission.attempt_id for one in world.claim(world.release()).placements)
    for _ in range(2):  # its writer was not sure whether it was written
        world.answer([first, second], Outcome.UNKNOWN, unheard_of='{"status": "perhaps"}')
    world.answer([third], Outcome.UNKNOWN)
    kept = world.rows(t.event)
    assert {(one.attempt_id, one.method, one.body) for one in kept} == {
        (attempt_id, "SUBMIT", b'{"status": "perhaps"}') for attempt_id in (first, second)
    }
    (counted,) = world.rows(t.unknown_word)
    assert (counted.provider_id, counted.events) == (world.provider_id, 2)
    world.consume()
    assert world.attempt(first).state == AttemptState.UNKNOWN


@pytest.mark.parametrize(
    ("outcome", "values"),
    [
        (Outcome.PLACED, {}),
        (Outcome.UNKNOWN, {}),
        (Outcome.NOT_SENT, {}),
        (Outcome.NOT_PROCESSED, {"retry_after": 5.0}),
        (Outcome.REFUSED, {"refusal": Refusal.BAD_NUMBER}),
        (Outcome.REFUSED, {"refusal": Refusal.PROVIDER}),
    ],
)
def test_a_reply_that_is_written_twice_counts_once(
    world: World, outcome: Outcome, values: dict[str, Any]
) -> None:
    """The first commit went through, but its worker saw the connection break and writes again."""
    call_id = one_call(world, repeat_policy=repeating(2))
    (placement,) = world.claim([call_id]).placements
    world.answer([placement.submission.attempt_id], outcome, **values)
    call, history = world.call(call_id), world.rows(t.history)
    world.answer([placement.submission.attempt_id], outcome, **values)
    assert (world.call(call_id), world.rows(t.history)) == (call, history)
    world.check()


def test_a_reply_that_the_database_cannot_hold_is_written_without_what_it_cannot_hold(world: World) -> None:
    call_id = one_call(world)
    (placement,) = world.claim([call_id]).placements
    world.answer([placement.submission.attempt_id], Outcome.UNKNOWN, detail="broken\x00 answer")
    assert world.attempt(placement.submission.attempt_id).detail == "broken answer"


def test_claiming_and_writing_cost_the_same_however_large_the_batch_is(world: World) -> None:
    costs = []
    for size in (1, 10, 100):  # by the first it is known that the account has no webhooks
        world.campaign(world.contact_list(people(size)))
        released = world.release()
        world.forbid(world.call(released[0]).e164)
        placements: list[str] = []

        def claim_all(released: list[str] = released, placements: list[str] = placements) -> None:
            placements += [one.submission.attempt_id for one in world.claim(released).placements]

        claiming = statements(world.engine, claim_all)
        for attempt_id in placements[::2]:
            world.tell(attempt_id, "ringing")
        world.consume()  # half of them were faster than their replies

        def write_all(placements: list[str] = placements) -> None:
            world.answer(placements, Outcome.PLACED)

        writing_ = statements(world.engine, write_all)
        for attempt_id in placements:
            world.tell(attempt_id, "busy" if attempt_id in placements[::3] else "answered")
        costs.append(
            (claiming, writing_, statements(world.engine, lambda: consume(world.engine, world.clock)))
        )
    assert costs[1] == costs[2]
    assert max(costs[1]) < 40
    world.check()


def test_a_provider_that_was_not_reached_is_left_alone_and_the_next_one_carries_its_calls(
    world: World,
) -> None:
    spare = world.provider(priority=200)
    world.campaign(world.contact_list(people(2)))
    unlucky = world.release()
    assert {world.call(one).provider_id for one in unlucky} == {world.provider_id}
    attempts = [one.submission.attempt_id for one in world.claim(unlucky).placements]
    world.answer(attempts, Outcome.NOT_SENT)
    world.clock.now = max(world.call(one).due_at for one in unlucky) - timedelta(milliseconds=1)
    with writing(world.engine) as connection:  # still resting when the first of them is due again
        connection.execute(
            t.provider.update()
            .where(t.provider.c.id == world.provider_id, t.provider.c.breaker_trips > 0)
            .values(breaker_until=world.clock.now + timedelta(seconds=30))
        )
    world.clock.forward(1)
    assert sorted(world.release()) == sorted(unlucky)
    assert {world.call(one).provider_id for one in unlucky} == {spare}


def test_one_call_that_was_placed_shows_that_the_provider_is_there(world: World) -> None:
    world.campaign(world.contact_list(people(2)))
    first, second = (one.submission.attempt_id for one in world.claim(world.release()).placements)
    replies = [SubmitResult(first, Outcome.PLACED), SubmitResult(second, Outcome.NOT_SENT)]
    with writing(world.engine) as connection:
        write(connection, replies, world.clock.now)
    assert world.rows(t.provider)[0].breaker_trips == 0


def test_what_rings_although_it_was_held_as_never_placed_is_not_rung_again_soon(world: World) -> None:
    call_id = one_call(world)
    (attempt_id,) = (one.submission.attempt_id for one in world.claim([call_id]).placements)
    world.answer([attempt_id], Outcome.NOT_PROCESSED, retry_after=1.0)
    world.tell(attempt_id, "ringing")
    world.consume()
    assert world.call(call_id).due_at == world.clock.now + CONTRADICTED
    world.end([attempt_id], "answered")
    assert world.call(call_id).state == CallState.COMPLETED
    world.check()
