"""`dialer media`: an account's recorded files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dialer.cli import answers
from dialer.cli.answers import show_all
from dialer.cli.output import Json, remark
from dialer.cli.reach import Account, Url, reach

app = typer.Typer(no_args_is_help=True, help="Recorded files that campaigns play.")


@app.command()
def add(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="WAV, MP3 or Ogg."),
    ],
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Keep a recorded file, under its name."""
    with reach(url, account) as api:
        added = api.media.add(file)
    answers.show(added, as_json=json)


@app.command("list")
def list_all(json: Json = False, url: Url = None, account: Account = None) -> None:
    """List an account's recorded files, by name."""
    with reach(url, account) as api:
        show_all(
            api.media.list(), ["name", "bytes"], as_json=json, nothing="The account has no recorded file."
        )


@app.command()
def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The file's name.")],
    url: Url = None,
    account: Account = None,
) -> None:
    """Remove a recorded file."""
    with reach(url, account) as api:
        api.media.remove(name)
    remark(f"The file {name} is removed.")
