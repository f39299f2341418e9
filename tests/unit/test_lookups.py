"""When attempts without an end are looked up and settled: soon at first, ever more seldom, and not for ever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.lookups import ANSWER_WITHIN, ASKED_FOR, LEAST, MOST, Patience, next_due, patience
from dialer.providers.kinds import adapter_class, adapter_kinds
from dialer.providers.reconciliation import in_words, markdown

PAGE = Path(__file__).parents[2] / "docs" / "reconciliation.md"
SUBMITTED = datetime(2026, 1, 13, 12, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)

spans = st.timedeltas(min_value=SECOND, max_value=timedelta(days=2))


@st.composite
def patient(draw: st.DrawFn) -> Patience:
    first = draw(spans)
    return Patience(first, first + draw(spans), can_ask=True)


@given(patient(), st.lists(st.timedeltas(min_value=timedelta(0), max_value=timedelta(hours=3)), max_size=30))
def test_an_attempt_is_looked_up_ever_later_and_settled_at_last(
    how_long: Patience, delays: list[timedelta]
) -> None:
    due_at, asked = SUBMITTED + how_long.first, []
    for times in range(1000):
        now = due_at + (delays[times] if times < len(delays) else timedelta(0))
        again = next_due(SUBMITTED, due_at, now, how_long)
        if again is None:
            break
        asked.append(now)
        assert again - now >= LEAST or again - now == ANSWER_WITHIN
        assert again - now <= max(MOST, ANSWER_WITHIN) + LEAST
        due_at = again
    else:
        pytest.fail("it is asked about for ever")
    assert asked, "nobody is settled who was not asked about, however late"
    last = SUBMITTED + how_long.last
    assert due_at > last
    assert due_at - max(last, asked[-1]) == ANSWER_WITHIN, "the last answer has its time"


@given(patient())
def test_in_time_the_last_question_is_put_at_the_last_moment(how_long: Patience) -> None:
    due_at, asked = SUBMITTED + how_long.first, []
    while (again := next_due(SUBMITTED, due_at, due_at, how_long)) is not None:
        asked.append(due_at)
        due_at = again
    assert SUBMITTED + how_long.last - asked[-1] < LEAST
    assert len(asked) < 1000


@given(patient(), spans)
def test_an_end_is_known_within_a_quarter_of_what_the_call_took(how_long: Patience, took: timedelta) -> None:
    due_at = SUBMITTED + how_long.first
    while due_at - SUBMITTED < took:
        again = next_due(SUBMITTED, due_at, due_at, how_long)
        if again is None:
            return  # it took longer than anybody waits
        due_at = again
    late = due_at - SUBMITTED - took
    assert late <= max(how_long.first, took / 4 + LEAST, ANSWER_WITHIN)


@given(spans, spans)
def test_who_cannot_be_asked_about_is_settled_when_due(within: timedelta, late: timedelta) -> None:
    how_long = patience(within, can_ask=False, look_up_after=SECOND)
    assert how_long == Patience(within, within)
    due_at = SUBMITTED + how_long.first
    assert next_due(SUBMITTED, due_at, due_at + late, how_long) is None


def test_who_told_nothing_in_time_is_asked_then_and_two_hours_more() -> None:
    assert patience(15 * MINUTE, can_ask=True) == Patience(15 * MINUTE, 15 * MINUTE + ASKED_FOR, can_ask=True)


def test_a_message_that_nobody_tells_the_end_of_is_settled_sooner_than_a_call() -> None:
    how_long = adapter_class("mtt-sms").patience()
    assert how_long == Patience(15 * MINUTE, 30 * MINUTE, can_ask=True)
    asked = [due_at := SUBMITTED + how_long.first]
    while (again := next_due(SUBMITTED, due_at, due_at, how_long)) is not None:
        asked.append(due_at := again)
    assert len(asked) > 3, "it is looked up, and more than once"


def test_who_never_tells_is_asked_soon() -> None:
    how_long = patience(15 * MINUTE, can_ask=True, look_up_after=10 * SECOND)
    assert how_long.first == 10 * SECOND
    ages, age = [], how_long.first
    while age < 2 * MINUTE:
        ages.append(round(age.total_seconds()))
        again = next_due(SUBMITTED, SUBMITTED + age, SUBMITTED + age, how_long)
        assert again is not None
        age = again - SUBMITTED
    assert ages == [10, 15, 20, 25, 31, 39, 49, 61, 76, 95, 119]


def test_after_hours_of_silence_on_our_side_it_is_looked_up_before_it_is_settled() -> None:
    how_long = Patience(MINUTE, 10 * MINUTE, can_ask=True)
    due_at, now = SUBMITTED + MINUTE, SUBMITTED + timedelta(hours=9)
    again = next_due(SUBMITTED, due_at, now, how_long)
    assert again == now + ANSWER_WITHIN
    assert next_due(SUBMITTED, again, again, how_long) is None


@pytest.mark.parametrize("look_up_after", [None, SECOND, timedelta(hours=1)])
def test_a_time_of_ones_own_ends_it(look_up_after: timedelta | None) -> None:
    how_long = patience(15 * MINUTE, can_ask=True, look_up_after=look_up_after, reconcile_after=20 * SECOND)
    assert how_long.last == 20 * SECOND
    assert how_long.first == (SECOND if look_up_after == SECOND else 10 * SECOND)
    assert patience(15 * MINUTE, can_ask=False, reconcile_after=MINUTE) == Patience(MINUTE, MINUTE)


@pytest.mark.parametrize("kind", adapter_kinds())
def test_every_kind_settles_its_attempts(kind: str) -> None:
    how_long = adapter_class(kind).patience()
    assert timedelta(0) < how_long.first <= how_long.last <= timedelta(days=1)
    assert how_long.can_ask == adapter_class(kind).can_be_asked()


def test_the_page_says_how_every_kind_is_settled() -> None:
    assert markdown() in PAGE.read_text(encoding="utf-8")
    assert in_words(timedelta(hours=2, minutes=15)) == "2 h 15 min"
    assert in_words(timedelta(0)) == "0 s"
