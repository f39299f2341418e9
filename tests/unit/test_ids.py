"""Ids: their shapes, their order, and that no two are the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from multiprocessing import get_context
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer import ids

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(1970, 1, 2), datetime(3000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("make", "prefix"),
    [
        (ids.account_id, "AC"),
        (ids.list_id, "LS"),
        (ids.dnd_list_id, "DN"),
        (ids.campaign_id, "CM"),
        (ids.provider_id, "PR"),
        (ids.import_id, "IM"),
    ],
)
def test_things_have_two_letters_and_ten_characters(make: Callable[[], str], prefix: str) -> None:
    made = [make() for _ in range(500)]
    assert all(re.fullmatch(rf"{prefix}[0-9a-z]{{10}}", one) for one in made)
    assert len(set(made)) == 500


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=300), MOMENTS)
def test_call_ids_of_a_batch_strictly_increase(n: int, now: datetime) -> None:
    made = ids.call_ids(n, now)
    assert len(made) == n
    assert all(first < second for first, second in pairwise(made))
    assert all(re.fullmatch(r"[0-9a-hjkmnp-tv-z]{20}", one) for one in made)


@settings(deadline=None)
@given(MOMENTS, st.integers(min_value=1, max_value=10**9))
def test_a_later_call_has_a_greater_id(now: datetime, milliseconds: int) -> None:
    later = now + timedelta(milliseconds=milliseconds)
    assert ids.call_ids(3, now)[-1] < ids.call_ids(3, later)[0]


def test_the_same_moment_in_another_time_zone_has_the_same_beginning() -> None:
    there = NOW.astimezone(ZoneInfo("Asia/Kolkata"))
    assert ids.call_ids(1, NOW)[0][:9] == ids.call_ids(1, there)[0][:9]


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        ids.call_ids(1, NOW.replace(tzinfo=None))


def test_processes_that_make_calls_in_the_same_millisecond_never_make_the_same() -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        batches = list(pool.map(ids.call_ids, [20_000] * 4, [NOW] * 4))
    assert len(set().union(*batches)) == 80_000


def test_a_clash_of_random_numbers_within_a_batch_is_made_good(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([bytes(14), bytes(range(7))])  # twice the same, then another
    monkeypatch.setattr("os.urandom", lambda size: next(drawn)[:size])
    first, second = ids.call_ids(2, NOW)
    assert first < second


def test_an_attempt_knows_its_call() -> None:
    call = ids.call_ids(1, NOW)[0]
    assert ids.attempt_id(call, 3) == f"{call}-3"
    assert ids.call_of(ids.attempt_id(call, 12)) == call


@pytest.mark.parametrize(
    "text", ["", "-", "x-1", "1m7x5bhqt034kffde3sn", "1m7x5bhqt034kffde3sn-", "1m7x-1-x"]
)
def test_what_is_no_attempt_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="attempt_id"):
        ids.call_of(text)
