"""`dialer cdr`: the records of what was dialled."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli.database import database
from dialer.cli.output import json_line

if TYPE_CHECKING:
    from dialer.store.tables import AnyRow

app = typer.Typer(no_args_is_help=True, help="Call detail records.")

#: Name in the export → column of the table.
COLUMNS = {
    "id": "id",
    "account_id": "account_id",
    "campaign_id": "campaign_id",
    "list_id": "list_id",
    "request_id": "call_id",
    "attempt_id": "attempt_id",
    "kind": "kind",
    "provider_id": "provider_id",
    "provider_reference": "provider_reference",
    "number": "e164",
    "connect_to": "connect_to",
    "caller_id": "caller_id",
    "dial_status": "dial_status",
    "disposition": "disposition",
    "hangup_cause": "hangup_cause",
    "dialled_at": "dialled_at",
    "answered_at": "answered_at",
    "ended_at": "ended_at",
    "call_date": "call_date",
    "duration": "duration",
    "billsec": "billsec",
    "cost": "cost",
    "dtmf_inputs": "dtmf_inputs",
}
#: What a spreadsheet takes for the start of a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """How CDRs are written."""

    CSV = "csv"
    JSONL = "jsonl"


@app.callback()
def _noun() -> None:
    """Keeps `export` a word of its own."""


@app.command()
def export(
    campaign: Annotated[str | None, typer.Option(help="Only those of the campaign with this id.")] = None,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="From this date or time on (UTC).")
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(
            "--to", metavar="DATE", help="Until the end of this date, or until just before this time (UTC)."
        ),
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="How they are written.")] = Format.CSV,
) -> None:
    """Write CDRs to stdout.

    They are written as they are read, however many there are. In CSV, numbers are digits without the plus, and texts
    that a spreadsheet would take for a formula begin with an apostrophe; JSON lines hold everything as it is.
    """
    from dialer.store import cdrs

    since = None if from_ is None else instant(from_, "--from")
    before = None if to is None else instant(to, "--to", end_of_day=True)
    with database() as engine:
        rows = cdrs.export(engine, campaign_id=campaign, since=since, before=before)
        if format_ is Format.CSV:
            write_csv(rows)
        else:
            sys.stdout.writelines(json_line(record(row)) for row in rows)
            sys.stdout.flush()


def record(row: AnyRow) -> dict[str, Any]:
    """A CDR with the names of the export."""
    return {name: getattr(row, column) for name, column in COLUMNS.items()}


def write_csv(rows: Iterable[AnyRow]) -> None:
    """A header and a line for each CDR, on stdout."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = record(row)
        for name in ("number", "connect_to", "caller_id"):
            cells[name] = (cells[name] or "").removeprefix("+")
        writer.writerow([cell(value) for value in cells.values()])
    sys.stdout.flush()


def cell(value: Any) -> str:
    """A value as a CSV cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) else text


def instant(text: str, option: str, *, end_of_day: bool = False) -> datetime:
    """The instant meant by `2026-09-25` (its beginning in UTC, or its end), or by `2026-09-25T14:05` with or without
    an offset. Wrong usage otherwise."""
    try:
        if len(text.strip()) == len("2026-09-25"):
            day = date.fromisoformat(text.strip()) + (timedelta(days=1) if end_of_day else timedelta(0))
            return datetime.combine(day, time(0), UTC)
        at = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is no date: write 2026-09-25 or 2026-09-25T14:05:00.", param_hint=option
        ) from None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
