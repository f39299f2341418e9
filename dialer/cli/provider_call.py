"""`dialer provider call`: what a provider documents beside calls."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dialer.cli.database import database, note
from dialer.cli.errors import CommandError
from dialer.cli.output import Json, print_json, print_rows
from dialer.cli.provider import Name, ask_provider, find_provider, secret_box

if TYPE_CHECKING:
    from dialer.http import Client
    from dialer.providers.base import Adapter
    from dialer.providers.methods import File, Method, Value, Values
    from dialer.store.tables import AnyRow


def call(
    name: Name,
    method: Annotated[
        str | None, typer.Argument(metavar="METHOD", help="The method; without one, all are listed.")
    ] = None,
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", help="Its parameters; KEY=@FILE where it takes a file."),
    ] = None,
    ring: Annotated[bool, typer.Option("--ring", help="Yes, somebody's telephone may ring for it.")] = False,
    timeout: Annotated[int, typer.Option(min=1, help="Seconds to wait for the answer.")] = 60,
    json: Json = False,
) -> None:
    """Use one of the provider's methods beside calls.

    Prints its answer as JSON. Without METHOD, lists the methods and their parameters. Nothing is sent twice. What has
    somebody's telephone ring is only done with --ring.
    """
    from dialer.providers.asking import call_method
    from dialer.providers.kinds import adapter_class

    with database() as engine:
        row = find_provider(engine, name)
    known = adapter_class(row.kind).methods
    if method is None:
        _list(known, f"Providers of kind {row.kind} have no methods beside calls.", as_json=json)
        return
    chosen = known.get(method)
    if chosen is not None and chosen.rings and not ring:
        raise CommandError(
            f"{method} has somebody's telephone ring, past all caps of the engine: add --ring if that is meant."
        )
    values = read_values(chosen, parameters or [])
    if chosen is not None and chosen.rings:
        _check_rung(row, chosen, chosen.checked(values))
    if chosen is not None and (chosen.changes or chosen.rings):
        chosen.checked(values)  # what cannot be asked for is not noted
        _note(row, chosen)

    async def ask(client: Client, adapter: Adapter) -> Any:
        return await call_method(client, adapter, method, values, timeout=timeout)

    print_json(ask_provider(row, secret_box(), ask))


def _note(row: AnyRow, method: Method) -> None:
    """Before it is asked for: whether it was done may never be known."""
    from dialer.db import writing

    with database() as engine, writing(engine) as connection:
        note(connection, row.account_id, "provider.call", row.id, method=method.name)


def _check_rung(row: AnyRow, method: Method, values: Values) -> None:
    """Raises CommandError when the DND lists or the calling window forbid to ring those whom it rings."""
    from datetime import UTC, datetime

    from dialer.calls.by_hand import why_not, why_not_during
    from dialer.db import reading

    now = datetime.now(UTC)
    users = () if method.rung is None else method.rung(values)
    # What is asked for at a time that is over may be done at once.
    moments = (now,) if method.rung_at is None else {max(at, now) for at in method.rung_at(values)}
    with database() as engine, reading(engine) as connection:
        told = (why_not(connection, row, user, at) for user in users for at in moments)
        reason = next((one for one in told if one is not None), None)
        if method.rung_during is not None:
            zone, begins_at, ends_at = method.rung_during(values)
            reason = why_not_during(connection, row, zone, max(begins_at, now), ends_at)
    if reason is not None:
        raise CommandError(reason)


def read_values(method: Method | None, pairs: Sequence[str]) -> dict[str, Value]:
    """`key=value` as given, and `key=@file` read where the method takes a file. What is wrong with a value is the
    method's to say."""
    from dialer.providers.methods import File

    values: dict[str, Value] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise typer.BadParameter("write key=value.", param_hint="KEY=VALUE")
        if key in values:
            raise typer.BadParameter(f"{key} is given twice.", param_hint="KEY=VALUE")
        parameter = None if method is None else method.parameter(key)
        takes_file = parameter is not None and parameter.takes is File
        values[key] = _file(Path(value[1:]).expanduser()) if takes_file and value[:1] == "@" else value
    return values


def _file(path: Path) -> File:
    from dialer.providers.methods import MAX_FILE, File

    with path.open("rb") as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise CommandError(f"{path} is longer than {MAX_FILE >> 20} MiB: give a smaller file.")
    return File(path.name, content)


def _list(known: Mapping[str, Method], nothing: str, *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"method": method.name, "parameters": method.usage() or None, "does": method.sentence}
        for method in known.values()
    ]
    if as_json:
        for row, method in zip(rows, known.values(), strict=True):
            row["parameters"] = [
                {"name": each.name, "needed": each.needed, "written": str(each), "meaning": each.meaning}
                for each in method.parameters
            ]
    print_rows(rows, ["method", "parameters", "does"], as_json=as_json, nothing=nothing)
