"""Repeats that a provider makes by itself: what they may be, when they fit, and which end may be the last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls import provider_repeats
from dialer.calls.provider_repeats import RINGS, TALKS, fits, may_dial_again, over_within
from dialer.calls.repeats import NO_REPEATS, RepeatPolicy, RepeatPolicyError
from dialer.calls.window import CallingWindow
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.contract import Fact

NOON = datetime(2026, 1, 13, 12, tzinfo=UTC)
DAY = CallingWindow(time(8), time(21))
UTC_ZONE = ZoneInfo("UTC")
FOR_EVER = NOON + timedelta(days=400)


def mitto(**counts: tuple[int, int]) -> RepeatPolicy:
    """Repeats in Mitto's words: `Busy=(times, delay)`."""
    given: dict[str, object] = {"isRepeat": 1}
    for on, (times, delay) in counts.items():
        given |= {f"repeat{on}": 1, f"repeat{on}Count": times, f"repeat{on}Int": delay}
    return RepeatPolicy.of_mitto(given)


settings = st.dictionaries(
    st.sampled_from(["Busy", "Answered", "Failed", "NoAnswer"]),
    st.tuples(st.integers(1, 100), st.integers(0, 3600)),
)


@given(settings)
def test_mittos_words_come_back_as_they_were_given(counts: dict[str, tuple[int, int]]) -> None:
    policy = mitto(**counts)
    told = policy.to_mitto()
    assert told["isRepeat"] == bool(counts)
    for on in ("Busy", "Answered", "Failed", "NoAnswer"):
        assert (told.get(f"repeat{on}Count"), told.get(f"repeat{on}Int")) == counts.get(on, (None, None))
    assert RepeatPolicy.of_mitto(told) == policy
    assert RepeatPolicy.parse(policy.to_json()) == policy


def test_a_policy_of_our_own_may_be_one_that_mitto_has_words_for() -> None:
    policy = RepeatPolicy.parse({"most": 2, "rules": {"NO_ANSWER": {"times": 2, "delays": [300, 300]}}})
    assert policy.to_mitto() == {
        "isRepeat": 1,
        "repeatNoAnswer": 1,
        "repeatNoAnswerCount": 2,
        "repeatNoAnswerInt": 300,
    }


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"most": 1, "rules": {"NO_ANSWER": {"times": 2, "delays": [60]}}}, "leave most out"),
        ({"rules": {"NO_ANSWER": {"times": 2, "delays": [60, 300]}}}, "one delay for all repeats of NO_ANSWER"),
        ({"rules": {"BUSY": {"times": 2, "delays": [60]}}}, "counts BUSY, REJECTED together, as repeatBusy"),
        (
            {"rules": {"NO_ANSWER": {"times": 1, "delays": [9]}, "BUSY": {"same_as": "NO_ANSWER"}}
             | {"REJECTED": {"same_as": "NO_ANSWER"}}},
            "apart from all others",
        ),
    ],
)  # fmt: skip
def test_what_mitto_cannot_say_is_a_sentence_with_the_mend(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RepeatPolicyError, match=sentence):
        RepeatPolicy.parse(given).to_mitto()


def test_the_longest_way_through_a_policy_takes_every_repeat_and_the_length_of_every_dial() -> None:
    assert over_within(NO_REPEATS) == RINGS
    assert over_within(mitto(Busy=(2, 60), NoAnswer=(1, 600))) == 4 * RINGS + timedelta(seconds=720)
    assert over_within(mitto(Answered=(3, 60))) == RINGS + 3 * TALKS + timedelta(seconds=180)
    backoff = RepeatPolicy.parse({"rules": {"BUSY": {"times": 3, "delays": [60, 300]}}})
    assert over_within(backoff) == 4 * RINGS + timedelta(seconds=660)


def test_repeats_fit_where_the_last_dial_is_over_before_the_window_closes_and_the_campaign_ends() -> None:
    policy = mitto(NoAnswer=(2, 600))  # 35 minutes
    closes = NOON.replace(hour=21)
    last = closes - over_within(policy)
    assert fits(policy, DAY, UTC_ZONE, FOR_EVER, last)
    assert not fits(policy, DAY, UTC_ZONE, FOR_EVER, last + timedelta(seconds=1))
    assert not fits(policy, DAY, ZoneInfo("Asia/Kolkata"), FOR_EVER, NOON.replace(hour=15))
    end_at = NOON + over_within(policy)
    assert fits(policy, DAY, UTC_ZONE, end_at, NOON)
    assert not fits(policy, DAY, UTC_ZONE, end_at, NOON + timedelta(seconds=1))
    always = CallingWindow(time(0), time(0))
    assert fits(policy, always, UTC_ZONE, FOR_EVER, NOON.replace(hour=23, minute=59))


@given(st.integers(0, 24 * 60), settings)
def test_no_repeat_that_fits_can_ring_at_night_when_the_clocks_change(
    minute: int, counts: dict[str, tuple[int, int]]
) -> None:
    berlin, policy = ZoneInfo("Europe/Berlin"), mitto(**counts)
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        now = day + timedelta(minutes=minute)
        if not DAY.start <= now.astimezone(berlin).time() < DAY.end:
            continue  # the gate lets nothing through
        if fits(policy, DAY, berlin, FOR_EVER + timedelta(days=400), now):
            over = (now + over_within(policy)).astimezone(berlin)
            assert over.date() == now.astimezone(berlin).date()
            assert over.time() <= DAY.end


@pytest.mark.parametrize("disposition", Disposition)
def test_after_which_end_the_provider_may_dial_again(disposition: Disposition) -> None:
    """A word that is only ours may be any of the provider's four outcomes."""
    expected = disposition not in (Disposition.ANSWERED, Disposition.NO_ANSWER)
    assert may_dial_again(mitto(Busy=(1, 60)), disposition) is expected
    assert not may_dial_again(NO_REPEATS, disposition)
    assert not may_dial_again(
        RepeatPolicy.parse({"rules": {"BUSY": {"times": 0, "delays": [1]}}}), disposition
    )


def test_only_ends_of_attempts_that_were_handed_over_are_marked() -> None:
    told = [
        Fact("AT1", state, disposition, None, NOON, None, None, None)
        for state, disposition in (
            (AttemptState.RINGING, None),
            (AttemptState.ENDED, Disposition.BUSY),
            (AttemptState.ENDED, Disposition.ANSWERED),
        )
    ]
    alone = SimpleNamespace(provider_repeats=None, submitted_at=NOON)
    assert provider_repeats.heard(alone, told) == told
    assert provider_repeats.over_at(alone) == NOON
    policy = mitto(Busy=(2, 60))
    handed = SimpleNamespace(provider_repeats=policy.to_json(), submitted_at=NOON)
    marked = [told[0], replace(told[1], may_dial_again=True), told[2]]
    assert provider_repeats.heard(handed, told) == marked
    assert provider_repeats.over_at(handed) == NOON + over_within(policy)


def ends(*told: tuple[float, Disposition]) -> list[Fact]:
    """Ends so many minutes after noon."""
    return [
        Fact("AT1", AttemptState.ENDED, how, None, NOON + timedelta(minutes=at), None, None, None)
        for at, how in told
    ]


BUSY, NO_ANSWER, REJECTED = Disposition.BUSY, Disposition.NO_ANSWER, Disposition.REJECTED


@pytest.mark.parametrize(
    ("told", "last"),
    [
        ([], None),
        ([(1, BUSY), (3, BUSY)], None),
        ([(1, BUSY), (3, BUSY), (5, BUSY)], 5),
        ([(5, BUSY), (1, BUSY), (3, BUSY)], 5),
        ([(1, BUSY), (1.1, BUSY), (3, BUSY)], None),  # told twice
        ([(1, BUSY), (3, NO_ANSWER), (20, BUSY)], None),
        ([(1, BUSY), (3, NO_ANSWER), (20, BUSY), (22, BUSY)], 22),
        ([(1, NO_ANSWER), (20, NO_ANSWER)], 20),
        ([(1, NO_ANSWER), (9, NO_ANSWER)], None),  # the repeat waits for ten minutes
        ([(1, REJECTED), (3, BUSY), (5, BUSY)], None),  # nobody knows which outcome that is there
    ],
)
def test_the_last_end_is_the_one_whose_outcome_has_no_repeat_left(
    told: list[tuple[float, Disposition]], last: float | None
) -> None:
    found = provider_repeats.last_end(mitto(Busy=(2, 60), NoAnswer=(1, 600)), ends(*told))
    assert (None if found is None else found.at) == (None if last is None else NOON + timedelta(minutes=last))


def test_after_an_end_the_next_dial_is_waited_for_and_no_longer() -> None:
    policy = mitto(Busy=(2, 60), NoAnswer=(1, 600))
    bound = NOON + timedelta(hours=2)
    held = SimpleNamespace(provider_repeats=policy.to_json(), settle_at=bound, dial_ended_at=None)
    assert provider_repeats.due_at(held, []) is None
    assert provider_repeats.due_at(held, ends((1, BUSY))) == NOON + timedelta(minutes=2) + TALKS
    assert provider_repeats.due_at(held, ends((1, REJECTED))) == NOON + timedelta(minutes=11) + TALKS
    assert provider_repeats.due_at(held, ends((600, BUSY))) == bound
    again = SimpleNamespace(provider_repeats=policy.to_json(), settle_at=bound, dial_ended_at=NOON)
    assert provider_repeats.due_at(again, ends((1, BUSY))) == bound, (
        "a later end may have been told of before"
    )
    settled = SimpleNamespace(provider_repeats=policy.to_json(), settle_at=None, dial_ended_at=NOON)
    assert provider_repeats.due_at(settled, ends((1, BUSY))) is None
