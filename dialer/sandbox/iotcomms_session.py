"""A session of the simulated iotcomms: one call, its prompts, whom it is connected with, and the callbacks that tell
and ask on the way (`iotcomms-mediaservice-api.md`)."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dialer.sandbox.iotcomms_answers import said, wrong_action, wrong_command
from dialer.sandbox.outcomes import Delivery, Ending, Fate, fate_of, ring_seconds, talk_seconds

#: `sipResponseCode` of what is no answer, and `errorDescr`.
FAILURES = {
    Ending.BUSY: (486, "Busy Here"),
    Ending.NO_ANSWER: (487, "Request cancelled"),
    Ending.UNAVAILABLE: (480, "Temporarily Unavailable"),
    Ending.CONGESTION: (503, "Service Unavailable"),
    Ending.REJECTED: (603, "Decline"),
    Ending.INVALID_NUMBER: (404, "Not Found"),
}
SECONDS_TO_START = 0.5
SECONDS_LATE = 60.0
MOST_ANSWERS = 50  # of a session; then it has lasted too long

#: Posts a callback's body under its name; the reply's body, or None when it was not taken.
Post = Callable[[str, Mapping[str, Any]], Awaitable[bytes | None]]


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


@dataclass(slots=True)
class Shown:
    """What `GET /sandbox/iotcomms` shows of a session."""

    heard: list[str] = field(default_factory=list)
    pressed: str = ""
    connected: list[str] = field(default_factory=list)
    greeted: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    dropped: str = ""  # `dropCode` of the last drop
    is_over: bool = False


class Session:
    """One session; `keys` are what whoever is on the line will press, in order."""

    def __init__(
        self,
        post: Post,
        domain: str,
        caller: str,
        called: str,
        *,
        reference: Any,
        keys: str,
        time_scale: Callable[[], float],
        on_connect: Callable[[Any, str, int], None],
        on_record: Callable[[str], int],
        came_in: bool = False,
    ) -> None:
        """`on_connect` is told who is rung to be connected (our reference, number, which one it is), `on_record` of a
        recording that is to be stored; it gives the length in bytes."""
        self.id = str(uuid.uuid1())
        self.reply_id = uuid.uuid4().hex
        self.connection_id = str(uuid.uuid1())
        self.participants = {"caller": str(uuid.uuid1()), "callee": str(uuid.uuid1())}
        self.domain = domain
        self.caller = caller
        self.called = called
        self.came_in = came_in
        self.shown = Shown()
        self._post = post
        self._reference = reference
        self._keys = keys
        self._time_scale = time_scale
        self._on_connect = on_connect
        self._on_record = on_record
        self._trace_id = str(uuid.uuid1())
        self._controls: asyncio.Queue[str] = asyncio.Queue()
        self._fate = fate_of("".join(c for c in (caller if came_in else called) if c.isdigit()))
        self._held: list[tuple[str, dict[str, Any]]] = []
        self._recording = ""
        self._answers = 0
        self._seconds = 0.0

    def control(self, what: str) -> None:
        """Something that a method asks for: hang up, interrupt, split, record NAME, stop."""
        self._controls.put_nowait(what)

    # --- its life ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """From the first ring to the last callback."""
        if self._fate.delivery is Delivery.NEVER and not self.came_in:
            self.shown.is_over = True
            return
        reason = "normal"
        try:
            await (self._receive() if self.came_in else self._place())
        except AlarmError as alarm:
            reason = alarm.kind
            self.shown.alarms.append(f"{alarm.kind}: {alarm.error}")
            told = {"type": alarm.kind, "domain": self.domain, "sessionId": self.id, "error": alarm.error}
            await self._tell("alarm", told)
        except ControlError:
            reason = "hung up"
        await self._complete(reason)

    async def _place(self) -> None:
        number, fate = self.called, self._fate
        await self._wait(SECONDS_TO_START)
        if not await self._rings(number, fate):
            return  # what could be answered would be to nobody
        await self._command()

    async def _receive(self) -> None:
        body = {
            "sessionId": self.id,
            "sipCallId": self._trace_id,
            "ivrServer": "127.0.0.1",
            "callingPartyPrivacy": "public",
            "callingParty": self.caller,
            "fromUser": self.caller,
            "calledParty": self.called,
            "srcAddr": "127.0.0.1",
        }
        await self._obey(
            await self._ask("newCall", body, "newCallEventError", "newCall response empty"), "newCall"
        )

    async def _rings(self, number: str, fate: Fate) -> bool:
        """Rings somebody; whether they pick up. Else how it ended is told, and what was answered obeyed."""
        told = {"event": "ringing", "monitoringParticipant": False, "user": number, "remoteUser": self.caller}
        await self._tell(
            "callNotify", {**self._known(), **told, "participantId": self.participants["callee"]}
        )
        await self._wait(ring_seconds(number))
        if fate.ending in FAILURES:
            status, description = FAILURES[fate.ending]
            how = {"sipResponseCode": status, "errorDescr": description}
            await self._event("calledPartyFailure", number, how)
            return False
        await self._tell(
            "callAnswered",
            {
                **self._known(),
                "callingPartyNumber": self.caller,
                "remotePartyNumber": number,
                "callerParticipantId": self.participants["caller"],
                "calleeParticipantId": self.participants["callee"],
                "connectionId": self.connection_id,
                "monitoringParticipant": False,
                "replyId": self.reply_id,
            },
        )
        return True

    async def _command(self) -> None:
        """Asks for commands and obeys them until one hangs up."""
        pressed: dict[str, Any] = {}
        while True:
            body = {**self._known(), "replyId": self.reply_id, **pressed}
            answer = await self._ask(
                "getIvrCommand", body, "ivrCommandError", "Empty body in getIvrCommand response"
            )
            wrong = wrong_command(answer)
            if wrong:
                raise AlarmError("ivrCommandError", f"IVR command failed: {wrong}")
            self._keep(answer)
            try:
                await self._hear(answer)
                if answer.get("hangup") is True:
                    break
                pressed = await self._press(answer)
            except ControlError as control:
                if control.what != "interrupt":
                    raise
                pressed = {}
        prompts = "calledPartyDrop" if self.came_in else "callingPartyDrop"
        await self._event(prompts, self.called if self.came_in else self.caller, {})

    async def _hear(self, answer: Mapping[str, Any]) -> None:
        for phrase in answer.get("phrases") or ():
            if phrase["format"] == "awstts" and self._fate.ending is Ending.TTS_FAILURE:
                raise AlarmError("ivrCommandError", "phraseError")
            self.shown.heard.append(said(phrase))
        await self._wait(talk_seconds(self.caller if self.came_in else self.called))

    async def _press(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        """What is told of the keys with the next request."""
        dtmf = answer.get("dtmf")
        if dtmf is None:
            await self._wait(answer.get("getIVRCommandAfter", 0))
            return {}
        most = dtmf.get("maxDigits", 1)
        keys, self._keys = self._keys[:most], self._keys[most:]
        if self._fate.ending is Ending.MACHINE or not keys.strip():
            await self._wait(dtmf.get("firstTimeout", 0))
            return {"dtmfParams": {"reason": "firstTimeout"}}
        self.shown.pressed += keys
        reason = "maxDigits" if len(keys) == most else "betweenTimeout"
        return {"dtmfBuffer": keys, "dtmfParams": {"dtmfMatch": keys, "reason": reason}}

    async def _event(self, event: str, user: str, more: Mapping[str, Any]) -> None:
        """A callEvent, and what is answered to it."""
        body = {
            **self._known(),
            "domain": self.domain,
            "connectionId": self.connection_id,
            "participantId": self.participants["callee"],
            "remoteParticipantId": self.participants["caller"],
            "event": event,
            "user": user,
            **more,
        }
        answer = await self._ask("callEvent", body, "callEventError", "No response to callEvent request")
        await self._obey(answer, "callEvent")

    async def _obey(self, answer: Mapping[str, Any], question: str) -> None:
        kind = "newCallEventError" if question == "newCall" else "callEventError"
        if wrong := wrong_action(answer, question):
            raise AlarmError(kind, wrong)
        self._keep(answer)
        action = answer["action"]
        if action == "drop":
            self.shown.dropped = answer.get("dropCode", "")
        elif action == "ivr":
            await self._command()
        else:
            await self._connect(answer)

    async def _connect(self, answer: Mapping[str, Any]) -> None:
        """Rings whom the one on the line is to be connected with."""
        number = answer["destAddr"].removeprefix("sip:").partition("@")[0]
        self.shown.connected.append(number)
        self._on_connect(self._reference, number, len(self.shown.connected))
        if not await self._rings(number, fate_of(number)):
            return
        for phrase in answer.get("greeting", {}).get("callee", {}).get("phrases", ()):
            self.shown.greeted.append(said(phrase))
        if answer.get("callRecording") is True:
            self._recording = answer.get("recordingFileName", f"{self.id}.mp3")
        events = ["calledPartyDrop"]
        try:
            await self._wait(talk_seconds(number))
        except ControlError as control:
            if control.what == "hang up":
                raise
            if control.what == "split":
                events = ["calleeConnectionSplit", "callerConnectionSplit"]
        await self._stop_recording()
        for event in events:
            await self._event(event, number, {})

    async def _stop_recording(self) -> None:
        if not self._recording:
            return
        name, self._recording = self._recording, ""
        self.shown.recorded.append(name)
        told = {"sessionId": self.id, "connectionId": self.connection_id, "recordingFileName": name}
        size = self._on_record(name)
        await self._tell(
            "recordingReady",
            {**told, "fileSize": size, "domain": self.domain, "event": "recordingSuccessful"},
        )

    async def _complete(self, reason: str) -> None:
        await self._stop_recording()
        if self._fate.delivery is Delivery.LATE:
            await asyncio.sleep(SECONDS_LATE * self._time_scale())
        length = {"sessionDuration": round(self._seconds), "reason": reason, "domain": self.domain}
        await self._send("sessionCompleted", {**self._known(), **length})
        for name, body in self._held:
            await self._send(name, body)
        self.shown.is_over = True

    # --- what is told and asked --------------------------------------------------------------------------

    def _known(self) -> dict[str, Any]:
        known = {"sessionId": self.id, "ivrServer": "127.0.0.1", "traceId": self._trace_id}
        return known if self._reference is None else {**known, "sessionReferenceId": self._reference}

    def _keep(self, answer: Mapping[str, Any]) -> None:
        self._reference = answer.get("sessionReferenceId", self._reference)

    async def _tell(self, name: str, body: dict[str, Any]) -> None:
        if self._fate.delivery is Delivery.BACKWARDS:
            self._held.append((name, body))
        else:
            await self._send(name, body)

    async def _send(self, name: str, body: dict[str, Any]) -> bytes | None:
        reply = await self._post(name, body)
        if self._fate.delivery is Delivery.DOUBLED:
            await self._post(name, body)
        return reply

    async def _ask(self, name: str, body: dict[str, Any], kind: str, empty: str) -> dict[str, Any]:
        """The answer to a question. Raises AlarmError when there is none, as the document's `error` says it."""
        self._answers += 1
        if self._answers > MOST_ANSWERS:
            raise AlarmError("sessionError", "maxDuration")
        reply = await self._send(name, body)
        try:
            answer = json.loads(reply or b"null")
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or not answer:
            raise AlarmError(kind, empty)
        return answer

    async def _wait(self, seconds: float) -> None:
        """Waits; what a method records begins and ends meanwhile, and all else that one asks for is a ControlError."""
        self._seconds += seconds
        scale = 0.0 if self._fate.delivery is Delivery.EARLY else self._time_scale()
        until = asyncio.get_running_loop().time() + seconds * scale
        while True:
            try:
                async with asyncio.timeout_at(until):
                    what = await self._controls.get()
            except TimeoutError:
                return
            if what == "stop":
                await self._stop_recording()
            elif what.startswith("record "):
                self._recording = what.removeprefix("record ")
            else:
                raise ControlError(what)
