"""Callbacks to people who have called in: made once at a time, when their line is free, within the account's calling
window. DND lists are looked at when one is dialled, as for every call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from dialer import ids
from dialer.calls import inbound, single, talk_form
from dialer.calls.click_to_call import NewClickToCall
from dialer.calls.inbound import Given, Told
from dialer.calls.repeats import RepeatPolicy, Rule
from dialer.calls.single import NewSingle
from dialer.calls.talk import Ring
from dialer.calls.window import (
    DEFAULT_WINDOW,
    CallingWindow,
    WindowError,
    closing_in_all,
    known_zone,
    next_opening_in_all,
)
from dialer.lifecycle import CallKind, Disposition
from dialer.logs import get_logger
from dialer.numbers import zones_of
from dialer.providers.need import why_unable
from dialer.speech import Speech
from dialer.store import accounts, calls, providers, singles
from dialer.store import inbound as store
from dialer.store.tables import AnyRow

log = get_logger(__name__)

#: How long a callback is worth making, from the moment at which it may be made.
LIFE = timedelta(hours=1)
#: Whoever is on the telephone again is called back later, as often as this and while the callback is worth making.
REPEATS = RepeatPolicy({Disposition.BUSY: Rule(3, (60, 120, 300))})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody (E.164) who is to be called back, and the call that they came in with."""

    inbound_call_id: str
    given: Given = field(repr=False)
    caller: str = field(repr=False)
    free_at: datetime


def make(connection: Connection, wanted: Iterable[Wanted], now: datetime) -> None:
    """Plan a call to each of them; whoever is to be called back already is called back for this call, too."""
    # In one order, so that of two consumers one waits for the other, and never each for the other.
    for one in sorted(wanted, key=lambda each: (each.given.account_id, each.caller)):
        _make(connection, one, now)


def time_again(connection: Connection, callback_ids: Iterable[str], now: datetime) -> None:
    """Something was told of calls that came in: their callers are called back when all of those calls are over."""
    for callback_id in sorted(callback_ids):
        _time_again(connection, callback_id, now)


def _make(connection: Connection, wanted: Wanted, now: datetime) -> None:
    given, caller = wanted.given, wanted.caller
    # A telephone that is forwarded to us shows our own number, and would be called back for ever.
    if caller in (given.e164, *given.numbers) or store.has_rule(connection, caller):
        log.info("not called back, the caller is one of our numbers", account_id=given.account_id)
        return
    account = accounts.with_ids(connection, [given.account_id])[given.account_id]
    times = _times(account, caller, max(now, wanted.free_at))
    if times is None:
        return
    due_at, expires_at = times
    (call_id,) = ids.call_ids(1, now)
    new = replace(_pair(connection, given, caller, expires_at - due_at), repeat_policy=REPEATS)
    row = single.new_row(call_id, account, new, now, due_at) | {"reason": "called in"}
    is_new = singles.add_callback(connection, row, {"call_id": call_id, **new.message})
    planned = call_id if is_new else singles.open_callback(connection, given.account_id, caller)
    if planned is None:
        return  # they have just been called back
    store.update_call(connection, wanted.inbound_call_id, callback_id=planned)
    if not is_new:
        _time_again(connection, planned, now)


def _pair(connection: Connection, given: Given, caller: str, life: timedelta) -> NewSingle:
    """The call that connects them with the first of the rule's numbers that answers; with the first number alone where
    no provider of the account can ring the others, too."""
    first, *others = given.rung
    pair = NewClickToCall(
        caller,
        first.number,
        given.e164,
        given.record,
        talk=talk_form.stored_prompts(given.prompts),
        speech=Speech(language_code=given.language_code, voice=given.voice),
    )
    ring = Ring(tuple(others), seconds=first.seconds, of_other=True)
    several = replace(pair, talk=replace(pair.talk, ring=ring)).single(CallKind.CALLBACK, life)
    carriers = providers.enabled(connection, given.account_id) if others else []
    if any(not why_unable(row.kind, several.need) for row in carriers):
        return several
    return pair.single(CallKind.CALLBACK, life)


def _time_again(connection: Connection, callback_id: str, now: datetime) -> None:
    call = singles.lock_undialled(connection, callback_id)
    if call is None:
        return
    # Read under the lock: whoever is told of another call of theirs at the same time comes after us, and sees ours.
    came_in = store.of_callback(connection, callback_id)
    free_at = max(
        inbound.line_is_free_at([*map(Told.from_json, row.told)], Given.from_json(row.given), now)
        for row in came_in
    )
    account = accounts.with_ids(connection, [call.account_id])[call.account_id]
    times = _times(account, call.e164, max(now, free_at))
    if times is not None and times != (call.due_at, call.expires_at):
        due_at, expires_at = times
        calls.update(connection, [{"_id": call.id, "due_at": due_at, "expires_at": expires_at}])


def _times(account: AnyRow, e164: str, free_at: datetime) -> tuple[datetime, datetime] | None:
    """When somebody whose line is free from then on may be called back, and until when; None for never."""
    window = DEFAULT_WINDOW if account.calling_window is None else CallingWindow.parse(account.calling_window)
    try:
        zones = _zones(zones_of(e164) or (account.time_zone,))
        due_at = next_opening_in_all(window, zones, free_at)
    except WindowError as error:
        log.warning("caller cannot be called back", account_id=account.id, error=str(error))
        return None
    # What has not been dialled when the window closes is not dialled at all.
    closes_at = closing_in_all(window, zones, due_at)
    return due_at, min(due_at + LIFE, closes_at or due_at + LIFE)


def _zones(names: Sequence[str]) -> list[ZoneInfo]:
    """Raises `WindowError` for one that is not known."""
    zones = []
    for name in names:
        zone = known_zone(name)
        if zone is None:
            raise WindowError(f"the time zone {name} is not known here")
        zones.append(zone)
    return zones
