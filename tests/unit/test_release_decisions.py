"""What release decides, as pure functions: the fates of contacts, when a campaign is visited, and backoff."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dialer.campaigns.fates import decide_fates
from dialer.campaigns.openings import due_again
from dialer.campaigns.release import next_tick
from dialer.lifecycle import CallState
from workers.replies import backoff

NOW = datetime(2026, 1, 13, 12, 0, tzinfo=UTC)
END = NOW + timedelta(hours=6)
OPENINGS: dict[str | None, datetime] = {
    None: NOW,
    "open": NOW,
    "soon": NOW + timedelta(hours=2),
    "late": END,
}


def contact(place: int, zone: str | None = None) -> Any:
    return SimpleNamespace(position=place, e164=f"+4670{place:07d}", time_zone=zone)


pages = st.lists(st.sampled_from([None, "open", "soon", "late"]), max_size=30).map(
    lambda zones: [contact(place, zone) for place, zone in enumerate(zones)]
)


@given(pages, st.sets(st.integers(0, 29)), st.integers(0, 30))
def test_every_contact_in_order_gets_exactly_the_fate_that_is_due_to_it(
    page: list[Any], listed_places: set[int], want: int
) -> None:
    listed = {contact(place).e164 for place in listed_places}
    fates = decide_fates(page, listed, OPENINGS.__getitem__, want, NOW, END)
    assert [fate.contact for fate in fates] == page[: len(fates)], "in order, and nobody is left out"
    assert sum(fate.state is CallState.RELEASED for fate in fates) <= want
    for fate in fates:
        opening = OPENINGS[fate.contact.time_zone]
        if fate.contact.e164 in listed:
            assert fate.state is CallState.SUPPRESSED
        elif opening >= END:
            assert fate.state is CallState.EXPIRED
        elif opening > NOW:
            assert (fate.state, fate.due_at) == (CallState.WAITING, opening)
        else:
            assert (fate.state, fate.due_at) == (CallState.RELEASED, NOW)
    if len(fates) < len(page):
        stopped_at = page[len(fates)]
        assert sum(fate.state is CallState.RELEASED for fate in fates) == want
        assert stopped_at.e164 not in listed
        assert OPENINGS[stopped_at.time_zone] == NOW, "only who could be called now waits for a place"


moments = st.integers(-100_000, 100_000).map(lambda seconds: NOW + timedelta(seconds=seconds))


@given(moments, moments)
def test_when_a_window_has_changed_nobody_is_due_before_it_opens_nor_later_than_need_be(
    due_at: datetime, opening: datetime
) -> None:
    due = due_again(due_at, opening, NOW)
    assert due >= opening or opening <= NOW
    assert due == opening or due == min(due_at, NOW), "one that is due keeps its turn"
    assert due <= max(opening, NOW)


@given(st.integers(1, 10_000), st.floats(1, 3600))
def test_a_backoff_doubles_until_it_is_as_long_as_it_may_be(times: int, most: float) -> None:
    usual = min(most, 2.0 ** (min(times, 16) - 1))
    assert 0.7 * usual <= backoff(times, most=most) <= 1.3 * usual


moments = st.integers(0, 2**50).map(lambda micros: NOW + timedelta(microseconds=micros))
ticks = st.sampled_from([timedelta(seconds=0.1), timedelta(seconds=0.5)])


@given(moments, ticks)
def test_a_tick_is_the_next_one_and_the_same_for_everybody(at: datetime, tick: timedelta) -> None:
    found = next_tick(at, tick)
    assert at <= found < at + tick
    assert next_tick(found, tick) == found
    assert next_tick(at + (found - at) / 2, tick) == found


def test_every_long_tick_is_a_short_one_too() -> None:
    assert next_tick(NOW, timedelta(seconds=0.5)) == next_tick(NOW, timedelta(seconds=0.1)) == NOW
