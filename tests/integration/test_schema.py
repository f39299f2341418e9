"""The schema: what the models say is what the migrations make, however often and by however many they are run."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import Engine

import dialer.models
import dialer.store
from dialer import schema
from dialer.db import SQLITE_BUSY_TIMEOUT, make_engine, reading, writing
from dialer.models import metadata
from dialer.store import audit
from dialer.store import tables as t


def test_the_models_are_the_migrated_schema(database: Engine) -> None:
    assert schema.differences(database) == []
    assert schema.is_current(database)


def test_what_alembic_does_not_compare_is_the_same_too(database: Engine) -> None:
    inspector = sa.inspect(database)
    for table in metadata.sorted_tables:
        made = {index["name"]: index for index in inspector.get_indexes(table.name)}
        for index in table.indexes:
            where = index.dialect_kwargs.get(f"{database.dialect.name}_where")
            options = made[str(index.name)].get("dialect_options", {})
            predicate = options.get(f"{database.dialect.name}_where")
            assert (where is None) == (predicate is None), f"{index.name} is partial in one of the two only"
            if where is not None:
                assert set(re.findall(r"'(\w+)'", str(where))) == set(re.findall(r"'(\w+)'", str(predicate)))
        checks = {check["name"] for check in inspector.get_check_constraints(table.name)}
        named = {str(one.name) for one in table.constraints if isinstance(one, sa.CheckConstraint)}
        assert named <= checks


@pytest.mark.parametrize(
    "statement",
    [
        t.audit_entry.update().values(actor="nobody"),
        t.audit_entry.delete(),
        sa.text("TRUNCATE audit_entry"),
        sa.text("TRUNCATE account, audit_entry CASCADE"),
    ],
)
def test_the_database_keeps_the_audit_log(database: Engine, statement: sa.Executable) -> None:
    if isinstance(statement, sa.TextClause) and database.dialect.name == "sqlite":
        pytest.skip("SQLite has no TRUNCATE")
    at = datetime(2026, 9, 25, tzinfo=UTC)
    with writing(database) as connection:
        audit.add(connection, "AC1", "operator", "campaign.pause", "CM1", at)
    with (
        pytest.raises(sa.exc.DBAPIError, match="audit log are never changed or deleted"),
        writing(database) as connection,
    ):
        connection.execute(statement)
    with reading(database) as connection:
        assert [row.actor for row in audit.of_subject(connection, "AC1", "CM1")] == ["operator"]


def test_upgrading_twice_changes_nothing(database: Engine) -> None:
    before = sa.inspect(database).get_table_names()
    schema.upgrade(database)
    assert sa.inspect(database).get_table_names() == before
    assert schema.is_current(database)


UPGRADE = "import sys; from dialer import db, schema; schema.upgrade(db.make_engine(sys.argv[1]))"


def upgrade_in_processes(url: str) -> None:
    """Two processes upgrade at once; both must succeed."""
    started = [subprocess.Popen([sys.executable, "-c", UPGRADE, url]) for _ in range(2)]
    assert [one.wait(60) for one in started] == [0, 0]
    engine = make_engine(url)
    assert schema.is_current(engine)
    assert schema.differences(engine) == []
    engine.dispose()


def test_two_that_upgrade_at_once_both_find_the_schema_made(tmp_path: Path) -> None:
    upgrade_in_processes(f"sqlite:///{tmp_path}/empty.db")


@pytest.mark.postgres
def test_two_that_upgrade_postgresql_at_once_both_find_the_schema_made(postgres_engine: Engine) -> None:
    name = f"{postgres_engine.url.database}_fresh"
    with postgres_engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        admin.execute(sa.text(f'CREATE DATABASE "{name}"'))
        try:
            upgrade_in_processes(postgres_engine.url.set(database=name).render_as_string(hide_password=False))
        finally:
            admin.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def test_every_partial_index_names_a_query_that_exists() -> None:
    models = "\n".join(path.read_text() for path in sorted(_sources(dialer.models)))
    stores = {
        (path.stem, name)
        for path in _sources(dialer.store)
        for name in re.findall(r"^def (\w+)", path.read_text(), re.MULTILINE)
    }
    named = re.findall(r"store\.(\w+)\.(\w+)((?:, \w+)*)", models)
    wanted = [(module, name) for module, first, more in named for name in [first, *re.findall(r"\w+", more)]]
    assert len(wanted) >= 15
    assert [f"store.{module}.{name}" for module, name in wanted if (module, name) not in stores] == []


def _sources(package: object) -> list[Path]:
    return list(Path(str(getattr(package, "__file__", ""))).parent.glob("*.py"))


def test_no_connection_to_postgresql_waits_or_idles_for_ever(database: Engine) -> None:
    if database.dialect.name == "sqlite":
        assert SQLITE_BUSY_TIMEOUT > 0
        return
    with reading(database) as connection:
        limits = {
            name: connection.execute(sa.text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "idle_in_transaction_session_timeout")
        }
    assert limits == {"lock_timeout": "10s", "idle_in_transaction_session_timeout": "30s"}
