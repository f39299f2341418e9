"""Deliveries: what is in the outbox is sent to the accounts' apps, at least once, in no order that is promised.

A worker claims messages for a while (`LEASE`), sends them on one loop, and writes what came of them in groups. One that
dies is nobody's loss: its messages are due again when the lease is over. An endpoint that answers slowly gets few
messages at once, and one that fails rests, so that neither holds up the others.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer.db import AWAY, looking, utc_now, writing
from dialer.errors import FieldError
from dialer.logs import get_logger
from dialer.models.webhook import DeliveryState
from dialer.secrets import SecretBox, SecretError
from dialer.store import audit, meters, webhooks
from dialer.store.tables import AnyRow
from dialer.webhooks import schedule
from dialer.webhooks.client import make_session, post
from dialer.webhooks.schedule import Answer, Standing
from dialer.webhooks.signature import headers_of
from dialer.webhooks.targets import checked_url

log = get_logger(__name__)

#: How long a worker that is silent is waited for; longer than a try and its writing.
LEASE = timedelta(seconds=30)
#: Messages on their way at once: of a process, and to one endpoint.
AT_ONCE, AT_ONCE_TO_ONE = 200, 32
#: Seconds that a write waits for more answers, so that they come in groups.
LINGER = 0.02
#: Threads that resolve names: a name server that is slow must not keep the others' names.
RESOLVERS = 32
#: Seconds for which what came of tries is tried to be written.
WRITE_PATIENCE = 20.0
#: Deliveries removed in one transaction, and transactions in one go.
PURGED_AT_ONCE, PURGES = 1000, 20
#: How the audit log names what nobody did.
ACTOR = "engine"

Clock = Callable[[Connection], datetime]
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Try:
    """A message that is being sent, and where to. `number`: of its tries, from 1."""

    delivery_id: str
    number: int
    body: str
    endpoint: AnyRow


@dataclass(frozen=True, slots=True)
class Tried:
    """What a try came to."""

    attempt: Try
    answer: Answer


def purge(engine: Engine, clock: Clock = utc_now) -> int:
    """Remove deliveries that are older than they are kept; how many."""
    removed = 0
    for _ in range(PURGES):
        with writing(engine) as connection:
            some, dropped = webhooks.purge(connection, clock(connection) - schedule.KEPT, PURGED_AT_ONCE)
            if dropped:
                meters.add(connection, {(meters.WEBHOOK, "", "dropped"): dropped})
        removed += some
        if some < PURGED_AT_ONCE:
            break
    return removed


class Deliverer:
    """Sends messages; one per process. It sleeps until it is rung for, and works until nothing is due."""

    def __init__(
        self,
        engine: Engine,
        box: SecretBox,
        *,
        allow_private: bool,
        needs_https: bool,
        clock: Clock = utc_now,
        timeout: float = 15.0,
    ) -> None:
        self._engine = engine
        self._box = box
        self._allow_private, self._needs_https = allow_private, needs_https
        self._clock = clock
        self._timeout = timeout
        self._on_way: Counter[str] = Counter()
        #: Seconds that an endpoint takes to answer, of late.
        self._latencies: dict[str, float] = {}
        # asyncio itself holds tasks only weakly.
        self._sending: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._idle = threading.Event()
        self._idle.set()
        self._rings = 0
        self._ringing = threading.Lock()
        # asyncio's own: uvloop resolves names on four threads, which four slow name servers would keep.
        self._loop = asyncio.new_event_loop()
        self._database = ThreadPoolExecutor(1, "deliveries")
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()
        self._ready.wait()

    def ring(self) -> None:
        """Something may be due."""
        with self._ringing:
            self._rings += 1
            self._idle.clear()
        self._loop.call_soon_threadsafe(self._bell.set)

    def wait_idle(self, timeout: float) -> bool:
        """Wait until nothing is due and everything that was sent is answered and written."""
        return self._idle.wait(timeout)

    def drain(self, timeout: float) -> bool:
        """Claim nothing more, and wait until everything on its way is answered and written."""
        self._is_closing = True
        self.ring()
        return self._idle.wait(timeout)

    def close(self) -> None:
        """Stop; what is still on its way is sent again by another, when its lease is over."""
        self._is_closing = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._database.shutdown(wait=True)
        if not self._thread.is_alive():
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    # --- on the loop's thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.set_default_executor(ThreadPoolExecutor(RESOLVERS, "resolve"))
        self._bell = asyncio.Event()
        self._answers: asyncio.Queue[Tried] = asyncio.Queue()
        self._loop.run_until_complete(self._open())
        self._workers = [self._loop.create_task(self._claim_all()), self._loop.create_task(self._write_all())]
        self._ready.set()
        self._loop.run_forever()

    async def _open(self) -> None:
        self._session = make_session(AT_ONCE, allow_private=self._allow_private)

    async def _end(self) -> None:
        left = [*self._workers, *self._sending]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._session.close()

    async def _in_database(self, do: Callable[..., ResultT], *arguments: Any) -> ResultT:
        return await self._loop.run_in_executor(self._database, do, *arguments)

    async def _claim_all(self) -> None:
        while True:
            await self._bell.wait()
            self._bell.clear()
            rings = self._rings
            try:
                claimed = [] if self._is_closing else await self._in_database(self._claim, dict(self._on_way))
            except SQLAlchemyError as error:
                log.warning("deliveries left to the next doorbell", error=type(error).__name__)
                claimed = []
            except Exception:
                # Whatever is odd, the next doorbell must find somebody.
                log.exception("deliveries cannot be claimed")
                claimed = []
            for one in claimed:
                self._on_way[one.endpoint.id] += 1
                task = self._loop.create_task(self._send(one))
                self._sending.add(task)
                task.add_done_callback(self._sending.discard)
            with self._ringing:
                if not self._on_way and not self._bell.is_set() and rings == self._rings:
                    self._idle.set()

    async def _send(self, one: Try) -> None:
        endpoint = one.endpoint
        try:
            url = checked_url(endpoint.url, needs_https=self._needs_https, allow_private=self._allow_private)
            body = one.body.encode()
            now = datetime.now(UTC)
            headers = headers_of(one.delivery_id, now, body, self._keys_of(endpoint, now))
            answer = await post(self._session, url, body, headers, timeout=self._timeout)
        except FieldError as error:
            answer = Answer(None, error.message, 0)
        except SecretError as error:
            log.error("endpoint's secret cannot be opened", endpoint_id=endpoint.id, error=str(error))
            answer = Answer(None, "our own fault: the secret cannot be opened", 0)
        except Exception:
            log.exception("message cannot be sent", delivery_id=one.delivery_id)
            answer = Answer(None, "our own fault: the message cannot be sent", 0)
        seconds = answer.latency_ms / 1000
        known = self._latencies.get(endpoint.id, seconds)
        self._latencies[endpoint.id] = known + (seconds - known) / 4
        await self._answers.put(Tried(one, answer))

    def _keys_of(self, endpoint: AnyRow, now: datetime) -> list[str]:
        opened = self._box.open(endpoint.secrets)
        keys = [opened["secret"]]
        if "previous" in opened and endpoint.previous_until is not None and now < endpoint.previous_until:
            keys.append(opened["previous"])
        return keys

    async def _write_all(self) -> None:
        while True:
            group = [await self._answers.get()]
            if self._sending:  # more will come
                await asyncio.sleep(LINGER)
            while not self._answers.empty() and len(group) < AT_ONCE:
                group.append(self._answers.get_nowait())
            await self._write_group(group)
            self._on_way -= Counter(one.attempt.endpoint.id for one in group)
            self._bell.set()  # there are places again

    async def _write_group(self, group: Sequence[Tried]) -> None:
        give_up, pause = time.monotonic() + WRITE_PATIENCE, 0.1
        while True:
            try:
                await self._in_database(self._write, group)
            except AWAY as error:
                if time.monotonic() > give_up:
                    log.warning("deliveries are sent again", messages=len(group), error=type(error).__name__)
                    return
                await asyncio.sleep(pause)
                pause = min(2.0, pause * 2)
            except Exception:
                log.exception("deliveries cannot be settled; they are sent again", messages=len(group))
                return
            else:
                return

    # --- on the database's thread ---------------------------------------------------------------------------

    def _claim(self, on_way: Mapping[str, int]) -> list[Try]:
        room = {
            endpoint_id: schedule.at_once(self._latencies.get(endpoint_id), AT_ONCE_TO_ONE) - count
            for endpoint_id, count in on_way.items()
        }
        free = AT_ONCE - sum(on_way.values())
        busy = [endpoint_id for endpoint_id, places in room.items() if places <= 0]
        if free <= 0:
            return []
        with looking(self._engine) as connection:
            found = webhooks.due_endpoints(connection, self._clock(connection), busy, free)
        if not found:
            return []
        claimed: list[Try] = []
        with writing(self._engine) as connection:
            now = self._clock(connection)
            for endpoint in found:
                most = room.get(
                    endpoint.id, schedule.at_once(self._latencies.get(endpoint.id), AT_ONCE_TO_ONE)
                )
                rows = webhooks.claim(
                    connection, endpoint.id, now, now + LEASE, min(most, free - len(claimed))
                )
                claimed += [Try(row.id, row.tries + 1, row.body, endpoint) for row in rows]
                if len(claimed) >= free:
                    break
        return claimed

    def _write(self, group: Sequence[Tried]) -> None:
        results: Counter[str] = Counter()
        with writing(self._engine) as connection:
            now = self._clock(connection)
            endpoints = webhooks.lock_endpoints(connection, {one.attempt.endpoint.id for one in group})
            rows = webhooks.lock_tried(connection, [one.attempt.delivery_id for one in group])
            settled = []
            for one in group:
                row = rows.get(one.attempt.delivery_id)
                # Another has it by now, when its lease was over; or it was replayed, or purged.
                if row is None or row.state != DeliveryState.PENDING or row.tries != one.attempt.number:
                    continue
                values = _settled(one, now)
                results[_result(values["state"])] += 1
                settled.append(values)
            webhooks.settle(connection, settled)
            by_endpoint: dict[str, list[Answer]] = {}
            for one in group:
                by_endpoint.setdefault(one.attempt.endpoint.id, []).append(one.answer)
            for endpoint_id, answers in by_endpoint.items():
                if endpoint_id in endpoints:
                    self._judge(connection, endpoints[endpoint_id], answers, now)
            meters.add(connection, {(meters.WEBHOOK, "", name): count for name, count in results.items()})

    def _judge(
        self, connection: Connection, endpoint: AnyRow, answers: Sequence[Answer], now: datetime
    ) -> None:
        """How the endpoint fares after these answers."""
        before = Standing(endpoint.failures, endpoint.failing_since, endpoint.rest_until)
        after = schedule.standing_after(before, answers, now)
        if after == before or not endpoint.enabled:
            return
        values: dict[str, Any] = {
            "failures": after.failures,
            "failing_since": after.failing_since,
            "rest_until": after.rest_until,
        }
        if after.disabled_reason is not None:
            values |= {"enabled": False, "disabled_reason": after.disabled_reason, "disabled_at": now}
            audit.add(
                connection,
                endpoint.account_id,
                ACTOR,
                "webhook.disable",
                endpoint.id,
                now,
                reason=after.disabled_reason,
            )
            log.warning("webhook disabled", endpoint_id=endpoint.id, reason=after.disabled_reason)
        webhooks.update(connection, endpoint.account_id, endpoint.id, **values)


def _settled(one: Tried, now: datetime) -> dict[str, Any]:
    """The columns of a delivery after a try."""
    answer = one.answer
    due_at: datetime | None = now
    state = DeliveryState.DELIVERED
    if not answer.is_success:
        # Jitter is no secret.
        due_at = schedule.next_try(one.attempt.number, answer, now, random.random())  # noqa: S311
        state = DeliveryState.FAILED if due_at is None else DeliveryState.PENDING
    is_over = state is not DeliveryState.PENDING
    return {
        "_id": one.attempt.delivery_id,
        "state": state.value,
        "due_at": due_at or now,
        "response_status": answer.status,
        "latency_ms": answer.latency_ms,
        "error": answer.error,
        "ended_at": now if is_over else None,
    }


def _result(state: str) -> str:
    """What `/metrics` calls it."""
    return {DeliveryState.DELIVERED.value: "delivered", DeliveryState.FAILED.value: "given_up"}.get(
        state, "failed"
    )
