"""A campaign's progress: told, drawn, and followed to its end."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dialer.cli.errors import CommandError
from dialer.cli.output import progress_console, remark
from dialer.lifecycle import CallState, CampaignState

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dialer.client import Client
    from dialer.client.campaign_answers import Campaign

ENDS = (CampaignState.FINISHED, CampaignState.STOPPED)
LOOK_EVERY = 0.5  # seconds
#: … and where each look is a request to another host.
LOOK_AFAR_EVERY = 2.0
TELL_EVERY = 3.0  # seconds, where nothing can be drawn
PACE_OVER = 15.0  # seconds over which calls per minute are counted


def progress(api: Client, campaign: Campaign) -> dict[str, Any]:
    """How far a campaign is: contacts, calls by state, results by dial status. Calls that are being placed are counted
    as in progress."""
    told = api.campaigns.progress(campaign["id"])
    still_open = {
        CallState.WAITING: told["waiting"],
        CallState.RELEASED: told["released"],
        CallState.IN_PROGRESS: told["in_progress"],
    }
    return {
        "id": campaign["id"],
        "name": campaign["name"],
        "state": told["state"],
        "contacts": told["contacts"],
        "taken": told["contacts"] - told["not_taken"],
        "open": {state.value: count for state, count in still_open.items() if count},
        "ended": {state: count for state, count in told["ended"].items() if count},
        "results": {status: count for status, count in sorted(told["attempts"].items()) if count},
    }


def watch_until_end(
    look: Callable[[], dict[str, Any]],
    tell: Callable[[dict[str, Any]], None] | None = None,
    deadline: float | None = None,
    every: float = LOOK_EVERY,
) -> dict[str, Any]:
    """Follow a campaign, whose progress `look` gives every few seconds, to its end, and return the last progress. Each
    change goes to `tell`; without it, the progress is drawn live on a terminal, or told in a line per change elsewhere.

    `deadline` is of the monotonic clock: `CommandError` when the campaign has not ended by then.
    """
    from rich.live import Live

    console = progress_console()
    pace = Pace()
    last: dict[str, Any] = {}
    tell_at = 0.0
    with Live(console=console, refresh_per_second=4, auto_refresh=False, transient=False) as live:
        while True:
            now = look()
            now["calls_per_minute"] = pace.of(sum(now["results"].values()), time.monotonic())
            changed = _without_pace(now) != _without_pace(last)
            if tell is not None and changed:
                tell(now)
            elif tell is None and console.is_terminal:
                live.update(picture(now), refresh=True)
            elif tell is None and changed and (now["state"] in ENDS or time.monotonic() >= tell_at):
                remark(sentence(now))
                tell_at = time.monotonic() + TELL_EVERY
            last = now
            if now["state"] in ENDS:
                return now
            if deadline is not None and time.monotonic() > deadline:
                raise CommandError(f"Campaign {now['id']} has not ended in time: it is {sentence(now)}.")
            time.sleep(every)


class Pace:
    """Calls per minute, over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def of(self, calls: int, now: float) -> int:
        """The pace when `calls` had ended by `now` (monotonic seconds)."""
        self._seen.append((now, calls))
        while now - self._seen[0][0] > PACE_OVER:
            self._seen.popleft()
        then, before = self._seen[0]
        return round((calls - before) * 60 / (now - then)) if now > then else 0


def sentence(now: dict[str, Any]) -> str:
    """A campaign's progress in a line."""
    ended = sum(now["ended"].values())
    results = ", ".join(f"{name} {count}" for name, count in now["results"].items()) or "none yet"
    return f"{now['state']}: {ended} of {now['contacts']} contacts have an end; results: {results}"


def picture(now: dict[str, Any]) -> RenderableType:
    """A campaign's progress, drawn."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    ended, contacts = sum(now["ended"].values()), now["contacts"]
    head = Table.grid(padding=(0, 2))
    head.add_row(
        Text(now["name"], style="bold"),
        Text(now["state"], style="yellow" if now["state"] == CampaignState.PAUSED else "green"),
        ProgressBar(total=max(1, contacts), completed=ended, width=20, finished_style="green"),
        Text(f"{ended}/{contacts}"),
        Text(f"{now.get('calls_per_minute', 0)} calls/min", style="dim"),
    )
    body = Table.grid(padding=(0, 2))
    for title, numbers in (("calls", now["open"]), ("ends", now["ended"]), ("results", now["results"])):
        words = "  ".join(f"{name} {count}" for name, count in numbers.items()) or "-"
        body.add_row(Text(title, style="dim"), Text(words))
    return Group(head, body)


def _without_pace(snapshot: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in snapshot.items() if name != "calls_per_minute"}
