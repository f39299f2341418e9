"""Lists of people to call."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from dialer.models.base import E164, Json, PublicId, UtcDateTime

_deleted = text("deleted_at IS NOT NULL AND last_position > 0")


class ContactList(SQLModel, table=True):
    """A named list of contacts of one account."""

    __tablename__ = "contact_list"
    __table_args__ = (
        # Also serves store.lists.of_account: an account's lists by name.
        UniqueConstraint("account_id", "name"),
        # store.contacts.purge: deleted lists that still hold contacts.
        Index("contact_list_deleted_idx", "id", postgresql_where=_deleted, sqlite_where=_deleted),
    )

    id: str = Field(primary_key=True, sa_type=PublicId)
    account_id: str = Field(foreign_key="account.id", sa_type=PublicId)
    name: str
    #: The highest position given out. Whoever adds contacts holds this row until it commits, so positions become
    #: visible in order and a campaign's cursor can never step over a contact that is still being written.
    last_position: int = 0
    contact_count: int = 0
    #: A deleted list is nobody's any more; its contacts go bit by bit, and its row when no campaign names it.
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Contact(SQLModel, table=True):
    """A person to call, at a fixed position of a list."""

    __tablename__ = "contact"
    # Also serves: the same number twice in one list is kept once (store.contacts.add).
    __table_args__ = (UniqueConstraint("list_id", "e164"),)

    #: No foreign key: PostgreSQL would look up the list for every row, a third of the work of adding it. Who adds
    #: contacts holds the list's row (store.contacts.add), and a deleted one's stays until they are gone.
    list_id: str = Field(primary_key=True, sa_type=PublicId)
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    e164: str = Field(sa_type=E164)
    name: str = ""
    fields: dict[str, Any] = Field(default_factory=dict, sa_type=Json)
    #: The contact's own zone, else the one of its number when it has exactly one; None: the campaign's.
    time_zone: str | None = None
    language: str | None = None


class ListField(SQLModel, table=True):
    """How many contacts of a list carry a field, so that a template is checked without reading the list."""

    __tablename__ = "list_field"

    list_id: str = Field(primary_key=True, foreign_key="contact_list.id", sa_type=PublicId)
    name: str = Field(primary_key=True)
    contacts: int = 0
