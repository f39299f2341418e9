"""B9: what more processes bring, and what they cost.

Outbound calls per second with 1, 2 and 4 worker processes, 100 calls in flight each, of a provider that answers after
200 ms: so a worker waits more than it works, and 500 calls a second are the most that one can place. Until the cores
are full: `cores_busy` says how many of them were at work. Then B1 with one scheduler and with two, in turns.
"""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks import b1_end_to_end, b2_outbound
from benchmarks.common import bench

DELAY_MS, IN_FLIGHT = 200, 100
#: Calls of a run, by its workers: some ten seconds each.
CALLS = {1: 4_000, 2: 7_000, 4: 10_000}
ROUNDS = 2
#: Calls of a run with one scheduler or two, and how often they take turns.
END_TO_END, TURNS = 10_000, 4


def run() -> dict[str, Any]:
    """Rates by workers, and by schedulers."""
    by_workers: dict[int, list[dict[str, float]]] = {workers: [] for workers in CALLS}
    for _ in range(ROUNDS):
        for workers, runs in by_workers.items():
            with bench() as one:
                ours = b2_outbound.ours(
                    one, CALLS[workers], workers=workers, delay_ms=DELAY_MS, in_flight=IN_FLIGHT
                )
                runs.append(ours)
    rates = {
        workers: statistics.mean(one["calls_per_s"] for one in runs) for workers, runs in by_workers.items()
    }
    by_schedulers: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(TURNS):
        # Who goes first takes turns, too: machines grow slower and faster by the minute.
        for schedulers in (1, 2) if turn % 2 == 0 else (2, 1):
            with bench() as one:
                rate = b1_end_to_end.ours(one, END_TO_END, schedulers=schedulers)
            by_schedulers[schedulers].append(rate)
    alone, beside = (statistics.mean(by_schedulers[schedulers]) for schedulers in (1, 2))
    return {
        "one_per_s": rates[1],
        "two_per_s": rates[2],
        "four_per_s": rates[4],
        "two_ratio": rates[2] / rates[1],
        "four_ratio": rates[4] / rates[1],
        "cores_busy": {
            str(workers): statistics.mean(one["cores_busy"] for one in runs)
            for workers, runs in by_workers.items()
        },
        "one_scheduler_per_s": alone,
        "two_schedulers_per_s": beside,
        "schedulers_ratio": beside / alone,
        "rounds": {str(schedulers): measured for schedulers, measured in by_schedulers.items()},
    }
