"""Who is asking: the `account` and `auth` headers of the first-generation API."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader
from sqlalchemy import Connection

from dialer.api.envelope import UnauthorizedError
from dialer.db import reading
from dialer.secrets import hash_auth, same_auth
from dialer.store import accounts
from dialer.store.tables import AnyRow

_ACCOUNT_ID = re.compile(r"[A-Za-z0-9]{1,16}", re.ASCII)
#: Compared with when there is no such account, so that the answer takes as long.
_NOBODY = hash_auth("")


_ACCOUNT = APIKeyHeader(name="account", scheme_name="account", description="AC…", auto_error=False)
_AUTH = APIKeyHeader(name="auth", scheme_name="auth", description="the account's key", auto_error=False)


def current_account(
    request: Request,
    account: Annotated[str | None, Security(_ACCOUNT)],
    auth: Annotated[str | None, Security(_AUTH)],
) -> AnyRow:
    """The enabled account whose headers these are. Raises `UnauthorizedError`."""
    with reading(request.app.state.engine) as connection:
        return account_of(connection, account, auth)


def account_of(connection: Connection, account: str | None, auth: str | None) -> AnyRow:
    """The enabled account with these headers. Raises `UnauthorizedError`."""
    account_id, auth = (account or "").strip(), (auth or "").strip()
    found = accounts.with_id(connection, account_id) if _ACCOUNT_ID.fullmatch(account_id) else None
    is_same = same_auth(_NOBODY if found is None else found.auth_hash, auth)
    if found is None or not is_same or not auth or not found.enabled:
        raise UnauthorizedError
    return found


#: For an endpoint that looks at the headers itself: they are named in `/docs`.
HEADERS = [Security(_ACCOUNT), Security(_AUTH)]
CurrentAccount = Annotated[AnyRow, Depends(current_account)]
