"""SQL of `/metrics`: counts whose cost does not grow with the size of campaigns.

What only grows is counted in the table of meters. Their names:

- `submit`: what became of submits, by provider and outcome; dispatchers add to it every few seconds;
- `cdr`: CDRs by provider, kind of call and how it ended (`OTP/ANSWERED`); `fold` adds those that were written since;
- `disagreement`: attempts whose CDR at the provider says another end than their events, by provider;
- `webhook`: messages to accounts' apps, by what became of each try;
- `live`: answers that providers waited for, by how long, and their sum (`dialer/api/answer_times.py`);
- `live_odd`: what was odd about those;
- `folded`, `seen`: up to which CDR they are added, and up to which the next time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection

from dialer.lifecycle import CALL_ENDS, CallState
from dialer.models.call import OCCUPYING
from dialer.models.event import EventState
from dialer.store import singles, tables
from dialer.store.tables import AnyRow, call, campaign, campaign_count, cdr, event, in_states, meter

#: Name, provider's id (empty: of none) and label of a meter.
Key = tuple[str, str, str]

SUBMIT, CDR, DISAGREEMENT, WEBHOOK = "submit", "cdr", "disagreement", "webhook"
LIVE, LIVE_ODD = "live", "live_odd"
_FOLDED: Key = ("folded", "", "")
_SEEN: Key = ("seen", "", "")
#: CDRs get their numbers before they are committed, and transactions last no longer than this.
SETTLED = timedelta(seconds=60)
#: CDRs added at once, and read for one look: a table that was large before it was ever metered is added bit by bit.
MOST_FOLDED = 100_000
#: … of which one statement reads so many.
READ_AT_ONCE = 10_000
#: Nothing is counted further.
MOST_COUNTED = 100_000


def add(connection: Connection, deltas: Mapping[Key, int]) -> None:
    """Move meters, in the order of their keys so that two transactions never wait for each other."""
    rows = [
        {"name": name, "provider_id": provider_id, "label": label, "count": delta}
        for (name, provider_id, label), delta in sorted(deltas.items())
        if delta
    ]
    if rows:
        statement = tables.insert(connection, meter)
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=["name", "provider_id", "label"],
                set_={"count": meter.c.count + statement.excluded["count"]},
            ),
            rows,
        )


def totals(connection: Connection) -> Counter[Key]:
    """All meters as they stand, CDRs that are not added yet included."""
    counted = {_key(row): row for row in connection.execute(sa.select(meter))}
    found: Counter[Key] = Counter({key: _count(row) for key, row in counted.items()})
    folded = found.pop(_FOLDED, 0)
    found.pop(_SEEN, None)
    found.update(_cdrs(connection, folded, folded + 2 * MOST_FOLDED))
    return found


def fold(connection: Connection, now: datetime) -> None:
    """Add the CDRs that were written, unless that was done a moment ago. Any number of processes may."""
    statement = tables.insert(connection, meter)
    both = [
        {"name": name, "provider_id": provider_id, "label": label, "count": 0}
        for name, provider_id, label in (_FOLDED, _SEEN)
    ]
    connection.execute(statement.on_conflict_do_nothing(), both)
    held = {
        _key(row): row
        for row in connection.execute(
            sa.select(meter)
            .where(meter.c.name.in_([_FOLDED[0], _SEEN[0]]))
            .order_by(meter.c.name)
            .with_for_update()
        )
    }
    folded, seen = held[_FOLDED], held[_SEEN]
    if seen.at is not None and now - seen.at < SETTLED:
        return
    known = _count(seen)
    add(connection, _cdrs(connection, _count(folded), known))
    _set(connection, _FOLDED, known, now)
    _set(connection, _SEEN, min(_newest(connection), known + MOST_FOLDED), now)


def open_calls(connection: Connection) -> dict[tuple[str, str], int]:
    """Calls that have not ended by lane (`campaign`, `single`) and state."""
    lane = sa.case((call.c.campaign_id.is_(None), "single"), else_="campaign").label("lane")
    occupying = sa.select(lane, call.c.state, sa.func.count()).where(in_states(call, OCCUPYING))
    found = {
        (row[0], row[1]): int(row[2])
        for row in connection.execute(occupying.group_by(sa.literal_column("lane"), call.c.state))
    }
    found["single", CallState.WAITING.value] = sum(
        _up_to(connection, call, singles.waiting(urgent=urgent)) for urgent in (True, False)
    )
    # Of campaigns, those that were taken, have not ended, and are not on their way.
    counts = campaign_counts(connection)
    ended = sum(counts.get(state.value, 0) for state in CALL_ENDS)
    on_the_way = sum(count for (of, _), count in found.items() if of == "campaign")
    found["campaign", CallState.WAITING.value] = max(0, counts.get("taken", 0) - ended - on_the_way)
    return found


def campaign_counts(connection: Connection) -> dict[str, int]:
    """The counters of all campaigns together, by name."""
    rows = connection.execute(
        sa.select(campaign_count.c.name, sa.func.sum(campaign_count.c.count)).group_by(campaign_count.c.name)
    )
    return {name: int(count) for name, count in rows}


def campaigns_by_state(connection: Connection) -> dict[str, int]:
    """How many campaigns are in each state."""
    rows = connection.execute(sa.select(campaign.c.state, sa.func.count()).group_by(campaign.c.state))
    return {state: int(count) for state, count in rows}


def odd_events(connection: Connection) -> dict[str, int]:
    """Events that are still to be consumed, and those that nothing came of, by state; counted up to MOST_COUNTED."""
    found = {EventState.NEW.value: _up_to(connection, event, in_states(event, {EventState.NEW}))}
    odd = in_states(event, {EventState.UNMATCHED, EventState.UNREADABLE})
    for state in (EventState.UNMATCHED, EventState.UNREADABLE):
        found[state.value] = _up_to(connection, event, sa.and_(odd, event.c.state == state.value))
    return found


def _cdrs(connection: Connection, after: int, up_to: int) -> dict[Key, int]:
    last = min(up_to, _newest(connection))
    ending = sa.func.coalesce(cdr.c.disposition, cdr.c.dial_status).label("ending")
    found: Counter[Key] = Counter()
    for start in range(after, last, READ_AT_ONCE):
        rows = connection.execute(
            sa.select(cdr.c.provider_id, cdr.c.kind, ending, sa.func.count())
            .where(cdr.c.id > start, cdr.c.id <= min(start + READ_AT_ONCE, last))
            .group_by(cdr.c.provider_id, cdr.c.kind, sa.literal_column("ending"))
        )
        for provider_id, kind, how, count in rows:
            found[CDR, provider_id or "", f"{kind}/{how}"] += int(count)
    return found


def _newest(connection: Connection) -> int:
    return connection.execute(sa.select(sa.func.max(cdr.c.id))).scalar() or 0


def _up_to(connection: Connection, table: sa.Table, condition: ColumnElement[bool]) -> int:
    few = sa.select(sa.literal(1)).select_from(table).where(condition).limit(MOST_COUNTED).subquery()
    return int(connection.execute(sa.select(sa.func.count()).select_from(few)).scalar_one())


def _set(connection: Connection, key: Key, count: int, now: datetime) -> None:
    name, provider_id, label = key
    connection.execute(
        meter.update()
        .where(meter.c.name == name, meter.c.provider_id == provider_id, meter.c.label == label)
        .values(count=count, at=now)
    )


def _count(row: AnyRow) -> int:
    return int(row._mapping["count"])  # a row has a method of that name


def _key(row: AnyRow) -> Key:
    return row.name, row.provider_id, row.label
