"""A campaign through `/v1`, in real processes: started, hurried, held, joined and finished while it is watched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from checker import Checker
from people_of_nobody import numbers
from service import CALLER_ID, Service, settled, wait_for


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with settled(tmp_path_factory.mktemp("v1")) as service:
        yield service


def ask(service: Service, method: str, path: str, body: Any = None, status: int = 200) -> dict[str, Any]:
    answer = service.upstream.request(method, f"/v1/campaigns{path}", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_campaign_is_started_hurried_held_joined_and_finished(service: Service) -> None:
    contacts = numbers(300)
    late = numbers(20, 300)
    service.secrets |= {number.lstrip("+") for number in late}
    form = {
        "name": "reminders", "list_id": service.import_contacts(contacts), "caller_id": CALLER_ID,
        "text": "Hello {contact_name}, you owe {amount} dollars.",
        "calling_window": {"start": "00:00", "end": "24:00"}, "pace": {"calls_per_minute": 60},
    }  # fmt: skip
    draft = ask(service, "POST", "", form, 201)
    path = f"/{draft['id']}"

    def progress() -> dict[str, Any]:
        found = ask(service, "GET", f"{path}/progress")
        here = [found[name] for name in ("not_taken", "waiting", "released", "in_progress")]
        assert sum(here) + sum(found["ended"].values()) == found["contacts"]
        return found

    found = ask(service, "POST", f"{path}/preflight")
    assert (found["dialable"], found["suppressed"], found["problems"]) == (300, 0, [])
    assert service.accepted() == 0
    ask(service, "POST", f"{path}/start")
    wait_for("it runs", lambda: progress()["state"] == "RUNNING")
    wait_for("the first are called", lambda: service.accepted() >= 2)
    slow = service.accepted()
    assert slow < 30, "at 60 calls a minute nobody is that fast"

    ask(service, "PATCH", path, {"pace": {"calls_per_minute": 300}})
    wait_for("it is faster", lambda: service.accepted() >= slow + 15, within=10)
    ask(service, "POST", f"{path}/pause")
    assert ask(service, "POST", f"{path}/pause")["state"] == "PAUSED"
    wait_for("what was on its way has come to an end", lambda: progress()["in_progress"] == 0)
    held = service.accepted()
    assert held < 300, "it was through before it was held: nothing was shown"
    rows = [{"number": number, "name": "Ann", "fields": {"amount": "1"}} for number in late]
    ask(service, "PATCH", path, {"pace": {"calls_per_minute": None}})
    joined = ask(service, "POST", f"{path}/contacts", {"contacts": [*rows, rows[0], {"number": late[1]}]})
    assert (joined["accepted"], joined["duplicate"], joined["invalid"]) == (20, 1, 1)
    assert progress()["contacts"] == 320
    assert service.accepted() == held
    ask(service, "POST", f"{path}/resume")
    wait_for("it is through", lambda: progress()["state"] == "FINISHED")
    shown = progress()
    assert (shown["contacts"], shown["not_taken"], sum(shown["ended"].values())) == (320, 0, 320)
    ask(service, "POST", f"{path}/contacts", {"contacts": rows}, 409)
    words = [(one["action"], one["to_state"]) for one in ask(service, "GET", f"{path}/history")["data"]]
    assert [state for _, state in words if state] == ["SCHEDULED", "RUNNING", "PAUSED", "RUNNING", "FINISHED"]
    assert [action for action, _ in words if action] == [
        "campaign.create", "campaign.start", "campaign.change", "campaign.pause", "campaign.change",
        "campaign.add_contacts", "campaign.resume",
    ]  # fmt: skip
    checker = Checker.of(service, draft["id"], [*contacts, *late])
    checker.check()
    checker.check_each_accepted_once()
