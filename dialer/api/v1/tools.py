"""What an endpoint of `/v1` works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine

from dialer.api.doorbell import Doorbell
from dialer.settings import Settings


@dataclass(frozen=True, slots=True)
class Tools:
    """The engine, the settings, the clock, and the bell to ring when work is committed."""

    engine: Engine
    settings: Settings
    clock: Callable[[], datetime]
    doorbell: Doorbell

    @property
    def now(self) -> datetime:
        """In UTC."""
        return self.clock()


async def _tools(request: Request) -> Tools:  # async: no thread is to be woken for this
    state = request.app.state
    return Tools(state.engine, state.settings, state.clock, state.doorbell)


With = Annotated[Tools, Depends(_tools)]
