"""B3: callbacks accepted durably per second, on one core, beside the same server with nothing behind its route.

The API's process has one core to itself; what calls back (benchmarks/load.c) and the API's connection in PostgreSQL
have the other. Every callback is another one, and each that was answered 2xx is counted in the table afterwards. The
references (benchmarks/plain/empty.py) run in the same way, in turns with ours: an ordinary FastAPI route that only
answers, which is what the ratio is taken of, and no framework at all.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from typing import Any

import psutil
import sqlalchemy as sa

from benchmarks.common import CORES, Bench, bench, compiled, free_port, is_listening, pinned, until
from benchmarks.service import Service, make_service
from dialer.cli.processes import api_argv
from dialer.db import reading

OURS = "dialer.asgi:create_app"
ROUTE = "benchmarks.plain.empty:create_app"
BARE = "benchmarks.plain.empty:create_bare"
#: The core of the API, and the core of everything else.
API_CORE, OTHER_CORE = (CORES.split(",") * 2)[:2]
#: Callbacks under way at once, and of one round.
CONNECTIONS = 128
REQUESTS = 20_000
WARM_UP = 2_000
ROUNDS = 3


class Server:
    """One application under uvicorn, as `dialer api` runs it, on the API's core."""

    def __init__(self, one: Bench, application: str, service: Service) -> None:
        self.application = application
        self.port = service.port if application == OURS else free_port()
        argv = [application if word == OURS else word for word in api_argv("127.0.0.1", self.port)]
        self._process = one.start(argv, f"server-{self.port}", API_CORE, **service.environment)
        until(lambda: is_listening(self.port), f"{application} listens")
        self._first = 0
        self.rounds: list[dict[str, float]] = []

    def take(self, requests: int) -> dict[str, float]:
        """Send it `requests` callbacks: per second, CPU seconds of its process, milliseconds of an answer."""
        before = self._cpu()
        arguments = [self.port, "webhooks/bench/token", CONNECTIONS, requests, self._first]
        command = pinned([str(compiled("load")), *map(str, arguments)], OTHER_CORE)
        told = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
        self._first += requests
        if told["refused"]:
            sys.exit(f"{told['refused']} callbacks were not accepted by {self.application}")
        told["per_s"] = told["accepted"] / told["seconds"]
        told["cpu_us"] = (self._cpu() - before) / requests * 1e6
        return dict(told)

    def _cpu(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)


def keep_off_the_apis_core(service: Service) -> None:
    """Move this database's processes to the other core, where that is allowed."""
    with reading(service.engine) as connection:
        found = connection.execute(
            sa.text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        )
        for (pid,) in found.all():
            with contextlib.suppress(OSError):
                os.sched_setaffinity(pid, {int(OTHER_CORE)})


def run() -> dict[str, Any]:
    """Callbacks per second of each, in turns; the ratio is of medians."""
    with bench() as one:
        service = make_service(one, free_port())
        servers = [Server(one, application, service) for application in (OURS, ROUTE, BARE)]
        for server in servers:
            server.take(WARM_UP)
        for _ in range(ROUNDS):
            for server in servers:
                keep_off_the_apis_core(service)
                server.rounds.append(server.take(REQUESTS))
        stored = service.scalar("SELECT count(*) FROM event")
        if stored != WARM_UP + ROUNDS * REQUESTS:
            sys.exit(f"{WARM_UP + ROUNDS * REQUESTS} callbacks were accepted, and {stored} are stored")
    ours, route, bare = (
        {name: statistics.median(one[name] for one in server.rounds) for name in server.rounds[0]}
        for server in servers
    )
    return {
        "callbacks_per_s": ours["per_s"],
        "empty_route_per_s": route["per_s"],
        "ratio": ours["per_s"] / route["per_s"],
        "bare_asgi_per_s": bare["per_s"],
        "ratio_to_bare_asgi": ours["per_s"] / bare["per_s"],
        "cpu_us_per_callback": ours["cpu_us"],
        "empty_route_cpu_us": route["cpu_us"],
        "p50_ms": ours["p50_ms"],
        "p99_ms": ours["p99_ms"],
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
