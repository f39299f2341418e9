"""How commands come to the database, and how the audit log learns what they changed there."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from dialer.cli.errors import CommandError

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from dialer.store.tables import AnyRow


@contextmanager
def database() -> Iterator[Engine]:
    """The database of the settings. `CommandError` unless its schema is the one that this code needs, and when the
    engine of `DIALER_URL` is meant, whose database is elsewhere."""
    from dialer import schema

    if os.environ.get("DIALER_URL"):
        raise CommandError(
            "DIALER_URL is set, and this command works beside the database alone: use it there, or without DIALER_URL."
        )

    with any_database() as engine:
        found, needed = schema.current(engine), schema.head()
        if found is None:
            raise CommandError("The database has no tables yet: run `dialer db upgrade`.")
        if found != needed:
            raise CommandError(
                f"The database is at revision {found}, this version needs {needed}: run `dialer db upgrade`."
            )
        yield engine


@contextmanager
def any_database() -> Iterator[Engine]:
    """The database of the settings, whatever its schema."""
    from dialer.db import make_engine
    from dialer.settings import get_settings

    engine = make_engine(get_settings().database_url)
    try:
        yield engine
    finally:
        engine.dispose()


def note(connection: Connection, account_id: str | None, action: str, subject: str, **detail: Any) -> None:
    """Add to the audit log what the operator does, in the transaction that does it. `account_id`: whose thing is
    changed; None for what belongs to no account, such as a provider that all may use. `detail` holds no number of a
    person and no secret."""
    from dialer.keys import OPERATOR
    from dialer.store import audit

    audit.add(connection, account_id or audit.NOBODYS, OPERATOR, action, subject, datetime.now(UTC), **detail)


def find_account(engine: Engine, account: str) -> AnyRow:
    """The account of this id or name. `CommandError` when there is none."""
    import sqlalchemy as sa

    from dialer.db import reading
    from dialer.store import tables

    with reading(engine) as connection:
        columns = tables.account.c
        row = connection.execute(
            sa.select(tables.account).where(sa.or_(columns.id == account, columns.name == account))
        ).first()
    if row is None:
        raise CommandError(f"There is no account {account}: `dialer account list` shows them.")
    return row
