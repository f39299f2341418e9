"""Keys with scopes in the first-generation API: what each opens, and how the audit log names who used it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from document import OPERATIONS
from test_outbound_api import CLICK, OTP
from upstream import Upstream

from dialer import ids, keys
from dialer.db import reading, writing
from dialer.keys import Scope
from dialer.store import announce_templates
from dialer.store import keys as store
from dialer.store.tables import AnyRow

CALLING = {"outbound_call", "click2call", "callback", "modify_call"}
FIRST_GENERATION = [one for one in OPERATIONS if one[0].startswith("/api/")] + [("/stop_campaign", "post")]


def needed(path: str) -> Scope:
    name = path.rpartition("/")[2]
    if name in CALLING:
        return Scope.CALL
    return Scope.READ if name.startswith("get_") else Scope.CAMPAIGN


def ask(upstream: Upstream, method: str, path: str, body: Any = None, *, key: str) -> httpx.Response:
    headers = {"account": upstream.account_id, "auth": key}
    return upstream.client.request(method, path, json=body, headers=headers)


def the_key(upstream: Upstream) -> AnyRow:
    with reading(upstream.engine) as connection:
        (row,) = store.of_account(connection, upstream.account_id)
    return row


@pytest.mark.parametrize("scope", Scope)
def test_a_key_opens_what_its_scope_says_and_nothing_else(on_sqlite: Upstream, scope: Scope) -> None:
    key = on_sqlite.key(scope)
    assert len(FIRST_GENERATION) > 20
    for path, method in FIRST_GENERATION:
        answer = ask(on_sqlite, method, path, {}, key=key)
        may = scope in (needed(path), Scope.ADMIN)
        # Nothing that is sent can be done; whoever may do it is told what is missing.
        assert answer.status_code in ((200, 400) if may else (403,)), (path, answer.text)
        if not may:
            response = answer.json()["response"]
            assert response["success"] == "false"
            assert f"lacks the scope {needed(path)}" in response["message"]


def test_a_key_of_another_account_or_a_revoked_one_opens_nothing(upstream: Upstream) -> None:
    key = upstream.key(Scope.READ)
    path = "/api/get_campaign_details"
    assert ask(upstream, "GET", path, key=key).status_code == 200
    stranger = {"account": upstream.other_id, "auth": key}
    assert upstream.client.get(path, headers=stranger).status_code == 401
    with writing(upstream.engine) as connection:
        revoked = the_key(upstream).id
        keys.revoke(connection, upstream.account_id, revoked, upstream.clock.now, actor=keys.OPERATOR)
    assert ask(upstream, "GET", path, key=key).status_code == 401


def test_calls_are_asked_for_with_a_key_whose_use_is_noted(upstream: Upstream) -> None:
    upstream.add_provider()
    upstream.add_provider(name="between", kind="mtt-callback")
    template = {"id": OTP["announce_template_id"], "account_id": upstream.account_id, "text": "It is {otp}."}
    with writing(upstream.engine) as connection:
        announce_templates.add(connection, template | {"created_at": upstream.clock.now})
    key, no_key = upstream.key(Scope.CALL), ids.key_id()
    for path, body in (("outbound_call", OTP), ("click2call", CLICK)):
        answer = ask(upstream, "POST", f"/api/{path}", body, key=key)
        assert answer.status_code == 200, answer.text
        assert ask(upstream, "POST", f"/api/{path}", body, key=no_key).status_code == 401
    assert len(upstream.doorbell.singles) == 2
    assert the_key(upstream).last_used_at == upstream.clock.now


def test_what_a_key_changed_stands_in_the_audit_log_with_its_id(on_sqlite: Upstream) -> None:
    key = on_sqlite.key(Scope.CAMPAIGN)
    key_id = the_key(on_sqlite).id
    ask(on_sqlite, "POST", "/api/create_campaign_list", {"list_name": "mine"}, key=key)
    ask(on_sqlite, "POST", "/api/create_campaign_dnd_list", {"dnd_list_name": "mine"}, key=on_sqlite.auth)
    entries = on_sqlite.got("GET", "/v1/audit")["data"]
    assert [(one["action"], one["actor"]) for one in entries] == [
        ("dnd_list.create", "account"),
        ("list.create", key_id),
        ("key.create", "operator"),
    ]
