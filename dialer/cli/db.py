"""`dialer db`: the schema's version."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import typer

from dialer.cli.database import any_database
from dialer.cli.output import Json, print_one, print_rows, remark

app = typer.Typer(no_args_is_help=True, help="The database's schema.")


@app.command()
def upgrade() -> None:
    """Bring the schema to what this version needs."""
    from dialer import schema

    with any_database() as engine:
        before = schema.current(engine)
        schema.upgrade(engine)
        after = schema.current(engine)
    if before == after:
        remark(f"The schema is at revision {after}, as this version needs it.")
    else:
        remark(f"The schema went from {before or 'nothing'} to revision {after}.")


@app.command()
def current(json: Json = False) -> None:
    """Show the schema's revision and the needed one."""
    from dialer import schema

    with any_database() as engine:
        found, needed = schema.current(engine), schema.head()
    print_one({"revision": found, "needed": needed, "is_current": found == needed}, as_json=json)


@app.command()
def check(json: Json = False) -> None:
    """Compare the database with what this version needs.

    Exit code 1 when they differ.
    """
    from dialer import schema

    with any_database() as engine:
        found, needed = schema.current(engine), schema.head()
        problems = (
            [
                f"The schema is at revision {found or 'none'}, this version needs {needed}: run `dialer db upgrade`."
            ]
            if found != needed
            else schema.differences(engine)
        )
    print_rows(
        [{"problem": problem} for problem in problems],
        ["problem"],
        as_json=json,
        nothing=f"The schema is at revision {needed}, as this version needs it.",
    )
    if problems:
        raise typer.Exit(1)
