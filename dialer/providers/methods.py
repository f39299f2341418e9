"""What a provider documents beside calls, as methods with typed parameters: its account, its media library, ….

A `Method` is data and two pure functions; `call_method` (in `base`) sends its request. Whatever places a call of ours
is no method: that is `submit`'s, behind the DND lists, the calling window and the caps. Some methods have a provider
ring somebody all the same, later or from within a call that is going on: whoever uses one says that this is meant, and
where it can be told whom it rings, the DND lists and the calling window hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from dialer.providers.contract import ProviderError, ProviderRequest, Reply, UnclearError

MAX_FILE = 64 << 20  # bytes of a file that is sent or fetched
MAX_ENTRIES = 1000  # of an array


@dataclass(frozen=True, slots=True)
class File:
    """A file to be sent; `name` is what it is called, without folders."""

    name: str
    content: bytes = field(repr=False)


Entry = Mapping[str, Any]  # of an array: values by the names of its parameter's `fields`
Value = str | int | bool | File | list[Entry]
Values = Mapping[str, Any]  # by the parameter's name, each of the parameter's type

#: How a value of each type is written on the command line.
_WRITTEN: Mapping[Any, str] = {
    str: "TEXT", int: "NUMBER", bool: "yes/no", File: "@FILE", list: "JSON", dict: "JSON",
}  # fmt: skip
_YES, _NO = frozenset({"yes", "true", "1"}), frozenset({"no", "false", "0"})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method; it `takes` a str, an int, a bool, a File, or a list: an array of objects with
    `fields`, of which one may take a dict: an object of whatever there is. Where there are `choices`, a text must be
    one of them."""

    name: str
    meaning: str  # a phrase
    takes: Any = str
    needed: bool = False
    choices: tuple[str, ...] = ()
    fields: tuple[Parameter, ...] = ()

    def __str__(self) -> str:
        """As it is written on the command line: `id=NUMBER`, and in brackets what may be left out."""
        written = f"{self.name}={self.written()}"
        return written if self.needed else f"[{written}]"

    def written(self) -> str:
        """How its value is written on the command line."""
        return "|".join(self.choices) if self.choices else _WRITTEN[self.takes]

    def read(self, value: Any) -> Value | None:
        """The value, a text read by the type; None when it cannot be used."""
        read: Any = _READERS[self.takes](value) if isinstance(value, str) else value
        if type(read) is not self.takes:
            return None
        if self.choices and read not in self.choices:
            return None
        if isinstance(read, File) and not _is_sendable(read):
            return None
        if isinstance(read, list):
            return self._read_entries(read)
        return read  # type: ignore[no-any-return]  # it is of the type that the parameter takes

    def _read_entries(self, entries: list[Any]) -> list[Entry] | None:
        read = [_read_fields(self.fields, entry) for entry in entries[: MAX_ENTRIES + 1]]
        usable = [entry for entry in read if entry is not None]
        return usable if 0 < len(usable) == len(entries) <= MAX_ENTRIES else None


@dataclass(frozen=True, slots=True)
class Step:
    """What a method asks for after an answer, `pause` seconds later. `read` is as that of a Method; `then` gives the
    step after it from what was read, or None when that is the method's result."""

    request: ProviderRequest
    read: Callable[[Reply], Any] = field(repr=False)
    then: Callable[[Any], Step | None] = field(repr=False, default=lambda _: None)
    pause: float = 0.0


@dataclass(frozen=True, slots=True)
class Method:
    """One documented method of a provider.

    `build` is given the adapter and checked values: what is not needed and was not given is not among them. `read`
    gives something that can be written as JSON, or raises ProviderError, a sentence without credentials, for every
    documented error and for anything that it cannot read. `rung` gives, of checked values, whom it rings: numbers
    as they are written there, or names of devices; `rung_at` the moments (aware) at which that may be, where it is not
    at once. It raises ProviderError, a sentence, for a time that cannot be read. `rung_during` is for a method that
    does not tell whom it rings: the zone whose clocks they are taken to have, and from when until when (aware) it does.
    """

    name: str
    section: str  # of the provider's document
    sentence: str
    build: Callable[[Any, Values], ProviderRequest] = field(repr=False)
    read: Callable[[Reply], Any] = field(repr=False)
    parameters: tuple[Parameter, ...] = ()
    changes: bool = False  # whether it changes something at the provider
    rings: bool = False  # whether somebody's telephone may ring for it
    longest: int | None = None  # bytes of a reply, when it may be longer than other replies
    #: What it asks for after its first answer, from the adapter, the values and what was read; None when that is all.
    then: Callable[[Any, Values, Any], Step | None] | None = field(default=None, repr=False)
    rung: Callable[[Values], tuple[str, ...]] | None = field(default=None, repr=False)
    rung_at: Callable[[Values], tuple[datetime, ...]] | None = field(default=None, repr=False)
    rung_during: Callable[[Values], tuple[ZoneInfo, datetime, datetime]] | None = field(
        default=None, repr=False
    )

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of this name, if there is one."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)

    def checked(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The values by parameter, texts read by the parameter's type. Raises ProviderError, a sentence that names
        the parameter at fault and never its value."""
        for name in values:
            if self.parameter(name) is None:
                known = ", ".join(parameter.name for parameter in self.parameters)
                raise ProviderError(
                    f"{self.name} has no parameter {name!r}; {f'it knows {known}' if known else 'it takes none'}."
                )
        checked: dict[str, Value] = {}
        for parameter in self.parameters:
            if parameter.name in values:
                checked[parameter.name] = self._read_value(parameter, values[parameter.name])
            elif parameter.needed:
                raise ProviderError(
                    f"{self.name} needs {parameter.name}, {parameter.meaning}; it takes {self.usage()}."
                )
        return checked

    def usage(self) -> str:
        """Its parameters as they are written on the command line."""
        return " ".join(map(str, self.parameters))

    def _read_value(self, parameter: Parameter, value: Value) -> Value:
        read = parameter.read(value)
        if read is None:
            raise ProviderError(
                f"{self.name} cannot use what is given as {parameter.name}, {parameter.meaning}: "
                f"write {parameter.name}={parameter.written()}{_limit(parameter)}."
            )
        return read


@dataclass(frozen=True, slots=True)
class BlackList:
    """Which methods keep a black list, of numbers that the provider itself never calls. `add` and `delete` take a
    number as `number`, digits without a plus; `every` answers with all of them.

    Of the words of MethodRefusedError, `gone` says that a number is not there, and those that begin with one of
    `about_number` that this number, and not the login or the list, is the trouble.
    """

    add: str
    delete: str
    every: str
    number: str
    gone: str
    about_number: tuple[str, ...]


def methods(*every: Method) -> dict[str, Method]:
    """Methods by their names, for an adapter's class variable."""
    return {method.name: method for method in every}


def unknown_method(kind: str, name: str, known: Mapping[str, Method]) -> ProviderError:
    """The sentence about a method that a kind of provider does not have."""
    knows = f"it knows {', '.join(known)}" if known else "it has none beside calls"
    return ProviderError(f"A provider of kind {kind} has no method {name!r}; {knows}.")


def unreadable(who: str, reply: Reply) -> ProviderError:
    """The sentence about a reply that `who` does not document. Only a 4xx tells that nothing was done."""
    kind = ProviderError if 400 <= reply.status < 500 else UnclearError
    return kind(f"{who} answered with HTTP {reply.status} and nothing that it documents.")


def multipart(field_name: str, file: File) -> tuple[dict[str, str], bytes]:
    """The header and the body of a `multipart/form-data` request with one file."""
    request = httpx.Request("POST", "http://provider.invalid", files={field_name: (file.name, file.content)})
    return {"Content-Type": request.headers["Content-Type"]}, request.read()


def markdown(known: Mapping[str, Method]) -> str:
    """The table of docs/providers.md, in Markdown."""
    rows = [
        f"| `{method.name}` | {_in_words(method)} | {method.sentence} | {method.section} |"
        for method in known.values()
    ]
    return "\n".join(["| method | parameters | does | section |", "|---|---|---|---|", *rows])


def _in_words(method: Method) -> str:
    return "; ".join(map(_parameter_in_words, method.parameters)) or "none"


def _parameter_in_words(parameter: Parameter) -> str:
    written = str(parameter).replace("|", "\\|")  # in a table
    fields = ", ".join(map(_parameter_in_words, parameter.fields))
    return f"`{written}` {parameter.meaning}{f' ({fields})' if fields else ''}"


def _read_fields(fields: tuple[Parameter, ...], entry: Any) -> Entry | None:
    """An object of an array with its values checked; None when it cannot be used."""
    if not isinstance(entry, dict) or any(name not in {field.name for field in fields} for name in entry):
        return None
    read = {field.name: field.read(entry[field.name]) for field in fields if field.name in entry}
    is_whole = all(field.name in entry for field in fields if field.needed)
    return read if is_whole and None not in read.values() else None


def _read_text(value: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value if value.strip() else None


def _read_number(value: str) -> int | None:
    return int(value) if re.fullmatch(r"-?[0-9]{1,18}", value.strip()) else None


def _read_yes(value: str) -> bool | None:
    word = value.strip().lower()
    return True if word in _YES else False if word in _NO else None


def _read_array(value: str) -> list[Any] | None:
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, list) else None


_READERS: Mapping[Any, Callable[[str], Value | None]] = {
    str: _read_text,
    int: _read_number,
    bool: _read_yes,
    File: lambda _: None,
    list: _read_array,
    dict: lambda _: None,
}


def _limit(parameter: Parameter) -> str:
    if parameter.takes is File:
        return f" with at most {MAX_FILE >> 20} MiB"
    if parameter.takes is list:
        return f", an array of 1 to {MAX_ENTRIES} objects with {' '.join(map(str, parameter.fields))}"
    return ""


def _is_sendable(file: File) -> bool:
    return _read_text(file.name) is not None and len(file.content) <= MAX_FILE
