"""How attempts of each kind of provider are settled, in words: the table of docs/reconciliation.md.

`python -m dialer.providers.reconciliation PAGE` puts it into a page.
"""

from __future__ import annotations

from datetime import timedelta

from dialer.providers.kinds import adapter_class, adapter_kinds
from dialer.providers.matrix import main


def markdown() -> str:
    """The table, in Markdown."""
    rows = [
        "| kind | the end is told by | looked up first after | CDRs are read every | settled `UNKNOWN` after |"
    ]
    rows.append("|---|---|---|---|---|")
    for kind in adapter_kinds():
        adapter = adapter_class(kind)
        how_long = adapter.patience()
        told = [
            word
            for word, holds in (
                ("events", adapter.calls_back),
                ("look-ups", how_long.can_ask),
                ("CDRs", adapter.keeps_cdrs()),
            )
            if holds
        ]
        first = in_words(how_long.first) if how_long.can_ask else "never"
        every = in_words(adapter.cdrs_every) if adapter.keeps_cdrs() else "never"
        rows.append(f"| `{kind}` | {', '.join(told)} | {first} | {every} | {in_words(how_long.last)} |")
    return "\n".join(rows)


def in_words(length: timedelta) -> str:
    """A length of time as people write it: `2 h 15 min`, `10 s`."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [
        f"{number} {unit}" for number, unit in ((hours, "h"), (minutes, "min"), (seconds, "s")) if number
    ]
    return " ".join(parts) or "0 s"


if __name__ == "__main__":
    main(markdown())
