"""`dialer list`: people to call. `dialer import contacts` fills a list from a file."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dialer.cli import answers
from dialer.cli.answers import MOST, Body, Limit, Numbers, contacts_in, show_all
from dialer.cli.output import Json, remark
from dialer.cli.reach import Account, Url, reach, reach_list

app = typer.Typer(no_args_is_help=True, help="Lists of people to call.")
_reach = partial(reach_list, "list")

ListName = Annotated[str, typer.Argument(metavar="LIST", help="The list's id or name.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="A name that no other list of the account has.")]


@app.command()
def create(name: Name, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Make a list."""
    with reach(url, account) as api:
        made = api.lists.create(name)
    answers.show(made, as_json=json)


@app.command("list")
def list_all(limit: Limit = MOST, json: Json = False, url: Url = None, account: Account = None) -> None:
    """List an account's lists, by name."""
    with reach(url, account) as api:
        show_all(
            api.lists.list(),
            ["id", "name", "contacts", "created_at"],
            as_json=json,
            nothing="The account has no list yet: `dialer list create` makes one.",
            limit=limit,
        )


@app.command()
def show(list_: ListName, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show a list, and how many of its contacts carry each field."""
    with _reach(url, account, list_) as (api, list_id):
        found = api.lists.get(list_id)
    answers.show(found, as_json=json)


@app.command()
def rename(list_: ListName, name: Name, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Give a list another name."""
    with _reach(url, account, list_) as (api, list_id):
        renamed = api.lists.rename(list_id, name)
    answers.show(renamed, as_json=json)


@app.command()
def delete(list_: ListName, url: Url = None, account: Account = None) -> None:
    """Delete a list with its contacts."""
    with _reach(url, account, list_) as (api, list_id):
        api.lists.delete(list_id)
    remark(f"List {list_} is deleted.")


@app.command()
def contacts(
    list_: ListName, limit: Limit = MOST, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """List the contacts of a list, as they are called."""
    with _reach(url, account, list_) as (api, list_id):
        show_all(
            api.lists.contacts(list_id),
            ["number", "name", "fields", "time_zone", "language"],
            as_json=json,
            nothing="The list is empty: `dialer import contacts` fills it.",
            limit=limit,
        )


@app.command()
def add(
    list_: ListName,
    numbers: Numbers = None,
    body: Body = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Add contacts to a list.

    Numbers alone, or with names and fields by --body, `{"contacts": […]}`.
    """
    wanted = contacts_in(body, numbers)
    with _reach(url, account, list_) as (api, list_id):
        added = api.lists.add_contacts(list_id, wanted)
    answers.show(added, as_json=json)


@app.command()
def remove(
    list_: ListName,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Whom to take off it.")],
    url: Url = None,
    account: Account = None,
) -> None:
    """Take a contact off a list, unless a campaign has taken them."""
    with _reach(url, account, list_) as (api, list_id):
        api.lists.remove_contact(list_id, number)
    remark(f"The contact is off the list {list_}.")
