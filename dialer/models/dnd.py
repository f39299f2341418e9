"""DND lists: numbers never to dial."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from dialer.models.base import E164, PublicId, UtcDateTime


class DndList(SQLModel, table=True):
    """Numbers that an account never dials: one global list, and named ones that a campaign chooses."""

    __tablename__ = "dnd_list"
    __table_args__ = (
        # Also serves store.lists.of_account: an account's lists by name.
        UniqueConstraint("account_id", "name"),
        # store.dnd.purge: deleted lists.
        Index(
            "dnd_list_deleted_idx",
            "id",
            postgresql_where=text("deleted_at IS NOT NULL"),
            sqlite_where=text("deleted_at IS NOT NULL"),
        ),
        # An account has exactly one global list (store.dnd.global_list).
        Index(
            "dnd_list_global_idx",
            "account_id",
            unique=True,
            postgresql_where=text("is_global"),
            sqlite_where=text("is_global"),
        ),
    )

    id: str = Field(primary_key=True, sa_type=PublicId)
    account_id: str = Field(foreign_key="account.id", sa_type=PublicId)
    name: str
    is_global: bool = False
    #: A deleted list is nobody's any more; its numbers go bit by bit.
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: When numbers were last put on it or taken off, or it was made.
    changed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class DndNumber(SQLModel, table=True):
    """One number on a DND list. The key serves store.dnd.listed: which of these numbers stand on these lists."""

    __tablename__ = "dnd_number"

    dnd_list_id: str = Field(primary_key=True, foreign_key="dnd_list.id", sa_type=PublicId)
    e164: str = Field(primary_key=True, sa_type=E164)
    name: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime)
