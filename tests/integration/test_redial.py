"""Redial: a campaign for those whom another did not reach, and for nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from world import World, number, people

from dialer.calls.repeats import UNANSWERED, RepeatPolicy
from dialer.campaigns import copies
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError
from dialer.lifecycle import CampaignState, Disposition
from dialer.settings import Settings
from dialer.store import contacts
from dialer.store import tables as t
from dialer.store.contacts import NewContact


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def redial(
    world: World, campaign_id: str, *dispositions: Disposition, undialled: bool = True, name: str = "again"
) -> list[str]:
    """The numbers of the list that is made, in order."""
    with writing(world.engine) as connection:
        account = connection.execute(sa.select(t.account).where(t.account.c.id == world.account_id)).one()
        row = world.campaign_row(campaign_id)
        made, count = copies.redial(
            connection, account, row, name, dispositions or UNANSWERED, Settings(), world.clock.now,
            undialled=undialled,
        )  # fmt: skip
    draft = world.campaign_row(made)
    assert (draft.state, draft.cursor, draft.announcement_text) == ("DRAFT", 0, row.announcement_text)
    found = world.rows(t.contact, list_id=draft.list_id)
    assert [one.position for one in found] == list(range(1, count + 1))
    with reading(world.engine) as connection:
        assert contacts.count(connection, draft.list_id) == count
    return [one.e164 for one in found]


def test_only_those_who_were_not_reached_are_dialled_again(world: World) -> None:
    given = [
        NewContact(number(50 + place), fields={"due": str(place)}, time_zone="UTC") for place in range(9)
    ]
    twice = RepeatPolicy.parse({"rules": {"ANSWERED": {"times": 1, "delays": [0]}}}).to_json()
    world.forbid(number(58))
    campaign = world.campaign(world.contact_list(given), repeat_policy=twice, announcement_text="{due}")
    attempts = dict(zip(range(8), world.dial(world.release()), strict=True))
    endings = [
        "answered",
        "busy",
        "no answer",
        "no such number",
        "busy",
        "answered",
        "rejected",
        "unheard of",
    ]
    for place, ending in enumerate(endings):
        world.end([attempts[place]], ending)
    world.clock.forward(1)
    again = world.dial(world.release())  # who answered is called once more
    assert len(again) == 2
    world.end(again[:1], "answered")
    with pytest.raises(Conflict, match="not every contact"):
        redial(world, campaign)
    world.end(again[1:], "busy")
    world.clock.forward(1)
    world.release()
    assert world.campaign_row(campaign).state == CampaignState.FINISHED
    world.forbid(number(54))  # opted out meanwhile
    unheard = {row.disposition for row in world.rows(t.call, e164=number(57))}
    expected = [number(51), number(52), number(56)] + ([] if unheard == {"UNKNOWN"} else [number(57)])
    assert redial(world, campaign) == expected
    assert redial(world, campaign, Disposition.BUSY, name="busy ones") == [number(51)]
    with pytest.raises(Conflict, match="nobody"):
        redial(world, campaign, Disposition.CONGESTION, name="none")
    for never in (Disposition.ANSWERED, Disposition.MACHINE, Disposition.INVALID_NUMBER):
        with pytest.raises(FieldError, match="is not dialled again"):
            redial(world, campaign, never, name="never")
    with pytest.raises(Conflict, match="taken"):
        redial(world, campaign)
    world.check()


def test_whom_a_dnd_list_kept_from_being_dialled_is_left_out_though_they_are_off_it_since(
    world: World,
) -> None:
    world.forbid(number(50))
    campaign = world.campaign(world.contact_list(people(2)))
    world.end(world.dial(world.release()), "busy")
    world.clock.forward(1)
    world.release()
    with writing(world.engine) as connection:
        connection.execute(t.dnd_number.delete())
    assert redial(world, campaign) == [number(51)]


def test_the_new_list_carries_what_the_text_asks_for(world: World) -> None:
    given = [
        NewContact(
            number(50), name="Ann", fields={"due": "1", "Town, or so": "x"}, time_zone="UTC", language="de"
        ),
        NewContact(number(51), fields={"due": "2"}),
    ]
    campaign = world.campaign(world.contact_list(given), announcement_text="{due}")
    world.end(world.dial(world.release()), "busy")
    world.clock.forward(1)
    world.release()
    redial(world, campaign)
    ann, _ = world.rows(t.contact, list_id=world.rows(t.campaign, name="again")[0].list_id)
    assert (ann.name, ann.time_zone, ann.language) == ("Ann", "UTC", "de")
    assert ann.fields == given[0].fields
    with reading(world.engine) as connection:
        counted = contacts.field_counts(connection, ann.list_id)
    assert counted == {"due": 2, "Town, or so": 1}


def test_of_a_stopped_campaign_those_who_were_not_dialled_come_too(world: World) -> None:
    campaign = world.campaign(world.contact_list(people(30)), calls_per_minute=300)
    attempts = world.dial(world.release())
    world.end(attempts)
    world.stop(campaign)
    assert world.release() == []
    rest = [one.e164 for one in people(30)][len(attempts) :]
    assert redial(world, campaign) == rest
    with pytest.raises(Conflict, match="nobody"):
        redial(world, campaign, undialled=False, name="dialled ones")


def test_whoever_joined_the_list_after_the_end_is_not_redialled(world: World) -> None:
    list_id = world.contact_list(people(30))
    campaign = world.campaign(list_id, calls_per_minute=300)
    taken = world.dial(world.release())
    world.end(taken)
    world.stop(campaign)
    assert world.release() == []
    with writing(world.engine) as connection:
        contacts.add(connection, list_id, [NewContact(number(900))], world.clock.now)
    assert redial(world, campaign) == [one.e164 for one in people(30)][len(taken) :]


def test_of_a_stopped_campaign_that_still_counts_nobody_is_taken_off_the_list(world: World) -> None:
    list_id = world.contact_list(people(30))
    campaign = world.campaign(list_id, calls_per_minute=300)
    (first, *others) = world.dial(world.release())
    world.end([first])
    world.stop(campaign)
    world.release()

    def needed() -> str | None:
        with reading(world.engine) as connection:
            return contacts.needed_by(connection, world.account_id, list_id, people(30)[0].e164)

    assert needed() == campaign
    world.end(others)
    world.clock.forward(60)
    world.release()
    assert needed() is None
    world.check()


@pytest.mark.chaos
def test_two_hundred_thousand_are_sorted_out_in_one_statement(world: World) -> None:
    size = 200_000
    everybody = [NewContact(f"+4670{place:07d}", fields={"due": "1"}) for place in range(size)]
    list_id = world.contact_list(everybody)
    campaign = world.campaign(list_id, state="FINISHED", wake_at=None, cursor=size)
    dispositions = ("ANSWERED", "BUSY", "NO_ANSWER", "INVALID_NUMBER")

    def call(place: int) -> dict[str, Any]:
        disposition = dispositions[place % 4]
        return {
            "id": f"{place:020d}", "account_id": world.account_id, "campaign_id": campaign, "list_id": list_id,
            "position": place + 1, "e164": everybody[place].e164, "time_zone": "UTC",
            "state": "COMPLETED" if disposition == "ANSWERED" else "FAILED", "disposition": disposition,
            "due_at": world.clock.now, "created_at": world.clock.now, "ended_at": world.clock.now,
        }  # fmt: skip

    with writing(world.engine) as connection:
        for start in range(0, size, 10_000):
            connection.execute(t.call.insert(), [call(place) for place in range(start, start + 10_000)])
        counters = {"taken": size, "COMPLETED": size // 4, "FAILED": 3 * size // 4}
        connection.execute(
            t.campaign_count.insert(),
            [{"campaign_id": campaign, "name": name, "count": count} for name, count in counters.items()],
        )
    world.forbid(*(everybody[place].e164 for place in range(1, 40_000, 4)))
    found = redial(world, campaign)
    assert len(found) == size // 2 - 10_000
    assert found[0] == everybody[2].e164
