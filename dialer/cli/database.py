"""How commands come to the database."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dialer.cli.errors import CommandError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from dialer.store.tables import AnyRow


@contextmanager
def database() -> Iterator[Engine]:
    """The database of the settings. `CommandError` unless its schema is the one that this code needs."""
    from dialer import schema

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
