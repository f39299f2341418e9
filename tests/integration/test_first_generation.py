"""The first generation as its reference shows it: every example in order over HTTP, its words, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from connecting import ConnectingAdapter
from upstream import Upstream
from world import World

from dialer.calls import content
from dialer.db import writing
from dialer.providers import kinds, need
from dialer.providers.contract import Capability
from dialer.providers.mitto import MittoAdapter
from dialer.store import announce_templates
from dialer.store import tables as t

#: Of each section of `cpaas-campaign-api.md`: the body of its curl request as it stands there, with the blanks that its
#: lines' ends have left in some names, and its response. At the end the campaigns of which it shows a body alone.
EXAMPLES = json.loads((Path(__file__).parent / "first_generation_examples.json").read_text(encoding="utf-8"))
#: What stands for the masked digits.
FILLED = {"91997927XXXX": "919979271234", "91997927xxxx": "919979271234"} | {
    "91800068XXXX": "918000681234",
    "91800068xxxx": "918000681234",
}
#: Before all dates of the examples, but for the campaign's.
JUNE = datetime(2023, 6, 13, 6, 0, tzinfo=UTC)
CAMPAIGN_RUNS = datetime(2023, 9, 25, 9, 0, tzinfo=UTC)
MORE = "contact_number,field1,field2,field3\n919979271236,Ann,Lee,1\n918000681236,Bo,Ek,2\n"
MORE_DND = "dnd_contact_number\n919979271237\n918000681237\n"
CALLEE = {"e164": "+919979271234", "contact_name": "", "contact_fields": {}, "contact_language": None}
#: May be null in place of a number or a word.
NULLABLE = frozenset({"billsec", "call_duration", "call_status"})
#: The same in every answer, or fixed by what was asked.
SETTLED = (
    "call_direction", "call_status", "destination_context", "dial_status", "dtmf_inputs", "is_dnd", "recording_name",
    "calls_per_minute", "campaign_caller_id", "campaign_type", "max_retries", "retry_time",
)  # fmt: skip


class TalkingAdapter(ConnectingAdapter):
    """Whatever the examples need, in Mitto's words; and not what they only wish for."""

    kind = "talking"
    capabilities = ConnectingAdapter.capabilities | MittoAdapter.capabilities
    capabilities |= {Capability.VOICE_OTP, Capability.IVR}
    capabilities -= {Capability.RECORDING, Capability.RECORD_ONE_SIDE, Capability.TRANSCRIPT}


class Caller:
    """An app of the first generation, and the engine behind the API."""

    def __init__(self, upstream: Upstream, world: World) -> None:
        self.upstream, self.world = upstream, world
        self.at(JUNE)

    def at(self, now: datetime) -> None:
        self.upstream.clock.now = self.world.clock.now = now

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = {"account": self.upstream.account_id, "auth": self.upstream.auth, **more}
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self.upstream.client.request(method, path, content=content, headers=headers)

    def ask(self, path: str, body: Any) -> dict[str, Any]:
        answer = self.send("POST", f"/api/{path}", body)
        assert answer.status_code == 200, answer.text
        response: dict[str, Any] = answer.json()["response"]
        return response

    def upload(self, name: str, content: str) -> None:
        folder = Path(self.upstream.settings.uploads)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


@pytest.fixture
def caller(upstream: Upstream, redis_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Caller]:
    monkeypatch.setitem(kinds.KINDS, TalkingAdapter.kind, f"{__name__}:TalkingAdapter")  # type: ignore[arg-type] # a dict
    need._why_unable.cache_clear()
    world = World(upstream.engine, redis_server)
    world.set_provider(kind=TalkingAdapter.kind)
    with writing(upstream.engine) as connection:
        template = {"id": "AN2222314c96", "text": "Your code is {otp}."}
        announce_templates.add(
            connection, template | {"account_id": upstream.account_id, "created_at": world.clock.now}
        )
    yield Caller(upstream, world)
    world.close()
    kinds.adapter_class.cache_clear()
    need._why_unable.cache_clear()


# --- the walk ------------------------------------------------------------------------------------------------


def filled(value: Any, known: dict[str, str]) -> Any:
    """An example's body with digits for its X's, and with the ids that were answered here for its own."""
    if isinstance(value, dict):
        return {name: known.get(name) or filled(one, known) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, known) for one in value]
    return FILLED.get(value, value)


def is_date(text: object) -> bool:
    try:
        return isinstance(text, str) and parsedate_to_datetime(text) is not None
    except ValueError:
        return False


def compare(ours: Any, example: Any, name: str) -> None:
    """Key by key: the same names and types, dates as dates, and settled values as they are."""
    if isinstance(example, dict):
        assert isinstance(ours, dict), name
        assert sorted(ours) == sorted(example), name
        for key, value in example.items():
            compare(ours[key], value, f"{name}.{key}")
    elif isinstance(example, list):
        assert isinstance(ours, list), name
        assert ours, name
        for one in ours:
            alike = [other for other in example if _is_alike(one, other)]
            compare(one, (alike or example)[0], f"{name}[]")
    elif name.rpartition(".")[2] in NULLABLE:
        assert ours is None or type(ours) in (str, int, float), name
        assert (ours is None) == (example is None), name
    else:
        assert type(ours) is type(example), f"{name}: {ours!r}"
        assert is_date(ours) == is_date(example), f"{name}: {ours!r}"
    if name.rpartition(".")[2] in SETTLED or name in ("response.message", "response.success"):
        assert ours == example, name


def _is_alike(one: Any, other: Any) -> bool:
    return isinstance(one, dict) and one.get("dial_status") == other.get("dial_status")


def end(caller: Caller, call_ids: list[str]) -> None:
    caller.world.end(caller.world.dial(call_ids))


def run_campaign(caller: Caller, campaign_id: str) -> None:
    """Release and answer all of its calls at its own time, and come back."""
    now = caller.world.clock.now
    caller.at(CAMPAIGN_RUNS)
    for _ in range(10):
        caller.world.redis.flushall()  # its pace is of the clock on the wall
        end(caller, caller.world.release())
        caller.world.clock.forward(7)
        if len(caller.world.rows(t.cdr, campaign_id=campaign_id)) == 4:
            break
    assert len(caller.world.rows(t.cdr, campaign_id=campaign_id)) == 4
    caller.upstream.clock.now = caller.world.clock.now
    assert caller.world.clock.now > now


def test_every_example_is_answered_as_the_reference_shows(caller: Caller) -> None:
    caller.upload("contacts_dynamic_announcement.csv", MORE)
    caller.upload("dnd_contacts.csv", MORE_DND)
    caller.upload("quality_training-8khz.wav", "")
    known: dict[str, str] = {}
    clicked, walked, made = "", [], {}
    for example in EXAMPLES:
        section, body = example["section"], example["body"]
        if section == "Get CDR By Request ID":
            known["request_id"] = clicked
        elif section.startswith("Create Campaign, "):
            caller.at(JUNE)
        answer = caller.send(
            example["method"], example["path"], None if body is None else filled(body, known)
        )
        walked.append(section)
        if section == "Modify Live Call":  # its channel is empty: no call is
            assert answer.status_code == 400
            assert answer.json()["response"]["message"].startswith("channel is missing")
            continue
        assert answer.status_code == 200, (section, answer.text)
        told = answer.json()
        compare(told["response"], example["response"]["response"], "response")
        response = told["response"]
        if section.startswith("Create Campaign, "):
            (made[section],) = caller.world.rows(t.campaign, id=response["campaign_id"])
            continue
        known |= {name: value for name, value in response.items() if name.endswith("_id")}
        if section == "Click To Call":
            clicked = response["request_id"]
            end(caller, [clicked])
            caller.at(JUNE - timedelta(days=1))  # the deleted callback has a CDR, which is of another day
        elif section == "Delete Callback Request":
            caller.at(JUNE + timedelta(minutes=1))
        elif section == "One Time Password":
            end(caller, [response["request_id"]])
        elif section == "Create Campaign":
            run_campaign(caller, response["campaign_id"])
    assert len(walked) == 23
    assert made["Create Campaign, prerecorded file"].recorded_filename == "quality_training-8khz.wav"
    asking = made["Create Campaign, type 1"]
    assert asking.start_at == datetime(2023, 12, 18, 4, 30, tzinfo=UTC)
    menu = asking.flow["menus"]["main"]
    assert (menu["prompts"], menu["repeats"]) == ([{"text": "abc"}], 0)
    assert menu["keys"] == {key: {"does": "notify"} for key in "0123456789"}
    counts = caller.send("GET", "/api/get_cdr_statistics").json()["response"]["result"]
    assert (counts["answer_calls"], counts["cancel_calls"], counts["total_calls"]) == ([4], [1], [7])
    ours = caller.ask("get_campaign_cdr_statistics", {"campaign_id": known["campaign_id"]})["result"]
    assert (ours["answer_calls"], ours["dnd_calls"], ours["total_calls"]) == ([2], [2], [4])
    caller.world.check()


# --- what is refused -----------------------------------------------------------------------------------------

LONG = "9" * 300
#: A flow that plays what no provider has under such a name.
ASKING = {
    "first": "main",
    "menus": {"main": {"prompts": [{"media": "../../x.wav"}], "keys": {"1": {"does": "notify"}}}},
}
#: By path: what of its example is changed, and the field that is named. A status other than 400 comes third.
BAD: list[tuple[str, dict[str, Any], str] | tuple[str, dict[str, Any], str, int]] = [
    ("click2call", {"agent_number": None}, "agent_number"),
    ("click2call", {"agent_number": "abc"}, "agent_number"),
    ("click2call", {"agent_number": "12"}, "agent_number"),
    ("click2call", {"agent_number": LONG}, "agent_number"),
    ("click2call", {"agent_number": ["919979271234"]}, "agent_number"),
    ("click2call", {"agent_number": True}, "agent_number"),
    ("click2call", {"agent_number": "9.19979E+11"}, "agent_number"),
    ("click2call", {"destination_number": ""}, "destination_number"),
    ("click2call", {"destination_number": "919979271234"}, "destination_number"),
    ("click2call", {"destination_number": "91800068\u0000"}, "destination_number"),
    ("click2call", {"caller_id": None}, "caller_id"),
    ("click2call", {"caller_id": "1"}, "caller_id"),
    ("click2call", {"caller_id": {"n": 1}}, "caller_id"),
    ("click2call", {"recording_option": "maybe"}, "recording_option"),
    ("click2call", {"recording_option": "none"}, "recording_option"),
    ("click2call", {"recording_option": ["on"]}, "recording_option"),
    ("click2call", {"transcript": "yes"}, "transcript"),
    ("callback", {"agent_number": None}, "agent_number"),
    ("callback", {"destination_number": "1"}, "destination_number"),
    ("callback", {"caller_id": ""}, "caller_id"),
    ("callback", {"recording_option": 1}, "recording_option"),
    ("callback", {"time_zone": None}, "time_zone"),
    ("callback", {"time_zone": "IST"}, "time_zone"),
    ("callback", {"time_zone": "../../etc/passwd"}, "time_zone"),
    ("callback", {"scheduled_at": None}, "scheduled_at"),
    ("callback", {"scheduled_at": "2023-11-07T19:00:00Z"}, "scheduled_at"),
    ("callback", {"scheduled_at": "07/11/2023 19:00"}, "scheduled_at"),
    ("callback", {"scheduled_at": "2023-02-29 10:00:00"}, "scheduled_at"),
    ("callback", {"scheduled_at": "2023-06-13 11:29:59"}, "scheduled_at"),
    ("callback", {"scheduled_at": 1699363800}, "scheduled_at"),
    ("outbound_call", {"customer_number": None}, "customer_number"),
    ("outbound_call", {"customer_number": "+1"}, "customer_number"),
    ("outbound_call", {"otp": None}, "otp"),
    ("outbound_call", {"otp": "12!34"}, "otp"),
    ("outbound_call", {"otp": "1" * 33}, "otp"),
    ("outbound_call", {"announce_template_id": None}, "announce_template_id"),
    ("outbound_call", {"announce_template_id": "ANnosuch"}, "announce_template_id", 404),
    ("outbound_call", {"repeat": "0"}, "repeat"),
    ("outbound_call", {"repeat": "21"}, "repeat"),
    ("outbound_call", {"repeat": "1.5"}, "repeat"),
    ("outbound_call", {"caller_id": "abc"}, "caller_id"),
    ("outbound_call", {"volume": "deafening"}, "volume"),
    ("outbound_call", {"rate": "soft"}, "rate"),
    ("outbound_call", {"pitch": "x-loud"}, "pitch"),
    ("outbound_call", {"tts_engine_type": "magic"}, "tts_engine_type"),
    ("create_campaign_list", {"list_name": None}, "list_name"),
    ("create_campaign_list", {"list_name": "  "}, "list_name"),
    ("create_campaign_list", {"list_name": LONG}, "list_name"),
    ("create_campaign_list", {"list_name": "a\u0007b"}, "list_name"),
    ("create_campaign_list", {"list_name": ["a"]}, "list_name"),
    ("create_campaign_list", {"list_name": "taken"}, "list_name", 409),
    ("add_contact_to_list", {"list_id": None}, "list_id"),
    ("add_contact_to_list", {"list_id": "LSnosuch"}, "list_id", 404),
    ("add_contact_to_list", {"contacts": None}, "contacts"),
    ("add_contact_to_list", {"contacts": []}, "contacts"),
    ("add_contact_to_list", {"contacts": {"contact_number": "919979271234"}}, "contacts"),
    ("add_contact_to_list", {"contacts": "[oops"}, "contacts"),
    ("add_contact_to_list", {"contacts": [{"contact_number": "1"}]}, "contacts"),
    ("add_contact_to_list", {"contacts": ["919979271234", None, 3]}, "contacts"),
    ("import_broadcast_contacts_csv", {"list_id": "LSnosuch"}, "list_id", 404),
    ("import_broadcast_contacts_csv", {"csv_name": None}, "csv_name"),
    ("import_broadcast_contacts_csv", {"csv_name": "nowhere.csv"}, "csv_name"),
    ("import_broadcast_contacts_csv", {"csv_name": "../secret.csv"}, "csv_name"),
    ("create_campaign_dnd_list", {"dnd_list_name": None}, "dnd_list_name"),
    ("create_campaign_dnd_list", {"dnd_list_name": LONG}, "dnd_list_name"),
    ("create_campaign_dnd_list", {"dnd_list_name": "taken"}, "dnd_list_name", 409),
    ("add_dnd_contact_to_list", {"dnd_list_id": "DNnosuch"}, "dnd_list_id", 404),
    ("add_dnd_contact_to_list", {"dnd_contacts": "many"}, "dnd_contacts"),
    ("add_dnd_contact_to_list", {"dnd_contacts": [{"dnd_contact_name": "x"}]}, "contacts"),
    ("import_dnd_contacts_csv", {"dnd_list_id": None}, "dnd_list_id"),
    ("import_dnd_contacts_csv", {"dnd_csv_name": "nowhere.csv"}, "dnd_csv_name"),
    ("create_campaign", {"list_id": None}, "list_id"),
    ("create_campaign", {"list_id": "LSnosuch"}, "list_id", 404),
    ("create_campaign", {"dnd_list_id": "DNnosuch"}, "dnd_list_id", 404),
    ("create_campaign", {"dnd_list_id": [1]}, "dnd_list_id"),
    ("create_campaign", {"campaign_name": None}, "campaign_name"),
    ("create_campaign", {"campaign_type": "2"}, "campaign_type"),
    ("create_campaign", {"campaign_type": "1", "announcement_text": ""}, "flow"),
    ("create_campaign", {"campaign_type": "1", "repeat": "12"}, "repeat"),
    ("create_campaign", {"campaign_caller_id": None}, "campaign_caller_id"),
    ("create_campaign", {"dynamic_announcement": "2"}, "dynamic_announcement"),
    ("create_campaign", {"dynamic_announcement": "0"}, "recorded_filename"),
    ("create_campaign", {"announcement_text": None}, "announcement_text"),
    ("create_campaign", {"announcement_text": "Dear {nobody}"}, "announcement_text"),
    ("create_campaign", {"announcement_text": "Dear {"}, "announcement_text"),
    ("create_campaign", {"campaign_start_date": "2023-12-1810:00"}, "campaign_end_date"),
    ("create_campaign", {"campaign_start_date": "2023-12-18-10:00"}, "campaign_start_date"),
    *(
        (
            "create_campaign",
            {"dynamic_announcement": "0", "recorded_filename": prefix + name},
            "recorded_filename",
        )
        for name in (
            "..",
            "../mine.wav",
            "/etc/passwd",
            "a/b.wav",
            "a\\b.wav",
            "..\\x.wav",
            "a\0b.wav",
            "%2e%2e%2fx.wav",
        )
        for prefix in ("", "uploads/", "provider/")
    ),
    *(
        ("create_campaign", {"dynamic_announcement": "0", "recorded_filename": name}, "recorded_filename")
        for name in (
            "nowhere.wav",
            "uploads/nowhere.wav",
            "known-there",
            "s3://other/a.wav",
            ".hidden.wav",
            "provider/",
        )
    ),
    ("create_campaign", {"campaign_type": "1", "flow": ASKING}, "flow.menus.main.prompts.0.media"),
    ("create_campaign", {"campaign_end_date": "2023-09-25 14:00:00"}, "campaign_end_date"),
    ("create_campaign", {"campaign_end_date": None}, "campaign_end_date"),
    ("create_campaign", {"time_zone": "Mars/Base"}, "time_zone"),
    ("create_campaign", {"repeat": "many"}, "repeat"),
    ("create_campaign", {"max_retries": "-1"}, "max_retries"),
    ("create_campaign", {"retry_time": "soon"}, "retry_time"),
    ("create_campaign", {"retry_on_statuses": "SLEEPING"}, "retry_on_statuses"),
    ("create_campaign", {"retry_on_statuses": 5}, "retry_on_statuses"),
    ("create_campaign", {"calls_per_minute": "fast"}, "calls_per_minute"),
    ("create_campaign", {"volume": "x"}, "volume"),
    ("create_campaign", {"rate": "x- loud"}, "rate"),
    ("create_campaign", {"pitch": 3}, "pitch"),
    ("create_campaign", {"tts_engine_type": "x"}, "tts_engine_type"),
    ("create_campaign", {"calling_window": "always"}, "calling_window"),
    ("stop_campaign", {"campaign_id": None}, "campaign_id"),
    ("stop_campaign", {"campaign_id": "CMnosuch"}, "campaign_id", 404),
    ("get_cdr_by_date", {"start_call_date": None}, "start_call_date"),
    ("get_cdr_by_date", {"start_call_date": "0000-01-01"}, "start_call_date"),
    ("get_cdr_by_date", {"start_call_date": "2023-06-13 00:00:00"}, "start_call_date"),
    ("get_cdr_by_date", {"end_call_date": "17-06-2023"}, "end_call_date"),
    ("get_cdr_by_date", {"end_call_date": "2023-06-31"}, "end_call_date"),
    ("get_cdr_by_date", {"end_call_date": "2023-06-12"}, "end_call_date"),
    ("get_cdr_by_date", {"end_call_date": "9999-12-31"}, "end_call_date"),
    ("get_cdr_by_date", {"record_count": "0"}, "record_count"),
    ("get_cdr_by_date", {"record_count": "many"}, "record_count"),
    ("get_cdr_by_date", {"offset": "-1"}, "offset"),
    ("get_cdr_by_date", {"offset": 10**30}, "offset"),
    ("get_cdr_by_request_id", {"request_id": None}, "request_id"),
    ("get_cdr_by_request_id", {"request_id": "nosuch"}, "request_id", 404),
    ("get_cdr_by_campaign_id", {"campaign_id": "CMnosuch"}, "campaign_id", 404),
    ("get_campaign_cdr_statistics", {"campaign_id": [1]}, "campaign_id"),
    ("modify_call", {"channel": None}, "channel"),
    ("modify_call", {"channel": "nosuch"}, "channel", 404),
    ("modify_call", {"channel": "c", "modify_type": "9"}, "modify_type"),
    ("modify_call", {"channel": "c", "transfer_to": ""}, "transfer_to"),
]


def test_what_cannot_be_used_is_refused_with_its_field_and_does_nothing(caller: Caller) -> None:
    assert len(BAD) >= 150
    list_id = caller.ask("create_campaign_list", {"list_name": "taken"})["list_id"]
    dnd_list_id = caller.ask("create_campaign_dnd_list", {"dnd_list_name": "taken"})["dnd_list_id"]
    known = {"list_id": list_id, "dnd_list_id": dnd_list_id}
    examples = {one["path"].rpartition("/")[2]: one for one in reversed(EXAMPLES)}
    caller.ask("add_contact_to_list", filled(examples["add_contact_to_list"]["body"], known))
    before = {name: len(caller.world.rows(table)) for name, table in _tables()}
    for path, changes, field, *status in BAD:
        body = filled(examples[path]["body"], known) | changes
        answer = caller.send("POST", f"/api/{path}", body)
        what = f"{path} {changes}: {answer.text}"
        assert answer.status_code == (status[0] if status else 400), what
        response = answer.json()["response"]
        assert response["success"] == "false", what
        assert field in response["message"], what
        assert response["message"].endswith((".", "`")), what
    assert {name: len(caller.world.rows(table)) for name, table in _tables()} == before


def _tables() -> list[tuple[str, Any]]:
    every = (t.call, t.campaign, t.contact, t.contact_list, t.dnd_list, t.dnd_number, t.import_)
    return [(table.name, table) for table in every]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"nonsense", b"null", b'"a"', b"{", b"[" * 5000, b"\xff\xfe{}", b"1"]
)
def test_a_body_that_is_no_object_is_refused_everywhere(caller: Caller, body: bytes) -> None:
    for example in EXAMPLES:
        if example["body"] is not None:
            answer = caller.send(example["method"], example["path"], body)
            assert (answer.status_code, answer.json()["response"]["success"]) == (400, "false"), example
            assert "body" in answer.json()["response"]["message"].lower()


def test_every_endpoint_asks_who_it_is(caller: Caller) -> None:
    for example in EXAMPLES:
        for headers in ({"auth": "wrong"}, {"account": "ACnosuch"}, {"account": "", "auth": ""}):
            answer = caller.send(example["method"], example["path"], example["body"], **headers)
            assert (answer.status_code, answer.json()["response"]["success"]) == (401, "false"), example


def test_recorded_files_are_of_the_uploads_or_named_as_the_providers(caller: Caller) -> None:
    list_id = caller.ask("create_campaign_list", {"list_name": "people"})["list_id"]
    caller.ask("add_contact_to_list", {"list_id": list_id, "contacts": [{"contact_number": "919979271234"}]})
    caller.upload("hello.wav", "")
    example = next(one for one in EXAMPLES if one["section"] == "Create Campaign, prerecorded file")["body"]

    def kept(file: str, **more: Any) -> Any:
        body = example | {"list_id": list_id, "dnd_list_id": "global", "campaign_name": f"{file} {len(more)}"}
        made = caller.ask("create_campaign", body | {"recorded_filename": file} | more)
        (row,) = caller.world.rows(t.campaign, id=made["campaign_id"])
        return row

    assert kept("hello.wav").recorded_filename == "hello.wav"
    assert kept("uploads/hello.wav").recorded_filename == "hello.wav"
    row = kept("provider/1042")
    assert row.recorded_filename == "provider/1042"
    assert content.of_campaign("a-1", SimpleNamespace(**CALLEE), row).media == "1042"
    said = [{"media": "1042"}]
    assert kept("provider/1042", campaign_type=1).flow["menus"]["main"]["prompts"] == said
    (honoured,) = caller.world.rows(t.campaign_dnd_list, campaign_id=row.id)
    (listed,) = caller.world.rows(t.dnd_list, id=honoured.dnd_list_id)
    assert listed.is_global


# --- the words that it allows --------------------------------------------------------------------------------


def test_the_words_of_the_reference_are_taken_as_it_breaks_them(caller: Caller) -> None:
    """The reference prints `x- soft`: with a blank, which people copy."""
    body = filled(next(one for one in EXAMPLES if one["section"] == "One Time Password")["body"], {})
    for name, words in {
        "volume": ("silent", "x- soft", "soft", "medium", "loud", "x- loud", "X-Loud"),
        "rate": ("x-slow", "slow", "medium", "fast", "x- fast"),
        "pitch": ("x- low", "low", "medium", "high", "x- high"),
        "tts_engine_type": ("standard", "neural"),
    }.items():
        for word in words:
            request_id = caller.ask("outbound_call", body | {name: word})["request_id"]
            (said,) = caller.world.rows(t.message, call_id=request_id)
            assert getattr(said, name) == word.replace(" ", "").lower()


def test_what_is_left_out_is_as_the_reference_says(caller: Caller) -> None:
    needed = {"customer_number": 919979271234, "otp": "0087", "announce_template_id": "AN2222314c96"}
    request_id = caller.ask("outbound_call", needed | {"caller_id": 15168148111})["request_id"]
    (said,) = caller.world.rows(t.message, call_id=request_id)
    assert (said.voice, said.volume, said.rate, said.pitch) == ("Joanna", "medium", "medium", "medium")
    assert (said.language_code, said.tts_engine_type, said.repeat_count) == ("en-US", "standard", 1)
    click = {
        "agent_number": "+919979271234",
        "destination_number": "918000681234",
        "caller_id": "15168148111",
    }
    request_id = caller.ask("click2call", click)["request_id"]
    assert not caller.world.rows(t.message, call_id=request_id)[0].record
