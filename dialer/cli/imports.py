"""`dialer import`: a CSV or XLSX file into a list, with everything that was refused."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from dialer.cli import answers
from dialer.cli.answers import MOST, Limit, pairs, show_all
from dialer.cli.database import database, find_account
from dialer.cli.errors import CommandError
from dialer.cli.options import spread
from dialer.cli.output import Json, print_json, print_one, print_rows, progress_console, remark
from dialer.cli.reach import Account, Url, dnd_list_id, list_id, near, owner_of_list, reach, reaching

if TYPE_CHECKING:
    from dialer.client import Client
    from dialer.client.answers import Import
    from dialer.client.bodies import Columns
    from dialer.models import ImportKind

    #: Shown bytes that are read, of how many, and rows.
    Tell = Callable[[int, int, int], None]
    #: Runs an import to its end, or waits for it.
    Run = Callable[[Tell], None]

app = typer.Typer(no_args_is_help=True, help="CSV and XLSX files into lists.")
_reach = reaching("import")

#: Refused rows that are shown on the terminal; `--json` holds them all.
SHOWN = 50
#: Seconds; what was read beforehand is lost from one to the next.
STINT = 3600.0
_ROLES = ("number", "name", "time_zone", "language")
_FIELD = "fields."
#: Seconds between two looks at an import that workers elsewhere run.
LOOK_EVERY = 1.0

ImportId = Annotated[str, typer.Argument(metavar="ID", help="The import's id, IM….")]


@dataclass(frozen=True, slots=True)
class FileOptions:
    """A file, and how it is read."""

    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            readable=True,
            help="A CSV or XLSX file with a header.",
        ),
    ] = None
    uploaded: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Instead, a file of the account's uploads, by its name."),
    ] = None
    sheet: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of a spreadsheet [default: the first].")
    ] = None
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT=HEADER",
            help="Which column holds number, name, time_zone, language or fields.NAME. Repeatable [default: as they "
            "are named].",
        ),
    ] = None
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and count everything, and write nothing.")
    ] = False

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.uploaded or (self.file.name if self.file else "")


@app.command("contacts")
@spread
def contacts_(
    list_: Annotated[str, typer.Argument(metavar="LIST", help="The list's id or name.")],
    given: FileOptions,
    account: Account = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Import people to call.

    Running campaigns of the list go on with them. Refused rows are listed with the reason.
    """
    from dialer.models import ImportKind

    _import(ImportKind.CONTACTS, list_, given, url, account, json)


@app.command()
@spread
def dnd(
    list_: Annotated[str, typer.Argument(metavar="LIST", help="The DND list's id or name.")],
    given: FileOptions,
    account: Account = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Import numbers never to dial.

    They hold at once, for running campaigns too. Refused rows are listed with the reason.
    """
    from dialer.models import ImportKind

    _import(ImportKind.DND, list_, given, url, account, json)


@app.command("list")
def list_all(limit: Limit = MOST, json: Json = False, url: Url = None, account: Account = None) -> None:
    """List an account's imports, the newest first."""
    with reach(url, account) as api:
        show_all(
            api.imports.list(),
            ["id", "kind", "target_id", "file", "state", "percent", "accepted", "duplicate", "invalid", "created_at"],
            as_json=json,
            nothing="Nothing was imported yet.",
            limit=limit,
        )  # fmt: skip


@app.command()
def show(import_id: ImportId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show an import, and how far it is."""
    with _reach(url, account, import_id) as api:
        found = api.imports.get(import_id)
    answers.show(found, as_json=json)


@app.command()
def cancel(import_id: ImportId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """End an import; what was written stays."""
    with _reach(url, account, import_id) as api:
        cancelled = api.imports.cancel(import_id)
    answers.show(cancelled, as_json=json)


@app.command()
def errors(
    import_id: ImportId,
    raw: Annotated[bool, typer.Option("--raw", help="As they were written, without an apostrophe.")] = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Write an import's refused rows to stdout, as CSV.

    What a spreadsheet would take for a formula begins with an apostrophe.
    """
    with _reach(url, account, import_id) as api:
        sys.stdout.buffer.writelines(api.imports.errors_csv(import_id, raw=raw))
        sys.stdout.buffer.flush()


@dataclass(frozen=True, slots=True)
class _Wanted:
    kind: ImportKind
    list_: str
    given: FileOptions
    columns: Columns


def _columns(chosen: list[str] | None) -> Columns:
    columns: dict[str, Any] = {"fields": {}}
    for what, header in pairs("--column", chosen).items():
        if what in _ROLES:
            columns[what] = header
        elif what.startswith(_FIELD):
            columns["fields"][what.removeprefix(_FIELD)] = header
        else:
            raise typer.BadParameter(
                f"{what} is none of number, name, time_zone, language and fields.NAME.", param_hint="--column"
            )
    return cast("Columns", columns)


def _import(
    kind: ImportKind, list_: str, given: FileOptions, url: str | None, account: str | None, as_json: bool
) -> None:
    if (given.file is None) == (given.uploaded is None):
        raise typer.BadParameter("name a file, or with --uploaded one of the uploads.", param_hint="FILE")
    wanted = _Wanted(kind, list_, given, _columns(given.column))
    begun = _begun_here(wanted, account) if url is None else _begun_afar(wanted, url, account)
    with begun as (api, import_id, run):
        _run(given.name, run)
        _report(api, api.imports.get(import_id), as_json=as_json)


@contextmanager
def _begun_here(wanted: _Wanted, account: str | None) -> Iterator[tuple[Client, str, Run]]:
    """An import of a file where it lies, or of the uploads, however large, that this process runs itself."""
    from dialer.imports import run_import, start_import
    from dialer.imports.dialect import Chosen
    from dialer.imports.start import Names
    from dialer.models import ImportKind
    from dialer.settings import get_settings

    given = wanted.given
    with database() as engine:
        find = owner_of_list("list" if wanted.kind is ImportKind.CONTACTS else "DND list", wanted.list_)
        owner = find(engine) if account is None else find_account(engine, account)
        with near(engine, owner) as api:
            begun = start_import(
                engine,
                owner,
                wanted.kind,
                _target(api, wanted),
                given.name,
                get_settings(),
                datetime.now(UTC),
                path=given.file,
                chosen=Chosen(**wanted.columns),
                sheet=given.sheet,
                dry_run=given.dry_run,
                names=Names("FILE" if given.file else "--uploaded", "LIST", "column", "--sheet"),
            )

            def run(tell: Tell) -> None:
                over = False
                while not over:
                    over = run_import(
                        engine,
                        begun.id,
                        lambda: datetime.now(UTC),
                        seconds=STINT,
                        tell=lambda now: tell(
                            now.offset, now.size, now.accepted + now.duplicate + now.invalid
                        ),
                    )

            yield api, begun.id, run


@contextmanager
def _begun_afar(wanted: _Wanted, url: str, account: str | None) -> Iterator[tuple[Client, str, Run]]:
    """An import of a file that is sent, or lies there already, and that workers there run."""
    given = wanted.given
    with reach(url, account) as api:
        asked: Any = {
            "kind": wanted.kind.value,
            "target_id": _target(api, wanted),
            "columns": wanted.columns,
            "sheet": given.sheet,
            "dry_run": given.dry_run,
        }
        if given.file is not None:
            remark(f"Sending {given.name} …")
            begun = api.imports.send(given.file, **asked)
        else:
            begun = api.imports.create(file=given.name, **asked)

        def run(tell: Tell) -> None:
            while (now := api.imports.get(begun["id"]))["state"] == "RUNNING":
                tell(now["bytes_read"], now["bytes"], now["rows"])
                time.sleep(LOOK_EVERY)

        yield api, begun["id"], run


def _target(api: Client, wanted: _Wanted) -> str:
    from dialer.models import ImportKind

    return (
        list_id(api, wanted.list_) if wanted.kind is ImportKind.CONTACTS else dnd_list_id(api, wanted.list_)
    )


def _run(name: str, run: Run) -> None:
    """An import to its end, with a bar that counts its bytes."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[rows]:,} rows"),
        TimeRemainingColumn(),
    )
    console = progress_console()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None, rows=0)
        run(lambda read, size, rows: bar.update(task, completed=read, total=max(1, size), rows=rows))


def _report(api: Client, ended: Import, *, as_json: bool) -> None:
    counts: dict[str, Any] = {
        "id": ended["id"],
        "state": ended["state"],
        "rows": ended["rows"],
        "accepted": ended["accepted"],
        "duplicate": ended["duplicate"],
        "invalid": ended["invalid"],
        "suppressed": ended["suppressed"],
    }
    if as_json:
        rejected = [dict(row) for row in api.imports.errors(ended["id"], page_size=1000)]
        print_json({**counts, "error": ended["error"], "rejected": rejected})
    else:
        print_one(counts, as_json=False)
        rejected = [dict(row) for row in islice(api.imports.errors(ended["id"]), SHOWN)]
        if rejected:
            typer.echo()
            print_rows(rejected, ["line", "column", "value", "reason"], as_json=False, nothing="")
        more = ended["duplicate"] + ended["invalid"] - len(rejected)
        if more > 0:
            remark(f"… and {more:,} more; --json lists them all, `dialer import errors` as CSV.")
    if ended["state"] == "FAILED":
        raise CommandError(f"The import stopped: {ended['error']}")
