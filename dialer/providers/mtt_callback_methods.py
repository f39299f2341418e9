"""MTT's CallBack beside calls: its prompts, whom side A consists of, and what became of a call (`mtt-telecom-api.md`,
"Услуга CallBack API").

`makeCallBackCallFollowme` is no method: it rings somebody, so it is `submit`'s alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

from dialer.providers.base import Adapter
from dialer.providers.contract import (
    MethodRefusedError,
    ProviderError,
    ProviderRequest,
    Reply,
    UnclearError,
)
from dialer.providers.methods import Entry, File, Method, Parameter, Step, Values, methods
from dialer.providers.mtt_rpc import (
    read_fields,
    read_list,
    read_result,
    read_success,
    rpc_request,
    service_url,
    unreadable,
)
from dialer.providers.reading import digits

#: `type` of an entry: how the numbers of side A are rung, as the examples spell it ("Пояснения к параметру type" has
#: Ringall and Lineral), and what a side hears.
QUEUES = ("ringall", "linal")
PROMPTS = ("text", "file")
TIMEOUT = 25  # as the examples ring; without one MTT rings for 10 s, or for 15 s in makeCallBackCallFollowme
LONGEST_NAME = 255  # of a file, setCallBackPrompt

#: setCallBackPrompt, `status` of an upload and of what becomes of it.
READY = "ok"
WAITING = frozenset({"wait_porta_upload", "wait_upload", "wait_client_upload"})
UPLOAD_UNCLEAR = "error_internal"  # which leaves open whether MTT has the file
UPLOAD_ERRORS: Mapping[str, str] = {
    "error_maxfilesize": "the file is larger than MTT takes",
    "error_fileformat": "the file is of no format that MTT takes",
    "error_not_found": "MTT does not know the upload",
    "error_invalid_state": "MTT does not wait for this upload any more",
    UPLOAD_UNCLEAR: "MTT had an internal error",
    "error_upload": "MTT could not load the file",
    "error_timeout": "MTT waited too long for the file",
}
#: How often, and after how many seconds each time, MTT is asked whether it has the file.
LOOKS, SECONDS_BETWEEN = 30, 1.0


class FollowmeEntry(TypedDict, total=False):
    """See getCallBackFollowme, "callBackFollowmeStruct"."""

    order: int
    timeout: int
    redirect_number: str
    type: str
    name: str
    side: str
    value: str


class CallbackFollowme(TypedDict):
    """See getCallBackFollowme."""

    followme: list[FollowmeEntry]
    caller_id: NotRequired[str]
    defaultBNumber: NotRequired[str]


class Upload(TypedDict):
    """See setCallBackPrompt."""

    uploadURL: str
    statusURL: str
    maxsize: int
    accepted_formats: NotRequired[dict[str, Any]]


class PromptFile(TypedDict):
    """See getCallBackPromptInfo."""

    file_name: str
    date_upload: str


class CallInfo(TypedDict, total=False):
    """See getCallBackFollowmeCallInfo, "callBackFollowmeCallInfo"; the links to records are lists here."""

    destination_A: str
    destination_B: str
    waiting_period_A: str
    waiting_period_B: str
    call_back_charged_length_A: str
    call_back_real_length_A: str
    call_back_charged_length_B: str
    call_back_real_length_B: str
    call_back_cost: float
    call_back_currency: str
    call_back_status: str
    call_back_record_URL_A: list[str]
    call_back_record_URL_B: list[str]
    callDescription: str


_TEXTS = ("destination_A", "destination_B", "call_back_currency", "callDescription")
_LENGTHS = (
    *("waiting_period_A", "call_back_charged_length_A", "call_back_real_length_A"),
    *("waiting_period_B", "call_back_charged_length_B", "call_back_real_length_B"),
)


# --- requests ------------------------------------------------------------------------------------------------


def customer(adapter: Adapter) -> str:
    """Whom the account is kept for."""
    return adapter.settings["customer_name"].strip()


def _for_customer(adapter: Adapter, method: str, **params: Any) -> ProviderRequest:
    return rpc_request(adapter, method, {"customer_name": customer(adapter), **params})


def _set_followme(adapter: Adapter, values: Values) -> ProviderRequest:
    entries = [_entry(entry, order) for order, entry in enumerate(values["followme"], 1)]
    numbers = {name: digits(values[name]) for name in ("caller_id", "defaultBNumber") if name in values}
    return _for_customer(adapter, "setCallBackFollowme", callBackFollowmeStruct=entries, **numbers)


def _entry(entry: Entry, order: int) -> dict[str, Any]:
    needed = ("redirect_number",) if entry["type"] in QUEUES else ("side", "value")
    if any(name not in entry for name in needed):
        raise ProviderError(
            f"setCallBackFollowme needs {' and '.join(needed)} in an entry of type {entry['type']}."
        )
    if entry["type"] in PROMPTS:
        return {"order": order, **entry}
    number = digits(entry["redirect_number"])
    return {"order": order, "timeout": TIMEOUT, "name": number, **entry, "redirect_number": number}


def _get_followme(adapter: Adapter, _: Values) -> ProviderRequest:
    return _for_customer(adapter, "getCallBackFollowme")


def _delete_followme(adapter: Adapter, _: Values) -> ProviderRequest:
    return _for_customer(adapter, "deleteCallBackFollowme")


def _call_info(adapter: Adapter, values: Values) -> ProviderRequest:
    return _for_customer(adapter, "getCallBackFollowmeCallInfo", callBackCall_id=values["callBackCall_id"])


def _announce_prompt(adapter: Adapter, values: Values) -> ProviderRequest:
    name = values.get("file_name", values["file"].name)
    if len(name) > LONGEST_NAME:
        raise ProviderError(
            f"MTT takes names of files of at most {LONGEST_NAME} characters; shorten file_name."
        )
    return _for_customer(adapter, "setCallBackPrompt", file_name=name)


def _prompts(adapter: Adapter, _: Values) -> ProviderRequest:
    return _for_customer(adapter, "getCallBackPromptInfo")


def _send_prompt(adapter: Adapter, values: Values, upload: Upload) -> Step:
    """ "In the body of the POST only the content of the file and nothing else", and then whether MTT has it: by GET, as
    the text has it; the table has "(POST)" beside `statusURL`."""
    file: File = values["file"]
    if len(file.content) > upload["maxsize"]:
        raise ProviderError(
            f"The file has {len(file.content)} bytes, and MTT takes {upload['maxsize']} at most; shorten it."
        )
    sent = ProviderRequest(
        "POST",
        "",
        headers={"Content-Type": "application/octet-stream"},
        content=file.content,
        base_url=service_url(adapter, upload["uploadURL"]),
    )
    status = ProviderRequest("GET", "", base_url=service_url(adapter, upload["statusURL"]))
    return Step(sent, read_upload_status, lambda told: _look(status, told, LOOKS, 0.0))


def _look(status: ProviderRequest, told: Mapping[str, str], looks: int, pause: float) -> Step | None:
    if told["status"] == READY or not looks:
        return None
    return Step(
        status, read_upload_status, lambda more: _look(status, more, looks - 1, SECONDS_BETWEEN), pause
    )


# --- replies -------------------------------------------------------------------------------------------------


def read_followme(reply: Reply) -> CallbackFollowme:
    """See getCallBackFollowme."""
    numbers = {"caller_id": str, "defaultBNumber": str}
    found = read_fields(reply, read_result(reply), {"callBackFollowmeStruct": list}, numbers)
    text = {"redirect_number": str, "name": str, "side": str, "value": str}
    listed = [
        read_fields(reply, entry, {"order": (int, str), "type": str}, {"timeout": (int, str), **text})
        for entry in found.pop("callBackFollowmeStruct")
    ]
    return {"followme": listed, **found}  # type: ignore[typeddict-item]  # they have the fields asked for


def read_call_info(reply: Reply) -> CallInfo:
    """See getCallBackFollowmeCallInfo."""
    result = read_fields(reply, read_result(reply), {"callBackFollowmeCallInfoStruct": dict})
    told = result["callBackFollowmeCallInfoStruct"]
    text = dict.fromkeys(_LENGTHS, (str, int)) | dict.fromkeys(_TEXTS, str)
    info = read_fields(reply, told, {"call_back_status": str}, {**text, "call_back_cost": (int, float, str)})
    for side in "AB":
        info[f"call_back_record_URL_{side}"] = links(told.get(f"call_back_record_URL_{side}"))
    return info  # type: ignore[return-value]  # as above


def links(told: Any) -> list[str]:
    """Links to records: "array", in the example an object with `downloadURL`."""
    found = told if isinstance(told, list) else [told]
    urls = [one.get("downloadURL") if isinstance(one, dict) else one for one in found]
    return [url for url in urls if isinstance(url, str) and url]


def read_upload(reply: Reply) -> Upload:
    """See setCallBackPrompt: where the file is to be sent, and where is told what becomes of it."""
    needed = {"uploadURL": str, "statusURL": str, "maxsize": int}
    found = read_fields(reply, read_result(reply), needed, {"accepted_formats": dict})
    if not all(re.fullmatch(r"https?://[^\s/]+/\S+", found[name]) for name in ("uploadURL", "statusURL")):
        raise unreadable(reply)
    return found  # type: ignore[return-value]  # as above


def read_upload_status(reply: Reply) -> dict[str, str]:
    """See setCallBackPrompt, `status`. What it calls an error is raised."""
    status = (reply.json_object() or {}).get("status")
    if isinstance(status, str) and status in UPLOAD_ERRORS:
        if status == UPLOAD_UNCLEAR:
            raise UnclearError(f"MTT may not have taken the file ({status}): {UPLOAD_ERRORS[status]}.")
        raise MethodRefusedError(f"MTT did not take the file ({status}): {UPLOAD_ERRORS[status]}.", status)
    if not isinstance(status, str) or status not in (READY, *WAITING) or not 200 <= reply.status < 300:
        raise unreadable(reply)
    return {"status": status}


def read_prompts(reply: Reply) -> list[PromptFile]:
    """See getCallBackPromptInfo."""
    needed = {"file_name": str, "date_upload": str}
    listed = read_list(reply, read_result(reply))
    return [read_fields(reply, found, needed) for found in listed]  # type: ignore[misc]  # as above


# --- the table -----------------------------------------------------------------------------------------------

#: By their names, in the order of the reference.
METHODS: Mapping[str, Method] = methods(
    Method(
        "getCallBackFollowmeCallInfo",
        "getCallBackFollowmeCallInfo",
        "tells how a call went, what it cost, and for 60 days where its records are",
        _call_info,
        read_call_info,
        (Parameter("callBackCall_id", "MTT's reference of the call", needed=True),),
    ),
    Method(
        "setCallBackPrompt",
        "setCallBackPrompt",
        "uploads a file that either side may hear, and waits until MTT has it",
        _announce_prompt,
        read_upload,
        (
            Parameter("file", "the file", File, needed=True),
            Parameter("file_name", "what it is called at MTT, as the file unless given"),
        ),
        changes=True,
        then=_send_prompt,
    ),
    Method(
        "getCallBackPromptInfo",
        "getCallBackPromptInfo",
        "lists the files that were uploaded",
        _prompts,
        read_prompts,
    ),
    Method(
        "setCallBackFollowme",
        "setCallBackFollowme",
        "sets whom side A consists of, for calls that do not say it, and what either side hears",
        _set_followme,
        read_success,
        (
            Parameter(
                "followme",
                "numbers of side A and prompts, in order",
                list,
                needed=True,
                fields=(
                    Parameter(
                        "type",
                        "a number, rung with the others (ringall) or after the one before (linal), or a prompt",
                        needed=True,
                        choices=(*QUEUES, *PROMPTS),
                    ),
                    Parameter("redirect_number", "the number"),
                    Parameter("timeout", f"seconds that it rings; {TIMEOUT}", int),
                    Parameter("name", "its name, the number unless given"),
                    Parameter("side", "who hears the prompt", choices=("A", "B")),
                    Parameter("value", "what is spoken, or the file's name"),
                ),
            ),
            Parameter("caller_id", "the number that side B sees"),
            Parameter("defaultBNumber", "whom side B is, for calls that do not say it"),
        ),
        changes=True,
    ),
    Method(
        "getCallBackFollowme",
        "getCallBackFollowme",
        "tells what setCallBackFollowme has set",
        _get_followme,
        read_followme,
    ),
    Method(
        "deleteCallBackFollowme",
        "deleteCallBackFollowme",
        "takes that away, before it can be set anew",
        _delete_followme,
        read_success,
        changes=True,
    ),
)
