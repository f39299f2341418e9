"""The first-generation API's envelope: `{"response": {…, "success": "true"}}`, for what went well and what did not.

Shapes: `cpaas-campaign-api.md`. Errors: `{"response": {"message": "…", "success": "false"}}`.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dialer.errors import Conflict, FieldError, NotFound, RequestError
from dialer.logs import get_logger
from dialer.settings import SettingsError

#: Bytes.
MAX_BODY = 10_000_000
#: What is read of a longer one before it is refused.
MOST_DRAINED = 5 * MAX_BODY

log = get_logger(__name__)

_STATUS: dict[type[RequestError], int] = {FieldError: 400, NotFound: 404, Conflict: 409}
_SENTENCES = {
    404: "There is no such endpoint: check the path.",
    405: "This endpoint does not take this method: check whether it is GET or POST.",
}


class UnauthorizedError(Exception):
    """The account and auth headers do not open this API."""


class BodyTooLargeError(Exception):
    """The request's body is longer than `MAX_BODY`."""


def success(**content: Any) -> JSONResponse:
    """A 200 with `content` in the envelope."""
    return JSONResponse({"response": {**content, "success": "true"}})


def failure(status: int, message: str, headers: dict[str, str] | None = None, **content: Any) -> JSONResponse:
    """An error in the envelope."""
    # A message may quote what was sent, and JSON can send halves of surrogate pairs.
    message = message.encode("utf-8", "replace").decode()
    return JSONResponse(
        {"response": {"message": message, **content, "success": "false"}}, status_code=status, headers=headers
    )


def install(app: FastAPI) -> None:
    """Have every error of `app` answered in the envelope."""

    @app.exception_handler(RequestError)
    def request_error(_: Request, error: RequestError) -> JSONResponse:
        return failure(_STATUS.get(type(error), 400), error.message)

    @app.exception_handler(UnauthorizedError)
    def unauthorized(_: Request, __: UnauthorizedError) -> JSONResponse:
        return failure(
            401, "The account and auth headers do not match an enabled account: send its id and its auth key."
        )

    @app.exception_handler(BodyTooLargeError)
    def too_large(_: Request, __: BodyTooLargeError) -> JSONResponse:
        return _too_large()

    @app.exception_handler(HTTPException)
    def http_error(_: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else None
        return failure(error.status_code, _SENTENCES.get(error.status_code, str(error.detail)), headers)

    @app.exception_handler(RequestValidationError)
    def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return failure(400, f"{first['loc'][-1]}: {first['msg']}.")

    @app.exception_handler(SettingsError)
    def unsupported(_: Request, error: SettingsError) -> JSONResponse:
        return failure(501, str(error))

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeoutError)
    def unavailable(_: Request, error: Exception) -> JSONResponse:
        log.warning("the database did not answer", error=type(error).__name__)
        return failure(
            503, "The database does not answer at the moment: try again.", headers={"Retry-After": "1"}
        )

    app.add_middleware(Guard)


class Guard:
    """Bounds bodies, and turns what nobody expected into a 500 that shows nothing, with the traceback in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0
        started = False

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                await _drain(receive, message)
                raise BodyTooLargeError
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        if _announced(scope) > MAX_BODY:
            await _drain(receive, {"more_body": True})
            await _too_large()(scope, receive, send)
            return
        try:
            await self._app(scope, bounded, watched)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception:
            log.exception("a request failed", method=scope["method"], path=scope["path"])
            if started:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one
            response = failure(500, "Something went wrong on our side; it has been logged. Try again later.")
            await response(scope, receive, send)


async def _drain(receive: Receive, message: MutableMapping[str, Any]) -> None:
    """Read on and forget. Who still sends while the connection is closed may never see the answer."""
    drained = 0
    while message.get("more_body") and drained < MOST_DRAINED:
        message = await receive()
        drained += len(message.get("body", b""))


def _too_large() -> JSONResponse:
    return failure(
        413,
        f"The body may have at most {MAX_BODY:,} bytes: send contacts in several requests, or as a CSV file.",
        headers={"Connection": "close"},
    )


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0
