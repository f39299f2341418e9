"""`Retry-After`, and what is scrubbed from the words of a provider."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.providers.contract import Submission
from dialer.providers.redact import scrub
from dialer.retry_after import parse_retry_after

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("0", 1.0),
        (" 7 ", 7.0),
        ("3600", 3600.0),
        ("86399", 86399.0),
        ("86401", 86400.0),
        ("9" * 5000, 86400.0),
        ("Sun, 01 Jun 2025 12:01:30 GMT", 90.0),
        ("Sunday, 01-Jun-25 12:01:30 GMT", 90.0),
        ("Sun, 01 Jun 2025 11:00:00 GMT", 1.0),
        ("Mon, 01 Jun 2099 12:00:00 GMT", 86400.0),
        ("Sun, 99 Jun 2025 12:00:00 GMT", None),
    ],
)
def test_seconds_and_dates_are_read_and_clamped(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, NOW) == expected


@given(
    st.text()
    | st.from_regex(r"[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{1,6} \d\d:\d\d:\d\d \S{0,5}", fullmatch=True)
)
def test_no_value_breaks_it_and_none_goes_out_of_bounds(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 1.0 <= seconds <= 86400.0


@given(st.integers(1, 86400))
def test_a_date_says_the_same_as_seconds(seconds: int) -> None:
    date = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert parse_retry_after(date, NOW) == parse_retry_after(str(seconds), NOW) == seconds


CALL = Submission("AT1", "+46701112233", "+46850001111", "Dear Åsa & Co, your code is 48213.", None)


@pytest.mark.parametrize(
    "echo",
    [
        "no route to 46701112233",
        "no route to +46 (70) 111-22-33",
        "cannot say Dear Åsa & Co, your code is 48213.",
        "cannot say Dear%20%C3%85sa%20%26%20Co%2C%20your%20code%20is%2048213.",
        'cannot say {"text": "Dear \\u00c5sa & Co, your code is 48213."}',
        "cannot say 48213",
        "bad key k3y-value",
        "bad key k3y%2Fvalue or k3y/value",
    ],
)
def test_an_echo_of_the_attempt_is_scrubbed(echo: str) -> None:
    cleaned = scrub(echo, CALL, ["k3y-value", "k3y/value"])
    for private in ("701112233", "111-22", "sa", "48213", "k3y"):
        assert private not in cleaned.removeprefix("cannot say")
    assert "[…]" in cleaned


def test_an_echo_of_what_a_flow_says_is_scrubbed() -> None:
    menu = Menu(
        (Prompt(text="Your flat is sold."),), {"1": Action(Does.HANG_UP, (Prompt(media="sold.mp3"),))}
    )
    asked = replace(CALL, text=None, flow=Flow("main", {"main": menu}))
    assert scrub("cannot say Your flat is sold. nor sold.mp3", asked, []) == "cannot say […] nor […]"


def test_what_helps_the_operator_stays() -> None:
    assert scrub("HTTP 402:\n no funds (E17)", CALL, ["k3y-value"]) == "HTTP 402: no funds (E17)"


def test_a_long_story_is_cut() -> None:
    assert len(scrub("x" * 10_000, CALL, [])) == 300
