"""Single calls: those without a campaign, asked for one by one and dialled at once: one-time passwords, click-to-calls.

Whoever asks for one releases it in the same transaction (`add`), and rings when that is committed. One that cannot
go now, or that a worker gave back, waits until `release_due` finds it due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.calls.ledger import Ledger
from dialer.campaigns.release import paces_of
from dialer.db import one_statement, reading, utc_now, writing
from dialer.errors import Conflict, FieldError
from dialer.lifecycle import CallKind, CallState
from dialer.numbers import zone_of
from dialer.pace.breaker import left_alone_until
from dialer.pace.limiter import Limiter, Stage
from dialer.providers.contract import Capability
from dialer.providers.need import Need, able_kinds, of_single, why_nobody, why_unable
from dialer.store import accounts, attempts, calls, messages, providers, singles
from dialer.store.calls import CallMove
from dialer.store.singles import Asked
from dialer.store.tables import AnyRow, Rows

#: Single calls released in one transaction.
BATCH = 100
#: When a call is looked at again for which nobody has a free place.
CROWDED = timedelta(seconds=0.25)
#: … for which there is no provider in use.
STUCK = timedelta(seconds=1)

Clock = Callable[[Connection], datetime]


@dataclass(frozen=True, slots=True)
class Later:
    """Nobody can take a call now: when to ask again, and the provider that it waits for a place of."""

    due_at: datetime
    crowded_id: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class NewSingle:
    """A single call that is to be made. `message` are the columns of its message, besides the call's id; `life` is how
    long it is worth dialling."""

    kind: CallKind
    e164: str
    need: Need
    life: timedelta
    message: Mapping[str, Any]


def add(engine: Engine, asked: Asked, wanted: NewSingle) -> tuple[str, bool]:
    """Write and commit a single call; its id, and whether it is released, so that a doorbell must be rung. The account
    is there.

    Raises `Conflict` or `FieldError` when no provider of the account could ever carry it.
    """
    account, now = asked.account, asked.now
    candidates = _able(asked.providers, wanted.need)
    (call_id,) = ids.call_ids(1, now)
    with _placing(engine, account, candidates) as connection:
        places = _Places(connection)
        places.lock([account], candidates)
        found = places.find(account, candidates, now)
        released = not isinstance(found, Later)
        singles.add(
            connection,
            {
                "id": call_id,
                "account_id": account.id,
                "kind": wanted.kind.value,
                "e164": wanted.e164,
                "time_zone": zone_of(wanted.e164) or account.time_zone,
                "state": CallState.RELEASED.value if released else CallState.WAITING.value,
                "due_at": found.due_at if isinstance(found, Later) else now,
                "released_at": now if released else None,
                "rung_at": now if released else None,
                "expires_at": now + wanted.life,
                "provider_id": found.crowded_id if isinstance(found, Later) else found.id,
                "dials": 0,
                "unsent": 0,
                "repeats": {},
                "reason": "" if released else "no provider free",
                "created_at": now,
            },
            {"call_id": call_id, **wanted.message},
        )
    return call_id, released


def _placing(
    engine: Engine, account: AnyRow, candidates: Sequence[AnyRow]
) -> AbstractContextManager[Connection]:
    """What a call is written in: with places to be counted a transaction that holds them, else its own statement."""
    if any(row.max_concurrent is not None for row in (account, *candidates)):
        return writing(engine)
    return one_statement(engine)


def need_of_single(message: AnyRow) -> Need:
    """What a single call with this message needs of its provider."""
    return of_single(
        Capability(message.capability), language=message.language_code, record=bool(message.record)
    )


def release_due(engine: Engine, limiter: Limiter, clock: Clock = utc_now) -> tuple[str, ...]:
    """Release single calls that have waited for their time; the ids that a doorbell must be rung for.

    Safe in any number of processes at once; its cost depends on the batch. Raises `redis.RedisError` when the pace
    cannot be asked, with nothing changed.
    """
    with reading(engine) as connection:
        if not singles.is_any_due(connection, clock(connection)):
            return ()
    with writing(engine) as connection:
        now = clock(connection)
        due = singles.lock_due(connection, now, BATCH)
        return _release(connection, limiter, due, now)


def _release(connection: Connection, limiter: Limiter, due: Rows, now: datetime) -> tuple[str, ...]:
    ledger = Ledger(now)
    alive = []
    for call in due:
        if call.expires_at is not None and call.expires_at <= now:
            ledger.end_call(call, CallState.EXPIRED, "expired")
        else:
            alive.append(call)
    their_accounts = accounts.with_ids(connection, {call.account_id for call in alive})
    their_messages = messages.of_calls(connection, [call.id for call in alive])
    usable = {account_id: providers.usable(connection, account_id) for account_id in their_accounts}
    dialled = [call for call in alive if call.dials]
    refused = attempts.refused_by(connection, dialled) if dialled else {}
    places = _Places(connection, limiter, Counter(call.account_id for call in alive))
    places.lock(their_accounts.values(), [row for rows in usable.values() for row in rows])
    released: list[CallMove] = []
    waiting: list[dict[str, Any]] = []
    for call in alive:
        account, message = their_accounts[call.account_id], their_messages.get(call.id)
        need = need_of_single(message) if message is not None else Need(())
        able = [row for row in usable[account.id] if not why_unable(row.kind, need)]
        # Who has refused it is asked again only where there is nobody else.
        candidates = [row for row in able if row.id not in refused.get(call.id, ())] or able
        found = places.find(account, candidates, now)
        if isinstance(found, Later):
            due_at = found.due_at if call.expires_at is None else min(found.due_at, call.expires_at)
            waiting.append({"_id": call.id, "due_at": due_at, "provider_id": found.crowded_id})
        else:
            stamp = {"released_at": now, "rung_at": now, "provider_id": found.id, "reason": ""}
            released.append(CallMove(call.id, CallState.WAITING, CallState.RELEASED, stamp))
    calls.move(connection, released, now)
    calls.update(connection, waiting)
    ledger.write(connection)
    return tuple(move.id for move in released)


def have_others(connection: Connection, refused: Sequence[tuple[AnyRow, str]]) -> set[str]:
    """Those single calls, by id, that a provider may carry which has not refused them; `refused` are calls with the
    provider that refuses each now."""
    their_calls = [call for call, _ in refused]
    their_messages = messages.of_calls(connection, [call.id for call in their_calls])
    before = attempts.refused_by(connection, their_calls)
    found = set()
    for call, provider_id in refused:
        message = their_messages.get(call.id)
        need = Need(()) if message is None else need_of_single(message)
        others = [
            row
            for row in providers.usable(connection, call.account_id)
            if row.id != provider_id and row.id not in before.get(call.id, ())
        ]
        if any(not why_unable(row.kind, need) for row in others):
            found.add(call.id)
    return found


class _Places:
    """Who has a place free for one more single call, in one transaction; without a limiter the pace is not asked:
    the worker does."""

    def __init__(
        self, connection: Connection, limiter: Limiter | None = None, due: Mapping[str, int] | None = None
    ) -> None:
        """`due`: how many calls each account has; asked for with a limiter."""
        self._connection = connection
        self._limiter = limiter
        self._due = due or {}
        self._free: dict[tuple[str, str], int] = {}
        self._tokens: dict[tuple[str, str], tuple[int, float]] = {}

    def lock(self, their_accounts: Iterable[AnyRow], candidates: Iterable[AnyRow]) -> None:
        """Hold the rows whose `max_concurrent` nobody else may fill meanwhile, in the order in which release holds
        them, so that two transactions never wait for each other."""
        for account in sorted(their_accounts, key=lambda row: str(row.id)):
            if account.max_concurrent is not None:
                accounts.lock(self._connection, account.id)
        limited = {(row.priority, row.name, row.id) for row in candidates if row.max_concurrent is not None}
        for _, _, provider_id in sorted(limited):
            providers.lock(self._connection, provider_id)

    def find(self, account: AnyRow, candidates: Sequence[AnyRow], now: datetime) -> AnyRow | Later:
        """The provider that takes this call."""
        if not self._has_room("account_id", account):
            return Later(now + CROWDED)
        ask_again = now + STUCK
        crowded_id = None
        for provider in candidates:
            if (left_alone := left_alone_until(provider, now)) is not None:
                ask_again = min(ask_again, left_alone)
            elif not self._has_room("provider_id", provider):
                ask_again = min(ask_again, now + CROWDED)
                crowded_id = crowded_id or provider.id
            elif (wait := self._wait(account, provider)) > 0:
                ask_again = min(ask_again, now + timedelta(seconds=wait))
            else:
                self._take(account, provider)
                return provider
        return Later(ask_again, crowded_id)

    def _has_room(self, column: str, holder: AnyRow) -> bool:
        if holder.max_concurrent is None:
            return True
        key = column, holder.id
        if key not in self._free:
            self._free[key] = holder.max_concurrent - calls.occupancy(self._connection, column, holder.id)
        return self._free[key] > 0

    def _wait(self, account: AnyRow, provider: AnyRow) -> float:
        """Seconds until account and provider have a token; 0 when they have one."""
        if self._limiter is None:
            return 0.0
        key = account.id, provider.id
        if key not in self._tokens:
            paces = paces_of(None, account, provider)
            grant = self._limiter.look(Stage.SEND, provider.id, paces, self._due[account.id], ahead=True)
            self._tokens[key] = grant.calls, grant.wait
        tokens, wait = self._tokens[key]
        return 0.0 if tokens > 0 else max(wait, 0.01)

    def _take(self, account: AnyRow, provider: AnyRow) -> None:
        for key in (("account_id", account.id), ("provider_id", provider.id)):
            if key in self._free:
                self._free[key] -= 1
        if (account.id, provider.id) in self._tokens:
            tokens, wait = self._tokens[account.id, provider.id]
            self._tokens[account.id, provider.id] = tokens - 1, wait


def _able(rows: Sequence[Any], need: Need) -> list[AnyRow]:
    """Those of an account's providers that can carry it and are not paused, in the order in which they are tried.

    Raises `Conflict` when there are none at all, `FieldError` when none can, the paused ones included: a person may
    mend those in time.
    """
    if not rows:
        raise Conflict(
            "provider",
            f"No provider is set up that this account can use: add and enable one that can {need.does} "
            f"(kinds: {', '.join(able_kinds(need)) or 'none'}).",
        )
    able = [row for row in rows if not why_unable(row.kind, need)]
    if not able:
        raise FieldError("provider", why_nobody((row.kind for row in rows), need, "call"))
    return [row for row in able if row.paused_reason is None]
