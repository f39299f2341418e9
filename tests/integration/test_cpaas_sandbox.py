"""The sandbox plays the CPaaS API by its reference, and the adapter gets along with it, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sandboxed import NOT_TAKEN, OUTCOMES
from starlette.applications import Starlette
from starlette.routing import Mount
from test_sandbox import running

from dialer.http import Client, make_client
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.asking import MAX_CDRS, call_method, check, look_up, read_cdr_page
from dialer.providers.base import Adapter, submit
from dialer.providers.contract import (
    Asked,
    Fact,
    Outcome,
    ProviderConfig,
    ProviderError,
    Refusal,
    Submission,
    SubmitResult,
    TooManyRequestsError,
)
from dialer.providers.kinds import make_adapter
from dialer.sandbox import make_app
from dialer.sandbox.callbacks import Callbacks
from dialer.sandbox.cpaas import Cpaas
from dialer.sandbox.log import CallLog
from dialer.sandbox.outcomes import FATES

LOGIN = {"account": "account_1", "auth": "k3y"}
OTP: Mapping[str, Any] = {
    "customer_number": "919979271200", "otp": "1987", "announce_template_id": "AN2222314c96", "repeat": "1",
    "caller_id": "15168148111", "voice": "Raveena", "volume": "soft", "rate": "slow", "pitch": "medium",
    "language_code": "en-US", "tts_engine_type": "standard",
}  # fmt: skip
CLICK: Mapping[str, Any] = {
    "agent_number": "919979271200", "caller_id": "15168148111", "destination_number": "918000681234",
    "recording_option": "on", "transcript": "on",
}  # fmt: skip
CALLBACK: Mapping[str, Any] = {
    "agent_number": "919979271200", "caller_id": "15168148111", "destination_number": "918000681234",
    "recording_option": "off", "time_zone": "Asia/Kolkata", "scheduled_at": "2023-08-15 12:55:00",
}  # fmt: skip
#: The example of "Create Campaign", with dates of the day.
CAMPAIGN: Mapping[str, Any] = {
    "list_id": "LS608c393614", "dnd_list_id": "DNd2b09f8f80", "campaign_name": "test_broadcast_campaign_test_volume",
    "campaign_type": "0", "campaign_caller_id": "15168148111", "dynamic_announcement": "1", "recorded_filename": "",
    "announcement_text": "Dear, {field1} , {field2}, Your due balance is,, {field3},,INR only",
    "campaign_start_date": "2023-08-15 14:05:00", "campaign_end_date": "2023-08-15 20:00:00",
    "time_zone": "Asia/Kolkata", "repeat": "2", "max_retries": "1", "retry_time": "60", "calls_per_minute": "10",
    "voice": "Matthew", "volume": "soft", "rate": "slow", "pitch": "medium", "language_code": "en-US",
    "tts_engine_type": "standard",
}  # fmt: skip


def cpaas_at(url: str, **settings: str) -> Adapter:
    own = {"account": "account_1", "auth": "k3y", "announce_template_id": "AN2222314c96", **settings}
    return make_adapter(ProviderConfig("PR1", "south", "cpaas", f"{url}/cpaas", own))


def otp_to(end: str) -> Submission:
    return Submission(f"AT{end}", f"+9199792712{end}", "+15168148111", "Your code is 1, 9", None, code="1987")


def asked_of(submission: Submission, reference: str | None, at: datetime) -> Asked:
    return Asked(submission.attempt_id, reference, submission.to, submission.caller_id, at)


def send(
    path: str,
    body: object,
    *,
    method: str = "POST",
    login: Mapping[str, str] = LOGIN,
    app: Starlette | None = None,
) -> httpx.Response:
    """One request to the sandbox."""

    async def story() -> httpx.Response:
        async with running(app or make_app(time_scale=0)) as url, httpx.AsyncClient() as client:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await client.request(method, f"{url}/cpaas/{path}", content=content, headers=dict(login))

    return asyncio.run(story())


# --- strictness ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body"), [("outbound_call", OTP), ("click2call", CLICK), ("callback", CALLBACK)]
)
def test_the_examples_of_the_reference_are_taken(path: str, body: object) -> None:
    response = send(path, body)
    answer = response.json()["response"]
    assert response.status_code == 200
    assert answer["success"] == "true"
    assert len(answer["request_id"]) == 10


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("outbound_call", {**OTP, "otp": 1987}, "otp should be a string"),
        ("outbound_call", {**OTP, "text": "Hello"}, "unknown parameter text"),
        ("outbound_call", {**OTP, "announce_template_id": ""}, "announce_template_id is required"),
        ("outbound_call", {**OTP, "customer_number": "+919979271200"}, "invalid customer_number"),
        ("outbound_call", {**OTP, "volume": "deafening"}, "invalid volume"),
        ("outbound_call", {**OTP, "repeat": "often"}, "invalid repeat"),
        ("outbound_call", [OTP], "the body should be a json string"),
        ("outbound_call", b"otp=1987", "the body should be a json string"),
        ("click2call", {**CLICK, "recording_option": "yes"}, "invalid recording_option"),
        ("click2call", {**CLICK, "destination_number": "102a"}, "invalid destination_number"),
        ("callback", {**CALLBACK, "scheduled_at": "tomorrow"}, "invalid scheduled_at"),
        ("callback", {**CALLBACK, "time_zone": "Asia/Nowhere"}, "invalid time_zone"),
        ("modify_call", {"channel": "PJSIP/1", "modify_type": "4"}, "invalid modify_type"),
        ("modify_call", {"channel": "PJSIP/1", "modify_type": "0"}, "transfer_to is required"),
        ("add_contact_to_list", {"list_id": "LS1"}, "contacts is required"),
        (
            "add_contact_to_list",
            {"list_id": "LS1", "contacts": [{"contact_name": "abc"}]},
            "contacts should be an array of contacts",
        ),
        ("create_campaign", {**CAMPAIGN, "campaign_type": "2"}, "invalid campaign_type"),
        ("create_campaign", {**CAMPAIGN, "dnd_list_id": ""}, "dnd_list_id is required"),
        ("create_campaign", {**CAMPAIGN, "campaign_start_date": "now"}, "invalid campaign_start_date"),
        ("create_campaign", {**CAMPAIGN, "calls_per_minute": "many"}, "invalid calls_per_minute"),
        ("create_campaign", {**CAMPAIGN, "campaign_caller_id": "+15168148111"}, "invalid campaign_caller_id"),
        ("create_campaign", {**CAMPAIGN, "flow": "{}"}, "unknown parameter flow"),
        ("create_campaign", {**CAMPAIGN, "announcement_text": ""}, "announcement_text is required"),
        ("create_campaign", {**CAMPAIGN, "dynamic_announcement": "0"}, "recorded_filename is required"),
        ("get_cdr_by_date", {"start_call_date": "2023-06-13"}, "end_call_date is required"),
        (
            "get_cdr_by_date",
            {"start_call_date": "13.06.2023", "end_call_date": "x"},
            "invalid start_call_date",
        ),
    ],
)
def test_what_it_does_not_allow_is_refused_in_the_envelope(path: str, body: object, message: str) -> None:
    response = send(path, body)
    assert response.status_code == 400
    assert response.json() == {"response": {"message": message, "success": "false"}}


@pytest.mark.parametrize(
    "login", [{}, {"account": "account_1"}, {"auth": "k3y"}, {"account": "", "auth": "k3y"}]
)
def test_account_and_auth_are_needed(login: dict[str, str]) -> None:
    assert send("outbound_call", OTP, login=login).status_code == 401
    strict = make_app(time_scale=0, access_key="other")
    assert send("outbound_call", OTP, app=strict).status_code == 401


# --- the adapter against it ------------------------------------------------------------------------------

DISPOSITIONS = {
    "01": Disposition.BUSY,
    "02": Disposition.NO_ANSWER,
    "03": Disposition.UNAVAILABLE,
    "04": Disposition.UNAVAILABLE,
    "11": Disposition.CONGESTION,
    "16": Disposition.BUSY,
    "17": Disposition.CANCELLED,
}
NO_CDR = {"10"}


async def looked_up(client: Client, adapter: Adapter, asked: Asked) -> list[Fact]:
    facts = await look_up(client, adapter, asked, timeout=5)
    assert facts is not None
    return facts


def test_every_fate_is_read_as_the_table_says_and_looked_up(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    ends = [*FATES, "00"]

    async def story() -> tuple[dict[str, SubmitResult], dict[str, list[Fact]]]:
        async with running(make_app(time_scale=0, log=log)) as url:
            adapter, client = cpaas_at(url), make_client(30)
            begun = datetime.now(UTC)
            results = await asyncio.gather(*(submit(client, adapter, otp_to(end), timeout=2) for end in ends))
            by_end = dict(zip(ends, results, strict=True))
            facts = {
                # Those whose reply was lost are known by their numbers.
                end: await looked_up(client, adapter, asked_of(otp_to(end), result.provider_reference, begun))
                for end, result in by_end.items()
            }
            await client.aclose()
        return by_end, facts

    results, facts = asyncio.run(story())
    assert {end: result.outcome for end, result in results.items()} == {
        end: OUTCOMES.get(end, Outcome.PLACED) for end in ends
    }
    assert results["18"].refusal is Refusal.BAD_NUMBER
    ended = {
        end: {fact.disposition for fact in told if fact.state is AttemptState.ENDED}
        for end, told in facts.items()
    }
    assert ended == {
        end: set() if end in NOT_TAKEN | NO_CDR else {DISPOSITIONS.get(end, Disposition.ANSWERED)}
        for end in ends
    }
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["to"][-2:] for line in lines if line["accepted"]} == set(ends) - NOT_TAKEN
    # What the reply would have told, the CDR does.
    taken = {line["reference"] for line in lines if line["accepted"]}
    assert {fact.provider_reference for told in facts.values() for fact in told} <= taken


def test_a_call_has_no_cdr_until_it_is_over_and_is_counted_meanwhile() -> None:
    now = datetime.now(UTC)
    played = Cpaas(CallLog(None), Callbacks(1), clock=lambda: now)

    async def story() -> None:
        nonlocal now
        async with running(Starlette(routes=[Mount("/cpaas", routes=played.routes())])) as url:
            adapter, client = cpaas_at(url), make_client(5)
            otp = otp_to("00")
            click = replace(otp, code=None, connect_to="+918000681234")
            first, second = [await submit(client, adapter, one, timeout=5) for one in (otp, click)]
            asked = asked_of(otp, first.provider_reference, now)
            assert await looked_up(client, adapter, asked) == []
            live = await statistics(client, url, "get_live_call_statistics")
            assert live == {
                "live_calls_c2c": 1, "live_calls_campaign": 0, "live_calls_inbound": 0, "live_calls_otp": 1,
            }  # fmt: skip
            now += timedelta(minutes=2)
            answered, ended = await looked_up(client, adapter, asked)
            assert ended.billsec == (ended.at - answered.at).total_seconds()
            assert ended.duration is not None
            assert ended.duration > (ended.billsec or 0)
            assert len(await looked_up(client, adapter, asked_of(click, second.provider_reference, now))) == 2
            counts = await statistics(client, url, "get_cdr_statistics")
            assert (counts["answer_calls"], counts["total_calls"]) == ([2], [2])
            assert sum((await statistics(client, url, "get_live_call_statistics")).values()) == 0
            await client.aclose()

    asyncio.run(story())


def test_a_callback_is_made_at_its_time_unless_it_is_moved_or_deleted() -> None:
    now = datetime(2023, 8, 15, 7, 0, tzinfo=UTC)  # 12:30 in India
    played = Cpaas(CallLog(None), Callbacks(1), clock=lambda: now)

    async def story() -> None:
        nonlocal now
        app = Starlette(routes=[Mount("/cpaas", routes=played.routes())])
        async with running(app) as url, httpx.AsyncClient(base_url=f"{url}/cpaas/", headers=LOGIN) as client:
            kept, moved, deleted = [
                (await client.post("callback", json=CALLBACK)).json()["response"]["request_id"]
                for _ in range(3)
            ]
            later = {name: value for name, value in CALLBACK.items() if name != "time_zone"}
            later |= {"request_id": moved, "scheduled_at": "2023-08-15 13:55:00"}
            assert (await client.patch("callback", json=later)).status_code == 200
            gone = await client.request("DELETE", "callback", json={"request_id": deleted})
            assert gone.status_code == 200

            async def cdrs(request_id: str) -> list[Any]:
                told = await client.post("get_cdr_by_request_id", json={"request_id": request_id})
                return [cdr["call_direction"] for cdr in told.json()["response"]["result"]]

            assert await cdrs(kept) == []
            now += timedelta(minutes=30)
            found = [await cdrs(one) for one in (kept, moved, deleted)]
            assert found == [["outbound-callback"], [], []]
            now += timedelta(hours=1)
            assert [await cdrs(one) for one in (kept, moved)] == [["outbound-callback"]] * 2
            assert (await client.patch("callback", json=later)).status_code == 404

    asyncio.run(story())


def test_a_campaign_rings_its_list_without_those_on_its_dnd_list_until_it_is_stopped() -> None:
    now = datetime(2023, 8, 15, 7, 0, tzinfo=UTC)  # 12:30 in India
    played = Cpaas(CallLog(None), Callbacks(1), clock=lambda: now)
    people = ["919979271221", "919979271201", "919979271222", "919979271223", "919979271224"]

    async def story() -> None:
        nonlocal now
        app = Starlette(routes=[Mount("/cpaas", routes=played.routes())])
        async with running(app) as url:
            adapter, client = cpaas_at(url), make_client(5)

            async def ask(name: str, **values: Any) -> Any:
                return await call_method(client, adapter, name, values, timeout=5)

            made_list = (await ask("create_campaign_list", list_name="mine"))["list_id"]
            made_dnd = (await ask("create_campaign_dnd_list", dnd_list_name="not"))["dnd_list_id"]
            contacts = [{"contact_number": one} for one in people]
            told = await ask("add_contact_to_list", list_id=made_list, contacts=contacts)
            assert told["message"] == "(5) contacts imported successfully"
            forbidden = [{"dnd_contact_number": people[2]}]
            await ask("add_dnd_contact_to_list", dnd_list_id=made_dnd, dnd_contacts=forbidden)
            wanted = {name: value for name, value in CAMPAIGN.items() if value}
            wanted |= {"list_id": made_list, "dnd_list_id": made_dnd}
            with pytest.raises(ProviderError, match="no such list_id"):
                await ask("create_campaign", **(wanted | {"list_id": "LS1"}))
            campaign_id = (await ask("create_campaign", **wanted))["campaign_id"]
            with pytest.raises(ProviderError, match="not unique"):
                await ask("create_campaign", **wanted)

            async def status() -> str:
                (found,) = (await ask("get_campaign_details"))["result"]
                assert found["campaign_id"] == campaign_id
                return str(found["campaign_status"])

            async def ends() -> list[tuple[str, str]]:
                cdrs = (await ask("get_cdr_by_campaign_id", campaign_id=campaign_id))["result"]
                assert {(cdr["call_direction"], cdr["list_id"]) for cdr in cdrs} <= {
                    ("outbound-campaign", made_list)
                }
                return [(cdr["dialed_number"], cdr["dial_status"]) for cdr in cdrs]

            assert (await status(), await ends()) == ("0", [])
            now = datetime(2023, 8, 15, 8, 35, 13, tzinfo=UTC)  # it has begun, at ten calls a minute
            assert await status() == "1"
            assert (await ask("get_live_call_statistics"))["result"]["live_calls_campaign"] == 1
            now += timedelta(minutes=2)
            assert (await status(), len(await ends())) == ("3", 5)
            assert await ends() == [
                (one, {people[1]: "BUSY", people[2]: "DND"}.get(one, "ANSWER")) for one in people
            ]
            counts = (await ask("get_campaign_cdr_statistics", campaign_id=campaign_id))["result"]
            assert (counts["answer_calls"], counts["dnd_calls"], counts["total_calls"]) == ([3], [1], [5])
            second = await ask("create_campaign", **(wanted | {"campaign_name": "second"}))
            assert (await ask("stop_campaign", **second))["message"] == " campaign stopped successfully"
            now += timedelta(minutes=5)
            rung = (await ask("get_cdr_by_campaign_id", **second))["result"]
            assert len(rung) == 1, "who was rung before it was stopped"
            with pytest.raises(ProviderError, match="no such campaign_id"):
                await ask("stop_campaign", campaign_id="CM1")
            await client.aclose()

    asyncio.run(story())


async def statistics(client: Client, url: str, name: str) -> dict[str, Any]:
    response = await client.get(f"{url}/cpaas/{name}", headers=LOGIN)
    result: dict[str, Any] = response.json()["response"]["result"]
    return result


def test_cdrs_are_read_page_by_page_the_newest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dialer.providers.cpaas.PAGE", 2)

    async def story() -> list[list[str | None]]:
        async with running(make_app(time_scale=0)) as url:
            adapter, client = cpaas_at(url), make_client(5)
            placed = [await submit(client, adapter, otp_to(end), timeout=5) for end in ("01", "02", "03")]
            now, page, pages = datetime.now(UTC), None, []
            while True:
                read = await read_cdr_page(client, adapter, now, now, page, timeout=5)
                pages.append([fact.provider_reference for fact in read.facts])
                page = read.next
                if page is None:
                    break
            await client.aclose()
            assert [one.provider_reference for one in placed] == [one for each in pages for one in each][::-1]
            return pages

    assert list(map(len, asyncio.run(story()))) == [2, 1]


def test_the_account_is_tried() -> None:
    async def story() -> str:
        async with running(make_app(access_key="k3y")) as url:
            client = make_client(2)
            with pytest.raises(ProviderError, match="check account, auth"):
                await check(client, cpaas_at(url, auth="wrong"))
            sentence = await check(client, cpaas_at(url))
            await client.aclose()
            return sentence

    assert "accepts its credentials" in asyncio.run(story())


# --- what can go wrong with a look-up ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (200, {}, b"<html>It works!</html>", "HTTP 200 and no CDRs"),
        (
            200,
            {},
            b'{"response": {"message": "k3y is wrong for 919979271200", "success": "false"}}',
            "no CDRs",
        ),
        (401, {}, b"", "HTTP 401 and no CDRs"),
        (503, {}, b"", "answered the look-up with HTTP 503"),
        (200, {}, b" " * MAX_CDRS + b"{}", "more than can be read"),
    ],
)
def test_an_answer_without_a_word_on_the_call_is_a_sentence(
    status: int, headers: dict[str, str], body: bytes, words: str
) -> None:
    sentence = asyncio.run(told(status, headers, body))
    assert words in sentence
    assert "k3y" not in sentence
    assert "919979271200" not in sentence


@pytest.mark.parametrize(("headers", "wait"), [({"Retry-After": "7"}, 7.0), ({}, None)])
def test_a_429_says_how_long_to_wait(headers: dict[str, str], wait: float | None) -> None:
    with pytest.raises(TooManyRequestsError) as caught:
        asyncio.run(told(429, headers, b""))
    assert caught.value.retry_after == wait


async def told(status: int, headers: dict[str, str], body: bytes) -> str:
    """What is said of a look-up that is answered so."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    async with running(Starlette(routes=[Mount("/cpaas", app=answer)])) as url:
        client = make_client(2)
        try:
            await look_up(client, cpaas_at(url), asked_of(otp_to("00"), "x1", datetime.now(UTC)), timeout=5)
        except TooManyRequestsError:
            raise
        except ProviderError as error:
            return str(error)
        finally:
            await client.aclose()
    raise AssertionError("nothing went wrong")


def test_a_provider_that_is_not_there_is_a_sentence() -> None:
    async def story() -> None:
        client = make_client(2)
        with pytest.raises(ProviderError, match=r"south could not be reached at 127\.0\.0\.1"):
            await look_up(
                client,
                cpaas_at("http://127.0.0.1:9"),
                asked_of(otp_to("00"), "x1", datetime.now(UTC)),
                timeout=5,
            )
        await client.aclose()

    asyncio.run(story())
