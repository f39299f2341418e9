"""`dialer callback`: two people who are connected at a chosen time."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dialer.cli import answers
from dialer.cli.answers import MOST, Body, IdempotencyKey, Limit, given, read_body, show_all
from dialer.cli.output import Json
from dialer.cli.reach import Account, Url, reach, reaching

app = typer.Typer(no_args_is_help=True, help="Callbacks: two people connected at a chosen time.")
_reach = reaching("callback")

CallbackId = Annotated[str, typer.Argument(metavar="ID", help="The callback's id.")]
At = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="When: 2026-09-25T14:00:00Z, or with --time-zone '2026-09-25 14:00:00' on the clocks there.",
    ),
]
TimeZone = Annotated[str | None, typer.Option(help="IANA name, such as Asia/Kolkata.")]


@app.command()
def create(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="Who is rung first.")],
    destination: Annotated[str, typer.Argument(metavar="NUMBER", help="Whom they are connected with.")],
    caller_id: Annotated[str, typer.Option(help="The number that both see.")],
    at: At = None,
    time_zone: TimeZone = None,
    record: Annotated[bool, typer.Option("--record", help="Record what is said.")] = False,
    idempotency_key: IdempotencyKey = None,
    body: Body = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Have two people connected at a chosen time.

    What each of them hears first is given by --body, `{"prompts": {"agent": {"say": "…"}}}`.
    """
    if at is None:
        raise typer.BadParameter("say when.", param_hint="--at")
    wanted: dict[str, Any] = {
        **read_body(body),
        "agent_number": agent,
        "destination_number": destination,
        "caller_id": caller_id,
        **given(record=record or None),
        **_time(at, time_zone),
    }
    with reach(url, account) as api:
        made = api.callbacks.create(idempotency_key=idempotency_key, **wanted)
    answers.show(made, as_json=json)


@app.command("list")
def list_all(limit: Limit = MOST, json: Json = False, url: Url = None, account: Account = None) -> None:
    """List an account's callbacks, the newest first."""
    with reach(url, account) as api:
        show_all(
            api.callbacks.list(),
            ["id", "state", "at", "time_zone", "agent_number", "destination_number", "disposition"],
            as_json=json,
            nothing="There is no callback yet.",
            limit=limit,
        )


@app.command()
def show(callback_id: CallbackId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show a callback."""
    with _reach(url, account, callback_id) as api:
        found = api.callbacks.get(callback_id)
    answers.show(found, as_json=json)


@app.command()
def change(
    callback_id: CallbackId,
    agent: Annotated[str | None, typer.Option(metavar="NUMBER", help="Who is rung first.")] = None,
    destination: Annotated[
        str | None, typer.Option(metavar="NUMBER", help="Whom they are connected with.")
    ] = None,
    caller_id: Annotated[str | None, typer.Option(help="The number that both see.")] = None,
    at: At = None,
    time_zone: TimeZone = None,
    record: Annotated[bool | None, typer.Option("--record/--no-record", help="Record what is said.")] = None,
    body: Body = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Move or change a callback that has not been dialled."""
    changes = read_body(body) | given(
        agent_number=agent, destination_number=destination, caller_id=caller_id, record=record
    )
    changes |= _time(at, time_zone)
    if not changes:
        raise typer.BadParameter("name what is to change, such as --at.", param_hint="ID")
    with _reach(url, account, callback_id) as api:
        changed = api.callbacks.change(callback_id, **changes)
    answers.show(changed, as_json=json)


@app.command()
def cancel(callback_id: CallbackId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Cancel a callback that has not been dialled."""
    with _reach(url, account, callback_id) as api:
        cancelled = api.callbacks.delete(callback_id)
    answers.show(cancelled, as_json=json)


def _time(at: str | None, time_zone: str | None) -> dict[str, Any]:
    return given(at=at) if time_zone is None else given(at_local=at, time_zone=time_zone)
