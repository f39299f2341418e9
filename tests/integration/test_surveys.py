"""Campaigns of type 1: made with a flow, sent with it, and what becomes of the keys that people press."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from test_cpaas_api import CAMPAIGN, add_provider, serving
from test_cpaas_api import World as Upstream
from world import World, number, people, repeating, statements

from dialer.calls import content
from dialer.calls.flow_form import parse
from dialer.campaigns.template import TemplateError
from dialer.db import reading
from dialer.lifecycle import CallState
from dialer.secrets import SecretBox
from dialer.store import answers
from dialer.store import tables as t
from dialer.store.contacts import NewContact

SETTINGS = {"username": "user", "password": "s3same", "method": "inform", "sip_id": "79581112233"}
FLOW: dict[str, Any] = {
    "first": "main",
    "menus": {
        "main": {
            "prompts": [{"text": "Dear {contact_name}, press 1, 2 or 9"}],
            "keys": {
                "1": {"does": "notify"},
                "2": {"does": "transfer", "number": "+74997090111"},
                "9": {"does": "opt_out"},
            },
        }
    },
}
SURVEY = {
    **CAMPAIGN,
    "campaign_type": "1",
    "flow": FLOW,
    "announcement_text": "",
    "dynamic_announcement": None,
    "language_code": "ru-RU",
}


# --- made through the API -------------------------------------------------------------------------------------


@pytest.fixture
def upstream(
    database: Engine, tmp_path: Path, serve: Callable[[Any], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Upstream]:
    monkeypatch.setenv("DIALER_PUBLIC_URL", "https://dialer.example.com")
    with serving(database, tmp_path, serve) as made:
        yield made


def mtt(upstream: Upstream) -> str:
    sealed = SecretBox(upstream.settings.secret_keys()).seal(SETTINGS)
    return add_provider(
        upstream.engine, upstream.settings, name="moscow", kind="mtt-voice", credentials=sealed
    )


def survey(upstream: Upstream, **changes: Any) -> dict[str, Any]:
    return {**SURVEY, "list_id": upstream.filled_list(), "dnd_list_id": upstream.dnd_list(), **changes}


def test_a_survey_is_made_with_its_flow(upstream: Upstream) -> None:
    mtt(upstream)
    made = upstream.ask("/api/create_campaign", survey(upstream))
    row = upstream.row_of(made["campaign_id"])
    assert (row.type, row.announcement_text, row.recorded_filename) == (1, None, None)
    assert parse(row.flow) == parse(FLOW)
    answer = upstream.client.get(
        "/api/get_campaign_details", headers={"account": upstream.account_id, "auth": upstream.auth}
    )
    assert answer.json()["response"]["result"][0]["campaign_type"] == "1"


def test_a_flow_may_be_given_as_a_text(upstream: Upstream) -> None:
    mtt(upstream)
    made = upstream.ask("/api/create_campaign", survey(upstream, flow=json.dumps(FLOW)))
    assert parse(upstream.row_of(made["campaign_id"]).flow) == parse(FLOW)


def test_an_announcement_beside_the_flow_is_said_first(upstream: Upstream) -> None:
    mtt(upstream)
    body = survey(upstream, announcement_text="Good day.", dynamic_announcement="1")
    row = upstream.row_of(upstream.ask("/api/create_campaign", body)["campaign_id"])
    assert row.flow["menus"]["main"]["prompts"] == [
        {"text": "Good day."},
        {"text": "Dear {contact_name}, press 1, 2 or 9"},
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"flow": None}, "flow is missing: campaign_type 1 (survey) needs one"),
        (
            {"flow": None, "announcement_text": "{due} or {score}, press a key"},
            "announcement_text asks for {due}, which 2 of the list's 2 contacts do not have",
        ),
        ({"announcement_text": "Dear {due}"}, "announcement_text asks for {due}"),
        ({"campaign_type": "0"}, "flow needs campaign_type 1"),
        ({"flow": {"first": "main"}}, "flow.menus is missing"),
        ({"flow": "press 1"}, "flow is not JSON"),
        (
            {
                "flow": {
                    "first": "main",
                    "menus": {
                        "main": {"prompts": [{"text": "{due}"}], "keys": {"1": {"does": "notify"}}},
                    },
                }
            },
            "flow.menus.main.prompts.0.text asks for {due}, which 2 of the list's 2 contacts do not have",
        ),
        (
            {
                "announcement_text": "Good day.",
                "flow": {
                    "first": "main",
                    "menus": {
                        "main": {
                            "prompts": [{"text": "Dear"}, {"text": "{due}"}],
                            "keys": {"1": {"does": "notify"}},
                        }
                    },
                },
            },
            "flow.menus.main.prompts.1.text asks for {due}",
        ),
        (
            {
                "announcement_text": "Good day.",
                "flow": {
                    "first": "main",
                    "menus": {"main": {"prompts": [{"text": "a"}] * 10, "keys": {"1": {"does": "notify"}}}},
                },
            },
            "flow.menus.main.prompts may have at most 9 after what is said first",
        ),
        (
            {
                "flow": {
                    "first": "main",
                    "menus": {"main": {"prompts": [{"text": "a"}], "keys": {"1": {"does": "repeat"}}}},
                }
            },
            "No provider of this account can ask for keys as this campaign needs (kinds that can: ",
        ),
    ],
)
def test_a_survey_that_cannot_be_is_refused_with_the_mend(
    upstream: Upstream, changes: dict[str, Any], sentence: str
) -> None:
    mtt(upstream)
    status, response = upstream.refused("/api/create_campaign", survey(upstream, **changes))
    assert status == 400
    assert sentence in response["message"]


def test_without_a_flow_every_digit_that_the_provider_knows_is_noted(upstream: Upstream) -> None:
    mtt(upstream)
    said = {"flow": None, "announcement_text": "Press a key.", "dynamic_announcement": "1"}
    row = upstream.row_of(upstream.ask("/api/create_campaign", survey(upstream, **said))["campaign_id"])
    assert row.flow["menus"]["main"]["keys"] == {digit: {"does": "notify"} for digit in "0123456789"}


def test_without_a_provider_that_asks_for_keys_the_kinds_that_do_are_named(upstream: Upstream) -> None:
    status, response = upstream.refused("/api/create_campaign", survey(upstream))
    assert status == 400
    assert "No provider of this account can ask for keys as this campaign needs" in response["message"]
    assert "mtt-voice" in response["message"]
    assert "A provider of kind mitto cannot ask for keys." in response["message"]


def test_where_nobody_would_hear_of_the_keys_the_setting_is_named(
    database: Engine, tmp_path: Path, serve: Callable[[Any], str]
) -> None:
    with serving(database, tmp_path, serve) as unreached:
        mtt(unreached)
        body = survey(unreached)
        status, response = unreached.refused("/api/create_campaign", body)
        assert status == 400
        assert "mtt-voice tells of keys at https addresses only: set DIALER_PUBLIC_URL" in response["message"]
        add_provider(unreached.engine, unreached.settings, name="asks", kind="iotcomms")
        assert unreached.ask("/api/create_campaign", body)["campaign_id"]


# --- dialled ---------------------------------------------------------------------------------------------------


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    made.set_provider(kind="mtt-voice", credentials=made.box.seal(SETTINGS))
    yield made
    made.close()


def ask(world: World, contacts: list[NewContact], **values: Any) -> tuple[str, list[str]]:
    """A survey of these people, dialled; the campaign and its attempts."""
    campaign_id = world.campaign(
        world.contact_list(contacts),
        type=1,
        announcement_text=None,
        flow=FLOW,
        language_code="ru-RU",
        **values,
    )
    return campaign_id, world.dial(world.release())


def told(world: World, attempt_id: str, event: str, at: str, **more: str) -> dict[str, str]:
    return {"date_time": at, "id": attempt_id, "CallID": "00035c7d92bb0971", "event": event, **more}


def tell(world: World, fields: dict[str, str]) -> None:
    world.tell_raw("&".join(f"{name}={value}" for name, value in fields.items()))


def story(world: World, attempt_id: str, key: str) -> list[dict[str, str]]:
    """What MTT tells of somebody who picks up and presses a key."""
    return [
        told(world, attempt_id, "o_79103880489", "2026-01-13-15-00-01"),
        told(world, attempt_id, "n_79103880489", "2026-01-13-15-00-20", dtmf=key, type="notify"),
        told(world, attempt_id, "h_79103880489_16_25", "2026-01-13-15-00-30"),
    ]


def test_everybody_hears_the_flow_made_for_them(world: World) -> None:
    world.campaign(world.contact_list(people(1)), type=1, announcement_text=None, flow=FLOW)
    (placement,) = world.claim(world.release()).placements
    submission = placement.submission
    assert submission.text is submission.media is None
    assert submission.flow is not None
    assert submission.flow.menus["main"].prompts[0].text == "Dear Ann, press 1, 2 or 9"


def test_a_survey_waits_for_a_provider_that_can_ask(world: World) -> None:
    world.set_provider(kind="mitto", credentials=world.box.seal({"access_key": "key"}))
    world.campaign(world.contact_list(people(1)), type=1, announcement_text=None, flow=FLOW)
    assert world.release() == []


def test_the_key_stands_in_the_cdr_whatever_the_order_of_events(world: World) -> None:
    orders = list(permutations(range(3)))
    _, attempts = ask(world, people(len(orders)))
    for attempt_id, order in zip(attempts, orders, strict=True):
        events = story(world, attempt_id, "1")
        for place in (*order, *order):  # each of them twice
            tell(world, events[place])
            world.consume()
    assert {row.dtmf_inputs for row in world.rows(t.cdr)} == {"1"}
    assert {row.dial_status for row in world.rows(t.cdr)} == {"ANSWER"}
    world.check()


def test_a_key_told_of_after_the_end_corrects_the_cdr(world: World) -> None:
    _, (attempt_id,) = ask(world, people(1))
    rings, presses, ends = story(world, attempt_id, "2")
    tell(world, rings)
    tell(world, ends)
    world.consume()
    assert world.rows(t.cdr)[0].dtmf_inputs == ""
    tell(world, presses)
    world.consume()
    assert world.rows(t.cdr)[0].dtmf_inputs == "2"
    world.check()


def test_whoever_opts_out_is_on_the_dnd_list_before_the_next_dial(world: World) -> None:
    somebody = people(1)
    _, (attempt_id,) = ask(world, somebody)
    tell(world, story(world, attempt_id, "9")[1])
    world.consume()
    listed = world.rows(t.dnd_number, dnd_list_id=world.global_dnd)
    assert [row.e164 for row in listed] == [somebody[0].e164]
    # Another campaign of the account leaves them alone from now on.
    again = world.campaign(world.contact_list(somebody))
    assert world.release() == []
    assert world.states(again) == {CallState.SUPPRESSED: 1}


def test_even_a_repeat_of_the_same_call_leaves_them_alone(world: World) -> None:
    campaign_id, (attempt_id,) = ask(world, people(1), repeat_policy=repeating(2))
    tell(world, story(world, attempt_id, "9")[1])
    # MTT says that nobody was there: the stronger word is that a key was pressed, so either way nobody is rung again.
    tell(world, told(world, attempt_id, "h_79103880489_17_0", "2026-01-13-15-00-30"))
    world.consume()
    world.clock.forward(120)
    assert world.claim(world.release()).placements == ()
    assert world.states(campaign_id).keys() <= {CallState.SUPPRESSED, CallState.COMPLETED}
    world.check()


def test_no_other_key_and_no_other_account_is_touched(world: World) -> None:
    other_account, other_list = world.account()
    _, attempts = ask(world, people(3))
    for attempt_id, key in zip(attempts, ["1", "null", "5"], strict=True):
        tell(world, story(world, attempt_id, key)[1])
    world.consume()
    assert world.rows(t.dnd_number) == []
    assert world.rows(t.dnd_number, dnd_list_id=other_list) == []
    assert other_account != world.account_id


def test_opting_out_twice_is_opting_out_once(world: World) -> None:
    somebody = people(1)
    world.forbid(number(990))
    _, (attempt_id,) = ask(world, somebody)
    for second in ("20", "21"):
        event = told(
            world, attempt_id, "n_79103880489", f"2026-01-13-15-00-{second}", dtmf="9", type="notify"
        )
        tell(world, event)
        world.consume()
    assert {row.e164 for row in world.rows(t.dnd_number)} == {number(990), somebody[0].e164}


# --- asked about live ------------------------------------------------------------------------------------------


def asked_about(world: World, attempt_id: str, provider_id: str = "") -> answers.Asked | None:
    with reading(world.engine) as connection:
        return answers.of_attempt(connection, provider_id or world.provider_id, attempt_id)


def test_what_a_call_says_is_found_by_its_attempt_in_one_statement(world: World) -> None:
    _, (attempt_id,) = ask(world, people(1))
    found: list[answers.Asked | None] = []
    with reading(world.engine) as connection:
        read = partial(answers.of_attempt, connection, world.provider_id, attempt_id)
        assert statements(world.engine, lambda: found.append(read())) == 1
    asked = found[0]
    assert asked is not None
    assert asked.message is None
    submission = content.of_campaign(attempt_id, asked.call, asked.campaign)
    assert submission.flow is not None
    assert submission.flow.menus["main"].prompts[0].text == "Dear Ann, press 1, 2 or 9"


def test_a_provider_is_told_of_its_own_attempts_alone(world: World) -> None:
    _, (attempt_id,) = ask(world, people(1))
    assert asked_about(world, attempt_id, world.provider(name="another")) is None
    assert asked_about(world, "no-such-attempt") is None


def test_a_one_time_password_is_said_until_the_call_has_ended(world: World) -> None:
    world.set_provider(kind="mitto", credentials=world.box.seal({"access_key": "key"}))
    (attempt_id,) = world.dial([world.otp()])
    asked = asked_about(world, attempt_id)
    assert asked is not None
    assert asked.campaign is None
    assert content.of_single(attempt_id, asked.call, asked.message).text == "Your code is 1, 9, 8, 7"
    world.end([attempt_id])
    over = asked_about(world, attempt_id)
    assert over is not None
    with pytest.raises(TemplateError, match="no message"):
        content.of_single(attempt_id, over.call, over.message)
