"""How a command comes to an engine: near, beside its database, or afar, by its API (`--url`).

Both are the client of `/v1`. Near, the API is answered in this process, and everybody's things may be named; afar, one
account asks with its key. So a command is written once.
"""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dialer.cli.database import database, find_account
from dialer.cli.errors import CommandError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from dialer.client import Client
    from dialer.store.tables import AnyRow

ACCOUNT, KEY = "DIALER_ACCOUNT", "DIALER_KEY"
_ACCOUNT_ID = re.compile(r"AC[A-Za-z0-9]{1,14}", re.ASCII)

#: Where each thing that has an id of its own stands, and what shows all of them.
_TABLES = {
    "campaign": ("campaign", "dialer campaign list"),
    "call": ("call", "dialer call list"),
    "callback": ("call", "dialer callback list"),
    "import": ("import_", "dialer import list"),
    "verification": ("verification", "dialer verification list"),
    "webhook": ("webhook_endpoint", "dialer webhook list"),
    "delivery": ("webhook_delivery", "dialer webhook deliveries"),
}

Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="DIALER_URL", help="Ask the API at this address, with the key in DIALER_KEY."
    ),
]
Account = Annotated[
    str | None,
    typer.Option("--account", help="Whose: id or name. With --url the id, or DIALER_ACCOUNT."),
]
#: Finds the account that a thing belongs to, by its row.
Owner = Callable[["Engine"], "AnyRow"]


@contextmanager
def reach(url: str | None, account: str | None, owner: Owner | None = None) -> Iterator[Client]:
    """The engine as one account sees it: the one that is named, else near the one that `owner` finds, or the only one.

    `CommandError` when it is not said whose things are meant, or afar when no key is shown.
    """
    if url is not None:
        with _afar(url, account) as api:
            yield api
        return
    with database() as engine:
        if account is not None or owner is None:
            found = _only_account(engine) if account is None else find_account(engine, account)
        else:
            found = owner(engine)
        with near(engine, found) as api:
            yield api


def owner_of(what: str, thing_id: str) -> Owner:
    """The account of the campaign, call … with this id. `CommandError` when there is none."""

    def find(engine: Engine) -> AnyRow:
        import sqlalchemy as sa

        from dialer.db import reading
        from dialer.store import tables

        name, listing = _TABLES[what]
        table: sa.Table = getattr(tables, name)
        statement = (
            sa.select(tables.account)
            .join(table, table.c.account_id == tables.account.c.id)
            .where(table.c.id == thing_id)
        )
        with reading(engine) as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise CommandError(f"There is no {what} {thing_id}: `{listing}` shows them.")
        return row

    return find


def reaching(what: str) -> Callable[[str | None, str | None, str], AbstractContextManager[Client]]:
    """The same as `reach`, as the account of a campaign, call … sees it, by the id that is given last."""
    return lambda url, account, thing_id: reach(url, account, owner_of(what, thing_id))


def owner_of_list(what: Literal["list", "DND list"], list_: str) -> Owner:
    """The account of the list, or DND list, of this id or name. `CommandError` when there is none, or several."""

    def find(engine: Engine) -> AnyRow:
        import sqlalchemy as sa

        from dialer.db import reading
        from dialer.store import tables

        table = tables.contact_list if what == "list" else tables.dnd_list
        statement = (
            sa.select(tables.account, table.c.id.label("list_id"))
            .join(table, table.c.account_id == tables.account.c.id)
            .where(sa.or_(table.c.id == list_, table.c.name == list_), table.c.deleted_at.is_(None))
        )
        with reading(engine) as connection:
            found = connection.execute(statement).all()
        found = [row for row in found if row.list_id == list_] or found
        if len(found) > 1:
            raise CommandError(f"Several accounts have a {what} named {list_}: say whose with --account.")
        if not found:
            raise CommandError(no_list(what, list_))
        return found[0]

    return find


def list_id(api: Client, list_: str) -> str:
    """The id of the account's list of this id or name. `CommandError` when there is none."""
    found = [one["id"] for one in api.lists.list() if list_ in (one["id"], one["name"])]
    if not found:
        raise CommandError(no_list("list", list_))
    return list_ if list_ in found else found[0]


def dnd_list_id(api: Client, list_: str) -> str:
    """The same of a DND list; `global` is the account's global one."""
    found = [one["id"] for one in api.dnd_lists.list() if list_ in (one["id"], one["name"])]
    if not found:
        raise CommandError(no_list("DND list", list_))
    return list_ if list_ in found else found[0]


@contextmanager
def reach_list(
    what: Literal["list", "DND list"], url: str | None, account: str | None, list_: str
) -> Iterator[tuple[Client, str]]:
    """The same as `reach`, as the account of this list, or DND list, sees it; and the list's id."""
    with reach(url, account, owner_of_list(what, list_)) as api:
        yield api, (list_id if what == "list" else dnd_list_id)(api, list_)


def no_list(what: str, list_: str) -> str:
    """That there is no such list."""
    noun = "dnd" if what == "DND list" else "list"
    return f"There is no {what} {list_}: check its id or name; `dialer {noun} list` shows them."


@contextmanager
def near(engine: Engine, account: AnyRow) -> Iterator[Client]:
    """The engine beside its database, as this account sees it, with all that the operator may do."""
    from dialer.api.operator import operators_app
    from dialer.cli.in_process import InProcess
    from dialer.client import Client
    from dialer.settings import get_settings

    app = operators_app(engine, get_settings(), account)
    with Client("http://here", account.id, "operator", transport=InProcess(app)) as api:
        yield api


@contextmanager
def _afar(url: str, account: str | None) -> Iterator[Client]:
    from dialer.client import Client

    account, key = account or os.environ.get(ACCOUNT, ""), os.environ.get(KEY, "")
    if not account:
        raise CommandError(f"--url asks as one account: name it with --account AC…, or in {ACCOUNT}.")
    if not _ACCOUNT_ID.fullmatch(account):
        raise CommandError(f"With --url an account is named by its id, AC…, and {account} is none.")
    if not key:
        raise CommandError(f"{KEY} is not set: put a key of the account there.")
    try:
        made = Client(url, account, key)
    except ValueError as error:
        raise CommandError(f"The API cannot be asked: {error}") from None
    with made as api:
        yield api


def _only_account(engine: Engine) -> AnyRow:
    from dialer.db import reading
    from dialer.store import accounts

    with reading(engine) as connection:
        found = accounts.every(connection)
    if len(found) == 1:
        return found[0]
    if found:
        raise CommandError("There are several accounts: say which with --account NAME.")
    raise CommandError("There is no account yet: `dialer account create NAME` makes one.")
