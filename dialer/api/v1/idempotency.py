"""`Idempotency-Key`: whoever did not hear the answer asks again, and gets the same one; nothing is done twice."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Header
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from sqlalchemy import Connection, Engine

from dialer.db import looking
from dialer.errors import Conflict, FieldError
from dialer.settings import Settings
from dialer.store import idempotency
from dialer.store.tables import AnyRow

LONGEST = 255

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description=f"1 to {LONGEST} printable characters of your choice, new for each thing to be done: the same "
        "request with the same key, within 24 hours, is answered as the first one was, and nothing is done again",
    ),
]


#: What of a kept answer is not kept with it: what a call says is forgotten when the call has ended.
Texts = Callable[[Connection, Mapping[str, Any]], Mapping[str, Any]]


def no_texts(_: Connection, __: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of an answer that is kept whole."""
    return {}


class InFlight(Exception):
    """Another request has the key: it is being answered, or just was."""


@dataclass(frozen=True, slots=True)
class Once:
    """A request that is to be answered once; without a key it does nothing."""

    account_id: str
    key: str | None
    body_hashes: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings, account_id: str, key: str | None, path: str, body: Any) -> Once:
        """Raises `FieldError` for a key that cannot be one."""
        if key is None:
            return cls(account_id, None)
        if not 0 < len(key) <= LONGEST or not (key.isascii() and key.isprintable()):
            raise FieldError(
                "Idempotency-Key", f"Idempotency-Key must have 1 to {LONGEST} printable ASCII characters."
            )
        said = json.dumps([path, jsonable_encoder(body)], sort_keys=True).encode()
        # Keyed, for a body may hold a one-time password; by each key, for the first one may have been changed since.
        hashes = (hmac.new(one.encode(), said, hashlib.sha256).hexdigest() for one in settings.secret_keys())
        return cls(account_id, key, tuple(hashes))

    def answered(self, engine: Engine, texts: Texts = no_texts) -> JSONResponse | None:
        """The answer that was given before, if there was one, with its `texts`. Raises `FieldError` when it was to
        another body."""
        if self.key is None:
            return None
        with looking(engine) as connection:
            found = idempotency.get(connection, self.account_id, self.key)
            if found is None:
                return None
            self._check(found)
            said = {**found.response, **texts(connection, found.response)}
        return JSONResponse(said, found.status, headers={"Idempotent-Replayed": "true"})

    def answered_by_other(self, engine: Engine, texts: Texts = no_texts) -> JSONResponse:
        """The answer of the request that has the key, after `InFlight`. Raises `Conflict` when there is none yet."""
        if (again := self.answered(engine, texts)) is not None:
            return again
        raise Conflict(
            "Idempotency-Key",
            "Idempotency-Key: the first request with this key is still being answered; ask again in a second.",
        )

    def keep(self, connection: Connection, status: int, response: Mapping[str, Any], now: datetime) -> None:
        """Keep the answer in the transaction of what it tells of, before anything is done. Raises `InFlight` when
        another request has the key: ask `answered_by_other`. Texts of the call are not to be in it."""
        if self.key is None:
            return
        row = {
            "account_id": self.account_id,
            "key": self.key,
            "body_hash": self.body_hashes[0],
            "status": status,
            "response": response,
            "created_at": now,
        }
        if not idempotency.add(connection, row):
            raise InFlight

    def _check(self, found: AnyRow) -> None:
        if not any(hmac.compare_digest(found.body_hash, one) for one in self.body_hashes):
            raise FieldError(
                "Idempotency-Key",
                "Idempotency-Key: this key was sent with another request before; use a new key for a new request.",
            )
