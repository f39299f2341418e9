"""What commands print of the API's answers, and read for its bodies."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from dialer.cli.errors import CommandError
from dialer.cli.output import print_one, print_rows, remark

#: How long a listing is, unless said otherwise.
MOST = 100

Limit = Annotated[int, typer.Option("--limit", min=0, help="How many at most; 0: all of them.")]
Body = Annotated[
    str | None,
    typer.Option(
        "--body",
        metavar="FILE",
        help="JSON with all else that the API takes; - is stdin. Options go before it.",
    ),
]


IdempotencyKey = Annotated[str | None, typer.Option(help="Asked for again under it, nobody is rung twice.")]
#: Whom to add, see `contacts_in`.
Numbers = Annotated[list[str] | None, typer.Argument(metavar="[NUMBER]…", help="Numbers to call.")]


def timed(answer: Any) -> Any:
    """An answer whose texts that are times (`…_at`, `at`, `…_until`, `…_date`) have become times."""
    if isinstance(answer, Mapping):
        return {
            name: datetime.fromisoformat(value) if isinstance(value, str) and _is_time(name) else timed(value)
            for name, value in answer.items()
        }
    return [timed(one) for one in answer] if isinstance(answer, list) else answer


def _is_time(name: str) -> bool:
    return name == "at" or name.endswith(("_at", "_until", "_date"))


def show(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """One answer."""
    print_one(timed(answer), as_json=as_json)


def show_all(
    answers: Iterable[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    as_json: bool,
    nothing: str,
    limit: int = 0,
) -> None:
    """Answers as a table of these columns, at most `limit` of them unless that is 0."""
    asked = iter(answers)
    rows = [timed(one) for one in (islice(asked, limit) if limit else asked)]
    more = limit > 0 and next(asked, None) is not None
    print_rows(rows, columns, as_json=as_json, nothing=nothing)
    if more:
        remark(f"There are more than {limit}: --limit 0 lists all of them.")


def given(**values: Any) -> dict[str, Any]:
    """Those options that were given."""
    return {name: value for name, value in values.items() if value is not None and value != []}


def read_body(path: str | None) -> dict[str, Any]:
    """The JSON object in a file. `CommandError` when it is none."""
    if path is None:
        return {}
    text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise CommandError(f"{path} holds no JSON object: write it as the API takes it.")
    return body


def contacts_in(body: str | None, numbers: Sequence[str] | None) -> list[Any]:
    """The contacts of a body, and of numbers alone. Wrong usage when there are none."""
    contacts = [*read_body(body).get("contacts", []), *({"number": one} for one in numbers or ())]
    if not contacts:
        raise typer.BadParameter("name a number, or give --body.", param_hint="NUMBER")
    return contacts


def pairs(option: str, words: Sequence[str] | None) -> dict[str, str]:
    """`name=value`, as often as given. Wrong usage otherwise."""
    found = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{word} is no NAME=VALUE.", param_hint=option)
        found[name] = value
    return found


def window(text: str | None) -> dict[str, Any] | None:
    """The calling window that `08:00-21:00` means; what it may be is for the API to say."""
    if text is None:
        return None
    start, _, end = text.partition("-")
    return {"start": start.strip(), "end": end.strip()}
