"""The command line: `dialer`, one noun per file.

Data goes to stdout (`--json` on every command that prints some), remarks, progress and logs to stderr. Exit codes:
0 done, 1 failed, 2 wrong usage. Every module imports what a command needs when it runs, so that `--help` is quick
and a missing package hinders only the commands that need it.
"""

from __future__ import annotations

from typing import Annotated

import typer

from dialer import __version__
from dialer.cli import (
    account,
    audit,
    call,
    callback,
    campaign_make,
    cdr,
    contact_list,
    db,
    demo,
    dnd,
    doctor,
    imports,
    inbound,
    media,
    processes,
    provider,
    provider_call,
    template,
    up,
    verification,
    webhook,
)
from dialer.cli.errors import Commands

app = typer.Typer(
    cls=Commands,
    name="dialer",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Campaign and dialer engine. `dialer demo` shows it at work; `dialer up` runs it here.",
)
app.command("demo")(demo.demo)
app.command("up")(up.up)
app.command("doctor")(doctor.doctor)
app.add_typer(db.app, name="db")
app.add_typer(account.app, name="account")
provider.app.command("call")(provider_call.call)
app.add_typer(provider.app, name="provider")
app.add_typer(template.app, name="template")
app.add_typer(campaign_make.app, name="campaign")
app.add_typer(contact_list.app, name="list")
app.add_typer(imports.app, name="import")
app.add_typer(dnd.app, name="dnd")
app.add_typer(media.app, name="media")
app.add_typer(call.app, name="call")
app.add_typer(callback.app, name="callback")
app.add_typer(verification.app, name="verification")
app.add_typer(cdr.app, name="cdr")
app.add_typer(inbound.app, name="inbound")
app.add_typer(webhook.app, name="webhook")
app.command("audit")(audit.audit)
for command in (
    processes.api,
    processes.worker,
    processes.scheduler,
    processes.flower,
    processes.sandbox,
):
    app.command(command.__name__)(command)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"dialer {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of `dialer` itself."""


def main() -> None:
    """The console script."""
    app(prog_name="dialer")
