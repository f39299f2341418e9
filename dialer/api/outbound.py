"""Calls asked for one by one, in the first-generation API: committed, rung for at once, then answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from sqlalchemy import Connection, Engine
from starlette.datastructures import Headers

from dialer.api.auth import HEADERS, account_of
from dialer.api.body import decoded, takes
from dialer.api.envelope import success
from dialer.calls.single import NewOtp, add_otp
from dialer.db import reading, utc_now, writing
from dialer.settings import Settings

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


def make_router(
    engine: Engine,
    settings: Settings,
    ring: Callable[[Sequence[str]], None],
    clock: Callable[[Connection], datetime] = utc_now,
) -> APIRouter:
    """`ring` has a worker place released calls; the call's row is the truth, so a lost ring only costs time."""
    router = APIRouter(prefix="/api", tags=["first generation"])

    @router.post("/outbound_call", openapi_extra=takes(**_OTP), dependencies=HEADERS)
    async def outbound_call(request: Request) -> JSONResponse:
        """See "One Time Password"."""
        # One step in one thread, one transaction: somebody waits for this one.
        return await run_in_threadpool(place, request.headers, await request.body())

    def place(headers: Headers, raw: bytes) -> JSONResponse:
        if engine.dialect.name == "sqlite":  # whose one writer nobody may hold up without a key
            with reading(engine) as connection:
                account_of(connection, headers.get("account"), headers.get("auth"))
        with writing(engine) as connection:
            account = account_of(connection, headers.get("account"), headers.get("auth"))
            wanted = NewOtp.read(decoded(raw), account.default_region or settings.default_region)
            call_id, released = add_otp(connection, account, wanted, clock(connection))
        if released:
            ring([call_id])
        return success(request_id=call_id)

    return router
