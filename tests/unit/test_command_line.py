"""What the command line decides without a server."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

import pytest
import typer

from dialer.calls.cdr_export import cell
from dialer.cli.campaign_watch import Pace
from dialer.cli.cdr import instant
from dialer.cli.processes import QUEUES, checked_queues, flower_argv, flower_environment, worker_argv
from dialer.demo import run
from dialer.demo.people import BAD_ROWS, MOST_PEOPLE, contacts_csv, on_dnd, people
from dialer.numbers import to_e164
from dialer.sandbox.outcomes import FATES


def test_the_help_waits_for_nothing_that_only_a_command_needs() -> None:
    heavy = ("sqlalchemy", "fastapi", "celery", "httpx", "rich.live")
    code = f"import sys, dialer.cli; print([one for one in {heavy} if one in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_command_line_holds_a_secret() -> None:
    login = "dialer:s3cret"
    assert flower_environment(login) == {"FLOWER_BASIC_AUTH": login}
    assert not any("auth" in word for word in flower_argv("127.0.0.1", 5555))


def test_flower_can_only_look() -> None:
    assert "--read_only=True" in flower_argv("127.0.0.1", 5555)


def test_a_worker_serves_the_queues_it_was_given() -> None:
    argv = worker_argv(["otp", "results"], 3, "fast")
    assert argv[argv.index("-Q") + 1] == "otp,results"
    assert argv[argv.index("-c") + 1] == "3"
    assert argv[argv.index("-n") + 1] == "fast@%h"


def test_a_worker_with_one_process_does_its_tasks_itself_unless_they_are_calls() -> None:
    pools = {
        (queues, processes): worker_argv(queues.split(","), processes, "one")
        for queues in ("otp", "calls", "otp,calls", "results,upkeep")
        for processes in (1, 2)
    }
    alone = {which for which, argv in pools.items() if argv[argv.index("-P") + 1] == "solo"}
    assert alone == {("otp", 1), ("results,upkeep", 1)}


def test_queues_are_those_of_the_workers_each_once() -> None:
    assert checked_queues(" calls ,otp,calls") == ["calls", "otp"]
    assert checked_queues(",".join(QUEUES)) == list(QUEUES)
    with pytest.raises(typer.BadParameter, match="bogus is no queue"):
        checked_queues("calls,bogus")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("plain", "plain"),
        ("", ""),
        (None, ""),
        (-1.5, "-1.5"),
        (datetime(2026, 9, 25, 14, 5, tzinfo=UTC), "2026-09-25 14:05:00"),
    ],
)
def test_no_cell_is_a_formula(value: object, written: str) -> None:
    assert cell(value) == written


def test_the_last_day_of_an_export_is_a_whole_one() -> None:
    assert instant("2026-09-25", "--from") == datetime(2026, 9, 25, tzinfo=UTC)
    assert instant("2026-09-25", "--to", end_of_day=True) == datetime(2026, 9, 26, tzinfo=UTC)
    assert instant("2026-09-25T14:05:00+05:30", "--to") == datetime(2026, 9, 25, 8, 35, tzinfo=UTC)
    for wrong in ("9999-12-31", "yesterday", "2026-13-01"):
        with pytest.raises(typer.BadParameter):
            instant(wrong, "--to", end_of_day=True)


def test_the_pace_is_that_of_the_last_seconds() -> None:
    pace = Pace()
    assert pace.of(0, 100.0) == 0
    assert pace.of(10, 105.0) == 120
    assert pace.of(10, 119.0) == 0


def test_the_people_of_the_demo_have_valid_numbers_of_nobody() -> None:
    persons = people(600)
    numbers = [person.number for person in persons]
    assert len(set(numbers)) == 600
    assert all(number[5:10] == "55501" and to_e164(number, None) == number for number in numbers)
    assert {number[-2:] for number in numbers} >= set(FATES)
    assert people(40) == persons[:40]
    assert len(people(MOST_PEOPLE)) == MOST_PEOPLE


def test_the_demo_waits_for_callbacks_that_come_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LOOK_EVERY", 0.0)
    looks = iter([["+12025550101"], ["+12025550101"], []])
    assert run.settled(lambda: next(looks)) == []
    monkeypatch.setattr(run, "LATE_WITHIN", 0.0)
    assert run.settled(lambda: ["+12025550101"]) == ["+12025550101"]


def test_the_demo_shows_bad_rows_a_double_and_a_dnd_list() -> None:
    persons = people(40)
    lines = contacts_csv(persons).splitlines()
    assert len(lines) == 1 + 40 + len(BAD_ROWS) + 1
    assert lines[1] == lines[-1]
    assert 0 < len(on_dnd(persons)) < 10
