"""The contract of every kind of provider against the sandbox, which plays its document strictly, over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from contract import HOOK, Case, Ordered, case_of, each
from sandboxed import NOT_TAKEN, OUTCOMES, sandbox

from dialer.calls.progress import Standing, advance
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import Asked, Fact, Outcome, SubmitResult
from dialer.providers.kinds import adapter_kinds
from dialer.sandbox.outcomes import FATES

#: "00" is any other number.
ENDS = (*FATES, "00")


@pytest.fixture(params=adapter_kinds())
def case(request: pytest.FixtureRequest) -> Case:
    """Every kind's; a kind without one fails."""
    return case_of(request.param)


@pytest.mark.parametrize(("case", "order"), each(lambda case: case.examples))
def test_a_call_of_each_capability_is_taken(case: Case, order: Ordered) -> None:
    async def story() -> tuple[SubmitResult, list[dict[str, Any]]]:
        async with sandbox(case) as played:
            return await played.place(order.submission, hook=HOOK), await played.log()

    result, log = asyncio.run(story())
    assert result.outcome is Outcome.PLACED
    assert [(line["provider"], line["accepted"]) for line in log] == [(case.kind, True)]


def test_every_fate_is_read_as_its_document_says(case: Case) -> None:
    async def story() -> tuple[list[SubmitResult], list[dict[str, Any]], list[Fact]]:
        async with sandbox(case) as played:
            placing = [played.place(case.to_number(end), deadline=2.0) for end in ENDS]
            return list(await asyncio.gather(*placing)), await played.log(), await played.all_facts()

    results, log, facts = asyncio.run(story())
    outcomes = {end: result.outcome for end, result in zip(ENDS, results, strict=True)}
    assert outcomes == {end: OUTCOMES.get(end, Outcome.PLACED) for end in ENDS} | case.outcomes
    for result in results:
        shown = repr(
            replace(result, provider_reference=None)
        )  # which is random, and may hold the digits of a code
        assert not [private for private in case.secrets() if private in shown]
    assert {line["to"][-2:] for line in log if line["accepted"]} == set(ENDS) - NOT_TAKEN
    assert len(log) == len(ENDS)
    if case.stories:
        check_facts(case, told(case, results, facts), facts)


def told(case: Case, results: Sequence[SubmitResult], facts: Sequence[Fact]) -> dict[str, list[Fact]]:
    """Facts by number, where they can be known to speak of it."""
    ours = {result.attempt_id: end for end, result in zip(ENDS, results, strict=True)}
    theirs = {
        result.provider_reference: end
        for end, result in zip(ENDS, results, strict=True)
        if result.outcome is Outcome.PLACED
    }
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        assert bool(fact.attempt_id) is case.tells_our_reference
        end = ours.get(fact.attempt_id) or theirs.get(fact.provider_reference)
        if end is not None:
            found.setdefault(end, []).append(fact)
    return found


def check_facts(case: Case, by_end: dict[str, list[Fact]], facts: Sequence[Fact]) -> None:
    # Taken without a clean reply: nobody learned the reference that their callbacks give.
    silent = NOT_TAKEN | {"10"} | (set() if case.tells_our_reference else {"07", "12", "13", "19"})
    assert set(by_end) == {end for end in ENDS if end not in silent}
    expected = {end: case.fates.get(end, Disposition.ANSWERED) for end in by_end}
    standing = {end: advance(Standing(AttemptState.PLACED), said) for end, said in by_end.items()}
    assert {end: one.outcome for end, one in standing.items()} == expected
    plain, doubled, backwards = (
        [(fact.state, fact.disposition) for fact in by_end[end]] for end in ("00", "09", "14")
    )
    assert sorted(doubled, key=str) == sorted(plain * 2, key=str)
    if case.asks_on_the_way:
        assert sorted(backwards, key=str) == sorted(plain, key=str)
    else:
        assert backwards == plain[::-1]
    assert len(plain) < 2 or backwards != plain


def test_what_nobody_called_back_is_learned_by_asking(case: Case) -> None:
    async def story() -> dict[str, list[Fact] | None]:
        async with sandbox(case) as played:
            submitted_at = datetime.now(UTC)
            placing = [
                played.place(case.to_number(end), deadline=2.0) for end in ENDS if end not in NOT_TAKEN
            ]
            results = await asyncio.gather(*placing)
            await played.all_facts()
            found = {}
            for result in results:
                end = result.attempt_id[2:]
                of = case.to_number(end)
                known = result.provider_reference
                asked = Asked(result.attempt_id, known, of.to, of.caller_id, submitted_at)
                found[end] = await played.ask(asked)
                if result.outcome is Outcome.PLACED:
                    assert found[end] is not None
            return found

    if type(case.adapter()).lookup_request is Adapter.lookup_request:
        pytest.skip("cannot be asked")
    for end, facts in asyncio.run(story()).items():
        told = advance(Standing(AttemptState.PLACED), facts or [])
        expected = {case.looked_up.get(end, Disposition.ANSWERED)}
        if OUTCOMES.get(end) is not None:  # without its reference, perhaps nobody can be asked
            expected.add(None)
        assert told.outcome in expected, end


def test_callbacks_may_come_before_the_reply(case: Case) -> None:
    async def story() -> tuple[SubmitResult, list[Fact]]:
        async with sandbox(case, time_scale=1) as played:
            return await played.place(case.to_number("15"), deadline=10), played.facts()

    if not case.stories:
        pytest.skip("calls nobody back")
    result, facts = asyncio.run(story())
    assert result.outcome is Outcome.PLACED
    assert AttemptState.ENDED in {fact.state for fact in facts}
    named = {fact.attempt_id or fact.provider_reference for fact in facts}
    assert named == {result.attempt_id if case.tells_our_reference else result.provider_reference}


def test_429_holds_a_number_once(case: Case) -> None:
    async def story() -> list[tuple[Outcome, float | None]]:
        async with sandbox(case) as played:
            results = [await played.place(case.to_number("05", f"AT{once}")) for once in range(2)]
        return [(result.outcome, result.retry_after) for result in results]

    assert asyncio.run(story()) == [(Outcome.NOT_PROCESSED, 1.0), (Outcome.PLACED, None)]
