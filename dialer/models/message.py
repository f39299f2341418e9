"""Messages: what a call without a campaign says."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from dialer.models.base import CallId


class Message(SQLModel, table=True):
    """What a single call says, as its campaign does for a campaign's call."""

    __tablename__ = "message"

    call_id: str = Field(primary_key=True, foreign_key="call.id", sa_type=CallId)
    caller_id: str
    #: Ready to be spoken. None once the call has ended: a one-time password is not kept.
    text: str | None = None
    #: How many times it is spoken in one call.
    repeat_count: int = 1
    voice: str = "Joanna"
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    language_code: str = "en-US"
    tts_engine_type: str = "standard"
