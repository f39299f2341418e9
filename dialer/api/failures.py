"""What goes wrong, as an answer: in the envelope of the first generation, under `/v1` as a problem document."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dialer.api import envelope
from dialer.api.sentences import place, sentence
from dialer.api.v1 import problem
from dialer.api.v1.problem import FieldProblem
from dialer.db import took_too_long
from dialer.errors import Conflict, FieldError, LimitReached, NoRoom, NotFound, RequestError
from dialer.logs import get_logger
from dialer.settings import SettingsError

#: Bytes.
MAX_BODY = 10_000_000
#: What is read of a longer one before it is refused.
MOST_DRAINED = 5 * MAX_BODY

#: Where forms with files may be sent; nothing of them is read before it is known who sends them.
TAKE_FILES = frozenset({"/v1/imports", "/v1/media"})
#: Bytes of such a form beside the file.
FORM_ITSELF = 1_000_000

log = get_logger(__name__)

_STATUS: dict[type[RequestError], int] = {
    FieldError: 400,
    NotFound: 404,
    Conflict: 409,
    NoRoom: 413,
    LimitReached: 429,
}
_SENTENCES = {
    404: "There is no such endpoint: check the path.",
    405: "This endpoint does not take this method: check whether it is GET or POST.",
}
NOT_JSON = "The body is not JSON: send an object such as {…} in UTF-8."
_BY_HEADERS = "The account and auth headers do not match an enabled account: send its id and one of its keys."
_BY_BEARER = (
    "The request does not carry a key of an enabled account: send Authorization: Bearer ACCOUNT.KEY, "
    "or the headers account and auth."
)


_TOO_LONG = (
    "The database took too long over this request, so it was given up: ask for less at once, such "
    "as a shorter time or a smaller limit, or try again later."
)


class UnauthorizedError(Exception):
    """The request does not carry a key that opens an account."""


class ForbiddenError(Exception):
    """The key does not have the scope that this needs; the message says which."""


class TooManyRequestsError(Exception):
    """The key has asked as often as it may: `limit` times in a minute."""

    def __init__(self, limit: int, wait: int) -> None:
        super().__init__(
            f"This key may ask {limit:,} times a minute, evenly: try again after {wait} s (Retry-After)."
        )
        self.wait = wait


class TooManyWrongKeysError(Exception):
    """Too many wrong keys came from the address of the request, whose own is not looked at for `wait` seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(
            "Too many requests with a wrong account or key came from this address, so this one was not looked at: try "
            f"again after {wait} s (Retry-After)."
        )
        self.wait = wait


class BodyTooLargeError(Exception):
    """The request's body is longer than `most` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.most = most


def install(app: FastAPI) -> None:
    """Have every error that can be expected answered; `Guard` has those that nobody expects."""

    @app.exception_handler(RequestError)
    def request_error(request: Request, error: RequestError) -> JSONResponse:
        status = _STATUS.get(type(error), 400)
        headers = {"Retry-After": str(error.retry_after)} if isinstance(error, LimitReached) else None
        fields = [FieldProblem(error.field, error.message)]
        return _failed(request, status, error.message, headers, fields)

    @app.exception_handler(UnauthorizedError)
    def unauthorized(request: Request, _: UnauthorizedError) -> JSONResponse:
        if is_second_generation(request.url.path):
            return problem.response(401, _BY_BEARER, {"WWW-Authenticate": "Bearer"})
        return envelope.failure(401, _BY_HEADERS)

    @app.exception_handler(ForbiddenError)
    def forbidden(request: Request, error: ForbiddenError) -> JSONResponse:
        return _failed(request, 403, str(error))

    @app.exception_handler(TooManyRequestsError)
    @app.exception_handler(TooManyWrongKeysError)
    def too_many(request: Request, error: TooManyRequestsError | TooManyWrongKeysError) -> JSONResponse:
        return _failed(request, 429, str(error), {"Retry-After": str(error.wait)})

    @app.exception_handler(BodyTooLargeError)
    def too_large(request: Request, error: BodyTooLargeError) -> JSONResponse:
        return _too_large(request.url.path, error.most)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400 and isinstance(error.__cause__, ValueError | RecursionError):
            return _unread(request)  # JSON that is nested too deeply, or holds no UTF-8
        headers = dict(error.headers) if error.headers else None
        message = _SENTENCES.get(error.status_code, str(error.detail))
        return _failed(request, error.status_code, message, headers)

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = error.errors()
        if any(one["type"] == "json_invalid" for one in errors):
            return _unread(request)
        wrong = [FieldProblem(place(one["loc"]), sentence(one)) for one in errors]
        return _failed(request, 400, wrong[0].message, fields=wrong)

    @app.exception_handler(SettingsError)
    def unsupported(request: Request, error: SettingsError) -> JSONResponse:
        return _failed(request, 501, str(error))

    @app.exception_handler(OperationalError)
    @app.exception_handler(PoolTimeoutError)
    def unavailable(request: Request, error: Exception) -> JSONResponse:
        if took_too_long(error):
            log.warning("a statement took too long", path=request.url.path)
            return _failed(request, 503, _TOO_LONG, {"Retry-After": "5"})
        log.warning("the database did not answer", error=type(error).__name__)
        sentence = "The database does not answer at the moment: try again."
        return _failed(request, 503, sentence, {"Retry-After": "1"})


def is_second_generation(path: str) -> bool:
    """Whether errors at this path are problem documents."""
    return path == "/v1" or path.startswith("/v1/")


def _failed(
    request: Request,
    status: int,
    message: str,
    headers: Mapping[str, str] | None = None,
    fields: Sequence[FieldProblem] = (),
) -> JSONResponse:
    if not is_second_generation(request.url.path):
        return envelope.failure(status, message, headers)
    # RFC 9110: 400 is a request that cannot be read, 422 one whose values cannot be used.
    status = 422 if status == 400 and fields else status
    return problem.response(status, message, headers, fields)


def _unread(request: Request) -> JSONResponse:
    if not is_second_generation(request.url.path):
        return envelope.failure(400, NOT_JSON)
    return problem.response(400, NOT_JSON, fields=[FieldProblem("body", NOT_JSON)])


class Guard:
    """Bounds bodies, and turns what nobody expected into a 500 that shows nothing, with the traceback in the log."""

    def __init__(self, app: ASGIApp, most_uploaded: int = MAX_BODY) -> None:
        """`most_uploaded`: bytes of a form with a file, where one may be sent."""
        self._app = app
        self._most_uploaded = most_uploaded

    def _most(self, scope: Scope) -> int:
        """Bytes that the body may have."""
        return (
            self._most_uploaded + FORM_ITSELF if scope["path"] in TAKE_FILES and is_form(scope) else MAX_BODY
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"]:  # which no id holds, and no database takes
            await _answer(scope["path"], 404, _SENTENCES[404])(scope, receive, send)
            return
        received, most = 0, self._most(scope)
        started = False

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                await _drain(receive, message)
                raise BodyTooLargeError(most)
            return message

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        if _announced(scope) > most:
            await _drain(receive, {"more_body": True})
            await _too_large(scope["path"], most)(scope, receive, send)
            return
        try:
            await self._app(scope, bounded, watched)
        except ClientDisconnect:
            return  # nobody is left to answer
        except Exception:  # a bug of ours, whichever: the caller is told so, and nothing of it
            log.exception("a request failed", method=scope["method"], path=scope["path"])
            if started:
                raise  # the server cuts the connection, so that half an answer is not taken for a whole one
            response = _answer(
                scope["path"], 500, "Something went wrong on our side; it has been logged. Try again later."
            )
            await response(scope, receive, send)


async def _drain(receive: Receive, message: MutableMapping[str, Any]) -> None:
    """Read on and forget. Who still sends while the connection is closed may never see the answer."""
    drained = 0
    while message.get("more_body") and drained < MOST_DRAINED:
        message = await receive()
        drained += len(message.get("body", b""))


def _too_large(path: str, most: int) -> JSONResponse:
    return _answer(
        path,
        413,
        f"The body may have at most {most:,} bytes: send contacts in several requests, or as a CSV file.",
        {"Connection": "close"},
    )


def _answer(path: str, status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    answer = problem.response if is_second_generation(path) else envelope.failure
    return answer(status, message, headers)


def is_form(scope: Scope) -> bool:
    """Whether the body says that it is a form with files."""
    return any(
        name == b"content-type" and value.lower().startswith(b"multipart/form-data")
        for name, value in scope["headers"]
    )


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 20:
            return int(value)
    return 0
