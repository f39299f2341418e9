"""What commands print: data on stdout (a table, or JSON with `--json`), remarks and progress on stderr."""

# ruff: noqa: PLC0415 - a table needs no rich

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

#: The option of every command that prints data.
Json = Annotated[bool, typer.Option("--json", help="Print the data as JSON on stdout.")]

_MARKS = {"ok": "green", "warn": "yellow", "fail": "red"}


def remark(text: str) -> None:
    """A word to the person at the terminal, on stderr."""
    typer.echo(text, err=True)


def print_json(data: Any) -> None:
    """One JSON document and a line break, on stdout. Times are ISO 8601 in UTC."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, default=_plain))


def print_json_line(data: Any) -> None:
    """One line of JSON on stdout, at once."""
    sys.stdout.write(json_line(data))
    sys.stdout.flush()


def json_line(data: Any) -> str:
    """One line of JSON with its line break."""
    return json.dumps(data, ensure_ascii=False, default=_plain) + "\n"


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, nothing: str
) -> None:
    """Rows as a JSON array, or as an aligned table of `columns`; `nothing` is the remark when there are none."""
    if as_json:
        print_json([dict(row) for row in rows])
        return
    if not rows:
        remark(nothing)
        return
    lines = [
        [column.upper() for column in columns],
        *([_word(row.get(name)) for name in columns] for row in rows),
    ]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for number, line in enumerate(lines):
        text = "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        typer.echo(typer.style(text, bold=True) if number == 0 and colours(sys.stdout) else text)


def print_one(row: Mapping[str, Any], *, as_json: bool) -> None:
    """One thing: a JSON object, or a line for each of its properties."""
    if as_json:
        print_json(dict(row))
        return
    width = max(map(len, row), default=0)
    for name, value in row.items():
        typer.echo(f"{name:<{width}}  {_word(value)}".rstrip())


def mark(status: str) -> str:
    """`ok`, `warn` or `fail`, in its colour where colours are shown."""
    word = f"{status:<4}"
    return typer.style(word, fg=_MARKS[status], bold=True) if colours(sys.stdout) else word


def colours(stream: Any) -> bool:
    """Whether colours are welcome on `stream`: a terminal, and nobody has set `NO_COLOR`."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def progress_console() -> Console:
    """Where live progress is drawn: stderr, and only if that is a terminal."""
    from rich.console import Console

    return Console(stderr=True, no_color=not colours(sys.stderr), highlight=False)


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_word(item)}" for name, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_word, value)) or "-"
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")
