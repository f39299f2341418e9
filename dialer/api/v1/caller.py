"""Who asks in `/v1`: `Authorization: Bearer ACCOUNT.KEY`, or the headers of the first generation.

An endpoint names the scope it needs by the type of its `caller`: `Reader`, `Dialler`, `Campaigner` or `Admin`.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from dialer.api.auth import AccountHeader, AuthHeader, Caller, identified, needs
from dialer.api.v1.query import check_names
from dialer.keys import Scope

__all__ = ["Admin", "Caller", "Campaigner", "Dialler", "Reader", "caller"]

_BEARER = HTTPBearer(scheme_name="bearer", description="`ACCOUNT.KEY`", auto_error=False)


def caller(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    account: AccountHeader,
    auth: AuthHeader,
) -> Caller:
    """Who asks. Raises `UnauthorizedError`, and `FieldError` where the query holds what nothing here knows."""
    if bearer is not None:
        account, _, auth = bearer.credentials.partition(".")
    found = identified(request, account, auth)
    check_names(request)
    return found


Reader = Annotated[Caller, Depends(needs(Scope.READ, caller))]
Dialler = Annotated[Caller, Depends(needs(Scope.CALL, caller))]
Campaigner = Annotated[Caller, Depends(needs(Scope.CAMPAIGN, caller))]
Admin = Annotated[Caller, Depends(needs(Scope.ADMIN, caller))]
