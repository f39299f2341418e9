"""Problem documents (RFC 9457): how `/v1` says what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"

_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "description": "`about:blank`: `status` says what kind it is"},
        "title": {"type": "string", "description": "of the status"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong and how to mend it"},
        "errors": {
            "type": "array",
            "description": "the values that cannot be used",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """What is wrong with one value, and how to mend it."""

    field: str
    message: str


def response(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    fields: Sequence[FieldProblem] = (),
) -> JSONResponse:
    """A problem document. `detail` is a sentence that says how to mend it."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _written(detail),
    }
    if fields:
        content["errors"] = [
            {"field": _written(one.field), "message": _written(one.message)} for one in fields
        ]
    return JSONResponse(content, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses=` of an endpoint that may answer with these, for `/docs`."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": _SCHEMA}},
        }
        for status in statuses
    }


#: What every endpoint of `/v1` may answer.
ALWAYS = documented(400, 401, 403, 413, 422, 429, 503)


def _written(text: str) -> str:
    """A message may quote what was sent, and JSON can send halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()
