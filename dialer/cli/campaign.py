"""`dialer campaign`: look at campaigns, hold them, end them. `campaign_make.py` makes them."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli import answers
from dialer.cli.answers import show_all, timed
from dialer.cli.campaign_watch import LOOK_AFAR_EVERY, LOOK_EVERY, progress, watch_until_end
from dialer.cli.database import database
from dialer.cli.output import Json, print_json_line, print_one, remark
from dialer.cli.reach import Account, Url, reach, reaching

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

app = typer.Typer(no_args_is_help=True, help="Campaigns.")

CampaignId = Annotated[str, typer.Argument(metavar="ID", help="The campaign's id, CM….")]


#: The engine as the account of this campaign sees it.
reach_campaign = reaching("campaign")


@app.command("list")
def list_(account: Account = None, json: Json = False, url: Url = None) -> None:
    """List the campaigns, newest first.

    Those of everybody, unless an account is named or asks.
    """
    if url is None and account is None:
        rows: Iterable[Mapping[str, Any]] = _everybodys()
    else:
        with reach(url, account) as api:
            account_id = api.account.get()["id"]
            rows = [
                {
                    "id": one["id"],
                    "name": one["name"],
                    "state": one["state"],
                    "account_id": account_id,
                    "calls_per_minute": one["pace"].get("calls_per_minute"),
                    "start_at": one["start_at"],
                    "end_at": one["end_at"],
                }
                for one in api.campaigns.list()
            ]
    show_all(
        rows,
        ["id", "name", "state", "account_id", "calls_per_minute", "start_at", "end_at"],
        as_json=json,
        nothing="There is no campaign yet: `dialer campaign create` makes one.",
    )


def _everybodys() -> list[dict[str, Any]]:
    """What no account can ask for."""
    from dialer.db import reading
    from dialer.store import campaigns

    columns = ("id", "name", "state", "account_id", "calls_per_minute", "start_at", "end_at")
    with database() as engine, reading(engine) as connection:
        found = campaigns.of_account(connection, None)
    return [{name: getattr(row, name) for name in columns} for row in found]


@app.command()
def show(campaign_id: CampaignId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Show a campaign, what it dials and how far it is."""
    with reach_campaign(url, account, campaign_id) as api:
        campaign = api.campaigns.get(campaign_id)
        shown = {
            **progress(api, campaign),
            "account_id": api.account.get()["id"],
            "list_id": campaign["list_id"],
            "caller_id": campaign["caller_id"],
            "start_at": campaign["start_at"],
            "end_at": campaign["end_at"],
            "time_zone": campaign["time_zone"],
            "calling_window": _given(campaign["calling_window"]),
            "calls_per_minute": campaign["pace"].get("calls_per_minute"),
            "max_concurrent": campaign["pace"].get("max_concurrent"),
            "repeat_policy": _given(campaign["repeat_policy"]),
            "provider_repeats": campaign["provider_repeats"],
            "provider": campaign["provider"],
            "started_at": campaign["started_at"],
            "ended_at": campaign["ended_at"],
        }
    answers.show(shown, as_json=json)


def _given(value: Any) -> Any:
    """Without what is null: the API names what was not given, too."""
    if isinstance(value, dict):
        return {name: _given(one) for name, one in value.items() if one is not None}
    return value


@app.command()
def start(campaign_id: CampaignId, url: Url = None, account: Account = None) -> None:
    """Start a draft.

    At its start date, or at once when that has passed.
    """
    with reach_campaign(url, account, campaign_id) as api:
        api.campaigns.start(campaign_id)
    remark(f"Campaign {campaign_id} is started.")


@app.command()
def preflight(campaign_id: CampaignId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Tell whom a campaign would call.

    And whom not, and when it could be through.
    """
    with reach_campaign(url, account, campaign_id) as api:
        found = api.campaigns.preflight(campaign_id)
    answers.show(found, as_json=json)


@app.command("progress")
def progress_(campaign_id: CampaignId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Tell how far a campaign is.

    How fast it is, too, and when it may be through.
    """
    with reach_campaign(url, account, campaign_id) as api:
        found = api.campaigns.progress(campaign_id)
    answers.show(found, as_json=json)


@app.command()
def history(campaign_id: CampaignId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Tell what became of a campaign, and who did it."""
    with reach_campaign(url, account, campaign_id) as api:
        found = api.campaigns.history(campaign_id)
    columns = ["at", "actor", "action", "from_state", "to_state", "reason"]
    show_all(found, columns, as_json=json, nothing="Nothing became of it yet.")


@app.command()
def pause(campaign_id: CampaignId, url: Url = None, account: Account = None) -> None:
    """Hold a campaign.

    Nothing more of it is placed; calls at the provider go on.
    """
    with reach_campaign(url, account, campaign_id) as api:
        api.campaigns.pause(campaign_id)
    remark(f"Campaign {campaign_id} is paused.")


@app.command()
def resume(campaign_id: CampaignId, url: Url = None, account: Account = None) -> None:
    """Go on with a campaign where it was held.

    Nobody is called again for it.
    """
    with reach_campaign(url, account, campaign_id) as api:
        api.campaigns.resume(campaign_id)
    remark(f"Campaign {campaign_id} goes on.")


@app.command()
def stop(campaign_id: CampaignId, url: Url = None, account: Account = None) -> None:
    """End a campaign for good.

    What was not dialled is cancelled.
    """
    with reach_campaign(url, account, campaign_id) as api:
        api.campaigns.stop(campaign_id)
    remark(f"Campaign {campaign_id} is stopped.")


@app.command()
def watch(campaign_id: CampaignId, json: Json = False, url: Url = None, account: Account = None) -> None:
    """Watch a campaign until it ends.

    With `--json`, a line of JSON for each change.
    """
    with reach_campaign(url, account, campaign_id) as api:
        campaign = api.campaigns.get(campaign_id)
        watch_until_end(
            lambda: progress(api, campaign),
            print_json_line if json else None,
            every=LOOK_EVERY if url is None else LOOK_AFAR_EVERY,
        )


@app.command()
def append(
    campaign_id: CampaignId,
    numbers: answers.Numbers = None,
    body: answers.Body = None,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """Add contacts to a campaign's list, also while it runs.

    Numbers alone, or with names and fields by --body, `{"contacts": […]}`.
    """
    contacts = answers.contacts_in(body, numbers)
    with reach_campaign(url, account, campaign_id) as api:
        added = api.campaigns.add_contacts(campaign_id, contacts)
    print_one(timed(added), as_json=json)
