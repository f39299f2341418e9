"""History: every change of state, append-only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from dialer.models.base import CallId, Serial, State, UtcDateTime


class History(SQLModel, table=True):
    """One change of state of a campaign, call or attempt."""

    __tablename__ = "history"
    # store.history.of: one entity's changes in order.
    __table_args__ = (Index("history_entity_id_idx", "entity_id", "id"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=Serial)
    at: datetime = Field(sa_type=UtcDateTime)
    #: `campaign`, `call` or `attempt`.
    machine: str = Field(sa_type=State)
    entity_id: str = Field(sa_type=CallId)
    from_state: str = Field(sa_type=State)
    to_state: str = Field(sa_type=State)
    reason: str = ""
