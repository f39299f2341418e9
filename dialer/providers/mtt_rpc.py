"""MTT's Telecom API in JSON-RPC (`mtt-telecom-api.md`): requests to its services, and what their replies hold.

Most methods are asked for at `webapicommon.mtt.ru`; Premedia, numbers and the black list at `gapi.mtt.ru`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from dialer.providers import methods
from dialer.providers.base import Adapter
from dialer.providers.contract import (
    MethodRefusedError,
    ProviderError,
    ProviderRequest,
    Reply,
    UnclearError,
)
from dialer.providers.mtt import basic_authorization
from dialer.providers.redact import hide

#: "Точка подключения" of Premedia, addNumbers and the Global Black List.
GAPI = "https://gapi.mtt.ru:6443/v1/api"

NOT_FOUND, INTERNAL = -32001, -32603
#: Every `error.code` of the reference. It prints -32601 beside "Data not found", too.
ERRORS: Mapping[int, str] = {
    NOT_FOUND: "MTT found no such data",
    -32002: "MTT does not permit it to this login",
    -32601: "MTT found no such data or method",
    -32602: "MTT refuses the values",
    INTERNAL: "MTT had an internal error",
}
#: What of "Internal error" says that nothing was done: "Failed to create new rate" (addGBLRule). Any other, and one
#: without a word, leaves open how far MTT had come; of setFollowme's the reference prints the word alone.
NOT_DONE = frozenset({"A_CAPI_CREATE_RATE"})

_LONGEST = 200  # characters of MTT's own words in a sentence


def service_url(adapter: Adapter, documented: str) -> str:
    """Where another of MTT's services is asked: at its documented address, but below the base URL, by the same path,
    for a provider that has a base URL of its own. So nothing of a sandbox's goes to MTT."""
    if adapter.base_url == adapter.default_base_url:
        return documented
    return adapter.base_url + urlsplit(documented).path


def rpc_request(
    adapter: Adapter,
    method: str,
    params: Mapping[str, Any] | list[Any],
    service: str | None = None,
    request_id: str = "1",
) -> ProviderRequest:
    """A method's request to the base URL, or to another `service`; the reply repeats `request_id`. See "Авторизация:
    Basic Auth"."""
    body = {"id": request_id, "jsonrpc": "2.0", "method": method, "params": params}
    base_url = None if service is None else service_url(adapter, service)
    return ProviderRequest("POST", "", headers=authorization(adapter), json=body, base_url=base_url)


def authorization(adapter: Adapter) -> dict[str, str]:
    """The header of the provider's login."""
    return basic_authorization(adapter.settings["username"].strip(), adapter.settings["password"])


def read_result(reply: Reply) -> Any:
    """`result` of a success.

    Raises MethodRefusedError for a documented error (`error`, or `result` with an `error` or `success` 0), under
    whichever HTTP status; its `word` is the code of `data` where there is one. UnclearError for an error that does not
    say whether anything was done, and ProviderError for all else.
    """
    answer = reply.json_object() or {}
    error, result = answer.get("error"), answer.get("result")
    if isinstance(error, dict) and type(error.get("code")) is int:
        raise _told(error)
    if reply.status in (401, 403):
        raise ProviderError(
            "MTT does not accept the login; set username and password to those that MTT handed out."
        )
    if result is None or error is not None or not 200 <= reply.status < 300:
        raise unreadable(reply)
    if isinstance(result, dict) and (result.get("error") or result.get("success", 1) in (0, "0", False)):
        said = result.get("message") or result.get("error_description")
        raise MethodRefusedError(_sentence("MTT refuses it", said), str(result.get("error", ""))[:80])
    return result


def read_success(reply: Reply) -> dict[str, bool]:
    """`success`, which MTT writes as 1 or as true."""
    result = read_result(reply)
    if not isinstance(result, dict) or result.get("success") not in (1, "1", True):
        raise unreadable(reply)
    return {"success": True}


def read_fields(
    reply: Reply, found: Any, needed: Mapping[str, Any], optional: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The documented fields of an object, each of its type or one of its types; others are left out. Raises
    ProviderError when one that is needed is missing, or one is of another type."""
    if not isinstance(found, dict) or any(name not in found for name in needed):
        raise unreadable(reply)
    read = {}
    for name, types in {**needed, **(optional or {})}.items():
        value = found.get(name)
        if value is None and name not in needed:
            continue
        if type(value) not in (types if isinstance(types, tuple) else (types,)):
            raise unreadable(reply)
        read[name] = value
    return read


def read_list(reply: Reply, found: Any) -> list[Any]:
    """An array."""
    if not isinstance(found, list):
        raise unreadable(reply)
    return found


def unreadable(reply: Reply) -> ProviderError:
    """The sentence about what MTT does not document."""
    return methods.unreadable("MTT", reply)


def _told(error: Mapping[str, Any]) -> ProviderError:
    code, data = error["code"], error.get("data")
    first = data[0] if isinstance(data, list) and data else data
    word = str(code)
    if isinstance(first, dict):
        word, first = str(first.get("code", code))[:80], first.get("message")
    sentence = _sentence(ERRORS.get(code, f"MTT answered with error {code}"), first)
    if code not in ERRORS or (code == INTERNAL and word not in NOT_DONE):
        return UnclearError(sentence)
    return MethodRefusedError(sentence, word)


def _sentence(what: str, said: Any) -> str:
    """MTT's own words repeat what it was asked, so numbers in them are hidden."""
    words = hide(said, ())[:_LONGEST].rstrip(" .") if isinstance(said, str) else ""
    return f"{what}: {words}." if words else f"{what}."
