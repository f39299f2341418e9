"""Outgoing webhooks: signatures, when messages are sent again, where they may go, what they say."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from dialer.errors import FieldError
from dialer.lifecycle import CallState
from dialer.models.webhook import WebhookEvent
from dialer.webhooks.events import Happened, body_of, call_ended, wants
from dialer.webhooks.schedule import (
    LONGEST_REST,
    MANY,
    PATIENCE,
    TRIES,
    WAITS,
    Answer,
    Standing,
    at_once,
    next_try,
    standing_after,
)
from dialer.webhooks.signature import headers_of, new_secret
from dialer.webhooks.targets import checked_url, guarded_socket, is_public

NOW = datetime(2026, 9, 25, 6, 0, tzinfo=UTC)
GOOD, BROKEN, SLOW = Answer(204, None, 40), Answer(500, "HTTP 500", 40), Answer(None, "no answer", 15_000)

# --- signatures ----------------------------------------------------------------------------------------------


def test_the_example_of_the_standard_has_the_signature_that_it_says() -> None:
    headers = headers_of(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, UTC),
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_published_library_accepts_every_message_with_either_secret(text: str) -> None:
    old, new = new_secret(), new_secret()
    body = json.dumps({"text": text}, ensure_ascii=False).encode()
    headers = headers_of("WD1", datetime.now(UTC), body, [new, old])
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers) == {"text": text}
    for wrong_body, secret in ((body + b" ", new), (body, new_secret())):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(wrong_body, headers)


def test_a_time_without_a_zone_is_not_signed() -> None:
    with pytest.raises(ValueError, match="time zone"):
        headers_of("WD1", datetime(2026, 9, 25), b"", [new_secret()])  # noqa: DTZ001


# --- the schedule --------------------------------------------------------------------------------------------


def test_a_message_is_tried_for_a_little_over_three_days() -> None:
    at, tries = NOW, 1
    while (soon := next_try(tries, BROKEN, at, 0.0)) is not None:
        assert soon > at
        at, tries = soon, tries + 1
    assert tries == TRIES == 10
    assert timedelta(days=3) < at - NOW < timedelta(days=3, hours=6)


def test_a_wait_is_longer_by_up_to_a_tenth_and_as_long_as_was_asked_for() -> None:
    assert next_try(2, BROKEN, NOW, 0.0) == NOW + timedelta(minutes=5)
    assert next_try(2, BROKEN, NOW, 1.0) == NOW + timedelta(minutes=5, seconds=30)
    assert next_try(1, Answer(503, "HTTP 503", 1, 3600.0), NOW, 0.5) == NOW + timedelta(hours=1)
    assert next_try(2, Answer(429, "HTTP 429", 1, 1.0), NOW, 0.0) == NOW + WAITS[1]


def test_an_endpoint_that_fails_rests_longer_and_longer_until_it_does_not() -> None:
    few = standing_after(Standing(), [BROKEN] * (MANY - 1), NOW)
    assert (few.failures, few.failing_since, few.rest_until) == (MANY - 1, NOW, None)
    many = standing_after(few, [SLOW], NOW)
    assert many.rest_until == NOW + timedelta(seconds=5)
    later = NOW + timedelta(minutes=8)
    assert standing_after(many, [BROKEN], later).rest_until == later + timedelta(minutes=2)
    much_later = NOW + timedelta(days=2)
    assert standing_after(many, [BROKEN], much_later).rest_until == much_later + LONGEST_REST
    assert standing_after(many, [BROKEN, GOOD], much_later) == Standing()


def test_an_endpoint_is_left_alone_for_as_long_as_it_asks() -> None:
    asking = standing_after(Standing(), [Answer(429, "HTTP 429", 1, 90.0), BROKEN], NOW)
    assert asking.rest_until == NOW + timedelta(seconds=90)
    assert standing_after(Standing(), [Answer(500, "HTTP 500", 1, 90.0)], NOW).rest_until is None


def test_an_endpoint_is_disabled_when_it_is_gone_or_has_failed_for_days() -> None:
    gone = standing_after(Standing(), [Answer(410, "HTTP 410", 1)], NOW)
    assert gone.disabled_reason == "It answered 410 Gone."
    since = Standing(failures=30, failing_since=NOW - PATIENCE)
    assert "failed for 5 days" in (standing_after(since, [BROKEN], NOW).disabled_reason or "")
    assert standing_after(since, [BROKEN], NOW - timedelta(seconds=1)).disabled_reason is None
    assert standing_after(since, [GOOD, BROKEN], NOW).disabled_reason is None


def test_who_answers_slowly_gets_few_messages_at_once() -> None:
    assert [at_once(seconds, 32) for seconds in (None, 0.0, 0.05, 0.5, 1.0, 15.0)] == [8, 32, 32, 8, 4, 2]


# --- targets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.88.99.1", "168.63.129.16",
    "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "::127.0.0.1", "fe80::1", "fe80::1%eth0",
    "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::",
    "2001::1", "2001:db8::1", "100::1", "5f00::1", "4000::1", "localhost", "", "1.2.3",
])  # fmt: skip
def test_no_message_goes_to_an_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
)
def test_messages_go_to_public_addresses(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_an_address_of_ipv4_is_as_public_in_its_mapped_form(address: object) -> None:
    assert is_public(str(address)) == is_public(f"::ffff:{address}")
    if is_public(str(address)):
        private = ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
                   "192.168.0.0/16", "224.0.0.0/3")  # fmt: skip
        assert not any(address in ip_network(one) for one in private)


def test_the_socket_itself_is_refused() -> None:
    info = (2, 1, 6, "", ("127.0.0.1", 80))
    with pytest.raises(OSError, match="not public"):
        guarded_socket(False)(info)
    guarded_socket(True)(info).close()


@pytest.mark.parametrize(("url", "why"), [
    ("ftp://app.example.com/", "no web address"), ("app.example.com", "no web address"), ("https://", "no web address"),
    ("https://app.example.com:99999/", "no web address"), ("https://app .example.com/", "no web address"),
    ("https://app.example.com/\r\nX: y", "no web address"), ("https://[::1", "no web address"),
    ("http://app.example.com/", "over TLS only"), ("https://me@app.example.com/", "a user or a password"),
    ("https://:pw@app.example.com/", "a user or a password"), ("https://app.example.com/#x", "#fragment"),
    ("https://app.example.com:22/", "port"), ("https://127.0.0.1/", "public address"),
    ("https://[::1]/", "public address"), ("https://[::ffff:10.0.0.1]/", "public address"),
    ("https://localhost/", "public address"), ("https://LOCALHOST./", "public address"),
    ("https://2130706433/", "public address"), ("https://0x7f.1/", "public address"),
    ("https://0x7f000001/", "public address"), ("https://127.1/", "public address"),
    ("https://printer.local/", "public address"), ("https://169.254.169.254/latest", "public address"),
    ("https://app.example.com/" + "x" * 2000, "longer than"),
])  # fmt: skip
def test_a_url_that_cannot_be_used_is_refused_when_it_is_given(url: str, why: str) -> None:
    with pytest.raises(FieldError, match=why):
        checked_url(url, needs_https=True, allow_private=False)


@pytest.mark.parametrize(
    "url", ["https://app.example.com/hook?k=v", "https://app.example.com:8443/", "https://1.1.1.1/"]
)
def test_a_url_is_kept_as_it_is(url: str) -> None:
    assert checked_url(url, needs_https=True, allow_private=False) == url
    assert checked_url("http://127.0.0.1:8080/", needs_https=False, allow_private=True)


# --- messages ------------------------------------------------------------------------------------------------


@pytest.fixture
def happened() -> Happened:
    call = SimpleNamespace(id="c1", campaign_id="CM1", kind="CAMPAIGN", e164="+46700000050", dials=2,
                           metadata={"order": "7"})  # fmt: skip

    def data() -> dict[str, object]:
        return call_ended(call, CallState.COMPLETED, "ANSWERED", "", NOW, corrected=False)

    return Happened(WebhookEvent.CALL_ENDED, "AC1", "CM1", "c1", data)


def test_a_message_is_small_and_tells_its_version(happened: Happened) -> None:
    body = body_of(happened, NOW)
    assert json.loads(body) == {
        "type": "call.ended",
        "version": 1,
        "timestamp": "2026-09-25T06:00:00Z",
        "account_id": "AC1",
        "data": {
            "call_id": "c1",
            "campaign_id": "CM1",
            "kind": "CAMPAIGN",
            "to": "+46700000050",
            "state": "COMPLETED",
            "disposition": "ANSWERED",
            "reason": "",
            "attempts": 2,
            "ended_at": "2026-09-25T06:00:00Z",
            "metadata": {"order": "7"},
            "corrected": False,
        },
    }
    assert len(body) < 1000


def test_an_endpoint_is_told_of_what_it_wants_only(happened: Happened) -> None:
    def endpoint(campaigns: list[str] | None, *events: str) -> SimpleNamespace:
        return SimpleNamespace(events=list(events), campaign_ids=campaigns)

    single = happened._replace(campaign_id=None)
    for wanting, of_campaign, of_single in (
        (endpoint(None, "call.ended"), True, True),
        (endpoint(["CM1", "CM2"], "call.ended"), True, False),
        (endpoint(["CM2"], "call.ended"), False, False),
        (endpoint(None, "attempt.ended", "campaign.ended"), False, False),
    ):
        assert (wants(wanting, happened), wants(wanting, single)) == (of_campaign, of_single)  # type: ignore[arg-type]
