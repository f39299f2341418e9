"""A session of the simulated iotcomms: one call, its prompts, whom it is connected with, and the callbacks that tell
and ask on the way (`iotcomms-mediaservice-api.md`)."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from dialer.sandbox.iotcomms_answers import said, wrong_action, wrong_command
from dialer.sandbox.iotcomms_line import (
    FAILURES,
    AlarmError,
    Connection,
    ControlError,
    Participant,
    Shown,
)
from dialer.sandbox.outcomes import Delivery, Ending, Fate, fate_of, ring_seconds, talk_seconds

SECONDS_TO_START = 0.5
SECONDS_LATE = 60.0
MOST_ANSWERS = 50  # of a session; then it has lasted too long
#: Whoever waits is asked about no sooner than this, whatever the time scale.
SHORTEST_WAIT = 0.05

#: Which callbacks tell of each: by the fields that the document lists for them. A callAnswered names no session.
IN_A_SITE = frozenset(
    {
        "callAnswered",
        "callEvent",
        "callNotify",
        "getCallIdentifier",
        "getIvrCommand",
        "newCall",
        "sessionCompleted",
    }
)
_TOLD_BY: Mapping[str, frozenset[str]] = {
    "sessionId": IN_A_SITE - {"callAnswered"},
    "ivrServer": IN_A_SITE - {"callAnswered", "getCallIdentifier"},
    "traceId": frozenset({"callAnswered", "callNotify", "sessionCompleted"}),
    "sessionReferenceId": IN_A_SITE - {"getCallIdentifier", "newCall"},
    "siteId": IN_A_SITE,
    "siteBaseUrl": IN_A_SITE,
}

#: Posts a callback's body under its name; the reply's body, or None when it was not taken.
Post = Callable[[str, Mapping[str, Any]], Awaitable[bytes | None]]


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
        identified: bool = False,
        site: Mapping[str, str] | None = None,
    ) -> None:
        """`identified`: it comes in where another decides that the prompts have it, so that they ask what to call it
        by. `site`: what callbacks tell of the hybrid site that it is at. `on_connect` is told who is rung to be
        connected (our reference, number, which one it is), `on_record` of a recording that is to be stored; it gives
        the length in bytes."""
        self.id = str(uuid.uuid1())
        self.reply_id = uuid.uuid4().hex
        self.connection = Connection(Participant(caller), Participant(called))
        self.domain = domain
        self.caller = caller
        self.called = called
        self.came_in = came_in
        self.identified = identified
        self.site = dict(site or {})
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
        self._waiting: dict[
            str, tuple[Participant, asyncio.Task[None]]
        ] = {}  # with the prompts, by their ids
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
            await self._alarm(alarm)
        except ControlError:
            reason = "hung up"
        for _, waiting in self._waiting.values():
            waiting.cancel()
        await self._complete(reason)

    async def _alarm(self, alarm: AlarmError) -> None:
        self.shown.alarms.append(f"{alarm.kind}: {alarm.error}")
        told = {"type": alarm.kind, "domain": self.domain, "sessionId": self.id, "error": alarm.error}
        await self._tell("alarm", told)

    async def _place(self) -> None:
        await self._wait(SECONDS_TO_START)
        if not await self._rings(self.connection, self._fate):
            return  # what could be answered would be to nobody
        await self._command()

    async def _receive(self) -> None:
        if self.identified:
            asked = {**self._known("getCallIdentifier"), "calledParty": self.called}
            empty = "getCallIdentifier without an answer"  # the document has no word for it
            self._keep(await self._ask("getCallIdentifier", asked, "sessionError", empty))
            await self._command()
            return
        body = {
            **self._known("newCall"),
            "sipCallId": self._trace_id,
            "callingPartyPrivacy": "public",
            "callingParty": self.caller,
            "fromUser": self.caller,
            "calledParty": self.called,
            "srcAddr": "127.0.0.1",
        }
        await self._obey(
            await self._ask("newCall", body, "newCallEventError", "newCall response empty"),
            "newCall",
            self.connection.caller,
        )

    async def _rings(self, connection: Connection, fate: Fate) -> bool:
        """Rings the callee; whether they pick up. Else how it ended is told, and what was answered obeyed."""
        number = connection.callee.user
        told = {"event": "ringing", "monitoringParticipant": False, "user": number}
        remote = {"remoteUser": connection.caller.user, "remoteParticipantId": connection.caller.id}
        await self._tell(
            "callNotify",
            {**self._known("callNotify"), **told, **remote, "participantId": connection.callee.id},
        )
        await self._wait(ring_seconds(number))
        if fate.ending in FAILURES:
            status, description = FAILURES[fate.ending]
            how = {"sipResponseCode": status, "errorDescr": description}
            await self._event("calledPartyFailure", connection, how)
            return False
        await self._answered(connection)
        return True

    async def _answered(self, connection: Connection) -> None:
        self.connection = connection
        await self._tell(
            "callAnswered",
            {
                **self._known("callAnswered"),
                "callingPartyNumber": connection.caller.user,
                "remotePartyNumber": connection.callee.user,
                "callerParticipantId": connection.caller.id,
                "calleeParticipantId": connection.callee.id,
                "connectionId": connection.id,
                "monitoringParticipant": False,
                "replyId": self.reply_id,
            },
        )

    async def _command(self) -> None:
        """Asks for commands and obeys them until one hangs up."""
        pressed: dict[str, Any] = {}
        while True:
            body = {**self._known("getIvrCommand"), "replyId": self.reply_id, **pressed}
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
        await self._event("calledPartyDrop" if self.came_in else "callingPartyDrop", self.connection, {})

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

    async def _event(self, event: str, connection: Connection, more: Mapping[str, Any]) -> None:
        """A callEvent about somebody who has gone, and what is answered to it about who remains."""
        gone, remains = connection.caller, connection.callee
        if event.startswith("called"):
            gone, remains = remains, gone
        await self._obey(await self._ask_about(event, connection, gone, more), "callEvent", remains)

    async def _ask_about(
        self, event: str, connection: Connection, caused: Participant, more: Mapping[str, Any]
    ) -> dict[str, Any]:
        other = connection.callee if caused is connection.caller else connection.caller
        body = {
            **self._known("callEvent"),
            "domain": self.domain,
            "connectionId": connection.id,
            "participantId": caused.id,
            "remoteParticipantId": other.id,
            "event": event,
            "user": caused.user,
            "remoteUser": other.user,
            **more,
        }
        return await self._ask("callEvent", body, "callEventError", "No response to callEvent request")

    async def _obey(self, answer: Mapping[str, Any], question: str, who: Participant) -> None:
        """What is answered about `who`."""
        kind = "newCallEventError" if question == "newCall" else "callEventError"
        if wrong := wrong_action(answer, question):
            raise AlarmError(kind, wrong)
        self._keep(answer)
        action = answer["action"]
        if action == "drop":
            self.shown.dropped = answer.get("dropCode", "")
        elif action == "ivr":
            prompts = Participant(self.called if self.came_in else self.caller)
            self.connection = Connection(who, prompts) if self.came_in else Connection(prompts, who)
            await self._command()
        elif action == "connect":
            await self._join(answer["participantId"], question, who)
        else:
            await self._connect(answer, who)

    async def _connect(self, answer: Mapping[str, Any], who: Participant) -> None:
        """Rings whom the one on the line is to be connected with."""
        number = answer["destAddr"].removeprefix("sip:").partition("@")[0]
        connection = Connection(who, Participant(number))
        self.shown.connected.append(number)
        self._on_connect(self._reference, number, len(self.shown.connected))
        if not await self._rings(connection, fate_of(number)):
            return
        for phrase in answer.get("greeting", {}).get("callee", {}).get("phrases", ()):
            self.shown.greeted.append(said(phrase))
        if answer.get("callRecording") is True:
            self._recording = answer.get("recordingFileName", f"{self.id}.mp3")
        await self._talk(connection)

    async def _join(self, participant_id: str, question: str, who: Participant) -> None:
        """Connects them with somebody who waits with the prompts."""
        if participant_id not in self._waiting:
            raise AlarmError("callEventError", f"{question} response with unknown action")
        other, waiting = self._waiting.pop(participant_id)
        waiting.cancel()
        connection = Connection(who, other)
        await self._answered(connection)
        await self._talk(connection)

    async def _talk(self, connection: Connection) -> None:
        """Two talk, until one hangs up: the one who was called, or who consults while somebody waits."""
        self.shown.talked.append([connection.caller.user, connection.callee.user])
        event = "callingPartyDrop" if self._waiting else "calledPartyDrop"
        try:
            await self._wait(talk_seconds(connection.callee.user))
        except ControlError as control:
            if control.what == "hang up":
                raise
            if control.what == "split":
                await self._stop_recording()
                await self._part(connection)
                return
        await self._stop_recording()
        await self._event(event, connection, {})

    async def _part(self, connection: Connection) -> None:
        """Asks about each of two who are parted. Who is given to the prompts waits while the other goes on."""
        answers = []
        for event, who in (
            ("calleeConnectionSplit", connection.callee), ("callerConnectionSplit", connection.caller),
        ):  # fmt: skip
            answers.append((await self._ask_about(event, connection, who, {}), who))
        goes_on = []
        for answer, who in answers:
            if answer.get("action") == "ivr" and not wrong_action(answer, "callEvent"):
                self._keep(answer)
                waiting = asyncio.get_running_loop().create_task(self._have_wait(who))
                self._waiting[who.id] = (who, waiting)
            else:
                goes_on.append((answer, who))
        for answer, who in goes_on:
            await self._obey(answer, "callEvent", who)

    async def _have_wait(self, who: Participant) -> None:
        """Asks for commands for somebody who waits, until they are hung up on or connected with somebody."""
        try:
            while True:
                body = {**self._known("getIvrCommand"), "replyId": self.reply_id}
                answer = await self._ask(
                    "getIvrCommand", body, "ivrCommandError", "Empty body in getIvrCommand response"
                )
                if wrong := wrong_command(answer):
                    raise AlarmError("ivrCommandError", f"IVR command failed: {wrong}")
                self._keep(answer)
                if answer.get("hangup") is True:
                    return
                seconds = answer.get("dtmf", {}).get("firstTimeout", 0)
                await asyncio.sleep(max(seconds * self._time_scale(), SHORTEST_WAIT))
        except AlarmError as alarm:
            await self._alarm(alarm)

    async def _stop_recording(self) -> None:
        if not self._recording:
            return
        name, self._recording = self._recording, ""
        self.shown.recorded.append(name)
        told = {"sessionId": self.id, "connectionId": self.connection.id, "recordingFileName": name}
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
        await self._send("sessionCompleted", {**self._known("sessionCompleted"), **length})
        for name, body in self._held:
            await self._send(name, body)
        self.shown.is_over = True

    # --- what is told and asked --------------------------------------------------------------------------

    def _known(self, name: str) -> dict[str, Any]:
        """What a callback of this name tells of the session."""
        known = {"sessionId": self.id, "ivrServer": "127.0.0.1", "traceId": self._trace_id, **self.site}
        if self._reference is not None:
            known["sessionReferenceId"] = self._reference
        return {key: value for key, value in known.items() if name in _TOLD_BY[key]}

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
