"""Claim: released calls become committed attempts, and only then may be sent.

One transaction locks the calls, looks once more at DND lists, campaign, window and caps, takes tokens from the pace,
and commits the attempts as SUBMITTING.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from dialer import ids
from dialer.calls import content, flow_form, gate, provider_repeats, repeats, talk_form
from dialer.calls.flow_form import FlowError
from dialer.calls.ledger import Ledger
from dialer.calls.repeats import RepeatPolicy
from dialer.calls.single import is_urgent, need_of_single
from dialer.calls.window import CallingWindow, known_zone
from dialer.campaigns.carriers import need_of_campaign
from dialer.campaigns.release import LOST_ZONE, paces_of, window_of, window_of_account
from dialer.campaigns.template import TemplateError
from dialer.db import utc_now
from dialer.dnd.applicable import campaign_heeded
from dialer.lifecycle import NOT_URGENT, AttemptState, CallKind, CallState, CampaignState
from dialer.logs import get_logger, hide
from dialer.numbers import zones_of
from dialer.pace.breaker import PROBE_WITHIN, Phase, phase_of
from dialer.pace.limiter import Limiter, Stage, good_for, slack
from dialer.providers.base import Adapter
from dialer.providers.contract import Capability, ProviderError, Submission
from dialer.providers.kinds import adapter_class, make_adapter
from dialer.providers.need import Need, why_unable
from dialer.providers.setup import open_config
from dialer.secrets import SecretBox, SecretError
from dialer.store import accounts, attempts, calls, campaigns, dnd, messages, providers, singles
from dialer.store.tables import AnyRow

log = get_logger(__name__)

#: A worker that is not back with an answer after this is given up: its attempts' fate is unknown.
LEASE = timedelta(seconds=30)
#: Seconds between two looks for tokens, where the buckets hold what comes meanwhile: a claim of ten calls costs little
#: more than one of a single call.
LOOK_EVERY = 0.1
#: Why a call waits that another one goes before.
ON_TRIAL = "provider on trial"


@dataclass(frozen=True, slots=True)
class Placement:
    """A committed attempt on its way out."""

    submission: Submission
    call_id: str
    provider_id: str
    adapter: Adapter
    #: Seconds of `moment()`: when its facts were read, and until when its tokens are good (None: it has no pace).
    claimed_at: float
    use_by: float | None = None
    #: The one call that its provider's half-open breaker lets through.
    is_probe: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Calls of one pace that found no token, and the seconds after which there is one; `may_be_late`: the pace loses
    nothing when they are asked for up to LOOK_EVERY later."""

    call_ids: tuple[str, ...]
    wait: float
    may_be_late: bool


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim brought: attempts to send, calls that found no token, and calls whose provider has as many in
    flight as it may."""

    placements: tuple[Placement, ...] = ()
    refused: tuple[Refused, ...] = ()
    crowded: tuple[str, ...] = ()
    #: Those providers.
    crowded_by: frozenset[str] = frozenset()


#: A call, and what is to be sent for it.
Prepared = tuple[AnyRow, Adapter, Submission]
#: Whose pace calls keep: their campaign (None: they are single calls), account and provider; and whether they are
#: urgent, and so go ahead.
Pacing = tuple[str | None, str, str, bool]


class AdapterCache:
    """Adapters by provider, made anew when the provider's row changes. Credentials are opened only here."""

    def __init__(self, box: SecretBox, *, reconcile_after: float | None, public_url: str) -> None:
        """`public_url`: what providers reach us at."""
        self._box = box
        self.reconcile_after = None if reconcile_after is None else timedelta(seconds=reconcile_after)
        self._public_url = public_url
        self._made: dict[str, tuple[tuple[str, ...], Adapter]] = {}
        self._due_after: dict[str, timedelta] = {}

    def of(self, provider: AnyRow) -> Adapter:
        """Raises `ProviderError` or `SecretError`, a sentence each."""
        key = (provider.kind, provider.base_url, provider.credentials, provider.webhook_token)
        known = self._made.get(provider.id)
        if known is None or known[0] != key:
            config = open_config(provider, self._box, self._public_url)
            hide(*config.settings.values())
            known = self._made[provider.id] = (key, make_adapter(config))
        return known[1]

    def due_after(self, adapter: Adapter) -> timedelta:
        """After which an attempt without a final event is looked up, or settled where nobody can be asked."""
        known = self._due_after.get(adapter.kind)
        if known is None:
            known = self._due_after[adapter.kind] = adapter.patience(self.reconcile_after).first
        return known


def claim(
    connection: Connection,
    limiter: Limiter,
    adapters: AdapterCache,
    call_ids: Sequence[str],
    now: datetime | None,
    *,
    room: Callable[[str], int] = lambda _: sys.maxsize,
    claimed_at: float | None = None,
    single: bool = False,
) -> Claim:
    """Claim those of the calls that are released and may be dialled at `now`; must be committed before sending.

    In the same transaction: what is on a DND list ends suppressed, what must wait goes back to wait, what has run out
    of time ends, the pace grants its tokens, and the attempts are written as SUBMITTING. `single`: all of them are
    single calls, which one statement finds with all that is to be known of them. `now`: None reads the database's
    clock, that of single calls in the same statement.
    """
    claimed_at = moment() if claimed_at is None else claimed_at
    released, known = (
        singles.lock_released(connection, call_ids)
        if single
        else (calls.lock_released(connection, call_ids), None)
    )
    if not released:
        return Claim()
    if now is None:
        now = utc_now(connection) if known is None else known.now
    facts = _Facts(connection, released, known, now)
    ledger = Ledger(now)
    ready = _ready(released, facts, adapters, ledger, now)
    placements: list[Placement] = []
    refused: list[Refused] = []
    crowded: list[str] = []
    crowded_by: set[str] = set()
    for (campaign_id, account_id, provider_id, goes_ahead), prepared_calls in ready.items():
        provider = facts.providers[provider_id]
        paces = paces_of(facts.campaigns.get(campaign_id or ""), facts.accounts[account_id], provider)
        free = max(0, room(provider_id) - sum(one.provider_id == provider_id for one in placements))
        batch = prepared_calls[:free]
        if len(prepared_calls) > free:
            crowded += [call.id for call, _, _ in prepared_calls[free:]]
            crowded_by.add(provider_id)
        if not batch:
            continue
        use_by = moment() + min(good_for(pace.calls_per_minute) for pace in paces) if paces else None
        grant = limiter.take(Stage.SEND, provider_id, paces, len(batch), ahead=goes_ahead)
        going, is_probe = batch[: grant.calls], phase_of(provider, now) is Phase.HALF_OPEN
        if is_probe and going and not _take_probe(connection, provider, now):
            ledger.wait(going.pop()[0], now, ON_TRIAL)
        for call, adapter, submission in going:
            ledger.dial(
                call, _new_attempt(call, submission, now, adapters.due_after(adapter), adapter.cost_after)
            )
            placements.append(
                Placement(submission, call.id, provider_id, adapter, claimed_at, use_by, is_probe=is_probe)
            )
        left = [call for call, _, _ in batch[grant.calls :]]
        if grant.blocker == "hold":
            for call in left:
                ledger.wait(call, now, "provider held")  # the next release chooses another one, or waits
        elif goes_ahead:  # the fast lane waits for nobody; each has a turn of its own
            for place, call in enumerate(left, start=1):
                ledger.wait(call, now + timedelta(seconds=grant.wait * place), "pace")
        elif left:
            may_be_late = slack(Stage.SEND, paces) >= LOOK_EVERY
            refused.append(Refused(tuple(call.id for call in left), grant.wait, may_be_late))
    ledger.write(connection)
    return Claim(tuple(placements), tuple(refused), tuple(crowded), frozenset(crowded_by))


def _ready(
    released: Sequence[AnyRow], facts: _Facts, adapters: AdapterCache, ledger: Ledger, now: datetime
) -> dict[Pacing, list[Prepared]]:
    """Those that may be dialled now; of each that the pace goes by one at most through a provider on trial."""
    ready: dict[Pacing, list[Prepared]] = {}
    for call in released:
        prepared = _prepare(call, facts, adapters, ledger, now)
        if prepared is None:
            continue
        pacing = (
            call.campaign_id,
            call.account_id,
            call.provider_id,
            call.campaign_id is None and is_urgent(call.kind),
        )
        if pacing in ready and phase_of(facts.providers[call.provider_id], now) is Phase.HALF_OPEN:
            ledger.wait(call, now, ON_TRIAL)
            continue
        ready.setdefault(pacing, []).append((call, *prepared))
        facts.note_dial(call, now)
    return ready


def _take_probe(connection: Connection, provider: AnyRow, now: datetime) -> bool:
    return providers.take_probe(connection, provider.id, provider.breaker_until, now + PROBE_WITHIN)


class _Facts:
    """What must be known of a batch of calls before they are dialled, read in a handful of statements."""

    def __init__(
        self, connection: Connection, released: Sequence[AnyRow], known: singles.Facts | None, now: datetime
    ) -> None:
        self.campaigns: Mapping[str, Any] = {}
        self.messages: Mapping[str, Any] = {}
        self._windows: dict[str, CallingWindow] = {}
        self._unable: dict[tuple[str, str], tuple[str, ...]] = {}
        if known is None:
            self._read(connection, released)
        else:
            self.accounts, self.providers = known.accounts, known.providers
            self.messages = known.messages
            self.on_dnd = known.on_dnd | self._led_to_dnd(connection, released)
        self.on_dnd |= self._tests_on_dnd(connection, released)
        self._read_dials(connection, released, now)

    def _read(self, connection: Connection, released: Sequence[AnyRow]) -> None:
        campaign_ids = sorted({call.campaign_id for call in released if call.campaign_id})
        self.campaigns = campaigns.with_ids(connection, campaign_ids)
        self.accounts = accounts.with_ids(connection, {call.account_id for call in released})
        self.providers = providers.with_ids(connection, {call.provider_id for call in released})
        self.messages = messages.of_calls(connection, [call.id for call in released if not call.campaign_id])
        lists = campaigns.dnd_lists(connection, campaign_ids)
        # A campaign's lists hold its account's global one already.
        everywhere = dnd.global_lists(
            connection, {call.account_id for call in released if not call.campaign_id}
        )
        self._lists = {
            call.id: {*lists.get(call.campaign_id or "", ()), *everywhere.get(call.account_id, ())}
            for call in released
        }
        transfers = {one.id: _transfers(one) for one in self.campaigns.values() if one.flow is not None}
        dialled = {call.id: self._dialled(call, transfers) for call in released}
        listed = dnd.listed(
            connection, sorted(set().union(*self._lists.values())), sorted(set().union(*dialled.values()))
        )
        self.on_dnd = {
            call.id
            for call in released
            if any((one, e164) in listed for one in self._lists[call.id] for e164 in dialled[call.id])
        }

    def _led_to_dnd(self, connection: Connection, released: Sequence[AnyRow]) -> set[str]:
        """Those single calls that may ring more numbers than two, one of them on the global list of their account: by
        their flow, or besides the callee's."""
        with_more = [
            call
            for call in released
            if (message := self.messages.get(call.id)) is not None and (message.flow or message.ring)
        ]
        dialled = {call.id: self._dialled(call, {}) for call in with_more}
        lists = dnd.global_lists(connection, {call.account_id for call in with_more})
        every_list, numbers = sorted(chain(*lists.values())), sorted(set().union(*dialled.values()))
        listed = dnd.listed(connection, every_list, numbers)
        theirs = {call.id: lists.get(call.account_id, []) for call in with_more}
        return {
            call_id
            for call_id, e164s in dialled.items()
            if any((one, e164) in listed for one in theirs[call_id] for e164 in e164s)
        }

    def _tests_on_dnd(self, connection: Connection, released: Sequence[AnyRow]) -> set[str]:
        """Those test calls that may ring a number on a DND list of the campaign that they are a test of."""
        tests = [call for call in released if call.campaign_id is None and campaign_heeded(call) is not None]
        return {
            call.id
            for call in tests
            if campaigns.listed(
                connection, call.account_id, campaign_heeded(call), sorted(self._dialled(call, {}))
            )
        }

    def _read_dials(self, connection: Connection, released: Sequence[AnyRow], now: datetime) -> None:
        self._dials: dict[str, dict[str, list[datetime]]] = {}
        for account in sorted(self.accounts.values(), key=lambda account: account.id):
            if account.frequency_cap is not None:
                # Two workers must not both see the last dial that the cap leaves.
                accounts.lock(connection, account.id)
                numbers = [call.e164 for call in released if call.account_id == account.id]
                self._dials[account.id] = attempts.dials_since(
                    connection, account.id, numbers, now - timedelta(days=1)
                )

    def _dialled(self, call: AnyRow, transfers: Mapping[str | None, frozenset[str]]) -> set[str]:
        """Every number that may be rung for this call once it is sent: of a click-to-call both ends and whoever is rung
        besides, of a flow whom it transfers to, unless its provider asks first."""
        message = self.messages.get(call.id)
        if message is not None and message.connect_to is not None:
            return {call.e164, message.connect_to, *(one.number for one in talk_form.stored(message).also)}
        provider = self.providers.get(call.provider_id)
        if message is not None and message.flow is not None:
            transfers = {call.campaign_id: _transfers_of(call.id, message.flow)}
        if call.campaign_id not in transfers or (provider is not None and _asks(provider)):
            return {call.e164}
        return {call.e164, *transfers[call.campaign_id]}

    def why_unable(self, call: AnyRow, provider: AnyRow) -> tuple[str, ...]:
        """Why this provider cannot carry the call; asked once for all calls of a campaign."""
        key = call.campaign_id or call.id, provider.kind
        if key not in self._unable:
            self._unable[key] = why_unable(provider.kind, self._need_of(call))
        return self._unable[key]

    def _need_of(self, call: AnyRow) -> Need:
        if call.campaign_id in self.campaigns:
            return need_of_campaign(self.campaigns[call.campaign_id])
        message = self.messages.get(call.id)
        return Need(()) if message is None else need_of_single(message)

    def repeats_to_hand_over(self, call: AnyRow, campaign: AnyRow, now: datetime) -> RepeatPolicy | None:
        """The repeats that the provider of this call is to make, if it may: of a call that has none behind it, of an
        account that has no cap on dials, for what the provider dials by itself we would not count."""
        policy, zone = repeats.stored(campaign.repeat_policy), known_zone(call.time_zone)
        if not policy.times or call.repeats or zone is None:
            return None
        if self.accounts[call.account_id].frequency_cap is not None:
            return None
        window = self._windows[campaign.id]
        return policy if provider_repeats.fits(policy, window, zone, campaign.end_at, now) else None

    def note_dial(self, call: AnyRow, now: datetime) -> None:
        """Another call of the batch to the same number must know of this one."""
        if call.account_id in self._dials:
            self._dials[call.account_id].setdefault(call.e164, []).append(now)

    def zones_of(self, call: AnyRow) -> list[ZoneInfo] | None:
        """The zones that the callee may be in; None when one is not in this host's tz data."""
        message = self.messages.get(call.id)
        names: Sequence[str] = (call.time_zone,)
        if _keeps_window(call) and (message is None or message.time_zone is None):
            names = zones_of(call.e164) or names
        zones = [zone for name in names if (zone := known_zone(name)) is not None]
        return zones if len(zones) == len(names) else None

    def _window_of(self, call: AnyRow, campaign: AnyRow | None, account: AnyRow) -> CallingWindow | None:
        """None for a call at any hour."""
        if campaign is None and not _keeps_window(call):
            return None
        key = account.id if campaign is None else campaign.id
        if key not in self._windows:
            self._windows[key] = (
                window_of_account(account) if campaign is None else window_of(campaign, account)
            )
        return self._windows[key]

    def gate_input(self, call: AnyRow, zones: Sequence[ZoneInfo]) -> gate.GateInput:
        campaign = self.campaigns.get(call.campaign_id or "")
        account = self.accounts[call.account_id]
        dials = self._dials.get(account.id, {}).get(call.e164, [])
        # An agent may be rung as often as somebody clicks, or chooses a time.
        is_asked_for = call.kind == CallKind.CLICK_TO_CALL or call.scheduled_at is not None
        cap = None if is_asked_for else account.frequency_cap
        capped_until = dials[-cap] + timedelta(days=1) if cap and len(dials) >= cap else None
        zone, *others = zones
        return gate.GateInput(
            on_dnd=call.id in self.on_dnd,
            cancelled=False,  # a cancelled call is not RELEASED any more
            account_enabled=account.enabled,
            campaign_state=CampaignState(campaign.state) if campaign is not None else None,
            campaign_end_at=campaign.end_at if campaign is not None else None,
            expires_at=call.expires_at,
            zone=zone,
            other_zones=tuple(others),
            window=self._window_of(call, campaign, account),
            dials_in_last_day=len(dials),
            frequency_cap=cap,
            capped_until=capped_until,
        )


def _transfers(campaign: AnyRow) -> frozenset[str]:
    return _transfers_of(campaign.id, campaign.flow)


def _transfers_of(key: str, flow: Mapping[str, Any]) -> frozenset[str]:
    try:
        return flow_form.stored(key, flow).transfers()
    except FlowError:  # another version wrote it: it is not sent
        return frozenset()


def _asks(provider: AnyRow) -> bool:
    """Whether the provider asks what a call is to do next, so that it learns of nobody before."""
    try:
        kind = adapter_class(provider.kind)
        return kind.asks and Capability.LIVE_CONTROL in kind.capabilities
    except ProviderError:  # a kind of another version: nothing is sent to it
        return False


def _keeps_window(call: AnyRow) -> bool:
    """Whether a single call keeps its account's calling window: one that nobody asked for at this very moment. So does
    the callback of an inbound rule, and not one at a time that somebody chose."""
    return call.kind in NOT_URGENT or (call.kind == CallKind.CALLBACK and call.scheduled_at is None)


def _prepare(
    call: AnyRow, facts: _Facts, adapters: AdapterCache, ledger: Ledger, now: datetime
) -> tuple[Adapter, Submission] | None:
    """What is to be sent for this call; None when it is not to be dialled now, which the ledger then knows."""
    campaign = facts.campaigns.get(call.campaign_id or "")
    zones = facts.zones_of(call)
    if zones is None:  # gone from this host's tz data: no guess at night
        log.error("time zone not known", call_id=call.id, time_zone=call.time_zone)
        ledger.wait(call, now + LOST_ZONE, "time zone not known")
        return None
    verdict = gate.check(facts.gate_input(call, zones), now)
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
        ledger.wait(call, now, "provider held")  # the next release chooses another one, or waits
    elif phase_of(provider, now) is Phase.OPEN:
        ledger.wait(call, now, "provider left alone")  # the next release chooses another one
    else:
        try:
            if facts.why_unable(call, provider):  # chosen by another version, say
                ledger.wait(call, now + timedelta(seconds=60), "provider cannot carry it")
                return None
            adapter = adapters.of(provider)
            return adapter, _submission(call, campaign, facts, now)
        except (ProviderError, SecretError) as error:
            log.error("provider cannot be used", provider=provider.name, error=str(error))
            ledger.wait(call, now + timedelta(seconds=60), "provider cannot be used")
        except (TemplateError, FlowError) as error:
            ledger.end_call(call, CallState.FAILED, f"message: {error}")
    return None


def _submission(call: AnyRow, campaign: AnyRow | None, facts: _Facts, now: datetime) -> Submission:
    attempt_id = ids.attempt_id(call.id, call.dials + 1)
    if campaign is None:
        return content.of_single(attempt_id, call, facts.messages.get(call.id))
    submission = content.of_campaign(attempt_id, call, campaign)
    if not campaign.provider_repeats:
        return submission
    return replace(submission, repeats=facts.repeats_to_hand_over(call, campaign, now))


def _new_attempt(
    call: AnyRow, submission: Submission, now: datetime, due_after: timedelta, cost_after: timedelta | None
) -> dict[str, object]:
    handed_over = submission.repeats
    over_at = now if handed_over is None else now + provider_repeats.over_within(handed_over)
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
        "settle_at": over_at + due_after,
        "cost_due_at": None if cost_after is None else over_at + cost_after,
        "provider_repeats": None if handed_over is None else handed_over.to_json(),
        "detail": "",
    }


def moment() -> float:
    """Seconds on a clock that goes on while the process or the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
