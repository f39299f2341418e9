"""Where uploaded files lie: a folder and a bucket are the same to who imports from them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from buckets import BUCKET, bucket
from sqlalchemy import Engine

from dialer import accounts, buckets, uploads
from dialer.buckets import BucketError, ChangedError
from dialer.db import reading, writing
from dialer.errors import Conflict, FieldError, NoRoom
from dialer.imports import claim, leftovers, run_import, start_import
from dialer.models import ImportKind
from dialer.settings import Settings, SettingsError
from dialer.store import accounts as accounts_store
from dialer.store import contacts, imports
from dialer.store.tables import AnyRow, contact

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
WITHIN = 60.0  # seconds; a deadline, not an expectation

WORKER = """
import sys
from datetime import UTC, datetime
from dialer.db import make_engine
from dialer.imports import run_import
run_import(make_engine(sys.argv[1]), sys.argv[2], lambda: datetime.now(UTC), seconds=600, rows=3)
"""


def number(index: int) -> str:
    return f"+9199792{index:05}"


def lines(count: int) -> bytes:
    return ("phone,name\n" + "".join(f"{number(index)},n{index}\n" for index in range(count))).encode()


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch, bucket(patch) as made:
        yield made


@dataclass
class Place:
    """An account whose uploads lie in a folder or in a bucket."""

    engine: Engine
    settings: Settings
    account: AnyRow
    client: Any

    def put(self, name: str, content: bytes, *, shared: bool = False) -> str:
        own = name if shared else f"{self.account.id}/{name}"
        if self.client is None:
            path = Path(self.settings.uploads) / own
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            return str(path.resolve())
        self.client.put_object(Bucket=BUCKET, Key=f"in/{own}", Body=content)
        return f"s3://{BUCKET}/in/{own}"

    def remove(self, name: str) -> None:
        uploads.remove(uploads.find(self.settings, self.account.id, "file", name).location)

    def new_list(self) -> str:
        with writing(self.engine) as connection:
            return contacts.add_list(connection, self.account.id, os.urandom(4).hex(), NOW)

    def begin(self, name: str, **how: Any) -> AnyRow:
        return start_import(
            self.engine,
            self.account,
            ImportKind.CONTACTS,
            self.new_list(),
            name,
            self.settings,
            NOW,
            **how,
        )

    def run(self, begun: AnyRow, *, seconds: float = 600, rows: int = 2000) -> AnyRow:
        # Every look at the clock is a second later.
        ticks = iter(range(10_000))
        run_import(
            self.engine, begun.id, lambda: NOW + timedelta(seconds=next(ticks)), seconds=seconds, rows=rows
        )
        return self.run_state(begun)

    def run_state(self, begun: AnyRow) -> AnyRow:
        with reading(self.engine) as connection:
            found = imports.get(connection, self.account.id, begun.id)
        assert found is not None
        return found

    def numbers(self, begun: AnyRow) -> list[str]:
        with reading(self.engine) as connection:
            statement = contact.select().where(contact.c.list_id == begun.target_id)
            return [row.e164 for row in connection.execute(statement.order_by(contact.c.position))]

    def scratch(self) -> list[str]:
        """What is kept of imports."""
        if self.client is None:
            folder = Path(self.settings.uploads) / self.account.id / ".imports"
            return [path.name for path in folder.glob("*")] if folder.exists() else []
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"in/{self.account.id}/.imports/")
        return [one["Key"] for one in listed.get("Contents", [])]


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, sqlite_database: Engine, tmp_path: Path) -> Place:
    engine = sqlite_database
    with writing(engine) as connection:
        account_id, _ = accounts.create(connection, "first", NOW)
        account = accounts_store.with_id(connection, account_id)
    assert account is not None
    in_bucket = request.param == "bucket"
    where = {"uploads": f"s3://{BUCKET}/in"} if in_bucket else {}
    settings = Settings(home=tmp_path / "home", _env_file=None, **where)
    return Place(engine, settings, account, request.getfixturevalue("client") if in_bucket else None)


def test_an_import_reads_its_file_in_batches(place: Place) -> None:
    place.put("people.csv", lines(50))
    begun = place.begin("people.csv")
    assert not run_import(place.engine, begun.id, lambda: NOW, seconds=0, rows=7)
    done = place.run(begun, rows=7)
    assert (done.state, done.accepted, done.offset) == ("DONE", 50, done.size)
    assert place.numbers(begun) == [number(index) for index in range(50)]


def test_killed_without_warning_it_loses_and_doubles_nothing(place: Place) -> None:
    place.put("people.csv", lines(600))
    begun = place.begin("people.csv")
    url = place.engine.url.render_as_string(hide_password=False)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    worker = subprocess.Popen([sys.executable, "-c", WORKER, url, begun.id], env=environment)
    deadline = time.monotonic() + WITHIN
    try:
        while place.run_state(begun).offset == begun.offset:
            assert worker.poll() is None, "the worker ended by itself"
            assert time.monotonic() < deadline
            time.sleep(0.002)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    assert place.run_state(begun).state == "RUNNING"
    assert place.run(begun).state == "DONE"
    assert place.numbers(begun) == [number(index) for index in range(600)]


@pytest.mark.parametrize("change", ["gone", "changed"])
def test_a_file_that_changes_on_the_way_ends_its_import(place: Place, change: str) -> None:
    content = lines(20)
    place.put("people.csv", content)
    begun = place.begin("people.csv")
    assert place.run(begun, seconds=0, rows=2).state == "RUNNING"
    if change == "gone":
        place.remove("people.csv")
    else:
        place.put("people.csv", content.replace(b"n19", b"xyz"))  # of the same length
    failed = place.run(begun, rows=2)
    assert (failed.state, failed.accepted) == ("FAILED", 2)
    assert change in failed.error


def test_a_file_replaced_while_it_is_read_is_noticed(place: Place) -> None:
    place.put("people.csv", lines(20))
    found = uploads.find(place.settings, place.account.id, "file", "people.csv")
    place.put("people.csv", lines(21))
    with pytest.raises(ChangedError), found.open() as file:
        file.read(10)


def test_each_account_has_files_of_its_own(place: Place) -> None:
    place.put("mine.csv", lines(1))
    place.put("shared.csv", lines(1), shared=True)
    with pytest.raises(FieldError, match=r"there is no file 'mine\.csv'"):
        uploads.find(place.settings, "AC0000000000", "file", "mine.csv")
    assert uploads.find(place.settings, place.account.id, "file", "shared.csv").size
    strict = place.settings.model_copy(update={"env": "production"})
    with pytest.raises(FieldError, match="this account's own folder"):
        uploads.find(strict, place.account.id, "file", "shared.csv")
    assert [one.name for one in uploads.listed(place.settings, place.account.id)] == ["mine.csv"]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../mine.csv", "/etc/passwd", "a/b.csv", "a\\b.csv", "..\\mine.csv", "a\0b", "%2e%2e", ".imports",
     "%2E%2E%2fmine.csv", "a%5cb", "x%00.csv", "\u202emine.csv", "n" * 300, "é" * 200, "a\nb", "s3://other/a.csv"],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(place: Place, name: str) -> None:
    place.put("mine.csv", lines(1))
    with pytest.raises(FieldError, match=r"^file must be"):
        uploads.find(place.settings, place.account.id, "file", name)
    with pytest.raises(FieldError, match=r"^file must be"):
        uploads.add(place.settings, place.account.id, "file", name, io.BytesIO(b"x"))


@pytest.mark.parametrize("name", ["a b%c#é?[1]~'&+.csv", "50%.csv", "Список.csv"])
def test_odd_names_are_names(place: Place, name: str) -> None:
    place.put(name, lines(2))
    assert place.run(place.begin(name)).accepted == 2


def test_a_link_leads_nowhere_else(place: Place, tmp_path: Path) -> None:
    if place.client is not None:
        pytest.skip("buckets have no links")
    secret = tmp_path / "secret.csv"
    secret.write_bytes(lines(1))
    kept = Path(place.put(".imports/IM1.csv", lines(1)))
    for target in (secret, kept):
        link = kept.parent.parent / "link.csv"
        link.symlink_to(target)
        with pytest.raises(FieldError, match="there is no file"):
            uploads.find(place.settings, place.account.id, "file", "link.csv")
        link.unlink()


def test_a_file_is_added_once_and_removed(place: Place) -> None:
    added = uploads.add(place.settings, place.account.id, "file", "hello.wav", io.BytesIO(b"x" * 6_000_000))
    assert (added.name, added.size) == ("hello.wav", 6_000_000)
    with pytest.raises(Conflict, match="already"):
        uploads.add(place.settings, place.account.id, "file", "hello.wav", io.BytesIO(b"y"))
    with added.open() as file:
        assert file.read() == b"x" * 6_000_000
    uploads.remove(added.location)
    uploads.remove(added.location)
    assert uploads.at(added.location) is None


def test_what_is_sent_is_kept_until_the_import_is_over(place: Place) -> None:
    begun = place.begin("people.csv", sent=io.BytesIO(lines(5)))
    assert len(place.scratch()) == 1
    done = place.run(begun)
    assert (done.state, done.accepted, done.file_name) == ("DONE", 5, "people.csv")
    assert place.scratch() == []
    assert not place.run_state(begun).has_scratch


def test_what_an_ended_import_leaves_is_removed_by_the_next_who_is_rung(place: Place) -> None:
    begun = place.begin("people.csv", sent=io.BytesIO(lines(5)))
    with writing(place.engine) as connection:
        imports.update(connection, begun.id, state="CANCELLED", lease_until=NOW)
        assert claim(connection, NOW.replace(year=2027)) == [begun.id]
    place.run(begun)
    assert place.scratch() == []


def test_a_spreadsheet_is_read_as_csv(place: Place, tmp_path: Path) -> None:
    content = workbook(tmp_path, [["Phone", "Name"], [919979200001, "A\nB"], [number(2), "C"]])
    place.put("people.xlsx", content)
    begun = place.begin("people.xlsx")
    done = place.run(begun)
    assert (done.state, done.accepted) == ("DONE", 2)
    assert place.numbers(begun) == [number(1), number(2)]
    assert place.scratch() == []


def workbook(folder: Path, rows: list[list[Any]]) -> bytes:
    path = folder / "made.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("People")
        for at, row in enumerate(rows):
            for column, value in enumerate(row):
                sheet.write(at, column, value)
    return path.read_bytes()


# A bucket alone


@pytest.fixture
def away(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A bucket whose server does not answer."""
    if place.client is None:
        pytest.skip("a folder is always there")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("dialer.buckets.TRIES", 0)
    return place


def test_an_import_waits_for_its_bucket(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    if place.client is None:
        pytest.skip("a folder is always there")
    place.put("people.csv", lines(5))
    begun = place.begin("people.csv")
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        patch.setattr("dialer.buckets.TRIES", 0)
        assert place.run(begun, seconds=0).state == "RUNNING"
    assert place.run(begun).accepted == 5


def test_a_bucket_that_is_away_is_told_without_its_address(away: Place) -> None:
    with pytest.raises(FieldError, match="the bucket does not answer") as refused:
        uploads.find(away.settings, away.account.id, "file", "people.csv")
    assert "127.0.0.1" not in str(refused.value)
    with pytest.raises(BucketError):
        list(uploads.listed(away.settings, away.account.id))
    with pytest.raises(SettingsError, match="DIALER_UPLOADS"):
        uploads.keep(away.settings, away.account.id, "file", "IM1.csv", io.BytesIO(b"x"))


def test_what_killed_imports_left_is_removed_after_a_day_and_nothing_else(place: Place) -> None:
    place.put("people.csv", lines(3))
    left = place.put(".imports/IMgoneaway00.csv", b"phone\n1\n")
    if place.client is None:
        place.put(".imports/.IMgoneaway00.csv.77.0badcafe", b"half of it")
        place.put(".people.csv.77.0badcafe", b"half of it")
        place.put(".profile", b"somebody's own")
    runs = place.begin("sent.csv", sent=io.BytesIO(lines(5)))
    now = datetime.now(UTC)
    assert leftovers.remove_old(place.engine, place.settings, now + timedelta(hours=23)) == 0
    removed = leftovers.remove_old(place.engine, place.settings, now + timedelta(hours=25))
    assert removed == (3 if place.client is None else 1)
    assert uploads.at(left) is None
    assert [one.name for one in uploads.listed(place.settings, place.account.id)] == ["people.csv"]
    if place.client is None:
        assert (Path(place.settings.uploads) / place.account.id / ".profile").exists()
    assert place.run(runs).accepted == 5
    assert leftovers.remove_old(place.engine, place.settings, now + timedelta(hours=25)) == 0


def test_the_files_of_an_account_have_a_limit_together(place: Place) -> None:
    place.settings = place.settings.model_copy(update={"account_upload_bytes": 1000})
    place.put("people.csv", b"x" * 500)
    place.put(".imports/IM1.csv", b"x" * 300)
    assert uploads.used(place.settings, place.account.id) == 800
    uploads.add(place.settings, place.account.id, "file", "hello.wav", io.BytesIO(b"x" * 200))
    with pytest.raises(
        NoRoom, match=r"file: the account's files may have 1,000 bytes together, and have 1,000"
    ):
        uploads.add(place.settings, place.account.id, "file", "more.wav", io.BytesIO(b"x"))
    with pytest.raises(NoRoom):
        place.begin("sent.csv", sent=io.BytesIO(lines(5)))
    place.remove("people.csv")
    begun = place.begin("sent.csv", sent=io.BytesIO(lines(5)))
    assert place.run(begun).accepted == 5


class SentAtTheSameTime(io.BytesIO):
    """Bytes that are read only after something else has been done, once."""

    def __init__(self, content: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(content)
        self._meanwhile = [meanwhile]

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and self._meanwhile:
            self._meanwhile.pop()()
        return super().seek(offset, whence)


def test_of_two_files_that_come_at_the_same_time_one_that_does_not_fit_beside_the_other_is_taken_back(
    place: Place,
) -> None:
    place.settings = place.settings.model_copy(update={"account_upload_bytes": 1000})

    def add(name: str, file: io.BytesIO) -> None:
        uploads.add(place.settings, place.account.id, "file", name, file)

    def names() -> list[str]:
        return [one.name for one in uploads.listed(place.settings, place.account.id)]

    add("first.wav", SentAtTheSameTime(b"x" * 400, lambda: add("second.wav", io.BytesIO(b"x" * 600))))
    assert names() == ["first.wav", "second.wav"]
    place.remove("second.wav")
    with pytest.raises(NoRoom, match="and have 1,000; this one has 400"):
        add("third.wav", SentAtTheSameTime(b"x" * 400, lambda: add("fourth.wav", io.BytesIO(b"x" * 600))))
    assert names() == ["first.wav", "fourth.wav"]
    assert uploads.used(place.settings, place.account.id) == 1000


class ReadAtTheSameTime(SentAtTheSameTime):
    """The same, when it is written already."""

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return io.BytesIO.seek(self, offset, whence)

    def read(self, size: int | None = -1) -> bytes:
        if self._meanwhile:
            self._meanwhile.pop()()
        return super().read(size)


def test_of_two_files_of_one_name_that_come_at_the_same_time_the_first_stays(place: Place) -> None:
    def add(file: io.BytesIO) -> uploads.Upload:
        return uploads.add(place.settings, place.account.id, "file", "hello.wav", file)

    with pytest.raises(Conflict, match="already"):
        add(ReadAtTheSameTime(b"second", lambda: place.put("hello.wav", b"first")))
    with uploads.find(place.settings, place.account.id, "file", "hello.wav").open() as file:
        assert file.read() == b"first"
    assert uploads.used(place.settings, place.account.id) == len(b"first")


def test_a_server_without_conditions_is_written_to_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    buckets._store.cache_clear()
    try:
        added = uploads.add(place.settings, place.account.id, "file", "hello.wav", io.BytesIO(b"first"))
        with added.open() as file:
            assert file.read() == b"first"
    finally:
        buckets._store.cache_clear()


def test_nothing_is_left_where_there_are_no_uploads(place: Place) -> None:
    assert leftovers.remove_old(place.engine, place.settings, datetime.now(UTC) + timedelta(days=9)) == 0
    nowhere = place.settings.model_copy(update={"uploads": f"{place.settings.uploads}/nowhere"})
    assert leftovers.remove_old(place.engine, nowhere, datetime.now(UTC)) == 0
    assert uploads.used(nowhere, place.account.id) == 0
