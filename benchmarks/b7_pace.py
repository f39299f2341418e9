"""B7: the pace. Calls accepted per minute at 60, 600, 6,000 and 60,000 calls per minute, with 1 and 4 workers.

The provider writes down when the first byte of each request came. The first minute does not count; after it, the
fewest and the most calls of any 60 s, wherever they begin, are held against the number configured: 0.99 to 1 of it
(one call that the minute's edge cut off given back), and never more than it and one burst (a second's worth, at least
one call). Every call is called back and consumed, as in B1. The three slower paces share one system, with a campaign
and a provider each; the fastest has one for itself.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from benchmarks.common import Bench, Busy, bench, post, until
from benchmarks.service import add_provider, make_service

TOGETHER, ALONE = (60, 600, 6_000), (60_000,)
WORKERS = (1, 4)
#: Seconds watched: a first minute that does not count, and two minutes in which any full one does.
WATCHED = 185.0
MINUTE = 60.0


def in_any_minute(times: Sequence[float], begin: float, end: float) -> tuple[int, int]:
    """The fewest and the most of `times` (in order) in any full minute between `begin` and `end`."""
    if end - begin < MINUTE:
        raise ValueError("less than a minute was watched")
    inside = [moment for moment in times if begin <= moment < end]
    last = end - MINUTE
    # A minute's count changes only where a call enters or leaves it: these begins, and the moments just behind them.
    begins = {begin, last, *inside, *(moment - MINUTE for moment in inside)}
    counts = []
    for start in sorted(moment for moment in begins if begin <= moment <= last):
        counts.append(bisect_left(inside, start + MINUTE) - bisect_left(inside, start))
        if start < last:
            counts.append(bisect_right(inside, start + MINUTE) - bisect_right(inside, start))
    return min(counts), max(counts)


def run() -> dict[str, Any]:
    """The fewest and the most calls of any minute, by pace and workers."""
    paces: dict[int, dict[str, dict[str, Any]]] = {rate: {} for rate in (*TOGETHER, *ALONE)}
    for workers in WORKERS:
        for rates in (TOGETHER, ALONE):
            with bench() as one:
                for rate, figures in _watch(one, rates, workers).items():
                    paces[rate][str(workers)] = figures
    return {
        "slow": {"fewest": min(one["fewest"] for rate in TOGETHER for one in paces[rate].values())},
        "fast": {workers: one for rate in ALONE for workers, one in paces[rate].items()},
        "above": sum(
            one["most_calls"] > one["allowed_calls"] for by in paces.values() for one in by.values()
        ),
        "paces": {str(rate): by for rate, by in paces.items()},
    }


def _watch(one: Bench, rates: Sequence[int], workers: int) -> dict[int, dict[str, Any]]:
    service = make_service(one, 9, enabled=False)
    logs = {}
    for rate in rates:
        logs[rate] = one.folder / f"{rate}.calls"
        port = one.provider("--log", str(logs[rate]))
        provider_id = add_provider(service, f"pace{rate}", port, calls_per_minute=rate)
        post(f"http://127.0.0.1:{port}/callback?{service.port}/webhooks/pace{rate}/token")
        list_id = service.add_contacts(int(rate * (WATCHED + 30) / 60) + 10)
        service.add_campaign(list_id, provider_id=provider_id)
    service.start_all(workers=workers)
    until(
        lambda: all(log.exists() and log.stat().st_size for log in logs.values()),
        "the first call at every pace",
    )
    busy = Busy()
    time.sleep(WATCHED + 3)
    cores_busy = busy.cores()
    service.stop_all()
    found = {}
    for rate, log in logs.items():
        times = [float(line.partition(" ")[0]) for line in log.read_text(encoding="utf-8").splitlines()]
        begin, end = times[0] + MINUTE, times[0] + WATCHED
        fewest_calls, most_calls = in_any_minute(times, begin, end)
        found[rate] = {
            # Where a minute begins between two calls decides about one of them: it is given back.
            "fewest": min(1.0, (fewest_calls + 1) / rate),
            "mean": sum(begin <= moment < end for moment in times) / (end - begin) * MINUTE / rate,
            "fewest_calls": fewest_calls,
            "most_calls": most_calls,
            "allowed_calls": rate + max(1, rate // 60),
            "cores_busy": round(cores_busy, 2),
        }
    return found
