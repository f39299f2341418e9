"""Doorbells: Celery messages that carry ids. One that cannot be rung costs a second, never a call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from dialer.logs import get_logger

log = get_logger(__name__)

#: Seconds: a RabbitMQ that blocks publishers (memory, disk) must not stop whoever rings.
CONFIRM_TIMEOUT = 5
#: Calls that one doorbell carries at most.
CALLS_PER_RING = 100


class Doorbell:
    """Rings for work by name, so that whoever rings need not import the tasks."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def place_calls(self, ids: Sequence[str]) -> None:
        """Have a worker place these released calls of a campaign."""
        for start in range(0, len(ids), CALLS_PER_RING):
            some = list(ids[start : start + CALLS_PER_RING])
            self._ring("place_calls", "calls", [some], shown=_shown(some))

    def place_singles(self, ids: Sequence[str]) -> None:
        """Have a worker of the fast lane place these released single calls."""
        self._place_singles(ids, "otp")

    def place_others(self, ids: Sequence[str]) -> None:
        """Have a worker of campaigns place these released single calls, which are not urgent."""
        self._place_singles(ids, "calls")

    def _place_singles(self, ids: Sequence[str], queue: str) -> None:
        for start in range(0, len(ids), CALLS_PER_RING):
            some = list(ids[start : start + CALLS_PER_RING])
            self._ring("place_calls", queue, [some, True], shown=_shown(some))

    def consume_events(self) -> None:
        """Have a worker consume the events that are stored."""
        self._ring("consume_events", "results", [])

    def look_up(self, attempt_ids: Sequence[str]) -> None:
        """Have a worker ask providers about these attempts."""
        for start in range(0, len(attempt_ids), CALLS_PER_RING):
            some = list(attempt_ids[start : start + CALLS_PER_RING])
            self._ring("look_up", "upkeep", [some], shown=_shown(some))

    def read_cdrs(self, provider_id: str) -> None:
        """Have a worker read a provider's CDRs."""
        self._ring("read_cdrs", "upkeep", [provider_id])

    def mirror_dnd(self, provider_id: str) -> None:
        """Have a worker keep a provider's black list in step."""
        self._ring("mirror_dnd", "upkeep", [provider_id])

    def run_import(self, import_id: str) -> None:
        """Have a worker go on with an import."""
        self._ring("run_import", "upkeep", [import_id])

    def tidy_uploads(self) -> None:
        """Have a worker remove what imports left in the uploads."""
        self._ring("tidy_uploads", "upkeep", [])

    def deliver_webhooks(self) -> None:
        """Have a worker send what is due to accounts' apps."""
        self._ring("deliver_webhooks", "upkeep", [])

    def _ring(self, name: str, queue: str, args: list[Any], shown: str | None = None) -> None:
        """`shown`: what Flower shows of the arguments."""
        try:
            self._app.send_task(
                name,
                args=args,
                argsrepr=shown,
                queue=queue,
                retry=False,
                ignore_result=True,
                confirm_timeout=CONFIRM_TIMEOUT,
            )
        except (KombuError, RedisError, OSError) as error:
            # The row is committed; the scheduler rings again once the broker is back.
            log.warning("doorbell not rung", task=name, error=type(error).__name__)


def _shown(ids: Sequence[str]) -> str:
    """Enough to find them by: Flower keeps this of thousands of tasks."""
    return f"({ids[0]} and {len(ids) - 1} more)" if len(ids) > 1 else f"({ids[0]})"
