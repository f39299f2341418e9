"""Alembic's entry: runs migrations on the connection that `dialer.schema` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import text

from dialer.db import make_engine, writing
from dialer.models import metadata
from dialer.settings import get_settings

#: Advisory lock that serialises migrations on PostgreSQL.
MIGRATION_LOCK = 0x6469616C6572


def run(connection) -> None:  # type: ignore[no-untyped-def]
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:  # the plain `alembic` command
    with writing(make_engine(get_settings().database_url)) as own:
        run(own)
