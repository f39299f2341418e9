from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.gate import ASK_AGAIN, Dial, End, GateInput, Reason, Suppress, Wait, check
from dialer.calls.window import DEFAULT_WINDOW, CallingWindow, is_open
from dialer.lifecycle import CallState, CampaignState

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NIGHT = datetime(2026, 6, 1, 23, tzinfo=UTC)
MORNING = datetime(2026, 6, 2, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)

FREE = GateInput(
    on_dnd=False,
    cancelled=False,
    account_enabled=True,
    campaign_state=CampaignState.RUNNING,
    campaign_end_at=None,
    expires_at=None,
    zone=ZoneInfo("UTC"),
    window=DEFAULT_WINDOW,
)

moments = st.integers(-72, 72).map(lambda hours: NOON + HOUR * hours)
inputs = st.builds(
    GateInput,
    on_dnd=st.booleans(),
    cancelled=st.booleans(),
    account_enabled=st.booleans(),
    campaign_state=st.none() | st.sampled_from(CampaignState),
    campaign_end_at=st.none() | moments,
    expires_at=st.none() | moments,
    zone=st.sampled_from([ZoneInfo("UTC"), ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")]),
    window=st.sampled_from([None, DEFAULT_WINDOW, CallingWindow(time(22), time(2), frozenset({0, 2}))]),
    dials_in_last_day=st.integers(0, 4),
    frequency_cap=st.none() | st.integers(1, 4),
    capped_until=st.none() | moments,
)


def test_a_call_that_nothing_stands_against_is_dialled() -> None:
    assert check(FREE, NOON) == Dial()


def test_dnd_comes_before_everything() -> None:
    call = replace(
        FREE, on_dnd=True, cancelled=True, campaign_state=CampaignState.STOPPED, expires_at=NOON - HOUR
    )
    assert check(call, NIGHT) == Suppress()


def test_a_cancelled_call_ends() -> None:
    assert check(replace(FREE, cancelled=True), NOON) == End(CallState.CANCELLED, Reason.CANCELLED)


@pytest.mark.parametrize("state", [CampaignState.STOPPED, CampaignState.FINISHED])
def test_a_call_of_a_stopped_campaign_is_cancelled(state: CampaignState) -> None:
    call = replace(FREE, campaign_state=state, campaign_end_at=NOON - HOUR)
    assert check(call, NOON) == End(CallState.CANCELLED, Reason.CAMPAIGN_STOPPED)


@pytest.mark.parametrize("state", [CampaignState.PAUSED, CampaignState.SCHEDULED, CampaignState.DRAFT])
def test_a_call_of_a_campaign_that_does_not_run_waits_for_it(state: CampaignState) -> None:
    assert check(replace(FREE, campaign_state=state), NOON) == Wait(NOON, Reason.CAMPAIGN_NOT_RUNNING)


def test_the_end_of_a_campaign_holds_while_it_is_paused() -> None:
    call = replace(FREE, campaign_state=CampaignState.PAUSED, campaign_end_at=NOON)
    assert check(call, NOON) == End(CallState.EXPIRED, Reason.CAMPAIGN_ENDED)


def test_a_call_may_be_dialled_until_just_before_it_expires() -> None:
    call = replace(FREE, expires_at=NOON)
    assert check(call, NOON - timedelta(microseconds=1)) == Dial()
    assert check(call, NOON) == End(CallState.EXPIRED, Reason.EXPIRED)


def test_a_call_of_a_disabled_account_asks_again() -> None:
    assert check(replace(FREE, account_enabled=False), NOON) == Wait(
        NOON + ASK_AGAIN, Reason.ACCOUNT_DISABLED
    )


def test_at_night_a_call_waits_for_the_morning() -> None:
    assert check(FREE, NIGHT) == Wait(MORNING, Reason.OUTSIDE_WINDOW)


def test_an_exempt_call_is_dialled_at_night() -> None:
    assert check(replace(FREE, window=None), NIGHT) == Dial()


def test_a_morning_that_comes_too_late_expires_the_call_tonight() -> None:
    assert check(replace(FREE, campaign_end_at=MORNING), NIGHT) == End(
        CallState.EXPIRED, Reason.CAMPAIGN_ENDED
    )
    assert check(replace(FREE, expires_at=MORNING - HOUR), NIGHT) == End(CallState.EXPIRED, Reason.EXPIRED)


def test_a_number_dialled_too_often_waits_until_enough_dials_are_a_day_old() -> None:
    call = replace(FREE, frequency_cap=3, dials_in_last_day=3, capped_until=NOON + HOUR)
    assert check(call, NOON) == Wait(NOON + HOUR, Reason.FREQUENCY_CAP)
    assert check(replace(call, dials_in_last_day=2), NOON) == Dial()
    assert check(replace(call, capped_until=None), NOON) == Wait(NOON + ASK_AGAIN, Reason.FREQUENCY_CAP)


def test_a_cap_that_ends_at_night_waits_for_the_morning_at_once() -> None:
    call = replace(FREE, frequency_cap=1, dials_in_last_day=1, capped_until=NIGHT)
    assert check(call, NOON) == Wait(MORNING, Reason.FREQUENCY_CAP)
    assert check(replace(call, expires_at=MORNING), NOON) == End(CallState.EXPIRED, Reason.EXPIRED)


def test_a_call_without_a_campaign_needs_none() -> None:
    assert check(replace(FREE, campaign_state=None), NOON) == Dial()


@given(inputs, moments)
def test_what_is_dialled_may_be_dialled(call: GateInput, now: datetime) -> None:
    verdict = check(call, now)
    if verdict == Dial():
        assert not call.on_dnd
        assert not call.cancelled
        assert call.account_enabled
        assert call.campaign_state in (None, CampaignState.RUNNING)
        assert call.campaign_end_at is None or now < call.campaign_end_at
        assert call.expires_at is None or now < call.expires_at
        assert call.window is None or is_open(call.window, call.zone, now)
        assert call.frequency_cap is None or call.dials_in_last_day < call.frequency_cap
    assert (verdict == Suppress()) == call.on_dnd


@given(inputs, moments)
def test_no_wait_is_in_the_past_or_longer_than_the_call_lives(call: GateInput, now: datetime) -> None:
    verdict = check(call, now)
    if isinstance(verdict, Wait):
        assert verdict.due_at >= now
        if verdict.reason in (Reason.OUTSIDE_WINDOW, Reason.FREQUENCY_CAP):
            assert verdict.due_at > now
            assert all(end is None or verdict.due_at < end for end in (call.campaign_end_at, call.expires_at))
            assert call.window is None or is_open(call.window, call.zone, verdict.due_at)


def test_a_call_held_for_its_window_alone_is_dialled_when_it_is_due() -> None:
    for zone, hour in product(("UTC", "Asia/Kolkata", "Pacific/Apia"), range(24)):
        call = replace(FREE, zone=ZoneInfo(zone))
        verdict = check(call, NOON + HOUR * hour)
        if isinstance(verdict, Wait):
            assert check(call, verdict.due_at) == Dial()
