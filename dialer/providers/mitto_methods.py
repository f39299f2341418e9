"""Mitto beside calls: the balance and the media library (`mitto-platform-api.md`).

Results are in the reference's own words. "Application activation", with repeats or without, is no method: it rings
somebody, so it is `submit`'s alone.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, NotRequired, TypedDict

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderError, ProviderRequest, Reply, UnclearError
from dialer.providers.methods import (
    MAX_FILE,
    File,
    Method,
    Parameter,
    Values,
    methods,
    multipart,
    unreadable,
)

#: "Response format": every value of `status` that is an error. An access key belongs to one application.
ERRORS: Mapping[str, str] = {
    "invalidAccessKeyError": "Mitto does not know the access key; set access_key to the application's.",
    "requiredJsonError": "Mitto says that the request needs a body in JSON (requiredJsonError).",
    "invalidSchemeError": "Mitto says that the request has not the form that it documents (invalidSchemeError).",
    "invalidDataError": "Mitto refuses the values (invalidDataError): an id that it does not know, or a name.",
    "prohibitedForAppError": "Mitto prohibits this for the application of the access key (prohibitedForAppError).",
    "prohibitedForServiceError": "Mitto prohibits this for the service of the account (prohibitedForServiceError).",
    "rpcError": "Mitto had a communication error inside (rpcError).",
}

UNCLEAR = "rpcError"  # the one after which what was asked for may have been done

#: "The file is passed in the request body via Content-Type: multipart/form-data": the field has no name there.
FILE_FIELD = "file"


class Balance(TypedDict):
    """See "Balance check". The amount is a decimal number as text."""

    personalAccountId: str
    balance: str


class MediaObject(TypedDict):
    """A file (`isFolder` 0) or folder (1) of the media library; the time is as Mitto writes it."""

    id: int
    name: str
    createdDateTime: str
    isFolder: int


class Pagination(TypedDict):
    """See "Response format"."""

    totalItems: int
    currentPage: int
    totalPages: int


class MediaList(TypedDict):
    """Objects of the media library; `pagination` unless it was disabled."""

    media: list[MediaObject]
    pagination: NotRequired[Pagination]


class MediaFile(TypedDict):
    """A file of the media library: `content` is base64, `size` counts its bytes before that."""

    contentType: str
    size: int
    content: str


def authorization(settings: Mapping[str, str]) -> dict[str, str]:
    """See "Authorization"."""
    key = settings["access_key"].strip().removeprefix("AccessKey").strip()
    return {"X-Authorization": f"AccessKey {key}"}


# --- requests ------------------------------------------------------------------------------------------------


def _balance(adapter: Adapter, _: Values) -> ProviderRequest:
    return ProviderRequest("GET", "balance", headers=authorization(adapter.settings))


def _list(adapter: Adapter, values: Values) -> ProviderRequest:
    return _listing(adapter, "media", values)


def _folder(adapter: Adapter, values: Values) -> ProviderRequest:
    return _listing(adapter, f"media/{values['id']}", values)


def _listing(adapter: Adapter, path: str, values: Values) -> ProviderRequest:
    params = {name: str(values[name]) for name in ("page", "per_page") if name in values}
    if values.get("disable_pagination"):
        params["disable_pagination"] = "1"  # as `isFolder` says yes
    return ProviderRequest("GET", path, params=params, headers=authorization(adapter.settings))


def _file(adapter: Adapter, values: Values) -> ProviderRequest:
    return ProviderRequest("GET", f"media/{values['id']}", headers=authorization(adapter.settings))


def _create_folder(adapter: Adapter, values: Values) -> ProviderRequest:
    body = {"name": values["name"]}
    return ProviderRequest("POST", "media", headers=authorization(adapter.settings), json=body)


def _upload(adapter: Adapter, values: Values) -> ProviderRequest:
    path = f"media/{values['folder']}" if "folder" in values else "media"
    header, content = multipart(FILE_FIELD, values["file"])
    return ProviderRequest(
        "POST", path, headers={**authorization(adapter.settings), **header}, content=content
    )


def _rename(adapter: Adapter, values: Values) -> ProviderRequest:
    path, body = f"media/{values['id']}", {"name": values["name"]}
    return ProviderRequest("PUT", path, headers=authorization(adapter.settings), json=body)


def _delete(adapter: Adapter, values: Values) -> ProviderRequest:
    return ProviderRequest("DELETE", f"media/{values['id']}", headers=authorization(adapter.settings))


# --- replies -------------------------------------------------------------------------------------------------


def read_balance(reply: Reply) -> Balance:
    """See "Balance check": its example has no `status`, which every other answer has."""
    answer = _answer(reply, may_lack_status=True)
    account, balance = answer.get("personalAccountId"), answer.get("balance")
    if (
        not isinstance(account, str)
        or isinstance(balance, bool)
        or not isinstance(balance, str | int | float)
    ):
        raise _unreadable(reply)
    try:
        amount = Decimal(str(balance))
    except InvalidOperation:
        raise _unreadable(reply) from None
    if not amount.is_finite():
        raise _unreadable(reply)
    return {"personalAccountId": account, "balance": str(balance)}


def read_media_list(reply: Reply) -> MediaList:
    """See "Getting a list of all objects" and "Getting a specific object", for a folder."""
    answer = _answer(reply)
    media, pagination = answer.get("media"), answer.get("pagination")
    if not isinstance(media, list):
        raise _unreadable(reply)
    listed: MediaList = {"media": [_media_object(reply, found) for found in media]}
    if pagination is not None:
        listed["pagination"] = _pagination(reply, pagination)
    return listed


def read_media_object(reply: Reply) -> MediaObject:
    """See "Folder creation", "File Upload" and "Object rename"."""
    return _media_object(reply, _answer(reply).get("media"))


def read_media_file(reply: Reply) -> MediaFile:
    """See "Getting a specific object": "For files, the requested file is returned", whatever it holds. What else may
    come is JSON with a documented `status`: a list, when it is a folder, or an error; or a page of HTML, from a proxy.
    """
    content_type = reply.headers.get("content-type", "application/octet-stream")
    answer = reply.json_object() or {}
    if answer.get("status") in tuple(ERRORS):
        _answer(reply)
    if answer.get("status") == "ok" and isinstance(answer.get("media"), list):
        raise ProviderError("Mitto answered with no file: the id is a folder's, which media_folder lists.")
    if reply.status != 200 or content_type.strip().lower().startswith("text/html"):
        raise _unreadable(reply)
    return {
        "contentType": content_type,
        "size": len(reply.body),
        "content": base64.b64encode(reply.body).decode("ascii"),
    }


def read_done(reply: Reply) -> dict[str, str]:
    """See "Deleting an object"."""
    _answer(reply)
    return {"status": "ok"}


def _answer(reply: Reply, *, may_lack_status: bool = False) -> dict[str, Any]:
    """The JSON object of a success; ProviderError for a documented error, and for what is neither."""
    answer = reply.json_object()
    if answer is None:
        raise _unreadable(reply)
    status = answer.get("status", "ok" if may_lack_status else None)
    if isinstance(status, str) and status in ERRORS:
        raise (UnclearError if status == UNCLEAR else ProviderError)(ERRORS[status])
    if status != "ok" or not 200 <= reply.status < 300:
        raise _unreadable(reply)
    return answer


def _unreadable(reply: Reply) -> ProviderError:
    return unreadable("Mitto", reply)


def _media_object(reply: Reply, found: Any) -> MediaObject:
    match found:
        case {
            "id": int() as number,
            "name": str() as name,
            "createdDateTime": str() as created,
            "isFolder": (0 | 1) as is_folder,
        } if not isinstance(number, bool):
            return {"id": number, "name": name, "createdDateTime": created, "isFolder": int(is_folder)}
    raise _unreadable(reply)


def _pagination(reply: Reply, found: Any) -> Pagination:
    if not isinstance(found, dict):
        raise _unreadable(reply)
    items, current, pages = (found.get(name) for name in ("totalItems", "currentPage", "totalPages"))
    if type(items) is not int or type(current) is not int or type(pages) is not int:
        raise _unreadable(reply)
    return {"totalItems": items, "currentPage": current, "totalPages": pages}


# --- the table -----------------------------------------------------------------------------------------------

_PAGES = (
    Parameter("page", "which page, from 1", int),
    Parameter("per_page", "objects per page", int),
    Parameter("disable_pagination", "all objects at once", bool),
)

#: By their names, in the order of the reference.
METHODS: Mapping[str, Method] = methods(
    Method(
        "media_list",
        "Getting a list of all objects",
        "lists the files and folders of the media library",
        _list,
        read_media_list,
        _PAGES,
    ),
    Method(
        "media_folder",
        "Getting a specific object",
        "lists the files of a folder",
        _folder,
        read_media_list,
        (Parameter("id", "the folder's id", int, needed=True), *_PAGES),
    ),
    Method(
        "media_file",
        "Getting a specific object",
        "fetches a file, as base64",
        _file,
        read_media_file,
        (Parameter("id", "the file's id", int, needed=True),),
        longest=MAX_FILE,
    ),
    Method(
        "media_create_folder",
        "Folder creation",
        "creates a folder",
        _create_folder,
        read_media_object,
        (Parameter("name", "the folder's name", needed=True),),
        changes=True,
    ),
    Method(
        "media_upload",
        "File Upload",
        "uploads a file",
        _upload,
        read_media_object,
        (
            Parameter("file", "the file", File, needed=True),
            Parameter("folder", "id of the folder to put it into, the root unless given", int),
        ),
        changes=True,
    ),
    Method(
        "media_rename",
        "Object rename",
        "renames a file or folder",
        _rename,
        read_media_object,
        (
            Parameter("id", "its id", int, needed=True),
            Parameter("name", "its new name", needed=True),
        ),
        changes=True,
    ),
    Method(
        "media_delete",
        "Deleting an object",
        "deletes a file or folder",
        _delete,
        read_done,
        (Parameter("id", "its id", int, needed=True),),
        changes=True,
    ),
    Method("balance", "Balance check", "tells the personal account and its balance", _balance, read_balance),
)
