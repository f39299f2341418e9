"""MTT beside calls, over real HTTP: each method against the sandbox, and the errors that the reference prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from asking import Ask, asking, told

from dialer.providers.base import Adapter
from dialer.providers.contract import (
    MethodRefusedError,
    ProviderConfig,
    ProviderError,
    TooManyRequestsError,
    UnclearError,
)
from dialer.providers.kinds import make_adapter
from dialer.providers.methods import File, Method, Value
from dialer.providers.mtt_telecom_methods import METHODS
from dialer.sandbox import make_app

Telecom = Callable[[str], Adapter]
Serve = Callable[[Any], str]
Sample = Callable[[Method], dict[str, Value]]

SIP_ID, UNKNOWN, ANOTHERS = "74951345897", "74951345804", "74951345818"


@pytest.fixture
def south(serve: Serve, telecom: Telecom) -> Adapter:
    """The login at the sandbox."""
    return telecom(f"{serve(make_app())}/mtt-callback")


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_the_sandbox_knows_every_method(south: Adapter, method: Method, sample: Sample) -> None:
    async def story(ask: Ask) -> None:
        try:
            await ask(method.name, **sample(method))
        except MethodRefusedError as error:
            assert error.word != "-32601"  # noqa: PT017 - some succeed

    asking(south, story)


def test_calls_to_a_number_are_forwarded(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        with pytest.raises(MethodRefusedError, match="No followMe on this account"):
            await ask("getFollowme", sip_id=SIP_ID)
        entries = [{"redirect_number": "+79684881033"}, {"redirect_number": "79684881034", "active": "N"}]
        assert await ask("setFollowme", sip_id=SIP_ID, followme=entries) == {"success": True}
        listed = await ask("getFollowme", sip_id=SIP_ID)
        assert [entry["REDIRECT_NUMBER"] for entry in listed["followme"]] == ["79684881033", "79684881034"]
        assert [entry["ACTIVE"] for entry in listed["followme"]] == ["Y", "N"]
        assert [entry["TIMEOUT"] for entry in listed["followme"]] == ["15", "15"]
        for sip_id, got, unset in (
            (UNKNOWN, "This account does not exist", "MTT found no such data.$"),
            (ANOTHERS, "You can not access", "You can not access"),
        ):
            with pytest.raises(MethodRefusedError, match=got):
                await ask("getFollowme", sip_id=sip_id)
            with pytest.raises(MethodRefusedError, match=unset):
                await ask("setFollowme", sip_id=sip_id, followme=entries)

    asking(south, story)


def test_calls_to_a_premedia_account_are_forwarded(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        assert (await ask("getFollowmeAccountSettings", sip_id=SIP_ID))["followme"] == []
        entries = [{"redirect_number": "79163777604", "timeout": 25}, {"redirect_number": "79636793312"}]
        await ask(
            "setPremediaFollowme", sip_id=SIP_ID, followme=entries, sequence="Simultaneous", caller_id=SIP_ID
        )
        told_ = await ask("getFollowmeAccountSettings", sip_id=SIP_ID)
        assert (told_["sequence"], told_["caller_id"]) == ("Simultaneous", SIP_ID)
        assert [entry["timeout"] for entry in told_["followme"]] == ["25", "15"]
        with pytest.raises(MethodRefusedError, match="must match regular expression"):
            await ask("setPremediaFollowme", sip_id=SIP_ID, followme=entries, caller_id="4930123456789")
        with pytest.raises(UnclearError, match="Failed to set follow me"):
            await ask("setPremediaFollowme", sip_id=SIP_ID, followme=[{"redirect_number": "1"}])
        with pytest.raises(MethodRefusedError, match="MTT refuses the values: sip_id"):
            await ask("getFollowmeAccountSettings", sip_id=UNKNOWN)
        with pytest.raises(
            MethodRefusedError, match="does not permit it to this login: You don't have access"
        ):
            await ask("getFollowmeAccountSettings", sip_id=ANOTHERS)

    asking(south, story)


def test_where_mtt_asks_is_set_and_reset(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        await ask("updateCallControlURL", sip_id=SIP_ID, url="https://us:pw@dialer.example/mtt")
        await ask("setReserveCallControlNumber", sip_id=SIP_ID, number="+79991112233")
        told_ = await ask("getAccountCustomFields", sip_id=SIP_ID)
        assert told_["GN_IP_IPCR"] == "https://us:pw@dialer.example/mtt"
        assert told_["GN_IPCR_RESERVE"] == "79991112233"
        await ask("updateCallControlURL", sip_id=SIP_ID)
        await ask("setReserveCallControlNumber", sip_id=SIP_ID)
        told_ = await ask("getAccountCustomFields", sip_id=SIP_ID)
        assert (told_["GN_IP_IPCR"], told_["GN_IPCR_RESERVE"]) == ("", "")
        with pytest.raises(MethodRefusedError, match="agent does not have access to this account"):
            await ask("getAccountCustomFields", sip_id=ANOTHERS)

    asking(south, story)


def test_prompts_are_created_played_and_deleted(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        await ask("createCustomerPrompt", prompt_name="116.mp3", file=File("x.mp3", b"ID3"))
        await ask("createSpokenPrompt", prompt_name="116.mp3", text="Здравствуйте")
        listed = await ask("getCustomerPrompts")
        assert [prompt["name"] for prompt in listed] == ["116.mp3", "TTS_116.mp3"]
        with pytest.raises(MethodRefusedError, match="already exists") as caught:
            await ask("createCustomerPrompt", prompt_name="116.mp3", file=File("x.mp3", b"ID3"))
        assert caught.value.word == "V_VALUE_ALREADY_EXISTS"
        await ask("updatePremediaAccountSettings", sip_id=SIP_ID, scenario_id="3", answer=True)
        await ask("setAccountPrompt", sip_id=SIP_ID, prompt_name="TTS_116.mp3", side="A")
        await ask("setAccountPrompt", sip_id=SIP_ID, prompt_name="116.mp3", side="B")
        await ask("unsetAccountPrompt", sip_id=SIP_ID, side="B")
        told_ = await ask("getPremediaAccountSettings", sip_id=SIP_ID)
        assert (told_["scenario_id"], told_["answer"]) == (3, True)
        assert told_["prompts"] == {"a_prompt": {"id": 2, "name": "TTS_116.mp3"}}
        for name, values in (
            ("setAccountPrompt", {"sip_id": SIP_ID, "prompt_name": "gone.mp3", "side": "A"}),
            ("deleteCustomerPrompt", {"prompt_name": "gone.mp3"}),
            ("unsetAccountPrompt", {"sip_id": UNKNOWN, "side": "A"}),
            ("updatePremediaAccountSettings", {"sip_id": UNKNOWN, "scenario_id": "1"}),
        ):
            with pytest.raises(MethodRefusedError, match="not found") as caught:
                await ask(name, **values)
            assert caught.value.word == "V_VALUE_NOT_FOUND"
        await ask("deleteCustomerPrompt", prompt_name="116.mp3")
        assert [prompt["name"] for prompt in await ask("getCustomerPrompts")] == ["TTS_116.mp3"]

    asking(south, story)


def test_numbers_are_bought_as_long_as_there_are_funds(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        added = await ask("addNumbers", region_code="MOW", quantity=2, dial_code=495)
        assert added == [
            {"number": "74950000131", "status": "Success"},
            {"number": "74950000132", "status": "Success"},
        ]
        with pytest.raises(MethodRefusedError, match="Insufficient funds to connect 9 numbers"):
            await ask("addNumbers", region_code="MOW", quantity=9)

    asking(south, story)


def test_the_black_list_takes_numbers_and_gives_them_back(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        assert await ask("getGBLRules") == []
        for number in ("+79266966166", "79663089363"):
            assert await ask("addGBLRule", gbl_rule=number) == {"success": True}
        assert await ask("getGBLRules") == ["79266966166", "79663089363"]
        with pytest.raises(MethodRefusedError) as caught:
            await ask("addGBLRule", gbl_rule="79266966166")
        assert caught.value.word == "A_CAPI_CREATE_RATE"
        assert "79266966166" not in str(caught.value)
        await ask("deleteGBLRule", gbl_rule="79266966166")
        with pytest.raises(MethodRefusedError) as caught:
            await ask("deleteGBLRule", gbl_rule="79266966166")
        assert caught.value.word == "V_VALUE_NOT_FOUND"
        assert await ask("getGBLRules") == ["79663089363"]

    asking(south, story)


def test_a_number_that_is_trouble_is_trouble_here_too(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        with pytest.raises(TooManyRequestsError) as caught:
            await ask("addGBLRule", gbl_rule="79266966105")
        assert caught.value.retry_after == 1
        await ask("addGBLRule", gbl_rule="79266966105")
        for end, words in (
            ("06", "HTTP 500"),
            ("13", "HTTP 200"),
        ):
            with pytest.raises(ProviderError, match=words):
                await ask("addGBLRule", gbl_rule=f"792669661{end}")
        assert await ask("getGBLRules") == ["79266966105", "79266966113"]

    asking(south, story)


def test_every_login_has_its_own(serve: Serve, telecom: Telecom) -> None:
    url = f"{serve(make_app())}/mtt-callback"
    asking(telecom(url), lambda ask: ask("addGBLRule", gbl_rule="79266966166"))
    assert asking(telecom(url), lambda ask: ask("getGBLRules")) == ["79266966166"]
    other = telecom(url)
    other.settings["username"] = "other"
    assert asking(other, lambda ask: ask("getGBLRules")) == []


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_a_wrong_password_is_told(serve: Serve, telecom: Telecom, method: Method, sample: Sample) -> None:
    adapter = telecom(f"{serve(make_app(access_key='another'))}/mtt-callback")
    assert "set username and password" in told(method.name, adapter, **sample(method))


@pytest.mark.parametrize("path", ["", "/v1/api"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"jsonrpc": "2.0", "id": 1, "method": "sing", "params": {}}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "setFollowme", "params": 5}, -32602),
        ({"jsonrpc": "2.0", "id": 1, "method": "setFollowme"}, None),
        ({"jsonrpc": "1.0", "id": 1, "method": "setFollowme", "params": {}}, None),
        ({"jsonrpc": "2.0", "id": 1, "method": 5, "params": {}}, None),
        ([], None),
    ],
)
def test_the_sandbox_refuses_what_is_no_documented_request(
    serve: Serve, path: str, body: object, code: int | None
) -> None:
    answered = httpx.post(f"{serve(make_app())}/mtt-callback{path}", json=body, auth=("south", "key"))
    if code is None:
        assert answered.status_code == 400
    else:
        assert answered.json()["error"]["code"] == code


NOT_FOUND, NOT_IN_LIST = (
    "{attribute} «{value}» not found.",
    "{attribute} {currentvalue} must be one of those valid values {value}.",
)


def printed(code: int, word: str, attribute: str, template: str, **told: object) -> dict[str, object]:
    """An error of gapi.mtt.ru as the reference prints it."""
    told = {"attribute": attribute, **told}
    message = template
    for name, value in told.items():
        message = message.replace(f"{{{name}}}", str(value))
    messages = {
        -32001: "Data not found",
        -32002: "Permission denied",
        -32601: "Data not found",
        -32602: "Invalid params",
        -32603: "Internal error",
    }
    data = {"code": word, "attribute": attribute, "message": message, "tpl": template, "tplParams": told}
    return {"code": code, "message": messages[code], "data": [data]}


def of_customer(code: int, attribute: str) -> dict[str, object]:
    """The attribute has another name than within the sentence."""
    error = printed(code, "V_VALUE_NOT_FOUND", "customer_name", NOT_FOUND, value="110000704")
    error["data"][0]["attribute"] = attribute  # type: ignore[index]  # it is a list of one
    return error


CUSTOMER = {"customer_name": "110000777"}
PROMPT = {"prompt_name": "116.mp3", "prompt_type": "file", "prompt_file_contents": "SUQz"}


@pytest.mark.parametrize(
    ("method", "params", "error"),
    [
        (
            "createCustomerPrompt",
            {"customer_name": "110000704", **PROMPT},
            of_customer(-32601, "customer_id"),
        ),
        ("getCustomerPrompts", {"customer_name": "110000704"}, of_customer(-32001, "i_customer")),
        (
            "deleteCustomerPrompt",
            {**CUSTOMER, "prompt_name": "file4.wav.mp3a"},
            printed(-32001, "V_VALUE_NOT_FOUND", "prompt_name", NOT_FOUND, value="file4.wav.mp3a"),
        ),
        (
            "updatePremediaAccountSettings",
            {"sip_id": UNKNOWN, "scenario_id": "3"},
            printed(-32001, "V_VALUE_NOT_FOUND", "sip_id", NOT_FOUND, value=UNKNOWN),
        ),
        (
            "updatePremediaAccountSettings",
            {"sip_id": SIP_ID, "scenario_id": "4"},
            printed(-32001, "V_VALUE_NOT_FOUND", "scenario_id", NOT_FOUND, value="4"),
        ),
        (
            "updatePremediaAccountSettings",
            {"sip_id": SIP_ID, "scenario_id": 3, "answer": 3},
            printed(-32602, "V_VALUE_NOT_IN_LIST", "answer", NOT_IN_LIST, currentvalue="3", value="0,1"),
        ),
        (
            "setAccountPrompt",
            {"sip_id": SIP_ID, "prompt_name": "116.mp3", "side": "C"},
            printed(-32602, "V_VALUE_NOT_IN_LIST", "side", NOT_IN_LIST, currentvalue="C", value="A, B"),
        ),
        (
            "unsetAccountPrompt",
            {"sip_id": UNKNOWN, "side": "A"},
            printed(-32001, "V_VALUE_NOT_FOUND", "sip_id", NOT_FOUND, value=UNKNOWN),
        ),
        (
            "setFollowme",
            {"sip_id": SIP_ID, "caller_id": "+74951348579"},
            printed(
                -32602,
                "V_REGEX_DO_NOT_MATCH",
                "caller_id",
                "The {attribute} property must match regular expression {pattern}.",
                pattern=r"/^7\d{10}$/",
            ),
        ),
        (
            "getFollowmeAccountSettings",
            {"sip_id": ANOTHERS},
            printed(
                -32002,
                "C_PERMISSION_DENIED",
                r"common\models\premedia\api\Account",
                "You don't have access to this {attribute} «{value}».",
                value="",
            ),
        ),
        (
            "getFollowmeAccountSettings",
            {"sip_id": UNKNOWN},
            printed(-32602, "V_VALUE_NOT_FOUND", "sip_id", NOT_FOUND, value=UNKNOWN),
        ),
        (
            "addNumbers",
            {"region_code": "MOW", "quantity": 11, "dial_code": 495},
            printed(
                -32602,
                "B_INSUFFICIENT_FUNDS_FOR_NUMBERS",
                "quantity",
                "Insufficient funds to connect {value} numbers",
                value=11,
            ),
        ),
        (
            "deleteGBLRule",
            {"gbl_rule": "79266966166"},
            printed(-32001, "V_VALUE_NOT_FOUND", "gbl_rule", NOT_FOUND, value="79266966166"),
        ),
        (
            "getGBLRules",
            {},
            printed(-32603, "A_CAPI_GET_RATES", "Tariff", "Failed to get rates for {attribute}"),
        ),
    ],
)
def test_an_error_reads_as_in_the_reference(
    serve: Serve, method: str, params: dict[str, object], error: dict[str, object]
) -> None:
    body = {"jsonrpc": "2.0", "id": "1", "method": method, "params": params}
    user = "south19" if method == "getGBLRules" else "south"
    answered = httpx.post(f"{serve(make_app())}/mtt-callback/v1/api", json=body, auth=(user, "key"))
    assert (answered.status_code, answered.json()) == (200, {"jsonrpc": "2.0", "id": "1", "error": error})


# --- text messages ---------------------------------------------------------------------------------------


@pytest.fixture
def texts(serve: Serve) -> Adapter:
    """An account for text messages at the sandbox that has sent 25."""
    url = f"{serve(make_app(time_scale=0))}/mtt-sms"
    for number in range(25):
        to = f"791655{number:05}"
        sent = httpx.post(
            f"{url}/v2/accounts/acc1/messages",
            json={"from": "35800445016", "to": to, "text": "hello"},
            auth=("acc1", "token"),
        )
        assert sent.status_code in (201, 400, 429, 500, 200) or to
    settings = {"account_sid": "acc1", "token": "token", "sender": "35800445016"}
    return make_adapter(ProviderConfig("PR1", "texts", "mtt-sms", url, settings))


def test_messages_are_listed_page_by_page_and_found(texts: Adapter) -> None:
    async def story(ask: Ask) -> None:
        first = await ask("messages")
        assert (first["page"], first["limit"], first["offset"], len(first["messages"])) == (0, 20, 0, 20)
        second = await ask("messages", offset=20)
        assert (second["page"], second["offset"], second["next"]) == (1, 20, "")
        assert len(second["messages"]) == first["total"] - 20
        delivered = await ask("messages", status="delivered", direction="outbound")
        assert {one["status"] for one in delivered["messages"]} == {"delivered"}
        newest = first["messages"][0]
        assert newest["external_number"] == "79165500024"
        assert await ask("message", message_sid=newest["message_sid"]) == newest
        found = await ask("messages", external_number="79165500003")
        assert [one["status"] for one in found["messages"]] == ["sent"]
        with pytest.raises(MethodRefusedError, match="Message not found"):
            await ask("message", message_sid="msg0")
        with pytest.raises(MethodRefusedError, match="should be numbers"):
            await ask("messages", limit=0)

    asking(texts, story)


def test_the_numbers_of_an_account_are_listed(texts: Adapter) -> None:
    listed = asking(texts, lambda ask: ask("numbers", limit=5))
    assert listed["numbers"] == [{"number": "35800445016", "direction": "OUT"}]
    assert asking(texts, lambda ask: ask("numbers", offset=5))["numbers"] == []
