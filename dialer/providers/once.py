"""Asking a provider from outside a worker: with a client of its own, for a person who waits for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from dialer.http import Client, make_client
from dialer.providers.base import Adapter

T = TypeVar("T")


def ask(adapter: Adapter, question: Callable[[Client, Adapter], Coroutine[Any, Any, T]]) -> T:
    """What `question` has got from the provider. Must not be called on an event loop. Raises ProviderError."""

    async def run() -> T:
        client = make_client(1)
        try:
            return await question(client, adapter)
        finally:
            await client.aclose()

    return asyncio.run(run())
