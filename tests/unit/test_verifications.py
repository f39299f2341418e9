"""What is decided about verifications: the next channel, who has to wait, which numbers, which codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dialer.calls.otp import Channel, check_template
from dialer.errors import FieldError
from dialer.lifecycle import CallState, Disposition, VerificationState
from dialer.verifications import decide, rules
from dialer.verifications.codes import Codes, as_told, new_code
from dialer.verifications.decide import Bring, End, Standing, Wait
from dialer.verifications.destination import destination
from dialer.verifications.rules import Alarm, CheckLimit, Limit, Rules
from dialer.verifications.texts import TEXTS, default_text

NOW = datetime(2026, 9, 25, 6, 0, tzinfo=UTC)
OPEN = Standing(
    step=0,
    steps=3,
    sends=1,
    max_sends=5,
    expires_at=NOW + timedelta(minutes=10),
    next_at=NOW + timedelta(seconds=30),
    call_state=CallState.IN_PROGRESS,
    disposition=None,
    call_states=(CallState.IN_PROGRESS,),
)


def in_seconds(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


# --- the next channel ----------------------------------------------------------------------------------------


def test_a_channel_has_its_time() -> None:
    assert decide.next_of(OPEN, NOW) == Wait(in_seconds(30), in_seconds(30))
    assert decide.next_of(OPEN, in_seconds(29.9)) == Wait(in_seconds(30), in_seconds(30))
    assert decide.next_of(OPEN, in_seconds(30)) == Bring(1)


def test_a_channel_that_reached_somebody_has_its_time_too() -> None:
    heard = replace(OPEN, call_state=CallState.COMPLETED, disposition=Disposition.ANSWERED)
    assert decide.next_of(heard, NOW) == Wait(in_seconds(30), in_seconds(30))
    assert decide.next_of(heard, in_seconds(30)) == Bring(1)


@pytest.mark.parametrize("state", [CallState.FAILED, CallState.EXPIRED, CallState.CANCELLED])
def test_a_channel_that_failed_is_followed_at_once(state: CallState) -> None:
    assert decide.next_of(replace(OPEN, call_state=state, call_states=(state,)), NOW) == Bring(1)


def test_who_may_have_been_rung_is_not_hurried() -> None:
    assert isinstance(decide.next_of(replace(OPEN, call_state=CallState.UNKNOWN), NOW), Wait)


def test_a_number_on_a_dnd_list_gets_no_other_channel() -> None:
    found = decide.next_of(replace(OPEN, call_state=CallState.SUPPRESSED), NOW)
    assert found == End(VerificationState.FAILED, decide.ON_DND)


def test_nor_does_one_that_nobody_has() -> None:
    nobody = replace(OPEN, call_state=CallState.FAILED, disposition=Disposition.INVALID_NUMBER)
    assert decide.next_of(nobody, NOW) == End(VerificationState.FAILED, decide.NO_SUCH_NUMBER)


def test_after_the_last_channel_whoever_may_have_the_code_may_tell_it() -> None:
    last = replace(OPEN, step=2, next_at=None, call_state=CallState.FAILED)
    heard = replace(last, call_states=(CallState.COMPLETED, CallState.FAILED))
    assert decide.next_of(heard, NOW) == Wait(heard.expires_at, None)
    nobody = replace(last, call_states=(CallState.EXPIRED, CallState.FAILED))
    assert decide.next_of(nobody, NOW) == End(VerificationState.FAILED, decide.NOT_DELIVERED)


@given(
    step=st.integers(0, 2),
    sends=st.integers(1, 6),
    state=st.sampled_from(list(CallState)),
    disposition=st.none() | st.sampled_from(list(Disposition)),
    next_at=st.none() | st.integers(-100, 1000),
    at=st.integers(-100, 1000),
)
def test_no_decision_breaks_a_bound(
    step: int, sends: int, state: CallState, disposition: Disposition | None, next_at: int | None, at: int
) -> None:
    standing = replace(
        OPEN,
        step=step,
        sends=sends,
        call_state=state,
        call_states=(state,),
        disposition=disposition,
        next_at=None if next_at is None else in_seconds(next_at),
    )
    now = in_seconds(at)
    found = decide.next_of(standing, now)
    if now >= standing.expires_at:
        assert found == End(VerificationState.EXPIRED, decide.TIME_IS_UP)
    elif isinstance(found, Bring):
        assert found.step == step + 1 < standing.steps
        assert sends < standing.max_sends
        assert state is not CallState.SUPPRESSED
    elif isinstance(found, Wait):
        assert now < found.wake_at <= standing.expires_at  # else the scheduler would look at it for ever
    else:
        assert found.state is VerificationState.FAILED


# --- sending again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "asked", "found"),
    [(0, None, 1), (1, None, 1), (1, "flash", 0), (0, "flash", 0), (0, "sms", None)],
)
def test_which_channel_a_resend_uses(step: int, asked: str | None, found: int | None) -> None:
    assert decide.step_asked(step, ["flash", "voice"], asked) == found


def test_a_resend_waits_after_the_last_send() -> None:
    assert decide.too_soon(NOW, 30, in_seconds(12)) == timedelta(seconds=18)
    assert decide.too_soon(NOW, 30, in_seconds(30)) is None


@given(
    gaps=st.lists(st.integers(0, 40), max_size=40),
    numbers=st.builds(Limit, sends=st.integers(1, 4), seconds=st.integers(1, 60)),
    prefixes=st.builds(Limit, sends=st.integers(1, 6), seconds=st.integers(1, 100)),
)
def test_no_window_ever_holds_more_sends_than_its_limit(
    gaps: list[int], numbers: Limit, prefixes: Limit
) -> None:
    sent: list[datetime] = []
    now = NOW

    def nth(limit: Limit) -> datetime | None:
        counting = [at for at in sent if at > now - timedelta(seconds=limit.seconds)]
        return counting[-limit.sends] if len(counting) >= limit.sends else None

    def waits() -> timedelta | None:
        found = decide.limited_for(
            {"e164": (numbers, nth(numbers)), "prefix": (prefixes, nth(prefixes))}, now
        )
        return None if found is None else found[1]

    for gap in gaps:
        now += timedelta(seconds=gap)
        wait = waits()
        if wait is not None:
            assert wait > timedelta()
            now += wait
            assert waits() is None  # Retry-After tells the truth
        sent.append(now)
    for limit in (numbers, prefixes):
        for first in sent:
            until = first + timedelta(seconds=limit.seconds)
            assert sum(first <= at < until for at in sent) <= limit.sends


# --- alarm ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "verified", "alarms"),
    [(49, 0, False), (50, 14, True), (50, 15, False), (50, 50, False), (50, 0, True)],
)
def test_too_few_are_confirmed(ended: int, verified: int, alarms: bool) -> None:
    assert decide.is_alarming(ended, verified, Alarm(of_last=50, below=0.3)) == alarms


# --- codes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "digits"),
    [([Channel.SMS], 6), ([Channel.VOICE, Channel.SMS], 6), ([Channel.VOICE, Channel.FLASH], 4)],
)
def test_a_code_fits_every_channel(channels: Sequence[Channel], digits: int) -> None:
    made = {new_code(channels, 6) for _ in range(50)}
    assert {len(code) for code in made} == {digits}
    assert all(code.isdigit() for code in made)
    assert len(made) > 40


def test_a_code_is_right_for_its_own_verification_alone() -> None:
    codes = Codes(["first key of the test"])
    kept = codes.hashed("VE1", "483920")
    assert "483920" not in kept
    assert codes.is_right(kept, "VE1", "483920")
    assert not codes.is_right(kept, "VE1", "483921")
    assert not codes.is_right(kept, "VE2", "483920")
    assert not Codes(["another key of the test"]).is_right(kept, "VE1", "483920")


def test_codes_outlive_a_new_key() -> None:
    before, after = Codes(["old key of the test"]), Codes(["new key of the test", "old key of the test"])
    assert after.is_right(before.hashed("VE1", "4839"), "VE1", "4839")
    assert after.opened(before.sealed("4839")) == "4839"
    assert after.rate_key("AC1", "198.51.100.7") == before.rate_key("AC1", "198.51.100.7")
    assert "4839" not in before.sealed("4839")
    assert "key of the test" not in repr(after)


def test_people_put_blanks_and_dashes_between_digits() -> None:
    assert as_told("48 39-20") == "483920"


@pytest.mark.parametrize("language", list(TEXTS))
def test_every_text_of_ours_has_a_place_for_the_code(language: str) -> None:
    check_template(default_text(f"{language}-XX"))


def test_a_language_without_a_text_says_so() -> None:
    with pytest.raises(FieldError, match="template_id"):
        default_text("tlh")


# --- wrong codes ---------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 3000), st.integers(1, 20)), max_size=12),
    st.integers(1, 30),
    st.booleans(),
)
def test_in_no_hour_more_wrong_codes_are_told_than_may_be(
    asked: list[tuple[int, int, int]], most: int, at_once: bool
) -> None:
    """Verifications one after the other: after some seconds one begins, is told as many as it may be, at once or at its
    end, and ends some seconds later."""
    limit, hour, now = CheckLimit(checks=most, seconds=3600), timedelta(hours=1), NOW
    ended: list[tuple[datetime, int]] = []
    told: list[tuple[datetime, int]] = []
    for pause, life, wanted in asked:
        now += timedelta(seconds=pause)
        of_late = [one for one in ended if one[0] > now - hour]
        left, wait = decide.checks_left(limit, of_late, now)
        if wait is not None:
            assert left == 0
            now += wait  # by then there is room
            left, wait = decide.checks_left(limit, [one for one in ended if one[0] > now - hour], now)
        assert left > 0
        assert wait is None
        began, now = now, now + timedelta(seconds=life)
        ended.append((now, min(left, wanted)))
        told.append((began if at_once else now, min(left, wanted)))
        assert all(sum(count for at, count in told if last - hour < at <= last) <= most for last, _ in told)


# --- numbers -------------------------------------------------------------------------------------------------

ANYWHERE = Rules(countries=["*"])


@pytest.mark.parametrize(
    ("number", "country", "prefix"),
    [
        ("+46700000050", "SE", "467000"),
        ("+1 202 555 0150", "US", "12025"),
        ("919979271234", "IN", "919979"),
    ],
)
def test_a_number_tells_its_country_and_its_prefix(number: str, country: str, prefix: str) -> None:
    found = destination(number, None, ANYWHERE)
    assert (found.country, found.prefix) == (country, prefix)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+449090790000", "premium rate"),
        ("+18002345678", "toll-free"),
        ("+448431234567", "shared cost"),
        ("+447012345678", "personal number"),
        ("+445512345678", "company-wide"),
        ("+447640123456", "pager"),
    ],
)
def test_numbers_that_earn_somebody_money_are_refused(number: str, kind: str) -> None:
    with pytest.raises(FieldError, match="a person's own telephone"):
        destination(number, None, ANYWHERE)


@pytest.mark.parametrize("number", ["+881612345678", "+883510012345", "+870773111632", "+80012345678"])
def test_numbers_of_no_country_are_refused_wherever_codes_may_go(number: str) -> None:
    with pytest.raises(FieldError, match="of a country"):
        destination(number, None, ANYWHERE)


def test_only_allowed_countries_are_rung() -> None:
    assert destination("0700000050", "SE", Rules()).e164 == "+46700000050"
    with pytest.raises(FieldError, match=r"of US, .* countries"):
        destination("+12025550150", "SE", Rules())
    with pytest.raises(FieldError, match="has not said which countries"):
        destination("+46700000050", None, Rules())
    assert destination("+12025550150", None, Rules(countries=["se", "us"])).country == "US"


# --- rules ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"countries": ["XX"]},
        {"countries": "SE"},
        {"lifetime": 10},
        {"max_sends": 0},
        {"max_checks": 1000},
        {"resend_after": 0},
        {"code_length": 3},
        {"number_limit": {"sends": 0, "seconds": 60}},
        {"number_limit": {"sends": 1}},
        {"prefix_limit": {"sends": 1, "seconds": 60, "digits": 0}},
        {"check_limit": {"sends": 1, "seconds": 60}},
        {"alarm": {"below": 2}},
        {"caller_id": "x"},
        {"template_id": ""},
        {"color": "red"},
    ],
)
def test_rules_that_cannot_hold_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate(wrong)


def test_what_is_set_is_kept_and_null_takes_it_away() -> None:
    first = rules.changed({}, Rules.model_validate({"countries": ["se", "SE", "NO"], "max_sends": 3}))
    assert first == {"countries": ["NO", "SE"], "max_sends": 3}
    second = rules.changed(first, Rules.model_validate({"countries": None, "lifetime": 120}))
    assert second == {"max_sends": 3, "lifetime": 120}
    assert rules.of_account(second) == Rules(max_sends=3, lifetime=120)
    assert rules.of_account({}) == Rules()
