"""`dialer audit`: who changed what."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from dialer.cli.answers import MOST, Limit, show_all
from dialer.cli.database import database
from dialer.cli.output import Json
from dialer.cli.reach import Account, Url, reach

_SHOWN = ["at", "actor", "action", "subject", "detail"]
_READ_AT_ONCE = 1000


def audit(
    subject: Annotated[str | None, typer.Option(metavar="ID", help="Only what was done to this.")] = None,
    limit: Limit = MOST,
    json: Json = False,
    url: Url = None,
    account: Account = None,
) -> None:
    """List what was changed, and who did it, the newest first.

    In the account that is named or asks; else everybody's, and what belongs to no account, such as a provider that all
    may use.
    """
    nothing = "Nothing was changed yet."
    if url is None and account is None:
        columns = ["at", "account_id", *_SHOWN[1:]]
        show_all(_everybodys(subject, columns), columns, as_json=json, nothing=nothing, limit=limit)
        return
    with reach(url, account) as api:
        show_all(api.audit.list(subject=subject), _SHOWN, as_json=json, nothing=nothing, limit=limit)


def _everybodys(subject: str | None, columns: list[str]) -> Iterator[Mapping[str, Any]]:
    """What no account can ask for."""
    from dialer.db import reading
    from dialer.store import audit as store

    before: int | None = None
    with database() as engine:
        while True:
            with reading(engine) as connection:
                page = store.of_account(connection, None, _READ_AT_ONCE, before=before, subject=subject)
            yield from ({name: getattr(row, name) for name in columns} for row in page)
            if len(page) < _READ_AT_ONCE:
                return
            before = page[-1].id
