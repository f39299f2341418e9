"""Column types that mean the same on PostgreSQL and SQLite, and the naming of constraints."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, Dialect, Integer, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine
from sqlmodel import SQLModel

# Alembic compares constraints by name, so every one needs a name that both databases keep.
SQLModel.metadata.naming_convention = {
    "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    "uq": "%(table_name)s_%(column_0_N_name)s_key",
    "ck": "%(table_name)s_%(constraint_name)s_check",
    "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
    "pk": "%(table_name)s_pkey",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC (`timestamptz`, or sortable text on SQLite) and read back as UTC.

    Raises ValueError for a naive datetime: local time exists only inside the window check and at the API's edge.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """PostgreSQL's times come in UTC already: `dialer.db` sets the session's zone."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def id_type(length: int) -> TypeEngine[str]:
    """Ids sort by byte, whatever the database's locale: cheaper comparisons and the same order everywhere."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")


#: account, list, DND list, campaign, provider, import: prefix + 10 characters.
PublicId = id_type(16)
#: call ids (20 characters) and attempt ids (call id, dash, number).
CallId = id_type(32)
E164 = id_type(16)
#: SQLite numbers rows by itself only for a column of type INTEGER.
Serial = BigInteger().with_variant(Integer, "sqlite")
Json: TypeEngine[Any] = JSON().with_variant(JSONB(), "postgresql")
State = id_type(16)


def state_check(column: str, states: type[StrEnum]) -> CheckConstraint:
    """A CHECK that the column holds a member of `states`."""
    members = ", ".join(f"'{member.value}'" for member in states)
    return CheckConstraint(f"{column} IN ({members})", name=column)


def states_in(column: str, states: frozenset[Any]) -> str:
    """`column IN ('A', 'B')` in a stable order, for the predicates of partial indexes."""
    return f"{column} IN ({', '.join(repr(str(state)) for state in sorted(states))})"
