"""`client.callbacks`: two people who are connected at a chosen time."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Unpack

from dialer.client.bodies import ChangedCallback, NewCallback
from dialer.client.call_answers import Callback
from dialer.client.group import PAGE_SIZE, Group


class Callbacks(Group):
    """Callbacks at a chosen time."""

    def create(self, *, idempotency_key: str | None = None, **callback: Unpack[NewCallback]) -> Callback:
        """Have two people connected at a chosen time. Asked for again until there is an answer, under a key, as
        `calls.create` is: it is made once."""
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        made: Callback = self._wire.ask("POST", "callbacks", body=callback, idempotency_key=key)
        return made

    def list(self, *, page_size: int = PAGE_SIZE) -> Iterator[Callback]:
        """All callbacks, the newest first."""
        return self._pages(Callback, "callbacks", page_size=page_size)

    def get(self, callback_id: str, /) -> Callback:
        """One callback."""
        return self._get(Callback, "callbacks", callback_id)

    def change(self, callback_id: str, /, **changes: Unpack[ChangedCallback]) -> Callback:
        """Move or change a callback that has not been dialled."""
        return self._patch(Callback, "callbacks", callback_id, body=changes)

    def delete(self, callback_id: str, /) -> Callback:
        """Cancel a callback that has not been dialled."""
        deleted: Callback = self._wire.ask("DELETE", "callbacks", callback_id)
        return deleted
