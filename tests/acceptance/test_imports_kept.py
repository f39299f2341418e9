"""Imports of real size, sent to a whole installation by the client: every row is counted once, whatever is killed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import xlsxwriter
from service import Service, installation, wait_for

from dialer.client import Client
from dialer.client.answers import Import

pytestmark = pytest.mark.chaos

ROWS = 120_000
#: Every so many rows, one that is no number, and one that came before.
BAD, AGAIN = 1_000, 500


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with installation(tmp_path_factory.mktemp("imports")) as service:
        service.start_up()
        made = service.cli("account", "create", "acme", "--json")
        service.account, service.auth = made["id"], made["auth"]
        service.secrets |= {service.auth, *(cell.lstrip("+") for cell, _ in islice(people(ROWS), 50))}
        yield service


@pytest.fixture
def api(service: Service) -> Iterator[Client]:
    with Client(service.api_url, service.account, service.auth) as api:
        yield api


def people(rows: int) -> Iterator[tuple[str, str]]:
    """Numbers and names; some are none, some came before."""
    for row in range(rows):
        if row % BAD == BAD - 1:
            yield "12", "Nobody"
        else:
            yield f"+9199{row - row % AGAIN if row % AGAIN == 1 else row:08d}", f"Person {row}"


def a_csv(path: Path, rows: int) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["number", "name"])
        writer.writerows(people(rows))
    return path


def a_workbook(path: Path, rows: int) -> Path:
    with xlsxwriter.Workbook(path, {"constant_memory": True, "strings_to_numbers": False}) as book:
        sheet = book.add_worksheet("People")
        sheet.write_row(0, 0, ["number", "name"])
        for place, row in enumerate(people(rows), 1):
            sheet.write_row(place, 0, row)
    return path


def through(api: Client, import_id: str) -> Import:
    """The import, once it has ended."""
    return wait_for(
        "the import's end",
        lambda: found if (found := api.imports.get(import_id))["state"] != "RUNNING" else None,
        within=300,
        every=0.5,
    )


def check(api: Client, ended: Import, rows: int, contacts: int) -> None:
    bad, again = rows // BAD, rows // AGAIN
    assert (ended["state"], ended["error"]) == ("DONE", "")
    counted = (ended["rows"], ended["accepted"], ended["duplicate"], ended["invalid"])
    assert counted == (rows, rows - bad - again, again, bad)
    assert contacts == ended["accepted"]
    refused = list(api.imports.errors(ended["id"], page_size=1000))
    assert len(refused) == bad + again
    assert refused == sorted(refused, key=lambda one: one["line"])
    told = list(csv.DictReader(io.StringIO(b"".join(api.imports.errors_csv(ended["id"])).decode())))
    assert [int(one["line"]) for one in told] == [one["line"] for one in refused]


def test_a_csv_is_read_once_while_workers_api_and_redis_are_killed(
    service: Service, api: Client, tmp_path: Path
) -> None:
    list_id = api.lists.create("customers")["id"]
    begun = api.imports.send(a_csv(tmp_path / "customers.csv", ROWS), kind="CONTACTS", target_id=list_id)
    for child in ("upkeep", "api", "redis", "upkeep"):  # right after the 202, and on its way
        service.kill_child(child)
    ended = through(api, begun["id"])
    check(api, ended, ROWS, api.lists.get(list_id)["contacts"])


def test_a_workbook_of_numbers_never_to_dial_is_read_once(
    service: Service, api: Client, tmp_path: Path
) -> None:
    rows = ROWS // 4
    dnd = api.dnd_lists.create("leave in peace")
    book = a_workbook(tmp_path / "peace.xlsx", rows)
    rehearsed = api.imports.send(book, kind="DND", target_id=dnd["id"], dry_run=True)
    assert through(api, rehearsed["id"])["accepted"] == rows - rows // BAD - rows // AGAIN
    assert api.dnd_lists.get(dnd["id"])["numbers"] == 0
    begun = api.imports.send(book, kind="DND", target_id=dnd["id"])
    service.kill_child("upkeep")
    ended = through(api, begun["id"])
    check(api, ended, rows, api.dnd_lists.get(dnd["id"])["numbers"])
