"""The body of a request of the first-generation API: a JSON object.

The reference's own curl requests hold names such as `"contact_numb er"`, broken where its lines end, which people copy:
blanks in names do not count.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from dialer.api.auth import AnyCaller
from dialer.errors import FieldError


async def _raw_body(request: Request, _: AnyCaller) -> bytes:
    return await request.body()


def decoded(raw: Annotated[bytes, Depends(_raw_body)]) -> dict[str, Any]:
    """The request's body, a JSON object. Raises `FieldError`."""
    try:
        body = json.loads(raw, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise FieldError("body", "The body is not JSON: send an object such as {…} in UTF-8.") from None
    if not isinstance(body, dict):
        raise FieldError("body", "The body must be a JSON object such as {…}.")
    return unbroken(body)


def unbroken(given: dict[str, Any]) -> dict[str, Any]:
    """An object without the blanks in its names; one that stands there as it should goes before one that does not."""
    names = {name: "".join(name.split()) for name in given}
    mended = {name: given[broken] for broken, name in names.items() if name != broken}
    return {**mended, **{name: value for name, value in given.items() if names[name] == name}}


def no_constant(name: str) -> None:
    raise ValueError(name)


Body = Annotated[dict[str, Any], Depends(decoded)]


def takes(**example: Any) -> dict[str, Any]:
    """The body of an endpoint, for its page in `/docs`."""
    schema = {"type": "object", "properties": {name: _like(value) for name, value in example.items()}}
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _like(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"type": "array", "items": _like(value[0]) if value else {}}
    if isinstance(value, dict):
        return {"type": "object", "properties": {name: _like(inner) for name, inner in value.items()}}
    return {"type": ["string", "number"]}  # which are taken for each other
