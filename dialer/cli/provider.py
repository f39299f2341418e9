"""`dialer provider`: the configured accounts at telephony companies."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from dialer.cli import provider_afar
from dialer.cli.database import database, find_account, note
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_json, print_one, print_rows, remark
from dialer.cli.reach import Account as Whose
from dialer.cli.reach import Url

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy import Connection, Engine

    from dialer.http import Client
    from dialer.providers.base import Adapter
    from dialer.secrets import SecretBox
    from dialer.store.tables import AnyRow

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Accounts at telephony companies.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The provider's name.")]
BaseUrl = Annotated[str | None, typer.Option(help="Where its API is [default: the kind's own].")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting; KEY=env:VAR takes it from the environment, KEY=@FILE from a file. Repeatable.",
    ),
]
CallsPerMinute = Annotated[int | None, typer.Option(min=1, help="Its pace [default: no limit of its own].")]
MaxConcurrent = Annotated[
    int | None, typer.Option(min=1, help="Calls at once [default: no limit of its own].")
]
Account = Annotated[
    str | None, typer.Option(help="Only this account may use it: id or name [default: every account may].")
]

MirrorDnd = Annotated[
    bool | None,
    typer.Option(
        "--mirror-dnd/--no-mirror-dnd",
        help="Keep its black list in step with its account's DND list [default: where it has both].",
    ),
]


@app.command()
def add(
    name: Name,
    kind: Annotated[str, typer.Option(help="What it is, such as mitto.")],
    base_url: BaseUrl = None,
    set_: Set = None,
    calls_per_minute: CallsPerMinute = None,
    max_concurrent: MaxConcurrent = None,
    account: Account = None,
    priority: Annotated[int, typer.Option(help="Lower is tried first.")] = 100,
    mirror_dnd: MirrorDnd = None,
    json: Json = False,
) -> None:
    """Add a provider and print the webhook URL to give to it."""
    from sqlalchemy.exc import IntegrityError

    from dialer.db import writing
    from dialer.providers import setup
    from dialer.store import dnd_mirrors, providers

    with database() as engine:
        row = setup.new_row(
            name=name,
            kind=kind,
            base_url=base_url,
            settings=setup.read_settings(set_ or []),
            box=secret_box(),
            now=datetime.now(UTC),
            account_id=None if account is None else find_account(engine, account).id,
            priority=priority,
            calls_per_minute=calls_per_minute,
            max_concurrent=max_concurrent,
        )
        mirrors = setup.mirrors_dnd(kind, name, row["account_id"], mirror_dnd)
        try:
            with writing(engine) as connection:
                providers.add(connection, row)
                note(connection, row["account_id"], "provider.create", row["id"], name=name, kind=kind)
                if mirrors:
                    dnd_mirrors.start(connection, row["id"], row["created_at"])
        except IntegrityError:
            raise CommandError(
                f"There is a provider {name} already: `dialer provider update {name}` changes it."
            ) from None
        print_one(_shown(engine, name), as_json=json)
    if not json:
        remark("Give the webhook_url to the provider: results of calls arrive there.")


@app.command("list")
def list_(json: Json = False, url: Url = None, account: Whose = None) -> None:
    """List the providers in the order in which they are tried.

    A breaker that is open leaves a provider alone that fails; half-open, it tries it with one call. An account that is
    named or asks is shown what it is told of those that it may use.
    """
    from dialer.db import reading
    from dialer.store import providers

    if url is not None or account is not None:
        provider_afar.show_all(url, account, as_json=json)
        return
    with database() as engine, reading(engine) as connection:
        rows = [_listed(row) for row in providers.every(connection)]
    print_rows(
        rows,
        [
            "name",
            "kind",
            "state",
            "breaker",
            "priority",
            "calls_per_minute",
            "max_concurrent",
            "account_id",
            "base_url",
        ],
        as_json=json,
        nothing="There is no provider yet: `dialer provider add NAME --kind KIND` adds one.",
    )


@app.command()
def show(name: Name, json: Json = False, url: Url = None, account: Whose = None) -> None:
    """Show a provider and its webhook URL.

    Of its settings only which are set, never their values. Events that were not understood are kept as they came;
    docs/troubleshooting.md tells how to look at them. An account that is named or asks is shown what it is told.
    """
    if url is not None or account is not None:
        provider_afar.show(url, account, name, as_json=json)
        return
    with database() as engine:
        print_one(_shown(engine, name), as_json=json)


@app.command()
def update(
    name: Name,
    base_url: BaseUrl = None,
    set_: Set = None,
    calls_per_minute: Annotated[
        int | None, typer.Option(min=0, help="Its pace; 0: no limit of its own.")
    ] = None,
    max_concurrent: Annotated[
        int | None, typer.Option(min=0, help="Calls at once; 0: no limit of its own.")
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(help="Only this account may use it: id or name; an empty text: every account may."),
    ] = None,
    priority: Annotated[int | None, typer.Option(help="Lower is tried first.")] = None,
    mirror_dnd: Annotated[
        bool | None,
        typer.Option(
            "--mirror-dnd/--no-mirror-dnd", help="Keep its black list in step with its account's DND list."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Change a provider, while calls go on.

    What is not named stays; `--set KEY=` takes a setting away.
    """
    from dialer.db import writing
    from dialer.providers import setup
    from dialer.store import inbound, providers

    given = {
        "base_url": base_url,
        "calls_per_minute": calls_per_minute,
        "max_concurrent": max_concurrent,
        "account": account,
        "priority": priority,
        "mirror_dnd": mirror_dnd,
    }
    with database() as engine:
        values: dict[str, Any] = {}
        for column, number in (("calls_per_minute", calls_per_minute), ("max_concurrent", max_concurrent)):
            if number is not None:
                values[column] = number or None
        if priority is not None:
            values["priority"] = priority
        if account is not None:
            values["account_id"] = find_account(engine, account).id if account else None
        settings = setup.read_settings(set_ or [])
        with writing(engine) as connection:
            row = _get(connection, name)
            if settings or base_url is not None:
                values |= setup.changed(row, base_url, settings, secret_box())
            if not values and mirror_dnd is None:
                raise typer.BadParameter("say what to change: --set, --base-url, --priority …")
            if values:
                providers.update(connection, row.id, **values)
            if mirror_dnd is not None or account is not None:
                _mirror(connection, row, values.get("account_id", row.account_id), mirror_dnd)
            changed = sorted({*settings, *(name for name, value in given.items() if value is not None)})
            for account_id in {row.account_id, values.get("account_id", row.account_id)}:
                note(connection, account_id, "provider.change", row.id, changed=changed)
            is_shared_now = row.account_id is not None and values.get("account_id", row.account_id) is None
            claimed = inbound.count_claimed(connection, row.account_id) if is_shared_now else 0
        print_one(_shown(engine, name), as_json=json)
    if claimed:
        remark(
            f"{claimed} inbound rules that its account made itself do not hold here any more: numbers may be others' "
            "now. Those that `dialer inbound set` gives it do."
        )


@app.command("test")
def try_out(name: Name, json: Json = False) -> None:
    """Ask the provider whether the account works.

    No call is made. Exit code 1 when it does not work.
    """
    from dialer.providers.contract import ProviderError

    with database() as engine:
        row = find_provider(engine, name)
    works = True
    try:
        sentence = check_provider(row, secret_box())
    except ProviderError as error:
        works, sentence = False, str(error)
    if json:
        print_json({"name": name, "works": works, "message": sentence})
    else:
        typer.echo(sentence, err=not works)
    if not works:
        raise typer.Exit(1)


@app.command()
def enable(name: Name) -> None:
    """Use a provider again.

    Also after the engine paused it by itself, for lack of funds or bad credentials, or while its breaker is open.
    """
    from dialer.pace.breaker import Breaker

    _change(
        name, "provider.enable", enabled=True, disabled_at=None, paused_reason=None, **Breaker().columns()
    )
    remark(f"Provider {name} is in use.")


@app.command()
def disable(name: Name) -> None:
    """Send nothing more to a provider.

    Results of its calls are still heard, its CDRs stay.
    """
    _change(name, "provider.disable", enabled=False, disabled_at=datetime.now(UTC))
    remark(f"Provider {name} gets no more calls.")


@app.command()
def remove(name: Name) -> None:
    """Remove a provider that was never used.

    One that was used can only be disabled: its CDRs name it.
    """
    from dialer.db import writing
    from dialer.store import providers

    with database() as engine, writing(engine) as connection:
        row = _get(connection, name)
        if providers.has_history(connection, row.id):
            raise CommandError(
                f"Calls, events or campaigns tell of provider {name}, so it must stay: "
                f"`dialer provider disable {name}` takes it out of use."
            )
        providers.remove(connection, row.id)
        note(connection, row.account_id, "provider.remove", row.id, name=name)
    remark(f"Provider {name} is removed.")


@app.command("rotate-webhook")
def rotate_webhook(name: Name, json: Json = False) -> None:
    """Give a provider a new webhook URL.

    The previous one works for 24 hours more.
    """
    from dialer.db import writing
    from dialer.providers import setup
    from dialer.store import providers

    with database() as engine:
        with writing(engine) as connection:
            row = _get(connection, name)
            providers.update(connection, row.id, **setup.rotated(row, datetime.now(UTC)))
            note(connection, row.account_id, "provider.rotate_webhook", row.id)
        print_one(_shown(engine, name), as_json=json)


def _mirror(connection: Connection, row: AnyRow, account_id: str | None, wanted: bool | None) -> None:
    """Start, stop or begin anew the mirror of a provider whose account may be another one now."""
    from dialer.providers.setup import mirrors_dnd
    from dialer.store import dnd_mirrors

    has_one = dnd_mirrors.is_kept(connection, row.id)
    if wanted is None:
        wanted = has_one and account_id is not None
    if wanted and mirrors_dnd(row.kind, row.name, account_id, wanted):
        dnd_mirrors.start(connection, row.id, datetime.now(UTC))
    elif has_one:
        dnd_mirrors.stop(connection, row.id)
        remark(f"What stands on the black list at {row.name} stays there.")


def check_provider(row: AnyRow, box: SecretBox) -> str:
    """One sentence about the provider's account. Raises ProviderError when it does not work."""
    from dialer.providers.asking import check

    return ask_provider(row, box, check)


def ask_provider(row: AnyRow, box: SecretBox, ask: Callable[[Client, Adapter], Coroutine[Any, Any, T]]) -> T:
    """What `ask` has got from the provider, with a client of its own. Raises ProviderError."""
    from dialer.providers import once
    from dialer.providers.kinds import make_adapter
    from dialer.providers.setup import open_config
    from dialer.settings import get_settings

    return once.ask(make_adapter(open_config(row, box, get_settings().public_url)), ask)


def _change(name: str, action: str, **values: Any) -> None:
    from dialer.db import writing
    from dialer.store import providers

    with database() as engine, writing(engine) as connection:
        row = _get(connection, name)
        providers.update(connection, row.id, **values)
        note(connection, row.account_id, action, row.id)


def find_provider(engine: Engine, name: str) -> AnyRow:
    """The provider of this name."""
    from dialer.db import reading

    with reading(engine) as connection:
        return _get(connection, name)


def _get(connection: Connection, name: str) -> AnyRow:
    from dialer.store import providers

    row = providers.named(connection, name)
    if row is None:
        raise CommandError(f"There is no provider {name}: `dialer provider list` shows them.")
    return row


def _listed(row: AnyRow) -> dict[str, Any]:
    from dialer.pace.breaker import phase_of

    return {
        "name": row.name,
        "id": row.id,
        "kind": row.kind,
        "state": _state(row),
        "priority": row.priority,
        "calls_per_minute": row.calls_per_minute,
        "max_concurrent": row.max_concurrent,
        "account_id": row.account_id,
        "base_url": row.base_url,
        "paused_reason": row.paused_reason,
        "held_until": row.held_until,
        "breaker": phase_of(row, datetime.now(UTC)).value,
        "breaker_until": row.breaker_until,
    }


def _shown(engine: Engine, name: str) -> dict[str, Any]:
    from dialer.db import reading
    from dialer.providers.setup import webhook_url
    from dialer.secrets import SecretError
    from dialer.settings import get_settings
    from dialer.store import dnd_mirrors, unknown_words

    with reading(engine) as connection:
        row = _get(connection, name)
        mirror = dnd_mirrors.of(connection, row.id)
        odd = unknown_words.of_provider(connection, row.id)
    settings: dict[str, str] | str
    try:
        settings = dict.fromkeys(sorted(secret_box().open(row.credentials)), "set")
    except SecretError:
        settings = "sealed with a key that DIALER_SECRET_KEY does not hold"
    return {
        **_listed(row),
        "settings": settings,
        "black_list": None if mirror is None else _black_list(mirror),
        "webhook_url": webhook_url(get_settings().public_url, row),
        "previous_webhook_until": row.previous_token_until,
        "events_not_understood": 0 if odd is None else odd.events,
        "last_not_understood": None if odd is None else odd.last_at,
    }


def _black_list(mirror: AnyRow) -> str:
    if mirror.error is not None:
        return f"not in step: {mirror.error}"
    is_behind = mirror.position is not None or mirror.seen_at is None or mirror.seen_at != mirror.changed_at
    return "being brought in step" if is_behind else "in step with the DND list"


def _state(row: AnyRow) -> str:
    if not row.enabled:
        return "disabled"
    return "enabled" if row.paused_reason is None else "paused"


def secret_box() -> SecretBox:
    """What opens the providers' credentials."""
    from dialer.secrets import SecretBox
    from dialer.settings import get_settings

    return SecretBox(get_settings().secret_keys())
