"""The sandbox plays flash calls and text messages by their references, and the adapters get along with it, over real
HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from test_sandbox import Inbox, running, until

from dialer.http import make_client
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter, check, submit
from dialer.providers.contract import Fact, Outcome, ProviderConfig, ProviderError, Submission, SubmitResult
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


SUBMIT_OUTCOMES = {
    "05": Outcome.NOT_PROCESSED,
    "06": Outcome.UNKNOWN,
    "07": Outcome.UNKNOWN,
    "12": Outcome.UNKNOWN,
    "13": Outcome.UNKNOWN,
    "18": Outcome.REFUSED,
    "19": Outcome.UNKNOWN,
}
NO_CALLBACKS = {"05", "06", "10", "18"}


async def every_fate(
    kind: str, each: int
) -> tuple[dict[str, SubmitResult], list[Fact], list[dict[str, Any]]]:
    """Submit to each kind of number: the results, what callbacks said, and the sandbox's log. `each`: how many
    callbacks come of one that is delivered plainly."""
    inbox = Inbox()
    async with (
        running(inbox.app) as hook,
        running(make_app(time_scale=0, callback_url=f"{hook}/hook")) as url,
        httpx.AsyncClient() as curl,
    ):
        adapter, client = adapter_at(url, kind), make_client(30)
        results = await asyncio.gather(*(submit(client, adapter, otp_to(end), timeout=2) for end in ENDS))
        expected = each * (len(ENDS) - len(NO_CALLBACKS) + 1)  # one of them comes doubled
        if kind == "mtt-sms":
            expected -= 3  # three are never delivered
        await until(lambda: len(inbox.events) >= expected)
        log = (await curl.get(f"{url}/sandbox/log")).json()["lines"]
        await client.aclose()
    assert len(inbox.events) == expected
    facts = [fact for event in inbox.events for fact in adapter.read_event(event)]
    return dict(zip(ENDS, results, strict=True)), facts, log


def told(results: Mapping[str, SubmitResult], facts: list[Fact]) -> dict[str, list[Fact]]:
    """What callbacks said of the numbers whose reply told the provider's reference."""
    placed = {one.provider_reference: end for end, one in results.items() if one.outcome is Outcome.PLACED}
    by_end: dict[str, list[Fact]] = {}
    for fact in facts:
        assert fact.attempt_id == ""
        if fact.provider_reference in placed:
            by_end.setdefault(placed[fact.provider_reference], []).append(fact)
    return by_end


def check_results(results: Mapping[str, SubmitResult], log: list[dict[str, Any]]) -> None:
    assert {end: one.outcome for end, one in results.items()} == {
        end: SUBMIT_OUTCOMES.get(end, Outcome.PLACED) for end in ENDS
    }
    for one in results.values():
        assert not any(private in one.detail for private in ("467000000", "Your code", "k3y"))
    taken = {line["to"][-2:] for line in log if line["accepted"]}
    assert taken == set(ENDS) - {"05", "06", "18"}
    assert len(log) == len(ENDS)


def test_every_fate_of_a_flash_call_is_read_as_the_tables_say() -> None:
    results, facts, log = asyncio.run(every_fate("mitto-flash", each=1))
    check_results(results, log)
    by_end = told(results, facts)
    shown, failed = Disposition.ANSWERED, Disposition.FAILED
    expected = {end: [(shown, 16)] for end in ENDS if SUBMIT_OUTCOMES.get(end) is None and end != "10"}
    expected |= {
        "01": [(failed, None)],
        "02": [(shown, 19)],
        "03": [(Disposition.UNAVAILABLE, 20)],
        "04": [(failed, None)],
        "09": [(shown, 16)] * 2,
        "11": [(failed, None)],
        "16": [(shown, 21)],
        "17": [(Disposition.CANCELLED, None)],
    }
    assert {
        end: [(fact.disposition, fact.hangup_cause) for fact in said] for end, said in by_end.items()
    } == expected
    # Taken without a clean reply: their callbacks come, under a reference that nobody was told.
    assert len(facts) == sum(map(len, by_end.values())) + 4


def test_every_fate_of_a_message_is_read_as_the_tables_say() -> None:
    results, facts, log = asyncio.run(every_fate("mtt-sms", each=4))
    check_results(results, log)
    assert {line["reference"] for line in log} == {f"AT{end}" for end in ENDS}
    sent, delivered = AttemptState.RINGING, AttemptState.ENDED
    by_end = told(results, facts)
    expected = {end: [sent, delivered] for end in ENDS if SUBMIT_OUTCOMES.get(end) is None and end != "10"}
    expected |= {"03": [sent], "04": [sent], "11": [sent], "14": [delivered, sent]}
    expected |= {"09": [sent, sent, delivered, delivered]}
    assert {end: [fact.state for fact in said] for end, said in by_end.items()} == expected
    ended = {fact.disposition for said in by_end.values() for fact in said if fact.state is delivered}
    assert ended == {Disposition.ANSWERED}


@pytest.mark.parametrize(("kind", "callbacks"), [("mitto-flash", 1), ("mtt-sms", 4)])
def test_callbacks_may_come_before_the_reply(kind: str, callbacks: int) -> None:
    async def story() -> int:
        inbox = Inbox()
        async with (
            running(inbox.app) as hook,
            running(make_app(time_scale=1, callback_url=f"{hook}/hook")) as url,
        ):
            client, adapter = make_client(5), adapter_at(url, kind)
            result = await submit(client, adapter, otp_to("15"), timeout=10)
            seen = list(inbox.events)
            await client.aclose()
        (reference,) = {fact.provider_reference for event in seen for fact in adapter.read_event(event)}
        assert (result.outcome, result.provider_reference) == (Outcome.PLACED, reference)
        return len(seen)

    assert asyncio.run(story()) == callbacks


@pytest.mark.parametrize("kind", KINDS)
def test_429_holds_a_number_once(kind: str) -> None:
    async def story() -> list[tuple[Outcome, float | None]]:
        async with running(make_app(time_scale=0)) as url:
            client, adapter = make_client(5), adapter_at(url, kind)
            results = [await submit(client, adapter, otp_to("05", f"AT{i}"), timeout=5) for i in range(2)]
            await client.aclose()
            return [(result.outcome, result.retry_after) for result in results]

    assert asyncio.run(story()) == [(Outcome.NOT_PROCESSED, 1.0), (Outcome.PLACED, None)]


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
