"""`dialer call`: single calls, and what became of calls."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from dialer.cli import answers
from dialer.cli.answers import MOST, Body, IdempotencyKey, Limit, given, pairs, read_body, show_all
from dialer.cli.errors import CommandError
from dialer.cli.options import spread
from dialer.cli.output import Json, print_json
from dialer.cli.reach import Account, Url, owner_of, reach, reaching

app = typer.Typer(no_args_is_help=True, help="Calls, and what became of them.")
_reach = reaching("call")

CallId = Annotated[str, typer.Argument(metavar="ID", help="The call's id.")]


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """How the two of a `click_to_call` are connected."""

    connect_to: Annotated[str | None, typer.Option(help="Of a click_to_call: with whom.")] = None
    say: Annotated[
        str | None, typer.Option(help="… a text that who is rung first hears before they are connected.")
    ] = None
    play: Annotated[str | None, typer.Option(help="… or a recorded file, by the provider's name for it.")] = (
        None
    )
    connect_say: Annotated[str | None, typer.Option(help="… a text that --connect-to hears.")] = None
    connect_play: Annotated[str | None, typer.Option(help="… or a recorded file.")] = None
    also: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NUMBER", help="… a further number that is rung, one after the other. Repeatable."
        ),
    ] = None
    at_once: Annotated[bool, typer.Option("--at-once", help="… all numbers are rung at once.")] = False
    ring: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="… for how long each number is rung, with --also.")
    ] = None
    max_seconds: Annotated[int | None, typer.Option(help="… how long they may talk at most.")] = None
    record: Annotated[bool, typer.Option("--record", help="… what is said is recorded.")] = False

    def fields(self, body: dict[str, Any]) -> dict[str, Any]:
        """The fields of a call, with what a body of the API says of prompts and ringing."""
        ring = dict(body.get("ring") or {})
        if self.also:
            ring["also"] = [{"number": one, **given(seconds=self.ring)} for one in self.also]
        if (self.at_once or self.ring is not None) and "also" not in ring:
            raise typer.BadParameter("it goes with --also.", param_hint="--ring or --at-once")
        ring |= given(seconds=self.ring, at_once=self.at_once or None)
        prompts = dict(body.get("prompts") or {})
        prompts |= given(
            to=given(say=self.say, play=self.play) or None,
            connect_to=given(say=self.connect_say, play=self.connect_play) or None,
        )
        return given(
            connect_to=self.connect_to,
            prompts=prompts or None,
            ring=ring or None,
            max_seconds=self.max_seconds,
            record=self.record or None,
        )


@app.command()
@spread
def create(
    purpose: Annotated[
        str,
        typer.Argument(metavar="PURPOSE", help="otp, click_to_call, transactional or announcement."),
    ],
    to: Annotated[str, typer.Argument(metavar="NUMBER", help="Whom to ring.")],
    from_: Annotated[str | None, typer.Option("--from", help="The number that they see.")] = None,
    message: Annotated[str | None, typer.Option(help="What is said, with {variables}.")] = None,
    template: Annotated[str | None, typer.Option(metavar="ID", help="A template instead.")] = None,
    variable: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="For its places. Repeatable.")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Of an otp: voice, flash or sms.")] = None,
    talk: TalkOptions = TalkOptions(),
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="The only one that may carry it.")
    ] = None,
    time_zone: Annotated[
        str | None, typer.Option(help="IANA name of the callee's [default: told by the number].")
    ] = None,
    not_before: Annotated[str | None, typer.Option(metavar="TIME", help="The earliest moment.")] = None,
    expires_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="From when it is not dialled any more.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Given back with it. Repeatable.")
    ] = None,
    idempotency_key: IdempotencyKey = None,
    body: Body = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Ask for a call.

    The code of an otp is given by --body, `{"code": "…"}`: a command line is seen by everybody on the machine.
    """
    told = read_body(body)
    wanted: dict[str, Any] = {
        **told,
        **talk.fields(told),
        **given(
            purpose=purpose,
            to=to,
            from_=from_,
            message=message,
            template_id=template,
            variables=pairs("--variable", variable) or None,
            channel=channel,
            provider=provider,
            time_zone=time_zone,
            not_before=not_before,
            expires_at=expires_at,
            metadata=pairs("--metadata", metadata) or None,
        ),
    }
    with reach(url, account) as api:
        taken = api.calls.create(idempotency_key=idempotency_key, **wanted)
    answers.show(taken, as_json=json)


@app.command("list")
def list_all(
    state: Annotated[list[str] | None, typer.Option(help="In any of these states. Repeatable.")] = None,
    purpose: Annotated[str | None, typer.Option(help="Such as otp; also campaign and callback.")] = None,
    to: Annotated[str | None, typer.Option(metavar="NUMBER", help="To this number.")] = None,
    campaign: Annotated[str | None, typer.Option(metavar="ID", help="Of this campaign.")] = None,
    created_from: Annotated[str | None, typer.Option(metavar="TIME", help="Made then or later.")] = None,
    created_before: Annotated[str | None, typer.Option(metavar="TIME", help="Made before then.")] = None,
    limit: Limit = MOST,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """List an account's calls, the newest first."""
    chosen = given(
        state=state,
        purpose=purpose,
        to=to,
        campaign_id=campaign,
        created_from=created_from,
        created_before=created_before,
    )
    owner = None if campaign is None else owner_of("campaign", campaign)
    with reach(url, account, owner) as api:
        show_all(
            api.calls.list(**chosen),
            ["id", "purpose", "state", "disposition", "to", "attempts", "due_at", "ended_at"],
            as_json=json,
            nothing="There is no such call.",
            limit=limit,
        )


@app.command()
def show(call_id: CallId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show a call, and where it stands."""
    with _reach(url, account, call_id) as api:
        found = api.calls.get(call_id)
    answers.show(found, as_json=json)


@app.command()
def attempts(call_id: CallId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show every dial of a call."""
    with _reach(url, account, call_id) as api:
        show_all(
            api.calls.attempts(call_id),
            ["id", "provider_id", "state", "disposition", "hangup_cause", "submitted_at", "ended_at", "billsec"],
            as_json=json,
            nothing="The call was not dialled yet.",
        )  # fmt: skip


@app.command()
def events(call_id: CallId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show what providers told of a call; --json as it came."""
    with _reach(url, account, call_id) as api:
        show_all(
            api.calls.events(call_id),
            ["id", "attempt_id", "provider_id", "received_at", "state", "error"],
            as_json=json,
            nothing="Nothing was told of it yet.",
        )


@app.command()
def cancel(call_id: CallId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Have a call not dialled (any more)."""
    with _reach(url, account, call_id) as api:
        cancelled = api.calls.cancel(call_id)
    answers.show(cancelled, as_json=json)


@app.command()
def batch(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help='JSON, `{"calls": […]}` with up to 1,000; - is stdin.')
    ],
    idempotency_key: IdempotencyKey = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Ask for many calls: all of them, or none."""
    calls = read_body(file).get("calls")
    if not isinstance(calls, list):
        raise CommandError(f'{file} holds no calls: write {{"calls": [{{"purpose": …}}, …]}}.')
    with reach(url, account) as api:
        taken = api.calls.create_many(calls, idempotency_key=idempotency_key)
    if json:
        print_json([dict(one) for one in taken])
    else:
        show_all(taken, ["id", "state", "due_at", "expires_at"], as_json=False, nothing="")
