"""What a worker process holds: its engine, its limiter, its dispatcher. Made after the fork, closed at its end."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from functools import cache
from typing import Any

from celery import signals
from redis import Redis
from sqlalchemy import Engine

from dialer import logs
from dialer.db import make_engine
from dialer.memory import keep_for_good
from dialer.pace.limiter import Limiter
from dialer.priority import hand_over_soon, step_back
from dialer.secrets import SecretBox
from dialer.settings import get_settings
from dialer.tether import tether
from workers import rehearsal
from workers.app import TIME_LIMIT, app
from workers.claim import AdapterCache
from workers.dispatch import Dispatcher
from workers.outside import Outside
from workers.webhooks import Deliverer

#: Seconds that a process waits at its end for the answers it is owed; longer than a request may take.
DRAIN = 15.0

#: What a process rehearses, by the queue that it serves.
PARTS: Mapping[str, rehearsal.Part] = {
    "otp": rehearsal.place_single,
    "calls": rehearsal.place,
    "results": rehearsal.consume,
}

log = logs.get_logger(__name__)
_worker: int | None = None  # the process id of the worker that this pool process belongs to


@cache
def engine() -> Engine:
    """This process's database engine."""
    return make_engine(get_settings().database_url)


@cache
def limiter() -> Limiter:
    """This process's way to the pace."""
    return Limiter(make_redis(get_settings().redis_url))


@cache
def adapters() -> AdapterCache:
    """This process's adapters."""
    settings = get_settings()
    return AdapterCache(
        SecretBox(settings.secret_keys()),
        reconcile_after=settings.reconcile_after,
        public_url=settings.public_url,
    )


@cache
def outside() -> Outside:
    """This process's way to providers, for what places no call."""
    return Outside()


@cache
def dispatcher() -> Dispatcher:
    """This process's dispatcher."""
    return Dispatcher(engine(), limiter(), adapters(), in_flight=get_settings().worker_in_flight)


@cache
def deliverer() -> Deliverer:
    """What sends messages to accounts' apps from this process."""
    settings = get_settings()
    return Deliverer(
        engine(),
        SecretBox(settings.secret_keys()),
        allow_private=settings.webhook_allow_private,
        needs_https=settings.is_production,
    )


def make_redis(url: str) -> Redis:
    """A client that fails soon, for it is asked inside transactions, and repeats nothing by itself."""
    return Redis.from_url(
        url, socket_timeout=2, socket_connect_timeout=2, retry=None, health_check_interval=15
    )


@signals.setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    logs.configure(get_settings())


@signals.celeryd_after_setup.connect
def _know_ones_place(**_: Any) -> None:
    if "otp" in app.amqp.queues.consume_from:
        hand_over_soon()
    else:
        step_back()


@signals.worker_before_create_process.connect
def _before_fork(**_: Any) -> None:
    global _worker  # noqa: PLW0603 - told to the pool process by the fork
    _worker = os.getpid()
    # The pool processes share what the worker has loaded, until somebody writes to it, as a collection does.
    keep_for_good()


@signals.worker_process_init.connect
def _start(**_: Any) -> None:
    if _worker is None:
        # A worker that does its tasks itself (`-P solo`): nobody watches over it but the kernel.
        signals.task_prerun.connect(_limit)
        signals.task_postrun.connect(_unlimit)
    else:
        # A pool process must not outlive the worker: nobody could stop it, and it holds claimed calls. The worker may
        # be gone by now.
        tether(signal.SIGKILL, _worker)
    logs.configure(get_settings())
    _rehearse()


def _rehearse() -> None:
    parts = [part for queue, part in PARTS.items() if queue in app.amqp.queues.consume_from]
    if set(parts) & {rehearsal.place, rehearsal.place_single}:
        dispatcher()
    known = engine(), limiter()  # made here: two threads would make two of each
    rehearsal.aside(lambda: rehearsal.rehearse(*known, *parts))


def _limit(**_: Any) -> None:
    """SIGALRM ends the process, as Celery's hard limit ends one of a pool; whoever supervises it starts it again."""
    signal.alarm(TIME_LIMIT)


def _unlimit(**_: Any) -> None:
    signal.alarm(0)


@signals.worker_process_shutdown.connect
@signals.worker_shutdown.connect
def _stop(**_: Any) -> None:
    if outside.cache_info().currsize:
        outside().close()
        outside.cache_clear()  # Celery may tell twice
    if deliverer.cache_info().currsize:
        deliverer().drain(DRAIN)  # what is left is sent again by another
        deliverer().close()
        deliverer.cache_clear()  # Celery may tell twice
    if dispatcher.cache_info().currsize:
        if not dispatcher().drain(DRAIN):
            log.warning("stopped with answers outstanding; their attempts become UNKNOWN")
        dispatcher().close()
        dispatcher.cache_clear()  # Celery may tell twice
