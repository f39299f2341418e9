"""Everything secret: provider credentials sealed at rest, auth keys hashed, webhook tokens made.

Credentials of providers must be readable again, so they are encrypted (Fernet, several keys for rotation).
Auth keys only ever have to be recognised, so a hash is kept. They hold 256 random bits, which no dictionary
covers: one SHA-256 is as safe as a slow password hash and costs nothing per request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_KEY_LENGTH = 16
_FERNET_KEY_BYTES = 32


class SecretError(Exception):
    """A secret cannot be made or read; the message says how to mend it and never shows the secret."""


class SecretBox:
    """Seals small mappings of text (a provider's credentials) so that they can lie in a table.

    The first key seals; every key opens. To rotate: put the new key first, `rotate` every sealed text, then
    drop the old key. A key is a Fernet key or any text of at least 16 characters.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise SecretError("DIALER_SECRET_KEY holds no key: set it to at least one, comma separated.")
        self._fernet = MultiFernet([Fernet(_fernet_key(key)) for key in keys])

    def seal(self, values: Mapping[str, str]) -> str:
        """Encrypts `values` with the first key; the result is ASCII text."""
        return self._fernet.encrypt(json.dumps(dict(values), ensure_ascii=False).encode()).decode("ascii")

    def open(self, sealed: str) -> dict[str, str]:
        """The values that were sealed; `SecretError` when no key fits or the text was damaged."""
        try:
            plain = self._fernet.decrypt(sealed)
        except InvalidToken:
            raise SecretError(_NO_KEY_FITS) from None
        return {str(name): str(value) for name, value in json.loads(plain).items()}

    def rotate(self, sealed: str) -> str:
        """The same values, sealed anew with the first key; `SecretError` when no key opens them."""
        try:
            return self._fernet.rotate(sealed).decode("ascii")
        except InvalidToken:
            raise SecretError(_NO_KEY_FITS) from None

    def __repr__(self) -> str:
        return "SecretBox(…)"


def new_auth_key() -> str:
    """A fresh auth key of an account: 256 random bits as URL-safe text. Show it once, keep its hash."""
    return secrets.token_urlsafe(32)


def hash_auth(auth: str) -> str:
    """What is kept of an auth key: SHA-256 as 64 hexadecimal characters."""
    return hashlib.sha256(auth.encode()).hexdigest()


def same_auth(hashed: str, auth: str) -> bool:
    """Whether `auth` is the key behind `hashed`, in a time that does not depend on where they differ."""
    return hmac.compare_digest(hashed.encode(), hash_auth(auth).encode())


def new_webhook_token() -> str:
    """The unguessable part of a provider's webhook URL: 192 random bits as URL-safe text."""
    return secrets.token_urlsafe(24)


def derived_key(key: str, purpose: bytes) -> bytes:
    """32 bytes from a key of `DIALER_SECRET_KEY`, others for each purpose. Raises `SecretError` for one too short."""
    _check_length(key)
    return _derived(key, purpose)


_NO_KEY_FITS = (
    "A sealed secret cannot be opened with DIALER_SECRET_KEY: add the key it was sealed with to the end of "
    "the comma-separated list, or enter the credentials again."
)


def _check_length(key: str) -> None:
    if len(key) < MIN_KEY_LENGTH:
        raise SecretError(
            f"A key in DIALER_SECRET_KEY is too short: use at least {MIN_KEY_LENGTH} characters."
        )


def _fernet_key(key: str) -> bytes:
    _check_length(key)
    if _is_fernet_key(key):
        return key.encode("ascii")
    return base64.urlsafe_b64encode(_derived(key, b"dialer secret box 1"))


def _derived(key: str, purpose: bytes) -> bytes:
    made = HKDF(algorithm=SHA256(), length=_FERNET_KEY_BYTES, salt=None, info=purpose)
    return made.derive(key.encode())


def _is_fernet_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, altchars=b"-_", validate=True)) == _FERNET_KEY_BYTES
    except (binascii.Error, ValueError):
        return False
