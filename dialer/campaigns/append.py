"""Contacts that join a campaign, whether it runs already or not: they are appended to its list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from dialer.calls import flow_form
from dialer.campaigns.create import SECOND_GENERATION, wanted_fields
from dialer.errors import Conflict
from dialer.imports.rows import RowError
from dialer.lifecycle import CampaignState
from dialer.store import campaigns, contacts
from dialer.store.contacts import NewContact
from dialer.store.tables import AnyRow

_OVER = frozenset({CampaignState.FINISHED, CampaignState.STOPPED})


def append(connection: Connection, row: AnyRow, good: Sequence[NewContact], now: datetime) -> list[bool]:
    """Append contacts to a campaign's list; for each, whether its number is new there. One that runs dials them.

    Raises `Conflict` for a campaign that is over, also when it has just come to be; the caller's transaction must then
    be rolled back.
    """
    # The list first, as whoever adds contacts does: two that wait for each other would wait for ever.
    new = contacts.add(connection, row.list_id, good, now)
    held = campaigns.lock(connection, row.account_id, row.id)
    if held is None or held.list_id != row.list_id:
        raise Conflict("campaign_id", "campaign_id: this campaign was changed meanwhile: try again.")
    if held.state in _OVER:
        raise Conflict(
            "campaign_id", f"campaign_id: this campaign is {held.state}, so nobody can join it any more."
        )
    if held.state != CampaignState.DRAFT and held.end_at <= now:
        raise Conflict(
            "campaign_id", "campaign_id: this campaign's end has passed, so nobody can join it any more."
        )
    return new


def fields_asked(row: AnyRow) -> list[str]:
    """The fields that a campaign's text or flow asks of every contact."""
    flow = None if row.flow is None else flow_form.stored(row.id, row.flow)
    return sorted({name for _, name in wanted_fields(row.announcement_text, flow, SECOND_GENERATION.text)})


def with_fields(contact: NewContact, wanted: Sequence[str]) -> NewContact:
    """The contact, if it has all of these fields. Raises `RowError`."""
    for name in wanted:
        if name not in contact.fields:
            raise RowError(
                "fields", name, f"The campaign asks for {{{name}}}, which this contact does not have: add it."
            )
    return contact
