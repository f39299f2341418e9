"""A gateway between an app and the API: a real HTTP server on loopback that passes on, refuses, or loses answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx


@dataclass(frozen=True)
class Came:
    """One request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Says:
    """An answer of the gateway itself; of its body, `sent` bytes leave, all unless said."""

    status: int = 200
    body: bytes = b'{"data": [], "next_cursor": null}'
    headers: Mapping[str, str] = field(default_factory=dict)
    sent: int | None = None


#: The request is passed on, and the connection cut before the answer.
LOST = "lost"
#: The request is passed on, and so is the answer.
PASSED = "passed"


@dataclass
class Gateway:
    """`turns` are taken one after the other; then `rest`. Answers leave while it `may_answer`."""

    url: str
    rest: Says | str
    turns: list[Says | str] = field(default_factory=list)
    came: list[Came] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    may_answer: threading.Event = field(default_factory=threading.Event)


#: Of an answer that is passed on.
PASSED_ON = ("Content-Type", "Retry-After")


@contextmanager
def gateway(behind: str | None = None) -> Iterator[Gateway]:
    """In front of the API at this address; without one it says that there is nothing."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            came = Came(self.command, self.path, dict(self.headers), body)
            with made.lock:
                made.came.append(came)
                turn = made.turns.pop(0) if made.turns else made.rest
            if not isinstance(turn, Says):
                passed = httpx.request(
                    came.method, f"{behind}{came.path}", headers=came.headers, content=body
                )
                if turn == LOST:
                    self.close_connection = True
                    return
                headers = {name: passed.headers[name] for name in PASSED_ON if name in passed.headers}
                turn = Says(passed.status_code, passed.content, headers)
            made.may_answer.wait()
            self.send_response(turn.status)
            for name, value in {**turn.headers, "Content-Length": str(len(turn.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(turn.body[: turn.sent])
            self.close_connection = turn.sent is not None

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Gateway(f"http://127.0.0.1:{server.server_port}", Says() if behind is None else PASSED)
    made.may_answer.set()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield made
    finally:
        made.may_answer.set()
        server.shutdown()
        thread.join()
        server.server_close()
