"""MTT beside calls: requests as the reference prints them, its replies and its errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from mtt_printed import reply, result

from dialer.providers.base import Adapter
from dialer.providers.contract import (
    MethodRefusedError,
    ProviderError,
    ProviderRequest,
    UnclearError,
)
from dialer.providers.methods import File, Value
from dialer.providers.mtt_sms_methods import METHODS as SMS_METHODS
from dialer.providers.mtt_telecom_methods import METHODS

GAPI = "https://gapi.mtt.ru:6443/v1/api"
LOGIN = {"Authorization": "Basic " + base64.b64encode(b"south:s3cret:key").decode()}
Telecom = Callable[[str], Adapter]


def request_of(adapter: Adapter, name: str, /, **values: Value) -> ProviderRequest:
    method = METHODS[name]
    return method.build(adapter, method.checked(values))


# --- requests --------------------------------------------------------------------------------------------

FIRST = {"redirect_number": "+7 968 488-10-33", "timeout": 15}
SECOND = {"redirect_number": "79636793312", "name": "boss", "active": "N", "follow_order": 5}

REQUESTS: list[tuple[str, dict[str, Value], str | None, str, Any]] = [
    (
        "setFollowme",
        {"sip_id": "74951345897", "followme": [FIRST, {**SECOND, "period": "hr{9}", "use_tcp": "Y"}]},
        None,
        "setFollowme",
        [
            "74951345897",
            [
                {
                    "timeout": 15,
                    "redirect_number": "79684881033",
                    "name": "79684881033",
                    "active": "Y",
                    "period": "always",
                    "period_description": "Always",
                    "follow_order": 1,
                },
                {
                    "timeout": 15,
                    "redirect_number": "79636793312",
                    "name": "boss",
                    "active": "N",
                    "period": "hr{9}",
                    "period_description": "hr{9}",
                    "follow_order": 5,
                    "use_tcp": "Y",
                },
            ],
        ],
    ),
    ("getFollowme", {"sip_id": "+74951345987"}, None, "getFollowme", ["74951345987"]),
    (
        "updateCallControlURL",
        {"sip_id": "73432143178", "url": "https://us:pw@dialer.example/mtt"},
        None,
        "updateCallControlURL",
        {"sip_id": "73432143178", "url": "https://us:pw@dialer.example/mtt"},
    ),
    (
        "updateCallControlURL",
        {"sip_id": "73432143178"},
        None,
        "updateCallControlURL",
        {"sip_id": "73432143178", "url": ""},
    ),
    (
        "setReserveCallControlNumber",
        {"sip_id": "73432143178", "number": "+79991112233"},
        None,
        "setReserveCallControlNumber",
        {"sip_id": "73432143178", "number": "79991112233"},
    ),
    (
        "setReserveCallControlNumber",
        {"sip_id": "73432143178"},
        None,
        "setReserveCallControlNumber",
        {"sip_id": "73432143178", "number": ""},
    ),
    (
        "getAccountCustomFields",
        {"sip_id": "79584630000"},
        None,
        "getAccountCustomFields",
        {"sip_id": "79584630000"},
    ),
    (
        "createCustomerPrompt",
        {"prompt_name": "116.mp3", "file": File("x.mp3", b"ID3\xff")},
        GAPI,
        "createCustomerPrompt",
        {
            "customer_name": "110000777",
            "prompt_name": "116.mp3",
            "prompt_type": "file",
            "prompt_file_contents": "SUQz/w==",
        },
    ),
    (
        "createSpokenPrompt",
        {"prompt_name": "116.mp3", "text": "Здравствуйте"},
        GAPI,
        "createCustomerPrompt",
        {
            "customer_name": "110000777",
            "prompt_name": "116.mp3",
            "prompt_type": "text",
            "prompt_file_contents": "Здравствуйте",
        },
    ),
    ("getCustomerPrompts", {}, GAPI, "getCustomerPrompts", {"customer_name": "110000777"}),
    (
        "deleteCustomerPrompt",
        {"prompt_name": "116.mp3"},
        GAPI,
        "deleteCustomerPrompt",
        {"customer_name": "110000777", "prompt_name": "116.mp3"},
    ),
    (
        "updatePremediaAccountSettings",
        {"sip_id": "74951348579", "scenario_id": "3"},
        GAPI,
        "updatePremediaAccountSettings",
        {"sip_id": "74951348579", "scenario_id": "3"},
    ),
    (
        "updatePremediaAccountSettings",
        {"sip_id": "74951348579", "scenario_id": "1", "answer": "yes"},
        GAPI,
        "updatePremediaAccountSettings",
        {"sip_id": "74951348579", "scenario_id": "1", "answer": 1},
    ),
    (
        "setAccountPrompt",
        {"sip_id": "74951348579", "prompt_name": "TTS_116.mp3", "side": "A"},
        GAPI,
        "setAccountPrompt",
        {"sip_id": "74951348579", "prompt_name": "TTS_116.mp3", "side": "A"},
    ),
    (
        "unsetAccountPrompt",
        {"sip_id": "74951348579", "side": "A"},
        GAPI,
        "unsetAccountPrompt",
        {"sip_id": "74951348579", "side": "A"},
    ),
    (
        "getPremediaAccountSettings",
        {"sip_id": "74951348579"},
        GAPI,
        "getPremediaAccountSettings",
        {"sip_id": "74951348579"},
    ),
    (
        "setPremediaFollowme",
        {
            "sip_id": "74951348579",
            "caller_id": "+74951348579",
            "sequence": "Simultaneous",
            "followme": [FIRST, SECOND],
        },
        GAPI,
        "setFollowme",
        {
            "sip_id": "74951348579",
            "caller_id": "74951348579",
            "sequence": "Simultaneous",
            "followmeStructure": [
                {
                    "redirect_number": "79684881033",
                    "name": "79684881033",
                    "active": "Y",
                    "timeout": 15,
                    "follow_order": 1,
                },
                {"redirect_number": "79636793312", "name": "boss", "active": "N", "follow_order": 5},
            ],
        },
    ),
    (
        "getFollowmeAccountSettings",
        {"sip_id": "74951348579"},
        GAPI,
        "getFollowmeAccountSettings",
        {"sip_id": "74951348579"},
    ),
    (
        "addNumbers",
        {"region_code": "MOW", "quantity": 2, "dial_code": "495"},
        GAPI,
        "addNumbers",
        {"region_code": "MOW", "quantity": 2, "dial_code": 495},
    ),
    ("addGBLRule", {"gbl_rule": "+79266966166"}, GAPI, "addGBLRule", {"gbl_rule": "79266966166"}),
    ("deleteGBLRule", {"gbl_rule": "79266966166"}, GAPI, "deleteGBLRule", {"gbl_rule": "79266966166"}),
    ("getGBLRules", {}, GAPI, "getGBLRules", {}),
]


@pytest.mark.parametrize(
    ("name", "values", "service", "method", "params"), REQUESTS, ids=[one[0] for one in REQUESTS]
)
def test_a_request_reads_as_in_the_reference(
    telecom: Telecom, name: str, values: dict[str, Value], service: str | None, method: str, params: Any
) -> None:
    request = request_of(telecom(""), name, **values)
    assert (request.method, request.path, request.params, request.content) == ("POST", "", None, None)
    assert request.base_url == service
    assert request.headers == LOGIN
    assert request.json == {"id": "1", "jsonrpc": "2.0", "method": method, "params": params}


def test_every_method_has_its_request() -> None:
    assert {one[0] for one in REQUESTS} == set(METHODS)


def test_nothing_of_a_provider_with_its_own_base_url_goes_to_mtt(telecom: Telecom) -> None:
    request = request_of(telecom("http://sandbox.example:8900/mtt-callback/"), "getGBLRules")
    assert request.base_url == "http://sandbox.example:8900/mtt-callback/v1/api"


def test_a_prompts_name_ends_in_mp3(telecom: Telecom) -> None:
    for name, values in (
        ("createCustomerPrompt", {"file": File("x", b"1")}),
        ("createSpokenPrompt", {"text": "x"}),
    ):
        with pytest.raises(ProviderError, match=r"must end in \.mp3"):
            request_of(telecom(""), name, prompt_name="116", **values)


# --- replies ---------------------------------------------------------------------------------------------

ENTRY = {
    "I_FOLLOW_ORDER": "1",
    "ACTIVE": "Y",
    "NAME": "79684881033",
    "REDIRECT_NUMBER": "79684881033",
    "PERIOD": "hr{9}min{0-59}wd{mo-fr},hr{10}min{0-58}wd{mo-fr}",
    "PERIOD_DESCRIPTION": "hr{9}min{0-59}wd{mo-fr},hr{10}min{0-58}wd{mo-fr}",
    "TIMEOUT": "15",
}
PREMEDIA_ENTRY = {
    "redirect_number": "79163777604",
    "name": "79163777604",
    "active": "Y",
    "follow_order": "1",
    "timeout": "25",
}
PROMPTS = {"a_prompt": {"id": 2, "name": "116.mp3"}, "b_prompt": {"id": 2, "name": "TTS_116.mp3"}}
SETTINGS = {
    "sip_id": "74951348579",
    "answer": False,
    "diversion": True,
    "scenario_id": 3,
    "scenario_name": "Premedia 3",
    "prompts": PROMPTS,
}
FIELDS = {"GN_IP_IPCR": "https://www.domen.ru/mtt/", "GN_IPCR_RESERVE": "79307084160", "i_account": 113408082}


@pytest.mark.parametrize(
    ("name", "told", "read"),
    [
        (
            "getFollowme",
            {"sip_id": "883140776011039", "i_account": "44635974", "followme_struct": [1, [ENTRY]]},
            {"sip_id": "883140776011039", "i_account": "44635974", "followme": [ENTRY]},
        ),
        (
            "getFollowmeAccountSettings",
            {"sip_id": "7495", "sequence": "Order", "caller_id": "7496", "followmeStructure": [PREMEDIA_ENTRY]},
            {"sip_id": "7495", "sequence": "Order", "caller_id": "7496", "followme": [PREMEDIA_ENTRY]},
        ),
        ("getAccountCustomFields", {"account_custom_fields": FIELDS}, FIELDS),
        (
            "addNumbers",
            [{"number_list": [{"number": 74950000131, "result": {"status": "Success"}}]}],
            [{"number": "74950000131", "status": "Success"}],
        ),
        (
            "getCustomerPrompts",
            {"prompts_list": [{"id": 1, "name": "116.mp3", "file_id": "c20ed6"}]},
            [{"id": 1, "name": "116.mp3", "file_id": "c20ed6"}],
        ),
        ("getPremediaAccountSettings", SETTINGS, SETTINGS),
        ("getPremediaAccountSettings", {**SETTINGS, "prompts": []}, {**SETTINGS, "prompts": {}}),
        ("getGBLRules", [79663089363, "79266966166"], ["79663089363", "79266966166"]),
        ("getGBLRules", [], []),
        *[(name, {"success": yes}, {"success": True}) for name in METHODS if name[:3] != "get" and name != "addNumbers"
          for yes in (1, True)],
    ],
)  # fmt: skip
def test_the_examples_of_the_reference_are_read(name: str, told: object, read: object) -> None:
    assert METHODS[name].read(result(told)) == read


def rpc_error(code: int, data: object = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": "1", "error": {"code": code, "message": "whatever", "data": data}}


def told(word: str, message: str) -> list[dict[str, Any]]:
    return [{"code": word, "attribute": "x", "message": message, "tpl": "", "tplParams": {}}]


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize(
    ("error", "word", "sentence"),
    [
        (rpc_error(-32001), "-32001", "MTT found no such data."),
        (
            rpc_error(-32001, "This account does not exist"),
            "-32001",
            "MTT found no such data: This account does not exist.",
        ),
        (
            rpc_error(-32002, "You can not access to this sip_id"),
            "-32002",
            "MTT does not permit it to this login: You can not access to this sip_id.",
        ),
        (
            rpc_error(-32001, told("V_VALUE_NOT_FOUND", "gbl_rule «79266966166» not found.")),
            "V_VALUE_NOT_FOUND",
            "MTT found no such data: gbl_rule «[…]» not found.",
        ),
        (
            rpc_error(-32602, told("V_VALUE_ALREADY_EXISTS", "prompt_name «x.wav» already exists.")),
            "V_VALUE_ALREADY_EXISTS",
            "MTT refuses the values: prompt_name «x.wav» already exists.",
        ),
        (
            rpc_error(-32603, told("A_CAPI_CREATE_RATE", "Failed to create new rate for Destination <79266966166>")),
            "A_CAPI_CREATE_RATE",
            "MTT had an internal error: Failed to create new rate for Destination <[…]>.",
        ),
        ({"result": {"error": 1, "message": "Incorrect format"}}, "1", "MTT refuses it: Incorrect format."),
        ({"result": {"success": 0}}, "", "MTT refuses it."),
    ],
)  # fmt: skip
def test_an_error_is_a_sentence_without_numbers_whatever_the_http_status(
    error: dict[str, Any], word: str, sentence: str, status: int
) -> None:
    for method in METHODS.values():
        with pytest.raises(ProviderError) as caught:
            method.read(reply(error, status))
        if status != 200 and "result" in error:
            assert str(caught.value) == f"MTT answered with HTTP {status} and nothing that it documents."
        else:
            assert isinstance(caught.value, MethodRefusedError)
            assert (caught.value.word, str(caught.value)) == (word, sentence)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (rpc_error(-32603), "MTT had an internal error."),
        (
            rpc_error(-32603, told("A_CAPI_SET_FOLLOWME", "Failed to set follow me for 79266966166")),
            "MTT had an internal error: Failed to set follow me for […].",
        ),
        (rpc_error(-32099, [7]), "MTT answered with error -32099."),
    ],
)
def test_an_error_that_does_not_say_that_nothing_was_done_leaves_it_open(
    error: dict[str, Any], sentence: str
) -> None:
    for method in METHODS.values():
        with pytest.raises(UnclearError) as caught:
            method.read(reply(error))
        assert str(caught.value) == sentence


@pytest.mark.parametrize("name", METHODS)
def test_a_login_that_mtt_does_not_accept_is_told(name: str) -> None:
    with pytest.raises(ProviderError, match="set username and password"):
        METHODS[name].read(reply(b"", 401))


ODD: list[object] = [
    b"",
    b"<html>",
    [],
    {},
    {"result": None},
    {"result": {}, "error": "no"},
    {"result": "ok"},
    {"result": 1},
    {"result": [None]},
    {"result": [True]},
    {"result": ["+7926"]},
    {"result": {"success": 2}},
    {"result": {"sip_id": "7", "sequence": "Order", "followmeStructure": [{}]}},
    {"result": {"sip_id": "7", "i_account": "1", "followme_struct": [2, [ENTRY]]}},
    {"result": {"sip_id": "7", "i_account": "1", "followme_struct": [1, [{**ENTRY, "NAME": 1}]]}},
    {"result": {"sip_id": "7", "scenario_id": 1, "prompts": {"a_prompt": {"id": "2", "name": "x"}}}},
    {"result": {"prompts_list": {}}},
    {"result": {"prompts_list": [{"id": True, "name": "x"}]}},
    {"result": {"account_custom_fields": []}},
    {"result": [{"number_list": [{"number": 7, "result": {}}]}]},
]


@pytest.mark.parametrize("body", ODD, ids=str)
def test_what_is_no_documented_answer_is_an_error(body: object) -> None:
    for method in METHODS.values():
        with pytest.raises(ProviderError, match="HTTP 200 and nothing that it documents") as caught:
            method.read(reply(body))
        assert not isinstance(caught.value, MethodRefusedError)


# --- text messages ---------------------------------------------------------------------------------------

PAGE = {"page": 1, "total": 1, "limit": 20, "prev": "", "next": ""}
MESSAGE = {
    "account_sid": "accefd5c385-f2aa-3dd4-9c0b-01abf00cccfe",
    "message_sid": "msg204815e0-68d3-4193-999b-d142b749fd39",
    "text": "",
    "created_at": 1518091728,
    "direction": "inbound",
    "number": "79587625002",
    "external_number": "79057259771",
    "status": "received",
    "segment_count": 1,
}
NUMBER = {"number": "35800445016", "direction": "OUT"}


def test_the_lists_of_text_messages_are_read() -> None:
    numbers = {**PAGE, "offset": 0, "numbers": [NUMBER]}
    assert SMS_METHODS["numbers"].read(reply(numbers)) == numbers
    listed = {**PAGE, "offset": 0, "messages": [MESSAGE]}
    assert SMS_METHODS["messages"].read(reply(listed)) == listed
    tabled = {**PAGE, "messages": [MESSAGE]}  # the table has no offset
    assert SMS_METHODS["messages"].read(reply(tabled)) == tabled
    assert SMS_METHODS["message"].read(reply(listed)) == MESSAGE


def test_a_list_is_read_with_the_commas_that_the_reference_prints() -> None:
    listed = json.dumps({**PAGE, "messages": [MESSAGE, MESSAGE]}, indent=2)
    printed = listed.replace('"segment_count": 1\n', '"segment_count": 1,\n')
    assert printed.count("1,\n    }") == 2
    assert SMS_METHODS["messages"].read(reply(printed.encode())) == {**PAGE, "messages": [MESSAGE, MESSAGE]}


@pytest.mark.parametrize("name", SMS_METHODS)
def test_errors_of_text_messages_are_told(name: str) -> None:
    request_id = "7fad-not-an-id"
    error = {"status_code": 400, "request_id": request_id, "error": "Invalid params: 79057259771 is unknown."}
    with pytest.raises(MethodRefusedError) as caught:
        SMS_METHODS[name].read(reply(error, 400))
    assert str(caught.value) == "MTT refuses it: Invalid params: […] is unknown."
    assert caught.value.word == "400"
    with pytest.raises(ProviderError, match="account_sid and token"):
        SMS_METHODS[name].read(reply(b"", 401))


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        {},
        PAGE,
        {**PAGE, "messages": {}, "numbers": {}},
        {**PAGE, "messages": [1], "numbers": [1]},
        {**PAGE, "messages": [{}], "numbers": [{}]},
        {**PAGE, "messages": [{**MESSAGE, "text": None}], "numbers": [{**NUMBER, "number": []}]},
        {**PAGE, "page": "1", "messages": [MESSAGE], "numbers": [NUMBER]},
        {**PAGE, "next": 1, "messages": [MESSAGE], "numbers": [NUMBER]},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", SMS_METHODS)
def test_what_is_no_list_of_text_messages_is_an_error(name: str, body: object) -> None:
    with pytest.raises(ProviderError, match="nothing that it documents"):
        SMS_METHODS[name].read(reply(body))


def test_one_message_is_one() -> None:
    with pytest.raises(ProviderError, match="nothing that it documents"):
        SMS_METHODS["message"].read(reply({**PAGE, "messages": [MESSAGE, MESSAGE]}))
