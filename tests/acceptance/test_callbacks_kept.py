"""Callbacks through a whole installation: what was answered connects two people once, whatever is killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from contract import case_of
from people_of_nobody import numbers
from service import CALLER_ID, Service, settled, wait_for

from dialer.providers.kinds import adapter_class
from dialer.store.tables import call

KIND = "mtt-callback"
ANSWERED = ("50", "51", "52", "53", "54")
#: Seconds from asking until the agent is to be rung: the process that was killed is away at that time, or just back.
SOON = 3


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with settled(tmp_path, DIALER_RECONCILE_AFTER="3") as service:
        settings = case_of(KIND).settings
        provider = service.cli(
            "provider", "add", "between", f"--kind={KIND}", f"--base-url={service.sandbox_url}/{KIND}",
            *(f"--set={name}={value}" for name, value in settings.items()), "--json",
        )  # fmt: skip
        open_settings = adapter_class(KIND).open_settings
        service.secrets |= {value for name, value in settings.items() if name not in open_settings}
        service.secrets.add(provider["webhook_url"].rsplit("/", 1)[1])
        set_at = f"{service.sandbox_url}/sandbox/callbacks/{KIND}"
        httpx.put(set_at, json={"url": provider["webhook_url"]}, trust_env=False).raise_for_status()
        yield service


def ask(service: Service, agent: str, customer: str) -> str:
    """Ask for a callback that is due soon; the request's id."""
    service.secrets |= {agent.lstrip("+"), customer.lstrip("+")}
    at = datetime.now(UTC) + timedelta(seconds=SOON)
    answer = service.post(
        "callback", agent_number=agent, destination_number=customer, caller_id=CALLER_ID, recording_option="off",
        time_zone="UTC", scheduled_at=f"{at:%Y-%m-%d %H:%M:%S}",
    )  # fmt: skip
    return str(answer["request_id"])


def run(service: Service, children: list[str], each: int) -> None:
    people = iter(numbers(2 * each * len(children), endings=ANSWERED))
    asked: dict[str, str] = {}
    for child in children:
        for _ in range(each):
            agent = next(people)
            asked[ask(service, agent, next(people))] = agent
        service.kill_child(child)  # right after the 200

    def ended() -> bool:
        return not service.rows(sa.select(call.c.id).where(call.c.ended_at.is_(None)))

    wait_for("all have an end", ended, every=0.3)
    service.wait_heard()
    states = {row.id: row.state for row in service.rows(sa.select(call.c.id, call.c.state))}
    assert states.keys() == asked.keys(), "a callback was lost, or made that nobody was told of"
    placed = [line for line in service.requests() if line["accepted"] and line["status"] != "connected with"]
    rung = Counter("+" + line["to"].lstrip("+") for line in placed)
    assert max(rung.values()) == 1, "an agent was rung twice"
    assert rung.keys() <= set(asked.values())
    # Caught between its send and its answer, a call may end UNKNOWN, and is not dialled again.
    not_rung = [call_id for call_id, agent in asked.items() if agent not in rung]
    assert {states[one] for one in not_rung} <= {"UNKNOWN"}
    assert set(states.values()) <= {"COMPLETED", "UNKNOWN"}


@pytest.mark.chaos
def test_what_was_answered_connects_once_when_a_process_is_killed_right_after_the_answer(
    service: Service,
) -> None:
    run(service, ["api", "otp", "redis", "scheduler"], each=3)


@pytest.mark.chaos
def test_however_often_any_process_is_killed(service: Service) -> None:
    run(service, ["otp", "api", "redis", "calls", "scheduler", "results", "otp", "redis", "api"], each=5)
