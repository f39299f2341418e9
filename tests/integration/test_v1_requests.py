"""What all of `/v1` takes and refuses alike, whatever is asked for: bodies, queries, addresses."""

from __future__ import annotations

from typing import Any

import pytest
from upstream import Upstream

from dialer.store import tables as t

#: What is said here has no SQL of its own.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
NUMBER = "+12025550150"
#: What is sent where, and what is said of it.
WRONG: list[tuple[str, Any, str]] = [
    ("lists", {}, "name: is missing: give it."),
    ("lists", {"name": "a\nb"}, "name: must not be empty, nor hold control characters such as line breaks."),
    (
        "lists",
        {"name": "a", "names": 1},
        "names: there is no such field here: check its name, or leave it out.",
    ),
    ("lists", {"name": "a" * 201}, "name: may have at most 200 characters."),
    ("lists", [], "body: must be an object such as {…}."),
    ("keys", {"name": "a", "scopes": ["root"]}, "scopes.0: must be 'read', 'call', 'campaign' or 'admin'."),
    ("keys", {"name": "a", "scopes": "read"}, "scopes: must be a list such as […]."),
    (
        "callbacks",
        {
            "agent_number": NUMBER,
            "destination_number": NUMBER,
            "caller_id": NUMBER,
            "at": "2026-09-25T14:05:00",
        },
        "at: needs an offset from UTC: end it with one such as +02:00, or with Z for UTC.",
    ),
    (
        "calls",
        {"purpose": "announcement", "to": NUMBER, "expires_at": "1812-01-01T00:00:00Z"},
        "expires_at: the time must lie in the years 1970 to 9998.",
    ),
    ("calls", {"calls": []}, "calls: must have at least one."),
]


def person(**values: Any) -> dict[str, Any]:
    return {"contacts": [{"number": NUMBER, **values}]}


def new_list(upstream: Upstream) -> str:
    made: str = upstream.got("POST", "/v1/lists", {"name": "people"}, status=201)["id"]
    return made


def test_json_is_read_whatever_it_is_called(upstream: Upstream) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain", "", "nonsense"):
        headers = {"Content-Type": kind}
        upstream.got("POST", "/v1/lists", {"name": f"people {kind}"}, headers=headers, status=201)
        body = {"kind": "contacts", "target_id": "LS1", "file": "people.csv"}
        upstream.refused(404, "POST", "/v1/imports", body, headers=headers)


def test_what_is_not_json_is_said_of_the_body(upstream: Upstream) -> None:
    headers = {"Authorization": f"Bearer {upstream.account_id}.{upstream.auth}"}
    long_number = b'{"name": ' + b"9" * 5000 + b"}"
    for body in (b'{"name": ', b"name=people", b"[" * 100_000, b'{"name": "\xff"}', long_number):
        answer = upstream.client.post("/v1/lists", content=body, headers=headers)
        assert answer.status_code == 400, body[:20]
        assert answer.headers["content-type"] == "application/problem+json"
        assert [one["field"] for one in answer.json()["errors"]] == ["body"]
        assert answer.json()["detail"].startswith("The body is not JSON: send ")


def test_what_is_wrong_is_said_in_a_sentence(upstream: Upstream) -> None:
    for path, body, sentence in WRONG:
        assert upstream.refused(422, "POST", f"/v1/{path}", body)["detail"] == sentence


def test_a_parameter_that_nobody_knows_is_refused(upstream: Upstream) -> None:
    for path, name in (
        ("calls?stat=FAILED", "stat"),
        ("cdrs?campaign=CM0000000000", "campaign"),
        ("cdrs.csv?dispositon=BUSY", "dispositon"),
        ("cdrs.jsonl?since=2026-09-25", "since"),
        ("lists?limit=5&page=2", "page"),
        ("account?verbose=1", "verbose"),
    ):
        problem = upstream.refused(422, "GET", f"/v1/{path}")
        assert [one["field"] for one in problem["errors"]] == [name]
        assert upstream.client.get(f"/v1/{path}").status_code == 401


def test_a_plus_that_became_a_blank_is_one(upstream: Upstream) -> None:
    for path in ("cdrs?from=", "cdrs.csv?to=", "calls?created_from="):
        assert upstream.ask("GET", f"/v1/{path}2026-09-25T06:00:00+01:00").status_code == 200
        assert upstream.ask("GET", f"/v1/{path}2026-09-25T06:00:00%2B01:00").status_code == 200
        upstream.refused(422, "GET", f"/v1/{path}2026-09-25T06:00:00")


def test_an_address_with_a_slash_too_many_is_none(upstream: Upstream) -> None:
    upstream.refused(404, "GET", "/v1/lists/")


def test_what_is_said_is_a_text_or_a_number(upstream: Upstream) -> None:
    path = f"/v1/lists/{new_list(upstream)}/contacts"
    for value in (True, None, [], {}, float("nan"), float("inf")):
        problem = upstream.refused(422, "POST", path, person(fields={"ok": value}))
        assert problem["detail"] == "contacts.0.fields.ok: must be a text or a number."


def test_numbers_are_said_as_they_are_written(upstream: Upstream) -> None:
    path = f"/v1/lists/{new_list(upstream)}/contacts"
    upstream.got("POST", path, person(fields={"due": 7, "rate": 2.5, "whole": 3.0}))
    (kept,) = upstream.got("GET", path)["data"]
    assert kept["fields"] == {"due": "7", "rate": "2.5", "whole": "3"}
    upstream.add_provider()
    call = {
        "purpose": "transactional",
        "to": NUMBER,
        "from": NUMBER,
        "message": "{due}",
        "variables": {"due": 7},
    }
    upstream.got("POST", "/v1/calls", call, status=202)
    assert [row.text for row in upstream.rows(t.message.select())] == ["7"]
