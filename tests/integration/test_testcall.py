"""Test calls: one number hears what a campaign says, and the campaign does not count it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from test_surveys import FLOW, SETTINGS, story, tell
from world import ALWAYS, PUBLIC_URL, World, number, people

from dialer.calls import single
from dialer.calls.flow_form import parse, to_json
from dialer.campaigns import progress, testcall
from dialer.campaigns.testcall import Spoken
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError, NotFound
from dialer.lifecycle import CallState
from dialer.providers.contract import Outcome, Submission
from dialer.store import campaigns, singles
from dialer.store import tables as t
from dialer.store.contacts import NewContact

TESTER = number(77)


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def asked_for(
    world: World,
    campaign: str,
    spoken: Spoken | None = None,
    contact: str | None = None,
    public_url: str = PUBLIC_URL,
) -> str:
    """A test call to the tester; its id."""
    with reading(world.engine) as connection:
        asked = replace(singles.asked(connection, world.account_id, ""), now=world.clock.now)
    with writing(world.engine) as connection:
        account = connection.execute(sa.select(t.account).where(t.account.c.id == world.account_id)).one()
        row = world.campaign_row(campaign)
        said = spoken or testcall.spoken_to(connection, row, contact)
        wanted = testcall.call_of(connection, account, row, TESTER, said, public_url, world.clock.now)
        (added,) = single.add_all(connection, asked, [wanted])
    return added.id


def dialled(world: World, call_id: str) -> Submission:
    """What is sent for it."""
    assert call_id in single.release_due(world.engine, world.limiter, world.clock, urgent=False)
    (placement,) = world.claim([call_id]).placements
    return placement.submission


def test_it_says_what_a_contact_would_hear_and_counts_for_nobody(world: World) -> None:
    given = [
        NewContact(number(50), name="Ann", fields={"due": "5"}),
        NewContact(number(51), name="Bob", fields={"due": "7"}, language="de-DE"),
    ]
    campaign = world.campaign(
        world.contact_list(given), state="DRAFT", wake_at=None, announcement_text="{contact_name} owes {due}.",
        voice="Raveena", provider_id=world.provider_id,
    )  # fmt: skip
    call_id = asked_for(world, campaign)
    sent = dialled(world, call_id)
    assert (sent.to, sent.text, sent.voice, sent.language) == (TESTER, "Ann owes 5.", "Raveena", "en-US")
    world.answer([sent.attempt_id], Outcome.PLACED)
    world.end([sent.attempt_id])
    assert world.call(call_id).state == CallState.COMPLETED
    of_bob = dialled(world, asked_for(world, campaign, contact=number(51)))
    assert (of_bob.text, of_bob.language) == ("Bob owes 7.", "de-DE")
    of_nobody = dialled(world, asked_for(world, campaign, Spoken({"due": "9"}, "Eve")))
    assert of_nobody.text == "Eve owes 9."
    with reading(world.engine) as connection:
        counted = progress.tally(connection, campaign)
    assert (counted.contacts, counted.taken, sum(counted.results.values())) == (2, 0, 0)
    with pytest.raises(FieldError, match="due"):
        asked_for(world, campaign, Spoken({}))
    with pytest.raises(NotFound):
        asked_for(world, campaign, contact=number(99))


def test_a_file_is_played_by_the_campaigns_own_provider(world: World) -> None:
    world.provider(priority=1)
    campaign = world.campaign(
        world.contact_list(people(1)), announcement_text=None, recorded_filename="hello.wav",
        provider_id=world.provider_id, state="DRAFT", wake_at=None,
    )  # fmt: skip
    call_id = asked_for(world, campaign)
    sent = dialled(world, call_id)
    assert (sent.media, sent.text, sent.flow) == ("hello.wav", None, None)
    assert world.call(call_id).provider_id == world.provider_id


def test_a_survey_asks_its_keys_and_whoever_opts_out_is_left_in_peace(world: World) -> None:
    world.set_provider(kind="mtt-voice", credentials=world.box.seal(SETTINGS))
    campaign = world.campaign(
        world.contact_list([NewContact(number(50), name="Ann")]), announcement_text=None, type=1,
        flow=to_json(parse(FLOW)), language_code="ru-RU", state="DRAFT", wake_at=None,
    )  # fmt: skip
    with pytest.raises(single.NotPlaceable, match="DIALER_PUBLIC_URL"):
        asked_for(world, campaign, public_url="http://127.0.0.1:8000")
    refused = asked_for(world, campaign)
    world.forbid("+74997090111")
    with pytest.raises(Conflict, match="DND list"):
        asked_for(world, campaign)
    single.release_due(world.engine, world.limiter, world.clock, urgent=False)
    assert world.claim([refused]).placements == ()  # it could be connected with somebody who is left in peace
    assert world.call(refused).state == CallState.SUPPRESSED
    with writing(world.engine) as connection:
        connection.execute(t.dnd_number.delete())
    sent = dialled(world, asked_for(world, campaign))
    assert sent.flow is not None
    assert sent.flow.menus["main"].prompts[0].text == "Dear Ann, press 1, 2 or 9"
    world.answer([sent.attempt_id], Outcome.PLACED)
    for told in story(world, sent.attempt_id, "9"):
        tell(world, told)
    world.consume()
    assert [row.e164 for row in world.rows(t.dnd_number)] == [TESTER]


def test_who_is_put_on_a_dnd_list_of_the_campaign_meanwhile_is_not_rung(world: World) -> None:
    own = world.dnd_list()
    campaign = world.campaign(world.contact_list(people(1)), [own], state="DRAFT", wake_at=None)
    waits, goes = asked_for(world, campaign), asked_for(world, campaign)
    world.forbid(TESTER, dnd_list_id=world.dnd_list())  # which the campaign does not honour
    assert goes in single.release_due(world.engine, world.limiter, world.clock, urgent=False)
    assert len(world.claim([goes]).placements) == 1
    world.forbid(TESTER, dnd_list_id=own)
    assert world.claim([waits]).placements == ()
    assert world.call(waits).state == CallState.SUPPRESSED


def test_whoever_says_that_a_call_is_a_test_heeds_no_other_accounts_lists(world: World) -> None:
    own = world.dnd_list()
    campaign = world.campaign(world.contact_list(people(1)), [own], state="DRAFT", wake_at=None)
    world.forbid(TESTER, dnd_list_id=own)
    with reading(world.engine) as connection:
        theirs = campaigns.listed(connection, world.account_id, campaign, [TESTER])
        another = campaigns.listed(connection, "ACsomebody", campaign, [TESTER])
    assert (theirs, another) == ({TESTER}, set())


def test_dnd_lists_and_the_calling_window_hold(world: World) -> None:
    own = world.dnd_list()
    campaign = world.campaign(
        world.contact_list(people(1)), [own], calling_window={"start": "09:00", "end": "18:00"},
        state="DRAFT", wake_at=None,
    )  # fmt: skip
    world.forbid(TESTER, dnd_list_id=own)
    with pytest.raises(Conflict, match="DND list"):
        asked_for(world, campaign)
    with writing(world.engine) as connection:
        connection.execute(t.dnd_number.delete())
    world.clock.now = datetime(2026, 1, 13, 7, 30, tzinfo=UTC)  # 8:30 in Sweden: the account's window is open
    with pytest.raises(Conflict, match=r"08:30 there \(Europe/Stockholm\)"):
        asked_for(world, campaign)
    world.clock.now = datetime(2026, 1, 13, 22, 0, tzinfo=UTC)
    at_any_hour = world.campaign(
        world.contact_list(people(1)), calling_window=ALWAYS, state="DRAFT", wake_at=None
    )
    with pytest.raises(Conflict, match="outside the calling window"):
        asked_for(world, at_any_hour)
    world.clock.now = datetime(2026, 1, 13, 12, 0, tzinfo=UTC)
    call_id = asked_for(world, campaign)
    world.clock.forward(testcall.TEST_LIFE.total_seconds() + 1)
    single.release_due(world.engine, world.limiter, world.clock, urgent=False)
    assert world.call(call_id).state == CallState.EXPIRED
