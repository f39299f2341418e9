"""Openings: when a campaign's calling window is changed, the calls that wait for it are given the next opening anew.

There may be a million of them, so it is a pass over them, a page in each visit of the scheduler; its place stands in
the campaign's row. Meanwhile the new window holds all the same, for it is asked in the claim: a call that the pass has
not come to yet may be dialled later than it could be, never outside the window.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection

from dialer.calls.gate import Reason
from dialer.calls.window import CallingWindow, known_zone, next_opening
from dialer.store import calls, campaigns
from dialer.store.tables import AnyRow

#: Waiting calls that are looked at in one transaction.
PAGE = 1000
#: Before every call's `due_at`.
_START = datetime.fromtimestamp(0, UTC)


def begin(connection: Connection, campaign_id: str) -> None:
    """Have the pass begin (anew): the window of a campaign that this transaction holds has changed."""
    campaigns.update(connection, campaign_id, pass_due_at=_START, pass_call_id="")


def begin_of_account(connection: Connection, account_id: str, now: datetime) -> None:
    """The same of all campaigns of an account that are not over: its window has changed, which holds where a campaign
    has none of its own."""
    campaigns.begin_passes(connection, account_id, _START, now)


def step(connection: Connection, campaign: AnyRow, window: CallingWindow, now: datetime) -> bool:
    """Give the next page of waiting calls of a campaign that this transaction holds the opening of `window`; whether
    there may be more of them."""
    page = calls.waiting_after(
        connection, campaign.id, (campaign.pass_due_at, campaign.pass_call_id or ""), PAGE
    )
    openings: dict[str, datetime | None] = {}

    def due_at(call: AnyRow) -> datetime:
        until_now: datetime = call.due_at
        if call.reason != Reason.OUTSIDE_WINDOW:
            return until_now
        if call.time_zone not in openings:
            zone = known_zone(call.time_zone)
            openings[call.time_zone] = None if zone is None else next_opening(window, zone, now)
        opening = openings[call.time_zone]
        return until_now if opening is None else due_again(until_now, opening, now)

    _set_due(connection, [call.id for call in page if due_at(call) != call.due_at], due_at)
    is_over = len(page) < PAGE
    place: dict[str, Any] = {"pass_due_at": None, "pass_call_id": None}
    if not is_over:
        place = {"pass_due_at": page[-1].due_at, "pass_call_id": page[-1].id}
    campaigns.update(connection, campaign.id, **place)
    return not is_over


def due_again(due_at: datetime, opening: datetime, now: datetime) -> datetime:
    """When a call that waits for its window until `due_at` is due, now that the window opens next at `opening` (`now`:
    it is open). One that is due keeps its turn."""
    return opening if opening > now else min(due_at, now)


def _set_due(connection: Connection, call_ids: list[str], due_at: Callable[[AnyRow], datetime]) -> None:
    """Locked they are looked at again: some may be dialled, or wait for something else, by now."""
    held = calls.lock_waiting(connection, call_ids) if call_ids else []
    moved = [{"_id": call.id, "due_at": due} for call in held if (due := due_at(call)) != call.due_at]
    if moved:
        calls.update(connection, moved)
