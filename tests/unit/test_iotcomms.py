"""iotcomms' words for placing calls and ours: settings, tokens, requests, replies, by its document."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.providers.base import Adapter
from dialer.providers.contract import (
    Capability,
    Outcome,
    ProviderConfig,
    ProviderError,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
)
from dialer.providers.iotcomms import IotcommsAdapter
from dialer.providers.iotcomms_token import HOLDS, LEEWAY, USED, is_ours, issued
from dialer.providers.kinds import adapter_kinds, make_adapter

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
CALL = Submission("AT1", "+46701112233", "+46850001111", "Hello", None)
SETTINGS = {
    "domain": "customer.prod-eu-north-1.iotcomms.io",
    "sip_host": "sip.example.com",
    "token": "t0ken-value",
}
MENU = Flow("main", {"main": Menu((Prompt(text="Press 1"),), {"1": Action(Does.HANG_UP)})})


@cache
def keys() -> tuple[str, str]:
    """A pair of keys in PEM, the private one first."""
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def adapter_with(**settings: str) -> Adapter:
    wanted = {name: value for name, value in {**SETTINGS, **settings}.items() if value}
    return make_adapter(ProviderConfig("PR1", "nordic", "iotcomms", "", wanted))


def body_of(submission: Submission = CALL, **settings: str) -> dict[str, object]:
    body = adapter_with(**settings).build_request(submission).json
    assert isinstance(body, dict)
    return body


def reply(body: object, status: int = 200) -> Reply:
    return Reply(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())


# --- requests ------------------------------------------------------------------------------------------------


def test_a_call_is_placed_and_says_nothing_of_what_will_be_heard() -> None:
    request = adapter_with().build_request(CALL)
    assert (request.method, request.path) == ("POST", f"{SETTINGS['domain']}/placeivrcall")
    assert request.headers == {"Authorization": "Bearer t0ken-value"}
    assert request.json == {
        "destAddr": "sip:+46701112233@sip.example.com",
        "sipFrom": "+46850001111",
        "sessionReferenceId": {"attempt": "AT1"},
    }


@pytest.mark.parametrize(
    "submission",
    [
        replace(CALL, text=None, media="welcome.mp3"),
        replace(CALL, text=None, connect_to="+46709998877", record=True),
        replace(CALL, text=None, flow=MENU, record=True),
        replace(CALL, code="1987"),
    ],
)
def test_whatever_is_to_be_heard_is_placed_in_the_same_way(submission: Submission) -> None:
    assert body_of(submission) == body_of()


def test_the_callers_own_number_wins_over_the_providers_and_there_need_be_none() -> None:
    assert body_of(sip_from="+4685000222")["sipFrom"] == "+46850001111"
    unnamed = replace(CALL, caller_id="")
    assert body_of(unnamed, sip_from=" +4685000222 ")["sipFrom"] == "+4685000222"
    assert "sipFrom" not in body_of(unnamed)


def test_every_field_of_the_document_has_its_setting() -> None:
    body = body_of(
        mediaservice_id="MS1",
        max_ring_time="25",
        display_name="The Choir",
        caller_privacy="yes",
        sip_diversion="+4685000333",
        sip_diversion_parameters='{"reason": "unconditional"}',
        x_headers='{"x-campaign": "spring", "x-many": ["1", "2"]}',
        p_headers='{"p-charge": "7"}',
        contact_parameters='{"a": "1"}',
        contact_user_parameters='{"b": "2"}',
    )
    assert body == {
        **body_of(),
        "mediaserviceId": "MS1",
        "maxRingTime": 25,
        "displayName": "The Choir",
        "callerPrivacy": True,
        "sipDiversion": "+4685000333",
        "sipDiversionParameters": {"reason": "unconditional"},
        "xHeaders": {"x-campaign": "spring", "x-many": ["1", "2"]},
        "pHeaders": {"p-charge": "7"},
        "contactParameters": {"a": "1"},
        "contactUserParameters": {"b": "2"},
    }


def test_a_call_with_nothing_in_it_and_a_recorded_announcement_are_refused_before_sending() -> None:
    with pytest.raises(RefusedError, match="nothing to say") as nothing:
        body_of(replace(CALL, text=None))
    with pytest.raises(RefusedError, match="records two who are connected") as recorded:
        body_of(replace(CALL, record=True))
    assert {nothing.value.refusal, recorded.value.refusal} == {Refusal.BAD_REQUEST}


# --- settings ------------------------------------------------------------------------------------------------


def elliptic_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def locked_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s3same")).decode()


def short_key() -> str:
    key = rsa.generate_private_key(65537, 1024)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    "pem", ["no key", "-----BEGIN PRIVATE KEY-----", elliptic_key, locked_key, short_key]
)
def test_a_private_key_that_cannot_sign_is_refused_without_being_shown(pem: object) -> None:
    given = pem() if callable(pem) else str(pem)
    with pytest.raises(
        ProviderSettingError, match="private_key of provider nordic must be an RSA key"
    ) as caught:
        adapter_with(token="", private_key=given)
    assert given not in str(caught.value)


def test_one_of_key_and_token_is_needed_and_not_both() -> None:
    with pytest.raises(ProviderSettingError, match="one of private_key and token"):
        adapter_with(token="")
    with pytest.raises(ProviderSettingError, match="one of private_key and token"):
        adapter_with(private_key=keys()[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("domain", "https://customer.iotcomms.io"),
        ("domain", "customer/other"),
        ("sip_host", "user@host"),
        ("sip_host", "host;transport=tcp"),
        ("sip_from", "sip:me@host"),
        ("max_ring_time", "soon"),
        ("max_ring_time", "0"),
        ("max_ring_time", "601"),
        ("caller_privacy", "perhaps"),
        ("x_headers", "x-campaign: spring"),
        ("x_headers", "[]"),
        ("x_headers", "{}"),
        ("p_headers", '{"p-charge": 7}'),
        ("contact_parameters", '{"a": ["1", 2]}'),
        ("callback_public_key", "no key"),
    ],
)
def test_a_setting_that_cannot_work_is_named(name: str, value: str) -> None:
    with pytest.raises(ProviderSettingError, match=f"The {name} of provider nordic"):
        adapter_with(**{name: value})


def test_it_can_do_all_but_flash_messages_repeats_of_its_own_and_some_of_connecting_two() -> None:
    assert "iotcomms" in adapter_kinds()
    assert set(Capability) - IotcommsAdapter.capabilities == {
        Capability.FLASH_OTP,
        Capability.SMS_OTP,
        Capability.REPEATS,
        Capability.TALK_LIMIT,
        Capability.RING_SEVERAL,
        Capability.CONNECT_AT_ONCE,
        Capability.RECORD_ONE_SIDE,
        Capability.TRANSCRIPT,
    }


def test_what_is_open_is_no_secret() -> None:
    assert {
        "sip_host",
        "mediaservice_id",
        "callback_public_key",
        "sip_from",
    } <= IotcommsAdapter.open_settings
    assert not {"private_key", "token"} & IotcommsAdapter.open_settings


# --- tokens --------------------------------------------------------------------------------------------------


def test_a_key_signs_the_requests() -> None:
    private, public = keys()
    adapter = adapter_with(token="", private_key=private.replace("\n", "\\n"))
    scheme, _, token = adapter.build_request(CALL).headers["Authorization"].partition(" ")
    assert scheme == "Bearer"
    assert jwt.get_unverified_header(token) == {"alg": "RS256", "typ": "JWT"}
    claims = jwt.decode(token, public, algorithms=["RS256"])  # holds now, too
    assert {name: claims[name] for name in ("iss", "sub")} == dict.fromkeys(
        ("iss", "sub"), SETTINGS["domain"]
    )
    assert claims["exp"] - claims["iat"] == HOLDS.total_seconds()


def test_a_token_is_used_for_a_while_and_replaced_long_before_it_ends() -> None:
    private, public = keys()
    first = issued("a.example", private, NOW)
    assert issued("a.example", private, NOW + USED - timedelta(seconds=1)) == first
    assert issued("a.example", private, NOW + USED) != first
    assert issued("b.example", private, NOW) != first
    last_used = NOW + USED - timedelta(seconds=1)
    until = jwt.decode(first, public, algorithms=["RS256"], options={"verify_exp": False})["exp"]
    assert until - last_used.timestamp() >= 45 * 60


def signed(private: str, /, **claims: object) -> str:
    return "Bearer " + jwt.encode({"iss": "iotcomms", **claims}, private, algorithm="RS256")


def test_a_callback_is_theirs_when_their_key_has_signed_it() -> None:
    private, public = keys()
    at = int(NOW.timestamp())
    late = int(LEEWAY.total_seconds())
    assert is_ours(signed(private), public, NOW)
    assert is_ours(signed(private, exp=at + 1, nbf=at, iat=at + 5), public, NOW)
    assert is_ours(signed(private).removeprefix("Bearer "), public, NOW)
    assert is_ours(signed(private, aud="us", sub=7), public, NOW), "nothing is said of other claims"
    assert not is_ours(signed(private, exp=at - late), public, NOW)
    assert not is_ours(signed(private, nbf=at + late + 1), public, NOW)
    assert not is_ours(signed(private, exp="tomorrow"), public, NOW)
    assert not is_ours("Basic " + signed(private).removeprefix("Bearer "), public, NOW)


def test_nothing_else_is_theirs() -> None:
    private, public = keys()
    other = rsa.generate_private_key(65537, 2048)
    unsigned = jwt.encode({"iss": "iotcomms"}, None, algorithm="none")
    forged = ".".join([*signed(private).removeprefix("Bearer ").split(".")[:2], "AAAA"])
    for given_ in (None, "", "Bearer", "Bearer x", f"Bearer {unsigned}", f"Bearer {forged}"):
        assert not is_ours(given_, public, NOW), given_
    assert not is_ours("Bearer " + jwt.encode({}, other, algorithm="RS256"), public, NOW)
    assert not is_ours("Bearer " + jwt.encode({}, other, algorithm="PS256"), public, NOW)


def test_callbacks_must_be_signed_when_a_key_is_set() -> None:
    private, public = keys()

    def heard(authorization: str | None) -> RawEvent:
        return RawEvent("POST", "callNotify", "", "application/json", b"{}", authorization, NOW)

    open_settings = {"sip_host": "sip.example.com", "callback_public_key": public.replace("\n", "\\n")}
    assert IotcommsAdapter.is_signed(heard(signed(private)), open_settings)
    assert not IotcommsAdapter.is_signed(heard(None), open_settings)
    assert IotcommsAdapter.is_signed(heard(None), {"sip_host": "sip.example.com"})


# --- replies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "outcome", "refusal"),
    [
        ({"success": True}, 200, Outcome.PLACED, None),
        ({"success": True, "later": 1}, 201, Outcome.PLACED, None),
        ({"success": False}, 200, Outcome.REFUSED, Refusal.BAD_REQUEST),
        ({"success": False, "reason": "no such host"}, 200, Outcome.REFUSED, Refusal.BAD_REQUEST),
        ({"success": False}, 400, Outcome.REFUSED, Refusal.BAD_REQUEST),
        ({"message": "Unauthorized"}, 401, Outcome.REFUSED, Refusal.PROVIDER),
        ({"message": "Forbidden"}, 403, Outcome.REFUSED, Refusal.PROVIDER),
        (b"<html>", 404, Outcome.REFUSED, Refusal.PROVIDER),
        (b"", 422, Outcome.REFUSED, Refusal.BAD_REQUEST),
        ({"success": True}, 400, Outcome.UNKNOWN, None),
        ({"success": True, "error": "timeout"}, 200, Outcome.UNKNOWN, None),
        ({"success": "true"}, 200, Outcome.UNKNOWN, None),
        ({"success": 1}, 200, Outcome.UNKNOWN, None),
        ({}, 200, Outcome.UNKNOWN, None),
        ([True], 200, Outcome.UNKNOWN, None),
        (b"true", 200, Outcome.UNKNOWN, None),
        (b'{"success": tr', 200, Outcome.UNKNOWN, None),
        (b"<html>", 200, Outcome.UNKNOWN, None),
    ],
)
def test_only_a_success_is_placed_and_only_its_opposite_refused(
    body: object, status: int, outcome: Outcome, refusal: Refusal | None
) -> None:
    verdict = adapter_with().read_reply(reply(body, status))
    assert (verdict.outcome, verdict.refusal, verdict.provider_reference) == (outcome, refusal, None)


@given(
    st.binary(max_size=60) | st.dictionaries(st.text(max_size=8), st.integers() | st.text()),
    st.sampled_from([200, 400]),
)
def test_no_reply_whatsoever_is_taken_for_a_success(body: object, status: int) -> None:
    assert adapter_with().read_reply(reply(body, status)).outcome is not Outcome.PLACED


def test_the_account_is_tested_by_its_prompt_files() -> None:
    adapter = adapter_with()
    request = adapter.check_request()
    assert request is not None
    assert (request.method, request.path, request.json) == ("GET", f"{SETTINGS['domain']}/promptfile", None)
    assert "accepts" in adapter.read_check(reply({"success": True, "files": [], "next": None}))
    with pytest.raises(ProviderError, match="private_key or token"):
        adapter.read_check(reply({"message": "Unauthorized"}, 401))
    for body, status in [({"success": False}, 200), (b"<html>", 200), ({"success": True}, 200), (b"", 404)]:
        with pytest.raises(ProviderError, match="no list of prompt files"):
            adapter.read_check(reply(body, status))
