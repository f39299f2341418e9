"""What people get wrong. Every message is one whole sentence that names the field and the mend."""

from __future__ import annotations


class RequestError(Exception):
    """What was asked for cannot be done; `field` names the parameter it hangs on."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class FieldError(RequestError):
    """A value that cannot be used."""


class NotFound(RequestError):
    """An id that this account does not have."""


class Conflict(RequestError):
    """A name that is taken, or a state that does not allow it."""


class LimitReached(RequestError):
    """Asked for too often; it may be asked for again after `retry_after` seconds."""

    def __init__(self, field: str, message: str, *, retry_after: int) -> None:
        super().__init__(field, message)
        self.retry_after = retry_after


class NoRoom(RequestError):
    """There is too much already of what is to be kept."""
