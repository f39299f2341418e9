"""MTT's CallBack beside calls, over real HTTP: each method against the sandbox, a file on its way, and the history of
calls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from asking import Ask, asking
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dialer.providers.base import Adapter
from dialer.providers.contract import MethodRefusedError, ProviderConfig, ProviderError, TooManyRequestsError
from dialer.providers.kinds import make_adapter
from dialer.providers.methods import File
from dialer.providers.mtt_history_methods import HistoryEntry
from dialer.sandbox import make_app

Serve = Callable[[Any], str]
Telecom = Callable[[str], Adapter]
MAKE = {
    "customer_name": "110000777",
    "b_number": "79157775533",
    "caller_id": "74996480000",
    "client_caller_id": "74996480000",
}
A = {"order": 1, "timeout": 25, "type": "ringall", "name": "sales"}


@pytest.fixture
def south(serve: Serve, telecom: Telecom) -> Adapter:
    """The login at the sandbox."""
    return telecom(f"{serve(make_app(time_scale=0))}/mtt-callback")


def call(adapter: Adapter, number: str | None, **more: object) -> dict[str, Any]:
    """Order a call, as the engine does; what MTT answers."""
    entries = {} if number is None else {"simpleCallBackFollowmeStruct": [{**A, "redirect_number": number}]}
    body = {
        "id": "1",
        "jsonrpc": "2.0",
        "method": "makeCallBackCallFollowme",
        "params": {**MAKE, **entries, **more},
    }
    answer = httpx.post(adapter.base_url, json=body, auth=("south", "s3cret:key")).json()
    assert isinstance(answer, dict)
    return answer


def other(adapter: Adapter, customer_name: str) -> Adapter:
    """The same login, for another customer."""
    settings = {"username": "south", "password": "s3cret:key", "customer_name": customer_name}
    return make_adapter(ProviderConfig("PR2", "west", "mtt-callback", adapter.base_url, settings))


def test_side_a_is_set_once_told_and_taken_away(south: Adapter) -> None:
    followme = [
        {"type": "linal", "redirect_number": "+79684881033"},
        {"type": "text", "value": "Hello", "side": "A"},
    ]

    async def story(ask: Ask) -> None:
        for name in ("getCallBackFollowme", "deleteCallBackFollowme"):
            with pytest.raises(MethodRefusedError, match="Followme not found"):
                await ask(name)
        assert "error" in call(south, None), "nobody is side A"
        assert await ask("setCallBackFollowme", followme=followme, caller_id="74951001010") == {
            "success": True
        }
        told = await ask("getCallBackFollowme")
        assert told["caller_id"] == "74951001010"
        assert [entry["type"] for entry in told["followme"]] == ["linal", "text"]
        assert "callBackCall_id" in call(south, None)["result"]
        with pytest.raises(MethodRefusedError, match="Delete before insert"):
            await ask("setCallBackFollowme", followme=followme)
        assert await ask("deleteCallBackFollowme") == {"success": True}
        assert await ask("setCallBackFollowme", followme=followme) == {"success": True}

    asking(south, story)


def test_a_customer_that_is_no_text_has_the_printed_error(south: Adapter) -> None:
    body = {"id": "1", "jsonrpc": "2.0", "method": "getCallBackFollowme", "params": {"customer_name": 7}}
    error = httpx.post(south.base_url, json=body, auth=("south", "s3cret:key")).json()["error"]
    assert error == {"code": -32602, "message": "Invalid params", "data": "Invalid type"}


def test_a_file_is_announced_sent_and_waited_for(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        assert await ask("getCallBackPromptInfo") == []
        assert await ask("setCallBackPrompt", file=File("hello.mp3", b"ID3")) == {"status": "ok"}
        listed = await ask("getCallBackPromptInfo")
        assert [prompt["file_name"] for prompt in listed] == ["hello.mp3"]

    asking(south, story)


def test_a_file_that_takes_its_time_is_looked_at_again(serve: Serve, telecom: Telecom) -> None:
    slow = telecom(f"{serve(make_app(time_scale=1))}/mtt-callback")
    uploaded = asking(slow, lambda ask: ask("setCallBackPrompt", file=File("hello.mp3", b"ID3")))
    assert uploaded == {"status": "ok"}


@pytest.mark.parametrize(
    ("file", "words"),
    [
        (File("hello.exe", b"MZ"), r"no format that MTT takes"),
        (File("hello.mp3", b""), r"no format that MTT takes"),
        (File("hello.mp3", bytes(1048577)), r"MTT takes 1048576 at most"),
        (File("hello17.mp3", b"ID3"), r"could not load the file"),
        (File("hello19.mp3", b"ID3"), r"internal error"),
        (File("hello07.mp3", b"ID3"), r"does not wait for this upload"),
        (File(f"{'x' * 252}.mp3", b"ID3"), r"names of files of at most 255 characters"),
    ],
)
def test_a_file_that_mtt_does_not_take_is_told(south: Adapter, file: File, words: str) -> None:
    async def story(ask: Ask) -> None:
        with pytest.raises(ProviderError, match=words):
            await ask("setCallBackPrompt", file=file)
        assert await ask("getCallBackPromptInfo") == []

    asking(south, story)


def test_an_upload_is_taken_once_and_only_where_it_was_announced(south: Adapter) -> None:
    body = {
        "id": "1",
        "jsonrpc": "2.0",
        "method": "setCallBackPrompt",
        "params": {"customer_name": "110000777", "file_name": "a.mp3"},
    }
    with httpx.Client() as client:
        told = client.post(south.base_url, json=body, auth=("south", "s3cret:key")).json()["result"]
        upload, status = (
            south.base_url + told[name].removeprefix("https://fuds1.mtt.ru")
            for name in ("uploadURL", "statusURL")
        )
        assert client.get(status).json() == {"status": "wait_client_upload"}
        assert client.post(upload, content=b"ID3").json() == {"status": "wait_porta_upload"}
        assert client.post(upload, content=b"ID3").json() == {"status": "error_invalid_state"}
        assert client.get(status).json() == {"status": "ok"}
        assert client.post(f"{upload}0", content=b"ID3").json() == {"status": "error_not_found"}
        late = {**body, "params": {"customer_name": "110000777", "file_name": "a07.mp3"}}
        told = client.post(south.base_url, json=late, auth=("south", "s3cret:key")).json()["result"]
        waited = south.base_url + told["statusURL"].removeprefix("https://fuds1.mtt.ru")
        assert client.get(waited).json() == {"status": "error_timeout"}
        long = {**body, "params": {"customer_name": "110000777", "file_name": "x" * 256}}
        error = client.post(south.base_url, json=long, auth=("south", "s3cret:key")).json()["error"]
        assert error["code"] == -32602
        assert client.get(f"{status}0").json() == {"status": "error_not_found"}


def test_anothers_customer_is_not_permitted(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        with pytest.raises(MethodRefusedError, match="does not have access to this customer"):
            await ask("setCallBackPrompt", file=File("hello.mp3", b"ID3"))

    asking(other(south, "110000718"), story)


def test_a_call_is_told_with_its_records(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        reference = call(south, "79100000000", recordEnable=1)["result"]["callBackCall_id"]
        info = await ask("getCallBackFollowmeCallInfo", callBackCall_id=reference)
        assert (info["destination_A"], info["call_back_status"]) == ("+79100000000", "ok")
        assert [len(info[f"call_back_record_URL_{side}"]) for side in "AB"] == [1, 1]
        plain = call(south, "79100000000")["result"]["callBackCall_id"]
        assert (await ask("getCallBackFollowmeCallInfo", callBackCall_id=plain))[
            "call_back_record_URL_A"
        ] == []
        declined = call(south, "79100000017")["result"]["callBackCall_id"]
        with pytest.raises(MethodRefusedError, match="Call ended by cancel on side B"):
            await ask("getCallBackFollowmeCallInfo", callBackCall_id=declined)

    asking(south, story)


def test_calls_stand_in_the_histories_with_both_sides(south: Adapter) -> None:
    now = datetime.now(UTC)
    since, until = ((now + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S") for hours in (-1, 1))

    async def story(ask: Ask) -> None:
        with pytest.raises(MethodRefusedError, match="No data found"):
            await ask("getCallHistory", sip_id="74996480000")
        for number in ("79100000000", "79100000001"):
            call(south, number, recordEnable=1)
        day = {name: f"{now + timedelta(days=days):%d.%m.%Y} 00:00:00" for name, days in
               (("date_from", -1), ("date_to", 2))}  # fmt: skip
        legs = (await ask("getCallHistory", sip_id="74996480000", **day))["dialed"]
        assert [leg["cld"] for leg in legs] == ["79100000000", "79157775533", "79100000001"]
        assert [leg["disconnect_cause"] for leg in legs] == ["16", "16", "17"]
        period = {"type": "dialed", "date_from": since, "date_to": until}
        (newest,) = (await ask("getServiceHistoryByCustomer", **period, record_count=1))["dialed"]
        assert newest["cld"] == "79100000001"
        (filtered,) = (await ask("getServiceHistoryByCustomer", **period, filter="79157775533"))["dialed"]
        assert filtered["voice_record_exist"] is True
        assert filtered["h323_incoming_conf_id"] != filtered["h323_conf_id"]
        assert set(filtered) == set(HistoryEntry.__annotations__)
        oldest = (await ask("getServiceHistoryByCustomer", **period, order="asc"))["dialed"][0]
        assert oldest["cld"] == "79100000000"
        missed = {**period, "type": "missed"}
        assert await ask("getServiceHistoryByCustomer", **missed) == {"missed": []}
        for kind in ("wav", "mp3"):
            links = await ask("record_links", h323_conf_id=filtered["h323_conf_id"], format=kind)
            assert [link.rpartition(".")[2] for link in links] == [kind]
        with pytest.raises(ProviderError, match="HTTP 404"):
            await ask("record_links", h323_conf_id=newest["h323_conf_id"])
        with pytest.raises(MethodRefusedError, match="Invalid begin date"):
            await ask("getServiceHistoryByCustomer", **{**period, "date_from": "yesterday"})
        with pytest.raises(MethodRefusedError, match="Invalid end date"):
            await ask("getCallHistory", sip_id="74996480000", date_to="2019-10-30 22:23:35")

    asking(south, story)


def test_the_account_tells_its_balance_and_numbers(south: Adapter) -> None:
    async def story(ask: Ask) -> None:
        assert await ask("getCustomerBalance") == {"balance": "121.54", "real_balance": "711.54"}
        numbers = await ask("getPersonalAccountList", limit=2, offset=1)
        assert [number["account_number"] for number in numbers] == ["74951374017", "74951340438"]
        assert len(await ask("getPersonalAccountList")) == 5
        with pytest.raises(MethodRefusedError, match="Unknown param 'limit' value"):
            await ask("getPersonalAccountList", limit=0)

    asking(south, story)
    with pytest.raises(ProviderError, match="customer_name of at most 41 characters"):
        asking(other(south, "1" * 42), lambda ask: ask("getPersonalAccountList"))


def test_a_429_on_the_way_of_a_file_is_told(serve: Serve, telecom: Telecom) -> None:
    async def announce(_: Request) -> Response:
        upload = {"uploadURL": "https://x/upload/1", "statusURL": "https://x/status/1", "maxsize": 100}
        return JSONResponse({"jsonrpc": "2.0", "id": "1", "result": upload})

    async def hold(_: Request) -> Response:
        return Response(status_code=429, headers={"Retry-After": "7"})

    routes = [Route("/", announce, methods=["POST"]), Route("/upload/1", hold, methods=["POST"])]
    adapter = telecom(serve(Starlette(routes=routes)))

    async def story(ask: Ask) -> None:
        with pytest.raises(TooManyRequestsError, match="in 7 s"):
            await ask("setCallBackPrompt", file=File("hello.mp3", b"ID3"))

    asking(adapter, story)
