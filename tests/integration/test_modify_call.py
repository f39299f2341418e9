"""Calls that are going on are transferred, hung up and recorded, by what their providers can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway import Says, gateway
from running import Running, until
from sqlalchemy import Engine
from test_first_generation import EXAMPLES, compare
from world import World

from dialer.api.app import make_app
from dialer.calls import live_control
from dialer.calls.live_control import Wanted
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError, NotFound
from dialer.lifecycle import AttemptState, CallState
from dialer.providers.contract import Outcome
from dialer.providers.live import Control
from dialer.sandbox import make_app as make_sandbox
from dialer.secrets import hash_auth
from dialer.settings import Settings
from dialer.store import audit
from dialer.store import tables as t

IOTCOMMS = {"domain": "customer.example", "sip_host": "sip.example.com", "token": "t0ken"}
OPEN = {"sip_host": "sip.example.com"}
#: Those who pick up at once; the sandbox has the first and the last of them talk for long, and the others shortly.
CALLEE, OPERATOR, AGENT, CUSTOMER = "+46701000152", "+46702000570", "+46701000779", "+46702000361"
LISTED = BUSY = "+46702000001"
AUTH = "key-of-the-account"


@pytest.fixture
def world(sqlite_database: Engine, redis_server: str) -> Iterator[World]:
    made = World(sqlite_database, redis_server)
    made.set_provider(kind="iotcomms", credentials=made.box.seal(IOTCOMMS))
    with writing(made.engine) as connection:
        connection.execute(t.account.update().values(auth_hash=hash_auth(AUTH)))
    yield made
    made.close()


def control(world: World, channel: str, what: Control, transfer_to: str = "") -> None:
    settings = Settings(secret_key="test" * 8, _env_file=None)
    wanted = Wanted(channel, what, transfer_to)
    live_control.control(world.engine, world.account_id, "account", wanted, settings, world.clock.now)


def refusal(world: World, channel: str, what: Control, transfer_to: str = "") -> str:
    with pytest.raises((FieldError, Conflict, NotFound)) as told:
        control(world, channel, what, transfer_to)
    return told.value.message


def dialled(world: World, call_id: str) -> Any:
    """The call's latest attempt: one that a busy machine did not send in time is given back."""
    return max(world.rows(t.attempt, call_id=call_id), key=lambda row: row.number, default=None)


def handles(world: World, call_id: str) -> dict[str, Any]:
    row = dialled(world, call_id)
    return {} if row is None else dict(row.handles or {})


class Iotcomms:
    """The engine with the simulated iotcomms, where people take their time."""

    def __init__(self, world: World, folder: Path, **more: str) -> None:
        self.world = world
        self.running = Running(
            world, folder, kind="iotcomms", credentials=world.box.seal(IOTCOMMS | more), open_settings=OPEN | more,
            time_scale=0.5, settle_within=60,
        )  # fmt: skip
        self._base_url = world.rows(t.provider)[0].base_url.removesuffix("/iotcomms")

    def __enter__(self) -> Iotcomms:
        return self

    def __exit__(self, *error: object) -> None:
        self.running.__exit__(*error)

    def session(self, number: str) -> dict[str, Any]:
        every = httpx.get(f"{self._base_url}/sandbox/iotcomms/").json()["sessions"]
        (session,) = [one for one in every if one["called"] == number[1:]]
        assert isinstance(session, dict)
        assert session["alarms"] == []
        return session

    def ring(self, call_id: str, handle: str) -> None:
        self.running.bell.place_singles([call_id])
        until(lambda: handle in handles(self.world, call_id), "somebody on the line")

    def talk(self) -> str:
        """An agent and a customer who talk; the call's id."""
        call_id = self.world.click(AGENT, CUSTOMER)
        assert "not been dialled" in refusal(self.world, call_id, Control.HANG_UP)
        self.ring(call_id, "connectionId")
        until(lambda: handles(self.world, call_id).get("line") == "two", "a conversation")
        return call_id

    def over(self, call_id: str) -> Any:
        # From where they are now they take less time; but who waits must not have waited for too long.
        settings = {"time_scale": 0.1}
        httpx.put(f"{self._base_url}/sandbox/settings", json=settings).raise_for_status()
        until(lambda: self.world.call(call_id).state == CallState.COMPLETED, "the end")
        (cdr,) = self.world.rows(t.cdr, call_id=call_id)
        return cdr


def test_who_hears_something_is_handed_on(world: World, tmp_path: Path) -> None:
    with Iotcomms(world, tmp_path) as there:
        call_id = world.otp(CALLEE, repeat="5")
        there.ring(call_id, "asking")
        world.forbid(LISTED)
        assert "stands on a DND list" in refusal(world, call_id, Control.BLIND_TRANSFER, LISTED)
        assert "Nobody is connected" in refusal(world, call_id, Control.ATTENDED_TRANSFER, OPERATOR)
        assert "extension_host" in refusal(world, call_id, Control.BLIND_TRANSFER, "102")
        control(world, call_id, Control.BLIND_TRANSFER, OPERATOR)
        cdr = there.over(call_id)
        assert there.session(CALLEE)["connected"] == [OPERATOR]
    assert cdr.dial_status == "ANSWER"
    with reading(world.engine) as connection:
        (entry,) = audit.of_account(connection, world.account_id, 10)
    assert (entry.action, entry.subject, entry.detail["control"]) == (
        "call.control",
        call_id,
        "blind transfer",
    )
    assert OPERATOR[1:] not in str(entry.detail)
    assert "is over" in refusal(world, call_id, Control.HANG_UP)


@pytest.fixture
def talking(world: World, tmp_path: Path) -> Iterator[tuple[Iotcomms, str]]:
    """An agent and a customer who talk, and the call's id."""
    with Iotcomms(world, tmp_path) as there:
        yield there, there.talk()


def test_two_who_are_connected_are_recorded_and_hung_up(world: World, talking: tuple[Iotcomms, str]) -> None:
    there, call_id = talking
    attempt_id = dialled(world, call_id).id
    control(world, attempt_id, Control.RECORD)
    control(world, attempt_id, Control.HANG_UP)
    cdr = there.over(call_id)
    assert there.session(AGENT)["recorded"] == [f"{attempt_id}.mp3"]
    until(lambda: world.rows(t.cdr)[0].recording_name == f"{attempt_id}.mp3", "the news of the recording")
    assert (cdr.dial_status, cdr.connect_to) == ("ANSWER", CUSTOMER)


def test_of_two_who_talk_the_customer_is_handed_on_and_the_agent_leaves(
    world: World, talking: tuple[Iotcomms, str]
) -> None:
    there, call_id = talking
    control(world, call_id, Control.BLIND_TRANSFER, OPERATOR)
    cdr = there.over(call_id)
    assert there.session(AGENT)["talked"] == [[AGENT[1:], CUSTOMER], [CUSTOMER, OPERATOR]]
    assert cdr.dial_status == "ANSWER"


def test_an_agent_speaks_with_the_operator_while_the_customer_waits(
    world: World, talking: tuple[Iotcomms, str]
) -> None:
    there, call_id = talking
    control(world, call_id, Control.ATTENDED_TRANSFER, OPERATOR)
    there.over(call_id)
    assert there.session(AGENT)["talked"] == [
        [AGENT[1:], CUSTOMER], [AGENT[1:], OPERATOR], [OPERATOR, CUSTOMER],
    ]  # fmt: skip


def test_an_agent_who_reaches_nobody_is_back_with_the_customer(
    world: World, talking: tuple[Iotcomms, str]
) -> None:
    there, call_id = talking
    control(world, call_id, Control.ATTENDED_TRANSFER, BUSY)
    there.over(call_id)
    assert there.session(AGENT)["talked"] == [[AGENT[1:], CUSTOMER]] * 2
    assert there.session(AGENT)["connected"] == [CUSTOMER, BUSY]


@pytest.mark.parametrize(
    ("modify_type", "transfer_to", "message", "connected", "recordings"),
    [
        ("0", "102", "blind transferred successfully", [CUSTOMER, "102"], 0),
        ("0", OPERATOR[1:], "blind transferred successfully", [CUSTOMER, OPERATOR], 0),
        ("1", OPERATOR[1:], "attended transferred successfully", [CUSTOMER, OPERATOR], 0),
        ("2", "102", "call hangup successfully", [CUSTOMER], 0),
        ("3", "102", "call recording started successfully", [CUSTOMER], 1),
    ],
)
def test_the_references_request_changes_a_call_that_is_under_way_and_is_answered_as_there(
    world: World,
    serve: Callable[[Any], str],
    tmp_path: Path,
    modify_type: str,
    transfer_to: str,
    message: str,
    connected: list[str],
    recordings: int,
) -> None:
    """The reference's own channels begin with a blank."""
    (example,) = [one for one in EXAMPLES if one["section"] == "Modify Live Call"]
    url = serve(make_app(world.engine, Settings(home=tmp_path, secret_key="test" * 8, _env_file=None)))
    with Iotcomms(world, tmp_path, extension_host="pbx.example.com") as there:
        call_id = there.talk()
        channel = {"channel": f" {dialled(world, call_id).id}"}
        answer = httpx.post(
            f"{url}{example['path']}",
            json=example["body"] | channel | {"modify_type": modify_type, "transfer_to": transfer_to},
            headers={"account": world.account_id, "auth": AUTH},
        )
        assert answer.status_code == 200, answer.text
        shown = example["response"]["response"] | {"message": message}
        compare(answer.json()["response"], shown, "response")
        assert there.over(call_id).dial_status == "ANSWER"
        assert there.session(AGENT)["connected"] == connected
        assert len(there.session(AGENT)["recorded"]) == recordings


def placed(world: World) -> str:
    """A call that its provider has taken."""
    call_id = world.click(CALLEE, OPERATOR)
    (placement,) = world.claim([call_id]).placements
    world.answer([placement.submission.attempt_id], Outcome.PLACED, provider_reference="57362de4f0")
    return call_id


def test_what_a_provider_lacks_is_said(world: World) -> None:
    own = {"username": "south", "password": "s3cret:key", "customer_name": "110000777"}
    world.set_provider(kind="mtt-callback", credentials=world.box.seal(own))
    call_id = placed(world)
    for what in Control:
        told = refusal(world, call_id, what, OPERATOR)
        assert told.startswith(f"modify_type: A provider of kind mtt-callback cannot {what} a call")
    assert refusal(world, "nosuchcall", Control.HANG_UP).startswith("channel: this account has no such call")


def test_what_a_provider_may_have_done_is_not_told_as_undone(world: World) -> None:
    with gateway() as provider:
        own = {"account": "account_1", "auth": "k3y"}
        world.set_provider(kind="cpaas", base_url=provider.url, credentials=world.box.seal(own))
        call_id = placed(world)
        for says in (Says(sent=0), Says(status=502, body=b"Bad Gateway"), Says(body=b"<html>")):
            provider.turns.append(says)
            told = refusal(world, call_id, Control.HANG_UP)
            assert told.startswith("channel: the provider may have done it."), told
            assert told.endswith("whether it was done is not known: look before you do it again.")
        for says in (
            Says(status=404, body=b'{"response": {"success": "false", "message": "no such channel"}}'),
            Says(status=429),
            Says(status=403, body=b"Forbidden"),
        ):
            provider.turns.append(says)
            assert "the provider did not do it" in refusal(world, call_id, Control.HANG_UP)
    assert len(provider.came) == 6


def test_a_cpaas_server_is_told_and_the_answer_is_the_references(
    world: World, serve: Callable[[Any], str], tmp_path: Path
) -> None:
    own = {"account": "account_1", "auth": "k3y"}
    sandbox = serve(make_sandbox(time_scale=0.0))
    world.set_provider(kind="cpaas", base_url=f"{sandbox}/cpaas", credentials=world.box.seal(own))
    call_id = placed(world)
    for what, target in (
        (Control.BLIND_TRANSFER, "102"), (Control.ATTENDED_TRANSFER, OPERATOR), (Control.HANG_UP, ""),
        (Control.RECORD, ""),
    ):  # fmt: skip
        control(world, call_id, what, target)
    world.set_provider(base_url="http://127.0.0.1:9/api")
    assert "the provider did not do it" in refusal(world, call_id, Control.HANG_UP)
    assert world.attempt(f"{call_id}-1").state == AttemptState.PLACED

    settings = Settings(home=tmp_path / "home", secret_key="test" * 8, _env_file=None)
    world.set_provider(kind="mitto", credentials=world.box.seal({"access_key": "key"}))
    url = serve(make_app(world.engine, settings))
    headers = {"account": world.account_id, "auth": AUTH}

    def ask(**body: Any) -> tuple[int, str]:
        answer = httpx.post(f"{url}/api/modify_call", json=body, headers=headers)
        return answer.status_code, answer.json()["response"]["message"]

    assert ask(channel=call_id, modify_type=0, transfer_to="102")[0] == 400
    for body, status, field in (
        ({"channel": "", "modify_type": "0", "transfer_to": "102"}, 400, "channel"),
        ({"channel": call_id, "modify_type": "4"}, 400, "modify_type"),
        ({"channel": call_id}, 400, "modify_type"),
        ({"channel": call_id, "modify_type": "0"}, 400, "transfer_to"),
        ({"channel": call_id, "modify_type": "1", "transfer_to": "919976"}, 400, "transfer_to"),
        ({"channel": call_id, "modify_type": "1", "transfer_to": "a b"}, 400, "transfer_to"),
        ({"channel": "PJSIP/101-0000023c", "modify_type": "2"}, 404, "channel"),
        ({"channel": "0" * 20 + "-1", "modify_type": "2"}, 404, "channel"),
    ):
        told = ask(**body)
        assert (told[0], told[1].startswith(field)) == (status, True), told
