"""Verifications: a code is brought by one channel after the other, told back, and forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import secrecy
import sqlalchemy as sa
from running import Running, until
from upstream import Upstream
from world import World, in_threads, number, statements

from dialer.calls.otp import spoken
from dialer.db import reading, writing
from dialer.keys import Scope
from dialer.lifecycle import CallState, VerificationState
from dialer.providers.contract import Outcome, Refusal
from dialer.secrets import SecretBox
from dialer.store import announce_templates, history
from dialer.store import tables as t
from dialer.store import verifications as store
from dialer.store.tables import AnyRow
from dialer.verifications import conversion
from dialer.verifications.bring import bring_on
from dialer.verifications.codes import Codes
from dialer.verifications.destination import destination
from dialer.verifications.rules import Rules
from workers.scheduler import Scheduler

CALLER = "+15168148111"
SOMEBODY = number(50)
PATH = "/v1/verifications"
#: For tests of what no SQL of its own stands behind.
ONE_DATABASE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


class Desk:
    """An app that verifies numbers, and the engine that brings the codes."""

    def __init__(self, upstream: Upstream, redis_url: str) -> None:
        self.upstream = upstream
        keys = upstream.settings.secret_keys()
        self.codes = Codes(keys)
        self.world = World(upstream.engine, redis_url, box=SecretBox(keys))
        self.world.clock.now = upstream.clock.now
        self.world.set_provider(priority=50)
        self.seal = self.world.box.seal
        self.settings(countries=["SE", "US"], caller_id=CALLER)

    def settings(self, **changes: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.upstream.got("PATCH", f"{PATH}/settings", changes)
        return found

    def add_flash(self) -> None:
        self.world.provider(kind="mitto-flash", credentials=self.seal({"token": "k3y"}))

    def add_sms(self) -> None:
        settings = {"account_sid": "AC1", "token": "k3y", "sender": "79587625004"}
        self.world.provider(kind="mtt-sms", credentials=self.seal(settings))

    def begin(self, e164: str = SOMEBODY, status: int = 201, **body: Any) -> dict[str, Any]:
        made: dict[str, Any] = self.upstream.got("POST", PATH, {"number": e164, **body}, status=status)
        secrecy.keep(spoken(self.code(made["id"])))
        return made

    def look(self, made: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = self.upstream.got("GET", f"{PATH}/{made['id']}")
        return found

    def tell(self, made: dict[str, Any], code: str, **how: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.upstream.got("POST", f"{PATH}/{made['id']}/check", {"code": code}, **how)
        return found

    def row(self, verification_id: str) -> AnyRow:
        (found,) = self.upstream.rows(sa.select(t.verification).where(t.verification.c.id == verification_id))
        return found

    def code(self, verification_id: str) -> str:
        return self.codes.opened(self.row(verification_id).sealed_code)

    def wrong(self, made: dict[str, Any]) -> str:
        """A code that is not this one's."""
        right = self.code(made["id"])
        return str((int(right) + 1) % 10 ** len(right)).zfill(len(right))

    def calls(self, made: dict[str, Any]) -> list[str]:
        """Its calls, in order."""
        return [one["request_id"] for one in self.look(made)["sent"]]

    def channels(self, made: dict[str, Any]) -> list[str]:
        return [one["channel"] for one in self.look(made)["sent"]]

    def forward(self, seconds: float) -> None:
        self.upstream.clock.advance(seconds=seconds)
        self.world.clock.now = self.upstream.clock.now

    def bring_on(self) -> list[str]:
        return bring_on(self.world.engine, self.codes, self.world.clock)

    def fail(self, call_id: str, refusal: Refusal = Refusal.BAD_REQUEST) -> None:
        """Have its provider refuse a call."""
        (placement,) = self.world.claim([call_id]).placements
        attempt_id = placement.submission.attempt_id
        self.world.answer([attempt_id], Outcome.REFUSED, refusal=refusal, detail="no")

    def deliver(self, call_id: str) -> str | None:
        """Have its provider take a call; what is said."""
        (placement,) = self.world.claim([call_id]).placements
        self.world.answer([placement.submission.attempt_id], Outcome.PLACED)
        return placement.submission.text


@pytest.fixture
def desk(upstream: Upstream, redis_server: str) -> Iterator[Desk]:
    made = Desk(upstream, redis_server)
    yield made
    made.world.check()
    made.world.close()


# --- the way of a code ---------------------------------------------------------------------------------------


def test_a_code_that_one_channel_did_not_bring_is_brought_by_the_next_and_told(desk: Desk) -> None:
    desk.add_flash()
    desk.add_sms()
    made = desk.begin()
    assert [one["channel"] for one in made["channels"]] == ["flash", "voice", "sms"]
    assert (made["state"], made["channel"], made["country"]) == ("PENDING", "flash", "SE")
    assert (made["sends_left"], made["checks_left"]) == (4, 5)
    (flash,) = desk.calls(made)
    assert desk.upstream.doorbell.singles == [flash]
    code = desk.code(made["id"])
    assert len(code) == 4  # a flash call brings no longer one

    desk.fail(flash)
    (voice,) = desk.bring_on()
    assert desk.bring_on() == []
    assert desk.deliver(voice) == f"Your verification code is {spoken(code)}."
    assert desk.channels(made) == ["flash", "voice"]

    answer = desk.tell(made, desk.wrong(made))
    assert (answer["valid"], answer["state"], answer["checks_left"]) == (False, "PENDING", 4)
    answer = desk.tell(made, f" {code[:2]}-{code[2:]} ")
    assert (answer["valid"], answer["state"], answer["resend_at"]) == (True, "VERIFIED", None)
    row = desk.row(made["id"])
    assert (row.code_hash, row.sealed_code, row.wake_at) == (None, None, None)
    problem = desk.upstream.refused(409, "POST", f"{PATH}/{made['id']}/check", {"code": code})
    assert "VERIFIED" in problem["detail"]
    desk.forward(3600)
    assert desk.bring_on() == []
    with reading(desk.world.engine) as connection:
        (moved,) = history.of(connection, made["id"])
    assert (moved.machine, moved.from_state, moved.to_state) == ("verification", "PENDING", "VERIFIED")


def test_each_channel_has_its_time_and_the_last_one_what_is_left(desk: Desk) -> None:
    desk.add_flash()
    desk.add_sms()
    made = desk.begin(
        channels=[{"channel": "flash", "timeout": 20}, {"channel": "sms"}, {"channel": "voice"}]
    )
    desk.deliver(desk.calls(made)[0])
    desk.forward(19)
    assert desk.bring_on() == []
    desk.forward(1)
    (sms,) = desk.bring_on()
    assert desk.deliver(sms) == f"Your verification code is {desk.code(made['id'])}."
    desk.forward(120)
    (voice,) = desk.bring_on()
    desk.deliver(voice)
    assert desk.channels(made) == ["flash", "sms", "voice"]
    assert desk.look(made)["next_channel_at"] is None
    desk.forward(459)
    assert desk.bring_on() == []
    assert desk.look(made)["state"] == "PENDING"
    code = desk.code(made["id"])
    desk.forward(1)
    assert desk.look(made)["state"] == "EXPIRED"  # before anybody has noticed
    assert desk.bring_on() == []
    assert (desk.row(made["id"]).state, desk.row(made["id"]).sealed_code) == ("EXPIRED", None)
    desk.upstream.refused(409, "POST", f"{PATH}/{made['id']}/check", {"code": code})


@ONE_DATABASE
def test_a_code_is_too_late_although_nobody_has_noticed_yet(desk: Desk) -> None:
    made = desk.begin(lifetime=60)
    code = desk.code(made["id"])
    desk.forward(60)
    desk.upstream.refused(409, "POST", f"{PATH}/{made['id']}/check", {"code": code})
    assert desk.row(made["id"]).state == "EXPIRED"
    again = desk.begin()
    assert again["id"] != made["id"]


def test_what_is_over_does_not_ring_any_more(desk: Desk) -> None:
    for over in ("check", "cancel", "wrong"):
        made = desk.begin(number(60 + len(over)))
        (call_id,) = desk.calls(made)
        desk.world.set_provider(held_until=desk.world.clock.now + timedelta(hours=1))
        body = {"code": desk.code(made["id"])} if over == "check" else None
        if over == "wrong":
            for _ in range(5):
                answer = desk.tell(made, desk.wrong(made) if desk.row(made["id"]).sealed_code else "1")
            assert (answer["state"], answer["checks_left"]) == ("FAILED", 0)
        else:
            desk.upstream.got("POST", f"{PATH}/{made['id']}/{over}", body)
        assert desk.world.call(call_id).state == CallState.CANCELLED
        assert desk.world.claim([call_id]).placements == ()
        (said,) = desk.world.rows(t.message, call_id=call_id)
        assert (said.text, said.code) == (None, None)
        desk.world.set_provider(held_until=None)


def test_a_call_that_comes_back_unsent_after_the_end_does_not_ring(desk: Desk) -> None:
    made = desk.begin()
    (call_id,) = desk.calls(made)
    (placement,) = desk.world.claim([call_id]).placements
    desk.upstream.got("POST", f"{PATH}/{made['id']}/cancel")
    desk.world.answer([placement.submission.attempt_id], Outcome.NOT_SENT)
    desk.forward(60)
    assert desk.world.release_singles() == []
    assert desk.world.call(call_id).state == CallState.EXPIRED
    (said,) = desk.world.rows(t.message, call_id=call_id)
    assert (said.text, said.code) == (None, None)


def test_a_call_that_waits_is_not_dialled_beside_the_next_channel(desk: Desk) -> None:
    desk.add_sms()
    desk.world.set_provider(held_until=desk.world.clock.now + timedelta(hours=1))
    made = desk.begin(channels=[{"channel": "voice", "timeout": 30}, {"channel": "sms"}])
    (voice,) = desk.calls(made)
    assert desk.world.call(voice).state == CallState.WAITING
    desk.forward(30)
    (sms,) = desk.bring_on()
    assert desk.world.call(voice).ended_at is not None
    desk.world.set_provider(held_until=None)
    desk.forward(1)
    assert desk.world.release_singles() == []
    assert desk.calls(made) == [voice, sms]


def test_a_number_on_the_dnd_list_fails_and_is_not_tried_by_another_channel(desk: Desk) -> None:
    desk.add_sms()
    (global_dnd,) = desk.world.rows(t.dnd_list, account_id=desk.upstream.account_id)
    desk.world.forbid(SOMEBODY, dnd_list_id=global_dnd.id)
    made = desk.begin()
    assert desk.world.claim(desk.calls(made)).placements == ()
    assert desk.bring_on() == []
    after = desk.look(made)
    assert (after["state"], after["reason"]) == ("FAILED", "on a DND list")


@ONE_DATABASE
def test_a_number_that_nobody_has_fails(desk: Desk) -> None:
    desk.add_sms()
    made = desk.begin()
    desk.fail(desk.calls(made)[0], Refusal.BAD_NUMBER)
    assert desk.bring_on() == []
    assert desk.look(made)["reason"] == "there is no such number"


def test_when_no_channel_reached_the_number_it_fails(desk: Desk) -> None:
    desk.add_sms()
    made = desk.begin()
    desk.fail(desk.calls(made)[0])
    (sms,) = desk.bring_on()
    desk.fail(sms)
    assert desk.bring_on() == []
    after = desk.look(made)
    assert (after["state"], after["reason"]) == ("FAILED", "no channel reached the number")


@ONE_DATABASE
def test_a_channel_that_no_provider_has_any_more_is_left_out(desk: Desk) -> None:
    desk.add_flash()
    desk.add_sms()
    made = desk.begin()
    with writing(desk.world.engine) as connection:
        connection.execute(t.provider.update().where(t.provider.c.kind == "mitto").values(enabled=False))
    desk.fail(desk.calls(made)[0])
    assert len(desk.bring_on()) == 1
    assert desk.channels(made) == ["flash", "sms"]


@ONE_DATABASE
def test_the_accounts_own_text_and_the_language_are_used(desk: Desk) -> None:
    with writing(desk.world.engine) as connection:
        template = {"id": "AN1", "account_id": desk.upstream.account_id, "text": "Acme: {otp}"}
        announce_templates.add(connection, template | {"created_at": desk.upstream.clock.now})
    made = desk.begin(template_id="AN1")
    said = desk.deliver(desk.calls(made)[0])
    code = desk.code(made["id"])
    assert (said, len(code)) == (f"Acme: {spoken(code)}", 6)
    desk.add_sms()
    made = desk.begin(number(51), channels=[{"channel": "sms"}], speech={"language": "sv-SE"})
    assert desk.deliver(desk.calls(made)[0]) == f"Din verifieringskod är {desk.code(made['id'])}."


# --- again, and limits ---------------------------------------------------------------------------------------


def test_asked_again_the_open_one_answers_and_rings_nobody_twice_at_once(desk: Desk) -> None:
    desk.add_sms()
    made = desk.begin()
    same = desk.begin(status=200)
    assert (same["id"], len(same["sent"])) == (made["id"], 1)
    desk.forward(30)
    later = desk.begin(status=200)
    assert (later["id"], [one["channel"] for one in later["sent"]]) == (made["id"], ["voice", "sms"])
    assert desk.upstream.doorbell.singles == desk.calls(made)


def test_a_code_is_sent_again_as_often_as_may_be(desk: Desk) -> None:
    desk.add_sms()
    desk.settings(max_sends=3)
    made = desk.begin()
    code, path = desk.code(made["id"]), f"{PATH}/{made['id']}/resend"
    desk.forward(12)
    answer = desk.upstream.ask("POST", path)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "18")
    desk.forward(18)
    assert desk.upstream.got("POST", path)["channel"] == "sms"
    desk.forward(30)
    again = desk.upstream.got("POST", path, {"channel": "voice"})
    assert ([one["channel"] for one in again["sent"]], again["sends_left"], again["resend_at"]) == (
        ["voice", "sms", "voice"], 0, None,
    )  # fmt: skip
    assert desk.code(made["id"]) == code
    desk.forward(30)
    problem = desk.upstream.refused(429, "POST", path)
    assert "3 times" in problem["detail"]
    assert desk.upstream.ask("POST", path).headers["retry-after"] == "510"
    desk.forward(30)
    assert desk.bring_on() == []  # nor by the next channel
    problem = desk.upstream.refused(422, "POST", path, {"channel": "flash"})
    assert problem["errors"][0]["field"] == "channel"


@ONE_DATABASE
def test_sent_again_a_call_that_still_waits_does_not_ring(desk: Desk) -> None:
    desk.add_sms()
    desk.world.set_provider(held_until=desk.world.clock.now + timedelta(hours=1))
    made = desk.begin()
    (waits,) = desk.calls(made)
    desk.forward(30)
    desk.upstream.got("POST", f"{PATH}/{made['id']}/resend")
    assert desk.world.call(waits).state == CallState.CANCELLED


@pytest.mark.parametrize("limit", ["number", "prefix", "rate_key"])
def test_a_limit_holds_over_a_sliding_window(desk: Desk, limit: str) -> None:
    desk.settings(**{f"{limit}_limit": {"sends": 2, "seconds": 600}})
    started = desk.upstream.clock.now

    def body(place: int) -> dict[str, Any]:
        """Numbers that have what is limited in common, and nothing else."""
        if limit == "number":
            return {"number": SOMEBODY}
        shared = (
            {"number": number(50 + place)} if limit == "prefix" else {"number": number(10_000_00 * place)}
        )
        return {**shared, "rate_key": "198.51.100.7" if limit == "rate_key" else f"device {place}"}

    for place in (1, 2):
        made = desk.upstream.got("POST", PATH, body(place), status=201)
        desk.upstream.got("POST", f"{PATH}/{made['id']}/cancel")
        desk.forward(100)
    problem = desk.upstream.refused(429, "POST", PATH, body(3))
    assert problem["errors"][0]["field"] == ("rate_key" if limit == "rate_key" else "number")
    answer = desk.upstream.ask("POST", PATH, body(3))
    assert answer.headers["retry-after"] == "400"
    desk.upstream.got("POST", PATH, body(3), status=429, other=False)
    desk.forward(400)
    assert desk.upstream.clock.now == started + timedelta(seconds=600)
    desk.upstream.got("POST", PATH, body(3), status=201)
    problem = desk.upstream.refused(429, "POST", PATH, body(4)) if limit != "number" else None
    assert problem is None or "2 in 600 s" in problem["detail"]
    # What tells who asked is kept hashed.
    assert "198.51.100.7" not in str(desk.upstream.rows(sa.select(t.verification_send)))


@ONE_DATABASE
def test_another_accounts_sends_do_not_count(desk: Desk) -> None:
    desk.settings(number_limit={"sends": 1, "seconds": 600})
    desk.begin()
    desk.upstream.got("PATCH", f"{PATH}/settings", {"countries": ["SE"], "caller_id": CALLER}, other=True)
    theirs = desk.upstream.got("POST", PATH, {"number": SOMEBODY}, status=201, other=True)
    assert len(theirs["sent"]) == 1


def test_wrong_codes_are_bounded_per_number_over_all_its_verifications(desk: Desk) -> None:
    desk.settings(check_limit={"checks": 7, "seconds": 3600}, number_limit={"sends": 100, "seconds": 3600})
    first = desk.begin()
    wrong = desk.wrong(first)
    for _ in range(5):
        answer = desk.tell(first, wrong)
    assert (answer["state"], answer["reason"]) == ("FAILED", "too many wrong codes")
    desk.forward(600)
    second = desk.begin()
    assert second["checks_left"] == 2  # of the five that one has
    wrong = desk.wrong(second)
    assert desk.tell(second, wrong)["checks_left"] == 1
    assert desk.tell(second, wrong)["state"] == "FAILED"
    problem = desk.upstream.refused(429, "POST", PATH, {"number": SOMEBODY})
    assert "7 in 3600 s" in problem["detail"]
    assert problem["errors"][0]["field"] == "number"
    answer = desk.upstream.ask("POST", PATH, {"number": SOMEBODY})
    assert answer.headers["retry-after"] == "3000"
    assert desk.begin(number(51))["checks_left"] == 5
    desk.forward(3000)
    third = desk.begin()  # the five of the first are an hour past
    assert third["checks_left"] == 5
    desk.upstream.got("POST", f"{PATH}/{third['id']}/cancel")


@ONE_DATABASE
def test_another_accounts_wrong_codes_do_not_count(desk: Desk) -> None:
    desk.settings(check_limit={"checks": 5, "seconds": 3600})
    made = desk.begin()
    wrong = desk.wrong(made)
    for _ in range(5):
        desk.tell(made, wrong)
    desk.upstream.refused(429, "POST", PATH, {"number": SOMEBODY})
    desk.upstream.got("PATCH", f"{PATH}/settings", {"countries": ["SE"], "caller_id": CALLER}, other=True)
    theirs = desk.upstream.got("POST", PATH, {"number": SOMEBODY}, status=201, other=True)
    assert theirs["checks_left"] == 5


# --- everybody at once ---------------------------------------------------------------------------------------


def test_however_many_try_at_once_no_more_codes_are_tried_than_may_be(desk: Desk) -> None:
    made = desk.begin()
    wrong = desk.wrong(made)
    found: list[int] = []

    def tell() -> None:
        answer = desk.upstream.ask("POST", f"{PATH}/{made['id']}/check", {"code": wrong})
        found.append(answer.status_code)

    in_threads(*(tell,) * 12)
    assert Counter(found) == {200: 5, 409: 7}
    assert (desk.row(made["id"]).checks, desk.row(made["id"]).state) == (5, "FAILED")


def test_asked_for_at_once_a_number_gets_one_code(desk: Desk) -> None:
    found: list[tuple[int, str]] = []

    def begin() -> None:
        answer = desk.upstream.ask("POST", PATH, {"number": SOMEBODY})
        found.append((answer.status_code, answer.json()["id"]))

    in_threads(*(begin,) * 6)
    assert Counter(status for status, _ in found) == {201: 1, 200: 5}
    assert len({verification_id for _, verification_id in found}) == 1
    assert len(desk.world.rows(t.call)) == 1


@pytest.mark.parametrize("limit", ["prefix", "rate_key"])
def test_of_a_limit_nobody_takes_the_last_one_twice(desk: Desk, limit: str) -> None:
    desk.settings(**{f"{limit}_limit": {"sends": 3, "seconds": 600}})
    found: list[int] = []

    def begin(place: int) -> None:
        """Numbers that have what is limited in common, and nothing else."""
        shared = {"number": number(50 + place)} if limit == "prefix" else {"number": number(10_000 * place)}
        body = shared | {"rate_key": "198.51.100.7" if limit == "rate_key" else f"device {place}"}
        found.append(desk.upstream.ask("POST", PATH, body).status_code)

    in_threads(*(partial(begin, place) for place in range(8)))
    assert Counter(found) == {201: 3, 429: 5}


def test_whoever_shares_nothing_with_others_does_not_wait_for_them(desk: Desk) -> None:
    if desk.world.engine.dialect.name == "sqlite":
        return  # where one writes at a time
    mine, alike, elsewhere = number(50), number(51), number(10_000_00)
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
        "WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
    )
    answers: list[int] = []

    def begin(e164: str, rate_key: str) -> None:
        body = {"number": e164, "rate_key": rate_key}
        answers.append(desk.upstream.ask("POST", PATH, body).status_code)

    def all_wait() -> bool:
        with reading(desk.world.engine) as connection:
            return bool(connection.execute(waiting).scalar_one() == len(threads))

    with writing(desk.world.engine) as connection:  # another request, which is slow
        prefix = destination(mine, None, Rules(countries=["*"])).prefix
        store.hold_number(connection, desk.upstream.account_id, mine)
        store.hold_shared(
            connection,
            desk.upstream.account_id,
            prefix,
            desk.codes.rate_key(desk.upstream.account_id, "theirs"),
        )
        begin(elsewhere, "device")
        assert answers == [201]
        same = (mine, "one"), (alike, "two"), (number(20_000_00), "theirs")
        threads = [Thread(target=begin, args=one) for one in same]
        for thread in threads:
            thread.start()
        until(all_wait, "requests that wait")
        assert answers == [201]
    for thread in threads:
        thread.join()
    assert answers == [201] * 4


def test_a_code_is_brought_on_once_by_however_many_schedulers(desk: Desk) -> None:
    desk.add_sms()
    made = [desk.begin(number(50 + place)) for place in range(6)]
    desk.forward(60)
    released: list[str] = []
    in_threads(*(lambda: released.extend(desk.bring_on()),) * 4)
    assert len(released) == len(set(released)) == 6
    assert [desk.channels(one) for one in made] == [["voice", "sms"]] * 6


def test_told_while_it_is_brought_on_it_is_one_or_the_other(desk: Desk) -> None:
    desk.add_sms()
    made = [desk.begin(number(50 + place)) for place in range(8)]
    codes = {one["id"]: desk.code(one["id"]) for one in made}
    for one in made:
        desk.fail(desk.calls(one)[0])
    answers: list[int] = []

    def tell(some: list[dict[str, Any]]) -> None:
        for one in some:
            body = {"code": codes[one["id"]]}
            answers.append(desk.upstream.ask("POST", f"{PATH}/{one['id']}/check", body).status_code)

    in_threads(partial(tell, made[:4]), partial(tell, made[4:]), desk.bring_on, desk.bring_on)
    assert answers == [200] * 8
    assert {desk.row(one["id"]).state for one in made} == {"VERIFIED"}
    states = {row.state for row in desk.world.rows(t.call)}
    assert states <= {CallState.FAILED, CallState.CANCELLED}  # none of them rings any more


# --- what cannot be ------------------------------------------------------------------------------------------


WRONG = [
    ({}, "number"),
    ({"number": "12"}, "number"),
    ({"number": "not a number"}, "number"),
    ({"number": "+33612345678"}, "number"),
    ({"number": "+19005550150"}, "number"),
    ({"number": 46700000050}, "number"),
    ({"number": SOMEBODY, "code": "1987"}, "code"),
    ({"number": SOMEBODY, "channels": []}, "channels"),
    ({"number": SOMEBODY, "channels": [{"channel": "pigeon"}]}, "channels.0.channel"),
    ({"number": SOMEBODY, "channels": [{"channel": "flash"}]}, "channels.0.channel"),
    ({"number": SOMEBODY, "channels": [{"channel": "voice", "timeout": 1}]}, "channels.0.timeout"),
    (
        {"number": SOMEBODY, "channels": [{"channel": "voice"}, {"channel": "voice"}]},
        "channels.1.channel",
    ),
    ({"number": SOMEBODY, "lifetime": 5}, "lifetime"),
    ({"number": SOMEBODY, "caller_id": "me"}, "caller_id"),
    ({"number": SOMEBODY, "speech": {"language": "!"}}, "speech.language"),
    ({"number": SOMEBODY, "speech": {"language": "tlh"}}, "channels"),
    ({"number": SOMEBODY, "template_id": ""}, "template_id"),
    ({"number": SOMEBODY, "speech": {"times": 0}}, "speech.times"),
    ({"number": SOMEBODY, "rate_key": ""}, "rate_key"),
    ({"number": SOMEBODY, "rate_key": "a\u0000"}, "rate_key"),
]


@ONE_DATABASE
def test_what_cannot_be_brought_is_named(desk: Desk) -> None:
    for body, field in WRONG:
        problem = desk.upstream.refused(422, "POST", PATH, body)
        assert problem["errors"][0]["field"].startswith(field), body
    assert desk.world.rows(t.call) == desk.world.rows(t.verification) == []


@ONE_DATABASE
def test_without_what_voice_needs_it_says_so(desk: Desk) -> None:
    desk.settings(caller_id=None)
    assert "caller_id is missing" in desk.upstream.refused(422, "POST", PATH, {"number": SOMEBODY})["detail"]
    desk.upstream.refused(404, "POST", PATH, {"number": SOMEBODY, "caller_id": CALLER, "template_id": "AN9"})
    desk.world.set_provider(enabled=False)
    problem = desk.upstream.refused(409, "POST", PATH, {"number": SOMEBODY, "caller_id": CALLER})
    assert "No provider is set up" in problem["detail"]


@ONE_DATABASE
def test_what_is_no_code_is_not_counted(desk: Desk) -> None:
    made = desk.begin()
    for code in ("", "abc", "12 a", "1" * 60, None, 1987):
        desk.upstream.refused(422, "POST", f"{PATH}/{made['id']}/check", {"code": code})
    assert desk.look(made)["checks_left"] == 5


def test_another_account_finds_nothing(desk: Desk) -> None:
    made = desk.begin()
    for method, path, body in (
        ("GET", "", None),
        ("POST", "/check", {"code": "1987"}),
        ("POST", "/resend", None),
        ("POST", "/cancel", None),
    ):
        theirs = desk.upstream.refused(404, method, f"{PATH}/{made['id']}{path}", body, other=True)
        unknown = desk.upstream.refused(404, method, f"{PATH}/VEunknown{path}", body, other=True)
        assert theirs == unknown
    assert desk.upstream.got("GET", PATH, other=True)["data"] == []
    assert desk.look(made)["state"] == "PENDING"


@ONE_DATABASE
def test_keys_need_their_scopes(desk: Desk) -> None:
    made = desk.begin()
    read, call = desk.upstream.key(Scope.READ), desk.upstream.key(Scope.CALL)
    assert desk.upstream.got("GET", f"{PATH}/{made['id']}", key=read)["id"] == made["id"]
    desk.upstream.refused(403, "POST", PATH, {"number": SOMEBODY}, key=read)
    desk.upstream.refused(403, "POST", f"{PATH}/{made['id']}/check", {"code": "1987"}, key=read)
    desk.upstream.refused(403, "PATCH", f"{PATH}/settings", {"max_sends": 9}, key=call)


@ONE_DATABASE
def test_a_cancelled_one_stays_so_and_a_new_one_may_begin(desk: Desk) -> None:
    made = desk.begin()
    cancelled = desk.upstream.got("POST", f"{PATH}/{made['id']}/cancel")
    assert cancelled["state"] == "CANCELLED"
    assert desk.upstream.got("POST", f"{PATH}/{made['id']}/cancel") == cancelled
    desk.upstream.refused(409, "POST", f"{PATH}/{made['id']}/resend")
    assert desk.begin()["id"] != made["id"]


# --- lists, settings, statistics -----------------------------------------------------------------------------


def test_they_are_listed_in_pages_the_newest_first(desk: Desk) -> None:
    made = []
    for place in range(5):
        made.append(desk.begin(number(50 + place))["id"])
        desk.forward(place % 2)  # some at the same moment
    desk.upstream.got("POST", f"{PATH}/{made[2]}/cancel")
    found, cursor = [], None
    while True:
        page = desk.upstream.got("GET", f"{PATH}?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        found += [one["id"] for one in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert sorted(found) == sorted(made)
    assert len(found) == 5
    assert found[0] == made[4]
    (only,) = desk.upstream.got("GET", f"{PATH}?state=CANCELLED")["data"]
    assert only["id"] == made[2]
    for cursor in ("x", "WyJhIiwiYiJd"):
        problem = desk.upstream.refused(422, "GET", f"{PATH}?cursor={cursor}")
        assert problem["errors"][0]["field"] == "cursor"


def test_settings_are_changed_one_by_one_and_noted(desk: Desk) -> None:
    found = desk.settings(max_sends=2, code_length=8)
    assert (found["max_sends"], found["countries"], found["lifetime"]) == (2, ["SE", "US"], 600)
    assert desk.upstream.got("GET", f"{PATH}/settings") == found
    assert len(desk.code(desk.begin()["id"])) == 8
    desk.upstream.refused(422, "PATCH", f"{PATH}/settings", {"countries": ["XX"]})
    desk.upstream.refused(404, "PATCH", f"{PATH}/settings", {"template_id": "AN9"})
    assert desk.settings(countries=None)["countries"] is None
    problem = desk.upstream.refused(422, "POST", PATH, {"number": number(51)})
    assert "has not said which countries" in problem["detail"]
    entry = desk.upstream.got("GET", "/v1/audit?limit=1")["data"][0]
    assert (entry["action"], entry["detail"]) == ("verification.settings", {"changed": ["countries"]})


def test_whoever_sends_a_code_again_or_takes_it_back_is_in_the_audit_log(desk: Desk) -> None:
    made = desk.begin()
    desk.forward(40)
    key = desk.upstream.key(Scope.CALL)
    for word in ("resend", "cancel", "cancel"):
        desk.upstream.got("POST", f"{PATH}/{made['id']}/{word}", key=key)
    desk.upstream.refused(409, "POST", f"{PATH}/{made['id']}/resend")
    told = desk.upstream.got("GET", f"/v1/audit?subject={made['id']}")["data"]
    assert [(one["action"], one["actor"][:2], one["detail"]) for one in told] == [
        ("verification.cancel", "AK", {}),
        ("verification.resend", "AK", {}),
    ]


def ended(desk: Desk, country: str, states: list[VerificationState]) -> None:
    """Verifications that have ended so, one a second."""
    now = desk.upstream.clock.now
    with writing(desk.world.engine) as connection:
        for place, state in enumerate(states):
            at = now - timedelta(seconds=len(states) - place)
            connection.execute(
                t.verification.insert(),
                {
                    "id": f"VE{country}{now:%M%S}{place:04d}", "account_id": desk.upstream.account_id,
                    "e164": number(50), "country": country, "prefix": "467000", "state": state.value,
                    "channels": [{"channel": "voice", "timeout": 60}], "step": 0, "call_id": "x", "sends": 1,
                    "max_sends": 5, "checks": 0, "max_checks": 5, "resend_after": 30, "caller_id": "",
                    "template": "{otp}", "speech": {}, "created_at": at, "expires_at": at, "sent_at": at,
                    "ended_at": at, "reason": "",
                },
            )  # fmt: skip


def test_where_too_few_are_confirmed_there_is_an_alarm_once(desk: Desk, caplog: Any) -> None:
    verified, expired = VerificationState.VERIFIED, VerificationState.EXPIRED

    def measured() -> dict[str, Any]:
        conversion.measure(desk.world.engine, desk.world.clock)
        return {one["country"]: one for one in statistics()["conversions"]}

    def statistics() -> dict[str, Any]:
        found: dict[str, Any] = desk.upstream.got("GET", f"{PATH}/statistics")
        return found

    def warnings() -> int:
        return sum("too few verifications" in record.getMessage() for record in caplog.records)

    desk.settings(alarm={"of_last": 10, "below": 0.5})
    ended(desk, "SE", [verified] * 8 + [expired] * 2)
    ended(desk, "US", [verified] * 6 + [expired] * 6 + [VerificationState.CANCELLED] * 5)
    found = measured()
    assert (found["SE"]["conversion"], found["SE"]["alarmed_at"]) == (0.8, None)
    assert (found["US"]["ended"], found["US"]["verified"]) == (10, 4)
    assert found["US"]["alarmed_at"] is not None
    in_threads(*(measured,) * 3)
    assert warnings() == 1
    states = {one["country"]: one["states"] for one in statistics()["totals"]}
    assert states["US"] == {"VERIFIED": 6, "EXPIRED": 6, "CANCELLED": 5}
    answer = desk.upstream.client.get("/metrics").text
    labels = f'account="{desk.upstream.account_id}",country="US"'
    assert f"dialer_verification_alarm{{{labels}}} 1.0" in answer
    assert f"dialer_verification_conversion{{{labels}}} 0.4" in answer
    desk.forward(60)
    ended(desk, "US", [verified] * 6)
    assert measured()["US"]["alarmed_at"] is None
    assert warnings() == 1
    assert desk.upstream.got("GET", f"{PATH}/statistics", other=True)["conversions"] == []


# --- with everything running ---------------------------------------------------------------------------------


def test_flash_voice_and_sms_bring_codes_through_providers_over_http(desk: Desk, tmp_path: Path) -> None:
    with Running(desk.world, tmp_path) as running:
        real_time(desk)
        base_url = desk.world.rows(t.provider, id=desk.world.provider_id)[0].base_url.removesuffix("mitto")
        hook, _, _ = running.heard_at.partition("/webhooks/")
        for kind, settings in {
            "mitto-flash": {"token": "k3y"},
            "mtt-sms": {"account_sid": "AC1", "token": "k3y", "sender": "79587625004"},
        }.items():
            provider_id = desk.world.provider(
                base_url=f"{base_url}{kind}", kind=kind, credentials=desk.seal(settings)
            )
            url = f"{hook}/webhooks/{provider_id.lower()}/token"
            httpx.put(f"{base_url}sandbox/callbacks/{kind}", json={"url": url}).raise_for_status()
        for scheduler in running.schedulers:
            scheduler.codes = desk.codes
        # Ends in 03: unavailable, by whatever channel, so that all of them are tried at once.
        nobody = desk.begin(number(1003))
        reached = desk.begin(number(1051))
        running.bell.place_singles([*desk.calls(nobody)[:1], *desk.calls(reached)[:1]])
        until(lambda: desk.row(nobody["id"]).sends == 3 or desk.row(nobody["id"]).ended_at, "every channel")
        until(lambda: desk.world.call(desk.calls(reached)[0]).state == CallState.COMPLETED, "the flash call")
        assert desk.channels(nobody) == ["flash", "voice", "sms"]
        answer = desk.tell(reached, desk.code(reached["id"]))
        assert (answer["state"], [one["channel"] for one in answer["sent"]]) == ("VERIFIED", ["flash"])
        running.no_attempt_came_twice()


def real_time(desk: Desk) -> None:
    """Schedulers read the database's clock: the app's goes with it from now on."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)  # noqa: E731
    desk.upstream.clock.now = clock()
    desk.world.clock.now = clock()


def test_the_scheduler_brings_codes_on_and_rings_for_them(desk: Desk) -> None:
    desk.add_sms()
    real_time(desk)
    made = desk.begin()
    desk.fail(desk.calls(made)[0])
    rung: list[str] = []

    class Bell:
        def __getattr__(self, name: str) -> Callable[..., None]:
            return rung.extend if name == "place_singles" else (lambda *_: None)

    bell: Any = Bell()
    Scheduler(desk.world.engine, desk.world.limiter, bell, 0.1).upkeep()
    assert rung == []
    Scheduler(desk.world.engine, desk.world.limiter, bell, 0.1, codes=desk.codes).upkeep()
    assert rung == desk.calls(made)[1:]
    assert desk.channels(made) == ["voice", "sms"]


def test_what_is_asked_costs_a_bounded_number_of_statements(desk: Desk) -> None:
    desk.add_sms()
    desk.upstream.got("GET", f"{PATH}/settings")  # what a process does once, it now has
    made: list[dict[str, Any]] = []
    begins = statements(
        desk.world.engine,
        lambda: made.append(desk.upstream.got("POST", PATH, {"number": SOMEBODY}, status=201)),
    )
    body = {"code": desk.code(made[0]["id"])}
    checks = statements(
        desk.world.engine, lambda: desk.upstream.got("POST", f"{PATH}/{made[0]['id']}/check", body)
    )
    assert begins <= 16, begins
    assert checks <= 20, checks  # its call, which waits, does not ring
    assert statements(desk.world.engine, desk.bring_on) <= 4
