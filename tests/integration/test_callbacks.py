"""Callbacks at a chosen time, over either generation of the API: moved, changed and deleted until they are dialled."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from connecting import DEAF, KIND, connecting
from upstream import Upstream
from world import World, in_threads, number

from dialer import ids
from dialer.calls import callback
from dialer.calls.callback import CALLBACK_LIFE
from dialer.calls.click_to_call import NewClickToCall
from dialer.calls.flow import Prompt
from dialer.calls.talk import Ring, Rung, Side, Talk
from dialer.campaigns.schedule import ChosenTime
from dialer.db import reading, writing
from dialer.errors import Conflict
from dialer.keys import Scope
from dialer.lifecycle import CallState
from dialer.providers.contract import Outcome
from dialer.store import accounts, audit
from dialer.store import tables as t

AGENT, CUSTOMER, OTHER = number(50), number(51), number(52)

pytestmark = pytest.mark.usefixtures(connecting.__name__)


class Desk:
    """The API, and behind it the engine, with one clock."""

    def __init__(self, upstream: Upstream, world: World) -> None:
        self.upstream, self.world = upstream, world
        upstream.clock.now = world.clock.now

    def forward(self, **parts: float) -> None:
        self.upstream.clock.advance(**parts)
        self.world.clock.now = self.upstream.clock.now

    def in_time(self, **parts: float) -> str:
        """A time to come, on UTC's clocks."""
        return f"{self.world.clock.now + timedelta(**parts):%Y-%m-%d %H:%M:%S}"

    def send(
        self, method: str, body: dict[str, Any], *, path: str = "callback", other: bool = False
    ) -> httpx.Response:
        up = self.upstream
        account, auth = (up.other_id, up.other_auth) if other else (up.account_id, up.auth)
        headers = {"account": account, "auth": auth}
        return up.client.request(method, f"/api/{path}", json=body, headers=headers)

    def ask(self, method: str, body: dict[str, Any], *, path: str = "callback") -> dict[str, Any]:
        answer = self.send(method, body, path=path)
        assert answer.status_code == 200, answer.text
        response: dict[str, Any] = answer.json()["response"]
        assert response["success"] == "true"
        return response

    def refused(self, status: int, method: str, body: dict[str, Any], *, other: bool = False) -> str:
        answer = self.send(method, body, other=other)
        assert answer.status_code == status, answer.text
        assert answer.json()["response"]["success"] == "false"
        return str(answer.json()["response"]["message"])

    def new(self, **changes: Any) -> str:
        """A callback in an hour unless told otherwise; its id."""
        body = {
            "agent_number": AGENT,
            "caller_id": "15168148111",
            "destination_number": CUSTOMER,
            "recording_option": "off",
            "time_zone": "UTC",
            "scheduled_at": self.in_time(hours=1),
        }
        return str(self.ask("POST", body | changes)["request_id"])

    def forbid(self, *numbers: str) -> None:
        with reading(self.world.engine) as connection:
            (listed,) = connection.execute(
                sa.select(t.dnd_list.c.id).where(
                    t.dnd_list.c.account_id == self.upstream.account_id, t.dnd_list.c.is_global
                )
            ).scalars()
        self.world.forbid(*numbers, dnd_list_id=listed)

    def cdrs(self, request_id: str) -> list[dict[str, Any]]:
        found = self.ask("POST", {"request_id": request_id}, path="get_cdr_by_request_id")
        cdrs: list[dict[str, Any]] = found["result"]
        return cdrs


@pytest.fixture
def desk(upstream: Upstream, redis_server: str) -> Iterator[Desk]:
    world = World(upstream.engine, redis_server)
    world.set_provider(kind=KIND)
    yield Desk(upstream, world)
    world.close()


def test_two_people_are_connected_at_the_chosen_time(desk: Desk) -> None:
    request_id = desk.new(
        time_zone="Asia/Kolkata",
        scheduled_at=f"{desk.world.clock.now + timedelta(hours=6.5):%Y-%m-%d %H:%M:%S}",
        recording_option="customer",
        transcript="on",
    )
    call = desk.world.call(request_id)
    assert (call.kind, call.state, call.time_zone) == ("CALLBACK", CallState.WAITING, "Asia/Kolkata")
    assert call.due_at == desk.world.clock.now + timedelta(hours=1)
    desk.forward(minutes=59, seconds=59)
    desk.world.redis.flushall()
    assert desk.world.release_singles() == []
    desk.forward(seconds=1)
    (placement,) = desk.world.claim(desk.world.release_singles()).placements
    asked = placement.submission
    assert (asked.to, asked.connect_to, asked.record) == (AGENT, CUSTOMER, True)
    assert (asked.record_side, asked.transcript) == (Side.CUSTOMER, True)
    live = desk.upstream.client.get(
        "/api/get_live_call_statistics",
        headers={"account": desk.upstream.account_id, "auth": desk.upstream.auth},
    ).json()["response"]["result"]
    assert live["live_calls_c2c"] == 1
    desk.world.dial([request_id])  # its doorbell once more
    desk.world.answer([asked.attempt_id], Outcome.PLACED)
    desk.world.end([asked.attempt_id])
    (cdr,) = desk.cdrs(request_id)
    assert (cdr["agent_number"], cdr["customer_number"], cdr["dialed_number"]) == (
        AGENT[1:], CUSTOMER[1:], CUSTOMER[1:],
    )  # fmt: skip
    assert (cdr["call_direction"], cdr["destination_context"], cdr["dial_status"]) == (
        "outbound-callback", "callback", "ANSWER",
    )  # fmt: skip
    assert (cdr["request_id"], cdr["uniqueid"]) == (request_id, asked.attempt_id)
    desk.world.check()


def test_an_agent_may_have_many_and_at_any_hour(desk: Desk) -> None:
    with writing(desk.world.engine) as connection:
        closed = {"start": "08:00", "end": "09:00"}
        connection.execute(t.account.update().values(calling_window=closed, frequency_cap=1))
    asked = [desk.new(scheduled_at=desk.in_time(hours=hours)) for hours in (10, 11, 10)]
    for _ in range(11):
        desk.forward(hours=1)
        desk.world.end(desk.world.dial(desk.world.release_singles()))
    assert [desk.world.call(one).state for one in asked] == [CallState.COMPLETED] * 3
    desk.world.check()


@pytest.mark.parametrize("listed", [AGENT, CUSTOMER])
def test_nobody_is_rung_who_is_on_the_dnd_list_by_then(desk: Desk, listed: str) -> None:
    request_id = desk.new()
    desk.forward(hours=1)
    released = desk.world.release_singles()
    desk.forbid(listed)
    assert desk.world.claim(released).placements == ()
    assert [cdr["dial_status"] for cdr in desk.cdrs(request_id)] == ["DND"]
    desk.world.check()


def test_what_nobody_can_take_in_time_expires(desk: Desk) -> None:
    request_id = desk.new()
    desk.world.set_provider(enabled=False)
    desk.forward(hours=1)
    assert desk.world.release_singles() == []
    desk.forward(seconds=CALLBACK_LIFE.total_seconds() - 1)
    assert desk.world.release_singles() == []
    assert desk.world.call(request_id).state == CallState.WAITING
    desk.forward(seconds=1)
    desk.world.set_provider(enabled=True)
    assert desk.world.release_singles() == []
    assert desk.world.call(request_id).state == CallState.EXPIRED
    assert [cdr["dial_status"] for cdr in desk.cdrs(request_id)] == ["CANCEL"]
    assert "could not be dialled in time" in desk.refused(
        409, "PATCH", {"request_id": request_id, "caller_id": "12345"}
    )


def test_any_part_of_it_is_changed_and_the_rest_stays(desk: Desk) -> None:
    request_id = desk.new(time_zone="Asia/Kolkata", scheduled_at="2026-01-14 19:00:00")
    changed = desk.ask("PATCH", {"request_id": request_id, "scheduled_at": "2026-01-15 10:00:02"})
    assert changed == {
        "message": "callback data modified successfully", "request_id": request_id, "success": "true",
    }  # fmt: skip
    call = desk.world.call(request_id)
    assert call.scheduled_at == call.due_at == datetime.fromisoformat("2026-01-15T04:30:02Z")
    assert call.expires_at == call.due_at + CALLBACK_LIFE
    desk.ask("PATCH", {"request_id": request_id, "time_zone": "US/Eastern"})
    assert desk.world.call(request_id).due_at == datetime.fromisoformat("2026-01-15T15:00:02Z")
    recorded = {"recording_option": "agent", "transcript": "on"}
    desk.ask("PATCH", {"request_id": request_id, "agent_number": OTHER, **recorded})
    desk.ask("PATCH", {"request_id": request_id, "caller_id": "12345", "destination_number": ""})
    call, (said,) = desk.world.call(request_id), desk.world.rows(t.message)
    assert (call.e164, said.connect_to, said.caller_id, said.record) == (OTHER, CUSTOMER, "12345", True)
    assert (said.record_side, said.transcript) == ("agent", True)
    assert call.due_at == datetime.fromisoformat("2026-01-15T15:00:02Z")
    with reading(desk.world.engine) as connection:
        entries = audit.of_account(connection, desk.upstream.account_id, 10, subject=request_id)
    assert [(row.action, row.actor) for row in entries] == [
        *[("callback.change", "account")] * 4, ("callback.create", "account"),
    ]  # fmt: skip
    assert AGENT[1:] not in str([row.detail for row in entries])


@pytest.mark.parametrize("is_released", [False, True])
def test_one_that_is_moved_is_dialled_at_its_new_time_alone(desk: Desk, is_released: bool) -> None:
    request_id = desk.new()
    desk.forward(hours=1)
    rung_for = desk.world.release_singles() if is_released else []
    desk.ask(
        "PATCH",
        {"request_id": request_id, "agent_number": OTHER, "scheduled_at": desk.in_time(hours=2)},
    )
    assert desk.world.claim([request_id, *rung_for]).placements == ()
    assert desk.world.release_singles() == []
    desk.forward(hours=2)
    (placement,) = desk.world.claim(desk.world.release_singles()).placements
    assert placement.submission.to == OTHER
    desk.world.check()


def test_one_that_was_released_and_keeps_its_time_goes_on_with_what_was_changed(desk: Desk) -> None:
    request_id = desk.new()
    desk.forward(hours=1)
    assert desk.world.release_singles() == [request_id]
    desk.ask("PATCH", {"request_id": request_id, "destination_number": OTHER})
    assert desk.world.claim([request_id]).placements == ()
    desk.forward(seconds=1)
    (placement,) = desk.world.claim(desk.world.release_singles()).placements
    assert (placement.submission.to, placement.submission.connect_to) == (AGENT, OTHER)


@pytest.mark.parametrize("is_released", [False, True])
def test_one_that_is_deleted_is_not_dialled(desk: Desk, is_released: bool) -> None:
    request_id = desk.new()
    desk.forward(hours=1)
    if is_released:
        assert desk.world.release_singles() == [request_id]
    assert desk.ask("DELETE", {"request_id": request_id}) == {
        "message": "callback request deleted successfully", "request_id": request_id, "success": "true",
    }  # fmt: skip
    assert desk.world.claim([request_id, *desk.world.release_singles()]).placements == ()
    assert desk.world.call(request_id).state == CallState.CANCELLED
    assert [cdr["dial_status"] for cdr in desk.cdrs(request_id)] == ["CANCEL"]
    assert "was deleted already" in desk.refused(409, "DELETE", {"request_id": request_id})
    assert "was deleted already" in desk.refused(409, "PATCH", {"request_id": request_id, "caller_id": "123"})
    desk.world.check()


def test_one_that_is_dialled_can_be_changed_no_more(desk: Desk) -> None:
    request_id = desk.new()
    desk.forward(hours=1)
    attempts = desk.world.dial(desk.world.release_singles())
    for _ in range(2):
        assert "dialled" in desk.refused(409, "PATCH", {"request_id": request_id, "agent_number": OTHER})
        assert "dialled" in desk.refused(409, "DELETE", {"request_id": request_id})
        desk.world.end(attempts)
    assert desk.world.call(request_id).e164 == AGENT
    desk.world.check()


def test_anothers_callback_is_answered_for_as_none_is(desk: Desk) -> None:
    theirs, click = desk.new(), desk.world.click()
    (nobodys,) = ids.call_ids(1, desk.world.clock.now)
    for method in ("PATCH", "DELETE"):
        told = {
            desk.refused(404, method, {"request_id": one}, other=True) for one in (theirs, nobodys, click)
        }
        assert told == {"request_id: this account has no such callback; check the id."}
    for method in ("GET", "DELETE"):
        answers = [
            desk.upstream.refused(404, method, f"/v1/callbacks/{one}", other=True)
            for one in (theirs, nobodys, "%20", "%00", "a%2Fb")
        ]
        assert len({answer["detail"] for answer in answers[:3]}) == 1
    assert desk.upstream.got("GET", "/v1/callbacks", other=True)["data"] == []
    assert desk.world.call(theirs).state == CallState.WAITING


BAD = [
    ({"scheduled_at": "2026-01-13 11:59:59"}, "scheduled_at"),
    ({"scheduled_at": "2026-01-13 12:00:00"}, "scheduled_at"),
    ({"scheduled_at": "tomorrow"}, "scheduled_at"),
    ({"scheduled_at": "2026-02-30 10:00:00"}, "scheduled_at"),
    ({"scheduled_at": None}, "scheduled_at"),
    ({"time_zone": "Asia/Nowhere"}, "time_zone"),
    ({"time_zone": ""}, "time_zone"),
    ({"agent_number": "12"}, "agent_number"),
    ({"destination_number": AGENT}, "destination_number"),
    ({"caller_id": "x"}, "caller_id"),
    ({"recording_option": "left"}, "recording_option"),
]


def test_what_cannot_be_meant_is_refused_with_its_field(desk: Desk) -> None:
    body = {
        "agent_number": AGENT,
        "caller_id": "15168148111",
        "destination_number": CUSTOMER,
        "time_zone": "UTC",
        "scheduled_at": desk.in_time(hours=1),
    }
    for changes, field in BAD:
        assert desk.refused(400, "POST", body | changes).startswith(field)
    assert desk.world.rows(t.call) == []
    request_id = desk.new()
    for changes, field in BAD:
        if all(changes.values()):  # else it stays
            assert desk.refused(400, "PATCH", {"request_id": request_id, **changes}).startswith(field)
    assert desk.world.call(request_id).due_at == desk.world.clock.now + timedelta(hours=1)


def test_what_no_provider_could_carry_is_refused_with_what_each_lacks(desk: Desk) -> None:
    desk.world.set_provider(kind="mitto")
    body = {
        "agent_number": AGENT, "caller_id": "15168148111", "destination_number": CUSTOMER,
        "time_zone": "UTC", "scheduled_at": desk.in_time(hours=1),
    }  # fmt: skip
    assert "cannot connect two people" in desk.refused(400, "POST", body)


def test_a_time_that_the_clocks_skip_or_show_twice_is_told_of(desk: Desk) -> None:
    desk.upstream.clock.now = desk.world.clock.now = datetime.fromisoformat("2026-03-01T12:00:00Z")
    body = {
        "agent_number": AGENT, "caller_id": "15168148111", "destination_number": CUSTOMER,
        "time_zone": "America/New_York",
    }  # fmt: skip
    skipped = desk.ask("POST", body | {"scheduled_at": "2026-03-08 02:30:00"})
    assert "it is the first moment after that, 2026-03-08 03:00:00" in skipped["note"]
    assert desk.world.call(skipped["request_id"]).due_at == datetime.fromisoformat("2026-03-08T07:00:00Z")
    twice = desk.ask("PATCH", {"request_id": skipped["request_id"], "scheduled_at": "2026-11-01 01:30:00"})
    assert "it is the earlier of the two, Sun, 01 Nov 2026 05:30:00 GMT" in twice["note"]
    assert desk.world.call(twice["request_id"]).due_at == datetime.fromisoformat("2026-11-01T05:30:00Z")


# --- while they are released and claimed ---------------------------------------------------------------------


def test_one_is_either_deleted_or_dialled_and_moved_or_dialled(desk: Desk) -> None:
    """Release, claims, moves and deletions all at once, over as many rows."""
    world, many = desk.world, 24
    with reading(world.engine) as connection:
        account = accounts.with_id(connection, desk.upstream.account_id)
    assert account is not None
    soon = ChosenTime(world.clock.now + timedelta(seconds=1), "UTC")
    asked = []
    for place in range(many):
        wanted = NewClickToCall(number(100 + place), number(200 + place), "+15168148111")
        with writing(world.engine) as connection:
            asked.append(callback.create(connection, account, wanted, soon, world.clock.now))
    desk.forward(seconds=1)
    later = f"{world.clock.now + timedelta(hours=1):%Y-%m-%d %H:%M:%S}"
    outcomes: dict[str, str] = {}

    def decide(call_id: str, is_move: bool) -> None:
        try:
            with writing(world.engine) as connection:
                if is_move:
                    given = {"scheduled_at": later, "agent_number": OTHER}
                    callback.change(connection, account, call_id, given, None, world.clock.now)
                else:
                    callback.delete(connection, account.id, call_id, world.clock.now)
            outcomes[call_id] = "moved" if is_move else "deleted"
        except Conflict:
            outcomes[call_id] = "too late"

    def decide_all(first: int) -> None:
        for place in range(first, many, 2):
            decide(asked[place], place % 4 < 2)

    released: list[str] = []
    placed: list[Any] = []

    def release() -> None:
        for _ in range(6):
            released.extend(world.release_singles())

    def dial() -> None:
        for _ in range(12):
            for start in range(0, len(released), 5):
                placed.extend(world.claim(released[start : start + 5]).placements)

    in_threads(release, dial, dial, lambda: decide_all(0), lambda: decide_all(1))
    # Whoever lost a race for a lock comes again.
    released += world.release_singles()
    placed += world.claim(released).placements
    dialled = [one.call_id for one in placed]
    assert len(dialled) == len(set(dialled)), "dialled twice"
    assert {one for one in asked if outcomes[one] == "too late"} == set(dialled)
    states = {one: world.call(one).state for one in asked}
    assert all(states[one] == CallState.CANCELLED for one in asked if outcomes[one] == "deleted")
    moved = [one for one in asked if outcomes[one] == "moved"]
    assert all(states[one] == CallState.WAITING for one in moved)
    assert all(one.submission.to != OTHER for one in placed)
    desk.forward(hours=1)
    again = [one.submission.to for one in world.claim(world.release_singles()).placements]
    assert again == [OTHER] * len(moved)
    world.check()


# --- the second generation -----------------------------------------------------------------------------------


def test_asked_for_again_under_its_key_a_callback_is_made_once(desk: Desk) -> None:
    up, with_key = desk.upstream, {"Idempotency-Key": "order 7"}
    local = {"at_local": "2026-03-29 02:30:00", "time_zone": "Europe/Stockholm"}
    body = {"agent_number": AGENT, "destination_number": CUSTOMER, "caller_id": "+15168148111", **local}
    first = up.ask("POST", "/v1/callbacks", body, headers=with_key)
    assert (first.status_code, first.headers.get("idempotent-replayed")) == (201, None)
    again = up.ask("POST", "/v1/callbacks", body, headers=with_key)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert again.json() == first.json()
    assert "the clocks skip it" in again.json()["note"]
    problem = up.refused(422, "POST", "/v1/callbacks", body | {"record": True}, headers=with_key)
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    assert len(up.got("GET", "/v1/callbacks")["data"]) == 1
    other = up.got("POST", "/v1/callbacks", body, status=201, headers={"Idempotency-Key": "order 8"})
    assert other["id"] != first.json()["id"]


def test_the_second_generation_takes_instants_and_local_times(desk: Desk) -> None:
    up = desk.upstream
    body = {"agent_number": AGENT, "destination_number": CUSTOMER, "caller_id": "+15168148111"}
    made = up.got("POST", "/v1/callbacks", {**body, "at": "2026-01-13T15:00:00+01:00"}, status=201)
    assert (made["at"], made["at_local"], made["time_zone"], made["state"]) == (
        "2026-01-13T14:00:00Z", "2026-01-13 14:00:00", "UTC", "WAITING",
    )  # fmt: skip
    local = {**body, "at_local": "2026-03-29 02:30:00", "time_zone": "Europe/Stockholm", "record": True}
    second = up.got("POST", "/v1/callbacks", local, status=201)
    assert (second["at"], second["at_local"], second["record"]) == (
        "2026-03-29T01:00:00Z", "2026-03-29 03:00:00", True,
    )  # fmt: skip
    assert "the clocks skip it" in second["note"]
    moved = up.got(
        "PATCH", f"/v1/callbacks/{second['id']}", {"at_local": "2026-04-01 09:00", "record": False}
    )
    assert (moved["at"], moved["record"], moved["note"]) == ("2026-04-01T07:00:00Z", False, None)
    moved = up.got("PATCH", f"/v1/callbacks/{second['id']}", {"at": "2026-05-01T09:00:00Z"})
    assert (moved["at_local"], moved["time_zone"]) == ("2026-05-01 11:00:00", "Europe/Stockholm")
    assert up.got("GET", f"/v1/callbacks/{second['id']}") == moved
    assert up.got("DELETE", f"/v1/callbacks/{second['id']}")["state"] == "CANCELLED"
    assert up.got("DELETE", f"/v1/callbacks/{second['id']}")["state"] == "CANCELLED"
    up.refused(409, "PATCH", f"/v1/callbacks/{second['id']}", {"record": True})
    desk.forward(hours=2)
    desk.world.end(desk.world.dial(desk.world.release_singles()))
    assert up.got("GET", f"/v1/callbacks/{made['id']}")["disposition"] == "ANSWERED"
    up.refused(409, "DELETE", f"/v1/callbacks/{made['id']}")
    actions = [entry["action"] for entry in up.got("GET", f"/v1/audit?subject={second['id']}")["data"]]
    assert actions == ["callback.delete", "callback.change", "callback.change", "callback.create"]


def test_the_first_generation_wishes_for_a_recording_and_the_second_needs_it(desk: Desk) -> None:
    up = desk.upstream
    body = {"agent_number": AGENT, "destination_number": CUSTOMER, "caller_id": "+15168148111"}
    later = {"at": "2026-01-13T15:00:00Z"}
    needed = up.got("POST", "/v1/callbacks", body | later | {"record": True}, status=201)["id"]
    desk.world.set_provider(kind=DEAF)
    problem = up.refused(422, "POST", "/v1/callbacks", body | later | {"record": True})
    assert "cannot record calls" in problem["detail"]
    wished = desk.new(recording_option="on")
    desk.ask("PATCH", {"request_id": wished, "caller_id": "12345"})
    up.refused(422, "PATCH", f"/v1/callbacks/{wished}", {"record": True})
    assert up.got("PATCH", f"/v1/callbacks/{wished}", {"caller_id": "15168148111"})["record"] is True
    desk.refused(400, "PATCH", {"request_id": needed, "caller_id": "12345"})
    desk.ask("PATCH", {"request_id": needed, "recording_option": "on"})
    desk.forward(hours=1)
    (placement,) = desk.world.claim(desk.world.release_singles()).placements
    assert (placement.call_id, placement.submission.record) == (wished, True)


TALK = {
    "prompts": {"agent": {"say": "A callback for you."}, "destination": {"play": "one moment"}},
    "ring": {"also": [{"number": OTHER, "seconds": 15}], "at_once": True},
    "speech": {"language": "en-GB", "voice": "Amy"},
}


def test_both_hear_something_first_and_several_may_be_rung(desk: Desk) -> None:
    up, world = desk.upstream, desk.world
    body = {"agent_number": AGENT, "destination_number": CUSTOMER, "caller_id": "+15168148111"}
    made = up.got("POST", "/v1/callbacks", {**body, **TALK, "at": "2026-01-13T13:00:00Z"}, status=201)
    assert made["prompts"]["agent"]["say"] == "A callback for you."
    assert (made["ring"]["also"], made["ring"]["seconds"]) == ([{"number": OTHER, "seconds": 15}], 25)
    path = f"/v1/callbacks/{made['id']}"
    moved = up.got("PATCH", path, {"at": "2026-01-13T13:30:00Z", "speech": {"voice": "Brian"}})
    assert (moved["prompts"], moved["ring"]) == (made["prompts"], made["ring"]), "what is left out stays"
    assert (moved["speech"]["language"], moved["speech"]["voice"]) == ("en-GB", "Brian")
    # Neither does a change by the first generation, which knows nothing of it, take it away.
    desk.ask("PATCH", {"request_id": made["id"], "caller_id": "15168148112"})
    desk.forward(hours=1.5)
    (placement,) = world.claim(world.release_singles()).placements
    placed = placement.submission
    assert placed.talk == Talk(
        Prompt("A callback for you."), Prompt(media="one moment"), ring=Ring((Rung(OTHER, 15),), at_once=True)
    )
    assert (placed.language, placed.voice, placed.caller_id) == ("en-GB", "Brian", "+15168148112")
    world.answer([placed.attempt_id], Outcome.PLACED)
    world.end([placed.attempt_id])
    assert up.got("GET", path)["prompts"] is None, "what was to be heard is forgotten"


def test_what_they_hear_is_not_kept_with_an_answer_that_may_be_given_again(desk: Desk) -> None:
    up, with_key = desk.upstream, {"Idempotency-Key": "order 9"}
    both = {"agent_number": AGENT, "destination_number": CUSTOMER, "caller_id": "+15168148111"}
    body = both | TALK | {"at": "2026-01-13T13:00:00Z"}
    first = up.got("POST", "/v1/callbacks", body, status=201, headers=with_key)
    assert first["prompts"]["agent"]["say"] == "A callback for you."
    assert up.got("POST", "/v1/callbacks", body, status=201, headers=with_key) == first
    (kept,) = desk.world.rows(t.idempotency_key)
    assert "A callback for you." not in str(kept)


def test_null_takes_away_what_they_hear_and_who_is_rung_besides(desk: Desk) -> None:
    up = desk.upstream
    body = {"agent_number": AGENT, "destination_number": CUSTOMER, "caller_id": "+15168148111"}
    made = up.got("POST", "/v1/callbacks", {**body, **TALK, "at": "2026-01-13T13:00:00Z"}, status=201)
    path = f"/v1/callbacks/{made['id']}"
    problem = up.refused(422, "PATCH", path, {"agent_number": OTHER})
    assert [error["field"] for error in problem["errors"]] == ["ring.also.0.number"]
    plain = up.got("PATCH", path, {"prompts": None, "ring": None, "agent_number": OTHER})
    assert (plain["prompts"], plain["ring"], plain["agent_number"]) == (None, None, OTHER)
    problem = up.refused(422, "PATCH", path, {"max_seconds": 600})
    assert "cannot end a talk after a set time" in problem["detail"]


def test_the_list_is_paged_and_of_one_account(desk: Desk) -> None:
    asked = [desk.new() for _ in range(5)]
    desk.world.click()
    seen: list[str] = []
    cursor = ""
    for _ in itertools.count():
        page = desk.upstream.got("GET", f"/v1/callbacks?limit=2{cursor}")
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == sorted(asked, reverse=True)


BAD_IN_V1 = [
    ({"at": None}, "at"),
    ({"at_local": "2026-02-01 10:00:00"}, "at"),
    ({"at": None, "at_local": "2026-02-01 10:00:00"}, "time_zone"),
    ({"at": None, "at_local": "soon", "time_zone": "UTC"}, "at_local"),
    ({"at": "2026-01-13T12:00:00Z"}, "at"),
    ({"at": "2026-01-14T12:00:00"}, "at"),
    ({"at": "9999-12-31T23:59:59-12:00"}, "at"),
    ({"at": "0001-01-01T00:00:00+12:00"}, "at"),
    ({"time_zone": "Mars/Base"}, "time_zone"),
    ({"agent_number": "1"}, "agent_number"),
    ({"recording_option": "on"}, "recording_option"),
    ({"prompts": {"agent": {}}}, "prompts.agent"),
    ({"prompts": {"to": {"say": "Hello"}}}, "prompts.to"),
    ({"prompts": {"destination": {"play": "../../b.wav"}}}, "prompts.destination.play"),
    ({"max_seconds": 1}, "max_seconds"),
    ({"ring": {"also": [{"number": CUSTOMER}]}}, "ring.also.0.number"),
]


def test_the_second_generation_names_what_is_wrong(desk: Desk) -> None:
    body = {
        "agent_number": AGENT, "destination_number": CUSTOMER, "caller_id": "15168148111",
        "at": "2026-02-01T10:00:00Z",
    }  # fmt: skip
    for changes, field in BAD_IN_V1:
        problem = desk.upstream.refused(422, "POST", "/v1/callbacks", body | changes)
        assert [error["field"] for error in problem["errors"]] == [field]


def test_a_key_needs_the_scope(desk: Desk) -> None:
    reader = desk.upstream.key(Scope.READ)
    request_id = desk.new()
    desk.upstream.got("GET", f"/v1/callbacks/{request_id}", key=reader)
    desk.upstream.refused(403, "DELETE", f"/v1/callbacks/{request_id}", key=reader)
