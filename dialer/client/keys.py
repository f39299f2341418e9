"""`client.keys`: the keys of the account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from dialer.client.answers import Key, MadeKey
from dialer.client.answers import Keys as AllKeys
from dialer.client.bodies import KeyChange, NewKey
from dialer.client.group import Group


class Keys(Group):
    """Keys."""

    def create(self, **key: Unpack[NewKey]) -> MadeKey:
        """Make a key. The key itself is shown this once."""
        return self._post(MadeKey, "keys", body=key)

    def list(self) -> Sequence[Key]:
        """All keys, revoked ones too."""
        return self._get(AllKeys, "keys")["data"]

    def get(self, key_id: str, /) -> Key:
        """A key, and when it was last used."""
        return self._get(Key, "keys", key_id)

    def change(self, key_id: str, /, **changes: Unpack[KeyChange]) -> Key:
        """Change a key's name or limit; what is left out stays."""
        return self._patch(Key, "keys", key_id, body=changes)

    def revoke(self, key_id: str, /) -> Key:
        """Revoke a key: from now on it opens nothing."""
        revoked: Key = self._wire.ask("DELETE", "keys", key_id)
        return revoked
