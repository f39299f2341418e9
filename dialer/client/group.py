"""What the groups of methods have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from dialer.client.wire import Params, Wire

AnswerT = TypeVar("AnswerT")

#: Items of a page, unless said otherwise.
PAGE_SIZE = 100


class Group:
    """The methods of one resource. `answer` is the type of what is answered."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def _get(self, answer: type[AnswerT], *path: str, **params: Any) -> AnswerT:
        got: AnswerT = self._wire.ask("GET", *path, params=params)
        return got

    def _post(self, answer: type[AnswerT], *path: str, body: Any = None, **params: Any) -> AnswerT:
        got: AnswerT = self._wire.ask("POST", *path, body=body, params=params)
        return got

    def _patch(self, answer: type[AnswerT], *path: str, body: Any) -> AnswerT:
        got: AnswerT = self._wire.ask("PATCH", *path, body=body)
        return got

    def _put(self, answer: type[AnswerT], *path: str, body: Any) -> AnswerT:
        got: AnswerT = self._wire.ask("PUT", *path, body=body)
        return got

    def _delete(self, *path: str) -> None:
        self._wire.ask("DELETE", *path)

    def _pages(
        self, answer: type[AnswerT], *path: str, page_size: int, params: Params | None = None
    ) -> Iterator[AnswerT]:
        return self._wire.pages(*path, params=params or {}, page_size=page_size)
