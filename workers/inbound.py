"""Calls that came in: what their events say is put together, and becomes CDRs; what a rule does beside answering is
done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.calls import inbound, opt_out
from dialer.calls.inbound import Given, Told
from dialer.db import utc_now, writing
from dialer.lifecycle import AttemptState
from dialer.logs import get_logger
from dialer.models.inbound import InboundAction
from dialer.numbers import NumberError, to_e164
from dialer.providers.contract import Fact
from dialer.providers.live import Asks, Question
from dialer.settings import get_settings
from dialer.store import accounts, cdrs, providers
from dialer.store import inbound as store
from dialer.store.tables import AnyRow, Rows
from workers import call_back
from workers.call_back import Wanted
from workers.together import all_or_each

log = get_logger(__name__)

#: Calls settled in one transaction.
GROUP = 500


@dataclass(frozen=True, slots=True)
class Heard:
    """What one event says of a call that came in; `given` is what was answered to a question."""

    provider_id: str
    session: str
    told: tuple[Told, ...]
    given: Given | None = None


def heard_of(
    provider_id: str,
    facts: Sequence[Fact],
    question: Question | None,
    received_at: datetime,
    given: Mapping[str, Any] | None,
) -> list[Heard]:
    """What an event says of calls that came in; nothing where it speaks of our own. `given` is as it is stored."""
    found = [
        Heard(provider_id, fact.inbound.session, (Told.of(fact),))
        for fact in facts
        if fact.inbound is not None
    ]
    if question is not None and question.asks is Asks.INBOUND and question.session:
        asked = Told(received_at, AttemptState.PLACED, question.caller, question.called, asked=True)
        found.append(
            Heard(provider_id, question.session, (asked,), None if given is None else Given.from_json(given))
        )
    return found


def note(connection: Connection, heard: Sequence[Heard], now: datetime) -> None:
    """Write down what was heard: each call's facts, its CDR when it is over, and what its rule does besides."""
    by_session: dict[tuple[str, str], list[Heard]] = {}
    for one in heard:
        by_session.setdefault((one.provider_id, one.session[:200]), []).append(one)
    wanted: list[Wanted] = []
    told_of: set[str] = set()
    for (provider_id, session), of_call in sorted(by_session.items()):
        noted = _note_call(connection, provider_id, session, of_call, now)
        if isinstance(noted, Wanted):
            wanted.append(noted)
        elif noted is not None:
            told_of.add(noted)
    call_back.make(connection, wanted, now)
    call_back.time_again(connection, told_of, now)


def learn(connection: Connection, provider_id: str, facts: Sequence[Fact], now: datetime) -> None:
    """Write down what a provider's CDRs say of calls that came in, which it must have asked or told of before."""
    by_session: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.inbound is not None:
            by_session.setdefault(fact.inbound.session, []).append(fact)
    heard = []
    for call in store.lock_known(connection, provider_id, sorted(by_session)):
        told = [*map(Told.from_json, call.told)]
        if told:
            heard.append(Heard(provider_id, call.session, inbound.learned(told, by_session[call.session])))
    note(connection, heard, now)


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
) -> Wanted | str | None:
    """Who is to be called back for it, or, when that is planned already, the call in which they are."""
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
            "given": None,
            "callback_id": None,
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
    given = _newly_given(connection, call, told, heard)
    if given is not None:
        values.update(action=given.action and given.action.value, given=given.to_json())
    if given is not None and given.account_id:
        values["account_id"] = given.account_id
    elif call.account_id is None:
        values["account_id"] = _account_of(connection, provider_id, told)
    wanted = None if given is None else _besides(connection, call.id, given, told, now)
    known = _Call(call, values)
    known_summary = _summary(known, told)
    if known.account_id is not None and call.recorded:
        cdrs.update_settled(connection, [inbound.correction(known, known_summary)])
    elif known.account_id is not None and known_summary.is_over:
        cdrs.add(connection, [inbound.cdr(known, known_summary)])
        values["recorded"] = True
    store.update_call(connection, call.id, **values)
    return wanted or call.callback_id


class _Call:
    """A call's row with what is about to be written of it."""

    def __init__(self, row: AnyRow, values: dict[str, Any]) -> None:
        self._row, self._values = row, values

    def __getattr__(self, name: str) -> Any:
        return self._values[name] if name in self._values else getattr(self._row, name)


def _newly_given(
    connection: Connection, call: AnyRow, told: Sequence[Told], heard: Sequence[Heard]
) -> Given | None:
    """What the caller was given, where that becomes known now."""
    asked_at = min((one.at for one in told if one.asked), default=None)
    if asked_at is None or call.given is not None or call.action is not None:
        return None
    answered = [one for one in heard if one.given is not None]
    if answered:
        return min(answered, key=lambda one: one.told[0].at).given
    # Stored by a version that kept nothing of it: what was answered counts, and a rule that came later has answered
    # nobody.
    rule = _rule(connection, call.provider_id, told)
    return Given.by(rule) if rule is not None and rule.created_at <= asked_at else Given()


def _rule(connection: Connection, provider_id: str, told: Sequence[Told]) -> AnyRow | None:
    """The rule of the number that was called, as it is now."""
    called = next((one.called for one in told if one.called), "")
    return store.rule_of(connection, provider_id, called) if called else None


def _account_of(connection: Connection, provider_id: str, told: Sequence[Told]) -> str | None:
    """Whose call it is: of who has a rule for the number, or of who alone may use the provider."""
    rule = _rule(connection, provider_id, told)
    if rule is not None:
        return str(rule.account_id)
    row = providers.with_ids(connection, [provider_id]).get(provider_id)
    return None if row is None else row.account_id


def _summary(call: Any, told: Sequence[Told]) -> inbound.Summary:
    action = None if call.action is None else InboundAction(call.action)
    return inbound.summary(told, action, is_asked=any(one.asked for one in told))


def _besides(
    connection: Connection, inbound_call_id: str, given: Given, told: Sequence[Told], now: datetime
) -> Wanted | None:
    """What a rule does beside answering, once for each call; whom it calls back is left to `workers.call_back`."""
    if given.action not in (InboundAction.OPT_OUT, InboundAction.CALL_BACK):
        return None
    number = _number(connection, given.account_id, next((one.caller for one in told if one.caller), ""))
    if number is None:
        log.info("caller withheld", account_id=given.account_id, action=given.action)
        return None
    if given.action is InboundAction.OPT_OUT:
        opt_out.note(connection, [(given.account_id, number)], now)
        return None
    try:
        number = to_e164(number, None)
    except NumberError as error:  # shown, but no telephone's
        log.info("caller cannot be called back", account_id=given.account_id, error=error.reason)
        return None
    return Wanted(inbound_call_id, given, number, inbound.line_is_free_at(told, given, now))


def _number(connection: Connection, account_id: str, caller: str) -> str | None:
    """The caller in E.164; None for one who is withheld, or of whom nobody can say where the number is dialled."""
    if inbound.is_number(caller):
        return caller
    account = accounts.with_ids(connection, [account_id])[account_id]
    return inbound.number_within(caller, account.default_region or get_settings().default_region)
