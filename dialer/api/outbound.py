"""Calls asked for one by one, in the first-generation API: committed, rung for at once, then answered."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, cast

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from sqlalchemy import Engine

from dialer.api.auth import HEADERS, Caller, id_given, key_given, opened
from dialer.api.body import decoded, takes
from dialer.api.envelope import FAILURES, success
from dialer.calls.click_to_call import NewClickToCall
from dialer.calls.otp import NewOtp
from dialer.calls.single import Clock, NewSingle, add
from dialer.db import looking
from dialer.errors import FieldError
from dialer.keys import Scope
from dialer.reading import Fields
from dialer.settings import Settings
from dialer.store import singles

_OTP = {
    "customer_number": "919979271234",
    "otp": "1987",
    "announce_template_id": "AN2222314c96",
    "repeat": "1",
    "caller_id": "15168148111",
    "voice": "Raveena",
    "volume": "soft",
    "rate": "slow",
    "pitch": "medium",
    "language_code": "en-US",
    "tts_engine_type": "standard",
}
_CLICK = {
    "agent_number": "919979271234",
    "caller_id": "15168148111",
    "destination_number": "918000681234",
    "recording_option": "off",
    "transcript": "off",
}

#: Bytes of a body that are looked into before its sender is known; a password's are some two hundred.
LOOKED_INTO = 10_000


class Straight(APIRoute):
    """A route whose endpoint takes the request as it came: FastAPI reads nothing of it, and only tells of it in
    `/docs`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        return cast("Callable[[Request], Coroutine[Any, Any, Response]]", self.endpoint)


def make_router(
    engine: Engine,
    settings: Settings,
    ring: Callable[[Sequence[str]], None],
    clock: Clock | None = None,
) -> APIRouter:
    """`ring` has a worker place released calls; the call's row is the truth, so a lost ring only costs time. Without
    a `clock` the database's is read."""
    router = APIRouter(prefix="/api", tags=["first generation"], route_class=Straight, responses=FAILURES)

    @router.post("/outbound_call", openapi_extra=takes(**_OTP), dependencies=HEADERS)
    async def outbound_call(request: Request) -> JSONResponse:
        """See "One Time Password"."""
        # One step in one thread, two statements (with the account's own key): somebody waits for this one.
        return await run_in_threadpool(bring_password, request, await request.body())

    @router.post("/click2call", openapi_extra=takes(**_CLICK), dependencies=HEADERS)
    async def click2call(request: Request) -> JSONResponse:
        """See "Click To Call"."""
        return await run_in_threadpool(connect_two, request, await request.body())

    def bring_password(request: Request, raw: bytes) -> JSONResponse:
        account_id, key = shown(request)
        template_id = _template_named(raw)
        asked = ask(account_id, template_id)
        account = dialler(request, asked, key).account
        wanted = NewOtp.read(decoded(raw), account.default_region or settings.default_region)
        if wanted.template_id not in ("", template_id):
            asked = ask(account_id, wanted.template_id)
        return place(asked, wanted.single(asked.template))

    def connect_two(request: Request, raw: bytes) -> JSONResponse:
        account_id, key = shown(request)
        asked = ask(account_id, "")
        account = dialler(request, asked, key).account
        wanted = NewClickToCall.read(decoded(raw), account.default_region or settings.default_region)
        return place(asked, wanted.single())

    def place(asked: singles.Asked, wanted: NewSingle) -> JSONResponse:
        added = add(engine, asked, wanted)
        if added.released:
            ring([added.id])
        return success(request_id=added.id)

    def shown(request: Request) -> tuple[str, str]:
        account_id = id_given(request.headers.get("account"))
        return account_id, key_given(request, account_id, request.headers.get("auth"))

    def dialler(request: Request, asked: singles.Asked, key: str) -> Caller:
        caller = opened(request, engine, asked.account, key, asked.now)
        caller.needs(Scope.CALL)
        return caller

    def ask(account_id: str, template_id: str) -> singles.Asked:
        with looking(engine) as connection:
            asked = singles.asked(connection, account_id, template_id)
            return asked if clock is None else replace(asked, now=clock(connection))

    return router


def _template_named(raw: bytes) -> str:
    """The template that a body names, so that all can be asked at once; empty when that cannot be read, or not yet."""
    if len(raw) > LOOKED_INTO:
        return ""
    try:
        return Fields(decoded(raw)).identifier("announce_template_id")
    except FieldError:
        return ""
