"""What can go wrong between an app and `/v1`."""

from __future__ import annotations

from typing import NamedTuple


class FieldProblem(NamedTuple):
    """What is wrong with one value, and how to mend it."""

    field: str
    message: str


class ClientError(Exception):
    """The API refused, or could not be asked. As text it is `detail`."""

    def __init__(
        self,
        status: int | None,
        detail: str,
        errors: tuple[FieldProblem, ...] = (),
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        #: Of the answer; None when there was none.
        self.status = status
        #: A sentence that says what is wrong and how to mend it.
        self.detail = detail
        #: The values that cannot be used.
        self.errors = errors
        #: Seconds after which to ask again, where the API said so.
        self.retry_after = retry_after
        #: The key under which calls were asked for: asked for again under it, they are not made twice.
        self.idempotency_key: str | None = None


class UnreachableError(ClientError):
    """No answer came, or not all of it. A change that was asked for may have been made."""


class UnauthorizedError(ClientError):
    """401: the key does not open this account."""


class ForbiddenError(ClientError):
    """403: the key lacks the scope."""


class NotFoundError(ClientError):
    """404: the account has no such thing."""


class ConflictError(ClientError):
    """409: a name that is taken, or a state that does not allow it."""


class InvalidError(ClientError):
    """422: a value that cannot be used; `errors` names it."""


class TooManyRequestsError(ClientError):
    """429: asked for too often; `retry_after` says when to ask again."""


OF_STATUS: dict[int, type[ClientError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: InvalidError,
    429: TooManyRequestsError,
}
