"""The table of figures: what is measured, beside what, and what is to be reached. docs/performance.md holds it."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: python -m benchmarks --write -->", "<!-- end of figures -->"

Figures = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: keys of a benchmark's figures (`a.b`: the key b of a), and the bound that its ratio must keep."""

    id: str
    measured: str
    reference: str
    ours: str
    against: str
    unit: str
    #: `>= 6`, `<= 1.2`; both must hold in `0.99 to 1`. Empty: it is told, and has no bound.
    reach: str
    #: The figure that the bound is on.
    ratio: str = "ratio"
    #: The figure of how many cores were busy: the bound is for cores that are not full.
    busy: str = ""


#: A share of the cores from which on they are full: the rest is waits of a few milliseconds, for disks and locks.
FULL = 0.9

ROWS = (
    Row("B1", "durable campaign calls, end to end", "plain Celery",
        "calls_per_s", "plain_celery_per_s", "calls/s", ">= 6"),
    Row("B2", "the outbound half: released → placed and committed", "bare HTTP client loops",
        "calls_per_s", "bare_per_s", "calls/s", ">= 0.5"),
    Row("B3", "callbacks stored and answered 2xx, one core", "a FastAPI route with nothing behind it",
        "callbacks_per_s", "empty_route_per_s", "callbacks/s", ">= 0.5"),
    Row("B4", "CSV import of a million rows", "a bare COPY of the file",
        "import_s", "copy_s", "s", "<= 30"),
    Row("B4", "… with every number read by phonenumbers alone", "a bare COPY of the file",
        "alone_s", "copy_s", "s", "<= 150", "alone_ratio"),
    Row("B4", "… memory of the importing process", "150 MB",
        "peak_mb", "most_mb", "MB", "<= 1", "peak_ratio"),
    Row("B5", "a tick that releases 100 calls, campaign of 10M contacts", "campaign of 10k contacts",
        "big_ms", "small_ms", "ms", "<= 1.2"),
    Row("B6", "a one-time password, from the API's request to the first byte at the provider, idle; median",
        "a bare route and a bare Celery task",
        "idle.median_ms", "plain.median_ms", "ms", "<= 2", "median_ratio"),
    Row("B6", "… 99th percentile", "the same task", "idle.p99_ms", "plain.p99_ms", "ms", "", "idle_p99_ratio"),
    Row("B6", "… by `POST /v1/calls`; median", "the same task",
        "idle_v1.median_ms", "plain.median_ms", "ms", "", "median_ratio_v1"),
    Row("B6", "… by `POST /v1/calls`; 99th percentile", "the same task",
        "idle_v1.p99_ms", "plain.p99_ms", "ms", "", "p99_ratio_v1"),
    Row("B6", "… beside a campaign at 60,000/min; 99th percentile", "idle",
        "beside.p99_ms", "idle.p99_ms", "ms", "<= 3", "p99_ratio"),
    Row("B7", "calls in the emptiest minute at 60, 600 and 6,000/min, 1 and 4 workers", "as configured",
        "slow.fewest", "", "× configured", "0.99 to 1", "slow.fewest"),
    Row("B7", "… at 60,000/min, 1 worker", "as configured",
        "fast.1.fewest", "", "× configured", "0.99 to 1", "fast.1.fewest"),
    Row("B7", "… at 60,000/min, 4 workers", "as configured",
        "fast.4.fewest", "", "× configured", "0.99 to 1", "fast.4.fewest"),
    Row("B7", "paces of these eight with a minute above their number and one burst", "none",
        "above", "", "paces", "<= 0", "above"),
    Row("B8", "memory of all of `dialer up --workers 2`, idle", "450 MB",
        "idle_mb", "most_mb", "MB", "<= 1", "idle_ratio"),
    Row("B8", "… after a campaign of 200k calls", "before its first call",
        "after_mb", "before_mb", "MB", "<= 1.05", "growth_ratio"),
    Row("B9", "outbound calls with 2 workers, answers after 200 ms", "1 worker",
        "two_per_s", "one_per_s", "calls/s", ">= 1.9", "two_ratio", "cores_busy.2"),
    Row("B9", "… with 4 workers", "1 worker",
        "four_per_s", "one_per_s", "calls/s", ">= 3.5", "four_ratio", "cores_busy.4"),
    Row("B9", "B1 with a second scheduler", "one scheduler",
        "two_schedulers_per_s", "one_scheduler_per_s", "calls/s", ">= 0.98", "schedulers_ratio"),
)  # fmt: skip

_BOUND = re.compile(r"(<=|>=) ([\d.]+)")


def is_reached(ratio: float, reach: str) -> bool:
    """Whether the ratio keeps the bound (`>= 6`, `<= 1.2`, `0.99 to 1`, or none)."""
    if not reach:
        return True
    low, to, high = reach.partition(" to ")
    if to:
        return float(low) <= ratio <= float(high)
    bound = _BOUND.fullmatch(reach)
    if bound is None:
        raise ValueError(f"{reach} is no bound")
    compare = {">=": operator.ge, "<=": operator.le}[bound[1]]
    return bool(compare(ratio, float(bound[2])))


def verdict(row: Row, results: Figures) -> str:
    """`yes`, `no`, `cores full` where the bound is for cores that are not, `failed`; empty without a bound or a
    figure."""
    figures = results.get("benchmarks", {}).get(row.id.lower()) or {}
    if "error" in figures:
        return "failed"
    ratio, busy = look_up(figures, row.ratio), look_up(figures, row.busy)
    if ratio is None or not row.reach:
        return ""
    if is_reached(ratio, row.reach):
        return "yes"
    cores = look_up(results, "machine.cores")
    return "cores full" if busy and cores and busy >= FULL * cores else "no"


def render(results: Figures) -> str:
    """The table in Markdown, and a sentence on the machine; figures that are not there yet are left empty."""
    lines = [
        "| | measured | ours | beside | its figure | ratio | to reach | reached |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(row, results) for row in ROWS),
    ]
    used = look_up(results, "benchmarks.b1.cpu_us_per_call")
    if used:
        most_first = sorted(used.items(), key=lambda item: -item[1])
        shares = ", ".join(f"{name} {microseconds:.0f}" for name, microseconds in most_first)
        wal = look_up(results, "benchmarks.b1.wal_bytes_per_call")
        lines += [
            "",
            f"One call of B1 costs, in microseconds of CPU: {shares}. It writes {wal:,} bytes of WAL.",
        ]
    if "machine" in results:
        lines += ["", _sentence(results["machine"])]
    return "\n".join(lines)


def missed(results: Figures) -> Iterator[str]:
    """The rows that were measured and do not keep their bound."""
    for row in ROWS:
        if (
            row.id.lower() in results.get("benchmarks", {})
            and row.reach
            and verdict(row, results) in ("", "no")
        ):
            yield f"{row.id} {row.measured}"


def look_up(figures: Figures, key: str) -> Any:
    """The figure under `a.b`; None when there is none."""
    found: Any = figures
    for name in key.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def write(results: Figures, page: Path = PAGE) -> None:
    """Put the table into the page, between its markers."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has lost its markers: put {BEGIN} and {END} around the table.")
    page.write_text(f"{before}{BEGIN}\n{render(results)}\n{END}{after}", encoding="utf-8")


def _line(row: Row, results: Figures) -> str:
    figures = results.get("benchmarks", {}).get(row.id.lower()) or {}
    ours, against, ratio = (look_up(figures, key) for key in (row.ours, row.against, row.ratio))
    said = verdict(row, results).replace("no", "**no**")
    cells = [
        row.id, row.measured, _amount(ours, row.unit), row.reference, _amount(against, row.unit),
        "" if ratio is None else f"{ratio:.3g}", row.reach.replace(">= ", "≥ ").replace("<= ", "≤ "), said,
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _amount(value: Any, unit: str) -> str:
    if value is None:
        return ""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _sentence(facts: Figures) -> str:
    programs = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return (
        f"Measured on {facts['cores']} cores of {facts['cpu']} ({facts['memory_gb']} GB), {programs}; "
        f"commit {facts['commit']}, {facts['at']}."
    )
