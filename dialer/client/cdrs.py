"""`client.cdrs`: call detail records, one by one or all of them in one stream."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict, Unpack

from dialer.client.call_answers import Cdr
from dialer.client.group import PAGE_SIZE, Group
from dialer.client.parts import DialStatus, Disposition


class Filter(TypedDict):
    """Which CDRs: those with a `call_date` from `from_` until just before `to`, and so on."""

    campaign_id: NotRequired[str | None]
    call_id: NotRequired[str | None]
    from_: NotRequired[datetime | str | None]
    to: NotRequired[datetime | str | None]
    disposition: NotRequired[Disposition | None]
    dial_status: NotRequired[DialStatus | None]
    direction: NotRequired[Literal["outbound", "inbound"] | None]
    number: NotRequired[str | None]


class Cdrs(Group):
    """Call detail records."""

    def list(self, *, page_size: int = PAGE_SIZE, **chosen: Unpack[Filter]) -> Iterator[Cdr]:
        """All CDRs, the newest first."""
        return self._pages(Cdr, "cdrs", page_size=page_size, params=_params(chosen))

    def export_csv(self, **chosen: Unpack[Filter]) -> Iterator[bytes]:
        """All CDRs as a CSV file, in pieces, the oldest first, however many there are."""
        return self._wire.stream("cdrs.csv", params=_params(chosen))

    def export_jsonl(self, **chosen: Unpack[Filter]) -> Iterator[bytes]:
        """All CDRs as JSON lines, in pieces that need not end with a line, the oldest first."""
        return self._wire.stream("cdrs.jsonl", params=_params(chosen))


def _params(chosen: Filter) -> dict[str, Any]:
    return {"from" if name == "from_" else name: value for name, value in chosen.items()}
