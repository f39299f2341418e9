"""Mirrors: what differs between a DND list and a black list at a provider, and whose rule is whose."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from dialer.dnd.mirror import compared, difference
from dialer.models import RuleState

NUMBERS = [f"+7926000000{digit}" for digit in range(10)] + ["+49301", "+4930123456", "+9"]
numbers = st.sampled_from(NUMBERS)
states = st.dictionaries(numbers, st.sampled_from(RuleState))


def in_pages(wanted: set[str], known: dict[str, RuleState], page: int) -> tuple[list[str], list[str], int]:
    """All that differs, found page by page; and how many pages it took."""
    listed, rules = sorted(wanted), sorted(known.items())
    add: list[str] = []
    delete: list[str] = []
    position: str | None = ""
    pages = 0
    while position is not None:
        start, first = bisect_right(listed, position), bisect_right([number for number, _ in rules], position)
        found = difference(listed[start : start + page], rules[first : first + page], page)
        assert found.position is None or found.position > position
        add += found.add
        delete += found.delete
        position = found.position
        pages += 1
    return add, delete, pages


@given(st.sets(numbers), states, st.integers(1, 20))
def test_pages_of_any_size_find_the_same_difference(
    wanted: set[str], known: dict[str, RuleState], page: int
) -> None:
    add, delete, pages = in_pages(wanted, known, page)
    assert add == sorted(wanted - known.keys())
    assert delete == sorted(
        number for number, state in known.items() if state is RuleState.OURS and number not in wanted
    )
    assert pages <= 1 + (len(wanted) + len(known)) // page


@given(st.sets(numbers), states)
def test_once_made_there_is_no_difference_any_more(wanted: set[str], known: dict[str, RuleState]) -> None:
    add, delete, _ = in_pages(wanted, known, 5)
    made = {number: state for number, state in known.items() if number not in delete}
    made |= dict.fromkeys(add, RuleState.OURS)
    assert in_pages(wanted, made, 5)[:2] == ([], [])


@given(states, st.sets(numbers))
def test_a_comparison_knows_all_that_is_listed_and_nothing_else(
    known: dict[str, RuleState], listed: set[str]
) -> None:
    found = compared(known, listed)
    after = {number: state for number, state in {**known, **found}.items() if state is not None}
    assert after.keys() == listed
    assert set(after.values()) <= {RuleState.OURS, RuleState.THEIRS}
    for number, state in after.items():
        if state is RuleState.OURS:
            assert known[number] in (RuleState.OURS, RuleState.DELETING)
    assert compared(after, listed) == {}
    assert all(known.get(number) is not state for number, state in found.items()), "only what changes is told"


class Provider(RuleBasedStateMachine):
    """A black list that we, people, and lost answers work on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.wanted: set[str] = set()
        self.listed: set[str] = set()
        self.by_hand: set[str] = set()
        self.known: dict[str, RuleState] = {}

    @rule(number=numbers)
    def somebody_opts_out(self, number: str) -> None:
        self.wanted.add(number)

    @rule(number=numbers)
    def somebody_is_taken_off(self, number: str) -> None:
        self.wanted.discard(number)

    @rule(number=numbers)
    def a_person_makes_a_rule(self, number: str) -> None:
        if number not in self.listed:
            # Were it made in the moments between a deletion that got no answer and the next comparison, nobody could
            # tell it from the rule that was to go; so were one of ours that a person takes away and makes again.
            if self.known.get(number) in (RuleState.DELETING, RuleState.OURS):
                return
            self.listed.add(number)
            self.by_hand.add(number)

    @rule(number=numbers)
    def a_person_takes_a_rule_away(self, number: str) -> None:
        self.listed.discard(number)
        self.by_hand.discard(number)

    @rule(lost=st.sets(numbers), undone=st.sets(numbers), page=st.integers(1, 20))
    def a_pass_is_made(self, lost: set[str], undone: set[str], page: int) -> None:
        """Some answers are `lost`; some of these requests were not even carried out."""
        add, delete, _ = in_pages(self.wanted, self.known, page)
        for number in add:
            is_new = number not in self.listed
            if number not in lost & undone:
                self.listed.add(number)
            answered = RuleState.OURS if is_new else RuleState.REFUSED
            self.known[number] = RuleState.ADDING if number in lost else answered
        for number in delete:
            assert number not in self.by_hand
            if number not in lost & undone:
                self.listed.discard(number)
            if number in lost:
                self.known[number] = RuleState.DELETING
            else:
                del self.known[number]

    @rule()
    def all_is_compared(self) -> None:
        for number, state in compared(self.known, self.listed).items():
            if state is None:
                del self.known[number]
            else:
                self.known[number] = state

    @invariant()
    def rules_made_by_hand_are_never_ours(self) -> None:
        assert not any(self.known.get(number) is RuleState.OURS for number in self.by_hand)
        assert self.by_hand <= self.listed

    def teardown(self) -> None:
        for _ in range(2):
            self.all_is_compared()
            self.a_pass_is_made(set(), set(), 5)
        assert self.wanted <= self.listed, "in the end all that is wanted stands there"
        assert in_pages(self.wanted, self.known, 5)[:2] == ([], [])


def test_whatever_is_lost_and_whatever_people_do_the_list_comes_in_step() -> None:
    run_state_machine_as_test(Provider)
