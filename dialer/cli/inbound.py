"""`dialer inbound`: what becomes of people who call an account's numbers."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli import answers
from dialer.cli.answers import given
from dialer.cli.database import database
from dialer.cli.errors import CommandError
from dialer.cli.inbound_options import ActionOptions, HeardOptions, RingOptions
from dialer.cli.options import spread
from dialer.cli.output import Json, remark
from dialer.cli.reach import Url, reach

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

app = typer.Typer(no_args_is_help=True, help="Calls that come in: what becomes of people who call back.")

_LISTED = ["number", "account_id", "action", "numbers", "say", "play", "set_at"]

Account = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="The account's name or id; with --url its id.")
]
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The number that people call.")]


@app.command("set")
@spread
def set_(
    account: Account,
    number: Number,
    what: ActionOptions,
    heard: HeardOptions,
    rung: RingOptions,
    json: Json = False,
    url: Url = None,
) -> None:
    """Say what becomes of calls to a number.

    It takes the place of what was said before.

    Choose one: --connect, --call-back with --connect, --opt-out, --refuse, or --say or --play alone, after which the
    caller is hung up on. A number has one rule; its provider must be set to ask us.
    """
    rule: dict[str, Any] = {
        **given(numbers=rung.numbers(what.connect or [])),
        "action": what.action(says=bool(heard.say or heard.play)),
        **heard.fields(),
        **rung.fields(),
    }
    with reach(url, account) as api:
        made = api.inbound_rules.set(number, **rule)
    answers.show(made, as_json=json)
    if json:
        return
    for name, why in made["unable"].items():
        remark(f"Should the number be at {name}, not all of that will be done. {why}")
    if not made["asked_by"]:
        remark(
            "No enabled provider of this account asks what becomes of calls that come in, so nobody will hear of "
            f"them yet (kinds that do: {', '.join(_asking_kinds())})."
        )


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Argument(metavar="[ACCOUNT]", help="Only this account's.")] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """List what becomes of calls to which numbers.

    Those of everybody, unless an account is named or asks.
    """
    if url is None and account is None:
        rows: Iterable[Mapping[str, Any]] = _everybodys()
    else:
        with reach(url, account) as api:
            account_id = api.account.get()["id"]
            rows = [{**one, "account_id": account_id} for one in api.inbound_rules.list()]
    answers.show_all(
        rows,
        _LISTED,
        as_json=json,
        nothing="There is no rule: calls that come in are refused. `dialer inbound set ACCOUNT NUMBER` makes one.",
    )


@app.command()
def show(account: Account, number: Number, json: Json = False, url: Url = None) -> None:
    """Show what becomes of calls to a number.

    And which providers would ask.
    """
    with reach(url, account) as api:
        found = api.inbound_rules.get(number)
    answers.show(found, as_json=json)


@app.command()
def remove(account: Account, number: Number, url: Url = None) -> None:
    """Take away what becomes of calls to a number.

    They are refused from then on.
    """
    from dialer.client import NotFoundError

    with reach(url, account) as api:
        try:
            api.inbound_rules.remove(number)
        except NotFoundError:
            raise CommandError(
                f"That number has no rule of this account: `dialer inbound list {account}` shows them."
            ) from None
    remark("Calls to that number are refused now.")


def _everybodys() -> list[dict[str, Any]]:
    """What no account can ask for."""
    from dialer.api.v1.inbound_rules import rule
    from dialer.db import reading
    from dialer.store import inbound

    with database() as engine, reading(engine) as connection:
        return [
            {**rule(row).model_dump(mode="json"), "account_id": row.account_id}
            for row in inbound.rules(connection)
        ]


def _asking_kinds() -> list[str]:
    from dialer.providers.contract import Capability
    from dialer.providers.kinds import adapter_class, adapter_kinds

    return [kind for kind in adapter_kinds() if Capability.INBOUND in adapter_class(kind).capabilities]
