"""B8: memory of the whole idle service, its growth over a campaign, what a call costs in tables and in Redis.

The service is `dialer up --workers 2`, as its users start it, Flower included. Memory is PSS summed over all its
processes: what they share is counted once. Idle is measured with the embedded defaults (the embedded server counts);
the campaign runs on PostgreSQL and a Redis of its own, which are not counted, with the provider in C calling back.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import redis

from benchmarks.common import Bench, bench, free_port, post, until
from benchmarks.service import Service, make_service

CALLS = 200_000
#: What the idle service may weigh, in MB.
MOST = 450
TABLES = ("call", "attempt", "cdr", "event", "history")
#: The supervisor, API, scheduler, Flower, a worker with two processes, three that do their tasks themselves; an
#: embedded server besides.
PROCESSES = 10
MB = 2**20


@dataclass
class Memory:
    """The memory of a process and all its descendants."""

    root: int
    _samples: list[float] = field(default_factory=list)

    def processes(self) -> list[psutil.Process]:
        """All of them, the root first."""
        root = psutil.Process(self.root)
        return [root, *root.children(recursive=True)]

    def now(self) -> float:
        """MB of PSS."""
        total = 0
        for process in self.processes():
            try:
                total += process.memory_full_info().pss
            except psutil.Error:  # gone meanwhile
                continue
        return total / MB

    def settled(self) -> float:
        """MB of PSS, once five looks, a second apart, differ by less than a hundredth."""
        self._samples.clear()

        def is_settled() -> bool:
            self._samples.append(self.now())
            last = self._samples[-5:]
            return len(last) == 5 and max(last) - min(last) < 0.01 * max(last)

        until(is_settled, "memory settles", timeout=120, every=1.0)
        return self._samples[-1]


def up(one: Bench, home: Path, **settings: str) -> Memory:
    """`dialer up --workers 2`, ready."""
    home.mkdir(mode=0o700, exist_ok=True)
    port = settings.pop("DIALER_PORT", "") or str(free_port())
    process = one.start(
        [sys.executable, "-m", "dialer", "up", "--workers", "2", "--port", port],
        "up",
        **{"DIALER_LOG_LEVEL": "WARNING", **settings},
        DIALER_HOME=str(home),
        DIALER_FLOWER_PORT=str(free_port()),
    )
    memory = Memory(process.pid)
    until(lambda: _is_ready(home) and len(memory.processes()) >= PROCESSES, "`dialer up` is ready")
    return memory


def _is_ready(home: Path) -> bool:
    report = home / "run" / "up.json"
    return report.exists() and bool(json.loads(report.read_text(encoding="utf-8"))["ready"])


def idle(one: Bench) -> dict[str, Any]:
    """The service with all defaults, nothing to do."""
    memory = up(one, one.folder / "home")
    total = memory.settled()
    return {
        "idle_mb": total,
        "most_mb": MOST,
        "idle_ratio": total / MOST,
        "processes": len(memory.processes()),
        "rss_mb": sum(process.memory_full_info().rss for process in memory.processes()) / MB,
    }


def campaign(one: Bench, calls: int) -> dict[str, Any]:
    """The first campaign of an idle service, on PostgreSQL and Redis, and what is left of it in memory."""
    provider = one.provider()
    service = make_service(one, provider)
    settings = service.environment
    memory = up(one, Path(settings.pop("DIALER_HOME")), **settings)
    post(f"http://127.0.0.1:{provider}/callback?{service.port}/webhooks/bench/token")
    with redis.Redis.from_url(service.redis_url) as server:
        before = memory.settled()
        redis_before = _look(server)
        sizes = _sizes(service)
        began = time.monotonic()
        highest = _ring(service, server, calls, first=0)
        took = time.monotonic() - began
        after = memory.settled()
        redis_after = _look(server)
    grown = {table: (size - sizes[table]) / calls for table, size in _sizes(service).items()}
    return {
        "calls": calls,
        "calls_per_s": calls / took,
        "before_mb": before,
        "after_mb": after,
        "growth_ratio": after / before,
        "table_bytes_per_call": {**grown, "all": sum(grown.values())},
        "redis": {"before": redis_before, "highest": highest, "after": redis_after},
    }


def _ring(service: Service, server: redis.Redis, calls: int, first: int) -> dict[str, int]:
    """Run a campaign of so many calls to its end; the most that Redis held, and that was in flight, meanwhile."""
    goal = service.scalar("SELECT count(*) FROM cdr") + calls
    highest: dict[str, int] = {}

    def is_done() -> bool:
        found = {
            **_look(server),
            "in_flight": service.scalar(
                "SELECT count(*) FROM call WHERE state IN ('RELEASED', 'DIALLING', 'IN_PROGRESS')"
            ),
        }
        for name, value in found.items():
            highest[name] = max(value, highest.get(name, 0))
        return bool(service.scalar("SELECT count(*) FROM cdr") >= goal)

    service.add_campaign(service.add_contacts(calls, first))
    until(is_done, f"{goal} CDRs", timeout=60 + calls / 50, every=1.0)
    until(
        lambda: not service.scalar("SELECT count(*) FROM event WHERE state = 'NEW'"),
        "every event is consumed",
    )
    return highest


def _look(server: redis.Redis) -> dict[str, int]:
    """Bytes and keys in Redis."""
    info: Any = server.info("memory")
    keys: Any = server.dbsize()
    return {"bytes": info["used_memory"], "keys": keys}


def _sizes(service: Service) -> dict[str, int]:
    """Bytes of each table, with its indexes."""
    return {table: service.scalar(f"SELECT pg_total_relation_size('{table}')") for table in TABLES}


def run(calls: int = CALLS) -> dict[str, Any]:
    """Idle, then the campaign."""
    with bench() as one:
        resting = idle(one)
    with bench() as one:
        return resting | campaign(one, calls)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.b8_memory")
    parser.add_argument(
        "--calls", type=int, default=CALLS, help="calls of the campaign [default: %(default)s]"
    )
    print(json.dumps(run(parser.parse_args().calls), indent=2))
