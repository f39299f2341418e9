"""The sandbox plays flash calls and text messages by their references, and the adapters get along with it, over real
HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from sandboxed import Inbox
from test_sandbox import running, until

from dialer.http import make_client
from dialer.providers.asking import check
from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderConfig, ProviderError, Submission
from dialer.providers.kinds import make_adapter
from dialer.sandbox import make_app
from dialer.sandbox.outcomes import FATES

SID = "accefd5c385-f2aa-3dd4-9c0b-01abf00ccfe"
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "mitto-flash": {"token": "k3y"},
    "mtt-sms": {"account_sid": SID, "token": "k3y", "sender": "+35800445016"},
}
KINDS = list(SETTINGS)
ENDS = [*FATES, "00"]


def adapter_at(url: str, kind: str, **settings: str) -> Adapter:
    return make_adapter(ProviderConfig("PR1", "north", kind, f"{url}/{kind}", {**SETTINGS[kind], **settings}))


def otp_to(end: str, reference: str = "") -> Submission:
    return Submission(
        reference or f"AT{end}", f"+467000000{end}", "", "Your code: 0987 & no other", None, code="0987"
    )


def test_the_numbers_show_whether_the_account_works() -> None:
    async def story() -> str:
        async with running(make_app(access_key="k3y")) as url:
            client = make_client(5)
            try:
                said = await check(client, adapter_at(url, "mtt-sms"))
                with pytest.raises(ProviderError, match="does not accept"):
                    await check(client, adapter_at(url, "mtt-sms", token="other"))
                with pytest.raises(ProviderError, match="sender is none of the account's numbers"):
                    await check(client, adapter_at(url, "mtt-sms", sender="79587625004"))
            finally:
                await client.aclose()
            return said

    assert "numbers of the account: 1" in asyncio.run(story())


def test_flash_calls_have_nothing_to_try_the_token_with() -> None:
    async def story() -> str:
        client = make_client(5)
        try:
            return await check(client, adapter_at("http://127.0.0.1:9", "mitto-flash"))
        finally:
            await client.aclose()

    assert "no request that could test it" in asyncio.run(story())


# --- strictness ------------------------------------------------------------------------------------------

FLASH: Mapping[str, Any] = {"number": "46700000000", "code": 1987, "timeout": 60000}
SMS: Mapping[str, Any] = {"from": "35800445016", "to": "46700000000", "text": "Hello", "tag": "AT1"}
TOKEN = {"headers": {"Authorization": "Basic k3y"}}
LOGIN = {"auth": (SID, "k3y")}
CALLS = "mitto-flash/apps/flash/calls/flash"
MESSAGES = f"mtt-sms/v2/accounts/{SID}/messages"
NUMBERS = f"mtt-sms/v2/accounts/{SID}/numbers"


def asked(method: str, path: str, **options: Any) -> tuple[httpx.Response, list[bool]]:
    """One request to a sandbox that takes one key; the response, and what the log holds as accepted."""

    async def story() -> tuple[httpx.Response, list[bool]]:
        async with running(make_app(time_scale=0, access_key="k3y")) as url, httpx.AsyncClient() as client:
            response = await client.request(method, f"{url}/{path}", **options)
            log = (await client.get(f"{url}/sandbox/log")).json()["lines"]
            return response, [line["accepted"] for line in log]

    return asyncio.run(story())


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        ({"json": FLASH, **TOKEN}, 200, None),
        ({"json": {"number": "46700000000", "code": "0987"}, **TOKEN}, 200, None),
        ({"json": FLASH}, 401, 1),
        ({"json": FLASH, "headers": {"Authorization": "k3y"}}, 401, 1),
        ({"json": FLASH, "headers": {"Authorization": "Basic other"}}, 401, 1),
        ({"json": FLASH, "headers": {"Authorization": "Basic inactive-account"}}, 400, 2),
        ({"json": FLASH, "headers": {"Authorization": "Basic inactive-token"}}, 401, 5),
        ({"json": FLASH, "headers": {"Authorization": "Basic no-funds"}}, 403, 6),
        ({"json": FLASH, "headers": {"Authorization": "Basic no-sender"}}, 400, 16),
        ({"content": b"number=46700000000", **TOKEN}, 400, 10),
        ({"json": [FLASH], **TOKEN}, 400, 10),
        ({"json": {"number": "46700000000"}, **TOKEN}, 400, 10),
        ({"json": {**FLASH, "text": "Hello"}, **TOKEN}, 400, 10),
        ({"json": {**FLASH, "code": 987}, **TOKEN}, 400, 10),
        ({"json": {**FLASH, "code": True}, **TOKEN}, 400, 10),
        ({"json": {**FLASH, "code": "19870"}, **TOKEN}, 400, 10),
        ({"json": {**FLASH, "timeout": "60000"}, **TOKEN}, 400, 10),
        ({"json": {**FLASH, "timeout": 0}, **TOKEN}, 400, 10),
        ({"json": {**FLASH, "number": 46700000000}, **TOKEN}, 400, 10),
        ({"json": {**FLASH, "number": "+46700000000"}, **TOKEN}, 400, 11),
        ({"json": {**FLASH, "number": "070000"}, **TOKEN}, 400, 11),
    ],
)
def test_only_flash_calls_that_the_reference_allows_are_taken(
    options: dict[str, Any], status: int, error: int | None
) -> None:
    response, accepted = asked("POST", CALLS, **options)
    assert (response.status_code, response.json().get("errorCode")) == (status, error)
    assert accepted == [error is None]


@pytest.mark.parametrize(
    ("options", "status", "error"),
    [
        ({"json": SMS, **LOGIN}, 201, None),
        ({"json": {**SMS, "tag": ""}, **LOGIN}, 201, None),
        ({"json": SMS}, 401, "Unauthorized"),
        ({"json": SMS, "auth": (SID, "other")}, 401, "Unauthorized"),
        ({"json": SMS, "auth": ("other", "k3y")}, 401, "Unauthorized"),
        ({"json": SMS, "headers": {"Authorization": "Basic k3y"}}, 401, "Unauthorized"),
        ({"data": SMS, **LOGIN}, 400, "Invalid params: body should be JSON"),
        ({"json": {**SMS, "text": ""}, **LOGIN}, 400, "Invalid params: text shouldn't be empty"),
        ({"json": {"text": "Hello"}, **LOGIN}, 400, "Invalid params: from shouldn't be empty"),
        ({"json": {**SMS, "to": "+46700000000"}, **LOGIN}, 400, "Invalid params: to should be a number"),
        ({"json": {**SMS, "from": "Dialer"}, **LOGIN}, 400, "Invalid params: from should be a number"),
        ({"json": {**SMS, "to": 46700000000}, **LOGIN}, 400, "Invalid params: to should be a string"),
        ({"json": {**SMS, "callback": "x"}, **LOGIN}, 400, "Invalid params: unknown parameter"),
    ],
)
def test_only_messages_that_the_reference_allows_are_taken(
    options: dict[str, Any], status: int, error: str | None
) -> None:
    response, accepted = asked("POST", MESSAGES, **options)
    answer = response.json()
    assert (response.status_code, answer["status_code"], answer.get("error")) == (status, status, error)
    assert accepted == [error is None]


def test_what_people_write_is_told_and_listed_and_nothing_of_ours() -> None:
    async def story() -> tuple[Inbox, list[dict[str, Any]], int]:
        inbox = Inbox()
        async with (
            running(inbox.app) as hook,
            running(make_app(time_scale=0, callback_url=f"{hook}/hook")) as url,
            httpx.AsyncClient(auth=LOGIN["auth"]) as client,
        ):
            written = {"from": "79587643270", "to": "35800445016", "text": "Stop"}
            odd = await client.post(f"{url}/sandbox/inbound/mtt-sms/{SID}", json={"from": "79587643270"})
            assert (await client.post(f"{url}/sandbox/inbound/mtt-sms/{SID}", json=written)).is_success
            await until(lambda: len(inbox.events) == 1)
            listed = await client.get(f"{url}/{MESSAGES}", params={"direction": "inbound"})
        return inbox, listed.json()["messages"], odd.status_code

    inbox, (message,), odd = asyncio.run(story())
    (event,) = inbox.events
    told = dict(parse_qsl(event.query))
    assert list(told) == ["account_sid", "direction", "from", "hash", "message_sid", "status", "text", "to"]
    assert (
        (told["direction"], told["status"])
        == ("inbound", "received")
        == (message["direction"], message["status"])
    )
    assert (message["number"], message["external_number"]) == ("35800445016", "79587643270")
    assert adapter_at("http://127.0.0.1:9", "mtt-sms").read_event(event) == []
    assert odd == 400


@pytest.mark.parametrize(
    ("params", "status", "shown"),
    [
        ({}, 200, 1),
        ({"limit": "5", "offset": "0"}, 200, 1),
        ({"offset": "1"}, 200, 0),
        ({"limit": "x"}, 400, None),
    ],
)
def test_the_numbers_come_in_pages(params: dict[str, str], status: int, shown: int | None) -> None:
    response, accepted = asked("GET", NUMBERS, params=params, **LOGIN)
    assert response.status_code == status
    assert shown is None or len(response.json()["numbers"]) == shown
    assert accepted == []
