"""The contract of every kind of provider, placing calls: what is asked for, and what becomes of every reply.

Against a server that answers whatever it likes: the documented, the broken and the hostile. Each reply lands in the
class that docs/providers.md gives, and nothing gets past the recipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from contract import NO_WAY_TO_PLACE, Case, Ordered, Said, case_of, each, has_case
from hypothesis import given
from hypothesis import strategies as st
from wire import JSON, UNREADABLE, Server, black_hole, free_port, http, replying, reset, serving, silent

from dialer.http import Client, make_client, new_loop
from dialer.providers.base import MAX_REPLY, submit
from dialer.providers.contract import Outcome, Refusal, RefusedError, Reply, Submission, SubmitResult
from dialer.providers.kinds import adapter_kinds

Handler = Callable[[Server, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(params=adapter_kinds())
def case(request: pytest.FixtureRequest) -> Case:
    """Every kind's; a kind without one fails."""
    return case_of(request.param)


def reply_of(said: Said, status: int | None = None) -> bytes:
    """A documented reply on the wire."""
    return http(f"{status or said.status} Said", said.content, JSON)


class Line:
    """One loop and one client for all of them, as a worker has: a client's certificates take longer to read than a
    reply."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner(loop_factory=new_loop)
        self._client = self._runner.run(self._open())

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def place(
        self,
        case: Case,
        handle: Handler,
        submission: Submission | None = None,
        *,
        deadline: float = 5.0,
        read: float = 8.0,
    ) -> tuple[SubmitResult, Server]:
        """Place one call at a server that behaves like this."""

        async def story() -> tuple[SubmitResult, Server]:
            async with serving(handle) as server:
                return await self._submit(case, server.url, submission, deadline, read), server

        return self._runner.run(story())

    def place_at(self, case: Case, url: str, *, connect: float = 3.0) -> SubmitResult:
        """Place one call there."""
        return self._runner.run(self._submit(case, url, None, 5.0, 3.0, connect))

    async def _open(self) -> Client:
        return make_client(10)

    async def _submit(
        self,
        case: Case,
        url: str,
        submission: Submission | None,
        deadline: float,
        read: float,
        connect: float = 3.0,
    ) -> SubmitResult:
        self._client.timeout = httpx.Timeout(connect=connect, read=read, write=8.0, pool=5.0)
        wanted = submission or case.order.submission
        result = await submit(self._client, case.adapter(url), wanted, timeout=deadline)
        shown = repr(result)
        # Neither its detail nor its repr tells a number, a credential, the message or the code.
        assert not [private for private in case.secrets() if private in shown]
        return result


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    made = Line()
    yield made
    made.close()


def test_every_kind_has_a_case_with_a_call_for_all_that_it_can() -> None:
    assert [kind for kind in adapter_kinds() if not has_case(kind)] == [], (
        "write tests/integration/contract/<kind>.py"
    )
    for kind in adapter_kinds():
        case = case_of(kind)
        assert set(case.examples) == type(case.adapter()).capabilities - NO_WAY_TO_PLACE, kind
        assert case.errors, kind


# --- requests --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "order"), each(lambda case: case.examples))
def test_a_request_holds_what_the_document_wants_and_nothing_else(
    line: Line, case: Case, order: Ordered
) -> None:
    result, server = line.place(case, replying(reply_of(case.accepted)), order.submission)
    assert result.outcome is Outcome.PLACED
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    assert first == f"{order.method} {order.path} HTTP/1.1"
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    for name, value in order.headers.items():
        assert headers[name].partition(";")[0] == value
    told = json.loads(body) if body else None
    if isinstance(told, dict):
        assert not order.volatile - told.keys()
        told = {name: value for name, value in told.items() if name not in order.volatile}
    assert told == order.body


@pytest.mark.parametrize(("case", "refused"), each(lambda case: case.refused_unsent))
def test_what_a_kind_cannot_do_is_refused_and_nothing_is_sent(
    line: Line, case: Case, refused: tuple[Submission, Refusal]
) -> None:
    submission, refusal = refused
    result, server = line.place(case, silent, submission)
    assert (result.outcome, result.refusal) == (Outcome.REFUSED, refusal)
    assert server.connections == 0


@pytest.mark.parametrize("kind", adapter_kinds())
@given(
    text=st.text(max_size=40),
    code=st.text(alphabet="0123456789ab", max_size=6) | st.none(),
    to=st.from_regex(r"\+[1-9][0-9]{4,14}", fullmatch=True),
    language=st.sampled_from(["en-US", "ru-RU", "xx", "", "en_us"]),
    voice=st.text(max_size=8),
)
def test_whatever_is_to_be_said_becomes_a_request_or_a_refusal(
    kind: str, text: str, code: str | None, to: str, language: str, voice: str
) -> None:
    case = case_of(kind)
    adapter = case.adapter()
    for order in case.examples.values():
        changed = replace(order.submission, to=to, code=code, language=language, voice=voice)
        if changed.text is not None:
            changed = replace(changed, text=text)
        with contextlib.suppress(RefusedError):
            request = adapter.build_request(changed)
            json.dumps(request.json).encode()
            assert all(value.isascii() and value.isprintable() for value in request.headers.values())


# --- documented replies ----------------------------------------------------------------------------------


def test_the_documented_success_is_placed_under_the_providers_reference(line: Line, case: Case) -> None:
    result, server = line.place(case, replying(reply_of(case.accepted)))
    assert (result.outcome, result.provider_reference) == (Outcome.PLACED, case.accepted.reference)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("case", "said"), each(lambda case: case.errors))
def test_each_documented_error_is_in_its_class(line: Line, case: Case, said: Said) -> None:
    result, server = line.place(case, replying(reply_of(said)))
    assert (result.outcome, result.refusal) == (said.outcome, said.refusal)
    assert result.detail
    assert not result.unheard_of
    assert len(server.requests) == 1


@pytest.mark.parametrize(("case", "said"), each(lambda case: case.errors))
def test_no_documented_error_is_ever_taken_for_a_success(line: Line, case: Case, said: Said) -> None:
    for status in (200, 201, 202, 400, 401, 403, 404, 422, 500, 503):
        result, _ = line.place(case, replying(reply_of(said, status)))
        assert result.outcome in (Outcome.REFUSED, Outcome.UNKNOWN, said.outcome), status


@pytest.mark.parametrize(
    ("status", "refusal"),
    [(401, Refusal.PROVIDER), (403, Refusal.PROVIDER), (404, Refusal.PROVIDER), (422, Refusal.BAD_REQUEST)],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"\x00\xff"], ids=["empty", "page", "garbage"])
def test_a_4xx_without_a_word_is_refused_by_its_status(
    line: Line, case: Case, status: int, refusal: Refusal, body: bytes
) -> None:
    result, _ = line.place(case, replying(http(f"{status} No", body)))
    assert (result.outcome, result.refusal) == (Outcome.REFUSED, refusal)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Retry-After: 7\r\n", 7.0),
        ("", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: 99999\r\n", 86400.0),
    ],
    ids=["seconds", "no header", "no time", "a day and more"],
)
def test_429_is_not_processed_and_says_how_long_to_wait(
    line: Line, case: Case, header: str, expected: float | None
) -> None:
    result, server = line.place(case, replying(http("429 Too Many Requests", b"slow down", header)))
    assert (result.outcome, result.retry_after) == (Outcome.NOT_PROCESSED, expected)
    assert len(server.requests) == 1


def test_429_may_name_a_date_and_counts_even_when_its_body_never_ends(line: Line, case: Case) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    head = f"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 1000\r\nRetry-After: {date}\r\n\r\nslow"
    result, _ = line.place(case, replying(head.encode()))
    assert result.outcome is Outcome.NOT_PROCESSED
    assert result.retry_after == pytest.approx(100, abs=60)


# --- replies that decide nothing -------------------------------------------------------------------------


@pytest.mark.parametrize("reply", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_an_answer_that_decides_nothing_is_unknown_and_asked_for_once(
    line: Line, case: Case, reply: bytes
) -> None:
    result, server = line.place(case, replying(reply))
    assert result.outcome is Outcome.UNKNOWN
    assert result.detail
    assert len(server.requests) == 1


@pytest.mark.parametrize(("case", "reply"), each(lambda case: case.unclear))
def test_what_comes_near_to_a_documented_reply_is_unknown(
    line: Line, case: Case, reply: tuple[int, Any]
) -> None:
    status, body = reply
    result, _ = line.place(case, replying(http(f"{status} Odd", json.dumps(body).encode(), JSON)))
    assert result.outcome is Outcome.UNKNOWN
    assert result.detail
    is_documented = "rpcError" in json.dumps(body)  # a word of Mitto's that leaves it open
    assert bool(result.unheard_of) is not is_documented, "somebody should read what no document tells"


@pytest.mark.parametrize("status", [500, 503, 302, 408, 409])
def test_a_success_under_a_status_that_decides_nothing_is_unknown(
    line: Line, case: Case, status: int
) -> None:
    result, _ = line.place(case, replying(reply_of(case.accepted, status)))
    assert result.outcome is Outcome.UNKNOWN


def test_a_success_under_4xx_is_no_success(line: Line, case: Case) -> None:
    for status in (400, 401, 403, 422):
        result, _ = line.place(case, replying(reply_of(case.accepted, status)))
        assert result.outcome in (Outcome.UNKNOWN, Outcome.REFUSED), status


def test_a_success_that_is_longer_than_we_read_is_unknown(line: Line, case: Case) -> None:
    padded = case.accepted.content + b" " * (MAX_REPLY + 10)
    result, _ = line.place(case, replying(http("200 OK", padded, JSON)))
    assert result.outcome is Outcome.UNKNOWN


def test_a_megabyte_of_success_is_still_read(line: Line, case: Case) -> None:
    padded = case.accepted.content + b" " * (MAX_REPLY - len(case.accepted.content))
    result, _ = line.place(case, replying(http("200 OK", padded, JSON)))
    assert (result.outcome, result.provider_reference) == (Outcome.PLACED, case.accepted.reference)


def test_a_success_that_is_cut_off_anywhere_is_unknown(case: Case) -> None:
    whole = case.accepted.content
    for length in range(len(whole)):
        verdict = case.adapter().read_reply(Reply(case.accepted.status, {}, whole[:length]))
        assert verdict.outcome is Outcome.UNKNOWN, whole[:length]


def test_a_success_whose_connection_ends_too_early_is_unknown(line: Line, case: Case) -> None:
    cut = f"HTTP/1.1 200 OK\r\nContent-Length: {len(case.accepted.content) + 1}\r\n\r\n".encode()

    async def handle(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(cut + case.accepted.content)
        await writer.drain()

    result, _ = line.place(case, handle)
    assert result.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("kind", adapter_kinds())
@given(st.data())
def test_no_reply_whatsoever_breaks_the_reading_or_is_guessed_to_be_a_success(
    kind: str, data: st.DataObject
) -> None:
    case = case_of(kind)
    names = st.sampled_from(
        sorted(_names([case.accepted.body, *(said.body for said in case.errors.values())]))
    )
    values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
        max_leaves=6,
    )
    body = data.draw(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
    status = data.draw(st.sampled_from([200, 201, 202, 206, 400, 401, 403, 404, 418, 422, 451]))
    verdict = case.adapter().read_reply(Reply(status, {}, body))
    assert verdict.outcome in (Outcome.PLACED, Outcome.REFUSED, Outcome.UNKNOWN)
    if status >= 400:
        assert verdict.outcome is not Outcome.PLACED
    if verdict.outcome is Outcome.REFUSED:
        assert verdict.refusal is not None


def _names(bodies: list[Any]) -> set[str]:
    """Every name in documented replies."""
    found = {"status", "error", "message"}
    for body in bodies:
        if isinstance(body, dict):
            found |= set(body) | _names(list(body.values()))
    return found


# --- mishaps on the way ----------------------------------------------------------------------------------


def test_a_refused_connection_is_not_sent(line: Line, case: Case) -> None:
    with free_port() as port:
        assert line.place_at(case, f"http://127.0.0.1:{port}").outcome is Outcome.NOT_SENT


def test_a_connection_that_hangs_is_not_sent(line: Line, case: Case) -> None:
    with black_hole() as url:
        result = line.place_at(case, url, connect=0.1)
    assert result.outcome is Outcome.NOT_SENT
    assert result.asked


def test_a_host_that_has_no_address_is_not_sent(line: Line, case: Case) -> None:
    result = line.place_at(case, "http://nobody.invalid")
    assert result.outcome is Outcome.NOT_SENT
    assert result.asked


async def resets(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    reset(writer)


async def closes(server: Server, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await server.read_request(reader)


async def drips(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await server.read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:  # never silent for as long as the read timeout
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("mishap", [resets, closes, silent, drips], ids=lambda mishap: mishap.__name__)
def test_what_breaks_after_it_was_sent_is_unknown_and_nothing_is_sent_again(
    line: Line, case: Case, mishap: Handler
) -> None:
    result, server = line.place(case, mishap, deadline=0.4, read=0.3)
    assert result.outcome is Outcome.UNKNOWN
    assert len(server.requests) == 1


def test_what_the_provider_echoes_is_not_repeated(line: Line, case: Case) -> None:
    """`Line` looks for every secret in what became of it."""
    order = case.order
    private = sorted(case.secrets_of(order))
    echo = " / ".join([*private, *map(quote, private), *(value for value in order.headers.values())])
    for said in [case.accepted, *case.errors.values()]:
        body = said.body
        if not isinstance(body, dict):
            continue
        for told in ({**body, "detail": echo}, _echoing(body, echo)):
            for status in (said.status, 400, 403):
                line.place(case, replying(http(f"{status} Echo", json.dumps(told).encode(), JSON)))


def _echoing(body: Any, echo: str) -> Any:
    """The reply with the echo behind every text."""
    if isinstance(body, dict):
        return {name: _echoing(value, echo) for name, value in body.items()}
    return f"{body} {echo}" if isinstance(body, str) else body
