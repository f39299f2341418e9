"""The body of a request of the first-generation API: a JSON object."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Request

from dialer.api.auth import CurrentAccount
from dialer.errors import FieldError


async def _raw_body(request: Request, _: CurrentAccount) -> bytes:
    return await request.body()


def decoded(raw: Annotated[bytes, Depends(_raw_body)]) -> dict[str, Any]:
    """The request's body, a JSON object. Raises `FieldError`."""
    try:
        body = json.loads(raw, parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise FieldError("body", "The body is not JSON: send an object such as {…} in UTF-8.") from None
    if not isinstance(body, dict):
        raise FieldError("body", "The body must be a JSON object such as {…}.")
    return body


def no_constant(name: str) -> None:
    raise ValueError(name)


Body = Annotated[dict[str, Any], Depends(decoded)]


def takes(**example: Any) -> dict[str, Any]:
    """The body of an endpoint, for its page in `/docs`."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"requestBody": {"required": True, "content": content}}
