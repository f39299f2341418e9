"""The table of the benchmarks: its bounds, and that docs/performance.md holds every row."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks import table
from benchmarks.b7_pace import in_any_minute

MACHINE = {"cores": 2, "cpu": "any", "memory_gb": 8, "versions": {}, "commit": "0", "at": "now"}
FIGURES = {"calls_per_s": 1500.0, "plain_celery_per_s": 200.0, "ratio": 7.5}


@pytest.mark.parametrize(
    ("ratio", "reach", "kept"),
    [
        (6.0, ">= 6", True), (5.99, ">= 6", False), (1.2, "<= 1.2", True), (1.21, "<= 1.2", False),
        (0.99, "0.99 to 1", True), (1.01, "0.99 to 1", False), (0.5, "0.99 to 1", False),
    ],
)  # fmt: skip
def test_a_bound_is_kept_or_not(ratio: float, reach: str, kept: bool) -> None:
    assert table.is_reached(ratio, reach) is kept


def test_a_bound_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="about 6 is no bound"):
        table.is_reached(6.0, "about 6")


def test_a_figure_has_its_row() -> None:
    shown = table.render({"benchmarks": {"b1": FIGURES}})
    assert "| 1,500 calls/s | plain Celery | 200 calls/s | 7.5 | ≥ 6 | yes |" in shown


def test_what_is_missed_is_told() -> None:
    results = {"benchmarks": {"b1": {**FIGURES, "ratio": 5.0}, "b2": {"error": "no provider"}}}
    assert list(table.missed(results)) == ["B1 durable campaign calls, end to end"]
    assert "**no**" in table.render(results)
    assert "failed" in table.render(results)


@pytest.mark.parametrize(
    ("ratio", "busy", "said"), [(3.6, 2.0, "yes"), (2.9, 1.9, "cores full"), (2.9, 1.6, "**no**")]
)
def test_what_more_workers_bring_is_bounded_until_the_cores_are_full(
    ratio: float, busy: float, said: str
) -> None:
    figures = {"four_ratio": ratio, "cores_busy": {"4": busy}}
    results = {"benchmarks": {"b9": figures}, "machine": MACHINE}
    assert f"| {ratio} | ≥ 3.5 | {said} |" in table.render(results)
    assert ("B9 … with 4 workers" in table.missed(results)) is (said == "**no**")


def test_the_table_goes_between_its_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text(f"above\n{table.BEGIN}\nold\n{table.END}\nbelow\n", encoding="utf-8")
    table.write({"benchmarks": {"b1": FIGURES}}, page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"above\n{table.BEGIN}\n| | measured")
    assert text.endswith(f"\n{table.END}\nbelow\n")
    assert "old" not in text


def test_the_page_on_performance_holds_every_row() -> None:
    text = table.PAGE.read_text(encoding="utf-8")
    shown = text.partition(table.BEGIN)[2].partition(table.END)[0]
    assert not [row.measured for row in table.ROWS if f"| {row.id} | {row.measured} |" not in shown]


def counted(times: list[float], begin: float, end: float) -> tuple[int, int]:
    """The same as `in_any_minute`, by trying every begin of a minute in steps of an eighth of a second."""
    steps = range(round((end - 60 - begin) * 8) + 1)
    counts = [sum(begin + step / 8 <= one < begin + step / 8 + 60 for one in times) for step in steps]
    return min(counts), max(counts)


@given(st.lists(st.integers(0, 1599), max_size=60).map(sorted))
@example([500, 980])  # a minute apart
def test_the_fewest_and_the_most_calls_of_any_minute_are_found(eighths: list[int]) -> None:
    # Calls in the middle of a step, so that none lies on the edge of a minute that is tried; eighths are exact.
    times = [one / 8 + 0.0625 for one in eighths]
    assert in_any_minute(times, 60.0, 180.0) == counted(times, 60.0, 180.0)


def test_a_steady_pace_has_as_many_calls_in_every_minute() -> None:
    times = [number / 8 for number in range(2000)]
    assert in_any_minute(times, 60.0625, 240.0625) == (480, 480)


def test_less_than_a_minute_says_nothing() -> None:
    with pytest.raises(ValueError, match="less than a minute"):
        in_any_minute([1.0], 0.0, 59.0)


def test_the_page_of_statements_names_functions_that_there_are() -> None:
    page = table.PAGE.with_name("statements.md").read_text(encoding="utf-8")
    named = set(
        re.findall(r"^\| `(?:dialer\.)?((?:store|db|calls|campaigns)[\w.]+)", page, flags=re.MULTILINE)
    )
    assert len(named) > 30
    missing = []
    for name in sorted(named):
        module, _, function = name.rpartition(".")
        inside = importlib.import_module(f"dialer.{module}")
        if not hasattr(inside, function) and not hasattr(inside, f"_{function}"):
            missing.append(name)
    assert not missing, "write docs/statements.md anew: python -m benchmarks.explain"
