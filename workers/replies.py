"""Replies: what providers answered to submits is written, and decides what becomes of each call."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection

from dialer.calls.ledger import Ledger
from dialer.lifecycle import AttemptState, Disposition
from dialer.logs import get_logger
from dialer.providers.contract import Outcome, Refusal, SubmitResult
from dialer.store import attempts, calls, campaigns, providers
from dialer.store.tables import AnyRow

log = get_logger(__name__)

#: How long a provider that was not reached is left alone at most.
LONGEST_REST = timedelta(seconds=60)


def write(connection: Connection, results: Sequence[SubmitResult], now: datetime) -> None:
    """Write what providers answered."""
    by_attempt: Mapping[str, SubmitResult] = {result.attempt_id: result for result in results}
    locked = attempts.lock(connection, sorted(by_attempt))
    their_calls = calls.lock(connection, sorted({row.call_id for row in locked.values()}))
    # Only what a call ends with asks for its campaign.
    refused = [row for row in locked.values() if by_attempt[row.id].outcome is Outcome.REFUSED]
    their_campaigns = campaigns.with_ids(
        connection, sorted({row.campaign_id for row in refused if row.campaign_id})
    )
    ledger = Ledger(now)
    holds: dict[str, datetime] = {}
    pauses: dict[str, str] = {}
    unreached: dict[str, datetime] = {}
    reached: set[str] = set()
    for attempt_id, attempt in locked.items():
        result = by_attempt[attempt_id]
        call = their_calls[attempt.call_id]
        backs_off = result.outcome is Outcome.NOT_SENT and result.retry_after is None
        if result.outcome is Outcome.NOT_PROCESSED:
            until = now + timedelta(seconds=result.retry_after or 1.0)
            holds[attempt.provider_id] = max(until, holds.get(attempt.provider_id, until))
        elif result.refusal is Refusal.PROVIDER:
            pauses[attempt.provider_id] = _storable(result.detail) or "refused for its own reasons"
        elif backs_off:
            result = replace(result, retry_after=backoff(call.unsent + 1, most=300.0))
            until = now + timedelta(seconds=result.retry_after or 0.0)
            unreached[attempt.provider_id] = min(until, unreached.get(attempt.provider_id, until))
        else:
            reached.add(attempt.provider_id)
        campaign = their_campaigns.get(attempt.campaign_id or "")
        _note(ledger, attempt, call, campaign, result, now, backs_off=backs_off)
    # A provider that none of them reached is left alone for a while, longer each time, and others carry its calls.
    for provider_id in sorted(unreached.keys() - reached - holds.keys()):
        log.warning("provider not reached", provider_id=provider_id)
        holds[provider_id] = min(unreached[provider_id], now + LONGEST_REST)
    # In the order in which release takes them, so that two transactions never wait for each other.
    touched = providers.with_ids(connection, {*holds, *pauses}) if holds or pauses else {}
    for provider_id in sorted(touched, key=lambda one: (touched[one].priority, touched[one].name)):
        if provider_id in holds:
            providers.hold(connection, provider_id, holds[provider_id])
        if provider_id in pauses:
            log.error("provider paused", provider_id=provider_id, reason=pauses[provider_id])
            providers.pause(connection, provider_id, pauses[provider_id])
    ledger.write(connection)


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
        ledger.not_placed(attempt, call, now + timedelta(seconds=result.retry_after or 1.0), detail)
    elif result.outcome is Outcome.UNKNOWN:
        ledger.unknown(attempt, call, detail)
    elif result.refusal is Refusal.PROVIDER:
        ledger.not_placed(attempt, call, now, detail, to_state=AttemptState.REFUSED)
    else:
        by_number = result.refusal is Refusal.BAD_NUMBER
        disposition = Disposition.INVALID_NUMBER if by_number else Disposition.FAILED
        ledger.refused(attempt, call, campaign, result.disposition or disposition, detail)


def _storable(text: str) -> str:
    """PostgreSQL holds every character but NUL."""
    return text.replace("\x00", "")


def backoff(times: int, *, most: float) -> float:
    """Seconds to wait before the next try after `times` failures: doubling from one second, with jitter."""
    return min(most, 2.0 ** (min(times, 16) - 1) * random.uniform(0.7, 1.3))  # noqa: S311 - jitter
