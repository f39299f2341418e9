"""MTT's numbers: more of them, and where MTT asks what becomes of calls to them (`mtt-telecom-api.md`).

Where its tables and examples differ (`quantity` and `dial_code` of addNumbers are "string" there and numbers here), the
examples are followed. updateCallControlURL has "an empty value to reset" beside both of its parameters; its example
resets the URL of a number that is given, which is all that is done here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderRequest, Reply
from dialer.providers.methods import Method, Parameter, Values, methods
from dialer.providers.mtt_followme_methods import SIP_ID
from dialer.providers.mtt_rpc import GAPI, read_fields, read_list, read_result, read_success, rpc_request
from dialer.providers.reading import digits


class CustomFields(TypedDict, total=False):
    """See getAccountCustomFields: where MTT asks (`GN_IP_IPCR`), and the number that it forwards to when nobody
    answers there (`GN_IPCR_RESERVE`)."""

    GN_IP_IPCR: str
    GN_IPCR_RESERVE: str | int
    i_account: int | str


class NewNumber(TypedDict):
    """See addNumbers: a number, and what became of it (`Success`)."""

    number: str
    status: str


def _set_url(adapter: Adapter, values: Values) -> ProviderRequest:
    params = {"sip_id": digits(values["sip_id"]), "url": values.get("url", "")}
    return rpc_request(adapter, "updateCallControlURL", params)


def _set_reserve(adapter: Adapter, values: Values) -> ProviderRequest:
    params = {"sip_id": digits(values["sip_id"]), "number": digits(values.get("number", ""))}
    return rpc_request(adapter, "setReserveCallControlNumber", params)


def _custom_fields(adapter: Adapter, values: Values) -> ProviderRequest:
    return rpc_request(adapter, "getAccountCustomFields", {"sip_id": digits(values["sip_id"])})


def _add(adapter: Adapter, values: Values) -> ProviderRequest:
    params = {name: values[name] for name in ("region_code", "quantity", "dial_code") if name in values}
    return rpc_request(adapter, "addNumbers", params, GAPI)


def read_custom_fields(reply: Reply) -> CustomFields:
    """See getAccountCustomFields."""
    result = read_fields(reply, read_result(reply), {"account_custom_fields": dict})
    text = (str, int)
    optional = {"GN_IP_IPCR": str, "GN_IPCR_RESERVE": text, "i_account": text}
    return read_fields(reply, result["account_custom_fields"], {}, optional)  # type: ignore[return-value]


def read_new_numbers(reply: Reply) -> list[NewNumber]:
    """See addNumbers: an array of one object with `number_list`."""
    added: list[NewNumber] = []
    for part in read_list(reply, read_result(reply)):
        for one in read_fields(reply, part, {"number_list": list})["number_list"]:
            found = read_fields(reply, one, {"number": (int, str), "result": dict})
            status = read_fields(reply, found["result"], {"status": str})["status"]
            added.append({"number": str(found["number"]), "status": status})
    return added


#: By their names, in the order of the reference.
METHODS: Mapping[str, Method] = methods(
    Method(
        "updateCallControlURL",
        "updateCallControlURL",
        "sets where MTT asks what becomes of calls to a number",
        _set_url,
        read_success,
        (
            SIP_ID,
            Parameter(
                "url",
                "the address, `scheme://login:password@host:port/path`, port 80 or 443; none unless given",
            ),
        ),
        changes=True,
    ),
    Method(
        "setReserveCallControlNumber",
        "setReserveCallControlNumber",
        "sets where calls to a number go while nobody answers there",
        _set_reserve,
        read_success,
        (SIP_ID, Parameter("number", "the number; none unless given")),
        changes=True,
    ),
    Method(
        "getAccountCustomFields",
        "getAccountCustomFields",
        "tells both for a number",
        _custom_fields,
        read_custom_fields,
        (SIP_ID,),
    ),
    Method(
        "addNumbers",
        "addNumbers",
        "buys more numbers of a region in which the customer has one",
        _add,
        read_new_numbers,
        (
            Parameter("region_code", "the region's code, such as MOW", needed=True),
            Parameter("quantity", "how many", int, needed=True),
            Parameter("dial_code", "the area code, such as 495", int),
        ),
        changes=True,
    ),
)
