"""`/v1/inbound-rules`: an account says what becomes of people who call its numbers, and of nobody else's callers."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from upstream import Upstream

from dialer.api.operator import operators_app
from dialer.cli.in_process import InProcess
from dialer.db import reading, writing
from dialer.keys import Scope
from dialer.store import accounts
from dialer.store import tables as t

OFFICE, DESK, OTHER = "+79586488002", "+79684881033", "+79684881044"
PATH = f"/v1/inbound-rules/{OFFICE}"
CONNECT: dict[str, Any] = {"action": "CONNECT", "numbers": [DESK]}


@pytest.fixture
def upstream(upstream: Upstream) -> Upstream:
    """With a provider of the account's own that asks."""
    upstream.add_provider(name="own", kind="iotcomms", account_id=upstream.account_id)
    return upstream


def audited(upstream: Upstream) -> list[tuple[str, dict[str, Any]]]:
    entries = upstream.got("GET", f"/v1/audit?subject=%2B{OFFICE[1:]}")["data"]
    return [(entry["action"], entry["detail"]) for entry in reversed(entries)]


def test_a_rule_is_made_replaced_shown_and_removed(upstream: Upstream) -> None:
    made = upstream.got(
        "PUT", PATH, {**CONNECT, "greet_say": "A caller.", "record": True, "ring_seconds": 15}
    )
    assert (made["number"], made["action"], made["numbers"]) == (OFFICE, "CONNECT", [DESK])
    assert (made["greet_say"], made["record"], made["ring_seconds"]) == ("A caller.", True, 15)
    assert (made["asked_by"], made["unable"]) == (["own"], {})
    assert upstream.got("GET", PATH) == made
    upstream.clock.advance(minutes=1)
    replaced = upstream.got("PUT", PATH, {"action": "ANNOUNCE", "say": "We are closed."})
    assert (replaced["numbers"], replaced["greet_say"], replaced["say"]) == ([], None, "We are closed.")
    assert replaced["set_at"] > made["set_at"]
    (listed,) = upstream.got("GET", "/v1/inbound-rules")["data"]
    assert listed == {name: replaced[name] for name in listed}
    assert upstream.ask("DELETE", PATH).status_code == 204
    assert upstream.got("GET", "/v1/inbound-rules")["data"] == []
    assert "has no rule of this account" in upstream.refused(404, "DELETE", PATH)["detail"]
    upstream.refused(404, "GET", PATH)
    assert audited(upstream) == [
        ("inbound.create", {"does": "CONNECT"}),
        ("inbound.change", {"does": "ANNOUNCE"}),
        ("inbound.remove", {}),
    ]


def test_numbers_may_be_rung_for_a_time_of_their_own(upstream: Upstream) -> None:
    longer = {"number": OTHER, "seconds": 40}
    made = upstream.got("PUT", PATH, {"action": "CONNECT", "numbers": [DESK, longer]})
    assert (made["numbers"], made["ring_seconds"]) == ([DESK, longer], 30)
    kept = {name: made[name] for name in ("action", "numbers", "ring_seconds")}
    assert upstream.got("PUT", PATH, kept) == made, "what was shown can be sent"
    usual = {"action": "CONNECT", "numbers": [DESK, {"number": OTHER, "seconds": 30}]}
    assert upstream.got("PUT", PATH, usual)["numbers"] == [DESK, OTHER]


def test_rules_come_in_pages_by_number(upstream: Upstream) -> None:
    numbers = [f"+7958648800{place}" for place in range(5)]
    for number in reversed(numbers):
        upstream.got("PUT", f"/v1/inbound-rules/{number}", {"action": "REFUSE"})
    seen, cursor = [], ""
    while cursor is not None:
        page = upstream.got("GET", f"/v1/inbound-rules?limit=2{cursor}")
        seen += [one["number"] for one in page["data"]]
        cursor = None if page["next_cursor"] is None else f"&cursor={page['next_cursor']}"
    assert seen == numbers


def test_rules_need_the_scope_admin(upstream: Upstream) -> None:
    lesser = upstream.key(Scope.READ, Scope.CALL, Scope.CAMPAIGN)
    for method, path, body in (
        ("GET", "/v1/inbound-rules", None),
        ("GET", PATH, None),
        ("PUT", PATH, CONNECT),
        ("DELETE", PATH, None),
    ):
        assert "scope admin" in upstream.refused(403, method, path, body, key=lesser)["detail"]
    assert upstream.got("PUT", PATH, CONNECT, key=upstream.key(Scope.ADMIN))["numbers"] == [DESK]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "action"),
        ({"action": "RING"}, "action"),
        ({"action": "CONNECT"}, "numbers"),
        ({"action": "CALL_BACK", "numbers": []}, "numbers"),
        ({"action": "REFUSE", "numbers": [DESK]}, "numbers"),
        ({"action": "CONNECT", "numbers": [DESK, "12"]}, "numbers.1"),
        ({"action": "CONNECT", "numbers": [OFFICE]}, "numbers.0"),
        ({"action": "CONNECT", "numbers": [DESK, {"number": DESK, "seconds": 40}]}, "numbers.1"),
        ({"action": "CONNECT", "numbers": [DESK] * 21}, "numbers"),
        ({"action": "ANNOUNCE"}, "say"),
        ({"action": "ANNOUNCE", "say": " "}, "say"),
        ({"action": "ANNOUNCE", "say": "Bye", "play": "bye"}, "play"),
        ({"action": "ANNOUNCE", "play": "../bye"}, "play"),
        ({"action": "REFUSE", "say": "Bye"}, "say"),
        ({"action": "REFUSE", "play": "bye"}, "play"),
        ({**CONNECT, "greet_say": "a", "greet_play": "b"}, "greet_play"),
        ({**CONNECT, "answer_first": True}, "answer_first"),
        ({**CONNECT, "press": "one"}, "press"),
        ({**CONNECT, "ring_seconds": 4}, "ring_seconds"),
        ({**CONNECT, "language": "english!"}, "language"),
        ({**CONNECT, "voice": "Jo anna"}, "voice"),
        ({**CONNECT, "bogus": 1}, "bogus"),
        ({"action": "OPT_OUT", "hide_caller": True}, "hide_caller"),
        ({"action": "OPT_OUT", "record": True}, "record"),
        ({"action": "CALL_BACK", "numbers": [DESK], "hide_caller": True}, "hide_caller"),
        ({**CONNECT, "back_say": "You have called us."}, "back_say"),
        ({"action": "OPT_OUT", "greet_play": "g"}, "greet_play"),
    ],
)
def test_what_a_rule_cannot_say_is_refused_with_the_field(
    upstream: Upstream, body: dict[str, Any], field: str
) -> None:
    problem = upstream.refused(422, "PUT", PATH, body)
    assert [one["field"] for one in problem["errors"]] == [field]
    assert upstream.got("GET", "/v1/inbound-rules")["data"] == []


def test_a_number_is_one_accounts(upstream: Upstream) -> None:
    upstream.add_provider(name="theirs", kind="iotcomms", account_id=upstream.other_id)
    upstream.got("PUT", PATH, CONNECT, other=True)
    assert "of another account" in upstream.refused(409, "PUT", PATH, CONNECT)["detail"]
    for method in ("GET", "DELETE"):
        assert "no rule of this account" in upstream.refused(404, method, PATH)["detail"]
    assert upstream.got("GET", "/v1/inbound-rules")["data"] == []
    assert upstream.got("GET", PATH, other=True)["numbers"] == [DESK]


def test_where_accounts_share_a_provider_the_operator_gives_a_number_its_first_rule(
    upstream: Upstream,
) -> None:
    upstream.add_provider(name="shared", kind="mtt-callback")
    for other in (False, True):
        assert "the operator" in upstream.refused(403, "PUT", PATH, CONNECT, other=other)["detail"]
    row = {
        "e164": OFFICE, "account_id": upstream.account_id, "action": "REFUSE", "created_at": upstream.clock.now,
    }  # fmt: skip
    with writing(upstream.engine) as connection:
        connection.execute(t.inbound_rule.insert(), row)
    assert upstream.got("PUT", PATH, CONNECT)["asked_by"] == ["own", "shared"]
    assert upstream.ask("DELETE", PATH).status_code == 204
    upstream.refused(403, "PUT", PATH, CONNECT)


def test_a_number_that_an_account_claimed_is_not_its_own_at_a_provider_that_comes_to_be_shared(
    upstream: Upstream,
) -> None:
    assert upstream.got("PUT", PATH, CONNECT)["asked_by"] == ["own"]
    with writing(upstream.engine) as connection:
        connection.execute(t.provider.update().values(account_id=None))
    assert upstream.got("GET", PATH)["asked_by"] == []
    upstream.got("PUT", PATH, {"action": "REFUSE"})  # nor does a change make it so
    assert upstream.got("GET", PATH)["asked_by"] == []
    with reading(upstream.engine) as connection:
        account = accounts.with_id(connection, upstream.account_id)
    assert account is not None
    app = operators_app(upstream.engine, upstream.settings, account)
    with httpx.Client(transport=InProcess(app), base_url="http://here") as operator:
        assert operator.put(PATH, json=CONNECT).json()["asked_by"] == ["own"]
    assert upstream.got("PUT", PATH, CONNECT)["asked_by"] == ["own"]


def test_who_has_the_installation_alone_shares_with_nobody(upstream: Upstream) -> None:
    upstream.add_provider(name="shared", kind="mtt-callback")
    with writing(upstream.engine) as connection:
        connection.execute(t.dnd_list.delete().where(t.dnd_list.c.account_id == upstream.other_id))
        connection.execute(t.account.delete().where(t.account.c.id == upstream.other_id))
    assert upstream.got("PUT", PATH, CONNECT)["number"] == OFFICE


def test_what_no_provider_can_do_is_refused_and_what_one_cannot_is_told(upstream: Upstream) -> None:
    together = {"action": "CONNECT_ALL", "numbers": [DESK, OTHER]}
    assert "choose CONNECT" in upstream.refused(409, "PUT", PATH, together)["detail"]
    upstream.add_provider(name="moscow", kind="mtt-callback", account_id=upstream.account_id)
    made = upstream.got("PUT", PATH, together)
    assert made["unable"].keys() == {"own"}
    assert "choose CONNECT" in made["unable"]["own"]
