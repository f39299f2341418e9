"""`/v1/keys`: the keys of an account."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from dialer import keys
from dialer.api.v1.caller import Admin
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import With
from dialer.db import reading, writing
from dialer.errors import FieldError
from dialer.keys import Scope
from dialer.store import keys as store
from dialer.store.tables import AnyRow

router = APIRouter(prefix="/keys", tags=["keys"])

Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=keys.LONGEST_NAME, pattern=r"^[^\x00-\x1f]+$"
    ),
]


RequestsPerMinute = Annotated[
    int | None, Field(ge=1, le=1_000_000, description="its own limit; null: the one of every key")
]


class NewKey(BaseModel, extra="forbid"):
    """A key to be made."""

    name: Name = Field(description="whose it is, for people")
    scopes: list[Scope] = Field(min_length=1, description="what it may do")
    requests_per_minute: RequestsPerMinute = None


class KeyChange(BaseModel, extra="forbid"):
    """What is to be changed; what is left out stays."""

    name: Name | None = Field(default=None, description="whose it is, for people")
    requests_per_minute: RequestsPerMinute = None


class Key(BaseModel):
    """A key, without the key itself."""

    id: str
    name: str
    scopes: list[Scope]
    requests_per_minute: int | None
    created_at: datetime
    last_used_at: datetime | None = Field(description="to the minute")
    revoked_at: datetime | None


class MadeKey(Key):
    """A key that was just made."""

    key: str = Field(
        description="the key itself, shown this once: send it as `Authorization: Bearer ACCOUNT.KEY`"
    )


class Keys(BaseModel):
    """All keys of an account."""

    data: list[Key]


@router.post("", status_code=201)
def create_key(body: NewKey, caller: Admin, tools: With) -> MadeKey:
    """Make a key."""
    with writing(tools.engine) as connection:
        key_id, auth = keys.create(
            connection,
            caller.account_id,
            body.name,
            body.scopes,
            tools.now,
            actor=caller.actor,
            requests_per_minute=body.requests_per_minute,
        )
        made = _found(connection, caller.account_id, key_id)
    return MadeKey(**made.model_dump(), key=auth)


@router.get("")
def list_keys(caller: Admin, tools: With) -> Keys:
    """All keys, revoked ones too."""
    with reading(tools.engine) as connection:
        return Keys(data=[_key(row) for row in store.of_account(connection, caller.account_id)])


@router.get("/{key_id}", responses=documented(404))
def get_key(key_id: str, caller: Admin, tools: With) -> Key:
    """A key, and when it was last used."""
    with reading(tools.engine) as connection:
        return _found(connection, caller.account_id, key_id)


@router.patch("/{key_id}", responses=documented(404, 409))
def change_key(key_id: str, body: KeyChange, caller: Admin, tools: With) -> Key:
    """Change a key's name or limit; what it may do stays. Not one that is revoked."""
    given = body.model_dump(exclude_unset=True)
    if "name" in given and given["name"] is None:
        raise FieldError("name", "name is null: leave it out to keep it as it is.")
    with writing(tools.engine) as connection:
        keys.change(connection, caller.account_id, key_id, given, tools.now, actor=caller.actor)
        return _found(connection, caller.account_id, key_id)


@router.delete("/{key_id}", responses=documented(404))
def revoke_key(key_id: str, caller: Admin, tools: With) -> Key:
    """Revoke a key: from now on it opens nothing. One that is revoked already stays so."""
    with writing(tools.engine) as connection:
        keys.revoke(connection, caller.account_id, key_id, tools.now, actor=caller.actor)
        return _found(connection, caller.account_id, key_id)


def _found(connection: Connection, account_id: str, key_id: str) -> Key:
    row = store.get(connection, account_id, key_id)
    if row is None:
        raise keys.no_key()
    return _key(row)


def _key(row: AnyRow) -> Key:
    return Key.model_validate(row._mapping, from_attributes=True)
