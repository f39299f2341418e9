"""What becomes of the next contacts of a campaign's list, as pure decisions; `release.py` asks and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dialer.calls import gate
from dialer.lifecycle import CallKind, CallState
from dialer.store.tables import AnyRow, Rows


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the next contact of a list."""

    contact: AnyRow
    state: CallState
    due_at: datetime
    reason: str = ""


def decide_fates(
    page: Rows,
    listed: set[str],
    opening: Callable[[str | None], datetime],
    want: int,
    now: datetime,
    end_at: datetime,
) -> list[Fate]:
    """What becomes of each contact, in order, until `want` of them are released.

    `listed` are the numbers on a DND list; `opening` gives the next moment at which a zone may be called.
    """
    fates: list[Fate] = []
    for contact in page:
        if contact.e164 in listed:
            fates.append(Fate(contact, CallState.SUPPRESSED, now, "on a DND list"))
            continue
        due_at = opening(contact.time_zone)
        if due_at >= end_at:
            fates.append(Fate(contact, CallState.EXPIRED, now, "no calling window before the campaign's end"))
        elif due_at > now:
            fates.append(Fate(contact, CallState.WAITING, due_at, gate.Reason.OUTSIDE_WINDOW.value))
        elif want > 0:
            fates.append(Fate(contact, CallState.RELEASED, now))
            want -= 1
        else:
            break
    return fates


def keep(fates: Sequence[Fate], granted: int) -> list[Fate]:
    """The fates up to, not including, the first released contact that no token is left for."""
    kept: list[Fate] = []
    for fate in fates:
        if fate.state is CallState.RELEASED:
            if granted <= 0:
                break
            granted -= 1
        kept.append(fate)
    return kept


def new_call(campaign: AnyRow, provider: AnyRow, fate: Fate, call_id: str, now: datetime) -> dict[str, Any]:
    """The row of a contact's call; `provider` carries it when it is released."""
    released = fate.state is CallState.RELEASED
    return {
        "id": call_id,
        "account_id": campaign.account_id,
        "kind": CallKind.CAMPAIGN.value,
        "campaign_id": campaign.id,
        "list_id": campaign.list_id,
        "position": fate.contact.position,
        "e164": fate.contact.e164,
        "time_zone": fate.contact.time_zone or campaign.time_zone,
        "state": fate.state.value,
        "due_at": fate.due_at,
        "released_at": now if released else None,
        "rung_at": now if released else None,
        "expires_at": None,
        "provider_id": provider.id if released else None,
        "dials": 0,
        "unsent": 0,
        "repeats": {},
        "disposition": None,
        "reason": fate.reason,
        "created_at": now,
        "ended_at": now if fate.state in (CallState.SUPPRESSED, CallState.EXPIRED) else None,
    }
