"""`client.providers`: who may carry the account's calls."""

from __future__ import annotations

from collections.abc import Sequence

from dialer.client.answers import Provider
from dialer.client.answers import Providers as AllProviders
from dialer.client.group import Group


class Providers(Group):
    """Providers."""

    def list(self) -> Sequence[Provider]:
        """Those that the account may use, in the order in which they are tried."""
        return self._get(AllProviders, "providers")["data"]
