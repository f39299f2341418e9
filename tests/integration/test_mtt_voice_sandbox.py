"""The sandbox plays MTT's informing by voice by its reference, and the adapter gets along with it, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sandboxed import Inbox
from starlette.applications import Starlette
from starlette.routing import Route
from test_sandbox import running, until

from dialer.calls.flow_form import parse
from dialer.http import make_client
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter, submit
from dialer.providers.contract import Outcome, ProviderConfig, Refusal, Submission
from dialer.providers.kinds import make_adapter
from dialer.sandbox import make_app
from dialer.sandbox.callbacks import Callbacks
from dialer.sandbox.log import CallLog
from dialer.sandbox.mtt_voice import FORMS, MttVoice

DATA: Mapping[str, Any] = {
    "messId": "AT1",
    "sip_id": "79581112233",
    "a_number": "79580000000",
    "b_number": "79100000000",
    "messText": "Hello, how are you?",
}
GOOD: Mapping[str, Any] = {"method": "inform", "data": DATA}
NOTIFY = {"dtmf_id": "1", "type": "notify", "value": "https://example.com/pressed"}
TRANSFER = {"dtmf_id": "3", "type": "transfer", "value": "74997090111"}
LOGIN = ("user", "s3same")


def mtt_at(url: str, **settings: str) -> Adapter:
    own = {"username": "user", "password": "s3same", "method": "inform", "sip_id": "79581112233"}
    hook = "https://dialer.example.com/webhooks/moscow/token"
    config = ProviderConfig("PR1", "moscow", "mtt-voice", f"{url}/mtt-voice", {**own, **settings}, hook)
    return make_adapter(config)


def call_to(end: str, reference: str = "") -> Submission:
    number = "+79100000000"[: -len(end)] + end
    return Submission(reference or f"AT{end}", number, "+79580000000", "Hello & welcome", None)


def post(
    body: object, *, app: Starlette | None = None, auth: tuple[str, str] | None = LOGIN
) -> httpx.Response:
    """Post one order to the sandbox."""

    async def story() -> httpx.Response:
        async with running(app or make_app(time_scale=0)) as url, httpx.AsyncClient() as client:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await client.post(f"{url}/mtt-voice", content=content, auth=auth)

    return asyncio.run(story())


def with_data(**changes: Any) -> dict[str, Any]:
    """The good order with some of its data changed; None takes a field away."""
    data = {name: value for name, value in {**DATA, **changes}.items() if value is not None}
    return {**GOOD, "data": data}


# --- strictness ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        GOOD,
        with_data(a_number=None),
        with_data(langCode="ru-RU", voice_name="omazh", emotion="evil", speed_speech=0.1),
        with_data(langCode="tr-TR", dtmf=[NOTIFY, TRANSFER]),
        {**GOOD, "dtmf": [TRANSFER]},
    ],
)
def test_what_the_reference_allows_is_taken(body: object) -> None:
    response = post(body)
    answer = response.json()
    assert response.status_code == 200
    assert (answer["result"], answer["id"], len(answer["CallID"])) == ({"success": 1}, "AT1", 16)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (with_data(b_number="+79100000000"), '"b_number" should be in e164 format'),
        (with_data(b_number="7910000000"), '"b_number" should be in e164 format'),
        (with_data(b_number=79100000000), '"b_number" should be in e164 format'),
        (with_data(b_number=None), '"b_number" should be in e164 format'),
        (with_data(a_number="7958000000"), '"a_number" should be in e164 format'),
        (with_data(a_number=None, dtmf=[NOTIFY]), '"a_number" should be in e164 format'),
        (with_data(messId=None), '"messId" not found in request body'),
        (with_data(messId=7), '"messId" not found in request body'),
        ({"method": "inform"}, '"messId" not found in request body'),
        (with_data(messText=None), '"messText" not found in request body'),
        (with_data(volume="loud"), '"volume" value is not allowed'),
        (with_data(langCode="tr-TR"), '"langCode" value is not allowed'),
        (with_data(langCode="en"), '"langCode" value is not allowed'),
        (with_data(voice_name="Joanna"), '"voice_name" value is not allowed'),
        (with_data(emotion="sad"), '"emotion" value is not allowed'),
        (with_data(speed_speech=3.1), '"speed_speech" value is not allowed'),
        (with_data(speed_speech="1.0"), '"speed_speech" value is not allowed'),
        (with_data(dtmf=[]), '"dtmf" value is not allowed'),
        (with_data(dtmf=[{**NOTIFY, "value": "http://example.com"}]), '"notify" value is not allowed'),
        (with_data(dtmf=[NOTIFY, {**TRANSFER, "value": "7499709011"}]), '"transfer" value is not allowed'),
        (with_data(dtmf=[{**NOTIFY, "dtmf_id": "0"}]), '"dtmf_id" value is not allowed'),
        (with_data(dtmf=[{**NOTIFY, "type": "callback"}]), '"type" value is not allowed'),
    ],
)
def test_what_it_does_not_allow_is_refused_in_its_words(body: object, error: str) -> None:
    response = post(body)
    assert response.status_code == 200
    assert response.json()["result"] == {"success": 0, "error": error}


def test_an_order_without_our_reference_is_answered_with_theirs() -> None:
    answer = post(with_data(messId=None)).json()
    assert sorted(answer) == ["id", "result"]
    assert len(answer["id"]) == 16


def test_a_login_and_a_body_are_needed() -> None:
    assert post(GOOD, auth=None).status_code == 401
    assert post(GOOD, auth=("user", "")).status_code == 401
    assert post(b"method=inform").status_code == 400
    assert post([GOOD]).status_code == 400
    assert post({**GOOD, "method": ""}).json() == {"message": "access forbidden"}


def strict_app() -> Starlette:
    """MTT as it is with an account of its own: it knows which method and number it has handed out."""
    played = MttVoice(CallLog(None), Callbacks(0), methods={"inform"}, sip_ids={"79581112233"})
    return Starlette(routes=[Route("/mtt-voice", played.order, methods=["POST"])])


def test_a_wrong_number_of_the_account_is_forbidden_in_two_pairs_of_braces() -> None:
    response = post(with_data(sip_id="79580000000"), app=strict_app())
    assert response.status_code == 200
    with pytest.raises(ValueError, match="property name"):
        response.json()
    assert json.loads(response.text.strip()[1:-1])["result"] == {"success": 0, "error": "Forbidden"}


# --- the adapter against it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "outcome", "refusal"),
    [
        ({}, Outcome.PLACED, None),
        ({"method": "other"}, Outcome.REFUSED, Refusal.PROVIDER),
        ({"sip_id": "79580000000"}, Outcome.REFUSED, Refusal.PROVIDER),
    ],
)
def test_a_wrong_setting_is_the_accounts_fault(
    settings: dict[str, str], outcome: Outcome, refusal: Refusal | None
) -> None:
    async def story() -> tuple[Outcome, Refusal | None]:
        async with running(strict_app()) as url:
            client = make_client(5)
            result = await submit(client, mtt_at(url, **settings), call_to("00"), timeout=10)
            await client.aclose()
        return result.outcome, result.refusal

    assert asyncio.run(story()) == (outcome, refusal)


@pytest.mark.parametrize("form", FORMS)
def test_callbacks_say_the_same_in_every_form(form: str) -> None:
    async def story() -> Inbox:
        inbox = Inbox()
        async with (
            running(inbox.app) as hook,
            running(make_app(time_scale=0, callback_url=f"{hook}/hook?x=1")) as url,
        ):
            client = make_client(5)
            await submit(client, mtt_at(url), call_to(f"{FORMS.index(form)}00", "AT1"), timeout=10)
            await until(lambda: len(inbox.events) == 2)
            await client.aclose()
        return inbox

    inbox = asyncio.run(story())
    begun, over = (fact for event in inbox.events for fact in mtt_at("http://x").read_event(event))
    assert {event.method for event in inbox.events} == {"GET" if form == "url" else "POST"}
    assert (begun.attempt_id, begun.state) == ("AT1", AttemptState.RINGING)
    assert (over.attempt_id, over.disposition, over.hangup_cause) == ("AT1", Disposition.ANSWERED, 16)
    assert over.duration is not None
    assert over.duration >= 5
    received = inbox.events[0].received_at
    assert abs(received - begun.at) < timedelta(hours=1), "their clocks are three hours ahead of UTC"


@pytest.mark.parametrize(
    ("end", "key", "states", "keys"),
    [
        ("00", NOTIFY, ["RINGING", "ANSWERED", "ENDED"], "1"),
        ("00", TRANSFER, ["RINGING", "ANSWERED", "ENDED"], "3"),
        ("20", NOTIFY, ["RINGING", "ANSWERED", "ENDED"], ""),
        ("01", TRANSFER, ["RINGING", "ENDED"], ""),
    ],
)
def test_keys_are_told_and_a_transfer_ends_with_the_call(
    end: str, key: dict[str, str], states: list[str], keys: str
) -> None:
    async def story() -> Inbox:
        inbox = Inbox()
        async with (
            running(inbox.app) as hook,
            running(make_app(time_scale=0, callback_url=f"{hook}/hook")) as url,
            httpx.AsyncClient(auth=LOGIN) as client,
        ):
            order = {"method": "ivr-api", "data": {**DATA, "b_number": f"791000000{end}", "dtmf": [key]}}
            assert (await client.post(f"{url}/mtt-voice", json=order)).json()["result"] == {"success": 1}
            wanted = f"h_791000000{end}".encode()
            await until(lambda: any(wanted in event.body for event in inbox.events))
        return inbox

    inbox = asyncio.run(story())
    facts = [fact for event in inbox.events for fact in mtt_at("http://x").read_event(event)]
    assert [fact.state for fact in facts] == states
    assert "".join(fact.dtmf for fact in facts) == keys
    assert {fact.attempt_id for fact in facts} == {"AT1"}
    assert len(inbox.events) - len(facts) == (key is TRANSFER and end == "00")


def test_a_flow_is_taken_and_its_keys_come_back() -> None:
    flow = parse(
        {
            "first": "main",
            "menus": {
                "main": {
                    "prompts": [{"text": "Press 2 to confirm"}],
                    "keys": {"2": {"does": "opt_out"}, "3": {"does": "transfer", "number": "+74997090111"}},
                }
            },
        }
    )

    async def story() -> tuple[Outcome, Inbox]:
        inbox = Inbox()
        async with (
            running(inbox.app) as hook,
            running(make_app(time_scale=0, callback_url=f"{hook}/hook")) as url,
        ):
            client, asked = make_client(5), replace(call_to("00"), text=None, flow=flow)
            result = await submit(client, mtt_at(url), asked, timeout=10)
            await until(lambda: len(inbox.events) == 3)
            await client.aclose()
        return result.outcome, inbox

    outcome, inbox = asyncio.run(story())
    facts = [fact for event in inbox.events for fact in mtt_at("http://x").read_event(event)]
    assert outcome is Outcome.PLACED
    assert [(fact.attempt_id, fact.dtmf) for fact in facts] == [("AT00", ""), ("AT00", "2"), ("AT00", "")]
