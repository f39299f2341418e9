"""Whose DND lists a call heeds."""

from __future__ import annotations

from typing import Any

#: In a call's `metadata`: the campaign that it is a test of.
TEST_OF = "test_of"


def campaign_heeded(call: Any) -> str | None:
    """The campaign whose DND lists a call heeds besides its account's global one: its own, or the one that it is a test
    of. Apps write metadata, too: it may be anybody's, or none."""
    heeded: str | None = call.campaign_id or (call.metadata or {}).get(TEST_OF)
    return heeded
