"""Tenants: over every route that takes an id, another account's id answers exactly as one that nobody has.

The routes are read from the application's own OpenAPI document, so that a new one is covered by itself. One that takes
an id which `Things` cannot make, or whose body has no example, fails here until it can.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from document import examples
from things import ONE, Things, is_id
from upstream import Upstream

JSON, FORM = "application/json", "multipart/form-data"
#: Parameters of a path that are not ids.
NO_IDS = {"number"}


@dataclass(frozen=True)
class Place:
    """Where a route takes an id: `where` is path, query or body."""

    method: str
    path: str
    where: str
    name: str
    #: Of the body.
    media: str = JSON

    def __str__(self) -> str:
        return f"{self.method} {self.path}, {self.name} in the {self.where}"


@pytest.fixture
def both(upstream: Upstream) -> tuple[Things, Things]:
    """Things of the account that asks, and of another."""
    upstream.add_provider()
    upstream.add_provider(name="between", kind="mtt-callback")
    upstream.add_provider(name="flash", kind="mitto-flash")
    mine, theirs = Things(upstream), Things(upstream, other=True)
    for each in (mine, theirs):
        each.make_all()
    return mine, theirs


def test_anothers_id_answers_as_one_that_nobody_has(upstream: Upstream, both: tuple[Things, Things]) -> None:
    mine, theirs = both
    document = upstream.client.get("/openapi.json").json()
    wrong, tried, before = [], 0, seen(upstream)
    for place, operation in places(document):
        name = place.name.rpartition(".")[2]
        if name not in theirs:
            wrong.append(f"{place}: Things does not know how to make one")
            continue
        answers = [
            normal(send(upstream, place, operation, mine, one), one)
            for one in (theirs[name], unknown(theirs[name]))
        ]
        tried += 1
        if answers[0] != answers[1]:
            wrong.append(f"{place}: {answers[0]} is not {answers[1]}")
        elif place.where != "query" and not is_told(place, answers[0]):
            wrong.append(f"{place}: {answers[0]} does not say that there is none; has it an example?")
    assert not wrong, "\n".join(wrong)
    assert tried > 40
    assert {"calls.template_id", "subject"} <= {place.name for place, _ in places(document)}
    assert seen(upstream) == before


def seen(upstream: Upstream) -> dict[str, Any]:
    """All that the other account sees of what it has."""
    paths = ("lists", "dnd-lists", "keys", "campaigns", "callbacks", "verifications", "webhooks", "imports")
    return {path: upstream.got("GET", f"/v1/{path}", other=True) for path in paths}


def places(document: Mapping[str, Any]) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """Every place of the document that takes an id."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for parameter in operation.get("parameters", ()):
                name, where = parameter["name"], parameter["in"]
                if (where == "path" and name not in NO_IDS) or is_id(path, name):
                    yield Place(method.upper(), path, where, name), operation
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                for name in sorted(fields(document, content)):
                    if is_id(path, name.rpartition(".")[2]):
                        yield Place(method.upper(), path, "body", name, media), operation


def fields(document: Mapping[str, Any], content: Mapping[str, Any]) -> set[str]:
    """The names of a body's fields: as its schema has them, else as its example has. Those of the objects in an array
    come with its name: `calls.template_id`."""

    def named(schema: Mapping[str, Any]) -> set[str]:
        if "$ref" in schema:
            return named(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
        found = set(schema.get("properties", ()))
        for outer, value in schema.get("properties", {}).items():
            found |= {f"{outer}.{inner}" for inner in named(value.get("items", {}))}
        return found.union(*(named(one) for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()))))

    return named(content.get("schema", {})) or set(content.get("example", ()))


def send(
    upstream: Upstream, place: Place, operation: Mapping[str, Any], mine: Things, one: str
) -> httpx.Response:
    """Ask with this id in that place, and own ids in all others."""
    sent = {"number": ONE} if place.where == "body" else {"number": ONE, place.name: one}
    path = re.sub(r"\{(\w+)\}", lambda found: sent.get(found[1]) or mine[found[1]], place.path)
    if place.media == FORM:
        return upstream.send_file(path, "people.csv", b"phone\n12\n", {"kind": "contacts", place.name: one})
    content = operation.get("requestBody", {}).get("content", {})
    body = None
    if content:
        example = next(iter(examples(content[JSON])), {})
        body = {name: mine.own(place.path, name, value) for name, value in example.items()}
    if place.where == "body":
        array, _, name = place.name.rpartition(".")
        body = {**(body or {}), name: [one] if name.endswith("_ids") else one}
        if name == "template_id":  # instead of a text
            for text in ("text", "message"):
                body.pop(text, None)
        if array:
            body = {array: [body]}
    headers = {"account": upstream.account_id, "auth": upstream.auth, "Content-Type": JSON}
    query = {"since": "2026-09-25T06:00:00Z"} if place.path.endswith("{webhook_id}/replay") else {}
    if place.where == "query":
        query[place.name] = one
    return upstream.client.request(
        place.method, path, params=query, content=None if body is None else json.dumps(body), headers=headers
    )


def unknown(theirs: str) -> str:
    """An id of the same form that nobody has."""
    return theirs[:-4] + ("zzzz" if not theirs.isdigit() else "9999")


def is_told(place: Place, answer: tuple[int, str]) -> bool:
    """Whether the answer says that there is no such thing; where several ids may be given, by naming the field."""
    status, text = answer
    return status == 404 or (
        status == 422 and place.name.endswith("_ids") and f'"field":"{place.name}"' in text
    )


def normal(answer: httpx.Response, one: str) -> tuple[int, str]:
    """The answer without the id that was asked for."""
    return answer.status_code, answer.text.replace(one, "ID")
