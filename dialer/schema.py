"""The schema's version: upgrade, current, check."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

import migrations
from dialer.db import writing
from dialer.models import metadata


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    return config


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to `revision`. Two at once are safe: the second waits and finds nothing to do."""
    with writing(engine) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head() -> str | None:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def is_current(engine: Engine) -> bool:
    """Whether the database is at the revision that this code needs."""
    return current(engine) == head()


def is_ahead(engine: Engine) -> bool:
    """Whether the database is at a revision that this code does not know: newer code has upgraded it. Migrations
    expand first and contract later, so code of the release before goes on working."""
    revision = current(engine)
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    return revision is not None and revision not in known


def differences(engine: Engine) -> list[str]:
    """What the migrated schema and the models disagree on; empty when they agree."""
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False}
        )
        return [str(difference) for difference in compare_metadata(context, metadata)]
