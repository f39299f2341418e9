"""Plays iotcomms' mediaservice, strictly by `iotcomms-mediaservice-api.md`.

The tables here are read off the document once more, not taken from the adapter: a mistake there must show. What the
document leaves open is decided here and told in docs/sandbox.md.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dialer.sandbox.callbacks import Callbacks
from dialer.sandbox.iotcomms_answers import is_sip_address
from dialer.sandbox.iotcomms_session import Session
from dialer.sandbox.log import CallLog
from dialer.sandbox.outcomes import Answer, Delivery, fate_of
from dialer.sandbox.wire import BROKEN, broken

NAME = "iotcomms"
Type = type | tuple[type, ...]

#: "Request Body schema" of placeivrcall.
CALL_FIELDS: Mapping[str, Type] = {
    "sipFrom": str,
    "xHeaders": dict,
    "sessionReferenceId": dict,
    "sipDiversion": str,
    "displayName": str,
    "callerPrivacy": bool,
    "contactParameters": dict,
    "sipDiversionParameters": dict,
    "pHeaders": dict,
    "contactUserParameters": dict,
    "destAddr": str,
    "mediaserviceId": str,
    "maxRingTime": (int, float),
}
REMOTE_FIELDS: Mapping[str, Type] = {
    "codec": str,
    "sessionReferenceId": str,
    "telephoneEventPayloadType": (int, float),
    "receivePort": (int, float),
    "receiveIp": str,
    "crypto": list,
}
ANSWER_FIELDS = {**REMOTE_FIELDS, "replyId": str}
PLACE_FIELDS = {**REMOTE_FIELDS, "destinationUri": str, "sourceUser": str, "callbackBaseUrl": str}
REPLY: Mapping[str, Type] = {"replyId": str}
#: … and of the methods that act on a call, each with what it does to the session.
CONTROLS: Mapping[str, tuple[Mapping[str, Type], str]] = {
    "hangupcall": (REPLY, "hang up"),
    "hangupcalljwt": (REPLY, "hang up"),
    "hangupparticipant": ({**REPLY, "participantId": str, "sessionId": str}, "hang up"),
    "hangupremoteparticipant": ({**REPLY, "participantId": str}, "hang up"),
    "interruptivrcommand": ({**REPLY, "sessionId": str}, "interrupt"),
    "splitconnection": ({**REPLY, "connectionId": str}, "split"),
    "startrecording": ({**REPLY, "connectionId": str, "recordingFileName": str}, "record"),
    "stoprecording": ({**REPLY, "connectionId": str}, "stop"),
}
#: … and of those for devices. Nobody's device is played.
REMOTE: Mapping[str, Mapping[str, Type]] = {
    "answerremotecall": ANSWER_FIELDS,
    "answerremotecalljwt": ANSWER_FIELDS,
    "placeremotecall": PLACE_FIELDS,
    "placeremotecalljwt": PLACE_FIELDS,
    "sendremotecallringback": REPLY,
    "sendremotecallringbackjwt": REPLY,
}
_MOVE = ("bucketRegion", "bucketName", "kmsKey", "objectKey", "type")
MOVE_FIELDS: Mapping[str, Type] = dict.fromkeys(_MOVE, str)
FILES_PER_PAGE = 10
LEEWAY = timedelta(minutes=1)
#: Sessions that are remembered.
MOST_SESSIONS = 10_000

Handler = Callable[[Request], Awaitable[Response]]


class Iotcomms:
    """The simulated provider. It knows no public key at first, and takes any token."""

    def __init__(self, log: CallLog, callbacks: Callbacks) -> None:
        self._log = log
        self._callbacks = callbacks
        self._held_once: set[str] = set()  # numbers that have had their 429
        self._sessions: dict[str, Session] = {}
        self._files: dict[str, dict[str, bytes]] = {}  # by domain
        self._fetched: dict[str, bytes] = {}  # what signed addresses lead to
        self._keys: str | None = None
        self._public_key: str | None = None
        self._callback_key: str | None = None
        self._site = ""  # the hybrid site at which calls are from now on

    def routes(self) -> list[Route]:
        """The provider's, below its own path."""
        posts = {**dict.fromkeys(CONTROLS, self._control), **dict.fromkeys(REMOTE, self._remote)}
        return [
            Route("/fetch/{token}", self._fetch),
            Route("/{domain}/placeivrcall", self._guarded(self._order), methods=["POST"]),
            *(
                Route(f"/{{domain}}/{name}", self._guarded(partial(handler, name)), methods=["POST"])
                for name, handler in posts.items()
            ),
            *(
                Route(
                    f"/sites/{{site}}/{{domain}}/{name}",
                    self._guarded(partial(self._control, name)),
                    methods=["POST"],
                )
                for name in CONTROLS
            ),
            Route("/{domain}/promptfile", self._guarded(self._list)),
            Route("/{domain}/promptfile/{filename}", self._guarded(self._file), methods=["PUT", "DELETE"]),
            Route("/{domain}/promptfile/{filename}/move", self._guarded(self._move), methods=["POST"]),
            Route("/{domain}/promptfile/{filename}/url", self._guarded(self._url)),
        ]

    def steering(self) -> list[Route]:
        """Those of the sandbox, below `/sandbox/iotcomms`."""
        return [
            Route("/", self._show, methods=["GET"]),
            Route("/", self._set, methods=["PUT"]),
            Route("/calls", self._ring_in, methods=["POST"]),
        ]

    # --- calls -------------------------------------------------------------------------------------------

    async def _order(self, request: Request) -> Response:
        """See "/{domain}/placeivrcall"."""
        order = await _fields(request, CALL_FIELDS, ("destAddr",))
        address = None if order is None else order["destAddr"]
        if order is None or not is_sip_address(address) or not order.get("maxRingTime", 1) > 0:
            self._log.add(NAME, "", "", accepted=False, status="success false")
            return _no_success()
        number = order["destAddr"].removeprefix("sip:").partition("@")[0].removeprefix("+")
        reference = order.get("sessionReferenceId")
        if not (number.isascii() and number.isdigit()):
            self._log.add(
                NAME, told_reference(reference), number[:80], accepted=False, status="success false"
            )
            return _no_success()
        fate = fate_of(number)
        answer = fate.answer
        if answer is Answer.TOO_MANY and number in self._held_once:
            answer = Answer.OK
        if answer in (Answer.TOO_MANY, Answer.SERVER_ERROR, Answer.INVALID_DATA):
            return self._refuse(answer, told_reference(reference), number)
        session = self._session(
            request.path_params["domain"],
            order.get("sipFrom", "ivr"),
            number,
            reference,
            keys=self._presses(number),
            site=self._site_told(request),
        )
        self._log.add(NAME, told_reference(reference), number, accepted=True, status=answer.value)
        if fate.delivery is Delivery.EARLY:
            await session.run()
        else:
            self._callbacks.live(session.run())
        return _reply(answer)

    def _refuse(self, answer: Answer, reference: str, number: str) -> Response:
        status = {Answer.TOO_MANY: "HTTP 429", Answer.SERVER_ERROR: "HTTP 500"}.get(answer, "success false")
        self._log.add(NAME, reference, number, accepted=False, status=status)
        if answer is Answer.TOO_MANY:
            self._held_once.add(number)
            return Response(status_code=429, headers={"Retry-After": "1"})
        if answer is Answer.SERVER_ERROR:
            return Response("Internal Server Error", status_code=500)
        return _no_success()

    def _session(
        self,
        domain: str,
        caller: str,
        called: str,
        reference: Any,
        *,
        keys: str,
        site: Mapping[str, str],
        came_in: bool = False,
        identified: bool = False,
    ) -> Session:
        session = Session(
            self._post,
            domain,
            caller,
            called,
            reference=reference,
            keys=keys,
            time_scale=lambda: self._callbacks.time_scale,
            on_connect=self._note_connection,
            on_record=partial(self._store_recording, domain),
            came_in=came_in,
            identified=identified,
            site=site,
        )
        self._sessions[session.id] = session
        if len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return session

    def _site_told(self, request: Request) -> dict[str, str]:
        """What callbacks of a call tell of the site that it is at."""
        if not self._site:
            return {}
        address = f"{request.url.scheme}://{request.url.netloc}/{NAME}/sites/{self._site}"
        return {"siteId": self._site, "siteBaseUrl": address}

    def _note_connection(self, reference: Any, number: str, which: int) -> None:
        """Whoever is connected with is rung, too, and must not be twice."""
        told = f"{told_reference(reference)}/{which}"
        self._log.add(NAME, told, number.removeprefix("+"), accepted=True, status="connected with")

    def _presses(self, number: str) -> str:
        """The digit before the last two is pressed at the first menu; 0 is none."""
        if self._keys is not None:
            return self._keys
        return number[-3] if len(number) > 2 and number[-3] != "0" else ""

    async def _post(self, name: str, body: Mapping[str, Any]) -> bytes | None:
        """A callback below the receiver's address; an alarm at the path that is configured for it."""
        headers = {"Content-Type": "application/json"}
        if self._callback_key is not None:
            now = datetime.now(UTC)
            claims = {"iss": "iotcomms", "iat": now, "exp": now + timedelta(minutes=5)}
            headers["Authorization"] = f"Bearer {jwt.encode(claims, self._callback_key, algorithm='RS256')}"
        page = "/alarms" if name == "alarm" else f"/{name}"
        return await self._callbacks.deliver(NAME, page, json.dumps(body).encode(), headers)

    def _store_recording(self, domain: str, name: str) -> int:
        content = b"ID3\x04\x00"
        self._files.setdefault(domain, {})[name] = content
        return len(content)

    async def _control(self, name: str, request: Request) -> Response:
        fields, what = CONTROLS[name]
        given = await _fields(request, fields, ("replyId",))
        session = None if given is None else self._with_reply_id(given["replyId"])
        if given is None or session is None or session.shown.is_over or not _is_about(session, given):
            return _no_success()
        if request.path_params.get("site", "") != session.site.get("siteId", ""):
            return _no_success()  # what is at a site is acted on there, and nothing else is
        if name == "startrecording":
            if not given.get("recordingFileName"):
                return _no_success()
            what = f"record {given['recordingFileName']}"
        session.control(what)
        return _success()

    def _with_reply_id(self, reply_id: str) -> Session | None:
        return next((one for one in self._sessions.values() if one.reply_id == reply_id), None)

    async def _remote(self, name: str, request: Request) -> Response:
        given = await _fields(request, REMOTE[name], ())
        codecs = ("PCMA", "PCMU", "GSM") if name.startswith("place") else ("PCMA", "PCMU")
        if given is None or given.get("codec", "PCMA") not in codecs:
            return _no_success()
        if not name.startswith("place"):
            return _no_success() if not given.get("replyId") else _success()
        address = given.get("destinationUri")
        accepted = is_sip_address(address)
        number = str(address or "").removeprefix("sip:").partition("@")[0].removeprefix("+")[:80]
        status = "remote call" if accepted else "success false"
        self._log.add(NAME, given.get("sessionReferenceId", ""), number, accepted=accepted, status=status)
        return _success() if accepted else _no_success()

    # --- prompt files ------------------------------------------------------------------------------------

    async def _list(self, request: Request) -> Response:
        stored = self._files.get(request.path_params["domain"], {})
        after = request.query_params.get("next", "")
        names = sorted(name for name in stored if name > after)
        page = names[:FILES_PER_PAGE]
        files = [{"name": name, "size": len(stored[name])} for name in page]
        following = page[-1] if len(names) > len(page) else None
        return JSONResponse({"next": following, "success": True, "files": files})

    async def _file(self, request: Request) -> Response:
        stored = self._files.setdefault(request.path_params["domain"], {})
        name = request.path_params["filename"]
        if request.method == "PUT":
            stored[name] = await request.body()
            return _success()
        return _no_success() if stored.pop(name, None) is None else _success()

    async def _move(self, request: Request) -> Response:
        stored = self._files.get(request.path_params["domain"], {})
        given = await _fields(request, MOVE_FIELDS, ("bucketRegion", "bucketName", "type"))
        if (
            given is None
            or given["type"] != "s3"
            or stored.pop(request.path_params["filename"], None) is None
        ):
            return _no_success()
        return _success()

    async def _url(self, request: Request) -> Response:
        content = self._files.get(request.path_params["domain"], {}).get(request.path_params["filename"])
        if content is None:
            reason = {"reason": "There is no such file", "error": "NoSuchKey"}
            return JSONResponse({"success": False, **reason})
        token = secrets.token_urlsafe(16)
        self._fetched[token] = content
        address = f"{request.url.scheme}://{request.url.netloc}/{NAME}/fetch/{token}"
        return JSONResponse({"success": True, "url": address})

    async def _fetch(self, request: Request) -> Response:
        content = self._fetched.get(request.path_params["token"])
        return Response(status_code=403) if content is None else Response(content, media_type="audio/mpeg")

    # --- who may -----------------------------------------------------------------------------------------

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme != "Bearer" or not self._is_known(token):
                return JSONResponse({"message": "Unauthorized"}, status_code=401)
            return await handler(request)

        return guarded

    def _is_known(self, token: str) -> bool:
        """Signed with RS256 and not over, when a public key is set; until then whatever is not empty, or not over."""
        try:
            if self._public_key is not None:
                jwt.decode(token, self._public_key, algorithms=["RS256"], leeway=LEEWAY)
            elif token.count(".") == 2:
                jwt.decode(token, options={"verify_signature": False, "verify_exp": True}, leeway=LEEWAY)
        except jwt.PyJWTError:
            return False
        return bool(token.strip())

    # --- the sandbox's own -------------------------------------------------------------------------------

    async def _set(self, request: Request) -> Response:
        known = dict.fromkeys(("keys", "public_key", "callback_private_key", "site"), str)
        given = await _fields(request, known, ())
        if given is None or not given.get("site", "x").isalnum():
            sentence = (
                "set keys (to be pressed, in order), public_key or callback_private_key (PEM), or site (letters and "
                "digits), each a string"
            )
            return JSONResponse({"message": sentence}, status_code=400)
        self._keys = given.get("keys", self._keys)
        self._public_key = given.get("public_key", self._public_key)
        self._callback_key = given.get("callback_private_key", self._callback_key)
        self._site = given.get("site", self._site)
        return JSONResponse({})

    async def _show(self, _: Request) -> Response:
        return JSONResponse({"sessions": [_shown(session) for session in self._sessions.values()]})

    async def _ring_in(self, request: Request) -> Response:
        """Somebody calls a number."""
        known = dict.fromkeys(("from", "to", "domain", "keys"), str) | {"identified": bool}
        given = await _fields(request, known, ("from", "to"))
        if given is None:
            return JSONResponse({"message": "give from and to, numbers as strings"}, status_code=400)
        session = self._session(
            given.get("domain", NAME),
            given["from"],
            given["to"],
            None,
            keys=given.get("keys", self._presses(given["from"])),
            site=self._site_told(request),
            came_in=True,
            identified=given.get("identified", False),
        )
        self._callbacks.live(session.run())
        # Whoever wants to see the session asks for it; it has begun.
        await asyncio.sleep(0)
        return JSONResponse({"sessionId": session.id})


def told_reference(reference: object) -> str:
    """Our reference, out of the object that travels as `sessionReferenceId`."""
    found = reference.get("attempt", "") if isinstance(reference, dict) else ""
    return found[:80] if isinstance(found, str) else ""


def _shown(session: Session) -> dict[str, Any]:
    shown = session.shown
    return {
        "sessionId": session.id,
        "replyId": session.reply_id,
        "connectionId": session.connection.id,
        "participants": {
            "caller": session.connection.caller.id,
            "callee": session.connection.callee.id,
        },
        "caller": session.caller,
        "called": session.called,
        "heard": shown.heard,
        "pressed": shown.pressed,
        "connected": shown.connected,
        "talked": shown.talked,
        "greeted": shown.greeted,
        "recorded": shown.recorded,
        "alarms": shown.alarms,
        "dropped": shown.dropped,
        "is_over": shown.is_over,
    }


def _is_about(session: Session, given: Mapping[str, Any]) -> bool:
    """Whether the ids that a method was given are those of the session."""
    connection = session.connection
    known = {
        "sessionId": (session.id,),
        "connectionId": (connection.id,),
        "participantId": (connection.caller.id, connection.callee.id),
    }
    return all(given[name] in ids for name, ids in known.items() if name in given)


async def _fields(
    request: Request, known: Mapping[str, Type], needed: tuple[str, ...]
) -> dict[str, Any] | None:
    """The JSON object of a request; None when a field is missing, unknown or of a wrong type."""
    try:
        found = json.loads(await request.body())
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(found.get(name) for name in needed):
        return None
    for name, value in found.items():
        if name not in known or not isinstance(value, known[name]):
            return None
        if isinstance(value, bool) and known[name] is not bool:
            return None
    return found


def _reply(answer: Answer) -> Response:
    if answer in BROKEN:
        return broken(answer)
    if answer is Answer.INTERNAL_ERROR:
        # The document has no word for trouble inside; what runs before it answers so.
        return JSONResponse({"message": "Internal server error"}, status_code=502)
    return _success()


def _success() -> Response:
    return JSONResponse({"success": True})


def _no_success() -> Response:
    return JSONResponse({"success": False})
