"""How MTT's services speak JSON-RPC (`mtt-telecom-api.md`): requests, replies and errors, strictly.

Which methods there are is told by whoever plays them: a handler takes `params` and gives `result`, or raises RpcError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dialer.sandbox.login import knows, login_of
from dialer.sandbox.outcomes import Answer
from dialer.sandbox.wire import broken

NOT_FOUND, PERMISSION_DENIED, NO_METHOD, INVALID_PARAMS, INTERNAL = -32001, -32002, -32601, -32602, -32603

#: `error.message` of each `error.code`.
MESSAGES: Mapping[int, str] = {
    NOT_FOUND: "Data not found",
    PERMISSION_DENIED: "Permission denied",
    NO_METHOD: "Method not found",
    INVALID_PARAMS: "Invalid params",
    INTERNAL: "Internal error",
}


class RpcError(Exception):
    """A method is refused; `data` says why, in the service's own form. `message` where it is not that of the code."""

    def __init__(self, code: int, data: Any = None, message: str = "") -> None:
        super().__init__(message or MESSAGES[code])
        self.code, self.data = code, data


class TroubleError(Exception):
    """What goes wrong outside of JSON-RPC; `answer` says what."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.value)
        self.answer = answer


#: Takes who asks (the login's user) and `params`.
Handler = Callable[[str, Any], Any]


class Rpc:
    """One service: a table of methods. `access_key` None accepts any password that is not empty."""

    def __init__(self, handlers: Mapping[str, Handler], access_key: str | None) -> None:
        self._handlers = handlers
        self._access_key = access_key

    async def answer(self, request: Request) -> Response:
        """A request to the service's address."""
        user, password = login_of(request) or ("", "")
        if not user or not knows(password, self._access_key):
            return Response(status_code=401, headers={"WWW-Authenticate": "Basic"})
        asked = _read(await request.body())
        if asked is None:
            return Response("Bad Request", status_code=400)
        head = {"jsonrpc": "2.0", "id": asked["id"]}
        try:
            handler = self._handlers.get(asked["method"])
            if handler is None:
                raise RpcError(NO_METHOD)
            return _json({**head, "result": handler(user, asked["params"])})
        except RpcError as error:
            told = {"code": error.code, "message": str(error)}
            return _json({**head, "error": told if error.data is None else {**told, "data": error.data}})
        except TroubleError as trouble:
            return _trouble(trouble.answer)


def named(
    params: Any, needed: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`params` by name, each of its type or one of its types. RpcError -32602 when one is missing, unknown or wrong."""
    known = {**needed, **(optional or {})}
    if not isinstance(params, dict):
        raise RpcError(INVALID_PARAMS, "params should be an object")
    for name in params:
        if name not in known:
            raise RpcError(INVALID_PARAMS, f"Unknown param '{name}'")
    for name in needed:
        if params.get(name) in (None, ""):
            raise RpcError(INVALID_PARAMS, f"Param '{name}' is required")
    for name, value in params.items():
        types = known[name] if isinstance(known[name], tuple) else (known[name],)
        if type(value) not in types:
            raise RpcError(INVALID_PARAMS, f"Unknown param '{name}' value")
    return params


def _read(raw: bytes) -> dict[str, Any] | None:
    try:
        asked = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    if (
        not isinstance(asked, dict)
        or asked.get("jsonrpc") != "2.0"
        or not isinstance(asked.get("method"), str)
    ):
        return None
    return asked if set(asked) == {"jsonrpc", "id", "method", "params"} else None


def _trouble(answer: Answer) -> Response:
    if answer is Answer.TOO_MANY:
        return Response(status_code=429, headers={"Retry-After": "1"})
    if answer is Answer.SERVER_ERROR:
        return Response("Internal Server Error", status_code=500)
    return broken(answer)


def _json(body: Mapping[str, Any]) -> Response:
    return Response(json.dumps(body), media_type="application/json")
