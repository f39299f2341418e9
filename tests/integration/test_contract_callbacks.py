"""The contract of every kind of provider, calling back: through the webhook over real HTTP, and consumed."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa
from contract import ATTEMPT, Case, Known, Sent, Story, basic, case_of, each
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from world import NOON, World, people

from dialer.api import webhooks
from dialer.api.webhooks import LARGEST_BODY, Webhooks
from dialer.db import make_engine, reading, writing
from dialer.lifecycle import AttemptState, CallState, Disposition
from dialer.providers.contract import EventError, Outcome, RawEvent
from dialer.providers.kinds import adapter_class, adapter_kinds
from dialer.store import events, unknown_words
from dialer.store import tables as t

UNHEARD_OF = Known("AT01NOBODYKNOWSTHISATTEMPT-1", "999999999999")
#: Bodies that nobody documents; each is also sent in the place of the query.
NONSENSE = (
    b"\x00\xff\xfe",
    b"{",
    b"{}",
    b"[]",
    b"null",
    b"NaN",
    b'"text"',
    b"[" * 50_000,
    b'{"id":' * 5_000,
    b'{"data":{"data":{"data":1}}}',
    b'{"status":{"a":[1,null]},"event":[],"type":7,"id":null}',
    b"<html>It works!</html>",
    b"&&&==%%%%00%ff",
    b"event=&id=&status=&type=",
    "event=\u202e&status=\ud7ff".encode(),
)


@pytest.fixture(params=adapter_kinds())
def case(request: pytest.FixtureRequest) -> Case:
    """Every kind's; a kind without one fails."""
    found = case_of(request.param)
    if not found.stories:
        pytest.skip("calls nobody back")
    return found


@pytest.fixture
def engine(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Engine]:
    """An empty database: what is asked here is the same on both."""
    shutil.copy(migrated_sqlite, tmp_path / "contract.db")
    made = make_engine(f"sqlite:///{tmp_path / 'contract.db'}")
    # Nothing here asks what is left after a power cut, and a disk that is waited for is slow.
    sa.event.listen(made, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    yield made
    made.dispose()


@pytest.fixture
def world(engine: Engine, redis_server: str) -> Iterator[World]:
    made = World(engine, redis_server)
    yield made
    made.close()


@pytest.fixture
def client(
    world: World, serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """Speaks to the webhooks, which tell nobody of what comes."""
    monkeypatch.setattr(webhooks, "REMEMBERED", 0.0)  # what a test changes counts at once
    app = Webhooks(FastAPI(), world.engine, lambda: None)
    with httpx.Client(base_url=serve(app), timeout=30) as made:
        yield made
    app.inbox.close()


def on_their_way(world: World, case: Case, many: int) -> list[Known]:
    """Calls of this kind's provider that were sent to it; their replies have not come."""
    world.set_provider(kind="mitto")  # whatever carries campaigns: only what comes of it is looked at
    world.campaign(world.contact_list(people(many)))
    placements = world.claim(world.release()).placements
    world.set_provider(kind=case.kind)
    return [
        Known(one.attempt_id, str(int(one.attempt_id.partition("-")[0][2:], 36)), one.to.removeprefix("+"))
        for one in (placement.submission for placement in placements)
    ]


def an_attempt(world: World, case: Case) -> Known:
    """A call that the provider has taken."""
    (known,) = on_their_way(world, case, 1)
    reply(world, case, known)
    return known


def reply(world: World, case: Case, known: Known, outcome: Outcome = Outcome.PLACED) -> None:
    """The provider takes it, and tells its reference if it has one; or nobody can tell whether it did."""
    if outcome is Outcome.PLACED:
        theirs = known.attempt_id if case.accepted.reference == ATTEMPT else known.reference
        world.answer([known.attempt_id], outcome, provider_reference=theirs)
    else:
        world.answer([known.attempt_id], outcome)


def send(
    world: World,
    client: httpx.Client,
    sent: Sent,
    token: str = "token",
    *,
    provider_id: str = "",
    headers: Mapping[str, str | bytes] | None = None,
) -> int:
    """The provider calls back; the status that it is answered."""
    path = f"/webhooks/{(provider_id or world.provider_id).lower()}/{token}"
    if sent.path:
        path = f"{path}/{sent.path}"
    if sent.query:
        path = f"{path}?{sent.query}"
    every: dict[str, str | bytes] = {**(headers or {})}
    if sent.content_type:
        every["Content-Type"] = sent.content_type
    return client.request(sent.method, path, content=sent.body or None, headers=every).status_code


def tell(world: World, sent: Sent) -> None:
    """Store a callback as the webhook does; no two are taken for the same one."""
    raw = sent.raw(world.clock.now)
    world.tell_raw(raw.query, method=raw.method, path=raw.path, content_type=raw.content_type, body=raw.body)


def consume(world: World) -> None:
    """Consume all events, also those that came before the reply that tells their reference."""
    world.consume()
    with writing(world.engine) as connection:
        revived = events.revive(connection, world.clock.now - timedelta(hours=1), 1000)
    if revived:
        world.consume()


def check_story(world: World, known: Known, story: Story) -> None:
    """The call stands as the story says."""
    attempt = world.attempt(known.attempt_id)
    if story.ends is None:
        assert attempt.disposition is None
        assert attempt.state != AttemptState.ENDED
        return
    assert attempt.state == AttemptState.ENDED
    call = world.call(attempt.call_id)
    reached = story.ends in (Disposition.ANSWERED, Disposition.MACHINE)
    assert call.state == (CallState.COMPLETED if reached else CallState.FAILED)
    (cdr,) = world.rows(t.cdr, attempt_id=known.attempt_id)
    assert (cdr.disposition, cdr.dtmf_inputs) == (story.ends, story.keys)


def states(world: World) -> set[str]:
    return {row.state for row in world.rows(t.event)}


# --- what calls end with ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "story"), each(lambda case: case.stories))
def test_each_fate_ends_as_its_document_says_however_its_callbacks_come(
    world: World, client: httpx.Client, case: Case, story: Story
) -> None:
    def called_back(known: Known, told: Sequence[Sent]) -> None:
        assert [send(world, client, sent) for sent in told] == [200] * len(told)
        consume(world)

    in_order, backwards, before_the_reply = on_their_way(world, case, 3)
    reply(world, case, in_order)
    called_back(in_order, story.callbacks(in_order))
    check_story(world, in_order, story)
    reply(world, case, backwards)
    called_back(backwards, [*story.callbacks(backwards)][::-1])
    check_story(world, backwards, story)
    called_back(before_the_reply, [one for one in story.callbacks(before_the_reply) for _ in range(2)])
    reply(world, case, before_the_reply)
    consume(world)
    check_story(world, before_the_reply, story)
    assert states(world) == {"CONSUMED"}
    world.check()


def test_what_is_sent_twice_is_kept_once(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    told = [*case.stories["answered"].callbacks(known)]
    for sent in told * 3:
        assert send(world, client, sent) == 200
    assert len(world.rows(t.event)) == len(told)


def test_a_word_that_no_document_knows_is_unknown_and_its_event_is_kept_and_counted(
    world: World, client: httpx.Client, case: Case
) -> None:
    assert case.unheard is not None
    known = an_attempt(world, case)
    sent = case.unheard(known)
    assert send(world, client, sent) == 200
    world.consume()
    (event,) = world.rows(t.event)
    assert (event.query, event.body, event.path) == (sent.query, sent.body, sent.path)
    with reading(world.engine) as connection:
        assert unknown_words.counts(connection) == {world.provider_id: 1}
    attempt = world.attempt(known.attempt_id)
    if not case.unheard_ends:
        assert (event.state, attempt.state) == ("UNREADABLE", AttemptState.PLACED)
        return
    assert event.state == "CONSUMED"
    assert (attempt.state, attempt.disposition) == (AttemptState.ENDED, Disposition.UNKNOWN)
    assert world.call(attempt.call_id).state == CallState.UNKNOWN
    world.check()


def test_fields_that_no_document_knows_change_nothing(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    story = case.stories["answered"]
    for sent in story.callbacks(known):
        more = replace(sent, query=f"{sent.query}&new_field=1&x[]=%5B%5D&=".lstrip("&"))
        assert send(world, client, more) == 200
    consume(world)
    check_story(world, known, story)


def test_an_attempt_that_nobody_knows_is_nobodys(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    told = [sent for story in case.stories.values() for sent in story.callbacks(UNHEARD_OF)]
    for sent in told:
        assert send(world, client, sent) == 200
    consume(world)
    assert world.attempt(known.attempt_id).state == AttemptState.PLACED
    assert states(world) <= {"UNMATCHED", "CONSUMED"}
    assert "UNMATCHED" in states(world)
    world.check()


def test_another_providers_word_counts_nothing(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    other = world.provider(kind=case.kind)
    for sent in case.stories["answered"].callbacks(known):
        assert send(world, client, sent, provider_id=other) == 200
    consume(world)
    assert world.attempt(known.attempt_id).state == AttemptState.PLACED
    assert "UNMATCHED" in states(world)


# --- any order, any number --------------------------------------------------------------------------------

#: What may differ between two calls that came to the same end: who they are, and the way there.
WHO_THEY_ARE = {"id", "call_id", "attempt_id", "campaign_id", "list_id", "position", "e164"}
THE_WAY_THERE = {"placed_at", "settle_at", "detail", "reason"}


def standing(world: World, known: Known) -> list[dict[str, Any]]:
    """All that is written of a call, but what may differ."""
    attempt = world.attempt(known.attempt_id)
    rows = [attempt, world.call(attempt.call_id), *world.rows(t.cdr, attempt_id=known.attempt_id)]
    own = {known.attempt_id: "ours", known.reference: "theirs", f"+{known.to}": "callee"}
    return [
        {
            name: own.get(str(value), value)
            for name, value in row._mapping.items()
            if name not in WHO_THEY_ARE | THE_WAY_THERE
        }
        for row in rows
    ]


@pytest.mark.parametrize("outcome", [Outcome.PLACED, Outcome.UNKNOWN])
def test_callbacks_of_a_call_end_the_same_in_any_order_number_and_grouping(
    world: World, case: Case, outcome: Outcome
) -> None:
    """Also before the reply, between contradicting ones, and with a word that nobody knows."""
    if outcome is Outcome.UNKNOWN and not case.tells_our_reference:
        pytest.skip("without a reply nobody knows its references")
    fresh: list[Known] = []
    example = Known(ATTEMPT, "1")
    steps = {name: range(len(story.callbacks(example))) for name, story in case.stories.items()}
    steps["unheard"] = range(1)

    def after(names: Sequence[tuple[str, int] | None], stops: Sequence[bool]) -> list[dict[str, Any]]:
        if not fresh:
            fresh.extend(on_their_way(world, case, 50))
        known = fresh.pop()
        for name, stop in zip(names, stops, strict=True):
            if name is None:
                reply(world, case, known, outcome)
            else:
                tell(world, callback(known, *name))
            if stop:
                consume(world)
        consume(world)
        return standing(world, known)

    def callback(known: Known, story: str, place: int) -> Sent:
        if story == "unheard":
            assert case.unheard is not None
            return case.unheard(known)
        return case.stories[story].callbacks(known)[place]

    every = [(story, place) for story, places in steps.items() for place in places]

    @settings(max_examples=15)
    @given(st.data())
    def property_(data: st.DataObject) -> None:
        whole = data.draw(st.sampled_from(sorted(case.stories)))
        told = [(whole, place) for place in steps[whole]]
        told += data.draw(st.lists(st.sampled_from(every), max_size=2))
        in_order: list[tuple[str, int] | None] = [None, *told]
        doubled = data.draw(st.lists(st.sampled_from(told), max_size=3))
        shuffled = data.draw(st.permutations([*in_order, *doubled]))
        stops = data.draw(st.lists(st.booleans(), min_size=len(shuffled), max_size=len(shuffled)))
        assert after(shuffled, stops) == after(in_order, [True] * len(in_order))

    property_()
    world.check()


# --- what is no callback ----------------------------------------------------------------------------------


def test_who_does_not_know_the_token_or_the_password_is_sent_away(
    world: World, client: httpx.Client, case: Case
) -> None:
    known = an_attempt(world, case)
    (sent, *_) = case.stories["answered"].callbacks(known)
    for token in ("wrong", "toke", "tokens", "TOKEN", "%00"):
        assert send(world, client, sent, token) == 404
    world.set_provider(callback_auth_hash=hashlib.sha256(b"user:password").hexdigest())
    for header in (None, "Basic", basic("user", "wrong"), basic("", ""), "Bearer password", "Basic \xff"):
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        assert send(world, client, sent, headers=headers) == 401
    assert world.rows(t.event) == []
    assert send(world, client, sent, headers={"Authorization": basic("user", "password")}) == 200


def test_nonsense_is_kept_and_stops_nobody(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    content_types = cycle(["", "application/json", "application/x-www-form-urlencoded", "x/y"])
    for body, content_type in zip(NONSENSE, content_types, strict=False):
        assert send(world, client, Sent(body=body, content_type=content_type)) == 200
        assert send(world, client, Sent(quote(body[:2000], safe="&=%"), path="odd.php")) == 200
    story = case.stories["answered"]
    for sent in story.callbacks(known):
        assert send(world, client, sent) == 200
    consume(world)
    check_story(world, known, story)
    assert "NEW" not in states(world)
    world.check()


def test_a_megabyte_is_kept_and_more_is_refused(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    story = case.stories["answered"]
    told = [*story.callbacks(known)]
    for sent in told:
        if sent.body:  # as long as may be, and still a callback
            padded = sent.body + b" " * (LARGEST_BODY - len(sent.body))
            assert send(world, client, replace(sent, body=padded)) == 200
        else:
            assert send(world, client, sent) == 200
    assert send(world, client, Sent(body=b"x=" * (LARGEST_BODY // 2))) == 200
    assert send(world, client, Sent(body=b"[" * LARGEST_BODY)) == 200
    assert send(world, client, Sent(body=b" " * (LARGEST_BODY + 1))) == 413
    consume(world)
    check_story(world, known, story)
    assert len(world.rows(t.event)) == len(told) + 2


@pytest.mark.parametrize("kind", adapter_kinds())
@given(st.data())
def test_no_callback_whatsoever_breaks_the_reading(kind: str, data: st.DataObject) -> None:
    """What can be read speaks of somebody; anything else says why it cannot."""
    case = case_of(kind)
    known = Known(ATTEMPT, "184467")
    told = [sent for story in case.stories.values() for sent in story.callbacks(known)] or [Sent("a=b")]
    sent = data.draw(st.sampled_from(told))
    bent = data.draw(st.sampled_from([sent.query.encode(), sent.body]))
    at = data.draw(st.integers(0, len(bent)))
    cut = data.draw(st.integers(0, 30))
    bent = bent[:at] + data.draw(st.binary(max_size=8)) + bent[at + cut :]
    raw = RawEvent(
        method=data.draw(st.sampled_from(["GET", "POST", "HEAD"])),
        path=data.draw(st.sampled_from(["", sent.path]) | st.text(max_size=8)),
        query=data.draw(
            st.sampled_from([sent.query, bent.decode("utf-8", "replace")]) | st.text(max_size=20)
        ),
        content_type=data.draw(st.sampled_from(["", sent.content_type, "application/json", "x"])),
        body=data.draw(st.sampled_from([sent.body, bent]) | st.binary(max_size=40)),
        authorization=None,
        received_at=NOON,
    )
    adapter = adapter_class(kind)
    assert adapter.dedupe_key(raw)
    with contextlib.suppress(EventError):
        for fact in adapter.read_event(raw):
            assert fact.attempt_id or fact.provider_reference or fact.inbound
            assert fact.state in (AttemptState.RINGING, AttemptState.ANSWERED, AttemptState.ENDED)
            assert fact.disposition is None or fact.state is AttemptState.ENDED
            assert fact.at.tzinfo is not None
    with contextlib.suppress(EventError):
        adapter.read_question(raw)
