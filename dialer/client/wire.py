"""Requests to `/v1` and their answers over HTTP: what is safe is tried again, what went wrong becomes an error."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, BinaryIO, NoReturn
from urllib.parse import quote

import httpx

from dialer.client.errors import OF_STATUS, ClientError, ConflictError, FieldProblem, UnreachableError
from dialer.retry_after import parse_retry_after

#: How often a request is sent at most.
MOST_TRIES = 5
#: Seconds before the second try, doubled before each further one, where the API does not say how long to wait.
FIRST_PAUSE = 0.5
#: Who is to wait for longer, in seconds, is told so instead.
LONGEST_PAUSE = 60.0
#: Statuses that pass.
PASSING = frozenset({429, 502, 503, 504})

IDEMPOTENCY_KEY = "Idempotency-Key"

Params = Mapping[str, Any]


def pause_before(next_try: int, error: ClientError) -> float | None:
    """Seconds to wait before try number `next_try` (2 is the first that repeats); None: not to be tried again."""
    if next_try > MOST_TRIES or not _passes(error):
        return None
    pause = FIRST_PAUSE * 2 ** (next_try - 2) if error.retry_after is None else error.retry_after
    return pause if pause <= LONGEST_PAUSE else None


def _passes(error: ClientError) -> bool:
    if isinstance(error, ConflictError):  # the answer to the try before is still being made
        return any(one.field == IDEMPOTENCY_KEY for one in error.errors)
    return isinstance(error, UnreachableError) or error.status in PASSING


class Wire:
    """The connections to one API, with the key of one account. Threads may share it."""

    def __init__(
        self,
        url: str,
        account: str,
        key: str,
        timeout: float,
        sleep: Callable[[float], None],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        parsed = httpx.URL(url)
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError("url must be the API's, such as https://dialer.example.com.")
        for name, value in (("account", account), ("key", key)):
            if not value or not value.isascii() or not value.isprintable():
                raise ValueError(f"{name} is empty, or holds characters that no {name} has.")
        self._base = url.rstrip("/").removesuffix("/v1") + "/v1"
        self._headers = {"Authorization": f"Bearer {account}.{key}", "User-Agent": "dialer-client"}
        self._timeout = httpx.Timeout(timeout).as_dict()
        self._sleep = sleep
        # The transport alone: httpx's own client would write every URL, and the numbers in it, into the app's log.
        self._transport = transport or httpx.HTTPTransport()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def ask(
        self,
        method: str,
        *path: str,
        body: Any = None,
        params: Params | None = None,
        idempotency_key: str | None = None,
    ) -> Any:
        """The JSON of the answer; None when it has none. Raises `ClientError`."""
        headers, content = {}, None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, default=_plain).encode()
        if idempotency_key is not None:
            headers[IDEMPOTENCY_KEY] = idempotency_key
        request = self._request(method, path, params, headers=headers, content=content)
        try:
            return _read(self._send(request, is_safe=method == "GET" or idempotency_key is not None))
        except ClientError as error:
            error.idempotency_key = idempotency_key
            raise

    def send_file(self, *path: str, file: BinaryIO, name: str, fields: Params | None = None) -> Any:
        """A form with a file, sent as it is read. Raises `ClientError`."""
        data = {field: _field(value) for field, value in (fields or {}).items() if value is not None}
        request = self._request("POST", path, None, data=data, files={"file": (name, file)})
        return _read(self._send(request, is_safe=False))

    def pages(self, *path: str, params: Params, page_size: int) -> Iterator[Any]:
        """All items, page by page, each page when it is needed. Raises `ClientError`."""
        cursor: str | None = None
        while True:
            page = self.ask("GET", *path, params={**params, "limit": page_size, "cursor": cursor})
            yield from page["data"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def stream(self, *path: str, params: Params) -> Iterator[bytes]:
        """A file, in pieces, as they come. Raises `ClientError`, also when it ends too early."""
        response = self._send(self._request("GET", path, params), is_safe=True, whole=False)
        try:
            yield from response.iter_bytes()
        except httpx.TransportError as error:
            _unreachable(error, "broke off; what came of it is not all")
        finally:
            response.close()

    def _request(
        self, method: str, path: tuple[str, ...], params: Params | None, **content: Any
    ) -> httpx.Request:
        headers = {**self._headers, **content.pop("headers", {})}
        return httpx.Request(
            method,
            f"{self._base}/{'/'.join(map(_segment, path))}",
            params={name: _param(value) for name, value in (params or {}).items() if value is not None},
            headers=headers,
            extensions={"timeout": self._timeout},
            **content,
        )

    def _send(self, request: httpx.Request, *, is_safe: bool, whole: bool = True) -> httpx.Response:
        tries = 1
        while True:
            try:
                return self._try(request, whole=whole)
            except ClientError as error:
                tries += 1
                pause = pause_before(tries, error) if is_safe else None
                if pause is None:
                    raise
            self._sleep(pause * random.uniform(1, 1.2))  # noqa: S311 - so that apps do not come back all at once

    def _try(self, request: httpx.Request, *, whole: bool) -> httpx.Response:
        try:
            response = self._transport.handle_request(request)
            response.request = request
            try:
                if whole or not response.is_success:
                    response.read()
            except BaseException:  # Ctrl-C included: no connection may be left open
                response.close()
                raise
        except httpx.TransportError as error:
            _unreachable(error, "does not answer")
        if not response.is_success:
            raise _refusal(response)
        return response


def _segment(part: str) -> str:
    # `..` would name another thing than was meant: its parent.
    if not part or part in (".", ".."):
        raise ValueError(f"{part!r} is no id.")
    return quote(part, safe="")


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _param(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, list | tuple | set | frozenset) else value


def _field(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _unreachable(error: httpx.TransportError, what: str) -> NoReturn:
    words = str(error).strip().rstrip(".") or type(error).__name__
    raise UnreachableError(None, f"The API {what} ({words}): check its address, and try again.") from None


def _read(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        raise ClientError(
            response.status_code, "The answer is no JSON: check that the address is the API's."
        ) from None


def _refusal(response: httpx.Response) -> ClientError:
    """The error of an answer that is none of success, a problem document or not."""
    status, problem = response.status_code, None
    with suppress(ValueError):
        problem = response.json()
    if not isinstance(problem, dict):
        problem = {}
    detail = problem.get("detail") or (
        f"The address answered with {status}, and not as the API does: check that it is the API's."
    )
    errors = tuple(FieldProblem(one["field"], one["message"]) for one in problem.get("errors") or ())
    retry_after = parse_retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
    return OF_STATUS.get(status, ClientError)(status, str(detail), errors, retry_after)
