"""How a text is spoken, in the words of `/v1`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from dialer import speech
from dialer.store.tables import AnyRow

Volume = Literal["silent", "x-soft", "soft", "medium", "loud", "x-loud"]
Rate = Literal["x-slow", "slow", "medium", "fast", "x-fast"]
Pitch = Literal["x-low", "low", "medium", "high", "x-high"]
Engine = Literal["standard", "neural"]

#: What `Speech` calls otherwise.
_COLUMNS = {"language": "language_code", "engine": "tts_engine_type", "times": "repeat_count"}


class SpeechForm(BaseModel, extra="forbid"):
    """How a text is spoken, as far as the provider can."""

    voice: str = Field(
        default=speech.DEFAULT_VOICE, pattern=rf"^{speech.VOICE.pattern}$", description="a voice's name"
    )
    language: str = Field(
        default=speech.DEFAULT_LANGUAGE, pattern=rf"^{speech.LANGUAGE.pattern}$", description="such as en-US"
    )
    volume: Volume = "medium"
    rate: Rate = "medium"
    pitch: Pitch = "medium"
    engine: Engine = "standard"
    times: int = Field(
        default=1, ge=1, le=speech.MOST_ANNOUNCEMENTS, description="how often it is said in one call"
    )

    @property
    def speech(self) -> speech.Speech:
        """The same in the engine's words."""
        return speech.Speech(
            repeat_count=self.times,
            voice=self.voice,
            volume=self.volume,
            rate=self.rate,
            pitch=self.pitch,
            language_code=self.language,
            tts_engine_type=self.engine,
        )

    @property
    def given(self) -> dict[str, Any]:
        """The attributes of `Speech` that were given."""
        return {_COLUMNS.get(name, name): getattr(self, name) for name in self.model_fields_set}

    @classmethod
    def of(cls, row: AnyRow) -> SpeechForm:
        """Of a row that has the columns of `Speech`."""
        return cls(
            voice=row.voice,
            language=row.language_code,
            volume=row.volume,
            rate=row.rate,
            pitch=row.pitch,
            engine=row.tts_engine_type,
            times=row.repeat_count,
        )
