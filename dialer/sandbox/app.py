"""The sandbox's server: one simulated provider per path, and `/sandbox/…` to steer and question it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from dialer.sandbox import mtt_telecom
from dialer.sandbox.callbacks import Callbacks, Receiver
from dialer.sandbox.cpaas import Cpaas
from dialer.sandbox.iotcomms import Iotcomms
from dialer.sandbox.log import CallLog
from dialer.sandbox.mitto import Mitto
from dialer.sandbox.mitto_flash import MittoFlash
from dialer.sandbox.mtt_sms import MttSms
from dialer.sandbox.mtt_voice import MttVoice
from dialer.sandbox.steering import Steering
from dialer.sandbox.wire import OpenProtocol, Server

PROVIDERS = ("iotcomms", "mitto", "mitto-flash", "mtt-callback", "mtt-sms", "mtt-voice")


def make_app(
    *,
    time_scale: float = 1.0,
    log: Path | None = None,
    callback_url: str | None = None,
    callback_user: str = "",
    callback_password: str = "",
    access_key: str | None = None,
) -> Starlette:
    """The sandbox as an ASGI application; serve it with `make_server`, which it needs to reset connections.

    `time_scale` multiplies ring and talk times (0: at once). `callback_url` is where callbacks go until
    `PUT /sandbox/callbacks/<provider>` says otherwise. `access_key` None accepts any key.
    """
    call_log = CallLog(log)
    callbacks = Callbacks(time_scale)
    if callback_url:
        receiver = Receiver(callback_url, callback_user, callback_password)
        callbacks.receivers = dict.fromkeys(PROVIDERS, receiver)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        delivering = asyncio.create_task(callbacks.run())
        try:
            yield
        finally:
            delivering.cancel()
            with suppress(asyncio.CancelledError):
                await delivering
            call_log.close()

    iotcomms = Iotcomms(call_log, callbacks)
    texts = MttSms(call_log, callbacks, access_key)
    return Starlette(
        routes=[
            Mount("/cpaas", routes=Cpaas(call_log, callbacks, access_key).routes()),
            Mount("/iotcomms", routes=iotcomms.routes()),
            Mount("/sandbox/iotcomms", routes=iotcomms.steering()),
            Mount("/mitto", routes=Mitto(call_log, callbacks, access_key).routes()),
            Mount("/mitto-flash", routes=MittoFlash(call_log, callbacks, access_key).routes()),
            *mtt_telecom.routes(call_log, callbacks, access_key),
            Mount("/mtt-sms", routes=texts.routes()),
            Route("/sandbox/inbound/mtt-sms/{account_sid}", texts.receive, methods=["POST"]),
            Route("/mtt-voice", MttVoice(call_log, callbacks).order, methods=["POST"]),
            *Steering(call_log, callbacks, PROVIDERS).routes(),
        ],
        lifespan=lifespan,
    )


def make_server(app: Starlette, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """A server for the application; requests that are never to be answered do not hold up its stop."""
    return Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=OpenProtocol,
            ws="none",
            lifespan="on",
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=4096,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=1,
        )
    )


def run(
    host: str,
    port: int,
    *,
    time_scale: float = 1.0,
    log: Path | None = None,
    callback_url: str | None = None,
    callback_user: str = "",
    callback_password: str = "",
    access_key: str | None = None,
) -> None:
    """Serve the sandbox until SIGINT or SIGTERM. See `make_app` for the options."""
    app = make_app(
        time_scale=time_scale,
        log=log,
        callback_url=callback_url,
        callback_user=callback_user,
        callback_password=callback_password,
        access_key=access_key,
    )
    make_server(app, host, port).run()
