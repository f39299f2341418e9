"""Who is asking: the `account` and `auth` headers of the first-generation API."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyHeader

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
    account_id = id_given(account)
    with reading(request.app.state.engine) as connection:
        found = accounts.with_id(connection, account_id) if account_id else None
    opened: AnyRow = open_with(found, auth)
    return opened


def id_given(account: str | None) -> str:
    """The account's id in this header; empty for what cannot be one."""
    account_id = (account or "").strip()
    return account_id if _ACCOUNT_ID.fullmatch(account_id) else ""


def open_with(account: Any | None, auth: str | None) -> Any:
    """The account, which is there and enabled, and whose key is in this header. Raises `UnauthorizedError`."""
    auth = (auth or "").strip()
    is_same = same_auth(_NOBODY if account is None else account.auth_hash, auth)
    if account is None or not is_same or not auth or not account.enabled:
        raise UnauthorizedError
    return account


#: For an endpoint that looks at the headers itself: they are named in `/docs`.
HEADERS = [Security(_ACCOUNT), Security(_AUTH)]
CurrentAccount = Annotated[AnyRow, Depends(current_account)]
