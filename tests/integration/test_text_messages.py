"""Text messages from end to end: no password stays in what is stored of them, and what people write back is heard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine
from world import PUBLIC_URL, World, number

from dialer.api.webhooks import Webhooks
from dialer.lifecycle import CallState
from dialer.store import tables as t

SMS = {"account_sid": "acc1", "token": "t0ken", "sender": "79587625004"}
#: Whoever writes back.
ANN = {"from": "79587643270"}


#: Nothing here depends on the database.
pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.set_provider(kind="mtt-sms", credentials=made.box.seal(SMS))
    yield made
    made.close()


@pytest.fixture
def tell(world: World, serve: Callable[[Any], str]) -> Iterator[Callable[..., None]]:
    """Sends an event of MTT's, and consumes it."""
    app = Webhooks(FastAPI(), world.engine, lambda: None, PUBLIC_URL)
    with httpx.Client(base_url=serve(app), timeout=30) as client:

        def send(**fields: str) -> None:
            body = {"account_sid": "acc1", "hash": "view", **fields}
            answer = client.post(f"/webhooks/{world.provider_id.lower()}/token", data=body)
            assert answer.status_code == 200
            world.consume()

        yield send
    app.close()


def sent(world: World, account_id: str | None = None) -> str:
    """A password, which the provider has taken; its attempt."""
    call_id = world.otp(account_id=account_id, channel="sms")
    (attempt_id,) = world.dial([call_id])
    return attempt_id


def left(world: World, dnd_list_id: str) -> list[tuple[str, str]]:
    return [(row.e164, row.name) for row in world.rows(t.dnd_number, dnd_list_id=dnd_list_id)]


def test_no_password_stays_in_what_is_stored_of_a_delivered_message(
    world: World, tell: Callable[..., None]
) -> None:
    attempt_id = sent(world)
    about = {"direction": "outbound", "from": "79587625004", "to": number(50)[1:], "message_sid": attempt_id}
    for status in ("queued", "sent", "delivered", "delivered"):
        tell(status=status, text="Your code is 1987", **about)
    (call,) = world.rows(t.call)
    assert call.state == CallState.COMPLETED
    kept = world.rows(t.event)
    assert len(kept) == 3, "what is sent twice is known by what came"
    assert not [row for row in kept if "1987" in f"{row.query} {row.body!r} {row.path}"]


def test_a_word_that_nobody_knows_is_kept_without_the_password_too(
    world: World, tell: Callable[..., None]
) -> None:
    attempt_id = sent(world)
    tell(direction="outbound", status="lost", text="Your code is 1987", message_sid=attempt_id)
    (kept,) = world.rows(t.event)
    assert kept.error
    assert b"1987" not in kept.body


@pytest.mark.parametrize("text", ["STOP", " Stop. ", "СТОП", "стоп!", "Unsubscribe"])
def test_whoever_writes_to_stop_is_on_the_dnd_list_of_the_account(
    world: World, tell: Callable[..., None], text: str
) -> None:
    world.set_provider(account_id=world.account_id)
    tell(direction="inbound", status="received", text=text, message_sid="m1", to="79587625004", **ANN)
    assert left(world, world.global_dnd) == [("+79587643270", "opted out by a text message")]


@pytest.mark.parametrize("text", ["Don't stop", "", "1987", "stopp"])
def test_other_words_opt_nobody_out(world: World, tell: Callable[..., None], text: str) -> None:
    world.set_provider(account_id=world.account_id)
    tell(direction="inbound", status="received", text=text, message_sid="m1", to="79587625004", **ANN)
    assert left(world, world.global_dnd) == []


def test_at_a_shared_provider_they_leave_those_who_have_written_to_them(
    world: World, tell: Callable[..., None]
) -> None:
    _, nobody = world.account()
    other, others = world.account()
    sent(world)
    sent(world, other)
    told = {"direction": "inbound", "status": "received", "text": "STOP", "to": "79587625004"}
    tell(message_sid="m1", **told, **ANN)
    assert (left(world, world.global_dnd), left(world, others)) == ([], []), "nobody has written to Ann"
    tell(message_sid="m2", **told, **{"from": number(50)[1:]})
    assert [[one for one, _ in left(world, key)] for key in (world.global_dnd, others)] == [[number(50)]] * 2
    assert left(world, nobody) == []
