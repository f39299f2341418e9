"""What providers document beside calls, over real HTTP: each method against the sandbox, replies that go wrong, and
`dialer provider call` as a person uses it."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from asking import KEY, Ask, asking, told
from typer.testing import CliRunner, Result

from dialer.cli import app
from dialer.http import LARGE, make_client
from dialer.providers.asking import call_method
from dialer.providers.base import MAX_REPLY, Adapter
from dialer.providers.contract import ProviderConfig, ProviderError, Reply
from dialer.providers.kinds import adapter_class, adapter_kinds, make_adapter
from dialer.providers.methods import File, Method, Value
from dialer.sandbox import make_app
from dialer.settings import get_settings

#: Settings that must be something of their own kind.
SETTINGS = {"iotcomms": {"token": KEY}, "mtt-sms": {"sender": "79587625004"}}
Serve = Callable[[Any], str]
Sample = Callable[[Method], dict[str, Value]]

EVERY = [
    pytest.param(kind, method, id=f"{kind}-{method.name}")
    for kind in adapter_kinds()
    for method in adapter_class(kind).methods.values()
]


def adapter_at(base_url: str, kind: str = "mitto", **settings: str) -> Adapter:
    needed = dict.fromkeys(adapter_class(kind).required_settings, KEY)
    return make_adapter(
        ProviderConfig("PR1", "north", kind, base_url, {**needed, **SETTINGS.get(kind, {}), **settings})
    )


# --- every method of every kind --------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "method"), EVERY)
def test_the_sandbox_answers_every_method(serve: Serve, kind: str, method: Method, sample: Sample) -> None:
    adapter = adapter_at(f"{serve(make_app())}/{kind}", kind)
    values = sample(method)
    request = method.build(adapter, method.checked(values))
    base_url = request.base_url or adapter.base_url
    response = httpx.request(
        request.method,
        f"{base_url}/{request.path}" if request.path else base_url,
        params=request.params,
        headers=dict(request.headers),
        **({"content": request.content} if request.content is not None else {"json": request.json}),
    )
    assert response.text not in {"Not Found", "Method Not Allowed", "Internal Server Error"}


# --- mitto -----------------------------------------------------------------------------------------------


def test_a_file_is_uploaded_fetched_renamed_and_deleted(serve: Serve) -> None:
    content = b"ID3\r\n--\x00\xff" * 50

    async def story(ask: Ask) -> None:
        uploaded = await ask("media_upload", file=File("välkommen.mp3", content))
        assert (uploaded["name"], uploaded["isFolder"]) == ("välkommen.mp3", 0)
        fetched = await ask("media_file", id=uploaded["id"])
        assert (fetched["contentType"], fetched["size"]) == ("audio/mpeg", len(content))
        assert base64.b64decode(fetched["content"]) == content
        renamed = await ask("media_rename", id=uploaded["id"], name="welcome.mp3")
        assert renamed == {**uploaded, "name": "welcome.mp3"}
        assert (await ask("media_list"))["media"] == [renamed]
        assert await ask("media_delete", id=uploaded["id"]) == {"status": "ok"}
        assert (await ask("media_list"))["media"] == []
        with pytest.raises(ProviderError, match="invalidDataError"):
            await ask("media_delete", id=uploaded["id"])

    asking(adapter_at(f"{serve(make_app())}/mitto"), story)


def test_a_folder_holds_files_of_its_own(serve: Serve) -> None:
    async def story(ask: Ask) -> None:
        folder = await ask("media_create_folder", name="Hymns")
        assert folder["isFolder"] == 1
        inside = await ask("media_upload", file=File("a.wav", b"RIFF"), folder=folder["id"])
        beside = await ask("media_upload", file=File("b.wav", b"RIFF"))
        assert (await ask("media_list"))["media"] == [folder, beside]
        assert (await ask("media_folder", id=folder["id"]))["media"] == [inside]
        with pytest.raises(ProviderError, match="is a folder's"):
            await ask("media_file", id=folder["id"])
        with pytest.raises(ProviderError, match="nothing that it documents"):
            await ask("media_folder", id=beside["id"])
        with pytest.raises(ProviderError, match="invalidDataError"):
            await ask("media_upload", file=File("c.wav", b"RIFF"), folder=beside["id"])
        await ask("media_delete", id=folder["id"])
        with pytest.raises(ProviderError, match="invalidDataError"):
            await ask("media_file", id=inside["id"])

    asking(adapter_at(f"{serve(make_app())}/mitto"), story)


def test_a_list_is_read_page_by_page_or_at_once(serve: Serve) -> None:
    async def story(ask: Ask) -> None:
        names = [f"folder {number}" for number in range(7)]
        for name in names:
            await ask("media_create_folder", name=name)
        seen: list[str] = []
        for page in (1, 2, 3):
            listed = await ask("media_list", page=page, per_page=3)
            assert listed["pagination"] == {"totalItems": 7, "currentPage": page, "totalPages": 3}
            seen += [found["name"] for found in listed["media"]]
        assert seen == names
        assert (await ask("media_list", page=4, per_page=3))["media"] == []
        at_once = await ask("media_list", disable_pagination=True, per_page=3)
        assert len(at_once["media"]) == 7
        assert "pagination" not in at_once
        with pytest.raises(ProviderError, match="invalidDataError"):
            await ask("media_list", page=0)

    asking(adapter_at(f"{serve(make_app())}/mitto"), story)


def test_a_list_without_a_page_is_the_first_of_tens(serve: Serve) -> None:
    async def story(ask: Ask) -> Any:
        for number in range(12):
            await ask("media_create_folder", name=str(number))
        return await ask("media_list")

    listed = asking(adapter_at(f"{serve(make_app())}/mitto"), story)
    assert len(listed["media"]) == 10
    assert listed["pagination"]["totalPages"] == 2


def test_every_key_has_a_library_of_its_own(serve: Serve) -> None:
    url = f"{serve(make_app())}/mitto"
    asking(adapter_at(url, access_key="one"), lambda ask: ask("media_create_folder", name="mine"))
    listed = asking(adapter_at(url, access_key="two"), lambda ask: ask("media_list"))
    assert listed["media"] == []


def test_the_balance_is_told(serve: Serve) -> None:
    told_ = asking(adapter_at(f"{serve(make_app())}/mitto"), lambda ask: ask("balance"))
    assert told_ == {"personalAccountId": "0000000000", "balance": "100.0"}


@pytest.mark.parametrize(("kind", "method"), [each for each in EVERY if each.values[0] == "mitto"])
def test_a_wrong_key_is_told(serve: Serve, kind: str, method: Method, sample: Sample) -> None:
    adapter = adapter_at(f"{serve(make_app(access_key='another'))}/{kind}", kind)
    values = sample(method)
    assert "does not know the access key" in told(method.name, adapter, **values)


def test_a_large_file_goes_and_comes_whole(serve: Serve) -> None:
    content = os.urandom(3 * LARGE)

    async def story(ask: Ask) -> Any:
        uploaded = await ask("media_upload", file=File("long.wav", content))
        return await ask("media_file", id=uploaded["id"])

    fetched = asking(adapter_at(f"{serve(make_app())}/mitto"), story)
    assert base64.b64decode(fetched["content"]) == content


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (("GET", "media?colour=red"), "invalidSchemeError"),
        (("GET", "media?per_page=x"), "invalidDataError"),
        (("GET", "media?disable_pagination=yes"), "invalidDataError"),
        (("GET", "media/7"), "invalidDataError"),
        (("GET", "media/x"), "invalidDataError"),
        (("POST", "media", b""), "requiredJsonError"),
        (("POST", "media", b"name=x"), "requiredJsonError"),
        (("POST", "media", b'["x"]'), "invalidSchemeError"),
        (("POST", "media", b'{"name": 5}'), "invalidSchemeError"),
        (("POST", "media", b'{"name": "x", "folder": 1}'), "invalidSchemeError"),
        (("POST", "media", b'{"name": " "}'), "invalidDataError"),
        (("POST", "media?page=1", b'{"name": "x"}'), "invalidSchemeError"),
        (("POST", "media/1", b'{"name": "x"}'), "invalidSchemeError"),
        (("PUT", "media/1", b"{}"), "invalidSchemeError"),
        (("PUT", "media/1", json.dumps({"name": "x" * 256}).encode()), "invalidDataError"),
        (("DELETE", "media/9"), "invalidDataError"),
    ],
)
def test_the_sandbox_refuses_what_the_reference_does_not_allow(
    serve: Serve, request_: tuple[Any, ...], status: str
) -> None:
    method, path, *content = request_
    with httpx.Client(
        base_url=f"{serve(make_app())}/mitto", headers={"X-Authorization": "AccessKey k"}
    ) as client:
        assert client.post("media", json={"name": "folder"}).json()["media"]["id"] == 1
        answered = client.request(method, path, content=content[0] if content else None)
    assert (answered.status_code, answered.json()["status"]) == (200, status)


FORM = {"Content-Type": "multipart/form-data; boundary=b"}
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nID3\r\n'


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (PART + b"--b--\r\n", FORM, "ok"),
        (PART + b"--b--", FORM, "ok"),
        (PART, FORM, "invalidDataError"),
        (PART + PART + b"--b--\r\n", FORM, "invalidDataError"),
        (b"--b--\r\n", FORM, "invalidDataError"),
        (b"", FORM, "invalidDataError"),
        (PART.replace(b'; filename="a.mp3"', b"") + b"--b--\r\n", FORM, "invalidDataError"),
        (PART.replace(b"form-data", b"attachment") + b"--b--\r\n", FORM, "invalidDataError"),
        (PART.replace(b'name="file"; ', b"") + b"--b--\r\n", FORM, "invalidDataError"),
        (PART + b"--b--\r\n", {"Content-Type": "multipart/form-data"}, "invalidDataError"),
        (PART + b"--b--\r\n", {"Content-Type": "multipart/mixed; boundary=b"}, "requiredJsonError"),
    ],
)
def test_the_sandbox_takes_a_form_with_one_file(
    serve: Serve, body: bytes, headers: dict[str, str], status: str
) -> None:
    url = f"{serve(make_app())}/mitto/media"
    answered = httpx.post(url, content=body, headers={**headers, "X-Authorization": "AccessKey k"})
    assert answered.json()["status"] == status


# --- the recipe ------------------------------------------------------------------------------------------


def against(reply: bytes | None, name: str, timeout: float = 20, /, **values: Value) -> tuple[str, int]:
    """The sentence of a method whose request gets these bytes and then the end of the connection (None: nothing, and
    the connection stays), and how many requests came."""
    requests = 0
    handling: list[asyncio.Task[Any] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        handling.append(asyncio.current_task())
        head = await reader.readuntil(b"\r\n\r\n")
        requests += 1
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(length[0].split(b":")[1]) if length else 0)
        if reply is None:
            await reader.read()
        else:
            writer.write(reply)
        writer.close()

    async def story() -> str:
        listener = await asyncio.start_server(handle, "127.0.0.1", 0)
        adapter = adapter_at(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
        client = make_client(1)
        try:
            with pytest.raises(ProviderError) as caught:
                await call_method(client, adapter, name, values, timeout=timeout)
        finally:
            await client.aclose()
            listener.close()
            await asyncio.gather(*(task for task in handling if task), return_exceptions=True)
        return str(caught.value)

    sentence = asyncio.run(story())
    assert KEY not in sentence
    assert sentence.endswith(".")
    return sentence, requests


def http(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (http("200 OK", b"<html><body>It works!"), "HTTP 200 and nothing that it documents"),
        (http("503 Service Unavailable", b""), "HTTP 503 and nothing that it documents"),
        (http("302 Found", b"", "Location: http://127.0.0.1:1/"), "HTTP 302 and nothing"),
        (http("200 OK", b'{"status": "rpcError"}'), "rpcError"),
        (http("403 Forbidden", b'{"status": "prohibitedForAppError"}'), "prohibitedForAppError"),
        (http("429 Too Many Requests", b"", "Retry-After: 7"), "(HTTP 429) and did nothing; try again in 7 s."),
        (http("429 Too Many Requests", b"{}"), "try again later."),
        (http("200 OK", b"x" * (MAX_REPLY + 1)), "north answered balance with more than 1 MiB."),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "did not answer at 127.0.0.1"),
        (b"", "did not answer at 127.0.0.1"),
        (b"220 smtp\r\n", "did not answer at 127.0.0.1"),
    ],
)  # fmt: skip
def test_whatever_goes_wrong_is_a_sentence_and_nothing_is_sent_again(reply: bytes, words: str) -> None:
    sentence, requests = against(reply, "balance")
    assert words in sentence
    assert requests == 1


def test_the_deadline_holds() -> None:
    sentence, requests = against(None, "balance", 0.3)
    assert "north did not answer at 127.0.0.1 (TimeoutError); check --base-url and the network." in sentence
    assert requests == 1


@pytest.mark.parametrize("reply", [b"", None])
def test_of_a_change_without_an_answer_nobody_knows_whether_it_was_made(reply: bytes | None) -> None:
    for name, values in (("media_delete", {"id": 1}), ("media_rename", {"id": 1, "name": "x"})):
        sentence, requests = against(reply, name, 0.5, **values)
        assert "whether it was done is not known: look before you do it again." in sentence
        assert requests == 1


def test_a_provider_that_cannot_be_reached_is_a_sentence_with_the_mend() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sentence = told("media_delete", adapter_at(f"http://127.0.0.1:{port}"), id=1)
    assert "could not be reached at 127.0.0.1" in sentence
    assert "check --base-url" in sentence


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("sing", {}, "no method 'sing'; it knows media_list, media_folder"),
        ("balance", {"id": 1}, "balance has no parameter 'id'"),
        ("media_delete", {}, "media_delete needs id"),
        ("media_delete", {"id": "all"}, "cannot use what is given as id"),
    ],
)
def test_what_cannot_be_asked_is_not_sent(name: str, values: dict[str, Value], words: str) -> None:
    assert words in told(name, adapter_at("http://127.0.0.1:1"), **values)


RESULTS: dict[str, Callable[[], Any]] = {
    "breaks": lambda: {}["media"],
    "is_no_json": lambda: {"at": object()},
    "is_no_number": lambda: float("nan"),
    "is_no_text": lambda: "\udcff",
}


@pytest.mark.parametrize("name", RESULTS)
def test_a_bug_of_a_method_is_a_sentence(serve: Serve, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = adapter_at(f"{serve(make_app())}/mitto")
    buggy = replace(adapter.methods["balance"], name=name, read=lambda _: RESULTS[name]())
    monkeypatch.setattr(type(adapter), "methods", {name: buggy})
    assert f"north answered {name} with HTTP 200 and what cannot be read" in told(name, adapter)


def test_what_a_provider_echoes_of_its_key_is_hidden(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def echo(_: Reply) -> None:
        raise ProviderError(f"Mitto says: AccessKey {KEY} of +46 70 111 22 33 is blocked.")

    adapter = adapter_at(f"{serve(make_app())}/mitto")
    monkeypatch.setattr(type(adapter), "methods", {"balance": replace(adapter.methods["balance"], read=echo)})
    assert told("balance", adapter) == "Mitto says: […] of […] is blocked."


# --- the command -----------------------------------------------------------------------------------------


@pytest.fixture
def north(home: Path, serve: Serve) -> None:
    """A provider `north` at the sandbox."""
    added = dialer(
        "provider", "add", "north", "--kind=mitto", f"--base-url={serve(make_app())}/mitto",
        f"--set=access_key={KEY}",
    )  # fmt: skip
    assert added.exit_code == 0, added.output


def dialer(*arguments: str) -> Result:
    """Runs a command in this process."""
    get_settings.cache_clear()
    return CliRunner().invoke(app, arguments, prog_name="dialer")


def answered(*arguments: str) -> Any:
    """What a method answers; the command must succeed."""
    result = dialer("provider", "call", "north", *arguments)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    return json.loads(result.stdout)


def refused(*arguments: str, exit_code: int = 1) -> str:
    """The sentence of a command that fails."""
    result = dialer("provider", "call", *arguments)
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert KEY not in result.stderr
    return result.stderr


@pytest.mark.usefixtures("north")
def test_a_person_manages_the_media_library(tmp_path: Path) -> None:
    (tmp_path / "welcome.mp3").write_bytes(b"ID3\x00")
    folder = answered("media_create_folder", "name=Spring campaign")
    uploaded = answered("media_upload", "file=@welcome.mp3", f"folder={folder['id']}")
    assert uploaded["name"] == "welcome.mp3"
    assert answered("media_folder", f"id={folder['id']}", "per_page=5")["media"] == [uploaded]
    assert answered("media_rename", f"id={uploaded['id']}", "name=@home=1.mp3")["name"] == "@home=1.mp3"
    assert base64.b64decode(answered("media_file", f"id={uploaded['id']}")["content"]) == b"ID3\x00"
    assert answered("media_delete", f"id={uploaded['id']}") == {"status": "ok"}
    assert answered("media_list", "disable_pagination=yes", "--json")["media"] == [folder]
    assert answered("balance", "--timeout", "5")["balance"] == "100.0"


@pytest.mark.usefixtures("home")
def test_what_has_a_telephone_ring_is_done_only_when_that_is_meant(serve: Serve) -> None:
    url = f"{serve(make_app())}/cpaas"
    added = dialer(
        "provider",
        "add",
        "north",
        "--kind=cpaas",
        f"--base-url={url}",
        "--set=account=AC1",
        f"--set=auth={KEY}",
    )
    assert added.exit_code == 0, added.output
    asked = [
        "callback_create", "agent_number=919979271200", "caller_id=15168148111", "destination_number=918000681234",
        "time_zone=Asia/Kolkata", "scheduled_at=2099-08-15 12:55:00",
    ]  # fmt: skip
    assert "add --ring if that is meant" in refused("north", *asked)
    created = answered(*asked, "--ring")
    deleted = answered("callback_delete", f"request_id={created['request_id']}")
    assert deleted == {"message": "callback request deleted successfully", **created}
    assert "no such callback request_id" in refused("north", "callback_delete", "request_id=x")
    at_night = [*asked[:-1], "scheduled_at=2099-08-15 02:55:00", "--ring"]
    assert "It is 02:55 there (Asia/Kolkata)" in refused("north", *at_night)
    elsewhere = [*asked[:-2], "time_zone=America/New_York", asked[-1], "--ring"]
    assert "outside the calling window" in refused("north", *elsewhere), "22:25 by the clock of whom it rings"
    changed = ["callback_update", "request_id=x", *asked[1:4], asked[-1], "--ring"]
    assert "outside the calling window" in refused("north", *changed), "nobody knows in which zone"


@pytest.mark.usefixtures("north")
def test_the_methods_are_listed_with_their_parameters() -> None:
    listed = dialer("provider", "call", "north").stdout.splitlines()
    assert listed[0].split() == ["METHOD", "PARAMETERS", "DOES"]
    assert [line.split()[0] for line in listed[1:]] == list(adapter_class("mitto").methods)
    assert any("media_rename" in line and "id=NUMBER name=TEXT" in line for line in listed)
    upload = next(row for row in answered("--json") if row["method"] == "media_upload")
    assert [(each["name"], each["needed"]) for each in upload["parameters"]] == [
        ("file", True),
        ("folder", False),
    ]
    assert upload["parameters"][0]["written"] == "file=@FILE"


@pytest.mark.usefixtures("north")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sing"], "no method 'sing'; it knows media_list"),
        (["media_rename", "id=1"], "media_rename needs name, its new name; it takes id=NUMBER name=TEXT."),
        (["media_rename", "id=1", "nme=x"], "no parameter 'nme'; it knows id, name."),
        (["media_delete", "id=all"], "write id=NUMBER."),
        (["media_delete", "id=7"], "invalidDataError"),
        (["media_upload", "file=welcome.mp3"], "write file=@FILE"),
        (["media_upload", "file=@nowhere.mp3"], "nowhere.mp3: No such file or directory."),
        (["media_upload", "file=@."], "Is a directory."),
    ],
)
def test_what_goes_wrong_is_one_sentence_and_exit_code_1(arguments: list[str], words: str) -> None:
    sentence = refused("north", *arguments)
    assert words in sentence
    assert sentence.count("\n") == 1


@pytest.mark.usefixtures("north")
def test_parameters_that_are_none_are_wrong_usage() -> None:
    assert "write key=value" in refused("north", "media_delete", "7", exit_code=2)
    assert "id is given twice" in refused("north", "media_delete", "id=7", "id=8", exit_code=2)


@pytest.mark.usefixtures("north")
def test_a_file_that_is_too_long_is_not_read_whole(tmp_path: Path) -> None:
    with (tmp_path / "long.wav").open("wb") as file:
        file.truncate(80 << 20)
    assert "longer than 64 MiB" in refused("north", "media_upload", "file=@long.wav")


@pytest.mark.usefixtures("home")
def test_a_provider_that_does_not_exist_has_no_methods() -> None:
    assert "There is no provider north" in refused("north", "balance")
    assert "There is no provider north" in refused("north")
