"""Filters that match one row of very many: so many are looked at for a page, and no match is missed or told twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from test_statement_counts import sent
from test_v1_cdrs import add as add_cdrs
from test_v1_cdrs import add_call
from upstream import NOW, Upstream, served
from world import number

from dialer import ids
from dialer.db import make_engine, writing
from dialer.store import bulk, walk
from dialer.store import tables as t

#: Rows that are looked at for a page here.
MOST = 10


@pytest.fixture
def few(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setattr(walk, "MOST", MOST)
    return upstream


def add_calls(upstream: Upstream, count: int, rare: dict[int, dict[str, Any]]) -> list[str]:
    """So many passwords that were spoken, of which those at these places are rare; the ids, the oldest first."""
    usual = {
        "account_id": upstream.account_id, "kind": "OTP", "campaign_id": None, "e164": number(50), "time_zone": "UTC",
        "state": "COMPLETED", "due_at": NOW, "dials": 1, "unsent": 0, "repeats": {}, "reason": "", "created_at": NOW,
    }  # fmt: skip
    made = ids.call_ids(count, NOW)
    with writing(upstream.engine) as connection:
        rows = [usual | rare.get(place, {}) | {"id": one} for place, one in enumerate(made)]
        bulk.insert(connection, t.call, rows)
    return made


def pages(upstream: Upstream, path: str) -> list[list[str]]:
    """What each page holds, until there is none."""
    found: list[list[str]] = []
    cursor = ""
    while len(found) < 100:
        page = upstream.got("GET", f"{path}{cursor}")
        found.append([one.get("request_id", one["id"]) for one in page["data"]])
        if page["next_cursor"] is None:
            return found
        cursor = f"&cursor={page['next_cursor']}"
    raise AssertionError("it has no end")


def test_calls_that_are_rare_are_sought_in_pages_that_may_be_empty(few: Upstream) -> None:
    rare = {"state": "UNKNOWN"}
    made = add_calls(few, 45, {3: rare, 4: rare, 30: rare, 44: rare})
    found = pages(few, "/v1/calls?state=UNKNOWN")
    assert found == [[made[44]], [made[30]], [], [], [made[4], made[3]]]
    assert pages(few, "/v1/calls?state=UNKNOWN&limit=1") == [
        [made[44]],
        [made[30]],
        [],
        [],
        [made[4]],
        [made[3]],
    ]
    assert list(chain.from_iterable(pages(few, "/v1/calls?state=COMPLETED&limit=7"))) == [
        one for place, one in reversed(list(enumerate(made))) if place not in (3, 4, 30, 44)
    ]
    assert pages(few, "/v1/calls?state=WAITING")[-1] == []


def test_single_calls_of_a_purpose_are_found_however_many_others_there_are(few: Upstream) -> None:
    of_campaign = {
        place: {"kind": "CAMPAIGN", "campaign_id": "CM1", "e164": number(place)} for place in range(2, 40)
    }
    made = add_calls(few, 41, of_campaign | {1: {"kind": "CLICK_TO_CALL"}})
    assert pages(few, "/v1/calls?purpose=click_to_call") == [[made[1]]]
    assert pages(few, "/v1/calls?purpose=otp") == [[made[40], made[0]]]
    assert pages(few, "/v1/calls?purpose=otp&state=WAITING") == [[]]
    assert list(chain.from_iterable(pages(few, "/v1/calls?purpose=campaign&limit=4"))) == made[39:1:-1]
    assert pages(few, f"/v1/calls?to=%2B{number(50)[1:]}&state=COMPLETED&purpose=click_to_call") == [
        [made[1]]
    ]


def test_cdrs_that_are_rare_are_sought_by_date_and_in_a_campaign(few: Upstream) -> None:
    engine, account_id = few.engine, few.account_id
    add_cdrs(engine, account_id, 15, call_date=NOW)  # of one date, so that only their ids tell them apart
    (first,) = add_cdrs(engine, account_id, 1, call_date=NOW, disposition="BUSY", dial_status="BUSY")
    add_cdrs(engine, account_id, 23, call_date=NOW)
    (second,) = add_cdrs(engine, account_id, 1, disposition="BUSY", dial_status="BUSY")
    for query in ("disposition=BUSY", "dial_status=BUSY&direction=outbound"):
        found = pages(few, f"/v1/cdrs?{query}")
        assert (list(chain.from_iterable(found)), len(found)) == ([second, first], 4)
        lines = few.ask("GET", f"/v1/cdrs.jsonl?{query}").text.splitlines()
        assert [json.loads(line)["request_id"] for line in lines] == [first, second]
    assert pages(few, "/v1/cdrs?direction=inbound")[-1] == []
    add_cdrs(engine, account_id, 25, campaign_id="CM1")
    (third,) = add_cdrs(engine, account_id, 1, campaign_id="CM1", disposition="BUSY")
    assert list(chain.from_iterable(pages(few, "/v1/cdrs?campaign_id=CM1&disposition=BUSY"))) == [third]
    early = pages(few, "/v1/cdrs?campaign_id=CM1&to=2026-09-25T05:59:50Z&limit=3")
    assert len(list(chain.from_iterable(early))) == 14
    add_call(engine, account_id, first, number(50))
    assert pages(few, f"/v1/cdrs?number=%2B{number(50)[1:]}&disposition=BUSY") == [[first]]


def test_a_page_of_what_matches_rarely_costs_two_statements(few: Upstream) -> None:
    add_calls(few, 45, {})
    used = sent(few.engine, lambda: few.got("GET", "/v1/calls?state=UNKNOWN"))
    assert sum("FROM call" in one for one in used) == 2
    used = sent(few.engine, lambda: few.got("GET", "/v1/calls"))
    assert sum("FROM call" in one for one in used) == 1


@pytest.mark.postgres
def test_a_statement_that_takes_too_long_is_given_up_and_told(
    postgres_engine: Engine, database: Engine, tmp_path: Path, serve: Callable[[Any], str]
) -> None:
    if database.dialect.name == "sqlite":
        pytest.skip("SQLite gives up no statement")
    impatient = make_engine(postgres_engine.url.render_as_string(hide_password=False), statement_seconds=0.2)
    with served(impatient, tmp_path, serve) as upstream, postgres_engine.connect() as other:
        with other.begin():
            other.execute(sa.text("LOCK TABLE call IN ACCESS EXCLUSIVE MODE"))
            problem = upstream.refused(503, "GET", "/v1/calls")
            assert "took too long" in problem["detail"]
        assert upstream.got("GET", "/v1/calls")["data"] == []
    impatient.dispose()
