"""What an account is told of the providers that it may use."""

from __future__ import annotations

from dialer.cli import answers
from dialer.cli.errors import CommandError
from dialer.cli.reach import reach

_COLUMNS = ["name", "kind", "enabled", "breaker", "paused_reason", "held_until", "capabilities"]


def show_all(url: str | None, account: str | None, *, as_json: bool) -> None:
    """All of them."""
    with reach(url, account) as api:
        found = api.providers.list()
    answers.show_all(found, _COLUMNS, as_json=as_json, nothing="The account may use no provider.")


def show(url: str | None, account: str | None, name: str, *, as_json: bool) -> None:
    """One of them. `CommandError` when there is none of this name."""
    with reach(url, account) as api:
        found = [one for one in api.providers.list() if one["name"] == name]
    if not found:
        raise CommandError(f"The account may use no provider {name}: `dialer provider list` shows them.")
    answers.show(found[0], as_json=as_json)
