"""Kinds of provider that connect two people, one that records them and one that cannot, in Mitto's words: so that tests
of click-to-call need no company's document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from dialer.providers import kinds, need
from dialer.providers.base import Adapter
from dialer.providers.contract import Capability, ProviderRequest, Submission
from dialer.providers.mitto import MittoAdapter

KIND = "connecting"
DEAF = "deaf"


class ConnectingAdapter(MittoAdapter):
    """Speaks of calls as Mitto does."""

    kind: ClassVar[str] = KIND
    capabilities = frozenset(
        {
            Capability.CLICK_TO_CALL,
            Capability.RECORDING,
            Capability.RECORD_ONE_SIDE,
            Capability.RING_SEVERAL,
            Capability.CONNECT_AT_ONCE,
            Capability.TALK_PROMPTS,
            Capability.TRANSCRIPT,
        }
    )

    def build_request(self, submission: Submission) -> ProviderRequest:
        body = {"reference": submission.attempt_id, "agent": submission.to, "other": submission.connect_to}
        return ProviderRequest("POST", "connect", json=body)


class DeafAdapter(ConnectingAdapter):
    """Connects two people, and records nobody."""

    kind: ClassVar[str] = DEAF
    capabilities = frozenset({Capability.CLICK_TO_CALL})


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Adapter]]:
    """There are such kinds."""
    for adapter in (ConnectingAdapter, DeafAdapter):
        monkeypatch.setitem(kinds.KINDS, adapter.kind, f"{__name__}:{adapter.__name__}")  # type: ignore[arg-type] # a dict
    need._why_unable.cache_clear()
    yield ConnectingAdapter
    kinds.adapter_class.cache_clear()
    need._why_unable.cache_clear()
