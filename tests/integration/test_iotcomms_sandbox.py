"""The sandbox plays iotcomms by its document, and the adapter gets along with it, over real HTTP: calls are placed, and
what is asked on the way is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sandboxed import OUTCOMES
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from test_sandbox import running, until

from dialer.calls.flow import Prompt
from dialer.calls.progress import Standing, advance
from dialer.http import Client, make_client
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.asking import call_method, check
from dialer.providers.base import Adapter, submit
from dialer.providers.contract import (
    Fact,
    Outcome,
    ProviderConfig,
    ProviderError,
    RawEvent,
    Refusal,
    Submission,
)
from dialer.providers.iotcomms import IotcommsAdapter
from dialer.providers.kinds import make_adapter
from dialer.providers.live import Answer, Asks, Collect, Connect, Question
from dialer.providers.methods import File, Value
from dialer.sandbox import make_app
from dialer.sandbox.outcomes import FATES

Decide = Callable[[Question], Answer]
DOMAIN = "customer.example"
OPEN = {"sip_host": "sip.example.com"}
TOKEN = {"Authorization": "Bearer t0ken"}
HELLO = Prompt(text="Hello")
ORDER: Mapping[str, Any] = {
    "destAddr": "sip:+46701000000@sip.example.com",
    "sessionReferenceId": {"attempt": "AT1"},
    "sipFrom": "+46850001111",
}


def says(*prompts: Prompt) -> Decide:
    """Says this to whoever is on the line, and hangs up."""
    return lambda question: Answer() if question.asks is Asks.LEFT else Answer(prompts)


says_hello = says(HELLO)


@cache
def keys() -> tuple[str, str]:
    """A pair of keys in PEM, the private one first."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


class Ours:
    """Hears callbacks below its address, and answers what is asked as `decide` says."""

    def __init__(self, decide: Decide = says_hello) -> None:
        self.decide = decide
        self.events: list[RawEvent] = []
        self.app = Starlette(routes=[Route("/hook/{name:path}", self.hear, methods=["POST"])])

    async def hear(self, request: Request) -> Response:
        raw = RawEvent(
            request.method,
            request.path_params["name"],
            request.url.query,
            request.headers.get("content-type", ""),
            await request.body(),
            request.headers.get("authorization"),
            datetime.now(UTC),
        )
        self.events.append(raw)
        question = IotcommsAdapter.read_question(raw)
        if question is None:
            return Response(status_code=204)
        answer = IotcommsAdapter.write_answer(question, question.settled or self.decide(question), OPEN)
        return Response(answer.body, answer.status, media_type=answer.content_type)

    def names(self) -> list[str]:
        return [event.path for event in self.events]

    def facts(self) -> list[Fact]:
        return [fact for event in self.events for fact in IotcommsAdapter.read_event(event)]


class World:
    """The sandbox, us, and what a test does with them."""

    def __init__(self, url: str, ours: Ours, curl: httpx.AsyncClient, client: Client) -> None:
        self.url = url
        self.ours = ours
        self.curl = curl
        self._client = client

    def adapter(self, **settings: str) -> Adapter:
        wanted = {"domain": DOMAIN, "token": "t0ken", **OPEN, **settings}
        config = ProviderConfig(
            "PR1",
            "nordic",
            "iotcomms",
            f"{self.url}/iotcomms",
            {key: value for key, value in wanted.items() if value},
        )
        return make_adapter(config)

    async def place(self, end: str = "00", timeout: float = 10, **settings: str) -> Outcome:  # noqa: ASYNC109
        call = Submission(f"AT{end}", "+46701000000"[: -len(end)] + end, "+46850001111", "Hello", None)
        return (await submit(self._client, self.adapter(**settings), call, timeout=timeout)).outcome

    async def ask(self, name: str, **values: Value) -> Any:
        return await call_method(self._client, self.adapter(), name, values, timeout=10)

    async def check(self, **settings: str) -> str:
        return await check(self._client, self.adapter(**settings))

    async def set(self, **what: str) -> None:
        assert (await self.curl.put(f"{self.url}/sandbox/iotcomms/", json=what)).status_code == 200

    async def sessions(self) -> list[dict[str, Any]]:
        found = (await self.curl.get(f"{self.url}/sandbox/iotcomms/")).json()["sessions"]
        assert isinstance(found, list)
        return found

    async def session_over(self, count: int = 1) -> dict[str, Any]:
        """The newest of so many sessions, when all are over."""
        async with asyncio.timeout(15):
            while True:
                found = await self.sessions()
                if len(found) >= count and all(one["is_over"] for one in found):
                    return found[-1]
                await asyncio.sleep(0.005)

    async def session_heard(self) -> dict[str, Any]:
        """The session, when somebody in it hears something."""
        async with asyncio.timeout(15):
            while True:
                found = await self.sessions()
                if found and found[0]["heard"]:
                    return found[0]
                await asyncio.sleep(0.005)


@asynccontextmanager
async def world(
    decide: Decide = says_hello, time_scale: float = 0, log: Path | None = None
) -> AsyncIterator[World]:
    ours = Ours(decide)
    async with (
        running(ours.app) as hook,
        running(make_app(time_scale=time_scale, callback_url=f"{hook}/hook?x=1", log=log)) as url,
        httpx.AsyncClient() as curl,
    ):
        client = make_client(40)
        try:
            yield World(url, ours, curl, client)
        finally:
            await client.aclose()


def standing(facts: list[Fact], attempt_id: str) -> Standing:
    return advance(Standing(AttemptState.PLACED), [fact for fact in facts if fact.attempt_id == attempt_id])


# --- strictness ----------------------------------------------------------------------------------------------


def post(body: object, headers: Mapping[str, str] = TOKEN, path: str = "placeivrcall") -> httpx.Response:
    async def story() -> httpx.Response:
        async with running(make_app(time_scale=0)) as url, httpx.AsyncClient() as client:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await client.post(f"{url}/iotcomms/{DOMAIN}/{path}", content=content, headers=headers)

    return asyncio.run(story())


def test_an_order_with_every_field_of_the_document_is_taken() -> None:
    everything = {
        **ORDER,
        "xHeaders": {"x-a": "1"},
        "pHeaders": {"p-a": ["1", "2"]},
        "contactParameters": {"a": "1"},
        "contactUserParameters": {},
        **dict.fromkeys(("sipDiversion", "displayName", "mediaserviceId"), "x"),
        "sipDiversionParameters": {},
        "callerPrivacy": True,
        "maxRingTime": 20,
    }
    response = post(everything)
    assert (response.status_code, response.json()) == (200, {"success": True})


@pytest.mark.parametrize(
    "changes",
    [
        {"destAddr": None},
        {"destAddr": "+46701000000"},
        {"destAddr": "sip:+46701000000"},
        {"destAddr": "sip:anna@sip.example.com"},
        {"sessionReferenceId": "AT1"},
        {"callerPrivacy": "yes"},
        {"maxRingTime": "20"},
        {"maxRingTime": True},
        {"maxRingTime": 0},
        {"text": "Hello"},
    ],
)
def test_what_the_document_does_not_allow_is_no_success(changes: dict[str, object]) -> None:
    body = {name: value for name, value in {**ORDER, **changes}.items() if value is not None}
    response = post(body)
    assert (response.status_code, response.json()) == (200, {"success": False})
    assert post(b"destAddr=x").json() == {"success": False}


def test_a_token_is_needed() -> None:
    for headers in (
        {},
        {"Authorization": "t0ken"},
        {"Authorization": "Basic dTpw"},
    ):
        assert post(ORDER, headers).status_code == 401
    over = jwt.encode({"exp": datetime.now(UTC) - timedelta(hours=1)}, keys()[0], algorithm="RS256")
    assert post(ORDER, {"Authorization": f"Bearer {over}"}).status_code == 401


def test_a_key_that_is_known_must_have_signed_and_what_signs_is_tested() -> None:
    async def story() -> None:
        private, public = keys()
        async with world() as here:
            await here.set(public_key=public)
            assert await here.place("00", token="", private_key=private) is Outcome.PLACED
            assert await here.place("00") is Outcome.REFUSED
            assert "accepts" in await here.check(token="", private_key=private)
            with pytest.raises(ProviderError, match="private_key or token"):
                await here.check()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("question", "answer", "alarm"),
    [
        ("getIvrCommand", b"", "Empty body in getIvrCommand response"),
        ("getIvrCommand", b"<html>", "Empty body in getIvrCommand response"),
        ("getIvrCommand", b'{"phrases": ["Hello"]}', "IVR command failed: phrases"),
        (
            "getIvrCommand",
            b'{"phrases": [{"format": "awstts", "awsTTSParameters": {"Text": "x"}}]}',
            "phrases",
        ),
        ("getIvrCommand", b'{"phrases": [], "hangup": "yes"}', "IVR command failed: hangup"),
        ("getIvrCommand", b'{"phrases": [], "dtmf": {"digits": 1}}', "IVR command failed: dtmf"),
        ("getIvrCommand", b'{"speech": []}', "IVR command failed: another field"),
        ("callEvent", b"", "No response to callEvent request"),
        ("callEvent", b'{"dropCode": "busy"}', "No action provided in callEvent response"),
        ("callEvent", b'{"action": "dance"}', "callEvent response with unknown action"),
        ("callEvent", b'{"action": "drop", "dropCode": "tired"}', "callEvent response with unknown action"),
        ("callEvent", b'{"action": "call", "destAddr": "+467"}', "Invalid sip address: +467"),
    ],
)
def test_an_answer_that_cannot_be_obeyed_raises_the_alarm(question: str, answer: bytes, alarm: str) -> None:
    async def story() -> tuple[list[str], dict[str, Any]]:
        async with world() as here:
            hear = here.ours.hear

            async def answering(request: Request) -> Response:
                ours = await hear(request)
                return Response(answer) if request.path_params["name"] == question else ours

            here.ours.app.routes[:] = [Route("/hook/{name:path}", answering, methods=["POST"])]
            assert await here.place() is Outcome.PLACED
            over = await here.session_over()
            assert [fact.state for fact in here.ours.facts()][-1] is AttemptState.ENDED
            return here.ours.names(), over

    names, over = asyncio.run(story())
    assert alarm in over["alarms"][0]
    assert names[-2:] == ["alarms", "sessionCompleted"]


# --- the adapter against it ----------------------------------------------------------------------------------

DISPOSITIONS = {
    "01": Disposition.BUSY,
    "02": Disposition.NO_ANSWER,
    "03": Disposition.UNAVAILABLE,
    "04": Disposition.INVALID_NUMBER,
    "11": Disposition.CONGESTION,
    "16": Disposition.REJECTED,
}
NO_CALLBACKS = {"05", "06", "10", "18"}


def test_every_fate_is_read_by_the_adapter_as_the_table_says(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"

    async def story() -> tuple[dict[str, Outcome], list[Fact]]:
        async with world(log=log) as here:
            ends = [*FATES, "00"]
            # Only who is not answered is given up soon.
            patience = {end: 3 for end, outcome in OUTCOMES.items() if outcome is Outcome.UNKNOWN}
            outcomes = await asyncio.gather(*(here.place(end, patience.get(end, 60)) for end in ends))
            await here.session_over(len(ends) - len(NO_CALLBACKS) + 1)
            return dict(zip(ends, outcomes, strict=True)), here.ours.facts()

    outcomes, facts = asyncio.run(story())
    assert outcomes == {end: OUTCOMES.get(end, Outcome.PLACED) for end in outcomes}
    standings = {end: standing(facts, f"AT{end}") for end in outcomes}
    assert {end for end, one in standings.items() if one.state is AttemptState.ENDED} == set(
        outcomes
    ) - NO_CALLBACKS
    told = {end: one.outcome for end, one in standings.items() if one.state is AttemptState.ENDED}
    assert told == {end: DISPOSITIONS.get(end, Disposition.ANSWERED) for end in told}
    states = {end: [fact.state.value for fact in facts if fact.attempt_id == f"AT{end}"] for end in outcomes}
    assert states["00"] == ["RINGING", "ANSWERED", "ANSWERED", "ENDED"]
    assert states["01"] == ["RINGING", "ENDED", "ENDED"]
    assert len(states["09"]) == 2 * len(states["00"])
    assert states["14"].index("ENDED") < states["14"].index("RINGING")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["reference"][2:] for line in lines if line["accepted"]} == set(outcomes) - {"05", "06", "18"}


def test_429_holds_a_number_once() -> None:
    async def story() -> list[Outcome]:
        async with world() as here:
            return [await here.place("05") for _ in range(2)]

    assert asyncio.run(story()) == [Outcome.NOT_PROCESSED, Outcome.PLACED]


def test_what_was_decided_is_heard() -> None:
    async def story() -> tuple[list[str], dict[str, Any]]:
        async with world(says(HELLO, Prompt(media="song.mp3"))) as here:
            await here.place()
            over = await here.session_over()
            return here.ours.names(), over

    names, over = asyncio.run(story())
    assert names == ["callNotify", "callAnswered", "getIvrCommand", "callEvent", "sessionCompleted"]
    assert (over["heard"], over["dropped"], over["alarms"]) == (["Hello", "song.mp3"], "dropNoMsg", [])


def walks_a_menu(question: Question) -> Answer:
    """Asks twice, keeps what was pressed, and repeats it."""
    if question.asks is Asks.LEFT:
        return Answer(state=question.state)
    so_far = [*question.state.get("pressed", []), question.keys] if question.state else []
    if len(so_far) == 2:
        return Answer((Prompt(text=f"You pressed {' '.join(so_far)}"),), state=question.state)
    return Answer((HELLO,), Collect(1 + len(so_far), 4), state={"pressed": so_far, "asked": True})


@pytest.mark.parametrize(
    ("pressed", "said", "told"), [("123", "You pressed 1 23", "123"), ("", "You pressed  ", "")]
)
def test_keys_lead_through_a_menu(pressed: str, said: str, told: str) -> None:
    async def story() -> tuple[dict[str, Any], list[Fact]]:
        async with world(walks_a_menu) as here:
            await here.set(keys=pressed)
            await here.place()
            return await here.session_over(), here.ours.facts()

    over, facts = asyncio.run(story())
    assert over["heard"] == ["Hello", "Hello", said]
    assert over["pressed"] == told == "".join(fact.dtmf for fact in facts)
    assert standing(facts, "AT00").outcome is Disposition.ANSWERED


def test_the_number_tells_which_key_is_pressed_and_machines_press_none() -> None:
    async def story() -> list[str]:
        async with world(walks_a_menu) as here:
            for end in ("700", "720"):
                await here.place(end)
            await here.session_over(2)
            return [one["pressed"] for one in await here.sessions()]

    assert asyncio.run(story()) == ["7", ""]


def connects(*numbers: str, record: bool = False) -> Decide:
    def decide(question: Question) -> Answer:
        if question.asks is Asks.LEFT:
            return Answer()
        greeting = (Prompt(text="A choir calls"),)
        return Answer((HELLO,), connect=Connect(numbers, record=record, greeting=greeting))

    return decide


def test_two_are_connected_and_recorded(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"

    async def story() -> tuple[list[str], dict[str, Any], list[Fact], dict[str, Any]]:
        async with world(connects("+46702000000", record=True), log=log) as here:
            await here.place()
            over = await here.session_over()
            return here.ours.names(), over, here.ours.facts(), await here.ask("promptfile_list")

    names, over, facts, files = asyncio.run(story())
    asked = ["callNotify", "callAnswered", "getIvrCommand", "callEvent"]
    assert names == [*asked, "callNotify", "callAnswered", "recordingReady", "callEvent", "sessionCompleted"]
    assert (over["heard"], over["connected"], over["greeted"]) == (
        ["Hello"],
        ["+46702000000"],
        ["A choir calls"],
    )
    assert over["recorded"] == ["AT00.mp3"] == [file["name"] for file in files["files"]]
    assert standing(facts, "AT00").outcome is Disposition.ANSWERED
    rung = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["reference"], line["to"]) for line in rung] == [
        ("AT00", "46701000000"),
        ("AT00/1", "46702000000"),
    ]


def test_the_next_is_rung_when_the_first_does_not_pick_up_and_nobody_after_one_who_did() -> None:
    async def story() -> tuple[dict[str, Any], list[Fact]]:
        async with world(connects("+46702000001", "+46702000000", "+46702000099")) as here:
            await here.place()
            return await here.session_over(), here.ours.facts()

    over, facts = asyncio.run(story())
    assert over["connected"] == ["+46702000001", "+46702000000"]
    assert standing(facts, "AT00").outcome is Disposition.ANSWERED, "the busy one was not the callee"


# --- calls that come in --------------------------------------------------------------------------------------


def called_in(
    decide: Decide, caller: str = "+46701000000", **how: bool
) -> tuple[list[str], dict[str, Any], list[Fact]]:
    async def story() -> tuple[list[str], dict[str, Any], list[Fact]]:
        async with world(decide) as here:
            numbers = {"from": caller, "to": "+46850001111", "keys": "5", **how}
            begun = await here.curl.post(f"{here.url}/sandbox/iotcomms/calls", json=numbers)
            assert begun.json()["sessionId"]
            over = await here.session_over()
            return here.ours.names(), over, here.ours.facts()

    return asyncio.run(story())


def test_a_caller_is_refused() -> None:
    names, over, facts = called_in(lambda _: Answer(refuse=True))
    assert names == ["newCall", "sessionCompleted"]
    assert (over["dropped"], over["alarms"]) == ("numberNotActive", [])
    assert {fact.inbound.session for fact in facts if fact.inbound} == {over["sessionId"]}
    assert [fact.state.value for fact in facts] == ["RINGING", "ENDED"]


def test_a_caller_hears_something() -> None:
    decided: list[Asks] = []

    def decide(question: Question) -> Answer:
        decided.append(question.asks)
        return Answer() if question.asks is Asks.LEFT else Answer((HELLO,))

    names, over, facts = called_in(decide)
    assert names == ["newCall", "getIvrCommand", "callEvent", "sessionCompleted"]
    assert over["heard"] == ["Hello"]
    assert decided == [Asks.INBOUND, Asks.LEFT], "the announcement was decided once"
    assert facts[-1].disposition is Disposition.ANSWERED


def test_a_caller_is_connected_after_a_word() -> None:
    names, over, facts = called_in(connects("+46702000001", "+46702000000"))
    assert names[:3] == ["newCall", "getIvrCommand", "callEvent"]
    assert (over["heard"], over["connected"]) == (["Hello"], ["+46702000001", "+46702000000"])
    assert "+46702000000" in {fact.inbound.connected for fact in facts if fact.inbound}
    first = facts[0].inbound
    assert first is not None
    assert (first.caller, first.called) == ("+46701000000", "+46850001111")


def test_a_caller_whom_the_prompts_have_at_once_is_connected_after_a_word() -> None:
    names, over, facts = called_in(connects("+46702000000"), identified=True)
    assert names[:2] == ["getCallIdentifier", "getIvrCommand"]
    assert (over["heard"], over["connected"]) == (["Hello"], ["+46702000000"])
    told = {fact.inbound.called for fact in facts if fact.inbound is not None}
    assert "+46850001111" in told


def test_a_caller_presses_keys() -> None:
    def decide(question: Question) -> Answer:
        if question.keys or question.asks is Asks.LEFT:
            return Answer()
        return Answer((HELLO,), Collect(1, 3))

    _, over, facts = called_in(decide)
    assert over["pressed"] == "5" == "".join(fact.dtmf for fact in facts)


# --- callbacks that are signed -------------------------------------------------------------------------------


def test_callbacks_are_signed_when_the_sandbox_is_told_to() -> None:
    private, public = keys()

    async def story() -> list[RawEvent]:
        async with world() as here:
            await here.place("00")
            await here.session_over()
            await here.set(callback_private_key=private)
            await here.place("01")
            await here.session_over(2)
            return here.ours.events

    events = asyncio.run(story())
    verdicts = [IotcommsAdapter.is_signed(event, {"callback_public_key": public}) for event in events]
    assert verdicts == [False] * 5 + [True] * 3


# --- calls that are going on ---------------------------------------------------------------------------------


async def going_on(here: World) -> dict[str, Any]:
    """A session in which somebody hears something and would for a long time."""
    assert await here.place() is Outcome.PLACED
    return await here.session_heard()


@asynccontextmanager
async def slowed(here: World) -> AsyncIterator[dict[str, Any]]:
    """A session in which whoever is on the line stays until something is done about it."""
    hear = here.ours.hear

    async def slowing(request: Request) -> Response:
        response = await hear(request)
        if request.path_params["name"] == "getIvrCommand":
            await here.curl.put(f"{here.url}/sandbox/settings", json={"time_scale": 1000})
        return response

    here.ours.app.routes[:] = [Route("/hook/{name:path}", slowing, methods=["POST"])]
    yield await going_on(here)


@asynccontextmanager
async def slow_world(decide: Decide = says_hello) -> AsyncIterator[tuple[World, dict[str, Any]]]:
    """A world with such a session."""
    async with world(decide) as here, slowed(here) as found:
        yield here, found


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("hangupcall", []),
        ("hangupcalljwt", []),
        ("hangupparticipant", ["participantId", "sessionId"]),
        ("hangupremoteparticipant", ["participantId"]),
    ],
)
def test_who_is_on_the_line_is_hung_up(name: str, more: list[str]) -> None:
    async def story() -> None:
        async with slow_world() as (here, found):
            known = {**found, "participantId": found["participants"]["callee"]}
            values = {key: known[key] for key in ("replyId", *more)}
            with pytest.raises(ProviderError, match="did not do it"):
                await here.ask(name, **{**values, "replyId": "another"})
            assert await here.ask(name, **values) == {"success": True}
            await here.session_over()
            assert standing(here.ours.facts(), "AT00").outcome is Disposition.ANSWERED
            with pytest.raises(ProviderError, match="did not do it"):
                await here.ask(name, **values)

    asyncio.run(story())


def test_a_command_is_interrupted_and_asked_for_anew() -> None:
    async def story() -> list[str]:
        async with slow_world() as (here, found):
            await here.ask("interruptivrcommand", replyId=found["replyId"], sessionId=found["sessionId"])
            await until(lambda: here.ours.names().count("getIvrCommand") == 2)
            await here.ask("hangupcall", replyId=found["replyId"])
            over = await here.session_over()
            heard = over["heard"]
            assert isinstance(heard, list)
            return heard

    assert asyncio.run(story()) == ["Hello", "Hello"]


def test_what_is_going_on_is_recorded_and_stopped() -> None:
    async def story() -> None:
        async with slow_world() as (here, found):
            ids = {"replyId": found["replyId"], "connectionId": found["connectionId"]}
            await here.ask("startrecording", recordingFileName="talk.mp3", **ids)
            await here.ask("stoprecording", **ids)
            await until(lambda: "recordingReady" in here.ours.names())
            told = await here.ask("promptfile_url", filename="talk.mp3")
            assert (await here.curl.get(told["url"])).content.startswith(b"ID3")
            await here.ask("splitconnection", **ids)
            await here.session_over()

    asyncio.run(story())


def test_what_is_at_a_hybrid_site_is_told_of_with_its_address_and_acted_on_there_alone() -> None:
    async def story() -> None:
        async with world() as here:
            await here.set(site="siteA")
            async with slowed(here) as found:
                site = f"{here.url}/iotcomms/sites/siteA"
                told = [json.loads(event.body) for event in here.ours.events]
                assert {(one["siteId"], one["siteBaseUrl"]) for one in told} == {("siteA", site)}
                with pytest.raises(ProviderError, match="did not do it"):
                    await here.ask("hangupcall", replyId=found["replyId"])
                await here.ask("hangupcall", replyId=found["replyId"], siteBaseUrl=site)
                await here.session_over()

    asyncio.run(story())


def test_callbacks_tell_what_the_document_lists_for_them() -> None:
    async def story() -> dict[str, set[str]]:
        async with world() as here:
            await here.place()
            await here.session_over()
            return {event.path: set(json.loads(event.body)) for event in here.ours.events}

    told = asyncio.run(story())
    assert not {"sessionId", "ivrServer"} & told["callAnswered"]
    assert "traceId" in told["callAnswered"]
    assert not {"traceId"} & (told["callEvent"] | told["getIvrCommand"])
    assert all("sessionId" in fields for name, fields in told.items() if name != "callAnswered")


# --- prompt files --------------------------------------------------------------------------------------------


def test_prompt_files_are_stored_listed_moved_and_deleted() -> None:
    async def story() -> None:
        async with world() as here:
            song = File("song å.mp3", b"ID3\r\n\x00")
            assert await here.ask("promptfile_put", file=song) == {"success": True}
            for i in range(10):
                await here.ask("promptfile_put", file=song, filename=f"{i}.mp3")
            first = await here.ask("promptfile_list")
            second = await here.ask("promptfile_list", next=first["next"])
            assert (len(first["files"]), second["next"]) == (10, None)
            assert second["files"] == [{"name": "song å.mp3", "size": 6}]
            url = (await here.ask("promptfile_url", filename="song å.mp3"))["url"]
            assert (await here.curl.get(url)).content == song.content
            where = {"bucketRegion": "eu-north-1", "bucketName": "songs"}
            assert await here.ask("promptfile_move", filename="song å.mp3", **where) == {"success": True}
            assert await here.ask("promptfile_delete", filename="1.mp3") == {"success": True}
            for name, values in [
                ("promptfile_move", where),
                ("promptfile_delete", {}),
                ("promptfile_url", {}),
            ]:
                with pytest.raises(ProviderError, match="did not do it"):
                    await here.ask(name, filename="1.mp3", **values)

    asyncio.run(story())


# --- devices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("twin", ["", "jwt"])
def test_devices_call_and_answer(twin: str) -> None:
    async def story() -> None:
        media = {
            "codec": "PCMA",
            "receivePort": 20000,
            "receiveIp": "192.0.2.7",
            "telephoneEventPayloadType": 101,
        }
        crypto: Value = [{"id": 1, "suite": "AES_CM_128_HMAC_SHA1_80", "config": "inline:x"}]
        async with world() as here:
            rung = {
                "destinationUri": "sip:+46702000000@sip.example.com",
                "sourceUser": "door",
                "crypto": crypto,
            }
            assert await here.ask(f"placeremotecall{twin}", **rung, **media) == {"success": True}
            assert await here.ask(f"sendremotecallringback{twin}", replyId="R1") == {"success": True}
            assert await here.ask(f"answerremotecall{twin}", replyId="R1", **media) == {"success": True}
            with pytest.raises(ProviderError, match="codec=PCMA"):
                await here.ask(f"answerremotecall{twin}", replyId="R1", codec="GSM")
            log = (await here.curl.get(f"{here.url}/sandbox/log")).json()["lines"]
            assert [(line["to"], line["status"]) for line in log] == [("46702000000", "remote call")]

    asyncio.run(story())


def test_a_refusal_of_the_account_is_the_providers() -> None:
    async def story() -> Refusal | None:
        async with world() as here:
            await here.set(public_key=keys()[1])
            client = make_client(1)
            call = Submission("AT1", "+46701000000", "", "Hello", None)
            result = await submit(client, here.adapter(), call, timeout=10)
            await client.aclose()
            return result.refusal

    assert asyncio.run(story()) is Refusal.PROVIDER
