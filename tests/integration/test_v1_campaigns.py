"""`/v1/campaigns`: made, changed, started, held and ended, as an upstream app asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from upstream import NOW, Upstream

from dialer.db import writing
from dialer.keys import Scope
from dialer.store import announce_templates, contacts, dnd, messages
from dialer.store import tables as t
from dialer.store.contacts import NewContact

FLOW = {
    "first": "main",
    "menus": {
        "main": {
            "prompts": [{"text": "Press 1, {contact_name}."}],
            "keys": {"1": {"does": "hang_up"}},
        }
    },
}


def a_list(upstream: Upstream, given: Sequence[NewContact] | None = None, name: str = "people") -> str:
    """A list of the first account: of one person unless told otherwise."""
    ann = NewContact("+12025550150", name="Ann", fields={"due": "5"}, time_zone="America/New_York")
    with writing(upstream.engine) as connection:
        list_id = contacts.add_list(connection, upstream.account_id, name, NOW)
        contacts.add(connection, list_id, [ann] if given is None else given, NOW)
    return list_id


def form(list_id: str, **more: Any) -> dict[str, Any]:
    given = {
        "name": "reminders",
        "list_id": list_id,
        "caller_id": "+1 516 814 8111",
        "text": "You owe {due}.",
    }
    return given | more


def made(upstream: Upstream, **more: Any) -> dict[str, Any]:
    """A campaign; a draft unless told otherwise."""
    list_id = more.pop("list_id", None) or a_list(upstream, name=f"people of {more.get('name', 'reminders')}")
    campaign: dict[str, Any] = upstream.got("POST", "/v1/campaigns", form(list_id, **more), status=201)
    return campaign


def row_of(upstream: Upstream, campaign: dict[str, Any]) -> Any:
    return upstream.rows(sa.select(t.campaign).where(t.campaign.c.id == campaign["id"]))[0]


def test_a_draft_is_shown_as_it_was_asked_for(upstream: Upstream) -> None:
    upstream.add_provider(name="cheap")
    with writing(upstream.engine) as connection:
        dnd_list_id = dnd.add_list(connection, upstream.account_id, "no", NOW)
    asked = {
        "dnd_list_ids": [dnd_list_id],
        "speech": {"language": "de-DE", "times": 2},
        "time_zone": "Asia/Kolkata",
        "start_at": "2026-10-01T09:00:00",
        "end_at": "2026-10-02T09:00:00+02:00",
        "calling_window": {"start": "09:00", "end": "18:00", "days": ["mon", "tue"]},
        "pace": {"calls_per_minute": 30, "max_concurrent": 5},
        "repeat_policy": {"most": 2, "rules": {"BUSY": {"times": 2, "delays": [60, 300]}}},
        "provider_repeats": True,
        "provider": "cheap",
        "start": False,
    }
    campaign = made(upstream, **asked)
    assert campaign["id"].startswith("CM")
    assert (campaign["state"], campaign["type"]) == ("DRAFT", "announcement")
    assert campaign["caller_id"] == "+15168148111"
    assert (campaign["start_at"], campaign["end_at"]) == ("2026-10-01T03:30:00Z", "2026-10-02T07:00:00Z")
    assert campaign["speech"] == {
        "voice": "Joanna", "language": "de-DE", "volume": "medium", "rate": "medium", "pitch": "medium",
        "engine": "standard", "times": 2,
    }  # fmt: skip
    for name in ("dnd_list_ids", "calling_window", "pace", "provider_repeats", "provider"):
        assert campaign[name] == asked[name]
    assert campaign["repeat_policy"]["rules"]["BUSY"]["delays"] == [60, 300]
    assert upstream.got("GET", f"/v1/campaigns/{campaign['id']}") == campaign
    assert row_of(upstream, campaign).wake_at is None
    # What it says can be sent back as it is.
    writable = {name: campaign[name] for name in asked.keys() - {"start"}}
    assert upstream.got("PATCH", f"/v1/campaigns/{campaign['id']}", writable) == campaign


def test_repeats_that_the_provider_cannot_make_are_refused_at_the_start(upstream: Upstream) -> None:
    upstream.add_provider()
    policy: dict[str, Any] = {"most": 1, "rules": {"NO_ANSWER": {"times": 2, "delays": [60]}}}
    campaign = made(upstream, repeat_policy=policy, provider_repeats=True)
    path = f"/v1/campaigns/{campaign['id']}"
    problem = upstream.refused(422, "POST", f"{path}/start")
    assert problem["errors"][0]["field"] == "provider_repeats"
    assert "leave most out" in problem["detail"]
    upstream.got("PATCH", path, {"repeat_policy": policy | {"most": None}})
    assert upstream.got("POST", f"{path}/start")["provider_repeats"] is True


def test_where_nobody_would_hear_of_the_keys_no_survey_starts(upstream: Upstream) -> None:
    upstream.add_provider(kind="mtt-voice")
    list_id = a_list(upstream)
    asked = form(list_id, flow=FLOW, text=None, speech={"language": "en-US"})
    problem = upstream.refused(422, "POST", "/v1/campaigns", asked | {"start": True})
    assert problem["errors"][0]["field"] == "provider"
    assert "set DIALER_PUBLIC_URL" in problem["detail"]
    path = f"/v1/campaigns/{upstream.got('POST', '/v1/campaigns', asked, status=201)['id']}"
    assert "DIALER_PUBLIC_URL" in upstream.got("POST", f"{path}/preflight")["problems"][0]
    for refused, body in (("start", None), ("test-call", {"to": "+46701112233"})):
        assert "DIALER_PUBLIC_URL" in upstream.refused(422, "POST", f"{path}/{refused}", body)["detail"]
    upstream.got("PATCH", path, {"flow": None, "text": "Good day."})
    upstream.got("POST", f"{path}/start")
    assert "DIALER_PUBLIC_URL" in upstream.refused(422, "PATCH", path, {"flow": FLOW, "text": None})["detail"]


def test_with_a_start_it_is_scheduled_and_needs_all_that_it_dials_with(upstream: Upstream) -> None:
    list_id = a_list(upstream)
    problem = upstream.refused(409, "POST", "/v1/campaigns", form(list_id, start=True))
    assert problem["errors"][0]["field"] == "provider"
    upstream.add_provider()
    campaign = made(upstream, list_id=list_id, start_at="2026-09-26T06:00:00Z")
    assert campaign["state"] == "SCHEDULED"
    assert row_of(upstream, campaign).wake_at == NOW + timedelta(days=1)
    at_once = made(upstream, list_id=list_id, name="now", start=True)
    assert row_of(upstream, at_once).wake_at == NOW
    assert at_once["end_at"] == "2026-10-25T06:00:00Z"
    problem = upstream.refused(409, "POST", "/v1/campaigns", form(list_id))
    assert problem["errors"][0]["field"] == "name"


def test_a_draft_needs_less_until_it_is_started(upstream: Upstream) -> None:
    empty = a_list(upstream, [], "empty")
    draft = made(upstream, list_id=empty)
    path = f"/v1/campaigns/{draft['id']}"
    assert "empty" in upstream.refused(422, "POST", f"{path}/start")["detail"]
    with writing(upstream.engine) as connection:
        contacts.add(connection, empty, [NewContact("+12025550150")], NOW)
    assert "{due}" in upstream.refused(422, "POST", f"{path}/start")["detail"]
    upstream.got("PATCH", path, {"text": "Good day"})
    upstream.refused(409, "POST", f"{path}/start")
    upstream.add_provider()
    upstream.clock.advance(days=31)
    assert "end_at" in upstream.refused(422, "POST", f"{path}/start")["detail"]
    upstream.got("PATCH", path, {"end_at": "2027-01-01T00:00:00Z"})
    started = upstream.got("POST", f"{path}/start")
    assert started["state"] == "SCHEDULED"
    assert upstream.got("POST", f"{path}/start") == started
    assert row_of(upstream, draft).wake_at == upstream.clock.now


#: As many prompts as a menu may have, so that nothing can be said before them.
TOO_LONG = {
    "first": "main",
    "menus": {"main": {"prompts": [{"text": "Press 1."}] * 10, "keys": {"1": {"does": "notify"}}}},
}
UNUSABLE: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "name"),
    ({"name": "a\u0000b"}, "name"),
    ({"list_id": "LS nobody"}, "list_id"),
    ({"caller_id": "me"}, "caller_id"),
    ({"text": None}, "text"),
    ({"text": "  "}, "text"),
    ({"text": "{due"}, "text"),
    ({"text": "Hello", "file": "hello.wav"}, "file"),
    ({"flow": {"first": "main", "menus": {}}}, "flow"),
    ({"flow": TOO_LONG, "text": "Good day."}, "flow"),
    ({"speech": {"volume": "shouting"}}, "speech.volume"),
    ({"speech": {"times": 21}}, "speech.times"),
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ({"start_at": "tomorrow"}, "start_at"),
    ({"start_at": "2026-13-01T00:00:00Z"}, "start_at"),
    ({"start_at": "2027-03-28T02:30:00", "time_zone": "Europe/Berlin"}, "start_at"),
    ({"start_at": "0001-01-01T00:00:00+14:00"}, "start_at"),
    ({"start_at": "2026-10-02T00:00:00Z", "end_at": "2026-10-01T00:00:00Z"}, "end_at"),
    ({"end_at": "2026-09-25T05:00:00Z", "start_at": "2026-09-24T05:00:00Z"}, "end_at"),
    ({"calling_window": {"start": "08:00"}}, "calling_window.end"),
    ({"calling_window": {"start": "8", "end": "21:00"}}, "calling_window"),
    ({"calling_window": {"start": "08:00", "end": "21:00", "days": ["someday"]}}, "calling_window"),
    ({"pace": {"calls_per_minute": 0}}, "pace.calls_per_minute"),
    ({"pace": {"max_concurrent": 10**9}}, "pace.max_concurrent"),
    ({"pace": {"speed": 1}}, "pace.speed"),
    ({"repeat_policy": {"rules": {"UNKNOWN": {"times": 1, "delays": [1]}}}}, "repeat_policy"),
    ({"repeat_policy": {"rules": {"BUSY": {"times": 1}}}}, "repeat_policy"),
    ({"dnd_list_ids": "DN1"}, "dnd_list_ids"),
    ({"type": 1}, "type"),
]  # fmt: skip
NOT_THEIRS: list[tuple[dict[str, Any], str]] = [
    ({"list_id": "LS1"}, "list_id"),
    ({"dnd_list_ids": ["DN1"]}, "dnd_list_ids"),
    ({"provider": "nobody"}, "provider"),
    ({"template_id": "AN1", "text": None}, "template_id"),
]


def test_what_cannot_be_used_is_named(upstream: Upstream) -> None:
    list_id = a_list(upstream)
    for status, table in ((422, UNUSABLE), (404, NOT_THEIRS)):
        for more, field in table:
            problem = upstream.refused(status, "POST", "/v1/campaigns", form(list_id) | more)
            assert problem["errors"][0]["field"] == field, more
    assert upstream.got("GET", "/v1/campaigns")["data"] == []


def test_only_an_approved_template_is_spoken(upstream: Upstream) -> None:
    with writing(upstream.engine) as connection:
        for template_id, state in (("AN1", "PENDING"), ("AN2", "APPROVED")):
            row = {
                "id": template_id,
                "account_id": upstream.account_id,
                "text": "You owe {due}.",
                "state": state,
            }
            announce_templates.add(connection, row | {"created_at": NOW})
    list_id = a_list(upstream)
    problem = upstream.refused(409, "POST", "/v1/campaigns", form(list_id, text=None, template_id="AN1"))
    assert problem["errors"][0]["field"] == "template_id"
    assert made(upstream, list_id=list_id, text=None, template_id="AN2")["text"] == "You owe {due}."
    nobody_owes = a_list(upstream, [NewContact("+12025550150")], "others")
    for flow in (None, FLOW):
        asked = form(nobody_owes, name="others", text=None, template_id="AN2", flow=flow, start=True)
        problem = upstream.refused(422, "POST", "/v1/campaigns", asked)
        assert problem["errors"][0]["field"] == "template_id"
        assert problem["detail"].startswith("template_id asks for {due}")


def test_a_survey_is_changed_as_a_whole(upstream: Upstream) -> None:
    survey = made(upstream, flow=FLOW, text="Good day.")
    assert (survey["type"], survey["text"]) == ("survey", None)
    said = [prompt["text"] for prompt in survey["flow"]["menus"]["main"]["prompts"]]
    assert said == ["Good day.", "Press 1, {contact_name}."]
    path = f"/v1/campaigns/{survey['id']}"
    upstream.refused(422, "PATCH", path, {"text": "Hello."})
    upstream.refused(422, "PATCH", path, {"flow": None})
    changed = upstream.got("PATCH", path, {"flow": FLOW, "text": "Hello."})
    assert changed["flow"]["menus"]["main"]["prompts"][0]["text"] == "Hello."
    plain = upstream.got("PATCH", path, {"flow": None, "text": "Only this."})
    assert (plain["type"], plain["text"], plain["flow"]) == ("announcement", "Only this.", None)
    assert (
        upstream.got("PATCH", path, {"text": None, "file": "provider/hello.wav"})["file"]
        == "provider/hello.wav"
    )


def test_what_has_begun_to_dial_changes_only_its_pace_window_end_and_name(upstream: Upstream) -> None:
    upstream.add_provider()
    campaign = made(upstream, start=True, pace={"calls_per_minute": 10, "max_concurrent": 4})
    path = f"/v1/campaigns/{campaign['id']}"
    upstream.got("PATCH", path, {"text": "Good day."})  # nobody was dialled yet
    with writing(upstream.engine) as connection:
        running = {"state": "RUNNING", "started_at": NOW, "wake_at": NOW + timedelta(hours=1)}
        connection.execute(t.campaign.update().values(**running))
    upstream.clock.advance(minutes=1)
    for change in ({"text": "No."}, {"list_id": campaign["list_id"]}, {"start_at": "2026-10-01T00:00:00Z"}):
        problem = upstream.refused(409, "PATCH", path, {**change, "name": "other"})
        assert problem["errors"][0]["field"] in change
    changes = {
        "pace": {"calls_per_minute": 60},
        "calling_window": {"start": "10:00", "end": "12:00"},
        "end_at": "2026-09-27T00:00:00Z",
    }
    changed = upstream.got("PATCH", path, changes)
    assert changed["pace"] == {"calls_per_minute": 60, "max_concurrent": 4}
    assert (changed["end_at"], changed["name"]) == ("2026-09-27T00:00:00Z", "reminders")
    row = row_of(upstream, campaign)
    assert (row.wake_at, row.announcement_text) == (upstream.clock.now, "Good day.")
    assert upstream.got("PATCH", path, {"pace": None, "calling_window": None})["pace"] == {
        "calls_per_minute": None,
        "max_concurrent": None,
    }
    upstream.refused(422, "PATCH", path, {"end_at": "2026-09-25T06:00:30Z"})
    upstream.got("POST", f"{path}/pause")
    upstream.got("PATCH", path, {"end_at": "2026-09-28T00:00:00Z"})
    assert row_of(upstream, campaign).wake_at == NOW.replace(day=28, hour=0)
    upstream.got("POST", f"{path}/stop")
    upstream.refused(409, "PATCH", path, {"name": "other"})


def test_held_resumed_and_stopped_as_often_as_one_likes(upstream: Upstream) -> None:
    upstream.add_provider()
    campaign = made(upstream, start_at="2026-09-26T06:00:00Z")
    path = f"/v1/campaigns/{campaign['id']}"
    upstream.clock.advance(seconds=1)
    for word, state in (
        ("pause", "PAUSED"),
        ("resume", "SCHEDULED"),
        ("pause", "PAUSED"),
        ("stop", "STOPPED"),
    ):
        upstream.clock.advance(seconds=1)
        moved = upstream.got("POST", f"{path}/{word}")
        assert moved["state"] == state
        assert upstream.got("POST", f"{path}/{word}") == moved
    for word in ("start", "pause", "resume"):
        assert "stopped" in upstream.refused(409, "POST", f"{path}/{word}")["detail"].lower()
    draft = made(upstream, name="draft")
    assert "draft" in upstream.refused(409, "POST", f"/v1/campaigns/{draft['id']}/pause")["detail"]
    told = upstream.got("GET", f"{path}/history")["data"]
    assert [(one["action"], one["to_state"]) for one in told] == [
        ("campaign.create", "SCHEDULED"),
        ("campaign.pause", "PAUSED"),
        ("campaign.resume", "SCHEDULED"),
        ("campaign.pause", "PAUSED"),
        ("campaign.stop", "STOPPED"),
    ]
    assert {one["actor"] for one in told} == {"account"}


def test_the_history_tells_who_changed_what(upstream: Upstream) -> None:
    draft = made(upstream)
    upstream.clock.advance(seconds=1)
    key = upstream.key(Scope.READ, Scope.CAMPAIGN)
    upstream.got("PATCH", f"/v1/campaigns/{draft['id']}", {"name": "better"}, key=key)
    told = upstream.got("GET", f"/v1/campaigns/{draft['id']}/history")["data"]
    assert [(one["action"], one["from_state"]) for one in told] == [
        ("campaign.create", None),
        ("campaign.change", None),
    ]
    assert told[1]["actor"].startswith("AK")
    assert told[1]["detail"] == {"changed": ["name"]}


def test_a_draft_that_is_started_at_once_was_moved_by_whoever_started_it(upstream: Upstream) -> None:
    upstream.add_provider()
    draft = made(upstream)
    path = f"/v1/campaigns/{draft['id']}"
    key = upstream.key(Scope.CAMPAIGN)
    for word in ("start", "pause", "resume"):
        upstream.got("POST", f"{path}/{word}", key=key)
    told = upstream.got("GET", f"{path}/history")["data"]
    assert sorted((one["action"], one["to_state"] or "", one["actor"][:2]) for one in told) == [
        ("campaign.create", "", "ac"),
        ("campaign.pause", "PAUSED", "AK"),
        ("campaign.resume", "RUNNING", "AK"),
        ("campaign.start", "SCHEDULED", "AK"),
    ]
    assert [one["detail"] for one in told if one["action"] == "campaign.create"] == [{"starts": False}]


def test_a_clone_is_a_draft_with_dates_of_its_own(upstream: Upstream) -> None:
    upstream.add_provider()
    campaign = made(upstream, start=True, end_at="2026-09-27T06:00:00Z", pace={"calls_per_minute": 10})
    upstream.got("POST", f"/v1/campaigns/{campaign['id']}/stop")
    upstream.clock.advance(days=10)
    clone = upstream.got("POST", f"/v1/campaigns/{campaign['id']}/clone", {"name": "again"}, status=201)
    assert (clone["state"], clone["name"], clone["list_id"]) == ("DRAFT", "again", campaign["list_id"])
    assert (clone["start_at"], clone["end_at"]) == ("2026-10-05T06:00:00Z", "2026-10-07T06:00:00Z")
    same = ("text", "speech", "pace", "repeat_policy", "caller_id", "calling_window")
    assert [clone[name] for name in same] == [campaign[name] for name in same]
    upstream.refused(409, "POST", f"/v1/campaigns/{campaign['id']}/clone", {"name": "again"})
    assert upstream.got("POST", f"/v1/campaigns/{clone['id']}/start")["state"] == "SCHEDULED"


def test_a_campaign_whose_list_is_gone_is_not_cloned(upstream: Upstream) -> None:
    draft = made(upstream)
    with writing(upstream.engine) as connection:
        connection.execute(t.campaign.update().values(state="STOPPED", wake_at=None, ended_at=NOW))
    assert upstream.ask("DELETE", f"/v1/lists/{draft['list_id']}").status_code == 204
    problem = upstream.refused(409, "POST", f"/v1/campaigns/{draft['id']}/clone", {"name": "again"})
    assert "was deleted" in problem["detail"]


def test_whoever_joins_must_have_what_the_text_asks_for(upstream: Upstream) -> None:
    upstream.add_provider()
    campaign = made(upstream, start=True)
    path = f"/v1/campaigns/{campaign['id']}"
    rows = [
        {"number": "+12025550151", "fields": {"due": 7}, "name": "Bob"},
        {"number": "+12025550152"},
        {"number": "12", "fields": {"due": "1"}},
        {"number": "+12025550150", "fields": {"due": "1"}},
    ]
    added = upstream.got("POST", f"{path}/contacts", {"contacts": rows})
    assert (added["accepted"], added["duplicate"], added["invalid"], added["suppressed"]) == (1, 1, 2, 0)
    assert [(one["index"], one["column"]) for one in added["errors"]] == [
        (1, "fields"),
        (2, "number"),
        (3, "number"),
    ]
    assert "{due}" in added["errors"][0]["reason"]
    assert upstream.got("GET", f"{path}/progress")["contacts"] == 2
    upstream.refused(422, "POST", f"{path}/contacts", {"contacts": []})
    upstream.got("POST", f"{path}/stop")
    late = [{"number": "+12025550153", "fields": {"due": "1"}}]
    upstream.refused(409, "POST", f"{path}/contacts", {"contacts": late})
    held = upstream.rows(sa.select(t.contact).where(t.contact.c.list_id == campaign["list_id"]))
    assert len(held) == 2
    assert [one["action"] for one in upstream.got("GET", f"{path}/history")["data"]].count(
        "campaign.add_contacts"
    ) == 1


def test_nobody_is_redialled_before_it_is_over(upstream: Upstream) -> None:
    upstream.add_provider()
    campaign = made(upstream, start=True)
    path = f"/v1/campaigns/{campaign['id']}/redial"
    upstream.refused(409, "POST", path, {"name": "again"})
    with writing(upstream.engine) as connection:  # as the scheduler leaves a stopped one
        stopped = {"state": "STOPPED", "wake_at": None, "ended_at": NOW, "end_position": 1}
        connection.execute(t.campaign.update().values(stopped))
        counted = [
            {"campaign_id": campaign["id"], "name": name, "count": 1} for name in ("taken", "CANCELLED")
        ]
        connection.execute(t.campaign_count.insert(), counted)
    upstream.refused(422, "POST", path, {"name": "again", "dispositions": ["ANSWERED"]})
    upstream.refused(409, "POST", path, {"name": "again", "undialled": False})
    again = upstream.got("POST", path, {"name": "again"}, status=201)
    assert (again["state"], again["contacts"], again["text"]) == ("DRAFT", 1, campaign["text"])
    assert again["list_id"] != campaign["list_id"]
    (told,) = upstream.got("GET", f"/v1/campaigns/{again['id']}/history")["data"]
    assert told["detail"] == {"of": campaign["id"], "contacts": 1}


def test_somebody_hears_a_draft_before_everybody_does(upstream: Upstream) -> None:
    draft = made(upstream, text="{contact_name} owes {due}.")
    path = f"/v1/campaigns/{draft['id']}/test-call"
    upstream.clock.advance(hours=8)  # 10 in New York
    upstream.refused(409, "POST", path, {"to": "+12125550199"})  # nobody could carry it
    upstream.add_provider()
    called = upstream.got("POST", path, {"to": "+1 212 555 0199"}, status=202)
    assert (called["state"], called["text"]) == ("WAITING", "Ann owes 5.")
    shown = upstream.got("GET", f"/v1/calls/{called['id']}")
    assert (shown["to"], shown["campaign_id"], shown["metadata"]) == (
        "+12125550199",
        None,
        {"test_of": draft["id"]},
    )
    own = {"to": "+12125550199", "fields": {"due": 9}, "name": "Eve"}
    assert upstream.got("POST", path, own, status=202)["text"] == "Eve owes 9."
    for status, field, body in (
        (422, "to", {"to": "12"}),
        (422, "to", {}),
        (422, "fields", {"to": "+12125550199", "fields": {}}),
        (422, "contact", {"to": "+12125550199", "contact": "x"}),
        (404, "contact", {"to": "+12125550199", "contact": "+12125550198"}),
    ):
        problem = upstream.refused(status, "POST", path, body)
        assert problem["errors"][0]["field"] == field
    upstream.clock.advance(hours=12)
    assert "there (America/New_York)" in upstream.refused(409, "POST", path, {"to": "+12125550199"})["detail"]
    assert upstream.got("GET", f"/v1/campaigns/{draft['id']}/progress")["not_taken"] == 1


def test_a_test_call_that_is_asked_for_again_rings_once(on_sqlite: Upstream) -> None:
    draft = made(on_sqlite, text="{contact_name} owes {due}.")
    path, body = f"/v1/campaigns/{draft['id']}/test-call", {"to": "+12125550199"}
    on_sqlite.clock.advance(hours=8)  # 10 in New York
    once = {"Idempotency-Key": "k"}
    first = on_sqlite.ask("POST", path, body, headers=once)
    again = on_sqlite.ask("POST", path, body, headers=once)
    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json(), again.headers["idempotent-replayed"]) == (again.json(), "true")
    assert len(on_sqlite.rows(sa.select(t.call))) == 1
    (kept,) = on_sqlite.rows(sa.select(t.idempotency_key))
    assert first.json()["text"].endswith(" owes 5.")
    assert " owes " not in str(kept)
    with writing(on_sqlite.engine) as connection:
        messages.wipe(connection, [first.json()["id"]])  # as when it ends
    assert on_sqlite.ask("POST", path, body, headers=once).json() == first.json() | {"text": None}
    problem = on_sqlite.refused(422, "POST", path, {"to": "+12125550198"}, headers=once)
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    on_sqlite.got("POST", path, body, status=202)
    assert len(on_sqlite.rows(sa.select(t.call))) == 2


def test_before_it_starts_it_tells_whom_it_would_call(upstream: Upstream) -> None:
    draft = made(upstream, start_at="2026-09-25T13:00:00Z", start=False, pace={"calls_per_minute": 10})
    path = f"/v1/campaigns/{draft['id']}"
    found = upstream.got("POST", f"{path}/preflight", key=upstream.key(Scope.READ))
    assert (found["contacts"], found["dialable"], found["suppressed"]) == (1, 1, 0)
    assert found["earliest_finish_at"] == "2026-09-25T13:00:06Z"  # 9 in New York
    assert (found["is_estimate"], len(found["problems"])) == (False, 1)
    assert "provider" in found["problems"][0].lower()
    with writing(upstream.engine) as connection:
        forbidden = dnd.global_list(connection, upstream.account_id)
        assert forbidden is not None
        dnd.add_numbers(connection, forbidden.id, [("+12025550150", "")], NOW)
    found = upstream.got("POST", f"{path}/preflight")
    assert (found["dialable"], found["suppressed"]) == (0, 1)
    assert found["suppressed_by_list"] == [{"dnd_list_id": forbidden.id, "contacts": 1}]
    shown = upstream.got("GET", f"{path}/progress")
    assert (shown["state"], shown["contacts"], shown["not_taken"], shown["answer_rate"]) == (
        "DRAFT",
        1,
        1,
        None,
    )
    assert set(shown["ended"].values()) == {0}
    upstream.got("POST", f"{path}/stop")
    upstream.refused(409, "POST", f"{path}/preflight")
    assert upstream.got("GET", f"{path}/progress")["expected_finish_at"] is None


def test_all_of_an_account_come_in_pages_the_newest_first(upstream: Upstream) -> None:
    upstream.add_provider()
    list_id = a_list(upstream)
    names = [f"c{number}" for number in range(5)]
    for name in names:
        made(upstream, list_id=list_id, name=name, start=name == "c2")
        if name != "c3":  # two have the same time
            upstream.clock.advance(seconds=1)
    seen, cursor = [], None
    while True:
        page = upstream.got("GET", "/v1/campaigns?limit=2" + (f"&cursor={cursor}" if cursor else ""))
        seen += [one["name"] for one in page["data"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert sorted(seen) == names
    assert seen[2:] == ["c2", "c1", "c0"]
    scheduled = upstream.got("GET", "/v1/campaigns?state=SCHEDULED")["data"]
    assert [one["name"] for one in scheduled] == ["c2"]
    assert upstream.got("GET", "/v1/campaigns", other=True)["data"] == []
    for query in ("cursor=x", "cursor=WyJhIiwiYiJd", "state=ASLEEP", "limit=0"):
        upstream.refused(422, "GET", f"/v1/campaigns?{query}")


def test_another_accounts_campaign_is_as_unknown_as_none(upstream: Upstream) -> None:
    campaign = made(upstream)
    endpoints = [
        ("GET", "", None), ("PATCH", "", {"name": "mine"}), ("POST", "/start", None), ("POST", "/pause", None),
        ("POST", "/resume", None), ("POST", "/stop", None), ("POST", "/clone", {"name": "mine"}),
        ("POST", "/redial", {"name": "mine"}), ("GET", "/history", None), ("POST", "/preflight", None),
        ("GET", "/progress", None), ("POST", "/test-call", {"to": "+12125550199"}),
        ("POST", "/contacts", {"contacts": [{"number": "+12025550151"}]}),
    ]  # fmt: skip
    for method, more, body in endpoints:
        theirs = upstream.refused(404, method, f"/v1/campaigns/{campaign['id']}{more}", body, other=True)
        nobody = upstream.refused(404, method, f"/v1/campaigns/CM0000000000{more}", body, other=True)
        assert theirs == nobody
    assert upstream.got("GET", f"/v1/campaigns/{campaign['id']}") == campaign
    upstream.refused(404, "POST", "/v1/campaigns", form(campaign["list_id"]), other=True)
    reader = upstream.key(Scope.READ)
    upstream.refused(403, "POST", f"/v1/campaigns/{campaign['id']}/stop", key=reader)
    assert upstream.got("GET", f"/v1/campaigns/{campaign['id']}", key=reader) == campaign
