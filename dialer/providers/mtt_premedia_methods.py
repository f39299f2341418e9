"""MTT's Premedia: what is played to both sides of a forwarded call (`mtt-telecom-api.md`, "Premedia API").

Where its tables and examples differ (`scenario_id` and `prompt_name` are "integer" there and text here), the examples
are followed. Of a customer that is not known createCustomerPrompt has the error -32601, and the others -32001.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderError, ProviderRequest, Reply
from dialer.providers.methods import File, Method, Parameter, Values, methods
from dialer.providers.mtt_followme_methods import SIP_ID
from dialer.providers.mtt_rpc import GAPI, read_fields, read_list, read_result, read_success, rpc_request
from dialer.providers.reading import digits

#: "scenario_id": 1 plays to the caller, 2 to whoever takes the call, 3 to both.
SCENARIOS = ("1", "2", "3")
SIDES = ("A", "B")
#: "the name must have the extension mp3"; the example of a spoken text has none, but its list has one.
EXTENSION = ".mp3"


class Prompt(TypedDict):
    """See getCustomerPrompts; `file_id` is what answers about incoming calls name it by."""

    id: int
    name: str
    file_id: NotRequired[str]


class PremediaSettings(TypedDict):
    """See getPremediaAccountSettings; `prompts` has `a_prompt` and `b_prompt`."""

    sip_id: str
    answer: NotRequired[bool | int]
    diversion: NotRequired[bool | int]
    scenario_id: int
    scenario_name: NotRequired[str]
    prompts: dict[str, Prompt]


def _create(adapter: Adapter, values: Values) -> ProviderRequest:
    file: File = values["file"]
    return _creation(adapter, values, "file", base64.b64encode(file.content).decode())


def _create_spoken(adapter: Adapter, values: Values) -> ProviderRequest:
    return _creation(adapter, values, "text", values["text"])


def _creation(adapter: Adapter, values: Values, kind: str, contents: str) -> ProviderRequest:
    if not values["prompt_name"].endswith(EXTENSION):
        raise ProviderError(f"A prompt_name must end in {EXTENSION}: give it so.")
    params = {
        "customer_name": _customer(adapter),
        "prompt_name": values["prompt_name"],
        "prompt_type": kind,
        "prompt_file_contents": contents,
    }
    return rpc_request(adapter, "createCustomerPrompt", params, GAPI)


def _list(adapter: Adapter, _: Values) -> ProviderRequest:
    return rpc_request(adapter, "getCustomerPrompts", {"customer_name": _customer(adapter)}, GAPI)


def _delete(adapter: Adapter, values: Values) -> ProviderRequest:
    params = {"customer_name": _customer(adapter), "prompt_name": values["prompt_name"]}
    return rpc_request(adapter, "deleteCustomerPrompt", params, GAPI)


def _update_settings(adapter: Adapter, values: Values) -> ProviderRequest:
    params: dict[str, Any] = {**_sip_id(values), "scenario_id": values["scenario_id"]}
    if "answer" in values:
        params["answer"] = int(values["answer"])
    return rpc_request(adapter, "updatePremediaAccountSettings", params, GAPI)


def _set(adapter: Adapter, values: Values) -> ProviderRequest:
    params = {**_sip_id(values), "prompt_name": values["prompt_name"], "side": values["side"]}
    return rpc_request(adapter, "setAccountPrompt", params, GAPI)


def _unset(adapter: Adapter, values: Values) -> ProviderRequest:
    return rpc_request(adapter, "unsetAccountPrompt", {**_sip_id(values), "side": values["side"]}, GAPI)


def _settings(adapter: Adapter, values: Values) -> ProviderRequest:
    return rpc_request(adapter, "getPremediaAccountSettings", _sip_id(values), GAPI)


def _customer(adapter: Adapter) -> str:
    return adapter.settings["customer_name"].strip()


def _sip_id(values: Values) -> dict[str, str]:
    return {"sip_id": digits(values["sip_id"])}


def read_prompts(reply: Reply) -> list[Prompt]:
    """See getCustomerPrompts."""
    result = read_fields(reply, read_result(reply), {"prompts_list": list})
    return [_prompt(reply, found) for found in read_list(reply, result["prompts_list"])]


def read_settings(reply: Reply) -> PremediaSettings:
    """See getPremediaAccountSettings."""
    flag = (bool, int)
    found = read_fields(
        reply,
        read_result(reply),
        {"sip_id": str, "scenario_id": int},
        {
            "answer": flag,
            "diversion": flag,
            "scenario_name": str,
            "prompts": (dict, list),
        },
    )
    told = found.get("prompts") or {}  # PHP writes an empty object as an array
    named = read_fields(reply, told, {}, {"a_prompt": dict, "b_prompt": dict})
    prompts = {name: _prompt(reply, one) for name, one in named.items()}
    return {**found, "prompts": prompts}  # type: ignore[typeddict-item]  # the fields that were asked for


def _prompt(reply: Reply, found: Any) -> Prompt:
    return read_fields(reply, found, {"id": int, "name": str}, {"file_id": str})  # type: ignore[return-value]


_NEW_NAME = Parameter("prompt_name", f"its name, which must end in {EXTENSION}", needed=True)
_NAME = Parameter("prompt_name", "the prompt's name", needed=True)
_SIDE = Parameter("side", "the caller (A) or whoever takes the call (B)", needed=True, choices=SIDES)

#: By their names, in the order of the reference.
METHODS: Mapping[str, Method] = methods(
    Method(
        "createCustomerPrompt",
        "Premedia API, createCustomerPrompt",
        "creates a prompt of a recorded file",
        _create,
        read_success,
        (_NEW_NAME, Parameter("file", "what is played, mp3", File, needed=True)),
        changes=True,
    ),
    Method(
        "createSpokenPrompt",
        "Premedia API, createCustomerPrompt",
        "creates a prompt of a text that MTT speaks",
        _create_spoken,
        read_success,
        (_NEW_NAME, Parameter("text", "what is spoken", needed=True)),
        changes=True,
    ),
    Method(
        "getCustomerPrompts",
        "Premedia API, getCustomerPrompts",
        "lists the prompts",
        _list,
        read_prompts,
    ),
    Method(
        "deleteCustomerPrompt",
        "Premedia API, deleteCustomerPrompt",
        "deletes a prompt",
        _delete,
        read_success,
        (_NAME,),
        changes=True,
    ),
    Method(
        "updatePremediaAccountSettings",
        "Premedia API, updatePremediaAccountSettings",
        "sets to whom an account plays its prompts",
        _update_settings,
        read_success,
        (
            SIP_ID,
            Parameter(
                "scenario_id",
                "the caller (1), whoever takes the call (2) or both (3)",
                needed=True,
                choices=SCENARIOS,
            ),
            Parameter("answer", "whether the call counts as answered meanwhile; no", bool),
        ),
        changes=True,
    ),
    Method(
        "setAccountPrompt",
        "Premedia API, setAccountPrompt",
        "has an account play a prompt",
        _set,
        read_success,
        (SIP_ID, _NAME, _SIDE),
        changes=True,
    ),
    Method(
        "unsetAccountPrompt",
        "Premedia API, unsetAccountPrompt",
        "has an account play nothing to one side",
        _unset,
        read_success,
        (SIP_ID, _SIDE),
        changes=True,
    ),
    Method(
        "getPremediaAccountSettings",
        "Premedia API, getPremediaAccountSettings",
        "tells what an account plays to whom",
        _settings,
        read_settings,
        (SIP_ID,),
    ),
)
