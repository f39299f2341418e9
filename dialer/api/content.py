"""Under `/v1` a body is JSON, whatever its `Content-Type` says: `curl -d` sends one that says it is a form."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from dialer.api.failures import TAKE_FILES, is_form, is_second_generation

_NAME, _JSON = b"content-type", b"application/json"


class ReadAsJson:
    """Has bodies read as JSON that say they are something else, but for forms where those may be sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_json(scope):
            others = [one for one in scope["headers"] if one[0].lower() != _NAME]
            scope = {**scope, "headers": [*others, (_NAME, _JSON)]}
        await self._app(scope, receive, send)


def _is_json(scope: Scope) -> bool:
    path = scope["path"]
    return is_second_generation(path) and not (path in TAKE_FILES and is_form(scope))
