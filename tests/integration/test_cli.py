"""The command line against a real home: what it prints, where, and with which exit code."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from dialer import __version__, fork
from dialer.cli import app
from dialer.db import make_engine, writing
from dialer.lifecycle import CallKind, CampaignState, DialStatus, Disposition
from dialer.secrets import SecretBox, same_auth
from dialer.settings import get_settings
from dialer.store import contacts, dnd
from dialer.store.contacts import NewContact
from dialer.store.tables import (
    account,
    api_key,
    audit_entry,
    call,
    campaign,
    campaign_count,
    cdr,
    contact,
    dnd_list,
    dnd_mirror,
    dnd_number,
    inbound_rule,
    provider,
)

NOW = datetime(2026, 9, 25, 12, 0, tzinfo=UTC)
WITHIN = 60.0  # seconds; a deadline, not an expectation
SECRET = "k3y-that-nobody-may-see"


@pytest.fixture
def engine(home: Path) -> Iterator[Engine]:
    """The home's database."""
    engine = make_engine(f"sqlite:///{home}/dialer.db")
    yield engine
    engine.dispose()


def dialer(*arguments: str) -> Result:
    """Runs a command in this process."""
    get_settings.cache_clear()
    return CliRunner().invoke(app, arguments, prog_name="dialer")


def data(*arguments: str) -> Any:
    """What a command prints with `--json`; it must succeed."""
    result = dialer(*arguments, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def failing(*arguments: str) -> str:
    """The sentence of a command that fails: alone on stderr, nothing on stdout."""
    result = dialer(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr.strip()


def process(*arguments: str, within: float = WITHIN, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m dialer` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "dialer", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=within,
        check=False,
    )


def free_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def only(engine: Engine, table: sa.Table) -> Any:
    """The only row of a table."""
    with engine.connect() as connection:
        return connection.execute(sa.select(table)).one()


def a_provider(name: str = "mitto", **settings: str) -> Any:
    """A provider added by the command."""
    sets = [f"--set={key}={value}" for key, value in {"access_key": SECRET, **settings}.items()]
    return data(
        "provider", "add", name, "--kind=mitto", f"--base-url=http://127.0.0.1:{free_port()}/mitto", *sets
    )


def a_campaign(engine: Engine, state: CampaignState = CampaignState.RUNNING) -> Mapping[str, Any]:
    """A campaign with a list, in the table."""
    owner = data("account", "create", "Acme")["id"]
    with writing(engine) as connection:
        list_id = contacts.add_list(connection, owner, "people", NOW)
        row = {
            "id": "CMaaaaaaaaaa",
            "account_id": owner,
            "name": "reminder",
            "state": state.value,
            "list_id": list_id,
            "caller_id": "+12025550100",
            "announcement_text": "Hello",
            "start_at": NOW,
            "end_at": datetime.now(UTC) + timedelta(days=1),
            "repeat_policy": {},
            "served_at": NOW,
            "created_at": NOW,
        }
        connection.execute(campaign.insert(), row)
    return row


def a_cdr(engine: Engine, number: str, at: datetime, **values: Any) -> None:
    """A CDR in the table, with the call that it belongs to."""
    call_id = f"0{number[1:]:0>19}"
    with writing(engine) as connection:
        connection.execute(
            call.insert(),
            {
                "id": call_id,
                "account_id": "ACaaaaaaaaaa",
                "kind": CallKind.OTP.value,
                "e164": number,
                "time_zone": "UTC",
                "state": "COMPLETED",
                "due_at": at,
                "created_at": at,
            },
        )
        connection.execute(
            cdr.insert(),
            {
                "account_id": "ACaaaaaaaaaa",
                "call_id": call_id,
                "kind": CallKind.OTP.value,
                "e164": number,
                "caller_id": "+12025550100",
                "disposition": Disposition.ANSWERED.value,
                "dial_status": DialStatus.ANSWER.value,
                "call_date": at,
                **values,
            },
        )


# --- as a whole


def test_help_names_every_noun_and_the_version_is_shown() -> None:
    shown = dialer("--help")
    assert shown.exit_code == 0
    for noun in (
        "up",
        "demo",
        "api",
        "worker",
        "scheduler",
        "flower",
        "db",
        "account",
        "provider",
        "campaign",
    ):
        assert f"\n  {noun} " in shown.stdout
    assert dialer("--version").stdout == f"dialer {__version__}\n"


@pytest.mark.parametrize(
    "wrong",
    [
        ["bogus"],
        ["account"],
        ["account", "create"],
        ["account", "create", "Acme", "--region=XX"],
        ["account", "create", "Acme", "--time-zone=Mars/Olympus"],
        ["account", "create", "Acme", "--calling-window=08:00"],
        ["account", "create", " "],
        ["account", "update", "Acme"],
        ["provider", "add", "mitto"],
        ["provider", "add", "mitto", "--kind=mitto", "--calls-per-minute=0"],
        ["inbound", "set", "Acme", "+79586488002"],
        ["inbound", "set", "Acme", "+79586488002", "--call-back"],
        ["inbound", "set", "Acme", "+79586488002", "--at-once", "--refuse"],
        ["inbound", "set", "Acme", "+79586488002", "--connect=+79684881033", "--call-back", "--at-once"],
        ["inbound", "set", "Acme", "+79586488002", "--connect=+79684881033", "--ring=15", "--ring=20"],
        ["inbound", "set", "Acme", "+79586488002", "--refuse", "--opt-out"],
        ["worker", "--queues=calls,bogus"],
        ["worker", "--queues=,"],
        ["import", "contacts", "people", "missing.csv"],
        ["cdr", "export", "--from=yesterday"],
        ["cdr", "export", "--format=xlsx"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_prints_no_data(home: Path, wrong: list[str]) -> None:
    result = dialer(*wrong)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage:" in result.stderr


def test_python_dash_m_dialer_is_the_same_command(home: Path) -> None:
    result = process("bogus")
    assert result.returncode == 2
    assert result.stderr.startswith("Usage: dialer")


def test_nothing_is_coloured_away_from_a_terminal(home: Path) -> None:
    a_provider()
    assert "\x1b" not in dialer("provider", "list").stdout
    assert "\x1b" not in process("doctor", FORCE_COLOR="").stdout


def test_a_database_without_tables_is_told_in_one_sentence(home: Path) -> None:
    (home / "dialer.db").unlink()
    assert failing("account", "list") == "The database has no tables yet: run `dialer db upgrade`."


def test_a_database_server_that_is_down_is_told_in_one_sentence(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql://dialer:{SECRET}@127.0.0.1:{free_port()}/dialer"
    monkeypatch.setenv("DIALER_DATABASE_URL", url)
    sentence = failing("account", "list")
    assert "does not answer" in sentence
    assert "DIALER_DATABASE_URL" in sentence
    assert SECRET not in sentence


def test_wrong_settings_are_told_one_sentence_each(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALER_PORT", "many")
    monkeypatch.setenv("DIALER_PUBLIC_URL", "nowhere")
    result = dialer("account", "list")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line.split()[0] for line in lines] == ["DIALER_PORT", "DIALER_PUBLIC_URL"]


def test_what_nobody_expected_is_one_line_and_debug_shows_where(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "dialer.db").write_bytes(b"this is no database" * 100)
    assert "DIALER_LOG_LEVEL=debug" in failing("account", "list")
    monkeypatch.setenv("DIALER_LOG_LEVEL", "debug")
    assert "Traceback" in dialer("account", "list").stderr


# --- db


def test_db_upgrade_makes_the_tables_and_check_finds_nothing_to_say(home: Path) -> None:
    (home / "dialer.db").unlink()
    assert data("db", "current")["is_current"] is False
    before = dialer("db", "check", "--json")
    assert before.exit_code == 1
    assert len(json.loads(before.stdout)) == 1
    assert dialer("db", "upgrade").exit_code == 0
    assert data("db", "current")["is_current"] is True
    assert data("db", "check") == []


# --- account


def test_an_account_is_shown_its_key_once_and_gets_a_global_dnd_list(engine: Engine) -> None:
    made = data(
        "account", "create", "Acme", "--region=in", "--time-zone=Asia/Kolkata", "--calls-per-minute=60",
        "--max-concurrent=5", "--calling-window=00:00-24:00",
    )  # fmt: skip
    row = only(engine, account)
    assert row.id == made["id"]
    assert same_auth(row.auth_hash, made["auth"])
    assert (row.default_region, row.time_zone) == ("IN", "Asia/Kolkata")
    assert (row.calls_per_minute, row.max_concurrent) == (60, 5)
    assert row.calling_window["end"] == "24:00"
    with engine.connect() as connection:
        found = dnd.global_list(connection, made["id"])
    assert found is not None
    assert found.id == made["dnd_list_id"]

    listed = dialer("account", "list").output + dialer("account", "list", "--json").output
    assert "Acme" in listed
    assert made["auth"] not in listed
    assert row.auth_hash not in listed


def test_rotating_an_account_voids_its_old_key(engine: Engine) -> None:
    made = data("account", "create", "Acme")
    by_name, by_id = data("account", "rotate", "Acme"), data("account", "rotate", made["id"])
    kept = only(engine, account).auth_hash
    assert same_auth(kept, by_id["auth"])
    assert not same_auth(kept, by_name["auth"])
    assert not same_auth(kept, made["auth"])


def test_an_update_changes_what_it_names_and_nothing_else(engine: Engine) -> None:
    data(
        "account", "create", "Acme", "--time-zone=Asia/Kolkata", "--calls-per-minute=60", "--frequency-cap=3"
    )
    changed = data(
        "account", "update", "Acme", "--calls-per-minute=0", "--calling-window=09:00-18:00", "--disable"
    )
    assert (changed["calls_per_minute"], changed["frequency_cap"], changed["enabled"]) == (None, 3, False)
    row = only(engine, account)
    assert (row.calls_per_minute, row.time_zone, row.enabled) == (None, "Asia/Kolkata", False)
    assert row.calling_window["start"] == "09:00"
    assert data("account", "update", "Acme", "--enable")["enabled"] is True


def test_a_changed_calling_window_of_an_account_reaches_calls_that_wait_for_it(engine: Engine) -> None:
    a_campaign(engine)
    data("account", "update", "Acme", "--calls-per-minute=60")
    assert only(engine, campaign).pass_due_at is None
    data("account", "update", "Acme", "--calling-window=09:00-18:00")
    assert only(engine, campaign).pass_due_at is not None


def test_a_key_is_made_shown_once_listed_and_revoked_by_the_operator(engine: Engine) -> None:
    data("account", "create", "acme")
    made = data(
        "account", "key", "create", "acme", "crm", "--scope=read", "--scope=call", "--requests-per-minute=30"
    )
    assert same_auth(only(engine, api_key).auth_hash, made["key"])
    (listed,) = data("account", "key", "list", "acme")
    assert (listed["id"], listed["scopes"], listed["requests_per_minute"]) == (
        made["id"],
        ["call", "read"],
        30,
    )
    assert made["key"] not in str(listed)
    changed = data("account", "key", "change", "acme", made["id"], "--name=shop", "--requests-per-minute=0")
    assert (changed["name"], changed["requests_per_minute"]) == ("shop", None)
    assert data("account", "key", "show", "acme", made["id"]) == changed
    assert "has no key AK0" in failing("account", "key", "change", "acme", "AK0", "--name=shop")
    assert dialer("account", "key", "change", "acme", made["id"]).exit_code == 2
    revoked = data("account", "key", "revoke", "acme", made["id"])
    assert revoked["revoked_at"] is not None
    assert data("account", "key", "revoke", "acme", made["id"]) == revoked
    assert "has no key AK0" in failing("account", "key", "revoke", "acme", "AK0")
    with engine.connect() as connection:
        entries = connection.execute(sa.select(audit_entry).order_by(audit_entry.c.id)).all()
    assert [(one.action, one.actor) for one in entries] == [
        ("account.create", "operator"),
        ("key.create", "operator"),
        ("key.change", "operator"),
        ("key.revoke", "operator"),
    ]


@pytest.mark.parametrize("wrong", [("crm", "--scope=root"), (" ", "--scope=read"), ("crm",)])
def test_a_key_needs_a_name_and_scopes_that_there_are(engine: Engine, wrong: tuple[str, ...]) -> None:
    data("account", "create", "acme")
    assert dialer("account", "key", "create", "acme", *wrong).exit_code == 2


def test_a_name_is_given_to_one_account_only(home: Path) -> None:
    data("account", "create", "Acme")
    assert "choose another name" in failing("account", "create", "Acme")
    assert "no account" in failing("account", "rotate", "Bcme")


# --- provider


def test_a_providers_credentials_are_sealed_and_never_shown(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MITTO_KEY", SECRET)
    (tmp_path / "password").write_text("pa55word-from-a-file\n")
    added = dialer(
        "provider", "add", "mitto", "--kind=mitto", "--set=access_key=env:MITTO_KEY", "--set=callback_user=us",
        f"--set=callback_password=@{tmp_path / 'password'}", "--priority=7",
    )  # fmt: skip
    assert added.exit_code == 0, added.stderr
    row = only(engine, provider)
    assert SecretBox(get_settings().secret_keys()).open(row.credentials) == {
        "access_key": SECRET,
        "callback_user": "us",
        "callback_password": "pa55word-from-a-file",
    }
    assert row.callback_auth_hash == hashlib.sha256(b"us:pa55word-from-a-file").hexdigest()
    assert row.base_url == "https://cpaas.mittoapi.net/api"

    shown = data("provider", "show", "mitto")
    assert shown["settings"] == {"access_key": "set", "callback_password": "set", "callback_user": "set"}
    assert shown["webhook_url"] == f"http://127.0.0.1:8000/webhooks/mitto/{row.webhook_token}"
    assert (shown["events_not_understood"], shown["last_not_understood"]) == (0, None)
    said = (
        added.output
        + dialer("provider", "show", "mitto").output
        + dialer("provider", "list", "--json").output
    )
    for secret in (SECRET, "pa55word", row.credentials, row.callback_auth_hash):
        assert secret not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--kind=mitto"], "needs access_key"),
        (
            ["--kind=mitto", "--set=access_key=k", "--set=colour=red", "--set=size=5"],
            "no setting colour, size",
        ),
        (["--kind=mitto", "--set=access_key=env:NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE"),
        (["--kind=mitto", "--set=access_key=@/no/such/file"], "/no/such/file"),
        (["--kind=mitto", "--set=access_key"], "--set key=value"),
        (["--kind=mitto", "--set=access_key=k", "--base-url=ftp://x"], "base URL"),
        (["--kind=mitto", "--set=access_key=k", "--account=nobody"], "no account nobody"),
        (["--kind=pigeon"], "pigeon"),
    ],
)
def test_a_provider_that_cannot_work_is_refused_with_the_mend(
    engine: Engine, arguments: list[str], words: str
) -> None:
    assert words in failing("provider", "add", "p", *arguments)
    with engine.connect() as connection:
        assert connection.execute(sa.select(provider)).all() == []


def test_a_provider_needs_a_name_that_fits_into_an_url(home: Path) -> None:
    assert "letters" in failing("provider", "add", "a/b", "--kind=mitto", "--set=access_key=k")
    a_provider()
    assert "already" in failing("provider", "add", "mitto", "--kind=mitto", "--set=access_key=k")


def test_updating_a_provider_keeps_what_is_not_named(engine: Engine) -> None:
    a_provider(callback_user="us", source_addr="12025550100")
    before = only(engine, provider)
    data(
        "provider",
        "update",
        "mitto",
        "--set=access_key=another",
        "--set=callback_user=",
        "--calls-per-minute=30",
    )
    after = only(engine, provider)
    assert SecretBox(get_settings().secret_keys()).open(after.credentials) == {
        "access_key": "another",
        "source_addr": "12025550100",
    }
    assert after.callback_auth_hash is None
    assert (after.base_url, after.webhook_token) == (before.base_url, before.webhook_token)
    assert after.calls_per_minute == 30
    data("provider", "update", "mitto", "--calls-per-minute=0")
    assert only(engine, provider).calls_per_minute is None
    assert dialer("provider", "update", "mitto").exit_code == 2


def test_a_provider_whose_key_was_lost_is_shown_and_can_be_given_new_credentials(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_provider()
    monkeypatch.setenv("DIALER_SECRET_KEY", "an altogether different key")
    assert "DIALER_SECRET_KEY" in data("provider", "show", "mitto")["settings"]
    assert "DIALER_SECRET_KEY" in failing("provider", "test", "mitto")
    updated = data("provider", "update", "mitto", "--set=access_key=entered again")
    assert updated["settings"] == {"access_key": "set"}


def test_rotating_the_webhook_keeps_the_old_url_for_a_day(engine: Engine) -> None:
    old = a_provider()["webhook_url"]
    new = data("provider", "rotate-webhook", "mitto")["webhook_url"]
    row = only(engine, provider)
    assert new != old
    assert old.endswith(f"/{row.previous_webhook_token}")
    assert new.endswith(f"/{row.webhook_token}")
    assert timedelta(hours=23) < row.previous_token_until - datetime.now(UTC) < timedelta(hours=25)


def test_enabling_a_provider_clears_why_it_was_paused(engine: Engine) -> None:
    a_provider()
    with writing(engine) as connection:
        connection.execute(provider.update().values(paused_reason="no funds"))
    assert data("provider", "list")[0]["state"] == "paused"
    assert dialer("provider", "disable", "mitto").exit_code == 0
    assert data("provider", "list")[0]["state"] == "disabled"
    assert only(engine, provider).disabled_at is not None
    assert dialer("provider", "enable", "mitto").exit_code == 0
    assert data("provider", "list")[0]["state"] == "enabled"
    assert only(engine, provider).disabled_at is None


@pytest.mark.parametrize(
    ("trips", "minutes", "stands"), [(0, None, "closed"), (2, 5, "open"), (2, -5, "half-open")]
)
def test_the_list_of_providers_shows_where_their_breakers_stand(
    engine: Engine, trips: int, minutes: int | None, stands: str
) -> None:
    a_provider()
    until = None if minutes is None else datetime.now(UTC) + timedelta(minutes=minutes)
    with writing(engine) as connection:
        connection.execute(provider.update().values(breaker_trips=trips, breaker_until=until))
    assert data("provider", "list")[0]["breaker"] == stands
    assert stands in dialer("provider", "list").output


def test_a_provider_that_was_used_stays(engine: Engine) -> None:
    row_id = a_provider()["id"]
    a_cdr(engine, "+12025550101", NOW, provider_id=row_id)
    assert "disable" in failing("provider", "remove", "mitto")
    with writing(engine) as connection:
        connection.execute(cdr.delete())
    assert dialer("provider", "remove", "mitto").exit_code == 0
    assert data("provider", "list") == []
    assert "no provider mitto" in failing("provider", "remove", "mitto")


def test_testing_a_provider_that_is_not_there_fails_in_one_sentence(home: Path) -> None:
    data(
        "provider",
        "add",
        "mitto",
        "--kind=mitto",
        f"--base-url=http://127.0.0.1:{free_port()}",
        "--set=access_key=k",
    )
    assert "could not be reached" in failing("provider", "test", "mitto")
    result = dialer("provider", "test", "mitto", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["works"] is False


# --- campaign


def test_a_campaign_is_paused_resumed_and_stopped(engine: Engine) -> None:
    a_campaign(engine)
    assert data("campaign", "list", "--account=Acme")[0]["state"] == "RUNNING"
    for command, state in (("pause", "PAUSED"), ("resume", "RUNNING"), ("stop", "STOPPED")):
        assert dialer("campaign", command, "CMaaaaaaaaaa").exit_code == 0
        assert data("campaign", "show", "CMaaaaaaaaaa")["state"] == state
    assert "cannot be" in failing("campaign", "pause", "CMaaaaaaaaaa")
    assert "no campaign" in failing("campaign", "show", "CMnotthere00")


def test_a_draft_is_looked_at_and_started(engine: Engine) -> None:
    row = a_campaign(engine, CampaignState.DRAFT)
    assert "empty" in failing("campaign", "start", row["id"])
    with writing(engine) as connection:
        contacts.add(connection, row["list_id"], [NewContact("+12025550101")], NOW)
    found = data("campaign", "preflight", row["id"])
    assert (found["contacts"], found["dialable"], len(found["problems"])) == (1, 1, 1)
    assert found["earliest_finish_at"] is not None
    a_provider()
    assert data("campaign", "preflight", row["id"])["problems"] == []
    assert dialer("campaign", "start", row["id"]).exit_code == 0
    assert data("campaign", "show", row["id"])["state"] == "SCHEDULED"
    assert dialer("campaign", "start", row["id"]).exit_code == 0, "it is started already"


def test_watching_a_campaign_ends_with_it(engine: Engine) -> None:
    a_campaign(engine, CampaignState.FINISHED)
    with writing(engine) as connection:
        counts = {"taken": 3, "COMPLETED": 2, "SUPPRESSED": 1, "cdr.ANSWER": 2, "cdr.DND": 1}
        rows = [{"campaign_id": "CMaaaaaaaaaa", "name": name, "count": n} for name, n in counts.items()]
        connection.execute(campaign_count.insert(), rows)
    result = dialer("campaign", "watch", "CMaaaaaaaaaa", "--json")
    assert result.exit_code == 0
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lines) == 1
    assert lines[0]["ended"] == {"COMPLETED": 2, "SUPPRESSED": 1}
    assert lines[0]["results"] == {"ANSWER": 2, "DND": 1}


# --- import


SOUTH = [
    "south",
    "--kind=mtt-callback",
    "--set=username=us",
    f"--set=password={SECRET}",
    "--set=customer_name=7",
]


def test_the_black_list_of_an_accounts_provider_is_kept_in_step(engine: Engine) -> None:
    data("account", "create", "acme")
    assert data("provider", "add", *SOUTH, "--account=acme")["black_list"] == "being brought in step"
    assert data("provider", "update", "south", "--no-mirror-dnd")["black_list"] is None
    assert data("provider", "update", "south", "--mirror-dnd")["black_list"] == "being brought in step"
    with writing(engine) as connection:
        connection.execute(dnd_mirror.update().values(error="south did not answer."))
    assert data("provider", "show", "south")["black_list"] == "not in step: south did not answer."
    with writing(engine) as connection:
        connection.execute(dnd_mirror.update().values(error=None, seen_at=NOW))
        connection.execute(dnd_list.update().values(changed_at=NOW))
    assert data("provider", "show", "south")["black_list"] == "in step with the DND list"
    assert data("provider", "update", "south", "--priority=7")["black_list"] == "in step with the DND list"
    assert data("provider", "update", "south", "--account=")["black_list"] is None
    assert dialer("provider", "remove", "south").exit_code == 0


def test_a_black_list_is_left_alone_where_that_is_wished(home: Path) -> None:
    data("account", "create", "acme")
    assert data("provider", "add", *SOUTH, "--account=acme", "--no-mirror-dnd")["black_list"] is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*SOUTH, "--mirror-dnd"], "say whose with --account"),
        (["p", "--kind=mitto", "--set=access_key=k", "--mirror-dnd"], "keeps no black list"),
    ],
)
def test_what_cannot_be_mirrored_is_refused(engine: Engine, arguments: list[str], words: str) -> None:
    assert words in failing("provider", "add", *arguments)
    with engine.connect() as connection:
        assert connection.execute(sa.select(provider)).all() == []


def test_numbers_are_taken_off_a_dnd_list(engine: Engine) -> None:
    made = data("account", "create", "acme", "--region=SE")
    with writing(engine) as connection:
        rows = [("+46701234567", ""), ("+46701234568", "")]
        held = dnd.global_list(connection, made["id"])
        assert held is not None
        dnd.add_numbers(connection, held.id, rows, NOW)
    removed = data("dnd", "remove", "global", "070-123 45 67", "+46701234569")
    assert removed == {"dnd_list_id": held.id, "removed": 1}
    assert only(engine, dnd_number).e164 == "+46701234568"
    sentence = failing("dnd", "remove", "global", "+46701234568", "070")
    assert "NUMBER 2 is no phone number" in sentence
    assert only(engine, dnd_number), "all or none"
    assert "1 of 1 numbers stood on global" in dialer("dnd", "remove", "global", "+46701234568").stderr


def test_an_import_tells_what_it_took_and_why_it_refused_the_rest(engine: Engine, tmp_path: Path) -> None:
    a_campaign(engine)
    file = tmp_path / "people.csv"
    file.write_text(
        "phone,name,amount\n+12025550101,Ann,5\n12,Bob,6\n+12025550101,Ann again,7\n+12025550102,Cy,8\n"
    )
    report = data("import", "contacts", "people", str(file), "--account=Acme")
    assert {name: report[name] for name in ("state", "rows", "accepted", "duplicate", "invalid")} == {
        "state": "DONE",
        "rows": 4,
        "accepted": 2,
        "duplicate": 1,
        "invalid": 1,
    }
    assert [(row["line"], row["value"]) for row in report["rejected"]] == [(3, "12"), (4, "+12025550101")]
    with engine.connect() as connection:
        numbers = connection.execute(sa.select(contact.c.e164).order_by(contact.c.position)).scalars().all()
    assert numbers == ["+12025550101", "+12025550102"]

    again = dialer("import", "contacts", "people", str(file))
    assert again.exit_code == 0
    assert "LINE" in again.stdout
    assert "in the list already" in again.stdout


def test_numbers_are_imported_into_the_dnd_list_that_is_meant(engine: Engine, tmp_path: Path) -> None:
    first, second = data("account", "create", "Acme"), data("account", "create", "Bcme")
    file = tmp_path / "never.csv"
    file.write_text("number\n+12025550107\n")
    assert "--account" in failing("import", "dnd", "global", str(file))
    assert data("import", "dnd", "global", str(file), "--account=Bcme")["accepted"] == 1
    assert only(engine, dnd_number).dnd_list_id == second["dnd_list_id"]
    assert data("import", "dnd", first["dnd_list_id"], str(file))["accepted"] == 1
    assert "no DND list" in failing("import", "dnd", "elsewhere", str(file))


def test_a_file_that_is_no_csv_is_refused_in_one_sentence(engine: Engine, tmp_path: Path) -> None:
    a_campaign(engine)
    (tmp_path / "book.csv").write_bytes(b"PK\x03\x04" + bytes(100))
    assert "CSV" in failing("import", "contacts", "people", str(tmp_path / "book.csv"))


# --- cdr


def test_an_export_guards_a_spreadsheet_against_formulas(engine: Engine) -> None:
    a_cdr(engine, "+12025550101", NOW, provider_reference="=cmd()", dtmf_inputs="-1", billsec=7.25)
    result = dialer("cdr", "export")
    assert result.exit_code == 0
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["provider_reference"] == "'=cmd()"
    assert row["dtmf_inputs"] == "'-1"
    assert (row["number"], row["caller_id"]) == ("12025550101", "12025550100")
    assert (row["billsec"], row["call_date"]) == ("7.25", "2026-09-25 12:00:00")
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values())


def test_json_lines_hold_everything_as_it_is(engine: Engine) -> None:
    a_cdr(engine, "+12025550101", NOW, provider_reference="=cmd()")
    row = json.loads(dialer("cdr", "export", "--format=jsonl").stdout)
    assert (row["number"], row["provider_reference"]) == ("+12025550101", "=cmd()")
    assert row["call_date"] == "2026-09-25T12:00:00+00:00"


def test_an_export_takes_whole_days_and_times(engine: Engine) -> None:
    for day, number in ((24, "+12025550101"), (25, "+12025550102"), (26, "+12025550103")):
        a_cdr(engine, number, NOW.replace(day=day), campaign_id="CMaaaaaaaaaa" if day == 25 else None)

    def numbers(*arguments: str) -> list[str]:
        lines = dialer("cdr", "export", "--format=jsonl", *arguments).stdout.splitlines()
        return [json.loads(line)["number"][-1] for line in lines]

    assert numbers("--from=2026-09-25", "--to=2026-09-25") == ["2"]
    assert numbers("--from=2026-09-25") == ["2", "3"]
    assert numbers("--to=2026-09-25T12:00") == ["1"]
    assert numbers("--to=2026-09-25T14:00:01+02:00") == ["1", "2"]
    assert numbers("--campaign=CMaaaaaaaaaa") == ["2"]


# --- doctor


def test_the_doctor_finds_a_fresh_home_fit(home: Path) -> None:
    findings = {finding["check"]: finding for finding in data("doctor")}
    assert findings["schema"]["status"] == "ok"
    assert findings["providers"]["status"] == "warn"
    assert "dialer up" in findings["redis"]["message"]


def test_the_doctor_tells_what_fails_and_how_to_mend_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    data(
        "provider",
        "add",
        "mitto",
        "--kind=mitto",
        f"--base-url=http://127.0.0.1:{free_port()}",
        "--set=access_key=k",
    )
    a_campaign(engine)
    with writing(engine) as connection:
        connection.execute(campaign.update().values(wake_at=NOW))
    monkeypatch.setenv("DIALER_REDIS_URL", f"redis://:{SECRET}@127.0.0.1:{free_port()}/0")
    result = dialer("doctor", "--json")
    assert result.exit_code == 1
    failed = {
        finding["check"]: finding["message"]
        for finding in json.loads(result.stdout)
        if finding["status"] == "fail"
    }
    assert set(failed) == {"campaigns", "provider mitto", "redis", "broker"}
    assert "dialer scheduler" in failed["campaigns"]
    assert "DIALER_REDIS_URL" in failed["redis"]
    assert SECRET not in result.output


def test_the_doctor_tells_of_a_schema_that_is_missing(home: Path) -> None:
    (home / "dialer.db").unlink()
    result = dialer("doctor")
    assert result.exit_code == 1
    assert "fail  schema: It has no tables yet: run `dialer db upgrade`." in result.stdout


# --- processes


def test_the_api_is_the_process_that_was_started_and_ends_on_sigterm(home: Path) -> None:
    port = free_port()
    api = subprocess.Popen(
        [sys.executable, "-m", "dialer", "api", f"--port={port}"], stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for_port(port, api)
        (connection,) = [
            one for one in psutil.Process(api.pid).net_connections("tcp") if one.status == "LISTEN"
        ]
        assert connection.laddr.port == port
        api.send_signal(signal.SIGTERM)
        api.communicate(timeout=WITHIN)
    finally:
        api.kill()
        api.communicate()
    assert api.returncode in {0, -signal.SIGTERM}


def test_up_says_which_port_is_taken(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = process("up", f"--port={port}", "--no-flower")
    assert result.returncode == 1
    assert f"Port {port}" in result.stderr
    assert "--port" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.chaos
def test_up_killed_leaves_nothing_running_and_starts_again(home: Path) -> None:
    first = start_up(home, "--workers=1", "--no-flower")
    try:
        children = psutil.Process(first.pid).children(recursive=True)
        assert len(children) >= 5
        second = process("up", f"--port={free_port()}", "--no-flower")
        assert second.returncode == 1
        assert str(first.pid) in second.stderr
        assert "Traceback" not in second.stderr
    finally:
        first.kill()
        first.communicate()
    _, alive = psutil.wait_procs(children, timeout=WITHIN)
    assert alive == []

    again = start_up(home, "--workers=1", "--no-flower")
    again.send_signal(signal.SIGTERM)
    said = again.communicate(timeout=WITHIN)[1]
    assert again.returncode == 0, said
    assert not (home / "run" / "up.json").exists()


def test_the_demo_adds_up_and_leaves_nothing_running(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    result = process("demo", "--contacts=40", f"--home={folder}", "--json", within=150)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["contacts"] == 40
    assert all(check["ok"] for check in summary["checks"])
    assert sum(summary["ends"].values()) == 40
    assert summary["cdrs"]["DND"] > 0
    assert summary["cdrs"]["ANSWER"] > 0
    assert not [
        one
        for one in psutil.process_iter(["cwd"])
        if Path(one.info["cwd"] or "/").is_relative_to(folder)  # where they work
    ]


@pytest.mark.skipif(not fork.IS_POSSIBLE, reason="processes share their memory on Linux only")
def test_up_with_two_workers_and_flower_fits_into_450_mb(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIALER_FLOWER_PORT", str(free_port()))
    up = start_up(home, "--workers=2")
    try:
        supervisor = psutil.Process(up.pid)
        deadline = time.monotonic() + WITHIN
        # Redis, API, scheduler, Flower, and four workers, of which one has two processes that place calls.
        while len(everybody := supervisor.children(recursive=True)) < 10:
            assert time.monotonic() < deadline, [one.cmdline() for one in everybody]
            time.sleep(0.05)
        assert sum(one.memory_full_info().pss for one in (supervisor, *everybody)) < 450 * 2**20
        # What forks may have nothing that does not bear it.
        assert supervisor.num_threads() == 1
        assert supervisor.net_connections() == []
        titles = [" ".join(one.cmdline()) for one in supervisor.children()]
        for part in ("uvicorn", "calls@", "otp@", "results@", "upkeep@", "dialer scheduler", "flower"):
            assert any(part in title for title in titles), titles
    finally:
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=WITHIN)


def start_up(home: Path, *options: str) -> subprocess.Popen[str]:
    """`dialer up`, ready."""
    argv = [sys.executable, "-m", "dialer", "up", f"--port={free_port()}", *options]
    started = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
    report, deadline = home / "run" / "up.json", time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        if started.poll() is not None:
            pytest.fail(f"it ended: {started.communicate()[1]}")
        try:
            state = json.loads(report.read_text())
        except FileNotFoundError:
            state = {}
        if state.get("pid") == started.pid and state["ready"]:
            return started
        time.sleep(0.05)
    started.kill()
    pytest.fail(f"it was not ready: {started.communicate()[1]}")


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    """Until somebody listens; fails with the process's words when it ends before."""
    deadline = time.monotonic() + WITHIN
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"it ended: {process.communicate()[1]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("nobody listens")


# Templates


def test_a_template_is_added_listed_and_removed(home: Path) -> None:
    data("account", "create", "acme")
    made = data("template", "add", "acme", " Your code is {otp}. ")
    assert made["id"].startswith("AN")
    assert made["text"] == "Your code is {otp}."
    kept = data("template", "add", "acme", "Code {otp}", "--id", "AN2222314c96")
    assert [row["id"] for row in data("template", "list", "acme")] == [made["id"], kept["id"]]
    assert dialer("template", "remove", "acme", made["id"]).exit_code == 0
    assert [row["text"] for row in data("template", "list", "acme")] == ["Code {otp}"]


def test_a_template_is_approved_and_rejected(home: Path) -> None:
    data("account", "create", "acme")
    made = data("template", "add", "acme", "Dear {name}.", "--pending")

    def state() -> tuple[str, str]:
        (row,) = data("template", "list", "acme")
        return row["state"], row["reason"]

    assert state() == ("PENDING", "")
    assert dialer("template", "approve", "acme", made["id"]).exit_code == 0
    assert state() == ("APPROVED", "")
    assert dialer("template", "reject", "acme", made["id"], "--reason", "Too long.").exit_code == 0
    assert state() == ("REJECTED", "Too long.")
    assert not data("account", "update", "acme", "--calls-per-minute", "5")["approves_templates"]
    assert data("account", "update", "acme", "--approve-templates")["approves_templates"]


def test_what_is_wrong_with_a_template_is_told(home: Path) -> None:
    data("account", "create", "acme")
    data("template", "add", "acme", "Code {otp}", "--id", "AN1")
    for arguments, code, told in [
        (("add", "acme", " "), 2, "needs a text"),
        (("approve", "acme", "AN2"), 1, "no template AN2"),
        (("add", "acme", "{otp} {"), 2, "TEXT has a stray {"),
        (("add", "acme", "{otp}", "--id", "A N"), 2, "letters and digits"),
        (("add", "acme", "Code {otp}", "--id", "AN1"), 1, "AN1 already"),
        (("remove", "acme", "AN2"), 1, "no template AN2"),
        (("list", "nobody"), 1, "no account nobody"),
    ]:
        result = dialer("template", *arguments)
        assert result.exit_code == code, arguments
        assert told in " ".join(result.output.split()), arguments


# --- calls that come in ---------------------------------------------------------------------------------------


def test_what_becomes_of_calls_to_a_number_is_said_shown_and_taken_back(home: Path) -> None:
    data("account", "create", "Acme")
    assert (
        "nobody will hear of them yet"
        in dialer(
            "inbound",
            "set",
            "Acme",
            "+7 958 648-80-02",
            "--connect",
            "+79684881033",
            "--connect",
            "+79684881044",
        ).stderr
    )
    (rule,) = data("inbound", "list", "Acme")
    assert (rule["number"], rule["action"]) == ("+79586488002", "CONNECT")
    assert rule["numbers"] == ["+79684881033", "+79684881044"]
    data("inbound", "set", "Acme", "+79586488002", "--refuse")
    shown = data("inbound", "show", "Acme", "+79586488002")
    assert (shown["action"], shown["numbers"], shown["asked_by"]) == ("REFUSE", [], [])
    assert len(data("inbound", "list")) == 1
    assert dialer("inbound", "remove", "Acme", "79586488002").exit_code == 0
    assert data("inbound", "list") == []
    assert "has no rule of this account" in failing("inbound", "remove", "Acme", "+79586488002")


@pytest.mark.parametrize(
    ("options", "action"),
    [
        (["--connect=+79684881033", "--at-once"], "CONNECT_ALL"),
        (["--connect=+79684881033", "--call-back"], "CALL_BACK"),
        (["--opt-out"], "OPT_OUT"),
        (["--opt-out", "--say=Bye"], "OPT_OUT"),
        (["--refuse"], "REFUSE"),
        (["--say=We are closed."], "ANNOUNCE"),
        (["--play=closed"], "ANNOUNCE"),
    ],
)
def test_the_options_choose_one_action(home: Path, options: list[str], action: str) -> None:
    data("account", "create", "Acme")
    assert data("inbound", "set", "Acme", "+79586488002", *options)["action"] == action


def test_each_number_is_rung_for_as_long_as_is_said(home: Path) -> None:
    data("account", "create", "Acme")
    office, *both = "+79586488002", "--connect=+79684881033", "--connect=+79684881044"
    for options, seconds, other in (
        ((), 30, "+79684881044"),
        (("--at-once",), 60, "+79684881044"),
        (("--ring=15",), 15, "+79684881044"),
        (("--ring=15", "--ring=40"), 15, {"number": "+79684881044", "seconds": 40}),
    ):
        made = data("inbound", "set", "Acme", office, *both, *options)
        assert (made["ring_seconds"], made["numbers"]) == (seconds, ["+79684881033", other]), options
    twice = ("inbound", "set", "Acme", office, both[0], both[0], "--ring=15", "--ring=40")
    assert "rung for one time alone" in failing(*twice)


def test_whoever_shares_a_provider_hears_of_rules_that_do_not_hold_there_any_more(engine: Engine) -> None:
    data("account", "create", "Acme")
    data("provider", "add", "own", "--account=Acme", *IOTCOMMS)
    data("inbound", "set", "Acme", "+79586488002", "--connect=+79684881033")
    assert "inbound rules" not in dialer("provider", "update", "own", "--account=").stderr
    data("provider", "update", "own", "--account=Acme")
    with writing(engine) as connection:
        connection.execute(inbound_rule.update().values(claimed=True))  # as where there are several accounts
    assert (
        "1 inbound rules that its account made itself"
        in dialer("provider", "update", "own", "--account=").stderr
    )
    assert data("inbound", "show", "Acme", "+79586488002")["asked_by"] == []
    data("inbound", "set", "Acme", "+79586488002", "--connect=+79684881033")
    assert data("inbound", "show", "Acme", "+79586488002")["asked_by"] == ["own"]


MTT = ["--kind=mtt-callback", "--set=username=u", "--set=password=s3cret", "--set=customer_name=110000777"]
IOTCOMMS = [
    "--kind=iotcomms",
    "--set=domain=c.example",
    "--set=sip_host=sip.example.com",
    "--set=token=t0ken",
]


def test_a_text_that_no_provider_can_say_to_callers_is_refused_with_the_mend(home: Path) -> None:
    data("account", "create", "Acme")
    data("provider", "add", "moscow", *MTT)
    rule = ("inbound", "set", "Acme", "+79586488002", "--connect=+79684881033")
    sentence = failing(*rule, "--say=One moment.")
    assert "give its file_id with play instead of say" in sentence
    assert data("inbound", "list") == []
    assert data(*rule, "--play=moment")["play"] == "moment"
    assert dialer("inbound", "remove", "Acme", "+79586488002").exit_code == 0
    # The number may as well be at somebody who can.
    data("provider", "add", "nordic", *IOTCOMMS)
    said = dialer(*rule, "--say=One moment.")
    assert said.exit_code == 0
    assert "Should the number be at moscow, not all of that will be done" in " ".join(said.stderr.split())
    assert "nordic" not in said.stderr
    assert data("inbound", "list")[0]["say"] == "One moment."


def test_a_rule_says_what_whoever_picks_up_hears_and_sees(home: Path) -> None:
    data("account", "create", "Acme")
    data("provider", "add", "moscow", *MTT)
    options = ["--play=hello", "--answer-first", "--greet-play=whisper", "--hide-caller", "--press=W1w2#"]
    made = data("inbound", "set", "Acme", "+79586488002", "--connect=+79684881033", *options)
    assert (made["greet_play"], made["press"]) == ("whisper", "W1w2#")
    assert (made["answer_first"], made["hide_caller"], made["record"]) == (True, True, False)
    sentence = failing("inbound", "set", "Acme", "+79586488003", "--connect=+79684881033", "--record")
    assert "leave out record" in sentence


def test_a_rule_says_what_both_hear_when_the_caller_is_called_back(home: Path) -> None:
    data("account", "create", "Acme")
    data("provider", "add", "moscow", *MTT)
    rule = ("inbound", "set", "Acme", "+79586488002", "--connect=+79684881033", "--call-back")
    made = data(*rule, "--back-say=You have called us.", "--greet-play=whisper")
    assert (made["back_say"], made["back_play"]) == ("You have called us.", None)
    assert made["greet_play"] == "whisper"


def test_a_rule_that_no_provider_could_call_back_by_is_refused(home: Path) -> None:
    data("account", "create", "Acme")
    data(
        "provider",
        "add",
        "far",
        "--kind=cpaas",
        "--base-url=http://127.0.0.1:9",
        "--set=account=a",
        "--set=auth=b",
    )
    rule = ("inbound", "set", "Acme", "+79586488002", "--connect=+79684881033", "--call-back")
    sentence = failing(*rule, "--back-say=You have called us.")
    assert "cannot tell two people something before they are connected" in sentence
    assert "kinds that can: iotcomms, mtt-callback" in sentence
    assert data("inbound", "list") == []
    assert data(*rule)["action"] == "CALL_BACK"


def test_one_number_is_one_accounts(home: Path) -> None:
    for name in ("Acme", "Other"):
        data("account", "create", name)
    data("inbound", "set", "Acme", "+79586488002", "--refuse")
    assert "has a rule already" in failing("inbound", "set", "Other", "+79586488002", "--refuse")
    assert "has no rule of this account" in failing("inbound", "remove", "Other", "+79586488002")


def test_the_rules_of_an_accounts_verifications_are_shown_and_changed(engine: Engine) -> None:
    dialer("account", "create", "acme", "--json")
    changed = dialer(
        "account", "verification", "acme", "--countries", "se,no", "--max-sends", "3", "--number-limit", "4/600",
        "--prefix-digits", "3", "--check-limit", "8/60", "--alarm-below", "0.5", "--caller-id", "+4685000", "--json",
    )  # fmt: skip
    assert changed.exit_code == 0, changed.stderr
    found = json.loads(dialer("account", "verification", "acme", "--json").stdout)
    assert found == json.loads(changed.stdout)
    assert (found["countries"], found["max_sends"]) == (["NO", "SE"], 3)
    assert found["number_limit"] == {"sends": 4, "seconds": 600}
    assert found["check_limit"] == {"checks": 8, "seconds": 60}
    assert found["prefix_limit"] == {"sends": 200, "seconds": 3600, "digits": 3}
    assert (found["alarm"]["below"], found["alarm"]["of_last"]) == (0.5, 50)
    found = json.loads(dialer("account", "verification", "acme", "--countries", "", "--json").stdout)
    assert (found["countries"], found["max_sends"]) == (None, 3)
    for wrong in (
        ["--countries", "XX"],
        ["--number-limit", "4"],
        ["--max-checks", "0"],
    ):
        refused = dialer("account", "verification", "acme", *wrong)
        assert (refused.exit_code, refused.stdout) == (2, ""), wrong
    assert dialer("account", "verification", "acme", "--template", "AN9").exit_code == 1
    with engine.connect() as connection:
        entries = connection.execute(sa.select(audit_entry).order_by(audit_entry.c.id)).all()
    theirs = [row for row in entries if row.action == "verification.settings"]
    assert [row.actor for row in theirs] == ["operator"] * 2
