"""What MTT's histories tell of calls that came in (`mtt-telecom-api.md`, getServiceHistoryByCustomer): how they ended,
what they cost, and which records there are of them.

An entry is found by `h323_conf_id`, with which MTT asks what becomes of a call (`getControlCallFollowMe`), or by that
of its incoming leg. Nothing is read of calls that we placed: no entry holds a reference of theirs. The reference calls
the times UTC with getCallHistory alone; they are taken for it, and where they are not, a call is found hours later.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import (
    CdrPage,
    EventError,
    Fact,
    Inbound,
    MethodRefusedError,
    ProviderRequest,
    Reply,
)
from dialer.providers.mtt import cost, currency
from dialer.providers.mtt_callback_methods import customer
from dialer.providers.mtt_history_methods import MOST_RECORDS, HistoryEntry, read_history, record_name
from dialer.providers.mtt_inbound import checked_session, ending
from dialer.providers.mtt_rpc import NOT_FOUND, rpc_request
from dialer.providers.reading import seconds

#: `type`, one after the other: histories of calls that came in.
TYPES = ("incoming", "missed", "forwarded")
#: `date_from`, `date_to`, `connect_time`.
TIME_FORMAT = "%Y-%m-%d %H:%M:%S"
#: An entry is there once its call is over, under the time at which that began.
LONGEST_CALL = timedelta(hours=4)


def cdr_request(adapter: Adapter, since: datetime, until: datetime, page: str | None) -> ProviderRequest:
    """See getServiceHistoryByCustomer. A page is a `type`, and where there is more of it than one reply holds, from
    when on it is asked for."""
    kind, _, begun = (page or TYPES[0]).partition(" ")
    params = {
        "type": kind,
        "customer_name": customer(adapter),
        "date_from": begun or _written(since - LONGEST_CALL),
        "date_to": _written(until),
        "order": "asc",
        "record_count": MOST_RECORDS,
    }
    return rpc_request(adapter, "getServiceHistoryByCustomer", params)


def read_cdrs(reply: Reply, page: str | None, until: datetime) -> CdrPage:
    """See the same. A `type` of which there is no data is one without calls."""
    kind, _, begun = (page or TYPES[0]).partition(" ")
    following = TYPES[TYPES.index(kind) + 1] if kind != TYPES[-1] else None
    try:
        entries = read_history(reply).get(kind, [])
    except MethodRefusedError as error:
        if error.word != str(NOT_FOUND):
            raise
        entries = []
    facts = tuple(fact for entry in entries for fact in facts_of(entry, until))
    if len(entries) < MOST_RECORDS:
        return CdrPage(facts, following)
    last = entries[-1]["connect_time"]
    # More calls of one second than one reply holds: those behind them cannot be asked for.
    return CdrPage(facts, is_cut=True) if last == begun else CdrPage(facts, f"{kind} {last}")


def facts_of(entry: HistoryEntry, until: datetime) -> Iterator[Fact]:
    """What an entry says of the call, by each of its names. Who was connected for some time was answered."""
    disposition, hangup_cause = ending(str(entry.get("disconnect_cause", "")))
    connected = seconds(str(entry.get("used_quantity", "")))
    names = (entry.get("h323_conf_id", ""), entry.get("h323_incoming_conf_id", ""))
    recorded = entry.get("voice_record_exist") is True and names[0]
    for session in dict.fromkeys(filter(None, map(_session, names))):
        yield Fact(
            attempt_id="",
            state=AttemptState.ENDED,
            disposition=Disposition.ANSWERED if connected else disposition,
            hangup_cause=hangup_cause,
            at=_read(entry["connect_time"]) or until,
            duration=None,
            billsec=connected,
            cost=cost(entry.get("charged")),
            currency=currency(entry.get("curr")),
            inbound=Inbound(session),
            recording_name=record_name(names[0]) if recorded else "",
        )


def _session(name: str) -> str | None:
    try:
        return checked_session(name)
    except EventError:
        return None


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(TIME_FORMAT)


def _read(written: str) -> datetime | None:
    try:
        return datetime.strptime(written, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
