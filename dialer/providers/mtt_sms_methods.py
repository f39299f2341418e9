"""MTT's text messages beside sending: the account's numbers and its messages (`mtt-telecom-api.md`, msapi.mtt.ru).

The reference says two things of a message's numbers: in its table `number` is the outer one and `external_number` ours,
in its examples it is the other way round, as it is here. `offset` stands with the numbers, and with the messages in the
address of the next page alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict
from urllib.parse import quote

from dialer.providers.base import Adapter
from dialer.providers.contract import MethodRefusedError, ProviderError, ProviderRequest, Reply, json_object
from dialer.providers.methods import Method, Parameter, Values, methods, unreadable
from dialer.providers.mtt import basic_authorization
from dialer.providers.redact import hide

#: "Получение истории сообщений", "Фильтр по параметрам": what the list can be filtered by, beside `limit`.
FILTERS = ("message_sid", "number", "external_number", "number_sid", "direction", "status")
DIRECTIONS = ("inbound", "outbound")
_LONGEST = 200  # characters of MTT's own words in a sentence
#: The examples of messages print a comma after the last field, which is no JSON: `"segment_count": 1, }`.
_COMMA_AT_THE_END = re.compile(rb",(\s*[}\]])")


class Number(TypedDict):
    """A number of the account, and in which direction it may be used."""

    number: str
    direction: str


class Message(TypedDict, total=False):
    """A message; `number` is the account's, `external_number` the other's, `created_at` seconds since 1970."""

    message_sid: str
    account_sid: str
    created_at: int | str
    number: str
    external_number: str
    text: str
    direction: str
    status: str
    segment_count: int | str


class Page(TypedDict):
    """Where a list is: `next` and `prev` are addresses, empty when there are none. `offset` is in the examples alone.
    Pages count from 0 in the tables, and from 1 in the examples."""

    page: int
    limit: int
    offset: NotRequired[int]
    total: int
    next: str
    prev: str


class NumberPage(Page):
    """A page of the account's numbers."""

    numbers: list[Number]


class MessagePage(Page):
    """A page of messages."""

    messages: list[Message]


def resource(settings: Mapping[str, str], *parts: str) -> str:
    """The path of something of the account's, below the base URL."""
    path = (settings["account_sid"].strip(), *parts)
    return f"v2/accounts/{'/'.join(quote(part, safe='') for part in path)}"


def authorization(settings: Mapping[str, str]) -> dict[str, str]:
    """ "Basic HTTP auth": `{accountSID}:{Token}`."""
    return basic_authorization(settings["account_sid"].strip(), settings["token"].strip())


def request_id(value: object) -> str:
    """The identifier of an error, for whoever asks MTT about it."""
    known = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)
    return f", request {value}" if known else ""


def _get(adapter: Adapter, values: Values, *parts: str) -> ProviderRequest:
    params = {name: str(value) for name, value in values.items()}
    path, headers = resource(adapter.settings, *parts), authorization(adapter.settings)
    return ProviderRequest("GET", path, params=params, headers=headers)


def _numbers(adapter: Adapter, values: Values) -> ProviderRequest:
    return _get(adapter, values, "numbers")


def _messages(adapter: Adapter, values: Values) -> ProviderRequest:
    return _get(adapter, values, "messages")


def _message(adapter: Adapter, values: Values) -> ProviderRequest:
    return _get(adapter, {}, "messages", values["message_sid"])


def read_numbers(reply: Reply) -> NumberPage:
    """See "Для получения номеров аккаунта"."""
    answer, page = _answer(reply)
    numbers = [_fields(reply, found, Number) for found in _list(reply, answer.get("numbers"))]
    return {**page, "numbers": numbers}


def read_messages(reply: Reply) -> MessagePage:
    """See "Для получения истории сообщений"."""
    answer, page = _answer(reply)
    messages = [_fields(reply, found, Message) for found in _list(reply, answer.get("messages"))]
    return {**page, "messages": messages}


def read_message(reply: Reply) -> Message:
    """See "Для получения информации по сообщению": a list of one."""
    found = read_messages(reply)["messages"]
    if len(found) != 1:
        raise _unreadable(reply)
    return found[0]


def _answer(reply: Reply) -> tuple[dict[str, Any], Page]:
    """A page, and what says where it is. Raises MethodRefusedError for the documented error, under any HTTP status."""
    answer = reply.json_object() or json_object(_COMMA_AT_THE_END.sub(rb"\1", reply.body)) or {}
    code, error = answer.get("status_code"), answer.get("error")
    if type(code) is int and code >= 400 and isinstance(error, str):
        named, said = request_id(answer.get("request_id")), hide(error, ())[:_LONGEST].rstrip(" .")
        raise MethodRefusedError(f"MTT refuses it{named}: {said}.", str(code))
    if reply.status in (401, 403):
        raise ProviderError("MTT does not accept account_sid and token; set the account's.")
    counts = [answer.get(name) for name in ("page", "limit", "total")]
    links = [answer.get(name, "") for name in ("next", "prev")]
    if reply.status != 200 or any(type(count) is not int for count in counts):
        raise _unreadable(reply)
    if not all(isinstance(link, str) for link in links):
        raise _unreadable(reply)
    page, limit, total = map(int, counts)  # type: ignore[arg-type]  # looked at above
    told: Page = {"page": page, "limit": limit, "total": total, "next": links[0], "prev": links[1]}
    if type(offset := answer.get("offset")) is int:
        told["offset"] = offset
    return answer, told


def _list(reply: Reply, found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise _unreadable(reply)
    return found


def _fields(reply: Reply, found: Any, shape: type) -> Any:
    """The documented fields of a number or message: texts, and numbers where MTT writes them so."""
    names = [name for name in shape.__annotations__ if isinstance(found, dict) and name in found]
    if not names or any(type(found[name]) not in (str, int) for name in names):
        raise _unreadable(reply)
    return {name: found[name] for name in names}


def _unreadable(reply: Reply) -> ProviderError:
    return unreadable("MTT", reply)


_LIMIT = Parameter("limit", "how many at most; MTT's most is 20", int)
_OFFSET = Parameter("offset", "how many to pass over", int)

#: By their names, in the order of the reference.
METHODS: Mapping[str, Method] = methods(
    Method(
        "numbers",
        "Для получения номеров аккаунта",
        "lists the account's numbers",
        _numbers,
        read_numbers,
        (_LIMIT, _OFFSET),
    ),
    Method(
        "messages",
        "Для получения истории сообщений",
        "lists messages, sent and received",
        _messages,
        read_messages,
        (
            _LIMIT,
            _OFFSET,
            Parameter("message_sid", "the message's id"),
            Parameter("number", "the account's number"),
            Parameter("external_number", "the other's number"),
            Parameter("number_sid", "the id of the account's number"),
            Parameter("direction", "which way it went", choices=DIRECTIONS),
            Parameter("status", "its status, such as delivered"),
        ),
    ),
    Method(
        "message",
        "Для получения информации по сообщению",
        "tells of one message",
        _message,
        read_message,
        (Parameter("message_sid", "the message's id", needed=True),),
    ),
)
