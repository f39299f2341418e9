"""The sandbox plays MTT's CallBack and calls that come in by the reference, and the adapter gets along with it, over
real HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sandboxed import NOT_TAKEN, OUTCOMES
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from test_sandbox import running, until

from dialer.calls.flow import Prompt
from dialer.calls.progress import Standing, advance
from dialer.calls.talk import Ring, Rung, Talk
from dialer.http import make_client
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.asking import call_method, check, look_up, read_cdr_page
from dialer.providers.base import Adapter, submit
from dialer.providers.contract import (
    Asked,
    Fact,
    Inbound,
    MethodRefusedError,
    Outcome,
    ProviderConfig,
    ProviderError,
    RawEvent,
    Refusal,
    Submission,
    SubmitResult,
)
from dialer.providers.kinds import make_adapter
from dialer.providers.live import Answer, Connect
from dialer.providers.mtt_callback import MttCallbackAdapter
from dialer.providers.mtt_cdrs import TYPES
from dialer.sandbox import make_app
from dialer.sandbox.outcomes import FATES

LOGIN = ("user", "s3same")
CUSTOMER = "88314050000000"
#: The second example of the reference, with whom it rings.
GOOD: Mapping[str, Any] = {
    "customer_name": CUSTOMER,
    "b_number": "79157775533",
    "callBackURL": "127.0.0.1:9/hook",
    "caller_id": "79580000000",
    "recordEnable": 1,
    "client_caller_id": "79580000000",
    "simpleCallBackFollowmeStruct": [
        {
            "order": 1,
            "timeout": 25,
            "redirect_number": "79100000000",
            "caller_id": "79580000000",
            "type": "ringall",
            "name": "sales",
        },
        {"order": 3, "type": "text", "value": "Звонок с сайта", "side": "A"},
        {"order": 4, "type": "file", "value": "for_all_sales", "side": "B"},
    ],
}


class Hook:
    """Our webhook: keeps what it is told, with the path below `/hook`, and answers questions."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer
        self.url = ""
        self.events: list[RawEvent] = []
        routes = [
            Route(path, self.receive, methods=["GET", "POST"]) for path in ("/hook", "/hook/{rest:path}")
        ]
        self.app = Starlette(routes=routes)

    async def receive(self, request: Request) -> Response:
        rest = request.path_params.get("rest", "")
        kind = request.headers.get("content-type", "")
        body = await request.body()
        raw = RawEvent(request.method, rest, request.url.query, kind, body, None, datetime.now(UTC))
        question = MttCallbackAdapter.read_question(raw)
        if question is None:
            self.events.append(raw)
            return Response(status_code=204)
        if self.answer is None:
            return Response(status_code=503)
        told = MttCallbackAdapter.write_answer(question, replace(self.answer, callback_url=self.url), {})
        return Response(told.body, told.status, media_type=told.content_type)

    def facts(self, attempt_id: str = "") -> list[Fact]:
        facts = [fact for raw in self.events for fact in MttCallbackAdapter.read_event(raw)]
        return [fact for fact in facts if fact.attempt_id == attempt_id]


def adapter_at(url: str, hook: str = "", **settings: str) -> Adapter:
    own = {"username": LOGIN[0], "password": LOGIN[1], "customer_name": CUSTOMER}
    base_url = f"{url}/mtt-callback"
    return make_adapter(ProviderConfig("PR1", "both", "mtt-callback", base_url, own | settings, hook))


def call_to(end: str, reference: str = "") -> Submission:
    return Submission(
        reference or f"AT{end}", number_to(end), "+79580000000", None, None, connect_to="+79157775533"
    )


def number_to(end: str) -> str:
    return "+79100000000"[: -len(end)] + end


def ask(method: str, params: object, *, auth: tuple[str, str] | None = LOGIN) -> httpx.Response:
    """Ask the sandbox for one method."""

    async def story() -> httpx.Response:
        async with running(make_app(time_scale=0)) as url, httpx.AsyncClient() as client:
            body = {"id": "7", "jsonrpc": "2.0", "method": method, "params": params}
            return await client.post(f"{url}/mtt-callback", json=body, auth=auth)

    return asyncio.run(story())


def with_entry(**changes: Any) -> dict[str, Any]:
    """The good order with its first entry changed; None takes a field away."""
    first, *others = GOOD["simpleCallBackFollowmeStruct"]
    changed = {name: value for name, value in {**first, **changes}.items() if value is not None}
    return {**GOOD, "simpleCallBackFollowmeStruct": [changed, *others]}


def with_another(**changes: Any) -> dict[str, Any]:
    """The good order with a second number, which differs from the first so."""
    first, *others = GOOD["simpleCallBackFollowmeStruct"]
    return {**GOOD, "simpleCallBackFollowmeStruct": [first, {**first, "order": 2, **changes}, *others]}


# --- strictness ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        GOOD,
        {**GOOD, "b_number": "+79157775533"},
        {**GOOD, "direction": 1, "maxtime": "600", "duration": 60, "id": "AT1", "callDescription": "AT1"},
        with_entry(type="linal"),
    ],
)
def test_what_the_reference_allows_is_taken(params: object) -> None:
    answer = ask("makeCallBackCallFollowme", params).json()
    assert (answer["jsonrpc"], answer["id"], list(answer["result"])) == ("2.0", "7", ["callBackCall_id"])
    assert len(answer["result"]["callBackCall_id"]) == 32


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (with_entry(redirect_number="sales"), "Incorrect redirect_number format"),
        (with_entry(redirect_number=None), "Incorrect redirect_number format"),
        (with_another(redirect_number="sales"), "Incorrect redirect_number format"),
        ({**GOOD, "b_number": "7xxxxxxx"}, "Incorrect B-number format"),
    ],
)
def test_a_number_that_is_none_is_refused_within_the_result(params: object, message: str) -> None:
    response = ask("makeCallBackCallFollowme", params)
    assert (response.status_code, response.json()["result"]) == (200, {"error": 1, "message": message})


@pytest.mark.parametrize(
    "params",
    [
        [],
        {name: value for name, value in GOOD.items() if name != "customer_name"},
        {name: value for name, value in GOOD.items() if name != "b_number"},
        {**GOOD, "volume": "loud"},
        {**GOOD, "callBackURL": "https://example.com"},
        {**GOOD, "callBackURL": "www.example.com"},
        {**GOOD, "recordEnable": "1"},
        {**GOOD, "recordEnable": 2},
        {**GOOD, "direction": 2},
        {**GOOD, "maxtime": 600},
        {**GOOD, "maxtime": "long"},
        with_entry(type="random"),
        with_entry(type="text"),
        with_entry(order="1"),
        with_entry(order=None),
        with_entry(volume=1),
    ],
)
def test_what_it_does_not_allow_is_refused(params: object) -> None:
    error = ask("makeCallBackCallFollowme", params).json()["error"]
    assert (error["code"], error["message"]) == (-32602, "Invalid params")


def test_a_call_needs_somebody_on_side_a() -> None:
    error = ask("makeCallBackCallFollowme", {**GOOD, "simpleCallBackFollowmeStruct": []}).json()["error"]
    assert error == {"code": -32001, "message": "Data not found", "data": "Followme not found"}


def test_a_login_is_needed() -> None:
    assert ask("makeCallBackCallFollowme", GOOD, auth=None).status_code == 401


# --- the adapter against it ------------------------------------------------------------------------------

#: What a look-up says of those whom the events leave open.
LOOKED_UP = {
    "01": Disposition.REJECTED,
    "02": Disposition.NO_ANSWER,
    "03": Disposition.NO_ANSWER,
    "04": Disposition.REJECTED,
    "11": Disposition.REJECTED,
    "16": Disposition.REJECTED,
    "17": Disposition.REJECTED,
    "10": Disposition.ANSWERED,
}


def test_every_fate_is_told_by_events_or_by_a_look_up(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    ends = [*FATES, "00"]
    talked = [end for end in ends if end not in LOOKED_UP and end not in NOT_TAKEN]

    async def story() -> tuple[dict[str, SubmitResult], dict[str, Standing], dict[str, Disposition | None]]:
        hook = Hook()
        async with (
            running(hook.app) as own,
            running(make_app(time_scale=0, log=log)) as url,
        ):
            adapter, client = adapter_at(url, f"{own}/hook"), make_client(30)
            submits = (submit(client, adapter, call_to(end), timeout=2) for end in ends)
            results = dict(zip(ends, await asyncio.gather(*submits), strict=True))

            def standings() -> dict[str, Standing]:
                placed = Standing(AttemptState.PLACED)
                return {end: advance(placed, hook.facts(f"AT{end}")) for end in ends}

            await until(lambda: all(standings()[end].state is AttemptState.ENDED for end in talked))
            await until(lambda: len(hook.facts("AT09")) == 12 and len(hook.facts("AT17")) == 4)
            told = {}
            for end in LOOKED_UP:
                asked = Asked(f"AT{end}", results[end].provider_reference, "", "", datetime.now(UTC))
                facts = await look_up(client, adapter, asked, timeout=5)
                assert facts is not None
                told[end] = advance(standings()[end], facts).outcome
            await client.aclose()
            return results, standings(), told

    results, standings, looked_up = asyncio.run(story())
    outcomes = {end: result.outcome for end, result in results.items()}
    assert outcomes == {end: OUTCOMES.get(end, Outcome.PLACED) for end in ends}
    assert results["18"].refusal is Refusal.BAD_NUMBER
    assert {standings[end].outcome for end in talked} == {Disposition.ANSWERED}
    assert {standings[end].outcome for end in LOOKED_UP} == {None}
    assert looked_up == LOOKED_UP
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["reference"][2:] for line in lines if line["accepted"]} == set(ends) - NOT_TAKEN
    assert {line["provider"] for line in lines} == {"mtt-callback"}


def with_sandbox(
    story: Callable[[str, Hook, Any], Awaitable[None]], hook: Hook | None = None, *, scale: float = 0
) -> None:
    """Runs a story with the sandbox's URL, our webhook and a client."""
    heard = hook or Hook()

    async def run() -> None:
        async with running(heard.app) as own:
            heard.url = f"{own}/hook"
            async with running(make_app(time_scale=scale)) as url:
                client = make_client(5)
                try:
                    await story(url, heard, client)
                finally:
                    await client.aclose()

    asyncio.run(run())


def test_callbacks_come_below_the_address_of_the_call_as_the_reference_shows_them() -> None:
    async def story(url: str, hook: Hook, client: Any) -> None:
        result = await submit(client, adapter_at(url, hook.url), call_to("00", "AT1"), timeout=5)
        await until(lambda: len(hook.events) == 6)
        assert {raw.path for raw in hook.events} == {"AT1/event.php"}
        assert [raw.query.split("&")[0] for raw in hook.events] == [
            "event=start_side_A",
            "event=pickup_side_A",
            "event=start_side_B",
            "event=start_talk",
            "event=end_side_B",
            "event=end_side_A",
        ]
        assert hook.events[1].query.endswith("&phone_A=+79100000000")
        assert {fact.provider_reference for fact in hook.facts("AT1")} == {result.provider_reference}

    with_sandbox(story)


def test_without_an_address_of_the_call_they_come_at_the_providers() -> None:
    async def story(url: str, hook: Hook, client: Any) -> None:
        async with httpx.AsyncClient() as steering:
            await steering.put(f"{url}/sandbox/callbacks/mtt-callback", json={"url": hook.url})
        result = await submit(client, adapter_at(url), call_to("00"), timeout=5)
        await until(lambda: len(hook.events) == 6)
        assert {raw.path for raw in hook.events} == {"event.php"}
        assert {fact.provider_reference for fact in hook.facts()} == {result.provider_reference}

    with_sandbox(story)


def test_callbacks_may_come_before_the_reply() -> None:
    async def story(url: str, hook: Hook, client: Any) -> None:
        result = await submit(client, adapter_at(url, hook.url), call_to("15"), timeout=10)
        assert (result.outcome, len(hook.events)) == (Outcome.PLACED, 6)

    with_sandbox(story, scale=1)


@pytest.mark.parametrize(
    ("at_once", "to", "also", "picks_up"),
    [
        (False, "01", ("02", "21", "22"), "21"),  # the first who picks up
        (False, "01", ("02",), None),
        (True, "01", ("24", "23"), "23"),  # who picks up first: it rings for a shorter time
        (True, "24", ("01",), "24"),
    ],
)
def test_one_of_several_numbers_picks_up_and_talks_no_longer_than_they_may(
    at_once: bool, to: str, also: tuple[str, ...], picks_up: str | None
) -> None:
    ring = Ring(tuple(Rung(number_to(end)) for end in also), at_once)
    talk = Talk(Prompt("Звонок с сайта"), Prompt(media="for_all_sales"), max_seconds=1, ring=ring)

    async def story(url: str, hook: Hook, client: Any) -> None:
        adapter, order = adapter_at(url, hook.url), replace(call_to(to, "AT1"), talk=talk)
        result = await submit(client, adapter, order, timeout=5)
        assert result.outcome is Outcome.PLACED
        asked = Asked("AT1", result.provider_reference, "", "", datetime.now(UTC))
        found: list[Fact] = []
        while not found:
            found = await look_up(client, adapter, asked, timeout=5) or []
        (fact,) = found
        if picks_up is None:
            assert fact.disposition is Disposition.REJECTED
            return
        assert (fact.disposition, fact.billsec, fact.answered_by) == (
            Disposition.ANSWERED, 1, number_to(picks_up),
        )  # fmt: skip
        await until(lambda: len(hook.events) == 6)
        assert hook.events[1].query.endswith(f"&phone_A={number_to(picks_up)}")

    with_sandbox(story)


def test_the_callee_is_rung_first_and_connected_with_the_first_of_several_who_picks_up() -> None:
    ring = Ring((Rung(number_to("02")), Rung(number_to("21"))), of_other=True)

    async def story(url: str, hook: Hook, client: Any) -> None:
        adapter = adapter_at(url, hook.url)
        order = replace(call_to("22", "AT1"), connect_to=number_to("01"), talk=Talk(ring=ring, max_seconds=1))
        result = await submit(client, adapter, order, timeout=5)
        assert result.outcome is Outcome.PLACED
        told: Any = {}
        while "destination_B" not in told:
            with suppress(MethodRefusedError):
                told = await call_method(
                    client,
                    adapter,
                    "getCallBackFollowmeCallInfo",
                    {"callBackCall_id": result.provider_reference or ""},
                    timeout=5,
                )
        assert (told["destination_A"], told["destination_B"]) == (number_to("22"), number_to("21"))
        await until(lambda: len(hook.events) == 6)
        assert hook.events[1].query.endswith(f"&phone_A={number_to('22')}")
        wrong = await submit(client, adapter, replace(order, to=number_to("18")), timeout=5)
        assert (wrong.outcome, wrong.refusal) == (Outcome.REFUSED, Refusal.BAD_NUMBER)

    with_sandbox(story)


def test_429_holds_a_number_once() -> None:
    async def story(url: str, _: Hook, client: Any) -> None:
        adapter = adapter_at(url)
        held = await submit(client, adapter, call_to("05"), timeout=5)
        assert (held.outcome, held.retry_after) == (Outcome.NOT_PROCESSED, 1.0)
        assert (await submit(client, adapter, call_to("05"), timeout=5)).outcome is Outcome.PLACED

    with_sandbox(story)


def test_a_call_that_goes_on_is_not_known_and_one_that_was_talked_in_tells_its_lengths_and_cost() -> None:
    async def story(url: str, _: Hook, client: Any) -> None:
        adapter, now = adapter_at(url), datetime.now(UTC)
        talking = await submit(client, adapter, call_to("00", "AT1"), timeout=5)
        asked = Asked("AT1", talking.provider_reference, "", "", now)
        assert await look_up(client, adapter, asked, timeout=5) == []
        async with httpx.AsyncClient() as steering:
            await steering.put(f"{url}/sandbox/settings", json={"time_scale": 0})
        over = await submit(client, adapter, call_to("00", "AT2"), timeout=5)
        asked = Asked("AT2", over.provider_reference, "", "", now)
        facts = await look_up(client, adapter, asked, timeout=5)
        assert facts is not None
        assert [fact.disposition for fact in facts] == [Disposition.ANSWERED]
        (fact,) = facts
        assert fact.duration is not None
        assert fact.billsec is not None
        assert fact.duration == fact.billsec + 3
        assert fact.cost is not None
        assert fact.cost > 0
        assert fact.at > now + timedelta(seconds=fact.duration)
        strange = Asked("AT3", "0" * 32, "", "", now)
        assert await look_up(client, adapter, strange, timeout=5) == []
        other = adapter_at(url, customer_name="another")
        assert await look_up(client, other, asked, timeout=5) == []

    with_sandbox(story, scale=1)


def test_the_account_is_checked() -> None:
    async def story(url: str, _: Hook, client: Any) -> None:
        assert "knows the customer" in await check(client, adapter_at(url))
        with pytest.raises(ProviderError, match="MTT found no such data"):
            await check(client, adapter_at(url, customer_name="88314050000004"))

    with_sandbox(story)


# --- calls that come in ----------------------------------------------------------------------------------


async def comes_in(url: str, hook: Hook) -> dict[str, Any]:
    """Somebody calls one of our numbers; what MTT makes of our answer."""
    async with httpx.AsyncClient() as caller:
        await caller.put(f"{url}/sandbox/callbacks/mtt-callback", json={"url": hook.url})
        call = {"numberA": "89154368886", "sip_id": "79586488002"}
        response = await caller.post(f"{url}/sandbox/inbound/mtt-callback", json=call)
    assert response.status_code == 200
    told = response.json()
    assert isinstance(told, dict)
    return told


def heard_of(answer: Answer | None) -> tuple[dict[str, Any], list[Fact]]:
    """What becomes of a call that is answered so, and what its events say."""
    hook, told = Hook(answer), {}

    async def story(url: str, _: Hook, __: Any) -> None:
        told.update(await comes_in(url, hook))
        if told["becomes"] != "reserve":
            await until(lambda: any(b'"type": "h"' in raw.body for raw in hook.events[-1:]))

    with_sandbox(story, hook)
    facts = hook.facts()
    calls = {
        (fact.inbound.session, fact.inbound.caller, fact.inbound.called) for fact in facts if fact.inbound
    }
    assert len(facts) == len(hook.events)
    assert calls <= {(told["h323_conf_id"], "+79154368886", "+79586488002")}
    return told, facts


def test_a_caller_hears_a_file_and_is_connected() -> None:
    connect = Connect(("+79100000000",))
    told, facts = heard_of(Answer(say=(Prompt(media="f1"),), connect=connect))
    assert (told["becomes"], told["with"]) == ("connected", ["79100000000"])
    ringing, answered, ended = AttemptState.RINGING, AttemptState.ANSWERED, AttemptState.ENDED
    assert [fact.state for fact in facts] == [ringing, ringing, ringing, answered, answered, ended]
    assert facts[-1].hangup_cause == 16
    assert {fact.inbound.connected for fact in facts[2:] if fact.inbound} == {"+79100000000"}


def test_whoever_picks_up_hears_a_file_of_their_own() -> None:
    connect = Connect(("+79100000000",), greeting=(Prompt(media="f2"),), hide_caller=True, press="W1")
    told, facts = heard_of(Answer(say=(Prompt(media="f1"),), connect=connect, answer_first=True))
    assert (told["becomes"], told["with"]) == ("connected", ["79100000000"])
    states = [fact.state for fact in facts]
    assert states.count(AttemptState.RINGING) == 3  # what the caller hears, and that somebody is rung
    assert states.count(AttemptState.ANSWERED) == 4  # they answer, hear it, and talk


def test_the_histories_tell_of_a_caller_when_the_call_is_over() -> None:
    hook = Hook(Answer(connect=Connect(("+79100000000",))))

    async def story(url: str, _: Hook, client: Any) -> None:
        told = await comes_in(url, hook)
        await until(lambda: any(b'"type": "h"' in raw.body for raw in hook.events[-1:]))
        adapter, now, page, found = adapter_at(url), datetime.now(UTC), None, []
        for kind in TYPES:
            read = await read_cdr_page(client, adapter, now - timedelta(hours=1), now, page, timeout=5)
            found += [(kind, fact) for fact in read.facts if fact.inbound == Inbound(told["h323_conf_id"])]
            page = read.next
        assert [kind for kind, _ in found] == ["incoming", "forwarded"]
        forwarded = found[-1][1]
        assert (forwarded.disposition, forwarded.hangup_cause) == (Disposition.ANSWERED, 16)
        assert forwarded.cost is not None
        assert forwarded.cost > 0
        links = await call_method(
            client, adapter, "record_links", {"h323_conf_id": forwarded.recording_name}, timeout=5
        )
        assert len(links) == 1

    with_sandbox(story, hook)


def test_numbers_are_rung_in_turn_until_one_answers() -> None:
    connect = Connect(("+79100000001", "+79100000000", "+79100000002"))
    hook, told = Hook(Answer(connect=connect)), {}

    async def story(url: str, _: Hook, __: Any) -> None:
        told.update(await comes_in(url, hook))
        await until(lambda: len(hook.events) == 6)

    with_sandbox(story, hook)
    assert told["with"] == ["79100000000"]
    facts = hook.facts()
    assert [fact.disposition for fact in facts if fact.state is AttemptState.ENDED] == [
        Disposition.BUSY,
        None,
    ]
    assert {fact.inbound.connected for fact in facts if fact.inbound} == {"+79100000001", "+79100000000"}


@pytest.mark.parametrize("answer", [Answer(refuse=True), Answer(say=(Prompt(media="f1"),))])
def test_a_caller_is_refused_perhaps_after_a_file(answer: Answer) -> None:
    told, facts = heard_of(answer)
    assert told["becomes"] == "refused"
    assert AttemptState.ANSWERED not in {fact.state for fact in facts}
    assert len(facts) == (3 if answer.say else 1)


def test_nobody_to_ask_is_a_case_for_the_reserve() -> None:
    told, facts = heard_of(None)
    assert (told["becomes"], told["problem"], facts) == ("reserve", "HTTP 503", [])


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        (None, "no result"),
        ({"redirect_type": "1"}, "redirect_type is unknown or of another type"),
        ({"redirect_type": 4, "followme_struct": []}, "redirect_type is not 1, 2 or 3"),
        ({"redirect_type": 1, "followme_struct": [1, []]}, "another length"),
        ({"redirect_type": 1, "followme_struct": [2, [{"ACTIVE": "N"}] * 2]}, "another length"),
        ({"redirect_type": 1, "followme_struct": {}}, "unknown or of another type"),
        ({"redirect_type": 1, "followme_struct": [1, [{"ACTIVE": "yes"}]]}, "no number to forward to"),
        ({"redirect_type": 1, "followme_struct": [1, [{"ACTIVE": "Y"}]]}, "REDIRECT_NUMBER"),
        ({"redirect_type": 1, "colour": "red"}, "colour is unknown"),
    ],
)
def test_an_answer_that_the_reference_does_not_know_is_not_taken(result: object, problem: str) -> None:
    async def answer(request: Request) -> Response:
        asked = await request.json()
        body = {"jsonrpc": "2.0", "id": asked["id"], "result": result}
        return Response(json.dumps(body), media_type="application/json")

    async def story() -> dict[str, Any]:
        hook = Hook()
        async with running(Starlette(routes=[Route("/hook", answer, methods=["POST"])])) as own:
            hook.url = f"{own}/hook"
            async with running(make_app(time_scale=0)) as url:
                return await comes_in(url, hook)

    told = asyncio.run(story())
    assert told["becomes"] == "reserve"
    assert problem in told["problem"]
