"""Unknown words: what providers said that no table of their adapter has."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Field, SQLModel

from dialer.models.base import PublicId, UtcDateTime


class UnknownWord(SQLModel, table=True):
    """How many events of a provider were not understood; the events themselves are kept as they came."""

    __tablename__ = "unknown_word"

    #: No foreign key: it would lock the provider's row, for which release waits.
    provider_id: str = Field(primary_key=True, sa_type=PublicId)
    events: int = 0
    last_at: datetime = Field(sa_type=UtcDateTime)
