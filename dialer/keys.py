"""Keys: what an app shows to act for an account, and what each of them may do.

The key that `dialer account create` shows is the account's own and may do everything. Further ones (`AK…`) have scopes,
and can be revoked one by one. A key is shown once, when it is made; only its hash is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection

from dialer import ids
from dialer.errors import Conflict, NotFound
from dialer.secrets import hash_auth, new_auth_key
from dialer.store import audit, keys


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"  # see what the account has: calls, campaigns, CDRs, lists
    CALL = "call"  # make and cancel single calls, callbacks, verifications
    CAMPAIGN = "campaign"  # make, start, change and stop campaigns; lists, DND lists, imports, templates
    ADMIN = "admin"  # keys, outgoing webhooks, the audit log; and everything else


EVERY_SCOPE = frozenset(Scope)

#: Characters of a key's name, at most.
LONGEST_NAME = 100

#: How the audit log names the account's own key.
OWN_KEY = "account"
#: … and whoever uses the command line.
OPERATOR = "operator"


def may(scopes: Collection[Scope], needed: Scope) -> bool:
    """Whether a key with these scopes may do what needs one of them: `admin` may do everything."""
    return needed in scopes or Scope.ADMIN in scopes


def create(
    connection: Connection,
    account_id: str,
    name: str,
    scopes: Iterable[Scope],
    now: datetime,
    *,
    actor: str,
    requests_per_minute: int | None = None,
) -> tuple[str, str]:
    """A new key of an account: its id and the key itself, which is not kept. `actor`: who made it."""
    key_id, auth = ids.key_id(), new_auth_key()
    allowed = sorted({scope.value for scope in scopes})
    keys.add(
        connection,
        {
            "id": key_id,
            "account_id": account_id,
            "name": name,
            "auth_hash": hash_auth(auth),
            "scopes": allowed,
            "requests_per_minute": requests_per_minute,
            "created_at": now,
        },
    )
    audit.add(connection, account_id, actor, "key.create", key_id, now, scopes=allowed)
    return key_id, auth


def change(
    connection: Connection,
    account_id: str,
    key_id: str,
    given: Mapping[str, Any],
    now: datetime,
    *,
    actor: str,
) -> None:
    """Set a key's `name` or `requests_per_minute` (None: the one of every key), as far as given; its scopes stay.

    Raises `NotFound`, and `Conflict` for one that is revoked.
    """
    held = keys.get(connection, account_id, key_id, lock=True)
    if held is None:
        raise no_key()
    if held.revoked_at is not None:
        raise Conflict("key_id", "key_id: this key is revoked, and opens nothing any more: make another one.")
    if given:
        keys.update(connection, account_id, key_id, **given)
        audit.add(connection, account_id, actor, "key.change", key_id, now, changed=dict(given))


def revoke(connection: Connection, account_id: str, key_id: str, now: datetime, *, actor: str) -> None:
    """Void a key from now on; one that is revoked already stays so. Raises `NotFound`."""
    if keys.revoke(connection, account_id, key_id, now):
        audit.add(connection, account_id, actor, "key.revoke", key_id, now)
    elif keys.get(connection, account_id, key_id) is None:
        raise no_key()


def no_key() -> NotFound:
    """The answer about another account's key, and about none."""
    return NotFound("key_id", "key_id: this account has no such key; check the id.")
