"""Dispatch: released calls become attempts at providers.

The way of a batch: *claim* (one transaction: lock the released calls, look once more at DND lists, window, campaign
and caps, take tokens from the pace, commit the attempts as SUBMITTING), *send* (concurrently, on this process's
one event loop and HTTP client), *write* (what came back, in one transaction per group of replies). Nothing is sent
before its attempt is committed, and nothing is sent twice: whoever loses track leaves an attempt whose fate is
unknown, for the reconciler.

Calls that the pace does not let go yet are parked: whoever brought them goes on to the calls of other campaigns, and a
thread of their own claims them when their time has come.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from redis.exceptions import RedisError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer import http
from dialer.db import AWAY, utc_now, writing
from dialer.logs import get_logger
from dialer.pace.breaker import Tally
from dialer.pace.limiter import Limiter
from dialer.providers.base import submit
from dialer.providers.contract import Outcome, SubmitResult
from dialer.store import meters
from workers.claim import LOOK_EVERY, AdapterCache, Claim, Placement, claim, moment
from workers.replies import backoff, write

log = get_logger(__name__)

#: Seconds from connecting to the whole answer.
HTTP_DEADLINE = 10.0
#: A claim older than this is given back instead of sent: the process was frozen, and a pause, a DND entry or a
#: 429 may have come meanwhile.
FRESH = 1.0
#: Seconds by which a hold must be longer than the one that stands to be told to the other processes.
SAME_WAVE = 0.2
#: How long calls wait for tokens or for a free place before they are left to the next doorbell.
PATIENCE = 3.0
#: Seconds, at most, that a claim waits for half of all places to be free: it costs much the same for one call as for
#: fifty.
GATHER = 0.06
#: Seconds between two looks for free places, or for replies to write, …
LOOK_AGAIN = 0.02
#: … and how often a write looks whether half of all that may be in flight is answered.
LINGERS = 3
#: Seconds that calls wait for a provider that has all the requests in flight that it may, and answers none.
CROWDED_PATIENCE = 0.5
#: Seconds, at most, that who hands over single calls lets the loop's thread go first. While it worked on, that thread
#: would wait for the interpreter, and somebody for a password.
GO_FIRST = 0.005
#: Seconds between two counts of submits, for `/metrics`.
METERED_EVERY = 5.0
#: How long replies are tried to be written before the lease makes their attempts UNKNOWN.
WRITE_PATIENCE = 20.0

Clock = Callable[[Connection], datetime]


class Parking:
    """Calls that wait here for the pace: released, unclaimed, and nobody's loss when this process ends."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.is_open = True
        #: When to claim them, until when, and their ids.
        self._parked: list[tuple[float, float, tuple[str, ...]]] = []

    def add(self, call_ids: tuple[str, ...], at: float, give_up: float) -> None:
        """Park calls until `at`, or leave them to the next doorbell if that is after `give_up` (monotonic seconds)."""
        with self._changed:
            if self.is_open and at < give_up:
                heapq.heappush(self._parked, (at, give_up, call_ids))
                self._changed.notify()

    def wait(self) -> tuple[list[str], float] | None:
        """All calls whose time has come, and until when they may wait on; None when it is closed."""
        with self._changed:
            while self.is_open and not (self._parked and self._parked[0][0] <= time.monotonic()):
                soonest = self._parked[0][0] - time.monotonic() if self._parked else None
                self._changed.wait(soonest)
            if not self.is_open:
                return None
            due = []
            while self._parked and self._parked[0][0] <= time.monotonic():
                due.append(heapq.heappop(self._parked))
        return [call_id for *_, call_ids in due for call_id in call_ids], max(until for _, until, _ in due)

    def close(self) -> None:
        """Leave whatever is parked to the next doorbell."""
        with self._changed:
            self.is_open = False
            self._parked.clear()
            self._changed.notify()


class Dispatcher:
    """Places calls; one per process. `place` is called by tasks, everything else runs on the loop's thread."""

    def __init__(
        self,
        engine: Engine,
        limiter: Limiter,
        adapters: AdapterCache,
        *,
        in_flight: int,
        clock: Clock | None = None,
    ) -> None:
        """Without a `clock` the database's is read."""
        self._engine = engine
        self._limiter = limiter
        self._adapters = adapters
        self._clock = clock
        self._in_flight = in_flight
        # Some places more than one provider may take, for others and for replies that are not written yet.
        self._all_places = in_flight + max(1, in_flight // 2)
        self._places = threading.Semaphore(self._all_places)
        self._in_flight_to: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._claiming = threading.Lock()
        self._held: dict[str, float] = {}
        self._strikes: dict[str, int] = {}
        #: When replies to this process have last opened a provider's breaker.
        self._opened: dict[str, float] = {}
        self._tally = Tally()
        self._submitted: Counter[meters.Key] = Counter()
        self._metered_at = 0.0
        # asyncio itself holds tasks only weakly.
        self._sending: set[asyncio.Task[None]] = set()
        self._loop = http.new_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatch", daemon=True)
        self._thread.start()
        self._ready.wait()
        self._parking = Parking()
        self._parker = threading.Thread(target=self._place_parked, name="parked", daemon=True)
        self._parker.start()

    def place(self, call_ids: Sequence[str], *, single: bool = False) -> int:
        """Place these calls as far as they are still released and the pace allows; how many went out. `single`: all
        of them are single calls.

        Returns once they are on their way or parked, not when they are answered. Raises `redis.RedisError` and
        `SQLAlchemyError` with nothing claimed.
        """
        return self._place(call_ids, time.monotonic() + PATIENCE, single=single)

    def _place(self, call_ids: Iterable[str], give_up: float, *, single: bool = False) -> int:
        pending = list(call_ids)
        placed = 0
        moved_at = time.monotonic()
        while pending and self._parking.is_open and time.monotonic() < give_up:
            free = self._reserve(len(pending), give_up)
            claim = Claim()
            try:
                if free:
                    claim = self._claim(pending[:free], single)
            finally:
                self._give_back(free - len(claim.placements))
            self._send_all(claim.placements, go_first=single)
            placed += len(claim.placements)
            for refused in claim.refused:
                at = time.monotonic() + refused.wait
                if refused.may_be_late:  # in step with others, so that one claim serves all
                    at = math.ceil(at / LOOK_EVERY) * LOOK_EVERY
                self._parking.add(refused.call_ids, at, give_up)
            pending = [*claim.crowded, *pending[free:]]
            if claim.placements:
                moved_at = time.monotonic()
            elif claim.crowded and time.monotonic() > moved_at + CROWDED_PATIENCE:
                break  # it hangs: calls of other providers must not wait behind its own
            if claim.crowded:
                self._wait_for_room(claim.crowded_by, give_up)
        return placed

    def _place_parked(self) -> None:
        while (parked := self._parking.wait()) is not None:
            call_ids, give_up = parked
            try:
                self._place(call_ids, give_up)
            except (SQLAlchemyError, RedisError) as error:
                log.warning("parked calls left to the next doorbell", error=type(error).__name__)
            except Exception:
                # Whatever is odd about some of them, the others of this process must not wait for ever.
                log.exception("parked calls left to the next doorbell", calls=len(call_ids))

    def drain(self, timeout: float) -> bool:
        """Wait until everything in flight is answered and written; False when `timeout` seconds were not enough.

        Call when `place` is not called any more; parked calls are left to the next doorbell.
        """
        until = time.monotonic() + timeout
        self._parking.close()
        self._parker.join(timeout)
        taken = 0
        for _ in range(self._all_places):
            if not self._places.acquire(timeout=max(0.0, until - time.monotonic())):
                break
            taken += 1
        self._give_back(taken)
        self._count_submits()
        return taken == self._all_places

    def _count_submits(self) -> None:
        submitted, self._submitted = self._submitted, Counter()
        if submitted:
            try:
                with writing(self._engine) as connection:
                    meters.add(connection, submitted)
            except SQLAlchemyError as error:  # they are a matter of `/metrics` alone
                log.warning("submits not counted", error=type(error).__name__)

    def close(self) -> None:
        """Stop the loop; call after `drain`."""
        self._parking.close()
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
        until = time.monotonic() + GATHER
        while free < wanted:
            patience = until - time.monotonic() if free < self._in_flight // 2 else 0.0
            if not self._places.acquire(timeout=max(0.0, patience)):
                break
            free += 1
        return free

    def _wait_for_room(self, provider_ids: Iterable[str], give_up: float) -> None:
        """Wait a moment until half of what one of these providers may have in flight is answered."""
        until = min(time.monotonic() + GATHER, give_up)
        wanted = max(1, self._in_flight // 2)
        while max(map(self._room_of, provider_ids)) < wanted and (patience := until - time.monotonic()) > 0:
            time.sleep(min(LOOK_AGAIN, patience))

    def _give_back(self, places: int) -> None:
        if places:
            self._places.release(places)

    def _claim(self, call_ids: Sequence[str], single: bool) -> Claim:
        # One at a time: what one takes of a provider's room the next one must know of.
        with self._claiming:
            claim = self._claim_alone(call_ids, single)
            with self._counting:
                self._in_flight_to.update(placement.provider_id for placement in claim.placements)
        return claim

    def _claim_alone(self, call_ids: Sequence[str], single: bool) -> Claim:
        with writing(self._engine) as connection:
            # Before anything is read that could be out of date when a frozen process wakes, and after the wait for
            # the database's turn, which may be long.
            claimed_at = moment()
            now = None if self._clock is None else self._clock(connection)
            room = self._room_of
            return claim(
                connection,
                self._limiter,
                self._adapters,
                call_ids,
                now,
                room=room,
                claimed_at=claimed_at,
                single=single,
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

    def _send_all(self, placements: Sequence[Placement], *, go_first: bool = False) -> None:
        if not placements:
            return
        first_gone = threading.Event()
        self._loop.call_soon_threadsafe(self._start, placements, first_gone)
        if go_first:
            first_gone.wait(GO_FIRST)

    def _start(self, placements: Sequence[Placement], first_gone: threading.Event) -> None:
        for placement in placements:
            task = self._loop.create_task(self._send(placement, first_gone))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _send(self, placement: Placement, first_gone: threading.Event) -> None:
        result = self._why_not(placement)
        if result is None:
            denied: list[SubmitResult] = []

            def may_send() -> bool:
                reason = self._why_not(placement)
                if reason is not None:
                    denied.append(reason)
                self._loop.call_soon(first_gone.set)  # in the next turn: it is written by then
                return reason is None

            trace = http.Trace(may_send=may_send)
            result = await submit(
                self._client, placement.adapter, placement.submission, timeout=HTTP_DEADLINE, trace=trace
            )
            if result.outcome is Outcome.NOT_SENT and denied:
                result = denied[-1]  # we would not send it: that says nothing of the provider
        if result.outcome is Outcome.NOT_PROCESSED:
            result = await self._hold(placement, result)
        elif result.outcome is Outcome.PLACED:
            self._strikes.pop(placement.provider_id, None)
        with self._counting:
            self._in_flight_to[placement.provider_id] -= 1
        await self._replies.put((placement, result))

    def _why_not(self, placement: Placement) -> SubmitResult | None:
        attempt_id = placement.submission.attempt_id
        now, use_by = moment(), placement.use_by
        if now - placement.claimed_at > FRESH or (use_by is not None and now > use_by):
            return SubmitResult(
                attempt_id, Outcome.NOT_SENT, retry_after=0.0, detail="given back: claimed too long ago"
            )
        if self._held.get(placement.provider_id, 0.0) > now:
            return SubmitResult(
                attempt_id, Outcome.NOT_SENT, retry_after=0.0, detail="given back: provider held"
            )
        # Whoever claims later sees it in the provider's row.
        if self._opened.get(placement.provider_id, 0.0) > placement.claimed_at:
            return SubmitResult(
                attempt_id, Outcome.NOT_SENT, retry_after=0.0, detail="given back: provider left alone"
            )
        return None

    async def _hold(self, placement: Placement, result: SubmitResult) -> SubmitResult:
        """After a 429 nobody calls the provider until its time is over: not here, and in no other process."""
        provider_id = placement.provider_id
        left = self._held.get(provider_id, 0.0) - moment()
        seconds = result.retry_after
        if seconds is None and left > 0:
            seconds = left  # all that were in flight get a 429; together they are one strike
        elif seconds is None:
            strikes = self._strikes[provider_id] = self._strikes.get(provider_id, 0) + 1
            seconds = backoff(strikes, most=60.0)
        if seconds > left + SAME_WAVE:
            self._held[provider_id] = moment() + seconds
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
            for _ in range(LINGERS):
                if not self._sending or self._replies.qsize() >= self._in_flight // 2:
                    break  # no more will come, or enough has
                await asyncio.sleep(LOOK_AGAIN)
            while not self._replies.empty() and len(group) < 500:
                group.append(self._replies.get_nowait())
            try:
                await self._write_group(group)
            finally:
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
            results = [result for _, result in group]
            probes = {result.attempt_id for placement, result in group if placement.is_probe}
            now = (self._clock or utc_now)(connection)
            opened = write(connection, results, now, probes=probes, tally=self._tally)
            submitted = self._submitted + Counter(
                (meters.SUBMIT, placement.provider_id, result.outcome.value) for placement, result in group
            )
            if time.monotonic() >= self._metered_at:
                meters.add(connection, submitted)
                submitted = Counter()
        self._opened.update(dict.fromkeys(opened, moment()))
        if not submitted:
            self._metered_at = time.monotonic() + METERED_EVERY
        self._submitted = submitted
