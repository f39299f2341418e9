"""What is sealed opens again with a right key, and only with that; keys and tokens are never shown."""

from __future__ import annotations

import base64

import pytest
from cryptography.fernet import Fernet
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer.secrets import SecretBox, SecretError, hash_auth, new_auth_key, new_webhook_token, same_auth

OLD, NEW = "the-old-passphrase", "the-new-passphrase"


@settings(deadline=None)
@given(st.dictionaries(st.text(), st.text()))
def test_what_is_sealed_opens_again(values: dict[str, str]) -> None:
    box = SecretBox([NEW])
    assert box.open(box.seal(values)) == values


def test_a_sealed_text_shows_nothing() -> None:
    sealed = SecretBox([NEW]).seal({"password": "open-sesame"})
    assert "open-sesame" not in sealed
    assert b"open-sesame" not in base64.urlsafe_b64decode(sealed)


def test_another_key_does_not_open_it_and_says_what_to_do() -> None:
    sealed = SecretBox([OLD]).seal({"password": "open-sesame"})
    with pytest.raises(SecretError, match="DIALER_SECRET_KEY") as caught:
        SecretBox([NEW]).open(sealed)
    assert sealed not in str(caught.value)


def test_a_damaged_text_does_not_open() -> None:
    box = SecretBox([NEW])
    sealed = box.seal({"password": "open-sesame"})
    changed = "A" if sealed[40] != "A" else "B"
    with pytest.raises(SecretError):
        box.open(sealed[:40] + changed + sealed[41:])


def test_rotation_moves_a_text_from_the_old_key_to_the_new() -> None:
    sealed = SecretBox([OLD]).seal({"password": "open-sesame"})
    both = SecretBox([NEW, OLD])
    assert both.open(sealed) == {"password": "open-sesame"}
    rotated = both.rotate(sealed)
    assert SecretBox([NEW]).open(rotated) == {"password": "open-sesame"}
    with pytest.raises(SecretError):
        SecretBox([OLD]).open(rotated)


def test_what_no_key_opens_cannot_be_rotated() -> None:
    with pytest.raises(SecretError):
        SecretBox([NEW]).rotate(SecretBox([OLD]).seal({}))


def test_a_fernet_key_is_taken_as_it_is() -> None:
    key = Fernet.generate_key()
    assert SecretBox([key.decode()]).open(Fernet(key).encrypt(b'{"a": "b"}').decode()) == {"a": "b"}


@pytest.mark.parametrize("keys", [[], ["short"], [NEW, "short"]])
def test_no_key_or_a_short_one_is_refused(keys: list[str]) -> None:
    with pytest.raises(SecretError, match="DIALER_SECRET_KEY"):
        SecretBox(keys)


def test_a_box_shows_no_key() -> None:
    assert repr(SecretBox([NEW])) == "SecretBox(…)"


def test_only_the_right_auth_key_is_recognised() -> None:
    auth = new_auth_key()
    hashed = hash_auth(auth)
    assert same_auth(hashed, auth)
    assert not same_auth(hashed, auth + "x")
    assert not same_auth(hashed, new_auth_key())
    assert not same_auth("", auth)
    assert auth not in hashed


def test_keys_and_tokens_are_long_fit_for_urls_and_never_the_same() -> None:
    made = [make() for make in (new_auth_key, new_webhook_token) for _ in range(200)]
    assert len(set(made)) == 400
    assert min(map(len, made)) >= 32
    assert not set("".join(made)) & set("/?#&=+%. ")
