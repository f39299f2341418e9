from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.progress import PRECEDENCE, Standing, advance
from dialer.lifecycle import ATTEMPT_FINAL, ATTEMPT_TRANSITIONS, AttemptState, Disposition
from dialer.providers.contract import Fact

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SUBMITTING = Standing(AttemptState.SUBMITTING)
TOLD = (AttemptState.RINGING, AttemptState.ANSWERED, AttemptState.ENDED)


def fact(
    state: AttemptState,
    disposition: Disposition | None = None,
    cause: int | None = None,
    *,
    after: float = 0,
    duration: float | None = None,
    billsec: float | None = None,
    cost: Decimal | None = None,
    dtmf: str = "",
    may_dial_again: bool = False,
    currency: str = "",
    answered_by: str = "",
    recording_name: str = "",
) -> Fact:
    at = NOON + timedelta(seconds=after)
    return Fact(
        "AT1",
        state,
        disposition,
        cause,
        at,
        duration,
        billsec,
        cost,
        dtmf=dtmf,
        may_dial_again=may_dial_again,
        currency=currency,
        answered_by=answered_by,
        recording_name=recording_name,
    )


maybe_seconds = st.none() | st.integers(0, 600).map(float)
facts = st.lists(
    st.builds(
        fact,
        st.sampled_from(TOLD),
        st.none() | st.sampled_from(Disposition),
        st.none() | st.sampled_from([16, 17, 19, 127]),
        after=st.integers(0, 100),
        duration=maybe_seconds,
        billsec=maybe_seconds,
        cost=st.none() | st.decimals(0, 5, places=3),
        dtmf=st.sampled_from(["", "1", "2", "12"]),
        may_dial_again=st.booleans(),
        currency=st.sampled_from(["", "EUR", "RUB"]),
        answered_by=st.sampled_from(["", "+79522222222", "+79684881033"]),
        recording_name=st.sampled_from(["", "a.mp3", "b.mp3"]),
    ),
    max_size=7,
)
standings = st.builds(Standing, st.sampled_from(AttemptState))


def test_a_call_rings_is_answered_and_ends() -> None:
    standing = advance(
        SUBMITTING,
        [
            fact(AttemptState.RINGING, after=1),
            fact(AttemptState.ANSWERED, after=5),
            fact(
                AttemptState.ENDED,
                Disposition.ANSWERED,
                16,
                after=35,
                duration=34,
                billsec=30,
                cost=Decimal("0.12"),
            ),
        ],
    )
    assert standing == Standing(
        AttemptState.ENDED,
        Disposition.ANSWERED,
        16,
        34,
        30,
        Decimal("0.12"),
        NOON + timedelta(seconds=1),
        NOON + timedelta(seconds=5),
        NOON + timedelta(seconds=35),
    )


@pytest.mark.parametrize("state", [AttemptState.SUBMITTING, AttemptState.UNKNOWN, AttemptState.PLACED])
@pytest.mark.parametrize("told", TOLD)
def test_any_word_of_the_provider_moves_an_attempt_on(state: AttemptState, told: AttemptState) -> None:
    assert advance(Standing(state), [fact(told, Disposition.BUSY)]).state is told


def test_a_late_ring_does_not_reopen_an_attempt() -> None:
    ended = advance(SUBMITTING, [fact(AttemptState.ENDED, Disposition.BUSY, 17)])
    late = advance(ended, [fact(AttemptState.RINGING, after=9)])
    assert late.state is AttemptState.ENDED
    assert late.disposition is Disposition.BUSY
    assert late.ringing_at == NOON + timedelta(seconds=9)


def test_of_contradicting_ends_the_stronger_counts_with_its_own_cause() -> None:
    no_answer = fact(AttemptState.ENDED, Disposition.NO_ANSWER, 19)
    answered = fact(AttemptState.ENDED, Disposition.ANSWERED)
    for order in ([no_answer, answered], [answered, no_answer]):
        standing = advance(SUBMITTING, order)
        assert (standing.disposition, standing.hangup_cause) == (Disposition.ANSWERED, None)


def test_the_precedence_ranks_every_disposition_once() -> None:
    assert sorted(PRECEDENCE) == sorted(Disposition)
    assert PRECEDENCE[0] is Disposition.ANSWERED
    assert PRECEDENCE[-1] is Disposition.UNKNOWN


def test_an_end_without_a_word_on_how_leaves_open_who_has_not_picked_up() -> None:
    mute = advance(SUBMITTING, [fact(AttemptState.ENDED, after=9)])
    assert (mute.state, mute.outcome) == (AttemptState.RINGING, None)
    assert mute.ended_at == NOON + timedelta(seconds=9)
    told = advance(mute, [fact(AttemptState.ENDED, Disposition.BUSY, after=20)])
    assert (told.state, told.outcome, told.ended_at) == (AttemptState.ENDED, Disposition.BUSY, mute.ended_at)


def test_an_end_without_a_word_on_how_ends_who_has_picked_up() -> None:
    for order in ([AttemptState.ANSWERED, AttemptState.ENDED], [AttemptState.ENDED, AttemptState.ANSWERED]):
        standing = advance(SUBMITTING, map(fact, order))
        assert (standing.state, standing.outcome) == (AttemptState.ENDED, Disposition.ANSWERED)


def test_the_end_of_one_dial_of_many_ends_nothing() -> None:
    busy = fact(AttemptState.ENDED, Disposition.BUSY, 17, after=9, may_dial_again=True)
    again = fact(AttemptState.ENDED, Disposition.NO_ANSWER, 19, after=70, may_dial_again=True)
    between = advance(SUBMITTING, [again, busy])
    assert (between.state, between.disposition) == (AttemptState.RINGING, Disposition.BUSY)
    assert (between.dial_ended_at, between.ended_at) == (NOON + timedelta(seconds=70), None)
    over = advance(between, [fact(AttemptState.ENDED, Disposition.ANSWERED, 16, after=130)])
    assert (over.state, over.outcome) == (AttemptState.ENDED, Disposition.ANSWERED)
    assert over.ended_at == NOON + timedelta(seconds=130)


def test_somebody_picked_up_and_nobody_said_how_it_ended_counts_as_answered() -> None:
    standing = advance(SUBMITTING, [fact(AttemptState.ENDED), fact(AttemptState.ANSWERED)])
    assert standing.outcome is Disposition.ANSWERED


@pytest.mark.parametrize("told", sorted(Disposition))
def test_whoever_has_picked_up_was_reached_whatever_is_said_of_the_end(told: Disposition) -> None:
    facts = [fact(AttemptState.ANSWERED), fact(AttemptState.ENDED, told)]
    expected = Disposition.MACHINE if told is Disposition.MACHINE else Disposition.ANSWERED
    assert {advance(SUBMITTING, order).outcome for order in permutations(facts)} == {expected}


def test_a_key_that_is_told_of_twice_was_pressed_once() -> None:
    one, two = (fact(AttemptState.ANSWERED, after=after, dtmf="1") for after in (5, 9))
    assert advance(SUBMITTING, [two, one, one]).keys == {(one.at, "1"), (two.at, "1")}


@pytest.mark.parametrize("state", [AttemptState.NOT_PLACED, AttemptState.REFUSED])
def test_word_of_an_attempt_that_was_never_placed_leaves_it_and_shows(state: AttemptState) -> None:
    standing = advance(Standing(state), [fact(AttemptState.ENDED, Disposition.ANSWERED)])
    assert standing.state is state
    assert standing.contradicted
    assert standing.outcome is Disposition.ANSWERED
    assert not advance(Standing(state), []).contradicted


def test_what_no_provider_can_report_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="REFUSED"):
        advance(SUBMITTING, [fact(AttemptState.REFUSED)])


@given(standings, facts, st.randoms(use_true_random=False))
def test_order_and_duplicates_make_no_difference(
    standing: Standing, told: list[Fact], chance: random.Random
) -> None:
    again = told + [chance.choice(told) for _ in range(3) if told]
    chance.shuffle(again)
    assert advance(standing, again) == advance(standing, told)


@given(standings, facts, facts)
def test_batches_make_no_difference(standing: Standing, some: list[Fact], others: list[Fact]) -> None:
    together = advance(standing, some + others)
    assert advance(advance(standing, some), others) == together
    assert advance(advance(standing, others), some) == together


@given(standings, facts)
def test_every_move_is_drawn_and_no_final_state_is_left(standing: Standing, told: list[Fact]) -> None:
    moved = advance(standing, told).state
    assert moved is standing.state or moved in ATTEMPT_TRANSITIONS[standing.state]
    assert moved is standing.state or standing.state not in ATTEMPT_FINAL
