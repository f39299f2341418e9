"""Who asks, and whether they may: a key of an account, its own or a further one, with the scope that is needed.

The first generation takes the headers `account` and `auth`; `/v1` takes `Authorization: Bearer`, too
(dialer/api/v1/caller.py). An endpoint names the scope it needs by the type of its `caller`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.openapi.models import APIKey, APIKeyIn
from fastapi.security import APIKeyHeader
from fastapi.security.base import SecurityBase
from sqlalchemy import Engine

from dialer.api.failures import ForbiddenError, UnauthorizedError
from dialer.api.limits import admit, check_source, note_right, note_wrong
from dialer.db import looking, writing
from dialer.keys import EVERY_SCOPE, OPERATOR, OWN_KEY, Scope, may
from dialer.secrets import hash_auth, same_auth
from dialer.store import accounts, keys

#: How exact `last_used_at` is: a key that is used all the time costs no write per request.
NOTED_EVERY = timedelta(minutes=1)

_ACCOUNT_ID = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)
#: Compared with when there is no such account, so that the answer takes as long.
_NOBODY = hash_auth("")


class Needs(SecurityBase):
    """Tells `/docs` which scope a request needs (dialer/api/document.py), and looks at nothing: `needs` does."""

    scheme_name = "scope"

    def __init__(self) -> None:
        """Under a name that no scheme has: the document shows a sentence in its place."""
        self.model = APIKey(**{"in": APIKeyIn.header}, name=self.scheme_name)

    async def __call__(self) -> None:
        """Nothing to look at."""


_NEEDS = Needs()
_ACCOUNT = APIKeyHeader(name="account", scheme_name="account", description="AC…", auto_error=False)
_AUTH = APIKeyHeader(name="auth", scheme_name="auth", description="a key of the account", auto_error=False)

AccountHeader = Annotated[str | None, Security(_ACCOUNT)]
AuthHeader = Annotated[str | None, Security(_AUTH)]


@dataclass(frozen=True, slots=True, repr=False)
class Caller:
    """An enabled account, and what the key that was shown may do."""

    account: Any
    #: `AK…`; None: the account's own key.
    key_id: str | None
    scopes: frozenset[Scope]
    #: Its own limit; None: the one of every key.
    requests_per_minute: int | None = None
    #: Whoever has the database itself, and needs no key: the command line.
    is_operator: bool = False

    @property
    def account_id(self) -> str:
        """`AC…`."""
        account_id: str = self.account.id
        return account_id

    @property
    def actor(self) -> str:
        """How the audit log names them."""
        return OPERATOR if self.is_operator else self.key_id or OWN_KEY

    def needs(self, scope: Scope) -> None:
        """Raises `ForbiddenError` when their key does not have this scope."""
        if not may(self.scopes, scope):
            raise ForbiddenError(f"This key lacks the scope {scope}: use one that has it.")


def id_given(account: str | None) -> str:
    """The account's id in this header; empty for what cannot be one."""
    account_id = (account or "").strip()
    return account_id if _ACCOUNT_ID.fullmatch(account_id) else ""


def identified(request: Request, account: str | None, auth: str | None) -> Caller:
    """Whose id and key these are. Raises `UnauthorizedError`, `TooManyWrongKeysError`, `TooManyRequestsError`."""
    engine, account_id = request.app.state.engine, id_given(account)
    key = key_given(request, account_id, auth)
    with looking(engine) as connection:
        found = accounts.with_id(connection, account_id) if account_id else None
    return opened(request, engine, found, key, request.app.state.clock())


def key_given(request: Request, account_id: str, auth: str | None) -> str:
    """The key in this header, which is now to be looked at. Raises `UnauthorizedError` where there is none, and
    `TooManyWrongKeysError`."""
    key = (auth or "").strip()
    if not key:
        raise UnauthorizedError
    check_source(request, account_id, key)
    return key


def opened(request: Request, engine: Engine, account: Any | None, auth: str, now: datetime) -> Caller:
    """The account, which is there and enabled, by its own key or a further one that is not revoked; the request is
    counted, and so is a wrong key. The own key costs no statement. Raises `UnauthorizedError`, `TooManyRequestsError`.
    """
    try:
        caller = _opened(engine, account, auth, now)
    except UnauthorizedError:
        note_wrong(request)
        raise
    note_right(request, caller.account_id, auth)
    admit(request, caller.key_id or caller.account_id, caller.requests_per_minute)
    return caller


def _opened(engine: Engine, account: Any | None, auth: str, now: datetime) -> Caller:
    key = None
    is_own = same_auth(_NOBODY if account is None else account.auth_hash, auth)
    if account is not None and not is_own:
        with looking(engine) as connection:
            key = keys.with_hash(connection, account.id, hash_auth(auth))
    if account is None or not (is_own or key) or not account.enabled:
        raise UnauthorizedError
    if key is None:
        return Caller(account, None, EVERY_SCOPE)
    if key.last_used_at is None or now - key.last_used_at >= NOTED_EVERY:
        with writing(engine) as connection:
            keys.used(connection, key.id, now)
    scopes = frozenset(Scope(scope) for scope in key.scopes)
    return Caller(account, key.id, scopes, key.requests_per_minute)


def by_headers(request: Request, account: AccountHeader, auth: AuthHeader) -> Caller:
    """Who asks, by the headers of the first generation. Raises `UnauthorizedError`."""
    return identified(request, account, auth)


def needs(scope: Scope, who: Callable[..., Caller] = by_headers) -> Callable[..., Awaitable[Caller]]:
    """A dependency: who asks, with a key that has this scope. Raises `ForbiddenError`."""

    # Not Annotated: FastAPI would look for `who` among the module's names. Async, though it awaits nothing: FastAPI
    # hands every other function to a thread of its own.
    async def allowed(
        caller: Caller = Depends(who),  # noqa: B008
        _: None = Security(_NEEDS, scopes=[scope.value]),
    ) -> Caller:
        caller.needs(scope)
        return caller

    return allowed


#: For an endpoint that looks at the headers, and for the scope `call`, itself: they are named in `/docs`.
HEADERS = [Security(_ACCOUNT), Security(_AUTH), Security(_NEEDS, scopes=[Scope.CALL.value])]
AnyCaller = Annotated[Caller, Depends(by_headers)]
Reader = Annotated[Caller, Depends(needs(Scope.READ))]
Dialler = Annotated[Caller, Depends(needs(Scope.CALL))]
Campaigner = Annotated[Caller, Depends(needs(Scope.CAMPAIGN))]
