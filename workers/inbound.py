"""Calls that came in: what their events say is put together, and becomes CDRs; what a rule does beside answering is
done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.calls import inbound, opt_out
from dialer.calls.inbound import Told
from dialer.calls.window import (
    DEFAULT_WINDOW,
    CallingWindow,
    WindowError,
    closing_in_all,
    known_zone,
    next_opening_in_all,
)
from dialer.db import utc_now, writing
from dialer.lifecycle import AttemptState, CallKind, CallState
from dialer.logs import get_logger
from dialer.models.inbound import InboundAction
from dialer.numbers import NumberError, to_e164, zone_of, zones_of
from dialer.providers.contract import Capability, Fact
from dialer.providers.live import Asks, Question
from dialer.settings import get_settings
from dialer.speech import Speech
from dialer.store import accounts, cdrs, providers, singles
from dialer.store import inbound as store
from dialer.store.tables import AnyRow, Rows
from workers.together import all_or_each

log = get_logger(__name__)

#: How long a call back is worth making, from the moment at which it may be made.
CALL_BACK_LIFE = timedelta(hours=1)
#: Calls settled in one transaction.
GROUP = 500


@dataclass(frozen=True, slots=True)
class Heard:
    """What one event says of a call that came in; `question` is what was asked with it."""

    provider_id: str
    session: str
    told: tuple[Told, ...]
    question: Question | None = None


@dataclass(frozen=True, slots=True)
class _CallBack:
    """Somebody who is to be called back by a rule, a row, when they are off the line."""

    rule: AnyRow = field(repr=False)
    caller: str = field(repr=False)
    free_at: datetime


def heard_of(
    provider_id: str, facts: Sequence[Fact], question: Question | None, received_at: datetime
) -> list[Heard]:
    """What an event says of calls that came in; nothing where it speaks of our own."""
    found = [
        Heard(provider_id, fact.inbound.session, (Told.of(fact),))
        for fact in facts
        if fact.inbound is not None
    ]
    if question is not None and question.asks is Asks.INBOUND and question.session:
        asked = Told(received_at, AttemptState.PLACED, question.caller, question.called, asked=True)
        found.append(Heard(provider_id, question.session, (asked,), question))
    return found


def note(connection: Connection, heard: Sequence[Heard], now: datetime) -> None:
    """Write down what was heard: each call's facts, its CDR when it is over, and what its rule does besides."""
    by_session: dict[tuple[str, str], list[Heard]] = {}
    for one in heard:
        by_session.setdefault((one.provider_id, one.session[:200]), []).append(one)
    found = [
        _note_call(connection, provider_id, session, of_call, now)
        for (provider_id, session), of_call in sorted(by_session.items())
    ]
    # In one order, so that of two consumers one waits for the other, and never each for the other.
    wanted = [one for one in found if one is not None]
    for call_back in sorted(wanted, key=lambda each: (each.rule.account_id, each.caller)):
        _call_back(connection, call_back, now)


def settle(engine: Engine) -> int:
    """Calls of which nothing has been told for long end, with a CDR that says what is known. How many were due."""
    with writing(engine) as connection:
        now = utc_now(connection)
        due = store.lock_unsettled(connection, now - inbound.SETTLE_AFTER, GROUP)
        all_or_each(connection, due, partial(_settle, connection), partial(_give_up, connection))
    return len(due)


def _settle(connection: Connection, due: Rows) -> None:
    rows = [
        inbound.cdr(call, _summary(call, list(map(Told.from_json, call.told))))
        for call in due
        if call.account_id is not None and call.told
    ]
    cdrs.add(connection, rows)
    store.mark_recorded(connection, [call.id for call in due])


def _give_up(connection: Connection, call: AnyRow) -> None:
    """An odd one has no CDR; what was told of it is kept."""
    store.mark_recorded(connection, [call.id])


def _note_call(
    connection: Connection, provider_id: str, session: str, heard: Sequence[Heard], now: datetime
) -> _CallBack | None:
    new = [told for one in heard for told in one.told]
    (call_id,) = ids.call_ids(1, now)
    call = store.lock_call(
        connection,
        {
            "id": call_id,
            "provider_id": provider_id,
            "session": session,
            "account_id": None,
            "action": None,
            "told": [],
            "recorded": False,
            "started_at": min(told.at for told in new),
        },
    )
    told = inbound.together(map(Told.from_json, call.told), new)
    values: dict[str, Any] = {
        "told": [one.to_json() for one in told],
        "started_at": min(one.at for one in told),
    }
    called = next((one.called for one in told if one.called), "")
    rule = store.rule_of(connection, provider_id, called) if called and _lacks(call, told) else None
    if call.account_id is None:
        values["account_id"] = rule.account_id if rule is not None else _owner(connection, provider_id)
    asked_at = min((one.at for one in told if one.asked), default=None)
    wanted = None
    # What was answered counts: a rule that came later has answered nobody.
    if call.action is None and asked_at is not None and rule is not None and rule.created_at <= asked_at:
        values["action"] = rule.action
        caller = next((one.caller for one in told if one.caller), "")
        wanted = _besides(connection, rule, caller, asked_at, now)
    known = _Call(call, values)
    known_summary = _summary(known, told)
    if known.account_id is not None and call.recorded:
        cdrs.update_settled(connection, [inbound.correction(known, known_summary)])
    elif known.account_id is not None and known_summary.is_over:
        cdrs.add(connection, [inbound.cdr(known, known_summary)])
        values["recorded"] = True
    store.update_call(connection, call.id, **values)
    return wanted


class _Call:
    """A call's row with what is about to be written of it."""

    def __init__(self, row: AnyRow, values: dict[str, Any]) -> None:
        self._row, self._values = row, values

    def __getattr__(self, name: str) -> Any:
        return self._values[name] if name in self._values else getattr(self._row, name)


def _lacks(call: AnyRow, told: Sequence[Told]) -> bool:
    """Whether the rule is still to be looked for: whose call it is, or what became of it, is not known."""
    return call.account_id is None or (call.action is None and any(one.asked for one in told))


def _summary(call: Any, told: Sequence[Told]) -> inbound.Summary:
    action = None if call.action is None else InboundAction(call.action)
    return inbound.summary(told, action, is_asked=any(one.asked for one in told))


def _owner(connection: Connection, provider_id: str) -> str | None:
    """The account of a provider that only one may use."""
    row = providers.with_ids(connection, [provider_id]).get(provider_id)
    return None if row is None else row.account_id


def _besides(
    connection: Connection, rule: AnyRow, caller: str, asked_at: datetime, now: datetime
) -> _CallBack | None:
    """What a rule does beside answering, once for each call; whom it calls back is left to `_call_back`."""
    if rule.action not in (InboundAction.OPT_OUT, InboundAction.CALL_BACK):
        return None
    number = _number(connection, rule.account_id, caller)
    if number is None:
        log.info("caller withheld", account_id=rule.account_id, action=rule.action)
        return None
    if rule.action == InboundAction.OPT_OUT:
        opt_out.note(connection, [(rule.account_id, number)], now)
        return None
    try:
        number = to_e164(number, None)
    except NumberError as error:  # shown, but no telephone's
        log.info("caller cannot be called back", account_id=rule.account_id, error=error.reason)
        return None
    return _CallBack(rule, number, inbound.off_the_line(rule, asked_at))


def _number(connection: Connection, account_id: str, caller: str) -> str | None:
    """The caller in E.164; None for one who is withheld, or of whom nobody can say where the number is dialled."""
    if inbound.is_number(caller):
        return caller
    account = accounts.with_ids(connection, [account_id])[account_id]
    return inbound.number_within(caller, account.default_region or get_settings().default_region)


def _call_back(connection: Connection, wanted: _CallBack, now: datetime) -> None:
    """A call to the caller, connected with the rule's first number: when they are off the line, within the account's
    calling window, and not while another one is under way. DND lists are looked at when it is dialled, as for every
    call."""
    rule, caller = wanted.rule, wanted.caller
    # A telephone that is forwarded to us shows our own number, and would be called back for ever.
    if caller in (rule.e164, *rule.numbers) or store.has_rule(connection, caller):
        log.info("not called back, the caller is one of our numbers", account_id=rule.account_id)
        return
    account = accounts.with_ids(connection, [rule.account_id])[rule.account_id]
    window = DEFAULT_WINDOW if account.calling_window is None else CallingWindow.parse(account.calling_window)
    try:
        zones = _zones(zones_of(caller) or (account.time_zone,))
        due_at = next_opening_in_all(window, zones, max(now, wanted.free_at))
    except WindowError as error:
        log.warning("caller cannot be called back", account_id=rule.account_id, error=str(error))
        return
    # What has not been dialled when the window closes is not dialled at all.
    closes_at = closing_in_all(window, zones, due_at)
    expires_at = min(due_at + CALL_BACK_LIFE, closes_at or due_at + CALL_BACK_LIFE)
    (call_id,) = ids.call_ids(1, now)
    singles.add_callback(
        connection,
        {
            "id": call_id,
            "account_id": rule.account_id,
            "kind": CallKind.CALLBACK.value,
            "e164": caller,
            "time_zone": zone_of(caller) or account.time_zone,
            "state": CallState.WAITING.value,
            "due_at": due_at,
            "released_at": None,
            "rung_at": None,
            "expires_at": expires_at,
            "provider_id": None,
            "dials": 0,
            "unsent": 0,
            "repeats": {},
            "reason": "called in",
            "created_at": now,
        },
        {
            "call_id": call_id,
            "capability": Capability.CLICK_TO_CALL.value,
            "caller_id": rule.e164,
            "text": None,
            "code": None,
            "connect_to": rule.numbers[0],
            "record": rule.record,
            **asdict(Speech(language_code=rule.language_code, voice=rule.voice)),
        },
    )


def _zones(names: Sequence[str]) -> list[ZoneInfo]:
    """Raises `WindowError` for one that is not known."""
    zones = []
    for name in names:
        zone = known_zone(name)
        if zone is None:
            raise WindowError(f"the time zone {name} is not known here")
        zones.append(zone)
    return zones
