"""Accounts are made and given new keys. A key is shown once, when it is made; only its hash is kept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from dialer import ids
from dialer.errors import Conflict, NotFound
from dialer.secrets import hash_auth, new_auth_key
from dialer.store import accounts, dnd


def create(connection: Connection, name: str, now: datetime, **values: Any) -> tuple[str, str]:
    """A new account with its global DND list: its id and its auth key. `values` are further columns.

    Raises `Conflict` when the name is taken.
    """
    if accounts.named(connection, name) is not None:
        raise Conflict("name", f"There is an account named {name!r} already: choose another name.")
    account_id, auth = ids.account_id(), new_auth_key()
    accounts.add(
        connection,
        {"id": account_id, "name": name, "auth_hash": hash_auth(auth), "created_at": now, **values},
    )
    dnd.add_list(connection, account_id, dnd.GLOBAL_NAME, now, is_global=True)
    return account_id, auth


def rotate(connection: Connection, name: str) -> tuple[str, str]:
    """A new auth key for the account of this name: its id and the key. The old key is void at once.

    Raises `NotFound`.
    """
    account = accounts.named(connection, name)
    if account is None:
        raise NotFound("name", f"There is no account named {name!r}.")
    auth = new_auth_key()
    accounts.update(connection, account.id, auth_hash=hash_auth(auth))
    return account.id, auth
