"""`client.calls`: calls asked for one by one or by the thousand, and what became of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal, Unpack

from dialer.client.bodies import NewCall
from dialer.client.call_answers import AcceptedCall, AcceptedCalls, Attempt, Attempts, Call, Event, Events
from dialer.client.group import PAGE_SIZE, Group
from dialer.client.parts import CallState


class Calls(Group):
    """Calls, single ones and those of campaigns."""

    def create(self, *, idempotency_key: str | None = None, **call: Unpack[NewCall]) -> AcceptedCall:
        """Ask for a call; the API's `from` is `from_` here.

        It is asked for again until there is an answer, under an `Idempotency-Key` of its own unless one is given: it is
        made once. The key of what failed stands in the error.
        """
        accepted: AcceptedCall = self._ask(_without_underscore(call), idempotency_key)
        return accepted

    def create_many(
        self, calls: Sequence[NewCall], *, idempotency_key: str | None = None
    ) -> Sequence[AcceptedCall]:
        """Ask for up to 1,000 calls: all of them, or none. The answers are in the order of the calls; otherwise as
        `create`."""
        accepted: AcceptedCalls = self._ask(
            {"calls": [_without_underscore(one) for one in calls]}, idempotency_key
        )
        return accepted["calls"]

    def _ask(self, body: Any, idempotency_key: str | None) -> Any:
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        return self._wire.ask("POST", "calls", body=body, idempotency_key=key)

    def list(
        self,
        *,
        state: CallState | Sequence[CallState] | None = None,
        purpose: Literal["otp", "transactional", "announcement", "click_to_call", "callback", "campaign"]
        | None = None,
        to: str | None = None,
        campaign_id: str | None = None,
        created_from: datetime | str | None = None,
        created_before: datetime | str | None = None,
        page_size: int = PAGE_SIZE,
    ) -> Iterator[Call]:
        """All calls of these kinds, the newest first; `state`: one state, or any of several."""
        params = {
            "state": state,
            "purpose": purpose,
            "to": to,
            "campaign_id": campaign_id,
            "created_from": created_from,
            "created_before": created_before,
        }
        return self._pages(Call, "calls", page_size=page_size, params=params)

    def get(self, call_id: str, /) -> Call:
        """A call and where it stands."""
        return self._get(Call, "calls", call_id)

    def attempts(self, call_id: str, /) -> Sequence[Attempt]:
        """Every dial of a call, in order."""
        return self._get(Attempts, "calls", call_id, "attempts")["data"]

    def events(self, call_id: str, /) -> Sequence[Event]:
        """What providers told of a call, in the order of arrival; the first 500."""
        return self._get(Events, "calls", call_id, "events")["data"]

    def cancel(self, call_id: str, /) -> Call:
        """Have a call not dialled (any more)."""
        return self._post(Call, "calls", call_id, "cancel")


def _without_underscore(call: NewCall) -> dict[str, Any]:
    """`from` is a word of Python."""
    return {"from" if name == "from_" else name: value for name, value in call.items()}
