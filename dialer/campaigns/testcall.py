"""A test call: one number hears what a campaign says, before everybody does. The campaign does not count it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from dialer import media
from dialer.calls import flow_form
from dialer.calls.by_hand import why_closed
from dialer.calls.single import NewSingle
from dialer.calls.window import closing_in_all, known_zone
from dialer.campaigns.change import request_of
from dialer.campaigns.release import window_of, window_of_account
from dialer.campaigns.template import Template, TemplateError
from dialer.dnd.applicable import TEST_OF
from dialer.errors import Conflict, FieldError, NotFound
from dialer.lifecycle import CallKind
from dialer.numbers import zones_of
from dialer.store import campaigns, contacts, dnd
from dialer.store.tables import AnyRow

#: Somebody waits for it: one that could not be dialled by then is not dialled any more.
TEST_LIFE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Spoken:
    """For whom a message is made: what fills its places."""

    fields: Mapping[str, str] = field(repr=False)
    name: str = field(default="", repr=False)
    language: str | None = None


def spoken_to(connection: Connection, row: AnyRow, e164: str | None) -> Spoken:
    """What a campaign says to this contact of its list; without a number, to the first of them. Raises `NotFound`."""
    found = contacts.person(connection, row.list_id, e164)
    if found is None:
        if e164 is None:
            return Spoken({})
        raise NotFound("contact", "contact: the campaign's list has no contact of this number; check it.")
    return Spoken(found.fields, found.name, found.language)


def call_of(
    connection: Connection,
    account: AnyRow,
    row: AnyRow,
    e164: str,
    to: Spoken,
    public_url: str,
    now: datetime,
) -> NewSingle:
    """A call to this number that says what the campaign says, through the campaign's provider if it has one of its own.
    `public_url` is where callbacks come.

    Raises `Conflict` for a number that stands on one of the campaign's DND lists or may not be rung at this hour, the
    campaign's window and the account's being asked, and `FieldError` when a field is missing.
    """
    wanted = request_of(connection, row)
    lists = campaigns.dnd_lists(connection, [row.id]).get(row.id, [])
    if dnd.listed(connection, lists, [e164]):
        raise Conflict("to", "to: the number stands on a DND list of this campaign, and is not rung.")
    if wanted.flow is not None and dnd.listed(connection, lists, sorted(wanted.flow.transfers())):
        raise Conflict(
            "campaign_id",
            "campaign_id: a number that the flow transfers to stands on a DND list of this campaign: take it out.",
        )
    zones = zones_of(e164) or (row.time_zone,)
    for window in (window_of(row, account), window_of_account(account)):
        closed = why_closed(window, zones, now)
        if closed is not None:
            raise Conflict("to", f"to: {closed} Test it then, or with the number of somebody who is awake.")
    values = {**to.fields, "contact_name": to.name, "contact_number": e164}
    try:
        text = None if wanted.text is None else Template.compile(wanted.text, "text").render(values)
        flow = None if wanted.flow is None else wanted.flow.rendered(values)
    except TemplateError as error:
        raise FieldError("fields", f"fields: {error}") from None
    need = replace(replace(wanted, provider_repeats=False).need, public_url=public_url)
    speech = asdict(wanted.speech)
    if to.language:
        speech["language_code"] = to.language
    return NewSingle(
        kind=CallKind.ANNOUNCEMENT,
        e164=e164,
        need=need,
        life=min([TEST_LIFE, *_open_for(row, account, zones, now)]),
        message={
            "capability": need.capabilities[0].value,
            "caller_id": wanted.caller_id,
            "text": text,
            "media": media.at_provider(wanted.recorded_filename),
            "flow": None if flow is None else flow_form.to_json(flow),
            "code": None,
            "connect_to": None,
            "record": False,
            **speech,
        },
        metadata={TEST_OF: row.id},
        provider=wanted.provider,
    )


def _open_for(row: AnyRow, account: AnyRow, zones: Sequence[str], now: datetime) -> list[timedelta]:
    """How long the windows stay open that close."""
    known = [zone for name in zones if (zone := known_zone(name)) is not None]
    closings = [
        closing_in_all(window, known, now) for window in (window_of(row, account), window_of_account(account))
    ]
    return [closes - now for closes in closings if closes is not None]
