"""The codes of verifications: made by chance, kept hashed for checks and sealed for the next call."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from functools import lru_cache

from dialer.calls.otp import FLASH_DIGITS, Channel
from dialer.secrets import SecretBox, derived_key

_PURPOSE = b"dialer verifications 1"
_BETWEEN = re.compile(r"[\s\-]")


class Codes:
    """Makes, keeps and compares codes with `DIALER_SECRET_KEY`: the first key is used, every key is tried."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises `SecretError` for a key that is too short."""
        self._box = SecretBox(keys)
        self._keys = [derived_key(key, _PURPOSE) for key in keys]

    def __repr__(self) -> str:
        return "Codes(…)"

    def hashed(self, verification_id: str, code: str) -> str:
        """What checks are compared with: of this verification alone."""
        return _hash(self._keys[0], verification_id, code)

    def is_right(self, code_hash: str, verification_id: str, told: str) -> bool:
        """Whether this is the code, in a time that does not depend on where they differ."""
        found = [hmac.compare_digest(code_hash, _hash(key, verification_id, told)) for key in self._keys]
        return any(found)

    def sealed(self, code: str) -> str:
        """What the code is kept as for as long as it may have to be brought again."""
        return self._box.seal({"code": code})

    def opened(self, sealed: str) -> str:
        """The code. Raises `SecretError`."""
        return self._box.open(sealed)["code"]

    def rate_key(self, account_id: str, given: str) -> str:
        """What is kept of an IP address or a device. With the key that stays the longest, so that a new one starts no
        count anew."""
        return _hash(self._keys[-1], account_id, given)


@lru_cache(maxsize=8)
def codes_of(keys: tuple[str, ...]) -> Codes:
    """The same `Codes` again: to derive keys takes longer than all that they are used for."""
    return Codes(keys)


def new_code(channels: Sequence[Channel], length: int) -> str:
    """A code of so many digits that every one of the channels can bring."""
    digits = FLASH_DIGITS if Channel.FLASH in channels else length
    return "".join(secrets.choice("0123456789") for _ in range(digits))


def as_told(text: str) -> str:
    """A code without what people put between its digits."""
    return _BETWEEN.sub("", text)


def _hash(key: bytes, of: str, text: str) -> str:
    return hmac.digest(key, f"{of}:{text}".encode("utf-8", "replace"), hashlib.sha256).hex()
