"""One event loop and one client, for what is asked of providers now and then: look-ups, CDRs.

Kept from one task to the next: to read the certificates for a client takes longer than most answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from dialer import http

#: Requests at once.
AT_ONCE = 8

AnswerT = TypeVar("AnswerT")


class Outside:
    """The way out of one process, for one thread at a time."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=http.new_loop)
        self.client = self._runner.run(_open())

    def run(self, asking: Coroutine[Any, Any, AnswerT]) -> AnswerT:
        """Run it to its end."""
        return self._runner.run(asking)

    def close(self) -> None:
        """Close the client and the loop."""
        self._runner.run(self.client.aclose())
        self._runner.close()


async def _open() -> http.Client:
    return http.make_client(AT_ONCE)
