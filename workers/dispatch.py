"""Dispatch: released calls become attempts at providers.

The way of a batch: *claim* (one transaction: lock the released calls, look once more at DND lists, window, campaign
and caps, take tokens from the pace, commit the attempts as SUBMITTING), *send* (concurrently, on this process's
one event loop and HTTP client), *write* (what came back, in one transaction per group of replies). Nothing is sent
before its attempt is committed, and nothing is sent twice: whoever loses track leaves an attempt whose fate is
unknown, for the reconciler.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine

from dialer import http, ids
from dialer.calls import gate
from dialer.calls.ledger import Ledger
from dialer.calls.window import known_zone
from dialer.campaigns.release import LOST_ZONE, paces_of, window_of
from dialer.campaigns.template import Template, TemplateError
from dialer.db import AWAY, utc_now, writing
from dialer.lifecycle import AttemptState, CallState, CampaignState, Disposition
from dialer.logs import get_logger, hide
from dialer.pace.limiter import Limiter, Stage
from dialer.providers.base import (
    Adapter,
    Outcome,
    ProviderConfig,
    ProviderError,
    Refusal,
    Submission,
    SubmitResult,
    make_adapter,
    submit,
)
from dialer.secrets import SecretBox, SecretError
from dialer.store import accounts, attempts, calls, campaigns, contacts, dnd, providers
from dialer.store.tables import AnyRow

log = get_logger(__name__)

#: Seconds: from the first byte to the whole answer; a worker that is not back after the lease is given up.
HTTP_DEADLINE = 10.0
LEASE = timedelta(seconds=30)
#: A claim older than this is given back instead of sent: the process was frozen, and a pause, a DND entry or a
#: 429 may have come meanwhile.
FRESH = 0.5
#: How long a provider that was not reached is left alone at most.
LONGEST_REST = timedelta(seconds=60)
#: Seconds by which a hold must be longer than the one that stands to be told to the other processes.
SAME_WAVE = 0.2
#: How long a doorbell waits for tokens or for a free place before it leaves its calls to the next doorbell.
PATIENCE = 3.0
#: Seconds that a claim waits for more places and a write for more replies, so that they come in batches.
LINGER = 0.02
#: … and for a provider that has all the requests in flight that it may, and answers none.
CROWDED_PATIENCE = 0.5
#: How long replies are tried to be written before the lease makes their attempts UNKNOWN.
WRITE_PATIENCE = 20.0

Clock = Callable[[Connection], datetime]


@dataclass(frozen=True, slots=True)
class Placement:
    """A committed attempt on its way out."""

    submission: Submission
    call_id: str
    provider_id: str
    adapter: Adapter
    claimed_at: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought: attempts to send, calls that found no token, seconds until one is there, and calls whose
    provider has as many in flight as it may."""

    placements: tuple[Placement, ...] = ()
    refused: tuple[str, ...] = ()
    wait: float = 0.0
    crowded: tuple[str, ...] = ()


class Dispatcher:
    """Places calls; one per process. `place` is called by tasks, everything else runs on the loop's thread."""

    def __init__(
        self,
        engine: Engine,
        limiter: Limiter,
        adapters: AdapterCache,
        *,
        in_flight: int,
        clock: Clock = utc_now,
    ) -> None:
        self._engine = engine
        self._limiter = limiter
        self._adapters = adapters
        self._clock = clock
        self._in_flight = in_flight
        # Some places more than one provider may take.
        self._all_places = in_flight + max(1, in_flight // 4)
        self._places = threading.Semaphore(self._all_places)
        self._in_flight_to: Counter[str] = Counter()
        self._held: dict[str, float] = {}
        self._strikes: dict[str, int] = {}
        # asyncio itself holds tasks only weakly.
        self._sending: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatch", daemon=True)
        self._thread.start()
        self._ready.wait()

    def place(self, call_ids: Sequence[str]) -> int:
        """Place these calls as far as they are still released and the pace allows; how many went out.

        Returns once they are on their way, not when they are answered. Raises `redis.RedisError` and
        `SQLAlchemyError` with nothing claimed.
        """
        pending = list(call_ids)
        placed = 0
        moved_at = time.monotonic()
        give_up = moved_at + PATIENCE
        while pending and time.monotonic() < give_up:
            free = self._reserve(len(pending), give_up)
            claim = Claim()
            try:
                if free:
                    claim = self._claim(pending[:free])
            finally:
                self._give_back(free - len(claim.placements))
            self._in_flight_to.update(placement.provider_id for placement in claim.placements)
            self._send_all(claim.placements)
            placed += len(claim.placements)
            pending = [*claim.refused, *claim.crowded, *pending[free:]]
            if claim.placements:
                moved_at = time.monotonic()
            elif claim.crowded and time.monotonic() > moved_at + CROWDED_PATIENCE:
                break  # it hangs: calls of other providers must not wait behind its own
            if claim.refused or claim.crowded:
                wait = max(claim.wait if claim.refused else 0.0, LINGER)
                time.sleep(max(0.0, min(wait, give_up - time.monotonic())))
        return placed

    def drain(self, timeout: float) -> bool:
        """Wait until everything in flight is answered and written; False when `timeout` seconds were not enough."""
        until = time.monotonic() + timeout
        taken = 0
        for _ in range(self._all_places):
            if not self._places.acquire(timeout=max(0.0, until - time.monotonic())):
                break
            taken += 1
        self._give_back(taken)
        return taken == self._all_places

    def close(self) -> None:
        """Stop the loop; call after `drain`."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()

    def _reserve(self, wanted: int, give_up: float) -> int:
        """Places for up to `wanted` requests: waits for the first one, and a moment for half of all there are."""
        if not self._places.acquire(timeout=max(0.0, give_up - time.monotonic())):
            return 0
        free = 1
        until = time.monotonic() + LINGER
        while free < wanted:
            patience = until - time.monotonic() if free < self._in_flight // 2 else 0.0
            if not self._places.acquire(timeout=max(0.0, patience)):
                break
            free += 1
        return free

    def _give_back(self, places: int) -> None:
        if places:
            self._places.release(places)

    def _claim(self, call_ids: Sequence[str]) -> Claim:
        claimed_at = _now()  # before anything is read that could be out of date when a frozen process wakes
        with writing(self._engine) as connection:
            now = self._clock(connection)
            room = self._room_of
            return claim(
                connection, self._limiter, self._adapters, call_ids, now, room=room, claimed_at=claimed_at
            )

    def _room_of(self, provider_id: str) -> int:
        """How many more requests may be in flight to one provider: one that hangs must not take every place."""
        return self._in_flight - self._in_flight_to[provider_id]

    # --- on the loop's thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._client = http.make_client(self._all_places)
        self._replies: asyncio.Queue[tuple[Placement, SubmitResult]] = asyncio.Queue()
        self._writer = self._loop.create_task(self._write_replies())
        self._ready.set()
        self._loop.run_forever()

    async def _end(self) -> None:
        left = [self._writer, *self._sending]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._client.aclose()

    def _send_all(self, placements: Sequence[Placement]) -> None:
        if placements:
            self._loop.call_soon_threadsafe(self._start, placements)

    def _start(self, placements: Sequence[Placement]) -> None:
        for placement in placements:
            task = self._loop.create_task(self._send(placement))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, placement: Placement) -> None:
        result = self._why_not(placement)
        if result is None:
            trace = http.Trace(may_send=lambda: self._why_not(placement) is None)
            result = await submit(
                self._client, placement.adapter, placement.submission, timeout=HTTP_DEADLINE, trace=trace
            )
            if result.outcome is Outcome.NOT_SENT and trace.connected:
                result = self._why_not(placement) or result
        if result.outcome is Outcome.NOT_PROCESSED:
            result = await self._hold(placement, result)
        elif result.outcome is Outcome.PLACED:
            self._strikes.pop(placement.provider_id, None)
        await self._replies.put((placement, result))

    def _why_not(self, placement: Placement) -> SubmitResult | None:
        attempt_id = placement.submission.attempt_id
        if _now() - placement.claimed_at > FRESH:
            return SubmitResult(
                attempt_id, Outcome.NOT_SENT, retry_after=0.0, detail="given back: claimed too long ago"
            )
        held = self._held.get(placement.provider_id, 0.0) - _now()
        if held > 0:
            return SubmitResult(
                attempt_id, Outcome.NOT_SENT, retry_after=held, detail="given back: provider held"
            )
        return None

    async def _hold(self, placement: Placement, result: SubmitResult) -> SubmitResult:
        """After a 429 nobody calls the provider until its time is over: not here, and in no other process."""
        provider_id = placement.provider_id
        left = self._held.get(provider_id, 0.0) - _now()
        seconds = result.retry_after
        if seconds is None and left > 0:
            seconds = left  # all that were in flight get a 429; together they are one strike
        elif seconds is None:
            strikes = self._strikes[provider_id] = self._strikes.get(provider_id, 0) + 1
            seconds = backoff(strikes, most=60.0)
        if seconds > left + SAME_WAVE:
            self._held[provider_id] = _now() + seconds
            await self._share_hold(provider_id, seconds)
        return SubmitResult(
            result.attempt_id, result.outcome, retry_after=seconds, detail=result.detail or "HTTP 429"
        )

    async def _share_hold(self, provider_id: str, seconds: float) -> None:
        try:
            await asyncio.to_thread(self._limiter.hold, provider_id, seconds)
        except Exception as error:  # noqa: BLE001 - without Redis nothing is granted anyway; the row holds it too
            log.warning("hold not shared", provider_id=provider_id, error=type(error).__name__)
        log.info("provider held", provider_id=provider_id, seconds=round(seconds, 3))

    async def _write_replies(self) -> None:
        """Write what came back, in groups: a transaction costs much the same for one reply as for a hundred."""
        while True:
            group = [await self._replies.get()]
            if self._sending:  # more will come
                await asyncio.sleep(LINGER)
            while not self._replies.empty() and len(group) < 500:
                group.append(self._replies.get_nowait())
            try:
                await self._write_group(group)
            finally:
                self._in_flight_to.subtract(placement.provider_id for placement, _ in group)
                self._give_back(len(group))

    async def _write_group(self, group: Sequence[tuple[Placement, SubmitResult]]) -> None:
        give_up = time.monotonic() + WRITE_PATIENCE
        pause = 0.05
        while True:
            try:
                await asyncio.to_thread(self._write, group)
            except AWAY as error:
                log.warning("replies not written yet", calls=len(group), error=type(error).__name__)
                if time.monotonic() > give_up:
                    log.error("replies given up; their attempts become UNKNOWN", calls=len(group))
                    return
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)
            except Exception:
                if len(group) > 1:  # one reply that cannot be written must not cost the others theirs
                    for one in group:
                        await self._write_group([one])
                    return
                log.exception(
                    "reply given up; its attempt becomes UNKNOWN", attempt_id=group[0][1].attempt_id
                )
                return
            else:
                return

    def _write(self, group: Sequence[tuple[Placement, SubmitResult]]) -> None:
        with writing(self._engine) as connection:
            write(connection, [result for _, result in group], self._clock(connection))


class AdapterCache:
    """Adapters by provider, made anew when the provider's row changes. Credentials are opened only here."""

    def __init__(self, box: SecretBox, *, reconcile_after: float | None) -> None:
        self._box = box
        self._reconcile_after = reconcile_after
        self._made: dict[str, tuple[tuple[str, str, str], Adapter]] = {}

    def of(self, provider: AnyRow) -> Adapter:
        """Raises `ProviderError` or `SecretError`, a sentence each."""
        key = (provider.kind, provider.base_url, provider.credentials)
        known = self._made.get(provider.id)
        if known is None or known[0] != key:
            settings = self._box.open(provider.credentials)
            hide(*settings.values())
            config = ProviderConfig(provider.id, provider.name, provider.kind, provider.base_url, settings)
            known = self._made[provider.id] = (key, make_adapter(config))
        return known[1]

    def settle_within(self, adapter: Adapter) -> timedelta:
        """After which an attempt without a final event is settled."""
        if self._reconcile_after is None:
            return adapter.final_event_within
        return timedelta(seconds=self._reconcile_after)


def claim(
    connection: Connection,
    limiter: Limiter,
    adapters: AdapterCache,
    call_ids: Sequence[str],
    now: datetime,
    *,
    room: Callable[[str], int] = lambda _: sys.maxsize,
    claimed_at: float | None = None,
) -> Claim:
    """Claim those of the calls that are released and may be dialled at `now`; must be committed before sending.

    In the same transaction: what is on a DND list ends suppressed, what must wait goes back to wait, what has run out
    of time ends, the pace grants its tokens, and the attempts are written as SUBMITTING.
    """
    claimed_at = _now() if claimed_at is None else claimed_at
    released = calls.lock_released(connection, call_ids)
    if not released:
        return Claim()
    facts = _Facts(connection, released, now)
    ledger = Ledger(now)
    ready: dict[tuple[str | None, str], list[tuple[AnyRow, Adapter, Submission]]] = {}
    for call in released:
        prepared = _prepare(call, facts, adapters, ledger, now)
        if prepared is not None:
            ready.setdefault((call.campaign_id, call.provider_id), []).append((call, *prepared))
            facts.note_dial(call, now)
    placements: list[Placement] = []
    refused: list[str] = []
    crowded: list[str] = []
    rows = []
    wait = 0.0
    for (campaign_id, provider_id), prepared_calls in ready.items():
        provider = facts.providers[provider_id]
        paces = paces_of(
            facts.campaigns.get(campaign_id or ""), facts.accounts[prepared_calls[0][0].account_id], provider
        )
        free = max(0, room(provider_id))
        batch = prepared_calls[:free]
        crowded += [call.id for call, _, _ in prepared_calls[free:]]
        if not batch:
            continue
        grant = limiter.take(Stage.SEND, provider_id, paces, len(batch))
        for call, adapter, submission in batch[: grant.calls]:
            ledger.dial(call, call.dials + 1)
            rows.append(_new_attempt(call, submission, now, now + adapters.settle_within(adapter)))
            placements.append(Placement(submission, call.id, provider_id, adapter, claimed_at))
        for call, _, _ in batch[grant.calls :]:
            if grant.blocker == "hold":
                ledger.wait(call, now + timedelta(seconds=grant.wait), "provider held")
            else:
                refused.append(call.id)
                wait = max(wait, grant.wait)
    if rows:
        attempts.add(connection, rows)
    ledger.write(connection)
    return Claim(tuple(placements), tuple(refused), wait, tuple(crowded))


class _Facts:
    """What must be known of a batch of calls before they are dialled, read in a handful of statements."""

    def __init__(self, connection: Connection, released: Sequence[AnyRow], now: datetime) -> None:
        campaign_ids = sorted({call.campaign_id for call in released if call.campaign_id})
        self.campaigns = campaigns.with_ids(connection, campaign_ids)
        self.accounts = accounts.with_ids(connection, {call.account_id for call in released})
        self.providers = providers.with_ids(connection, {call.provider_id for call in released})
        self.contacts = contacts.at_positions(
            connection, [(call.list_id, call.position) for call in released if call.list_id]
        )
        lists = campaigns.dnd_lists(connection, campaign_ids)
        everywhere = dnd.global_lists(connection, self.accounts)
        self._lists = {
            call.id: {*lists.get(call.campaign_id or "", ()), *everywhere.get(call.account_id, ())}
            for call in released
        }
        listed = dnd.listed(
            connection, sorted(set().union(*self._lists.values())), [call.e164 for call in released]
        )
        self.on_dnd = {
            call.id for call in released if any((one, call.e164) in listed for one in self._lists[call.id])
        }
        self._dials: dict[str, dict[str, list[datetime]]] = {}
        for account in sorted(self.accounts.values(), key=lambda account: account.id):
            if account.frequency_cap is not None:
                # Two workers must not both see the last dial that the cap leaves.
                accounts.lock(connection, account.id)
                numbers = [call.e164 for call in released if call.account_id == account.id]
                self._dials[account.id] = attempts.dials_since(
                    connection, account.id, numbers, now - timedelta(days=1)
                )

    def note_dial(self, call: AnyRow, now: datetime) -> None:
        """Another call of the batch to the same number must know of this one."""
        if call.account_id in self._dials:
            self._dials[call.account_id].setdefault(call.e164, []).append(now)

    def gate_input(self, call: AnyRow, zone: ZoneInfo) -> gate.GateInput:
        campaign = self.campaigns.get(call.campaign_id or "")
        account = self.accounts[call.account_id]
        dials = self._dials.get(account.id, {}).get(call.e164, [])
        cap = account.frequency_cap
        capped_until = dials[-cap] + timedelta(days=1) if cap and len(dials) >= cap else None
        return gate.GateInput(
            on_dnd=call.id in self.on_dnd,
            cancelled=False,  # a cancelled call is not RELEASED any more
            account_enabled=account.enabled,
            campaign_state=CampaignState(campaign.state) if campaign is not None else None,
            campaign_end_at=campaign.end_at if campaign is not None else None,
            expires_at=call.expires_at,
            zone=zone,
            window=window_of(campaign, account) if campaign is not None else None,
            dials_in_last_day=len(dials),
            frequency_cap=cap,
            capped_until=capped_until,
        )


def _prepare(
    call: AnyRow, facts: _Facts, adapters: AdapterCache, ledger: Ledger, now: datetime
) -> tuple[Adapter, Submission] | None:
    """What is to be sent for this call; None when it is not to be dialled now, which the ledger then knows."""
    campaign = facts.campaigns.get(call.campaign_id or "")
    zone = known_zone(call.time_zone)
    if zone is None:  # gone from this host's tz data: no guess at night
        log.error("time zone not known", call_id=call.id, time_zone=call.time_zone)
        ledger.wait(call, now + LOST_ZONE, "time zone not known")
        return None
    verdict = gate.check(facts.gate_input(call, zone), now)
    provider = facts.providers.get(call.provider_id)
    if isinstance(verdict, gate.Suppress):
        ledger.suppress(call, campaign)
    elif isinstance(verdict, gate.End):
        ledger.end_call(call, verdict.state, verdict.reason.value)
    elif isinstance(verdict, gate.Wait):
        ledger.wait(call, verdict.due_at, verdict.reason.value)
    elif provider is None or not provider.enabled or provider.paused_reason is not None:
        ledger.wait(call, now, "provider not in use")  # the next release chooses another one
    elif provider.held_until is not None and provider.held_until > now:
        ledger.wait(call, provider.held_until, "provider held")
    else:
        try:
            adapter = adapters.of(provider)
            return adapter, _submission(call, campaign, facts)
        except (ProviderError, SecretError) as error:
            log.error("provider cannot be used", provider=provider.name, error=str(error))
            ledger.wait(call, now + timedelta(seconds=60), "provider cannot be used")
        except TemplateError as error:
            ledger.end_call(call, CallState.FAILED, f"message: {error}")
    return None


def _submission(call: AnyRow, campaign: AnyRow | None, facts: _Facts) -> Submission:
    if campaign is None:
        raise TemplateError("the call has no message")
    contact = facts.contacts.get((call.list_id, call.position))
    text = None
    if campaign.announcement_text is not None:
        values = dict(contact.fields) if contact is not None else {}
        values["contact_name"] = contact.name if contact is not None else ""
        values["contact_number"] = call.e164
        text = _template(campaign.announcement_text).render(values)
    return Submission(
        attempt_id=ids.attempt_id(call.id, call.dials + 1),
        to=call.e164,
        caller_id=campaign.caller_id,
        text=text,
        media=campaign.recorded_filename,
        repeat_count=campaign.repeat_count,
        language=(contact.language if contact is not None else None) or campaign.language_code,
        voice=campaign.voice,
        volume=campaign.volume,
        rate=campaign.rate,
        pitch=campaign.pitch,
    )


_templates: dict[str, Template] = {}


def _template(text: str) -> Template:
    if text not in _templates:
        if len(_templates) > 200:
            _templates.clear()
        _templates[text] = Template.compile(text)
    return _templates[text]


def _new_attempt(
    call: AnyRow, submission: Submission, now: datetime, settle_at: datetime
) -> dict[str, object]:
    return {
        "id": submission.attempt_id,
        "call_id": call.id,
        "number": call.dials + 1,
        "account_id": call.account_id,
        "campaign_id": call.campaign_id,
        "provider_id": call.provider_id,
        "e164": call.e164,
        "caller_id": submission.caller_id,
        "state": AttemptState.SUBMITTING.value,
        "submitted_at": now,
        "deadline_at": now + LEASE,
        "settle_at": settle_at,
        "detail": "",
    }


def write(connection: Connection, results: Sequence[SubmitResult], now: datetime) -> None:
    """Write what providers answered."""
    by_attempt: Mapping[str, SubmitResult] = {result.attempt_id: result for result in results}
    locked = attempts.lock(connection, sorted(by_attempt))
    their_calls = calls.lock(connection, sorted({row.call_id for row in locked.values()}))
    their_campaigns = campaigns.with_ids(
        connection, sorted({row.campaign_id for row in locked.values() if row.campaign_id})
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
    # In the order of their ids, so that two writers never wait for each other.
    for provider_id in sorted({*holds, *pauses}):
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


def _now() -> float:
    """Seconds on a clock that goes on while the process or the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
