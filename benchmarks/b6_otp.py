"""B6: a one-time password from the API's request to the first byte at the provider.

On an idle system, by `/api/outbound_call` and by `POST /v1/calls`, in turns with plain Celery
(benchmarks/plain/otp.py: a bare route that enqueues a bare task), and beside a campaign: at full pace, the highest
that `make bench-pace` asks for, and with no pace at all, when the campaign takes every core there is. The moment before
the request is sent is taken here, the moment of the first byte by the provider: one host, one clock.
"""

from __future__ import annotations

import http.client
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.common import Bench, bench, free_port, is_listening, post, until
from benchmarks.service import Service, make_service
from dialer.db import writing
from dialer.store import announce_templates

PER_SECOND = 20
#: Seconds of one turn on the idle system, how many turns each gets, and seconds beside the campaign.
TURN, TURNS, BESIDE = 5.0, 6, 30.0
#: Requests before anything is measured.
WARM = 40
#: Seconds for which a client keeps a connection that it does not use: less than the servers' 5.
KEPT = 4.0
#: Calls per minute of the campaign at full pace, and its people; more than one without a pace reaches meanwhile.
FULL_PACE, AT_FULL_PACE = 60_000, 50_000
FLAT_OUT = 120_000
ABOUT = 300

#: Asks for the n-th password; the reference under which the provider will see it.
Ask = Callable[[http.client.HTTPConnection, int], str]


class Clients:
    """Clients with kept connections, each asking for one password at a time, at a steady pace."""

    def __init__(self, port: int, ask: Ask) -> None:
        self._port, self._ask = port, ask
        self._own = threading.local()
        self._random = random.Random(6)
        self.sent: dict[str, float] = {}

    def ask(self, seconds: float, first: int) -> None:
        """Ask for that long, at irregular moments."""
        began, asked = time.monotonic(), []
        with ThreadPoolExecutor(16) as pool:
            for number in range(int(seconds * PER_SECOND)):
                at = began + (number + self._random.random()) / PER_SECOND
                time.sleep(max(0.0, at - time.monotonic()))
                asked.append(pool.submit(self._one, first + number))
        for one in asked:
            one.result()  # a password that was refused or not answered ends the run

    def _one(self, number: int) -> None:
        connection = getattr(self._own, "connection", None)
        if connection is None or time.monotonic() > self._own.kept_until:
            connection = self._own.connection = http.client.HTTPConnection(
                "127.0.0.1", self._port, timeout=30
            )
            connection.connect()
        at = time.time()
        self.sent[self._ask(connection, number)] = at
        self._own.kept_until = time.monotonic() + KEPT


def post_json(connection: http.client.HTTPConnection, path: str, body: object, **headers: str) -> Any:
    """POST JSON; the answer, which must be a 200 or 202."""
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
    reply = connection.getresponse()
    answer = reply.read()
    if reply.status not in (200, 202):
        sys.exit(f"{path} answered {reply.status}: {answer[:200]!r}")
    return json.loads(answer)


def asks_ours(service: Service) -> Ask:
    """A password of ours."""

    def ask(connection: http.client.HTTPConnection, number: int) -> str:
        body = {
            "customer_number": f"+9199{number:08d}",
            "otp": "1987",
            "announce_template_id": "AN1",
            "caller_id": "15168148111",
        }
        answer = post_json(
            connection, "/api/outbound_call", body, account=service.account_id, auth=service.auth
        )
        return f"{answer['response']['request_id']}-1"

    return ask


def asks_v1(service: Service) -> Ask:
    """The same of the second generation."""
    bearer = f"Bearer {service.account_id}.{service.auth}"

    def ask(connection: http.client.HTTPConnection, number: int) -> str:
        body = {
            "purpose": "otp",
            "to": f"+9199{number:08d}",
            "from": "+15168148111",
            "template_id": "AN1",
            "code": "1987",
        }
        return f"{post_json(connection, '/v1/calls', body, Authorization=bearer)['id']}-1"

    return ask


def ask_plain(connection: http.client.HTTPConnection, number: int) -> str:
    """A password of plain Celery."""
    body = {"request_id": f"plain-{number}", "customer_number": f"+9199{number:08d}", "otp": "1987"}
    return str(post_json(connection, "/otp", body)["request_id"])


def start_ours(one: Bench, provider: int) -> Service:
    """The system, with a template."""
    service = make_service(one, provider)
    with writing(service.engine) as connection:
        row = {"account_id": service.account_id, "id": "AN1", "text": "Your code is {otp}"}
        announce_templates.add(connection, row | {"created_at": datetime.now(UTC)})
    service.start_all()
    return service


def start_plain(one: Bench, provider: int) -> tuple[int, list[Any]]:
    """Plain Celery: the port of its route, and its processes."""
    port = free_port()
    environment = {
        "PLAIN_BROKER_URL": one.redis(),
        "PLAIN_PROVIDER_URL": f"http://127.0.0.1:{provider}",
    }
    processes = [
        one.start(
            [sys.executable, "-m", "uvicorn", "benchmarks.plain.otp:web", "--port", str(port), "--no-access-log"],
            "plain-web", **environment,
        ),
        one.start(
            [sys.executable, "-m", "celery", "-A", "benchmarks.plain.otp", "worker", "-c", "2", "-E",
             "--without-mingle", "--without-gossip", "-l", "WARNING"],
            "plain-worker", **environment,
        ),
    ]  # fmt: skip
    until(lambda: is_listening(port), "the plain route listens")
    return port, processes


def delays(log: Path, sent: dict[str, float]) -> list[float]:
    """Milliseconds from each request to the first byte at the provider, once all have come."""

    def arrived() -> dict[str, float] | None:
        found = {}
        for line in log.read_text().splitlines():
            at, _, reference = line.partition(" ")
            if reference in sent:
                found[reference] = float(at)
        return found if found.keys() == sent.keys() else None

    came = until(arrived, "all passwords at the provider", timeout=30, every=0.5)
    return sorted((came[reference] - at) * 1e3 for reference, at in sent.items())


def summary(found: list[float]) -> dict[str, float]:
    """Median and 99th percentile in milliseconds, and how many there were."""
    return {
        "median_ms": statistics.median(found),
        "p99_ms": statistics.quantiles(found, n=100)[98],
        "passwords": len(found),
    }


def beside(service: Service, ours: Clients, log: Path, list_id: str, **campaign: Any) -> dict[str, float]:
    """Passwords asked for while such a campaign runs."""

    def placed() -> int:
        return int(service.scalar("SELECT count(*) FROM attempt WHERE campaign_id IS NOT NULL"))

    first = placed()
    service.add_campaign(list_id, **campaign)
    until(lambda: placed() > first + ABOUT, "the campaign's first calls")
    before, began = placed(), time.monotonic()
    ours.sent.clear()
    ours.ask(BESIDE, 100_000 + first)
    rate = (placed() - before) / (time.monotonic() - began)
    return {**summary(delays(log, ours.sent)), "campaign_calls_per_s": rate}


def run() -> dict[str, Any]:
    """Idle in turns with plain Celery, then beside a campaign."""
    with bench() as one:
        log = one.folder / "provider.txt"
        provider = one.provider("--log", str(log))
        plain_port, plain_processes = start_plain(one, provider)
        service = start_ours(one, provider)
        ours, plain = Clients(service.port, asks_ours(service)), Clients(plain_port, ask_plain)
        second = Clients(service.port, asks_v1(service))
        for clients in (ours, second, plain):
            clients.ask(WARM / PER_SECOND, 0)
            delays(log, clients.sent)
            clients.sent.clear()
        for turn in range(TURNS):
            for clients in (plain, ours, second):
                clients.ask(TURN, 1000 * (turn + 1))
        reference, idle = summary(delays(log, plain.sent)), summary(delays(log, ours.sent))
        idle_v1 = summary(delays(log, second.sent))
        one.stop(*plain_processes)

        post(f"http://127.0.0.1:{provider}/callback?{service.port}/webhooks/bench/token")
        busy = beside(service, ours, log, service.add_contacts(AT_FULL_PACE), calls_per_minute=FULL_PACE)
        until(lambda: service.scalar("SELECT count(*) FROM cdr WHERE campaign_id IS NOT NULL") == AT_FULL_PACE,
              "the campaign's end", timeout=120)  # fmt: skip
        flat_out = beside(service, ours, log, service.add_contacts(FLAT_OUT, AT_FULL_PACE))
        service.stop_all()
    return {
        "idle": idle,
        "idle_v1": idle_v1,
        "plain": reference,
        "beside": busy,
        "beside_flat_out": flat_out,
        "median_ratio": idle["median_ms"] / reference["median_ms"],
        "idle_p99_ratio": idle["p99_ms"] / reference["p99_ms"],
        "p99_ratio_v1": idle_v1["p99_ms"] / reference["p99_ms"],
        "median_ratio_v1": idle_v1["median_ms"] / reference["median_ms"],
        "p99_ratio": busy["p99_ms"] / idle["p99_ms"],
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
