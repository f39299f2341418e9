"""The contract of every kind of provider, calling back: through the webhook over real HTTP, and consumed."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from urllib.parse import quote, unquote_plus

import httpx
import pytest
from contract import ATTEMPT, CODE, UNHEARD_WHEN_ASKED, Case, Known, Sent, Story, basic, case_of, cases, each
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine
from world import NOON, World, people

from dialer.api import webhooks
from dialer.api.webhooks import LARGEST_BODY, Webhooks
from dialer.db import reading, writing
from dialer.lifecycle import AttemptState, CallState, Disposition
from dialer.providers.contract import Asked, EventError, Outcome, RawEvent, Reply
from dialer.providers.kinds import adapter_class, adapter_kinds
from dialer.store import events, unknown_words
from dialer.store import tables as t
from workers import cdrs, lookups

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


#: What comes for a kind that calls nobody back.
STRAY = Story(
    lambda known: [Sent(f"reference={known.attempt_id}&id={known.reference}&status=ANSWERED")], None
)


@pytest.fixture(params=adapter_kinds())
def case(request: pytest.FixtureRequest) -> Case:
    """Every kind's; a kind without one fails."""
    return case_of(request.param)


def usual(case: Case) -> Story:
    """The callbacks of a call that was picked up."""
    assert bool(case.stories) == adapter_class(case.kind).calls_back
    return case.stories.get("answered", STRAY)


def calling_back(case: Case) -> Case:
    """The case of a kind that does."""
    if not case.stories:
        pytest.skip("calls nobody back")
    return case


@pytest.fixture
def world(sqlite_database: Engine, redis_server: str) -> Iterator[World]:
    """On an empty database: what is asked here is the same on both."""
    made = World(sqlite_database, redis_server)
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
    reached = dict.fromkeys((Disposition.ANSWERED, Disposition.MACHINE), CallState.COMPLETED)
    assert call.state == {**reached, Disposition.UNKNOWN: CallState.UNKNOWN}.get(story.ends, CallState.FAILED)
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
    with reading(world.engine) as connection:
        assert unknown_words.counts(connection) == {}, "its document has all of these words"
    world.check()


def test_what_is_sent_twice_is_kept_once(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    told = [*usual(case).callbacks(known)]
    for sent in told * 3:
        assert send(world, client, sent) == 200
    assert len(world.rows(t.event)) == len(told)


def as_it_came(sent: Sent) -> RawEvent:
    return RawEvent(sent.method, sent.path, sent.query, sent.content_type, sent.body, None, datetime.now(UTC))


def test_a_word_that_no_document_knows_is_unknown_and_its_event_is_kept_and_counted(
    world: World, client: httpx.Client, case: Case
) -> None:
    known = an_attempt(world, calling_back(case))
    assert case.unheard is not None
    sent = case.unheard(known)
    assert send(world, client, sent) == 200
    world.consume()
    (event,) = world.rows(t.event)
    kept = adapter_class(case.kind).kept(as_it_came(sent))
    assert (event.query, event.body, event.path) == (kept.query, kept.body, kept.path)
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


@pytest.mark.parametrize("kind", [kind for kind in adapter_kinds() if adapter_class(kind).can_be_asked()])
def test_a_word_that_is_only_found_by_asking_is_unknown_and_its_reply_is_kept_and_counted(
    world: World, kind: str
) -> None:
    case = case_of(kind)
    known = an_attempt(world, case)
    Asking(world, case, known).ask("asked", UNHEARD_WHEN_ASKED)
    (event,) = world.rows(t.event)
    assert (event.method, event.provider_id) == (lookups.LOOK_UP, world.provider_id)
    assert CODE not in event.body.decode()
    with reading(world.engine) as connection:
        assert unknown_words.counts(connection) == {world.provider_id: 1}
    attempt = world.attempt(known.attempt_id)
    assert (attempt.state, attempt.disposition) == (AttemptState.ENDED, Disposition.UNKNOWN)
    assert world.call(attempt.call_id).state == CallState.UNKNOWN
    world.check()


def test_fields_that_no_document_knows_change_nothing(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    story = usual(case)
    for sent in story.callbacks(known):
        more = replace(sent, query=f"{sent.query}&new_field=1&x[]=%5B%5D&=".lstrip("&"))
        assert send(world, client, more) == 200
    consume(world)
    check_story(world, known, story)


def test_an_attempt_that_nobody_knows_is_nobodys(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, calling_back(case))
    told = [sent for story in case.stories.values() for sent in story.callbacks(UNHEARD_OF)]
    for sent in told:
        assert send(world, client, sent) == 200
    consume(world)
    assert world.attempt(known.attempt_id).state == AttemptState.PLACED
    assert states(world) <= {"UNMATCHED", "CONSUMED"}
    assert "UNMATCHED" in states(world)
    world.check()


def test_another_providers_word_counts_nothing(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, calling_back(case))
    other = world.provider(kind=case.kind)
    for sent in case.stories["answered"].callbacks(known):
        assert send(world, client, sent, provider_id=other) == 200
    consume(world)
    assert world.attempt(known.attempt_id).state == AttemptState.PLACED
    assert "UNMATCHED" in states(world)


# --- any order, any number --------------------------------------------------------------------------------

#: What may differ between two calls that came to the same end: who they are, and the way there.
WHO_THEY_ARE = {"id", "call_id", "attempt_id", "campaign_id", "list_id", "position", "e164"}
THE_WAY_THERE = {"placed_at", "settle_at", "detail", "reason", "handles"}


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


class Asking:
    """A provider that is asked about a call, or whose list of CDRs is read, while its callbacks come. What it says is
    written as by the worker; only that nobody is asked whose reference is not known waits until it is."""

    def __init__(self, world: World, case: Case, known: Known) -> None:
        self._world, self._case, self._known = world, case, known
        self._adapter = case.adapter()
        self._waiting: list[tuple[str, str]] = []

    def ask(self, how: str, fate: str) -> None:
        self._waiting.append((how, fate))
        self.go_on()

    def go_on(self) -> None:
        self._waiting = [one for one in self._waiting if not self._asked(*one)]

    def _asked(self, how: str, fate: str) -> bool:
        row = self._world.attempt(self._known.attempt_id)
        body = json.dumps(self._case.told_when_asked[fate](self._known)).encode()
        reply = Reply(200, {"content-type": "application/json"}, body)
        if how == "listed":
            if row.provider_reference is None:
                return False  # it will be in the next list
            page = self._adapter.read_cdrs(reply, None, self._world.clock.now)
            cdrs._take_in(self._world.engine, row.provider_id, page.facts, self._world.clock)
            return True
        asked = Asked(row.id, row.provider_reference, row.e164, row.caller_id, row.submitted_at)
        if self._adapter.lookup_request(asked) is None:
            return False
        (provider,) = self._world.rows(t.provider, id=row.provider_id)
        told = lookups._Asking(provider, self._adapter, [asked])
        told.replies[row.id] = reply
        told.answers[row.id] = self._adapter.read_lookup(reply, asked)
        lookups._write(self._world.engine, self._world.adapters, told, self._world.clock)
        return True


@pytest.mark.parametrize("outcome", [Outcome.PLACED, Outcome.UNKNOWN])
@pytest.mark.parametrize("kind", adapter_kinds())
def test_whatever_is_told_of_a_call_ends_the_same_in_any_order_number_and_grouping(
    world: World, kind: str, outcome: Outcome
) -> None:
    """Callbacks, answers to look-ups and CDRs; also before the reply, between contradicting ones, and with a word that
    nobody knows."""
    case = case_of(kind)
    if outcome is Outcome.UNKNOWN and not case.tells_our_reference:
        pytest.skip("without a reply nobody knows its references")
    fresh: list[Known] = []
    example = Known(ATTEMPT, "1")
    steps = {name: range(len(story.callbacks(example))) for name, story in case.stories.items()}
    if case.unheard is not None:
        steps["unheard"] = range(1)
    told_when_asked = [("asked", fate) for fate in case.told_when_asked]
    if adapter_class(kind).keeps_cdrs() and not adapter_class(kind).cdrs_of_inbound:
        told_when_asked += [("listed", fate) for fate in case.told_when_asked]
    assert bool(told_when_asked) == adapter_class(kind).can_be_asked()

    def after(names: Sequence[tuple[str, int | str] | None], stops: Sequence[bool]) -> list[dict[str, Any]]:
        if not fresh:
            fresh.extend(on_their_way(world, case, 50))
        known = fresh.pop()
        asking = Asking(world, case, known)
        for name, stop in zip(names, stops, strict=True):
            if name is None:
                reply(world, case, known, outcome)
            elif isinstance(name[1], str):
                asking.ask(*name)
            else:
                tell(world, callback(known, *name))
            if stop:
                consume(world)
            asking.go_on()
        consume(world)
        asking.go_on()
        return standing(world, known)

    def callback(known: Known, story: str, place: int) -> Sent:
        if story == "unheard":
            assert case.unheard is not None
            return case.unheard(known)
        return case.stories[story].callbacks(known)[place]

    every: list[tuple[str, int | str]] = [
        (story, place) for story, places in steps.items() for place in places
    ]
    every += told_when_asked

    @settings(max_examples=25 if told_when_asked else 15)
    @given(st.data())
    def property_(data: st.DataObject) -> None:
        told: list[tuple[str, int | str]] = []
        if case.stories:
            whole = data.draw(st.sampled_from(sorted(case.stories)))
            told += [(whole, place) for place in steps[whole]]
        if told_when_asked:
            told += data.draw(st.lists(st.sampled_from(told_when_asked), min_size=1, max_size=2))
        told += data.draw(st.lists(st.sampled_from(every), max_size=2))
        in_order: list[tuple[str, int | str] | None] = [None, *told]
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
    (sent, *_) = usual(case).callbacks(known)
    for token in ("wrong", "toke", "tokens", "TOKEN", "%00"):
        assert send(world, client, sent, token) == 404
    world.set_provider(callback_auth_hash=hashlib.sha256(b"user:password").hexdigest())
    for header in (None, "Basic", basic("user", "wrong"), basic("", ""), "Bearer password", "Basic \xff"):
        headers = {} if header is None else {"Authorization": header.encode("latin-1")}
        assert send(world, client, sent, headers=headers) == 401
    assert world.rows(t.event) == []
    assert send(world, client, sent, headers={"Authorization": basic("user", "password")}) == 200


SIGNED = [pytest.param(case, id=case.kind) for case in cases() if case.signing is not None]


def test_every_kind_that_signs_says_in_its_case_how() -> None:
    signing = {kind for kind in adapter_kinds() if adapter_class(kind).signs}
    assert {case.kind for case in cases() if case.signing is not None} == signing


@pytest.mark.parametrize("case", SIGNED)
def test_who_cannot_sign_as_the_provider_does_is_sent_away(
    world: World, client: httpx.Client, case: Case
) -> None:
    assert case.signing is not None
    known, signing = an_attempt(world, case), case.signing()
    world.set_provider(open_settings=dict(signing.open_settings))
    told = [*usual(case).callbacks(known)]
    assert [send(world, client, sent) for sent in told] == [401] * len(told)
    for name, header in signing.bad.items():
        assert send(world, client, told[-1], headers={"Authorization": header}) == 401, name
    assert world.rows(t.event) == []
    for sent in told:
        assert send(world, client, sent, headers={"Authorization": signing.good}) == 200
    consume(world)
    check_story(world, known, usual(case))


def test_a_signature_that_nobody_asked_for_changes_nothing(
    world: World, client: httpx.Client, case: Case
) -> None:
    known = an_attempt(world, case)
    odd = cycle([b"", b"Bearer x.y.z", b"Basic \xff", b"Digest a=b", b"x" * 4000])
    for sent, header in zip(usual(case).callbacks(known), odd, strict=False):
        assert send(world, client, sent, headers={"Authorization": header}) == 200
    consume(world)
    check_story(world, known, usual(case))


#: In the names of settings that let whoever has them act for the account.
CREDENTIALS = ("key", "token", "password", "auth", "secret")


def named(setting: str) -> bool:
    return any(word in setting for word in CREDENTIALS)


def test_neither_credentials_nor_passwords_of_callbacks_are_stored(
    world: World, client: httpx.Client, case: Case
) -> None:
    known = an_attempt(world, case)
    shown = adapter_class(case.kind).open_settings
    private = {value for name, value in case.settings.items() if name not in shown and named(name)} | {CODE}
    for sent in usual(case).callbacks(known):
        assert send(world, client, sent) == 200
    for row in world.rows(t.event):
        stored = f"{row.path} {unquote_plus(row.query)} {unquote_plus(row.body.decode())}"
        assert not [value for value in private if value in stored]
    consume(world)
    check_story(world, known, usual(case))


def test_nonsense_is_kept_and_stops_nobody(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    content_types = cycle(["", "application/json", "application/x-www-form-urlencoded", "x/y"])
    for body, content_type in zip(NONSENSE, content_types, strict=False):
        assert send(world, client, Sent(body=body, content_type=content_type)) == 200
        assert send(world, client, Sent(quote(body[:2000], safe="&=%"), path="odd.php")) == 200
    story = usual(case)
    for sent in story.callbacks(known):
        assert send(world, client, sent) == 200
    consume(world)
    check_story(world, known, story)
    assert "NEW" not in states(world)
    world.check()


def test_a_megabyte_is_kept_and_more_is_refused(world: World, client: httpx.Client, case: Case) -> None:
    known = an_attempt(world, case)
    story = usual(case)
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
