"""Ringing somebody by hand, past the engine: whether the DND lists and the calling window allow it.

A few methods of providers ring somebody, and some of them tell whom (`Method.rung`). Whoever uses one has said that it
is meant; the lists are looked at all the same. Of one that rings a list of the provider's own the window alone can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from dialer.calls.window import DEFAULT_WINDOW, CallingWindow, closing, is_open, known_zone
from dialer.numbers import NumberError, to_e164, zones_of
from dialer.store import accounts, dnd
from dialer.store.tables import AnyRow

#: A user with fewer digits than this is the name of a device, and stands on no list.
SHORTEST_NUMBER = 5


def why_not(connection: Connection, provider: AnyRow, user: str, now: datetime) -> str | None:
    """Why this user of an address may not be rung through a provider at the moment `now` (aware); None when they may.
    The sentence does not hold the number. Of a number that may be in several zones, the window must be open in all.

    A provider of an account honours all lists and the window of the account, one that accounts share the lists of all
    of them and the usual window.
    """
    if sum(c.isdigit() for c in user) < SHORTEST_NUMBER:
        return None
    try:
        e164 = to_e164(user, None)
    except NumberError:
        return "It cannot be read as a number, and so not be looked for on the DND lists: write + and the country code."
    if dnd.is_listed_anywhere(connection, provider.account_id, e164):
        return "The number stands on a DND list, and is not rung."
    account = accounts.with_id(connection, provider.account_id) if provider.account_id else None
    window = _window_of(account)
    names = zones_of(e164) or (account.time_zone if account is not None else "UTC",)
    return why_closed(window, names, now)


def why_not_during(
    connection: Connection, provider: AnyRow, zone: ZoneInfo, begins_at: datetime, ends_at: datetime
) -> str | None:
    """Why people whom nobody here can look at may not be rung through a provider from one moment to another (aware), by
    the clocks of a zone; None when they may: the window is open all the time between."""
    account = accounts.with_id(connection, provider.account_id) if provider.account_id else None
    window = _window_of(account)
    closes_at = closing(window, zone, begins_at)
    is_always_open = closes_at is None and is_open(window, zone, begins_at)
    if is_always_open or (closes_at is not None and ends_at <= closes_at):
        return None
    return (
        "Whom it rings cannot be looked at here, so it must begin and end while the calling window is open, on one "
        f"day from {window.start:%H:%M} until {window.to_json()['end']} ({zone.key}): make one for each day."
    )


def _window_of(account: AnyRow | None) -> CallingWindow:
    given = account.calling_window if account is not None else None
    return CallingWindow.parse(given) if given else DEFAULT_WINDOW


def why_closed(window: CallingWindow, zones: Sequence[str], now: datetime) -> str | None:
    """Why somebody who may be in any of these time zones may not be rung at the moment `now`; None when they may."""
    for zone in (known_zone(name) or ZoneInfo("UTC") for name in zones):
        if not is_open(window, zone, now):
            where = f"there ({zone.key})" if len(zones) == 1 else f"where they may be ({zone.key})"
            return f"It is {now.astimezone(zone):%H:%M} {where}, outside the calling window."
    return None
