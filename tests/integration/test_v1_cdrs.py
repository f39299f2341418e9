"""`/v1/cdrs`: in pages and in one stream, filtered, of one account alone."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from test_statement_counts import sent
from upstream import NOW, Upstream
from world import number

from dialer import ids
from dialer.db import writing
from dialer.store import bulk, cdrs
from dialer.store import tables as t


def add(engine: Engine, account_id: str, count: int, **values: Any) -> list[str]:
    """CDRs a second apart, the last of them at NOW; their calls' ids."""
    call_ids = ids.call_ids(count, NOW)
    rows = [
        {
            "account_id": account_id, "campaign_id": None, "call_id": call_id, "attempt_id": f"{call_id}-1",
            "kind": "ANNOUNCEMENT", "e164": number(50 + place), "caller_id": "+15168148111",
            "provider_reference": None, "disposition": "ANSWERED", "dial_status": "ANSWER", "duration": 7.5,
            "call_date": NOW - timedelta(seconds=count - 1 - place), "dtmf_inputs": "", "metadata": None,
            **values,
        }
        for place, call_id in enumerate(call_ids)
    ]  # fmt: skip
    with writing(engine) as connection:
        for start in range(0, count, 10_000):
            cdrs.add(connection, rows[start : start + 10_000])
    return call_ids


def add_call(engine: Engine, account_id: str, call_id: str, e164: str) -> None:
    row = {
        "id": call_id, "account_id": account_id, "kind": "OTP", "e164": e164, "time_zone": "UTC",
        "state": "COMPLETED", "due_at": NOW, "dials": 1, "unsent": 0, "repeats": {}, "reason": "",
        "created_at": NOW,
    }  # fmt: skip
    with writing(engine) as connection:
        bulk.insert(connection, t.call, [row])


def test_pages_and_streams_hold_every_cdr_once(upstream: Upstream) -> None:
    made = add(upstream.engine, upstream.account_id, 2500, metadata={"order": "7"})
    add(upstream.engine, upstream.other_id, 3)
    # Of one date, so that only their ids tell them apart.
    made += add(upstream.engine, upstream.account_id, 5, call_date=NOW, provider_reference='=1+1 "x"')
    seen: list[str] = []
    cursor = ""
    while True:
        page = upstream.got("GET", f"/v1/cdrs?limit=999{cursor}")
        seen += [one["request_id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(made)
    assert seen[-1] == made[0]
    lines = upstream.ask("GET", "/v1/cdrs.jsonl")
    assert lines.headers["content-type"].startswith("application/jsonl")
    told = [json.loads(line) for line in lines.text.splitlines()]
    assert [one["request_id"] for one in told] == seen[::-1]
    assert told[0]["metadata"] == {"order": "7"}
    assert set(page["data"][0]) == set(told[0]) - {"account_id"}
    table = list(csv.DictReader(io.StringIO(upstream.ask("GET", "/v1/cdrs.csv").text)))
    assert [one["request_id"] for one in table] == seen[::-1]
    assert (table[0]["number"], table[0]["direction"]) == (number(50)[1:], "outbound")
    assert table[-1]["provider_reference"] == '\'=1+1 "x"'
    assert upstream.ask("GET", "/v1/cdrs.csv?from=2030-01-01T00:00:00Z").text.count("\n") == 1


def test_cdrs_are_found_by_what_is_known_of_them(upstream: Upstream) -> None:
    account_id, engine = upstream.account_id, upstream.engine
    first, second = add(engine, account_id, 2)
    (busy,) = add(engine, account_id, 1, disposition="BUSY", dial_status="BUSY", campaign_id="CM1")
    (came_in,) = add(engine, account_id, 1, kind="INBOUND", caller_id=number(9))
    add_call(engine, account_id, first, number(50))

    def found(query: str, **how: Any) -> set[str]:
        lines = upstream.ask("GET", f"/v1/cdrs.jsonl?{query}", **how).text.splitlines()
        paged = {one["request_id"] for one in upstream.got("GET", f"/v1/cdrs?{query}", **how)["data"]}
        assert {json.loads(line)["request_id"] for line in lines} == paged
        return paged

    assert found("") == {first, second, busy, came_in}
    assert found("disposition=BUSY") == found("dial_status=BUSY") == found("campaign_id=CM1") == {busy}
    assert found(f"call_id={second}") == {second}
    assert found("direction=inbound") == found(f"direction=inbound&number=%2B{number(9)[1:]}") == {came_in}
    assert found("direction=outbound&disposition=ANSWERED") == {first, second}
    assert found(f"number=%2B{number(50)[1:]}") == {first}
    assert found("from=2026-09-25T06:00:00Z") == {second, busy, came_in}
    assert found("to=2026-09-25T06:00:00Z") == {first}
    assert found(f"call_id={second}", other=True) == found("campaign_id=CM1", other=True) == set()
    for query in (
        "disposition=GONE", "dial_status=x", "direction=up", "from=yesterday", "to=0001-01-01T00:00:00%2B14:00",
        "number=x", "call_id=%00", "limit=0", "cursor=WzFd", "cursor=WyJ4IiwgMV0",
        "campaign_id=CM1&cursor=WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDAwXQ",
    ):  # fmt: skip
        upstream.refused(422, "GET", f"/v1/cdrs?{query}")


def test_a_page_costs_as_much_wherever_it_is(upstream: Upstream) -> None:
    add(upstream.engine, upstream.account_id, 3 * cdrs.PAGE)
    used = sent(upstream.engine, lambda: upstream.ask("GET", "/v1/cdrs.csv"))
    assert sum("FROM cdr" in one for one in used) == 3
    pages = [one for one in used if "FROM cdr" in one]
    assert all("(cdr.call_date, cdr.id) > (" in one for one in pages[1:])  # where the one before ended


#: Exports all CDRs of an account over the application; prints how much memory grew from the hundredth page on.
EXPORT = """
import resource, sys
from dialer.api.v1.cdrs import Wanted, pages
from dialer.calls import cdr_export
from dialer.db import make_engine
from dialer.store import cdrs
class Caller: account_id = sys.argv[2]
rows, before = 0, 0
for number, page in enumerate(pages(make_engine(sys.argv[1]), Wanted(Caller, cdrs.Filter()))):
    rows += sum(1 for _ in cdr_export.csv_lines(page))
    if number == 100:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.chaos
@pytest.mark.postgres
@pytest.mark.timeout(600)  # a million rows are written and read, perhaps beside much else
def test_a_million_are_exported_in_the_memory_of_a_page(postgres_engine: Engine) -> None:
    account_id = ids.account_id()
    many = sa.text(
        "INSERT INTO cdr (account_id, call_id, attempt_id, kind, e164, caller_id, disposition, dial_status, "
        "call_date, dtmf_inputs) "
        "SELECT CAST(:account AS varchar), 'c' || n, CAST(:account AS varchar) || n, 'ANNOUNCEMENT', "
        "CAST(:number AS varchar), '', 'ANSWERED', 'ANSWER', now() + n * interval '1 ms', '' "
        "FROM generate_series(1, 1000000) AS n"
    )
    with writing(postgres_engine) as connection:
        connection.execute(many, {"account": account_id, "number": number(50)})
    url = postgres_engine.url.render_as_string(hide_password=False)
    done = subprocess.run(
        [sys.executable, "-c", EXPORT, url, account_id], capture_output=True, text=True, check=True
    )
    rows, grown = map(int, done.stdout.split())
    with writing(postgres_engine) as connection:
        connection.execute(t.cdr.delete().where(t.cdr.c.account_id == account_id))
    assert rows == 1_000_000
    assert grown < 4_000  # KiB
