"""The first-generation API, as an app written for its reference sees it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine, text
from structlog.testing import capture_logs
from upstream import Rings, application

from dialer import accounts, ids, schema
from dialer.api.app import make_app
from dialer.campaigns import control
from dialer.db import reading, writing
from dialer.embedded import EmbeddedServer
from dialer.errors import Conflict, NotFound
from dialer.lifecycle import CallState, CampaignState
from dialer.secrets import SecretBox
from dialer.settings import Settings
from dialer.store import accounts as accounts_store
from dialer.store import audit, campaigns, cdrs, contacts, dnd, imports, providers
from dialer.store.cdrs import Filter
from dialer.store.tables import call as call_table
from dialer.store.tables import contact as contact_table
from dialer.store.tables import history, inbound_call
from dialer.store.tables import provider as provider_table

NOW = datetime(2023, 9, 25, 6, 0, tzinfo=UTC)
ANKIT, ABC = "919979271234", "918000681234"


@dataclass
class World:
    """A served API with two accounts, a provider, and a clock that stands still."""

    engine: Engine
    settings: Settings
    client: httpx.Client
    account_id: str
    auth: str
    other_id: str
    other_auth: str
    doorbell: Rings = field(default_factory=Rings)

    def post(self, path: str, body: Any, *, other: bool = False) -> httpx.Response:
        who = (self.other_id, self.other_auth) if other else (self.account_id, self.auth)
        # `json.dumps` escapes halves of surrogate pairs, which httpx would not write.
        return self.client.post(path, content=json.dumps(body), headers={"account": who[0], "auth": who[1]})

    def ask(self, path: str, body: Any) -> dict[str, Any]:
        """The answer's envelope; it must be a success."""
        answer = self.post(path, body)
        assert answer.status_code == 200, answer.text
        response: dict[str, Any] = answer.json()["response"]
        assert response["success"] == "true"
        return response

    def refused(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        answer = self.post(path, body)
        response = answer.json()["response"]
        assert response["success"] == "false"
        return answer.status_code, response

    def upload(self, name: str, content: str | bytes) -> None:
        path = Path(self.settings.uploads) / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def filled_list(self, name: str = "my_campaign_list") -> str:
        list_id = self.ask("/api/create_campaign_list", {"list_name": name})["list_id"]
        self.ask("/api/add_contact_to_list", {"list_id": list_id, "contacts": CONTACTS})
        return str(list_id)

    def dnd_list(self, name: str = "my_first_DND_list") -> str:
        return str(self.ask("/api/create_campaign_dnd_list", {"dnd_list_name": name})["dnd_list_id"])

    def campaign(self, **changes: Any) -> str:
        body = {**CAMPAIGN, "list_id": self.filled_list(), "dnd_list_id": self.dnd_list(), **changes}
        return str(self.ask("/api/create_campaign", body)["campaign_id"])

    def row_of(self, campaign_id: str) -> Any:
        with reading(self.engine) as connection:
            return campaigns.with_ids(connection, [campaign_id])[campaign_id]


#: The bodies of the reference's examples, with digits for its X's.
CONTACTS = [
    {
        "contact_name": "ankit",
        "contact_number": ANKIT,
        "contact_fields": {"field1": "Ankit", "field2": "Jayswal", "field3": "500"},
    },
    {
        "contact_name": "abc",
        "contact_number": ABC,
        "contact_fields": {"field1": "abc", "field2": "xyz", "field3": "100"},
    },
]
DND_CONTACTS = [
    {"dnd_contact_name": "ankit", "dnd_contact_number": ANKIT},
    {"dnd_contact_name": "abc", "dnd_contact_number": ABC},
]
CAMPAIGN = {
    "campaign_name": "test_broadcast_campaign_test_volume",
    "campaign_type": "0",
    "campaign_caller_id": "15168148111",
    "dynamic_announcement": "1",
    "recorded_filename": "",
    "announcement_text": "Dear, {field1} , {field2}, Your due balance is,, {field3},,INR only",
    "campaign_start_date": "2023-09-25 14:05:00",
    "campaign_end_date": "2023-09-26 20:00:00",
    "time_zone": "Asia/Kolkata",
    "repeat": "2",
    "max_retries": "1",
    "retry_time": "60",
    "calls_per_minute": "10",
    "voice": "Matthew",
    "volume": "soft",
    "rate": "slow",
    "pitch": "medium",
    "language_code": "en-US",
    "tts_engine_type": "standard",
}


def add_provider(engine: Engine, settings: Settings, **values: Any) -> str:
    provider_id = ids.provider_id()
    row = {
        "id": provider_id,
        "name": "main",
        "kind": "mitto",
        "account_id": None,
        "base_url": "http://127.0.0.1:9/api",
        "credentials": SecretBox(settings.secret_keys()).seal({"access_key": "key"}),
        "enabled": True,
        "priority": 100,
        "webhook_token": "token",
        "created_at": NOW,
        **values,
    }
    with writing(engine) as connection:
        providers.add(connection, row)
    return provider_id


@contextmanager
def serving(database: Engine, tmp_path: Path, serve: Callable[[Any], str]) -> Iterator[World]:
    """The API over this database."""
    settings = Settings(home=tmp_path / "home", _env_file=None)
    with writing(database) as connection:
        account_id, auth = accounts.create(connection, "first", NOW)
        other_id, other_auth = accounts.create(connection, "second", NOW)
    add_provider(database, settings)
    doorbell = Rings()
    with (
        application(database, settings, doorbell=doorbell, clock=lambda: NOW) as app,
        httpx.Client(base_url=serve(app), timeout=20) as client,
    ):
        yield World(database, settings, client, account_id, auth, other_id, other_auth, doorbell)


@pytest.fixture
def world(database: Engine, tmp_path: Path, serve: Callable[[Any], str]) -> Iterator[World]:
    with serving(database, tmp_path, serve) as made:
        yield made


# Lists and DND lists


def test_a_list_is_made_and_filled_as_in_the_reference(world: World) -> None:
    made = world.ask("/api/create_campaign_list", {"list_name": "my_campaign_list"})
    assert set(made) == {"list_id", "success"}
    assert made["list_id"].startswith("LS")
    filled = world.ask("/api/add_contact_to_list", {"list_id": made["list_id"], "contacts": CONTACTS})
    assert filled == {"message": "(2) contacts imported successfully", "success": "true"}
    with reading(world.engine) as connection:
        first, second = connection.execute(
            sa.select(contact_table)
            .where(contact_table.c.list_id == made["list_id"])
            .order_by(contact_table.c.position)
        )
        counts = contacts.field_counts(connection, made["list_id"])
    assert (first.e164, first.name, first.time_zone) == (f"+{ANKIT}", "ankit", "Asia/Kolkata")
    assert first.fields == {"field1": "Ankit", "field2": "Jayswal", "field3": "500"}
    assert second.e164 == f"+{ABC}"
    assert counts == {"field1": 2, "field2": 2, "field3": 2}


def test_a_dnd_list_is_made_and_filled_as_in_the_reference(world: World) -> None:
    made = world.ask("/api/create_campaign_dnd_list", {"dnd_list_name": "my_first_DND_list"})
    assert set(made) == {"dnd_list_id", "success"}
    assert made["dnd_list_id"].startswith("DN")
    body = {"dnd_list_id": made["dnd_list_id"], "dnd_contacts": DND_CONTACTS}
    assert world.ask("/api/add_dnd_contact_to_list", body) == {
        "message": "(2) DND contacts imported successfully",
        "success": "true",
    }
    with reading(world.engine) as connection:
        assert len(dnd.listed(connection, [made["dnd_list_id"]], [f"+{ANKIT}", f"+{ABC}"])) == 2


def test_good_contacts_are_taken_and_bad_ones_listed_with_a_reason(world: World) -> None:
    list_id = world.ask("/api/create_campaign_list", {"list_name": "mixed"})["list_id"]
    rows = [
        CONTACTS[0],
        {"contact_name": "short", "contact_number": "12"},
        "not an object",
        {"contact_number": int(ANKIT)},
        {"contact_number": ABC, "time_zone": "Asia/Nowhere"},
        {"contact_number": "+" + ABC, "contact_name": None, "contact_fields": {"due": 500, "note": ""}},
        {"contact_number": ABC, "contact_fields": {"x": {"deep": 1}}},
        {"contact_number": {"a": 1}},
        {"contact_number": "\ud800"},
    ]
    answer = world.ask("/api/add_contact_to_list", {"list_id": list_id, "contacts": rows})
    assert answer["message"] == "(2) contacts imported successfully, (7) rejected"
    assert [(one["index"], one["contact_number"]) for one in answer["rejected"]] == [
        (1, "12"),
        (2, ""),
        (3, ANKIT),
        (4, ABC),
        (6, ABC),
        (7, ""),
        (8, ""),
    ]
    assert all(one["reason"].endswith(".") for one in answer["rejected"])
    assert answer["rejected"][2]["reason"] == "The number is in the list already."
    with reading(world.engine) as connection:
        assert contacts.field_counts(connection, list_id)["due"] == 1
        assert "note" not in contacts.field_counts(connection, list_id)


def test_contacts_may_come_as_json_in_a_string_as_the_reference_types_them(world: World) -> None:
    list_id = world.ask("/api/create_campaign_list", {"list_name": "text"})["list_id"]
    body = {"list_id": f" {list_id} ", "contacts": json.dumps(CONTACTS)}
    assert world.ask("/api/add_contact_to_list", body)["message"] == "(2) contacts imported successfully"


def test_only_bad_contacts_are_an_error(world: World) -> None:
    list_id = world.ask("/api/create_campaign_list", {"list_name": "bad"})["list_id"]
    status, answer = world.refused(
        "/api/add_contact_to_list", {"list_id": list_id, "contacts": [{"contact_number": "1"}]}
    )
    assert (status, len(answer["rejected"])) == (400, 1)


def test_an_account_without_a_country_code_in_its_numbers_needs_a_region(world: World) -> None:
    body = {"list_id": world.filled_list(), "contacts": [{"contact_number": "9979271235"}]}
    assert world.refused("/api/add_contact_to_list", body)[0] == 400
    with writing(world.engine) as connection:
        accounts_store.update(connection, world.account_id, default_region="IN")
    world.ask("/api/add_contact_to_list", body)


def test_new_contacts_wake_the_running_campaigns_of_their_list(world: World) -> None:
    campaign_id = world.campaign(campaign_start_date="2023-09-01 08:00:00")
    list_id = world.row_of(campaign_id).list_id
    with writing(world.engine) as connection:
        control.pause(connection, world.account_id, campaign_id, NOW)
    body = {"list_id": list_id, "contacts": [{"contact_number": "919979271298"}]}
    world.ask("/api/add_contact_to_list", body)
    assert world.row_of(campaign_id).wake_at > NOW
    with writing(world.engine) as connection:
        control.resume(connection, world.account_id, campaign_id, NOW)
        campaigns.update(connection, campaign_id, wake_at=NOW + timedelta(hours=1))
    assert world.post("/api/add_contact_to_list", body).is_success
    assert world.row_of(campaign_id).wake_at > NOW, "a duplicate wakes nobody"
    body["contacts"] = [{"contact_number": "919979271299"}]
    world.ask("/api/add_contact_to_list", body)
    assert world.row_of(campaign_id).wake_at == NOW


# CSV files


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (f"contact_number,contact_name,field1\n{ANKIT},ankit,a\n{ABC},abc,b\n", 2),
        (f"\ufefffield1 ; Contact_Name ;  PHONE \r\n a ; ankit ; {ANKIT} \r\n", 1),
    ],
)
def test_a_csv_file_is_imported_at_once(world: World, content: str, rows: int) -> None:
    list_id = world.ask("/api/create_campaign_list", {"list_name": "csv"})["list_id"]
    world.upload("contacts_dynamic_announcement.csv", content)
    body = {"list_id": list_id, "csv_name": "contacts_dynamic_announcement.csv"}
    assert world.ask("/api/import_broadcast_contacts_csv", body) == {
        "message": f"({rows}) contacts imported successfully",
        "success": "true",
    }


def test_a_dnd_csv_file_is_imported_at_once(world: World) -> None:
    world.upload("dnd_contacts.csv", f"dnd_contact_name,dnd_contact_number\nankit,{ANKIT}\nabc,{ABC}\n")
    body = {"dnd_list_id": world.dnd_list(), "dnd_csv_name": "dnd_contacts.csv"}
    assert world.ask("/api/import_dnd_contacts_csv", body) == {
        "message": "(2) DND contacts imported successfully",
        "success": "true",
    }


def test_bad_rows_of_a_csv_file_are_shown_with_their_lines(world: World) -> None:
    list_id = world.filled_list()
    world.upload("mixed.csv", f"phone,name\n{ANKIT},again\n12,short\n919979271299,new\n")
    answer = world.ask("/api/import_broadcast_contacts_csv", {"list_id": list_id, "csv_name": "mixed.csv"})
    assert answer["message"] == "(1) contacts imported successfully, (2) rejected"
    assert [(one["line"], one["code"]) for one in answer["rejected"]] == [(2, "duplicate"), (3, "invalid")]


def test_a_long_csv_file_goes_on_in_the_background(world: World) -> None:
    list_id = world.ask("/api/create_campaign_list", {"list_name": "long"})["list_id"]
    filler = "x" * world.settings.import_inline_bytes
    world.upload("long.csv", f"phone,name\n{ANKIT},ankit\n# {filler[:60_000]}\n" + f"{filler}\n")
    answer = world.ask("/api/import_broadcast_contacts_csv", {"list_id": list_id, "csv_name": "long.csv"})
    assert world.doorbell.imports == [answer["import_id"]]
    assert answer["import_id"] in answer["message"]
    with reading(world.engine) as connection:
        row = imports.get(connection, world.account_id, answer["import_id"])
        assert row is not None
        assert (row.state, row.accepted) == ("RUNNING", 0)
    status, refusal = world.refused("/api/create_campaign", {**CAMPAIGN, "list_id": list_id})
    assert (status, "still running" in refusal["message"]) == (409, True)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.csv",
        "/etc/passwd",
        "..",
        "a\\b.csv",
        ".hidden.csv",
        "link.csv",
        "none.csv",
        "folder",
        "n\0.csv",
    ],
)
def test_no_file_outside_the_uploads_folder_is_read(world: World, name: str) -> None:
    uploads = Path(world.settings.uploads)
    secret = uploads.parent / "secret.csv"
    secret.write_text(f"phone\n{ANKIT}\n")
    (uploads / ".hidden.csv").write_text(f"phone\n{ANKIT}\n")
    (uploads / "link.csv").symlink_to(secret)
    (uploads / "folder").mkdir()
    list_id = world.ask("/api/create_campaign_list", {"list_name": "paths"})["list_id"]
    status, answer = world.refused(
        "/api/import_broadcast_contacts_csv", {"list_id": list_id, "csv_name": name}
    )
    assert (status, answer["message"][:8]) == (400, "csv_name")


def test_an_account_has_a_folder_of_its_own_below_the_uploads(world: World) -> None:
    own = Path(world.settings.uploads) / world.account_id
    own.mkdir()
    (own / "mine.csv").write_text(f"phone\n{ANKIT}\n")
    list_id = world.ask("/api/create_campaign_list", {"list_name": "own"})["list_id"]
    world.ask("/api/import_broadcast_contacts_csv", {"list_id": list_id, "csv_name": "mine.csv"})
    theirs = world.post("/api/create_campaign_list", {"list_name": "own"}, other=True).json()["response"]
    body = {"list_id": theirs["list_id"], "csv_name": "mine.csv"}
    assert world.post("/api/import_broadcast_contacts_csv", body, other=True).status_code == 400


# Campaigns


def test_a_campaign_is_created_and_shown_as_in_the_reference(world: World) -> None:
    campaign_id = world.campaign()
    assert campaign_id.startswith("CM")
    answer = world.client.get(
        "/api/get_campaign_details", headers={"account": world.account_id, "auth": world.auth}
    )
    assert answer.json() == {
        "response": {
            "message": "campaign found",
            "result": [
                {
                    "calls_per_minute": "10",
                    "campaign_caller_id": "15168148111",
                    "campaign_end_date": "Tue, 26 Sep 2023 14:30:00 GMT",
                    "campaign_id": campaign_id,
                    "campaign_name": "test_broadcast_campaign_test_volume",
                    "campaign_start_date": "Mon, 25 Sep 2023 08:35:00 GMT",
                    "campaign_status": "0",
                    "campaign_type": "0",
                    "max_retries": "1",
                    "repeat_announcement_count": "2",
                    "retry_time": "60",
                }
            ],
            "success": "true",
        }
    }
    row = world.row_of(campaign_id)
    assert (row.state, row.wake_at, row.caller_id) == ("SCHEDULED", row.start_at, "+15168148111")
    assert (row.voice, row.volume, row.rate, row.repeat_count) == ("Matthew", "soft", "slow", 2)
    assert row.repeat_policy["most"] == 1
    assert "UNKNOWN" not in row.repeat_policy["rules"]


def test_a_campaign_takes_numbers_where_the_reference_has_texts_and_fills_in_its_defaults(
    world: World,
) -> None:
    body = {
        "list_id": world.filled_list(),
        "campaign_name": "numbers",
        "campaign_type": 0,
        "campaign_caller_id": 15168148111,
        "dynamic_announcement": 0,
        "recorded_filename": "provider/1042",
        "announcement_text": "",
        "campaign_start_date": "2023-09-25 14:05:00",
        "campaign_end_date": "2023-09-26 20:00:00",
        "repeat_count": 3,
        "retry_attempts": 2,
        "retry_time": 30.0,
        "retry_on_statuses": ["NOANSER", "BUSY"],
        "calls_per_minute": 0,
        "volume": "x- soft",
    }
    row = world.row_of(world.ask("/api/create_campaign", body)["campaign_id"])
    assert (row.recorded_filename, row.announcement_text) == ("provider/1042", None)
    assert (row.repeat_count, row.max_retries, row.retry_time) == (3, 2, 30)
    assert (row.calls_per_minute, row.max_concurrent, row.volume) == (None, None, "x-soft")
    assert (row.voice, row.rate, row.pitch, row.language_code) == ("Joanna", "medium", "medium", "en-US")
    assert (row.time_zone, row.tts_engine_type) == ("UTC", "standard")
    assert row.start_at == datetime(2023, 9, 25, 14, 5, tzinfo=UTC)
    assert set(row.repeat_policy["rules"]) == {"NO_ANSWER", "BUSY", "REJECTED"}


@pytest.mark.parametrize(
    ("changes", "column", "value"),
    [
        ({"dnd_list_id": ""}, "name", CAMPAIGN["campaign_name"]),
        (
            {"calling_window": {"start": "09:00", "end": "18:00"}},
            "calling_window",
            {"start": "09:00", "end": "18:00"},
        ),
        ({"max_concurrent": "7"}, "max_concurrent", 7),
        ({"campaign_caller_id": "1234"}, "caller_id", "1234"),
        ({"campaign_start_date": "2023-09-01 08:00:00"}, "state", "SCHEDULED"),
        ({"announcement_text": "{contact_name}, {contact_number}!\nBye."}, "repeat_count", 2),
        ({"time_zone": "US/Eastern"}, "time_zone", "US/Eastern"),
    ],
)
def test_further_wishes_of_a_campaign_are_kept(
    world: World, changes: dict[str, Any], column: str, value: object
) -> None:
    found = getattr(world.row_of(world.campaign(**changes)), column)
    if isinstance(value, dict):
        found = {name: found[name] for name in value}
    assert found == value


def test_repeats_may_be_given_as_a_policy_or_in_mittos_words(world: World) -> None:
    policy = {"most": 3, "rules": {"BUSY": {"times": 2, "delays": [60, 300]}}}
    own = world.row_of(world.campaign(repeat_policy=policy, max_retries=None))
    assert own.repeat_policy["rules"]["BUSY"] == {"times": 2, "delays": [60, 300]}
    body = {**CAMPAIGN, "list_id": own.list_id, "campaign_name": "mitto", "max_retries": ""}
    body |= {"isRepeat": 1, "repeatBusy": 1, "repeatBusyCount": "2", "repeatBusyInt": "90"}
    mitto = world.row_of(world.ask("/api/create_campaign", body)["campaign_id"])
    assert mitto.repeat_policy["rules"]["BUSY"] == {"times": 2, "delays": [90]}


IN_MITTOS_WORDS = {
    "isRepeat": 1,
    "repeatBusy": 1,
    "repeatBusyCount": 2,
    "repeatBusyInt": 90,
    "max_retries": "",
}


def test_the_provider_makes_the_repeats_where_that_is_asked_for(world: World) -> None:
    ours = world.row_of(world.campaign(**IN_MITTOS_WORDS))
    assert not ours.provider_repeats
    body = {**CAMPAIGN, **IN_MITTOS_WORDS, "list_id": ours.list_id, "campaign_name": "by itself"}
    made = world.ask("/api/create_campaign", body | {"provider_repeats": "1"})
    assert world.row_of(made["campaign_id"]).provider_repeats


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"max_retries": ""}, "there are none: give isRepeat"),
        ({"max_retries": "2"}, "leave most out"),
        ({**IN_MITTOS_WORDS, "repeatBusyCount": 100, "repeatBusyInt": 86400}, "may take 2408 h 25 min"),
        ({**IN_MITTOS_WORDS, "provider_repeats": "2"}, "provider_repeats"),
    ],
)
def test_repeats_that_no_provider_can_make_are_refused(
    world: World, changes: dict[str, Any], said: str
) -> None:
    body = {**CAMPAIGN, "list_id": world.filled_list(), "provider_repeats": "1", **changes}
    status, response = world.refused("/api/create_campaign", body)
    assert status == 400
    assert said in response["message"]
    assert "provider_repeats" in response["message"]


def test_a_kind_that_cannot_repeat_is_refused_with_those_that_can(world: World) -> None:
    with writing(world.engine) as connection:
        connection.execute(provider_table.update().values(kind="mtt-voice"))
    body = {**CAMPAIGN, **IN_MITTOS_WORDS, "list_id": world.filled_list(), "language_code": "ru-RU"}
    status, response = world.refused("/api/create_campaign", body | {"provider_repeats": "1"})
    assert status == 400
    assert "kinds that can: mitto" in response["message"]
    assert "mtt-voice cannot repeat calls by itself" in response["message"]


def test_several_dnd_lists_may_be_honoured(world: World) -> None:
    first, second = world.dnd_list("one"), world.dnd_list("two")
    campaign_id = world.campaign(dnd_list_id=f"{first}, {second}")
    with reading(world.engine) as connection:
        applied = campaigns.dnd_lists(connection, [campaign_id])[campaign_id]
        everywhere = dnd.global_list(connection, world.account_id)
    assert everywhere is not None
    assert set(applied) == {first, second, everywhere.id}


BAD_CAMPAIGNS: list[tuple[dict[str, Any], int, str]] = [
    ({"list_id": None}, 400, "list_id"),
    ({"list_id": "LS0000000000"}, 404, "list_id"),
    ({"list_id": ["LS"]}, 400, "list_id"),
    ({"list_id": "LS\0"}, 400, "list_id"),
    ({"list_id": "L" * 500}, 400, "list_id"),
    ({"dnd_list_id": "DN0000000000"}, 404, "dnd_list_id"),
    ({"dnd_list_id": 7}, 400, "dnd_list_id"),
    ({"dnd_list_id": [1]}, 400, "dnd_list_id"),
    ({"campaign_name": " "}, 400, "campaign_name"),
    ({"campaign_name": "n" * 201}, 400, "campaign_name"),
    ({"campaign_name": "a\0b"}, 400, "campaign_name"),
    ({"campaign_name": "\ud800"}, 400, "campaign_name"),
    ({"campaign_name": {"a": 1}}, 400, "campaign_name"),
    ({"campaign_type": "1"}, 400, "ask for keys"),
    ({"campaign_type": "2"}, 400, "campaign_type"),
    ({"campaign_type": "announce"}, 400, "campaign_type"),
    ({"campaign_caller_id": None}, 400, "campaign_caller_id"),
    ({"campaign_caller_id": "call me"}, 400, "campaign_caller_id"),
    ({"campaign_caller_id": "1" * 16}, 400, "campaign_caller_id"),
    ({"campaign_caller_id": True}, 400, "campaign_caller_id"),
    ({"dynamic_announcement": "2"}, 400, "dynamic_announcement"),
    ({"dynamic_announcement": None, "announcement_text": None}, 400, "dynamic_announcement"),
    ({"dynamic_announcement": "0"}, 400, "recorded_filename"),
    ({"announcement_text": ""}, 400, "announcement_text"),
    ({"announcement_text": "Dear {field1"}, 400, "announcement_text"),
    ({"announcement_text": "{0.__class__}"}, 400, "announcement_text"),
    ({"announcement_text": "{nobody}"}, 400, "{nobody}"),
    ({"announcement_text": "x" * 5001}, 400, "announcement_text"),
    ({"announcement_text": ["x"]}, 400, "announcement_text"),
    ({"campaign_start_date": None}, 400, "campaign_start_date"),
    ({"campaign_start_date": "tomorrow"}, 400, "campaign_start_date"),
    ({"campaign_start_date": "2023-02-30 10:00:00"}, 400, "campaign_start_date"),
    ({"campaign_start_date": 20230925}, 400, "campaign_start_date"),
    ({"campaign_end_date": None}, 400, "campaign_end_date"),
    ({"campaign_end_date": "2023-09-25 14:05:00"}, 400, "campaign_end_date"),
    ({"campaign_end_date": "2023-09-25"}, 400, "campaign_end_date"),
    (
        {"campaign_start_date": "2023-09-01 10:00:00", "campaign_end_date": "2023-09-02 10:00:00"},
        400,
        "campaign_end_date",
    ),
    ({"time_zone": "Asia/Nowhere"}, 400, "time_zone"),
    ({"time_zone": 5}, 400, "time_zone"),
    (
        {"time_zone": "Europe/Berlin", "campaign_end_date": "2024-03-31 02:30:00"},
        400,
        "campaign_end_date",
    ),
    ({"repeat": "0"}, 400, "repeat"),
    ({"repeat": "-1"}, 400, "repeat"),
    ({"repeat": "1.5"}, 400, "repeat"),
    ({"repeat_count": "3"}, 400, "repeat_count"),
    ({"max_retries": "often"}, 400, "max_retries"),
    ({"max_retries": "101"}, 400, "max_retries"),
    ({"max_retries": "1", "retry_attempts": "2"}, 400, "retry_attempts"),
    ({"retry_time": "-60"}, 400, "retry_time"),
    ({"retry_time": "9" * 30}, 400, "retry_time"),
    ({"retry_on_statuses": "NOANSWER,SLEEPY"}, 400, "retry_on_statuses"),
    ({"retry_on_statuses": {"a": 1}}, 400, "retry_on_statuses"),
    ({"repeat_policy": {"rules": {}}}, 400, "repeat_policy"),
    ({"repeat_policy": "BUSY", "max_retries": None}, 400, "repeat_policy"),
    ({"repeat_policy": {"rules": {"UNKNOWN": {}}}, "max_retries": None}, 400, "repeat_policy"),
    ({"isRepeat": "perhaps", "max_retries": None}, 400, "isRepeat"),
    ({"isRepeat": 1, "repeatBusy": 1, "max_retries": None}, 400, "repeatBusyCount"),
    ({"calls_per_minute": "fast"}, 400, "calls_per_minute"),
    ({"calls_per_minute": "-1"}, 400, "calls_per_minute"),
    ({"calls_per_minute": 1.5}, 400, "calls_per_minute"),
    ({"calls_per_minute": 10**15}, 400, "calls_per_minute"),
    ({"max_concurrent": True}, 400, "max_concurrent"),
    ({"calling_window": "all day"}, 400, "calling_window"),
    ({"calling_window": {"start": "25:00", "end": "26:00"}}, 400, "calling_window"),
    ({"calling_window": {"\ud800": 1}}, 400, "calling_window"),
    ({"voice": "../x"}, 400, "voice"),
    ({"volume": "deafening"}, 400, "volume"),
    ({"rate": "slowly"}, 400, "rate"),
    ({"pitch": 5}, 400, "pitch"),
    ({"language_code": "Klingon!"}, 400, "language_code"),
    ({"tts_engine_type": "steam"}, 400, "tts_engine_type"),
    ({"provider": "nobody"}, 404, "provider"),
]


def test_every_bad_campaign_is_refused_with_the_fields_name(world: World) -> None:
    good = {**CAMPAIGN, "list_id": world.filled_list(), "dnd_list_id": world.dnd_list()}
    wrong = []
    for changes, status, named in BAD_CAMPAIGNS:
        answer = world.post("/api/create_campaign", {**good, **changes})
        message = answer.json()["response"]["message"]
        if answer.status_code != status or named not in message:
            wrong.append((changes, answer.status_code, message))
    assert wrong == []
    with reading(world.engine) as connection:
        assert campaigns.of_account(connection, world.account_id) == []


BAD_BODIES: list[tuple[str, Any, int, str]] = [
    ("create_campaign_list", {}, 400, "list_name"),
    ("create_campaign_list", {"list_name": None}, 400, "list_name"),
    ("create_campaign_list", {"list_name": []}, 400, "list_name"),
    ("create_campaign_list", {"list_name": "n" * 201}, 400, "list_name"),
    ("create_campaign_list", ["list_name"], 400, "body"),
    ("create_campaign_list", "text", 400, "body"),
    ("create_campaign_dnd_list", {"dnd_list_name": ""}, 400, "dnd_list_name"),
    ("create_campaign_dnd_list", {"dnd_list_name": "global"}, 409, "dnd_list_name"),
    ("add_contact_to_list", {"contacts": CONTACTS}, 400, "list_id"),
    ("add_contact_to_list", {"list_id": "LS0000000000", "contacts": CONTACTS}, 404, "list_id"),
    ("add_contact_to_list", {"list_id": "LS"}, 400, "contacts"),
    ("add_contact_to_list", {"list_id": "LS", "contacts": []}, 400, "contacts"),
    ("add_contact_to_list", {"list_id": "LS", "contacts": "[{"}, 400, "contacts"),
    ("add_contact_to_list", {"list_id": "LS", "contacts": {"a": 1}}, 400, "contacts"),
    ("add_dnd_contact_to_list", {"dnd_contacts": DND_CONTACTS}, 400, "dnd_list_id"),
    ("add_dnd_contact_to_list", {"dnd_list_id": "DN"}, 400, "dnd_contacts"),
    ("add_dnd_contact_to_list", {"dnd_list_id": "DN1", "dnd_contacts": DND_CONTACTS}, 404, "dnd_list_id"),
    ("import_broadcast_contacts_csv", {"csv_name": "a.csv"}, 400, "list_id"),
    ("import_broadcast_contacts_csv", {"list_id": "LS", "csv_name": "a.csv"}, 404, "list_id"),
    ("import_broadcast_contacts_csv", {"list_id": "LS"}, 400, "csv_name"),
    ("import_dnd_contacts_csv", {"dnd_list_id": "DN"}, 400, "dnd_csv_name"),
    ("import_dnd_contacts_csv", {"dnd_list_id": "DN", "dnd_csv_name": "a.csv"}, 404, "dnd_list_id"),
    ("stop_campaign", {}, 400, "campaign_id"),
    ("stop_campaign", {"campaign_id": "CM0000000000"}, 404, "campaign_id"),
    ("stop_campaign", {"campaign_id": 5.5}, 404, "campaign_id"),
    ("get_cdr_by_campaign_id", {"campaign_id": None}, 400, "campaign_id"),
    ("get_cdr_by_campaign_id", {"campaign_id": "CM0000000000"}, 404, "campaign_id"),
    ("get_campaign_cdr_statistics", {"campaign_id": {}}, 400, "campaign_id"),
    ("get_campaign_cdr_statistics", {"campaign_id": "CM0000000000"}, 404, "campaign_id"),
    ("nothing_like_this", {}, 404, "path"),
]


def test_every_bad_body_is_refused_with_the_fields_name(world: World) -> None:
    wrong = []
    for path, body, status, named in BAD_BODIES:
        got, response = world.refused(f"/api/{path}", body)
        if got != status or named not in response["message"]:
            wrong.append((path, body, got, response["message"]))
    assert wrong == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"list_name": NaN}', b"[" * 100_000, b"1" * 5000]
)
def test_what_is_not_json_is_refused(world: World, content: bytes) -> None:
    answer = world.client.post(
        "/api/create_campaign_list",
        content=content,
        headers={"account": world.account_id, "auth": world.auth},
    )
    assert (answer.status_code, answer.json()["response"]["success"]) == (400, "false")


@pytest.mark.parametrize("announced", [True, False])
def test_too_long_a_body_is_refused(world: World, announced: bool) -> None:
    piece = b" " * 1_000_000
    pieces: Any = piece * 11 if announced else (piece for _ in range(11))
    answer = world.client.post(
        "/api/create_campaign_list",
        content=pieces,
        headers={"account": world.account_id, "auth": world.auth},
    )
    assert (answer.status_code, answer.json()["response"]["success"]) == (413, "false")


def test_a_taken_name_is_a_conflict_and_free_to_other_accounts(world: World) -> None:
    list_id = world.filled_list()
    world.ask("/api/create_campaign", {**CAMPAIGN, "list_id": list_id})
    assert world.refused("/api/create_campaign", {**CAMPAIGN, "list_id": list_id})[0] == 409
    assert world.refused("/api/create_campaign_list", {"list_name": "my_campaign_list"})[0] == 409
    assert world.post("/api/create_campaign_list", {"list_name": "my_campaign_list"}, other=True).is_success


def test_an_empty_list_and_a_field_that_some_lack_are_refused(world: World) -> None:
    list_id = world.ask("/api/create_campaign_list", {"list_name": "few"})["list_id"]
    status, answer = world.refused("/api/create_campaign", {**CAMPAIGN, "list_id": list_id})
    assert (status, "empty" in answer["message"]) == (400, True)
    rows = [*CONTACTS, {"contact_number": "919979271299", "contact_fields": {"field1": "x", "field2": "y"}}]
    world.ask("/api/add_contact_to_list", {"list_id": list_id, "contacts": rows})
    status, answer = world.refused("/api/create_campaign", {**CAMPAIGN, "list_id": list_id})
    assert status == 400
    assert "{field3}, which 1 of the list's 3 contacts do not have" in answer["message"]


def test_without_a_provider_that_can_carry_it_no_campaign_is_made(world: World) -> None:
    body = {**CAMPAIGN, "list_id": world.filled_list()}
    with reading(world.engine) as connection:
        main = providers.named(connection, "main")
    assert main is not None
    with writing(world.engine) as connection:
        providers.update(connection, main.id, enabled=False)
    status, answer = world.refused("/api/create_campaign", body)
    assert (status, "mitto" in answer["message"]) == (409, True)
    with writing(world.engine) as connection:
        providers.update(connection, main.id, enabled=True, account_id=world.other_id)
    assert world.refused("/api/create_campaign", body)[0] == 409
    with writing(world.engine) as connection:
        providers.update(connection, main.id, account_id=world.account_id)
    status, answer = world.refused("/api/create_campaign", {**body, "language_code": "sw-KE"})
    assert (status, "sw-KE" in answer["message"]) == (400, True)
    assert world.row_of(world.ask("/api/create_campaign", {**body, "provider": "main"})["campaign_id"])


# Stopping, pausing, resuming


@pytest.mark.parametrize("path", ["/stop_campaign", "/api/stop_campaign"])
def test_a_campaign_is_stopped_once(world: World, path: str) -> None:
    campaign_id = world.campaign()
    stopped = world.ask(path, {"campaign_id": f" {campaign_id} "})
    assert stopped == {"message": " campaign stopped successfully", "success": "true"}
    row = world.row_of(campaign_id)
    assert (row.state, row.wake_at, row.ended_at) == ("STOPPED", NOW, NOW)
    status, answer = world.refused(path, {"campaign_id": campaign_id})
    assert (status, "stopped already" in answer["message"]) == (409, True)


def test_a_paused_campaign_waits_for_its_start_or_runs_on(world: World) -> None:
    campaign_id, account_id = world.campaign(), world.account_id
    with writing(world.engine) as connection:
        control.pause(connection, account_id, campaign_id, NOW)
    paused = world.row_of(campaign_id)
    assert (paused.state, paused.wake_at) == ("PAUSED", paused.end_at)
    with writing(world.engine) as connection:
        control.resume(connection, None, campaign_id, NOW)
    assert world.row_of(campaign_id).wake_at == paused.start_at
    later = paused.start_at + timedelta(hours=1)
    with writing(world.engine) as connection:
        control.pause(connection, account_id, campaign_id, later)
        control.resume(connection, account_id, campaign_id, later)
    running = world.row_of(campaign_id)
    assert (running.state, running.wake_at, running.started_at) == (CampaignState.RUNNING, later, later)
    with reading(world.engine) as connection:
        steps = [row.to_state for row in connection.execute(history.select().order_by(history.c.id))]
    assert steps == ["SCHEDULED", "PAUSED", "SCHEDULED", "PAUSED", "RUNNING"]


def test_what_the_state_does_not_allow_is_a_conflict(world: World) -> None:
    campaign_id = world.campaign()
    end_at = world.row_of(campaign_id).end_at

    def attempt(act: Callable[..., None], at: datetime) -> None:
        with pytest.raises(Conflict, match="campaign"), writing(world.engine) as connection:
            act(connection, world.account_id, campaign_id, at)

    attempt(control.resume, NOW)
    with writing(world.engine) as connection:
        control.pause(connection, world.account_id, campaign_id, NOW)
    attempt(control.pause, NOW)
    attempt(control.resume, end_at)
    with writing(world.engine) as connection:
        control.stop(connection, None, campaign_id, NOW)
    for act in (control.pause, control.resume, control.stop):
        attempt(act, NOW)
    with pytest.raises(NotFound), writing(world.engine) as connection:
        control.stop(connection, None, "CM0000000000", NOW)


# CDRs


def add_cdrs(world: World, campaign_id: str, rows: list[dict[str, Any]]) -> None:
    """CDRs of a campaign, each with its call."""
    campaign = world.row_of(campaign_id)
    call_ids = ids.call_ids(len(rows), NOW)
    with writing(world.engine) as connection:
        connection.execute(
            call_table.insert(),
            [
                {
                    "id": call_id,
                    "account_id": campaign.account_id,
                    "campaign_id": campaign_id,
                    "e164": f"+91997{number:07}",
                    "time_zone": "UTC",
                    "state": CallState.COMPLETED.value,
                    "due_at": NOW,
                    "repeats": {},
                    "created_at": NOW,
                }
                for number, call_id in enumerate(call_ids)
            ],
        )
        cdrs.add(
            connection,
            [
                {
                    "account_id": campaign.account_id,
                    "campaign_id": campaign_id,
                    "list_id": campaign.list_id,
                    "call_id": call_id,
                    "campaign_type": 0,
                    "caller_id": "+15168148720",
                    **row,
                }
                for call_id, row in zip(call_ids, rows, strict=True)
            ],
        )


SUPPRESSED = {
    "e164": f"+{ABC}",
    "dial_status": "DND",
    "disposition": None,
    "attempt_id": None,
    "call_date": datetime(2023, 7, 18, 6, 11, 10, tzinfo=UTC),
    "answered_at": None,
    "ended_at": None,
    "duration": None,
    "billsec": None,
}
ANSWERED = {
    "e164": f"+{ANKIT}",
    "dial_status": "ANSWER",
    "disposition": "ANSWERED",
    "attempt_id": "1689660670-1",
    "call_date": datetime(2023, 7, 18, 6, 11, 30, tzinfo=UTC),
    "answered_at": datetime(2023, 7, 18, 6, 11, 19, 500_000, tzinfo=UTC),
    "ended_at": datetime(2023, 7, 18, 6, 11, 30, tzinfo=UTC),
    "duration": 19.8233,
    "billsec": 11.2202,
}


def test_the_cdrs_of_a_campaign_look_as_in_the_reference(world: World) -> None:
    campaign_id = world.campaign()
    add_cdrs(world, campaign_id, [SUPPRESSED, ANSWERED])
    answer = world.ask("/api/get_cdr_by_campaign_id", {"campaign_id": campaign_id})
    assert answer["message"] == "cdr found"
    first, second = answer["result"]
    both = {
        "account_id": world.account_id,
        "agent_number": "",
        "call_direction": "outbound-campaign",
        "caller_id": "15168148720",
        "customer_number": "",
        "destination_context": "local_call_campaign_type_0",
        "dtmf_inputs": "",
        "list_id": world.row_of(campaign_id).list_id,
        "recording_name": "",
    }
    assert first == {
        **both,
        "answer": "Thu, 01 Jan 1970 00:00:00 GMT",
        "billsec": None,
        "call_date": "Tue, 18 Jul 2023 06:11:10 GMT",
        "call_duration": None,
        "call_status": None,
        "dial_status": "DND",
        "dialed_number": ABC,
        "end": "Thu, 01 Jan 1970 00:00:00 GMT",
        "id": first["id"],
        "is_dnd": "1",
        "request_id": first["request_id"],
        "uniqueid": "",
    }
    assert second == {
        **both,
        "answer": "Tue, 18 Jul 2023 06:11:19 GMT",
        "billsec": 11.2202,
        "call_date": "Tue, 18 Jul 2023 06:11:30 GMT",
        "call_duration": 19.8233,
        "call_status": "ANSWERED",
        "dial_status": "ANSWER",
        "dialed_number": ANKIT,
        "end": "Tue, 18 Jul 2023 06:11:30 GMT",
        "id": second["id"],
        "is_dnd": "0",
        "request_id": second["request_id"],
        "uniqueid": "1689660670-1",
    }
    assert second["id"] > first["id"]


@pytest.mark.parametrize("count", [0, cdrs.PAGE, cdrs.PAGE + 1])
def test_all_cdrs_of_a_campaign_come_in_order_page_by_page(world: World, count: int) -> None:
    campaign_id = world.campaign()
    if count:
        add_cdrs(world, campaign_id, [SUPPRESSED] * count)
    result = world.ask("/api/get_cdr_by_campaign_id", {"campaign_id": campaign_id})["result"]
    numbers = [one["id"] for one in result]
    assert (len(numbers), numbers) == (count, sorted(set(numbers)))
    exported = list(cdrs.export(world.engine, Filter(campaign_id=campaign_id), account_id=world.account_id))
    assert [row.id for row in exported] == numbers


def test_an_export_holds_one_accounts_cdrs_between_two_dates(world: World) -> None:
    add_cdrs(world, world.campaign(), [SUPPRESSED, ANSWERED])
    moment = ANSWERED["call_date"]
    assert isinstance(moment, datetime)
    assert [row.dial_status for row in cdrs.export(world.engine, Filter(since=moment))] == ["ANSWER"]
    assert [row.dial_status for row in cdrs.export(world.engine, Filter(before=moment))] == ["DND"]
    assert list(cdrs.export(world.engine, Filter(), account_id=world.other_id)) == []


def test_a_settled_attempt_corrects_its_cdr(world: World) -> None:
    campaign_id = world.campaign()
    add_cdrs(world, campaign_id, [ANSWERED])
    with writing(world.engine) as connection:
        cdrs.update_settled(connection, [{"_id": "1689660670-1", "billsec": 12.5, "dial_status": "BUSY"}])
    result = world.ask("/api/get_cdr_by_campaign_id", {"campaign_id": campaign_id})["result"]
    assert (result[0]["billsec"], result[0]["dial_status"]) == (12.5, "BUSY")


def test_the_statistics_of_a_campaign_look_as_in_the_reference(world: World) -> None:
    campaign_id = world.campaign()
    with writing(world.engine) as connection:
        deltas = campaigns.Deltas(
            {(campaign_id, "cdr.ANSWER"): 5, (campaign_id, "cdr.DND"): 4, (campaign_id, "taken"): 9}
        )
        campaigns.count(connection, deltas)
    answer = world.client.post(
        "/api/get_campaign_cdr_statistics",
        json={"campaign_id": f" {campaign_id} "},
        headers={"account": world.account_id, "auth": world.auth},
    )
    assert answer.json() == {
        "response": {
            "result": {
                "answer_calls": [5],
                "busy_calls": [0],
                "cancel_calls": [0],
                "chanunavail_calls": [0],
                "congestion_calls": [0],
                "dnd_calls": [4],
                "noanswer_calls": [0],
                "total_calls": [9],
            },
            "success": "true",
        }
    }


# Who may do what


def test_an_account_never_reaches_anothers_things(world: World) -> None:
    campaign_id, list_id = world.campaign(), world.filled_list("mine")
    dnd_list_id = world.dnd_list("mine")
    add_cdrs(world, campaign_id, [ANSWERED])
    world.upload("contacts.csv", "phone\n919979271299\n")
    before = world.row_of(campaign_id)
    theirs = world.post("/api/create_campaign_list", {"list_name": "theirs"}, other=True).json()["response"]
    body = {"list_id": theirs["list_id"], "contacts": CONTACTS}
    assert world.post("/api/add_contact_to_list", body, other=True).is_success
    tries = [
        ("/api/add_contact_to_list", {"list_id": list_id, "contacts": [{"contact_number": "919979271299"}]}),
        ("/api/import_broadcast_contacts_csv", {"list_id": list_id, "csv_name": "contacts.csv"}),
        ("/api/add_dnd_contact_to_list", {"dnd_list_id": dnd_list_id, "dnd_contacts": DND_CONTACTS}),
        ("/api/import_dnd_contacts_csv", {"dnd_list_id": dnd_list_id, "dnd_csv_name": "contacts.csv"}),
        ("/api/create_campaign", {**CAMPAIGN, "list_id": list_id}),
        ("/api/create_campaign", {**CAMPAIGN, "list_id": theirs["list_id"], "dnd_list_id": dnd_list_id}),
        ("/api/stop_campaign", {"campaign_id": campaign_id}),
        ("/stop_campaign", {"campaign_id": campaign_id}),
        ("/api/get_cdr_by_campaign_id", {"campaign_id": campaign_id}),
        ("/api/get_campaign_cdr_statistics", {"campaign_id": campaign_id}),
    ]
    assert [world.post(path, tried, other=True).status_code for path, tried in tries] == [404] * len(tries)
    details = world.client.get(
        "/api/get_campaign_details", headers={"account": world.other_id, "auth": world.other_auth}
    )
    assert details.json()["response"]["result"] == []
    assert world.row_of(campaign_id) == before
    with reading(world.engine) as connection:
        assert contacts.count(connection, list_id) == 2
        assert dnd.count_numbers(connection, dnd_list_id) == 0


def test_only_the_right_key_of_an_enabled_account_opens_the_api(world: World) -> None:
    def status(**headers: str) -> int:
        answer = world.client.get("/api/get_campaign_details", headers=headers)
        assert answer.status_code == 200 or answer.json()["response"]["success"] == "false"
        return answer.status_code

    assert status(account=world.account_id, auth=world.auth) == 200
    assert status() == 401
    assert status(account=world.account_id) == 401
    assert status(account=world.account_id, auth="") == 401
    assert status(account=world.account_id, auth=world.other_auth) == 401
    assert status(account="AC0000000000", auth=world.auth) == 401
    assert status(account="' OR 1=1", auth=world.auth) == 401
    with writing(world.engine) as connection:
        _, renewed = accounts.rotate(connection, "first")
    assert status(account=world.account_id, auth=world.auth) == 401
    assert status(account=world.account_id, auth=renewed) == 200
    with writing(world.engine) as connection:
        accounts_store.update(connection, world.account_id, enabled=False)
    assert status(account=world.account_id, auth=renewed) == 401


def test_an_account_name_is_taken_once(world: World) -> None:
    with pytest.raises(Conflict, match="first"), writing(world.engine) as connection:
        accounts.create(connection, "first", NOW)
    with pytest.raises(NotFound, match="nobody"), writing(world.engine) as connection:
        accounts.rotate(connection, "nobody")


def test_the_unexpected_shows_nothing_and_is_logged(world: World, serve: Callable[[Any], str]) -> None:
    def broken_clock() -> datetime:
        raise RuntimeError("inner secret")

    serve(make_app(world.engine, world.settings, doorbell=world.doorbell, clock=broken_clock))
    with capture_logs() as logged:
        answer = world.post("/api/create_campaign_list", {"list_name": "x"})
    assert (answer.status_code, answer.json()["response"]["success"]) == (500, "false")
    assert "secret" not in answer.text
    assert [(one["event"], one["log_level"], one["exc_info"]) for one in logged] == [
        ("a request failed", "error", True)
    ]


# Health


def test_ready_means_that_database_schema_redis_and_broker_answer(world: World) -> None:
    assert world.client.get("/healthz").json() == {"status": "alive"}
    down = world.client.get("/readyz")
    assert down.status_code == 503
    assert {name: check == "ok" for name, check in down.json()["checks"].items()} == {
        "database": True,
        "schema": True,
        "redis": False,
        "broker": False,
    }
    with EmbeddedServer.of(world.settings):
        up = world.client.get("/readyz")
    assert (up.status_code, up.json()["status"]) == (200, "ready")


def test_a_database_that_newer_code_has_upgraded_serves_this_one_as_well(world: World) -> None:
    with writing(world.engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        assert world.client.get("/readyz").json()["checks"]["schema"] == "ok"
    finally:
        with writing(world.engine) as connection:
            connection.execute(
                text("UPDATE alembic_version SET version_num = :head"), {"head": schema.head()}
            )


# Calls that come in, and calls that go on


def test_live_calls_are_counted_by_what_they_are(world: World) -> None:
    states = [
        ("CAMPAIGN", "IN_PROGRESS"), ("CAMPAIGN", "DIALLING"), ("CAMPAIGN", "RELEASED"), ("CAMPAIGN", "COMPLETED"),
        ("OTP", "IN_PROGRESS"), ("CLICK_TO_CALL", "IN_PROGRESS"), ("CALLBACK", "DIALLING"),
    ]  # fmt: skip
    with writing(world.engine) as connection:
        for account_id in (world.account_id, world.other_id):
            for (kind, state), call_id in zip(states, ids.call_ids(len(states), NOW), strict=True):
                row = {
                    "id": call_id, "account_id": account_id, "kind": kind, "e164": "+919979271234",
                    "time_zone": "UTC", "state": state, "due_at": NOW, "repeats": {}, "created_at": NOW,
                }  # fmt: skip
                connection.execute(call_table.insert(), row)
            for session, recorded in (("one", False), ("two", True)):
                row = {
                    "id": ids.call_ids(1, NOW)[0], "provider_id": "PR1", "session": f"{account_id} {session}",
                    "account_id": account_id, "told": [], "recorded": recorded, "started_at": NOW,
                }  # fmt: skip
                connection.execute(inbound_call.insert(), row)
    headers = {"account": world.account_id, "auth": world.auth}
    answer = world.client.get("/api/get_live_call_statistics", headers=headers)
    assert answer.json() == {
        "response": {
            "result": {
                "live_calls_c2c": 2,
                "live_calls_campaign": 2,
                "live_calls_inbound": 1,
                "live_calls_otp": 1,
            },
            "success": "true",
        }
    }


def test_a_call_that_came_in_is_shown_as_such(world: World) -> None:
    (call_id,) = ids.call_ids(1, NOW)
    row = {
        "account_id": world.account_id, "call_id": call_id, "attempt_id": call_id, "kind": "INBOUND",
        "e164": f"+{ANKIT}", "caller_id": f"+{ABC}", "connect_to": "+15168148111", "disposition": "ANSWERED",
        "dial_status": "ANSWER", "call_date": NOW,
    }  # fmt: skip
    with writing(world.engine) as connection:
        cdrs.add(connection, [row])
    (shown,) = world.ask("/api/get_cdr_by_request_id", {"request_id": call_id})["result"]
    told = (
        "call_direction",
        "destination_context",
        "caller_id",
        "dialed_number",
        "customer_number",
        "agent_number",
    )
    assert [shown[name] for name in told] == ["inbound", "inbound", ABC, ANKIT, ABC, "15168148111"]
    status, _ = world.refused("/api/get_cdr_by_request_id", {"request_id": ids.call_ids(1, NOW)[0]})
    assert status == 404


# --- the audit log -------------------------------------------------------------------------------------------


def test_every_change_stands_in_the_audit_log_of_its_account_alone(world: World) -> None:
    campaign_id = world.campaign()
    world.ask("/api/stop_campaign", {"campaign_id": campaign_id})
    list_id = world.row_of(campaign_id).list_id
    world.upload("more.csv", "contact_number\n918000681235\n")
    world.ask("/api/import_broadcast_contacts_csv", {"list_id": list_id, "csv_name": "more.csv"})
    assert world.refused("/api/stop_campaign", {"campaign_id": campaign_id})[0] == 409, "changes nothing"
    with reading(world.engine) as connection:
        rows = audit.of_account(connection, world.account_id, 100)
        assert audit.of_account(connection, world.other_id, 100) == []
    assert [(row.action, row.actor, row.subject == campaign_id) for row in reversed(rows)] == [
        ("list.create", "account", False),
        ("list.add_contacts", "account", False),
        ("dnd_list.create", "account", False),
        ("campaign.create", "account", True),
        ("campaign.stop", "account", True),
        ("import.start", "account", False),
    ]
    assert ANKIT not in str([row.detail for row in rows])
