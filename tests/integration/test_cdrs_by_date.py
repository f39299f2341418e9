"""CDRs of some days and counts of all, as the first-generation API tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine
from upstream import Upstream

from dialer import ids
from dialer.db import reading, writing
from dialer.store import campaigns, cdrs
from dialer.store import tables as t

MIDNIGHT = datetime(2023, 6, 13, tzinfo=UTC)


def cdr(account_id: str, at: datetime, **values: Any) -> dict[str, Any]:
    (call_id,) = ids.call_ids(1, at)
    return {
        "account_id": account_id,
        "call_id": call_id,
        "attempt_id": ids.attempt_id(call_id, 1),
        "kind": "OTP",
        "e164": "+919979271234",
        "caller_id": "+15168148111",
        "disposition": "ANSWERED",
        "dial_status": "ANSWER",
        "call_date": at,
        **values,
    }


def add(upstream: Upstream, rows: list[dict[str, Any]]) -> None:
    with writing(upstream.engine) as connection:
        cdrs.add(connection, rows)


def ask(upstream: Upstream, body: dict[str, Any], path: str = "get_cdr_by_date") -> list[dict[str, Any]]:
    headers = {"account": upstream.account_id, "auth": upstream.auth}
    answer = upstream.client.post(f"/api/{path}", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    response = answer.json()["response"]
    assert response["success"] == "true"
    assert response["message"] == ("cdr found" if response["result"] else "no cdr found")
    result: list[dict[str, Any]] = response["result"]
    return result


def test_both_days_count_whole_and_in_order(upstream: Upstream) -> None:
    mine, theirs = upstream.account_id, upstream.other_id
    moments = [
        MIDNIGHT - timedelta(microseconds=1),
        MIDNIGHT,
        MIDNIGHT + timedelta(hours=5),
        MIDNIGHT + timedelta(days=5) - timedelta(microseconds=1),
        MIDNIGHT + timedelta(days=5),
    ]
    add(upstream, [cdr(mine, at) for at in reversed(moments)])
    add(upstream, [cdr(theirs, at) for at in moments])
    days = {"start_call_date": "2023-06-13", "end_call_date": "2023-06-17"}
    found = ask(upstream, days)
    assert [one["call_date"] for one in found] == [
        "Tue, 13 Jun 2023 00:00:00 GMT", "Tue, 13 Jun 2023 05:00:00 GMT", "Sat, 17 Jun 2023 23:59:59 GMT",
    ]  # fmt: skip
    assert {one["account_id"] for one in found} == {mine}
    assert ask(upstream, days | {"record_count": "5", "offset": "1"}) == found[1:]
    assert ask(upstream, days | {"record_count": 1, "offset": 1}) == found[1:2]
    assert ask(upstream, days | {"record_count": "", "offset": None}) == found
    assert ask(upstream, days | {"offset": "3"}) == []
    assert ask(upstream, {"start_call_date": "2023-06-14", "end_call_date": "2023-06-16"}) == []


def test_pages_join_without_a_gap_however_many_began_in_one_moment(upstream: Upstream) -> None:
    """2,500 of the same second: more than a page of ours, of which the reader asks for 700 at a time."""
    add(
        upstream,
        [cdr(upstream.account_id, MIDNIGHT + timedelta(seconds=place // 2500)) for place in range(2600)],
    )
    days = {"start_call_date": "2023-06-13", "end_call_date": "2023-06-13"}
    assert len(ask(upstream, days)) == 1000, "the default"
    whole = [one["id"] for one in ask(upstream, days | {"record_count": "1000000"})]
    assert len(whole) == len(set(whole)) == 2600
    paged: list[int] = []
    while page := ask(upstream, days | {"record_count": "700", "offset": str(len(paged))}):
        paged += [one["id"] for one in page]
    assert paged == whole
    assert [one["id"] for one in ask(upstream, days | {"record_count": 2100, "offset": 400})] == whole[
        400:2500
    ]


@pytest.mark.postgres
def test_what_is_skipped_is_read_in_the_index_alone(postgres_engine: Engine, database: Engine) -> None:
    if database is not postgres_engine:
        return
    with writing(database) as connection:
        # A page is known to be visible to all only once the commit of its rows is on the disk.
        connection.execute(sa.text("SET LOCAL synchronous_commit = on"))
        rows = [cdr("ACaaaaaaaaaa", MIDNIGHT + timedelta(seconds=place)) for place in range(5000)]
        cdrs.add(connection, rows)
    with database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE cdr"))
    seen: list[str] = []
    with reading(database) as connection:
        sa.event.listen(
            connection, "before_cursor_execute", lambda *given: seen.append(given[2] % _quoted(given[3]))
        )
        found = cdrs.of_days(
            connection, "ACaaaaaaaaaa", MIDNIGHT, MIDNIGHT + timedelta(days=1), skip=4000, limit=10
        )
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN (ANALYZE, COSTS OFF) {seen[0]}").scalars())
        counting = list(seen)
        cdrs.count_by_status(connection, "ACaaaaaaaaaa")
        counted = "\n".join(connection.exec_driver_sql(f"EXPLAIN {seen[len(counting) + 1]}").scalars())
    assert len(found) == 10
    assert "Index Only Scan using cdr_account_id_call_date_idx" in plan
    assert "actual" in plan
    assert "cdr_single_idx" in counted


def _quoted(parameters: Any) -> Any:
    def one(value: Any) -> str:
        return str(value) if isinstance(value, int) else f"'{value}'"

    if isinstance(parameters, dict):
        return {name: one(value) for name, value in parameters.items()}
    return tuple(map(one, parameters))


def test_the_counts_are_of_all_that_the_account_has(upstream: Upstream) -> None:
    mine = upstream.account_id
    statuses = ["ANSWER"] * 3 + ["NOANSWER", "CANCEL", "CHANUNAVAIL", "DND", "ANSWER"]
    add(upstream, [cdr(mine, MIDNIGHT, dial_status=one) for one in statuses])
    add(upstream, [cdr(upstream.other_id, MIDNIGHT)])
    headers = {"account": mine, "auth": upstream.auth}

    def counts() -> Any:
        return upstream.client.get("/api/get_cdr_statistics", headers=headers).json()

    assert counts() == {
        "response": {
            "result": {
                "answer_calls": [4], "busy_calls": [0], "cancel_calls": [1], "chanunavail_calls": [1],
                "congestion_calls": [0], "noanswer_calls": [1], "total_calls": [8],
            },
            "success": "true",
        }
    }  # fmt: skip
    _campaign_with(upstream, {"cdr.BUSY": 5, "cdr.DND": 2, "COMPLETED": 9})
    found = counts()["response"]["result"]
    assert (found["busy_calls"], found["total_calls"]) == ([5], [15])


def _campaign_with(upstream: Upstream, counted: dict[str, int]) -> None:
    headers = {"account": upstream.account_id, "auth": upstream.auth}

    def post(path: str, body: dict[str, Any]) -> Any:
        return upstream.client.post(f"/api/{path}", json=body, headers=headers).json()["response"]

    upstream.add_provider()
    list_id = post("create_campaign_list", {"list_name": "a"})["list_id"]
    post("add_contact_to_list", {"list_id": list_id, "contacts": [{"contact_number": "919979271234"}]})
    campaign_id = post(
        "create_campaign",
        {
            "list_id": list_id, "campaign_name": "a", "campaign_caller_id": "15168148111",
            "announcement_text": "Good day", "campaign_start_date": "2026-09-25 14:05:00",
            "campaign_end_date": "2026-09-26 20:00:00",
        },
    )["campaign_id"]  # fmt: skip
    with writing(upstream.engine) as connection:
        campaigns.count(connection, {(campaign_id, name): number for name, number in counted.items()})
        assert connection.execute(sa.select(t.campaign.c.account_id)).scalar_one() == upstream.account_id
