"""`dialer campaign`: look at campaigns, hold them, end them."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli.database import database, find_account
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_json_line, print_one, print_rows, progress_console, remark
from dialer.lifecycle import CALL_ENDS, CALL_OPEN, CallState, CampaignState

if TYPE_CHECKING:
    from rich.console import RenderableType
    from sqlalchemy import Connection, Engine

    from dialer.store.tables import AnyRow

app = typer.Typer(no_args_is_help=True, help="Campaigns.")

CampaignId = Annotated[str, typer.Argument(metavar="ID", help="The campaign's id, CM….")]

ENDS = (CampaignState.FINISHED, CampaignState.STOPPED)
LOOK_EVERY = 0.5  # seconds
TELL_EVERY = 3.0  # seconds, where nothing can be drawn
PACE_OVER = 15.0  # seconds over which calls per minute are counted


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Option(help="Only those of this account: id or name.")] = None,
    json: Json = False,
) -> None:
    """List the campaigns, newest first."""
    from dialer.db import reading
    from dialer.store import campaigns

    with database() as engine:
        account_id = None if account is None else find_account(engine, account).id
        with reading(engine) as connection:
            rows = [
                {
                    "id": row.id,
                    "name": row.name,
                    "state": row.state,
                    "account_id": row.account_id,
                    "calls_per_minute": row.calls_per_minute,
                    "start_at": row.start_at,
                    "end_at": row.end_at,
                }
                for row in campaigns.of_account(connection, account_id)
            ]
    print_rows(
        rows,
        ["id", "name", "state", "account_id", "calls_per_minute", "start_at", "end_at"],
        as_json=json,
        nothing="There is no campaign yet: the API makes them.",
    )


@app.command()
def show(campaign_id: CampaignId, json: Json = False) -> None:
    """Show a campaign, what it dials and how far it is."""
    from dialer.db import reading

    with database() as engine, reading(engine) as connection:
        row = _get(connection, campaign_id)
        shown = {
            **progress(connection, row),
            "account_id": row.account_id,
            "list_id": row.list_id,
            "caller_id": row.caller_id,
            "start_at": row.start_at,
            "end_at": row.end_at,
            "time_zone": row.time_zone,
            "calling_window": row.calling_window,
            "calls_per_minute": row.calls_per_minute,
            "max_concurrent": row.max_concurrent,
            "repeat_policy": row.repeat_policy,
            "provider_id": row.provider_id,
            "started_at": row.started_at,
            "ended_at": row.ended_at,
        }
    print_one(shown, as_json=json)


@app.command()
def pause(campaign_id: CampaignId) -> None:
    """Hold a campaign.

    Nothing more of it is placed; calls at the provider go on.
    """
    from dialer.campaigns import control

    _control(campaign_id, control.pause)
    remark(f"Campaign {campaign_id} is paused.")


@app.command()
def resume(campaign_id: CampaignId) -> None:
    """Go on with a campaign where it was held.

    Nobody is called again for it.
    """
    from dialer.campaigns import control

    _control(campaign_id, control.resume)
    remark(f"Campaign {campaign_id} goes on.")


@app.command()
def stop(campaign_id: CampaignId) -> None:
    """End a campaign for good.

    What was not dialled is cancelled.
    """
    from dialer.campaigns import control

    _control(campaign_id, control.stop)
    remark(f"Campaign {campaign_id} is stopped.")


@app.command()
def watch(campaign_id: CampaignId, json: Json = False) -> None:
    """Watch a campaign until it ends.

    With `--json`, a line of JSON for each change.
    """
    with database() as engine:
        watch_until_end(engine, campaign_id, print_json_line if json else None)


def watch_until_end(
    engine: Engine,
    campaign_id: str,
    tell: Callable[[dict[str, Any]], None] | None = None,
    deadline: float | None = None,
) -> dict[str, Any]:
    """Follow a campaign to its end and return its last progress. Each change goes to `tell`; without it, the
    progress is drawn live on a terminal, or told in a line per change elsewhere.

    `deadline` is of the monotonic clock: `CommandError` when the campaign has not ended by then.
    """
    from rich.live import Live

    console = progress_console()
    pace = Pace()
    last: dict[str, Any] = {}
    tell_at = 0.0
    with Live(console=console, refresh_per_second=4, auto_refresh=False, transient=False) as live:
        while True:
            now = _snapshot(engine, campaign_id)
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
                raise CommandError(f"Campaign {campaign_id} has not ended in time: it is {sentence(now)}.")
            time.sleep(LOOK_EVERY)


def progress(connection: Connection, row: AnyRow) -> dict[str, Any]:
    """How far a campaign is: contacts, calls by state, results by dial status."""
    import sqlalchemy as sa

    from dialer.store import campaigns, contacts
    from dialer.store.tables import call, in_states

    counts = campaigns.counts(connection, row.id)
    states = {
        found.state: found[1]
        for found in connection.execute(
            sa.select(call.c.state, sa.func.count())
            .where(call.c.campaign_id == row.id, in_states(call, CALL_OPEN))
            .group_by(call.c.state)
        )
    }
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state,
        "contacts": contacts.count(connection, row.list_id),
        "taken": counts.get("taken", 0),
        "open": {state.value: states[state] for state in CallState if states.get(state)},
        "ended": {
            state.value: counts[state] for state in CallState if state in CALL_ENDS and counts.get(state)
        },
        "results": {
            name.removeprefix("cdr."): n
            for name, n in sorted(counts.items())
            if name.startswith("cdr.") and n
        },
    }


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


def _snapshot(engine: Engine, campaign_id: str) -> dict[str, Any]:
    from dialer.db import reading

    with reading(engine) as connection:
        return progress(connection, _get(connection, campaign_id))


def _control(campaign_id: str, change: Callable[[Connection, None, str, datetime], None]) -> None:
    from dialer.db import writing

    with database() as engine, writing(engine) as connection:
        change(connection, None, campaign_id, datetime.now(UTC))


def _get(connection: Connection, campaign_id: str) -> AnyRow:
    from dialer.store import campaigns

    row = campaigns.with_ids(connection, [campaign_id]).get(campaign_id)
    if row is None:
        raise CommandError(f"There is no campaign {campaign_id}: `dialer campaign list` shows them.")
    return row
