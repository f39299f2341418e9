"""Drafts made of a campaign that is there: the same again, or only for those whom it did not reach."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from dialer.calls.repeats import UNANSWERED
from dialer.campaigns.change import request_of
from dialer.campaigns.create import SECOND_GENERATION, create_campaign, name_taken
from dialer.campaigns.progress import tally
from dialer.errors import Conflict, FieldError
from dialer.lifecycle import CampaignState, Disposition
from dialer.settings import Settings
from dialer.store import campaigns, contacts
from dialer.store.tables import AnyRow

#: Dispositions that a person may have dialled again; the last only by name, for they may have been reached.
REDIALLED = UNANSWERED | {Disposition.UNKNOWN}


def clone(
    connection: Connection, account: AnyRow, row: AnyRow, name: str, settings: Settings, now: datetime
) -> str:
    """A draft of the same list, message and rules; its id. Raises `Conflict` when its list is gone, and else as
    `create_campaign`."""
    _hold_list(connection, account, row)
    return copy(connection, account, row, name, row.list_id, settings, now)


def redial(
    connection: Connection,
    account: AnyRow,
    row: AnyRow,
    name: str,
    dispositions: Collection[Disposition],
    settings: Settings,
    now: datetime,
    *,
    undialled: bool,
) -> tuple[str, int]:
    """A draft for those whom a campaign did not reach, with a new list of them; its id, and how many they are.

    Raises `Conflict` for a campaign of which a call may still come to something and when nobody is left, `FieldError`
    for a disposition that must not be dialled again, and else as `create_campaign`.
    """
    for one in dispositions:
        if one not in REDIALLED:
            allowed = ", ".join(each for each in Disposition if each in REDIALLED)
            raise FieldError("dispositions", f"dispositions: {one} is not dialled again; use {allowed}.")
    counted = tally(connection, row.id)
    if counted.ended < counted.contacts or counted.state not in (
        CampaignState.FINISHED,
        CampaignState.STOPPED,
    ):
        raise Conflict(
            "campaign_id",
            f"campaign_id: this campaign is {counted.state}, and not every contact has an end: stop it, or wait.",
        )
    _hold_list(connection, account, row)
    lists = campaigns.dnd_lists(connection, [row.id]).get(row.id, [])
    try:
        list_id = contacts.add_list(connection, account.id, f"{name} (not reached by {row.id})", now)
    except IntegrityError:
        raise name_taken(SECOND_GENERATION) from None
    count = contacts.add_not_reached(
        connection, list_id, row, [one.value for one in dispositions], lists, undialled=undialled
    )
    if not count:
        raise Conflict(
            "campaign_id", "campaign_id: nobody of this campaign is left who could be dialled again so."
        )
    return copy(connection, account, row, name, list_id, settings, now), count


def _hold_list(connection: Connection, account: AnyRow, row: AnyRow) -> None:
    if contacts.hold_list(connection, account.id, row.list_id) is None:
        raise Conflict(
            "campaign_id", "campaign_id: the list of this campaign was deleted: make a new campaign."
        )


def copy(
    connection: Connection,
    account: AnyRow,
    row: AnyRow,
    name: str,
    list_id: str,
    settings: Settings,
    now: datetime,
) -> str:
    """A draft like this campaign, of another name and perhaps another list; its id. Raises as `create_campaign`."""
    start_at, end_at = dates_of_copy(row.start_at, row.end_at, now)
    wanted = replace(
        request_of(connection, row), name=name, list_id=list_id, start_at=start_at, end_at=end_at
    )
    return create_campaign(connection, account, wanted, settings, now, words=SECOND_GENERATION, is_draft=True)


def dates_of_copy(start_at: datetime, end_at: datetime, now: datetime) -> tuple[datetime, datetime]:
    """Start and end of a copy made `now`: those of the original as far as they are to come, else as long from now."""
    start = max(start_at, now)
    return start, end_at if end_at > start else start + max(end_at - start_at, timedelta(minutes=1))
