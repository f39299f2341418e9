"""The contract of every kind of provider with methods beside calls: whatever comes back is a result or a sentence,
nothing is sent twice, and of a change that may have been made nobody is told that it was not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pytest
from contract import Case, case_of, each
from wire import JSON, UNREADABLE, Server, client_of, free_port, http, reset, run, serving

from dialer.http import Client
from dialer.providers.asking import call_method
from dialer.providers.contract import ProviderError, TooManyRequestsError, UnclearError
from dialer.providers.kinds import adapter_class, adapter_kinds
from dialer.providers.methods import Method, Value

Sample = Callable[[Method], dict[str, Value]]
Result = dict[str, Any] | list[Any] | ProviderError

KINDS = [kind for kind in adapter_kinds() if adapter_class(kind).methods]
#: Methods whose result is whatever comes, "the requested file is returned".
FETCHES = {"media_file"}


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> Case:
    """Every kind's with methods."""
    return case_of(request.param)


def methods_of(case: Case) -> Iterable[Method]:
    return adapter_class(case.kind).methods.values()


async def ask(client: Client, case: Case, url: str, method: Method, values: Mapping[str, Value]) -> Result:
    """What the method answers, or the sentence; neither shows a credential."""
    try:
        result: Result = await call_method(client, case.adapter(url), method.name, values, timeout=2)
    except ProviderError as error:
        sentence = str(error)
        credentials = {value for value in case.settings.values() if len(value) >= 4}
        assert not [private for private in credentials if private in sentence], method.name
        assert sentence.endswith("."), sentence
        return error
    json.dumps(result, allow_nan=False)
    return result


def answered(case: Case, sample: Sample, reply: bytes | None) -> dict[str, Result]:
    """What every method makes of these bytes, by its name; None: the connection is reset. Each asks once."""

    async def handle(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await server.read_request(reader):
            if reply is None:
                reset(writer)
                break
            writer.write(reply)
            await writer.drain()

    async def story() -> dict[str, Result]:
        found = {}
        async with serving(handle) as server, client_of() as client:
            for method in methods_of(case):
                server.requests.clear()
                found[method.name] = await ask(client, case, server.url, method, sample(method))
                assert len(server.requests) == 1, method.name
        return found

    return run(story())


def changing(case: Case) -> set[str]:
    return {method.name for method in methods_of(case) if method.changes}


@pytest.mark.parametrize("reply", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_a_sentence(case: Case, sample: Sample, reply: bytes) -> None:
    for name, result in answered(case, sample, reply).items():
        if b"HTTP/1.1 2" in reply and name in FETCHES:
            continue
        assert isinstance(result, ProviderError), name
        if b"HTTP/1.1 4" not in reply:
            assert isinstance(result, UnclearError) or name not in changing(case), name


def test_a_connection_that_is_reset_leaves_open_whether_a_change_was_made(case: Case, sample: Sample) -> None:
    for name, result in answered(case, sample, None).items():
        assert isinstance(result, UnclearError) is (name in changing(case)), name
        assert isinstance(result, ProviderError), name


@pytest.mark.parametrize(("case", "reply"), each(lambda case: case.leaves_open))
def test_an_error_that_does_not_say_that_nothing_was_done_leaves_open_whether_a_change_was_made(
    case: Case, sample: Sample, reply: tuple[int, Any]
) -> None:
    status, body = reply
    for name, result in answered(case, sample, http(f"{status} So", json.dumps(body).encode(), JSON)).items():
        assert isinstance(result, ProviderError), name
        assert isinstance(result, UnclearError) or name not in changing(case), name


def test_every_kind_that_changes_something_has_such_an_error(case: Case) -> None:
    assert bool(case.leaves_open) is bool(changing(case))


@pytest.mark.parametrize(("header", "wait"), [("Retry-After: 7\r\n", 7.0), ("", None)])
def test_429_changes_nothing_and_says_how_long_to_wait(
    case: Case, sample: Sample, header: str, wait: float | None
) -> None:
    for name, result in answered(case, sample, http("429 Too Many Requests", b"{}", header)).items():
        assert isinstance(result, TooManyRequestsError), name
        assert result.retry_after == wait


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_change_nothing(case: Case, sample: Sample, status: int) -> None:
    for name, result in answered(case, sample, http(f"{status} No", b"{}", JSON)).items():
        assert isinstance(result, ProviderError), name
        assert not isinstance(result, UnclearError), name


def test_nobody_who_listens_changes_nothing(case: Case, sample: Sample) -> None:
    async def story(url: str) -> dict[str, Result]:
        async with client_of() as client:
            return {
                method.name: await ask(client, case, url, method, sample(method))
                for method in methods_of(case)
            }

    with free_port() as port:
        found = run(story(f"http://127.0.0.1:{port}"))
    for name, result in found.items():
        assert isinstance(result, ProviderError), name
        assert not isinstance(result, UnclearError), name
