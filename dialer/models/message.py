"""Messages: what a call without a campaign is about."""

from __future__ import annotations

from typing import Any

from sqlmodel import Field, SQLModel

from dialer.models.base import E164, CallId, Json, PublicId, State
from dialer.providers.contract import Capability


class Message(SQLModel, table=True):
    """What a single call is for and what it says, as its campaign tells for a campaign's call."""

    __tablename__ = "message"

    call_id: str = Field(primary_key=True, sa_type=CallId)
    #: What its provider must be able to do.
    capability: str = Field(default=Capability.VOICE_OTP, sa_type=State)
    caller_id: str
    #: Ready to be spoken or sent. None once the call has ended: a one-time password is not kept.
    text: str | None = None
    #: A recorded file instead of a text; or what a call that asks for keys says, as `flow_form.to_json` wrote it.
    media: str | None = None
    flow: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: The one-time password by itself. None once the call has ended.
    code: str | None = None
    #: Whom the callee is connected with.
    connect_to: str | None = Field(default=None, sa_type=E164)
    record: bool = False
    #: Whose words alone are recorded (`talk.Side`), None: those of both; and whether they are written down.
    record_side: str | None = Field(default=None, sa_type=State)
    transcript: bool | None = None
    #: Whether a recording is a wish, without which the two are connected all the same.
    record_if_able: bool | None = None
    #: How the two are connected, as `talk_form.to_columns` wrote it: what each hears first (None once the call has
    #: ended), for how many seconds they may talk at most, and which numbers are rung besides the callee's.
    prompts: dict[str, Any] | None = Field(default=None, sa_type=Json)
    max_seconds: int | None = None
    ring: dict[str, Any] | None = Field(default=None, sa_type=Json)
    #: The only provider that may carry it; None: any that can.
    provider_id: str | None = Field(default=None, sa_type=PublicId)
    #: The callee's, as it was given; None: told by the number.
    time_zone: str | None = None
    #: How many times it is spoken in one call.
    repeat_count: int = 1
    voice: str = "Joanna"
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"
    language_code: str = "en-US"
    tts_engine_type: str = "standard"
