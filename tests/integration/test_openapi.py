"""What the OpenAPI document says of every route holds: what it shows is taken; whatever is sent, there is no 5xx and no
answer that it does not describe.

Every id that a route takes is one that there is: one that `Things` cannot make fails here until it can.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
import sqlalchemy as sa
from document import DOCUMENT, OPERATIONS, examples
from gateway import Says, gateway
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from things import ONE, Things
from upstream import Upstream
from world import World

from dialer.api.v1 import examples as shown
from dialer.db import writing
from dialer.keys import Scope
from dialer.secrets import SecretBox
from dialer.store import tables as t

#: Sent to each route: by the suite, and by its slow part.
FEW, MANY = 4, 60
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
JSON, FORM = "application/json", "multipart/form-data"

#: The one of the first generation that has no prefix.
BARE = ("/stop_campaign", "post")

SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
#: Headers that say who asks.
BEARERS = ("Authorization", "account", "auth")
EACH = pytest.mark.parametrize(("path", "method"), OPERATIONS)

_OF_CAMPAIGN = "/v1/campaigns/{campaign_id}"
#: What needs a call that is going on, or a campaign that is over, before it can be done.
_MODIFY, _REDIAL = ("/api/modify_call", "post"), (f"{_OF_CAMPAIGN}/redial", "post")
#: What is asked before, for a thing to be where the request can do something.
BEFORE: Mapping[tuple[str, str], tuple[str, ...]] = {
    (f"{_OF_CAMPAIGN}/pause", "post"): (f"{_OF_CAMPAIGN}/start",),
    (f"{_OF_CAMPAIGN}/resume", "post"): (f"{_OF_CAMPAIGN}/start", f"{_OF_CAMPAIGN}/pause"),
    (f"{_OF_CAMPAIGN}/stop", "post"): (f"{_OF_CAMPAIGN}/start",),
    ("/v1/templates/{template_id}/approve", "post"): ("/v1/templates/{template_id}/reject",),
}
#: What a query needs.
QUERIES = {"since": "2026-09-25T06:00:00Z"}
#: By the field that names them: files of the uploads.
FILES = {
    "csv_name": "contact_number,contact_name\n919979271234,Ankit\n",
    "dnd_csv_name": "dnd_contact_number\n919979271234\n",
    "file": f"Phone,Full name,Amount\n{ONE},Ankit,500\n",
}
#: What changes nothing that the account has set up: calls and codes that are asked for, questions, a message on trial.
UNNOTED = {
    "/api/outbound_call",
    "/api/click2call",
    "/api/get_cdr_by_campaign_id",
    "/api/get_cdr_by_date",
    "/api/get_cdr_by_request_id",
    "/api/get_campaign_cdr_statistics",
    "/v1/calls",
    f"{_OF_CAMPAIGN}/preflight",
    "/v1/dnd-lists/{dnd_list_id}/check",
    "/v1/verifications",
    "/v1/verifications/{verification_id}/check",
    "/v1/webhooks/{webhook_id}/test",
}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for one in node:
            yield from references(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            yield from references(value)


def test_every_reference_leads_somewhere() -> None:
    for reference in sorted(set(references(DOCUMENT))):
        found: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            assert part in found, reference
            found = found[part]


def test_every_route_that_needs_a_key_tells_how_often_it_may_be_asked() -> None:
    limits = {"RateLimit", "RateLimit-Policy"}
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            named = {
                status: set(response.get("headers", {}))
                for status, response in operation["responses"].items()
            }
            if (path, method) in (*OPERATIONS, BARE):
                assert {"401", "429"} <= named.keys(), path
                assert named["429"] == {*limits, "Retry-After"}, path
                assert all(limits <= headers for status, headers in named.items() if status != "401"), path
            else:
                assert not any(named.values()), path


def test_every_request_says_which_scope_it_needs_and_is_refused_without(on_sqlite: Upstream) -> None:
    lacking = {scope: on_sqlite.key(*set(Scope) - {scope, Scope.ADMIN}) for scope in Scope}
    for path, method in OPERATIONS:
        operation = DOCUMENT["paths"][path][method]
        both = {"account": [], "auth": []}
        assert operation["security"] == ([{"bearer": []}, both] if path.startswith("/v1/") else [both])
        scope = Scope(re.findall("Needs a key with the scope `(.*)`[.]$", operation["description"])[0])
        answer = on_sqlite.client.request(
            method,
            asked_for(path, method, re.sub(r"\{\w+\}", "1", path)),
            json={},
            headers={"account": on_sqlite.account_id, "auth": lacking[scope]},
        )
        assert answer.status_code == 403, f"{method} {path}: {answer.text}"
        assert f"lacks the scope {scope}" in answer.text


@EACH
def test_the_document_holds(on_sqlite: Upstream, things: Things, path: str, method: str) -> None:
    send(on_sqlite, things, path, method, FEW)


@pytest.mark.chaos
@EACH
def test_the_document_holds_whatever_is_sent(
    on_sqlite: Upstream, things: Things, path: str, method: str
) -> None:
    send(on_sqlite, things, path, method, MANY)


@pytest.fixture
def things(on_sqlite: Upstream) -> Things:
    """Of an account whose providers can all that examples ask for, and whose number has a rule."""
    on_sqlite.add_provider(name="flash", kind="mitto-flash")
    rule = {
        "e164": ONE,
        "account_id": on_sqlite.account_id,
        "action": "REFUSE",
        "created_at": on_sqlite.clock.now,
    }
    with writing(on_sqlite.engine) as connection:
        connection.execute(t.inbound_rule.insert(), rule)
    return Things(on_sqlite)


def test_every_body_of_v1_has_an_example() -> None:
    taken = {
        f"{method.upper()} {path}"
        for path, method in OPERATIONS
        if path.startswith("/v1/") and JSON in body_of(path, method)
    }
    assert taken == shown.ONE.keys() | shown.SEVERAL.keys()


@pytest.fixture
def engine(on_sqlite: Upstream, redis_server: str) -> Iterator[World]:
    """The engine behind the API, a step at a time."""
    made = World(on_sqlite.engine, redis_server, box=SecretBox(on_sqlite.settings.secret_keys()))
    made.clock.now = on_sqlite.clock.now
    made.set_provider(priority=1)  # of several in whose words it can tell how calls ended
    yield made
    made.close()


def test_the_example_of_a_call_that_is_changed_is_taken(
    on_sqlite: Upstream, things: Things, engine: World
) -> None:
    with gateway() as server:
        server.rest = Says(
            body=b'{"response": {"message": "blind transferred successfully", "success": "true"}}'
        )
        own = {"account": "account_1", "auth": "k3y"}
        on_sqlite.add_provider(
            name="there", kind="cpaas", base_url=server.url, credentials=engine.box.seal(own)
        )

        def ready() -> None:
            talk = shown.SEVERAL["POST /v1/calls"]["two people who are connected"] | {"provider": "there"}
            call_id = on_sqlite.got("POST", "/v1/calls", talk, status=202)["id"]
            (attempt_id,) = engine.dial([call_id])
            things.put("channel", attempt_id)

        check_what_is_shown(on_sqlite, things, *_MODIFY, ready)
    assert len(server.came) == 1


def test_the_example_of_a_redial_is_taken(on_sqlite: Upstream, things: Things, engine: World) -> None:
    def ready() -> None:
        on_sqlite.got("POST", filled(things, f"{_OF_CAMPAIGN}/start"))
        engine.end(engine.dial(engine.release()), "busy")
        engine.clock.forward(1)
        engine.release()

    check_what_is_shown(on_sqlite, things, *_REDIAL, ready)


@pytest.mark.parametrize(("path", "method"), [one for one in OPERATIONS if one not in (_MODIFY, _REDIAL)])
def test_what_is_shown_is_taken_and_who_changed_what_is_noted(
    on_sqlite: Upstream, things: Things, path: str, method: str
) -> None:
    check_what_is_shown(on_sqlite, things, path, method)


def check_what_is_shown(
    on_sqlite: Upstream, things: Things, path: str, method: str, ready: Callable[[], None] = lambda: None
) -> None:
    """Each example of a request is taken, once all is `ready`."""
    content, responses = body_of(path, method), DOCUMENT["paths"][path][method]["responses"]
    bodies = examples(content[JSON]) if JSON in content else [] if FORM in content else [None]
    for body in bodies:
        things.forget()
        for earlier in BEFORE.get((path, method), ()):
            on_sqlite.got("POST", filled(things, earlier))
        ready()
        given = on_file(on_sqlite, owned(things, path, body))
        address = filled(things, path)
        on_sqlite.clock.advance(seconds=31)  # after which a code may be sent again
        before = noted(on_sqlite)
        headers = {"account": on_sqlite.account_id, "auth": on_sqlite.auth}  # which both generations take
        answer = on_sqlite.ask(method.upper(), asked_for(path, method, address), given, headers=headers)
        assert answer.is_success, answer.text
        assert str(answer.status_code) in responses
        if method != "get" and path not in UNNOTED:
            assert noted(on_sqlite) == before + 1
    if FORM in content:
        fields = {"kind": "contacts", "target_id": things["list_id"]} if path == "/v1/imports" else {}
        name, file = ("hello.mp3", b"ID3" + bytes(200)) if "media" in path else ("people.csv", b"phone\n")
        before = noted(on_sqlite)
        assert (
            str(on_sqlite.send_file(path, name, file, fields).status_code)
            in {"201", "202"} & responses.keys()
        )
        assert noted(on_sqlite) == before + 1


def body_of(path: str, method: str) -> dict[str, Any]:
    """What a route may be sent, by its media type."""
    content: dict[str, Any] = DOCUMENT["paths"][path][method].get("requestBody", {}).get("content", {})
    return content


def filled(things: Things, path: str) -> str:
    """The path with own ids."""
    return re.sub(r"\{(\w+)\}", lambda found: ONE if found[1] == "number" else things[found[1]], path)


def owned(things: Things, path: str, body: Any) -> Any:
    """The body with own ids in the place of those that it shows."""
    if not isinstance(body, dict):
        return body
    return {name: things.own(path, name, value) for name, value in body.items()}


def asked_for(path: str, method: str, address: str) -> str:
    """The address with the parameters that its query must have."""
    parameters = DOCUMENT["paths"][path][method].get("parameters", ())
    needed = [one["name"] for one in parameters if one["in"] == "query" and one.get("required")]
    return f"{address}?{'&'.join(f'{name}={QUERIES[name]}' for name in needed)}" if needed else address


def on_file(upstream: Upstream, body: Any) -> Any:
    """The body, whose files lie in the uploads now."""
    folder = Path(upstream.settings.uploads) / upstream.account_id
    folder.mkdir(parents=True, exist_ok=True)
    for field in FILES.keys() & (body or {}):
        (folder / body[field]).write_text(FILES[field])
    return body


def noted(upstream: Upstream) -> int:
    """Entries of the audit log."""
    return int(upstream.rows(sa.select(sa.func.count()).select_from(t.audit_entry))[0][0])


def send(upstream: Upstream, things: Things, path: str, method: str, cases: int) -> None:
    """Send what its schema allows and what it does not, every other time to what is there."""
    headers = {"account": upstream.account_id, "auth": upstream.auth}
    turns = count(1)
    queries = [
        one["name"] for one in DOCUMENT["paths"][path][method].get("parameters", ()) if one["in"] == "query"
    ]

    @settings(
        max_examples=cases,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=SCHEMA[path][method].as_strategy())
    def holds(case: Any) -> None:
        for name in BEARERS:
            (case.headers or {}).pop(name, None)  # one that was made up would hide what is behind the key
        if next(turns) % 2:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = quote(ONE if name == "number" else things[name])
            for name in queries:
                if name in (case.query or {}):
                    case.query[name] = things.own(path, name, case.query[name])
            case.body = owned(things, path, case.body)
        response = case.call(base_url=str(upstream.client.base_url), headers=headers)
        assert response.status_code != 401
        case.validate_response(response, checks=CHECKS)
        if method == "delete" and response.status_code < 300:
            things.forget()

    holds()
