"""`dialer inbound`: what becomes of people who call an account's numbers."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from dialer.cli.database import database, find_account
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_one, print_rows, remark
from dialer.store.tables import AnyRow

app = typer.Typer(no_args_is_help=True, help="Calls that come in: what becomes of people who call back.")

_SHOWN = ["e164", "account_id", "action", "numbers", "text", "media", "ring_seconds", "record"]

Account = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name or id.")]
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The number that people call.")]


@app.command()
def add(
    account: Account,
    number: Number,
    connect: Annotated[
        list[str] | None,
        typer.Option(help="Connect with this number; more than one are rung one after the other."),
    ] = None,
    at_once: Annotated[bool, typer.Option("--at-once", help="Ring all of them at once.")] = False,
    call_back: Annotated[
        bool,
        typer.Option("--call-back", help="Hang up, call back, and connect with the number of --connect."),
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
    ring: Annotated[int, typer.Option(min=5, max=120, help="Seconds for which each number is rung.")] = 30,
    record: Annotated[bool, typer.Option("--record", help="Record what is said.")] = False,
    language: Annotated[str, typer.Option(help="The text's language.")] = "en-US",
    voice: Annotated[str, typer.Option(help="The voice that speaks it.")] = "Joanna",
    json: Json = False,
) -> None:
    """Say what becomes of calls to a number.

    Choose one: --connect, --call-back with --connect, --opt-out, --refuse, or --say or --play alone, after which the
    caller is hung up on. A number has one rule; its provider must be set to ask us.
    """
    from sqlalchemy.exc import IntegrityError

    from dialer.db import writing
    from dialer.store import inbound

    action = _action(bool(connect), at_once, call_back, opt_out, refuse, bool(say or play))
    if say and play:
        raise typer.BadParameter("give --say or --play, not both.", param_hint="--play")
    with database() as engine:
        found = find_account(engine, account)
        row: dict[str, Any] = {
            "e164": _e164(number, found, "NUMBER"),
            "account_id": found.id,
            "action": action,
            "numbers": [_e164(one, found, "--connect") for one in connect or []],
            "text": say,
            "media": play,
            "ring_seconds": ring,
            "language_code": language,
            "voice": voice,
            "record": record,
            "created_at": datetime.now(UTC),
        }
        try:
            with writing(engine) as connection:
                inbound.add_rule(connection, row)
                askers = _askers(connection, found.id)
        except IntegrityError:
            raise CommandError(
                f"That number has a rule already: `dialer inbound remove {account} {number}` takes it away."
            ) from None
        print_one({name: row[name] for name in _SHOWN}, as_json=json)
    if not askers and not json:
        remark(
            "No enabled provider of this account asks what becomes of calls that come in, so nobody will hear of "
            f"them yet (kinds that do: {', '.join(_asking_kinds())})."
        )


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Argument(metavar="[ACCOUNT]", help="Only this account's.")] = None,
    json: Json = False,
) -> None:
    """List what becomes of calls to which numbers."""
    from dialer.db import reading
    from dialer.store import inbound

    with database() as engine:
        account_id = None if account is None else find_account(engine, account).id
        with reading(engine) as connection:
            found = inbound.rules(connection, account_id)
    print_rows(
        [{name: getattr(row, name) for name in _SHOWN} for row in found],
        _SHOWN[:6],
        as_json=json,
        nothing="There is no rule: calls that come in are refused. `dialer inbound add ACCOUNT NUMBER` adds one.",
    )


@app.command()
def remove(account: Account, number: Number) -> None:
    """Take away what becomes of calls to a number.

    They are refused from then on.
    """
    from dialer.db import writing
    from dialer.store import inbound

    with database() as engine:
        found = find_account(engine, account)
        e164 = _e164(number, found, "NUMBER")
        with writing(engine) as connection:
            removed = inbound.remove_rule(connection, found.id, e164)
    if not removed:
        raise CommandError(
            f"That number has no rule of this account: `dialer inbound list {account}` shows them."
        )
    remark("Calls to that number are refused now.")


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
    if at_once and not connects:
        raise typer.BadParameter("it goes with --connect.", param_hint="--at-once")
    if refuse and says:
        raise typer.BadParameter("a call that is refused hears nothing.", param_hint="--refuse")
    if len(chosen) > 1:
        raise typer.BadParameter("choose one of --connect, --call-back, --opt-out and --refuse.")
    if not chosen and not says:
        raise typer.BadParameter(
            "say what is to happen: --connect, --call-back, --opt-out, --refuse, --say …"
        )
    return (chosen[0] if chosen else InboundAction.ANNOUNCE).value


def _e164(number: str, account: AnyRow, hint: str) -> str:
    from dialer.numbers import NumberError, to_e164
    from dialer.settings import get_settings

    try:
        return to_e164(number, account.default_region or get_settings().default_region)
    except NumberError as error:
        raise typer.BadParameter(error.reason, param_hint=hint) from None


def _askers(connection: Connection, account_id: str) -> list[str]:
    """The account's providers that ask what becomes of calls."""
    from dialer.store import providers

    kinds = set(_asking_kinds())
    return [row.name for row in providers.enabled(connection, account_id) if row.kind in kinds]


def _asking_kinds() -> list[str]:
    from dialer.providers.contract import Capability
    from dialer.providers.kinds import adapter_class, adapter_kinds

    return [kind for kind in adapter_kinds() if Capability.INBOUND in adapter_class(kind).capabilities]
