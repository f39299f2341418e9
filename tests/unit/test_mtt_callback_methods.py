"""MTT's CallBack beside calls, and what MTT keeps of an account: requests as the reference prints them, its replies and
its errors."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from mtt_printed import ENTRY, TALK, error, reply, result

from dialer.providers.base import Adapter
from dialer.providers.contract import (
    MethodRefusedError,
    ProviderError,
    ProviderRequest,
    Reply,
    UnclearError,
)
from dialer.providers.methods import File, Step, Value
from dialer.providers.mtt_callback_methods import LOOKS, UPLOAD_ERRORS, WAITING, read_upload_status
from dialer.providers.mtt_callback_methods import METHODS as CALLBACK_METHODS
from dialer.providers.mtt_history_methods import METHODS as HISTORY_METHODS

METHODS = {**CALLBACK_METHODS, **HISTORY_METHODS}
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"south:s3cret:key").decode()}
CUSTOMER = {"customer_name": "110000777"}
Telecom = Callable[[str], Adapter]
SOUND = File("sound_1.mp3", b"ID3")


def request_of(adapter: Adapter, name: str, /, **values: Value) -> ProviderRequest:
    method = METHODS[name]
    return method.build(adapter, method.checked(values))


# --- requests --------------------------------------------------------------------------------------------

RUNG = {"type": "ringall", "redirect_number": "+7 968 488-10-33", "timeout": 25, "name": "sales"}
SPOKEN = {"type": "text", "value": "Hello", "side": "A"}
PLAYED = {"type": "file", "value": "for_all_sales", "side": "B"}

REQUESTS: list[tuple[str, dict[str, Value], Any]] = [
    (
        "setCallBackFollowme",
        {
            "followme": [RUNG, {"type": "linal", "redirect_number": "79636793312"}, SPOKEN, PLAYED],
            "caller_id": "+74951001010",
            "defaultBNumber": "79511234567",
        },
        {
            **CUSTOMER,
            "callBackFollowmeStruct": [
                {
                    "order": 1,
                    "timeout": 25,
                    "redirect_number": "79684881033",
                    "type": "ringall",
                    "name": "sales",
                },
                {
                    "order": 2,
                    "timeout": 25,
                    "redirect_number": "79636793312",
                    "type": "linal",
                    "name": "79636793312",
                },
                {"order": 3, "type": "text", "value": "Hello", "side": "A"},
                {"order": 4, "type": "file", "value": "for_all_sales", "side": "B"},
            ],
            "caller_id": "74951001010",
            "defaultBNumber": "79511234567",
        },
    ),
    ("getCallBackFollowme", {}, CUSTOMER),
    ("deleteCallBackFollowme", {}, CUSTOMER),
    ("setCallBackPrompt", {"file": SOUND}, {**CUSTOMER, "file_name": "sound_1.mp3"}),
    ("setCallBackPrompt", {"file": SOUND, "file_name": "a.mp3"}, {**CUSTOMER, "file_name": "a.mp3"}),
    ("getCallBackPromptInfo", {}, CUSTOMER),
    (
        "getCallBackFollowmeCallInfo",
        {"callBackCall_id": "1256ffb10774226b390ad1a2bc892c9c"},
        {**CUSTOMER, "callBackCall_id": "1256ffb10774226b390ad1a2bc892c9c"},
    ),
    (
        "getCallHistory",
        {"sip_id": "+74996480000", "date_from": "30.10.2019 10:23:35", "date_to": "30.10.2019 22:23:35"},
        {"sip_id": "74996480000", "date_from": "30.10.2019 10:23:35", "date_to": "30.10.2019 22:23:35"},
    ),
    ("getCallHistory", {"sip_id": "74996480000"}, {"sip_id": "74996480000"}),
    (
        "getServiceHistoryByCustomer",
        {
            "type": "dialed",
            "date_from": "2017-09-14 16:01:05",
            "date_to": "2017-09-14 16:01:10",
            "record_count": 20,
        },
        {
            "type": "dialed",
            "customer_name": "110000777",
            "date_from": "2017-09-14 16:01:05",
            "date_to": "2017-09-14 16:01:10",
            "record_count": 20,
        },
    ),
    ("getCustomerBalance", {}, ["110000777"]),
    ("getPersonalAccountList", {"limit": "5", "offset": 1}, {**CUSTOMER, "limit": 5, "offset": 1}),
]


@pytest.mark.parametrize(("name", "values", "params"), REQUESTS)
def test_a_request_reads_as_in_the_reference(
    telecom: Telecom, name: str, values: dict[str, Value], params: Any
) -> None:
    request = request_of(telecom(""), name, **values)
    assert (request.method, request.path, request.base_url) == ("POST", "", None)
    assert request.headers == LOGIN
    assert request.json == {"id": "1", "jsonrpc": "2.0", "method": name, "params": params}


def test_every_method_has_its_request() -> None:
    assert {one[0] for one in REQUESTS} == set(METHODS) - {"record_links"}


@pytest.mark.parametrize(
    ("values", "path", "params"),
    [
        ({}, "v1/records/0000B3A4_55F311E4_A2420025_9062EDC4/urls", None),
        ({"format": "mp3"}, "v2/records/0000B3A4_55F311E4_A2420025_9062EDC4/urls", {"format": "mp3"}),
    ],
)
def test_records_are_asked_for_by_the_identifier_of_the_history(
    telecom: Telecom, values: dict[str, Value], path: str, params: dict[str, str] | None
) -> None:
    for name in ("0000B3A4 55F311E4 A2420025 9062EDC4", " 0000B3A4_55F311E4_A2420025_9062EDC4"):
        request = request_of(telecom(""), "record_links", h323_conf_id=name, **values)
        assert (request.method, request.base_url) == ("GET", "https://rc.mtt.ru")
        assert (request.path, request.params, request.headers) == (path, params, LOGIN)


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("record_links", {"h323_conf_id": "../../v1"}, "copy it from the history"),
        ("setCallBackFollowme", {"followme": [{"type": "ringall"}]}, "needs redirect_number"),
        ("setCallBackFollowme", {"followme": [{"type": "file", "side": "A"}]}, "needs side and value"),
        (
            "getServiceHistoryByCustomer",
            {"type": "dialed", "date_from": "a", "date_to": "b", "record_count": 1001},
            "1 to 1000 calls",
        ),
    ],
)
def test_what_mtt_would_not_take_is_not_sent(
    telecom: Telecom, name: str, values: dict[str, Value], words: str
) -> None:
    with pytest.raises(ProviderError, match=words):
        request_of(telecom(""), name, **values)


# --- a file on its way -----------------------------------------------------------------------------------

UPLOAD = {
    "uploadURL": "https://fuds1.mtt.ru/upload/fd36dc6c32ce0bb33d5084c877b09675",
    "statusURL": "https://fuds1.mtt.ru/status/fd36dc6c32ce0bb33d5084c877b09675",
    "maxsize": 1048576,
    "accepted_formats": {"aif": ["audio/x-aiff", "audio/aiff"]},
}


def sending(adapter: Adapter, file: File = SOUND) -> Step:
    method = METHODS["setCallBackPrompt"]
    assert method.then is not None
    step = method.then(adapter, {"file": file}, method.read(result(UPLOAD)))
    assert step is not None
    return step


def test_a_file_is_sent_as_it_is_and_without_the_login(telecom: Telecom) -> None:
    request = sending(telecom("")).request
    assert (request.method, request.base_url, request.path) == ("POST", UPLOAD["uploadURL"], "")
    assert request.content == b"ID3"
    assert request.json is None
    assert "Authorization" not in request.headers


def test_nothing_of_a_provider_with_its_own_base_url_goes_to_mtt(telecom: Telecom) -> None:
    request = sending(telecom("http://sandbox.example:8900/mtt-callback")).request
    assert request.base_url == (
        "http://sandbox.example:8900/mtt-callback/upload/fd36dc6c32ce0bb33d5084c877b09675"
    )


def test_mtt_is_asked_until_it_has_the_file_for_some_time(telecom: Telecom) -> None:
    asked, step = 0, sending(telecom("")).then({"status": "wait_porta_upload"})
    assert step is not None
    assert step.pause == 0.0
    while step is not None:
        asked += 1
        assert (step.request.method, step.request.base_url) == ("GET", UPLOAD["statusURL"])
        step = step.then({"status": "wait_upload"})
        assert step is None or step.pause > 0
    assert asked == LOOKS
    assert sending(telecom("")).then({"status": "ok"}) is None


def test_a_file_that_is_too_large_is_not_sent(telecom: Telecom) -> None:
    assert sending(telecom(""), File("a.mp3", bytes(1048576)))
    with pytest.raises(ProviderError, match="1048577 bytes, and MTT takes 1048576 at most"):
        sending(telecom(""), File("a.mp3", bytes(1048577)))


@pytest.mark.parametrize("status", ["ok", *sorted(WAITING)])
def test_every_documented_status_is_read(status: str) -> None:
    assert read_upload_status(reply({"status": status})) == {"status": status}


@pytest.mark.parametrize("status", UPLOAD_ERRORS)
def test_every_documented_error_of_an_upload_has_its_sentence(status: str) -> None:
    with pytest.raises(ProviderError, match=rf"\({status}\)") as caught:
        read_upload_status(reply({"status": status}, 400))
    # Trouble inside MTT does not say whether it has the file.
    assert isinstance(caught.value, UnclearError) is (status == "error_internal")
    assert isinstance(caught.value, MethodRefusedError) is (status != "error_internal")


@pytest.mark.parametrize("body", [b"", [], {}, {"status": "great"}, {"status": ["ok"]}], ids=str)
def test_another_status_is_an_error(body: object) -> None:
    with pytest.raises(ProviderError, match="nothing that it documents"):
        read_upload_status(reply(body))


@pytest.mark.parametrize("changes", [{"uploadURL": "ftp://x/y"}, {"statusURL": "/status"}, {"maxsize": "1"}])
def test_an_address_that_is_none_is_not_used(changes: dict[str, object]) -> None:
    with pytest.raises(ProviderError, match="nothing that it documents"):
        METHODS["setCallBackPrompt"].read(result(UPLOAD | changes))


# --- replies ---------------------------------------------------------------------------------------------

ENTRIES = [
    {"order": 1, "timeout": 25, "redirect_number": "79684881033", "type": "ringall", "name": "sales"},
    {"order": 5, "timeout": 20, "redirect_number": "7963112233", "type": "linal", "name": "chief"},
]
LINK = "http://fuds.mtt.ru/download/75GV5LxVNdQuohMge0NMFpS2Oxwc3jKTmhjWE3987oPTOhCJ7o"
NUMBER = {"account_number": "74951373222", "activation_date": "21.01.2020 00:00:00", "status": "active"}
PROMPT = {"file_name": "01_mamita_surumi.wav", "date_upload": "12.08.2015"}


@pytest.mark.parametrize(
    ("name", "told", "read"),
    [
        ("setCallBackFollowme", {"success": 1}, {"success": True}),
        ("deleteCallBackFollowme", {"success": 1}, {"success": True}),
        (
            "getCallBackFollowme",
            {"callBackFollowmeStruct": ENTRIES, "caller_id": "74951001010", "defaultBNumber": "79889998877"},
            {"followme": ENTRIES, "caller_id": "74951001010", "defaultBNumber": "79889998877"},
        ),
        ("getCallBackFollowme", {"callBackFollowmeStruct": []}, {"followme": []}),
        ("setCallBackPrompt", UPLOAD, UPLOAD),
        ("getCallBackPromptInfo", [PROMPT], [PROMPT]),
        (
            "getCallBackFollowmeCallInfo",
            {
                "callBackFollowmeCallInfoStruct": {
                    **TALK,
                    "call_back_record_URL_A": {"downloadURL": LINK},
                    "call_back_record_URL_B": [LINK, {"downloadURL": LINK}],
                }
            },
            {**TALK, "call_back_record_URL_A": [LINK], "call_back_record_URL_B": [LINK, LINK]},
        ),
        (
            "getCallHistory",
            {
                "incoming": [],
                "missed": [],
                "dialed": [
                    {"cli": "79103880489", "clid": "79103880490", "connect_time": "2018-02-06 16:51:17"}
                ],
                "callback": [],
                "success": 1,
            },
            {
                "incoming": [],
                "missed": [],
                "dialed": [
                    {"cli": "79103880489", "cld": "79103880490", "connect_time": "2018-02-06 16:51:17"}
                ],
                "callback": [],
            },
        ),
        ("getServiceHistoryByCustomer", {"dialed": [ENTRY], "success": 1}, {"dialed": [ENTRY]}),
        (
            "getCustomerBalance",
            {"balance": 121.54, "real_balance": 711.54},
            {"balance": "121.54", "real_balance": "711.54"},
        ),
        ("getPersonalAccountList", [NUMBER, NUMBER], [NUMBER, NUMBER]),
        ("getPersonalAccountList", [], []),
    ],
)
def test_the_examples_of_the_reference_are_read(name: str, told: object, read: object) -> None:
    assert METHODS[name].read(result(told)) == read


def test_links_to_records_are_an_array_by_itself() -> None:
    read = METHODS["record_links"].read
    pieces = ["http://rs.mtt.ru/a_1.wav", "http://rs.mtt.ru/a_2.wav"]
    assert read(reply(pieces)) == pieces
    for body in (b"", {}, [1], ["a_1.wav"], "http://rs.mtt.ru/a_1.wav"):
        with pytest.raises(ProviderError, match="nothing that it documents"):
            read(reply(body))
    with pytest.raises(ProviderError, match="HTTP 404"):
        read(reply([], 404))
    with pytest.raises(ProviderError, match="set username and password"):
        read(reply(b"", 401))


@pytest.mark.parametrize(
    ("name", "answer", "sentence"),
    [
        ("getCallHistory", error(-32602, "Invalid params", "Invalid begin date"), "Invalid begin date."),
        ("getCallHistory", error(-32001, "Data not found", "No data found"), "no such data: No data found."),
        (
            "getServiceHistoryByCustomer",
            error(-32602, "Invalid params", "Invalid begin date"),
            "MTT refuses the values: Invalid begin date.",
        ),
        ("getCustomerBalance", error(-32001, "Data not found"), "MTT found no such data."),
        (
            "getPersonalAccountList",
            error(-32602, "Invalid params", "Unknown param 'limit' value"),
            "Unknown param 'limit' value.",
        ),
        (
            "getCallBackFollowmeCallInfo",
            error(-32001, "Data not found", "Call ended by timeout on side A"),
            "Call ended by timeout on side A.",
        ),
        (
            "setCallBackPrompt",
            error(-32002, "Permission denied", "agent does not have access to this customer"),
            "does not permit it to this login: agent does not have access to this customer.",
        ),
        (
            "getCallBackPromptInfo",
            error(-32001, "Data not found", "Error on get CallBack Prompt Info"),
            "Error on get CallBack Prompt Info.",
        ),
        (
            "setCallBackFollowme",
            result({"error": 1, "error_description": "Side A not clear. Delete before insert"}),
            "Side A not clear. Delete before insert.",
        ),
        ("getCallBackFollowme", error(-32602, "Invalid params", "Invalid type"), "Invalid type."),
        (
            "deleteCallBackFollowme",
            error(-32001, "Data not found", "Followme not found"),
            "Followme not found.",
        ),
    ],
)
def test_the_errors_of_the_reference_are_sentences(name: str, answer: Reply, sentence: str) -> None:
    with pytest.raises(MethodRefusedError) as caught:
        METHODS[name].read(answer)
    assert str(caught.value).endswith(sentence)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("getCallBackFollowme", {"callBackFollowmeStruct": {}}),
        ("getCallBackFollowme", {"callBackFollowmeStruct": [{"order": 1}]}),
        ("getCallBackFollowmeCallInfo", {"callBackFollowmeCallInfoStruct": []}),
        ("getCallBackFollowmeCallInfo", {"callBackFollowmeCallInfoStruct": {"call_back_status": 1}}),
        ("getCallBackPromptInfo", {}),
        ("getCallBackPromptInfo", [{"file_name": 1, "date_upload": "12.08.2015"}]),
        ("getCallHistory", {}),
        ("getCallHistory", {"dialed": {}}),
        ("getServiceHistoryByCustomer", {"dialed": [{"cli": 7}]}),
        ("getCustomerBalance", {"balance": None}),
        ("getCustomerBalance", {"balance": "NaN"}),
        ("getPersonalAccountList", [{"account_number": "7"}]),
    ],
)
def test_a_success_with_anything_else_in_it_is_an_error(name: str, told: object) -> None:
    with pytest.raises(ProviderError, match="nothing that it documents"):
        METHODS[name].read(result(told))
