"""The references of B3: the webhook's address, answered at once with nothing behind it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


def create_app() -> FastAPI:
    """An ordinary FastAPI route."""
    app = FastAPI()

    @app.api_route("/webhooks/{provider}/{token}", methods=["GET", "POST"])
    async def answer(provider: str, token: str) -> PlainTextResponse:
        return PlainTextResponse("ok")

    return app


def create_bare() -> ASGIApp:
    """No framework at all: what the HTTP server itself can do."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError("only HTTP is answered")
        await receive()
        headers = [(b"content-length", b"2"), (b"content-type", b"text/plain; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    return answer
