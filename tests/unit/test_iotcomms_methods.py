"""iotcomms beside placing calls: requests and replies of every method, by its document."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dialer.providers.base import Adapter
from dialer.providers.contract import (
    ProviderConfig,
    ProviderError,
    ProviderRequest,
    ProviderSettingError,
    Reply,
)
from dialer.providers.iotcomms_methods import METHODS, number_rung
from dialer.providers.kinds import make_adapter
from dialer.providers.methods import File, Value

SETTINGS = {"domain": "customer.example", "sip_host": "sip.example.com", "token": "Bearer t0ken"}


def adapter() -> Adapter:
    return make_adapter(ProviderConfig("PR1", "nordic", "iotcomms", "", SETTINGS))


def request_of(name: str, /, **values: Value) -> ProviderRequest:
    method = METHODS[name]
    return method.build(adapter(), method.checked(values))


SITE = "https://Site-A.example:8443/mediaservice/"


def at_site(told: str, **settings: str) -> ProviderRequest:
    made = make_adapter(ProviderConfig("PR1", "nordic", "iotcomms", "", {**SETTINGS, **settings}))
    method = METHODS["hangupcall"]
    return method.build(made, method.checked({"replyId": "R1", "siteBaseUrl": told}))


def test_a_call_at_a_hybrid_site_is_hung_up_there() -> None:
    request = at_site(SITE, site_hosts="other.example, site-a.example")
    assert request.base_url == "https://Site-A.example:8443/mediaservice"
    assert (request.path, request.json) == ("customer.example/hangupcall", {"replyId": "R1"})
    near = "https://api.prod-eu-north-1.iotcomms.io/siteA"
    assert at_site(near).base_url == near, "where all requests go is known"


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (SITE, "whose host, site-a.example, is not set: name it among the site_hosts of provider nordic"),
        ("https://api.prod-eu-north-1.iotcomms.io.evil.example/", "is not set"),
        ("http://site-b.example/", "begins with https://"),
        ("https://anna@site-b.example/", "begins with https://"),
        ("https://site-b.example/?x=", "begins with https://"),
        ("https://[site-b/", "begins with https://"),
        ("site-b.example", "begins with https://"),
    ],
)
def test_nothing_that_authorizes_goes_to_a_site_that_nobody_has_named(told: str, sentence: str) -> None:
    with pytest.raises(ProviderError, match=re.escape(sentence)):
        at_site(told, site_hosts="site-b.example")


def test_hosts_of_sites_are_names_with_commas_between_them() -> None:
    for wrong in ("https://site-a.example", "a b", "a,,b", ","):
        with pytest.raises(ProviderSettingError, match="site_hosts"):
            at_site(SITE, site_hosts=wrong)


def read(name: str, body: object, status: int = 200) -> Any:
    return METHODS[name].read(
        Reply(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())
    )


@pytest.mark.parametrize("name", [name for name in METHODS if not name.startswith("promptfile")])
def test_what_acts_on_a_call_is_posted_under_its_own_name(name: str, sample: Any) -> None:
    values = sample(METHODS[name])
    request = request_of(name, **values)
    assert (request.method, request.path) == ("POST", f"customer.example/{name}")
    assert request.headers == {"Authorization": "Bearer t0ken"}, "a token may be pasted with its word"
    assert request.json == values
    assert METHODS[name].changes


def test_prompt_files_have_their_name_in_the_path() -> None:
    assert request_of("promptfile_list").params is None
    assert request_of("promptfile_list", next="b.mp3").params == {"next": "b.mp3"}
    song = File("välkommen till/oss.mp3", b"ID3")
    put = request_of("promptfile_put", file=song)
    path = "customer.example/promptfile/v%C3%A4lkommen%20till%2Foss.mp3"
    assert (put.method, put.path, put.content) == ("PUT", path, b"ID3")
    assert put.headers["Content-Type"] == "audio/mpeg"
    renamed = request_of("promptfile_put", file=song, filename="b.bin")
    assert renamed.path.endswith("/b.bin")
    assert (
        request_of("promptfile_put", file=song, filename="noext").headers["Content-Type"]
        == "application/octet-stream"
    )
    assert request_of("promptfile_delete", filename=song.name).path == path
    url = request_of("promptfile_url", filename=song.name)
    assert (url.method, url.path, url.json) == ("GET", f"{path}/url", None)
    move = request_of("promptfile_move", filename=song.name, bucketRegion="eu-north-1", bucketName="songs")
    assert (move.method, move.path) == ("POST", f"{path}/move")
    assert move.json == {"type": "s3", "bucketRegion": "eu-north-1", "bucketName": "songs"}


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("sip:+46701112233@sip.example.com", "+46701112233"),
        ("sips:anna@host;transport=tls", "anna"),
        ("SIP:%2B46701112233@host", "+46701112233"),
        ("sip:+46701112233;phone-context=x@host", "+46701112233"),
        ("tel:+46701112233;ext=1", "+46701112233"),
        ("+46701112233", "+46701112233"),
        ("sip:host", "host"),
    ],
)
def test_whom_a_remote_call_rings_is_read_out_of_its_address(address: str, user: str) -> None:
    assert number_rung({"destinationUri": address}) == (user,)


def test_only_remote_calls_ring() -> None:
    assert {name for name, method in METHODS.items() if method.rings} == {
        "placeremotecall",
        "placeremotecalljwt",
    }


def test_the_documents_replies_are_read() -> None:
    assert read("hangupcall", {"success": True}) == {"success": True}
    files = {"next": "b", "success": True, "files": [{"size": 0, "name": "a.mp3"}]}
    assert read("promptfile_list", files) == files
    assert read("promptfile_list", {"success": True, "files": []})["next"] is None
    url = {"success": True, "url": "https://bucket.example/a.mp3?signature=x"}
    assert read("promptfile_url", url) == url


@pytest.mark.parametrize("name", METHODS)
def test_whatever_is_no_success_is_a_sentence(name: str) -> None:
    for body, status, words in [
        ({"success": False}, 200, "says nothing of why"),
        (
            {"success": False, "reason": "No such file.", "error": "NoSuchKey"},
            200,
            "did not do it: No such file.",
        ),
        ({"success": False, "error": "NoSuchKey"}, 200, "did not do it: NoSuchKey."),
        ({"success": False}, 400, "did not do it"),
        ({"message": "Unauthorized"}, 401, "check domain, and private_key or token"),
        ({"message": "Forbidden"}, 403, "check domain"),
        ({"success": True}, 500, "HTTP 500 and nothing that it documents"),
        ({"success": 1}, 200, "nothing that it documents"),
        (b"<html>", 404, "HTTP 404"),
        (b"", 200, "nothing that it documents"),
        ([], 200, "nothing that it documents"),
    ]:
        with pytest.raises(ProviderError, match=words) as caught:
            read(name, body, status)
        assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("promptfile_list", {"success": True}),
        ("promptfile_list", {"success": True, "files": [{"name": "a"}]}),
        ("promptfile_list", {"success": True, "files": [{"name": "a", "size": True}]}),
        ("promptfile_list", {"success": True, "files": [], "next": 7}),
        ("promptfile_url", {"success": True}),
        ("promptfile_url", {"success": True, "url": "file:///etc/passwd"}),
    ],
)
def test_a_success_without_what_was_asked_for_is_an_error(name: str, body: object) -> None:
    with pytest.raises(ProviderError, match="nothing that it documents"):
        read(name, body)
