"""How long things are kept that grow with use, as far as the engine removes them by itself and settings say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from dialer.settings import Settings
from dialer.store import old


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept for so long. `purge` removes what is from before a time, so many rows of it, and says how many."""

    what: str
    time: timedelta
    purge: Callable[[Connection, datetime, int], int]


def kept(settings: Settings) -> Sequence[Kept]:
    """What is removed when it is old; the rest is kept for ever."""
    every = (
        ("rejected rows", settings.keep_rejected_rows_days, old.purge_rejected_rows),
        ("events", settings.keep_events_days, old.purge_events),
        ("history", settings.keep_history_days, old.purge_history),
        ("verifications", settings.keep_verifications_days, old.purge_verifications),
    )
    return [Kept(what, timedelta(days=days), purge) for what, days, purge in every if days is not None]
