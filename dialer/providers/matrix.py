"""What each kind of provider can do, side by side; `python -m dialer.providers.matrix PAGE` puts it into a page."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from dialer.providers.base import Adapter
from dialer.providers.contract import Capability
from dialer.providers.kinds import adapter_class, adapter_kinds
from dialer.providers.need import DOES

YES, NO = "●", ""


def markdown() -> str:
    """The table of docs/providers.md, in Markdown: a row for each capability and each way of learning how a call ended,
    a column for each kind."""
    kinds = [adapter_class(kind) for kind in adapter_kinds()]
    head = ["can", *(f"`{kind.kind}`" for kind in kinds)]
    rows = [head, ["---", *["---"] * len(kinds)], *_rows(kinds)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def put_into(page: str, table: str) -> str:
    """A page that holds a table with the same first heading, with this one in its place."""
    first = re.escape(table[: table.index("|", 1) + 1])
    return re.sub(
        rf"^{first}.*\n(?:\|.*(?:\n|$))*", lambda _: f"{table}\n", page, count=1, flags=re.MULTILINE
    )


def _rows(kinds: list[type[Adapter]]) -> Iterator[list[str]]:
    for capability in Capability:
        yield [
            f"{DOES[capability]} (`{capability}`)",
            *(_mark(capability in kind.capabilities) for kind in kinds),
        ]
    yield ["be asked how one call ended", *(_mark(_has_own(kind, "lookup_request")) for kind in kinds)]
    yield ["list how all calls ended", *(_mark(_has_own(kind, "cdr_request")) for kind in kinds)]
    yield ["sign its callbacks", *(_mark(kind.signs) for kind in kinds)]
    yield ["keep numbers that it never calls", *(_mark(kind.black_list is not None) for kind in kinds)]
    yield ["methods beside calls", *(str(len(kind.methods)) for kind in kinds)]
    yield [
        "without a word on the end, asked or given up after",
        *(_length(kind.final_event_within) for kind in kinds),
    ]


def _has_own(kind: type[Adapter], name: str) -> bool:
    return getattr(kind, name) is not getattr(Adapter, name)


def _mark(does: bool) -> str:
    return YES if does else NO


def _length(time: timedelta) -> str:
    minutes = round(time.total_seconds() / 60)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def main(table: str) -> None:
    """Put a table of the code into the page that the command line names."""
    path = Path(sys.argv[1])
    path.write_text(put_into(path.read_text(encoding="utf-8"), table), encoding="utf-8")


if __name__ == "__main__":
    main(markdown())
