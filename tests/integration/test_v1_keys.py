"""Keys of `/v1`: who may ask, for what, and who changed what."""

from __future__ import annotations

import pytest
from upstream import Upstream

from dialer.api.v1.page import cursor_after
from dialer.db import writing
from dialer.keys import Scope
from dialer.store import accounts, keys


def test_a_key_is_shown_once_and_opens_the_api(upstream: Upstream) -> None:
    made = upstream.got("POST", "/v1/keys", {"name": "crm", "scopes": ["admin"]}, status=201)
    assert made["id"].startswith("AK")
    (listed,) = upstream.got("GET", "/v1/keys", key=made["key"])["data"]
    assert (listed["id"], listed["name"], listed["scopes"]) == (made["id"], "crm", ["admin"])
    assert "key" not in listed
    assert made["key"] not in str(listed)


def test_the_headers_of_the_first_generation_open_it_too(upstream: Upstream) -> None:
    headers = {"account": upstream.account_id, "auth": upstream.auth}
    assert upstream.client.get("/v1/keys", headers=headers).status_code == 200
    wrong = {"account": upstream.account_id, "auth": upstream.other_auth}
    assert upstream.client.get("/v1/keys", headers=wrong).status_code == 401


@pytest.mark.parametrize(
    "sent", ["", "Bearer", "Bearer x", "Bearer AC0000000000.", "Basic YTpi", "Bearer .x"]
)
def test_without_a_key_nobody_is_let_in(upstream: Upstream, sent: str) -> None:
    answer = upstream.client.get("/v1/keys", headers={"Authorization": sent} if sent else {})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scope", [Scope.READ, Scope.CALL, Scope.CAMPAIGN])
def test_a_key_without_the_scope_is_told_which_it_lacks(upstream: Upstream, scope: Scope) -> None:
    problem = upstream.refused(403, "GET", "/v1/keys", key=upstream.key(scope))
    assert "lacks the scope admin" in problem["detail"]


def test_a_key_is_revoked_by_itself(upstream: Upstream) -> None:
    first = upstream.got("POST", "/v1/keys", {"name": "a", "scopes": ["admin"]}, status=201)
    second = upstream.got("POST", "/v1/keys", {"name": "b", "scopes": ["admin"]}, status=201)
    gone = upstream.got("DELETE", f"/v1/keys/{first['id']}")
    assert gone["revoked_at"] is not None
    assert upstream.got("DELETE", f"/v1/keys/{first['id']}") == gone
    upstream.refused(401, "GET", "/v1/keys", key=first["key"])
    assert upstream.ask("GET", "/v1/keys", key=second["key"]).status_code == 200
    upstream.refused(404, "DELETE", "/v1/keys/AKnobody")
    upstream.refused(404, "DELETE", f"/v1/keys/{second['id']}", other=True)


def test_a_key_gets_another_name_and_limit_and_keeps_what_it_may_do(upstream: Upstream) -> None:
    made = upstream.got("POST", "/v1/keys", {"name": "a", "scopes": ["read"]}, status=201)
    path = f"/v1/keys/{made['id']}"
    changed = upstream.got("PATCH", path, {"name": "shop", "requests_per_minute": 30})
    assert changed == upstream.got("GET", path)
    assert (changed["name"], changed["scopes"], changed["requests_per_minute"]) == ("shop", ["read"], 30)
    assert upstream.got("GET", "/v1/account", key=made["key"])["limits"]["requests_per_minute"] == 30
    without = upstream.got("PATCH", path, {"requests_per_minute": None})
    assert (without["name"], without["requests_per_minute"]) == ("shop", None)
    entries = upstream.got("GET", f"/v1/audit?subject={made['id']}")["data"]
    assert [(one["action"], one["detail"]) for one in entries[:2]] == [
        ("key.change", {"changed": {"requests_per_minute": None}}),
        ("key.change", {"changed": {"name": "shop", "requests_per_minute": 30}}),
    ]
    for wrong in ({"name": None}, {"name": " "}, {"scopes": ["admin"]}, {"requests_per_minute": 0}):
        problem = upstream.refused(422, "PATCH", path, wrong)
        assert [error["field"] for error in problem["errors"]] == list(wrong)
    upstream.refused(403, "PATCH", path, {"name": "b"}, key=made["key"])
    upstream.got("DELETE", path)
    assert "is revoked" in upstream.refused(409, "PATCH", path, {"name": "b"})["detail"]
    upstream.refused(404, "PATCH", "/v1/keys/AK1", {"name": "b"})


def test_a_key_of_a_disabled_account_opens_nothing(upstream: Upstream) -> None:
    key = upstream.key(Scope.ADMIN)
    assert upstream.ask("GET", "/v1/keys", key=key).status_code == 200
    with writing(upstream.engine) as connection:
        accounts.update(connection, upstream.account_id, enabled=False)
    upstream.refused(401, "GET", "/v1/keys", key=key)


def test_when_a_key_was_last_used_is_known_to_the_minute(upstream: Upstream) -> None:
    key = upstream.key(Scope.ADMIN)

    def last_used() -> object:
        with writing(upstream.engine) as connection:
            return keys.of_account(connection, upstream.account_id)[0].last_used_at

    upstream.got("GET", "/v1/keys", key=key)
    first = upstream.clock.now
    upstream.clock.advance(seconds=59)
    upstream.got("GET", "/v1/keys", key=key)
    assert last_used() == first
    upstream.clock.advance(seconds=1)
    upstream.got("GET", "/v1/keys", key=key)
    assert last_used() == upstream.clock.now


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["read"]}, "name"),
        ({"name": " ", "scopes": ["read"]}, "name"),
        ({"name": "a", "scopes": []}, "scopes"),
        ({"name": "a", "scopes": ["root"]}, "scopes.0"),
        ({"name": "a", "scopes": ["read"], "requests_per_minute": 0}, "requests_per_minute"),
        ({"name": "a", "scopes": ["read"], "is_admin": True}, "is_admin"),
    ],
)
def test_what_cannot_be_used_is_named(upstream: Upstream, body: object, field: str) -> None:
    problem = upstream.refused(422, "POST", "/v1/keys", body)
    assert [error["field"] for error in problem["errors"]] == [field]


def test_who_changed_what_is_in_the_audit_log(upstream: Upstream) -> None:
    admin = upstream.got("POST", "/v1/keys", {"name": "a", "scopes": ["admin"]}, status=201)
    for name in "bcd":
        upstream.got("POST", "/v1/keys", {"name": name, "scopes": ["read"]}, status=201, key=admin["key"])
    upstream.got("DELETE", f"/v1/keys/{admin['id']}")
    entries, cursor = [], None
    while True:
        page = upstream.got("GET", "/v1/audit?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["data"]) <= 2
        entries += page["data"]
        if (cursor := page["next_cursor"]) is None:
            break
    assert [(one["action"], one["actor"]) for one in entries] == [
        ("key.revoke", "account"),
        *[("key.create", admin["id"])] * 3,
        ("key.create", "account"),
    ]
    assert entries[-1]["subject"] == admin["id"]
    assert entries[-1]["detail"] == {"scopes": ["admin"]}
    only = upstream.got("GET", f"/v1/audit?subject={admin['id']}")["data"]
    assert [one["action"] for one in only] == ["key.revoke", "key.create"]
    assert upstream.got("GET", "/v1/audit", other=True)["data"] == []
    for cursor in ("x", "WyJhIl0", "WzEsMl0", "%00", cursor_after(10**30), cursor_after(-1)):
        problem = upstream.refused(422, "GET", f"/v1/audit?cursor={cursor}")
        assert problem["errors"][0]["field"] == "cursor"
    upstream.refused(422, "GET", "/v1/audit?subject=%00")


def test_the_log_is_read_on_beyond_the_largest_number_of_32_bits(upstream: Upstream) -> None:
    upstream.key(Scope.READ)
    found = upstream.got("GET", f"/v1/audit?cursor={cursor_after(2**62)}")["data"]
    assert [one["action"] for one in found] == ["key.create"]


@pytest.mark.parametrize("path", ["calls", "callbacks", "lists", "dnd-lists"])
def test_no_cursor_holds_what_a_database_cannot_look_for(upstream: Upstream, path: str) -> None:
    for text in ("\ud800", "\0"):
        problem = upstream.refused(422, "GET", f"/v1/{path}?cursor={cursor_after(text)}")
        assert problem["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("path", ["campaigns", "imports", "templates", "verifications"])
def test_no_cursor_holds_a_time_that_there_is_not(upstream: Upstream, path: str) -> None:
    for at in ("0001-01-01T00:00:00+23:59", "2026-01-01T00:00:00", "soon"):
        problem = upstream.refused(422, "GET", f"/v1/{path}?cursor={cursor_after(at, 'x')}")
        assert problem["errors"][0]["field"] == "cursor"
