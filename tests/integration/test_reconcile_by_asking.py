"""Attempts whose end nobody told are looked up at their provider, and CDRs are read, over real HTTP; nobody is dialled
again for what is not known."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from redis.exceptions import RedisError
from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from world import World, people, repeating, statements

from dialer.calls.lookups import ANSWER_WITHIN
from dialer.db import reading, writing
from dialer.lifecycle import AttemptState, CallState, Disposition
from dialer.providers.base import submit
from dialer.providers.contract import Fact, Outcome
from dialer.providers.kinds import adapter_class
from dialer.sandbox.callbacks import Callbacks
from dialer.sandbox.cpaas import Cpaas
from dialer.sandbox.log import CallLog
from dialer.store import attempts, cdr_polls, meters
from dialer.store import tables as t
from workers import cdrs, lookups, replies

Serve = Callable[[Any], str]
KIND = adapter_class("cpaas")
IOTCOMMS = {"domain": "customer.example.com", "token": "s3same", "sip_host": "sip.example.com"}
FIRST = KIND.patience().first.total_seconds()
LAST = KIND.patience().last.total_seconds()


class Provider:
    """A CPaaS server whose clock is the world's, and which can be told to answer otherwise for a while."""

    def __init__(self, world: World, serve: Serve) -> None:
        self.world = world
        self.asked: list[str] = []
        self.instead: Callable[[], Response] | None = None
        played = Cpaas(CallLog(None), Callbacks(1), clock=lambda: world.clock.now)
        self._inner = Starlette(routes=[Mount("/cpaas", routes=played.routes())])
        app = Starlette(routes=[Route("/cpaas/{path}", self.answer, methods=["GET", "POST"])])
        world.set_provider(
            kind="cpaas",
            base_url=f"{serve(app)}/cpaas",
            credentials=world.box.seal(
                {"account": "account_1", "auth": "k3y", "announce_template_id": "AN1"}
            ),
        )

    async def answer(self, request: Request) -> Any:
        self.asked.append(request.path_params["path"])
        return self._inner if self.instead is None else self.instead()

    def dial(self, end: str = "50") -> str:
        """Dial a number that ends so for a one-time password; the attempt."""
        world = self.world
        (placement,) = world.claim([world.otp(f"+9199792712{end}")]).placements

        outside = world.outside
        result = outside.run(submit(outside.client, placement.adapter, placement.submission, timeout=5))
        with writing(world.engine) as connection:
            replies.write(connection, [result], world.clock.now)
        self.asked.clear()
        return placement.submission.attempt_id


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.redis.flushall()
    # The pace is on Redis' clock, and dates of CDRs are near the world's.
    made.clock.now = datetime.now(UTC).replace(microsecond=0)
    yield made
    made.close()


@pytest.fixture
def provider(world: World, serve: Serve) -> Provider:
    return Provider(world, serve)


def until_settled(world: World, most: int = 200) -> int:
    """Let time pass and do what is due, until nothing is any more; how many were looked up."""
    asked = 0
    for _ in range(most):
        world.reap()
        open_ones = [row for row in world.rows(t.attempt) if row.settle_at is not None]
        if not open_ones:
            return asked
        world.clock.now = max(world.clock.now, min(row.settle_at for row in open_ones)) + timedelta(
            seconds=0.001
        )
        world.redis.flushall()  # its clock stands still beside the world's
        world.settle()
        asked += len(world.to_look_up)
        world.look_up(world.to_look_up)
        world.check()
    raise AssertionError("it is never settled")


# --- look-ups ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "state", "disposition"),
    [
        ("50", CallState.COMPLETED, Disposition.ANSWERED),
        ("01", CallState.FAILED, Disposition.BUSY),
        ("08", CallState.COMPLETED, Disposition.ANSWERED),
        ("09", CallState.COMPLETED, Disposition.ANSWERED),
    ],
)
def test_an_end_is_learned_by_asking(
    world: World, provider: Provider, end: str, state: CallState, disposition: Disposition
) -> None:
    attempt_id = provider.dial(end)
    begun = world.clock.now
    assert until_settled(world) >= 1
    (call,) = world.rows(t.call)
    assert (call.state, call.disposition) == (state, disposition)
    attempt = world.attempt(attempt_id)
    assert attempt.state == AttemptState.ENDED
    (cdr,) = world.rows(t.cdr)
    if disposition is Disposition.ANSWERED:
        assert attempt.billsec >= 5
        assert attempt.answered_at == attempt.ended_at - timedelta(seconds=attempt.billsec)
        assert (cdr.billsec, cdr.duration) == (attempt.billsec, attempt.duration)
    assert set(provider.asked) == {"get_cdr_by_request_id"}
    known_after = (world.clock.now - begun).total_seconds()
    late = 60 if end == "08" else 0
    assert known_after <= 1.25 * (attempt.duration + late) + 10


@pytest.mark.parametrize("end", ["13", "19"])
def test_an_attempt_whose_reply_was_lost_is_found_by_its_numbers(
    world: World, provider: Provider, end: str
) -> None:
    attempt_id = provider.dial(end)
    assert world.attempt(attempt_id).state == AttemptState.UNKNOWN
    until_settled(world)
    attempt = world.attempt(attempt_id)
    assert (attempt.state, attempt.disposition) == (AttemptState.ENDED, "ANSWERED")
    assert len(attempt.provider_reference) == 10
    assert world.rows(t.cdr)[0].provider_reference == attempt.provider_reference
    assert world.rows(t.call)[0].state == CallState.COMPLETED
    assert set(provider.asked) == {"get_cdr_by_date"}


def test_of_a_lost_reply_the_cdr_is_found_behind_a_thousand_others(world: World, provider: Provider) -> None:
    attempt_id = provider.dial("13")
    ended = format_datetime(world.clock.now + timedelta(seconds=20), usegmt=True)
    ours = {"request_id": "ours", "dial_status": "BUSY", "end": ended, "call_duration": 9}
    ours |= {"dialed_number": "919979271213", "caller_id": world.attempt(attempt_id).caller_id}
    others = [ours | {"request_id": f"r{place}", "dialed_number": "919979271299"} for place in range(1000)]
    pages = iter([others, [ours]])
    provider.instead = lambda: JSONResponse({"response": {"result": next(pages), "success": "true"}})
    world.clock.forward(60)
    world.look_up([attempt_id])
    assert provider.asked == ["get_cdr_by_date"] * 2
    attempt = world.attempt(attempt_id)
    assert (attempt.disposition, attempt.provider_reference) == ("BUSY", "ours")
    world.check()


def test_the_cdr_of_another_attempt_is_not_taken_for_that_of_one_without_a_reference(
    world: World, provider: Provider
) -> None:
    known = provider.dial("50")
    provider.instead = lambda: Response("Internal Server Error", status_code=500)
    lost = provider.dial("50")  # the same number, at the same time; nothing of it arrived
    provider.instead = None
    until_settled(world)
    assert world.attempt(known).disposition == "ANSWERED"
    assert (world.attempt(lost).state, world.attempt(lost).disposition) == ("UNKNOWN", "UNKNOWN")


def test_what_the_provider_never_tells_ends_unknown_after_the_stated_time(
    world: World, provider: Provider
) -> None:
    attempt_id = provider.dial("10")
    begun = world.clock.now
    asked = until_settled(world)
    assert 10 < asked < 60, "often at first, then seldom"
    lasted = (world.clock.now - begun).total_seconds()
    assert LAST < lasted < LAST + ANSWER_WITHIN.total_seconds() + 1
    assert world.attempt(attempt_id).state == AttemptState.UNKNOWN
    assert world.rows(t.call)[0].state == CallState.UNKNOWN
    world.clock.forward(600)
    assert world.claim(world.release_singles()).placements == ()
    assert len(world.rows(t.attempt)) == 1, "never dialled again"


def test_nothing_is_asked_before_its_time_nor_of_one_that_is_being_submitted(
    world: World, provider: Provider
) -> None:
    (placement,) = world.claim([world.otp("+919979271250")]).placements
    world.clock.forward(FIRST)
    assert (world.settle(), world.to_look_up) == (0, [])
    world.clock.forward(0.001)
    assert (world.settle(), world.to_look_up) == (1, []), "its worker is still at it"
    world.answer([placement.submission.attempt_id], Outcome.PLACED, provider_reference="x1")
    world.clock.forward(60)
    assert (world.settle(), world.to_look_up) == (1, [placement.submission.attempt_id])
    assert world.settle() == 0, "not again each second"


def test_a_lost_or_doubled_doorbell_costs_nothing(world: World, provider: Provider) -> None:
    attempt_id = provider.dial("01")
    world.clock.forward(60)
    world.settle()
    assert world.to_look_up == [attempt_id]
    world.settle()
    assert world.to_look_up == []
    world.clock.forward(60)
    world.settle()
    assert world.look_up(world.to_look_up) == 1
    assert world.look_up([attempt_id, "no such attempt"]) == 0, "its end is known"
    assert len(world.rows(t.cdr)) == 1
    world.check()


def test_a_429_stops_everybody_until_its_time_is_over(world: World, provider: Provider) -> None:
    first, second = provider.dial("50"), provider.dial("51")
    provider.instead = lambda: Response(status_code=429, headers={"Retry-After": "120"})
    world.clock.forward(60)
    world.settle()
    world.look_up([first])
    assert len(provider.asked) == 1
    provider.instead = None
    row = world.rows(t.provider, id=world.provider_id)[0]
    assert row.held_until == world.clock.now + timedelta(seconds=120)
    assert world.look_up([first, second]) == 0
    assert not world.read_cdrs() or len(provider.asked) == 1
    world.clock.forward(60)
    world.settle()
    assert world.to_look_up == [], "nobody rings for a provider that is held"
    assert {one.settle_at for one in world.rows(t.attempt)} == {row.held_until}
    world.clock.forward(61)
    world.redis.flushall()
    world.settle()
    assert sorted(world.to_look_up) == sorted([first, second])
    assert world.look_up(world.to_look_up) == 2
    assert {one.state for one in world.rows(t.call)} == {CallState.COMPLETED}


def test_a_provider_whose_breaker_is_open_is_not_asked(world: World, provider: Provider) -> None:
    attempt_id = provider.dial()
    world.clock.forward(60)
    until = world.clock.now + timedelta(seconds=90)
    world.set_provider(breaker_trips=1, breaker_until=until)
    assert (world.settle(), world.to_look_up) == (1, [])
    assert world.attempt(attempt_id).settle_at == until
    assert world.look_up([attempt_id]) == 0
    assert provider.asked == []


def test_look_ups_have_a_pace_of_their_own_beside_that_of_calls(world: World, provider: Provider) -> None:
    world.set_provider(calls_per_minute=24)
    made = []
    for place in range(5):
        world.redis.flushall()  # the pace of calls, which is not asked about here
        made.append(provider.dial(str(50 + place)))
    world.redis.flushall()
    world.clock.forward(120)
    world.settle()
    assert sorted(world.to_look_up) == sorted(made)
    asked = world.look_up(world.to_look_up)
    assert 1 <= asked < 5
    assert world.redis.keys("pace:send:*") == [], "no token of a call was taken"
    waiting = sorted(row.settle_at for row in world.rows(t.attempt) if row.settle_at is not None)
    step = timedelta(minutes=1) / lookups.rate(24)
    assert len(waiting) == 5 - asked
    assert all(later - sooner == step for sooner, later in itertools.pairwise(waiting))
    assert waiting[-1] <= world.clock.now + 5 * step, "the others come one after the other"


@pytest.mark.parametrize(("calls", "rate"), [(None, 300), (6000, 300), (100, 50), (10, 12)])
def test_look_ups_are_fewer_than_calls(calls: int | None, rate: int) -> None:
    assert lookups.rate(calls) == rate


def test_without_redis_nobody_is_asked(world: World, provider: Provider) -> None:
    attempt_id = provider.dial()
    world.clock.forward(60)
    world.limiter._take = _broken  # type: ignore[assignment]
    with pytest.raises(RedisError):
        world.look_up([attempt_id])
    assert provider.asked == []


def _broken(*_: Any, **__: Any) -> Any:
    raise RedisError("away")


@pytest.mark.parametrize("body", ["<html>", '{"response": {"success": "false", "message": "no"}}', ""])
def test_what_cannot_be_read_leaves_the_attempt_as_it_is(world: World, provider: Provider, body: str) -> None:
    attempt_id = provider.dial()
    before = world.attempt(attempt_id)
    provider.instead = lambda: Response(body)
    world.clock.forward(60)
    assert world.look_up([attempt_id]) == 1
    assert world.attempt(attempt_id) == before
    world.check()


def test_a_word_that_is_in_no_table_is_kept_as_it_came(world: World, provider: Provider) -> None:
    attempt_id = provider.dial()
    reference = world.attempt(attempt_id).provider_reference
    body = json.dumps(
        {"response": {"result": [{"request_id": reference, "dial_status": "ABDUCTED"}], "success": "true"}}
    ).encode()
    provider.instead = lambda: Response(body, media_type="application/json")
    world.clock.forward(60)
    world.look_up([attempt_id])
    assert world.attempt(attempt_id).disposition == "UNKNOWN"
    (event,) = world.rows(t.event)
    assert (event.method, event.state, event.attempt_id) == ("LOOK-UP", "CONSUMED", attempt_id)
    assert (event.body, event.content_type) == (body, "application/json")
    assert [(row.provider_id, row.events) for row in world.rows(t.unknown_word)] == [(world.provider_id, 1)]
    world.check()


def test_a_provider_whose_credentials_cannot_be_opened_is_not_asked(world: World, provider: Provider) -> None:
    attempt_id = provider.dial()
    world.set_provider(credentials="nonsense")
    world.clock.forward(60)
    assert world.look_up([attempt_id]) == 0
    assert provider.asked == []


def test_of_several_one_that_cannot_be_written_does_not_cost_the_others_theirs(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, *others = [provider.dial(end) for end in ("50", "51", "52")]
    apply = lookups.apply

    def broken(connection: Any, locked: Any, *more: Any) -> None:
        if any(row.id == odd for row in locked):
            raise ValueError("odd")
        apply(connection, locked, *more)

    monkeypatch.setattr(lookups, "apply", broken)
    world.clock.forward(120)
    world.look_up([odd, *others])
    assert world.attempt(odd).state == AttemptState.PLACED
    assert {world.attempt(one).state for one in others} == {AttemptState.ENDED}
    world.check()


def test_reconcile_after_ends_it(world: World, provider: Provider) -> None:
    world.adapters.reconcile_after = timedelta(seconds=60)
    attempt_id = provider.dial("10")
    row = world.attempt(attempt_id)
    assert row.settle_at - row.submitted_at == timedelta(seconds=FIRST)


# --- keys --------------------------------------------------------------------------------------------------

SURVEY: dict[str, Any] = {
    "first": "main",
    "menus": {
        "main": {"prompts": [{"text": "Press 2."}], "keys": {"2": {"does": "go_to", "menu": "more"}}},
        "more": {
            "prompts": [{"text": "Press 1 or 9."}],
            "keys": {"1": {"does": "notify"}, "9": {"does": "opt_out"}},
        },
    },
}


def asked_once(world: World, attempt_id: str) -> None:
    world.look_up([attempt_id])


def read_once(world: World, _: str) -> None:
    cdrs.claim_due(world.engine, world.clock)
    world.read_cdrs()


@pytest.mark.parametrize("learn", [asked_once, read_once])
@pytest.mark.parametrize(("keys", "leaves"), [("29", True), ("21", False), ("9", False), ("(none)", False)])
def test_who_opts_out_by_a_key_that_is_only_found_by_asking_is_not_rung_again(
    world: World, provider: Provider, learn: Callable[[World, str], None], keys: str, leaves: bool
) -> None:
    somebody = people(1)
    of_cpaas = world.rows(t.provider)[0]
    # Another kind walks people through menus.
    world.set_provider(kind="iotcomms", credentials=world.box.seal(IOTCOMMS))
    policy = {**repeating(2), "rules": {"ANSWERED": {"times": 1, "delays": [60]}}}
    campaign = world.campaign(
        world.contact_list(somebody), type=1, announcement_text=None, flow=SURVEY, repeat_policy=policy
    )
    (placement,) = world.claim(world.release()).placements
    attempt_id = placement.submission.attempt_id
    world.answer([attempt_id], Outcome.PLACED, provider_reference="theirs")
    world.set_provider(kind=of_cpaas.kind, credentials=of_cpaas.credentials)
    world.clock.forward(60)
    cdr = {"request_id": "theirs", "dial_status": "ANSWER", "dtmf_inputs": keys}
    cdr["end"] = format_datetime(world.clock.now, usegmt=True)
    provider.instead = lambda: JSONResponse({"response": {"result": [cdr], "success": "true"}})
    for _ in range(2):
        learn(world, attempt_id)
    assert [row.dtmf_inputs for row in world.rows(t.cdr)] == ["" if keys == "(none)" else keys]
    listed = [row.e164 for row in world.rows(t.dnd_number, dnd_list_id=world.global_dnd)]
    assert listed == ([somebody[0].e164] if leaves else [])
    assert world.states(campaign) == {"WAITING": 1}
    world.clock.forward(120)
    world.set_provider(kind="iotcomms", credentials=world.box.seal(IOTCOMMS))
    assert len(world.claim(world.release()).placements) == (0 if leaves else 1)
    world.check()


# --- CDRs --------------------------------------------------------------------------------------------------


def due(world: World) -> list[str]:
    return cdrs.claim_due(world.engine, world.clock)


def test_cdrs_are_due_every_so_often_and_for_one_only(world: World, provider: Provider) -> None:
    assert due(world) == [world.provider_id]
    assert due(world) == []
    world.clock.forward(KIND.cdrs_every.total_seconds() + 1)
    assert due(world) == [world.provider_id]
    world.clock.forward(KIND.cdrs_every.total_seconds() + 1)
    world.set_provider(enabled=False)
    assert due(world) == []
    world.set_provider(enabled=True, disabled_at=None, kind="mitto")
    assert due(world) == [], "mitto keeps none"
    assert len(world.rows(t.cdr_poll)) == 1


def test_cdrs_of_the_last_calls_of_a_provider_are_read_after_it_was_disabled(
    world: World, provider: Provider
) -> None:
    attempt_id = provider.dial("52")
    world.set_provider(enabled=False, disabled_at=world.clock.now)
    world.clock.forward(120)
    assert due(world) == [world.provider_id]
    assert world.read_cdrs()
    assert world.attempt(attempt_id).billsec
    world.clock.forward(cdrs.READ_ON_FOR.total_seconds())
    assert due(world) == [], "not for ever"
    world.check()


def test_cdrs_settle_what_nobody_asked_about_and_are_read_again_without_harm(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.providers.cpaas.PAGE", 2)
    made = {end: provider.dial(end) for end in ("50", "01", "09", "52", "10")}
    world.clock.forward(120)
    due(world)
    assert world.read_cdrs()
    assert provider.asked == ["get_cdr_by_date"] * 3, "five CDRs on pages of two"
    ends = {end: world.attempt(attempt_id).disposition for end, attempt_id in made.items()}
    assert ends == {"50": "ANSWERED", "01": "BUSY", "09": "ANSWERED", "52": "ANSWERED", "10": None}
    world.check()
    before = [world.rows(table) for table in (t.attempt, t.call, t.cdr, t.history)]
    poll = world.rows(t.cdr_poll)[0]
    assert (poll.read_to, poll.reading_to, poll.page) == (world.clock.now, None, None)
    world.clock.forward(300)
    assert world.read_cdrs()
    assert [world.rows(table) for table in (t.attempt, t.call, t.cdr, t.history)] == before
    assert world.rows(t.cdr_poll)[0].read_to == world.clock.now


def ignoring_offset(world: World) -> Response:
    """The same page of two CDRs, whatever is asked for."""
    ended = format_datetime(world.clock.now, usegmt=True)
    page = [{"request_id": one, "dial_status": "BUSY", "end": ended} for one in ("r1", "r2")]
    return JSONResponse({"response": {"result": page, "success": "true"}})


def test_a_server_that_tells_one_page_again_and_again_is_not_asked_for_ever(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.providers.cpaas.PAGE", 2)
    provider.instead = lambda: ignoring_offset(world)
    due(world)
    assert world.read_cdrs()
    assert provider.asked == ["get_cdr_by_date"] * 2
    poll = world.rows(t.cdr_poll)[0]
    assert (poll.read_to, poll.reading_to, poll.page) == (world.clock.now, None, None)


def test_no_more_pages_of_a_span_are_read_than_there_can_be(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.providers.cpaas.PAGE", 2)
    monkeypatch.setattr("dialer.providers.cpaas.MOST_CDRS", 2)
    provider.instead = lambda: ignoring_offset(world)
    due(world)
    assert world.read_cdrs()
    assert provider.asked == ["get_cdr_by_date"]
    assert world.rows(t.cdr_poll)[0].read_to == world.clock.now


def test_a_word_of_a_cdr_that_is_in_no_table_is_kept_and_counted_once(
    world: World, provider: Provider
) -> None:
    attempt_id = provider.dial()
    ended = format_datetime(world.clock.now, usegmt=True)
    reference = world.attempt(attempt_id).provider_reference
    cdr = {"request_id": reference, "dial_status": "ABDUCTED", "end": ended}
    provider.instead = lambda: JSONResponse({"response": {"result": [cdr], "success": "true"}})
    due(world)
    for _ in range(2):
        assert world.read_cdrs()
    assert (world.attempt(attempt_id).state, world.attempt(attempt_id).disposition) == ("ENDED", "UNKNOWN")
    (event,) = world.rows(t.event)
    assert (event.method, event.state, event.attempt_id) == ("CDR", "CONSUMED", attempt_id)
    assert json.loads(event.body) == cdr
    assert [(row.provider_id, row.events) for row in world.rows(t.unknown_word)] == [(world.provider_id, 1)]
    world.check()


def test_of_whole_days_only_what_is_new_is_taken_in(world: World, provider: Provider) -> None:
    attempt_id = provider.dial()
    before = world.attempt(attempt_id)
    ended = format_datetime(world.clock.now - timedelta(hours=30), usegmt=True)
    cdr = {"request_id": before.provider_reference, "dial_status": "BUSY", "end": ended}
    provider.instead = lambda: JSONResponse({"response": {"result": [cdr], "success": "true"}})
    due(world)
    assert world.read_cdrs()
    assert world.attempt(attempt_id) == before


def test_a_reading_that_was_broken_off_goes_on_where_it_was(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.providers.cpaas.PAGE", 2)
    made = [provider.dial(end) for end in ("50", "51", "52", "53")]
    world.clock.forward(120)
    due(world)
    monkeypatch.setattr(cdrs, "STINT", 0.0)
    assert not world.read_cdrs(), "there was no time for anything"
    monkeypatch.setattr(cdrs, "STINT", 20.0)
    provider.instead = None
    take_in = cdrs._take_in

    def once(*given: Any) -> None:
        take_in(*given)
        provider.instead = lambda: Response(status_code=429, headers={"Retry-After": "60"})

    monkeypatch.setattr(cdrs, "_take_in", once)
    assert world.read_cdrs()
    poll = world.rows(t.cdr_poll)[0]
    assert (poll.page, poll.read_to, poll.reading_to) == ("2", None, world.clock.now)
    assert sum(world.attempt(one).state == "ENDED" for one in made) == 2
    provider.instead = None
    monkeypatch.setattr(cdrs, "_take_in", take_in)
    world.clock.forward(61)
    world.redis.flushall()
    assert world.read_cdrs()
    assert all(world.attempt(one).state == "ENDED" for one in made)
    assert world.rows(t.cdr_poll)[0].read_to == world.clock.now, "and then the time since"


def test_a_page_that_cannot_be_read_is_not_asked_for_again_for_ever(world: World, provider: Provider) -> None:
    due(world)
    poll = world.rows(t.cdr_poll)[0]
    with writing(world.engine) as connection:
        assert cdr_polls.advance(connection, poll, reading_to=world.clock.now, page="7")
        assert not cdr_polls.advance(connection, poll, page="8"), "somebody else has read on"
    provider.instead = lambda: Response("<html>")
    assert world.read_cdrs()
    poll = world.rows(t.cdr_poll)[0]
    assert (poll.page, poll.reading_to, poll.read_to) == (None, None, None)


def test_a_cdr_corrects_what_was_settled_unknown_and_nobody_is_dialled_for_it(
    world: World, provider: Provider
) -> None:
    attempt_id = provider.dial("01")
    provider.instead = lambda: Response(status_code=503)
    until_settled(world)
    assert world.rows(t.call)[0].state == CallState.UNKNOWN
    provider.instead = None
    due(world)
    world.read_cdrs()
    assert world.attempt(attempt_id).disposition == "BUSY"
    assert [(row.disposition, row.dial_status) for row in world.rows(t.cdr)] == [("BUSY", "BUSY")]
    assert world.rows(t.call)[0].state == CallState.FAILED
    world.check()


def cdr_fact(attempt_id: str, disposition: Disposition, **values: Any) -> Fact:
    known: dict[str, Any] = {"duration": None, "billsec": None, "cost": None, **values}
    return Fact(attempt_id, AttemptState.ENDED, disposition, None, datetime.now(UTC), **known)


def take_in(world: World, *facts: Fact, provider_id: str = "") -> None:
    """As if a page had held these."""
    with contextlib.suppress(Exception), writing(world.engine) as connection:
        cdr_polls.claim(connection, world.provider_id, None, world.clock.now)
    cdrs._take_in(world.engine, provider_id or world.provider_id, facts, world.clock)
    world.check()


def test_a_cdr_fills_in_duration_seconds_billed_and_cost_of_a_call_that_is_over(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(1)), repeat_policy=repeating(1))
    (attempt_id,) = world.dial(world.release())
    world.end([attempt_id], "no answer")
    told = cdr_fact(attempt_id, Disposition.NO_ANSWER, duration=20.5, billsec=0.0, cost=Decimal("0.0125"))
    take_in(world, told, told)
    row, (cdr,) = world.attempt(attempt_id), world.rows(t.cdr)
    assert (row.duration, row.cost, row.detail) == (20.5, Decimal("0.0125"), "")
    assert (cdr.duration, cdr.billsec, cdr.cost) == (20.5, 0.0, Decimal("0.0125"))
    assert world.states(campaign) == {"WAITING": 1}, "its repeat waits as it did"
    assert world.rows(t.cdr_poll)[0].disagreements == 0


def test_a_cdr_that_says_another_end_is_noted_once_and_counted(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(2)))
    reached, missed = world.dial(world.release())
    world.end([reached])
    world.end([missed], "busy")
    facts = [cdr_fact(reached, Disposition.NO_ANSWER), cdr_fact(missed, Disposition.ANSWERED)]
    for _ in range(3):
        take_in(world, *facts)
    assert world.attempt(reached).detail == "ended ANSWERED, and its CDR says NO_ANSWER"
    assert world.attempt(reached).disposition == "ANSWERED", "who may have been reached was reached"
    assert world.attempt(missed).detail == "ended BUSY, and its CDR says ANSWERED"
    assert world.attempt(missed).disposition == "ANSWERED"
    assert world.states(campaign) == {"COMPLETED": 2}
    assert world.rows(t.cdr_poll)[0].disagreements == 2
    with reading(world.engine) as connection:
        assert meters.totals(connection)[meters.DISAGREEMENT, world.provider_id, ""] == 2
    world.clock.forward(600)
    assert world.claim(world.release()).placements == ()


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        ("rejected", Disposition.BUSY),
        ("no such number", Disposition.UNAVAILABLE),
        ("busy", Disposition.UNKNOWN),
        ("unheard of", Disposition.BUSY),
    ],
)
def test_another_word_for_the_same_is_no_disagreement(world: World, ending: str, told: Disposition) -> None:
    world.campaign(world.contact_list(people(1)))
    (attempt_id,) = world.dial(world.release())
    world.end([attempt_id], ending)
    take_in(world, cdr_fact(attempt_id, told))
    assert world.attempt(attempt_id).detail == ""


def test_cdrs_of_calls_that_are_not_ours_are_let_be(world: World) -> None:
    world.campaign(world.contact_list(people(1)))
    (attempt_id,) = world.dial(world.release())
    before = world.attempt(attempt_id)
    other = world.provider()
    take_in(world, cdr_fact("nobody's-1", Disposition.BUSY))
    take_in(world, replace(cdr_fact("", Disposition.BUSY), provider_reference="theirs"))
    take_in(world, cdr_fact("", Disposition.BUSY))
    take_in(world, cdr_fact(attempt_id, Disposition.BUSY), provider_id=other)
    assert world.attempt(attempt_id) == before, "a provider speaks of its own attempts and of no others"


def test_an_odd_cdr_does_not_keep_the_others_from_being_taken_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.campaign(world.contact_list(people(3)))
    odd, *others = world.dial(world.release())
    apply = cdrs.apply

    def broken(connection: Any, locked: Any, *more: Any) -> None:
        if any(row.id == odd for row in locked):
            raise ValueError("odd")
        apply(connection, locked, *more)

    monkeypatch.setattr(cdrs, "apply", broken)
    take_in(world, *(cdr_fact(one, Disposition.BUSY) for one in [odd, *others]))
    assert world.attempt(odd).disposition is None
    assert {world.attempt(one).disposition for one in others} == {"BUSY"}


# --- what it costs -----------------------------------------------------------------------------------------


def test_nothing_due_costs_a_look(world: World, provider: Provider) -> None:
    provider.dial()
    due(world)
    # One, and the database's clock or SQLite's BEGIN.
    assert statements(world.engine, world.settle) <= 2
    assert statements(world.engine, lambda: due(world)) <= 2


def test_a_batch_is_looked_up_in_a_bounded_number_of_statements(
    world: World, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "MOST", 60_000)
    few = [provider.dial(str(50 + place)) for place in range(2)]
    many = [provider.dial(str(60 + place)) for place in range(12)]
    world.clock.forward(120)
    some = statements(world.engine, lambda: world.look_up(few))
    more = statements(world.engine, lambda: world.look_up(many))
    assert more <= some
    with reading(world.engine) as connection:
        assert attempts.unsettled(connection, many) == []
