"""Preflight: whom a campaign would call, whom it would not and why, and when it can be through."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from dialer.calls.window import CallingWindow, WindowError, known_zone, next_opening
from dialer.campaigns.append import fields_asked
from dialer.campaigns.change import request_of
from dialer.campaigns.create import SECOND_GENERATION, check_campaign
from dialer.campaigns.forecast import Forecast, forecast
from dialer.campaigns.progress import SAMPLE, Tally, allowed_pace, spread, tally
from dialer.campaigns.release import window_of
from dialer.errors import RequestError
from dialer.lifecycle import CampaignState
from dialer.store import calls, campaigns, contacts
from dialer.store.tables import AnyRow, Rows

#: Contacts that one statement looks at.
PART = 5_000
#: Seconds after which no further part is looked at, and the rest is estimated by those that were.
BUDGET = 2.0


@dataclass(slots=True)
class Sorted:
    """Contacts not taken yet, each counted once: on a DND list, else lacking a field, else by time zone."""

    count: int = 0
    suppressed: int = 0
    #: By DND list; who stands on two is counted for both.
    by_list: Counter[str] = field(default_factory=Counter)
    lacking: int = 0
    #: Those who may be called; None: of no zone of their own.
    by_zone: Counter[str | None] = field(default_factory=Counter)

    def add(self, rows: Rows, dnd_list_ids: Sequence[str]) -> None:
        """Count the contacts of `contacts.sorted_out`."""
        for row in rows:
            self.count += row.people
            for place, dnd_list_id in enumerate(dnd_list_ids):
                self.by_list[dnd_list_id] += int(row._mapping[f"listed_{place}"])
            if row.is_listed:
                self.suppressed += row.people
            elif row.is_lacking:
                self.lacking += row.people
            else:
                self.by_zone[row.time_zone] += row.people

    def scaled(self, total: int) -> Sorted:
        """The same of `total` contacts, of which these are a part: estimated, but for what adds up to it."""
        if not self.count or self.count == total:
            return self
        times = total / self.count
        suppressed, lacking = round(self.suppressed * times), round(self.lacking * times)
        by_zone = Counter({zone: round(count * times) for zone, count in self.by_zone.items()})
        if by_zone:
            largest = max(by_zone, key=lambda zone: by_zone[zone])
            by_zone[largest] = max(0, by_zone[largest] + total - suppressed - lacking - by_zone.total())
        by_list = Counter({one: round(count * times) for one, count in self.by_list.items()})
        return Sorted(suppressed + lacking + by_zone.total(), suppressed, by_list, lacking, by_zone)


@dataclass(frozen=True, slots=True)
class Preflight:
    """What would become of a campaign's contacts: `contacts` = taken + suppressed + lacking_fields + too_late +
    dialable."""

    contacts: int
    #: Those that have a call, or had one.
    taken: int
    #: Of these, those that wait to be called, or called again.
    waiting: int
    suppressed: int
    by_list: Mapping[str, int]
    lacking_fields: int
    #: In whose zone the window does not open before the end.
    too_late: int
    dialable: int
    #: Of the dialable: whose zone is not known, so that the campaign's is taken; and those who may not be rung now.
    without_time_zone: int
    outside_window: int
    is_estimate: bool
    calls_per_minute: float | None
    forecast: Forecast
    #: Why it could not start; none when it could.
    problems: tuple[str, ...]


def preflight(
    connection: Connection,
    account: AnyRow,
    row: AnyRow,
    public_url: str,
    now: datetime,
    *,
    budget: float = BUDGET,
    clock: Callable[[], float] = time.monotonic,
) -> Preflight:
    """Look at all contacts that a campaign has not taken, for `budget` seconds and one part at least; of a campaign
    that is not over. `public_url` is where callbacks come."""
    counted = tally(connection, row.id)
    found, looked_at_all = _sort_out(connection, row, budget, clock)
    found = found.scaled(counted.not_taken)
    starts_later = counted.state in (CampaignState.DRAFT, CampaignState.SCHEDULED)
    start = max(now, row.start_at) if starts_later else now
    window = window_of(row, account)
    dialable, too_late, closed = split_by_window(found.by_zone, row.time_zone, window, start, row.end_at)
    # They all have the campaign's zone: none of them is called, or all of them.
    is_reached = (known_zone(row.time_zone) or ZoneInfo("UTC")) in dialable
    waiting = counted.to_call - counted.not_taken
    people = Counter(dialable)
    if waiting:
        people += spread(calls.zones_of_waiting(connection, row.id, SAMPLE), waiting, row.time_zone)
    pace = allowed_pace(connection, row, account)
    return Preflight(
        contacts=counted.taken + found.count,
        taken=counted.taken,
        waiting=waiting,
        suppressed=found.suppressed,
        by_list=dict(found.by_list),
        lacking_fields=found.lacking,
        too_late=too_late,
        dialable=dialable.total(),
        without_time_zone=found.by_zone[None] if is_reached else 0,
        outside_window=closed,
        is_estimate=not looked_at_all or waiting > SAMPLE,
        calls_per_minute=pace,
        forecast=forecast(people, pace, window, start, row.end_at),
        problems=tuple(_problems(connection, account, row, counted, public_url, now)),
    )


def split_by_window(
    by_zone: Mapping[str | None, int], otherwise: str, window: CallingWindow, start: datetime, end: datetime
) -> tuple[Counter[ZoneInfo], int, int]:
    """Who can be called from `start` on and before `end`, by zone; how many cannot, and how many of those who can may
    not be called at `start`. Those of no zone are in `otherwise`."""
    dialable: Counter[ZoneInfo] = Counter()
    too_late = closed = 0
    for name, count in by_zone.items():
        zone = known_zone(name or otherwise) or ZoneInfo("UTC")
        try:
            opening = next_opening(window, zone, start)
        except WindowError:
            opening = end
        if opening >= end:
            too_late += count
            continue
        dialable[zone] += count
        closed += count if opening > start else 0
    return dialable, too_late, closed


def in_spread_order(parts: int) -> Iterator[int]:
    """The numbers below `parts`, each once, so that the first few of them lie all over: lists are often sorted."""
    bits = max(0, (parts - 1).bit_length())
    for number in range(1 << bits):
        place = int(f"{number:0{bits}b}"[::-1], 2) if bits else 0
        if place < parts:
            yield place


def _sort_out(
    connection: Connection, row: AnyRow, budget: float, clock: Callable[[], float]
) -> tuple[Sorted, bool]:
    """The contacts not taken, as far as there is time; and whether that was all of them."""
    held = contacts.get_list(connection, row.account_id, row.list_id)
    last = held.last_position if held is not None else 0
    dnd_list_ids = sorted(campaigns.dnd_lists(connection, [row.id]).get(row.id, []))
    lacking = contacts.field_counts(connection, row.list_id)
    # Fields that everybody has need not be looked for.
    rare = sorted(
        name for name in fields_asked(row) if held is None or lacking.get(name, 0) < held.contact_count
    )
    found, until = Sorted(), clock() + budget
    parts = -(-max(0, last - row.cursor) // PART)
    for looked_at, part in enumerate(in_spread_order(parts)):
        if looked_at and clock() >= until:
            return found, False
        after = row.cursor + part * PART
        between = after, min(last, after + PART)
        found.add(contacts.sorted_out(connection, row.list_id, between, dnd_list_ids, rare), dnd_list_ids)
    return found, True


def _problems(
    connection: Connection, account: AnyRow, row: AnyRow, counted: Tally, public_url: str, now: datetime
) -> Iterator[str]:
    try:
        wanted = request_of(connection, row)
        check_campaign(connection, account, wanted, public_url, now, words=SECOND_GENERATION)
    except RequestError as error:
        yield error.message
