"""A verification through a whole installation: what a flash call does not bring is spoken, told back, and forgotten,
also when the processes that bring it are killed meanwhile."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import sqlalchemy as sa
from people_of_nobody import numbers
from service import CALLER_ID, Service, settled, wait_for

from dialer.store.tables import message, verification

FLASH_TOKEN = "flash-token-of-the-test"
#: Whose telephone is switched off for flash calls.
UNAVAILABLE = ("03",)


class Ear(BaseHTTPRequestHandler):
    """Takes every call that is to be spoken, as Mitto does, and hears the digits that are said."""

    heard: list[str]

    def do_POST(self) -> None:
        said = unquote(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if found := re.search(r"(?:\d, ){3,}\d", said):  # the first of the times that it is said
            self.heard.append(found[0].replace(", ", ""))
        body = b'{"status":"ok"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def heard() -> Iterator[tuple[str, list[str]]]:
    """The address of a provider that speaks, and the codes that it was given to say."""
    ear = type("OneEar", (Ear,), {"heard": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), ear) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", ear.heard
        server.shutdown()


@pytest.fixture
def service(tmp_path: Path, heard: tuple[str, list[str]]) -> Iterator[Service]:
    """An installation that is up: voice goes to the ear, flash calls to the sandbox."""
    with settled(tmp_path) as service:
        service.cli("provider", "update", "north", f"--base-url={heard[0]}")
        flash = service.cli(
            "provider", "add", "flash", "--kind=mitto-flash", f"--base-url={service.sandbox_url}/mitto-flash",
            f"--set=token={FLASH_TOKEN}", "--json",
        )  # fmt: skip
        hook = f"{service.sandbox_url}/sandbox/callbacks/mitto-flash"
        httpx.put(hook, json={"url": flash["webhook_url"]}, trust_env=False).raise_for_status()
        service.secrets |= {FLASH_TOKEN, flash["webhook_url"].rsplit("/", 1)[1]}
        service.cli("account", "verification", "acme", "--countries=US", f"--caller-id={CALLER_ID}")
        yield service


def ask(service: Service, path: str = "", status: int = 200, **body: Any) -> dict[str, Any]:
    """A request about verifications that must be answered so."""
    answer = service.upstream.post(f"/v1/verifications{path}", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


def begin(service: Service, number: str) -> str:
    """A verification whose flash call does not arrive; its id."""
    service.secrets.add(number.lstrip("+"))
    made = ask(service, number=number, status=201)
    assert [one["channel"] for one in made["channels"]] == ["flash", "voice"]
    return str(made["id"])


def test_what_a_flash_call_does_not_bring_is_spoken_and_told_back(
    service: Service, heard: tuple[str, list[str]]
) -> None:
    (number,) = numbers(1, endings=UNAVAILABLE)
    verification_id = begin(service, number)
    code = wait_for("the code is spoken", lambda: next(iter(heard[1]), None))
    service.secrets.add(", ".join(code))
    assert len(code) == 4
    wrong = ask(service, f"/{verification_id}/check", code=str((int(code) + 1) % 10_000).zfill(4))
    assert (wrong["valid"], wrong["state"]) == (False, "PENDING")
    right = ask(service, f"/{verification_id}/check", code=code)
    assert (right["valid"], right["state"]) == (True, "VERIFIED")
    assert [one["channel"] for one in right["sent"]] == ["flash", "voice"]
    (row,) = service.rows(sa.select(verification).where(verification.c.id == verification_id))
    assert (row.code_hash, row.sealed_code) == (None, None)
    flashed = service.rows(
        sa.select(message.c.code).where(message.c.call_id == right["sent"][0]["request_id"])
    )
    assert [one.code for one in flashed] == [None]


@pytest.mark.chaos
@pytest.mark.parametrize("child", ["scheduler", "otp", "api", "redis"])
def test_a_killed_process_costs_time_and_no_code(
    service: Service, heard: tuple[str, list[str]], child: str
) -> None:
    asked = []
    for number in numbers(5, endings=UNAVAILABLE):
        asked.append(begin(service, number))
        service.kill_child(child)
    # Of a flash call whose worker was killed while it was sent nobody knows: it has its time.
    wait_for("every code is spoken", lambda: len(heard[1]) >= len(asked) or None, within=120.0)
    for verification_id in asked:
        answers = [ask_any(service, verification_id, code) for code in heard[1]]
        assert True in answers
    rung = [line["to"] for line in service.requests() if line["accepted"]]
    assert len(rung) == len(set(rung)), "a number was flashed twice"
    assert len(heard[1]) == len(asked), "a code was spoken twice"


def ask_any(service: Service, verification_id: str, code: str) -> bool | None:
    """Whether it is the code; None: the verification has ended."""
    answer = service.upstream.post(f"/v1/verifications/{verification_id}/check", json={"code": code})
    return bool(answer.json()["valid"]) if answer.status_code == 200 else None
