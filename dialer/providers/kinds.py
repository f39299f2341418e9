"""The kinds of provider that there is an adapter for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import cache

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderConfig, ProviderSettingError

#: Where the adapter of each kind lives. Imported when first used.
KINDS: Mapping[str, str] = {
    "cpaas": "dialer.providers.cpaas:CpaasAdapter",
    "iotcomms": "dialer.providers.iotcomms:IotcommsAdapter",
    "mitto": "dialer.providers.mitto:MittoAdapter",
    "mitto-flash": "dialer.providers.mitto_flash:MittoFlashAdapter",
    "mtt-callback": "dialer.providers.mtt_callback:MttCallbackAdapter",
    "mtt-sms": "dialer.providers.mtt_sms:MttSmsAdapter",
    "mtt-voice": "dialer.providers.mtt_voice:MttVoiceAdapter",
}


def adapter_kinds() -> list[str]:
    """The kinds of provider that there is an adapter for, sorted."""
    return sorted(KINDS)


def modules() -> list[str]:
    """The modules that the adapters live in, for processes that will need all of them."""
    return [where.partition(":")[0] for where in KINDS.values()]


@cache
def adapter_class(kind: str) -> type[Adapter]:
    """The adapter of a kind. Raises ProviderSettingError for an unknown kind."""
    where = KINDS.get(kind)
    if where is None:
        raise ProviderSettingError(f"There is no provider kind {kind!r}; choose one of {', '.join(KINDS)}.")
    module, _, name = where.partition(":")
    found: type[Adapter] = getattr(importlib.import_module(module), name)
    return found


def make_adapter(config: ProviderConfig) -> Adapter:
    """The adapter of a configured provider.

    Raises ProviderSettingError, one sentence: unknown kind, unusable base URL, missing or unknown setting.
    """
    return adapter_class(config.kind)(config)
