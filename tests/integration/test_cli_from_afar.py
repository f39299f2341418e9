"""Commands with `--url`: they do, and print, what they do beside the database."""

from __future__ import annotations

import ast
import functools
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from test_cli import data, dialer, failing
from test_client import methods
from test_v1_campaigns import FLOW, a_list, made
from test_v1_cdrs import add, add_call
from test_v1_imports import put
from upstream import Upstream
from world import number

from dialer import cli
from dialer.cli import app
from dialer.db import writing
from dialer.imports import run_import
from dialer.settings import get_settings
from dialer.store import accounts
from dialer.store import tables as t


@pytest.fixture
def afar(on_sqlite: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    """An API, whose database is that of the settings, too; the key is in the environment."""
    for name in [name for name in os.environ if name.startswith("DIALER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DIALER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DIALER_DATABASE_URL", str(on_sqlite.engine.url))
    monkeypatch.setenv("DIALER_KEY", on_sqlite.auth)
    on_sqlite.clock.now = datetime.now(UTC)
    with writing(
        on_sqlite.engine
    ) as connection:  # whatever hour it is: a near command has the machine's clock
        accounts.update(connection, on_sqlite.account_id, calling_window={"start": "00:00", "end": "24:00"})
    yield on_sqlite
    get_settings.cache_clear()


def test_campaigns_are_looked_at_and_held_from_afar(afar: Upstream) -> None:
    from_afar = (f"--url={afar.client.base_url}", f"--account={afar.account_id}")
    end_at = (afar.clock.now + timedelta(days=2)).isoformat()
    campaign_id = made(
        afar,
        end_at=end_at,
        pace={"calls_per_minute": 30},
        calling_window={"start": "09:00", "end": "18:00"},
        repeat_policy={"most": 2, "rules": {"BUSY": {"times": 2, "delays": [60]}}},
    )["id"]
    assert data("campaign", "list", *from_afar) == data("campaign", "list", "--account=first")
    for verb, state in (
        ("start", "SCHEDULED"),
        ("pause", "PAUSED"),
        ("resume", "RUNNING"),
        ("stop", "STOPPED"),
    ):
        done = dialer("campaign", verb, campaign_id, *from_afar)
        assert (done.exit_code, done.stdout) == (0, ""), done.stderr
        assert data("campaign", "show", campaign_id)["state"] == state
    assert data("campaign", "show", campaign_id) == data("campaign", "show", campaign_id, *from_afar)
    watched = [dialer("campaign", "watch", campaign_id, "--json", *how) for how in ((), from_afar)]
    assert watched[0].stdout == watched[1].stdout
    assert json.loads(watched[1].stdout)["state"] == "STOPPED"


def test_cdrs_are_exported_from_afar(afar: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    add(afar.engine, afar.account_id, 3, campaign_id="CM1")
    monkeypatch.setenv("DIALER_ACCOUNT", afar.account_id)
    for chosen in (
        (),
        ("--campaign=CM1", "--from=2026-09-25"),
        ("--to=2026-09-24",),
        ("--format=jsonl",),
        ("--disposition=answered", "--dial-status=ANSWER", "--direction=outbound"),
    ):
        here = dialer("cdr", "export", *chosen)
        there = dialer("cdr", "export", *chosen, f"--url={afar.client.base_url}")
        assert here.exit_code == there.exit_code == 0, there.stderr
        assert here.stdout == there.stdout
        assert len(there.stdout) > 100 or "--to=2026-09-24" in chosen


def test_cdrs_are_chosen_by_what_is_known_of_them(afar: Upstream) -> None:
    first, second = add(afar.engine, afar.account_id, 2)
    (busy,) = add(afar.engine, afar.account_id, 1, disposition="BUSY", dial_status="BUSY", e164=number(7))
    (came_in,) = add(afar.engine, afar.account_id, 1, kind="INBOUND", e164=number(8), caller_id=number(50))
    for call_id, e164 in ((first, number(50)), (second, number(51)), (busy, number(7))):
        add_call(afar.engine, afar.account_id, call_id, e164)
    add(afar.engine, afar.other_id, 1)
    for options, expected in (
        ((), {first, second, busy, came_in}),
        (("--disposition=busy",), {busy}),
        (("--dial-status=BUSY",), {busy}),
        (("--direction=inbound",), {came_in}),
        ((f"--call={second}",), {second}),
        ((f"--number={number(50)}",), {first}),
        ((f"--number={number(8)}",), set()),  # ours, which was called
        (("--direction=inbound", f"--number={number(50)}"), {came_in}),
    ):
        listed = alike(afar, "cdr", "list", *options)
        assert {one["request_id"] for one in listed} == expected, options
        for way in (near, far):
            written = dialer("cdr", "export", "--format=jsonl", *options, *way(afar)).stdout.splitlines()
            assert {json.loads(line)["request_id"] for line in written} == expected, options
    everybodys = dialer("cdr", "export", f"--number={number(50)}").stdout
    assert everybodys.count("\n") == 3  # with a header, and the other account's
    assert dialer("cdr", "export", "--number=x").exit_code == 2


def test_what_is_missing_or_refused_from_afar_is_one_sentence(
    afar: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIALER_URL", str(afar.client.base_url))
    mine = f"--account={afar.account_id}"
    assert "DIALER_ACCOUNT" in failing("campaign", "list")
    assert "no such campaign" in failing("campaign", "pause", "CMnotthere00", mine)
    assert "must be" in failing("campaign", "list", mine, "--url=ftp://dialer")
    monkeypatch.setenv("DIALER_KEY", "wrong")
    assert "key" in failing("cdr", "export", mine)
    monkeypatch.delenv("DIALER_KEY")
    assert "DIALER_KEY is not set" in failing("campaign", "list", mine)


def near(afar: Upstream) -> list[str]:
    return ["--account=first"]


def far(afar: Upstream) -> list[str]:
    return [f"--url={afar.client.base_url}", f"--account={afar.account_id}"]


WAYS = pytest.mark.parametrize("way", [near, far])
Way = Callable[[Upstream], list[str]]


def alike(afar: Upstream, *arguments: str) -> Any:
    """What a command prints, which is the same near and afar."""
    here, there = (data(*arguments, *way(afar)) for way in (near, far))
    assert here == there, arguments
    return there


@WAYS
def test_a_campaign_is_made_tried_and_copied(afar: Upstream, tmp_path: Path, way: Way) -> None:
    # Imports that were sent are run at once, as by a worker.
    afar.doorbell.run_import = lambda import_id: run_import(  # type: ignore[method-assign,assignment]
        afar.engine, import_id, afar.clock, seconds=60
    )
    run = functools.partial(_run, way(afar))
    (tmp_path / "people.csv").write_text(
        f"phone,name,due\n{number(1)},Ann,5\n12,Bob,6\n{number(2)},Cy,7\n{number(2)},Cy,7\n"
    )
    run("list", "create", "people")
    imported = run("import", "contacts", "people", str(tmp_path / "people.csv"))
    assert (imported["state"], imported["accepted"], imported["invalid"]) == ("DONE", 2, 1)
    assert [one["line"] for one in imported["rejected"]] == [3, 5]
    (tmp_path / "theirs.csv").write_text(f"Tel,Who\n{number(4)},Di\n")
    chosen = ("--column=number=Tel", "--column=fields.due=Who", "--dry-run")
    assert run("import", "contacts", "people", str(tmp_path / "theirs.csv"), *chosen)["accepted"] == 1
    run("dnd", "create", "choirs")
    assert run("dnd", "add", "choirs", number(2))["accepted"] == 1
    campaign = run(
        "campaign", "create", "reminder", "--list=people", "--caller-id=+15168148111", "--text=You owe {due}.",
        "--dnd=choirs", "--calls-per-minute=30", "--calling-window=00:00-24:00",
    )  # fmt: skip
    assert (campaign["state"], campaign["pace"]["calls_per_minute"]) == ("DRAFT", 30)
    looked = run("campaign", "preflight", campaign["id"])
    assert (looked["contacts"], looked["dialable"], looked["suppressed"]) == (2, 1, 1)
    slower = run("campaign", "change", campaign["id"], "--calls-per-minute=0", "--name=second reminder")
    assert (slower["name"], slower["pace"]["calls_per_minute"]) == ("second reminder", None)
    (tmp_path / "more.json").write_text(
        json.dumps({"contacts": [{"number": number(3), "fields": {"due": "9"}}]})
    )
    assert run("campaign", "append", campaign["id"], f"--body={tmp_path / 'more.json'}")["accepted"] == 1
    called = run("campaign", "test-call", campaign["id"], number(9), "--field=due=8")
    assert called["text"] == "You owe 8."
    copied = run("campaign", "clone", campaign["id"], "third reminder")
    assert (copied["state"], copied["list_id"]) == ("DRAFT", campaign["list_id"])
    for verb in ("start", "stop"):
        assert dialer("campaign", verb, campaign["id"], *way(afar)).exit_code == 0
    too_early = failing("campaign", "redial", campaign["id"], "fourth reminder", *way(afar))
    assert "not every contact has an end" in too_early
    told = run("campaign", "history", campaign["id"])
    who = "operator" if way is near else "account"
    by_hand = [(one["action"], one["actor"]) for one in told if one["action"]]
    assert ("campaign.stop", who) in by_hand


@WAYS
def test_a_survey_whose_keys_nobody_would_hear_of_is_refused(
    afar: Upstream, tmp_path: Path, way: Way
) -> None:
    afar.add_provider(name="moscow", kind="mtt-voice")
    list_id = a_list(afar)
    (tmp_path / "flow.json").write_text(json.dumps({"flow": FLOW}))
    told = failing(
        "campaign", "create", "survey", f"--list={list_id}", "--caller-id=+15168148111", "--start",
        f"--body={tmp_path / 'flow.json'}", *way(afar),
    )  # fmt: skip
    assert "mtt-voice tells of keys at https addresses only: set DIALER_PUBLIC_URL" in told
    assert data("campaign", "list", *way(afar)) == []


def _run(how: list[str], *arguments: str) -> Any:
    return data(*arguments, *how)


@WAYS
def test_calls_callbacks_and_verifications_are_asked_for(afar: Upstream, tmp_path: Path, way: Way) -> None:
    run = functools.partial(_run, way(afar))
    asked = (
        "call", "create", "announcement", number(1), "--from=+15168148111", "--message=Good {when}.",
        "--variable=when=day", "--metadata=order=7", "--idempotency-key=k1",
    )  # fmt: skip
    taken = run(*asked)
    assert run(*asked)["id"] == taken["id"]
    assert run("call", "show", taken["id"])["metadata"] == {"order": "7"}
    assert run("call", "cancel", taken["id"])["state"] == "CANCELLED"
    (tmp_path / "calls.json").write_text(
        json.dumps({"calls": [{"purpose": "otp", "to": number(2), "from": "+15168148111", "message": "It is {otp}.",
                               "code": "1234"}]})
    )  # fmt: skip
    (otp,) = run("call", "batch", str(tmp_path / "calls.json"))
    assert otp["state"] == "RELEASED"
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    back = run("callback", "create", number(3), number(4), "--caller-id=+15168148111", f"--at={later}")
    moved = run("callback", "change", back["id"], "--record")
    assert (moved["record"], run("callback", "cancel", back["id"])["state"]) == (True, "CANCELLED")
    whose = "first" if way is near else afar.account_id
    _run(way(afar)[:1] if way is far else [], "account", "verification", whose, "--countries=SE")
    begun = run("verification", "begin", number(5), "--channel=voice", "--caller-id=+15168148111")
    assert run("verification", "cancel", begun["id"])["state"] == "CANCELLED"
    wrong = dialer("verification", "check", begun["id"], "0000", *way(afar))
    assert wrong.exit_code == 1
    for noun, count in (("call", 4), ("callback", 1), ("verification", 1)):
        assert len(run(noun, "list")) == count
    assert "--limit 0" in dialer("call", "list", "--limit=1", *way(afar)).stderr


@WAYS
def test_two_are_connected_as_the_options_say(afar: Upstream, tmp_path: Path, way: Way) -> None:
    run = functools.partial(_run, way(afar))
    asked = ("call", "create", "click_to_call", number(1), "--from=+15168148111", f"--connect-to={number(2)}")
    talk = ("--play=1042", "--connect-play=1043", f"--also={number(3)}", "--at-once", "--ring=20")
    run(*asked, *talk, "--max-seconds=600")
    (message,) = afar.rows(sa.select(t.message))
    assert message.prompts == {"to": {"play": "1042"}, "connect_to": {"play": "1043"}}
    assert message.ring == {"also": [{"number": number(3), "seconds": 20}], "at_once": True, "seconds": 20}
    assert (message.max_seconds, message.record) == (600, False)
    # What a body says of it stands, unless an option says otherwise.
    (tmp_path / "talk.json").write_text(
        json.dumps({"ring": {"also": [{"number": number(4)}]}, "prompts": {"to": {"play": "1"}}})
    )
    more = run(*asked, "--connect-play=2", "--ring=30", "--record", f"--body={tmp_path / 'talk.json'}")
    (message,) = afar.rows(sa.select(t.message).where(t.message.c.call_id == more["id"]))
    assert message.prompts == {"to": {"play": "1"}, "connect_to": {"play": "2"}}
    assert message.ring["also"][0]["number"] == number(4)
    assert (message.ring["seconds"], message.record) == (30, True)
    wrong = dialer(*asked, "--at-once", *way(afar))
    assert (wrong.exit_code, "--also" in wrong.stderr) == (2, True)


@WAYS
def test_a_file_that_is_uploaded_already_is_imported(afar: Upstream, tmp_path: Path, way: Way) -> None:
    afar.doorbell.run_import = lambda import_id: run_import(  # type: ignore[method-assign,assignment]
        afar.engine, import_id, afar.clock, seconds=60
    )
    run = functools.partial(_run, way(afar))
    put(afar, "people.csv", f"Tel,Who\n{number(1)},Ann\n=1,Bob\n")
    run("list", "create", "people")
    imported = run("import", "contacts", "people", "--uploaded=people.csv", "--column=number=Tel")
    assert (imported["state"], imported["accepted"], imported["invalid"]) == ("DONE", 1, 1)
    assert run("import", "dnd", "global", "--uploaded=people.csv", "--column=number=Tel")["accepted"] == 1
    refused = dialer("import", "errors", imported["id"], *way(afar)).stdout
    assert "'=1" in refused
    assert dialer("import", "errors", imported["id"], "--raw", *way(afar)).stdout == refused.replace(
        "'=", "="
    )
    assert "gone.csv" in failing("import", "contacts", "people", "--uploaded=gone.csv", *way(afar))
    both = dialer("import", "contacts", "people", __file__, "--uploaded=people.csv", *way(afar))
    neither = dialer("import", "contacts", "people", *way(afar))
    assert (both.exit_code, neither.exit_code) == (2, 2)


@WAYS
def test_keys_templates_webhooks_files_and_lists_are_kept(afar: Upstream, tmp_path: Path, way: Way) -> None:
    run = functools.partial(_run, way(afar))
    whose = "first" if way is near else afar.account_id
    url = [one for one in way(afar) if one.startswith("--url")]
    owned = functools.partial(_run, url)
    assert owned("account", "show", whose)["name"] == "first"
    key = owned("account", "key", "create", whose, "crm", "--scope=read")
    assert owned("account", "key", "change", whose, key["id"], "--name=shop")["name"] == "shop"
    assert owned("account", "key", "revoke", whose, key["id"])["revoked_at"] is not None
    assert owned("account", "verification", whose, "--max-sends=3")["max_sends"] == 3
    told = dialer("template", "add", whose, "Dear {name}.", "--id=AN1", *url)
    assert told.exit_code == 0
    assert ("not approved" in told.stderr) == (way is far)
    (template,) = owned("template", "list", whose)
    assert template["state"] == ("PENDING" if way is far else "APPROVED")
    assert owned("template", "show", whose, "AN1")["fields"] == ["name"]
    assert dialer("template", "remove", whose, "AN1", *url).exit_code == 0
    assert "no template AN1" in failing("template", "remove", whose, "AN1", *url)
    # "between" serves both accounts: only the operator knows whose the number is.
    if way is far:
        assert "the operator" in failing("inbound", "set", whose, "+79586488002", "--refuse", *url)
    assert dialer("inbound", "set", "first", "+79586488002", "--refuse").exit_code == 0
    rule = owned("inbound", "set", whose, "+79586488002", "--connect=+79684881033", "--ring=15")
    assert (rule["ring_seconds"], rule["asked_by"]) == (15, ["between"])
    assert owned("inbound", "list", whose)[0]["account_id"] == afar.account_id
    assert owned("inbound", "show", whose, "+79586488002")["numbers"] == ["+79684881033"]
    assert dialer("inbound", "remove", whose, "+79586488002", *url).exit_code == 0
    assert "no rule of this account" in failing("inbound", "remove", whose, "+79586488002", *url)
    hook = run("webhook", "add", "https://app.example.com/told", "--event=call.ended")
    assert hook["secret"]
    sent = run("webhook", "test", hook["id"])
    assert run("webhook", "delivery", sent["id"])["webhook_id"] == hook["id"]
    assert run("webhook", "change", hook["id"], "--disable")["enabled"] is False
    assert dialer("webhook", "remove", hook["id"], *way(afar)).exit_code == 0
    (tmp_path / "hello.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt " + bytes(40))
    assert run("media", "add", str(tmp_path / "hello.wav"))["name"] == "hello.wav"
    assert dialer("media", "remove", "hello.wav", *way(afar)).exit_code == 0
    run("list", "create", "people")
    assert run("list", "add", "people", number(1))["accepted"] == 1
    assert run("list", "rename", "people", "friends")["name"] == "friends"
    assert dialer("list", "remove", "friends", number(1), *way(afar)).exit_code == 0
    assert dialer("list", "delete", "friends", *way(afar)).exit_code == 0
    assert "no list friends" in failing("list", "show", "friends", *way(afar))
    assert run("dnd", "add", "global", number(1))["accepted"] == 1
    assert [one["listed"] for one in run("dnd", "check", "global", number(1), number(2))] == [True, False]
    assert run("dnd", "remove", "global", number(1), number(2))["removed"] == 1
    with afar.engine.connect() as connection:
        actors = set(connection.execute(sa.select(t.audit_entry.c.actor)).scalars())
    assert actors == ({"operator"} if way is near else {"operator", "account"})


def test_what_is_looked_at_is_the_same_near_and_afar(afar: Upstream) -> None:
    campaign_id = made(afar)["id"]
    data("dnd", "add", "global", number(7), *far(afar))
    for arguments in (
        ("campaign", "list"),
        ("campaign", "show", campaign_id),
        ("campaign", "history", campaign_id),
        ("list", "list"),
        ("dnd", "list"),
        ("dnd", "show", "global"),
        ("dnd", "numbers", "global"),
        ("import", "list"),
        ("media", "list"),
        ("call", "list"),
        ("callback", "list"),
        ("verification", "list"),
        ("webhook", "list"),
        ("provider", "list"),
        ("provider", "show", "main"),
        ("audit",),
    ):
        alike(afar, *arguments)


#: What is done where the database, or the machine, is; and what it takes to be run.
BESIDE_THE_DATABASE = {
    "account create": ["Acme"],
    "account list": [],
    "account update": ["first", "--disable"],
    "account rotate": ["first"],
    "provider add": ["north", "--kind=mitto", "--set=access_key=k"],
    "provider update": ["main", "--priority=7"],
    "provider test": ["main"],
    "provider call": ["main", "media_list"],
    "provider enable": ["main"],
    "provider disable": ["main"],
    "provider remove": ["main"],
    "provider rotate-webhook": ["main"],
    "webhook reseal": [],
}
OF_THE_MACHINE = {
    "demo", "up", "doctor", "api", "worker", "scheduler", "flower", "sandbox", "db upgrade", "db current", "db check",
}  # fmt: skip


def test_what_cannot_be_done_from_afar_says_so(afar: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALER_URL", str(afar.client.base_url))
    for name, arguments in BESIDE_THE_DATABASE.items():
        told = failing(*name.split(), *arguments)
        assert told.startswith("DIALER_URL is set, and this command works beside the database alone"), name


def commands(found: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if not hasattr(found, "commands"):
        yield name.strip(), found
        return
    for word, command in found.commands.items():
        yield from commands(command, f"{name} {word}")


def test_all_else_can_be_done_from_afar() -> None:
    found = commands(typer.main.get_command(app))
    without = {name for name, command in found if not any(one.name == "url" for one in command.params)}
    assert without == OF_THE_MACHINE | set(BESIDE_THE_DATABASE)


def test_all_that_the_client_can_do_has_a_command() -> None:
    asked = {
        (node.value.attr, node.attr)
        for file in Path(cli.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)
    }
    without = [name for name, _ in methods() if tuple(name.split(".")) not in asked]
    assert not without, f"No command does {', '.join(without)}: add one in dialer/cli."
