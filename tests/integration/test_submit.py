"""The recipe of a submit over real sockets, where it is the same for every kind: connections, deadlines, turns, bugs of
an adapter. What each kind makes of replies is in test_contract_submit.py."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from wire import Server, black_hole, client_of, free_port, http, replying, reset, run, serving, silent

from dialer.http import Trace, make_request
from dialer.providers.asking import check
from dialer.providers.base import submit
from dialer.providers.contract import (
    Outcome,
    ProviderConfig,
    ProviderError,
    ProviderRequest,
    Refusal,
    RefusedError,
    Reply,
    Submission,
    SubmitResult,
    Verdict,
)
from dialer.providers.mitto import MittoAdapter

KEY = "sEcrEt-key-0815"
TEXT = "Dear Anna, your code is 48213."
CALL = Submission("AT123", "+46701112233", "+46850001111", TEXT, None)

Result = TypeVar("Result")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def said(status: str, http_status: str = "200 OK") -> bytes:
    return http(http_status, json.dumps({"status": status}).encode(), "Content-Type: application/json\r\n")


def adapter(url: str, kind: type[MittoAdapter] = MittoAdapter, **settings: str) -> MittoAdapter:
    return kind(ProviderConfig("PR1", "north", "mitto", url, {"access_key": KEY, **settings}))


async def place(url: str, deadline: float = 5, trace: Trace | None = None, **timeouts: float) -> SubmitResult:
    async with client_of(10, **timeouts) as client:
        return await submit(client, adapter(url), CALL, timeout=deadline, trace=trace)


def assert_discreet(result: SubmitResult) -> None:
    """Neither the detail nor any repr tells the number, the key or the message."""
    shown = repr(result) + repr(CALL)
    for private in ("46701112233", "701112233", "46850001111", KEY, "Anna", "48213"):
        assert private not in shown


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS context with a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


class Unable(MittoAdapter):
    """Says of each call that the account is at fault, before anything is sent."""

    def build_request(self, submission: Submission) -> ProviderRequest:
        raise RefusedError(Refusal.PROVIDER, "the account has no such thing")


def test_what_is_refused_before_it_is_sent_is_never_the_fault_of_the_account() -> None:
    async def story() -> SubmitResult:
        async with client_of(1) as client:
            return await submit(client, adapter("http://127.0.0.1:9", Unable), CALL, timeout=5)

    result = run(story())
    assert (result.outcome, result.refusal, result.asked) == (Outcome.REFUSED, Refusal.NOT_HERE, False)
    assert result.detail == "the account has no such thing"


# --- not sent: may go again ------------------------------------------------------------------------------


def test_a_refused_connection_is_not_sent() -> None:
    async def story() -> SubmitResult:
        with free_port() as port:
            return await place(f"http://127.0.0.1:{port}")

    result = run(story())
    assert result.outcome is Outcome.NOT_SENT
    assert "no connection" in result.detail
    assert_discreet(result)


def test_an_unknown_host_is_not_sent() -> None:
    # `.invalid` never resolves (RFC 6761), with or without a network.
    result = run(place("http://provider.invalid"))
    assert result.outcome is Outcome.NOT_SENT
    assert_discreet(result)


def test_a_connect_timeout_is_not_sent() -> None:
    async def story() -> tuple[SubmitResult, Trace]:
        trace = Trace()
        with black_hole() as url:
            return await place(url, connect=0.3, trace=trace), trace

    result, trace = run(story())
    assert result.outcome is Outcome.NOT_SENT
    assert not trace.connected


def test_a_tls_handshake_that_fails_is_not_sent() -> None:
    async def story() -> SubmitResult:
        async def gibberish(_: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await writer.drain()

        async with serving(gibberish) as server:
            return await place(f"https://127.0.0.1:{server.port}")

    result = run(story())
    assert result.outcome is Outcome.NOT_SENT
    assert_discreet(result)


def test_a_certificate_that_nobody_signed_is_not_sent(self_signed: ssl.SSLContext) -> None:
    async def story() -> tuple[SubmitResult, list[bytes]]:
        async with serving(replying(said("ok")), tls=self_signed) as server:
            return await place(f"https://127.0.0.1:{server.port}"), server.requests

    result, requests = run(story())
    assert result.outcome is Outcome.NOT_SENT
    assert requests == []


def test_a_tls_handshake_that_hangs_is_not_sent() -> None:
    async def story() -> SubmitResult:
        async def hang(_: Server, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            await reader.read()

        async with serving(hang) as server:
            return await place(f"https://127.0.0.1:{server.port}", connect=0.3)

    assert run(story()).outcome is Outcome.NOT_SENT


def test_waiting_in_vain_for_a_free_connection_is_not_sent() -> None:
    async def story() -> tuple[SubmitResult, SubmitResult, int]:
        async with serving(silent) as server, client_of(limit=1, pool=0.3) as client:
            first = asyncio.create_task(submit(client, adapter(server.url), CALL, timeout=1))
            await server.got_request.wait()
            second = await submit(client, adapter(server.url), replace(CALL, attempt_id="AT2"), timeout=5)
            return await first, second, len(server.requests)

    first, second, requests = run(story())
    assert first.outcome is Outcome.UNKNOWN
    assert second.outcome is Outcome.NOT_SENT
    assert requests == 1


def test_the_deadline_before_a_connection_is_not_sent() -> None:
    async def story() -> SubmitResult:
        async with serving(silent) as server, client_of(limit=1) as client:
            first = asyncio.create_task(submit(client, adapter(server.url), CALL, timeout=2))
            await server.got_request.wait()
            second = await submit(client, adapter(server.url), CALL, timeout=0.2)
            first.cancel()
            await asyncio.gather(first, return_exceptions=True)
            return second

    assert run(story()).outcome is Outcome.NOT_SENT


# --- unknown: never goes again ---------------------------------------------------------------------------


class GetAdapter(MittoAdapter):
    """Places calls with a GET, as some providers do."""

    def build_request(self, submission: Submission) -> ProviderRequest:
        return ProviderRequest("GET", "call", params={"to": submission.to, "ref": submission.attempt_id})


@pytest.mark.parametrize("kind", [MittoAdapter, GetAdapter], ids=["POST", "GET"])
def test_a_reused_connection_that_breaks_is_unknown_and_nothing_is_sent_again(
    kind: type[MittoAdapter],
) -> None:
    """A GET too: aiohttp would send it again by itself."""

    async def story() -> tuple[SubmitResult, SubmitResult, Server]:
        async def handle(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await server.read_request(reader)
            writer.write(said("ok"))
            await writer.drain()
            await server.read_request(reader)
            reset(writer)

        async with serving(handle) as server, client_of() as client:
            first = await submit(client, adapter(server.url, kind), CALL, timeout=5)
            second = await submit(client, adapter(server.url, kind), CALL, timeout=5)
            return first, second, server

    first, second, server = run(story())
    assert first.outcome is Outcome.PLACED
    assert second.outcome is Outcome.UNKNOWN
    assert len(server.requests) == 2
    assert_discreet(second)


# --- answers that decide ---------------------------------------------------------------------------------


def reply_to(reply: bytes, kind: type[MittoAdapter] = MittoAdapter) -> SubmitResult:
    async def story() -> SubmitResult:
        async with serving(replying(reply)) as server, client_of() as client:
            return await submit(client, adapter(server.url, kind), CALL, timeout=5)

    return run(story())


def test_ok_is_placed_under_our_own_reference() -> None:
    result = reply_to(said("ok"))
    assert result == SubmitResult("AT123", Outcome.PLACED, provider_reference="AT123")


def test_ok_with_a_request_id_is_placed_under_that() -> None:
    result = reply_to(http("200 OK", b'{"status":"ok","requestId":"37b873131de218352d63f980cb71b41b"}'))
    assert result.outcome is Outcome.PLACED
    assert result.provider_reference == "37b873131de218352d63f980cb71b41b"


class TalkativeAdapter(MittoAdapter):
    """Passes on whatever the provider says."""

    def read_reply(self, reply: Reply) -> Verdict:
        return Verdict(Outcome.REFUSED, refusal=Refusal.BAD_NUMBER, detail=reply.body.decode())


def test_what_the_provider_echoes_is_scrubbed() -> None:
    echo = (
        f"key {KEY} cannot call +46 70 111 22 33 or 46701112233 from 46850001111 with '{TEXT}' or 48213 (E17)"
    )
    result = reply_to(http("400 Bad Request", echo.encode()), TalkativeAdapter)
    assert_discreet(result)
    assert "46 70" not in result.detail
    assert "cannot call" in result.detail
    assert "(E17)" in result.detail


def test_a_spoken_password_that_is_echoed_is_scrubbed() -> None:
    async def story() -> SubmitResult:
        echo = http("400 Bad Request", b"cannot say '1, 9, 8, 7' of 1987")
        async with serving(replying(echo)) as server, client_of() as client:
            said = replace(CALL, text="Your code is 1, 9, 8, 7.")
            return await submit(client, adapter(server.url, TalkativeAdapter), said, timeout=5)

    detail = run(story()).detail
    assert "cannot say" in detail
    assert "1, 9" not in detail
    assert "1987" not in detail


# --- bugs of an adapter, cancellation, logs ---------------------------------------------------------------


class BrokenReader(MittoAdapter):
    def read_reply(self, reply: Reply) -> Verdict:
        raise KeyError(TEXT)


class BrokenBuilder(MittoAdapter):
    def build_request(self, submission: Submission) -> ProviderRequest:
        raise KeyError(submission.to)


def test_a_bug_while_reading_the_reply_is_unknown() -> None:
    result = reply_to(said("ok"), BrokenReader)
    assert result.outcome is Outcome.UNKNOWN
    assert_discreet(result)


def test_a_bug_while_building_the_request_is_refused_and_nothing_is_sent() -> None:
    async def story() -> tuple[SubmitResult, int]:
        async with serving(replying(said("ok"))) as server, client_of() as client:
            result = await submit(client, adapter(server.url, BrokenBuilder), CALL, timeout=5)
            return result, server.connections

    result, connections = run(story())
    assert (result.outcome, result.refusal) == (Outcome.REFUSED, Refusal.BAD_REQUEST)
    assert connections == 0
    assert_discreet(result)


def test_a_credential_that_no_header_can_hold_is_refused_and_nothing_is_sent() -> None:
    async def story() -> tuple[SubmitResult, int]:
        async with serving(replying(said("ok"))) as server, client_of() as client:
            broken = adapter(server.url, access_key="two\nlines")
            return await submit(client, broken, CALL, timeout=5), server.connections

    result, connections = run(story())
    assert (result.outcome, result.refusal) == (Outcome.REFUSED, Refusal.PROVIDER)
    assert connections == 0


def test_a_cancelled_submit_tells_through_its_trace_that_it_had_been_sent() -> None:
    async def story() -> Trace:
        async with serving(silent) as server, client_of() as client:
            trace = Trace()
            task = asyncio.create_task(submit(client, adapter(server.url), CALL, timeout=5, trace=trace))
            await server.got_request.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return trace

    assert run(story()) == Trace(sent=True, connected=True)


def test_a_cancelled_submit_tells_through_its_trace_that_nothing_had_been_sent() -> None:
    async def story() -> Trace:
        connected = asyncio.Event()

        async def hang(_: Server, reader: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
            connected.set()
            await reader.read()

        async with serving(hang) as server, client_of() as client:
            trace = Trace()
            tls = adapter(f"https://127.0.0.1:{server.port}")
            task = asyncio.create_task(submit(client, tls, CALL, timeout=5, trace=trace))
            await connected.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return trace

    assert run(story()) == Trace(sent=False, connected=False)


def test_traces_of_concurrent_requests_do_not_mix() -> None:
    async def story() -> list[Outcome]:
        async with serving(silent) as server, client_of(read=0.5) as client:
            with free_port() as port:
                dead, alive = adapter(f"http://127.0.0.1:{port}"), adapter(server.url)
                results = await asyncio.gather(
                    *(submit(client, dead if i % 2 else alive, CALL, timeout=5) for i in range(10))
                )
        return [result.outcome for result in results]

    assert run(story()) == [Outcome.UNKNOWN, Outcome.NOT_SENT] * 5


def test_no_url_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert reply_to(http("500 Oops"), GetAdapter).outcome is Outcome.UNKNOWN
    assert "46701112233" not in caplog.text


def test_cookies_of_one_account_do_not_ride_along_with_another() -> None:
    async def story() -> list[bytes]:
        reply = http("200 OK", b'{"status":"ok"}', "Set-Cookie: session=north; Path=/\r\n")
        async with serving(replying(reply)) as server, client_of() as client:
            await submit(client, adapter(server.url), CALL, timeout=5)
            await submit(client, adapter(server.url), CALL, timeout=5)
            return server.requests

    first, second = run(story())
    assert b"cookie" not in first.lower()
    assert b"cookie" not in second.lower()


def test_a_trace_serves_one_request() -> None:
    async def story() -> int:
        async with serving(replying(said("ok"))) as server, client_of() as client:
            request, trace = make_request("GET", server.url, {}), Trace()
            (await client.exchange(request, trace)).release()
            with pytest.raises(RuntimeError, match="twice"):
                await client.exchange(request, trace)
            return len(server.requests)

    assert run(story()) == 1


# --- the account's check ---------------------------------------------------------------------------------


def checked(reply: bytes) -> str:
    async def story() -> str:
        async with serving(replying(reply)) as server, client_of() as client:
            return await check(client, adapter(server.url))

    return run(story())


def test_a_working_account_tells_its_balance() -> None:
    assert "100.0" in checked(http("200 OK", b'{"personalAccountId": "0000000000", "balance": "100.0"}'))


@pytest.mark.parametrize(
    ("reply", "mend"),
    [
        (said("invalidAccessKeyError"), "set access_key"),
        (said("prohibitedForAppError"), "prohibitedForAppError"),
        (http("404 Not Found", b"<html>"), "HTTP 404"),
        (http("200 OK", b"<html>"), "--base-url"),
    ],
)
def test_an_account_that_does_not_work_is_a_sentence_with_the_mend(reply: bytes, mend: str) -> None:
    with pytest.raises(ProviderError, match=mend) as caught:
        checked(reply)
    assert KEY not in str(caught.value)


def test_an_unreachable_provider_is_a_sentence_with_the_mend() -> None:
    async def story() -> None:
        async with client_of() as client:
            with free_port() as port:
                await check(client, adapter(f"http://127.0.0.1:{port}"))

    with pytest.raises(ProviderError, match="could not be reached at 127"):
        run(story())


def test_a_request_that_its_owner_withholds_after_connecting_is_not_sent() -> None:
    async def story() -> None:
        async with serving(replying(said("ok"))) as server, client_of() as client:
            trace = Trace(may_send=lambda: False)
            result = await submit(client, adapter(server.url), CALL, timeout=5, trace=trace)
            assert (result.outcome, trace.connected, trace.sent) == (Outcome.NOT_SENT, True, False)
            assert server.requests == []
            again = await submit(client, adapter(server.url), CALL, timeout=5)
            assert again.outcome is Outcome.PLACED

    run(story())


class CountingServer(ThreadingHTTPServer):
    """Counts what has come, on threads of its own: it goes on while the sender's loop stands still."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CountingHandler)
        self.came = 0
        self.coming = threading.Condition()

    def has(self, requests: int) -> bool:
        """Whether so many have come, or come soon."""
        with self.coming:
            return self.coming.wait_for(lambda: self.came >= requests, timeout=5)


class CountingHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Count and answer."""
        assert isinstance(self.server, CountingServer)
        with self.server.coming:
            self.server.came += 1
            self.server.coming.notify_all()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.wfile.write(said("ok"))

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_request_is_looked_at_when_those_before_it_have_left() -> None:
    """So a process that is frozen between looking and sending holds one request in its hand, not hundreds."""

    async def story() -> list[bool]:
        left: list[bool] = []

        def all_before_have_left() -> bool:
            left.append(all(left) and server.has(len(left)))
            return True

        async with client_of(50) as client:
            trace = lambda: Trace(may_send=all_before_have_left)  # noqa: E731
            target = adapter(f"http://127.0.0.1:{server.server_port}")
            for _ in range(2):  # over new connections, over kept ones
                await asyncio.gather(
                    *(submit(client, target, CALL, timeout=30, trace=trace()) for _ in range(40))
                )
        return left

    with CountingServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert run(story()) == [True] * 80
        server.shutdown()


def test_who_comes_without_waiting_is_looked_at_when_those_before_it_have_left_too() -> None:
    async def story() -> list[bool]:
        left: list[bool] = []
        tasks: list[asyncio.Task[SubmitResult]] = []

        async with client_of(50) as client:
            target = adapter(f"http://127.0.0.1:{server.server_port}")

            def second() -> bool:
                left.append(server.has(came + 1))
                return True

            def first() -> bool:
                trace = Trace(may_send=second)
                tasks.append(asyncio.create_task(submit(client, target, CALL, timeout=30, trace=trace)))
                return True

            await asyncio.gather(*(submit(client, target, CALL, timeout=5) for _ in range(4)))
            came = server.came
            await submit(client, target, CALL, timeout=30, trace=Trace(may_send=first))
            await asyncio.gather(*tasks)
        return left

    with CountingServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert run(story()) == [True]
        server.shutdown()


def test_a_request_that_may_be_sent_has_left_before_anything_else_happens() -> None:
    """So that what a process was allowed to send it does not send when it wakes from having been frozen."""

    async def story() -> list[bool]:
        asked: list[bool] = []
        left: list[bool] = []
        loop = asyncio.get_running_loop()

        async with client_of(1) as client:
            target = adapter(f"http://127.0.0.1:{server.server_port}")
            await submit(client, target, CALL, timeout=5)

            def may_send() -> bool:
                asked.append(True)
                return True

            def next_thing() -> None:
                """Stands behind the request in every turn of the loop, over the connection that is there already."""
                if asked:
                    left.append(server.has(2))
                else:
                    loop.call_soon(next_thing)

            task = asyncio.create_task(
                submit(client, target, CALL, timeout=30, trace=Trace(may_send=may_send))
            )
            loop.call_soon(next_thing)
            await task
        return left

    with CountingServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert run(story()) == [True]
        server.shutdown()
