"""The first-generation API's envelope: `{"response": {…, "success": "true"}}`, for what went well and what did not.

Shapes: `cpaas-campaign-api.md`. Errors: `{"response": {"message": "…", "success": "false"}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse


def success(**content: Any) -> JSONResponse:
    """A 200 with `content` in the envelope."""
    return JSONResponse({"response": {**content, "success": "true"}})


def failure(
    status: int, message: str, headers: Mapping[str, str] | None = None, **content: Any
) -> JSONResponse:
    """An error in the envelope."""
    # A message may quote what was sent, and JSON can send halves of surrogate pairs.
    message = message.encode("utf-8", "replace").decode()
    return JSONResponse(
        {"response": {"message": message, **content, "success": "false"}}, status_code=status, headers=headers
    )


#: What every endpoint of the first generation may answer besides, for `/docs`; what is meant says the message.
FAILURES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {
            "application/json": {
                "example": {"response": {"message": "…what and how to mend…", "success": "false"}}
            }
        },
    }
    for status in (400, 401, 403, 404, 409, 413, 429, 501, 503)
}
