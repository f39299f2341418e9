"""Imports: every row once, whatever is killed, whoever else works on the same file."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import DBAPIError, NoResultFound

from dialer import accounts
from dialer.db import make_engine, reading, writing
from dialer.errors import FieldError, NotFound
from dialer.imports import claim, run_import, start_import
from dialer.imports.batch import MOST_BYTES
from dialer.imports.records import LONGEST_RECORD
from dialer.imports.run import MOST_LISTED, ROWS
from dialer.models import ImportKind
from dialer.settings import Settings
from dialer.store import accounts as accounts_store
from dialer.store import contacts, dnd, imports
from dialer.store.tables import AnyRow, contact, dnd_number
from dialer.uploads import find

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
WITHIN = 60.0  # seconds; a deadline, not an expectation

WORKER = """
import sys
from datetime import UTC, datetime
from dialer.db import make_engine
from dialer.imports import run_import
clock = lambda: datetime.now(UTC)
run_import(make_engine(sys.argv[1]), sys.argv[2], clock, seconds=600, rows=3)
"""

TASK = """
import sys
from workers import tasks
tasks.IMPORT_STINT = 0.0  # a stint that is over after its first batch
tasks.run_import(sys.argv[1])
"""


def clock() -> datetime:
    return NOW


def run_one_batch(engine: Engine, import_id: str, rows: int = ROWS) -> bool:
    return run_import(engine, import_id, clock, seconds=0, rows=rows)


def number(index: int) -> str:
    return f"+9199792{index:05}"


@dataclass
class Desk:
    """An account and its uploads."""

    engine: Engine
    settings: Settings
    account: AnyRow
    made: int = 0

    def new_list(self) -> str:
        self.made += 1
        with writing(self.engine) as connection:
            return contacts.add_list(connection, self.account.id, f"list {self.made}", NOW)

    def begin(
        self, content: str | bytes, target: str | None = None, kind: ImportKind = ImportKind.CONTACTS
    ) -> AnyRow:
        path = Path(self.settings.uploads) / f"{kind}.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return start_import(
            self.engine, self.account, kind, target or self.new_list(), path.name, self.settings, NOW
        )

    def finish(self, begun: AnyRow, rows: int = 2000) -> AnyRow:
        assert run_import(self.engine, begun.id, clock, seconds=600, rows=rows)
        return self.state(begun)

    def state(self, begun: AnyRow) -> AnyRow:
        with reading(self.engine) as connection:
            found = imports.get(connection, self.account.id, begun.id)
        assert found is not None
        return found

    def contacts(self, list_id: str) -> list[AnyRow]:
        with reading(self.engine) as connection:
            statement = contact.select().where(contact.c.list_id == list_id).order_by(contact.c.position)
            return list(connection.execute(statement))

    def outcome(self, begun: AnyRow) -> Any:
        """All that an import leaves behind, without ids and times."""
        with reading(self.engine) as connection:
            rejected = [
                (one.line, one.column, one.value, one.code)
                for one in imports.rejected(connection, begun.id, limit=100_000)
            ]
            counts = contacts.field_counts(connection, begun.target_id)
        done = self.state(begun)
        people = [
            (one.position, one.e164, one.name, one.fields, one.time_zone)
            for one in self.contacts(begun.target_id)
        ]
        totals = (done.state, done.accepted, done.duplicate, done.invalid, done.offset, done.line, done.error)
        return people, rejected, counts, totals


@pytest.fixture
def desk(database: Engine, tmp_path: Path) -> Desk:
    with writing(database) as connection:
        account_id, _ = accounts.create(connection, "first", NOW)
        account = accounts_store.with_id(connection, account_id)
    assert account is not None
    return Desk(database, Settings(home=tmp_path / "home", _env_file=None), account)


def mixed_file(rows: int, seed: int = 1) -> str:
    """Good, doubled, bad, blank and quoted rows in a fixed disorder."""
    chosen = random.Random(seed)
    lines = ["contact_number,contact_name,note"]
    for index in range(rows):
        kind = chosen.randrange(8)
        if kind == 0:
            lines.append("12,short,x")
        elif kind == 1 and index:
            lines.append(f"{number(chosen.randrange(index))},again,")
        elif kind == 2:
            lines.append(f'{number(index)},"two\nlines",x')
        elif kind == 3:
            lines += ["", " , , "]
        elif kind == 4:
            lines.append(f'{number(index)},"stray,x')
        else:
            lines.append(f"{number(index)},somebody,{chosen.choice(['', 'x'])}")
    return "\n".join(lines) + "\n"


# What becomes of a file


def test_rows_become_contacts_in_the_files_order(desk: Desk) -> None:
    begun = desk.begin(
        "\ufeff Due amount ; Name;Phone; time_zone ;language\r\n"
        f" 5 ; Ankit ;{number(1)}; Asia/Dubai; en-IN \r\n"
        f';"two\r\nlines"; {number(2)} ;;\r\n'
    )
    done = desk.finish(begun)
    assert (done.state, done.accepted, done.duplicate, done.invalid) == ("DONE", 2, 0, 0)
    assert done.offset == done.size
    first, second = desk.contacts(begun.target_id)
    assert (first.position, first.e164, first.name) == (1, number(1), "Ankit")
    assert first.fields == {"Due_amount": "5", "name": "Ankit"}
    assert (first.time_zone, first.language) == ("Asia/Dubai", "en-IN")
    assert (second.position, second.name, second.time_zone) == (2, "two  lines", "Asia/Kolkata")
    assert second.language is None
    with reading(desk.engine) as connection:
        assert contacts.field_counts(connection, begun.target_id) == {"Due_amount": 1, "name": 2}


def test_a_russian_file_from_a_spreadsheet_is_read(desk: Desk) -> None:
    begun = desk.begin("телефон;имя;город\r\n+79161234567;Иван;Москва\r\n".encode("cp1251"))
    assert desk.finish(begun).accepted == 1
    (only,) = desk.contacts(begun.target_id)
    assert (only.e164, only.name, only.fields) == ("+79161234567", "Иван", {"column_3": "Москва"})


def test_the_accounts_region_reads_national_numbers(desk: Desk) -> None:
    with writing(desk.engine) as connection:
        accounts_store.update(connection, desk.account.id, default_region="IN")
        account = accounts_store.with_id(connection, desk.account.id)
    assert account is not None
    desk.account = account
    begun = desk.begin("phone\n9979200001\n")
    assert desk.finish(begun).accepted == 1
    assert desk.contacts(begun.target_id)[0].e164 == number(1)


def test_every_row_is_counted_once_and_every_bad_one_listed(desk: Desk) -> None:
    begun = desk.begin(f"phone,name\n{number(1)},a\n\n12,b\n{number(1)},c\n,d\n9.1E+11,e\n{number(2)},f,g\n")
    done = desk.finish(begun)
    assert (done.accepted, done.duplicate, done.invalid) == (1, 1, 4)
    with reading(desk.engine) as connection:
        rejected = imports.rejected(connection, begun.id)
        assert [(one.line, one.code) for one in rejected] == [
            (4, "invalid"),
            (5, "duplicate"),
            (6, "invalid"),
            (7, "invalid"),
            (8, "invalid"),
        ]
        assert {one.column for one in rejected} == {"phone", ""}
        assert (rejected[0].column, rejected[0].value) == ("phone", "12")
        assert (rejected[1].column, rejected[1].value) == ("phone", number(1))
        assert all(one.reason.endswith(".") for one in rejected)
        later = imports.rejected(connection, begun.id, after=(rejected[2].line, rejected[2].id), limit=1)
        assert [one.line for one in later] == [7]


def test_a_number_that_the_list_holds_already_is_a_duplicate(desk: Desk) -> None:
    first = desk.begin(f"phone\n{number(1)}\n{number(2)}\n")
    desk.finish(first)
    second = desk.begin(f"phone\n{number(2)}\n{number(3)}\n", target=first.target_id)
    done = desk.finish(second)
    assert (done.accepted, done.duplicate) == (1, 1)
    assert [(one.position, one.e164) for one in desk.contacts(first.target_id)] == [
        (1, number(1)),
        (2, number(2)),
        (3, number(3)),
    ]


def test_dnd_numbers_are_taken_once(desk: Desk) -> None:
    with writing(desk.engine) as connection:
        target = dnd.add_list(connection, desk.account.id, "never", NOW)
    begun = desk.begin(f"name,number\nx,{number(1)}\ny,{number(1)}\nz,0\n", target, ImportKind.DND)
    done = desk.finish(begun, rows=1)
    assert (done.accepted, done.duplicate, done.invalid) == (1, 1, 1)
    with reading(desk.engine) as connection:
        assert [tuple(row)[:3] for row in connection.execute(dnd_number.select())] == [
            (target, number(1), "x")
        ]


@pytest.mark.parametrize("kept", [0, 1, MOST_LISTED])
def test_contacts_on_the_global_dnd_list_are_taken_and_counted(
    desk: Desk, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dialer.imports.run.MOST_LISTED", kept)  # longer lists are looked into batch by batch
    with writing(desk.engine) as connection:
        listed = dnd.global_list(connection, desk.account.id)
        named = dnd.add_list(connection, desk.account.id, "named", NOW)
        other, _ = accounts.create(connection, "second", NOW)
        theirs = dnd.global_list(connection, other)
        assert listed is not None
        assert theirs is not None
        dnd.add_numbers(connection, listed.id, [(number(1), ""), (number(2), ""), (number(9), "")], NOW)
        dnd.add_numbers(connection, named, [(number(3), "")], NOW)
        dnd.add_numbers(connection, theirs.id, [(number(3), "")], NOW)
    begun = desk.begin("phone\n" + "".join(f"{number(index)}\n" for index in (1, 2, 3, 2, 4)))
    done = desk.finish(begun, rows=2)
    assert (done.accepted, done.duplicate, done.suppressed) == (4, 1, 2)
    assert len(desk.contacts(begun.target_id)) == 4
    again = desk.finish(desk.begin(f"phone\n{number(1)}\n{number(9)}\n", target=begun.target_id))
    assert (again.accepted, again.duplicate, again.suppressed) == (1, 1, 1)


def test_texts_arrive_as_they_were_written(desk: Desk) -> None:
    texts = ["a\\b", "\\N", "\\.", 'say ""hi""', "it's, so", "{1}", "Жанна ü 名", "%s %(x)s", "null"]
    rows = "".join(f'{number(index)},"{text}","{text}"\n' for index, text in enumerate(texts))
    begun = desk.begin("phone,name,note\n" + rows)
    assert desk.finish(begun).accepted == len(texts)
    wanted = [text.replace('""', '"') for text in texts]
    people = desk.contacts(begun.target_id)
    assert [one.name for one in people] == wanted
    assert [one.fields["note"] for one in people] == wanted


def test_rejected_texts_arrive_as_they_were_written(desk: Desk) -> None:
    texts = ["a\\b", "\\N", "\\.", "it's", "{1}", "Жанна 名", "%s"]
    begun = desk.begin("my\\phone;phone\n" + "".join(f"x;{text}\n" for text in texts))
    assert desk.finish(begun).invalid == len(texts)
    with reading(desk.engine) as connection:
        assert [one.value for one in imports.rejected(connection, begun.id)] == texts


def test_what_cannot_be_written_is_told_without_the_row(desk: Desk) -> None:
    people = [contacts.NewContact(number(1), name="Ankit " + "x" * 20), contacts.NewContact("+" + "9" * 40)]
    if desk.engine.dialect.name == "sqlite":
        people[1].e164 = None  # type: ignore[assignment]
    target = desk.new_list()
    with pytest.raises(DBAPIError) as refused, writing(desk.engine) as connection:
        contacts.add(connection, target, people, NOW)
    assert number(1) not in str(refused.value)
    assert "Ankit" not in str(refused.value)
    assert "9999" not in str(refused.value)
    assert desk.contacts(target) == []


def test_a_list_that_does_not_exist_takes_no_contact(desk: Desk) -> None:
    with pytest.raises(NoResultFound), writing(desk.engine) as connection:
        contacts.add(connection, "LSnosuchlist", [contacts.NewContact(number(1))], NOW)
    assert desk.contacts("LSnosuchlist") == []


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"a,b\n1,2\n", "contact_number"), ("phone\n".encode("utf-16"), "CSV UTF-8")],
)
def test_a_file_that_cannot_be_read_is_refused_before_it_begins(
    desk: Desk, content: bytes, says: str
) -> None:
    with pytest.raises(FieldError, match=says):
        desk.begin(content)
    with reading(desk.engine) as connection:
        assert connection.execute(imports.import_.select()).all() == []


def test_a_list_of_another_account_takes_no_import(desk: Desk) -> None:
    with writing(desk.engine) as connection:
        other, _ = accounts.create(connection, "second", NOW)
        theirs = contacts.add_list(connection, other, "theirs", NOW)
    with pytest.raises(NotFound):
        desk.begin(f"phone\n{number(1)}\n", target=theirs)


@pytest.mark.parametrize("change", ["grown", "gone", "changed"])
def test_a_file_that_changes_on_the_way_ends_its_import(desk: Desk, change: str) -> None:
    begun = desk.begin(f"phone\n{number(1)}\n{number(2)}\n")
    assert not run_one_batch(desk.engine, begun.id, rows=1)
    path = Path(begun.path)
    if change == "gone":
        path.unlink()
    elif change == "changed":
        path.write_text(path.read_text().replace(number(2), number(3)))
    else:
        path.write_text(path.read_text() + f"{number(3)}\n")
    assert run_one_batch(desk.engine, begun.id, rows=1)
    failed = desk.state(begun)
    assert (failed.state, failed.accepted, failed.ended_at) == ("FAILED", 1, NOW)
    assert change in failed.error or "changed" in failed.error


@pytest.mark.parametrize(
    "place",
    [
        "loop.csv",  # a link to itself
        pytest.param(
            "closed/a.csv", marks=pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
        ),
        "n" * 300,
    ],
)
def test_a_file_that_cannot_be_read_any_more_ends_its_import(desk: Desk, place: str, tmp_path: Path) -> None:
    begun = desk.begin(f"phone\n{number(1)}\n{number(2)}\n")
    assert not run_one_batch(desk.engine, begun.id, rows=1)
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "closed").mkdir(mode=0)
    with writing(desk.engine) as connection:
        imports.update(connection, begun.id, path=str(tmp_path / place))
    assert run_one_batch(desk.engine, begun.id, rows=1)
    failed = desk.state(begun)
    assert (failed.state, failed.accepted, failed.ended_at) == ("FAILED", 1, NOW)
    assert failed.error.startswith("CONTACTS.csv ")
    assert failed.error.endswith(", then import it anew: what was read stays.")
    assert str(tmp_path) not in failed.error
    with reading(desk.engine) as connection:
        assert not imports.is_running_for(connection, begun.target_id)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file whose disk cannot be read")
def test_a_disk_that_fails_on_the_way_ends_its_import(desk: Desk) -> None:
    begun = desk.begin(f"phone\n{number(1)}\n")
    with writing(desk.engine) as connection:
        imports.update(connection, begun.id, path="/proc/self/mem", size=0, version="")
    assert run_one_batch(desk.engine, begun.id)
    failed = desk.state(begun)
    assert failed.state == "FAILED"
    assert "cannot be read (Input/output error)" in failed.error


def test_a_file_that_cannot_be_opened_is_refused_before_it_begins(desk: Desk, tmp_path: Path) -> None:
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    with pytest.raises(FieldError, match=r"csv_name: 'loop\.csv' cannot be read \("):
        start_import(
            desk.engine,
            desk.account,
            ImportKind.CONTACTS,
            desk.new_list(),
            loop.name,
            desk.settings,
            NOW,
            path=loop,
        )


# Where the file lies


@pytest.mark.parametrize("env", ["development", "production"])
def test_in_production_only_the_accounts_own_folder_is_read(desk: Desk, env: str) -> None:
    strict = desk.settings.model_copy(update={"env": env})
    uploads = Path(strict.uploads)
    (uploads / desk.account.id).mkdir()
    (uploads / desk.account.id / "own.csv").write_text("phone\n")
    (uploads / "shared.csv").write_text("phone\n")
    own = find(strict, desk.account.id, "csv_name", "own.csv")
    assert own.location == str((uploads / desk.account.id / "own.csv").resolve())
    if env == "development":
        shared = find(strict, desk.account.id, "csv_name", "shared.csv")
        assert shared.location == str((uploads / "shared.csv").resolve())
        return
    with pytest.raises(FieldError) as refused:
        find(strict, desk.account.id, "csv_name", "shared.csv")
    assert str(refused.value) == (
        "csv_name: there is no file 'shared.csv' in this account's own folder; "
        f"put it into the folder {desk.account.id} of the uploads folder."
    )


# Who works on it


def test_an_import_whose_worker_has_gone_is_claimed_once(desk: Desk) -> None:
    begun = desk.begin(mixed_file(10))
    with writing(desk.engine) as connection:
        assert claim(connection, NOW) == []
        late = begun.lease_until + timedelta(seconds=1)
        assert claim(connection, late) == [begun.id]
        assert claim(connection, late) == []
    desk.finish(begun)
    with writing(desk.engine) as connection:
        assert claim(connection, NOW + timedelta(days=1)) == []


def test_an_import_tells_how_far_it_is(desk: Desk) -> None:
    begun = desk.begin("phone\n" + "".join(f"{number(index)}\n" for index in range(4)))
    told: list[tuple[int, int]] = []
    assert run_import(
        desk.engine,
        begun.id,
        clock,
        seconds=600,
        rows=2,
        tell=lambda row: told.append((row.accepted, row.offset)),
    )
    assert [accepted for accepted, _ in told] == [0, 2, 4]
    assert told[-1][1] == begun.size


def test_an_import_stops_when_its_time_is_over_and_goes_on_later(desk: Desk) -> None:
    begun = desk.begin(mixed_file(10))
    assert not run_import(desk.engine, begun.id, clock, seconds=0, rows=1)
    assert desk.state(begun).offset > begun.offset
    desk.finish(begun)
    assert run_import(desk.engine, begun.id, clock, seconds=0)


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_stopped_at_every_border_it_ends_as_if_it_had_not_been_stopped(desk: Desk, rows: int) -> None:
    content = mixed_file(40)
    through = desk.begin(content)
    desk.finish(through)
    stopped = desk.begin(content)
    over, seen = False, []
    while not over:
        # Nothing but the tables carries over, as after a restart of the process.
        process = make_engine(desk.engine.url.render_as_string(hide_password=False))
        over = run_one_batch(process, stopped.id, rows=rows)
        process.dispose()
        seen.append(desk.state(stopped).offset)
    assert len(set(seen)) >= 40 // (2 * rows)
    assert desk.outcome(stopped) == desk.outcome(through)


def test_what_dies_before_its_commit_has_written_nothing(desk: Desk) -> None:
    content = mixed_file(30)
    through = desk.begin(content)
    desk.finish(through)
    broken = desk.begin(content)
    writes = 0

    def die(connection: Connection) -> None:
        nonlocal writes
        if connection.get_execution_options().get("writes"):
            writes += 1
            if writes % 2:
                raise KeyboardInterrupt

    over = False
    event.listen(desk.engine, "commit", die)
    try:
        while not over:
            try:
                over = run_one_batch(desk.engine, broken.id, rows=4)
            except KeyboardInterrupt:
                desk.engine.dispose()
    finally:
        event.remove(desk.engine, "commit", die)
    assert writes > 10
    assert desk.outcome(broken) == desk.outcome(through)


def test_a_task_leaves_its_worker_to_others_after_its_stint(desk: Desk, redis_server: str) -> None:
    begun = desk.begin("phone\n" + "".join(f"{number(index)}\n" for index in range(ROWS + 500)))
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "DIALER_HOME": str(desk.settings.home),
        "DIALER_DATABASE_URL": desk.engine.url.render_as_string(hide_password=False),
        "DIALER_REDIS_URL": redis_server,
        "DIALER_BROKER_URL": redis_server,
    }
    subprocess.run([sys.executable, "-c", TASK, begun.id], env=environment, check=True, timeout=WITHIN)
    assert (desk.state(begun).state, desk.state(begun).accepted) == ("RUNNING", ROWS)
    with Redis.from_url(redis_server) as client:
        assert client.llen("upkeep") == 1, "it has rung for the rest"


def test_killed_without_warning_it_loses_and_doubles_nothing(desk: Desk) -> None:
    content = mixed_file(600)
    through = desk.begin(content)
    desk.finish(through)
    killed = desk.begin(content)
    url = desk.engine.url.render_as_string(hide_password=False)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    deadline = time.monotonic() + WITHIN
    for _ in range(2):
        before = desk.state(killed).offset
        worker = subprocess.Popen([sys.executable, "-c", WORKER, url, killed.id], env=environment)
        try:
            while desk.state(killed).offset == before:
                assert worker.poll() is None, "the worker ended by itself"
                assert time.monotonic() < deadline
                time.sleep(0.002)
        finally:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
    assert desk.state(killed).state == "RUNNING"
    desk.finish(killed)
    assert desk.outcome(killed) == desk.outcome(through)


def test_two_workers_on_one_import_do_not_double_a_row(desk: Desk) -> None:
    content = mixed_file(120)
    through = desk.begin(content)
    desk.finish(through)
    shared = desk.begin(content)
    url = desk.engine.url.render_as_string(hide_password=False)
    together = threading.Barrier(2)
    finished: list[bool] = []

    def work(rows: int) -> None:
        engine = make_engine(url)
        together.wait(WITHIN)
        finished.append(run_import(engine, shared.id, clock, seconds=600, rows=rows))
        engine.dispose()

    workers = [threading.Thread(target=work, args=(rows,)) for rows in (3, 5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WITHIN)
    assert finished == [True, True]
    assert desk.outcome(shared) == desk.outcome(through)


def test_two_imports_into_one_list_take_each_number_once(desk: Desk) -> None:
    target = desk.new_list()
    files = [desk.begin(mixed_file(100, seed), target) for seed in (1,)]
    path = Path(files[0].path).rename(Path(files[0].path).with_name("first.csv"))
    with writing(desk.engine) as connection:
        imports.update(connection, files[0].id, path=str(path))
    files.append(desk.begin(mixed_file(100, 2), target))
    url = desk.engine.url.render_as_string(hide_password=False)

    def work(begun: AnyRow) -> None:
        engine = make_engine(url)
        run_import(engine, begun.id, clock, seconds=600, rows=4)
        engine.dispose()

    workers = [threading.Thread(target=work, args=(begun,)) for begun in files]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(WITHIN)
    states = [desk.state(begun) for begun in files]
    people = desk.contacts(target)
    assert [one.state for one in states] == ["DONE", "DONE"]
    assert len(people) == len({one.e164 for one in people}) == sum(one.accepted for one in states)
    assert [one.position for one in people] == list(range(1, len(people) + 1))
    with reading(desk.engine) as connection:
        assert contacts.count(connection, target) == len(people)
        noted = sum(1 for one in people if "note" in one.fields)
        assert contacts.field_counts(connection, target)["note"] == noted


def test_who_adds_to_the_list_between_two_batches_is_not_doubled(desk: Desk) -> None:
    target = desk.new_list()
    begun = desk.begin("phone\n" + "".join(f"{number(index)}\n" for index in range(1, 31)), target)
    added = [number(25), number(100)]

    def tell(row: AnyRow) -> None:
        if row.accepted == 20:
            with writing(desk.engine) as connection:
                contacts.add(connection, target, [contacts.NewContact(one) for one in added], clock())

    assert run_import(desk.engine, begun.id, clock, seconds=600, rows=10, tell=tell)
    done = desk.state(begun)
    assert (done.accepted, done.duplicate) == (29, 1)
    people = [one.e164 for one in desk.contacts(target)]
    assert sorted(people) == sorted({*added, *(number(index) for index in range(1, 31))})


def test_a_long_file_takes_little_memory(desk: Desk) -> None:
    # Long rows in small batches, for tracing makes each row slow.
    rows = 6_000
    desk.finish(
        desk.begin(f"phone,name,note\n{number(rows)},Ann,x\n")
    )  # what a process loads once is none of it
    lines = "".join(f"{number(index)},somebody with a name,{'x' * 900}\n" for index in range(rows))
    begun = desk.begin("phone,name,note\n" + lines)
    del lines
    tracemalloc.start()
    try:
        done = desk.finish(begun, rows=200)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (done.state, done.accepted) == ("DONE", rows)
    # A batch is held at a time: much less than the whole file, and nothing to what all its rows would take.
    assert peak < done.size / 2


def test_a_batch_of_long_rows_has_fewer_of_them(desk: Desk) -> None:
    row = f",{'x' * (LONGEST_RECORD - 100)}\n"
    begun = desk.begin("phone,note\n" + row * (MOST_BYTES // len(row) + 10))
    assert not run_one_batch(desk.engine, begun.id)
    read = desk.state(begun).offset - begun.offset
    assert MOST_BYTES <= read < MOST_BYTES + LONGEST_RECORD
    desk.finish(begun)


cell = st.text(st.sampled_from('ab,"\n\r é'), max_size=4)
person = st.integers(0, 6).map(number) | st.sampled_from(["", "12", "x"])
line = st.tuples(person, cell, cell).map(",".join)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(lines=st.lists(line, max_size=8), rows=st.integers(1, 4))
def test_any_file_ends_the_same_whatever_its_batches(desk: Desk, lines: list[str], rows: int) -> None:
    content = "phone,name,note\n" + "\n".join(lines)
    through = desk.begin(content)
    desk.finish(through)
    in_steps = desk.begin(content)
    desk.finish(in_steps, rows=rows)
    assert desk.outcome(in_steps) == desk.outcome(through)
