"""Which kinds of provider can carry what a campaign says."""

from __future__ import annotations

from dialer.calls.flow import Flow
from dialer.providers.contract import Capability
from dialer.providers.kinds import adapter_class, adapter_kinds


def why_unable(kind: str, language: str, *, has_text: bool, has_media: bool, flow: Flow | None) -> list[str]:
    """Why a campaign with this message cannot go through a provider of this kind: one sentence each."""
    adapter = adapter_class(kind)
    if flow is not None:
        return adapter.check_flow(flow, language)
    return adapter.check_campaign(language, has_text, has_media)


def kinds_that_can(capability: Capability) -> list[str]:
    """The kinds of provider that have this capability."""
    return [kind for kind in adapter_kinds() if capability in adapter_class(kind).capabilities]
