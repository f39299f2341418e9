"""Provider methods, asked over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from dialer.http import Client, make_client
from dialer.providers.asking import call_method
from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderError
from dialer.providers.methods import Value

KEY = "sEcrEt-key-0815"  # a credential, which no sentence may show
Ask = Callable[..., Awaitable[Any]]


def asking(adapter: Adapter, story: Callable[[Ask], Awaitable[Any]]) -> Any:
    """Runs a story that is told with `ask(method, parameter=value, …)`."""

    async def run() -> Any:
        client = make_client(2)

        async def ask(name: str, /, **values: Value) -> Any:
            return await call_method(client, adapter, name, values, timeout=20)

        try:
            return await story(ask)
        finally:
            await client.aclose()

    return asyncio.run(run())


def told(name: str, adapter: Adapter, /, **values: Value) -> str:
    """The sentence of a method that fails."""

    async def run() -> str:
        client: Client = make_client(1)
        try:
            with pytest.raises(ProviderError) as caught:
                await call_method(client, adapter, name, values, timeout=20)
        finally:
            await client.aclose()
        return str(caught.value)

    sentence = asyncio.run(run())
    assert KEY not in sentence
    assert sentence.endswith(".")
    return sentence
