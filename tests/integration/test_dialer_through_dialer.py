"""One Dialer places calls through another: our first-generation API is a provider of kind `cpaas`, over real HTTP."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs
from world import World

from dialer.api import outbound
from dialer.api.app import make_app
from dialer.db import make_engine, writing
from dialer.lifecycle import AttemptState, CallState
from dialer.providers.base import submit
from dialer.providers.contract import SubmitResult
from dialer.secrets import hash_auth
from dialer.settings import Settings
from dialer.store import announce_templates
from dialer.store import tables as t
from workers import cdrs, replies

AUTH, TEMPLATE = "key-of-the-inner-one", "AN2222314c96"


@pytest.fixture
def inner(
    tmp_path: Path, migrated_sqlite: Path, redis_server: str, serve: Callable[[Any], str]
) -> Iterator[tuple[World, str]]:
    """A Dialer of its own, with an account for the other one; and the address of its API."""
    path = tmp_path / "inner.db"
    shutil.copy(migrated_sqlite, path)
    engine = make_engine(f"sqlite:///{path}")
    world = World(engine, redis_server)
    with writing(engine) as connection:
        connection.execute(t.account.update().values(auth_hash=hash_auth(AUTH)))
        template = {"id": TEMPLATE, "account_id": world.account_id, "text": "Your code is {otp}."}
        announce_templates.add(connection, template | {"created_at": world.clock.now})
    settings = Settings(home=tmp_path / "home", _env_file=None)
    singles = outbound.make_router(engine, settings, lambda _: None, world.clock)
    app = make_app(engine, settings, extra_routers=[singles])
    yield world, f"{serve(app)}/api"
    world.close()
    engine.dispose()


@pytest.fixture
def outer(database: Engine, redis_server: str, inner: tuple[World, str]) -> Iterator[World]:
    """The Dialer that places through the inner one."""
    made = World(database, redis_server)
    made.redis.flushall()
    there, url = inner
    made.clock.now = there.clock.now = datetime.now(UTC).replace(microsecond=0)
    set_up(made, url, account=there.account_id)
    yield made
    made.close()


def set_up(outer: World, url: str, **settings: str) -> None:
    own = {"auth": AUTH, "announce_template_id": TEMPLATE, **settings}
    outer.set_provider(kind="cpaas", base_url=url, credentials=outer.box.seal(own))


def place(outer: World) -> SubmitResult:
    """Place a one-time password through the inner Dialer, and note what it answered."""
    (placement,) = outer.claim([outer.otp(voice="Raveena", repeat="2")]).placements
    result = outer.outside.run(
        submit(outer.outside.client, placement.adapter, placement.submission, timeout=10)
    )
    with writing(outer.engine) as connection:
        replies.write(connection, [result], outer.clock.now)
    return result


def look(outer: World) -> None:
    outer.clock.forward(60)
    outer.settle()
    outer.look_up(outer.to_look_up)
    outer.check()


@pytest.mark.parametrize(
    ("ending", "state", "disposition"),
    [("answered", CallState.COMPLETED, "ANSWERED"), ("busy", CallState.FAILED, "BUSY")],
)
def test_a_password_is_spoken_by_the_inner_one_and_its_end_is_learned_by_asking(
    outer: World, inner: tuple[World, str], ending: str, state: CallState, disposition: str
) -> None:
    there, _ = inner
    placed = place(outer)
    (their_call,) = there.rows(t.call)
    assert placed.provider_reference == their_call.id
    (message,) = there.rows(t.message)
    assert (message.text, message.voice, message.repeat_count) == ("Your code is 1, 9, 8, 7.", "Raveena", 2)
    look(outer)
    assert outer.attempt(placed.attempt_id).state == AttemptState.PLACED, "it is not over yet"

    there.end(there.dial([their_call.id]), ending)
    look(outer)
    attempt = outer.attempt(placed.attempt_id)
    assert (attempt.state, attempt.disposition) == (AttemptState.ENDED, disposition)
    (our_cdr,), (their_cdr,) = outer.rows(t.cdr), there.rows(t.cdr)
    assert (our_cdr.dial_status, our_cdr.billsec) == (their_cdr.dial_status, their_cdr.billsec)
    assert outer.rows(t.call)[0].state == state


def test_the_cdrs_of_the_inner_one_settle_what_nobody_has_asked_about(
    outer: World, inner: tuple[World, str]
) -> None:
    """The reply to the submit got through; then its CDR is read by date, with all others of the account there."""
    there, _ = inner
    placed = place(outer)
    (their_call,) = there.rows(t.call)
    outer.clock.forward(60)
    there.clock.forward(60)
    for ending in ("busy", "answered"):  # others' calls: not ours to settle
        there.end(there.dial([there.otp()]), ending)
    there.end(there.dial([their_call.id]), "answered")
    assert cdrs.claim_due(outer.engine, outer.clock) == [outer.provider_id]
    with capture_logs() as logged:
        assert outer.read_cdrs()
    assert not [line for line in logged if "CDRs" in str(line["event"])]
    attempt = outer.attempt(placed.attempt_id)
    assert (attempt.state, attempt.disposition) == (AttemptState.ENDED, "ANSWERED")
    assert outer.rows(t.call)[0].state == CallState.COMPLETED
    (poll,) = outer.rows(t.cdr_poll)
    assert (poll.read_to, poll.page) == (outer.clock.now, None)
    outer.check()


@pytest.mark.parametrize(
    "wrong", [{"announce_template_id": "ANnosuch"}, {"auth": "wrong"}, {"account": "ACnobody"}]
)
def test_what_is_wrong_with_the_account_there_pauses_the_provider_here(
    outer: World, inner: tuple[World, str], wrong: dict[str, str]
) -> None:
    there, url = inner
    set_up(outer, url, **{"account": there.account_id, **wrong})
    result = place(outer)
    assert there.rows(t.call) == []
    assert AUTH not in result.detail
    assert outer.rows(t.provider)[0].paused_reason == result.detail
    assert outer.rows(t.call)[0].state == CallState.WAITING, "for another provider"
