"""`dialer webhook`: the addresses that accounts' apps are told at, and what was sent there."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli import answers
from dialer.cli.answers import MOST, Limit, given, show_all
from dialer.cli.database import database, note
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_one, remark
from dialer.cli.reach import Account, Url, owner_of, reach, reaching

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


app = typer.Typer(no_args_is_help=True, help="Outgoing webhooks of accounts.")
_reach = reaching("webhook")

_SHOWN = ["id", "account_id", "events", "enabled", "disabled_reason", "failing_since", "created_at"]

WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id.")]
DeliveryId = Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery's id.")]
Event = Annotated[
    list[str] | None,
    typer.Option(help="attempt.ended, call.ended or campaign.ended. Repeatable [default: all three]."),
]
Campaign = Annotated[list[str] | None, typer.Option(metavar="ID", help="Only of this campaign. Repeatable.")]
Description = Annotated[str | None, typer.Option(help="What it is, for people.")]
_EVENTS = ["attempt.ended", "call.ended", "campaign.ended"]


@app.command("list")
def list_(account: Account = None, json: Json = False, url: Url = None) -> None:
    """List webhooks and how they fare, without their addresses.

    Those of everybody, unless an account is named or asks.
    """
    columns = _SHOWN
    if url is None and account is None:
        rows: Iterable[Mapping[str, Any]] = _everybodys()
        columns = [*_SHOWN, "rest_until"]
    else:
        with reach(url, account) as api:
            account_id = api.account.get()["id"]
            rows = [{**one, "account_id": account_id} for one in api.webhooks.list()]
    shown = [{name: one[name] for name in columns} for one in rows]
    show_all(shown, columns, as_json=json, nothing="No app has a webhook.")


def _everybodys() -> list[dict[str, Any]]:
    """What no account can ask for."""
    from dialer.db import reading
    from dialer.store import webhooks

    with database() as engine, reading(engine) as connection:
        return [dict(row._mapping) for row in webhooks.every(connection)]


@app.command()
def add(
    address: Annotated[str, typer.Argument(metavar="URL", help="Where the app listens, https.")],
    event: Event = None,
    campaign: Campaign = None,
    description: Description = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Make a webhook and print its secret, this once."""
    wanted: dict[str, Any] = given(
        url=address, events=event or _EVENTS, campaign_ids=campaign, description=description
    )
    with reach(url, account) as api:
        made = api.webhooks.create(**wanted)
    answers.show(made, as_json=json)
    remark("Keep the secret now: it is shown this once.")


@app.command()
def show(webhook_id: WebhookId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show a webhook, without its secret."""
    with _reach(url, account, webhook_id) as api:
        found = api.webhooks.get(webhook_id)
    answers.show(found, as_json=json)


@app.command()
def change(
    webhook_id: WebhookId,
    address: Annotated[str | None, typer.Option(metavar="URL", help="Where the app listens now.")] = None,
    event: Event = None,
    campaign: Campaign = None,
    description: Description = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether anything is sent there.")
    ] = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Change a webhook; one that is enabled again begins anew."""
    changes = given(
        url=address, events=event, campaign_ids=campaign, description=description, enabled=enabled
    )
    if not changes:
        raise typer.BadParameter("name what is to change, such as --enable.", param_hint="ID")
    with _reach(url, account, webhook_id) as api:
        changed = api.webhooks.change(webhook_id, **changes)
    answers.show(changed, as_json=json)


@app.command()
def remove(webhook_id: WebhookId, url: Url = None, account: Account = None) -> None:
    """Remove a webhook: nothing is sent there any more."""
    with _reach(url, account, webhook_id) as api:
        api.webhooks.delete(webhook_id)
    remark(f"Webhook {webhook_id} is removed.")


@app.command("rotate-secret")
def rotate_secret(
    webhook_id: WebhookId, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """Make a new secret, and print it, this once.

    For 24 hours messages are signed with both.
    """
    with _reach(url, account, webhook_id) as api:
        made = api.webhooks.rotate_secret(webhook_id)
    answers.show(made, as_json=json)
    remark("Keep the secret now: it is shown this once.")


@app.command("test")
def try_out(webhook_id: WebhookId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Have a test message sent, at once."""
    with _reach(url, account, webhook_id) as api:
        sent = api.webhooks.test(webhook_id)
    answers.show(sent, as_json=json)


@app.command()
def deliveries(
    webhook_id: WebhookId,
    state: Annotated[str | None, typer.Option(help="Only those in it, such as FAILED.")] = None,
    limit: Limit = MOST,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """List what was sent to a webhook, the newest first."""
    chosen = given(state=state)
    with _reach(url, account, webhook_id) as api:
        show_all(
            api.webhooks.deliveries(webhook_id, **chosen),
            ["id", "event", "subject", "state", "tries", "response_status", "error", "created_at"],
            as_json=json,
            nothing="Nothing was sent there yet.",
            limit=limit,
        )


@app.command()
def delivery(delivery_id: DeliveryId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show a message that was sent, and what became of it."""
    with reach(url, account, owner_of("delivery", delivery_id)) as api:
        found = api.webhooks.delivery(delivery_id)
    answers.show(found, as_json=json)


@app.command()
def replay(delivery_id: DeliveryId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Send a message again, whatever became of it."""
    with reach(url, account, owner_of("delivery", delivery_id)) as api:
        sent = api.webhooks.replay(delivery_id)
    answers.show(sent, as_json=json)


@app.command("replay-failed")
def replay_failed(
    webhook_id: WebhookId,
    since: Annotated[str, typer.Option(metavar="TIME", help="What was made then or later.")],
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Send again what was given up since then."""
    replayed, more = 0, True
    with _reach(url, account, webhook_id) as api:
        while more:
            sent = api.webhooks.replay_failed(webhook_id, since)
            replayed, more = replayed + sent["replayed"], sent["more"]
    print_one({"replayed": replayed}, as_json=json)


@app.command()
def reseal(json: Json = False) -> None:
    """Seal all secrets anew with the first key.

    Before an old key is dropped from DIALER_SECRET_KEY.
    """
    from dialer.cli.provider import secret_box
    from dialer.db import writing
    from dialer.secrets import SecretError
    from dialer.store import webhooks

    box = secret_box()
    with database() as engine, writing(engine) as connection:
        rows = webhooks.every(connection, lock=True)
        for row in rows:
            try:
                sealed = box.rotate(row.secrets)
            except SecretError as error:
                raise CommandError(f"Webhook {row.id}: {error} Nothing was changed.") from None
            webhooks.update(connection, row.account_id, row.id, secrets=sealed)
            note(connection, row.account_id, "webhook.reseal", row.id)
    print_one({"resealed": len(rows)}, as_json=json)
