"""B2: the outbound half of B1, beside bare loops of an HTTP client.

Ours: the whole system as in B1, of a provider that never calls back: calls released → claimed → attempt committed →
HTTP POST → placement committed. The reference (benchmarks/plain/bare.py): one process per core, 100 requests in
flight each, the same bodies to the same provider, and nothing else. Both take turns; the figures are medians.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

from benchmarks.common import Bench, Busy, bench, core_numbers, get_json, steady_rate, until
from benchmarks.service import make_service

OURS = 20_000
#: Seconds that the bare loops are watched for.
BARE_SECONDS = 4.0
ROUNDS = 3


def ours(
    one: Bench, calls: int = OURS, *, workers: int = 2, delay_ms: int = 0, in_flight: int | None = None
) -> dict[str, float]:
    """Calls placed and committed per second, and how many cores were busy meanwhile."""
    provider = one.provider("--delay", str(delay_ms))
    service = make_service(one, provider)
    if in_flight is not None:
        service.settings["DIALER_WORKER_IN_FLIGHT"] = str(in_flight)
    service.start_all(workers=workers)
    list_id = service.add_contacts(calls)
    service.add_campaign(list_id)
    until(lambda: service.scalar("SELECT count(*) FROM attempt") > 0, "the first attempt")
    busy = Busy()
    rate = steady_rate(
        lambda: int(service.scalar("SELECT count(*) FROM attempt WHERE placed_at IS NOT NULL")),
        calls,
        "calls placed",
    )
    cores_busy = busy.cores()
    accepted = get_json(f"http://127.0.0.1:{provider}/stats")["accepted"]
    if accepted != calls:
        sys.exit(f"{calls} calls are written as placed, but the provider got {accepted}")
    service.stop_all()
    return {"calls_per_s": rate, "cores_busy": cores_busy}


def bare(one: Bench, seconds: float = BARE_SECONDS) -> float:
    """Requests per second of the bare loops."""
    provider = one.provider()
    url = f"http://127.0.0.1:{provider}"

    def accepted() -> int:
        return int(get_json(f"{url}/stats")["accepted"])

    for core in sorted(core_numbers()):
        one.start([sys.executable, "-m", "benchmarks.plain.bare", url], f"bare-{core}", str(core))
    until(lambda: accepted() > 5_000, "the bare loops run")
    began, before = time.monotonic(), accepted()
    time.sleep(seconds)
    return (accepted() - before) / (time.monotonic() - began)


def run() -> dict[str, Any]:
    """Both, in turns."""
    references, measured = [], []
    for _ in range(ROUNDS):
        with bench() as one:
            references.append(bare(one))
        with bench() as one:
            measured.append(ours(one)["calls_per_s"])
    calls_per_s, reference = statistics.median(measured), statistics.median(references)
    return {
        "calls_per_s": calls_per_s,
        "bare_per_s": reference,
        "ratio": calls_per_s / reference,
        "rounds": {"ours": measured, "bare": references},
    }
