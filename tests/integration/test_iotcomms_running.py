"""The whole engine with iotcomms: calls are placed, asked about over real HTTP, answered live, and end in CDRs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from running import Running, until
from sqlalchemy import Engine
from test_single_purposes import ask
from world import World

from dialer.lifecycle import CallState
from dialer.store import tables as t
from dialer.store.contacts import NewContact

SETTINGS = {"domain": "customer.example", "sip_host": "sip.example.com", "token": "t0ken"}
OPEN = {"sip_host": "sip.example.com"}
#: The digit before the last two is what they press.
FIRST, SECOND, LEAVING, SILENT = "+46701000100", "+46701000200", "+46701000900", "+46701000000"
OPERATOR = "+46702000000"
FLOW: dict[str, Any] = {
    "first": "main",
    "menus": {
        "main": {
            "prompts": [{"text": "Dear {contact_name}, press 1, 2 or 9"}],
            "repeats": 1,
            "keys": {
                "1": {"does": "notify", "say": [{"text": "Thank you"}]},
                "2": {"does": "transfer", "number": OPERATOR},
                "9": {"does": "opt_out", "say": [{"media": "goodbye.mp3"}]},
            },
        }
    },
}


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.set_provider(kind="iotcomms", credentials=made.box.seal(SETTINGS))
    yield made
    made.close()


class Iotcomms:
    """The engine with the simulated iotcomms, and what was heard there."""

    def __init__(self, world: World, folder: Path, **settings: str) -> None:
        self.world = world
        sealed = world.box.seal({**SETTINGS, **settings})
        opened = {**OPEN, **{key: value for key, value in settings.items() if key == "callback_public_key"}}
        # Nothing is settled without being told, however long it takes to be told.
        self.running = Running(
            world, folder, kind="iotcomms", credentials=sealed, open_settings=opened, settle_within=60
        )
        base_url = world.rows(t.provider)[0].base_url.removesuffix("/iotcomms")
        self._steering = f"{base_url}/sandbox/iotcomms/"

    def __enter__(self) -> Iotcomms:
        return self

    def __exit__(self, *error: object) -> None:
        self.running.__exit__(*error)

    def set(self, **what: str) -> None:
        assert httpx.put(self._steering, json=what).status_code == 200

    def session(self, number: str) -> dict[str, Any]:
        """What became of the one call to a number, there."""
        every = httpx.get(self._steering).json()["sessions"]
        (session,) = [one for one in every if one["called"] == number[1:]]
        assert session["alarms"] == []
        assert isinstance(session, dict)
        return session

    def until_over(self, call_id: str) -> Any:
        """The CDR of a call, when it is over."""
        until(lambda: self.world.call(call_id).state == CallState.COMPLETED, "the end of the call")
        (cdr,) = self.world.rows(t.cdr, call_id=call_id)
        self.world.check()
        return cdr


def test_people_are_led_through_a_survey(world: World, tmp_path: Path) -> None:
    people = [
        NewContact(number, name=name)
        for number, name in zip((FIRST, SECOND, LEAVING, SILENT), "ABCD", strict=True)
    ]
    with Iotcomms(world, tmp_path) as there:
        campaign = world.campaign(world.contact_list(people), type=1, announcement_text=None, flow=FLOW)
        there.running.until_finished(campaign)
        there.running.no_attempt_came_twice()
        asked = {number: there.session(number) for number in (FIRST, SECOND, LEAVING, SILENT)}
    menu = "Dear {}, press 1, 2 or 9".format
    assert asked[FIRST]["heard"] == [menu("A"), "Thank you"]
    assert (asked[SECOND]["heard"], asked[SECOND]["connected"]) == ([menu("B")], [OPERATOR])
    assert asked[LEAVING]["heard"] == [menu("C"), "goodbye.mp3"]
    assert asked[SILENT]["heard"] == [menu("D"), menu("D")]
    cdrs = {row.e164: (row.dial_status, row.dtmf_inputs) for row in world.rows(t.cdr)}
    pressed = {FIRST: "1", SECOND: "2", LEAVING: "9", SILENT: ""}
    assert cdrs == {number: ("ANSWER", key) for number, key in pressed.items()}
    assert {row.e164 for row in world.rows(t.dnd_number)} == {LEAVING}


def test_an_announcement_is_heard_as_often_as_asked_and_who_is_busy_is_busy(
    world: World, tmp_path: Path
) -> None:
    busy = "+46701000001"
    with Iotcomms(world, tmp_path) as there:
        listed = world.contact_list([NewContact(FIRST), NewContact(busy)])
        there.running.until_finished(world.campaign(listed, repeat_count=2))
        assert there.session(FIRST)["heard"] == ["Good day", "Good day"]
        assert there.session(busy)["heard"] == []
    assert {row.e164: row.dial_status for row in world.rows(t.cdr)} == {FIRST: "ANSWER", busy: "BUSY"}


def test_a_one_time_password_is_heard(world: World, tmp_path: Path) -> None:
    with Iotcomms(world, tmp_path) as there:
        call_id = world.otp(FIRST)
        there.running.bell.place_singles([call_id])
        cdr = there.until_over(call_id)
        (heard,) = set(there.session(FIRST)["heard"])
    assert (cdr.dial_status, cdr.hangup_cause) == ("ANSWER", 16)
    assert heard.startswith("Your code is")
    assert heard.replace(", ", "").endswith("1987")


def test_two_people_are_connected_when_each_has_heard_what_is_for_them(world: World, tmp_path: Path) -> None:
    prompts = {"to": {"say": "Your call."}, "connect_to": {"play": "for_you.mp3"}}
    between = {"purpose": "click_to_call", "connect_to": OPERATOR, "message": None, "variables": None}
    with Iotcomms(world, tmp_path) as there:
        (call_id,) = ask(world, FIRST, record=True, prompts=prompts, **between)
        there.running.bell.place_singles([call_id])
        cdr = there.until_over(call_id)
        session = there.session(FIRST)
        rung = [line["to"] for line in there.running.accepted()]
    assert (cdr.dial_status, cdr.e164, cdr.connect_to) == ("ANSWER", FIRST, OPERATOR)
    assert (session["connected"], len(session["recorded"])) == ([OPERATOR], 1)
    assert (session["heard"], session["greeted"]) == (["Your call."], ["for_you.mp3"])
    assert rung == [FIRST[1:], OPERATOR[1:]]


def test_callbacks_are_heard_when_they_are_signed_and_no_others(world: World, tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with Iotcomms(world, tmp_path, callback_public_key=public) as there:
        there.set(callback_private_key=private)
        call_id = world.click(FIRST, OPERATOR)
        there.running.bell.place_singles([call_id])
        assert there.until_over(call_id).dial_status == "ANSWER"
        unsigned = httpx.post(f"{there.running.heard_at}/callNotify", json={"event": "ringing"})
        assert unsigned.status_code == 401
        assert len(world.rows(t.event, state="UNREADABLE")) == 0
