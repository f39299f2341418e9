"""`outbound_call`, `click2call` and `get_cdr_by_request_id`, as an app written for the reference sees them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from connecting import connecting
from sqlalchemy import Engine
from structlog.testing import capture_logs
from upstream import application
from world import World

from dialer.api import outbound
from dialer.api.app import make_app
from dialer.db import writing
from dialer.lifecycle import CallState
from dialer.secrets import hash_auth
from dialer.settings import Settings
from dialer.store import announce_templates
from dialer.store import tables as t
from workers.app import make_app as make_celery
from workers.claim import claim
from workers.doorbell import Doorbell

NUMBER = "919979271234"
#: The body of the reference's example.
OTP = {
    "customer_number": NUMBER,
    "otp": "1987",
    "announce_template_id": "AN2222314c96",
    "repeat": "1",
    "caller_id": "15168148111",
    "voice": "Raveena",
    "volume": "soft",
    "rate": "slow",
    "pitch": "medium",
}
CLICK = {
    "agent_number": NUMBER,
    "caller_id": "15168148111",
    "destination_number": "918000681234",
    "recording_option": "on",
    "transcript": "on",
}
AUTH = "key"
__all__ = ["connecting"]  # a fixture


@dataclass
class Api:
    """The served API, a world behind it, and who was rung for."""

    world: World
    client: httpx.Client
    rung: list[str] = field(default_factory=list)

    def post(self, path: str, body: Any, account_id: str | None = None, auth: str = AUTH) -> httpx.Response:
        headers = {"account": account_id or self.world.account_id, "auth": auth}
        return self.client.post(f"/api/{path}", content=json.dumps(body), headers=headers)

    def ask(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.post(path, body)
        assert answer.status_code == 200, answer.text
        response: dict[str, Any] = answer.json()["response"]
        assert response["success"] == "true"
        return response

    def refused(self, path: str, body: Any, **who: Any) -> tuple[int, str]:
        answer = self.post(path, body, **who)
        response = answer.json()["response"]
        assert response["success"] == "false"
        return answer.status_code, response["message"]


@pytest.fixture
def api(database: Engine, redis_server: str, tmp_path: Path, serve: Callable[[Any], str]) -> Iterator[Api]:
    world = World(database, redis_server)
    with writing(database) as connection:
        connection.execute(t.account.update().values(auth_hash=hash_auth(AUTH)))
        template = {"id": "AN2222314c96", "account_id": world.account_id, "text": "Your code is {otp}."}
        announce_templates.add(connection, template | {"created_at": world.clock.now})
    settings = Settings(home=tmp_path / "home", _env_file=None)
    rung: list[str] = []

    def ring(ids: Sequence[str]) -> None:
        # Only what is committed is rung for.
        assert [world.call(one).state for one in ids] == [CallState.RELEASED] * len(ids)
        rung.extend(ids)

    singles = outbound.make_router(database, settings, ring, world.clock)
    with (
        application(database, settings, singles) as app,
        httpx.Client(base_url=serve(app), timeout=20) as client,
    ):
        yield Api(world, client, rung)
    world.close()


def test_a_password_is_taken_as_in_the_reference_and_rung_for_at_once(api: Api) -> None:
    answer = api.ask("outbound_call", OTP)
    assert set(answer) == {"request_id", "success"}
    assert api.rung == [answer["request_id"]]
    (placement,) = api.world.claim(api.rung).placements
    said = placement.submission
    assert (said.to, said.text, said.voice) == (f"+{NUMBER}", "Your code is 1, 9, 8, 7.", "Raveena")


def test_its_cdr_is_that_of_the_reference(api: Api) -> None:
    request_id = api.ask("outbound_call", OTP)["request_id"]
    asked = {"request_id": request_id}
    nothing_yet = {"message": "no cdr found", "result": [], "success": "true"}
    assert api.ask("get_cdr_by_request_id", asked) == nothing_yet
    api.world.end(api.world.dial([request_id]))
    answer = api.ask("get_cdr_by_request_id", asked)
    assert answer["message"] == "cdr found"
    (cdr,) = answer["result"]
    assert set(cdr) == {
        "account_id", "agent_number", "answer", "billsec", "call_date", "call_direction", "call_duration",
        "call_status", "caller_id", "customer_number", "destination_context", "dial_status", "dialed_number",
        "dtmf_inputs", "end", "id", "recording_name", "request_id", "uniqueid",
    }  # fmt: skip
    assert (cdr["call_direction"], cdr["dial_status"], cdr["call_status"]) == (
        "outbound-api", "ANSWER", "ANSWERED",
    )  # fmt: skip
    assert (cdr["customer_number"], cdr["dialed_number"], cdr["caller_id"]) == (NUMBER, NUMBER, "15168148111")
    assert (cdr["request_id"], cdr["uniqueid"], cdr["billsec"]) == (request_id, f"{request_id}-1", 7)


def test_a_suppressed_one_has_a_cdr_of_dial_status_dnd(api: Api) -> None:
    api.world.forbid(f"+{NUMBER}")
    request_id = api.ask("outbound_call", OTP)["request_id"]
    assert api.world.dial([request_id]) == []
    (cdr,) = api.ask("get_cdr_by_request_id", {"request_id": request_id})["result"]
    assert (cdr["dial_status"], cdr["call_status"], cdr["uniqueid"]) == ("DND", None, "")


def test_one_that_cannot_go_now_is_accepted_and_waits_without_a_ring(api: Api) -> None:
    api.world.set_provider(paused_reason="no funds")
    request_id = api.ask("outbound_call", OTP)["request_id"]
    assert api.rung == []
    assert api.world.call(request_id).state == CallState.WAITING


@pytest.mark.parametrize(
    ("changes", "status", "named"),
    [({"otp": "12#4"}, 400, "otp"), ({"customer_number": "12"}, 400, "customer_number"),
     ({"repeat": "0"}, 400, "repeat"), ({"language_code": "hi-IN"}, 400, "Mitto does not speak 'hi-IN'"),
     ({"announce_template_id": "AN0000000000"}, 404, "announce_template_id"),
     ({"announce_template_id": "A\0N"}, 400, "announce_template_id"), ({"otp": "\ud800"}, 400, "otp")],
)  # fmt: skip
def test_what_cannot_be_taken_is_named_and_leaves_nothing(
    api: Api, changes: dict[str, Any], status: int, named: str
) -> None:
    told = api.refused("outbound_call", OTP | changes)
    assert told[0] == status
    assert named in told[1]
    assert api.world.rows(t.call) == api.world.rows(t.message) == api.rung == []


def test_without_any_provider_the_answer_says_what_to_add(api: Api) -> None:
    api.world.set_provider(enabled=False)
    status, message = api.refused("outbound_call", OTP)
    assert status == 409
    assert "one-time passwords (kinds: " in message
    assert "mitto, mtt-voice" in message


def test_another_account_sees_neither_template_nor_call(api: Api) -> None:
    other, _ = api.world.account(auth_hash=hash_auth(AUTH))
    request_id = api.ask("outbound_call", OTP)["request_id"]
    assert api.refused("outbound_call", OTP, account_id=other)[0] == 404
    assert api.refused("get_cdr_by_request_id", {"request_id": request_id}, account_id=other)[0] == 404
    assert api.refused("get_cdr_by_request_id", {"request_id": "ae63e9576e"})[0] == 404


def test_a_long_body_is_read_only_when_its_sender_is_known(api: Api) -> None:
    long = {"ignored": "x" * outbound.LOOKED_INTO, **OTP}
    assert api.ask("outbound_call", long)["request_id"] == api.rung[0]
    assert api.refused("outbound_call", {**long, "announce_template_id": "AN0"})[0] == 404
    assert api.refused("outbound_call", {**long, "otp": ""}, auth="wrong")[0] == 401


def test_nobody_without_the_key_rings_anybody(api: Api) -> None:
    assert api.refused("outbound_call", OTP, auth="wrong")[0] == 401
    assert api.world.rows(t.call) == []


# --- click-to-call -------------------------------------------------------------------------------------------


def test_a_click_is_taken_as_in_the_reference_and_rung_for_at_once(api: Api, connecting: type) -> None:
    api.world.set_provider(kind=connecting.kind)
    answer = api.ask("click2call", CLICK)
    assert set(answer) == {"request_id", "success"}
    assert api.rung == [answer["request_id"]]
    (placement,) = api.world.claim(api.rung).placements
    asked = placement.submission
    assert (asked.to, asked.connect_to, asked.record) == (f"+{NUMBER}", "+918000681234", True)


def test_the_cdr_of_a_click_is_that_of_the_reference(api: Api, connecting: type) -> None:
    api.world.set_provider(kind=connecting.kind)
    request_id = api.ask("click2call", CLICK)["request_id"]
    api.world.end(api.world.dial([request_id]))
    (cdr,) = api.ask("get_cdr_by_request_id", {"request_id": request_id})["result"]
    assert (cdr["agent_number"], cdr["customer_number"], cdr["dialed_number"]) == (
        NUMBER, "918000681234", "918000681234",
    )  # fmt: skip
    assert (cdr["call_direction"], cdr["destination_context"]) == ("outbound-api", "click2call")
    assert (cdr["dial_status"], cdr["call_status"], cdr["caller_id"]) == ("ANSWER", "ANSWERED", "15168148111")
    assert set(cdr) == set(_cdr_of_a_password(api))


def _cdr_of_a_password(api: Api) -> dict[str, Any]:
    api.world.set_provider(kind="mitto")
    request_id = api.ask("outbound_call", OTP)["request_id"]
    api.world.end(api.world.dial([request_id]))
    (cdr,) = api.ask("get_cdr_by_request_id", {"request_id": request_id})["result"]
    return dict(cdr)


@pytest.mark.parametrize(
    ("changes", "status", "named"),
    [({"agent_number": "12"}, 400, "agent_number"), ({"destination_number": ""}, 400, "destination_number"),
     ({"destination_number": NUMBER}, 400, "destination_number"), ({"caller_id": "x"}, 400, "caller_id"),
     ({"recording_option": "them"}, 400, "recording_option"), ({}, 400, "cannot connect two people")],
)  # fmt: skip
def test_a_click_that_cannot_be_taken_is_named_and_leaves_nothing(
    api: Api, changes: dict[str, Any], status: int, named: str
) -> None:
    told = api.refused("click2call", CLICK | changes)
    assert told[0] == status
    assert named in told[1]
    assert api.world.rows(t.call) == api.world.rows(t.message) == api.rung == []


def test_nobody_without_the_key_connects_anybody(api: Api) -> None:
    assert api.refused("click2call", CLICK, auth="wrong")[0] == 401
    assert api.refused("click2call", CLICK, account_id="AC0")[0] == 401
    assert api.world.rows(t.call) == []


# --- what it costs -------------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.parametrize(("path", "body"), [("outbound_call", OTP), ("click2call", CLICK)])
def test_somebody_waits_for_four_statements(
    api: Api, connecting: type, monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any]
) -> None:
    if api.world.engine.dialect.name == "sqlite":
        pytest.skip("about round trips")
    if path == "click2call":
        api.world.set_provider(kind=connecting.kind)
    api.world.clock.now = datetime.now(UTC)  # the worker's is the database's own
    api.ask(path, body)  # what a process remembers, it now does
    alone: list[bool] = []
    execute = psycopg.Cursor.execute

    def note(cursor: Any, query: Any, *values: Any, **options: Any) -> Any:
        alone.append(cursor.connection.autocommit)
        return execute(cursor, query, *values, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", note)
    request_id = api.ask(path, body)["request_id"]
    *ours, _ = alone  # the last is the look of who is rung at what is committed
    assert ours == [True, True], "each is a transaction by itself"
    with writing(api.world.engine) as connection:
        alone.clear()
        assert claim(
            connection, api.world.limiter, api.world.adapters, [request_id], None, single=True
        ).placements
        assert alone == [False, False], "they share one, and the first of them tells the time"


def test_a_request_that_somebody_waits_for_is_held_against_few_routes(api: Api) -> None:
    app = make_app(
        api.world.engine,
        Settings(_env_file=None),
        extra_routers=[outbound.make_router(api.world.engine, Settings(_env_file=None), print)],
    )
    paths = list(app.openapi()["paths"])
    assert set(paths[:3]) == {"/api/outbound_call", "/api/click2call", "/v1/calls"}


def test_with_the_broker_away_it_is_accepted_all_the_same(
    database: Engine, redis_server: str, tmp_path: Path, serve: Callable[[Any], str], api: Api
) -> None:
    settings = Settings(home=tmp_path / "home", redis_url="redis://127.0.0.1:1/0", _env_file=None)
    doorbell = Doorbell(make_celery(settings))
    singles = outbound.make_router(database, settings, doorbell.place_singles, api.world.clock)
    serve(make_app(database, settings, extra_routers=[singles]))
    with capture_logs() as logs:
        request_id = api.ask("outbound_call", OTP)["request_id"]
    assert api.world.call(request_id).state == CallState.RELEASED
    assert [line["event"] for line in logs] == [
        "requests are not limited: Redis does not answer",
        "doorbell not rung",
    ]
    assert "1987" not in str(logs)
