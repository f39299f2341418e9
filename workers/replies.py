"""Replies: what providers answered to submits is written, and decides what becomes of each call."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from dialer.calls import single
from dialer.calls.ledger import Ledger
from dialer.campaigns import carriers
from dialer.lifecycle import AttemptState, Disposition
from dialer.logs import get_logger
from dialer.models.event import SUBMIT
from dialer.pace.breaker import Breaker, Heard, Tally, after
from dialer.providers.contract import Outcome, Refusal, SubmitResult
from dialer.store import attempts, calls, campaigns, events, providers, unknown_words
from dialer.store.tables import AnyRow
from workers.kept import asked_event

log = get_logger(__name__)

#: Rests end a little sooner or later, so that not all that waits comes at once.
JITTER = (0.7, 1.3)


def write(
    connection: Connection,
    results: Sequence[SubmitResult],
    now: datetime,
    *,
    probes: Collection[str] = (),
    tally: Tally | None = None,
) -> set[str]:
    """Write what providers answered; the providers whose breaker that has opened. `probes` are the attempts that
    half-open breakers let through; `tally` is what this process has kept from the breakers so far."""
    by_attempt: Mapping[str, SubmitResult] = {result.attempt_id: result for result in results}
    locked = attempts.lock(connection, sorted(by_attempt))
    their_calls = calls.lock(connection, sorted({row.call_id for row in locked.values()}))
    # Only what a call ends with asks for its campaign, and what goes to another provider.
    refused = [row for row in locked.values() if by_attempt[row.id].outcome is Outcome.REFUSED]
    unreached = [row for row in locked.values() if _was_not_reached(by_attempt[row.id])]
    their_campaigns = campaigns.with_ids(
        connection, sorted({row.campaign_id for row in (*refused, *unreached) if row.campaign_id})
    )
    not_here = [row for row in refused if by_attempt[row.id].refusal is Refusal.NOT_HERE]
    go_elsewhere = _have_others(
        connection, not_here, their_calls, their_campaigns, now, at_once=False
    ) | _have_others(connection, unreached, their_calls, their_campaigns, now, at_once=True)
    ledger = Ledger(now)
    holds: dict[str, datetime] = {}
    pauses: dict[str, str] = {}
    unable: dict[str, str] = {}
    heard: dict[str, Heard] = {}
    for attempt_id, attempt in locked.items():
        result = by_attempt[attempt_id]
        call = their_calls[attempt.call_id]
        backs_off = _was_not_reached(result)
        _hear(heard.setdefault(attempt.provider_id, Heard()), result, is_probe=attempt_id in probes)
        if result.outcome is Outcome.NOT_PROCESSED:
            until = now + timedelta(seconds=result.retry_after or 1.0)
            holds[attempt.provider_id] = max(until, holds.get(attempt.provider_id, until))
        elif result.refusal is Refusal.PROVIDER:
            pauses[attempt.provider_id] = _storable(result.detail) or "refused for its own reasons"
        elif result.refusal is Refusal.NOT_HERE:
            unable[attempt.provider_id] = _storable(result.detail)
            alone = call.id not in go_elsewhere  # else the next release asks somebody else
            # Nobody on a campaign's list is lost for a setting of ours.
            backs_off = alone and attempt.campaign_id is not None
            if alone and not backs_off:
                result = replace(result, refusal=Refusal.BAD_REQUEST)
        # Whom it did not reach comes last for its next try, so it need not wait where there is somebody else.
        if backs_off and call.id not in go_elsewhere:
            result = replace(result, retry_after=backoff(call.unsent + 1, most=300.0))
        campaign = their_campaigns.get(attempt.campaign_id or "")
        _note(ledger, attempt, call, campaign, result, now, backs_off=backs_off)
    for provider_id, reason in unable.items():
        log.error("provider is not set up for such calls", provider_id=provider_id, reason=reason)
    telling = {provider_id for provider_id, one in heard.items() if one.matters}
    if tally is not None:
        for provider_id in heard.keys() - telling:
            tally.add(provider_id, heard[provider_id].good, now)
        for provider_id in telling:
            heard[provider_id].before = tally.take(provider_id, now)
    told = {provider_id: heard[provider_id] for provider_id in telling}
    opened = _tell(connection, holds, pauses, told, now)
    ledger.write(connection)
    _keep_unheard_of(connection, locked, by_attempt, now)
    return opened


def _keep_unheard_of(
    connection: Connection,
    locked: Mapping[str, AnyRow],
    by_attempt: Mapping[str, SubmitResult],
    now: datetime,
) -> None:
    """Keep and count what was answered in words that are in no table, for people to read."""
    odd = [
        row
        for row in locked.values()
        if by_attempt[row.id].unheard_of and row.state == AttemptState.SUBMITTING
    ]
    if not odd:
        return
    for row in odd:
        log.warning("provider's reply not understood", attempt_id=row.id, provider_id=row.provider_id)
    replies = [
        asked_event(
            row.provider_id,
            SUBMIT,
            row.id,
            "text/plain",
            by_attempt[row.id].unheard_of.encode(),
            now,
            is_odd=True,
        )
        for row in odd
    ]
    events.add(connection, replies)
    unknown_words.count(connection, Counter(row.provider_id for row in odd), now)


def _have_others(
    connection: Connection,
    failed: Sequence[AnyRow],
    their_calls: Mapping[str, AnyRow],
    their_campaigns: Mapping[str, AnyRow],
    now: datetime,
    *,
    at_once: bool,
) -> set[str]:
    """The calls of these attempts, by id, that another provider may carry, or may at once."""
    singles = [(their_calls[row.call_id], row.provider_id) for row in failed if row.campaign_id is None]
    of_campaigns = [
        (their_calls[row.call_id], their_campaigns[row.campaign_id], row.provider_id)
        for row in failed
        if row.campaign_id in their_campaigns
    ]
    found = single.have_others(connection, singles, now, at_once=at_once) if singles else set()
    if of_campaigns:
        found |= carriers.have_others(connection, of_campaigns, now, at_once=at_once)
    return found


def _was_not_reached(result: SubmitResult) -> bool:
    """Not what was given back before it was sent: that says when it may go."""
    return result.outcome is Outcome.NOT_SENT and result.retry_after is None


def _hear(heard: Heard, result: SubmitResult, *, is_probe: bool) -> None:
    """How one submit fared, for its provider's breaker."""
    is_bad = result.outcome is Outcome.UNKNOWN or _was_not_reached(result)
    if not is_bad and (
        result.outcome is Outcome.NOT_SENT or not result.asked
    ):  # it says nothing of the provider
        heard.is_void = heard.is_void or is_probe
        return
    heard.bad += is_bad
    heard.good += not is_bad
    heard.unreached += _was_not_reached(result)
    if is_probe:
        heard.probe = not is_bad


def _tell(
    connection: Connection,
    holds: Mapping[str, datetime],
    pauses: Mapping[str, str],
    heard: Mapping[str, Heard],
    now: datetime,
) -> set[str]:
    """Note what concerns whole providers: nothing, while all is well. Those whose breaker has opened."""
    opened: set[str] = set()
    touched = providers.with_ids(connection, {*holds, *pauses, *heard}) if holds or pauses or heard else {}
    # In the order in which release takes them, so that two transactions never wait for each other.
    for provider_id in sorted(touched, key=lambda one: (touched[one].priority, touched[one].name)):
        if provider_id in holds:
            providers.hold(connection, provider_id, holds[provider_id])
        if provider_id in pauses:
            log.error("provider paused", provider_id=provider_id, reason=pauses[provider_id])
            providers.pause(connection, provider_id, pauses[provider_id])
        if provider_id in heard and _tell_breaker(connection, provider_id, heard[provider_id], now):
            opened.add(provider_id)
    return opened


def _tell_breaker(connection: Connection, provider_id: str, heard: Heard, now: datetime) -> bool:
    """Whether it has opened."""
    row = providers.lock_breaker(connection, provider_id)
    if row is None:
        return False  # removed meanwhile
    before = Breaker.of(row)
    breaker = after(before, heard, now, random.uniform(*JITTER))  # noqa: S311 - jitter
    if breaker == before:
        return False
    providers.update(connection, provider_id, **breaker.columns())
    has_opened = breaker.trips > before.trips
    if has_opened:
        cause = "not reached" if heard.unreached == heard.bad else "failing"
        log.warning("provider left alone", provider_id=provider_id, cause=cause, times=breaker.trips)
    elif before.trips and not breaker.trips:
        log.info("provider in use again", provider_id=provider_id)
    return has_opened


def _note(
    ledger: Ledger,
    attempt: AnyRow,
    call: AnyRow,
    campaign: AnyRow | None,
    result: SubmitResult,
    now: datetime,
    *,
    backs_off: bool,
) -> None:
    """One reply, by its outcome class (docs/providers.md, outcomes)."""
    detail = _storable(result.detail)
    if result.outcome is Outcome.PLACED:
        ledger.placed(attempt, call, _storable(result.provider_reference or "") or None, detail)
    elif result.outcome is Outcome.NOT_SENT:
        due_at = now + timedelta(seconds=result.retry_after or 0.0)
        ledger.not_placed(attempt, call, due_at, detail, backs_off=backs_off)
    elif result.outcome is Outcome.NOT_PROCESSED:
        ledger.not_placed(attempt, call, now, detail)  # the next release chooses another one, or waits
    elif result.outcome is Outcome.UNKNOWN:
        ledger.unknown(attempt, call, detail)
    elif result.refusal in (Refusal.PROVIDER, Refusal.NOT_HERE):
        due_at = now + timedelta(seconds=result.retry_after or 0.0)
        ledger.not_placed(attempt, call, due_at, detail, to_state=AttemptState.REFUSED, backs_off=backs_off)
    else:
        by_number = result.refusal is Refusal.BAD_NUMBER
        disposition = Disposition.INVALID_NUMBER if by_number else Disposition.FAILED
        ledger.refused(attempt, call, campaign, result.disposition or disposition, detail)


def _storable(text: str) -> str:
    """PostgreSQL holds every character but NUL."""
    return text.replace("\x00", "")


def backoff(times: int, *, most: float) -> float:
    """Seconds to wait before the next try after `times` failures: doubling from one second, with jitter."""
    return min(most, 2.0 ** (min(times, 16) - 1) * random.uniform(*JITTER))  # noqa: S311 - jitter
