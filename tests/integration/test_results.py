"""Results: events in any order, number and shape lead to the same end, and none of them stops the others."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from world import ENDINGS, NOON, World, in_threads, people, repeating, statements

from dialer.db import reading, writing
from dialer.lifecycle import AttemptState, CallState
from dialer.providers.contract import Outcome, Refusal
from dialer.store import events, unknown_words
from dialer.store import tables as t
from workers import results
from workers.results import consume


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def one_attempt(world: World, **values: Any) -> str:
    """An attempt on its way out: committed, not answered."""
    world.campaign(world.contact_list(people(1)), **values)
    (placement,) = world.claim(world.release()).placements
    return placement.submission.attempt_id


def call_of(world: World, attempt_id: str) -> Any:
    return world.call(attempt_id.partition("-")[0])


def events_by_state(world: World) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in world.rows(t.event):
        found[row.state] = found.get(row.state, 0) + 1
    return found


# --- what becomes of a call ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "state", "dial_status"),
    [
        ("answered", CallState.COMPLETED, "ANSWER"),
        ("busy", CallState.FAILED, "BUSY"),
        ("no answer", CallState.FAILED, "NOANSWER"),
        ("no such number", CallState.FAILED, "CHANUNAVAIL"),
        ("unheard of", CallState.UNKNOWN, "CHANUNAVAIL"),
    ],
)
def test_the_end_of_an_attempt_ends_its_call(
    world: World, ending: str, state: CallState, dial_status: str
) -> None:
    attempt_id = one_attempt(world)
    world.answer([attempt_id], Outcome.PLACED)
    world.end([attempt_id], ending)
    assert call_of(world, attempt_id).state == state
    assert [row.dial_status for row in world.rows(t.cdr)] == [dial_status]
    world.check()


def test_repeats_never_exceed_the_policy_whatever_comes_in_between(world: World) -> None:
    campaign = world.campaign(
        world.contact_list(people(1)),
        repeat_policy=repeating(2, delay=30),
        calling_window={"start": "08:00", "end": "20:00"},
        end_at=NOON + timedelta(days=40),
    )
    dials = 0
    for round_ in range(60):
        released = world.release()
        world.check()
        claimed = [one.submission.attempt_id for one in world.claim(released).placements]
        if round_ % 3 == 0:
            world.answer(claimed, Outcome.NOT_PROCESSED, retry_after=3.0)
        elif round_ % 3 == 1:
            world.answer(claimed, Outcome.NOT_SENT)
        else:
            world.answer(claimed, Outcome.PLACED)
            world.end(claimed, "busy")
            dials += len(claimed)
        world.check()
        world.clock.forward(3700)
    assert dials == 3
    assert world.states(campaign) == {"FAILED": 1}
    assert world.rows(t.call)[0].repeats == {"BUSY": 2}


def test_a_repeat_that_would_come_after_the_campaigns_end_is_not_made(world: World) -> None:
    attempt_id = one_attempt(
        world, repeat_policy=repeating(5, delay=3600), end_at=NOON + timedelta(minutes=30)
    )
    world.answer([attempt_id], Outcome.PLACED)
    world.end([attempt_id], "busy")
    assert call_of(world, attempt_id).state == CallState.FAILED
    world.check()


def test_who_was_reached_after_all_is_not_rung_again(world: World) -> None:
    attempt_id = one_attempt(world, repeat_policy=repeating(3))
    world.answer([attempt_id], Outcome.PLACED)
    world.end([attempt_id], "busy")
    assert call_of(world, attempt_id).state == CallState.WAITING
    world.end([attempt_id], "answered")
    assert call_of(world, attempt_id).state == CallState.COMPLETED
    world.clock.forward(3600)
    assert world.release() == []
    assert [row.dial_status for row in world.rows(t.cdr)] == ["ANSWER"]
    world.check()


def test_who_was_reached_while_the_repeat_lay_released_is_not_rung_again(world: World) -> None:
    attempt_id = one_attempt(world, repeat_policy=repeating(3))
    world.end([attempt_id], "busy")
    world.clock.forward(60)
    released = world.release()
    world.end([attempt_id], "answered")
    assert world.claim(released).placements == ()
    world.check()


def test_a_word_about_an_attempt_held_as_never_placed_is_recorded(world: World) -> None:
    attempt_id = one_attempt(world)
    world.answer([attempt_id], Outcome.NOT_SENT)
    world.end([attempt_id], "answered")
    assert call_of(world, attempt_id).state == CallState.COMPLETED
    assert world.attempt(attempt_id).state == AttemptState.NOT_PLACED, "a final state never regresses"
    assert [row.dial_status for row in world.rows(t.cdr)] == ["ANSWER"]
    world.check()


def test_a_word_about_an_attempt_that_the_provider_had_refused_for_its_own_reasons_is_recorded(
    world: World,
) -> None:
    attempt_id = one_attempt(world)
    world.answer([attempt_id], Outcome.REFUSED, refusal=Refusal.PROVIDER)
    world.tell(attempt_id, "ringing")
    world.end([attempt_id], "busy")
    world.end([attempt_id], "rejected")
    assert world.counts(world.rows(t.campaign)[0].id) == {"taken": 1, "cdr.BUSY": 1}
    world.check()


# --- any order, any number --------------------------------------------------------------------------------


def outcome_of(world: World, attempt_id: str, campaign_id: str) -> tuple[Any, ...]:
    attempt, call = world.attempt(attempt_id), call_of(world, attempt_id)
    (cdr,) = world.rows(t.cdr, attempt_id=attempt_id)
    return (
        attempt.state,
        attempt.disposition,
        attempt.hangup_cause,
        attempt.duration,
        attempt.provider_reference,
        call.state,
        call.disposition,
        cdr.disposition,
        cdr.dial_status,
        cdr.hangup_cause,
        cdr.duration,
        cdr.provider_reference,
        sorted(world.counts(campaign_id).items()),
    )


def test_events_lead_to_the_same_end_in_any_order_number_and_grouping_and_before_the_reply(
    world: World,
) -> None:
    def after(order: list[str], stops: list[bool]) -> tuple[Any, ...]:
        campaign_id = world.campaign(world.contact_list(people(1)))
        (placement,) = world.claim(world.release()).placements
        attempt_id = placement.submission.attempt_id
        for what, stop in zip(order, stops, strict=True):
            if what == "reply":
                world.answer([attempt_id], Outcome.PLACED)
            else:
                world.tell(attempt_id, what)
            if stop:
                world.consume()
        world.consume()
        outcome = outcome_of(world, attempt_id, campaign_id)
        return tuple(str(one).replace(attempt_id, "ours") for one in outcome)

    kinds = st.sampled_from(["ringing", *ENDINGS])

    @settings(max_examples=25)
    @given(st.data())
    def property_(data: st.DataObject) -> None:
        told = ["reply", data.draw(st.sampled_from(sorted(ENDINGS))), *data.draw(st.lists(kinds, max_size=3))]
        doubled = data.draw(
            st.permutations(told + data.draw(st.lists(st.sampled_from(told[1:]), max_size=2)))
        )
        stops = data.draw(st.lists(st.booleans(), min_size=len(doubled), max_size=len(doubled)))
        assert after(doubled, stops) == after(told, [True] * len(told))

    property_()
    world.check()


def test_the_same_callback_sent_twice_is_kept_once(world: World) -> None:
    attempt_id = one_attempt(world)
    world.tell(attempt_id, "busy")
    world.told -= 1
    world.tell(attempt_id, "busy")
    assert len(world.rows(t.event)) == 1


def test_several_consumers_at_once_lose_nothing_and_double_nothing(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(100)), repeat_policy=repeating(1))
    attempts = world.dial(world.release())
    for attempt_id in attempts:
        world.tell(attempt_id, "ringing")
    for attempt_id in attempts[::-1]:
        world.tell(attempt_id, "busy")
        world.tell(attempt_id, "ringing")

    def consumer() -> None:
        while consume(world.engine, world.clock, limit=17):
            pass

    in_threads(consumer, consumer, consumer)
    world.consume()
    assert world.counts(campaign) == {"taken": 100, "cdr.BUSY": 100}
    assert {row.repeats["BUSY"] for row in world.rows(t.call)} == {1}
    assert events_by_state(world) == {"CONSUMED": 300}
    world.check()


def test_a_consumer_stays_while_events_come_in_large_groups(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "FEW", 2)
    monkeypatch.setattr(results, "GROUP", 2)
    world.campaign(world.contact_list(people(5)))
    for attempt_id in world.dial(world.release()):
        world.tell(attempt_id, "busy")
    results.keep_consuming(world.engine, world.clock, seconds=60)
    assert events_by_state(world) == {"CONSUMED": 5}
    world.check()


def test_a_consumer_that_finds_few_leaves_the_rest_to_the_next_doorbell(world: World) -> None:
    """Else it would answer fewer doorbells than are rung while events come, and their queue would only grow."""
    world.campaign(world.contact_list(people(3)))
    known, first, second = world.dial(world.release())
    world.end([known])  # from now on it is known that the account has no webhooks
    world.tell(first, "busy")
    once = statements(world.engine, lambda: results.consume(world.engine, world.clock))
    world.tell(second, "busy")
    assert (
        statements(world.engine, lambda: results.keep_consuming(world.engine, world.clock, seconds=60))
        == once
    )
    assert events_by_state(world) == {"CONSUMED": 3}


def test_a_consumer_that_finds_nothing_leaves_at_once(world: World) -> None:
    asked = statements(world.engine, lambda: results.keep_consuming(world.engine, world.clock, seconds=10))
    assert asked <= 2, "one transaction"


# --- odd events -------------------------------------------------------------------------------------------


def test_odd_events_are_kept_raw_and_stop_nobody(world: World) -> None:
    attempt_id = one_attempt(world)
    world.tell_raw("type=whatever")
    world.tell_raw("\x7f%00%ff&&&=")
    world.tell_raw("type=endCallback&reference=" + "9" * 64)
    world.tell_raw("type=endCallback&reference=" + "9" * 65)
    world.tell_raw("type=endCallback&reference=nobody-1&state=2&error=0")
    world.tell_raw("type=endCallback&reference=%D9%A1&state=2&error=0")
    world.end([attempt_id])
    assert call_of(world, attempt_id).state == CallState.COMPLETED
    assert events_by_state(world) == {"CONSUMED": 1, "UNMATCHED": 2, "UNREADABLE": 4}
    world.check()


def test_a_providers_alarm_is_counted_for_somebody_to_look_at(world: World) -> None:
    settings = {"domain": "customer.example", "sip_host": "sip.example.com", "token": "t0ken"}
    world.set_provider(kind="iotcomms", credentials=world.box.seal(settings))
    body = b'{"type": "callEventError", "sessionId": "S1", "error": "No response to callEvent request"}'
    world.tell_raw("", method="POST", path="alarms", body=body)
    world.consume()
    (event,) = world.rows(t.event)
    assert (event.state, event.attempt_id) == ("CONSUMED", None)
    assert event.error.endswith("callEventError, No response to callEvent request")
    assert [row.events for row in world.rows(t.unknown_word)] == [1]


def test_a_provider_cannot_speak_of_anothers_attempts(world: World) -> None:
    attempt_id = one_attempt(world)
    other = world.provider()
    world.tell(attempt_id, "answered", provider_id=other)
    world.consume()
    assert world.attempt(attempt_id).state == AttemptState.SUBMITTING
    assert events_by_state(world) == {"UNMATCHED": 1}


def not_understood(world: World) -> dict[str, int]:
    with reading(world.engine) as connection:
        return unknown_words.counts(connection)


def test_what_was_not_understood_is_counted_by_provider_and_kept_with_the_reason(world: World) -> None:
    attempt_id = one_attempt(world)
    other = world.provider()
    world.tell_raw("type=whatever")
    world.tell_raw("type=whatever", provider_id=other)
    world.tell(attempt_id, "unheard of")
    world.tell(attempt_id, "ringing")
    world.consume()
    world.tell_raw("type=whichever")
    world.consume()
    assert not_understood(world) == {world.provider_id: 3, other: 1}
    errors = [row.error for row in world.rows(t.event)]
    assert [bool(error) for error in errors] == [True, True, True, False, True]
    assert errors[2] == results.UNKNOWN_WORD
    assert {row.last_at for row in world.rows(t.unknown_word)} == {world.clock.now}


def test_what_is_understood_costs_no_statement_for_counting(world: World) -> None:
    world.end([one_attempt(world)])  # from now on it is known that the account has no webhooks
    attempt_id = one_attempt(world)
    world.tell(attempt_id, "busy")
    understood = statements(world.engine, lambda: results.consume(world.engine, world.clock))
    world.tell(one_attempt(world), "unheard of")
    assert statements(world.engine, lambda: results.consume(world.engine, world.clock)) == understood + 1
    assert not_understood(world) == {world.provider_id: 1}


def test_an_odd_word_that_comes_before_the_reply_is_counted_once(world: World) -> None:
    attempt_id = one_attempt(world)
    world.set_provider(kind="mitto-flash")
    world.tell_raw(SHOWN.replace("BUSY_HERE", "VAPORIZED"))
    world.consume()
    world.answer([attempt_id], Outcome.PLACED, provider_reference="R-17")
    assert revive(world) == 1
    world.consume()
    assert not_understood(world) == {world.provider_id: 1}


# --- providers whose callbacks hold only their own reference -------------------------------------------------

SHOWN = "requestId=R-17&status=BUSY_HERE&number=79161234567"


def revive(world: World) -> int:
    with writing(world.engine) as connection:
        return events.revive(connection, world.clock.now - timedelta(hours=1), 100)


def test_a_callback_with_the_providers_own_reference_finds_its_attempt(world: World) -> None:
    attempt_id = one_attempt(world)
    world.answer([attempt_id], Outcome.PLACED, provider_reference="R-17")
    world.set_provider(kind="mitto-flash")
    world.tell_raw(SHOWN)
    world.consume()
    assert [row.attempt_id for row in world.rows(t.event)] == [attempt_id]
    assert call_of(world, attempt_id).ended_at is not None
    world.check()


def test_a_callback_that_comes_before_the_reply_which_tells_its_reference_is_not_lost(world: World) -> None:
    attempt_id = one_attempt(world)
    world.set_provider(kind="mitto-flash")
    world.tell_raw(SHOWN)
    world.consume()
    assert events_by_state(world) == {"UNMATCHED": 1}
    assert revive(world) == 0
    world.answer([attempt_id], Outcome.PLACED, provider_reference="R-17")
    assert revive(world) == 1
    world.consume()
    assert events_by_state(world) == {"CONSUMED": 1}
    assert call_of(world, attempt_id).ended_at is not None
    assert revive(world) == 0
    world.check()


def test_a_reference_of_one_provider_says_nothing_about_anothers(world: World) -> None:
    attempt_id = one_attempt(world)
    world.answer([attempt_id], Outcome.PLACED, provider_reference="R-17")
    world.tell_raw(SHOWN, provider_id=world.provider(kind="mitto-flash"))
    world.consume()
    assert events_by_state(world) == {"UNMATCHED": 1}
    assert revive(world) == 0
    assert call_of(world, attempt_id).ended_at is None


def test_an_event_that_cannot_be_applied_does_not_hold_up_those_behind_it(world: World) -> None:
    world.campaign(world.contact_list(people(5)))
    attempts = world.dial(world.release())
    with writing(
        world.engine
    ) as connection:  # whatever the reason: of these attempts only one can be written
        connection.execute(sa.text("CREATE UNIQUE INDEX odd_one_out ON attempt (disposition)"))
    try:
        world.end(attempts[:3], "busy")
        world.end(attempts[3:], "answered")
    finally:
        with writing(world.engine) as connection:
            connection.execute(sa.text("DROP INDEX odd_one_out"))
    assert events_by_state(world) == {"CONSUMED": 2, "UNREADABLE": 3}
    world.check()
    for attempt_id in attempts:
        world.tell(attempt_id, "busy")
    world.consume()
    assert world.states(world.rows(t.campaign)[0].id) == {"COMPLETED": 1, "FAILED": 4}
    world.check()
