"""iotcomms beside placing calls: calls that are going on, recordings, prompt files and remote calls
(`iotcomms-mediaservice-api.md`).

Methods and parameters are called as in the document. Those whose name ends in `jwt` are documented word for word as
those without it. placeremotecall rings somebody: it is done for a person who says so, and never by the engine.
`siteBaseUrl`, which callbacks have in hybrid deployments, says where a request about a call there goes.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote, unquote, urlsplit

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderError, ProviderRequest, Reply
from dialer.providers.iotcomms_token import issued
from dialer.providers.methods import File, Method, Parameter, Values, methods, unreadable

#: What a callback calls the address of the hybrid site that it comes from.
SITE = "siteBaseUrl"


class Done(TypedDict):
    """See "Response Schema"."""

    success: bool


class PromptFile(TypedDict):
    """One of `files`; the size is in bytes."""

    name: str
    size: int


class PromptFiles(TypedDict):
    """See "/{domain}/promptfile"; `next` is None when there are no more."""

    success: bool
    files: list[PromptFile]
    next: str | None


class PromptUrl(TypedDict):
    """See "/{domain}/promptfile/{filename}/url": "valid for 15 minutes"."""

    success: bool
    url: NotRequired[str]


def authorization(settings: Mapping[str, str], now: datetime) -> dict[str, str]:
    """The header of a request at `now`: the token as given, or one of ours."""
    token = settings.get("token", "").strip()
    if not token:
        token = issued(settings["domain"].strip(), settings["private_key"], now)
    return {"Authorization": f"Bearer {token.removeprefix('Bearer ').strip()}"}


# --- requests ------------------------------------------------------------------------------------------------


def _request(
    adapter: Adapter, http_method: str, path: str, *, params: dict[str, str] | None = None, body: Any = None
) -> ProviderRequest:
    return ProviderRequest(
        http_method,
        f"{adapter.settings['domain'].strip()}/{path}",
        params=params,
        headers=authorization(adapter.settings, datetime.now(UTC)),
        json=body,
    )


def _post(path: str) -> Callable[[Adapter, Values], ProviderRequest]:
    """POST with the values as they are; to the site that they name, if any."""

    def build(adapter: Adapter, values: Values) -> ProviderRequest:
        body = {name: value for name, value in values.items() if name != SITE}
        request = _request(adapter, "POST", path, body=body)
        return replace(request, base_url=site_url(adapter, values[SITE])) if SITE in values else request

    return build


def site_url(adapter: Adapter, told: str) -> str:
    """The base URL of a hybrid site. A callback tells it, and requests carry what authorizes them, so its host must be
    that of the base URL, or stand in `site_hosts`. Raises ProviderError."""
    own = urlsplit(adapter.base_url)
    known = {host.strip().lower() for host in adapter.settings.get("site_hosts", "").split(",")}
    try:
        parts = urlsplit(told)
        is_address = parts.scheme in ("https", own.scheme) and parts.port != 0 and told.isprintable()
        host = parts.hostname or ""
    except ValueError:
        is_address, host = False, ""
    if not is_address or not host or "@" in parts.netloc or parts.query or parts.fragment:
        raise ProviderError(f"{SITE} is no address that begins with https://: give it as callbacks tell it.")
    if host not in known and host != own.hostname:
        raise ProviderError(
            f"The call is at a hybrid site of iotcomms whose host, {host[:100]}, is not set: name it among the "
            f"site_hosts of provider {adapter.config.name}, if it is yours."
        )
    return told.rstrip("/")


def _list(adapter: Adapter, values: Values) -> ProviderRequest:
    return _request(
        adapter, "GET", "promptfile", params={"next": values["next"]} if "next" in values else None
    )


def _file_path(values: Values) -> str:
    return f"promptfile/{quote(values['filename'], safe='')}"


def _put(adapter: Adapter, values: Values) -> ProviderRequest:
    file: File = values["file"]
    name = values.get("filename", file.name)
    request = _request(adapter, "PUT", _file_path({"filename": name}))
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return ProviderRequest(
        "PUT", request.path, headers={**request.headers, "Content-Type": kind}, content=file.content
    )


def _delete(adapter: Adapter, values: Values) -> ProviderRequest:
    return _request(adapter, "DELETE", _file_path(values))


def _move(adapter: Adapter, values: Values) -> ProviderRequest:
    body = {"type": "s3", **{name: value for name, value in values.items() if name != "filename"}}
    return _request(adapter, "POST", f"{_file_path(values)}/move", body=body)


def _url(adapter: Adapter, values: Values) -> ProviderRequest:
    return _request(adapter, "GET", f"{_file_path(values)}/url")


def number_rung(values: Values) -> tuple[str, ...]:
    """Whom placeremotecall rings: the number in `destinationUri`, or the name of a device."""
    user = unquote(values["destinationUri"]).strip()
    scheme, colon, rest = user.partition(":")
    user = rest if colon and scheme.lower() in ("sip", "sips", "tel") else user
    return (user.partition("@")[0].partition(";")[0].strip(),)


# --- replies -------------------------------------------------------------------------------------------------


def read_done(reply: Reply) -> Done:
    """`success`, and nothing else."""
    _answer(reply)
    return {"success": True}


def read_files(reply: Reply) -> PromptFiles:
    """See "/{domain}/promptfile"."""
    answer = _answer(reply)
    files, following = answer.get("files"), answer.get("next")
    if not isinstance(files, list) or not (following is None or isinstance(following, str)):
        raise _unreadable(reply)
    return {"success": True, "files": [_file(reply, one) for one in files], "next": following or None}


def read_url(reply: Reply) -> PromptUrl:
    """See "/{domain}/promptfile/{filename}/url"."""
    url = _answer(reply).get("url")
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise _unreadable(reply)
    return {"success": True, "url": url}


def _answer(reply: Reply) -> dict[str, Any]:
    """The JSON object of a success; ProviderError for everything else. `reason`, else `error`, is all that is told of
    one, and by one method alone."""
    answer = reply.json_object()
    if answer is not None and answer.get("success") is False:
        told = answer.get("reason") or answer.get("error")
        raise ProviderError(
            f"iotcomms did not do it: {told.strip().rstrip('.')}."
            if isinstance(told, str) and told.strip()
            else "iotcomms did not do it, and says nothing of why (success is false)."
        )
    if reply.status in (401, 403):
        raise ProviderError(
            f"iotcomms does not accept what signs the request (HTTP {reply.status}); check domain, and private_key or "
            "token."
        )
    if answer is None or answer.get("success") is not True or not 200 <= reply.status < 300:
        raise _unreadable(reply)
    return answer


def _file(reply: Reply, found: Any) -> PromptFile:
    match found:
        case {"name": str() as name, "size": int() as size} if not isinstance(size, bool):
            return {"name": name, "size": size}
    raise _unreadable(reply)


def _unreadable(reply: Reply) -> ProviderError:
    return unreadable("iotcomms", reply)


# --- the table -----------------------------------------------------------------------------------------------

_REPLY_ID = Parameter("replyId", "what a callback of the call gave as that", needed=True)
_PARTICIPANT = Parameter("participantId", "id of the participant", needed=True)
_CONNECTION = Parameter("connectionId", "id of the connection, from callAnswered", needed=True)
_SESSION = Parameter("sessionId", "id of the session")
_SITE = Parameter(SITE, "what a callback of a call at a hybrid site gave as that")
_FILE_NAME = Parameter("filename", "its name", needed=True)
_CRYPTO = (
    Parameter("suite", "the suite"),
    Parameter("id", "a number", int),
    Parameter("config", "the key"),
)


def _media(*codecs: str) -> tuple[Parameter, ...]:
    """What both methods for remote calls are told; the codecs are those that it lists as "Allowed values"."""
    return (
        Parameter("codec", "the voice codec", choices=codecs),
        Parameter("sessionReferenceId", "what callbacks of the call are to give as that"),
        Parameter("telephoneEventPayloadType", "payload type of telephone events (RFC 2833)", int),
        Parameter("receivePort", "RTP port to send media to", int),
        Parameter("receiveIp", "IP address to send media to"),
        Parameter("crypto", "the cryptos", list, fields=_CRYPTO),
    )


def _both(
    name: str,
    sentence: str,
    parameters: tuple[Parameter, ...],
    rung: Callable[[Values], tuple[str, ...]] | None = None,
) -> tuple[Method, Method]:
    """A method and its twin for tokens."""
    plain, twin = (
        Method(
            each,
            f"/{{domain}}/{each}",
            sentence,
            _post(each),
            read_done,
            parameters,
            changes=True,
            rings=rung is not None,
            rung=rung,
        )
        for each in (name, f"{name}jwt")
    )
    return plain, twin


def _one(name: str, sentence: str, *parameters: Parameter) -> Method:
    """A method about a call that is going on, which may be at a site."""
    return Method(
        name, f"/{{domain}}/{name}", sentence, _post(name), read_done, (*parameters, _SITE), changes=True
    )


#: By their names, in the order of the document.
METHODS: Mapping[str, Method] = methods(
    *_both(
        "answerremotecall",
        "answers a call that newRemoteCall told of",
        (Parameter("replyId", "what newRemoteCall gave as that", needed=True), *_media("PCMA", "PCMU")),
    ),
    *_both("hangupcall", "hangs up, or refuses as busy what is not answered", (_REPLY_ID, _SITE)),
    _one("hangupparticipant", "hangs up one participant", _PARTICIPANT, _REPLY_ID, _SESSION),
    _one("hangupremoteparticipant", "hangs up the remote party of a participant", _PARTICIPANT, _REPLY_ID),
    _one(
        "interruptivrcommand", "ends what is being played or waited for, and asks anew", _REPLY_ID, _SESSION
    ),
    *_both(
        "placeremotecall",
        "calls somebody for a device of yours: it rings",
        (
            Parameter("destinationUri", "SIP address to call", needed=True),
            Parameter("sourceUser", "outgoing number or user"),
            Parameter("callbackBaseUrl", "where callbacks of the call go"),
            *_media("PCMA", "PCMU", "GSM"),
        ),
        number_rung,
    ),
    Method(
        "promptfile_list",
        "/{domain}/promptfile",
        "lists the prompt files",
        _list,
        read_files,
        (Parameter("next", "what the page before gave as that"),),
    ),
    Method(
        "promptfile_put",
        "/{domain}/promptfile/{filename}",
        "adds a prompt file, or replaces it",
        _put,
        read_done,
        (
            Parameter("file", "the file", File, needed=True),
            Parameter("filename", "what it is to be called, its own name unless given"),
        ),
        changes=True,
    ),
    Method(
        "promptfile_delete",
        "/{domain}/promptfile/{filename}",
        "deletes a prompt file",
        _delete,
        read_done,
        (_FILE_NAME,),
        changes=True,
    ),
    Method(
        "promptfile_move",
        "/{domain}/promptfile/{filename}/move",
        "moves a prompt file to a bucket of S3",
        _move,
        read_done,
        (
            _FILE_NAME,
            Parameter("bucketRegion", "AWS region of the bucket", needed=True),
            Parameter("bucketName", "name of the bucket", needed=True),
            Parameter("kmsKey", "KMS key that encrypts the object"),
            Parameter("objectKey", "key of the object, the file's name unless given"),
        ),
        changes=True,
    ),
    Method(
        "promptfile_url",
        "/{domain}/promptfile/{filename}/url",
        "tells where a prompt file or recording can be fetched for 15 minutes",
        _url,
        read_url,
        (_FILE_NAME,),
    ),
    *_both(
        "sendremotecallringback",
        "lets the caller that newRemoteCall told of hear that it rings",
        (Parameter("replyId", "what newRemoteCall gave as that", needed=True),),
    ),
    _one(
        "splitconnection",
        "parts two who are connected; callEvent asks what becomes of each",
        _REPLY_ID,
        _CONNECTION,
    ),
    _one(
        "startrecording",
        "records two who are connected",
        Parameter("recordingFileName", "what the recording is to be called", needed=True),
        _REPLY_ID,
        _CONNECTION,
    ),
    _one("stoprecording", "ends the recording, which is then uploaded", _REPLY_ID, _CONNECTION),
)
