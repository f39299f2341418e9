from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import pytest

from dialer.calls.progress import PRECEDENCE
from dialer.lifecycle import (
    ATTEMPT_FINAL,
    ATTEMPT_OPEN,
    ATTEMPT_TRANSITIONS,
    CALL_ENDS,
    CALL_OPEN,
    CALL_TRANSITIONS,
    CAMPAIGN_TRANSITIONS,
    DIAL_STATUS,
    VERIFICATION_TRANSITIONS,
    AttemptState,
    CallState,
    CampaignState,
    Disposition,
    VerificationState,
    allowed_from,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "lifecycle.md"

Table = Mapping[StrEnum, frozenset[StrEnum]]
StateT = TypeVar("StateT", bound=StrEnum)
MACHINES = [
    pytest.param("Campaign", CAMPAIGN_TRANSITIONS, CampaignState.DRAFT, id="campaign"),
    pytest.param("Call", CALL_TRANSITIONS, CallState.WAITING, id="call"),
    pytest.param("Attempt", ATTEMPT_TRANSITIONS, AttemptState.SUBMITTING, id="attempt"),
    pytest.param("Verification", VERIFICATION_TRANSITIONS, VerificationState.PENDING, id="verification"),
]


def section(title: str) -> str:
    return DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def reachable(table: Mapping[StateT, frozenset[StateT]], first: StateT) -> Iterator[StateT]:
    seen: set[StateT] = set()
    waiting = [first]
    while waiting:
        state = waiting.pop()
        if state not in seen:
            seen.add(state)
            waiting += table[state]
            yield state


@pytest.mark.parametrize(("title", "table", "first"), MACHINES)
def test_the_diagram_draws_every_arrow_and_no_other(title: str, table: Table, first: StrEnum) -> None:
    drawn = re.findall(r"^ +(\S+) --> (\S+)$", section(title), re.MULTILINE)
    arrows = {(str(source), str(target)) for source, targets in table.items() for target in targets}
    assert {arrow for arrow in drawn if "[*]" not in arrow} == arrows
    assert [target for source, target in drawn if source == "[*]"] == [first]
    assert len(drawn) == len(set(drawn))


@pytest.mark.parametrize(("title", "table", "first"), MACHINES)
def test_the_table_explains_every_state_and_what_it_may_become(
    title: str, table: Table, first: StrEnum
) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section(title), re.MULTILINE)
    assert [name for name, _, _ in rows] == [str(state) for state in type(first)]
    for name, meaning, becomes in rows:
        targets = next(targets for state, targets in table.items() if state == name)
        assert meaning.strip()
        assert set(becomes.split(", ")) - {"—"} == {str(target) for target in targets}


def test_the_document_ranks_and_explains_every_disposition() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .+? \| (\w+) \|$", section("What a provider's word does"), re.MULTILINE
    )
    assert rows == [(str(item), str(DIAL_STATUS[item])) for item in PRECEDENCE]


@pytest.mark.parametrize(("title", "table", "first"), MACHINES)
def test_every_state_can_be_reached(title: str, table: Table, first: StrEnum) -> None:
    assert set(reachable(table, first)) == set(table) == set(type(first))


def test_nothing_leads_from_an_end_back_to_dialling() -> None:
    for end in CALL_ENDS:
        assert not set(reachable(CALL_TRANSITIONS, end)) & CALL_OPEN
    assert set(CallState) == CALL_ENDS | CALL_OPEN


def test_a_call_is_claimed_for_dialling_only_once_it_is_released() -> None:
    assert allowed_from(CALL_TRANSITIONS, CallState.DIALLING) == {CallState.RELEASED}


def test_a_final_attempt_stays_as_it_is_and_an_open_one_can_end() -> None:
    assert all(not ATTEMPT_TRANSITIONS[state] for state in ATTEMPT_FINAL)
    assert all(AttemptState.ENDED in ATTEMPT_TRANSITIONS[state] for state in ATTEMPT_OPEN)
    assert set(AttemptState) == ATTEMPT_FINAL | ATTEMPT_OPEN


def test_nothing_is_submitted_twice() -> None:
    assert allowed_from(ATTEMPT_TRANSITIONS, AttemptState.SUBMITTING) == frozenset()


def test_a_stopped_campaign_stays_stopped() -> None:
    assert not CAMPAIGN_TRANSITIONS[CampaignState.STOPPED]
    assert allowed_from(CAMPAIGN_TRANSITIONS, CampaignState.STOPPED) == {
        state for state in CampaignState if CAMPAIGN_TRANSITIONS[state]
    }


def test_the_first_generation_has_a_word_for_every_disposition() -> None:
    assert DIAL_STATUS.keys() == set(Disposition)
