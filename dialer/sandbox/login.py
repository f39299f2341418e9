"""The Basic authorization that MTT's services ask for."""

from __future__ import annotations

import base64
import secrets

from starlette.requests import Request


def login_of(request: Request) -> tuple[str, str] | None:
    """User and password, neither of them empty; None when the request has no such login."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (user, password) if scheme == "Basic" and user and password else None


def knows(password: str, access_key: str | None) -> bool:
    """Whether the password is the only one accepted; None accepts any."""
    return access_key is None or secrets.compare_digest(password.encode(), access_key.encode())
