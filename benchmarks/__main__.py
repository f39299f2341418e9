"""Runs the benchmarks: `python -m benchmarks` all of them, `python -m benchmarks b1 b5` these.

Each module `b….py` has a `run()` that returns its figures. They are kept as JSON, and shown as a table.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.common import HERE, check_needs
from benchmarks.machine import facts

RESULTS = HERE / "results.json"
#: Those that take long and have a target of their own.
APART = ("b7",)


def modules() -> dict[str, str]:
    """The benchmarks that there are: name → module."""
    return {path.stem.partition("_")[0]: path.stem for path in sorted(HERE.glob("b[0-9]*.py"))}


def main() -> int:
    """Run what the command line asks for; 1 when a benchmark failed, 0 otherwise, reached or not."""
    known = modules()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, and show the table.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all but b7 unless given"
    )
    parser.add_argument(
        "--json", type=Path, default=RESULTS, metavar="FILE", help="where the figures are kept"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing, show the figures kept")
    parser.add_argument("--write", action="store_true", help="… and put them into docs/performance.md")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no {', '.join(unknown)}: choose from {', '.join(known)}")
    results = load(options.json)
    failed = False
    if not (options.table or options.write):
        check_needs()
        names = options.names or [name for name in known if name not in APART]
        failed = not measure(results, {name: known[name] for name in names}, options.json)
    print(table.render(results))
    for row in table.missed(results):
        print(f"not reached: {row}")
    if results.get("machine", {}).get("postgresql_elsewhere"):
        print(
            "PostgreSQL may use cores that the rest was kept off: start it under taskset, or its figures flatter."
        )
    if options.write:
        table.write(results)
    return int(failed)


def load(path: Path) -> dict[str, Any]:
    """The figures kept; none when there is no such file."""
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"benchmarks": {}}
    return kept


def measure(results: dict[str, Any], chosen: dict[str, str], path: Path) -> bool:
    """Run these, keeping the figures after each; whether all went well."""
    well = True
    results["machine"] = facts()
    for name, module in chosen.items():
        print(f"{name} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            figures = importlib.import_module(f"benchmarks.{module}").run()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the others are to be measured all the same
            figures, well = {"error": f"{type(error).__name__}: {error}"}, False
        seconds = round(time.monotonic() - began, 1)
        results["benchmarks"][name] = {**figures, "took_s": seconds}
        print(f"{name} {json.dumps(results['benchmarks'][name])}", file=sys.stderr, flush=True)
        path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return well


if __name__ == "__main__":
    sys.exit(main())
