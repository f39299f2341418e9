"""The scheduler: a loop, any number of replicas, no leader. The tables say what is due.

Each round visits every campaign that needs attention and rings for what it released; between two visits, ten times a
second, single calls that have waited go first. Once a second it also rings
again for released calls that nobody took and events that nobody consumed, gives up attempts whose worker died, has
providers asked about those whose final event never came, or settles them, has CDRs read, goes on with imports whose
worker died, has black lists at providers kept in step, brings on verifications whose codes did not arrive, and has
accounts' apps told of what happened.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from redis.exceptions import RedisError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer import imports, logs, retention
from dialer.calls import single
from dialer.campaigns.release import VisitError, visit_next
from dialer.db import AWAY, looking, make_engine, reading, utc_now, writing
from dialer.memory import keep_for_good
from dialer.pace.limiter import Limiter
from dialer.priority import step_back
from dialer.settings import Settings, get_settings
from dialer.store import calls, campaigns, due, events, meters
from dialer.store import webhooks as outbox
from dialer.verifications import bring as verifications
from dialer.verifications import conversion
from dialer.verifications.codes import Codes, codes_of
from workers import cdrs, inbound, mirror, rehearsal
from workers.app import make_app
from workers.doorbell import Doorbell
from workers.housekeeping import Job, jobs
from workers.process import make_redis
from workers.reconcile import ask_costs, reap, settle

log = logs.get_logger(__name__)

#: Visits in one round, so that upkeep has its turn beside an unlimited campaign.
VISITS = 200
#: Seconds between two looks at single calls.
SINGLES_EVERY = 0.1
#: Seconds between two rounds of upkeep.
UPKEEP_EVERY = 1.0
#: Seconds between two looks for providers whose CDRs are to be read.
CDRS_EVERY = 5.0
#: Seconds between two counts of CDRs, for `/metrics`.
METERED_EVERY = 30.0
#: Seconds between two measurements of how many verifications are confirmed.
MEASURED_EVERY = 30.0
#: Seconds between two looks for black lists at providers that are to be kept in step.
MIRRORS_EVERY = 5.0
#: Seconds between two looks for what imports left in the uploads.
UPLOADS_EVERY = 3600.0
#: A doorbell that nobody answered for so long is rung again.
RING_AGAIN = timedelta(seconds=3)
#: … and for events.
RING_EVENTS_AGAIN = timedelta(seconds=1)
#: How long an event that no attempt is known for is looked at again.
MAY_MATCH_FOR = timedelta(hours=1)
#: Calls that are rung for again in one round.
RUNG_AT_ONCE = 1000
#: A campaign that cannot be visited (its zone is gone from the tz data, say) must not hold up the others.
POSTPONE = timedelta(seconds=30)
#: Seconds between two tries while the database or Redis is away.
LONGEST_PAUSE = 5.0


@dataclass(slots=True)
class Scheduler:
    """One replica of the scheduler."""

    engine: Engine
    limiter: Limiter
    doorbell: Doorbell
    interval: float
    stopping: threading.Event = field(default_factory=threading.Event)
    reconcile_after: timedelta | None = None
    #: What opens the codes of verifications; without it none is brought on.
    codes: Codes | None = None
    #: What is done beside all else, because it is kept no longer.
    jobs: Sequence[Job] = field(default_factory=jobs)
    _singles_at: float = 0.0
    _cdrs_at: float = 0.0
    _metered_at: float = 0.0
    _mirrors_at: float = 0.0
    _measured_at: float = 0.0
    _uploads_at: float = 0.0

    def run(self) -> None:
        """Go round until `stopping` is set. Servers that are away are waited for."""
        upkeep_at = 0.0
        pause = self.interval
        while not self.stopping.is_set():
            try:
                worked = self.look() and self.visit_all()
                if time.monotonic() >= upkeep_at:
                    self.upkeep()
                    upkeep_at = time.monotonic() + UPKEEP_EVERY
            except (SQLAlchemyError, RedisError, OSError) as error:
                log.warning(
                    "scheduler waits for its servers", error=type(error).__name__, detail=_first_line(error)
                )
                pause = min(LONGEST_PAUSE, max(pause, 0.1) * 2)
                self.stopping.wait(pause)
                continue
            pause = self.interval
            if not worked:
                self.stopping.wait(self.interval)

    def look(self) -> bool:
        """Whether there is anything to visit: it costs a replica that has nothing to do next to nothing."""
        with looking(self.engine) as connection:
            return due.is_anything_due(connection)

    def visit_all(self) -> bool:
        """Visit campaigns that need attention and ring for what they release; whether the round was cut short."""
        for _ in range(VISITS):
            self._release_singles()
            try:
                visit = visit_next(self.engine, self.limiter)
            except VisitError as error:
                log.exception("campaign postponed", campaign_id=error.campaign_id)
                self._postpone(error.campaign_id)
                continue
            if visit is None:
                return False
            if visit.released:
                self.doorbell.place_calls(visit.released)
            if visit.finished:
                log.info("campaign finished", campaign_id=visit.campaign_id)
            if self.stopping.is_set():
                return False
        return True

    def _release_singles(self) -> None:
        """Release single calls that have waited, when it is time to look, and ring for them."""
        if time.monotonic() < self._singles_at:
            return
        self._singles_at = time.monotonic() + SINGLES_EVERY
        self._each("release single calls", self._release_and_ring)

    def _release_and_ring(self) -> None:
        for urgent, ring in ((True, self.doorbell.place_singles), (False, self.doorbell.place_others)):
            released = single.release_due(self.engine, self.limiter, urgent=urgent)
            if released:
                ring(released)

    def upkeep(self) -> None:
        """Everything that is due because something was lost."""
        self._each("ring again for calls", self._ring_for_untaken)
        self._each("match events", self._revive_events)
        self._each("ring again for events", self._ring_for_events)
        self._each("ring again for imports", self._ring_for_imports)
        self._each("give up attempts", lambda: reap(self.engine))
        self._each("look up or settle attempts", self._settle)
        self._each("look up costs", lambda: ask_costs(self.engine, look_up=self.doorbell.look_up))
        self._each("read CDRs", self._ring_for_cdrs)
        self._each("settle calls that came in", lambda: inbound.settle(self.engine))
        if time.monotonic() >= self._metered_at:
            self._metered_at = time.monotonic() + METERED_EVERY
            self._each("count CDRs", self._fold_cdrs)
        self._each("keep black lists in step", self._ring_for_mirrors)
        self._each("tell apps", self._ring_for_webhooks)
        self._each("tidy up uploads", self._ring_for_uploads)
        for job in self.jobs:
            self._each(job.what, partial(job.run, self.engine))
        if self.codes is not None:
            self._bring_on(self.codes)

    def _bring_on(self, codes: Codes) -> None:
        """Verifications whose codes did not arrive, or whose time has run out."""

        def bring_on_and_ring() -> None:
            released = verifications.bring_on(self.engine, codes)
            if released:
                self.doorbell.place_singles(released)

        self._each("bring verifications on", bring_on_and_ring)
        if time.monotonic() >= self._measured_at:
            self._measured_at = time.monotonic() + MEASURED_EVERY
            self._each("measure verifications", lambda: conversion.measure(self.engine))

    def _each(self, what: str, do: Callable[[], object]) -> None:
        try:
            do()
        except (*AWAY, RedisError, OSError):
            raise
        except Exception:
            # One kind of upkeep that fails on odd data must not keep the others from running.
            log.exception("upkeep failed", what=what)

    def _ring_for_untaken(self) -> None:
        with writing(self.engine) as connection:
            now = utc_now(connection)
            untaken = calls.untaken(connection, now - RING_AGAIN, RUNG_AT_ONCE)
            if untaken:
                calls.mark_rung(connection, [row.id for row in untaken], now)
        by_campaign: dict[tuple[str | None, bool], list[str]] = {}
        for row in untaken:
            key = row.campaign_id, row.campaign_id is None and single.is_urgent(row.kind)
            by_campaign.setdefault(key, []).append(row.id)
        for (campaign_id, is_urgent), ids in by_campaign.items():
            if campaign_id is not None:
                self.doorbell.place_calls(ids)
            elif is_urgent:
                self.doorbell.place_singles(ids)
            else:
                self.doorbell.place_others(ids)

    def _revive_events(self) -> None:
        with writing(self.engine) as connection:
            revived = events.revive(connection, utc_now(connection) - MAY_MATCH_FOR, RUNG_AT_ONCE)
        if revived:
            self.doorbell.consume_events()

    def _ring_for_events(self) -> None:
        with reading(self.engine) as connection:
            lost = events.is_any_new(connection, utc_now(connection) - RING_EVENTS_AGAIN)
        if lost:
            self.doorbell.consume_events()

    def _ring_for_imports(self) -> None:
        with writing(self.engine) as connection:
            abandoned = imports.claim(connection, utc_now(connection))
        for import_id in abandoned:
            self.doorbell.run_import(import_id)

    def _settle(self) -> None:
        settle(self.engine, look_up=self.doorbell.look_up, reconcile_after=self.reconcile_after)

    def _ring_for_cdrs(self) -> None:
        """Ring for providers whose CDRs are due, when it is time to look."""
        if time.monotonic() < self._cdrs_at:
            return
        self._cdrs_at = time.monotonic() + CDRS_EVERY
        for provider_id in cdrs.claim_due(self.engine):
            self.doorbell.read_cdrs(provider_id)

    def _fold_cdrs(self) -> None:
        with writing(self.engine) as connection:
            meters.fold(connection, utc_now(connection))

    def _ring_for_mirrors(self) -> None:
        """Ring for black lists that may be out of step, when it is time to look."""
        if time.monotonic() < self._mirrors_at:
            return
        self._mirrors_at = time.monotonic() + MIRRORS_EVERY
        for provider_id in mirror.claim_due(self.engine):
            self.doorbell.mirror_dnd(provider_id)

    def _ring_for_uploads(self) -> None:
        """Have what imports left in the uploads removed, when it is time: whoever runs imports can."""
        if time.monotonic() >= self._uploads_at:
            self._uploads_at = time.monotonic() + UPLOADS_EVERY
            self.doorbell.tidy_uploads()

    def _ring_for_webhooks(self) -> None:
        with looking(self.engine) as connection:
            is_due = outbox.is_any_due(connection, utc_now(connection))
        if is_due:
            self.doorbell.deliver_webhooks()

    def _postpone(self, campaign_id: str) -> None:
        with writing(self.engine) as connection:
            campaigns.update(connection, campaign_id, wake_at=utc_now(connection) + POSTPONE)


def make_scheduler(settings: Settings) -> Scheduler:
    """The scheduler for these settings."""
    return Scheduler(
        engine=make_engine(settings.database_url),
        limiter=Limiter(make_redis(settings.redis_url)),
        doorbell=Doorbell(make_app(settings)),
        interval=settings.scheduler_interval,
        reconcile_after=None
        if settings.reconcile_after is None
        else timedelta(seconds=settings.reconcile_after),
        codes=codes_of(tuple(settings.secret_keys())),
        jobs=jobs(retention.kept(settings)),
    )


def run(settings: Settings | None = None) -> None:
    """Run a scheduler until SIGTERM or SIGINT."""
    settings = settings or get_settings()
    logs.configure(settings)
    scheduler = make_scheduler(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: scheduler.stopping.set())
    step_back()
    rehearsal.rehearse(scheduler.engine, scheduler.limiter, rehearsal.release)
    keep_for_good()
    scheduler.doorbell.consume_events()
    log.info("scheduler runs")
    scheduler.run()
    log.info("scheduler stopped")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


if __name__ == "__main__":
    run()
