"""What MTT keeps of an account: its calls, records of them, its balance and its numbers (`mtt-telecom-api.md`).

The reference says two things of getServiceHistoryByCustomer: its table needs `date_from` and `date_to`, as we do, and
"Необязательные параметры" has the last half hour without them; its table writes a time `YYYY-MM-DD HH24:Mi-SS`, its
example `2017-09-14 16:01:05`. That times are UTC stands with getCallHistory alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderError, ProviderRequest, Reply
from dialer.providers.methods import Method, Parameter, Values, methods
from dialer.providers.mtt_callback_methods import customer
from dialer.providers.mtt_rpc import (
    authorization,
    read_fields,
    read_list,
    read_result,
    rpc_request,
    service_url,
    unreadable,
)
from dialer.providers.reading import digits

#: getServiceHistoryByCustomer, `type`; getCallHistory has "callback" in its example, and no "forwarded".
TYPES = ("incoming", "missed", "dialed", "forwarded")
HISTORIES = (*TYPES, "callback")
MOST_RECORDS = 1000
#: getPersonalAccountList, `customer_name`: "string (41)".
LONGEST_CUSTOMER = 41

#: "Запись разговора": where links to records are asked for, by format.
RECORDS = "https://rc.mtt.ru"
VERSIONS = {"wav": "v1", "mp3": "v2"}


class Balance(TypedDict):
    """See getCustomerBalance. The amounts are decimal numbers as text."""

    balance: str
    real_balance: NotRequired[str]
    pending_payment: NotRequired[str]


class Number(TypedDict):
    """See getPersonalAccountList."""

    account_number: str
    activation_date: str
    status: str


class HistoryEntry(TypedDict, total=False):
    """See getCallHistory and getServiceHistoryByCustomer, "Выходные параметры". The called number, which the examples
    call `clid` now and then, is `cld`."""

    cli: str
    cld: str
    customer_local_time: str
    connect_time: str
    charged_time: int | str
    charged: float | str
    destination: str
    curr: str
    disconnect_cause: int | str
    used_quantity: int | str
    h323_conf_id: str
    h323_incoming_conf_id: str
    setup_time_ms: int | str
    account_id: str
    voice_record_exist: bool


_WHOLE = (int, str)
_ENTRY: Mapping[str, Any] = {
    **dict.fromkeys(("customer_local_time", "destination", "curr", "h323_conf_id", "account_id"), str),
    **dict.fromkeys(("charged_time", "disconnect_cause", "used_quantity", "setup_time_ms"), _WHOLE),
    "cld": str,
    "clid": str,
    "charged": (int, float, str),
    "h323_incoming_conf_id": str,
    "voice_record_exist": bool,
}


# --- requests ------------------------------------------------------------------------------------------------


def _balance(adapter: Adapter, _: Values) -> ProviderRequest:
    return rpc_request(adapter, "getCustomerBalance", [customer(adapter)])


def _numbers(adapter: Adapter, values: Values) -> ProviderRequest:
    if len(customer(adapter)) > LONGEST_CUSTOMER:
        raise ProviderError(
            f"getPersonalAccountList takes a customer_name of at most {LONGEST_CUSTOMER} characters; check the setting."
        )
    paging = {name: values[name] for name in ("limit", "offset") if name in values}
    return rpc_request(adapter, "getPersonalAccountList", {"customer_name": customer(adapter), **paging})


def _history(adapter: Adapter, values: Values) -> ProviderRequest:
    dates = {name: values[name] for name in ("date_from", "date_to") if name in values}
    return rpc_request(adapter, "getCallHistory", {"sip_id": digits(values["sip_id"]), **dates})


def _customer_history(adapter: Adapter, values: Values) -> ProviderRequest:
    count = values.get("record_count", MOST_RECORDS)
    if not 1 <= count <= MOST_RECORDS:
        raise ProviderError(
            f"getServiceHistoryByCustomer tells of 1 to {MOST_RECORDS} calls; change record_count."
        )
    params = {**values, "customer_name": customer(adapter), "record_count": count}
    return rpc_request(adapter, "getServiceHistoryByCustomer", params)


def record_name(h323_conf_id: str) -> str:
    """How a record is called in its address."""
    return "_".join(h323_conf_id.replace("_", " ").split())


def _record_links(adapter: Adapter, values: Values) -> ProviderRequest:
    """The identifier has underscores in the address and blanks in the histories."""
    name = record_name(values["h323_conf_id"])
    if not re.fullmatch(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,63}", name):
        raise ProviderError(
            "record_links cannot use what is given as h323_conf_id: copy it from the history."
        )
    kind = values.get("format", "wav")
    return ProviderRequest(
        "GET",
        f"{VERSIONS[kind]}/records/{name}/urls",
        params=None if kind == "wav" else {"format": kind},
        headers=authorization(adapter),
        base_url=service_url(adapter, RECORDS),
    )


# --- replies -------------------------------------------------------------------------------------------------


def read_balance(reply: Reply) -> Balance:
    """See getCustomerBalance."""
    amount = (int, float, str)
    found = read_fields(
        reply, read_result(reply), {"balance": amount}, {"real_balance": amount, "pending_payment": amount}
    )
    told = {name: str(value) for name, value in found.items()}
    if not all(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", value) for value in told.values()):
        raise unreadable(reply)
    return told  # type: ignore[return-value]  # it has the fields that were asked for


def read_numbers(reply: Reply) -> list[Number]:
    """See getPersonalAccountList."""
    needed = dict.fromkeys(Number.__annotations__, str)
    listed = read_list(reply, read_result(reply))
    return [read_fields(reply, found, needed) for found in listed]  # type: ignore[misc]  # as above


def read_history(reply: Reply) -> dict[str, list[HistoryEntry]]:
    """See getCallHistory and getServiceHistoryByCustomer: lists by the type of call, those that are told."""
    result = read_result(reply)
    if not isinstance(result, dict) or not any(name in result for name in HISTORIES):
        raise unreadable(reply)
    return {
        name: [_history_entry(reply, entry) for entry in read_list(reply, result[name])]
        for name in HISTORIES
        if name in result
    }


def _history_entry(reply: Reply, found: Any) -> HistoryEntry:
    entry = read_fields(reply, found, {"cli": str, "connect_time": str}, _ENTRY)
    if "clid" in entry:
        entry.setdefault("cld", entry.pop("clid"))
    return entry  # type: ignore[return-value]  # as above


def read_record_links(reply: Reply) -> list[str]:
    """See "Пример ответа": an array of links, several where a record is in pieces."""
    try:
        told = json.loads(reply.body)
    except (ValueError, RecursionError):
        told = None
    if reply.status in (401, 403):
        read_result(reply)  # says that the login is wrong
    if not isinstance(told, list) or not all(map(_is_link, told)) or reply.status != 200:
        raise unreadable(reply)
    return told


def _is_link(told: Any) -> bool:
    return isinstance(told, str) and told.startswith(("https://", "http://"))


# --- the table -----------------------------------------------------------------------------------------------

#: By their names, in the order of the reference.
METHODS: Mapping[str, Method] = methods(
    Method(
        "getCallHistory",
        "getCallHistory",
        "lists the calls of a number",
        _history,
        read_history,
        (
            Parameter("sip_id", "the number", needed=True),
            Parameter("date_from", "from when, such as `30.10.2019 10:23:35`, UTC"),
            Parameter("date_to", "until when"),
        ),
    ),
    Method(
        "getServiceHistoryByCustomer",
        "getServiceHistoryByCustomer",
        "lists the calls of all of the customer's numbers",
        _customer_history,
        read_history,
        (
            Parameter("type", "which calls", needed=True, choices=TYPES),
            Parameter("date_from", "from when, such as `2017-09-14 16:01:05`", needed=True),
            Parameter("date_to", "until when", needed=True),
            Parameter("filter", "a number, calling or called"),
            Parameter("order", "the newest (desc) or the oldest first; desc", choices=("desc", "asc")),
            Parameter("record_count", f"how many at most; {MOST_RECORDS}", int),
        ),
    ),
    Method(
        "record_links",
        "rc.mtt.ru",
        "tells where the record of a call can be fetched",
        _record_links,
        read_record_links,
        (
            Parameter("h323_conf_id", "the call's identifier in a history", needed=True),
            Parameter("format", "its format; wav", choices=tuple(VERSIONS)),
        ),
    ),
    Method("getCustomerBalance", "getCustomerBalance", "tells the balance", _balance, read_balance),
    Method(
        "getPersonalAccountList",
        "getPersonalAccountList",
        "lists the customer's numbers",
        _numbers,
        read_numbers,
        (
            Parameter("limit", "how many at most", int),
            Parameter("offset", "how many to pass over", int),
        ),
    ),
)
