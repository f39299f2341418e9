"""`dialer inbound`: what becomes of people who call an account's numbers."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli import answers
from dialer.cli.answers import given
from dialer.cli.database import database
from dialer.cli.errors import CommandError
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
def set_(
    account: Account,
    number: Number,
    connect: Annotated[
        list[str] | None,
        typer.Option(help="Connect with this number; more than one are rung one after the other."),
    ] = None,
    at_once: Annotated[bool, typer.Option("--at-once", help="Ring all of them at once.")] = False,
    call_back: Annotated[
        bool,
        typer.Option(
            "--call-back",
            help="Hang up, call back, and connect with the first number of --connect that answers.",
        ),
    ] = False,
    opt_out: Annotated[
        bool,
        typer.Option("--opt-out", help="Put the caller on the account's global DND list, and hang up."),
    ] = False,
    refuse: Annotated[bool, typer.Option("--refuse", help="Refuse the call.")] = False,
    say: Annotated[str | None, typer.Option(help="A text that the caller hears first.")] = None,
    play: Annotated[
        str | None, typer.Option(help="A recorded file, by the provider's name for it, instead.")
    ] = None,
    answer_first: Annotated[
        bool,
        typer.Option(
            "--answer-first",
            help="Answer the call before they hear it; else the provider may play it unanswered.",
        ),
    ] = False,
    ring: Annotated[
        list[int] | None,
        typer.Option(
            min=5,
            max=120,
            help="Seconds for which each number is rung, 30 unless given, 60 with --at-once; given again for each "
            "--connect, of each by itself.",
        ),
    ] = None,
    greet_say: Annotated[str | None, typer.Option(help="A text that whoever picks up hears first.")] = None,
    greet_play: Annotated[
        str | None, typer.Option(help="A recorded file, by the provider's name for it, instead.")
    ] = None,
    back_say: Annotated[
        str | None,
        typer.Option(help="With --call-back: a text that the caller hears when they have picked up."),
    ] = None,
    back_play: Annotated[
        str | None, typer.Option(help="A recorded file, by the provider's name for it, instead.")
    ] = None,
    hide_caller: Annotated[
        bool, typer.Option("--hide-caller", help="Hide the caller's number from whoever is rung.")
    ] = False,
    press: Annotated[
        str | None,
        typer.Option(help="Keys that are pressed when a number has answered; w and W wait, as in W1w3151#."),
    ] = None,
    record: Annotated[bool, typer.Option("--record", help="Record what is said.")] = False,
    language: Annotated[str, typer.Option(help="The text's language.")] = "en-US",
    voice: Annotated[str, typer.Option(help="The voice that speaks it.")] = "Joanna",
    json: Json = False,
    url: Url = None,
) -> None:
    """Say what becomes of calls to a number.

    It takes the place of what was said before.

    Choose one: --connect, --call-back with --connect, --opt-out, --refuse, or --say or --play alone, after which the
    caller is hung up on. A number has one rule; its provider must be set to ask us.
    """
    if ring and len(ring) not in (1, len(connect or [])):
        raise typer.BadParameter("give it once, or once for each --connect.", param_hint="--ring")
    numbers: list[Any] = list(connect or [])
    if ring and len(ring) > 1:
        numbers = [{"number": one, "seconds": own} for one, own in zip(numbers, ring, strict=True)]
    rule: dict[str, Any] = {
        "action": _action(bool(connect), at_once, call_back, opt_out, refuse, bool(say or play)),
        "answer_first": answer_first,
        "hide_caller": hide_caller,
        "language": language,
        "voice": voice,
        "record": record,
    }
    more = given(
        numbers=numbers,
        ring_seconds=ring[0] if ring else None,
        say=say,
        play=play,
        greet_say=greet_say,
        greet_play=greet_play,
        back_say=back_say,
        back_play=back_play,
        press=press,
    )
    with reach(url, account) as api:
        made = api.inbound_rules.set(number, **rule, **more)
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


def _action(connects: bool, at_once: bool, call_back: bool, opt_out: bool, refuse: bool, says: bool) -> str:
    """The one action that the options choose."""
    from dialer.models.inbound import InboundAction

    chosen = [
        action
        for action, is_chosen in (
            (InboundAction.CALL_BACK, call_back),
            (InboundAction.OPT_OUT, opt_out),
            (InboundAction.REFUSE, refuse),
            (InboundAction.CONNECT_ALL if at_once else InboundAction.CONNECT, connects and not call_back),
        )
        if is_chosen
    ]
    if call_back and not connects:
        raise typer.BadParameter(
            "say with --connect whom the caller is to talk to.", param_hint="--call-back"
        )
    if at_once and (call_back or not connects):
        raise typer.BadParameter("it goes with --connect, and not with --call-back.", param_hint="--at-once")
    if len(chosen) > 1:
        raise typer.BadParameter("choose one of --connect, --call-back, --opt-out and --refuse.")
    if not chosen and not says:
        raise typer.BadParameter(
            "say what is to happen: --connect, --call-back, --opt-out, --refuse, --say …"
        )
    return (chosen[0] if chosen else InboundAction.ANNOUNCE).value


def _asking_kinds() -> list[str]:
    from dialer.providers.contract import Capability
    from dialer.providers.kinds import adapter_class, adapter_kinds

    return [kind for kind in adapter_kinds() if Capability.INBOUND in adapter_class(kind).capabilities]
