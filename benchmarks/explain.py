"""EXPLAIN of every statement on the way of a campaign's call: `python -m benchmarks.explain` → docs/statements.md.

The database holds a list of 10M contacts, a DND list of a million numbers, and two million calls of older campaigns
with their attempts, CDRs, events and history. On it the engine takes each of its steps as the processes take them,
again and again, so that prepared statements get the plans that they will keep. PostgreSQL itself tells the plan of
each statement that it ran (auto_explain, with what each part of the plan read). Nothing here lists statements: a new
one is covered by itself. COPY has no plan, and single calls (one-time passwords) are not among the steps.

It ends with 1 when a statement reads a big table from end to end, sorts more than a batch, or reads far more rows
than a batch.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import sqlalchemy as sa
from redis import Redis
from sqlalchemy import Connection, Engine

from benchmarks import big
from benchmarks.common import bench, check_needs
from benchmarks.service import KEY, Service, add_provider, make_service
from dialer import accounts, ids
from dialer.calls.repeats import RepeatPolicy
from dialer.calls.window import DEFAULT_WINDOW
from dialer.campaigns import control, openings, release
from dialer.campaigns.release import visit_next
from dialer.db import make_engine, reading, utc_now, writing
from dialer.lifecycle import CallState, Disposition
from dialer.pace.limiter import Limiter
from dialer.providers.contract import Outcome, Refusal, SubmitResult
from dialer.secrets import SecretBox
from dialer.settings import Settings
from dialer.store import calls, campaigns, cdrs, contacts, dnd, events, providers, tables
from dialer.store.contacts import NewContact
from workers import reconcile, replies, results
from workers.claim import AdapterCache, claim

if TYPE_CHECKING:
    from workers.scheduler import Scheduler

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "statements.md"
CONTACTS, DND, OLDER_CALLS, OLDER_CAMPAIGNS = 10_000_000, 1_000_000, 2_000_000, 2_000
#: Calls of the big campaign that wait for their window to open.
WAITING = 200_000
#: Calls of older campaigns that are still at their provider, and callbacks that wait to be consumed.
IN_FLIGHT = BACKLOG = 20_000
#: The older campaign whose released calls nobody takes.
UNTAKEN = "CM0000000002"
#: A server takes a plan for good after five executions of a statement that was prepared after five.
ROUNDS = 14
#: The largest batch: events consumed, replies written, attempts settled in one transaction.
BATCH = 500
#: Rows that one statement may read of a big table: some batches, and less than all that is in flight or waits.
MOST_READ = 20 * BATCH
#: Statements that read more, and why they may.
MAY_READ_MORE = {"store.calls.occupancy": "counts what is in flight, only for what has a `max_concurrent`"}
#: What is not answered is repeated once, a second later.
REPEATS = RepeatPolicy.of_retries(1, 1, None).to_json()
#: Tables of at most so many rows may be read from end to end.
SMALL = 5_000


# --- what PostgreSQL tells ------------------------------------------------------------------------------------


@dataclass
class Statement:
    """One statement of the engine: where it stands, and the plans that it had."""

    name: str
    sql: str
    steps: set[str] = field(default_factory=set)
    times: int = 0
    #: How a plan reads, in words → how often.
    plans: Counter[str] = field(default_factory=Counter)
    most_rows: int = 0
    problems: set[str] = field(default_factory=set)


@dataclass
class Watch:
    """Collects what the statements on an engine do."""

    rows_of: Mapping[str, int]
    #: Bytes that a row of a table takes, its indexes included.
    bytes_of: Mapping[str, int] = field(default_factory=dict)
    #: Rows of a big table that one statement may read.
    most_read: int = MOST_READ
    #: Rows of a table that is not big.
    small: int = SMALL
    step: str = ""
    statements: dict[str, Statement] = field(default_factory=dict)
    #: The text that was sent → its statement.
    _by_text: dict[str, Statement] = field(default_factory=dict)

    def on(self, engine: Engine) -> None:
        """Have every connection of the engine tell its plans."""

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _record: Any) -> None:
            connection.autocommit = True
            connection.execute("LOAD 'auto_explain'")
            for name, value in {
                "log_min_duration": "0", "log_analyze": "on", "log_timing": "off", "log_format": "json",
                "log_nested_statements": "on",
            }.items():  # fmt: skip
                connection.execute(f"SET auto_explain.{name} = '{value}'")
            connection.execute("SET client_min_messages = 'log'")
            connection.autocommit = False
            connection.add_notice_handler(lambda notice: self._told(notice.message_primary or ""))

        @sa.event.listens_for(engine, "before_cursor_execute")
        def before(_c: Any, _cursor: Any, sql: str, _values: Any, _context: Any, _many: bool) -> None:
            name = _caller()
            known = [one for one in self.statements.values() if one.name.partition(" (")[0] == name]
            alike = next((one for one in known if _shape(one.sql) == _shape(sql)), None)
            if alike is None:
                title = f"{name} ({len(known) + 1})" if known else name
                alike = self.statements[title] = Statement(title, sql)
            alike.steps.add(self.step)
            alike.times += 1
            self._by_text[_without_names(sql)] = alike

    def _told(self, message: str) -> None:
        _, found, text = message.partition("plan:\n")
        if not found:
            return
        told = json.loads(text)
        # A plan comes when its statement is over, maybe at the start of the next one: so it is found by its text.
        statement = self._by_text.get(_without_names(told["Query Text"]))
        if statement is None:
            statement = self._of_foreign_key(told["Query Text"])
        reads = []
        for node in _nodes(told["Plan"]):
            read = _read(node)
            if read:
                reads.append(read)
            statement.problems.update(self._problems(statement.name, node))
            if node.get("Relation Name") in self._big():
                statement.most_rows = max(statement.most_rows, _rows(node))
        statement.plans["; ".join(reads) or "no table"] += 1

    def _of_foreign_key(self, sql: str) -> Statement:
        """PostgreSQL's own statement for a row that names another."""
        found = re.match(r'SELECT 1 FROM ONLY "public"."(\w+)"', sql)
        name = f"foreign key to {found[1]}" if found else "others"
        statement = self.statements.setdefault(name, Statement(name, sql))
        statement.steps.add(self.step)
        return statement

    def _big(self) -> set[str]:
        return {name for name, rows in self.rows_of.items() if rows > self.small}

    def _problems(self, name: str, node: Mapping[str, Any]) -> Iterator[str]:
        table, rows = node.get("Relation Name"), _rows(node)
        if table in self._big():
            if node["Node Type"] == "Seq Scan":
                yield f"reads all of {table}"
            if rows > self.most_read and name.partition(" (")[0] not in MAY_READ_MORE:
                yield f"reads more than {self.most_read:,} rows of {table}"
        if "Sort" in node["Node Type"] and rows > BATCH:
            yield f"sorts more than {BATCH} rows"


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: Mapping[str, Any]) -> int:
    """Rows that a node of a plan handled, those included that it threw away."""
    thrown = sum(rows for name, rows in node.items() if name.startswith("Rows Removed by"))
    return int((node.get("Actual Rows", 0) + thrown) * node.get("Actual Loops", 1))


def _read(node: Mapping[str, Any]) -> str:
    kind = node["Node Type"]
    if "Sort" in kind:
        return "sorts"
    if kind == "Bitmap Index Scan":
        return f"`{node['Index Name']}` (bitmap)"
    if "Index Name" in node:
        return f"`{node['Index Name']}`" + ("" if "Index Cond" in node else ", in its order")
    return f"all of `{node['Relation Name']}`" if kind == "Seq Scan" else ""


def _without_names(sql: str) -> str:
    """A statement as the server and the driver both write it, but for the names of its values."""
    return re.sub(r"%\(\w+\)s|%s|\$\d+", "?", sql)


def _shape(sql: str) -> str:
    """A statement without the number of its values."""
    return re.sub(r"(%\(\w+\)s(::[\w ]+)?(, )?)+", "…", sql)


def _caller() -> str:
    """The function that sends a statement: the innermost one of ours that is not a helper of the store."""
    frame = sys._getframe(1)
    helpers = {str(ROOT / "dialer" / "store" / name) for name in ("bulk.py", "tables.py", "walk.py")}
    while frame is not None:
        file = frame.f_code.co_filename
        ours = file.startswith((f"{ROOT}/dialer/", f"{ROOT}/workers/"))
        if ours and file not in helpers:
            module = Path(file).relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            return f"{module.removeprefix('dialer.')}.{frame.f_code.co_name.lstrip('_')}"
        frame = frame.f_back  # type: ignore[assignment]
    return "benchmarks"


# --- the data ---------------------------------------------------------------------------------------------------


@dataclass
class Data:
    """What the steps need of the data."""

    service: Service
    big_list: str
    dnd_list_id: str
    #: An account, a provider and a campaign with every limit there is.
    limited_account: str
    limited_provider: str


def fill(service: Service) -> Data:
    """The big data."""
    big_list = big.add_list(service, CONTACTS, country=1)
    dnd_list_id = big.add_dnd_list(service, DND, {1: CONTACTS})
    _add_older_calls(service, big_list)
    with writing(service.engine) as connection:
        limited_account, _ = accounts.create(connection, "limited", datetime.now(UTC))
        connection.execute(
            tables.account.update()
            .where(tables.account.c.id == limited_account)
            .values(frequency_cap=3, calls_per_minute=600_000, max_concurrent=100_000)
        )
    limited_provider = add_provider(
        service,
        "limited",
        9,
        calls_per_minute=600_000,
        max_concurrent=100_000,
        account_id=limited_account,
        priority=0,
    )
    big.analyze(service.engine)
    return Data(service, big_list, dnd_list_id, limited_account, limited_provider)


def _add_older_calls(service: Service, list_id: str) -> None:
    """Two million calls that ended, of campaigns that ended, each with an attempt, a CDR, an event and two changes of
    state; spread over some weeks."""
    values = {
        "account": service.account_id, "list": list_id, "provider": service.provider_id, "calls": OLDER_CALLS,
        "campaigns": OLDER_CAMPAIGNS,
    }  # fmt: skip
    campaign = "'CM' || lpad((n % :campaigns)::text, 10, '0')"
    at = "now() - interval '30 days' + n * interval '1 second'"
    call_id = "'0' || lpad(n::text, 19, '0')"
    statements = [
        f"""INSERT INTO campaign (id, account_id, name, type, state, list_id, caller_id, announcement_text,
            repeat_count, voice, volume, rate, pitch, language_code, tts_engine_type, time_zone, start_at, end_at,
            repeat_policy, max_retries, retry_time, cursor, served_at, created_at)
            SELECT {campaign}, :account, 'older ' || n, 0, 'FINISHED', :list, '15168148111', 'Good day', 1,
            '', '', '', '', 'en-US', '', 'UTC', now(), now(), '{{}}', 0, 0, 0, now(), now()
            FROM generate_series(0, :campaigns - 1) AS n""",
        f"""INSERT INTO campaign_count (campaign_id, name, count)
            SELECT {campaign}, name, 1000 FROM generate_series(0, :campaigns - 1) AS n,
            unnest(ARRAY['taken', 'COMPLETED', 'cdr.ANSWER', 'cdr.BUSY', 'FAILED']) AS name""",
        f"""INSERT INTO call (id, account_id, kind, campaign_id, list_id, position, e164, time_zone, state, due_at,
            released_at, rung_at, provider_id, dials, unsent, repeats, disposition, reason, created_at, ended_at)
            SELECT {call_id}, :account, 'CAMPAIGN', {campaign}, :list, n, {big.number(1)}, 'Asia/Kolkata', 'COMPLETED',
            {at}, {at}, {at}, :provider, 1, 0, '{{}}', 'ANSWERED', '', {at}, {at}
            FROM generate_series(1, :calls) AS n""",
        f"""INSERT INTO attempt (id, call_id, number, account_id, campaign_id, provider_id, e164, caller_id, state,
            disposition, provider_reference, submitted_at, deadline_at, placed_at, ended_at, duration, detail)
            SELECT {call_id} || '-1', {call_id}, 1, :account, {campaign}, :provider, {big.number(1)}, '15168148111',
            'ENDED', 'ANSWERED', {call_id} || '-1', {at}, {at}, {at}, {at}, 7, ''
            FROM generate_series(1, :calls) AS n""",
        f"""INSERT INTO cdr (account_id, campaign_id, list_id, call_id, attempt_id, kind, campaign_type, provider_id,
            e164, caller_id, disposition, dial_status, dialled_at, ended_at, call_date, duration, dtmf_inputs)
            SELECT :account, {campaign}, :list, {call_id}, {call_id} || '-1', 'CAMPAIGN', 0, :provider, {big.number(1)},
            '15168148111', 'ANSWERED', 'ANSWER', {at}, {at}, {at}, 7, '' FROM generate_series(1, :calls) AS n""",
        f"""INSERT INTO event (provider_id, dedupe_key, state, method, path, query, content_type, body, attempt_id,
            received_at, consumed_at, error)
            SELECT :provider, md5(n::text), 'CONSUMED', 'GET', '', 'type=endCallback', '', '', {call_id} || '-1',
            {at}, {at}, '' FROM generate_series(1, :calls) AS n""",
        f"""INSERT INTO history (at, machine, entity_id, from_state, to_state, reason)
            SELECT {at}, 'attempt', {call_id} || '-1', 'SUBMITTING', 'PLACED', '' FROM generate_series(1, :calls) AS n
            UNION ALL
            SELECT {at}, 'attempt', {call_id} || '-1', 'PLACED', 'ENDED', '' FROM generate_series(1, :calls) AS n""",
    ]
    with big.filling(service.engine) as connection:
        for statement in statements:
            used = {name: value for name, value in values.items() if f":{name}" in statement}
            connection.execute(sa.text(statement), used)


def sizes(connection: Connection) -> tuple[dict[str, int], dict[str, int]]:
    """How many rows each table holds, as the planner knows it, and the bytes of a row with its share of the indexes."""
    found = connection.execute(
        sa.text(
            "SELECT relname, reltuples::bigint, pg_total_relation_size(oid) FROM pg_class "
            "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples > 0"
        )
    ).all()
    return (
        {name: int(rows) for name, rows, _ in found},
        {name: int(size / rows) for name, rows, size in found},
    )


# --- the steps --------------------------------------------------------------------------------------------------


@dataclass
class Steps:
    """The engine's steps, taken one after the other on the big data."""

    data: Data
    engine: Engine
    watch: Watch
    scheduler: Scheduler
    adapters: AdapterCache
    round: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.watch.step = name
        yield
        self.watch.step = ""

    def take_all(self) -> None:
        """Every step, for the big campaign and for one with limits, as often as it takes to settle on plans."""
        campaigns = {
            "unlimited": self._campaign(
                self.data.service.account_id, self.data.big_list, cursor=CONTACTS // 2
            ),
            "limited": self._campaign(
                self.data.limited_account,
                self._small_list(5 * release.BATCH * ROUNDS),
                calls_per_minute=600_000,
                max_concurrent=100_000,
            ),
        }
        # What is in flight and what waits came after the last ANALYZE, as in the first minutes of a campaign.
        self._let_calls_wait(campaigns["unlimited"])
        self._fill_the_air()
        self._take_rounds(campaigns["unlimited"])
        big.analyze(self.data.service.engine)
        self._take_rounds(campaigns["unlimited"])
        self._consume_backlog()
        self._change_window(campaigns["unlimited"])
        for campaign_id in campaigns.values():
            self._stop(campaign_id)
        self._run_out()

    def _take_rounds(self, campaign_id: str) -> None:
        for _ in range(ROUNDS):
            self.round += 1
            attempts = self._claim(self._release())
            self._reply(attempts)
            self._hear(attempts)
            self._upkeep()
            self._api(campaign_id)
            self._make_room()

    def _campaign(self, account_id: str, list_id: str, **values: Any) -> str:
        campaign_id = self.data.service.add_campaign(
            list_id, account_id=account_id, state="RUNNING", repeat_policy=REPEATS, **values
        )
        with writing(self.data.service.engine) as connection:
            connection.execute(
                tables.campaign_dnd_list.insert(),
                {"campaign_id": campaign_id, "dnd_list_id": self.data.dnd_list_id},
            )
        return campaign_id

    def _small_list(self, count: int) -> str:
        """A list of the limited account whose numbers were dialled before."""
        list_id = ids.list_id()
        with big.filling(self.data.service.engine) as connection:
            connection.execute(
                tables.contact_list.insert(),
                {"id": list_id, "account_id": self.data.limited_account, "name": list_id, "last_position": count,
                 "contact_count": count, "created_at": datetime.now(UTC)},
            )  # fmt: skip
            connection.execute(
                sa.text(
                    "INSERT INTO contact (list_id, position, e164, name, fields, time_zone) "
                    f"SELECT :list, n, {big.number(1)}, '', '{{}}', 'UTC' FROM generate_series(1, :count) AS n"
                ),
                {"list": list_id, "count": count},
            )
        return list_id

    def _let_calls_wait(self, campaign_id: str) -> None:
        """Calls of the big campaign that wait: most for tomorrow, some for now."""
        self._add_calls(
            1, campaign_id, "WAITING", WAITING,
            "now() + CASE WHEN n % 100 = 0 THEN interval '0' ELSE interval '1 day' END",
        )  # fmt: skip

    def _fill_the_air(self) -> None:
        """Calls of older campaigns that are at their provider, or released and not taken yet."""
        self._add_calls(2, "CM0000000001", "IN_PROGRESS", IN_FLIGHT, "now()")
        self._add_calls(3, UNTAKEN, "RELEASED", IN_FLIGHT, "now()")
        with big.filling(self.data.service.engine) as connection:
            connection.execute(
                sa.text(
                    """INSERT INTO attempt (id, call_id, number, account_id, campaign_id, provider_id, e164, caller_id,
                    state, submitted_at, deadline_at, settle_at, placed_at, detail)
                    SELECT id || '-1', id, 1, account_id, campaign_id, :provider, e164, '', 'PLACED', now(), now(),
                    now() + interval '15 minutes', now(), '' FROM call WHERE state = 'IN_PROGRESS'"""
                ),
                {"provider": self.data.service.provider_id},
            )

    def _add_calls(self, series: int, campaign_id: str, state: str, count: int, due_at: str) -> None:
        with big.filling(self.data.service.engine) as connection:
            connection.execute(
                sa.text(
                    f"""INSERT INTO call (id, account_id, kind, campaign_id, list_id, position, e164, time_zone, state,
                    due_at, released_at, rung_at, provider_id, dials, unsent, repeats, reason, created_at)
                    SELECT '{series}' || lpad(n::text, 19, '0'), :account, 'CAMPAIGN', :campaign, :list, n,
                    {big.number(5)}, 'Asia/Kolkata', :state, {due_at}, now(), now() + interval '1 hour', :provider,
                    0, 0, '{{}}', 'outside calling window', now()
                    FROM generate_series(1, :count) AS n"""
                ),
                {
                    "account": self.data.service.account_id, "campaign": campaign_id, "list": self.data.big_list,
                    "count": count, "state": state, "provider": self.data.service.provider_id,
                },
            )  # fmt: skip

    def _consume_backlog(self) -> None:
        """Callbacks that came while nobody consumed them; of attempts that are not ours."""
        with big.filling(self.data.service.engine) as connection:
            connection.execute(
                sa.text(
                    """INSERT INTO event (provider_id, dedupe_key, state, method, path, query, content_type, body,
                    received_at, error) SELECT :provider, 'backlog ' || n, 'NEW', 'GET', '',
                    'type=endCallback&state=2&error=0&duration=7&reference=' || lpad(n::text, 20, '0') || '-9', '', '',
                    now(), '' FROM generate_series(1, :count) AS n"""
                ),
                {"provider": self.data.service.provider_id, "count": BACKLOG},
            )
        with self.step("consume events"):
            for _ in range(ROUNDS):
                results.consume(self.engine)

    def _change_window(self, campaign_id: str) -> None:
        """The pass over all that wait which follows."""
        with self.step("change window"):
            for _ in range(ROUNDS):
                with writing(self.engine) as connection:
                    openings.begin(connection, campaign_id)
                for _ in range(3):
                    with writing(self.engine) as connection:
                        row = campaigns.with_ids(connection, [campaign_id])[campaign_id]
                        openings.step(connection, row, DEFAULT_WINDOW, utc_now(connection))

    def _release(self) -> list[str]:
        released: list[str] = []
        with self.step("release"):
            for _ in range(4):
                visit = visit_next(self.engine, self.scheduler.limiter)
                released += visit.released if visit is not None else ()
        return released

    def _claim(self, released: list[str]) -> list[str]:
        placed: list[str] = []
        with self.step("claim"):
            # The last ones stay released: the scheduler is to ring for them again.
            for start in range(0, len(released) - 10, 100):
                with writing(self.engine) as connection:
                    ids_of_calls = released[start : start + 100]
                    claimed = claim(
                        connection, self.scheduler.limiter, self.adapters, ids_of_calls, utc_now(connection)
                    )
                placed += [one.submission.attempt_id for one in claimed.placements]
        return placed

    def _reply(self, attempts: list[str]) -> None:
        with self.step("write replies"):
            answers = [SubmitResult(one, Outcome.PLACED, provider_reference=one) for one in attempts[20:]]
            answers += [SubmitResult(one, Outcome.UNKNOWN, detail="read timeout") for one in attempts[:3]]
            answers += [SubmitResult(one, Outcome.NOT_SENT, retry_after=0.0) for one in attempts[3:6]]
            answers += [
                SubmitResult(one, Outcome.REFUSED, refusal=Refusal.BAD_NUMBER) for one in attempts[6:9]
            ]
            for start in range(0, len(answers), 100):
                with writing(self.engine) as connection:
                    replies.write(connection, answers[start : start + 100], utc_now(connection))

    def _hear(self, attempts: list[str]) -> None:
        told = [
            (one, "5", "17") if place % 10 == 0 else (one, "2", "0")
            for place, one in enumerate(attempts[30:])
        ]
        rows = [_event(self._provider_of(one), one, state, error) for one, state, error in told]
        with self.step("store events"):
            for start in range(0, len(rows), 100):
                with writing(self.engine) as connection:
                    events.add(connection, rows[start : start + 100])
        with self.step("consume events"):
            while results.consume(self.engine, limit=100):
                pass
        # Settled too early, and then told all the same: its CDR is corrected.
        late = attempts[25:30]
        with writing(self.data.service.engine) as connection:
            connection.execute(
                tables.attempt.update().where(tables.attempt.c.id.in_(late)).values(settle_at=_ago(1))
            )
        with self.step("reconcile"):
            reconcile.settle(self.engine)
        with writing(self.data.service.engine) as connection:
            events.add(connection, [_event(self._provider_of(one), one, "2", "0") for one in late])
        with self.step("consume events"):
            results.consume(self.engine)

    def _provider_of(self, attempt_id: str) -> str:
        return str(self.data.service.scalar("SELECT provider_id FROM attempt WHERE id = :id", id=attempt_id))

    def _upkeep(self) -> None:
        with writing(self.data.service.engine) as connection:
            connection.execute(
                sa.text(
                    "UPDATE call SET rung_at = now() - interval '1 minute' "
                    "WHERE state = 'RELEASED' AND campaign_id <> :untaken"
                ),
                {"untaken": UNTAKEN},
            )
            connection.execute(
                sa.text(
                    "UPDATE attempt SET deadline_at = now() - interval '1 minute' WHERE state = 'SUBMITTING'"
                )
            )
        with self.step("look"):
            self.scheduler.look()
        with self.step("upkeep"):
            self.scheduler.upkeep()

    def _api(self, campaign_id: str) -> None:
        now = datetime.now(UTC)
        with self.step("API"):
            with reading(self.engine) as connection:
                providers.named(connection, "bench")
            self._seek(campaign_id)
            with writing(self.engine) as connection:
                first = 3_000_000_000 + self.round * 100
                contacts.add(
                    connection,
                    self.data.big_list,
                    [NewContact(f"+91{first + n}", "New") for n in range(100)],
                    now,
                )
                dnd.add_numbers(
                    connection, self.data.dnd_list_id, [(f"+91{first + n}", "") for n in range(100)], now
                )

    def _seek(self, campaign_id: str) -> None:
        """Lists with filters that match none of millions."""
        account_id = self.data.service.account_id
        for rare in (
            calls.Filter(states=[CallState.UNKNOWN]),
            calls.Filter(kind="CLICK_TO_CALL"),
            calls.Filter(campaign_id=campaign_id, states=[CallState.UNKNOWN]),
        ):
            with reading(self.engine) as connection:
                calls.page(connection, account_id, rare, 100)
        unknown = cdrs.Filter(disposition=Disposition.UNKNOWN)
        with reading(self.engine) as connection:
            cdrs.page(connection, account_id, unknown, 100, newest_first=True)

    def _make_room(self) -> None:
        """What is in flight is done with, as there are no workers here that would."""
        with writing(self.data.service.engine) as connection:
            connection.execute(sa.text("UPDATE campaign SET wake_at = now() WHERE state = 'RUNNING'"))
            connection.execute(
                sa.text(
                    "UPDATE call SET state = 'COMPLETED' WHERE state = 'RELEASED' AND campaign_id <> :untaken"
                ),
                {"untaken": UNTAKEN},
            )
            connection.execute(sa.text("UPDATE provider SET held_until = NULL"))

    def _stop(self, campaign_id: str) -> None:
        with self.step("stop"):
            with writing(self.engine) as connection:
                control.stop(connection, None, campaign_id, utc_now(connection))
            for _ in range(ROUNDS):
                visit_next(self.engine, self.scheduler.limiter)
        with writing(self.data.service.engine) as connection:
            connection.execute(
                sa.text("UPDATE campaign SET wake_at = NULL WHERE id = :id"), {"id": campaign_id}
            )

    def _run_out(self) -> None:
        """Campaigns that come to the end of their lists, and finish."""
        for _ in range(ROUNDS):
            campaign_id = self._campaign(self.data.limited_account, self._small_list(20))
            with self.step("release"):
                visit = visit_next(self.engine, self.scheduler.limiter)
            with writing(self.data.service.engine) as connection:
                connection.execute(
                    sa.text("UPDATE call SET state = 'COMPLETED' WHERE campaign_id = :id"),
                    {"id": campaign_id},
                )
                connection.execute(
                    sa.text("UPDATE campaign SET wake_at = now() WHERE id = :id"), {"id": campaign_id}
                )
            with self.step("finish"):
                visit = visit_next(self.engine, self.scheduler.limiter)
                while visit is not None and not visit.finished:
                    visit = visit_next(self.engine, self.scheduler.limiter)


def _event(provider_id: str, attempt_id: str, state: str, error: str) -> dict[str, Any]:
    fields = {"type": "endCallback", "reference": attempt_id, "state": state, "error": error, "duration": "7"}
    return {
        "provider_id": provider_id, "dedupe_key": f"{attempt_id} {state}", "state": "NEW", "method": "GET", "path": "",
        "query": urlencode(fields), "content_type": "", "body": b"", "received_at": datetime.now(UTC), "error": "",
    }  # fmt: skip


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


# --- the page ---------------------------------------------------------------------------------------------------


def explain() -> Watch:
    """Fill a database, take the steps, and what was seen."""
    with bench() as one:
        service = make_service(one, 9)
        data = fill(service)
        with reading(service.engine) as connection:
            watch = Watch(*sizes(connection))
        os.environ.update(service.environment)
        from workers.scheduler import make_scheduler  # reads the settings

        scheduler = make_scheduler(Settings(_env_file=None))
        scheduler.engine.dispose()
        engine = scheduler.engine = make_engine(service.database_url, pool_size=1)
        scheduler.limiter = Limiter(Redis.from_url(service.redis_url))
        watch.on(engine)
        adapters = AdapterCache(
            SecretBox([KEY]), reconcile_after=None, public_url="https://dialer.example.com"
        )
        Steps(data, engine, watch, scheduler, adapters).take_all()
        engine.dispose()
        return watch


def render(watch: Watch) -> str:
    """The page."""
    held = [name for name, rows in sorted(watch.rows_of.items()) if rows > SMALL]
    lines = [
        "# Statements",
        "",
        "```sh",
        ".venv/bin/python -m benchmarks.explain    # writes this page; some ten minutes",
        "```",
        "",
        "Every statement that the engine sends on the way of a campaign's call, with the plans that PostgreSQL had for "
        "it when it ran on the database below. `COPY` is not shown, as it has no plan; nor are statements that only "
        "single calls (one-time passwords) need. None reads a big table from end to end, sorts more than a batch of "
        f"{BATCH}, or reads more than {MOST_READ:,} rows of a big table; else the command fails. The statements are "
        f"caught as they are sent, so a new one is here by itself. They ran with {IN_FLIGHT:,} calls at their "
        f"provider, {IN_FLIGHT:,} released and {WAITING:,} waiting, first as the planner did not know it yet, then as "
        f"it did, and with {BACKLOG:,} callbacks that nobody had consumed.",
        "",
        "*Reads* names the indexes of a plan; where a statement had more than one plan, each stands on a line of its "
        "own. *Rows* is the most that one execution read of one big table, those thrown away included.",
        "",
        "| table | rows | bytes a row, with its share of the indexes |",
        "|---|---|---|",
        *(f"| `{name}` | {watch.rows_of[name]:,} | {watch.bytes_of[name]:,} |" for name in held),
        "",
        "| statement | in | reads | rows |",
        "|---|---|---|---|",
    ]
    for one in sorted(watch.statements.values(), key=lambda one: one.name):
        if not one.plans:  # SAVEPOINT and its like have none
            continue
        plans = "<br>".join(plan for plan, _ in one.plans.most_common())
        problems = "".join(f"<br>**{problem}**" for problem in sorted(one.problems))
        lines.append(
            f"| `{one.name}` | {', '.join(sorted(one.steps))} | {plans}{problems} | {one.most_rows or ''} |"
        )
    lines += ["", *(f"`{name}` may read more: it {why}." for name, why in MAY_READ_MORE.items())]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the page; 1 when a statement is bad."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.explain", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="where the page is written")
    options = parser.parse_args()
    check_needs()
    watch = explain()
    options.page.write_text(render(watch), encoding="utf-8")
    bad = [(one.name, problem) for one in watch.statements.values() for problem in sorted(one.problems)]
    for name, problem in bad:
        print(f"{name} {problem}")
    print(f"{len(watch.statements)} statements, {len({name for name, _ in bad})} of them bad: {options.page}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
