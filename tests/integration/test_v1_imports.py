"""`/v1/imports`: sent or named, rehearsed, watched, cancelled, and every bad row told."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from test_v1_lists import new_list, number, pages
from upstream import NOW, Upstream

from dialer import accounts
from dialer.api.app import make_app
from dialer.db import reading, writing
from dialer.errors import NotFound
from dialer.imports import run_import, start_import
from dialer.keys import Scope
from dialer.models import ImportKind
from dialer.settings import Settings
from dialer.store import accounts as account_store
from dialer.store.tables import checked_number, contact, dnd_number, import_


def run(upstream: Upstream, import_id: str, *, rows: int = 1000, batches: int | None = None) -> Any:
    """Work on an import as a worker does; its answer then."""
    seconds = 600 if batches is None else batches - 1
    ticks = iter(range(10_000))
    run_import(
        upstream.engine,
        import_id,
        lambda: upstream.clock.now + timedelta(seconds=next(ticks)),
        seconds=seconds,
        rows=rows,
    )
    return upstream.got("GET", f"/v1/imports/{import_id}")


def send(upstream: Upstream, content: str | bytes, target_id: str, **fields: Any) -> Any:
    """The import of a file that is sent."""
    sent = {"kind": "contacts", "target_id": target_id, **fields}
    raw = content.encode() if isinstance(content, str) else content
    answer = upstream.send_file("/v1/imports", "people.csv", raw, sent)
    assert answer.status_code == 202, answer.text
    return answer.json()


def test_a_list_that_is_deleted_while_its_file_is_read_takes_no_import(upstream: Upstream) -> None:
    target = new_list(upstream)

    class Deleting(io.BytesIO):
        """A file, while which is read its list is deleted."""

        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() == 0:
                upstream.ask("DELETE", f"/v1/lists/{target}")
            return super().read(size)

    with reading(upstream.engine) as connection:
        account = account_store.with_id(connection, upstream.account_id)
    with pytest.raises(NotFound, match="no such list"):
        start_import(
            upstream.engine, account, ImportKind.CONTACTS, target, "people.csv", upstream.settings, NOW,
            sent=Deleting(MIXED.encode()),
        )  # fmt: skip
    assert upstream.got("GET", "/v1/imports")["data"] == []
    assert not list(Path(upstream.settings.uploads).rglob("*.csv"))


def put(upstream: Upstream, name: str, content: str | bytes) -> None:
    folder = Path(upstream.settings.uploads) / upstream.account_id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


MIXED = f"phone,name\n{number(1)},a\n12,b\n{number(1)},c\n{number(2)},d\n\n{number(3)},e\n"


def test_a_file_that_is_sent_is_imported_in_the_background(upstream: Upstream) -> None:
    upstream.got("POST", "/v1/dnd-lists/global/numbers", {"numbers": [{"number": number(3)}]})
    list_id = new_list(upstream)
    begun = send(upstream, MIXED, list_id)
    assert (begun["state"], begun["rows"], begun["file"]) == ("RUNNING", 0, "people.csv")
    assert upstream.doorbell.imports == [begun["id"]]
    half = run(upstream, begun["id"], rows=2, batches=1)
    assert (half["state"], half["rows"]) == ("RUNNING", 2)
    assert 0 < half["percent"] < 100
    assert half["bytes_read"] < half["bytes"] == len(MIXED)
    done = run(upstream, begun["id"], rows=2)
    assert (done["state"], done["percent"], done["ended_at"] is not None) == ("DONE", 100.0, True)
    counts = [done[name] for name in ("accepted", "duplicate", "invalid", "suppressed")]
    assert counts == [2, 1, 1, 1]
    assert sum(counts) == done["rows"] == 5
    assert upstream.got("GET", f"/v1/lists/{list_id}")["contacts"] == 3
    assert pages(upstream, "/v1/imports", 1) == [done]
    assert upstream.got("GET", "/v1/imports", other=True)["data"] == []


def test_a_dry_run_counts_the_same_and_writes_nothing(upstream: Upstream) -> None:
    upstream.got("POST", "/v1/dnd-lists/global/numbers", {"numbers": [{"number": number(3)}]})
    list_id = new_list(upstream)
    upstream.got("POST", f"/v1/lists/{list_id}/contacts", {"contacts": [{"number": number(2)}]})
    rehearsed = send(upstream, MIXED, list_id, dry_run="true")
    assert rehearsed["dry_run"]
    run(upstream, rehearsed["id"], rows=1, batches=3)  # a worker that is lost
    first = run(upstream, rehearsed["id"], rows=1)
    assert upstream.got("GET", f"/v1/lists/{list_id}")["contacts"] == 1
    assert upstream.rows(checked_number.select()) == []
    second = run(upstream, send(upstream, MIXED, list_id)["id"])
    for name in ("state", "rows", "accepted", "duplicate", "invalid", "suppressed", "percent"):
        assert first[name] == second[name], name
    assert (first["accepted"], first["duplicate"], first["suppressed"]) == (1, 2, 1)
    errors = [upstream.got("GET", f"/v1/imports/{one['id']}/errors") for one in (first, second)]
    assert errors[0] == errors[1]
    numbers = f"number\n{number(1)}\n{number(1)}\n"
    target = upstream.got("GET", "/v1/dnd-lists/global")["id"]
    begun = send(upstream, numbers, "global", kind="dnd", dry_run="1")
    assert begun["target_id"] == target
    done = run(upstream, begun["id"])
    assert (done["accepted"], done["duplicate"]) == (1, 1)
    assert len(upstream.rows(dnd_number.select())) == 1


def test_a_file_of_the_uploads_is_read_by_its_columns(upstream: Upstream) -> None:
    put(
        upstream, "bank.csv", f"Phone;Mobile;Full name;Amount;Zone\n+44 20;{number(1)};Ankit;500;Asia/Dubai\n"
    )
    list_id = new_list(upstream)
    body = {
        "kind": "contacts",
        "target_id": list_id,
        "file": "bank.csv",
        "columns": {
            "number": "mobile",
            "name": "Full name",
            "time_zone": "Zone",
            "fields": {"due": "Amount"},
        },
    }
    begun = upstream.got("POST", "/v1/imports", body, status=202)
    assert run(upstream, begun["id"])["accepted"] == 1
    (only,) = pages(upstream, f"/v1/lists/{list_id}/contacts", 5)
    assert (only["number"], only["name"], only["time_zone"]) == (number(1), "Ankit", "Asia/Dubai")
    assert only["fields"] == {"due": "500", "Phone": "+44 20"}
    put(upstream, "bank.csv", "Phone,Mobile\n1,2\n")
    problem = upstream.refused(422, "POST", "/v1/imports", body)
    assert problem["errors"][0]["field"] == "columns.name"
    assert "Phone, Mobile" in problem["detail"]


def test_bad_rows_are_paged_and_downloaded_without_formulas(upstream: Upstream) -> None:
    rows = ["=1+1", "12", "+3", "@x", "-4", "a\tb"]
    begun = send(upstream, "phone,name\n" + "".join(f"{row},x\n" for row in rows), new_list(upstream))
    run(upstream, begun["id"])
    errors = pages(upstream, f"/v1/imports/{begun['id']}/errors", 2)
    assert [one["line"] for one in errors] == [2, 3, 4, 5, 6, 7]
    assert [one["value"] for one in errors] == ["=1+1", "12", "+3", "@x", "-4", "a b"]
    assert all(one["reason"].endswith(".") and one["column"] == "phone" for one in errors)
    answer = upstream.ask("GET", f"/v1/imports/{begun['id']}/errors.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    header, *found = csv.reader(io.StringIO(answer.text))
    assert header == ["line", "column", "value", "code", "reason"]
    assert [row[2] for row in found] == ["'=1+1", "12", "'+3", "'@x", "'-4", "a b"]
    raw = upstream.ask("GET", f"/v1/imports/{begun['id']}/errors.csv?raw=true").text
    assert [row[2] for row in csv.reader(io.StringIO(raw))][1:3] == ["=1+1", "12"]
    for path in ("", "/errors", "/errors.csv"):
        theirs = upstream.refused(404, "GET", f"/v1/imports/{begun['id']}{path}", other=True)
        assert theirs == upstream.refused(404, "GET", f"/v1/imports/IMnosuch{path}", other=True)


def test_many_errors_are_downloaded_in_pieces(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialer.api.v1.imports.READ_AT_ONCE", 7)
    begun = send(upstream, "phone\n" + "12\n" * 21, new_list(upstream))
    run(upstream, begun["id"])
    text = upstream.ask("GET", f"/v1/imports/{begun['id']}/errors.csv").text
    assert [line.partition(",")[0] for line in text.splitlines()[1:]] == [str(n) for n in range(2, 23)]


def test_a_cancelled_import_stops_and_keeps_what_it_wrote(upstream: Upstream) -> None:
    list_id = new_list(upstream)
    begun = send(upstream, MIXED, list_id)
    run(upstream, begun["id"], rows=1, batches=1)
    upstream.refused(409, "DELETE", f"/v1/lists/{list_id}")
    upstream.refused(404, "POST", f"/v1/imports/{begun['id']}/cancel", other=True)
    cancelled = upstream.got("POST", f"/v1/imports/{begun['id']}/cancel")
    assert (cancelled["state"], cancelled["accepted"]) == ("CANCELLED", 1)
    after = run(upstream, begun["id"])
    assert after == cancelled
    assert len(upstream.rows(contact.select())) == 1
    (row,) = upstream.rows(import_.select())
    assert not row.has_scratch
    assert not Path(row.path).exists()
    upstream.refused(409, "POST", f"/v1/imports/{begun['id']}/cancel")
    assert upstream.ask("DELETE", f"/v1/lists/{list_id}").status_code == 204


def test_a_file_may_be_longer_than_json(upstream: Upstream) -> None:
    list_id = new_list(upstream)
    content = (
        b"phone,note\n" + (number(1).encode() + b"," + b"x" * 500 + b"\n") * 24_000
    )  # more than JSON may have
    assert len(content) > 10_000_000
    begun = send(upstream, content, list_id)
    assert begun["bytes"] == len(content)
    upstream.got("POST", f"/v1/imports/{begun['id']}/cancel")


def test_a_file_that_is_too_long_is_refused(
    database: Engine, tmp_path: Path, serve: Callable[[Any], str]
) -> None:
    settings = Settings(home=tmp_path / "home", upload_max_bytes=1000, _env_file=None)
    with writing(database) as connection:
        account_id, auth = accounts.create(connection, "first", NOW)
    app = make_app(database, settings)
    with httpx.Client(base_url=serve(app), timeout=20) as client:
        answer = client.post(
            "/v1/imports",
            headers={"Authorization": f"Bearer {account_id}.{auth}"},
            files={"file": ("a.csv", b"x" * 2_000_000)},
        )
    assert answer.status_code == 413
    assert "1,001,000 bytes" in answer.json()["detail"]


def test_files_that_would_be_more_than_an_account_may_have_are_refused(
    on_sqlite: Upstream, tmp_path: Path, serve: Callable[[Any], str]
) -> None:
    list_id = new_list(on_sqlite)
    whose = {"Authorization": f"Bearer {on_sqlite.account_id}.{on_sqlite.auth}"}
    settings = on_sqlite.settings.model_copy(update={"account_upload_bytes": 50})
    with httpx.Client(
        base_url=serve(make_app(on_sqlite.engine, settings)), timeout=20, headers=whose
    ) as client:
        file = {"file": ("people.csv", b"phone\n" + b"+46700000050\n" * 4)}
        answer = client.post("/v1/imports", files=file, data={"kind": "CONTACTS", "target_id": list_id})
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        (error,) = answer.json()["errors"]
        assert error["field"] == "file"
        answer = client.post("/v1/media", files={"file": ("hello.mp3", b"ID3" + b"x" * 48)})
        assert answer.status_code == 413
        assert client.post("/v1/media", files={"file": ("hello.mp3", b"ID3")}).status_code == 201
    assert list((Path(settings.uploads) / on_sqlite.account_id).rglob("*.csv")) == []


def test_nothing_is_read_of_who_may_not_send(upstream: Upstream) -> None:
    answer = upstream.client.post(
        "/v1/imports", files={"file": ("a.csv", b"phone\n")}, headers={"Authorization": "Bearer AC1.x"}
    )
    assert answer.status_code == 401
    reader = upstream.key(Scope.READ)
    assert upstream.send_file("/v1/imports", "a.csv", b"phone\n", key=reader).status_code == 403


BAD: list[tuple[str, Any]] = [
    ("file", {"kind": "contacts"}),
    ("kind", {"kind": "people"}),
    ("kind", {"kind": None}),
    ("target_id", {"target_id": None}),
    ("target_id", {"target_id": "L" * 17}),
    ("file", {"file": ""}),
    ("file", {"file": "../bank.csv"}),
    ("file", {"file": "/etc/passwd"}),
    ("file", {"file": "a\\b.csv"}),
    ("file", {"file": "a\0b"}),
    ("file", {"file": "%2e%2e%2fbank.csv"}),
    ("file", {"file": ".imports"}),
    ("file", {"file": "x" * 256}),
    ("file", {"file": "nosuch.csv"}),
    ("file", {"file": "empty.csv"}),
    ("file", {"file": "headless.csv"}),
    ("file", {"file": "utf16.csv"}),
    ("file", {"file": "old.xls"}),
    ("file", {"file": "archive.zip"}),
    ("file", {"file": "broken.xlsx"}),
    ("file", {"file": "twice.csv"}),
    ("file", {"file": 5}),
    ("sheet", {"sheet": "x" * 101}),
    ("file", {"sheet": "People"}),
    ("dry_run", {"dry_run": "perhaps"}),
    ("columns", {"columns": "phone"}),
    ("columns", {"columns": [1]}),
    ("columns.colour", {"columns": {"colour": "x"}}),
    ("columns.number", {"columns": {"number": "Cell"}}),
    ("columns.number", {"columns": {"number": ""}}),
    ("columns.name", {"columns": {"number": "phone", "name": "phone"}}),
    ("columns.fields.1due", {"columns": {"fields": {"1due": "name"}}}),
    ("columns.fields.due", {"columns": {"fields": {"due": "Amount"}}}),
    ("mode", {"mode": "fast"}),
]


def test_what_cannot_be_imported_is_named(upstream: Upstream) -> None:
    list_id = new_list(upstream)
    put(upstream, "good.csv", MIXED)
    put(upstream, "empty.csv", "")
    put(upstream, "headless.csv", f"{number(1)},a\n")
    put(upstream, "utf16.csv", MIXED.encode("utf-16"))
    put(upstream, "old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    put(upstream, "archive.zip", b"PK\x03\x04" + b"x" * 100)
    put(upstream, "broken.xlsx", b"PK\x03\x04")
    put(upstream, "twice.csv", "phone,phone\n")
    good = {"kind": "contacts", "target_id": list_id, "file": "good.csv"}
    for field, change in BAD:
        body = {**good, **change}
        if change == {"kind": "contacts"}:
            del body["file"]
        problem = upstream.refused(422, "POST", "/v1/imports", body)
        named = [error["field"] for error in problem["errors"]]
        assert named[0].removesuffix(".[key]") == field, (change, problem)
    missing = upstream.refused(404, "POST", "/v1/imports", {**good, "target_id": "LSnosuch"})
    assert missing["errors"][0]["field"] == "target_id"
    wrong_kind = upstream.refused(404, "POST", "/v1/imports", {**good, "kind": "dnd"})
    assert wrong_kind["errors"][0]["field"] == "target_id"
    assert upstream.rows(import_.select()) == []
    folder = Path(upstream.settings.uploads) / upstream.account_id / ".imports"
    assert not folder.exists() or list(folder.iterdir()) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 50_000])
def test_a_body_that_is_no_object_is_refused(upstream: Upstream, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {upstream.account_id}.{upstream.auth}"}
    answer = upstream.client.post("/v1/imports", content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"


# Starlette leaves the file of a form that is cut off to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_form_that_cannot_be_read_is_refused(upstream: Upstream) -> None:
    list_id = new_list(upstream)
    fields = {"kind": "contacts", "target_id": list_id}
    headers = {"Authorization": f"Bearer {upstream.account_id}.{upstream.auth}"}

    def refused(status: int = 422, **how: Any) -> str:
        answer = upstream.client.post("/v1/imports", headers={**headers, **how.pop("headers", {})}, **how)
        assert answer.status_code == status, answer.text
        field: str = answer.json()["errors"][0]["field"]
        return field

    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert refused(headers=form, content=b"nonsense") == "body"
    cut = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nphone\r\n1\r\n'
    assert refused(headers=form, content=cut) == "file", "half a file is none"
    assert refused(headers={"Content-Type": "multipart/form-data"}, content=b"--x") == "body"
    assert refused(data=fields, files={"other": ("a.csv", b"x")}) == "file"
    two = [("file", ("a.csv", b"x")), ("file", ("b.csv", b"x"))]
    assert refused(data=fields, files=two) == "body"
    assert refused(data=fields, files={"file": ("a.csv", b"")}) == "file"
    assert refused(data={**fields, "columns": "{"}, files={"file": ("a.csv", b"phone\n1\n")}) == "columns"
    assert refused(data={**fields, "extra": "1"}, files={"file": ("a.csv", b"phone\n1\n")}) == "extra"
    long = {**fields, "columns": json.dumps({"number": "x" * 200_000})}
    assert refused(data=long, files={"file": ("a.csv", b"phone\n1\n")}) == "body"
