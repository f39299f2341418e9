"""`dialer campaign`: make campaigns, change them, copy them, and hear what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli import answers
from dialer.cli.answers import Body, IdempotencyKey, given, pairs, read_body, window
from dialer.cli.campaign import CampaignId, reach_campaign
from dialer.cli.campaign import app as campaigns
from dialer.cli.options import spread
from dialer.cli.output import Json
from dialer.cli.reach import Account, Url, dnd_list_id, list_id, owner_of_list, reach

if TYPE_CHECKING:
    from dialer.client import Client

#: The commands of `campaign.py`, and these.
app = campaigns

NewName = Annotated[str, typer.Argument(metavar="NAME", help="Its name.")]


@dataclass(frozen=True, slots=True)
class CampaignOptions:
    """What a campaign is made of."""

    list_: Annotated[str | None, typer.Option("--list", help="Whom it calls: a list's id or name.")] = None
    caller_id: Annotated[str | None, typer.Option(help="The number that they see.")] = None
    text: Annotated[str | None, typer.Option(help="What is said, with {fields}.")] = None
    file: Annotated[str | None, typer.Option(help="A recorded file that is heard, by its name.")] = None
    template: Annotated[str | None, typer.Option(metavar="ID", help="An approved template that is said.")] = (
        None
    )
    dnd: Annotated[
        list[str] | None, typer.Option(help="A DND list besides the global one: id or name. Repeatable.")
    ] = None
    start_at: Annotated[str | None, typer.Option(metavar="TIME", help="When it begins.")] = None
    end_at: Annotated[str | None, typer.Option(metavar="TIME", help="When it ends.")] = None
    time_zone: Annotated[str | None, typer.Option(help="IANA name, such as Asia/Kolkata.")] = None
    calls_per_minute: Annotated[int | None, typer.Option(min=0, help="Its pace; 0: no limit of its own.")] = (
        None
    )
    max_concurrent: Annotated[
        int | None, typer.Option(min=0, help="Calls at once; 0: no limit of its own.")
    ] = None
    calling_window: Annotated[
        str | None,
        typer.Option(metavar="START-END", help="When people may be rung, such as 09:00-18:00."),
    ] = None
    provider: Annotated[
        str | None, typer.Option(metavar="NAME", help="The only provider that may carry it.")
    ] = None

    def form(self, api: Client, body: dict[str, Any]) -> dict[str, Any]:
        """A body of the API with what was given besides; lists by their ids, 0 for no limit."""
        list_ = self.list_ or body.get("list_id")
        limits = {"calls_per_minute": self.calls_per_minute, "max_concurrent": self.max_concurrent}
        pace = {name: limit or None for name, limit in limits.items() if limit is not None}
        return body | given(
            list_id=list_id(api, list_) if list_ else None,
            dnd_list_ids=[dnd_list_id(api, one) for one in self.dnd or ()],
            caller_id=self.caller_id,
            text=self.text,
            file=self.file,
            template_id=self.template,
            start_at=self.start_at,
            end_at=self.end_at,
            time_zone=self.time_zone,
            calling_window=window(self.calling_window),
            provider=self.provider,
            pace={**(body.get("pace") or {}), **pace} if pace else None,
        )


@app.command()
@spread
def create(
    name: NewName,
    options: CampaignOptions,
    start: Annotated[
        bool | None, typer.Option("--start/--draft", help="Whether it starts [default: with --start-at].")
    ] = None,
    body: Body = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Make a campaign: a draft, or one that starts."""
    wanted = read_body(body)
    list_ = options.list_ or wanted.get("list_id")
    if not list_:
        raise typer.BadParameter("say whom it calls.", param_hint="--list")
    with reach(url, account, owner_of_list("list", list_)) as api:
        made = api.campaigns.create(**options.form(api, wanted) | given(name=name, start=start))
    answers.show(made, as_json=json)


@app.command()
@spread
def change(
    campaign_id: CampaignId,
    options: CampaignOptions,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    body: Body = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Change a campaign; what is not named stays.

    Of one that has begun to dial: its name, its pace, its calling window and its end.
    """
    with reach_campaign(url, account, campaign_id) as api:
        wanted = options.form(api, read_body(body)) | given(name=name)
        if not wanted:
            raise typer.BadParameter("name what is to change, such as --calls-per-minute 600.")
        changed = api.campaigns.change(campaign_id, **wanted)
    answers.show(changed, as_json=json)


@app.command()
def clone(
    campaign_id: CampaignId, name: NewName, json: Json = False, url: Url = None, account: Account = None
) -> None:
    """Make a draft of the same list, message and rules."""
    with reach_campaign(url, account, campaign_id) as api:
        made = api.campaigns.clone(campaign_id, name)
    answers.show(made, as_json=json)


@app.command()
def redial(
    campaign_id: CampaignId,
    name: NewName,
    disposition: Annotated[
        list[str] | None,
        typer.Option(
            help="How their last call ended, such as BUSY. Repeatable [default: all that were not answered]."
        ),
    ] = None,
    undialled: Annotated[
        bool, typer.Option("--undialled/--only-dialled", help="Those, too, who were not dialled.")
    ] = True,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Make a draft for those whom a campaign did not reach."""
    wanted: dict[str, Any] = {"name": name, "undialled": undialled, **given(dispositions=disposition)}
    with reach_campaign(url, account, campaign_id) as api:
        made = api.campaigns.redial(campaign_id, **wanted)
    answers.show(made, as_json=json)


@app.command("test-call")
def try_call(
    campaign_id: CampaignId,
    to: Annotated[str, typer.Argument(metavar="NUMBER", help="Whom to ring.")],
    contact: Annotated[
        str | None, typer.Option(help="The number of a contact, as whom it is spoken [default: the first].")
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="What is spoken instead of a contact's. Repeatable."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="{contact_name}, with --field.")] = None,
    idempotency_key: IdempotencyKey = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Ring a number with what a campaign says."""
    wanted = given(to=to, contact=contact, fields=pairs("--field", field) or None, name=name)
    with reach_campaign(url, account, campaign_id) as api:
        called = api.campaigns.test_call(campaign_id, idempotency_key=idempotency_key, **wanted)
    answers.show(called, as_json=json)
