"""`dialer template`: texts that are approved before anybody hears them."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from dialer.cli.answers import given, show_all, timed
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_one, remark
from dialer.cli.reach import Url, reach

if TYPE_CHECKING:
    from dialer.client import Client

app = typer.Typer(no_args_is_help=True, help="Templates: texts approved before they are heard.")

_SHOWN = ["id", "text", "state", "reason", "created_at"]
_ID = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)

Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account's name or id; with --url its id.")
]
TemplateId = Annotated[str, typer.Argument(metavar="ID", help="The template's id.")]


@app.command()
def add(
    account: Account,
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="With {fields}; for passwords {otp} alone, where it is spoken, digit by digit.",
        ),
    ],
    id_: Annotated[
        str | None,
        typer.Option("--id", help="The id that an app uses already, such as AN2222314c96 [default: new]."),
    ] = None,
    pending: Annotated[
        bool, typer.Option("--pending", help="To be approved later: until then nobody can use it.")
    ] = False,
    json: Json = False,
    url: Url = None,
) -> None:
    """Add a text to an account, approved.

    Prints the id, which the app sends as announce_template_id.
    """
    from dialer.campaigns.template import Template, TemplateError
    from dialer.client import ConflictError, ForbiddenError

    if id_ is not None and not _ID.fullmatch(id_):
        raise typer.BadParameter("an id has 1 to 16 letters and digits.", param_hint="--id")
    try:
        Template.compile(text.strip(), "TEXT")
    except TemplateError as error:
        raise typer.BadParameter(str(error), param_hint="TEXT") from None
    if not text.strip():
        raise typer.BadParameter("a template needs a text.", param_hint="TEXT")
    with reach(url, account) as api:
        try:
            made = api.templates.create(text=text.strip(), **given(id=id_))
        except ConflictError:
            raise CommandError(
                f"Account {account} has a template {id_} already: choose another --id, or remove it first."
            ) from None
        why_pending = None
        if not pending:
            try:
                made = api.templates.approve(made["id"])
            except ForbiddenError as error:
                why_pending = error.detail
    print_one({name: timed(made)[name] for name in _SHOWN}, as_json=json)
    if why_pending is not None:
        remark(f"It is not approved yet. {why_pending}")


@app.command("list")
def list_(account: Account, json: Json = False, url: Url = None) -> None:
    """List the templates of an account."""
    with reach(url, account) as api:
        rows = [{name: one[name] for name in _SHOWN} for one in map(dict, api.templates.list())]
    nothing = f"Account {account} has no template yet: `dialer template add` makes one."
    show_all(rows, _SHOWN, as_json=json, nothing=nothing)


@app.command()
def show(account: Account, template: TemplateId, json: Json = False, url: Url = None) -> None:
    """Show a template, with its fields."""
    with _known(url, account, template) as api:
        found = api.templates.get(template)
    print_one(timed(found), as_json=json)


@app.command()
def approve(account: Account, template: TemplateId, url: Url = None) -> None:
    """Approve a template: it may be used from now on."""
    with _known(url, account, template) as api:
        api.templates.approve(template)
    remark(f"Template {template} is approved.")


@app.command()
def reject(
    account: Account,
    template: TemplateId,
    reason: Annotated[str, typer.Option(help="Why, for who made it.")] = "",
    url: Url = None,
) -> None:
    """Reject a template: it may not be used from now on.

    Calls asked for already keep their text.
    """
    with _known(url, account, template) as api:
        api.templates.reject(template, reason=reason.strip())
    remark(f"Template {template} is rejected.")


@app.command()
def remove(account: Account, template: TemplateId, url: Url = None) -> None:
    """Remove a template; calls asked for already keep their text."""
    with _known(url, account, template) as api:
        api.templates.remove(template)
    remark(f"Template {template} is removed.")


@contextmanager
def _known(url: str | None, account: str, template: str) -> Iterator[Client]:
    from dialer.client import NotFoundError

    with reach(url, account) as api:
        try:
            yield api
        except NotFoundError:
            raise CommandError(f"Account {account} has no template {template[:40]}.") from None
