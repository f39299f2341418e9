"""What the command line changes stands in the audit log: each command that changes something, with the operator as
actor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import typer
from sqlalchemy import Engine
from test_cli import NOW, a_campaign, a_provider, data, dialer, free_port

from dialer.cli import app
from dialer.cli.provider import secret_box
from dialer.db import make_engine, writing
from dialer.lifecycle import CampaignState
from dialer.store import contacts, webhooks
from dialer.store import tables as t
from dialer.store.contacts import NewContact

#: Of accounts, providers and inbound rules, which no API changes, the commands that only look.
LOOK = {
    "account list", "account show", "account key show", "account key list", "inbound list", "inbound show",
    "provider list", "provider show", "provider test",
}  # fmt: skip
LINE = "+79586488002"


@pytest.fixture
def engine(home: Path) -> Iterator[Engine]:
    """The home's database, which the commands use."""
    engine = make_engine(f"sqlite:///{home}/dialer.db")
    yield engine
    engine.dispose()


def every_command(found: Any, name: str = "") -> Iterator[str]:
    inner = getattr(found, "commands", None)
    if inner is None:
        yield name.strip()
        return
    for word, command in inner.items():
        yield from every_command(command, f"{name} {word}")


def entries(engine: Engine) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(sa.select(t.audit_entry).order_by(t.audit_entry.c.id)))


def a_webhook(engine: Engine, account_id: str) -> None:
    row = {
        "id": "WHaaaaaaaaaa", "account_id": account_id, "url": "https://example.com", "events": [],
        "secrets": secret_box().seal({"secret": "s3cret"}), "created_at": NOW,
    }  # fmt: skip
    with writing(engine) as connection:
        webhooks.add(connection, row)


def test_every_command_that_changes_something_is_noted(engine: Engine, tmp_path: Path) -> None:
    row = a_campaign(engine, CampaignState.DRAFT)  # which makes the account, too
    account_id, campaign_id = row["account_id"], row["id"]
    with writing(engine) as connection:
        contacts.add(connection, row["list_id"], [NewContact("+12025550101")], NOW)
    a_webhook(engine, account_id)
    (file := tmp_path / "numbers.csv").write_text("number\n+12025550107\n")
    key = data("account", "key", "create", "Acme", "crm", "--scope=read")["id"]
    template = data("template", "add", "Acme", "Code {otp}")["id"]
    a_provider()
    done = ["account create", "account key create", "template add", "provider add"]
    assert [entry.action for entry in entries(engine)][:3] == [
        "account.create", "key.create", "template.create",
    ]  # fmt: skip
    assert entries(engine)[-1].action == "provider.create"
    details: dict[str, Any] = {}
    for command, action in (
        ("account update Acme --calls-per-minute=60", "account.change"),
        ("account verification Acme --max-sends=3", "verification.settings"),
        ("account rotate Acme", "account.rotate"),
        (f"account key change Acme {key} --requests-per-minute=30", "key.change"),
        (f"account key revoke Acme {key}", "key.revoke"),
        (f"template reject Acme {template}", "template.reject"),
        (f"template approve Acme {template}", "template.approve"),
        (f"template remove Acme {template}", "template.remove"),
        ("provider update mitto --priority=5 --set=source_addr=12025550100", "provider.change"),
        ("provider rotate-webhook mitto", "provider.rotate_webhook"),
        ("provider disable mitto", "provider.disable"),
        ("provider enable mitto", "provider.enable"),
        ("provider call mitto media_delete id=7", "provider.call"),
        (f"campaign start {campaign_id}", "campaign.start"),
        (f"campaign pause {campaign_id}", "campaign.pause"),
        (f"campaign resume {campaign_id}", "campaign.resume"),
        (f"campaign stop {campaign_id}", "campaign.stop"),
        (f"import contacts people {file} --account=Acme", "import.start"),
        (f"import dnd global {file} --account=Acme", "import.start"),
        ("dnd remove global +12025550107 --account=Acme", "dnd_list.remove_number"),
        (f"inbound set Acme {LINE} --refuse", "inbound.create"),
        (f"inbound set Acme {LINE} --opt-out", "inbound.change"),
        (f"inbound remove Acme {LINE}", "inbound.remove"),
        ("webhook reseal", "webhook.reseal"),
        ("provider remove mitto", "provider.remove"),
    ):
        before = len(entries(engine))
        result = dialer(*command.split())
        is_unreachable = action == "provider.call"  # it was asked for all the same
        assert result.exit_code == int(is_unreachable), (command, result.stderr)
        added = entries(engine)[before:]
        assert [(entry.action, entry.actor) for entry in added] == [(action, "operator")], command
        assert added[0].account_id == ("" if action.startswith("provider.") else account_id)
        details[action] = added[0].detail
        done.append(command)
    assert details["account.change"] == {"changed": {"calls_per_minute": 60}}
    assert details["provider.change"] == {"changed": ["priority", "source_addr"]}
    assert details["provider.call"] == {"method": "media_delete"}
    known = {
        name
        for name in every_command(typer.main.get_command(app))
        if name.split()[0] in ("account", "provider", "inbound")
    }
    assert {name for name in known if not any(f"{one} ".startswith(f"{name} ") for one in done)} == LOOK


def test_what_was_refused_is_not_noted(engine: Engine) -> None:
    row = a_campaign(engine, CampaignState.STOPPED)
    for command in (
        f"campaign pause {row['id']}",
        "account create Acme",
        "template remove Acme AN1",
        f"inbound remove Acme {LINE}",
        "provider enable nobody",
    ):
        assert dialer(*command.split()).exit_code == 1
    assert [entry.action for entry in entries(engine)] == ["account.create"]


def test_of_a_provider_that_goes_from_one_account_to_another_both_are_told(engine: Engine) -> None:
    acme, other = (data("account", "create", name)["id"] for name in ("Acme", "Other"))
    arguments = ["provider", "add", "own", "--kind=mitto", "--set=access_key=k3y", "--account=Acme"]
    data(*arguments, f"--base-url=http://127.0.0.1:{free_port()}/mitto")
    data("provider", "update", "own", "--account=Other")
    told = {
        account_id: [one.action for one in entries(engine) if one.account_id == account_id]
        for account_id in (acme, other)
    }
    assert told == {
        acme: ["account.create", "provider.create", "provider.change"],
        other: ["account.create", "provider.change"],
    }
    newest, *_ = shown = data("audit")
    assert [(row["account_id"], row["action"]) for row in shown[-2:]] == [
        (other, "account.create"),
        (acme, "account.create"),
    ]
    assert len(shown) == 5
    assert (newest["action"], newest["detail"]) == ("provider.change", {"changed": ["account"]})
    assert len(data("audit", f"--subject={newest['subject']}")) == 3
    assert [row["action"] for row in data("audit", "--account=Acme")] == told[acme][::-1]


def test_what_belongs_to_no_account_is_shown_to_the_operator_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    data("account", "create", "Acme")
    a_provider()
    dialer("provider", "disable", "mitto")
    assert [row["action"] for row in data("audit", "--account=Acme")] == ["account.create"]
    monkeypatch.setattr("dialer.cli.audit._READ_AT_ONCE", 2)
    whose = [(row["account_id"] != "", row["action"]) for row in data("audit", "--limit=0")]
    assert whose == [(False, "provider.disable"), (False, "provider.create"), (True, "account.create")]
    assert "provider.disable" in dialer("audit", "--limit=1").stdout
