"""The parameters of a callback are found wherever its provider put them."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialer.providers.contract import RawEvent
from dialer.providers.reading import MAX_FIELDS, event_fields


def fields_of(query: str = "", body: bytes = b"") -> dict[str, str]:
    return event_fields(RawEvent("POST", "", query, "", body, None, datetime.now(UTC)))


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("a=1&b=x y", b""),
        ("a=1&b=x+y", b""),
        ("", b"a=1&b=x%20y"),
        ("b=x+y", b"a=1"),
        ("", b'{"a": 1, "b": "x y"}'),
        ("a=1", b'{"a": 2, "b": "x y"}'),
        ("a=1&a=2", b"b=x+y&b=z"),
        ("a=1&b=x%20y", b"[]"),
    ],
)
def test_fields_stand_in_the_url_or_in_a_form_or_in_json_and_the_urls_count_first(
    query: str, body: bytes
) -> None:
    assert fields_of(query, body).items() >= {"a": "1", "b": "x y"}.items()


@given(st.text(st.sampled_from("ab=&;+%20é\n"), max_size=30))
@example("")
@example("&" * (MAX_FIELDS - 1))
@example("a&" * (MAX_FIELDS - 1))
@example("a=1&" * (MAX_FIELDS - 1) + "b=2")
@example("a=b=c&&=x&a")
def test_a_query_is_read_as_any_form(query: str) -> None:
    assert fields_of(query) == dict(reversed(parse_qsl(query, keep_blank_values=True)))


def test_nobody_can_send_fields_without_end() -> None:
    assert fields_of("a=1&" * MAX_FIELDS) == fields_of("a=%31&" * MAX_FIELDS) == {}


@given(st.binary(max_size=40))
def test_no_body_is_so_odd_that_it_cannot_be_read(body: bytes) -> None:
    assert fields_of("a=1", body)["a"] == "1"
