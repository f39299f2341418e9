"""Single calls: those without a campaign, asked for one by one.

Somebody waits for the urgent ones, one-time passwords and click-to-calls: whoever asks for one releases it in the same
transaction (`add`, `add_all`), and rings when that is committed. One that cannot go now, or that a worker gave back,
waits until `release_due` finds it due. The others wait for the scheduler from the first, which releases them behind the
urgent ones and at the pace that campaigns keep, so that announcements by the thousand delay nobody.
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
from dialer.calls import flow_form, talk_form
from dialer.calls.flow_form import FlowError
from dialer.calls.ledger import Ledger
from dialer.calls.repeats import NO_REPEATS, RepeatPolicy
from dialer.calls.tried import NOBODY, tried
from dialer.campaigns.release import paces_of
from dialer.db import one_statement, reading, utc_now, writing
from dialer.errors import Conflict, FieldError, NotFound, RequestError
from dialer.lifecycle import NOT_URGENT, CallKind, CallState
from dialer.numbers import zone_of
from dialer.pace.breaker import left_alone_until
from dialer.pace.limiter import Limiter, Pace, Stage
from dialer.providers.contract import Capability
from dialer.providers.need import Need, able_kinds, grants, of_campaign, of_single, why_nobody, why_unable
from dialer.store import accounts, calls, messages, providers, singles
from dialer.store.calls import CallMove
from dialer.store.singles import Asked
from dialer.store.tables import AnyRow, Rows

#: Single calls released in one transaction.
BATCH = 100
#: When a call is looked at again for which nobody has a free place.
CROWDED = timedelta(seconds=0.25)
#: … for which there is no provider in use.
STUCK = timedelta(seconds=1)
#: Released calls that are not urgent and that no worker has taken yet: more do not help.
STOCK = 1000
#: Calls that find no place are looked at again over a time as long as all of them will take, up to so long: looked at
#: all at once, again and again, they would cost more than they are worth.
LONGEST_SPREAD = timedelta(minutes=5)
#: Waiting calls that are counted for it, and the seconds that each takes where no pace says so.
MOST_COUNTED = 1000
AT_ONCE = 0.05

Clock = Callable[[Connection], datetime]


@dataclass(frozen=True, slots=True)
class Later:
    """Nobody can take a call now: when to ask again, the provider that it waits for a place of, and the seconds that
    each call takes at the pace that it waits for."""

    due_at: datetime
    crowded_id: str | None = None
    every: float = AT_ONCE


@dataclass(frozen=True, slots=True, repr=False)
class NewSingle:
    """A single call that is to be made. `message` are the columns of its message, besides the call's id; `life` is how
    long it is worth dialling, from the moment at which it is due, unless `expires_at` says when that ends.

    `due_at` is the earliest moment at which it may be dialled, None for at once; `provider` is the name of the only one
    that may carry it; `time_zone` is the callee's, None: told by the number.
    """

    kind: CallKind
    e164: str
    need: Need
    life: timedelta
    message: Mapping[str, Any]
    due_at: datetime | None = None
    expires_at: datetime | None = None
    repeat_policy: RepeatPolicy = NO_REPEATS
    metadata: Mapping[str, str] | None = None
    provider: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """A single call that was written. `released`: a doorbell must be rung for it."""

    id: str
    state: CallState
    due_at: datetime
    expires_at: datetime

    @property
    def released(self) -> bool:
        """Whether it may be dialled now."""
        return self.state is CallState.RELEASED


def add(engine: Engine, asked: Asked, wanted: NewSingle) -> Added:
    """Write and commit a single call. The account is there.

    Raises `Conflict`, `NotFound` or `FieldError` when no provider of the account could ever carry it.
    """
    candidates = [able(asked.providers, wanted.need, wanted.provider)]
    with placing(engine, asked) as connection:
        return _add(connection, asked, [wanted], candidates)[0]


def add_to(connection: Connection, asked: Asked, wanted: NewSingle) -> Added:
    """`add`, in the caller's transaction, which writes."""
    return _add(connection, asked, [wanted], [able(asked.providers, wanted.need, wanted.provider)])[0]


def add_all(
    connection: Connection,
    asked: Asked,
    wanted: Sequence[NewSingle],
    before: Callable[[Sequence[Added]], None] = lambda _: None,
) -> list[Added]:
    """Write single calls in the caller's transaction, in a handful of statements however many they are. `before` is
    told of what will be written, and may raise.

    Raises what `add` raises, as `NotPlaceable`, before anything is written.
    """
    candidates = []
    for place, one in enumerate(wanted):
        try:
            candidates.append(able(asked.providers, one.need, one.provider))
        except RequestError as error:
            raise NotPlaceable(place, error) from error
    return _add(connection, asked, wanted, candidates, before)


class NotPlaceable(Exception):
    """One of several single calls that no provider could ever carry: its place among them, and why."""

    def __init__(self, place: int, why: RequestError) -> None:
        super().__init__(why.message)
        self.place = place
        self.why = why


def new_row(
    call_id: str, account: AnyRow, wanted: NewSingle, now: datetime, due_at: datetime
) -> dict[str, Any]:
    """The row of a single call that waits, and expires its life after `due_at` unless it says when; `account` has an id
    and a zone."""
    return {
        "id": call_id,
        "account_id": account.id,
        "kind": wanted.kind.value,
        "e164": wanted.e164,
        "time_zone": wanted.time_zone or zone_of(wanted.e164) or account.time_zone,
        "state": CallState.WAITING.value,
        "due_at": due_at,
        "released_at": None,
        "rung_at": None,
        "expires_at": wanted.expires_at or due_at + wanted.life,
        "provider_id": None,
        "dials": 0,
        "unsent": 0,
        "repeats": {},
        "repeat_policy": wanted.repeat_policy.to_json() if wanted.repeat_policy.rules else None,
        "metadata": None if wanted.metadata is None else dict(wanted.metadata),
        "reason": "",
        "created_at": now,
    }


def able(rows: Sequence[Any], need: Need, name: str | None = None) -> list[AnyRow]:
    """Those of an account's enabled providers that can carry it and are not paused, in the order of their trial: first
    those that have what it wishes for; `name` is that of the only one that may.

    Raises `NotFound` when there is none of that name, `Conflict` when there are none at all, `FieldError` when none
    can, the paused ones included: a person may mend those in time.
    """
    named = [row for row in rows if name in (None, row.name)]
    if rows and not named:
        raise NotFound(
            "provider",
            "provider: this account can use no enabled provider of this name; leave it out to use any.",
        )
    if not named:
        raise Conflict(
            "provider",
            f"No provider is set up that this account can use: add and enable one that can {need.does} "
            f"(kinds: {', '.join(able_kinds(need)) or 'none'}).",
        )
    able = [row for row in named if not why_unable(row.kind, need)]
    if not able:
        raise FieldError("provider", why_nobody((row.kind for row in named), need, "call"))
    return _by_wishes([row for row in able if row.paused_reason is None], need)


def _by_wishes(rows: list[AnyRow], need: Need) -> list[AnyRow]:
    """Providers that can carry a call, those first that have what it wishes for, too."""
    return sorted(rows, key=lambda row: not grants(row.kind, need)) if need.wishes else rows


def placing(engine: Engine, asked: Asked) -> AbstractContextManager[Connection]:
    """What one call is written in: with places to be counted a transaction that holds them, else its own statement."""
    if any(row.max_concurrent is not None for row in (asked.account, *asked.providers)):
        return writing(engine)
    return one_statement(engine)


def _add(
    connection: Connection,
    asked: Asked,
    wanted: Sequence[NewSingle],
    candidates: Sequence[Sequence[AnyRow]],
    before: Callable[[Sequence[Added]], None] = lambda _: None,
) -> list[Added]:
    account, now = asked.account, asked.now
    places = _Places(connection)
    at_once = [is_urgent(one.kind) and (one.due_at is None or one.due_at <= now) for one in wanted]
    if any(at_once):
        places.lock([account], {row.id: row for rows in candidates for row in rows}.values())
    added, rows, said = [], [], []
    named = {row.name: row.id for row in asked.providers}
    for call_id, one, theirs, now_or_never in zip(
        ids.call_ids(len(wanted), now), wanted, candidates, at_once, strict=True
    ):
        due_at = now if one.due_at is None else max(now, one.due_at)
        found = places.find(account, theirs, now) if now_or_never else Later(due_at)
        released = not isinstance(found, Later)
        made = Added(
            call_id,
            CallState.RELEASED if released else CallState.WAITING,
            found.due_at if isinstance(found, Later) else due_at,
            one.expires_at or due_at + one.life,
        )
        rows.append(_row(account, one, made, found, now))
        said.append(
            {
                "call_id": call_id,
                **one.message,
                "provider_id": None if one.provider is None else named[one.provider],
                "time_zone": one.time_zone,
            }
        )
        added.append(made)
    before(added)
    singles.add_all(connection, rows, said)
    return added


def _row(
    account: AnyRow, wanted: NewSingle, made: Added, found: AnyRow | Later, now: datetime
) -> dict[str, Any]:
    row = new_row(made.id, account, wanted, now, made.due_at) | {"expires_at": made.expires_at}
    if not isinstance(found, Later):
        stamp = {"released_at": now, "rung_at": now, "provider_id": found.id}
        return row | {"state": CallState.RELEASED.value} | stamp
    waits_for_place = is_urgent(wanted.kind) and wanted.due_at is None
    return row | {"provider_id": found.crowded_id, "reason": "no provider free" if waits_for_place else ""}


def is_urgent(kind: CallKind | str) -> bool:
    """Whether somebody waits for single calls of this kind."""
    return kind not in NOT_URGENT


def need_of_single(message: AnyRow) -> Need:
    """What a single call with this message needs of its provider. Raises `FlowError` for a flow that another version
    wrote."""
    if message.flow is not None:
        flow = flow_form.stored(message.call_id, message.flow)
        return of_campaign(text=None, flow=flow, language=message.language_code)
    return of_single(
        Capability(message.capability),
        language=message.language_code,
        record=bool(message.record),
        one_side=message.record_side is not None,
        record_if_able=bool(message.record_if_able),
        talk=talk_form.stored(message),
    )


def release_due(
    engine: Engine, limiter: Limiter, clock: Clock = utc_now, *, urgent: bool = True
) -> tuple[str, ...]:
    """Release single calls that have waited for their time, the urgent ones or the others; the ids that a doorbell must
    be rung for.

    Safe in any number of processes at once; its cost depends on the batch. Raises `redis.RedisError` when the pace
    cannot be asked, with nothing changed.
    """
    with reading(engine) as connection:
        if not singles.is_any_due(connection, clock(connection), urgent=urgent):
            return ()
        if not urgent and singles.count_released(connection, STOCK) >= STOCK:
            return ()
    with writing(engine) as connection:
        now = clock(connection)
        due = singles.lock_due(connection, now, BATCH, urgent=urgent)
        return _release(connection, limiter, due, now, urgent=urgent)


def _release(
    connection: Connection, limiter: Limiter, due: Rows, now: datetime, *, urgent: bool
) -> tuple[str, ...]:
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
    in_vain = tried(connection, alive, now)
    places = _Places(connection, limiter, Counter(call.account_id for call in alive), urgent=urgent)
    places.lock(their_accounts.values(), [row for rows in usable.values() for row in rows])
    released: list[CallMove] = []
    waiting: list[tuple[AnyRow, Later]] = []
    for call in alive:
        account, message = their_accounts[call.account_id], their_messages.get(call.id)
        try:
            need = need_of_single(message) if message is not None else Need(())
        except FlowError:  # written by another version; the others must not wait for it
            ledger.end_call(call, CallState.CANCELLED, "its flow cannot be read")
            continue
        pinned = message.provider_id if message is not None else None
        fit = [
            row for row in usable[account.id] if pinned in (None, row.id) and not why_unable(row.kind, need)
        ]
        fit = _by_wishes(fit, need)
        found = places.find(account, in_vain.get(call.id, NOBODY).order(fit), now)
        if isinstance(found, Later):
            waiting.append((call, found))
        else:
            stamp = {"released_at": now, "rung_at": now, "provider_id": found.id, "reason": ""}
            released.append(CallMove(call.id, CallState.WAITING, CallState.RELEASED, stamp))
    places.take()
    calls.move(connection, released, now)
    spread = timedelta(0) if urgent or not waiting else _spread(connection, waiting)
    calls.update(
        connection,
        [
            _still_waiting(call, later, spread * (place / len(waiting)))
            for place, (call, later) in enumerate(waiting)
        ],
    )
    ledger.write(connection)
    return tuple(move.id for move in released)


def _still_waiting(call: AnyRow, later: Later, behind: timedelta) -> dict[str, Any]:
    due_at = later.due_at + behind
    return {
        "_id": call.id,
        "due_at": due_at if call.expires_at is None else min(due_at, call.expires_at),
        "provider_id": later.crowded_id if is_urgent(call.kind) else None,
    }


def _spread(connection: Connection, waiting: Sequence[tuple[AnyRow, Later]]) -> timedelta:
    """Over how long calls are looked at again that found no place."""
    seconds = max(later.every for _, later in waiting)
    count = singles.count_due(connection, max(call.due_at for call, _ in waiting), MOST_COUNTED)
    return min(LONGEST_SPREAD, timedelta(seconds=seconds * max(count, len(waiting))))


def have_others(
    connection: Connection, failed: Sequence[tuple[AnyRow, str]], now: datetime, *, at_once: bool
) -> set[str]:
    """Those single calls, by id, that a provider may carry which has not refused them; `failed` are calls with the
    provider that does not take each now. `at_once`: one that may be called now and was not missed, either."""
    their_calls = [call for call, _ in failed]
    their_messages = messages.of_calls(connection, [call.id for call in their_calls])
    before = tried(connection, their_calls, now)
    usable = {one: providers.usable(connection, one) for one in {call.account_id for call in their_calls}}
    found = set()
    for call, provider_id in failed:
        message = their_messages.get(call.id)
        try:
            need = Need(()) if message is None else need_of_single(message)
        except FlowError:
            continue
        pinned = None if message is None else message.provider_id
        fit = [
            row
            for row in usable[call.account_id]
            if pinned in (None, row.id) and not why_unable(row.kind, need)
        ]
        if before.get(call.id, NOBODY).has_other(fit, provider_id, now, at_once=at_once):
            found.add(call.id)
    return found


class _Places:
    """Who has a place free for one more single call, in one transaction; without a limiter the pace is not asked:
    the worker does."""

    def __init__(
        self,
        connection: Connection,
        limiter: Limiter | None = None,
        due: Mapping[str, int] | None = None,
        *,
        urgent: bool = True,
    ) -> None:
        """`due`: how many calls each account has; asked for with a limiter. Calls that are not `urgent` are released at
        the pace that campaigns keep."""
        self._urgent = urgent
        self._released: Counter[tuple[str, str]] = Counter()
        self._paces: dict[tuple[str, str], list[Pace]] = {}
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
        every = AT_ONCE
        for provider in candidates:
            if (left_alone := left_alone_until(provider, now)) is not None:
                ask_again = min(ask_again, left_alone)
            elif not self._has_room("provider_id", provider):
                ask_again = min(ask_again, now + CROWDED)
                crowded_id = crowded_id or provider.id
            elif (wait := self._wait(account, provider)) > 0:
                ask_again = min(ask_again, now + timedelta(seconds=wait))
                every = max(
                    (60 / pace.calls_per_minute for pace in self._paces[account.id, provider.id]),
                    default=AT_ONCE,
                )
            else:
                self._take(account, provider)
                return provider
        return Later(ask_again, crowded_id, every)

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
            stage = Stage.SEND if self._urgent else Stage.RELEASE
            grant = self._limiter.look(stage, provider.id, paces, self._due[account.id], ahead=self._urgent)
            self._paces[key] = paces
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
            self._released[account.id, provider.id] += 1

    def take(self) -> None:
        """Take the tokens of those that were found a place and are not urgent: what is urgent takes them when it is
        sent."""
        if self._limiter is None or self._urgent:
            return
        for (account_id, provider_id), count in self._released.items():
            paces = self._paces[account_id, provider_id]
            self._limiter.take(Stage.RELEASE, provider_id, paces, count)
