"""How far a campaign is: its counters, which always add up, how fast it goes, and when it may be through.

All of it costs the same for ten contacts as for ten million.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from dialer.calls.window import known_zone
from dialer.campaigns.carriers import able_providers
from dialer.campaigns.forecast import Forecast, forecast
from dialer.campaigns.release import window_of
from dialer.lifecycle import CALL_ENDS, CallState, CampaignState, DialStatus
from dialer.store import calls, campaigns, cdrs, contacts
from dialer.store.tables import AnyRow

#: Over which time calls per minute are measured, and from how many CDRs at most.
MEASURED_OVER = timedelta(minutes=5)
MEASURED_FROM = 1000
#: Of how many contacts and calls that wait the time zones are looked at.
SAMPLE = 1000

_OVER = frozenset({CampaignState.FINISHED, CampaignState.STOPPED})


@dataclass(frozen=True, slots=True)
class Tally:
    """The counters of a campaign at one moment: `contacts` are those not taken, and those with a call in one of the
    states of `calls`."""

    state: CampaignState
    contacts: int
    taken: int
    #: Contacts by the state of their call, ends included; those that an end came before are counted in it.
    calls: Mapping[CallState, int]
    #: CDRs by dial status.
    results: Mapping[DialStatus, int]

    @property
    def not_taken(self) -> int:
        """Contacts that have no call yet."""
        return self.contacts - self.taken

    @property
    def ended(self) -> int:
        """Contacts that have an end."""
        return sum(count for state, count in self.calls.items() if state in CALL_ENDS)

    @property
    def to_call(self) -> int:
        """Contacts that are still to be called, or called again."""
        return self.not_taken + self.calls[CallState.WAITING] + self.calls[CallState.RELEASED]

    @property
    def answer_rate(self) -> float | None:
        """Of the contacts that were dialled and have an end, the part that was reached; None when there are none."""
        reached = self.calls[CallState.COMPLETED]
        dialled = reached + self.calls[CallState.FAILED] + self.calls[CallState.UNKNOWN]
        return reached / dialled if dialled else None


def tally(connection: Connection, campaign_id: str) -> Tally:
    """Count; of an account's campaign that is known to be there. One statement, so that nothing moves in between."""
    counts = campaigns.tally(connection, campaign_id)
    state = CampaignState(counts.state)
    by_state = {one: counts.counters.get(one.value, 0) for one in CallState if one in CALL_ENDS}
    by_state |= {one: counts.occupying.get(one.value, 0) for one in CallState if one not in CALL_ENDS}
    taken = counts.counters.get("taken", 0)
    # Whoever joins the list of a campaign that is over has nothing to do with it.
    contacts_ = taken if state in _OVER and not counts.is_ending else max(taken, counts.contacts)
    by_state[CallState.WAITING] = max(0, taken - sum(by_state.values()))
    results = {status: counts.counters.get(f"cdr.{status}", 0) for status in DialStatus}
    return Tally(state, contacts_, taken, by_state, results)


def calls_per_minute(latest: Sequence[tuple[datetime, bool]], begun: datetime | None, now: datetime) -> float:
    """How fast calls ended lately, of a campaign that begun then; `latest` are the moments of its last CDRs,
    MEASURED_FROM at most, each with whether it is of a call and not of a number that was kept from being dialled."""
    since = max(now - MEASURED_OVER, begun or now - MEASURED_OVER)
    if len(latest) >= MEASURED_FROM:  # the ones before may lie within that time, too
        since = max(since, min(moment for moment, _ in latest))
    ended = sum(is_call and moment > since for moment, is_call in latest)
    return ended * 60 / max(1.0, (now - since).total_seconds())


def measured_pace(connection: Connection, row: AnyRow, now: datetime) -> float:
    """Calls of a campaign that ended per minute, over the last minutes."""
    rows = cdrs.latest(connection, row.account_id, row.id, MEASURED_FROM)
    return calls_per_minute(
        [(one.call_date, one.attempt_id is not None) for one in rows], row.started_at, now
    )


def allowed_pace(connection: Connection, row: AnyRow, account: AnyRow) -> float | None:
    """The calls per minute that campaign, account and the providers that can carry it allow; None: no limit."""
    paces = [row.calls_per_minute, account.calls_per_minute]
    theirs = [provider.calls_per_minute for provider in able_providers(connection, row)]
    if theirs and None not in theirs:
        paces.append(sum(theirs))
    limits = [float(pace) for pace in paces if pace is not None]
    return min(limits) if limits else None


def expected_finish(
    connection: Connection, row: AnyRow, account: AnyRow, counted: Tally, pace: float, now: datetime
) -> Forecast:
    """When the campaign may be through at this measured pace, 0: at the one that is allowed; by the time zones of the
    next contacts and of some calls that wait. It is not known where nothing was measured and there is no limit."""
    speed = pace or allowed_pace(connection, row, account)
    if speed is None and counted.to_call:
        return Forecast(None, counted.to_call)
    names = [contact.time_zone for contact in contacts.after(connection, row.list_id, row.cursor, SAMPLE)]
    waiting = calls.zones_of_waiting(connection, row.id, SAMPLE)
    people = spread(names, counted.not_taken, row.time_zone)
    people += spread(waiting, counted.to_call - counted.not_taken, row.time_zone)
    start = max(now, row.start_at) if counted.state in (CampaignState.DRAFT, CampaignState.SCHEDULED) else now
    return forecast(people, speed, window_of(row, account), start, row.end_at)


def spread(sample: Iterable[str | None], total: int, otherwise: str) -> Counter[ZoneInfo]:
    """So many people in time zones as these few have them; those without one, and all without a sample, in the zone
    `otherwise`."""
    names = Counter(name or otherwise for name in sample) or Counter([otherwise])
    seen = names.total()
    found: Counter[ZoneInfo] = Counter()
    left = total
    for name, count in names.most_common()[::-1]:
        share = min(left, round(total * count / seen))
        found[known_zone(name) or ZoneInfo("UTC")] += share
        left -= share
    if left:
        found[known_zone(names.most_common(1)[0][0]) or ZoneInfo("UTC")] += left
    return found
