"""A client of `/v1` for apps in Python: `Client(url, account, key)`. It needs httpx and nothing of the engine."""

from dialer.client.client import Client
from dialer.client.errors import (
    ClientError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)

__all__ = [
    "Client",
    "ClientError",
    "ConflictError",
    "FieldProblem",
    "ForbiddenError",
    "InvalidError",
    "NotFoundError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnreachableError",
]
