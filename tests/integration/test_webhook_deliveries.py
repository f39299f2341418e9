"""Outgoing webhooks: what happens is told to the accounts' apps, over real HTTP, at least once."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from receiver import Receiver, receiving
from sqlalchemy import Engine
from typer.testing import CliRunner
from world import World, in_threads, number, people, repeating, statements

from dialer import ids
from dialer.cli import app as cli
from dialer.db import reading, writing
from dialer.lifecycle import AttemptState
from dialer.providers.contract import Fact, Outcome, Refusal
from dialer.secrets import SecretBox
from dialer.settings import get_settings
from dialer.store import meters, webhooks
from dialer.store import tables as t
from dialer.webhooks import outbox, schedule
from dialer.webhooks.signature import new_secret
from workers.results import apply
from workers.webhooks import LEASE, Deliverer, purge

EVERY = ["attempt.ended", "call.ended", "campaign.ended"]


@dataclass
class Hooks:
    """A world whose account has apps."""

    world: World

    def endpoint(self, url: str, events: list[str] = EVERY, **values: Any) -> str:
        """One more endpoint, known at once."""
        endpoint_id = ids.webhook_endpoint_id()
        row = {
            "id": endpoint_id,
            "account_id": self.world.account_id,
            "url": url,
            "events": events,
            "description": "",
            "enabled": True,
            "secrets": self.world.box.seal({"secret": self.secret}),
            "failures": 0,
            "created_at": self.world.clock.now,
        }
        with writing(self.world.engine) as connection:
            webhooks.add(connection, row | values)
        self.world.clock.forward(outbox.REMEMBERED.total_seconds())
        return endpoint_id

    secret: str = new_secret()

    def attempts(self, count: int = 1, **values: Any) -> list[str]:
        """Attempts of a campaign, taken by their provider."""
        self.world.campaign(self.world.contact_list(people(count, start=self.world.told * 100)), **values)
        return self.world.dial(self.world.release())

    @contextmanager
    def deliverer(self, **how: Any) -> Iterator[Deliverer]:
        given = {"allow_private": True, "needs_https": False, "timeout": 10.0, **how}
        made = Deliverer(self.world.engine, self.world.box, clock=self.world.clock, **given)
        try:
            yield made
        finally:
            assert made.drain(20)
            made.close()

    def deliver(self, **how: Any) -> None:
        """Send all that is due now."""
        with self.deliverer(**how) as deliverer:
            deliverer.ring()
            assert deliverer.wait_idle(30)

    def deliveries(self, **where: Any) -> list[Any]:
        return self.world.rows(t.webhook_delivery, **where)

    def row(self, endpoint_id: str) -> Any:
        return self.world.rows(t.webhook_endpoint, id=endpoint_id)[0]

    def states(self) -> Counter[str]:
        return Counter(row.state for row in self.deliveries())


@pytest.fixture
def hooks(database: Engine, redis_server: str) -> Iterator[Hooks]:
    world = World(database, redis_server)
    yield Hooks(world)
    world.close()


@pytest.fixture
def app() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


# --- what is told --------------------------------------------------------------------------------------------


def test_an_app_is_told_of_every_end_once_and_signed(hooks: Hooks, app: Receiver) -> None:
    hooks.endpoint(app.url)
    world = hooks.world
    (unwilling,) = people(1, start=1000)
    world.forbid(unwilling.e164)
    campaign = world.campaign(world.contact_list([*people(2), unwilling]), repeat_policy=repeating(1))
    first, second = world.dial(world.release())
    world.end([first])
    world.end([second], "busy")
    world.clock.forward(61)
    (again,) = world.dial(world.release())
    world.end([again], "no answer")
    world.clock.forward(1)
    world.release()
    assert world.campaign_row(campaign).state == "FINISHED"

    hooks.deliver()
    told = [message.verified(hooks.secret) for message in app.came]
    assert len({message.id for message in app.came}) == len(told) == 7
    assert {one["account_id"] for one in told} == {world.account_id}
    by_type: dict[str, list[Any]] = {}
    for one in told:
        by_type.setdefault(one["type"], []).append(one["data"])
    attempts = {one["attempt_id"]: one for one in by_type["attempt.ended"]}
    assert {key: (one["disposition"], one["number"]) for key, one in attempts.items()} == {
        first: ("ANSWERED", 1), second: ("BUSY", 1), again: ("NO_ANSWER", 2)
    }  # fmt: skip
    assert attempts[first]["to"] == world.attempt(first).e164
    assert (attempts[first]["duration"], attempts[first]["dial_status"]) == (7.0, "ANSWER")
    calls = {one["to"]: (one["state"], one["disposition"], one["attempts"]) for one in by_type["call.ended"]}
    assert calls == {
        world.attempt(first).e164: ("COMPLETED", "ANSWERED", 1),
        world.attempt(second).e164: ("FAILED", "NO_ANSWER", 2),
        unwilling.e164: ("SUPPRESSED", None, 0),
    }
    (over,) = by_type["campaign.ended"]
    assert (over["campaign_id"], over["state"], over["contacts"]) == (campaign, "FINISHED", 3)
    assert over["ends"] == {"COMPLETED": 1, "FAILED": 1, "SUPPRESSED": 1}
    assert over["dial_statuses"] == {"ANSWER": 1, "BUSY": 1, "DND": 1, "NOANSWER": 1}
    assert hooks.states() == {"DELIVERED": 7}
    world.check()


def test_every_way_to_an_end_is_told(hooks: Hooks, app: Receiver) -> None:
    """A stop, an end date, a refusal, a number that came onto a DND list, silence, and a word that comes late."""
    hooks.endpoint(app.url, ["call.ended", "campaign.ended"])
    world = hooks.world

    def told(event: str = "call.ended") -> list[tuple[str, bool]]:
        hooks.deliver()
        said = [message.json for message in app.came]
        app.came.clear()
        return [
            (one["data"]["state"], one["data"].get("corrected", False))
            for one in said
            if one["type"] == event
        ]

    stopped = world.campaign(world.contact_list(people(2)), max_concurrent=1)
    (released,) = world.release()
    world.stop(stopped)
    world.release()
    assert told() == [("CANCELLED", False)]
    assert world.call(released).state == "CANCELLED"
    (over,) = hooks.deliveries(event="campaign.ended")
    assert (over.subject, json.loads(over.body)["data"]["ends"]) == (stopped, {"CANCELLED": 2})

    (refused,) = world.claim(released_of_one(world, 100)).placements
    world.answer([refused.submission.attempt_id], Outcome.REFUSED, refusal=Refusal.BAD_NUMBER)
    assert told() == [("FAILED", False)]

    (listed,) = released_of_one(world, 200)
    world.forbid(world.call(listed).e164)
    assert not world.claim([listed]).placements
    assert told() == [("SUPPRESSED", False)]

    (silent,) = world.dial(released_of_one(world, 300))
    world.clock.forward(4000)
    world.settle()
    assert told() == [("UNKNOWN", False)]
    world.end([silent], "busy")
    assert told() == [("FAILED", True)]

    otp = world.otp(number(5050))
    world.clock.forward(600)
    world.claim([otp])
    assert told() == [("EXPIRED", False)]

    world.clock.forward(1)
    world.release()
    assert told("campaign.ended") == [("FINISHED", False)] * 3
    (open_one,) = world.dial(released_of_one(world, 400, end_at=world.clock.now + timedelta(hours=1)))
    world.clock.forward(3600)
    world.release()
    assert told("campaign.ended") == [], "one of its calls is at its provider"
    world.end([open_one])
    world.clock.forward(1)
    world.release()
    assert told("campaign.ended") == [("FINISHED", False)]
    world.check()


def released_of_one(world: World, start: int, **values: Any) -> list[str]:
    """The call of a new campaign of one, released."""
    world.campaign(world.contact_list(people(1, start=start)), **values)
    return world.release()


def test_an_attempt_whose_end_is_corrected_is_told_of_again(hooks: Hooks, app: Receiver) -> None:
    hooks.endpoint(app.url, ["attempt.ended"])
    (attempt,) = hooks.attempts()
    hooks.world.clock.forward(4000)
    hooks.world.settle()
    hooks.world.end([attempt])
    hooks.deliver()
    told = {(one.json["data"]["disposition"], one.json["data"]["corrected"]) for one in app.came}
    assert told == {("UNKNOWN", False), ("ANSWERED", True)}
    assert len({one.id for one in app.came}) == 2


def test_a_recording_that_can_be_fetched_later_is_told_of(hooks: Hooks, app: Receiver) -> None:
    hooks.endpoint(app.url, ["attempt.ended"])
    (attempt,) = hooks.attempts()
    hooks.world.end([attempt])
    now = hooks.world.clock.now
    recorded = Fact(
        attempt, AttemptState.ANSWERED, None, None, now, None, None, None, recording_name="talk.mp3"
    )
    for _ in range(2):
        with writing(hooks.world.engine) as connection:
            apply(connection, [hooks.world.attempt(attempt)], {attempt: [recorded]}, now)
    hooks.deliver()
    told = {(one.json["data"]["recording_name"], one.json["data"]["corrected"]) for one in app.came}
    assert told == {(None, False), ("talk.mp3", True)}
    assert len(app.came) == 2


def test_what_an_app_gave_a_call_comes_back_with_it(hooks: Hooks, app: Receiver) -> None:
    hooks.endpoint(app.url, ["attempt.ended", "call.ended"])
    call_id = hooks.world.otp()
    with writing(hooks.world.engine) as connection:
        connection.execute(t.call.update().values(metadata={"order": "A7"}))
    hooks.world.end(hooks.world.dial([call_id]))
    assert outbox.was_written(hooks.world.engine), "a doorbell is rung"
    assert not outbox.was_written(hooks.world.engine)
    hooks.deliver()
    told = [message.json["data"] for message in app.came]
    assert [(one["call_id"], one["campaign_id"], one["metadata"]) for one in told] == [
        (call_id, None, {"order": "A7"})
    ] * 2
    assert "1987" not in str(told), "the password is told to nobody"


def test_a_campaign_filter_and_other_accounts_are_respected(hooks: Hooks, app: Receiver) -> None:
    world = hooks.world
    mine = world.campaign(world.contact_list(people(1)))
    world.campaign(world.contact_list(people(1, start=100)))
    other, _ = world.account()
    hooks.endpoint(app.url, ["call.ended"], campaign_ids=[mine])
    hooks.endpoint(app.url, account_id=other)
    hooks.endpoint(app.url, enabled=False)
    world.end(world.dial(world.release()))
    (only,) = hooks.deliveries()
    assert world.call(only.subject).campaign_id == mine
    hooks.deliver()
    assert [one.json["data"]["campaign_id"] for one in app.came] == [mine]


def test_an_account_without_an_endpoint_costs_one_look_in_two_seconds_and_no_row(hooks: Hooks) -> None:
    first, second, third = hooks.attempts(3)
    hooks.world.end([first])
    outbox.was_written(hooks.world.engine)  # tests share the engine of PostgreSQL

    def ending(attempt: str) -> int:
        hooks.world.tell(attempt)
        return statements(hooks.world.engine, hooks.world.consume)

    remembered = ending(second)
    assert not outbox.was_written(hooks.world.engine)
    hooks.world.clock.forward(outbox.REMEMBERED.total_seconds())
    assert ending(third) == remembered + 1
    assert hooks.deliveries() == []


def test_what_is_rolled_back_is_not_told(hooks: Hooks) -> None:
    hooks.endpoint("http://127.0.0.1:9/")
    (attempt,) = hooks.attempts()
    world = hooks.world
    world.tell(attempt)
    with writing(world.engine) as connection:
        connection.execute(t.webhook_delivery.delete())

    class Stop(Exception):
        pass

    def commit(connection: Any) -> None:
        raise Stop

    sa.event.listen(world.engine, "commit", commit)
    try:
        with pytest.raises(Stop):
            world.consume()
    finally:
        sa.event.remove(world.engine, "commit", commit)
    assert hooks.deliveries() == []
    world.consume()
    assert Counter(row.event for row in hooks.deliveries()) == {"attempt.ended": 1, "call.ended": 1}


# --- when it fails -------------------------------------------------------------------------------------------


@pytest.fixture
def one(hooks: Hooks, app: Receiver) -> str:
    """An endpoint with one message that is due."""
    endpoint_id = hooks.endpoint(app.url, ["call.ended"])
    hooks.world.end(hooks.attempts())
    return endpoint_id


def test_it_is_sent_again_until_it_is_taken_under_the_same_id(hooks: Hooks, app: Receiver, one: str) -> None:
    app.answer(500, 404, 204)
    hooks.deliver()
    (row,) = hooks.deliveries()
    assert (row.state, row.tries, row.response_status, row.error) == ("PENDING", 1, 500, "HTTP 500")
    assert row.latency_ms is not None
    wait = row.due_at - hooks.world.clock.now
    assert schedule.WAITS[0] <= wait <= schedule.WAITS[0] * 1.1
    hooks.deliver()
    assert len(app.came) == 1, "not before its time"
    for expected in ("PENDING", "DELIVERED"):
        hooks.world.clock.forward(400)
        hooks.deliver()
        (row,) = hooks.deliveries()
        assert row.state == expected
    assert (row.tries, row.response_status, row.error) == (3, 204, None)
    assert {message.id for message in app.came} == {row.id}
    assert len({message.body for message in app.came}) == 1
    found = hooks.row(one)
    assert (found.failures, found.failing_since) == (0, None)


def test_it_is_given_up_after_three_days_and_can_be_sent_again(hooks: Hooks, app: Receiver, one: str) -> None:
    app.answer(500)
    for _ in range(schedule.TRIES):
        hooks.deliver()
        hooks.world.clock.forward(27 * 3600)
    (row,) = hooks.deliveries()
    assert (row.state, row.tries) == ("PENDING", 6), "five days came first"
    assert not hooks.row(one).enabled
    assert "failed for 5 days" in hooks.row(one).disabled_reason
    (entry,) = hooks.world.rows(t.audit_entry)
    assert (entry.actor, entry.action, entry.subject) == ("engine", "webhook.disable", one)
    # By the schedule it would have been given up before.
    with writing(hooks.world.engine) as connection:
        connection.execute(t.webhook_delivery.update().values(tries=schedule.TRIES - 1))
        values = {"enabled": True, "failures": 0, "failing_since": None, "rest_until": None}
        webhooks.update(connection, hooks.world.account_id, one, **values)
    hooks.deliver()
    (row,) = hooks.deliveries()
    assert (row.state, row.ended_at) == ("FAILED", hooks.world.clock.now)
    hooks.world.clock.forward(3600)
    hooks.deliver()
    came = len(app.came)
    app.answer(200)
    with writing(hooks.world.engine) as connection:
        assert (
            webhooks.replay_failed(
                connection, hooks.world.account_id, one, row.created_at, hooks.world.clock.now, 10
            )
            == 1
        )
    hooks.deliver()
    assert len(app.came) == came + 1
    assert hooks.states() == {"DELIVERED": 1}


@pytest.mark.parametrize(
    ("status", "error"), [(302, "redirects"), (307, "redirects"), (199 + 200, "HTTP 399")]
)
def test_a_redirect_is_a_failure_and_is_not_followed(
    hooks: Hooks, app: Receiver, one: str, status: int, error: str
) -> None:
    with receiving() as elsewhere:
        app.answer(status, location=elsewhere.url)
        hooks.deliver()
        (row,) = hooks.deliveries()
        assert (row.state, row.response_status) == ("PENDING", status)
        assert error in row.error
        assert elsewhere.came == []


def test_an_endpoint_that_is_gone_is_disabled_at_once_and_keeps_its_messages(
    hooks: Hooks, app: Receiver, one: str
) -> None:
    app.answer(410)
    hooks.deliver()
    assert (hooks.row(one).enabled, hooks.row(one).disabled_reason) == (False, "It answered 410 Gone.")
    assert [entry.action for entry in hooks.world.rows(t.audit_entry)] == ["webhook.disable"]
    hooks.world.clock.forward(400)
    hooks.deliver()
    assert (len(app.came), hooks.states()) == (1, {"PENDING": 1})


def test_who_asks_for_rest_is_left_alone_with_all_messages(hooks: Hooks, app: Receiver, one: str) -> None:
    app.answer(429, retry_after="600")
    hooks.deliver()
    hooks.world.end(hooks.attempts())
    hooks.world.clock.forward(590)
    hooks.deliver()
    assert len(app.came) == 1
    app.answer(204)
    hooks.world.clock.forward(20)
    hooks.deliver()
    assert hooks.states() == {"DELIVERED": 2}


def test_a_slow_endpoint_fails_in_time_and_holds_up_nobody(hooks: Hooks, app: Receiver) -> None:
    may_answer = threading.Event()
    with receiving() as slow:
        slow.hook = lambda: may_answer.wait(30)
        stuck = hooks.endpoint(slow.url, ["call.ended"])
        hooks.world.end(hooks.attempts(40))
        quick = hooks.endpoint(app.url, ["call.ended"])
        hooks.world.end(hooks.attempts(40))
        with hooks.deliverer(timeout=2.0) as deliverer:
            deliverer.ring()
            while len(app.came) < 40:
                assert not deliverer.wait_idle(0.02)
            assert not may_answer.is_set()
            assert hooks.deliveries(endpoint_id=stuck, state="DELIVERED") == []
            assert deliverer.wait_idle(60)
        may_answer.set()
    assert Counter(row.state for row in hooks.deliveries(endpoint_id=quick)) == {"DELIVERED": 40}
    tried = [row for row in hooks.deliveries(endpoint_id=stuck) if row.tries]
    assert {row.error for row in tried} == {"no answer within 2 s"}
    assert 5 <= len(tried) < 80, "it was left alone after a few"
    assert hooks.row(stuck).rest_until is not None


def test_nobody_listens(hooks: Hooks) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hooks.endpoint(f"http://127.0.0.1:{free.getsockname()[1]}/", ["call.ended"])
        hooks.world.end(hooks.attempts())
        hooks.deliver()
    (row,) = hooks.deliveries()
    assert (row.state, row.response_status, row.error) == ("PENDING", None, "no connection")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "private.test", "[::1]"])
def test_a_private_address_is_refused_when_it_is_connected_to(
    hooks: Hooks, app: Receiver, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is written, and whatever its name leads to by now."""
    resolve = socket.getaddrinfo

    def lead_home(name: Any, *rest: Any, **more: Any) -> Any:
        return resolve("127.0.0.1" if name == "private.test" else name, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lead_home)
    hooks.endpoint(app.url.replace("127.0.0.1", host), ["call.ended"])
    hooks.world.end(hooks.attempts())
    hooks.deliver(allow_private=False)
    (row,) = hooks.deliveries()
    assert row.state == "PENDING"
    assert "public" in row.error
    assert app.came == []
    if host == "private.test":
        hooks.world.clock.forward(10)
        hooks.deliver()
        assert len(app.came) == 1, "the name leads here"


def test_production_sends_over_tls_only(hooks: Hooks, app: Receiver, one: str) -> None:
    hooks.deliver(needs_https=True)
    (row,) = hooks.deliveries()
    assert (row.state, app.came) == ("PENDING", [])
    assert "over TLS only" in row.error


# --- workers -------------------------------------------------------------------------------------------------


def test_two_workers_send_each_message_once(hooks: Hooks, app: Receiver) -> None:
    hooks.endpoint(app.url, ["call.ended"])
    hooks.world.end(hooks.attempts(150))
    in_threads(hooks.deliver, hooks.deliver)
    assert len(app.came) == len({message.id for message in app.came}) == 150
    assert hooks.states() == {"DELIVERED": 150}


def test_what_a_dead_worker_held_is_sent_by_another(hooks: Hooks, app: Receiver, one: str) -> None:
    world = hooks.world
    with writing(world.engine) as connection:
        now = world.clock.now
        (held,) = webhooks.claim(connection, one, now, now + LEASE, 10)
    hooks.deliver()
    assert app.came == []
    world.clock.forward(LEASE.total_seconds())
    hooks.deliver()
    assert [message.id for message in app.came] == [held.id]
    (row,) = hooks.deliveries()
    assert (row.state, row.tries) == ("DELIVERED", 2)


def test_for_a_day_after_a_rotation_both_secrets_are_good(hooks: Hooks, app: Receiver, one: str) -> None:
    world, new = hooks.world, new_secret()
    with writing(world.engine) as connection:
        both = world.box.seal({"secret": new, "previous": hooks.secret})
        webhooks.update(
            connection, world.account_id, one, secrets=both, previous_until=sa.literal("2100-01-01 00:00:00")
            if world.engine.dialect.name == "sqlite" else sa.text("'2100-01-01 00:00:00+00'::timestamptz")
        )  # fmt: skip
    hooks.deliver()
    for secret in (hooks.secret, new):
        app.came[-1].verified(secret)
    with writing(world.engine) as connection:
        webhooks.update(connection, world.account_id, one, previous_until=world.clock.now)  # long past
    hooks.world.end(hooks.attempts())
    hooks.deliver()
    assert len(app.came[-1].headers["webhook-signature"].split()) == 1
    app.came[-1].verified(new)


def test_old_deliveries_are_removed_whatever_became_of_them(hooks: Hooks, app: Receiver) -> None:
    world = hooks.world
    hooks.endpoint(app.url, ["call.ended"])
    world.end(hooks.attempts(3))
    hooks.deliver()
    hooks.endpoint("http://127.0.0.1:9/", ["call.ended"], enabled=False)
    world.clock.forward(schedule.KEPT.total_seconds() - outbox.REMEMBERED.total_seconds() - 1)
    world.end(hooks.attempts())
    assert purge(world.engine, world.clock) == 0
    world.clock.forward(2)
    assert purge(world.engine, world.clock) == 3
    assert len(hooks.deliveries()) == 1
    with reading(world.engine) as connection:
        assert webhooks.oldest_due_at(connection, world.clock.now) is not None


def test_what_became_of_tries_is_counted_for_metrics(hooks: Hooks, app: Receiver, one: str) -> None:
    app.answer(500, 200)
    hooks.deliver()
    hooks.world.clock.forward(10)
    with reading(hooks.world.engine) as connection:
        oldest = webhooks.oldest_due_at(connection, hooks.world.clock.now)
    assert oldest is not None
    assert timedelta(seconds=4) < hooks.world.clock.now - oldest < timedelta(seconds=6)
    hooks.deliver()
    with reading(hooks.world.engine) as connection:
        assert webhooks.oldest_due_at(connection, hooks.world.clock.now) is None
        totals = meters.totals(connection)
    found = {label: count for (name, _, label), count in totals.items() if name == meters.WEBHOOK}
    assert found == {"failed": 1, "delivered": 1}


def test_secrets_are_sealed_anew_on_the_command_line(
    hooks: Hooks, app: Receiver, one: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    url = hooks.world.engine.url.render_as_string(hide_password=False)
    for name, value in {
        "HOME": str(tmp_path / "home"),
        "DATABASE_URL": url,
        "SECRET_KEY": f"a-new-key-of-a-test,{'test' * 8}",
    }.items():
        monkeypatch.setenv(f"DIALER_{name}", value)
    get_settings.cache_clear()
    for command, word in (("reseal", "1"), ("list", one)):
        done = CliRunner().invoke(cli, ["webhook", command])
        assert (done.exit_code, word in done.stdout) == (0, True), done.output
        assert app.url not in done.output
    get_settings.cache_clear()
    hooks.world.box = SecretBox(["a-new-key-of-a-test"])
    hooks.deliver()
    app.came[0].verified(hooks.secret)
