"""Calls through a provider that calls nobody back: a whole installation asks how they ended."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from people_of_nobody import numbers
from service import Service, settled, wait_for

from dialer.store.tables import attempt, cdr_poll

OTP, KEY = "730519", "k3y-of-the-cpaas-account"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """An installation that is up, with a template, whose calls go through a CPaaS server."""
    with settled(tmp_path, DIALER_RECONCILE_AFTER="8") as service:
        service.cli("template", "add", "acme", "Code {otp}", "--id=AN1", "--json")
        service.secrets |= {KEY, OTP}
        service.cli(
            "provider", "add", "south", "--kind=cpaas", f"--base-url={service.sandbox_url}/cpaas", "--priority=1",
            "--set=account=account_1", f"--set=auth={KEY}", "--set=announce_template_id=AN1", "--json",
        )  # fmt: skip
        yield service


def test_a_password_is_spoken_and_its_end_is_asked_for(service: Service) -> None:
    asked: dict[str, str] = {}
    for end, status in (("50", "ANSWER"), ("01", "BUSY"), ("12", "ANSWER")):
        (number,) = numbers(1, endings=(end,))
        service.secrets.add(number.lstrip("+"))
        answer = service.post(
            "outbound_call",
            customer_number=number,
            otp=OTP,
            announce_template_id="AN1",
            caller_id="15168148111",
        )
        asked[str(answer["request_id"])] = status

    def statuses() -> dict[str, str]:
        return {
            request_id: cdr["dial_status"]
            for request_id in asked
            for cdr in service.post("get_cdr_by_request_id", request_id=request_id)["result"]
        }

    wait_for("all of their ends", lambda: len(statuses()) == len(asked) or None)
    assert statuses() == asked
    assert {line["provider"] for line in service.requests()} == {"cpaas"}
    assert {row.state for row in service.rows(sa.select(attempt.c.state))} == {"ENDED"}
    wait_for(
        "its CDRs are read",
        lambda: service.rows(sa.select(cdr_poll).where(cdr_poll.c.read_to.is_not(None))) or None,
    )
