"""Who is on the line in a session of the simulated iotcomms, what is shown of them, and what may go wrong."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from dialer.sandbox.outcomes import Ending

#: `sipResponseCode` of what is no answer, and `errorDescr`.
FAILURES = {
    Ending.BUSY: (486, "Busy Here"),
    Ending.NO_ANSWER: (487, "Request cancelled"),
    Ending.UNAVAILABLE: (480, "Temporarily Unavailable"),
    Ending.CONGESTION: (503, "Service Unavailable"),
    Ending.REJECTED: (603, "Decline"),
    Ending.INVALID_NUMBER: (404, "Not Found"),
}


class AlarmError(Exception):
    """An answer that cannot be obeyed: `type` and `error` of the alarm."""

    def __init__(self, kind: str, error: str) -> None:
        super().__init__(kind, error)
        self.kind = kind
        self.error = error


class ControlError(Exception):
    """A method has come between: `what` it asks for."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass(frozen=True, slots=True)
class Participant:
    """Somebody on the line, or the prompts; `user` is the user part of their address."""

    user: str
    id: str = field(default_factory=lambda: str(uuid.uuid1()))


@dataclass(frozen=True, slots=True)
class Connection:
    """Two who are connected, or one with the prompts."""

    caller: Participant
    callee: Participant
    id: str = field(default_factory=lambda: str(uuid.uuid1()))


@dataclass(slots=True)
class Shown:
    """What `GET /sandbox/iotcomms` shows of a session."""

    heard: list[str] = field(default_factory=list)
    pressed: str = ""
    connected: list[str] = field(default_factory=list)
    talked: list[list[str]] = field(default_factory=list)  # each two who were connected, who called first
    greeted: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    dropped: str = ""  # `dropCode` of the last drop
    is_over: bool = False
