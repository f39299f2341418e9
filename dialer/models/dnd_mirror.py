"""Mirrors: black lists at providers that are kept in step with DND lists."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel

from dialer.models.base import E164, PublicId, State, UtcDateTime, state_check


class RuleState(StrEnum):
    """What we know of a number on a provider's black list."""

    ADDING = "ADDING"  # being put there; whether it is there, the next comparison tells
    OURS = "OURS"  # put there by us
    DELETING = "DELETING"  # ours, being taken off; whether it is, the next comparison tells
    REFUSED = "REFUSED"  # the provider did not take it; tried again after the next comparison
    THEIRS = "THEIRS"  # put there by somebody else, for all we know: never taken off


class DndMirror(SQLModel, table=True):
    """The black list of one provider, to be kept in step with the global DND list of the provider's account."""

    __tablename__ = "dnd_mirror"

    provider_id: str = Field(
        primary_key=True, foreign_key="provider.id", ondelete="CASCADE", sa_type=PublicId
    )
    #: When it is looked at next.
    due_at: datetime = Field(sa_type=UtcDateTime)
    #: Until when it is one worker's; None: nobody's.
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: When all of it is compared next with what the provider lists.
    compare_at: datetime = Field(sa_type=UtcDateTime)
    #: `dnd_list.changed_at` as it was when the last pass over the numbers began that came to its end; None: none did.
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: The same of the pass that is under way.
    passing_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: The number after which the pass goes on; None: none is under way.
    position: str | None = Field(default=None, sa_type=E164)
    #: How often it has failed in a row, and why the last time.
    failures: int = 0
    error: str | None = None


class DndMirrorRule(SQLModel, table=True):
    """A number on a provider's black list. The key serves store.dnd_mirrors.rules: the next ones in order."""

    __tablename__ = "dnd_mirror_rule"
    __table_args__ = (state_check("state", RuleState),)

    provider_id: str = Field(
        primary_key=True, foreign_key="provider.id", ondelete="CASCADE", sa_type=PublicId
    )
    e164: str = Field(primary_key=True, sa_type=E164)
    state: str = Field(sa_type=State)
