"""The client itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import httpx

from dialer.client.account import Account
from dialer.client.audit import Audit
from dialer.client.callbacks import Callbacks
from dialer.client.calls import Calls
from dialer.client.campaigns import Campaigns
from dialer.client.cdrs import Cdrs
from dialer.client.dnd_lists import DndLists
from dialer.client.imports import Imports
from dialer.client.inbound_rules import InboundRules
from dialer.client.keys import Keys
from dialer.client.lists import Lists
from dialer.client.media import Media
from dialer.client.providers import Providers
from dialer.client.templates import Templates
from dialer.client.verifications import Verifications
from dialer.client.webhooks import Webhooks
from dialer.client.wire import Wire


class Client:
    """One account's view of a Dialer, by `/v1`. A context manager: connections are kept until it ends.

    Every method raises `ClientError`. What only reads, and asking for calls, is tried up to five times; nothing else
    is tried again. Iterators ask when they are iterated over.
    """

    def __init__(
        self,
        url: str,
        account: str,
        key: str,
        *,
        timeout: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url`: the API's, such as `https://dialer.example.com`; `account`: `AC…`; `timeout`: seconds without a byte;
        `transport`: another way to the API than httpx's own, such as through a proxy. Raises ValueError for what can be
        none of them."""
        self._wire = wire = Wire(url, account, key, timeout, sleep, transport)
        self.account = Account(wire)
        self.audit = Audit(wire)
        self.callbacks = Callbacks(wire)
        self.calls = Calls(wire)
        self.campaigns = Campaigns(wire)
        self.cdrs = Cdrs(wire)
        self.dnd_lists = DndLists(wire)
        self.imports = Imports(wire)
        self.inbound_rules = InboundRules(wire)
        self.keys = Keys(wire)
        self.lists = Lists(wire)
        self.media = Media(wire)
        self.providers = Providers(wire)
        self.templates = Templates(wire)
        self.verifications = Verifications(wire)
        self.webhooks = Webhooks(wire)

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
