from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.repeats import (
    LONGEST_DELAY,
    NEVER_REPEATED,
    NO_REPEATS,
    RETRY_WORDS,
    UNANSWERED,
    End,
    Repeat,
    RepeatPolicy,
    RepeatPolicyError,
    Rule,
    count_repeat,
    decide,
    used_from_json,
    used_to_json,
)
from dialer.lifecycle import DIAL_STATUS, CallState, Disposition

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
BUSY, REJECTED, NO_ANSWER = Disposition.BUSY, Disposition.REJECTED, Disposition.NO_ANSWER
ANSWERED, MACHINE, FAILED = Disposition.ANSWERED, Disposition.MACHINE, Disposition.FAILED

MITTO = {
    "isRepeat": 1,
    "repeatBusy": 1,
    "repeatBusyCount": 2,
    "repeatBusyInt": 30,
    "repeatAnswered": 1,
    "repeatAnsweredCount": 1,
    "repeatAnsweredInt": 35,
    "repeatFailed": 0,
    "repeatNoAnswer": "1",
    "repeatNoAnswerCount": "10",
    "repeatNoAnswerInt": "150",
}

repeatable = st.sampled_from([item for item in Disposition if item not in NEVER_REPEATED])
rules = st.builds(
    Rule, st.integers(0, 5), st.lists(st.integers(0, LONGEST_DELAY), min_size=1, max_size=4).map(tuple)
)


@st.composite
def policies(draw: st.DrawFn) -> RepeatPolicy:
    own = draw(st.dictionaries(repeatable, rules))
    sharers = [item for item in Disposition if item not in own and item not in NEVER_REPEATED]
    shares = (
        draw(st.dictionaries(st.sampled_from(sharers), st.sampled_from(list(own)))) if own and sharers else {}
    )
    return RepeatPolicy(own, draw(st.none() | st.integers(0, 8)), shares)


def repeats_of(policy: RepeatPolicy, endings: list[Disposition]) -> list[tuple[Disposition, timedelta]]:
    """What a call goes through whose attempts end so, one after the other, until it ends or they run out."""
    used: dict[Disposition, int] = {}
    made = []
    for ending in endings:
        decision = decide(policy, ending, used, NOW)
        if isinstance(decision, End):
            break
        made.append((ending, decision.due_at - NOW))
        used = used_from_json(used_to_json(count_repeat(used, ending)))
    return made


def seconds(policy: RepeatPolicy, *endings: Disposition) -> list[float]:
    return [wait.total_seconds() for _, wait in repeats_of(policy, list(endings))]


def test_a_busy_line_is_tried_again_after_its_delays_and_then_no_more() -> None:
    policy = RepeatPolicy({BUSY: Rule(3, (60, 300))})
    assert seconds(policy, BUSY, BUSY, BUSY, BUSY) == [60, 300, 300]


def test_what_has_no_rule_ends_the_call() -> None:
    policy = RepeatPolicy({BUSY: Rule(3, (60,))})
    assert decide(policy, NO_ANSWER, {}, NOW) == End(CallState.FAILED)


def test_each_disposition_has_times_of_its_own_within_the_most() -> None:
    policy = RepeatPolicy({BUSY: Rule(2, (1,)), NO_ANSWER: Rule(2, (2,))}, most=3)
    assert seconds(policy, BUSY, NO_ANSWER, BUSY, NO_ANSWER) == [1, 2, 1]


@pytest.mark.parametrize("ending", [ANSWERED, MACHINE])
def test_a_person_reached_completes_the_call(ending: Disposition) -> None:
    assert decide(RepeatPolicy.of_retries(5, 60, None), ending, {}, NOW) == End(CallState.COMPLETED)


def test_an_answered_call_is_repeated_only_when_the_policy_says_so() -> None:
    policy = RepeatPolicy({ANSWERED: Rule(1, (60,))})
    assert decide(policy, ANSWERED, {}, NOW) == Repeat(NOW + timedelta(seconds=60))
    assert decide(policy, ANSWERED, {ANSWERED: 1}, NOW) == End(CallState.COMPLETED)


def test_a_cancelled_dial_fails_the_call_unless_there_is_a_rule() -> None:
    assert decide(NO_REPEATS, Disposition.CANCELLED, {}, NOW) == End(CallState.FAILED)


@given(policies())
def test_an_unknown_fate_and_a_wrong_number_are_never_repeated(policy: RepeatPolicy) -> None:
    assert decide(policy, Disposition.UNKNOWN, {}, NOW) == End(CallState.UNKNOWN)
    assert decide(policy, Disposition.INVALID_NUMBER, {}, NOW) == End(CallState.FAILED)


@given(policies(), st.lists(st.sampled_from(Disposition), max_size=40))
def test_repeats_never_exceed_the_policy(policy: RepeatPolicy, endings: list[Disposition]) -> None:
    made = repeats_of(policy, endings)
    if policy.most is not None:
        assert len(made) <= policy.most
    for holder, rule in policy.rules.items():
        drawn = [wait for ending, wait in made if policy.shares.get(ending, ending) is holder]
        assert len(drawn) <= rule.times
        expected = [*rule.delays, *[rule.delays[-1]] * rule.times][: len(drawn)]
        assert [wait.total_seconds() for wait in drawn] == expected
    assert all(ending in policy.rules or ending in policy.shares for ending, _ in made)


@given(policies())
def test_a_policy_survives_its_json(policy: RepeatPolicy) -> None:
    assert RepeatPolicy.parse(policy.to_json()) == policy


def test_retries_without_statuses_repeat_every_unanswered_outcome_but_together_only_so_often() -> None:
    policy = RepeatPolicy.of_retries(2, 60, None)
    assert policy.rules.keys() == UNANSWERED
    assert seconds(policy, BUSY, NO_ANSWER, FAILED) == [60, 60]
    assert RepeatPolicy.of_retries(2, 60, set()) == policy


def test_a_status_stands_for_what_the_cdr_shows_under_it() -> None:
    for word, repeated in RETRY_WORDS.items():
        if word in ("BUSY", "CONGESTION", "CHANUNAVAIL", "CANCEL", "NOANSWER"):
            assert repeated == {item for item in UNANSWERED if DIAL_STATUS[item] == word}
    assert RepeatPolicy.of_retries(1, 9, {"busy"}).rules.keys() == {BUSY, REJECTED}
    assert RepeatPolicy.of_retries(1, 9, {"FAILED"}).rules.keys() == {FAILED}
    assert RepeatPolicy.of_retries(1, 9, {"NOANSER"}).rules.keys() == {NO_ANSWER}


def test_no_retries_is_no_repeats() -> None:
    assert RepeatPolicy.of_retries(0, 60, {"BUSY"}) == NO_REPEATS


def test_a_word_that_is_no_status_is_named_with_those_that_are() -> None:
    with pytest.raises(
        RepeatPolicyError, match=r"'ANSWERED'.*BUSY, CANCEL, CHANUNAVAIL, CONGESTION, FAILED, NOANSWER"
    ):
        RepeatPolicy.of_retries(1, 60, {"ANSWERED"})


@pytest.mark.parametrize(
    ("retries", "wait", "named"),
    [
        (101, 60, "max_retries"),
        (-1, 60, "max_retries"),
        (1, LONGEST_DELAY + 1, "retry_time"),
        (1, -1, "retry_time"),
    ],
)
def test_retries_beyond_reason_are_refused_by_name(retries: int, wait: int, named: str) -> None:
    with pytest.raises(RepeatPolicyError, match=named):
        RepeatPolicy.of_retries(retries, wait, None)


def test_mitto_repeats_are_read() -> None:
    policy = RepeatPolicy.of_mitto(MITTO)
    assert policy.rules == {BUSY: Rule(2, (30,)), ANSWERED: Rule(1, (35,)), NO_ANSWER: Rule(10, (150,))}
    assert seconds(policy, BUSY, REJECTED, BUSY) == [30, 30]  # one count for a line that is not free
    assert seconds(policy, ANSWERED, MACHINE) == [35]
    assert seconds(policy, FAILED) == []


def test_mitto_repeats_are_off_without_their_switch() -> None:
    assert RepeatPolicy.of_mitto({**MITTO, "isRepeat": 0}) == NO_REPEATS
    assert RepeatPolicy.of_mitto({}) == NO_REPEATS


@pytest.mark.parametrize("key", ["isRepeat", "repeatBusy", "repeatBusyCount", "repeatBusyInt"])
@pytest.mark.parametrize("value", ["soon", -1, 10**9, None, True, 1.5])
def test_mitto_numbers_that_are_none_are_refused_by_name(key: str, value: object) -> None:
    with pytest.raises(RepeatPolicyError, match=f"^{key} "):
        RepeatPolicy.of_mitto({**MITTO, key: value})


def test_a_backoff_becomes_its_delays() -> None:
    backoff = {"first": 60, "factor": 2, "max": 300}
    policy = RepeatPolicy.parse({"rules": {"busy": {"times": 5, "backoff": backoff}}})
    assert policy.rules[BUSY].delays == (60, 120, 240, 300, 300)


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ({"mots": 3}, "repeat_policy.mots"),
        ({"most": 101}, "most"),
        ({"rules": []}, "rules"),
        ({"rules": {"ENGAGED": {"times": 1, "delays": [1]}}}, "'ENGAGED'"),
        ({"rules": {"UNKNOWN": {"times": 1, "delays": [1]}}}, "'UNKNOWN'"),
        ({"rules": {"INVALID_NUMBER": {"times": 1, "delays": [1]}}}, "'INVALID_NUMBER'"),
        ({"rules": {"BUSY": {"times": 1, "delays": [1]}, "busy": {"times": 1, "delays": [1]}}}, "BUSY twice"),
        ({"rules": {"BUSY": {"times": 101, "delays": [1]}}}, "rules.BUSY.times"),
        ({"rules": {"BUSY": {"times": 1, "delays": []}}}, "rules.BUSY.delays"),
        ({"rules": {"BUSY": {"times": 1, "delays": [LONGEST_DELAY + 1]}}}, "rules.BUSY.delays"),
        ({"rules": {"BUSY": {"times": 1, "delays": 60}}}, "rules.BUSY.delays"),
        ({"rules": {"BUSY": {"times": 1}}}, "rules.BUSY.delays"),
        ({"rules": {"BUSY": {"delays": [60]}}}, "rules.BUSY.times"),
        (
            {"rules": {"BUSY": {"times": 1, "delays": [1], "backoff": {"first": 1}}}},
            "both delays and backoff",
        ),
        (
            {"rules": {"BUSY": {"times": 1, "backoff": {"first": 1, "factor": 0.5}}}},
            "rules.BUSY.backoff.factor",
        ),
        ({"rules": {"BUSY": {"times": 1, "backoff": {}}}}, "rules.BUSY.backoff.first"),
        ({"rules": {"REJECTED": {"same_as": "BUSY"}}}, "REJECTED.same_as names BUSY"),
        ({"rules": {"BUSY": 3}}, "rules.BUSY"),
        ("BUSY", "repeat_policy"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_by_name(policy: dict[str, object], named: str) -> None:
    with pytest.raises(RepeatPolicyError, match=named):
        RepeatPolicy.parse(policy)


def test_used_repeats_are_a_small_object() -> None:
    used = count_repeat(count_repeat({}, BUSY), BUSY)
    assert used_to_json(used) == {"BUSY": 2}
    assert used_from_json({"BUSY": 2}) == used
    assert used_from_json(None) == {}
