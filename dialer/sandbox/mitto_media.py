"""Plays Mitto's media library ("Media Library Management" of `mitto-platform-api.md`), strictly, in memory.

What the reference leaves open is decided here and told in docs/sandbox.md. Its example of a list does not hold the
files of the folder in it, so a list is of the root; folders are created in the root alone.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_string
from email.message import Message
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

PAGINATION = ("page", "per_page", "disable_pagination")
PER_PAGE = 10
LONGEST_NAME = 255
_DEFAULTS = {"page": "1", "per_page": str(PER_PAGE)}


class RefusedError(Exception):
    """The request is refused; `status` is the word for it."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(slots=True)
class Item:
    """A file, or a folder when there is no `content`; `folder` is where it lies, None in the root."""

    id: int
    name: str
    created: str
    folder: int | None
    content: bytes | None

    def shown(self) -> dict[str, Any]:
        """As the reference shows it."""
        is_folder = 1 if self.content is None else 0
        return {"createdDateTime": self.created, "id": self.id, "name": self.name, "isFolder": is_folder}


class Library:
    """The files and folders of one access key."""

    def __init__(self) -> None:
        self._items: dict[int, Item] = {}
        self._last_id = 0

    async def answer(self, request: Request) -> Response:
        """Any request below `media`. Raises RefusedError."""
        where = request.path_params.get("id")
        item = None if where is None else self._find(where)
        if request.method == "GET":
            return self._get(item, request)
        _check_arguments(request, ())
        if request.method == "POST":
            return _json({"status": "ok", "media": (await self._post(item, request)).shown()})
        if item is None:
            raise RefusedError("invalidDataError")
        if request.method == "PUT":
            item.name = _name(await _fields(request))
            return _json({"status": "ok", "media": item.shown()})
        self._delete(item)
        return _json({"status": "ok"})

    def _get(self, item: Item | None, request: Request) -> Response:
        if item is not None and item.content is not None:
            _check_arguments(request, ())
            kind = mimetypes.guess_type(item.name)[0] or "application/octet-stream"
            return Response(item.content, headers={"Content-Type": kind})
        _check_arguments(request, PAGINATION)
        inside = None if item is None else item.id
        found = [each.shown() for each in self._items.values() if each.folder == inside]
        return _json({"status": "ok", **paged(found, request.query_params)})

    async def _post(self, item: Item | None, request: Request) -> Item:
        content_type = request.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "multipart/form-data":
            fields = await _fields(request)
            if item is not None:
                raise RefusedError("invalidSchemeError")  # only a file goes into a folder
            return self._add(_name(fields), None, None)
        uploaded = read_upload(content_type, await request.body())
        if uploaded is None or (item is not None and item.content is not None):
            raise RefusedError("invalidDataError")
        name, content = uploaded
        return self._add(name, None if item is None else item.id, content)

    def _add(self, name: str, folder: int | None, content: bytes | None) -> Item:
        self._last_id += 1
        created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        item = Item(self._last_id, name, created, folder, content)
        self._items[item.id] = item
        return item

    def _find(self, where: str) -> Item:
        item = self._items.get(_number(where))
        if item is None:
            raise RefusedError("invalidDataError")
        return item

    def _delete(self, item: Item) -> None:
        gone = [each.id for each in self._items.values() if item.id in (each.id, each.folder)]
        for number in gone:
            del self._items[number]


def paged(found: list[dict[str, Any]], arguments: Mapping[str, str]) -> dict[str, Any]:
    """`media`, and `pagination` unless that is disabled. Raises RefusedError."""
    page, per_page = (_number(arguments.get(name, default)) for name, default in _DEFAULTS.items())
    disabled = arguments.get("disable_pagination", "0")
    if page < 1 or per_page < 1 or disabled not in ("0", "1"):
        raise RefusedError("invalidDataError")
    if disabled == "1":
        return {"media": found}
    return {
        "pagination": {
            "totalItems": len(found),
            "currentPage": page,
            "totalPages": max(1, -(-len(found) // per_page)),
        },
        "media": found[(page - 1) * per_page : page * per_page],
    }


def read_upload(content_type: str, body: bytes) -> tuple[str, bytes] | None:
    """Name and content of the one file of a `multipart/form-data` body (RFC 7578); None when it is anything else."""
    head = Message()
    head["Content-Type"] = content_type
    boundary = head.get_boundary()
    if not boundary:
        return None
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("utf-8", "replace"))
    if len(pieces) != 3 or pieces[0] or not pieces[1].startswith(b"\r\n") or pieces[2].strip() != b"--":
        return None
    header, blank, content = pieces[1][2:].partition(b"\r\n\r\n")
    part = message_from_string(header.decode("utf-8", "replace"))
    is_field = part.get_content_disposition() == "form-data" and part.get_param(
        "name", header="content-disposition"
    )
    name = part.get_filename() or ""
    for escape, letter in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):  # as browsers write them
        name = name.replace(escape, letter)
    return (name, content) if blank and is_field and _is_name(name) else None


async def _fields(request: Request) -> dict[str, Any]:
    try:
        fields = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise RefusedError("requiredJsonError") from None
    if not isinstance(fields, dict):
        raise RefusedError("invalidSchemeError")
    return fields


def _name(fields: dict[str, Any]) -> str:
    """`name`, the one field of a folder's creation and of a rename."""
    name = fields.get("name")
    if not isinstance(name, str) or len(fields) != 1:
        raise RefusedError("invalidSchemeError")
    if not _is_name(name):
        raise RefusedError("invalidDataError")
    return name


def _is_name(name: str) -> bool:
    return bool(name.strip()) and len(name) <= LONGEST_NAME and name.isprintable()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise RefusedError("invalidDataError")
    return int(text)


def _check_arguments(request: Request, known: tuple[str, ...]) -> None:
    if any(name not in (*known, "X-Authorization") for name in request.query_params):
        raise RefusedError("invalidSchemeError")


def _json(body: dict[str, Any]) -> Response:
    return Response(json.dumps(body), media_type="application/json")
