"""Calls of `/v1/calls` through a whole installation: what was answered is dialled once, whatever is killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from people_of_nobody import numbers
from service import Service, settled, wait_for

from dialer.store.tables import call

ANSWERED = ("50", "51")
CODE = "730519"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with settled(tmp_path, DIALER_RECONCILE_AFTER="3") as service:
        yield service


def ask(service: Service, contacts: list[str], key: str) -> list[str]:
    """Ask for calls until an answer comes, with one key, for passwords and announcements in turn; the ids of what was
    taken."""
    service.secrets |= {one.lstrip("+") for one in contacts} | {CODE, ", ".join(CODE)}
    password = {"purpose": "otp", "message": "Code {otp}", "code": CODE}
    announcement = {"purpose": "announcement", "message": "Good day"}
    both: tuple[dict[str, Any], ...] = (password, announcement)
    body = {
        "calls": [both[turn % 2] | {"from": "+15168148111", "to": to} for turn, to in enumerate(contacts)]
    }

    def answered() -> list[str] | None:
        try:
            answer = service.upstream.post("/v1/calls", json=body, headers={"Idempotency-Key": key})
        except httpx.TransportError:
            return None  # killed meanwhile: nobody knows whether it was taken, so it is asked again
        assert answer.status_code in (202, 409, 503), answer.text
        return [one["id"] for one in answer.json()["calls"]] if answer.status_code == 202 else None

    return wait_for("an answer", answered)


def check(service: Service, taken: dict[str, str]) -> None:
    """Everybody was rung once; who was caught between send and answer may end UNKNOWN, and is not rung again."""

    def ended() -> bool:
        open_calls = sa.select(sa.func.count()).select_from(call).where(call.c.ended_at.is_(None))
        return not service.rows(open_calls)[0][0]

    wait_for("all have an end", ended, every=0.3)
    service.wait_heard()
    states = {row.id: row.state for row in service.rows(sa.select(call.c.id, call.c.state))}
    assert states.keys() == taken.keys(), "a call was lost, or made that nobody was told of"
    rung = Counter(f"+{line['to']}" for line in service.requests() if line["accepted"])
    assert max(rung.values()) == 1, "somebody was rung twice"
    not_rung = [call_id for call_id, number in taken.items() if number not in rung]
    assert {states[one] for one in not_rung} <= {"UNKNOWN"}
    assert set(states.values()) <= {"COMPLETED", "UNKNOWN"}


def run(service: Service, children: list[str], each: int) -> None:
    contacts = numbers(each * len(children), endings=ANSWERED)
    taken: dict[str, str] = {}
    for place, child in enumerate(children):
        some = contacts[place * each : (place + 1) * each]
        ids = ask(service, some, f"key {place}")
        service.kill_child(child)  # right after the 202
        assert ask(service, some, f"key {place}") == ids, "another answer to the same request"
        taken |= dict(zip(ids, some, strict=True))
    check(service, taken)


def test_what_was_taken_is_dialled_once_when_a_process_is_killed_right_after_the_answer(
    service: Service,
) -> None:
    run(service, ["api", "otp", "redis"], each=4)


@pytest.mark.chaos
def test_however_often_any_process_is_killed(service: Service) -> None:
    run(
        service,
        ["api", "otp", "redis", "calls", "scheduler", "api", "results", "calls", "redis"] * 2,
        each=20,
    )
