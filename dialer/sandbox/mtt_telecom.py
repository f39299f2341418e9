"""MTT's Telecom API as it is served: `webapicommon.mtt.ru` at `/mtt-callback`, and the other services below it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dialer.sandbox.callbacks import Callbacks
from dialer.sandbox.log import CallLog
from dialer.sandbox.mtt_accounts import MttAccounts
from dialer.sandbox.mtt_callback import MttCallback
from dialer.sandbox.mtt_gapi import MttGapi
from dialer.sandbox.mtt_history import MttHistory
from dialer.sandbox.mtt_inbound import MttInbound
from dialer.sandbox.mtt_prompts import MttPrompts
from dialer.sandbox.mtt_rpc import Rpc

PATH = "/mtt-callback"


def routes(log: CallLog, callbacks: Callbacks, access_key: str | None) -> list[Route]:
    """The services, and `/sandbox/inbound/mtt-callback` for somebody who calls."""
    accounts, calls, prompts = MttAccounts(), MttCallback(log, callbacks), MttPrompts(callbacks)
    came_in = MttInbound(callbacks, accounts)
    history = MttHistory(calls, came_in, access_key)
    common = Rpc(
        {**accounts.handlers(), **calls.handlers(), **prompts.handlers(), **history.handlers()}, access_key
    )
    gapi = Rpc(MttGapi().handlers(), access_key)

    async def answer(request: Request) -> Response:
        return await calls.answer(common, request)

    return [
        Route(PATH, answer, methods=["POST"]),
        Route(f"{PATH}/v1/api", gapi.answer, methods=["POST"]),
        Route(f"{PATH}/upload/{{id}}", prompts.upload, methods=["POST"]),
        Route(f"{PATH}/status/{{id}}", prompts.status, methods=["GET"]),
        *(
            Route(f"{PATH}/{version}/records/{{name}}/urls", history.records(version), methods=["GET"])
            for version in ("v1", "v2")
        ),
        Route(f"/sandbox/inbound{PATH}", came_in.call, methods=["POST"]),
    ]
