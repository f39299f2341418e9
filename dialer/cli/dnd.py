"""`dialer dnd`: numbers on DND lists. `dialer import dnd` puts them there."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from dialer.cli.database import database, find_account
from dialer.cli.errors import CommandError
from dialer.cli.imports import Account, find_list
from dialer.cli.output import Json, print_json, remark

app = typer.Typer(no_args_is_help=True, help="Numbers on DND lists.")


@app.callback()
def _noun() -> None:
    """Else the only command would stand for all of them."""


@app.command()
def remove(
    list_: Annotated[str, typer.Argument(metavar="LIST", help="The DND list's id or name.")],
    numbers: Annotated[list[str], typer.Argument(metavar="NUMBER", help="Numbers to take off it.")],
    account: Account = None,
    json: Json = False,
) -> None:
    """Take numbers off a DND list: they may be dialled again.

    Only for who has asked to be called.
    """
    from dialer.db import writing
    from dialer.models import ImportKind
    from dialer.numbers import NumberError, to_e164
    from dialer.settings import get_settings
    from dialer.store import dnd

    with database() as engine:
        found = find_list(engine, ImportKind.DND, list_, account)
        region = find_account(engine, found.account_id).default_region or get_settings().default_region
        wanted = []
        for place, number in enumerate(numbers, 1):
            try:
                wanted.append(to_e164(number, region))
            except NumberError as error:
                raise CommandError(
                    f"NUMBER {place} is no phone number ({error.reason}): correct it."
                ) from None
        with writing(engine) as connection:
            removed = dnd.remove_numbers(connection, found.id, wanted, datetime.now(UTC))
    if json:
        print_json({"dnd_list_id": found.id, "removed": removed})
    else:
        remark(f"{removed} of {len(wanted)} numbers stood on {found.name} and are off it.")
