"""What is asked of a provider besides calls: `check`, whether its account works; `look_up`, how an attempt ended that
nobody has told the end of, and `read_cdr_page`, how all did; `call_method`, what else it documents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dialer.http import Client, Trace
from dialer.providers.base import MAX_REPLY, Adapter, prepare, receive, secrets_of
from dialer.providers.contract import (
    Asked,
    CdrPage,
    Fact,
    MethodRefusedError,
    ProviderError,
    ProviderRequest,
    Reply,
    TooManyRequestsError,
    UnclearError,
)
from dialer.providers.methods import Method, Step, Value, unknown_method
from dialer.providers.redact import hide
from dialer.retry_after import parse_retry_after

MAX_CDRS = 16 << 20  # bytes of a page of CDRs that are read
_NOT_KNOWN = ", and whether it was done is not known: look before you do it again."

ResultT = TypeVar("ResultT")


async def check(client: Client, adapter: Adapter, *, timeout: float = 10.0) -> str:  # noqa: ASYNC109
    """One sentence about the provider's account. Raises ProviderError, a sentence, when it does not work."""
    name = adapter.config.name
    request = adapter.check_request()
    if request is None:
        return f"{name} has no request that could test it; its settings are complete."
    reply = await _ask(client, adapter, request, timeout)
    return adapter.read_check(reply)


async def call_method(
    client: Client,
    adapter: Adapter,
    name: str,
    values: Mapping[str, Value],
    *,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
) -> Any:
    """What the provider answers to its method `name`, JSON-able: one request, or one after the other, each within
    `timeout` seconds and never sent again. `values` are by parameter; a text is read by the parameter's type.

    Raises ProviderError, a sentence without credentials: no such method or parameter, a value that is missing or
    malformed (nothing was sent then), no answer, an error of the provider's (TooManyRequestsError after a 429,
    MethodRefusedError where the error is documented), an answer that cannot be read.
    """
    method = adapter.methods.get(name)
    if method is None:
        raise unknown_method(adapter.kind, name, adapter.methods)
    checked = method.checked(values)
    first = Step(method.build(adapter, checked), method.read)
    result = await _ask_step(client, adapter, method, first, timeout)
    step = None if method.then is None else method.then(adapter, checked, result)
    while step is not None:
        await asyncio.sleep(step.pause)
        result = await _ask_step(client, adapter, method, step, timeout)
        step = step.then(result)
    return result


async def look_up(
    client: Client,
    adapter: Adapter,
    asked: Asked,
    *,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
    hear: Callable[[Reply], object] | None = None,
) -> list[Fact] | None:
    """What the provider says about one attempt: nothing when it knows no end yet, None when it cannot be asked. `hear`
    is given its reply as it came, unless it told in pages. `timeout` is that of each page.

    Raises TooManyRequestsError after a 429, and ProviderError, a sentence without numbers or credentials: no answer,
    an error of the provider's, an answer that cannot be read.
    """
    request = _built(adapter, "the look-up", lambda: adapter.lookup_request(asked))
    if request is None:
        return None
    longest = MAX_REPLY if type(adapter).next_lookup is Adapter.next_lookup else MAX_CDRS
    replies = [await _ask(client, adapter, request, timeout, longest=longest)]
    while True:
        following = _understood(
            adapter, request, replies[-1], "the look-up", lambda: adapter.next_lookup(replies, asked)
        )
        if following is None:
            break
        request = following
        replies.append(await _ask(client, adapter, request, timeout, longest=longest))
    if hear is not None and len(replies) == 1:
        hear(replies[-1])
    return _understood(
        adapter, request, replies[-1], "the look-up", lambda: adapter.read_lookups(replies, asked)
    )


async def read_cdr_page(
    client: Client,
    adapter: Adapter,
    since: datetime,
    until: datetime,
    page: str | None,
    *,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
) -> CdrPage:
    """A page of the provider's CDRs, empty when it keeps none. Raises as `look_up` does."""
    request = _built(adapter, "CDRs", lambda: adapter.cdr_request(since, until, page))
    if request is None:
        return CdrPage(())
    reply = await _ask(client, adapter, request, timeout, longest=MAX_CDRS)
    return _understood(adapter, request, reply, "CDRs", lambda: adapter.read_cdrs(reply, page, until))


async def _ask(
    client: Client,
    adapter: Adapter,
    request: ProviderRequest,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
    *,
    longest: int = MAX_REPLY,
    changes: bool = False,
) -> Reply:
    """The reply to a request that places no call. Raises ProviderError, a sentence, when none came."""
    trace = Trace()
    try:
        prepared = prepare(adapter, request)
        async with asyncio.timeout(timeout):
            response = await client.exchange(prepared, trace)
            try:
                return await receive(response, longest)
            finally:
                response.release()
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - transports raise more than they document
        host = urlsplit(request.base_url or adapter.base_url).hostname
        did = "did not answer" if trace.connected else "could not be reached"
        sentence = f"{adapter.config.name} {did} at {host} ({type(error).__name__})"
        if changes and trace.sent:
            raise UnclearError(f"{sentence}{_NOT_KNOWN}") from None
        raise ProviderError(f"{sentence}; check --base-url and the network.") from None


async def _ask_step(
    client: Client,
    adapter: Adapter,
    method: Method,
    step: Step,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
) -> Any:
    longest = method.longest or MAX_REPLY
    reply = await _ask(client, adapter, step.request, timeout, longest=longest, changes=method.changes)
    try:
        return _read_result(adapter, method.name, step.read, reply, longest)
    except ProviderError as error:
        # What a provider says it may have been told.
        sentence = hide(str(error), secrets_of(adapter, step.request))
        error.args = (sentence,)
        if method.changes and _is_unclear(reply, error):
            raise UnclearError(f"{sentence.rstrip('.')}{_NOT_KNOWN}") from None
        raise error from None


def _is_unclear(reply: Reply, error: ProviderError) -> bool:
    """Whether a reply that tells no success leaves open whether what was asked for was done."""
    if isinstance(error, MethodRefusedError | TooManyRequestsError):
        return False
    return isinstance(error, UnclearError) or reply.status >= 500


def _read_result(
    adapter: Adapter, method: str, read: Callable[[Reply], Any], reply: Reply, longest: int
) -> Any:
    name = adapter.config.name
    if reply.status == 429:
        wait = parse_retry_after(reply.headers.get("retry-after"), datetime.now(UTC))
        when = "later" if wait is None else f"in {wait:.0f} s"
        sentence = f"{name} got too many requests (HTTP 429) and did nothing; try again {when}."
        raise TooManyRequestsError(sentence, wait)
    if reply.truncated:
        raise UnclearError(f"{name} answered {method} with more than {longest >> 20} MiB.")
    try:
        result = read(reply)
        json.dumps(result, ensure_ascii=False, allow_nan=False).encode()  # it will be written as that
        return result
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of one method must not show the reply in a traceback
        raise UnclearError(
            f"{name} answered {method} with HTTP {reply.status} and what cannot be read "
            f"({type(error).__name__})."
        ) from None


def _built(
    adapter: Adapter, what: str, build: Callable[[], ProviderRequest | None]
) -> ProviderRequest | None:
    try:
        return build()
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of one adapter must not cost the others their look-ups
        raise ProviderError(
            f"{adapter.config.name} cannot be asked: {what} could not be built ({type(error).__name__})."
        ) from None


def _understood(
    adapter: Adapter, request: ProviderRequest, reply: Reply, what: str, read: Callable[[], ResultT]
) -> ResultT:
    name = adapter.config.name
    if reply.status == 429:
        wait = parse_retry_after(reply.headers.get("retry-after"), datetime.now(UTC))
        raise TooManyRequestsError(f"{name} got too many requests (HTTP 429) and told nothing.", wait)
    if reply.status >= 500:
        raise ProviderError(f"{name} answered {what} with HTTP {reply.status}.")
    if reply.truncated:
        raise ProviderError(f"{name} answered {what} with more than can be read.")
    try:
        return read()
    except ProviderError as error:
        # What a provider says it may have been told.
        raise ProviderError(hide(str(error), secrets_of(adapter, request))) from None
    except Exception as error:  # noqa: BLE001 - a bug of the adapter must not show the reply in a traceback
        raise ProviderError(
            f"{name} answered {what} with HTTP {reply.status} and what cannot be read ({type(error).__name__})."
        ) from None
