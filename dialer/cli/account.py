"""`dialer account`: the tenants."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from dialer.cli import account_key, answers
from dialer.cli.account_verification import verification
from dialer.cli.database import database, find_account, note
from dialer.cli.output import Json, print_one, print_rows, remark
from dialer.cli.reach import Url, reach

app = typer.Typer(no_args_is_help=True, help="Accounts: the tenants and their keys.")
app.command()(verification)
app.add_typer(account_key.app, name="key")

_SHOWN = [
    "id", "name", "enabled", "default_region", "time_zone", "calls_per_minute", "max_concurrent", "frequency_cap",
    "calling_window", "approves_templates", "created_at",
]  # fmt: skip
_KEEP_IT = "Keep the auth key now: it is shown this once, and only its hash is stored."


Region = Annotated[
    str | None, typer.Option(help="Country of numbers without a country code, such as IN [default: none].")
]
CallsPerMinute = Annotated[
    int | None, typer.Option(min=0, help="Its pace; 0: no limit of its own [default].")
]
MaxConcurrent = Annotated[
    int | None, typer.Option(min=0, help="Calls at once; 0: no limit of its own [default].")
]
FrequencyCap = Annotated[
    int | None, typer.Option(min=0, help="Dials to one number in 24 hours at most; 0: no cap [default].")
]
Window = Annotated[
    str | None,
    typer.Option(
        metavar="START-END",
        help="When people may be rung, by their own clocks, such as 08:00-21:00 [default], or 00:00-24:00.",
    ),
]


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name that no other account has.")],
    region: Region = None,
    time_zone: Annotated[str, typer.Option(help="IANA name, such as Asia/Kolkata.")] = "UTC",
    calls_per_minute: CallsPerMinute = None,
    max_concurrent: MaxConcurrent = None,
    frequency_cap: FrequencyCap = None,
    calling_window: Window = None,
    json: Json = False,
) -> None:
    """Create an account with its global DND list.

    Prints its id and, this once, its auth key.
    """
    from dialer import accounts
    from dialer.db import writing
    from dialer.store import dnd

    if not name.strip():
        raise typer.BadParameter("an account needs a name.", param_hint="NAME")
    values: dict[str, Any] = {
        "default_region": _checked_region(region),
        "time_zone": _checked_zone(time_zone),
        "calls_per_minute": calls_per_minute or None,
        "max_concurrent": max_concurrent or None,
        "frequency_cap": frequency_cap or None,
        "calling_window": _checked_window(calling_window),
    }
    with database() as engine, writing(engine) as connection:
        account_id, auth = accounts.create(connection, name.strip(), datetime.now(UTC), **values)
        dnd_list = dnd.global_list(connection, account_id)
        note(connection, account_id, "account.create", account_id)
    print_one(
        {"id": account_id, "name": name, "auth": auth, "dnd_list_id": dnd_list.id if dnd_list else None},
        as_json=json,
    )
    remark(_KEEP_IT)


@app.command("list")
def list_(json: Json = False) -> None:
    """List the accounts; auth keys are never shown."""
    from dialer.db import reading
    from dialer.store import accounts

    with database() as engine, reading(engine) as connection:
        rows = [{column: getattr(row, column) for column in _SHOWN} for row in accounts.every(connection)]
    print_rows(
        rows,
        _SHOWN,
        as_json=json,
        nothing="There is no account yet: `dialer account create NAME` makes one.",
    )


@app.command()
def show(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Its name or id; with --url its id, or DIALER_ACCOUNT."),
    ] = None,
    json: Json = False,
    url: Url = None,
) -> None:
    """Show an account, with its limits and its calling window."""
    with reach(url, name) as api:
        found = api.account.get()
    answers.show(found, as_json=json)


@app.command()
def update(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account's name or id.")],
    region: Region = None,
    time_zone: Annotated[str | None, typer.Option(help="IANA name, such as Asia/Kolkata.")] = None,
    calls_per_minute: CallsPerMinute = None,
    max_concurrent: MaxConcurrent = None,
    frequency_cap: FrequencyCap = None,
    calling_window: Window = None,
    enabled: Annotated[
        bool | None,
        typer.Option("--enable/--disable", help="A disabled account can do nothing, and its calls wait."),
    ] = None,
    approve_templates: Annotated[
        bool | None,
        typer.Option(
            "--approve-templates/--no-approve-templates",
            help="Whether its own keys with the scope admin may approve its templates [default: no].",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Change an account; what is not named stays as it is.

    Running campaigns keep to the new limits from their next call on.
    """
    from dialer.campaigns import openings
    from dialer.db import reading, utc_now, writing
    from dialer.store import accounts

    limits = {
        "calls_per_minute": calls_per_minute,
        "max_concurrent": max_concurrent,
        "frequency_cap": frequency_cap,
    }
    changes: dict[str, Any] = {column: limit or None for column, limit in limits.items() if limit is not None}
    if region is not None:
        changes["default_region"] = _checked_region(region)
    if time_zone is not None:
        changes["time_zone"] = _checked_zone(time_zone)
    if calling_window is not None:
        changes["calling_window"] = _checked_window(calling_window)
    if enabled is not None:
        changes["enabled"] = enabled
    if approve_templates is not None:
        changes["approves_templates"] = approve_templates
    if not changes:
        raise typer.BadParameter("name what is to change, such as --calls-per-minute 600.", param_hint="NAME")
    with database() as engine:
        account = find_account(engine, name)
        with writing(engine) as connection:
            if calling_window is not None:
                # Before the account's row is held, for which the scheduler waits while it holds a campaign's.
                openings.begin_of_account(connection, account.id, utc_now(connection))
            accounts.update(connection, account.id, **changes)
            note(connection, account.id, "account.change", account.id, changed=changes)
        with reading(engine) as connection:
            row = accounts.with_id(connection, account.id)
    print_one({column: getattr(row, column) for column in _SHOWN}, as_json=json)


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account's name or id.")], json: Json = False
) -> None:
    """Give an account a new auth key.

    Prints it, this once; the old key is void at once.
    """
    from dialer import accounts
    from dialer.db import writing

    with database() as engine:
        account = find_account(engine, name)
        with writing(engine) as connection:
            _, auth = accounts.rotate(connection, account.name)
            note(connection, account.id, "account.rotate", account.id)
    print_one({"id": account.id, "name": account.name, "auth": auth}, as_json=json)
    remark(_KEEP_IT)


def _checked_region(region: str | None) -> str | None:
    from phonenumbers import SUPPORTED_REGIONS

    if region is None:
        return None
    if region.upper() not in SUPPORTED_REGIONS:
        raise typer.BadParameter(
            f"{region} is no country of two letters, such as IN or GB.", param_hint="--region"
        )
    return region.upper()


def _checked_zone(time_zone: str) -> str:
    from dialer.calls.window import known_zone

    if known_zone(time_zone) is None:
        raise typer.BadParameter(
            f"{time_zone} is not known: use an IANA name such as Asia/Kolkata.", param_hint="--time-zone"
        )
    return time_zone


def _checked_window(window: str | None) -> dict[str, object] | None:
    from dialer.calls.window import CallingWindow, WindowError

    if window is None:
        return None
    start, _, end = window.partition("-")
    try:
        return CallingWindow.parse({"start": start.strip(), "end": end.strip()}).to_json()
    except WindowError as error:
        raise typer.BadParameter(str(error), param_hint="--calling-window") from None
