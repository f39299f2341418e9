"""`/v1/lists` and `/v1/dnd-lists`: made, filled, read page by page, renamed, emptied, deleted."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from upstream import Upstream

from dialer import ids
from dialer.db import writing
from dialer.keys import Scope
from dialer.store import contacts, dnd
from dialer.store.tables import audit_entry, call, campaign, contact, dnd_number


def number(index: int) -> str:
    return f"+9199792{index:05}"


def new_list(upstream: Upstream, name: str = "people", numbers: int = 0) -> str:
    list_id: str = upstream.got("POST", "/v1/lists", {"name": name}, status=201)["id"]
    if numbers:
        people = [{"number": number(index)} for index in range(numbers)]
        upstream.got("POST", f"/v1/lists/{list_id}/contacts", {"contacts": people})
    return list_id


def pages(upstream: Upstream, path: str, limit: int) -> list[Any]:
    found, cursor = [], None
    while True:
        page = upstream.got("GET", f"{path}?limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
        assert len(page["data"]) <= limit
        found += page["data"]
        if (cursor := page["next_cursor"]) is None:
            return found


def test_names_of_any_letters_are_read_page_by_page(upstream: Upstream) -> None:
    names = sorted(letter * 200 for letter in ("\u044f", "\U0001f600", '"', "a"))
    for name in names:
        new_list(upstream, name)
    assert sorted(one["name"] for one in pages(upstream, "/v1/lists", 1)) == names


def add_campaign(upstream: Upstream, list_id: str, state: str = "RUNNING") -> str:
    now = upstream.clock.now
    row = {
        "id": ids.campaign_id(),
        "account_id": upstream.account_id,
        "name": ids.campaign_id(),
        "state": state,
        "list_id": list_id,
        "caller_id": "+15168148111",
        "announcement_text": "Hello.",
        "start_at": now,
        "end_at": now,
        "repeat_policy": {},
        "served_at": now,
        "created_at": now,
    }
    with writing(upstream.engine) as connection:
        connection.execute(campaign.insert(), row)
    return str(row["id"])


def test_a_list_is_made_filled_and_read(upstream: Upstream) -> None:
    list_id = new_list(upstream)
    added = upstream.got(
        "POST",
        f"/v1/lists/{list_id}/contacts",
        {
            "contacts": [
                {"number": number(1), "name": " Ankit ", "fields": {"due": 500, "city": "Surat"}},
                {"number": "12"},
                {"number": number(1)},
                {"number": number(2), "time_zone": "Mars/Base"},
                {"number": number(3), "time_zone": "Asia/Dubai", "language": "en-IN", "fields": {"due": 1.5}},
                {"number": number(4), "fields": {"имя": "x"}},
                {"number": number(4), "name": "n" * 201},
            ]
        },
    )
    counts = {name: added[name] for name in ("accepted", "duplicate", "invalid", "suppressed")}
    assert counts == {"accepted": 2, "duplicate": 1, "invalid": 4, "suppressed": 0}
    assert [(one["index"], one["column"], one["code"]) for one in added["errors"]] == [
        (1, "number", "invalid"),
        (2, "number", "duplicate"),
        (3, "time_zone", "invalid"),
        (5, "fields", "invalid"),
        (6, "name", "invalid"),
    ]
    assert added["errors"][-1]["reason"] == "name is longer than 200 characters."
    first, second = pages(upstream, f"/v1/lists/{list_id}/contacts", 1)
    assert (first["number"], first["name"], first["fields"]) == (
        number(1),
        "Ankit",
        {"due": "500", "city": "Surat"},
    )
    assert (second["time_zone"], second["language"]) == ("Asia/Dubai", "en-IN")
    found = upstream.got("GET", f"/v1/lists/{list_id}")
    assert (found["contacts"], found["fields"]) == (2, {"city": 1, "due": 2})


def test_who_stands_on_the_global_dnd_list_is_counted_as_suppressed(upstream: Upstream) -> None:
    upstream.got("POST", "/v1/dnd-lists/global/numbers", {"numbers": [{"number": number(1)}]})
    list_id = new_list(upstream)
    people = {"contacts": [{"number": number(1)}, {"number": number(2)}]}
    added = upstream.got("POST", f"/v1/lists/{list_id}/contacts", people)
    assert (added["accepted"], added["suppressed"]) == (1, 1)


def test_lists_are_paged_by_name_and_renamed(upstream: Upstream) -> None:
    ids_of = {name: new_list(upstream, name) for name in ("b", "a", "Ж", "c d")}
    assert {one["name"] for one in pages(upstream, "/v1/lists", 2)} == set(ids_of)
    assert len(pages(upstream, "/v1/lists", 1)) == 4
    assert upstream.got("PATCH", f"/v1/lists/{ids_of['a']}", {"name": "z"})["name"] == "z"
    assert (
        upstream.refused(409, "PATCH", f"/v1/lists/{ids_of['a']}", {"name": "b"})["errors"][0]["field"]
        == "name"
    )
    assert upstream.refused(409, "POST", "/v1/lists", {"name": "b"})["errors"][0]["field"] == "name"
    upstream.got("POST", "/v1/lists", {"name": "b"}, other=True, status=201)
    assert upstream.got("GET", "/v1/lists", other=True)["data"][0]["contacts"] == 0


def test_nobody_sees_or_touches_anothers_lists(upstream: Upstream) -> None:
    list_id = new_list(upstream, numbers=1)
    dnd_list_id = upstream.got("POST", "/v1/dnd-lists", {"name": "never"}, status=201)["id"]
    asked: list[tuple[str, str, Any]] = [
        ("GET", "/v1/lists/{}", None),
        ("PATCH", "/v1/lists/{}", {"name": "x"}),
        ("DELETE", "/v1/lists/{}", None),
        ("GET", "/v1/lists/{}/contacts", None),
        ("POST", "/v1/lists/{}/contacts", {"contacts": [{"number": number(1)}]}),
        ("DELETE", "/v1/lists/{}/contacts/" + number(0), None),
    ]
    for method, path, body in asked:
        theirs = upstream.refused(404, method, path.format(list_id), body, other=True)
        assert theirs == upstream.refused(404, method, path.format("LSnosuch"), body, other=True)
    for method, path, body in [
        ("GET", "/v1/dnd-lists/{}", None),
        ("PATCH", "/v1/dnd-lists/{}", {"name": "x"}),
        ("DELETE", "/v1/dnd-lists/{}", None),
        ("GET", "/v1/dnd-lists/{}/numbers", None),
        ("POST", "/v1/dnd-lists/{}/numbers", {"numbers": [{"number": number(1)}]}),
        ("POST", "/v1/dnd-lists/{}/check", {"numbers": [number(1)]}),
        ("DELETE", "/v1/dnd-lists/{}/numbers/" + number(0), None),
    ]:
        theirs = upstream.refused(404, method, path.format(dnd_list_id), body, other=True)
        assert theirs == upstream.refused(404, method, path.format("DNnosuch"), body, other=True)
    assert upstream.got("GET", f"/v1/lists/{list_id}")["contacts"] == 1


def test_a_contact_is_removed_unless_a_campaign_has_taken_them(upstream: Upstream) -> None:
    list_id = new_list(upstream)
    people = [{"number": number(index), "fields": {"due": "5"}} for index in range(2)]
    upstream.got("POST", f"/v1/lists/{list_id}/contacts", {"contacts": people})
    campaign_id = add_campaign(upstream, list_id)
    now = upstream.clock.now
    row = {
        "id": ids.call_ids(1, now)[0],
        "account_id": upstream.account_id,
        "campaign_id": campaign_id,
        "list_id": list_id,
        "position": 1,
        "e164": number(0),
        "time_zone": "Asia/Kolkata",
        "state": "WAITING",
        "due_at": now,
        "repeats": {},
        "created_at": now,
    }
    with writing(upstream.engine) as connection:
        connection.execute(call.insert(), row)
    path = f"/v1/lists/{list_id}/contacts/{number(0)}"
    assert campaign_id in upstream.refused(409, "DELETE", path)["detail"]
    with writing(upstream.engine) as connection:
        connection.execute(call.update().values(state="COMPLETED"))
        connection.execute(campaign.update().values(cursor=1))
    assert campaign_id in upstream.refused(409, "DELETE", path)["detail"], "the campaign has counted them"
    assert upstream.ask("DELETE", f"/v1/lists/{list_id}/contacts/{number(1)}").status_code == 204
    upstream.refused(404, "DELETE", f"/v1/lists/{list_id}/contacts/{number(1)}")
    found = upstream.got("GET", f"/v1/lists/{list_id}")
    assert (found["contacts"], found["fields"]) == (1, {"due": 1})
    again = upstream.got("POST", f"/v1/lists/{list_id}/contacts", {"contacts": [{"number": number(1)}]})
    assert again["accepted"] == 1
    assert [one["number"] for one in pages(upstream, f"/v1/lists/{list_id}/contacts", 5)] == [
        number(0),
        number(1),
    ]


def test_a_deleted_list_is_gone_at_once_and_its_contacts_bit_by_bit(upstream: Upstream) -> None:
    list_id = new_list(upstream, "people", numbers=7)
    campaign_id = add_campaign(upstream, list_id, "PAUSED")
    assert campaign_id in upstream.refused(409, "DELETE", f"/v1/lists/{list_id}")["detail"]
    with writing(upstream.engine) as connection:
        connection.execute(campaign.update().values(state="FINISHED"))
    assert upstream.ask("DELETE", f"/v1/lists/{list_id}").status_code == 204
    upstream.refused(404, "GET", f"/v1/lists/{list_id}")
    upstream.refused(404, "DELETE", f"/v1/lists/{list_id}")
    assert upstream.got("GET", "/v1/lists")["data"] == []
    kept = new_list(upstream, "people", numbers=2)
    rounds = 0
    while True:
        with writing(upstream.engine) as connection:
            if not contacts.purge(connection, 3):
                break
        rounds += 1
    assert rounds == 4
    assert {row.list_id for row in upstream.rows(contact.select())} == {kept}


def test_a_dnd_list_holds_checks_and_lets_go(upstream: Upstream) -> None:
    made = upstream.got("POST", "/v1/dnd-lists", {"name": "never"}, status=201)
    path = f"/v1/dnd-lists/{made['id']}"
    added = upstream.got(
        "POST",
        f"{path}/numbers",
        {"numbers": [{"number": number(i), "name": "x"} for i in (1, 2, 2)] + [{"number": "0"}]},
    )
    assert (added["accepted"], added["duplicate"], added["invalid"]) == (2, 1, 1)
    assert [one["number"] for one in pages(upstream, f"{path}/numbers", 1)] == [number(1), number(2)]
    checked = upstream.got("POST", f"{path}/check", {"numbers": [number(2), number(3), "x"]})["data"]
    assert [(one["number"], one["listed"]) for one in checked] == [
        (number(2), True),
        (number(3), False),
        (None, False),
    ]
    assert checked[2]["reason"].endswith(".")
    assert upstream.ask("DELETE", f"{path}/numbers/{number(2)}").status_code == 204
    upstream.refused(404, "DELETE", f"{path}/numbers/{number(2)}")
    assert upstream.got("GET", path)["numbers"] == 1
    assert upstream.got("PATCH", path, {"name": "not ever"})["name"] == "not ever"
    assert upstream.ask("DELETE", path).status_code == 204
    upstream.refused(404, "GET", path)
    while True:
        with writing(upstream.engine) as connection:
            if not dnd.purge(connection, 3):
                break
    assert upstream.rows(dnd_number.select()) == []


def test_the_global_dnd_list_has_a_name_of_its_own_and_stays(upstream: Upstream) -> None:
    found = upstream.got("GET", "/v1/dnd-lists/global")
    assert found["is_global"]
    assert upstream.got("GET", f"/v1/dnd-lists/{found['id']}") == found
    draft = {"name": "a", "list_id": new_list(upstream), "caller_id": "+15168148111", "text": "hello"}
    made = upstream.got(
        "POST", "/v1/campaigns", {**draft, "dnd_list_ids": ["global", found["id"]]}, status=201
    )
    assert made["dnd_list_ids"] == [found["id"]]
    changed = {"dnd_list_ids": ["global"]}
    assert upstream.got("PATCH", f"/v1/campaigns/{made['id']}", changed)["dnd_list_ids"] == [found["id"]]
    upstream.refused(409, "DELETE", "/v1/dnd-lists/global")
    upstream.refused(409, "PATCH", "/v1/dnd-lists/global", {"name": "x"})


def test_a_dnd_list_that_a_campaign_honours_stays(upstream: Upstream) -> None:
    dnd_list_id = upstream.got("POST", "/v1/dnd-lists", {"name": "never"}, status=201)["id"]
    campaign_id = add_campaign(upstream, new_list(upstream), "SCHEDULED")
    with writing(upstream.engine) as connection:
        statement = sa.text("INSERT INTO campaign_dnd_list (campaign_id, dnd_list_id) VALUES (:c, :d)")
        connection.execute(statement, {"c": campaign_id, "d": dnd_list_id})
    assert campaign_id in upstream.refused(409, "DELETE", f"/v1/dnd-lists/{dnd_list_id}")["detail"]


def test_changes_need_the_scope_and_stand_in_the_audit_log_without_numbers(upstream: Upstream) -> None:
    reader = upstream.key(Scope.READ)
    list_id = new_list(upstream, numbers=1)
    assert upstream.ask("GET", f"/v1/lists/{list_id}", key=reader).status_code == 200
    for method, path in [
        ("POST", "/v1/lists"),
        ("DELETE", f"/v1/lists/{list_id}"),
        ("POST", f"/v1/lists/{list_id}/contacts"),
        ("DELETE", f"/v1/lists/{list_id}/contacts/{number(0)}"),
        ("POST", "/v1/dnd-lists/global/numbers"),
        ("POST", "/v1/imports"),
    ]:
        upstream.refused(403, method, path, {}, key=reader)
    upstream.ask("DELETE", f"/v1/lists/{list_id}/contacts/{number(0)}")
    entries = upstream.rows(sa.select(audit_entry.c.action, audit_entry.c.detail).order_by(audit_entry.c.id))
    entries = [row for row in entries if row.action != "key.create"]
    assert [row.action for row in entries] == ["list.create", "list.add_contacts", "list.remove_contact"]
    assert "9199792" not in str(entries)


@pytest.mark.parametrize("path", ["/v1/lists/%00", "/v1/dnd-lists/a%00b/numbers", "/v1/imports/%00"])
def test_an_id_that_no_database_takes_is_no_endpoint(upstream: Upstream, path: str) -> None:
    upstream.refused(404, "GET", path)
