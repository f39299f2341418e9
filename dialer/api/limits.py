"""How often a key may ask, and how often a wrong one: whoever does too often is told when to come again, all with a
limit what is left of it."""

from __future__ import annotations

from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dialer.api.failures import TooManyRequestsError, TooManyWrongKeysError
from dialer.pace.requests import Counted
from dialer.pace.wrong_keys import WrongKeys, source

_COUNTED = "counted"


def admit(request: Request, key_id: str, own: int | None) -> None:
    """Count a request of a key with this limit of its own. Raises `TooManyRequestsError`."""
    counted: Counted | None = request.app.state.limits.count(key_id, own)
    if counted is None:
        return
    request.scope["state"][_COUNTED] = counted
    if not counted.is_within:
        raise TooManyRequestsError(counted.limit, counted.wait)


def check_source(request: Request, account_id: str, key: str) -> None:
    """Before a key is looked at: raises `TooManyWrongKeysError` when too many wrong ones came from its address."""
    wait = _wrong_keys(request).wait(_source(request), account_id, key)
    if wait is not None:
        raise TooManyWrongKeysError(wait)


def note_right(request: Request, account_id: str, key: str) -> None:
    """The key was right."""
    _wrong_keys(request).right(_source(request), account_id, key)


def note_wrong(request: Request) -> None:
    """The key was wrong."""
    _wrong_keys(request).wrong(_source(request))


def _wrong_keys(request: Request) -> WrongKeys:
    found: WrongKeys = request.app.state.wrong_keys
    return found


def _source(request: Request) -> str:
    return source("" if request.client is None else request.client.host)


class Told:
    """Adds to every answer to a limited key, whatever it is, what is left of its limit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start" and _COUNTED in state:
                MutableHeaders(scope=message).update(state[_COUNTED].headers)
            await send(message)

        await self._app(scope, receive, telling)
