"""Tokens of iotcomms: the ones that our requests carry, and the ones that prove a callback to be theirs.

Both are JWT, signed by RS256, in the `Authorization` header. `iotcomms-mediaservice-api.md` asks for an authorization
and shows no claims: `iss` and `sub` are the domain here, `iat` and `exp` the times.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

ALGORITHM = "RS256"
#: How long a token holds, and how long it is used: what is left is the margin for a request on its way.
HOLDS, USED = timedelta(hours=1), timedelta(minutes=10)
#: By how much clocks may differ.
LEEWAY = timedelta(minutes=1)


def issued(domain: str, private_key: str, now: datetime) -> str:
    """A token for requests at `now` (aware). The same one for `USED`: signing costs more than all else of a request."""
    seconds = int(now.timestamp())
    return _signed(domain, private_key, seconds - seconds % int(USED.total_seconds()))


def is_ours(authorization: str | None, public_key: str, now: datetime) -> bool:
    """Whether the `Authorization` header (`Bearer …`, or the token alone) holds a token signed with the other half of
    this key, and not one that is over, where it says when."""
    scheme, _, token = (authorization or "").strip().rpartition(" ")
    if scheme and scheme.lower() != "bearer":
        return False
    try:
        claims = jwt.decode(token, _public_key(public_key), algorithms=[ALGORITHM], options=_ONLY_SIGNATURE)
    except (jwt.PyJWTError, ValueError):
        return False
    return _is_within(claims.get("exp"), claims.get("nbf"), now)


def is_private_key(pem: str) -> bool:
    """Whether it is an RSA private key that can sign."""
    try:
        _private_key(pem)
    except ValueError:
        return False
    return True


def is_public_key(pem: str) -> bool:
    """Whether it is an RSA public key, or a certificate of one."""
    try:
        _public_key(pem)
    except ValueError:
        return False
    return True


#: The times are looked at by a clock that is passed in.
_ONLY_SIGNATURE: jwt.types.Options = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def _is_within(until: object, since: object, now: datetime) -> bool:
    at, leeway = now.timestamp(), LEEWAY.total_seconds()
    for moment in (until, since):
        if moment is not None and (isinstance(moment, bool) or not isinstance(moment, int | float)):
            return False
    if isinstance(until, int | float) and at >= until + leeway:
        return False
    return not (isinstance(since, int | float) and at < since - leeway)


@lru_cache(maxsize=64)
def _signed(domain: str, private_key: str, at: int) -> str:
    claims = {"iss": domain, "sub": domain, "iat": at, "exp": at + int(HOLDS.total_seconds())}
    return jwt.encode(claims, _private_key(private_key), algorithm=ALGORITHM)


@lru_cache(maxsize=64)
def _private_key(pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(_as_pem(pem), password=None)
    except (TypeError, UnsupportedAlgorithm):  # it needs a password
        raise ValueError("not a private key") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 2048:
        raise ValueError("not an RSA key of 2048 bits or more")
    return key


@lru_cache(maxsize=64)
def _public_key(pem: str) -> RSAPublicKey:
    try:
        if "BEGIN CERTIFICATE" in pem:
            key: object = x509.load_pem_x509_certificate(_as_pem(pem)).public_key()
        else:
            key = load_pem_public_key(_as_pem(pem))
    except UnsupportedAlgorithm:
        raise ValueError("not a public key") from None
    if not isinstance(key, RSAPublicKey):
        raise ValueError("not an RSA key")
    return key


def _as_pem(text: str) -> bytes:
    """Environment variables often hold line breaks as `\\n`."""
    return text.strip().replace("\\n", "\n").encode()
