"""The page shows what each kind of provider can do as the code has it."""

from __future__ import annotations

from pathlib import Path

from dialer.providers import matrix
from dialer.providers.contract import Capability
from dialer.providers.kinds import adapter_class, adapter_kinds

PAGE = Path(__file__).parents[2] / "docs" / "providers.md"


def test_the_page_shows_the_table_of_the_code() -> None:
    assert matrix.markdown() in PAGE.read_text(encoding="utf-8"), (
        "run `python -m dialer.providers.matrix PAGE`"
    )


def test_a_mark_stands_where_a_kind_has_a_capability_and_nowhere_else() -> None:
    head, _, *rows = [line[2:-2].split(" | ") for line in matrix.markdown().splitlines()]
    assert [name.strip("`") for name in head[1:]] == adapter_kinds()
    for row, capability in zip(rows, Capability, strict=False):
        marked = {kind for kind, mark in zip(adapter_kinds(), row[1:], strict=False) if mark.strip()}
        assert marked == {kind for kind in adapter_kinds() if capability in adapter_class(kind).capabilities}
