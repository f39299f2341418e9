"""CDRs as they are exported, on the command line and by the API: as CSV, and as lines of JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dialer.lifecycle import CdrKind
from dialer.store.tables import AnyRow

#: Name in the export → column of the table; `direction` is told besides.
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
    "answered_by": "answered_by",
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
    "currency": "currency",
    "dtmf_inputs": "dtmf_inputs",
    "recording_name": "recording_name",
    "metadata": "metadata",
}
#: What a spreadsheet takes for the start of a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def record(row: AnyRow) -> dict[str, Any]:
    """A CDR with the names of the export."""
    told = {name: getattr(row, column) for name, column in COLUMNS.items()}
    told["direction"] = "inbound" if row.kind == CdrKind.INBOUND else "outbound"
    return told


def csv_header() -> str:
    """The first line."""
    return _line([*COLUMNS, "direction"])


def csv_lines(rows: Iterable[AnyRow]) -> Iterator[str]:
    """A line for each CDR. Numbers are digits without the plus, and texts that a spreadsheet would take for a formula
    begin with an apostrophe."""
    for row in rows:
        cells = record(row)
        for name in ("number", "answered_by", "connect_to", "caller_id"):
            cells[name] = (cells[name] or "").removeprefix("+")
        yield _line([cell(value) for value in cells.values()])


def json_lines(rows: Iterable[AnyRow]) -> Iterator[str]:
    """A line of JSON for each CDR, everything as it is."""
    for row in rows:
        yield json.dumps(record(row), ensure_ascii=False, default=_plain) + "\n"


def cell(value: Any) -> str:
    """A value as a CSV cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULA_STARTS) else text


def _line(cells: Iterable[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
