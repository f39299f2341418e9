"""One-time passwords through a whole installation: taken, spoken once, told of, forgotten, whatever is killed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest
import sqlalchemy as sa
from people_of_nobody import numbers
from service import Service, settled, wait_for

from dialer.store.tables import attempt, call, message

OTP = "730519"
#: Endings of numbers whose calls the sandbox has answered.
ANSWERED = ("50", "51")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """An installation that is up, with a template."""
    with settled(tmp_path, DIALER_RECONCILE_AFTER="3") as service:
        service.cli("template", "add", "acme", "Code {otp}", "--id=AN1", "--json")
        yield service


def ask(service: Service, number: str) -> str:
    """Ask for a password to be spoken; the request's id."""
    service.secrets |= {number.lstrip("+"), OTP, ", ".join(OTP)}
    answer = service.post(
        "outbound_call",
        customer_number=number,
        otp=OTP,
        announce_template_id="AN1",
        caller_id="15168148111",
    )
    return str(answer["request_id"])


def statuses(service: Service, request_id: str) -> list[str]:
    """The dial statuses of a request's CDRs."""
    return [
        row["dial_status"] for row in service.post("get_cdr_by_request_id", request_id=request_id)["result"]
    ]


def test_a_password_is_spoken_and_told_of(service: Service) -> None:
    asked = [ask(service, number) for number in numbers(5, endings=ANSWERED)]
    for request_id in asked:
        wait_for("its CDR", lambda one=request_id: statuses(service, one) or None)  # type: ignore[misc]
        assert statuses(service, request_id) == ["ANSWER"]
    assert service.rows(sa.select(message.c.text).where(message.c.text.is_not(None))) == []


class Slow(BaseHTTPRequestHandler):
    """Takes a call at once, and says so only when it is let."""

    came, may_answer = threading.Event(), threading.Event()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.came.set()
        self.may_answer.wait(30)
        body = b'{"status":"ok"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_a_worker_that_is_stopped_waits_for_the_answer_to_what_it_has_sent(service: Service) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        service.cli("provider", "update", "north", f"--base-url=http://127.0.0.1:{server.server_port}")
        (number,) = numbers(1, endings=ANSWERED)
        request_id = ask(service, number)
        wait_for("it is sent", Slow.came.is_set)
        worker = psutil.Process(service.report()["children"]["otp"])
        worker.terminate()
        with pytest.raises(psutil.TimeoutExpired):
            worker.wait(3)
        Slow.may_answer.set()
        worker.wait(15)
        (found,) = service.rows(sa.select(attempt.c.state).where(attempt.c.call_id == request_id))
        assert found.state == "PLACED"
        server.shutdown()


@pytest.mark.chaos
@pytest.mark.parametrize("child", ["otp", "api", "redis"])
def test_what_was_answered_is_neither_lost_nor_spoken_twice_when_a_process_is_killed(
    service: Service, child: str
) -> None:
    asked: dict[str, str] = {}
    for number in numbers(6, endings=ANSWERED):
        asked[ask(service, number)] = number
        service.kill_child(child)  # right after the 200
    service.wait_heard()
    for request_id in asked:
        wait_for("its end", lambda one=request_id: ended(service, one))  # type: ignore[misc]
        # Killed between its send and its answer, nobody can tell: CHANUNAVAIL, and not dialled again.
        assert statuses(service, request_id) in (["ANSWER"], ["CHANUNAVAIL"])
    taken = Counter(line["to"] for line in service.requests() if line["accepted"])
    assert max(taken.values()) == 1


def ended(service: Service, request_id: str) -> bool | None:
    """Whether its call has an end."""
    try:
        statuses(service, request_id)
    except httpx.TransportError:
        return None
    return bool(
        service.rows(sa.select(call.c.id).where(call.c.id == request_id, call.c.ended_at.is_not(None)))
    )
