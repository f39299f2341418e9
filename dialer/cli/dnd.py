"""`dialer dnd`: DND lists and their numbers. `dialer import dnd` fills one from a file."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from dialer.cli import answers
from dialer.cli.answers import MOST, Limit, show_all
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_json, remark
from dialer.cli.reach import Account, Url, reach, reach_list

app = typer.Typer(no_args_is_help=True, help="DND lists: numbers never to dial.")
_reach = partial(reach_list, "DND list")

ListName = Annotated[
    str, typer.Argument(metavar="LIST", help="The DND list's id or name; global: the account's global one.")
]
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A name that no other DND list of the account has.")
]
Numbers = Annotated[list[str], typer.Argument(metavar="NUMBER…", help="One number or several.")]


@app.command()
def create(name: Name, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Make a DND list, for campaigns to choose."""
    with reach(url, account) as api:
        made = api.dnd_lists.create(name)
    answers.show(made, as_json=json)


@app.command("list")
def list_all(limit: Limit = MOST, json: Json = False, url: Url = None, account: Account = None) -> None:
    """List an account's DND lists, by name."""
    with reach(url, account) as api:
        show_all(
            api.dnd_lists.list(),
            ["id", "name", "is_global", "changed_at", "created_at"],
            as_json=json,
            nothing="The account has no DND list.",
            limit=limit,
        )


@app.command()
def show(list_: ListName, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show a DND list, and how many numbers stand on it."""
    with _reach(url, account, list_) as (api, list_id):
        found = api.dnd_lists.get(list_id)
    answers.show(found, as_json=json)


@app.command()
def rename(list_: ListName, name: Name, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Give a DND list another name."""
    with _reach(url, account, list_) as (api, list_id):
        renamed = api.dnd_lists.rename(list_id, name)
    answers.show(renamed, as_json=json)


@app.command()
def delete(list_: ListName, url: Url = None, account: Account = None) -> None:
    """Delete a DND list: its numbers may be dialled again."""
    with _reach(url, account, list_) as (api, list_id):
        api.dnd_lists.delete(list_id)
    remark(f"DND list {list_} is deleted.")


@app.command("numbers")
def numbers_(
    list_: ListName, limit: Limit = MOST, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """List the numbers on a DND list."""
    with _reach(url, account, list_) as (api, list_id):
        show_all(
            api.dnd_lists.numbers(list_id),
            ["number", "name", "created_at"],
            as_json=json,
            nothing="The DND list is empty: `dialer import dnd` fills it.",
            limit=limit,
        )


@app.command()
def add(
    list_: ListName, numbers: Numbers, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """Put numbers onto a DND list: they are not dialled."""
    with _reach(url, account, list_) as (api, list_id):
        added = api.dnd_lists.add_numbers(list_id, [{"number": one} for one in numbers])
    answers.show(added, as_json=json)


@app.command()
def check(
    list_: ListName, numbers: Numbers, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """Tell which numbers stand on a DND list."""
    with _reach(url, account, list_) as (api, list_id):
        found = api.dnd_lists.check(list_id, numbers)
    show_all(found, ["number", "listed", "reason"], as_json=json, nothing="")


@app.command()
def remove(
    list_: ListName, numbers: Numbers, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """Take numbers off a DND list: they may be dialled again.

    Only for who has asked to be called.
    """
    with _reach(url, account, list_) as (api, list_id):
        looked_up = api.dnd_lists.check(list_id, numbers)
        for place, one in enumerate(looked_up, 1):
            if one["number"] is None:
                raise CommandError(f"NUMBER {place} is no phone number ({one.get('reason')}): correct it.")
        listed = {one["number"]: None for one in looked_up if one["listed"] and one["number"]}
        for number in listed:
            api.dnd_lists.remove_number(list_id, number)
    if json:
        print_json({"dnd_list_id": list_id, "removed": len(listed)})
    else:
        remark(f"{len(listed)} of {len(numbers)} numbers stood on {list_} and are off it.")
