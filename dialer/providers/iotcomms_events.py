"""What iotcomms' callbacks say (`iotcomms-mediaservice-api.md`).

Each comes as JSON under its own name. There is no time in them, so arrival counts. An attempt is known by the
reference that it was placed with; a call that came in by its `sessionId`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dialer import ids
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.contract import EventError, Fact, Inbound, RawEvent, json_object
from dialer.providers.iotcomms_live import (
    CALL_EVENTS,
    FAILURES,
    RECORDING,
    SPLITS,
    as_number,
    caller_in,
    keys_pressed,
    recording_name,
    text_in,
)
from dialer.providers.iotcomms_reference import Reference, read_reference
from dialer.providers.reading import checked_reference, seconds
from dialer.providers.sip import ENDINGS, Ending, ending

#: "/callNotify", `event`: all of it.
RINGING = "ringing"
NOTIFICATIONS = frozenset({RINGING, "reInvite", "update"})
#: "/recordingReady", `event`: all of it.
RECORDINGS = frozenset({"recordingSuccessful", "recordingFailed"})
#: "/<domain_configured>", `type`: all of it. They name a session and hold no reference.
ALARMS = frozenset(
    {
        "sessionError",
        "callEventError",
        "newCallEventError",
        "emergencyFallback",
        "ivrCommandError",
        "callError",
    }
)
#: … and its `error`: all of it, as it begins. One goes on with an address.
ALARM_ERRORS = (
    "maxDuration",
    "No response to callEvent request",
    "Invalid sip address",
    "callEvent response with unknown action",
    "No action provided in callEvent response",
    "newCall response empty",
    "newCall response without action",
    "newCall response with unknown action",
    "newCall request failed",
    "triggeredByAlways",
    "triggeredByError",
    "phraseError",
    "mediaServerError",
    "Empty body in getIvrCommand response",
    "getIvrCommand request error",
    "IVR command failed",
    "RTP media timeout",
    "invalidSdp",
    "sessionExpired",
    "cancelFailed",
    "phraseRemoteCacheTimeout",
    "unexpectedReinviteResponse",  # of no list: the fields beside it are "applicable for" it
)
#: Q.850, "Normal call clearing".
NORMAL: Ending = (Disposition.ANSWERED, 16)
NOT_TOLD: tuple[None, None] = (None, None)


def callback(raw: RawEvent) -> tuple[str, dict[str, Any]]:
    """A callback's name, the last part of its path, and its body; "alarm" for one, whose path is the user's.

    Raises EventError for what is neither.
    """
    body = json_object(raw.body)
    if body is None:
        raise EventError("the callback's body is no JSON object")
    name = raw.path.strip("/").rpartition("/")[2]
    if name in _READERS:
        return name, body
    if "type" in body:
        return "alarm", body
    raise EventError("the callback's name is not one that iotcomms documents")


def read_event(raw: RawEvent) -> list[Fact]:
    """What a callback says. Raises EventError for what makes no sense, or is in none of the document's lists."""
    name, body = callback(raw)
    return _READERS[name](body, raw.received_at)


def read_alarm(raw: RawEvent) -> str:
    """What of a callback somebody should look at: an alarm, in its documented words, and a recording that failed."""
    name, body = callback(raw)
    if name == "recordingReady" and text_in(body, "event") == "recordingFailed":
        reason = text_in(body, "reason").strip().rstrip(".")
        # The document's example is a phrase; what holds digits may hold a number.
        is_phrase = reason.isprintable() and not any(one.isdigit() for one in reason)
        told = f": {reason[:80]}" if reason and is_phrase else ""
        return f"iotcomms did not record a conversation{told}"
    if name != "alarm":
        return ""
    error = text_in(body, "error")
    known = next((one for one in ALARM_ERRORS if error.startswith(one)), "an error that it does not document")
    return f"iotcomms raised an alarm: {text_in(body, 'type')[:40]}, {known}"


def _notified(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/callNotify"."""
    if (
        _documented(text_in(body, "event"), NOTIFICATIONS) != RINGING
        or body.get("monitoringParticipant") is True
    ):
        return []
    reference = read_reference(body.get("sessionReferenceId"))
    if reference.attempt_id and reference.connected:
        return []  # it rings at whoever they are connected with
    return [
        _fact(body, at, reference, AttemptState.RINGING, connected=_other(reference, text_in(body, "user")))
    ]


def _answered(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/callAnswered"."""
    if body.get("monitoringParticipant") is True:
        return []
    reference = read_reference(body.get("sessionReferenceId"))
    connected = _other(reference, text_in(body, "remotePartyNumber"))
    return [_fact(body, at, reference, AttemptState.ANSWERED, connected=connected)]


def _asked(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/getIvrCommand": somebody is on the line."""
    reference = read_reference(body.get("sessionReferenceId"))
    return [_fact(body, at, reference, AttemptState.ANSWERED, dtmf=keys_pressed(body))]


def _left(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/callEvent". Until somebody has been on the line it says how the call ended; the end of a conversation is
    told by sessionCompleted, when the last one has gone."""
    event = _documented(text_in(body, "event"), CALL_EVENTS)
    reference = read_reference(body.get("sessionReferenceId"))
    status = _status(body.get("sipResponseCode"))
    if event in SPLITS or reference.answered or (reference.connected and event not in FAILURES):
        return []
    if reference.connected and (reference.attempt_id or reference.then is not None):
        return []  # whom they were to be connected with cannot be reached
    is_unheard_of = False
    if event in FAILURES or (status is not None and status >= 300):
        how = ending(status, text_in(body, "sipReason"))
        is_unheard_of = body.get("sipResponseCode") is not None and status not in ENDINGS
    elif event == "calledPartyDrop" and reference.attempt_id:
        how = NORMAL  # who hangs up has picked up
    else:
        return []
    return [_fact(body, at, reference, AttemptState.ENDED, how, is_unheard_of=is_unheard_of)]


def _completed(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/sessionCompleted". It does not say how the call ended: that somebody was on the line stands in the
    reference, that nobody was has been told by a callEvent."""
    reference = read_reference(body.get("sessionReferenceId"))
    how = NORMAL if reference.answered else NOT_TOLD
    value = body.get("sessionDuration")
    length = (
        seconds(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    )
    return [_fact(body, at, reference, AttemptState.ENDED, how, duration=length)]


def _came_in(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/newCall" and "/getCallIdentifier"."""
    return [_fact(body, at, Reference(), AttemptState.RINGING)]


def _recorded(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/recordingReady". It holds no reference: recordings that we ask for are called as their attempts, those of
    calls that came in as their sessions, and others are nobody's."""
    event, name = _documented(text_in(body, "event"), RECORDINGS), text_in(body, "recordingFileName")
    if event == "recordingFailed":
        return []
    attempt_id, session = name.removesuffix(RECORDING), text_in(body, "sessionId")
    if session and name == recording_name(session):
        return [_fact(body, at, Reference(), AttemptState.ANSWERED, recording=name)]
    try:
        ids.call_of(attempt_id)
    except ValueError:
        return []
    if name != recording_name(attempt_id):
        return []
    reference = Reference(checked_reference(attempt_id))
    return [_fact(body, at, reference, AttemptState.ANSWERED, recording=name)]


def _alarmed(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/<domain_configured>"."""
    _documented(text_in(body, "type"), ALARMS)
    return []


def _silent(body: Mapping[str, Any], at: datetime) -> list[Fact]:
    """See "/newRemoteCall": it is for devices, not for calls of ours."""
    return []


_READERS: Mapping[str, Callable[[Mapping[str, Any], datetime], list[Fact]]] = {
    "callNotify": _notified,
    "callAnswered": _answered,
    "getIvrCommand": _asked,
    "callEvent": _left,
    "sessionCompleted": _completed,
    "newCall": _came_in,
    "recordingReady": _recorded,
    "getCallIdentifier": _came_in,
    "newRemoteCall": _silent,
    "alarm": _alarmed,
}


def _documented(word: str, known: frozenset[str]) -> str:
    if word not in known:
        raise EventError("the callback's event is not one that iotcomms documents")
    return word


def _status(value: object) -> int | None:
    """A SIP status; None when it is none."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if len(text) == 3 and text.isascii() and text.isdigit() else None


def _other(reference: Reference, user: str) -> str:
    """Whom a caller is connected with, once there is anybody."""
    return as_number(user) if reference.connected else ""


def _fact(
    body: Mapping[str, Any],
    at: datetime,
    reference: Reference,
    state: AttemptState,
    how: tuple[Disposition | None, int | None] = NOT_TOLD,
    *,
    duration: float | None = None,
    dtmf: str = "",
    connected: str = "",
    recording: str = "",
    is_unheard_of: bool = False,
) -> Fact:
    inbound = None
    if not reference.attempt_id:
        session = text_in(body, "sessionId") or reference.session
        if not session:
            raise EventError("the callback holds neither a reference nor a sessionId")
        caller, called = caller_in(body), as_number(text_in(body, "calledParty"))
        inbound = Inbound(checked_reference(session), caller, called, connected)
    disposition, hangup_cause = how
    return Fact(
        attempt_id=reference.attempt_id,
        state=state,
        disposition=disposition,
        hangup_cause=hangup_cause,
        at=at,
        duration=duration,
        billsec=None,  # a session's length holds the ringing
        cost=None,
        dtmf=dtmf,
        inbound=inbound,
        recording_name=recording,
        is_unheard_of=is_unheard_of,
    )
