"""`/v1/templates` and `/v1/media`: what people will hear, looked at before they do."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from test_v1_lists import new_list, pages
from upstream import Upstream

from dialer.db import writing
from dialer.keys import Scope
from dialer.store import accounts, announce_templates
from dialer.store.tables import campaign

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "


def approves(upstream: Upstream) -> None:
    with writing(upstream.engine) as connection:
        accounts.update(connection, upstream.account_id, approves_templates=True)


def otp(upstream: Upstream, template_id: str) -> Any:
    headers = {"account": upstream.account_id, "auth": upstream.auth}
    body = {
        "customer_number": "919979271234",
        "otp": "1987",
        "announce_template_id": template_id,
        "caller_id": "15168148111",
    }
    return upstream.client.post("/api/outbound_call", json=body, headers=headers)


def test_a_template_is_used_once_it_is_approved_and_until_it_is_rejected(upstream: Upstream) -> None:
    upstream.add_provider()
    made = upstream.got("POST", "/v1/templates", {"text": " Your code is {otp}. "}, status=201)
    assert (made["state"], made["text"], made["fields"]) == ("PENDING", "Your code is {otp}.", ["otp"])
    path = f"/v1/templates/{made['id']}"
    pending = otp(upstream, made["id"])
    assert pending.status_code == 404
    assert "no approved template" in pending.text
    draft = {
        "name": "a",
        "list_id": new_list(upstream),
        "caller_id": "+15168148111",
        "template_id": made["id"],
    }
    upstream.refused(409, "POST", "/v1/campaigns", draft)
    assert "by the operator" in upstream.refused(403, "POST", f"{path}/approve")["detail"]
    approves(upstream)
    upstream.refused(403, "POST", f"{path}/approve", key=upstream.key(Scope.CAMPAIGN))
    approved = upstream.got("POST", f"{path}/approve")
    assert approved["state"] == "APPROVED"
    assert approved["reviewed_at"] is not None
    assert upstream.got("POST", f"{path}/approve") == approved
    assert otp(upstream, made["id"]).status_code == 200
    rejected = upstream.got("POST", f"{path}/reject", {"reason": "Too short."})
    assert (rejected["state"], rejected["reason"]) == ("REJECTED", "Too short.")
    assert otp(upstream, made["id"]).status_code == 404
    again = upstream.got("POST", f"{path}/approve")
    assert (again["state"], again["reason"]) == ("APPROVED", "")
    assert (
        upstream.got("POST", f"{path}/reject")["state"] == "REJECTED"
    )  # without a body, so without a reason
    assert upstream.ask("DELETE", path).status_code == 204
    upstream.refused(404, "GET", path)
    log = upstream.got("GET", f"/v1/audit?subject={made['id']}")["data"]
    assert [one["action"].removeprefix("template.") for one in log] == [
        "remove", "reject", "approve", "reject", "approve", "create",
    ]  # fmt: skip


def test_a_general_template_speaks_no_password(upstream: Upstream) -> None:
    upstream.add_provider()
    approves(upstream)
    for text in ("Dear {name}, {otp}.", "Hello."):
        made = upstream.got("POST", "/v1/templates", {"text": text}, status=201)
        upstream.got("POST", f"/v1/templates/{made['id']}/approve")
        refused = otp(upstream, made["id"])
        assert refused.status_code == 400
        assert "must hold {otp}" in refused.text


def test_templates_are_paged_and_each_account_has_its_own(upstream: Upstream) -> None:
    made = []
    for index in range(3):
        body = {"text": f"Hello {index}.", "id": f"AN{index}"}
        made.append(upstream.got("POST", "/v1/templates", body, status=201)["id"])
        upstream.clock.now += timedelta(seconds=1)
    assert [one["id"] for one in pages(upstream, "/v1/templates", 2)] == made
    assert len(upstream.got("GET", "/v1/templates?state=PENDING")["data"]) == 3
    assert upstream.got("GET", "/v1/templates?state=APPROVED")["data"] == []
    assert upstream.got("GET", "/v1/templates", other=True)["data"] == []
    upstream.refused(409, "POST", "/v1/templates", {"text": "x", "id": "AN1"})
    upstream.got("POST", "/v1/templates", {"text": "x", "id": "AN1"}, other=True, status=201)
    for method, path in (("GET", ""), ("DELETE", "")):
        theirs = upstream.refused(404, method, f"/v1/templates/AN2{path}", other=True)
        assert theirs == upstream.refused(404, method, f"/v1/templates/ANnosuch{path}", other=True)


def test_templates_of_before_are_approved(upstream: Upstream) -> None:
    with writing(upstream.engine) as connection:
        row = {
            "account_id": upstream.account_id,
            "id": "AN1",
            "text": "{otp}",
            "created_at": upstream.clock.now,
        }
        announce_templates.add(connection, row)
    assert upstream.got("GET", "/v1/templates/AN1")["state"] == "APPROVED"


def test_recorded_files_are_sent_listed_named_and_removed(upstream: Upstream) -> None:
    upstream.add_provider()
    for name in ("b.wav", "a.wav"):
        assert upstream.send_file("/v1/media", name, WAV).status_code == 201
    folder = Path(upstream.settings.uploads) / upstream.account_id
    (folder / "people.csv").write_text("phone\n")
    assert pages(upstream, "/v1/media", 1) == [
        {"name": name, "bytes": len(WAV)} for name in ("a.wav", "b.wav")
    ]
    assert upstream.send_file("/v1/media", "a.wav", WAV).status_code == 409
    assert upstream.got("GET", "/v1/media", other=True)["data"] == []
    upstream.refused(404, "DELETE", "/v1/media/a.wav", other=True)
    draft = {"name": "a", "list_id": new_list(upstream), "caller_id": "+15168148111", "file": "uploads/a.wav"}
    made = upstream.got("POST", "/v1/campaigns", draft, status=201)
    assert made["file"] == "a.wav"
    other = upstream.got(
        "POST", "/v1/campaigns", {**draft, "name": "b", "file": "provider/known"}, status=201
    )
    assert other["file"] == "provider/known"
    assert upstream.ask("DELETE", "/v1/media/a.wav").status_code == 204
    upstream.refused(404, "DELETE", "/v1/media/a.wav")
    upstream.refused(404, "DELETE", "/v1/media/people.csv")
    for file in (
        "uploads/a.wav",
        "a.wav",
        "known",
        "../../x.wav",
        "provider/../x.wav",
        "s3://b/x.wav",
        "people.csv",
    ):
        problem = upstream.refused(422, "POST", "/v1/campaigns", {**draft, "name": "c", "file": file})
        assert [one["field"] for one in problem["errors"]] == ["file"], file
    # What was named before is not looked up again.
    changed = upstream.got("PATCH", f"/v1/campaigns/{made['id']}", {"name": "d"})
    assert (changed["name"], changed["file"]) == ("d", "a.wav")
    cloned = upstream.got("POST", f"/v1/campaigns/{made['id']}/clone", {"name": "e"}, status=201)
    assert cloned["file"] == "a.wav"
    assert len(upstream.rows(campaign.select())) == 3
    assert (folder / "people.csv").exists()


BAD: list[tuple[str, str, str, Any]] = [
    ("name", "POST", "/v1/lists", {}),
    ("name", "POST", "/v1/lists", {"name": ""}),
    ("name", "POST", "/v1/lists", {"name": " "}),
    ("name", "POST", "/v1/lists", {"name": 5}),
    ("name", "POST", "/v1/lists", {"name": "a\0"}),
    ("name", "POST", "/v1/lists", {"name": "a\nb"}),
    ("name", "POST", "/v1/lists", {"name": "\ud800"}),
    ("name", "POST", "/v1/lists", {"name": "x" * 201}),
    ("id", "POST", "/v1/lists", {"name": "x", "id": "LS1"}),
    ("name", "PATCH", "/v1/lists/{list}", {"name": ""}),
    ("limit", "GET", "/v1/lists?limit=0", None),
    ("limit", "GET", "/v1/lists?limit=1001", None),
    ("limit", "GET", "/v1/lists?limit=x", None),
    ("cursor", "GET", "/v1/lists?cursor=x", None),
    ("cursor", "GET", "/v1/lists/{list}/contacts?cursor=WyJhIl0", None),
    ("contacts", "POST", "/v1/lists/{list}/contacts", {}),
    ("contacts", "POST", "/v1/lists/{list}/contacts", {"contacts": []}),
    ("contacts", "POST", "/v1/lists/{list}/contacts", {"contacts": {}}),
    ("contacts", "POST", "/v1/lists/{list}/contacts", {"contacts": [{"number": "1"}] * 10_001}),
    ("contacts.0.number", "POST", "/v1/lists/{list}/contacts", {"contacts": [{}]}),
    ("contacts.0.number", "POST", "/v1/lists/{list}/contacts", {"contacts": [{"number": 5}]}),
    ("contacts.0.fields", "POST", "/v1/lists/{list}/contacts", {"contacts": [{"number": "1", "fields": []}]}),
    ("contacts.0.age", "POST", "/v1/lists/{list}/contacts", {"contacts": [{"number": "1", "age": 5}]}),
    ("number", "DELETE", "/v1/lists/{list}/contacts/12", None),
    ("number", "DELETE", "/v1/lists/{list}/contacts/x", None),
    ("name", "POST", "/v1/dnd-lists", {}),
    ("name", "POST", "/v1/dnd-lists", {"name": "x" * 201}),
    ("is_global", "POST", "/v1/dnd-lists", {"name": "x", "is_global": True}),
    ("numbers", "POST", "/v1/dnd-lists/global/numbers", {}),
    ("numbers", "POST", "/v1/dnd-lists/global/numbers", {"numbers": []}),
    ("numbers.0", "POST", "/v1/dnd-lists/global/numbers", {"numbers": ["+1"]}),
    ("numbers.0.number", "POST", "/v1/dnd-lists/global/numbers", {"numbers": [{"number": "1" * 1001}]}),
    ("numbers", "POST", "/v1/dnd-lists/global/check", {"numbers": []}),
    ("numbers.0", "POST", "/v1/dnd-lists/global/check", {"numbers": [5]}),
    ("numbers", "POST", "/v1/dnd-lists/global/check", {"numbers": "x"}),
    ("number", "DELETE", "/v1/dnd-lists/global/numbers/12", None),
    ("cursor", "GET", "/v1/dnd-lists/global/numbers?cursor=WzFd", None),
    ("cursor", "GET", "/v1/imports?cursor=WyJhIiwiYiJd", None),
    ("limit", "GET", "/v1/imports?limit=-1", None),
    ("text", "POST", "/v1/templates", {}),
    ("text", "POST", "/v1/templates", {"text": " "}),
    ("text", "POST", "/v1/templates", {"text": "{"}),
    ("text", "POST", "/v1/templates", {"text": "{a.b}"}),
    ("text", "POST", "/v1/templates", {"text": "{0}"}),
    ("text", "POST", "/v1/templates", {"text": "x" * 5001}),
    ("text", "POST", "/v1/templates", {"text": "a\0b"}),
    ("id", "POST", "/v1/templates", {"text": "x", "id": ""}),
    ("id", "POST", "/v1/templates", {"text": "x", "id": "a b"}),
    ("id", "POST", "/v1/templates", {"text": "x", "id": "x" * 17}),
    ("state", "POST", "/v1/templates", {"text": "x", "state": "APPROVED"}),
    ("state", "GET", "/v1/templates?state=GOOD", None),
    ("cursor", "GET", "/v1/templates?cursor=WzFd", None),
    ("cursor", "GET", "/v1/media?cursor=WzFd", None),
    ("name", "DELETE", "/v1/media/..wav", None),
    ("name", "DELETE", "/v1/media/a%5Cb.wav", None),
    ("name", "DELETE", "/v1/media/%252e%252e.wav", None),
    ("file", "POST", "/v1/media", {}),
]


def test_what_cannot_be_used_is_named(upstream: Upstream) -> None:
    list_id = new_list(upstream)
    approves(upstream)
    for field, method, path, body in BAD:
        problem = upstream.refused(422, method, path.replace("{list}", list_id), body)
        assert problem["errors"][0]["field"] == field, (method, path, body, problem)
    assert upstream.got("GET", f"/v1/lists/{list_id}")["contacts"] == 0


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", WAV), ("a", WAV), ("", WAV), (".wav", WAV), ("a.wav", b"ID3x"), ("a.mp3", WAV), ("a.wav", b""),
     ("a%2e%2e.wav", WAV), ("x" * 300 + ".wav", WAV)],
)  # fmt: skip
def test_a_recorded_file_that_is_none_is_refused(upstream: Upstream, name: str, content: bytes) -> None:
    answer = upstream.send_file("/v1/media", name, content)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == "file"
    assert upstream.got("GET", "/v1/media")["data"] == []


def test_a_name_with_folders_is_its_last_part(upstream: Upstream) -> None:
    assert upstream.send_file("/v1/media", "../../etc/a.wav", WAV).json()["name"] == "a.wav"
    assert upstream.send_file("/v1/media", "C:\\greetings\\b.wav", WAV).json()["name"] == "b.wav"
