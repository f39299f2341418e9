"""`dialer template`: the texts that one-time passwords are spoken in."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

import typer

from dialer.cli.database import database, find_account
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_one, print_rows, remark

app = typer.Typer(no_args_is_help=True, help="Announce templates: the texts of one-time passwords.")

_SHOWN = ["id", "text", "created_at"]
_ID = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name or id.")]


@app.command()
def add(
    account: Account,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="With {otp} where the password is spoken, digit by digit.")
    ],
    id_: Annotated[
        str | None,
        typer.Option("--id", help="The id that an app uses already, such as AN2222314c96 [default: new]."),
    ] = None,
    json: Json = False,
) -> None:
    """Approve a text for an account's one-time passwords.

    Prints the id, which the app sends as announce_template_id.
    """
    from sqlalchemy.exc import IntegrityError

    from dialer import ids
    from dialer.calls.otp import check_template
    from dialer.campaigns.template import TemplateError
    from dialer.db import writing
    from dialer.errors import FieldError
    from dialer.store import announce_templates

    if id_ is not None and not _ID.fullmatch(id_):
        raise typer.BadParameter("an id has 1 to 16 letters and digits.", param_hint="--id")
    try:
        check_template(text.strip())
    except (FieldError, TemplateError) as error:
        raise typer.BadParameter(str(error).replace("announcement_text", "TEXT"), param_hint="TEXT") from None
    row = {"id": id_ or ids.announce_template_id(), "text": text.strip(), "created_at": datetime.now(UTC)}
    with database() as engine:
        found = find_account(engine, account)
        try:
            with writing(engine) as connection:
                announce_templates.add(connection, {"account_id": found.id, **row})
        except IntegrityError:
            raise CommandError(
                f"Account {found.name} has a template {row['id']} already: choose another --id, or remove it first."
            ) from None
    print_one(row, as_json=json)


@app.command("list")
def list_(account: Account, json: Json = False) -> None:
    """List the templates of an account."""
    from dialer.db import reading
    from dialer.store import announce_templates

    with database() as engine:
        found = find_account(engine, account)
        with reading(engine) as connection:
            rows = [
                {column: getattr(row, column) for column in _SHOWN}
                for row in announce_templates.of_account(connection, found.id)
            ]
    print_rows(
        rows,
        _SHOWN,
        as_json=json,
        nothing=f"Account {found.name} has no template yet: `dialer template add` makes one.",
    )


@app.command()
def remove(
    account: Account, template: Annotated[str, typer.Argument(metavar="ID", help="The template's id.")]
) -> None:
    """Remove a template; calls asked for already keep their text."""
    from dialer.db import writing
    from dialer.store import announce_templates

    with database() as engine:
        found = find_account(engine, account)
        with writing(engine) as connection:
            removed = announce_templates.remove(connection, found.id, template)
    if not removed:
        raise CommandError(f"Account {found.name} has no template {template[:40]}.")
    remark(f"Template {template} is removed.")
