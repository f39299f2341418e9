"""Single calls: a one-time password is asked for, dialled at once, and forgotten when the call has ended."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from running import Running, until
from sqlalchemy import Engine
from world import World, in_threads, number, people, statements

from dialer.calls.ledger import Ledger
from dialer.calls.otp import OTP_LIFE
from dialer.db import writing
from dialer.errors import Conflict, FieldError, NotFound
from dialer.lifecycle import AttemptState, CallState
from dialer.pace.limiter import Pace, Stage
from dialer.providers.base import submit
from dialer.providers.contract import Outcome, Refusal
from dialer.store import tables as t
from dialer.store.tables import StaleStateError
from workers import replies
from workers.scheduler import RING_AGAIN, Scheduler


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def text_of(world: World, call_id: str) -> str | None:
    text: str | None = world.rows(t.message, call_id=call_id)[0].text
    return text


def set_account(world: World, **values: Any) -> None:
    with writing(world.engine) as connection:
        connection.execute(t.account.update().where(t.account.c.id == world.account_id).values(**values))


class Rung:
    """A doorbell that only notes who was rung for."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.singles: list[str] = []
        self.others: list[str] = []

    def place_calls(self, ids: Any) -> None:
        self.calls += ids

    def place_singles(self, ids: Any) -> None:
        self.singles += ids

    def place_others(self, ids: Any) -> None:
        self.others += ids


# --- the way of a password -----------------------------------------------------------------------------------


def test_a_password_is_spoken_digit_by_digit_and_forgotten_when_the_call_has_ended(world: World) -> None:
    call_id = world.otp(repeat="2", voice="Raveena", rate="slow")
    assert world.call(call_id).state == CallState.RELEASED
    (placement,) = world.claim([call_id]).placements
    said = placement.submission
    assert (said.text, said.repeat_count, said.voice, said.rate) == (
        "Your code is 1, 9, 8, 7", 2, "Raveena", "slow",
    )  # fmt: skip
    world.answer([said.attempt_id], Outcome.PLACED)
    assert text_of(world, call_id) is not None
    world.end([said.attempt_id])
    assert world.call(call_id).state == CallState.COMPLETED
    assert text_of(world, call_id) is None
    assert world.rows(t.message)[0].code is None
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.kind, cdr.dial_status, cdr.caller_id) == ("OTP", "ANSWER", "+15168148111")
    world.check()


@pytest.mark.parametrize("ending", ["busy", "no answer", "no such number", "unheard of"])
def test_it_is_not_repeated(world: World, ending: str) -> None:
    call_id = world.otp()
    world.end(world.dial([call_id]), ending)
    assert world.call(call_id).ended_at is not None
    assert text_of(world, call_id) is None
    world.check()


def refuse_by_itself(world: World, call_id: str) -> str:
    """Have the adapter refuse it before anything is sent; the attempt."""
    (placement,) = world.claim([call_id]).placements
    result = world.outside.run(
        submit(world.outside.client, placement.adapter, placement.submission, timeout=5)
    )
    assert (result.outcome, result.refusal, result.asked) == (Outcome.REFUSED, Refusal.NOT_HERE, False)
    with writing(world.engine) as connection:
        replies.write(connection, [result], world.clock.now)
    world.check()
    return result.attempt_id


def without_template(world: World) -> dict[str, Any]:
    """The columns of a provider that speaks passwords in an approved template, and has none."""
    return {"kind": "cpaas", "credentials": world.box.seal({"account": "account_1", "auth": "k3y"})}


def test_what_a_provider_is_not_set_up_for_goes_to_the_next_and_pauses_nobody(world: World) -> None:
    world.set_provider(**without_template(world))
    second = world.provider(priority=200, **without_template(world))
    third = world.provider(priority=300)
    call_id = world.otp()
    for provider_id in (world.provider_id, second):
        assert world.call(call_id).provider_id == provider_id
        attempt_id = refuse_by_itself(world, call_id)
        assert world.attempt(attempt_id).state == AttemptState.REFUSED
        assert world.release_singles() == [call_id]
    assert world.call(call_id).provider_id == third
    assert len(world.dial([call_id])) == 1
    assert [row.paused_reason for row in world.rows(t.provider)] == [None] * 3
    world.check()


def test_what_nobody_is_set_up_for_ends_and_pauses_nobody(world: World) -> None:
    world.set_provider(**without_template(world))
    call_id = world.otp()
    refuse_by_itself(world, call_id)
    assert world.call(call_id).state == CallState.FAILED
    assert [row.disposition for row in world.rows(t.cdr)] == ["FAILED"]
    assert world.rows(t.provider)[0].paused_reason is None
    assert world.release_singles() == []


def test_it_is_dialled_at_night(world: World) -> None:
    set_account(world, calling_window={"start": "08:00", "end": "09:00"})
    assert len(world.dial([world.otp()])) == 1


def test_a_number_on_the_accounts_dnd_list_is_not_dialled_and_its_cdr_says_so(world: World) -> None:
    call_id = world.otp(number(50))
    world.forbid(number(50))
    assert world.dial([call_id]) == []
    assert world.call(call_id).state == CallState.SUPPRESSED
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.dial_status, cdr.caller_id) == ("DND", "+15168148111")
    world.check()


def test_a_password_that_nobody_took_in_time_is_not_dialled_any_more(world: World) -> None:
    call_id = world.otp()
    world.clock.forward(OTP_LIFE.total_seconds())
    assert world.dial([call_id]) == []
    assert world.call(call_id).state == CallState.EXPIRED
    (cdr,) = world.rows(t.cdr, call_id=call_id)
    assert (cdr.disposition, cdr.dial_status) == ("CANCELLED", "CANCEL")
    world.check()


def test_over_the_frequency_cap_it_ends_at_once_instead_of_coming_tomorrow(world: World) -> None:
    set_account(world, frequency_cap=1)
    first, second = world.otp(), world.otp()
    assert len(world.dial([first])) == 1
    assert world.dial([second]) == []
    assert world.call(second).state == CallState.EXPIRED
    world.check()


def test_the_same_doorbell_twice_dials_once(world: World) -> None:
    call_id = world.otp()
    placed: list[str] = []
    in_threads(*(lambda: placed.extend(world.dial([call_id])),) * 4)
    assert len(placed) == 1
    world.check()


# --- what cannot be accepted ---------------------------------------------------------------------------------


def test_a_call_that_another_worker_moved_gets_no_attempt(world: World) -> None:
    call_id = world.otp()
    released = world.call(call_id)
    (attempt,) = (row._asdict() for row in world.rows(t.attempt, id=world.dial([call_id])[0]))
    ledger = Ledger(world.clock.now)
    ledger.dial(released, attempt | {"id": f"{call_id}-2", "number": 2})
    with pytest.raises(StaleStateError, match="1 of 1 rows of call"), writing(world.engine) as connection:
        ledger.write(connection)
    assert [row.number for row in world.rows(t.attempt)] == [1]


def test_a_template_of_another_account_is_not_there(world: World) -> None:
    other, _ = world.account()
    world.otp(account_id=other)
    with pytest.raises(NotFound, match="announce_template_id"):
        world.otp(announce_template_id="AN2")


def test_without_a_provider_that_can_speak_it_nothing_is_accepted(world: World) -> None:
    with pytest.raises(FieldError, match="Mitto does not speak 'hi-IN'"):
        world.otp(language_code="hi-IN")
    world.set_provider(enabled=False)
    with pytest.raises(Conflict, match="one-time passwords"):
        world.otp()
    assert world.rows(t.call) == world.rows(t.message) == []


# --- waiting -------------------------------------------------------------------------------------------------


def test_a_provider_that_was_not_reached_is_tried_again(world: World) -> None:
    call_id = world.otp()
    (placement,) = world.claim([call_id]).placements
    world.answer([placement.submission.attempt_id], Outcome.NOT_SENT)
    assert world.call(call_id).state == CallState.WAITING
    assert world.release_singles() == []
    world.clock.forward(2)
    assert world.release_singles() == [call_id]
    world.end(world.dial([call_id]))
    assert world.call(call_id).state == CallState.COMPLETED
    world.check()


def test_while_a_provider_is_held_another_one_carries_it(world: World) -> None:
    world.set_provider(held_until=world.clock.now + timedelta(seconds=100))
    waits = world.otp()
    assert (world.call(waits).state, world.call(waits).reason) == ("WAITING", "no provider free")
    second = world.provider(priority=200)
    world.clock.forward(1)
    assert world.release_singles() == [waits]
    assert world.call(waits).provider_id == second
    assert world.call(world.otp(number(51))).provider_id == second
    world.check()


def test_a_paused_provider_may_be_mended_in_time(world: World) -> None:
    world.set_provider(paused_reason="no funds")
    call_id = world.otp()
    world.clock.forward(1)
    assert world.release_singles() == []
    world.set_provider(paused_reason=None)
    world.clock.forward(1)
    assert world.release_singles() == [call_id]


def test_whoever_waits_expires_on_time_however_long_it_was_to_wait(world: World) -> None:
    call_id = world.otp()
    (placement,) = world.claim([call_id]).placements
    world.answer([placement.submission.attempt_id], Outcome.NOT_PROCESSED, retry_after=3600.0)
    world.clock.forward(OTP_LIFE.total_seconds() - 1)
    assert world.release_singles() == []
    world.clock.forward(1)
    assert world.release_singles() == []
    assert world.call(call_id).state == CallState.EXPIRED
    assert text_of(world, call_id) is None
    world.check()


def test_a_refusal_for_the_providers_own_reasons_goes_to_the_next_provider(world: World) -> None:
    second = world.provider(priority=200)
    call_id = world.otp()
    (placement,) = world.claim([call_id]).placements
    attempt_id = placement.submission.attempt_id
    world.answer([attempt_id], Outcome.REFUSED, refusal=Refusal.PROVIDER, detail="no funds")
    assert world.release_singles() == [call_id]
    assert world.call(call_id).provider_id == second
    world.check()


def test_calls_at_once_are_kept_and_a_freed_place_goes_to_whoever_waits_before_any_campaign(
    world: World,
) -> None:
    set_account(world, max_concurrent=2)
    world.campaign(world.contact_list(people(5)))
    attempts = world.dial(world.release())
    assert len(attempts) == 2
    call_id = world.otp(number(60))
    assert world.call(call_id).state == CallState.WAITING
    world.end(attempts[:1])
    world.clock.forward(1)
    assert world.release() == []  # the campaign leaves it the place
    assert world.release_singles() == [call_id]
    world.end(world.dial([call_id]))
    world.clock.forward(1)
    assert len(world.release()) == 1
    world.check()


def test_of_a_provider_too(world: World) -> None:
    world.set_provider(max_concurrent=1)
    world.campaign(world.contact_list(people(5)))
    attempts = world.dial(world.release())
    call_id = world.otp(number(60))
    world.end(attempts)
    world.clock.forward(1)
    assert world.release() == []
    assert world.release_singles() == [call_id]
    assert world.call(world.otp(number(61))).state == CallState.WAITING


def test_the_cost_of_a_release_does_not_grow_with_what_waits(world: World) -> None:
    world.set_provider(held_until=world.clock.now + timedelta(seconds=1))
    for place in range(30):
        world.otp(number(50 + place))
    world.set_provider(held_until=None)
    world.clock.forward(1)
    assert statements(world.engine, world.release_singles) < 20
    assert len(world.rows(t.call, state="RELEASED")) == 30


def test_two_schedulers_release_each_call_once(world: World) -> None:
    world.set_provider(held_until=world.clock.now + timedelta(seconds=1))
    waiting = [world.otp(number(50 + place)) for place in range(20)]
    world.clock.forward(1)
    released: list[str] = []
    in_threads(*(lambda: released.extend(world.release_singles()),) * 4)
    assert sorted(released) == sorted(waiting)
    world.check()


# --- pace ----------------------------------------------------------------------------------------------------


def test_a_campaign_that_takes_every_token_leaves_the_next_one_to_a_password(world: World) -> None:
    world.set_provider(calls_per_minute=60)
    world.campaign(world.contact_list(people(50)))
    released = world.release()
    assert len(world.dial(released)) == 1  # there is one token a second, and the campaign has it
    call_id = world.otp(number(60))
    assert world.claim([call_id]).placements == ()  # nor does its worker wait for the next
    assert (world.call(call_id).state, world.call(call_id).reason) == ("WAITING", "pace")
    paces = [Pace("provider", world.provider_id, 60)]
    until(lambda: world.limiter.look(Stage.SEND, world.provider_id, paces, 1, ahead=True).calls)
    world.clock.now = world.call(call_id).due_at
    assert world.claim(released).placements == ()
    assert world.release_singles() == [call_id]
    assert len(world.dial([call_id])) == 1
    world.check()


def test_an_account_out_of_pace_does_not_hold_up_the_passwords_of_another(world: World) -> None:
    set_account(world, calls_per_minute=1)
    other, _ = world.account()
    own, others = [world.otp(number(50)), world.otp(number(51))], world.otp(number(52), account_id=other)
    placed = {placement.call_id for placement in world.claim([*own, others]).placements}
    assert len(placed) == 2
    assert others in placed
    (waits,) = set(own) - placed
    assert world.call(waits).due_at > world.clock.now + timedelta(seconds=25)


# --- other channels ------------------------------------------------------------------------------------------


def test_a_password_goes_through_a_provider_of_its_channel_and_through_no_other(world: World) -> None:
    flash = world.provider(kind="mitto-flash", priority=200, credentials=world.box.seal({"token": "k3y"}))
    sms = world.provider(kind="mtt-sms", priority=50, credentials=sms_settings(world))
    asked = {channel: world.otp(channel=channel) for channel in ("voice", "flash", "sms")}
    carried = {channel: world.call(call_id).provider_id for channel, call_id in asked.items()}
    assert carried == {"voice": world.provider_id, "flash": flash, "sms": sms}
    said = {one.call_id: one.submission for one in world.claim(list(asked.values())).placements}
    told = {channel: (said[call_id].text, said[call_id].code) for channel, call_id in asked.items()}
    assert told == {
        "voice": ("Your code is 1, 9, 8, 7", "1987"),
        "flash": (None, "1987"),
        "sms": ("Your code is 1987", "1987"),
    }
    world.check()


def test_a_channel_that_no_provider_has_is_refused_with_the_kinds_that_have_it(world: World) -> None:
    for channel, kind in (("flash", "mitto-flash"), ("sms", "mtt-sms")):
        with pytest.raises(FieldError, match=f"kinds that can: [a-z, -]*{kind}"):
            world.otp(channel=channel)
    assert world.rows(t.call) == []


@pytest.mark.parametrize("kind", ["mitto-flash", "mtt-sms"])
def test_a_password_by_flash_or_text_message_reaches_people_and_is_forgotten(
    world: World, tmp_path: Any, kind: str
) -> None:
    channel = "flash" if kind == "mitto-flash" else "sms"
    credentials = world.box.seal({"token": "k3y"}) if channel == "flash" else sms_settings(world)
    with Running(world, tmp_path, kind=kind, credentials=credentials) as running:
        asked = [world.otp(number(1050 + place), channel=channel) for place in range(5)]
        running.bell.place_singles(asked)
        until(lambda: all(world.call(one).state == CallState.COMPLETED for one in asked), "the passwords")
        running.no_attempt_came_twice()
    assert {(row.kind, row.dial_status) for row in world.rows(t.cdr)} == {("OTP", "ANSWER")}
    assert [row for row in world.rows(t.message) if row.text is not None or row.code is not None] == []
    world.check()


def sms_settings(world: World) -> str:
    """Credentials for text messages."""
    return world.box.seal({"account_sid": "AC1", "token": "k3y", "sender": "79587625004"})


# --- the scheduler, and everything at once -------------------------------------------------------------------


def test_a_lost_ring_is_rung_again_in_the_fast_lane(world: World) -> None:
    world.campaign(world.contact_list(people(2)))
    campaigns_calls = world.release()
    call_id = world.otp(number(60))
    rung = Rung()
    scheduler = Scheduler(world.engine, world.limiter, rung, 0.1)  # type: ignore[arg-type]
    with writing(world.engine) as connection:
        connection.execute(t.call.update().values(rung_at=world.clock.now - 2 * RING_AGAIN))
    scheduler.upkeep()
    assert rung.singles == [call_id]
    assert sorted(rung.calls) == campaigns_calls


def test_passwords_reach_people_beside_a_campaign_while_doorbells_are_shaken(
    world: World, tmp_path: Any
) -> None:
    with Running(world, tmp_path, shaken=True) as running:
        world.set_provider(calls_per_minute=1200)
        campaign = world.campaign(world.contact_list(people(60)))
        asked = []
        for place in range(20):
            asked.append(world.otp(number(1050 + place % 50)))
            running.bell.place_singles([asked[-1]])
        until(lambda: all(world.call(one).state == CallState.COMPLETED for one in asked), "the passwords")
        running.until_finished(campaign)
        running.no_attempt_came_twice()
    assert not [row for row in world.rows(t.message) if row.text is not None]
