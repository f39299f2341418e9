"""What MTT answers, as its reference prints it."""

from __future__ import annotations

import json
from typing import Any

from dialer.providers.contract import Reply

#: getCallBackFollowmeCallInfo, its example.
TALK: dict[str, Any] = {
    "destination_A": "+79162795520",
    "destination_B": "+79852970306",
    "waiting_period_A": "12",
    "waiting_period_B": "9",
    "call_back_charged_length_A": "60",
    "call_back_real_length_A": "15",
    "call_back_charged_length_B": "60",
    "call_back_real_length_B": "5",
    "call_back_cost": 2.98,
    "call_back_currency": "RUB",
    "call_back_status": "ok",
    "callDescription": "",
}
#: getServiceHistoryByCustomer, its example.
ENTRY: dict[str, Any] = {
    "cli": "79066899000",
    "cld": "74959333223",
    "customer_local_time": "2017-09-14 16:01:09",
    "connect_time": "2017-09-14 16:01:09",
    "charged_time": "119",
    "charged": 2.48,
    "destination": ".",
    "h323_conf_id": "2B23D937 BD9BCF86 E89D407D 44DA0162",
    "h323_incoming_conf_id": "AC4D7D28 994C11E7 88C6AC16 2D8CE148",
    "curr": "RUB",
    "setup_time_ms": "4581",
    "disconnect_cause": "16",
    "account_id": "74951349387",
    "used_quantity": "119",
    "voice_record_exist": False,
}


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


def result(told: object) -> Reply:
    """A success as the reference prints it."""
    return reply({"jsonrpc": "2.0", "id": "1", "result": told})


def error(code: int, message: str, data: str | None = None) -> Reply:
    """An error as the reference prints it."""
    told = {"code": code, "message": message, **({} if data is None else {"data": data})}
    return reply({"jsonrpc": "2.0", "id": "1", "error": told})
