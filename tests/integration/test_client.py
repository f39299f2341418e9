"""The client: it knows all of `/v1`, over real HTTP; what is safe is asked again, and nothing is made twice."""

from __future__ import annotations

import csv
import inspect
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NotRequired, Unpack, get_args, get_origin, get_type_hints

import pytest
import sqlalchemy as sa
from document import DOCUMENT
from gateway import LOST, PASSED, Gateway, Says, gateway
from test_v1_cdrs import add
from upstream import NOW, Upstream
from world import number

from dialer import client
from dialer.client import (
    Client,
    ClientError,
    answers,
    bodies,
    call_answers,
    campaign_answers,
    parts,
    verification_answers,
)
from dialer.client.group import Group
from dialer.keys import Scope
from dialer.store import tables as t

TO = number(50)
CALL: dict[str, Any] = {
    "purpose": "announcement", "to": TO, "from_": "+15168148111", "message": "Good day", "metadata": {"order": "7"},
}  # fmt: skip
SCHEMAS = DOCUMENT["components"]["schemas"]
TYPES: dict[str, Any] = {
    name: kind
    for module in (parts, bodies, answers, call_answers, campaign_answers, verification_answers)
    for name, kind in vars(module).items()
}
ROUTES = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    if path.startswith("/v1/")
    for method, operation in operations.items()
}


def connected(upstream: Upstream, url: str | None = None, key: str | None = None) -> Client:
    """As the first account; it does not really wait."""
    address = url or str(upstream.client.base_url)
    return Client(address, upstream.account_id, key or upstream.auth, sleep=lambda _: None)


# --- it knows all of /v1


def methods() -> list[tuple[str, Any]]:
    """Every method of every group, as `calls.create`, and bound to a client of nobody's."""
    made = Client("http://127.0.0.1:9", "ACaaaaaaaaaa", "key")
    groups = {name: group for name, group in vars(made).items() if isinstance(group, Group)}
    return [
        (f"{name}.{word}", method)
        for name, group in groups.items()
        for word, method in inspect.getmembers(group, inspect.ismethod)
        if not word.startswith("_")
    ]


def arguments(method: Any, file: Path) -> list[Any]:
    """Something for each parameter that must be given by its place."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [one for one in inspect.signature(method).parameters.values() if one.kind in positional]
    return [
        [] if "Sequence" in one.annotation else str(file) if one.name == "path" else "x1" for one in needed
    ]


@pytest.fixture(scope="module")
def reached(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[Any]]:
    """The methods that ask for each route, found out by using them."""
    found: dict[tuple[str, str], list[Any]] = {}
    file = tmp_path_factory.mktemp("sent") / "people.csv"
    file.write_text("number\n")
    with gateway() as nothing:
        nothing.rest = Says(body=b'{"data": [], "calls": [], "next_cursor": null}')
        with Client(nothing.url, "ACaaaaaaaaaa", "key") as app:
            for name, _ in methods():
                group, _, word = name.partition(".")
                method = getattr(getattr(app, group), word)
                needs_words = name == "imports.send"
                answer = method(
                    *arguments(method, file), **({"kind": "DND", "target_id": "x"} if needs_words else {})
                )
                if isinstance(answer, Iterator):
                    list(answer)
                (came,) = nothing.came
                nothing.came.clear()
                found.setdefault((came.method, route_of(came.method, came.path)), []).append((name, method))
    return found


def route_of(method: str, path: str) -> str:
    bare = path.partition("?")[0]
    found = [
        route
        for asked, route in ROUTES
        if asked == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route), bare)
    ]
    assert found, f"{method} {bare} is no route of the API: correct the client's method."
    return min(found, key=lambda one: one.count("{"))


def test_every_route_has_a_method(reached: dict[tuple[str, str], list[Any]]) -> None:
    missing = [f"{method} {path}" for method, path in ROUTES if (method, path) not in reached]
    assert not missing, f"The client has no method for {', '.join(missing)}: add it in dialer/client."


def test_every_method_takes_and_gives_what_the_route_does(
    reached: dict[tuple[str, str], list[Any]],
) -> None:
    for route, asking in reached.items():
        operation = ROUTES[route]
        asked = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
        for name, method in asking:
            taken = words_of(method)
            if "cursor" in asked:
                assert "page_size" in taken, f"client.{name} has no page_size"
            lacks = asked - {"limit", "cursor"} - taken
            assert not lacks, f"client.{name} lacks the parameters {sorted(lacks)} of {route}."
            assert given_by(method) == said_by(operation), f"client.{name} does not give what {route} does."


def words_of(method: Any) -> set[str]:
    hints, found = get_type_hints(method, include_extras=True), set()
    for one in inspect.signature(method).parameters.values():
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            assert get_origin(hints[one.name]) is Unpack
            found |= set(get_type_hints(get_args(hints[one.name])[0]))
        else:
            found.add(one.name)
    return {one.removesuffix("_") for one in found}


def given_by(method: Any) -> Any:
    """The type of an item, or of the whole."""
    hint = get_type_hints(method)["return"]
    return get_args(hint)[0] if get_origin(hint) in (Iterator, Sequence) else hint


def said_by(operation: dict[str, Any]) -> Any:
    (content, *_) = [
        answer.get("content", {}) for code, answer in operation["responses"].items() if code.startswith("2")
    ]
    if not content:
        return type(None)
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return bytes
    named = (schema if "$ref" in schema else schema["anyOf"][0])["$ref"].rpartition("/")[2]
    properties = SCHEMAS[named].get("properties", {})
    if set(properties) in ({"data"}, {"data", "next_cursor"}):
        named = properties["data"]["items"]["$ref"].rpartition("/")[2]
    return TYPES[named]


def schemas() -> list[tuple[str, dict[str, Any]]]:
    """Every schema that `/v1` names, and those of bodies that have no name in the document."""
    found: dict[str, dict[str, Any]] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name in SCHEMAS and name not in found:
                found[name] = SCHEMAS[name]
                look(SCHEMAS[name])
            for inner in value.values():
                look(inner)
        elif isinstance(value, list):
            for inner in value:
                look(inner)

    look(list(ROUTES.values()))
    call = ROUTES["POST", "/v1/calls"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    sent = ROUTES["POST", "/v1/imports"]["requestBody"]["content"]["application/json"]["schema"]
    columns = sent["properties"]["columns"]["anyOf"][0]
    found |= {"NewCall": call, "NewImport": sent, "Columns": columns}
    return [(name, schema) for name, schema in found.items() if not name.startswith("Page_")]


def test_every_type_is_that_of_the_document() -> None:
    for name, schema in schemas():
        kind = TYPES.get(name)
        assert kind is not None, f"dialer/client has no type {name}: write it as the document has it."
        if "enum" in schema:
            assert set(get_args(kind)) == set(schema["enum"]), name
            continue
        is_sent = name in vars(bodies) and name not in vars(parts)
        hints = get_type_hints(kind, include_extras=True)
        properties, required = schema["properties"], set(schema.get("required", ()))
        assert {one.removesuffix("_") for one in hints} == set(properties), name
        for field, hint in hints.items():
            plain = field.removesuffix("_")
            is_optional = get_origin(hint) is NotRequired
            assert is_optional == (plain not in required), f"{name}.{field}"
            wanted = type_of(properties[plain], is_sent)
            assert (get_args(hint)[0] if is_optional else hint) == wanted, f"{name}.{field}: {wanted}"


PLAIN = {"integer": int, "number": float, "boolean": bool, "string": str, "null": type(None)}


def type_of(schema: dict[str, Any], is_sent: bool) -> Any:
    named = schema["$ref"].rpartition("/")[2] if "$ref" in schema else schema.get("title")
    if (named in TYPES and "properties" in schema) or "$ref" in schema:
        return TYPES[named]
    if "anyOf" in schema:
        return union(type_of(one, is_sent) for one in schema["anyOf"])
    if "enum" in schema:
        return Literal[tuple(schema["enum"])]
    if "type" not in schema:
        return Any
    return kind_of(schema, is_sent)


def kind_of(schema: dict[str, Any], is_sent: bool) -> Any:
    if schema["type"] == "array":
        return list[type_of(schema["items"], is_sent)]
    if schema["type"] == "object":
        inner = next(iter(schema.get("patternProperties", {}).values()), schema.get("additionalProperties"))
        return dict[str, type_of(inner, is_sent) if isinstance(inner, dict) else Any]
    if is_sent and schema.get("format") == "date-time":
        return datetime | str
    return PLAIN[schema["type"]]


def union(kinds: Iterator[Any]) -> UnionType | Any:
    made = next(kinds)
    for one in kinds:
        made = made | one
    return made


def test_it_needs_nothing_of_the_engine() -> None:
    heavy = [
        "fastapi",
        "starlette",
        "sqlalchemy",
        "celery",
        "aiohttp",
        "pydantic",
        "redis",
        "dialer.settings",
    ]
    code = f"import sys, dialer.client; print([one for one in {heavy} if one in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


# --- as an app uses it


def test_an_app_makes_a_campaign_and_holds_it(on_sqlite: Upstream, tmp_path: Path) -> None:
    with connected(on_sqlite) as app:
        people = app.lists.create("people")
        added = app.lists.add_contacts(
            people["id"], [{"number": TO, "name": "Ann"}, {"number": "12"}, {"number": number(51)}]
        )
        assert (added["accepted"], added["invalid"]) == (2, 1)
        app.lists.remove_contact(people["id"], number(51))
        assert [one["name"] for one in app.lists.contacts(people["id"])] == ["Ann"]
        campaign = app.campaigns.create(
            name="reminder",
            list_id=people["id"],
            caller_id="+15168148111",
            text="Good day.",
            end_at=(NOW + timedelta(days=3)).isoformat(),
        )
        assert app.campaigns.preflight(campaign["id"])["contacts"] == 1
        states = [
            one(campaign["id"])["state"]
            for one in (app.campaigns.start, app.campaigns.pause, app.campaigns.resume, app.campaigns.stop)
        ]
        assert states == ["SCHEDULED", "PAUSED", "RUNNING", "STOPPED"]
        assert [one["id"] for one in app.campaigns.list(state="STOPPED")] == [campaign["id"]]
        assert app.campaigns.progress(campaign["id"])["state"] == "STOPPED"
        assert "campaign.pause" in [one["action"] for one in app.campaigns.history(campaign["id"])]
        assert "campaign.stop" in [one["action"] for one in app.audit.list(subject=campaign["id"])]
        file = tmp_path / "more.csv"
        file.write_text(f"phone,who\n{number(52)},Bea\n")
        sent = app.imports.send(
            file, kind="CONTACTS", target_id=people["id"], columns={"number": "phone", "name": "who"}
        )
        assert (app.imports.get(sent["id"])["file"], on_sqlite.doorbell.imports) == ("more.csv", [sent["id"]])
        assert b"".join(app.imports.errors_csv(sent["id"])) == b"line,column,value,code,reason\n"


def test_the_example_of_the_documents_runs(
    on_sqlite: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.setenv("DIALER_URL", str(on_sqlite.client.base_url))
    monkeypatch.setenv("DIALER_ACCOUNT", on_sqlite.account_id)
    monkeypatch.setenv("DIALER_KEY", on_sqlite.auth)
    monkeypatch.chdir(tmp_path)
    on_sqlite.clock.now = datetime.now(UTC)
    exec(compile(example, "client.md", "exec"), {})
    assert capsys.readouterr().out == "1 contacts, and []\n1 to be called\n"
    assert (tmp_path / "cdrs.csv").read_text().startswith("id,account_id,")


def test_cdrs_are_paged_through_and_exported(on_sqlite: Upstream) -> None:
    made = add(on_sqlite.engine, on_sqlite.account_id, 25)
    add(on_sqlite.engine, on_sqlite.other_id, 1)
    with connected(on_sqlite) as app:
        assert [one["request_id"] for one in app.cdrs.list(page_size=10)] == made[::-1]
        assert [one["request_id"] for one in app.cdrs.list(from_=NOW)] == made[-1:]
        assert [one["request_id"] for one in app.cdrs.list(call_id=made[0])] == made[:1]
        lines = b"".join(app.cdrs.export_jsonl(to=NOW)).splitlines()
        assert [json.loads(line)["request_id"] for line in lines] == made[:-1]
        table = csv.DictReader(io.StringIO(b"".join(app.cdrs.export_csv()).decode()))
        assert [one["request_id"] for one in table] == made


def test_an_export_that_breaks_off_is_not_taken_for_a_whole_one(on_sqlite: Upstream) -> None:
    with gateway() as broken, connected(on_sqlite, broken.url) as app:
        broken.rest = Says(body=b"request_id\n" * 1000, sent=500)
        with pytest.raises(client.UnreachableError, match="is not all"):
            list(app.cdrs.export_csv())


def test_each_failure_has_its_class(on_sqlite: Upstream) -> None:
    reader = on_sqlite.key(Scope.READ)
    with connected(on_sqlite) as app:
        people = app.lists.create("people")
        with pytest.raises(client.NotFoundError, match="no such list") as missing:
            app.lists.get("LInone")
        assert (missing.value.status, missing.value.detail) == (404, str(missing.value))
        with pytest.raises(client.ConflictError):
            app.lists.create("people")
        with pytest.raises(client.InvalidError) as invalid:
            app.lists.create(" ")
        assert [one.field for one in invalid.value.errors] == ["name"]
        for wrong in ("", ".", ".."):  # the last would delete the list itself
            with pytest.raises(ValueError, match="is no id"):
                app.lists.remove_contact(people["id"], wrong)
        assert app.lists.get(people["id"])["name"] == "people"
    with connected(on_sqlite, key="wrong") as app, pytest.raises(client.UnauthorizedError):
        next(app.lists.list())
    with connected(on_sqlite, key=reader) as app, pytest.raises(client.ForbiddenError, match="scope"):
        app.lists.create("others")
    with connected(on_sqlite) as app:
        app.verifications.change_settings(countries=["SE"], caller_id="+15168148111")
        begun = app.verifications.begin(number=TO, channels=[{"channel": "voice"}])
        with pytest.raises(client.TooManyRequestsError) as too_many:
            app.verifications.resend(begun["id"])
        assert too_many.value.retry_after is not None


# --- what is asked again


def test_what_reads_is_asked_again_when_it_was_told_to(on_sqlite: Upstream) -> None:
    pauses: list[float] = []
    with gateway(str(on_sqlite.client.base_url)) as between:
        between.turns = [
            Says(503, b"{}", {"Retry-After": "7"}),
            Says(429, b"{}"),
            LOST,
            Says(502, b"<h1>Bad gateway</h1>"),
            PASSED,
        ]
        with Client(between.url, on_sqlite.account_id, on_sqlite.auth, sleep=pauses.append) as app:
            assert list(app.lists.list()) == []
        assert len(between.came) == 5
        first, *others = pauses
        assert 7 <= first < 9
        assert others == sorted(others)


#: What the second request with a key gets while the first is being answered.
STILL_ANSWERED = Says(
    409, b'{"detail": "Ask again.", "errors": [{"field": "Idempotency-Key", "message": "Ask again."}]}'
)


def test_calls_are_made_once_although_the_answer_was_lost(on_sqlite: Upstream) -> None:
    with (
        gateway(str(on_sqlite.client.base_url)) as between,
        connected(on_sqlite, between.url) as app,
    ):
        between.turns = [LOST, Says(503, b"{}", {"Retry-After": "1"}), STILL_ANSWERED, LOST, PASSED]
        accepted = app.calls.create(**CALL)
        keys = {one.headers["Idempotency-Key"] for one in between.came}
        assert (len(between.came), len(keys)) == (5, 1)
        between.turns = [LOST]
        first, second = app.calls.create_many([CALL, CALL], idempotency_key="mine")
        assert app.calls.create_many([CALL, CALL], idempotency_key="mine") == [first, second]
        made = [one["id"] for one in app.calls.list()]
        assert sorted(made) == sorted([accepted["id"], first["id"], second["id"]])
        assert app.calls.get(accepted["id"])["metadata"] == {"order": "7"}
        assert app.calls.get(accepted["id"])["from"] == "+15168148111"
    assert on_sqlite.rows(sa.select(sa.func.count()).select_from(t.call))[0][0] == 3


def test_a_callback_is_made_once_although_the_answer_was_lost(on_sqlite: Upstream) -> None:
    with (
        gateway(str(on_sqlite.client.base_url)) as between,
        connected(on_sqlite, between.url) as app,
    ):
        between.turns = [LOST, STILL_ANSWERED, PASSED]
        made = app.callbacks.create(
            agent_number=TO,
            destination_number="+46700000051",
            caller_id="+15168148111",
            at="2026-09-26T09:00:00Z",
        )
        assert len({one.headers["Idempotency-Key"] for one in between.came}) == 1
        assert [one["id"] for one in app.callbacks.list()] == [made["id"]]


def failed(app: Client, gone: Gateway, ask: Any) -> tuple[ClientError, int]:
    """The error, and how many requests came."""
    before = len(gone.came)
    with pytest.raises(ClientError) as error:
        ask(app)
    return error.value, len(gone.came) - before


def test_it_gives_up_in_the_end_and_says_what_to_ask_again_with(on_sqlite: Upstream) -> None:
    with gateway() as gone, connected(on_sqlite, gone.url) as app:
        gone.rest = Says(503, b"{}", {"Retry-After": "1"})
        error, tries = failed(app, gone, lambda app: app.calls.create(**CALL))
        assert (error.status, tries) == (503, 5)
        assert error.idempotency_key == gone.came[-1].headers["Idempotency-Key"]
        # What changes something else is asked for once.
        for ask in (
            lambda app: app.lists.create("people"),
            lambda app: app.verifications.begin(number=TO),
            lambda app: app.campaigns.change("CM1", name="other"),
            lambda app: app.lists.delete("LI1"),
        ):
            assert failed(app, gone, ask)[1] == 1
        # Nor is anything that will not pass, or not for a long time.
        gone.rest = Says(429, b"{}", {"Retry-After": "3600"})
        error, tries = failed(app, gone, lambda app: app.calls.get("x"))
        assert (error.retry_after, tries) == (3600, 1)
        gone.rest = Says(404, b"<h1>nginx</h1>")
        error, tries = failed(app, gone, lambda app: app.calls.get("x"))
        assert (str(error), tries) == (
            "The address answered with 404, and not as the API does: check that it is the API's.",
            1,
        )
        gone.rest = Says(200, b"<h1>Welcome</h1>")
        assert "no JSON" in str(failed(app, gone, lambda app: app.calls.get("x"))[0])
    with (
        connected(on_sqlite, gone.url) as app,
        pytest.raises(client.UnreachableError, match="does not answer"),
    ):
        app.calls.get("x")


def test_no_number_and_no_key_is_logged(on_sqlite: Upstream, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with gateway() as between, connected(on_sqlite, between.url) as app:
        app.calls.create(**CALL)
        list(app.calls.list(to=TO))
        assert len(between.came) == 2
        assert on_sqlite.auth not in repr(vars(app)) + repr(app)
    said = caplog.text.replace("%2B", "+")
    assert TO[1:] not in said
    assert on_sqlite.auth not in said


@pytest.mark.parametrize(
    ("url", "account", "key"),
    [
        ("dialer.example.com", "AC1", "k"),
        ("ftp://a", "AC1", "k"),
        ("http://a", "", "k"),
        ("http://a", "AC1", "k\n"),
    ],
)
def test_what_can_be_no_address_or_key_is_refused(url: str, account: str, key: str) -> None:
    with pytest.raises(ValueError, match=r"must be|is empty"):
        Client(url, account, key)
