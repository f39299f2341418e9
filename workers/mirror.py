"""Mirrors: black lists at providers, kept in step with the global DND lists of their accounts.

A worker holds a mirror by a lease and works on it for a stint. Each change is written down before its request is sent
and settled after; what became of a request without an answer is learned from the provider's own list, with which all is
compared from time to time. Nothing here delays a call: the provider's pace and holds for calls are left alone.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from dialer import http
from dialer.db import looking, reading, utc_now, writing
from dialer.dnd.mirror import compared, difference
from dialer.logs import get_logger
from dialer.models.dnd_mirror import RuleState
from dialer.providers.asking import call_method
from dialer.providers.base import Adapter
from dialer.providers.contract import MethodRefusedError, ProviderError, TooManyRequestsError
from dialer.providers.methods import BlackList
from dialer.secrets import SecretError
from dialer.store import dnd_mirrors, providers
from dialer.store.tables import AnyRow
from workers.claim import AdapterCache
from workers.replies import backoff

log = get_logger(__name__)

#: How long a worker that is silent is waited for; longer than a stint, its last batch and a comparison.
LEASE = timedelta(seconds=120)
#: How often a mirror in step is looked at, and how often all of it is compared.
REST = timedelta(seconds=60)
COMPARE_EVERY = timedelta(hours=6)
#: A mirror that was rung for, and nobody took, is rung for again.
RING_AGAIN = timedelta(seconds=60)
#: Seconds until a provider that got too many requests is asked again, unless it says; and at most after failures.
HELD, LONGEST_REST = 30.0, 3600.0
#: Seconds for one request; the list may be long.
TIMEOUT, LIST_TIMEOUT = 10.0, 20.0
#: Numbers looked at in one transaction, sent in one batch, sent at once.
PAGE, BATCH, AT_ONCE = 1000, 40, 4
#: Requests of a batch without an answer after which the rest is not sent, and when a list that is unclear after some
#: is compared.
MOST_UNANSWERED = 3
COMPARE_SOON = timedelta(minutes=5)
#: A number in E.164 has at most so many digits; other rules are not our matter.
DIGITS = range(5, 16)

Clock = Callable[[Connection], datetime]


def claim_due(engine: Engine, clock: Clock = utc_now) -> list[str]:
    """The providers whose mirrors are to be worked on, put off for whoever is rung for them."""
    with looking(engine) as connection:
        found = dnd_mirrors.due(connection, clock(connection))
    if not found:
        return []
    with writing(engine) as connection:
        later = clock(connection) + RING_AGAIN
        return [
            row.provider_id
            for row in found
            if dnd_mirrors.put_off(connection, row.provider_id, row.due_at, later)
        ]


def keep_in_step(
    engine: Engine, adapters: AdapterCache, provider_id: str, clock: Clock = utc_now, *, seconds: float
) -> bool:
    """Work on a provider's mirror for about `seconds`; whether nothing is left to do for now.

    Nothing is done when another worker is at it, and nothing is raised for what the provider does.
    """
    with writing(engine) as connection:
        now = clock(connection)
        held = dnd_mirrors.take(connection, provider_id, now, now + LEASE)
        provider = providers.with_ids(connection, [provider_id]).get(provider_id)
    if held is None or provider is None:
        return True
    turn = _Turn(engine, held, clock, time.monotonic() + seconds)
    is_held = provider.held_until is not None and provider.held_until > now
    if is_held or not provider.enabled or provider.paused_reason is not None:
        turn.rest(is_done=False)
        return True
    try:
        adapter = adapters.of(provider)
        if adapter.black_list is None:
            raise ProviderError(f"A provider of kind {adapter.kind} keeps no black list.")
        with asyncio.Runner(loop_factory=http.new_loop) as runner:
            is_done = runner.run(turn.work(adapter, adapter.black_list))
    except LostLeaseError:
        return True
    except TooManyRequestsError as error:
        turn.stop(error, timedelta(seconds=error.retry_after or HELD), is_failure=False)
        return True
    except (ProviderError, SecretError) as error:
        log.warning("black list not kept in step", provider=provider.name, error=str(error))
        turn.stop(error, timedelta(seconds=backoff(held.failures + 1, most=LONGEST_REST)), is_failure=True)
        return True
    turn.rest(is_done=is_done)
    return is_done


class LostLeaseError(RuntimeError):
    """Another worker has taken the mirror over: this one has been away for too long."""


@dataclass(slots=True)
class _Sent:
    """What became of the requests of one batch, by number; who is in none of them got no answer."""

    done: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    not_sent: list[str] = field(default_factory=list)
    unanswered: list[ProviderError] = field(default_factory=list)
    trouble: ProviderError | None = None  # why nothing more was sent


@dataclass(slots=True)
class _Turn:
    """One worker's stint with one mirror."""

    engine: Engine
    mirror: AnyRow
    clock: Clock
    until: float
    changed: int = 0
    has_begun: bool = False  # a stint does something, however short it is
    unanswered: ProviderError | None = None  # of a request: the list must be compared
    _lease: datetime = field(init=False)

    def __post_init__(self) -> None:
        self._lease = self.mirror.lease_until

    async def work(self, adapter: Adapter, black_list: BlackList) -> bool:
        """Compare when that is due, then go on with the pass over the numbers; whether it came to its end."""
        client = http.make_client(AT_ONCE)
        try:
            return await self._work(_Desk(client, adapter, black_list))
        finally:
            await client.aclose()

    async def _work(self, desk: _Desk) -> bool:
        position = self.mirror.position
        with reading(self.engine) as connection:
            now = self.clock(connection)
        if self.mirror.compare_at <= now:
            self._compare(await desk.every())
            position = self._begin(compare_at=now + COMPARE_EVERY)
        elif position is None and self.mirror.seen_at != self.mirror.changed_at:
            position = self._begin()
        while position is not None:
            with reading(self.engine) as connection:
                found = difference(
                    dnd_mirrors.wanted(connection, self.mirror.list_id, position, PAGE),
                    dnd_mirrors.rules(connection, self.mirror.provider_id, position, PAGE),
                    PAGE,
                )
            if not await self._change(desk, found.add, found.delete):
                return False
            position = found.position
            if position is None:
                self._keep(position=None, seen_at=self.mirror.passing_at)
            else:
                self._keep(position=position)
                if self._is_over():
                    return False
        return True

    def _begin(self, **values: Any) -> str:
        """Begin a pass over all numbers, as the list is now: its position."""
        with reading(self.engine) as connection:
            now = dnd_mirrors.of(connection, self.mirror.provider_id)
        if now is None:
            raise LostLeaseError
        self.mirror = now
        self._keep(position="", passing_at=now.changed_at, **values)
        with reading(self.engine) as connection:
            self.mirror = dnd_mirrors.of(connection, self.mirror.provider_id) or now
        return ""

    def _compare(self, listed: Sequence[str]) -> None:
        """Settle all that we know by what the provider lists, in order, page by page."""
        numbers = sorted({f"+{rule}" for rule in listed if len(rule) in DIGITS})
        after, start = "", 0
        while True:
            with writing(self.engine) as connection:
                self._hold(connection)
                known = dnd_mirrors.rules(connection, self.mirror.provider_id, after, PAGE)
                end = known[-1][0] if len(known) == PAGE else None
                until = len(numbers) if end is None else bisect_right(numbers, end)
                # Not too many that we know nothing of, in one transaction.
                if until - start > PAGE:
                    until = start + PAGE
                    end = numbers[until - 1]
                    known = [rule for rule in known if rule[0] <= end]
                states = dict(known)
                for number_state, some in _alike(states, compared(states, set(numbers[start:until]))):
                    self._settle(connection, *number_state, some)
            if end is None:
                return
            after, start = end, until

    def _settle(
        self, connection: Connection, was: RuleState | None, now: RuleState | None, numbers: list[str]
    ) -> None:
        if was is None and now is not None:
            dnd_mirrors.add_rules(connection, self.mirror.provider_id, numbers, now)
        elif was is not None:
            dnd_mirrors.move_rules(connection, self.mirror.provider_id, numbers, was, now)

    async def _change(self, desk: _Desk, add: Sequence[str], delete: Sequence[str]) -> bool:
        """Send what differs, batch by batch; whether there was time for all of it."""
        for start in range(0, len(add), BATCH):
            if self._is_over():
                return False
            await self._add(desk, add[start : start + BATCH])
        for start in range(0, len(delete), BATCH):
            if self._is_over():
                return False
            await self._delete(desk, delete[start : start + BATCH])
        return True

    async def _add(self, desk: _Desk, numbers: Sequence[str]) -> None:
        provider_id = self.mirror.provider_id
        with writing(self.engine) as connection:
            self._hold(connection)
            new = dnd_mirrors.add_rules(connection, provider_id, numbers, RuleState.ADDING)
        sent = await desk.send(desk.black_list.add, new)
        with writing(self.engine) as connection:
            dnd_mirrors.move_rules(connection, provider_id, sent.done, RuleState.ADDING, RuleState.OURS)
            dnd_mirrors.move_rules(connection, provider_id, sent.refused, RuleState.ADDING, RuleState.REFUSED)
            dnd_mirrors.move_rules(connection, provider_id, sent.not_sent, RuleState.ADDING, None)
        self._note(sent)

    async def _delete(self, desk: _Desk, numbers: Sequence[str]) -> None:
        provider_id = self.mirror.provider_id
        with writing(self.engine) as connection:
            self._hold(connection)
            dnd_mirrors.move_rules(connection, provider_id, numbers, RuleState.OURS, RuleState.DELETING)
        sent = await desk.send(desk.black_list.delete, numbers)
        with writing(self.engine) as connection:
            dnd_mirrors.move_rules(connection, provider_id, sent.done, RuleState.DELETING, None)
            dnd_mirrors.move_rules(connection, provider_id, sent.not_sent, RuleState.DELETING, RuleState.OURS)
        self._note(sent)

    def _note(self, sent: _Sent) -> None:
        self.changed += len(sent.done)
        if sent.unanswered:
            self.unanswered = sent.unanswered[0]
        if sent.refused:
            log.warning("numbers not taken", provider_id=self.mirror.provider_id, numbers=len(sent.refused))
        if sent.trouble is not None:
            raise sent.trouble

    def stop(self, error: Exception, wait: timedelta, *, is_failure: bool) -> None:
        """Leave the mirror alone for a while. What got no answer is looked up before anything else is done."""
        with writing(self.engine) as connection:
            now = self.clock(connection)
            values: dict[str, Any] = {"error": str(error), "due_at": now + wait, "lease_until": None}
            if is_failure:
                values["failures"] = self.mirror.failures + 1
            if self.unanswered is not None:
                values["compare_at"] = now
            dnd_mirrors.keep(connection, self.mirror.provider_id, self._lease, **values)

    def rest(self, *, is_done: bool) -> None:
        """Let go of the mirror, in step or to be gone on with."""
        with writing(self.engine) as connection:
            now = self.clock(connection)
            due_at = now + REST if is_done else now
            values: dict[str, Any] = {"error": None, "failures": 0, "due_at": due_at, "lease_until": None}
            if self.unanswered is not None:
                values |= {"error": str(self.unanswered), "compare_at": now + COMPARE_SOON}
            dnd_mirrors.keep(connection, self.mirror.provider_id, self._lease, **values)
        if self.changed:
            log.info("black list changed", provider_id=self.mirror.provider_id, numbers=self.changed)

    def _is_over(self) -> bool:
        is_over = self.has_begun and time.monotonic() >= self.until
        self.has_begun = True
        return is_over

    def _keep(self, **values: Any) -> None:
        with writing(self.engine) as connection:
            self._hold(connection, **values)

    def _hold(self, connection: Connection, **values: Any) -> None:
        """Hold the lease for as long again. Raises LostLeaseError when it is another's."""
        lease = self.clock(connection) + LEASE
        if not dnd_mirrors.keep(
            connection, self.mirror.provider_id, self._lease, lease_until=lease, **values
        ):
            raise LostLeaseError
        self._lease = lease


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where a provider's black list is asked about and changed."""

    client: http.Client
    adapter: Adapter
    black_list: BlackList

    async def every(self) -> list[str]:
        """All that stands on it, digits without a plus."""
        listed: list[str] = await call_method(
            self.client, self.adapter, self.black_list.every, {}, timeout=LIST_TIMEOUT
        )
        return listed

    async def send(self, method: str, numbers: Sequence[str]) -> _Sent:
        """A request for each number, a few at once, until something is wrong that is no single number's matter."""
        sent = _Sent()
        places = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for number in numbers:
                group.create_task(self._send(places, sent, method, number))
        return sent

    async def _send(self, places: asyncio.Semaphore, sent: _Sent, method: str, number: str) -> None:
        async with places:
            if sent.trouble is not None:
                sent.not_sent.append(number)
                return
            values = {self.black_list.number: number.removeprefix("+")}
            try:
                await call_method(self.client, self.adapter, method, values, timeout=TIMEOUT)
            except MethodRefusedError as error:
                self._refused(sent, method, number, error)
            except TooManyRequestsError as error:
                sent.not_sent.append(number)
                sent.trouble = error
            except ProviderError as error:
                sent.unanswered.append(error)
                if len(sent.unanswered) >= MOST_UNANSWERED:
                    sent.trouble = sent.trouble or error
            else:
                sent.done.append(number)

    def _refused(self, sent: _Sent, method: str, number: str, error: MethodRefusedError) -> None:
        if method == self.black_list.delete and error.word == self.black_list.gone:
            sent.done.append(number)
        elif error.word.startswith(self.black_list.about_number):
            sent.refused.append(number)
        else:
            sent.not_sent.append(number)
            sent.trouble = sent.trouble or error


def _alike(
    known: dict[str, RuleState], found: dict[str, RuleState | None]
) -> list[tuple[tuple[RuleState | None, RuleState | None], list[str]]]:
    """Changes of the same kind together."""
    groups: dict[tuple[RuleState | None, RuleState | None], list[str]] = {}
    for number, now in found.items():
        groups.setdefault((known.get(number), now), []).append(number)
    return list(groups.items())
