"""Ringing somebody by hand: methods that ring ask for a word more, and look at the DND lists and the window."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result
from world import World

from dialer.calls.by_hand import why_not, why_not_during
from dialer.cli import app
from dialer.db import make_engine, reading, writing
from dialer.sandbox import make_app
from dialer.settings import get_settings
from dialer.store import accounts, dnd, providers
from dialer.store.dnd import GLOBAL_NAME

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
NIGHT = datetime(2025, 6, 1, 1, tzinfo=UTC)
ANNA, BO = "+46701112233", "+46709998877"


@pytest.fixture
def world(database: Engine, redis_server: str) -> Iterator[World]:
    made = World(database, redis_server)
    yield made
    made.close()


def reason(world: World, user: str, now: datetime = NOON, provider_id: str = "") -> str | None:
    with reading(world.engine) as connection:
        wanted = provider_id or world.provider_id
        return why_not(connection, providers.with_ids(connection, [wanted])[wanted], user, now)


def list_number(world: World, list_id: str, e164: str) -> None:
    with writing(world.engine) as connection:
        dnd.add_numbers(connection, list_id, [(e164, "")], world.clock.now)


def test_a_number_on_any_list_of_the_account_is_not_rung(world: World) -> None:
    own = world.provider(account_id=world.account_id)
    with writing(world.engine) as connection:
        named = dnd.add_list(connection, world.account_id, "choirs", world.clock.now)
    assert reason(world, ANNA, provider_id=own) is None
    list_number(world, named, ANNA)
    for user in (ANNA, "46701112233", "0046701112233", "+46 70-111 22 33"):
        told = reason(world, user, provider_id=own)
        assert told == "The number stands on a DND list, and is not rung."
    assert reason(world, BO, provider_id=own) is None


def test_a_provider_that_accounts_share_honours_the_lists_of_all(world: World) -> None:
    _, others = world.account()
    own = world.provider(account_id=world.account_id)
    list_number(world, others, ANNA)
    assert reason(world, ANNA, provider_id=own) is None
    assert "DND list" in str(reason(world, ANNA))


def test_nobody_is_rung_at_night(world: World) -> None:
    assert reason(world, ANNA, NIGHT) == "It is 03:00 there (Europe/Stockholm), outside the calling window."
    always, _ = world.account(calling_window={"start": "00:00", "end": "24:00"})
    assert reason(world, ANNA, NIGHT, world.provider(account_id=always)) is None
    never_at_noon, _ = world.account(calling_window={"start": "18:00", "end": "20:00"})
    assert "outside" in str(reason(world, ANNA, NOON, world.provider(account_id=never_at_noon)))


def test_who_may_be_in_several_zones_is_rung_when_the_window_is_open_in_all(world: World) -> None:
    russian = "+79261234567"  # a mobile: from Kaliningrad to Kamchatka
    for hour in (3, 5, 9, 12, 20):
        assert "where they may be" in str(reason(world, russian, NIGHT.replace(hour=hour))), hour
    for hour in (6, 8):
        assert reason(world, russian, NIGHT.replace(hour=hour)) is None, hour


def test_whom_nobody_can_look_at_is_rung_within_one_opening_alone(world: World) -> None:
    kolkata = ZoneInfo("Asia/Kolkata")

    def told(begins: int, ends: int, provider_id: str = "", days: int = 0) -> str | None:
        day = datetime(2025, 6, 2, tzinfo=kolkata)
        with reading(world.engine) as connection:
            wanted = provider_id or world.provider_id
            row = providers.with_ids(connection, [wanted])[wanted]
            until = day.replace(day=2 + days, hour=ends)
            return why_not_during(connection, row, kolkata, day.replace(hour=begins), until)

    assert told(8, 21) is None
    for begins, ends in ((7, 20), (9, 22), (22, 23)):
        assert "on one day from 08:00 until 21:00 (Asia/Kolkata)" in str(told(begins, ends))
    assert "make one for each day" in str(told(9, 20, days=1))
    always, _ = world.account(calling_window={"start": "00:00", "end": "24:00"})
    assert told(1, 23, world.provider(account_id=always), days=5) is None


def test_what_cannot_be_looked_for_is_not_rung_and_a_device_is_no_number(world: World) -> None:
    for user in ("0701112233", "12345", "anna070111223344"):
        assert "cannot be read as a number" in str(reason(world, user)), user
    for user in ("anna", "door-7", "1234", ""):
        assert reason(world, user, NIGHT) is None


# --- the command ---------------------------------------------------------------------------------------------


@pytest.fixture
def sandbox(
    tmp_path: Path, migrated_sqlite: Path, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Any], str]
) -> Iterator[str]:
    """A provider `nordic` at the sandbox, in a home of its own, of an account that calls at any time."""
    for name in [name for name in os.environ if name.startswith("DIALER_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    shutil.copy(migrated_sqlite, folder / "dialer.db")
    monkeypatch.setenv("DIALER_HOME", str(folder))
    url = serve(make_app())
    assert dialer("account", "create", "choir", "--calling-window=00:00-24:00").exit_code == 0
    added = dialer(
        "provider", "add", "nordic", "--kind=iotcomms", f"--base-url={url}/iotcomms", "--account=choir",
        "--set=domain=customer.example", "--set=sip_host=sip.example.com", "--set=token=t0ken",
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    yield url
    get_settings.cache_clear()


def dialer(*arguments: str) -> Result:
    """Runs a command in this process."""
    get_settings.cache_clear()
    return CliRunner().invoke(app, arguments, prog_name="dialer")


def rung(url: str) -> list[str]:
    return [line["to"] for line in httpx.get(f"{url}/sandbox/log").json()["lines"]]


def test_a_method_rings_when_it_is_said_that_it_may_and_no_list_forbids_it(
    sandbox: str, tmp_path: Path
) -> None:
    ring = ("provider", "call", "nordic", "placeremotecall", f"destinationUri=sip:{ANNA}@sip.example.com")
    silent = dialer(*ring)
    assert silent.exit_code == 1
    assert "add --ring if that is meant" in silent.stderr
    assert rung(sandbox) == []
    spoken = dialer(*ring, "--ring")
    assert (spoken.exit_code, spoken.stdout.strip()) == (0, '{\n  "success": true\n}')
    assert rung(sandbox) == [ANNA[1:]]
    engine = make_engine(f"sqlite:///{tmp_path / 'home' / 'dialer.db'}")
    with writing(engine) as connection:
        account = accounts.named(connection, "choir")
        assert account is not None
        held = dnd.list_named(connection, account.id, GLOBAL_NAME)
        assert held is not None
        dnd.add_numbers(connection, held.id, [(ANNA, "")], NOON)
    engine.dispose()
    forbidden = dialer(*ring, "--ring")
    assert forbidden.exit_code == 1
    assert "stands on a DND list" in forbidden.stderr
    assert ANNA[1:] not in forbidden.output
    assert rung(sandbox) == [ANNA[1:]]


def test_a_campaign_of_the_providers_own_is_made_by_day_and_when_it_is_said_that_it_may_ring(
    sandbox: str,
) -> None:
    added = dialer(
        "provider", "add", "south", "--kind=cpaas", f"--base-url={sandbox}/cpaas", "--set=account=account_1",
        "--set=auth=k3y",
    )  # fmt: skip
    assert added.exit_code == 0, added.output
    south = ("provider", "call", "south")
    lists = [
        json.loads(dialer(*south, method, f"{name}=mine").stdout)[made]
        for method, name, made in (
            ("create_campaign_list", "list_name", "list_id"),
            ("create_campaign_dnd_list", "dnd_list_name", "dnd_list_id"),
        )
    ]
    contacts = json.dumps([{"contact_number": BO[1:]}])
    assert dialer(*south, "add_contact_to_list", f"list_id={lists[0]}", f"contacts={contacts}").exit_code == 0
    day = datetime.now(UTC) + timedelta(days=2)

    def make(ends: str, *more: str) -> Result:
        return dialer(
            *south, "create_campaign", "campaign_name=night", f"list_id={lists[0]}", f"dnd_list_id={lists[1]}",
            "campaign_type=0", "campaign_caller_id=15168148111", "dynamic_announcement=1", "announcement_text=Hello",
            f"campaign_start_date={day:%Y-%m-%d} 10:00:00", f"campaign_end_date={day:%Y-%m-%d} {ends}", *more,
        )  # fmt: skip

    assert "add --ring if that is meant" in make("20:00:00").stderr
    assert "make one for each day" in make("22:00:00", "--ring").stderr
    assert json.loads(dialer(*south, "get_campaign_details").stdout)["result"] == []
    made = make("20:00:00", "--ring")
    assert made.exit_code == 0, made.stderr
    assert json.loads(made.stdout)["campaign_id"].startswith("CM")


def test_what_is_wrong_is_told_before_anything_is_asked(sandbox: str) -> None:
    missing = dialer("provider", "call", "nordic", "placeremotecalljwt", "--ring")
    assert missing.exit_code == 1
    assert "needs destinationUri" in missing.stderr
    assert rung(sandbox) == []


def test_a_method_that_rings_nobody_needs_no_word(sandbox: str) -> None:
    listed = dialer("provider", "call", "nordic", "promptfile_list")
    assert listed.exit_code == 0, listed.output
    assert rung(sandbox) == []
