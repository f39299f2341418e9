"""Release: which calls of a campaign may be dialled now.

`visit_next` gives one campaign that needs attention one short transaction: it opens or closes it by its dates,
releases what pace, `max_concurrent` and window allow, or ends what a stop or the end date has left. Its cost depends
on the batch, never on the size of the campaign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.calls.ledger import Ledger
from dialer.calls.tried import NOBODY, tried
from dialer.calls.window import DEFAULT_WINDOW, CallingWindow, known_zone, next_opening
from dialer.campaigns import carriers, openings
from dialer.campaigns.carriers import Refusals
from dialer.campaigns.ending import LATER, end_rest, finish, is_drained
from dialer.campaigns.fates import Fate, decide_fates, keep, new_call
from dialer.db import AWAY, reading, utc_now, writing
from dialer.lifecycle import CallState, CampaignState
from dialer.pace.breaker import left_alone_until
from dialer.pace.limiter import Grant, Limiter, Pace, Stage
from dialer.store import accounts, calls, campaigns, contacts, dnd, providers, singles
from dialer.store.calls import CallMove
from dialer.store.campaigns import CampaignMove
from dialer.store.tables import AnyRow, Rows

#: Calls released in one transaction.
BATCH = 300
#: Contacts read in one transaction: more than a batch, so that suppressed ones do not slow a campaign down.
PAGE = 600
#: Calls of a campaign that may lie released and untaken. Paced campaigns: two seconds' worth.
STOCK = 1000
EPOCH = datetime.fromtimestamp(0, UTC)
#: A campaign is looked at again after this, when something was released.
SOON = timedelta(seconds=0.1)
#: … when its pace let no more go: the buckets hold what comes meanwhile, and a visit costs much the same for one call
#: as for a hundred.
PACED = timedelta(seconds=0.5)
#: … but not in this very tick.
A_BIT = timedelta(milliseconds=1)
#: … when nothing can carry its calls.
STUCK = timedelta(seconds=5)
#: … and while a provider that could is on trial.
TRIAL = timedelta(seconds=1)
#: Places that become free within this are kept for single calls that wait.
SINGLES_SOON = timedelta(seconds=0.25)
#: When a contact is looked at again whose zone this host does not know.
LOST_ZONE = timedelta(hours=1)
#: Whose tokens campaigns share.
SHARED = frozenset({"account", "provider"})

#: What this process knows of refusals.
_refusals = Refusals()

Clock = Callable[[Connection], datetime]


class VisitError(Exception):
    """A campaign could not be visited; nothing was changed."""

    def __init__(self, campaign_id: str) -> None:
        super().__init__(f"campaign {campaign_id} could not be visited")
        self.campaign_id = campaign_id


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit did: the campaign, and the calls that a doorbell must be rung for."""

    campaign_id: str
    released: tuple[str, ...] = ()
    finished: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """The provider that carries a batch, and how many calls it may be: of what is shared with others its part. `tick`:
    of which time a multiple is to be waited for until there may be more. `spills`: another provider can carry at once
    what this one cannot."""

    provider: AnyRow
    calls: int
    tick: timedelta | None
    spills: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Who may carry the next calls of a campaign, in the order in which they are tried; and its due calls, where they
    had to be looked at for that."""

    candidates: Sequence[AnyRow]
    due: Rows | None = None


@dataclass(frozen=True, slots=True)
class NoRoute:
    """Nobody can carry a call now. `kept_by_others`: because others have the tokens of an account or provider."""

    ask_again: datetime
    kept_by_others: bool


def visit_next(engine: Engine, limiter: Limiter, clock: Clock = utc_now) -> Visit | None:
    """Give the campaign that was served longest ago what is due to it; None when no campaign needs attention.

    Safe to run in any number of processes: the campaign's row is claimed, one that another process holds is
    skipped. Raises `redis.RedisError` when the pace cannot be asked, VisitError when a
    campaign cannot be visited for a reason of its own, both with nothing changed.
    """
    if engine.dialect.name == "sqlite":  # whose one writer must not be kept waiting for a look
        with reading(engine) as connection:
            if not campaigns.any_due(connection, clock(connection)):
                return None
    with writing(engine) as connection:
        now = clock(connection)
        campaign = campaigns.claim_due(connection, now)
        if campaign is None:
            return None
        try:
            return visit(connection, limiter, campaign, now)
        except (*AWAY, RedisError):
            raise
        except Exception as error:
            # Whatever is odd about one campaign, the caller must know which, to go on with the others.
            raise VisitError(campaign.id) from error


def visit(connection: Connection, limiter: Limiter, campaign: AnyRow, now: datetime) -> Visit:
    """Give a campaign that this transaction holds what is due to it."""
    state = CampaignState(campaign.state)
    if state is CampaignState.STOPPED:
        end_rest(connection, campaign, CallState.CANCELLED, "campaign stopped", now)
        return Visit(campaign.id)
    if now >= campaign.end_at:
        return Visit(
            campaign.id, finished=end_rest(connection, campaign, CallState.EXPIRED, "campaign ended", now)
        )
    if state is CampaignState.RUNNING and campaign.pass_due_at is not None:
        return _release_in_pass(connection, limiter, campaign, now)
    if state is CampaignState.RUNNING:
        return _release(connection, limiter, campaign, now)
    if state is CampaignState.SCHEDULED and now >= campaign.start_at:
        start = CampaignMove(campaign.id, state, CampaignState.RUNNING, {"started_at": now, "wake_at": now})
        campaigns.move(connection, [start], now)
    else:  # woken before its time: paused, or not started
        wake_at = campaign.end_at if state is CampaignState.PAUSED else campaign.start_at
        campaigns.update(connection, campaign.id, wake_at=wake_at)
    return Visit(campaign.id)


def _release_in_pass(connection: Connection, limiter: Limiter, campaign: AnyRow, now: datetime) -> Visit:
    """A step of the pass that follows a change of the window, and what is released all the same."""
    account = accounts.with_id(connection, campaign.account_id)
    is_left = account is not None and openings.step(connection, campaign, window_of(campaign, account), now)
    visit = _release(connection, limiter, campaign, now)
    if is_left and not visit.finished:
        # The next page at once, behind every other campaign that is due.
        campaigns.update(connection, campaign.id, wake_at=now, served_at=now)
    return visit


def _release(connection: Connection, limiter: Limiter, campaign: AnyRow, now: datetime) -> Visit:
    account = accounts.with_id(connection, campaign.account_id)
    if account is None or not account.enabled:
        campaigns.update(connection, campaign.id, wake_at=now + STUCK, served_at=now)
        return Visit(campaign.id)
    want, ask_again = _room(connection, campaign, account, now)
    if want <= 0:
        # It had its turn: many such campaigns must not come before all others again and again.
        campaigns.update(connection, campaign.id, wake_at=ask_again, served_at=now)
        return Visit(campaign.id)
    batch = _batch(connection, campaign, want, now)
    route = _route(connection, limiter, campaign, account, want, now, batch.candidates)
    if isinstance(route, NoRoute):
        served = {} if route.kept_by_others else {"served_at": now}
        campaigns.update(connection, campaign.id, wake_at=route.ask_again, **served)
        return Visit(campaign.id)
    provider, want = route.provider, route.calls
    due = calls.lock_due(connection, campaign.id, now, want) if batch.due is None else batch.due[:want]
    if batch.due is None and _is_not_for(connection, campaign, provider, due, batch.candidates, now):
        campaigns.update(connection, campaign.id, wake_at=now)  # to look who else can carry them
        return Visit(campaign.id)
    fates, exhausted = _fates(connection, campaign, account, want - len(due), now)
    wanted = len(due) + sum(fate.state is CallState.RELEASED for fate in fates)
    paces = paces_of(campaign, account, provider)
    grant = limiter.take(Stage.RELEASE, provider.id, paces, wanted) if wanted else Grant(0, 0.0, None)
    due = due[: grant.calls]
    kept = keep(fates, grant.calls - len(due))
    released = _write(connection, campaign, provider, due, kept, now)
    if not due and not fates and exhausted and is_drained(connection, campaign):
        finish(connection, campaign, now)
        return Visit(campaign.id, finished=True)
    progress = bool(released or kept)
    wake_at = _wake_at(
        connection,
        campaign,
        grant,
        now,
        progress=progress,
        exhausted=exhausted,
        tick=route.tick,
        spills=route.spills,
    )
    # Who was only kept from tokens by others stays first in turn; whoever else was looked at had its turn, or
    # campaigns that only wait would come before those with work, again and again.
    served = {} if not progress and grant.blocker in SHARED else {"served_at": now}
    campaigns.update(connection, campaign.id, wake_at=wake_at, **served)
    return Visit(campaign.id, released)


def _batch(connection: Connection, campaign: AnyRow, want: int, now: datetime) -> Batch:
    """Who may carry the next calls: not who has refused the first of them, or any lately, where there is somebody else;
    whom it did not reach comes last.

    Only where such is known the calls are read before the route is chosen.
    """
    able = carriers.able_providers(connection, campaign)
    avoided = _refusals.of(campaign.id, now)
    if not avoided and not _refusals.has_unreached(campaign.id, now):
        return Batch(able)
    due = calls.lock_due(connection, campaign.id, now, want)
    in_vain = tried(connection, due, now)
    first = in_vain.get(due[0].id, NOBODY) if due else NOBODY
    alike = [call for call in due if in_vain.get(call.id, NOBODY) == first]
    candidates = first.order(able)
    return Batch([row for row in candidates if row.id not in avoided] or candidates, alike)


def _is_not_for(
    connection: Connection,
    campaign: AnyRow,
    provider: AnyRow,
    due: Rows,
    candidates: Sequence[AnyRow],
    now: datetime,
) -> bool:
    """Whether this provider has refused, or was not reached by, one of these calls that somebody else may carry; which
    is noted then."""
    if len(candidates) < 2:
        return False
    in_vain = tried(connection, due, now).values()
    refused = any(
        provider.id in one.refused and one.has_other(candidates, provider.id, now) for one in in_vain
    )
    if refused:
        _refusals.note(campaign.id, provider.id, now)
    unreached = any(
        provider.id in one.unreached and one.has_other(candidates, provider.id, now, at_once=True)
        for one in in_vain
    )
    if unreached:
        _refusals.note_unreached(campaign.id, now)
    return refused or unreached


def _room(connection: Connection, campaign: AnyRow, account: AnyRow, now: datetime) -> tuple[int, datetime]:
    """How many more calls the campaign may have released, by its stock and its own and its account's limits, up to
    BATCH; and when to ask again if that is none."""
    stock = _stock(campaign, account)
    room = stock - calls.count_released(connection, campaign.id)
    if stock == STOCK and room < BATCH // 2:
        return 0, now + SOON  # there is plenty; a whole batch costs little more than a few calls
    if room <= 0:
        return 0, next_tick(now + A_BIT, PACED)
    if campaign.max_concurrent is not None:
        room = min(room, campaign.max_concurrent - calls.occupancy(connection, "campaign_id", campaign.id))
    if account.max_concurrent is not None and room > 0:
        accounts.lock(connection, account.id)
        room = min(room, account.max_concurrent - _occupied(connection, "account_id", account.id, now))
    return min(BATCH, room), now + SOON


def _occupied(connection: Connection, column: str, value: str, now: datetime) -> int:
    """Places that are taken, or kept for single calls that are waiting for one."""
    return calls.occupancy(connection, column, value) + singles.count_waiting(
        connection, column, value, now + SINGLES_SOON
    )


def _stock(campaign: AnyRow, account: AnyRow) -> int:
    paces = [pace for pace in (campaign.calls_per_minute, account.calls_per_minute) if pace is not None]
    return min(STOCK, max(2, min(paces) // 30)) if paces else STOCK


def _route(
    connection: Connection,
    limiter: Limiter,
    campaign: AnyRow,
    account: AnyRow,
    want: int,
    now: datetime,
    candidates: Sequence[AnyRow],
) -> Route | NoRoute:
    """The provider that carries this batch and how many calls it may be, or when to ask again."""
    ask_again = now + STUCK
    kept_by_others = False
    for place, provider in enumerate(candidates):
        room = _room_at(connection, provider, want, now)
        if isinstance(room, datetime):
            ask_again = min(ask_again, room)
            continue
        grant = limiter.look(Stage.RELEASE, provider.id, paces_of(campaign, account, provider), room)
        if grant.calls:
            sharing = _sharing(connection, account, provider, now)
            part = _part(limiter, account, provider, sharing) if sharing > 1 else grant.calls
            tick = SOON if part < grant.calls else PACED if grant.blocker else None
            spills = min(room, grant.calls) < want and any(
                _may_carry(connection, limiter, campaign, account, other, now)
                for other in candidates[place + 1 :]
            )
            return Route(provider, min(grant.calls, part), tick, spills)
        kept_by_others = kept_by_others or grant.blocker in SHARED
        ask_again = min(ask_again, now + timedelta(seconds=grant.wait))
    return NoRoute(next_tick(ask_again, SOON), kept_by_others)


def _room_at(connection: Connection, provider: AnyRow, want: int, now: datetime) -> int | datetime:
    """How many of so many calls a provider has places for, its pace aside; or when to ask again, when it has none."""
    is_on_trial = provider.breaker_trips > 0
    left_alone = left_alone_until(provider, now)
    if left_alone is None and is_on_trial and calls.has_released(connection, provider.id):
        left_alone = now + TRIAL  # that one is to show how it is
    if left_alone is not None:
        return min(left_alone, now + TRIAL) if is_on_trial else left_alone
    room = 1 if is_on_trial else want
    if provider.max_concurrent is not None:
        providers.lock(connection, provider.id)
        room = min(room, provider.max_concurrent - _occupied(connection, "provider_id", provider.id, now))
    return room if room > 0 else now + SOON


def _may_carry(
    connection: Connection,
    limiter: Limiter,
    campaign: AnyRow,
    account: AnyRow,
    provider: AnyRow,
    now: datetime,
) -> bool:
    """Whether it could carry a call at once."""
    if isinstance(_room_at(connection, provider, 1, now), datetime):
        return False
    return limiter.look(Stage.RELEASE, provider.id, paces_of(campaign, account, provider), 1).calls > 0


def _sharing(connection: Connection, account: AnyRow, provider: AnyRow, now: datetime) -> int:
    """How many campaigns that need attention now share the tokens of this account and provider, this one included."""
    if account.calls_per_minute is None and provider.calls_per_minute is None:
        return 1
    everybody = provider.calls_per_minute is not None and provider.account_id is None
    of_account = None if everybody else account.id
    due = campaigns.count_due(connection, now, BATCH, provider_id=provider.id, account_id=of_account)
    return max(1, due)


def _part(limiter: Limiter, account: AnyRow, provider: AnyRow, sharing: int) -> int:
    """What one of so many campaigns may take of the tokens that they share."""
    shared = limiter.look(
        Stage.RELEASE, provider.id, paces_of(None, account, provider), calls=BATCH * sharing
    )
    return max(1, shared.calls // sharing)


def next_tick(at: datetime, tick: timedelta) -> datetime:
    """The first whole multiple of `tick` that is not before `at`: who shares a pace wakes in step with the others, so
    that each can be given an equal part, the longest unserved first."""
    return at + (EPOCH - at) % tick


def paces_of(campaign: AnyRow | None, account: AnyRow, provider: AnyRow) -> list[Pace]:
    """The paces that a call through this provider must keep."""
    holders = (("campaign", campaign), ("account", account), ("provider", provider))
    return [
        Pace(name, row.id, row.calls_per_minute)
        for name, row in holders
        if row is not None and row.calls_per_minute is not None
    ]


def _fates(
    connection: Connection, campaign: AnyRow, account: AnyRow, want: int, now: datetime
) -> tuple[list[Fate], bool]:
    """What becomes of the next contacts, up to `want` of them released; and whether the list is at its end."""
    if want <= 0:
        return [], False
    page = contacts.after(connection, campaign.list_id, campaign.cursor, min(PAGE, 2 * want + 10))
    exhausted = len(page) < min(PAGE, 2 * want + 10)
    lists = campaigns.dnd_lists(connection, [campaign.id]).get(campaign.id, [])
    listed = {e164 for _, e164 in dnd.listed(connection, lists, [contact.e164 for contact in page])}
    window = window_of(campaign, account)
    known: dict[str, datetime] = {}

    def opening(zone_name: str) -> datetime:
        if zone_name not in known:
            zone = known_zone(zone_name)
            # A zone gone from this host's tz data: no guess at night; the worker looks again, hour by hour.
            known[zone_name] = now + LOST_ZONE if zone is None else next_opening(window, zone, now)
        return known[zone_name]

    fates = decide_fates(
        page, listed, lambda zone: opening(zone or campaign.time_zone), want, now, campaign.end_at
    )
    return fates, exhausted and len(fates) == len(page)


def _write(
    connection: Connection,
    campaign: AnyRow,
    provider: AnyRow,
    due: Rows,
    fates: Sequence[Fate],
    now: datetime,
) -> tuple[str, ...]:
    """Release the due calls and make calls of the contacts; the ids of what was released."""
    stamp: Mapping[str, Any] = {"released_at": now, "rung_at": now, "provider_id": provider.id}
    calls.move(
        connection,
        [CallMove(call.id, CallState.WAITING, CallState.RELEASED, {**stamp, "reason": ""}) for call in due],
        now,
    )
    rows = [
        new_call(campaign, provider, fate, call_id, now)
        for fate, call_id in zip(fates, ids.call_ids(len(fates), now), strict=True)
    ]
    added = calls.add_for_campaign(connection, rows)
    fresh = [row for row in rows if row["id"] in added]
    ledger = Ledger(now)
    for row in fresh:
        ledger.count(campaign.id, "taken")
        if row["state"] == CallState.SUPPRESSED:
            ledger.record_suppressed(_Columns(row), campaign)
        if row["ended_at"] is not None:
            ledger.record_end(_Columns(row))
    ledger.write(connection)
    if fates:
        campaigns.update(connection, campaign.id, cursor=fates[-1].contact.position)
    return (*(call.id for call in due), *(row["id"] for row in fresh if row["state"] == CallState.RELEASED))


class _Columns:
    """The columns of a row that is being inserted, as attributes."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.__dict__.update(row)


def _wake_at(
    connection: Connection,
    campaign: AnyRow,
    grant: Grant,
    now: datetime,
    *,
    progress: bool,
    exhausted: bool,
    tick: timedelta | None,
    spills: bool,
) -> datetime:
    """When to look at the campaign again."""
    if progress and spills:
        return now
    if grant.blocker or (progress and tick is not None):
        return next_tick(now + max(timedelta(seconds=grant.wait), A_BIT), tick or SOON)
    if progress:
        # At an unlimited pace at once, behind every other campaign that is due.
        return now + SOON if exhausted else now
    next_due = calls.next_due(connection, campaign.id)
    soonest = now + LATER
    if next_due is None or calls.occupancy(connection, "campaign_id", campaign.id):
        return soonest if next_due is None else max(now + SOON, min(soonest, next_due))
    # Contacts may be added meanwhile, so it is looked at now and then all the same.
    return max(now + SOON, min(next_due, now + STUCK))


def window_of(campaign: AnyRow, account: AnyRow) -> CallingWindow:
    """The calling window that holds: the campaign's own, else its account's, else 08:00–21:00 every day."""
    given = campaign.calling_window
    return CallingWindow.parse(given) if given else window_of_account(account)


def window_of_account(account: Any) -> CallingWindow:
    """The calling window of an account: its own, else 08:00–21:00 every day."""
    given = account.calling_window
    return CallingWindow.parse(given) if given else DEFAULT_WINDOW
