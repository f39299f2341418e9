"""What is known of a list's numbers: never that one is absent which is there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dialer.store.known import Known

NUMBERS = st.integers(10**9, 10**9 + 200).map(lambda number: f"+{number}")


@given(
    places=st.sampled_from([0, 1, 8, 9, 1000, 10**12]),
    batches=st.lists(st.lists(NUMBERS, unique=True), max_size=6),
    asked=st.lists(NUMBERS),
)
def test_every_number_of_the_list_is_suspected(
    places: int, batches: list[list[str]], asked: list[str]
) -> None:
    known, held, last_position = Known(places), set[str](), 0
    for batch in batches:
        added = [number for number in batch if number not in held]
        last_position += len(added)
        known.take_in(added, last_position)
        held.update(added)
    suspects = known.suspects(asked, last_position)
    assert [number for number in asked if number in held] == [one for one in suspects if one in held]


def test_hardly_any_other_is() -> None:
    known = Known(100_000 * 50)
    known.take_in((f"+9198{number:08}" for number in range(100_000)), 100_000)
    others = [f"+9197{number:08}" for number in range(100_000)]
    assert len(known.suspects(others, 100_000)) < 2_500


@given(asked=st.lists(NUMBERS))
def test_all_are_once_somebody_else_has_added_to_the_list(asked: list[str]) -> None:
    known = Known(100_000 * 50)
    known.take_in(["+1"], 1)
    assert known.suspects(asked, 2) == asked
    known.take_in(["+2"], 3)
    assert known.suspects(asked, 3) == asked
    assert Known(100_000 * 50).suspects(asked, 7) == asked
