"""B5: a tick of the scheduler that releases 100 calls, of a campaign of 10M contacts beside one of 10k.

Both are in one database, honour the same DND list of a million numbers, on which one in a hundred of their contacts
stands, and take turns: a tick of the one, a tick of the other, in one process. It is done three times: with the big
campaign at the start of its list, in the middle, and near the end; the ratio is the worst of the three, of medians.
Between two ticks, not timed, the calls released are ended, so that each tick finds room for its 100.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import sqlalchemy as sa
from redis import Redis

from benchmarks import big
from benchmarks.common import bench
from benchmarks.service import Service, make_service
from dialer.campaigns.release import visit_next
from dialer.db import writing
from dialer.pace.limiter import Limiter
from dialer.store import campaigns

BIG, SMALL, DND = 10_000_000, 10_000, 1_000_000
RELEASED = 100
#: Ticks of each campaign at each place, and those before them that are not counted.
TICKS, WARM = 80, 8
#: Where the big campaign stands in its list.
PLACES = {"start": 0.0, "middle": 0.5, "end": 0.97}


def run() -> dict[str, Any]:
    """Milliseconds of a tick of each, at each place."""
    with bench() as one:
        service = make_service(one, 9)
        began = time.monotonic()
        lists = {"big": big.add_list(service, BIG, country=1)}
        # Each place has a small list of its own: a campaign takes a number once.
        for country, place in enumerate(PLACES, start=2):
            lists[place] = big.add_list(service, SMALL, country)
        sizes = {1: BIG, **dict.fromkeys(range(2, 2 + len(PLACES)), SMALL)}
        dnd_list_id = big.add_dnd_list(service, DND, sizes)
        big.analyze(service.engine)
        filled = time.monotonic() - began
        places = {
            place: _ticks(service, lists["big"], lists[place], dnd_list_id, int(BIG * share))
            for place, share in PLACES.items()
        }
    worst = max(places.values(), key=lambda figures: figures["ratio"])
    return {
        **worst,
        "places": places,
        "fill_s": round(filled, 1),
        "contacts": [SMALL, BIG],
        "dnd_numbers": DND,
    }


def _ticks(
    service: Service, big_list: str, small_list: str, dnd_list_id: str, cursor: int
) -> dict[str, float]:
    """Ticks of both campaigns in turns: their medians in milliseconds."""
    names = {
        _campaign(service, big_list, dnd_list_id, cursor): "big",
        _campaign(service, small_list, dnd_list_id, 0): "small",
    }
    limiter = Limiter(Redis.from_url(service.redis_url))
    took: dict[str, list[float]] = {"big": [], "small": []}
    while min(map(len, took.values())) < WARM + TICKS:
        began = time.perf_counter()
        visit = visit_next(service.engine, limiter)
        seconds = time.perf_counter() - began
        if visit is None:
            raise SystemExit("no campaign is due, though both should always be")
        if len(visit.released) == RELEASED:
            took[names[visit.campaign_id]].append(seconds)
        _end_calls(service, visit.campaign_id)
    _put_away(service, list(names))
    big_ms, small_ms = (statistics.median(took[name][WARM:]) * 1e3 for name in ("big", "small"))
    return {"big_ms": big_ms, "small_ms": small_ms, "ratio": big_ms / small_ms}


def _campaign(service: Service, list_id: str, dnd_list_id: str, cursor: int) -> str:
    # So that a tick releases a hundred and no more.
    campaign_id = service.add_campaign(list_id, state="RUNNING", cursor=cursor, max_concurrent=RELEASED)
    with writing(service.engine) as connection:
        connection.execute(
            sa.text("INSERT INTO campaign_dnd_list (campaign_id, dnd_list_id) VALUES (:campaign, :dnd)"),
            {"campaign": campaign_id, "dnd": dnd_list_id},
        )
    return campaign_id


def _end_calls(service: Service, campaign_id: str) -> None:
    with writing(service.engine) as connection:
        connection.execute(
            sa.text(
                "UPDATE call SET state = 'COMPLETED', ended_at = now() "
                "WHERE campaign_id = :campaign AND state = 'RELEASED'"
            ),
            {"campaign": campaign_id},
        )


def _put_away(service: Service, campaign_ids: list[str]) -> None:
    with writing(service.engine) as connection:
        for campaign_id in campaign_ids:
            campaigns.update(connection, campaign_id, state="STOPPED", wake_at=None)
