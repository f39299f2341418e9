"""MTT's Global Black List: numbers that MTT itself never calls for the login (`mtt-telecom-api.md`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderRequest, Reply
from dialer.providers.methods import MAX_FILE, BlackList, Method, Parameter, Values, methods
from dialer.providers.mtt_rpc import GAPI, read_list, read_result, read_success, rpc_request, unreadable
from dialer.providers.reading import digits

#: `error.data[].code`: V_… are about values, A_CAPI_CREATE_RATE is addGBLRule's for a number that it does not take.
BLACK_LIST = BlackList(
    add="addGBLRule",
    delete="deleteGBLRule",
    every="getGBLRules",
    number="gbl_rule",
    gone="V_VALUE_NOT_FOUND",
    about_number=("V_", "A_CAPI_CREATE_RATE"),
)


def _add(adapter: Adapter, values: Values) -> ProviderRequest:
    return rpc_request(adapter, "addGBLRule", {"gbl_rule": digits(values["gbl_rule"])}, GAPI)


def _delete(adapter: Adapter, values: Values) -> ProviderRequest:
    return rpc_request(adapter, "deleteGBLRule", {"gbl_rule": digits(values["gbl_rule"])}, GAPI)


def _list(adapter: Adapter, _: Values) -> ProviderRequest:
    return rpc_request(adapter, "getGBLRules", {}, GAPI)


def read_rules(reply: Reply) -> list[str]:
    """See getGBLRules: an array of numbers, digits without a plus, written as numbers or as text."""
    rules = read_list(reply, read_result(reply))
    if not all(type(rule) in (int, str) and re.fullmatch(r"[0-9]{1,20}", str(rule)) for rule in rules):
        raise unreadable(reply)
    return list(map(str, rules))


_RULE = Parameter("gbl_rule", "the number", needed=True)

#: By their names, in the order of the reference.
METHODS: Mapping[str, Method] = methods(
    Method(
        "addGBLRule",
        "Global Black List, addGBLRule",
        "puts a number on the black list",
        _add,
        read_success,
        (_RULE,),
        changes=True,
    ),
    Method(
        "deleteGBLRule",
        "Global Black List, deleteGBLRule",
        "takes a number off it",
        _delete,
        read_success,
        (_RULE,),
        changes=True,
    ),
    Method(
        "getGBLRules",
        "Global Black List, getGBLRules",
        "lists the numbers on it",
        _list,
        read_rules,
        longest=MAX_FILE,
    ),
)
