"""What the OpenAPI document says of every route that needs a key, besides what each says of itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from dialer.api.auth import Needs
from dialer.api.v1.examples import add_examples

_HEADERS: dict[str, Any] = {
    "RateLimit-Policy": {
        "description": 'of a key with a limit: requests in so many seconds, `"default";q=100;w=60`',
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": "of a key with a limit: how many may come now, and the seconds until all may again, or, of a "
        'request that was refused, until one may: `"default";r=50;t=30`',
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "seconds until it may be tried again",
        "schema": {"type": "integer", "minimum": 1},
    },
}
_LIMITS = ("RateLimit-Policy", "RateLimit")
#: What is said of a wait; who is not known has no limit.
_OF_STATUS = {"401": (), "429": (*_LIMITS, "Retry-After"), "503": (*_LIMITS, "Retry-After")}


class Documented(FastAPI):
    """An application whose document says what a key must be good for, names the headers that answers carry, and shows
    bodies that are taken."""

    #: The document that all of it was added to.
    _whole: dict[str, Any] | None = None

    def openapi(self) -> dict[str, Any]:
        """The document; made once, and anew when routes have joined."""
        document = super().openapi()
        if document is not self._whole:
            self._whole = document
            components = document.setdefault("components", {})
            components["headers"] = _HEADERS
            components.get("securitySchemes", {}).pop(Needs.scheme_name, None)
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    if operation.get("security"):
                        _say_who_may(operation)
                        _add_headers(operation["responses"])
                    taken = operation.get("requestBody", {}).get("content", {})
                    if "application/json" in taken:
                        add_examples(f"{method.upper()} {path}", taken["application/json"])
        return document


def _say_who_may(operation: dict[str, Any]) -> None:
    """Both headers together are a key, as a bearer is by itself; and it needs a scope."""
    named = {name: scopes for one in operation["security"] for name, scopes in one.items()}
    for scope in named.pop(Needs.scheme_name, ()):
        said = f"Needs a key with the scope `{scope}`."
        operation["description"] = "\n\n".join(filter(None, (operation.get("description"), said)))
    bearer = named.keys() & {"bearer"}
    operation["security"] = [
        *({name: []} for name in bearer),
        {name: [] for name in named if name not in bearer},
    ]


def _add_headers(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        named = {name: {"$ref": f"#/components/headers/{name}"} for name in _OF_STATUS.get(status, _LIMITS)}
        if named:
            response["headers"] = {**response.get("headers", {}), **named}
