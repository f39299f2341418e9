"""A kind of provider that connects two people and records them, in Mitto's words: so that tests of click-to-call
need no company's document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pytest

from dialer.providers import kinds, need
from dialer.providers.base import Adapter
from dialer.providers.contract import Capability, ProviderRequest, Submission
from dialer.providers.mitto import MittoAdapter

KIND = "connecting"


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


@pytest.fixture
def connecting(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Adapter]]:
    """There is such a kind."""
    monkeypatch.setitem(kinds.KINDS, KIND, f"{__name__}:ConnectingAdapter")  # type: ignore[arg-type] # a dict
    need._why_unable.cache_clear()
    yield ConnectingAdapter
    kinds.adapter_class.cache_clear()
    need._why_unable.cache_clear()
