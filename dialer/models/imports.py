"""Imports: files on their way into a list."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from dialer.models.base import E164, Json, PublicId, Serial, State, UtcDateTime, state_check


class ImportState(StrEnum):
    """Where an import stands."""

    RUNNING = "RUNNING"  # rows are being read, or wait for a worker
    DONE = "DONE"  # the whole file was read
    FAILED = "FAILED"  # the file could not be read on; what was read stays
    CANCELLED = "CANCELLED"  # somebody ended it; what was read stays


class ImportKind(StrEnum):
    """What the rows become."""

    CONTACTS = "CONTACTS"
    DND = "DND"


_running = text(f"state = '{ImportState.RUNNING}'")


class Import(SQLModel, table=True):
    """A file on its way into a list, or (`dry_run`) only looked at as if it were.

    Its counters and offset move in the transaction that writes the rows, so an import goes on exactly where it stood,
    whatever was killed.
    """

    __tablename__ = "import"
    __table_args__ = (
        state_check("state", ImportState),
        state_check("kind", ImportKind),
        # store.imports.claim: running ones whose worker has gone.
        Index("import_running_idx", "lease_until", postgresql_where=_running, sqlite_where=_running),
        # store.imports.is_running_for: is a list still being filled.
        Index("import_target_id_idx", "target_id", postgresql_where=_running, sqlite_where=_running),
        # store.imports.claim: ended ones that have something left to be removed.
        Index(
            "import_scratch_idx",
            "lease_until",
            postgresql_where=text("has_scratch"),
            sqlite_where=text("has_scratch"),
        ),
        # store.imports.of_account: an account's, the newest first.
        Index("import_account_id_idx", "account_id", "created_at", "id"),
    )

    id: str = Field(primary_key=True, sa_type=PublicId)
    account_id: str = Field(foreign_key="account.id", sa_type=PublicId)
    kind: str = Field(sa_type=State)
    #: A list's or DND list's id.
    target_id: str = Field(sa_type=PublicId)
    file_name: str
    #: Where the file lies: a path, or `s3://bucket/key`.
    path: str
    #: What tells this file from another under the same name: `uploads.Upload.version`; empty: only its size.
    version: str = Field(default="", sa_column_kwargs={"server_default": ""})
    #: Everything is checked and counted, and nothing written into the list.
    dry_run: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    #: It has a file or rows of its own, to be removed when it is over.
    has_scratch: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    region: str | None = None
    state: str = Field(default=ImportState.RUNNING, sa_type=State)
    #: Bytes.
    size: int
    offset: int = 0
    line: int = 0
    #: Encoding, delimiter and columns, found out from the first lines.
    dialect: dict[str, Any] | None = Field(default=None, sa_type=Json)
    accepted: int = 0
    duplicate: int = 0
    invalid: int = 0
    #: Of the accepted: contacts that stood on the account's global DND list. They are in the list all the same, for
    #: DND lists change; a call to them is suppressed when it is due.
    suppressed: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    error: str = ""
    #: Whoever works on it holds it until then.
    lease_until: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CheckedNumber(SQLModel, table=True):
    """A number that a dry run has met: the next one like it is a duplicate. Gone when the dry run is over."""

    __tablename__ = "checked_number"

    import_id: str = Field(primary_key=True, foreign_key="import.id", sa_type=PublicId)
    e164: str = Field(primary_key=True, sa_type=E164)


class RejectedRow(SQLModel, table=True):
    """A row that was not taken, and why."""

    __tablename__ = "rejected_row"
    # store.imports.rejected: a file's bad rows in order.
    __table_args__ = (Index("rejected_row_import_id_idx", "import_id", "line"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    import_id: str = Field(foreign_key="import.id", sa_type=PublicId)
    line: int
    column: str
    value: str
    #: `invalid`, `duplicate` …
    code: str
    reason: str
