"""The contract of every kind of provider that can be asked how calls ended: no answer whatsoever is taken for an end
that it does not tell, and what goes wrong is a sentence."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from contract import ATTEMPT, Case, case_of
from wire import JSON, UNREADABLE, client_of, free_port, http, replying, run, serving, silent
from world import NOON

from dialer.http import Client
from dialer.providers.asking import look_up, read_cdr_page
from dialer.providers.base import Adapter
from dialer.providers.contract import Asked, CdrPage, Fact, ProviderError, TooManyRequestsError
from dialer.providers.kinds import adapter_class, adapter_kinds

Ask = Callable[[Client, Case, str], Coroutine[Any, Any, list[Fact] | CdrPage | None]]


def asked_of(case: Case) -> Asked:
    of = case.order.submission
    return Asked(ATTEMPT, case.accepted.reference, of.to, of.caller_id, NOON)


async def about_one(client: Client, case: Case, url: str) -> list[Fact] | None:
    return await look_up(client, case.adapter(url), asked_of(case), timeout=0.5)


async def about_all(client: Client, case: Case, url: str) -> CdrPage:
    since = NOON - timedelta(hours=1)
    return await read_cdr_page(client, case.adapter(url), since, NOON, None, timeout=0.5)


def answers(kind: str) -> list[Ask]:
    """The ways in which a kind can be asked."""
    ways: list[tuple[str, Ask]] = [("lookup_request", about_one), ("cdr_request", about_all)]
    return [ask for name, ask in ways if getattr(adapter_class(kind), name) is not getattr(Adapter, name)]


EVERY = [
    pytest.param(kind, ask, id=f"{kind}-{ask.__name__}") for kind in adapter_kinds() for ask in answers(kind)
]


def answered(kind: str, ask: Ask, reply: bytes) -> list[Fact] | CdrPage | None:
    """What is made of this reply. A sentence that is raised tells no secret."""
    case = case_of(kind)

    async def story() -> list[Fact] | CdrPage | None:
        async with serving(replying(reply)) as server, client_of() as client:
            return await ask(client, case, server.url)

    return discreet(case, lambda: run(story()))


def discreet(case: Case, do: Callable[[], Any]) -> Any:
    try:
        return do()
    except ProviderError as error:
        assert not [private for private in case.secrets() if private in str(error)]  # noqa: PT017 - passed on
        raise


@pytest.mark.parametrize(("kind", "ask"), EVERY)
@pytest.mark.parametrize("reply", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_answer_that_cannot_be_read_tells_no_end(kind: str, ask: Ask, reply: bytes) -> None:
    with pytest.raises(ProviderError, match=r"\w+"):
        answered(kind, ask, reply)


@pytest.mark.parametrize(("kind", "ask"), EVERY)
@pytest.mark.parametrize(("header", "wait"), [("Retry-After: 7\r\n", 7.0), ("", None)])
def test_429_says_how_long_to_wait(kind: str, ask: Ask, header: str, wait: float | None) -> None:
    with pytest.raises(TooManyRequestsError) as caught:
        answered(kind, ask, http("429 Too Many Requests", b"", header))
    assert caught.value.retry_after == wait


@pytest.mark.parametrize(("kind", "ask"), EVERY)
def test_each_error_of_a_submit_tells_no_end_either(kind: str, ask: Ask) -> None:
    case = case_of(kind)
    for said in [*case.errors.values(), case.accepted]:
        with contextlib.suppress(ProviderError):  # or it is not known yet
            assert answered(kind, ask, http(f"{said.status} Said", said.content, JSON)) in ([], CdrPage(()))


@pytest.mark.parametrize(("kind", "ask"), EVERY)
def test_nobody_who_answers_is_a_sentence(kind: str, ask: Ask) -> None:
    case = case_of(kind)

    async def unreached() -> None:
        async with client_of() as client:
            with free_port() as port:
                await ask(client, case, f"http://127.0.0.1:{port}")

    async def unanswered() -> None:
        async with serving(silent) as server, client_of() as client:
            await ask(client, case, server.url)

    for story in (unreached, unanswered):
        with pytest.raises(ProviderError, match="127"):
            discreet(case, lambda one=story: run(one()))  # type: ignore[misc]
