"""B4: a million rows of CSV into a list, beside a bare COPY of the same file.

The file has a number, a name and three custom fields, of people in eleven countries; one row in fifty repeats a
number, one in a hundred has a bad one. A hundred thousand numbers stand on the account's DND list, half of them in
the file. Ours is `dialer.imports` as `dialer import` runs it, in a process of its own, from finding
out the columns to the last commit; once as it is, once with every number read by `phonenumbers` alone. Beside it: COPY
of the file, as it is, into an unlogged table of texts without an index, the median of several.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import phonenumbers
import psycopg
import sqlalchemy as sa
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from benchmarks.common import Bench, bench
from dialer import accounts, schema
from dialer.db import make_engine, reading, writing
from dialer.store import bulk, contacts, dnd, tables

ROWS, DND = 1_000_000, 100_000
#: Big ones with one zone and with several, and small ones.
COUNTRIES = ("IN", "US", "RU", "SE", "GB", "DE", "BR", "AU", "ES", "FR", "NG")
HEADER = "contact_number,contact_name,amount,city,due_date\n"
BAD = ("12345", "call me", "+7926123456", "9.19E+11", "")
COPIES = 5
#: Megabytes that the importing process may take.
MOST_MB = 150

#: What the child does: times an import, and says how much memory the process ever had.
CHILD = """
import json, sys, time
url, account_id, list_id, path, alone = sys.argv[1:]
from datetime import UTC, datetime
from pathlib import Path
from dialer import plans
from dialer.db import make_engine, reading
from dialer.imports import run_import, start_import
from dialer.models import ImportKind
from dialer.settings import Settings
from dialer.store import accounts, imports
if alone == "alone":
    plans.plan_for = lambda head, length: plans.NO_PLAN
engine = make_engine(url)
with reading(engine) as connection:
    account = accounts.with_id(connection, account_id)
settings, clock = Settings(_env_file=None), lambda: datetime.now(UTC)
began, used = time.perf_counter(), time.process_time()
begun = start_import(
    engine, account, ImportKind.CONTACTS, list_id, "people.csv", settings, clock(), path=Path(path)
)
while not run_import(engine, begun.id, clock, seconds=3600.0):
    pass
seconds, cpu = time.perf_counter() - began, time.process_time() - used
with reading(engine) as connection:
    row = imports.find(connection, begun.id)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({
    "seconds": seconds, "cpu": cpu, "peak_mb": int(status["VmHWM"].split()[0]) / 1024, "state": row.state,
    "accepted": row.accepted, "duplicate": row.duplicate, "invalid": row.invalid, "suppressed": row.suppressed,
}))
"""


def run(rows: int = ROWS, dnd_numbers: int = DND) -> dict[str, Any]:
    """Seconds of the COPY and of both imports, their ratios, and the memory of the importing process in MB."""
    with bench() as one:
        path = one.folder / "people.csv"
        numbers = _write(path, rows)
        url = one.database()
        account_id = _prepare(url, numbers, dnd_numbers)
        copies = _copies(url, path)
        ours = _import(one, url, account_id, path, alone=False)
        alone = _import(one, url, account_id, path, alone=True)
        copies += _copies(url, path)
    copy_s = statistics.median(copies)
    for figures in (ours, alone):
        rows_counted = figures["accepted"] + figures["duplicate"] + figures["invalid"]
        if figures["state"] != "DONE" or rows_counted != rows:
            raise SystemExit(f"the import went wrong: {figures}")
    return {
        "rows": rows,
        "copy_s": copy_s,
        "import_s": ours["seconds"],
        "ratio": ours["seconds"] / copy_s,
        "alone_s": alone["seconds"],
        "alone_ratio": alone["seconds"] / copy_s,
        "peak_mb": (peak := max(ours["peak_mb"], alone["peak_mb"])),
        "most_mb": MOST_MB,
        "peak_ratio": peak / MOST_MB,
        "rows_per_s": rows / ours["seconds"],
        "import": ours,
        "alone": alone,
    }


def _write(path: Path, rows: int) -> list[str]:
    """Write the file; some of its numbers, in their order."""
    chosen = random.Random(4)
    heads = list(_heads())
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER)
        numbers: list[str] = []
        for row in range(rows):
            kind = chosen.randrange(100)
            if kind == 0:
                number = chosen.choice(BAD)
            elif kind <= 2 and numbers:
                number = chosen.choice(numbers)
            else:
                number = f"{heads[row % len(heads)]}{chosen.randrange(10**6):06}"
                if kind < 30:
                    numbers.append(number)
            file.write(f"{number},Person {row},{row % 977},City {row % 50},2026-01-{row % 28 + 1:02}\n")
    return numbers


def _heads() -> Iterator[str]:
    """What mobile numbers of each country begin with, without the last six digits."""
    for country in COUNTRIES:
        example = phonenumbers.example_number_for_type(country, PhoneNumberType.MOBILE)
        if example is not None:
            yield phonenumbers.format_number(example, PhoneNumberFormat.E164)[:-6]


def _prepare(url: str, numbers: list[str], dnd_numbers: int) -> str:
    """Tables, an account, and its DND list, half of it from `numbers`; the account's id."""
    engine = make_engine(url)
    schema.upgrade(engine)
    now = datetime.now(UTC)
    listed = set(numbers[: dnd_numbers // 2])
    listed |= {f"+8613{number:09}" for number in range(dnd_numbers - len(listed))}
    with writing(engine) as connection:
        account_id, _ = accounts.create(connection, "importing", now)
        global_list = dnd.global_list(connection, account_id)
        assert global_list is not None
        bulk.copy(
            connection,
            tables.dnd_number,
            {"dnd_list_id": global_list.id, "e164": sorted(listed), "name": "", "created_at": now},
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))
        connection.execute(sa.text("CHECKPOINT"))
    engine.dispose()
    return account_id


def _copies(url: str, path: Path) -> list[float]:
    """Seconds of bare COPYs, each into an empty table."""
    columns = ", ".join(f"{name} text" for name in HEADER.strip().split(","))
    took = []
    with psycopg.connect(url) as connection:
        for _ in range(COPIES):
            connection.execute("DROP TABLE IF EXISTS staging")
            connection.execute(f"CREATE UNLOGGED TABLE staging ({columns})")
            connection.commit()
            began = time.perf_counter()
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY staging FROM STDIN (FORMAT csv, HEADER)") as copy,
                path.open("rb") as file,
            ):
                while block := file.read(256 * 1024):
                    copy.write(block)
            connection.commit()
            took.append(time.perf_counter() - began)
        connection.execute("DROP TABLE staging")
    return took


def _import(one: Bench, url: str, account_id: str, path: Path, *, alone: bool) -> dict[str, Any]:
    """What the child says of an import into a new list."""
    name = "alone" if alone else "plans"
    engine = make_engine(url)
    with writing(engine) as connection:
        list_id = contacts.add_list(connection, account_id, name, datetime.now(UTC))
    url = engine.url.render_as_string(hide_password=False)
    child = one.start([sys.executable, "-c", CHILD, url, account_id, list_id, str(path), name], name)
    code = child.wait()
    said = (one.folder / f"{name}.log").read_text(encoding="utf-8")
    if code != 0:
        raise SystemExit(f"the import ended with {code}:\n{said}")
    figures: dict[str, Any] = json.loads(said.splitlines()[-1])
    with reading(engine) as connection:
        held = contacts.count(connection, list_id)
    if held != figures["accepted"]:
        raise SystemExit(f"the list holds {held} contacts: {figures}")
    engine.dispose()
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.b4_import", description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--dnd", type=int, default=DND, help="numbers on the DND list")
    options = parser.parse_args()
    print(json.dumps(run(options.rows, options.dnd), indent=2))


if __name__ == "__main__":
    main()
