"""`dialer account key`: further keys of an account, with scopes of their own."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from dialer.cli.answers import given, show, show_all
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_one, remark
from dialer.cli.reach import Url, reach

app = typer.Typer(no_args_is_help=True, help="Further keys of an account, with scopes.")

_SHOWN = ["id", "name", "scopes", "requests_per_minute", "created_at", "last_used_at", "revoked_at"]

Account = Annotated[str, typer.Argument(metavar="NAME", help="The account's name or id; with --url its id.")]

KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="The key's id, AK….")]


@app.command()
def create(
    account: Account,
    key_name: Annotated[str, typer.Argument(metavar="KEY_NAME", help="Whose key it is, for people.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do: read, call, campaign or admin. Repeatable.")
    ],
    requests_per_minute: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="Its own limit [default: the one of every key]."),
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Make a key and print it, this once."""
    from dialer import keys

    key_name, known = key_name.strip(), set(keys.Scope)
    if not 0 < len(key_name) <= keys.LONGEST_NAME or not key_name.isprintable():
        raise typer.BadParameter(
            f"a key needs a name of 1 to {keys.LONGEST_NAME} printable characters.", param_hint="KEY_NAME"
        )
    if unknown := [one for one in scope if one not in known]:
        raise typer.BadParameter(
            f"{unknown[0]} is no scope: use read, call, campaign or admin.", param_hint="--scope"
        )
    with reach(url, account) as api:
        wanted = given(name=key_name, scopes=scope, requests_per_minute=requests_per_minute)
        made = api.keys.create(**wanted)
        account_id = api.account.get()["id"]
    shown = {"id": made["id"], "name": made["name"], "account_id": account_id, "key": made["key"]}
    print_one(shown, as_json=json)
    remark("Keep the key now: it is shown this once, and only its hash is stored.")


@app.command("list")
def list_(account: Account, json: Json = False, url: Url = None) -> None:
    """List an account's further keys.

    Revoked ones too, never the keys themselves.
    """
    with reach(url, account) as api:
        found = api.keys.list()
    nothing = "The account has no key but its own: `dialer account key create` makes one."
    show_all(found, _SHOWN, as_json=json, nothing=nothing)


@app.command("show")
def show_one(account: Account, key_id: KeyId, json: Json = False, url: Url = None) -> None:
    """Show a key, and when it was last used; never the key itself."""
    with reach(url, account) as api, _known(key_id):
        found = api.keys.get(key_id)
    show(found, as_json=json)


@app.command()
def change(
    account: Account,
    key_id: KeyId,
    name: Annotated[str | None, typer.Option(help="Whose key it is, for people.")] = None,
    requests_per_minute: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000, help="Its own limit; 0: the one of every key."),
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Change a key's name or limit; what it may do stays."""
    changes = given(name=name, requests_per_minute=requests_per_minute)
    if not changes:
        raise typer.BadParameter("say what is to change.", param_hint="--name, --requests-per-minute")
    if requests_per_minute == 0:
        changes["requests_per_minute"] = None
    with reach(url, account) as api, _known(key_id):
        changed = api.keys.change(key_id, **changes)
    show(changed, as_json=json)


@app.command()
def revoke(account: Account, key_id: KeyId, json: Json = False, url: Url = None) -> None:
    """Void a key at once; one that is revoked stays so."""
    with reach(url, account) as api, _known(key_id):
        revoked = api.keys.revoke(key_id)
    show(revoked, as_json=json)


@contextmanager
def _known(key_id: str) -> Iterator[None]:
    from dialer.client import NotFoundError

    try:
        yield
    except NotFoundError:
        raise CommandError(
            f"The account has no key {key_id}: `dialer account key list` shows them."
        ) from None
