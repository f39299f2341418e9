"""`dialer import`: a CSV file into a list, at once and with everything that was refused."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli.database import database, find_account
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_json, print_one, print_rows, progress_console, remark

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from dialer.models import ImportKind
    from dialer.store.tables import AnyRow

app = typer.Typer(no_args_is_help=True, help="CSV files into lists.")

#: Refused rows that are shown on the terminal; `--json` holds them all.
SHOWN = 50
#: Seconds; what was read beforehand is lost from one to the next.
STINT = 3600.0

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", exists=True, dir_okay=False, readable=True, help="A CSV file with a header."
    ),
]
Account = Annotated[str | None, typer.Option(help="Whose list it is, where LIST is a name: id or name.")]


@app.command("contacts")
def contacts_(
    list_: Annotated[str, typer.Argument(metavar="LIST", help="The list's id or name.")],
    file: File,
    account: Account = None,
    json: Json = False,
) -> None:
    """Import people to call.

    Running campaigns of the list go on with them. Refused rows are listed with the reason.
    """
    from dialer.models import ImportKind

    _import(ImportKind.CONTACTS, list_, file, account, json)


@app.command()
def dnd(
    list_: Annotated[str, typer.Argument(metavar="LIST", help="The DND list's id or name.")],
    file: File,
    account: Account = None,
    json: Json = False,
) -> None:
    """Import numbers never to dial.

    They hold at once, for running campaigns too. Refused rows are listed with the reason.
    """
    from dialer.models import ImportKind

    _import(ImportKind.DND, list_, file, account, json)


def _import(kind: ImportKind, list_: str, file: Path, account: str | None, as_json: bool) -> None:
    from dialer.imports import start_import
    from dialer.settings import get_settings

    with database() as engine:
        target = find_list(engine, kind, list_, account)
        begun = start_import(
            engine,
            find_account(engine, target.account_id),
            kind,
            target.id,
            file.name,
            get_settings(),
            datetime.now(UTC),
            path=file,
        )
        _run(engine, begun)
        _report(engine, begun, as_json=as_json)


def _run(engine: Engine, begun: AnyRow) -> None:
    """All batches of an import, with a bar that counts its bytes."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from dialer.imports import run_import

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    console = progress_console()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(begun.file_name, total=max(1, begun.size), rows=0)

        def tell(now: AnyRow) -> None:
            bar.update(task, completed=now.offset, rows=now.accepted + now.duplicate + now.invalid)

        over = False
        while not over:
            over = run_import(engine, begun.id, lambda: datetime.now(UTC), seconds=STINT, tell=tell)


def _report(engine: Engine, begun: AnyRow, *, as_json: bool) -> None:
    from dialer.models import ImportState

    row = _row(engine, begun)
    counts: dict[str, Any] = {
        "id": row.id,
        "state": row.state,
        "accepted": row.accepted,
        "duplicate": row.duplicate,
        "invalid": row.invalid,
        "suppressed": row.suppressed,
    }
    if as_json:
        print_json({**counts, "error": row.error, "rejected": list(_rejected(engine, row.id))})
    else:
        print_one(counts, as_json=False)
        rejected = [line for line, _ in zip(_rejected(engine, row.id), range(SHOWN), strict=False)]
        if rejected:
            typer.echo()
            print_rows(rejected, ["line", "column", "value", "reason"], as_json=False, nothing="")
        more = row.duplicate + row.invalid - len(rejected)
        if more > 0:
            remark(f"… and {more:,} more; --json lists them all.")
    if row.state == ImportState.FAILED:
        raise CommandError(f"The import stopped: {row.error}")


def _rejected(engine: Engine, import_id: str) -> Iterator[dict[str, Any]]:
    """The refused rows in the order of the file, read page by page."""
    from dialer.db import reading
    from dialer.store import imports

    after = (0, 0)
    while True:
        with reading(engine) as connection:
            page = imports.rejected(connection, import_id, after)
        for row in page:
            yield {
                "line": row.line,
                "column": row.column,
                "value": row.value,
                "code": row.code,
                "reason": row.reason,
            }
        if not page:
            return
        after = (page[-1].line, page[-1].id)


def _row(engine: Engine, begun: AnyRow) -> AnyRow:
    from dialer.db import reading
    from dialer.store import imports

    with reading(engine) as connection:
        row = imports.find(connection, begun.id)
    if row is None:
        raise CommandError(f"The import {begun.id} is gone: its account was removed meanwhile.")
    return row


def find_list(engine: Engine, kind: ImportKind, list_: str, account: str | None) -> AnyRow:
    """The list of this id, or of this name: of the account given, or the only one of that name."""
    import sqlalchemy as sa

    from dialer.db import reading
    from dialer.models import ImportKind
    from dialer.store import tables

    table, what = (
        (tables.contact_list, "list") if kind is ImportKind.CONTACTS else (tables.dnd_list, "DND list")
    )
    condition = sa.or_(table.c.id == list_, table.c.name == list_)
    if account is not None:
        condition = sa.and_(condition, table.c.account_id == find_account(engine, account).id)
    with reading(engine) as connection:
        found = connection.execute(sa.select(table).where(condition)).all()
    by_id = [row for row in found if row.id == list_]
    if len(by_id or found) == 1:
        return (by_id or found)[0]
    if found:
        raise CommandError(f"Several accounts have a {what} named {list_}: say whose with --account.")
    raise CommandError(f"There is no {what} {list_}: check its id or name; the API makes lists.")
