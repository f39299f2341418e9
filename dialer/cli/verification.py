"""`dialer verification`: codes that are brought to a number and told back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dialer.cli import answers
from dialer.cli.answers import MOST, Body, Limit, given, read_body, show_all
from dialer.cli.output import Json, remark
from dialer.cli.reach import Account, Url, reach, reaching

app = typer.Typer(no_args_is_help=True, help="Verifications: codes brought to a number and told back.")
_reach = reaching("verification")

VerificationId = Annotated[str, typer.Argument(metavar="ID", help="The verification's id.")]
_COLUMNS = ["id", "number", "country", "state", "channel", "sends_left", "checks_left", "expires_at"]


@app.command()
def begin(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Whose it is said to be.")],
    channel: Annotated[
        list[str] | None, typer.Option(help="flash, voice or sms, in the order in which they are tried.")
    ] = None,
    lifetime: Annotated[int | None, typer.Option(help="Seconds for which the code is good.")] = None,
    caller_id: Annotated[str | None, typer.Option(help="What voice calls show.")] = None,
    template: Annotated[str | None, typer.Option(metavar="ID", help="The template that is said.")] = None,
    body: Body = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Bring a code to a number."""
    wanted: dict[str, Any] = {
        **read_body(body),
        **given(
            number=number,
            channels=[{"channel": one} for one in channel or ()],
            lifetime=lifetime,
            caller_id=caller_id,
            template_id=template,
        ),
    }
    with reach(url, account) as api:
        begun = api.verifications.begin(**wanted)
    answers.show(begun, as_json=json)


@app.command("list")
def list_all(
    state: Annotated[str | None, typer.Option(help="Only those in it, such as PENDING.")] = None,
    limit: Limit = MOST,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """List an account's verifications, the newest first."""
    chosen = given(state=state)
    with reach(url, account) as api:
        show_all(
            api.verifications.list(**chosen),
            _COLUMNS,
            as_json=json,
            nothing="There is no such verification.",
            limit=limit,
        )


@app.command()
def show(
    verification_id: VerificationId, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """Show a verification, never its code."""
    with _reach(url, account, verification_id) as api:
        found = api.verifications.get(verification_id)
    answers.show(found, as_json=json)


@app.command()
def check(
    verification_id: VerificationId,
    code: Annotated[str, typer.Argument(metavar="CODE", help="What they told.")],
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Tell whether this is the code; exit code 1 when it is not."""
    with _reach(url, account, verification_id) as api:
        checked = api.verifications.check(verification_id, code)
    answers.show(checked, as_json=json)
    if not checked["valid"]:
        remark("This is not the code.")
        raise typer.Exit(1)


@app.command()
def resend(
    verification_id: VerificationId,
    channel: Annotated[str | None, typer.Option(help="By this channel [default: the next].")] = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Bring the code again."""
    how = given(channel=channel)
    with _reach(url, account, verification_id) as api:
        sent = api.verifications.resend(verification_id, **how)
    answers.show(sent, as_json=json)


@app.command()
def cancel(
    verification_id: VerificationId, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """End a verification: no code confirms it any more."""
    with _reach(url, account, verification_id) as api:
        cancelled = api.verifications.cancel(verification_id)
    answers.show(cancelled, as_json=json)


@app.command()
def statistics(
    hours: Annotated[int | None, typer.Option(help="Of the last so many hours.")] = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Tell how many were confirmed, by country."""
    with reach(url, account) as api:
        found = api.verifications.statistics(hours=hours)
    if json:
        answers.show(found, as_json=True)
        return
    rows = [{"country": one["country"], **one["states"]} for one in found["totals"]]
    states = sorted({state for one in found["totals"] for state in one["states"]})
    show_all(rows, ["country", *states], as_json=False, nothing="No verification began since then.")
