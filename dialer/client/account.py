"""`client.account`: the account itself."""

from __future__ import annotations

from dialer.client.answers import Account as Ours
from dialer.client.group import Group


class Account(Group):
    """The account whose key is shown."""

    def get(self) -> Ours:
        """The account, as its operator set it up."""
        return self._get(Ours, "account")
