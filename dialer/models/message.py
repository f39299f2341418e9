"""Messages: what a call without a campaign is about."""

from __future__ import annotations

from sqlmodel import Field, SQLModel

from dialer.models.base import E164, CallId, State
from dialer.providers.contract import Capability


class Message(SQLModel, table=True):
    """What a single call is for and what it says, as its campaign tells for a campaign's call."""

    __tablename__ = "message"

    call_id: str = Field(primary_key=True, foreign_key="call.id", sa_type=CallId)
    #: What its provider must be able to do.
    capability: str = Field(default=Capability.VOICE_OTP, sa_type=State)
    caller_id: str
    #: Ready to be spoken or sent. None once the call has ended: a one-time password is not kept.
    text: str | None = None
    #: The one-time password by itself. None once the call has ended.
    code: str | None = None
    #: Whom the callee is connected with.
    connect_to: str | None = Field(default=None, sa_type=E164)
    record: bool = False
    #: How many times it is spoken in one call.
    repeat_count: int = 1
    voice: str = "Joanna"
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    language_code: str = "en-US"
    tts_engine_type: str = "standard"
